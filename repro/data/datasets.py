"""Datasets: where they come from, whether they are the real ones, and fast access to them.

A set of TensorFlow Datasets is converted once into NumPy arrays in the prepared folder
(`$REPRO_DATA_DIR`, else `data/` below the working directory). From then on it is mapped into
memory, and neither TensorFlow nor TensorFlow Datasets is needed. Every set is held to a digest of
its content that is written here, so nothing else can pass under its name.

Sets of photographs, each of its own size, are kept as the files that they came in, and decoded when
they are asked for (`repro.data.photographs`). Not all of their splits can be held to a digest: of
those only the number of examples is known.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from repro.data.photographs import Photographs
from repro.errors import DataError, RunError, UsageError, unknown

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Split:
    """Examples in stored order: images uint8 [N, H, W, C], or photographs, and labels int32 [N]."""

    images: np.ndarray | Photographs
    labels: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A dataset that the harness knows.

    shape: of an image; None for photographs, each of its own size.
    content: what each split must hold, in any order: see `content_digest`. Of photographs, a split
    without an entry is held to its number of `examples` alone; one that `partial` names may hold
    fewer.
    source: "tfds" (`tfds`, or else `name`, at `version` there) or "scikit-learn" (comes with that
    package). archives: the files that TFDS makes the set of where a licence forbids to download it.
    """

    name: str
    version: str
    title: str
    source: str
    classes: int
    shape: tuple[int, int, int] | None
    examples: Mapping[str, int]
    content: Mapping[str, str]
    tfds: str | None = None
    partial: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="mnist",
            version="3.0.1",
            title="MNIST handwritten digits",
            source="tfds",
            classes=10,
            shape=(28, 28, 1),
            examples={"train": 60_000, "test": 10_000},
            content={
                "train": "b74236c7f4738026eecf04c60652e8424b3e9839cc1ef9de881b17895323a2ce",
                "test": "e15371d9abdc3efb9fc34f99c5e6ee8fe5f0218b2b747821631ac60e93d0023a",
            },
        ),
        Dataset(
            name="digits",
            version="1",
            title="Digits of 8x8 pixels that come with scikit-learn",
            source="scikit-learn",
            classes=10,
            shape=(8, 8, 1),
            examples={"train": 1_437, "test": 360},
            content={
                "train": "4b0e643c3d3e7d44726db155ecd4714fcf17662d289636bd54477cf10633474e",
                "test": "c741fbb826acc69f2d0f6a1511cfeec468432fb901ac6a927120d04eb0179a8d",
            },
        ),
        Dataset(
            name="cifar10",
            version="3.0.2",
            title="CIFAR-10 colour photographs",
            source="tfds",
            classes=10,
            shape=(32, 32, 3),
            examples={"train": 50_000, "test": 10_000},
            content={
                "train": "530cf98e0732d8902814b643dc8332c1b0cba8f33d53ca80a1f6955854756d4e",
                "test": "e408786c90b3992f58419513e1ffbbd1b908334bf0c3ff33cf8f7aa8e01d5123",
            },
        ),
        Dataset(
            name="imagenette",
            version="1.0.0",
            title="Imagenette: ten classes of ImageNet, 160 pixels",
            source="tfds",
            tfds="imagenette/160px-v2",
            classes=10,
            shape=None,
            examples={"train": 9_469, "validation": 3_925},
            content={
                "validation": "cf1a72f6a6abecc704ab7a110d86bc74ccd36a72d21a1a64e0981bf735630f31"
            },
            partial=("train",),
        ),
        Dataset(
            name="imagenet",
            version="5.1.0",
            title="ImageNet: photographs of ILSVRC 2012",
            source="tfds",
            tfds="imagenet2012",
            classes=1000,
            shape=None,
            examples={"train": 1_281_167, "validation": 50_000},
            content={},
            archives=("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"),
        ),
    )
}


# ---------------------------------------------------------------------------- what callers use


