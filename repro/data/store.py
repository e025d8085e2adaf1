"""The prepared folder of a dataset: NumPy arrays with their digests."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from repro.data import sources
from repro.data.digests import (
    array_digests,
    arrays_of,
    digest_of,
    example_digest,
    miscounted,
    sha256,
    verify_digest,
)
from repro.data.folders import tfds_folder
from repro.data.photographs import Photographs
from repro.data.sets import Dataset, Progress, Split
from repro.errors import DataError, RunError


def _kinds(known: Dataset) -> dict[str, type]:
    """The arrays that a split is kept in, with their types."""
    if known.shape is None:
        return {"ends": np.int64, "labels": np.int32, "encoded": np.uint8}
    return {"images": np.uint8, "labels": np.int32}


def write_prepared(known: Dataset, splits: Mapping[str, Split], folder: Path) -> None:
    record = {"name": known.name, "version": known.version, "content": dict(known.content)}
    record["arrays"] = array_digests(splits)
    with _written_aside(folder) as aside:
        for array, values in arrays_of(splits):
            file = aside / f"{array}.npy"
            np.save(file, values)
            record["arrays"][array]["bytes"] = file.stat().st_size
        (aside / "facts.json").write_text(json.dumps(record, indent=2) + "\n")


def write_photographs(
    known: Dataset, builder: Any, folder: Path, progress: Progress | None
) -> None:
    """As they come from TFDS, so that never more than some are held; verified on the way."""
    source = tfds_folder(known)
    counts = {name: builder.info.splits[name].num_examples for name in known.examples}
    for name in miscounted(known, counts):
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
    source = tfds_folder(known)
    labels, contents = [], []

    def files() -> Iterator[bytes]:
        for batch in sources.tfds_batches(builder, name, source, encoded=True):
            for image, label in zip(batch["image"], batch["label"], strict=True):
                labels.append(label)
                contents.append(example_digest(image, label))
                yield image
            tell(len(labels))

    ends, digest = _write_bytes(aside / f"{name}-encoded.npy", files())
    count = builder.info.splits[name].num_examples
    if len(labels) != count:
        raise DataError(f"{name} in {source} holds {len(labels):,} of {count:,} examples")
    if not 0 <= min(labels) <= max(labels) < known.classes:
        raise DataError(f"{name} in {source} is not {known.title}: it has other classes")
    verify_digest(known, name, digest_of(contents), source)
    arrays = {f"{name}-encoded": {"sha256": digest}}
    for kind, values in (("ends", ends), ("labels", labels)):
        values = np.array(values, _kinds(known)[kind])
        np.save(aside / f"{name}-{kind}.npy", values)
        arrays[f"{name}-{kind}"] = {"sha256": sha256(values)}
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


def read_record(known: Dataset, folder: Path) -> dict:
    """The record of the preparation, with every array's file there in its full size."""
    try:
        record = json.loads((folder / "facts.json").read_text())
        arrays, content = record["arrays"], record["content"]
        wanted = {f"{split}-{kind}" for split in known.examples for kind in _kinds(known)}
        if set(arrays) != wanted:
            raise KeyError("arrays")
        if known.shape is None and miscounted(known, record["examples"]):
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


def read_prepared(known: Dataset, folder: Path, name: str, digests: bool = False) -> Split:
    """A whole split, verified; the digest of photographs only where all `digests` are wanted."""
    record = read_record(known, folder)
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
            same = sha256(values) == record["arrays"][f"{name}-{kind}"]["sha256"]
        if not same:
            raise _damaged(folder, f"{file} was altered since it was prepared")
        arrays[kind] = values
    if known.shape is None:
        return Split(Photographs(arrays["encoded"], arrays["ends"]), arrays["labels"])
    return Split(**arrays)
