"""The prepared folder of a dataset, written: aside first, so that one with its name is whole."""

import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from repro.data import sources
from repro.data.digests import (
    array_digests,
    arrays_of,
    class_fault,
    digest_fault,
    digest_of,
    example_digest,
    miscounted,
    sha256,
)
from repro.data.photographs import fault, threads
from repro.data.places import official_files, tfds_folder
from repro.data.sets import Dataset, Progress, Split
from repro.data.store import RECORD, kinds
from repro.data.workplace import publish, workplace
from repro.errors import DataError, RunError


def write_arrays(dataset: Dataset, splits: Mapping[str, Split], folder: Path) -> None:
    """Raises RunError where the folder cannot be written."""
    arrays = {array: {"sha256": digest} for array, digest in array_digests(splits).items()}
    with _written_aside(folder) as aside:
        for array, values in arrays_of(splits):
            file = aside / f"{array}.npy"
            np.save(file, values)
            arrays[array]["bytes"] = file.stat().st_size
        _write_record(dataset, aside, {"arrays": arrays})


def write_photographs(
    dataset: Dataset, builder: Any, folder: Path, progress: Progress | None
) -> None:
    """As they come from TFDS, some held at a time; each decoded, and the whole verified.

    Raises DataError for what is not the dataset, RunError where the folder cannot be written.
    """
    source = tfds_folder(dataset)
    counts = {name: builder.info.splits[name].num_examples for name in dataset.examples}
    for name in miscounted(dataset, counts):
        raise DataError(
            f"{name} in {source} is not {dataset.title}: it holds {counts[name]:,} of "
            f"{dataset.examples[name]:,} examples; {official_files(dataset)}"
        )
    total, done, arrays = sum(counts.values()), 0, {}

    def tell(read: int) -> None:
        if progress:
            progress(done + read, total)

    with _written_aside(folder) as aside:
        for name, count in counts.items():
            arrays |= _write_files(dataset, builder, name, aside, tell)
            done += count
        _write_record(dataset, aside, {"examples": counts, "decoded": True, "arrays": arrays})


def _write_record(dataset: Dataset, folder: Path, facts: Mapping[str, Any]) -> None:
    named = {"name": dataset.name, "version": dataset.version, "content": dict(dataset.content)}
    text = json.dumps({**named, **facts}, indent=2) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")


def _write_files(
    dataset: Dataset, builder: Any, name: str, aside: Path, tell: Callable[[int], None]
) -> dict[str, dict]:
    """One split, as it comes; the record of its arrays."""
    source = tfds_folder(dataset)
    labels, contents = [], []

    def files() -> Iterator[bytes]:
        for batch in sources.tfds_batches(builder, name, source, encoded=True):
            for number, why in enumerate(threads().map(fault, batch["image"]), len(labels)):
                if why:
                    raise DataError(
                        f"photograph {number} of {name} in {source} cannot be decoded: {why}; "
                        f"{official_files(dataset)}"
                    )
            for image, label in zip(batch["image"], batch["label"], strict=True):
                labels.append(label)
                contents.append(example_digest(image, label))
                yield image
            tell(len(labels))

    ends, digest = _write_bytes(aside / f"{name}-encoded.npy", files())
    count = builder.info.splits[name].num_examples
    if len(labels) != count:
        raise DataError(
            f"{name} in {source} holds {len(labels):,} of {count:,} examples; "
            f"{official_files(dataset)}"
        )
    wrong = class_fault(dataset, name, np.array(labels), source)
    if wrong := wrong or digest_fault(dataset, name, digest_of(contents), source):
        raise DataError(f"{wrong}; {official_files(dataset)}")
    arrays = {f"{name}-encoded": {"sha256": digest}}
    for kind, values in (("ends", ends), ("labels", labels)):
        values = np.array(values, kinds(dataset)[kind])
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
    """A folder to write to, renamed at the end. Raises RunError."""
    try:
        with workplace(folder) as aside:
            yield aside
            publish(aside, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"cannot write the prepared data to {folder}: {reason}; {_advice(error)}"
        ) from error


def _advice(error: OSError) -> str:
    # NumPy says of a full disk how much of what it requested was written, and no number.
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or "requested and" in str(error):
        return "make room there, or set REPRO_DATA_DIR to a folder on a larger disk"
    return "set REPRO_DATA_DIR to a folder that can be written"