def load(dataset: str, split: str) -> Split:
    """A split, or a slice of one in stored order: `train`, `train[:15000]`, `test[-100:]`.

    Prepares the dataset first where that has not been done. What is returned is verified against
    the digests made at preparation, and mapped into memory, read-only. Of photographs only the
    digest of the labels and the sizes of the files are verified, since to read ImageNet takes
    minutes; `check` reads them all.

    Raises UsageError for an unknown dataset or split and a malformed or empty slice or one that
    goes beyond the split; DataError for data that is missing, damaged, or not the dataset.
    """
    known = _known(dataset)
    name, part = _parse(known, split)
    if known.source == "scikit-learn":
        whole = _from_scikit_learn(known)[name]
    else:
        folder = prepare(dataset)
        name, part = _parse(known, split)  # less may be here than was known before
        whole = _read_prepared(known, folder, name)
    if isinstance(whole.images, Photographs):
        return Split(whole.images.part(part.start, part.stop), whole.labels[part])
    return Split(whole.images[part], whole.labels[part])


def count(dataset: str, split: str) -> int:
    """How many examples a split, or a slice of one, has; reads no data. Raises UsageError.

    Of a set that may be here in part it counts those that are here, once it is prepared.
    """
    part = _parse(_known(dataset), split)[1]
    return part.stop - part.start


def facts(dataset: str) -> dict:
    """What the dataset is: name, version, title, classes, examples per split that are here, digest.

    `digest` names the arrays that are really there, values and order. It comes from the record of
    the preparation, which `load` holds the arrays to, so that this is cheap. Prepares the dataset
    where that has not been done. Raises UsageError and DataError like `load`.
    """
    known = _known(dataset)
    if known.source == "scikit-learn":
        digests = _array_digests(_from_scikit_learn(known))
    else:
        digests = _read_record(known, prepare(dataset))["arrays"]
    text = "".join(digests[array]["sha256"] for array in sorted(digests))
    return {
        "name": known.name,
        "version": known.version,
        "title": known.title,
        "classes": known.classes,
        "examples": dict(_examples(known)),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def available() -> list[dict]:
    """Every dataset with its state, without reading it.

    Keys: name, version, title, state, path (or None), examples per split (those that are here, once
    it is prepared), official (the examples of the whole set). The state is "prepared", "in
    TFDS_DATA_DIR", "archives in TFDS_DATA_DIR", "comes with scikit-learn", or "missing".
    """
    return [
        {
            "name": known.name,
            "version": known.version,
            "title": known.title,
            "state": (where := _state(known))[0],
            "path": str(where[1]) if where[1] else None,
            "examples": dict(_examples(known)),
            "official": dict(known.examples),
        }
        for known in DATASETS.values()
    ]


def prepare(name: str, progress: Progress | None = None) -> Path | None:
    """Gets the dataset ready and returns its folder (None where there is nothing to prepare).

    Does nothing where that has been done. Otherwise reads the set from `$TFDS_DATA_DIR`, without
    the network; only where it is not there, downloads it, or makes it of the archives that were put
    there (with a progress bar of its own). Then `progress(done, total)` is called with the number
    of examples read. Several processes may prepare at once: the first that ends wins.

    Raises DataError for data that is missing, damaged or not the dataset; RunError where the
    prepared folder cannot be written.
    """
    known = _known(name)
    if known.source == "scikit-learn":
        return None
    folder = _prepared_folder(known)
    if not folder.exists():
        builder = _tfds_builder(known)
        if known.shape is None:
            _write_photographs(known, builder, folder, progress)
        else:
            splits = _read_tfds(known, builder, progress)
            for split in splits:
                _verify_content(known, split, splits[split], _tfds_folder(known))
            _write_prepared(known, splits, folder)
    return folder


def check(name: str) -> list[str]:
    """Everything that is wrong with the dataset as it is here, one line each; [] if all is well.

    Reads and digests the whole set. Prepares and downloads nothing.
    Raises UsageError for an unknown dataset.
    """
    known = _known(name)
    problems = []
    if known.source == "scikit-learn":
        try:
            _from_scikit_learn(known)
        except DataError as error:
            problems.append(str(error))
        return problems
    folder = _prepared_folder(known)
    if not folder.exists():
        _, path = _state(known)
        found = f" (it lies in {path})" if path else ""
        return [f"{name} is not prepared{found}; do: repro data prepare {name}"]
    for split in known.examples:
        try:
            whole = _read_prepared(known, folder, split, digests=True)
            _verify_content(known, split, whole, folder)
        except DataError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems))


