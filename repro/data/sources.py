"""Where data comes from: TensorFlow Datasets, scikit-learn, this program, the network."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from repro.data import downloads, strokes
from repro.data.access import exists, read_text, unreadable
from repro.data.digests import content_fault, miscounted
from repro.data.downloads import first_line
from repro.data.folders import TFDS, tfds_root
from repro.data.places import (
    described,
    official_files,
    prepared_folder,
    tfds_folder,
    tfds_name,
)
from repro.data.sets import Dataset, Progress, Split
from repro.errors import DataError


def from_scikit_learn(dataset: Dataset) -> dict[str, Split]:
    if not find_spec("sklearn"):
        raise DataError(f"{dataset.name} comes with scikit-learn: pip install scikit-learn")
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.uint8)[..., None]  # whole grey levels from 0 to 16
    labels = digits.target.astype(np.int32)
    train = dataset.examples["train"]
    splits = {
        "train": Split(images[:train], labels[:train]),
        "test": Split(images[train:], labels[train:]),
    }
    for name, split in splits.items():
        if fault := content_fault(dataset, name, split, "scikit-learn"):
            raise DataError(f"{fault}; do: pip install --force-reinstall scikit-learn")
    return splits


def drawn_here(dataset: Dataset) -> dict[str, Split]:
    splits = strokes.splits()
    for name, split in splits.items():
        if fault := content_fault(dataset, name, split, "repro.data.strokes"):
            raise DataError(f"{fault}; the program has been changed, or NumPy computes otherwise")
    return splits


# What needs no files, by source.
AT_HAND = {"scikit-learn": from_scikit_learn, "drawn here": drawn_here}


# ---------------------------------------------------------------------------- what TFDS holds


@dataclass(frozen=True)
class Held:
    """Examples per split by the description in a folder of TFDS, and what is wrong with it."""

    examples: dict[str, int]
    problem: str | None = None


def held(dataset: Dataset) -> Held:
    """What the folder of TFDS holds, by its description; reads no examples, needs no TensorFlow.

    Raises DataError where the description cannot be read.
    """
    folder = tfds_folder(dataset)
    lengths = _shard_lengths(folder / "dataset_info.json")
    if lengths is None or not dataset.examples.keys() <= lengths.keys():
        problem = f"{folder / 'dataset_info.json'} does not describe {dataset.title}"
        return Held({}, f"{problem}; {official_files(dataset)}")
    examples = {name: sum(lengths[name]) for name in dataset.examples}
    for name in miscounted(dataset, examples):
        problem = f"{folder} holds {examples[name]:,} of {dataset.examples[name]:,} of {name}"
        return Held(examples, f"{problem}; {official_files(dataset)}")
    names = _names(folder)
    for split in dataset.examples:
        for number in range(len(lengths[split])):
            end = f"-{number:05}-of-{len(lengths[split]):05}"
            if not any(f"-{split}." in name and name.endswith(end) for name in names):
                file = f"{tfds_name(dataset).split('/')[0]}-{split}.tfrecord{end}"
                return Held(examples, f"{folder} lacks the file {file}; put the whole file there")
    return Held(examples)


def _shard_lengths(file: Path) -> dict[str, list[int]] | None:
    """Examples per file of each split; None for what is no such description."""
    text = read_text(file, TFDS)
    try:
        splits = json.loads(text or "")["splits"]
        return {s["name"]: [int(length) for length in s["shardLengths"]] for s in splits}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _names(folder: Path) -> list[str]:
    """The files that are not empty. Raises DataError."""
    try:
        return [path.name for path in folder.iterdir() if path.stat().st_size]
    except OSError as error:
        raise unreadable(folder, error, TFDS) from error


# ---------------------------------------------------------------------------- reading TFDS


def tfds_builder(dataset: Dataset) -> Any:
    """What reads the set from local files; downloads them first where there are none."""
    folder = tfds_folder(dataset)
    lacking = [p for p in ("tensorflow", "tensorflow_datasets") if not find_spec(p)]
    if lacking:
        raise DataError(
            f"{dataset.name} is not prepared, and {' and '.join(lacking)}, which it is read with, "
            f"not installed; copy {prepared_folder(dataset)} from a machine where `repro data "
            f"prepare {dataset.name}` made it"
        )
    if not described(dataset):
        _download(dataset)
    for name in ("dataset_info.json", "features.json"):
        read_text(folder / name, TFDS)  # TFDS takes a file that it may not read for a damaged one
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # of many types, from a damaged description
        raise DataError(
            f"{folder} cannot be read as a TFDS dataset: {first_line(error)}; "
            f"{official_files(dataset)}"
        ) from error
    features = {*builder.info.splits, *(builder.info.features or ())}
    wanted = {*dataset.examples, "image", "label"}
    if builder.name != tfds_name(dataset).split("/")[0] or not wanted <= features:
        raise DataError(
            f"{folder} is not {dataset.title}: it holds '{builder.name}' with "
            f"{', '.join(sorted(features)) or 'nothing'}; {official_files(dataset)}"
        )
    return builder


def read_tfds(dataset: Dataset, builder: Any, progress: Progress | None) -> dict[str, Split]:
    """Both splits in stored order."""
    folder = tfds_folder(dataset)
    total, done, splits = sum(dataset.examples.values()), 0, {}
    for name, count in dataset.examples.items():
        images = np.empty((count, *dataset.shape), np.uint8)
        labels = np.empty(count, np.int32)
        read = 0
        for batch in tfds_batches(builder, name, folder):
            rows = len(batch["label"])
            if batch["image"].shape[1:] != dataset.shape or read + rows > count:
                raise DataError(
                    f"{name} in {folder} is not {dataset.title}: wanted are {count:,} images of "
                    f"{dataset.shape}; {official_files(dataset)}"
                )
            images[read : read + rows] = batch["image"]
            labels[read : read + rows] = batch["label"]
            read += rows
            done += rows
            if progress:
                progress(done, total)
        if read < count:
            raise DataError(
                f"{name} in {folder} holds {read:,} of {count:,} examples; "
                f"{official_files(dataset)}"
            )
        splits[name] = Split(images, labels)
    return splits


class TfdsPhotographs:
    """The photographs of a dataset as TFDS keeps them. Raises DataError where it does not.

    counts: photographs of each split. bytes: of all files, which is a little more.
    """

    def __init__(self, dataset: Dataset):
        self._dataset, self._folder = dataset, tfds_folder(dataset)
        self._builder = tfds_builder(dataset)
        splits = self._builder.info.splits
        self.counts = {name: splits[name].num_examples for name in dataset.examples}
        for name in miscounted(dataset, self.counts):
            raise DataError(
                f"{name} in {self._folder} is not {dataset.title}: it holds "
                f"{self.counts[name]:,} of {dataset.examples[name]:,} examples; "
                f"{official_files(dataset)}"
            )
        self.bytes = _bytes(self._folder)

    def where(self, split: str) -> Path:
        return self._folder

    def origin(self, split: str) -> str:
        return "TensorFlow Datasets"

    def look(self, aside: Path) -> None:
        """Nothing is to be found before."""

    def batches(
        self, split: str, first: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Photographs from number `first` on, some at a time: files, labels, names of files.

        Raises DataError.
        """
        part = f"{split}[{first}:]" if first else split
        for batch in tfds_batches(self._builder, part, self._folder, encoded=True):
            names = batch.get("file_name", [b""] * len(batch["label"]))
            yield batch["image"], batch["label"], names

    def doubt(self, aside: Path, split: str) -> str:
        """What to do about a photograph that is broken."""
        return official_files(self._dataset)


