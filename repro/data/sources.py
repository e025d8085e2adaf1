"""Where data comes from: TensorFlow Datasets, scikit-learn, the network."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from repro.data.digests import verify_content
from repro.data.folders import (
    archive_folder,
    lacking_archives,
    prepared_folder,
    tfds_folder,
    tfds_name,
    tfds_root,
)
from repro.data.sets import Dataset, Progress, Split
from repro.errors import DataError


def from_scikit_learn(known: Dataset) -> dict[str, Split]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.uint8)[..., None]  # whole grey levels from 0 to 16
    labels = digits.target.astype(np.int32)
    train = known.examples["train"]
    splits = {
        "train": Split(images[:train], labels[:train]),
        "test": Split(images[train:], labels[train:]),
    }
    for name, split in splits.items():
        verify_content(known, name, split, "scikit-learn")
    return splits


def tfds_builder(known: Dataset) -> Any:
    """What reads the set from local files; downloads them first where there are none."""
    lacking = [p for p in ("tensorflow", "tensorflow_datasets") if not find_spec(p)]
    if lacking:
        raise DataError(
            f"{known.name} is not prepared, and {' and '.join(lacking)}, which it is read with, "
            f"not installed; copy {prepared_folder(known)} from a machine where `repro data "
            f"prepare {known.name}` made it"
        )
    folder = tfds_folder(known)
    if not (folder / "dataset_info.json").exists():
        _download(known)
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # of many types, from a damaged description
        raise DataError(f"{folder} cannot be read as a TFDS dataset: {_line(error)}") from error
    there = {*builder.info.splits, *(builder.info.features or ())}
    wanted = {*known.examples, "image", "label"}
    if builder.name != tfds_name(known).split("/")[0] or not wanted <= there:
        raise DataError(
            f"{folder} is not {known.title}: it holds '{builder.name}' with "
            f"{', '.join(sorted(there)) or 'nothing'}"
        )
    return builder


def read_tfds(known: Dataset, builder: Any, progress: Progress | None) -> dict[str, Split]:
    """Both splits in stored order."""
    folder = tfds_folder(known)
    total, done, splits = sum(known.examples.values()), 0, {}
    for name, count in known.examples.items():
        images = np.empty((count, *known.shape), np.uint8)
        labels = np.empty(count, np.int32)
        read = 0
        for batch in tfds_batches(builder, name, folder):
            rows = len(batch["label"])
            if batch["image"].shape[1:] != known.shape or read + rows > count:
                raise DataError(
                    f"{name} in {folder} is not {known.title}: wanted are {count:,} images of "
                    f"{known.shape}"
                )
            images[read : read + rows] = batch["image"]
            labels[read : read + rows] = batch["label"]
            read += rows
            done += rows
            if progress:
                progress(done, total)
        if read < count:
            raise DataError(f"{name} in {folder} holds {read:,} of {count:,} examples")
        splits[name] = Split(images, labels)
    return splits


def tfds_batches(
    builder: Any, name: str, folder: Path, encoded: bool = False
) -> Iterator[dict[str, np.ndarray]]:
    """Some examples after the other; `encoded` ones, which are large, fewer and as files."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # Files one after the other, so that the stored order does not depend on how they are cut.
    order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    how = {"batch_size": 1000}
    if encoded:
        how = {"batch_size": 100, "decoders": {"image": tfds.decode.SkipDecoding()}}
    try:
        examples = builder.as_dataset(split=name, shuffle_files=False, read_config=order, **how)
        yield from tfds.as_numpy(examples)
    except (tf.errors.OpError, ValueError, OSError) as error:
        info = builder.info.splits[name]
        for file, count in zip(info.filepaths, info.shard_lengths, strict=True):
            if not Path(file).exists():
                raise DataError(f"{file} is missing; put the whole file there") from error
            found = _records(str(file))
            if found != count:
                raise DataError(
                    f"{file} is truncated or damaged: {found:,} of {count:,} examples can be read; "
                    "put the whole file there"
                ) from error
        raise DataError(f"{name} in {folder} cannot be read: {_line(error)}") from error


def _records(file: str) -> int:
    """How many whole records can be read from a file before its end or its first fault."""
    import tensorflow as tf

    count = 0
    try:
        for _ in tf.data.TFRecordDataset(file):
            count += 1
    except tf.errors.OpError:
        pass
    return count


def _download(known: Dataset) -> None:
    """Lets TFDS build its set of the official files, which it fetches where that is allowed.

    It draws its own progress bars.
    """
    if lacking := lacking_archives(known):
        raise DataError(
            f"{known.name} is missing, and needs a licence: register at image-net.org, put "
            f"{' and '.join(lacking)} into {archive_folder()}, then do: repro data prepare "
            f"{known.name}; experiments on imagenette, ten of its classes, need none of this"
        )
    import tensorflow_datasets as tfds

    settings = tfds.download.DownloadConfig(
        try_download_gcs=False, manual_dir=archive_folder() if known.archives else None
    )
    try:
        builder = tfds.builder(
            f"{tfds_name(known)}:{known.version}", data_dir=str(tfds_root()), try_gcs=False
        )
        if not known.archives:
            _reach(next(iter(builder.url_infos)))
        builder.download_and_prepare(download_config=settings)
    except Exception as error:  # network, disk, checksum: each has its own type
        if known.archives:
            raise DataError(
                f"{known.name} could not be made of {' and '.join(known.archives)} in "
                f"{archive_folder()} ({_line(error)}); put the whole files there"
            ) from error
        raise DataError(
            f"{known.name} is missing and could not be downloaded ({_line(error)}); wanted is the "
            f"folder {tfds_folder(known)} with dataset_info.json, features.json and the tfrecord "
            f"files of {' and '.join(known.examples)}: copy it there from a machine that has it "
            f"(or set TFDS_DATA_DIR), or copy a prepared {prepared_folder(known)}"
        ) from error


def _reach(url: str) -> None:
    """Raises OSError within seconds where there is no network: TFDS would try for minutes."""
    import requests

    try:
        requests.head(url, timeout=10)
    except requests.RequestException:
        raise OSError("no answer from the server") from None


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