# ---------------------------------------------------------------------------- names and slices


def _known(name: str) -> Dataset:
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    return DATASETS[name]


def _parse(known: Dataset, split: str) -> tuple[str, slice]:
    """`train[a:b]` as the name of the split and a slice with both ends given."""
    name, bracket, rest = split.partition("[")
    if name not in known.examples:
        raise unknown(f"split of {known.name}", name, known.examples)
    total, official = _examples(known)[name], known.examples[name]
    if not bracket:
        return name, slice(0, total)
    match = re.fullmatch(r"(-?\d+)?:(-?\d+)?\]", rest)
    if not match:
        raise UsageError(f"split '{split}': accepted are {name}, {name}[:N], {name}[-N:], [A:B]")
    ends = [None if end is None else int(end) for end in match.groups()]
    if any(end is not None and abs(end) > total for end in ends):
        here = f", of which {total:,} are here" if total < official else ""
        raise UsageError(f"split '{split}' goes beyond the {official:,} examples of {name}{here}")
    start, stop, _ = slice(*ends).indices(total)
    if start >= stop:
        raise UsageError(f"split '{split}' holds no examples")
    return name, slice(start, stop)


def _examples(known: Dataset) -> Mapping[str, int]:
    """Examples per split: those that were found if it is prepared, or else the official ones."""
    if known.partial:
        try:
            record = json.loads((_prepared_folder(known) / "facts.json").read_text())
            if not _miscounted(known, record["examples"]):
                return record["examples"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not prepared, or damaged, which is told where the data is read
    return known.examples


# ---------------------------------------------------------------------------- what is really there


def content_digest(split: Split) -> str:
    """Names the content of a split in any order: SHA-256 over the sorted SHA-256 of its examples.

    An example is the bytes of its image, or the file of its photograph, then its label as a
    little-endian int32.
    """
    images = split.images
    if isinstance(images, Photographs):
        contents = map(images.file, range(len(images)))
    else:
        contents = (image.tobytes() for image in images)
    return _digest_of(map(_example_digest, contents, split.labels))


def _example_digest(image: bytes, label: int) -> bytes:
    return hashlib.sha256(image + np.asarray(label, "<i4").tobytes()).digest()


def _digest_of(examples: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(examples))).hexdigest()


def _verify_content(known: Dataset, name: str, split: Split, where: object) -> None:
    if known.shape is not None:
        wanted = (known.examples[name], *known.shape)
        if split.images.shape != wanted or split.labels.shape != wanted[:1]:
            raise DataError(
                f"{known.name} {known.version} {name} in {where} has images {split.images.shape} "
                f"and {len(split.labels)} labels; wanted are images {wanted}"
            )
    if name in known.content:
        _verify_digest(known, name, content_digest(split), where)


def _verify_digest(known: Dataset, name: str, digest: str, where: object) -> None:
    if digest != known.content.get(name, digest):
        raise DataError(
            f"{name} in {where} is not {known.title} ({known.name} {known.version}): "
            "its content differs from the official one; put the official files there"
        )


def _miscounted(known: Dataset, counts: Mapping[str, int]) -> list[str]:
    """The splits that hold more or fewer examples than they may."""
    least = {n: 1 if n in known.partial else official for n, official in known.examples.items()}
    return [n for n, most in known.examples.items() if not least[n] <= counts[n] <= most]