def _bytes(folder: Path) -> int:
    """What the files of a folder take."""
    with contextlib.suppress(OSError):  # told where they are read
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


def tfds_batches(
    builder: Any, name: str, folder: Path, encoded: bool = False
) -> Iterator[dict[str, np.ndarray]]:
    """The examples of a split, some at a time; `encoded` ones are files, and fewer at a time.

    name: of the split, perhaps with a slice, as in `train[100:]`.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # Files one after the other, so that the stored order does not depend on how they are cut.
    order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    options: dict[str, Any] = {"batch_size": 1000}
    if encoded:
        options = {"batch_size": 100, "decoders": {"image": tfds.decode.SkipDecoding()}}
    try:
        examples = builder.as_dataset(split=name, shuffle_files=False, read_config=order, **options)
        yield from tfds.as_numpy(examples)
    except (tf.errors.OpError, ValueError, OSError) as error:
        info = builder.info.splits[name.partition("[")[0]]
        for file, count in zip(info.filepaths, info.shard_lengths, strict=True):
            _verify_records(Path(file), count)
        raise DataError(f"{name} in {folder} cannot be read: {first_line(error)}") from error


def _verify_records(file: Path, count: int) -> None:
    """Raises DataError for a file of records that is missing, unreadable or damaged."""
    import tensorflow as tf

    if not exists(file, TFDS):
        raise DataError(f"{file} is missing; put the whole file there")
    try:
        with open(file, "rb") as stream:
            while stream.read(2**20):
                pass
    except OSError as error:
        raise unreadable(file, error, TFDS) from error
    readable = 0
    try:
        for _ in tf.data.TFRecordDataset(str(file)):
            readable += 1
    except tf.errors.OpError:
        pass
    if readable != count:
        raise DataError(
            f"{file} is truncated or damaged: {readable:,} of {count:,} examples can be read; "
            "put the whole file there"
        )


# ---------------------------------------------------------------------------- downloading


def _download(dataset: Dataset) -> None:
    """Lets TFDS fetch the official files and build its set; it draws its own progress bars."""
    import tensorflow_datasets as tfds

    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder = tfds.builder(
            f"{tfds_name(dataset)}:{dataset.version}", data_dir=str(tfds_root()), try_gcs=False
        )
        downloads.reach(next(iter(builder.url_infos)))
        builder.download_and_prepare(download_config=settings)
    except Exception as error:  # network, disk, checksum: each has its own type
        reason = downloads.reason(error) or first_line(error)
        raise DataError(
            f"{dataset.name} is missing and could not be downloaded: {reason}; or copy the folder "
            f"{tfds_folder(dataset)} (dataset_info.json, features.json and the tfrecord files of "
            f"{' and '.join(dataset.examples)}) from a machine that has it, set TFDS_DATA_DIR to "
            f"where it is, or copy a prepared {prepared_folder(dataset)}"
        ) from error