def _state(known: Dataset) -> tuple[str, Path | None]:
    if known.source == "scikit-learn":
        return "comes with scikit-learn", None
    if _prepared_folder(known).exists():
        return "prepared", _prepared_folder(known)
    if (_tfds_folder(known) / "dataset_info.json").exists():
        return "in TFDS_DATA_DIR", _tfds_folder(known)
    if known.archives and not _lacking_archives(known):
        return "archives in TFDS_DATA_DIR", _archive_folder()
    return "missing", None


# ---------------------------------------------------------------------------- the prepared folder


def _prepared_folder(known: Dataset) -> Path:
    root = Path(os.environ.get("REPRO_DATA_DIR") or "data").expanduser()
    return root / f"{known.name}-{known.version}"


def _kinds(known: Dataset) -> dict[str, type]:
    """The arrays that a split is kept in, with their types."""
    if known.shape is None:
        return {"ends": np.int64, "labels": np.int32, "encoded": np.uint8}
    return {"images": np.uint8, "labels": np.int32}


def _arrays(splits: Mapping[str, Split]) -> Iterator[tuple[str, np.ndarray]]:
    for name, split in splits.items():
        yield f"{name}-images", split.images
        yield f"{name}-labels", split.labels


def _array_digests(splits: Mapping[str, Split]) -> dict[str, dict]:
    return {array: {"sha256": _sha256(values)} for array, values in _arrays(splits)}


def _sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()


def _write_prepared(known: Dataset, splits: Mapping[str, Split], folder: Path) -> None:
    record = {"name": known.name, "version": known.version, "content": dict(known.content)}
    record["arrays"] = _array_digests(splits)
    with _written_aside(folder) as aside:
        for array, values in _arrays(splits):
            file = aside / f"{array}.npy"
            np.save(file, values)
            record["arrays"][array]["bytes"] = file.stat().st_size
        (aside / "facts.json").write_text(json.dumps(record, indent=2) + "\n")


def _write_photographs(
    known: Dataset, builder: Any, folder: Path, progress: Progress | None
) -> None:
    """As they come from TFDS, so that never more than some are held; verified on the way."""
    source = _tfds_folder(known)
    counts = {name: builder.info.splits[name].num_examples for name in known.examples}
    for name in _miscounted(known, counts):
        raise DataError(
            f"{name} in {source} is not {known.title}: it holds {counts[name]:,} of "
            f"{known.examples[name]:,} examples; delete that folder and put the official files "
            "there"
        )
    record = {"name": known.name, "version": known.version, "content": dict(known.content)}
    record |= {"examples": counts, "arrays": {}}
    total, done = sum(counts.values()), 0

    def tell(read: int) -> None:
        if progress:
            progress(done + read, total)

    with _written_aside(folder) as aside:
        for name, count in counts.items():
            record["arrays"] |= _write_files(known, builder, name, aside, tell)
            done += count
        (aside / "facts.json").write_text(json.dumps(record, indent=2) + "\n")


def _write_files(
    known: Dataset, builder: Any, name: str, aside: Path, tell: Callable[[int], None]
) -> dict[str, dict]:
    """One split, as it comes; the record of its arrays."""
    source = _tfds_folder(known)
    labels, contents = [], []

    def files() -> Iterator[bytes]:
        for batch in _tfds_batches(builder, name, source, encoded=True):
            for image, label in zip(batch["image"], batch["label"], strict=True):
                labels.append(label)
                contents.append(_example_digest(image, label))
                yield image
            tell(len(labels))

    ends, digest = _write_bytes(aside / f"{name}-encoded.npy", files())
    count = builder.info.splits[name].num_examples
    if len(labels) != count:
        raise DataError(f"{name} in {source} holds {len(labels):,} of {count:,} examples")
    if not 0 <= min(labels) <= max(labels) < known.classes:
        raise DataError(f"{name} in {source} is not {known.title}: it has other classes")
    _verify_digest(known, name, _digest_of(contents), source)
    arrays = {f"{name}-encoded": {"sha256": digest}}
    for kind, values in (("ends", ends), ("labels", labels)):
        values = np.array(values, _kinds(known)[kind])
        np.save(aside / f"{name}-{kind}.npy", values)
        arrays[f"{name}-{kind}"] = {"sha256": _sha256(values)}
    for array in arrays:
        arrays[array]["bytes"] = (aside / f"{array}.npy").stat().st_size
    return arrays


def _write_bytes(file: Path, parts: Iterable[bytes]) -> tuple[list[int], str]:
    """All parts one after the other as a uint8 array; the place where each ends, and the digest."""
    header = {"descr": "|u1", "fortran_order": False}
    ends, digest, size = [], hashlib.sha256(), 0
    with open(file, "wb") as stream:
        # NumPy leaves room for a length that is known later only.
        np.lib.format.write_array_header_1_0(stream, {**header, "shape": (0,)})
        for part in parts:
            stream.write(part)
            digest.update(part)
            size += len(part)
            ends.append(size)
        stream.seek(0)
        np.lib.format.write_array_header_1_0(stream, {**header, "shape": (size,)})
    return ends, digest.hexdigest()


@contextmanager
def _written_aside(folder: Path) -> Iterator[Path]:
    """A folder to write to, renamed at the end: one under the final name is always whole."""
    aside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.preparing-", dir=folder.parent))
        aside.chmod(0o755)  # mkdtemp keeps others out; prepared data may be shared
        yield aside
        try:
            aside.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same content
                raise
    except OSError as error:
        raise RunError(
            f"cannot write the prepared data to {folder}: {error.strerror or error}; "
            "set REPRO_DATA_DIR to a folder that can be written"
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"{what}; delete the folder {folder} and prepare the dataset again")


def _read_record(known: Dataset, folder: Path) -> dict:
    """The record of the preparation, with every array's file there in its full size."""
    try:
        record = json.loads((folder / "facts.json").read_text())
        arrays, content = record["arrays"], record["content"]
        wanted = {f"{split}-{kind}" for split in known.examples for kind in _kinds(known)}
        if set(arrays) != wanted:
            raise KeyError("arrays")
        if known.shape is None and _miscounted(known, record["examples"]):
            raise KeyError("examples")
        sizes = {array: (arrays[array]["bytes"], arrays[array]["sha256"]) for array in arrays}
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(folder, f"{folder / 'facts.json'} is missing or damaged") from None
    if content != dict(known.content):
        raise _damaged(folder, f"{folder} does not hold {known.title}")
    for array, (size, _) in sizes.items():
        file = folder / f"{array}.npy"
        if not file.is_file():
            raise _damaged(folder, f"{file} is missing")
        if file.stat().st_size != size:
            raise _damaged(folder, f"{file} has {file.stat().st_size:,} of {size:,} bytes")
    return record


def _read_prepared(known: Dataset, folder: Path, name: str, digests: bool = False) -> Split:
    """A whole split, verified; the digest of photographs only where all `digests` are wanted."""
    record = _read_record(known, folder)
    count = known.examples[name] if known.shape else record["examples"][name]
    arrays = {}
    for kind, dtype in _kinds(known).items():
        file = folder / f"{name}-{kind}.npy"
        try:
            values = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            raise _damaged(folder, f"{file} cannot be read") from None
        shape = {"images": (count, *(known.shape or ())), "ends": (count,), "labels": (count,)}
        if kind == "encoded":
            shape["encoded"] = (int(arrays["ends"][-1]),)
        same = values.dtype == dtype and values.shape == shape[kind]
        if same and (digests or kind != "encoded"):
            same = _sha256(values) == record["arrays"][f"{name}-{kind}"]["sha256"]
        if not same:
            raise _damaged(folder, f"{file} was altered since it was prepared")
        arrays[kind] = values
    if known.shape is None:
        return Split(Photographs(arrays["encoded"], arrays["ends"]), arrays["labels"])
    return Split(**arrays)


# ---------------------------------------------------------------------------- the sources


def _from_scikit_learn(known: Dataset) -> dict[str, Split]:
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
        _verify_content(known, name, split, "scikit-learn")
    return splits


def _tfds_root() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _tfds_folder(known: Dataset) -> Path:
    return _tfds_root() / _tfds_name(known) / known.version


def _tfds_name(known: Dataset) -> str:
    """With the configuration, where there is one: `imagenette/160px-v2`."""
    return known.tfds or known.name


def _tfds_builder(known: Dataset) -> Any:
    """What reads the set from local files; downloads them first where there are none."""
    lacking = [p for p in ("tensorflow", "tensorflow_datasets") if not find_spec(p)]
    if lacking:
        raise DataError(
            f"{known.name} is not prepared, and {' and '.join(lacking)}, which it is read with, "
            f"not installed; copy {_prepared_folder(known)} from a machine where `repro data "
            f"prepare {known.name}` made it"
        )
    folder = _tfds_folder(known)
    if not (folder / "dataset_info.json").exists():
        _download(known)
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # of many types, from a damaged description
        raise DataError(f"{folder} cannot be read as a TFDS dataset: {_line(error)}") from error
    there = {*builder.info.splits, *(builder.info.features or ())}
    wanted = {*known.examples, "image", "label"}
    if builder.name != _tfds_name(known).split("/")[0] or not wanted <= there:
        raise DataError(
            f"{folder} is not {known.title}: it holds '{builder.name}' with "
            f"{', '.join(sorted(there)) or 'nothing'}"
        )
    return builder


def _read_tfds(known: Dataset, builder: Any, progress: Progress | None) -> dict[str, Split]:
    """Both splits in stored order."""
    folder = _tfds_folder(known)
    total, done, splits = sum(known.examples.values()), 0, {}
    for name, count in known.examples.items():
        images = np.empty((count, *known.shape), np.uint8)
        labels = np.empty(count, np.int32)
        read = 0
        for batch in _tfds_batches(builder, name, folder):
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


def _tfds_batches(
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
    if lacking := _lacking_archives(known):
        raise DataError(
            f"{known.name} is missing, and needs a licence: register at image-net.org, put "
            f"{' and '.join(lacking)} into {_archive_folder()}, then do: repro data prepare "
            f"{known.name}; experiments on imagenette, ten of its classes, need none of this"
        )
    import tensorflow_datasets as tfds

    settings = tfds.download.DownloadConfig(
        try_download_gcs=False, manual_dir=_archive_folder() if known.archives else None
    )
    try:
        builder = tfds.builder(
            f"{_tfds_name(known)}:{known.version}", data_dir=str(_tfds_root()), try_gcs=False
        )
        if not known.archives:
            _reach(next(iter(builder.url_infos)))
        builder.download_and_prepare(download_config=settings)
    except Exception as error:  # network, disk, checksum: each has its own type
        if known.archives:
            raise DataError(
                f"{known.name} could not be made of {' and '.join(known.archives)} in "
                f"{_archive_folder()} ({_line(error)}); put the whole files there"
            ) from error
        raise DataError(
            f"{known.name} is missing and could not be downloaded ({_line(error)}); wanted is the "
            f"folder {_tfds_folder(known)} with dataset_info.json, features.json and the tfrecord "
            f"files of {' and '.join(known.examples)}: copy it there from a machine that has it "
            f"(or set TFDS_DATA_DIR), or copy a prepared {_prepared_folder(known)}"
        ) from error


def _archive_folder() -> Path:
    """Where TFDS looks for what people must fetch themselves."""
    return _tfds_root() / "downloads" / "manual"


def _lacking_archives(known: Dataset) -> list[str]:
    return [name for name in known.archives if not (_archive_folder() / name).is_file()]


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
