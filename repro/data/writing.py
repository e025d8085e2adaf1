"""The prepared folder of a dataset, written: aside first, so that one with its name is whole."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from repro.data import archives, growing
from repro.data.archives import Archives
from repro.data.digests import (
    array_digests,
    arrays_of,
    class_fault,
    content_digest,
    digest_fault,
    sha256,
)
from repro.data.growing import ROW, Growing, write_whole
from repro.data.photographs import Photographs, Ragged, fault, threads
from repro.data.sets import Dataset, Progress, Split
from repro.data.sources import TfdsPhotographs
from repro.data.store import RECORD, kinds, read_record
from repro.data.workplace import kept, publish, unfinished, workplace
from repro.errors import DataError, Interrupted, RunError
from repro.locks import Held


def write_arrays(dataset: Dataset, splits: Mapping[str, Split], folder: Path) -> None:
    """Raises RunError where the folder cannot be written."""
    arrays = {array: {"sha256": digest} for array, digest in array_digests(splits).items()}
    needed = sum(values.nbytes for _, values in arrays_of(splits))
    with _written_aside(dataset, folder, needed) as aside:
        for array, values in arrays_of(splits):
            file = aside / f"{array}.npy"
            np.save(file, values)
            arrays[array]["bytes"] = file.stat().st_size
        _write_record(dataset, aside, {"arrays": arrays})


def write_photographs(
    dataset: Dataset, source: Archives | TfdsPhotographs, folder: Path, progress: Progress | None
) -> None:
    """Each decoded, and the whole verified. Of a set with archives, goes on where it was stopped.

    Raises DataError for what is not the dataset, RunError where the folder cannot be written.
    """
    with _written_aside(dataset, folder, needed=source.bytes) as aside:
        if not _has_record(dataset, aside):
            source.look(aside)
            arrays, done, total = {}, 0, sum(source.counts.values())

            def tell(before: int, more: int) -> None:
                if progress:
                    progress(before + more, total)

            for split, count in source.counts.items():
                arrays |= _write_split(dataset, source, split, aside, partial(tell, done))
                done += count
            facts = {"examples": dict(source.counts), "decoded": True, "arrays": arrays}
            _write_record(dataset, aside, facts)
        for split in dataset.examples:
            growing.forget(aside, split)
            archives.forget(aside, split)


def _has_record(dataset: Dataset, aside: Path) -> bool:
    """Whether all has been written, but has not got its name."""
    try:
        return read_record(dataset, aside).decoded
    except DataError:
        return False


def _write_record(dataset: Dataset, folder: Path, facts: Mapping[str, Any]) -> None:
    named = {"name": dataset.name, "version": dataset.version, "content": dict(dataset.content)}
    write_whole(folder / RECORD, json.dumps({**named, **facts}, indent=2) + "\n")


def _write_split(
    dataset: Dataset,
    source: Archives | TfdsPhotographs,
    split: str,
    aside: Path,
    tell: Callable[[int], None],
) -> dict[str, dict]:
    """One split, as it comes; the record of its arrays."""
    with closing(Growing(aside, split, source.origin(split))) as written:
        if written.count:
            tell(written.count)
        if not written.finished:
            try:
                _append(source, split, aside, written, tell)
            except DataError:
                written.keep()
                raise
        rows, where = written.rows(), source.where(split)
        count = source.counts[split]
        wrong = f"{split} in {where} holds {len(rows):,} of {count:,} examples"
        if len(rows) == count:
            wrong = class_fault(dataset, split, rows["labels"], where)
        if not wrong and split in dataset.content:
            digest = content_digest(_read_back(aside, split, rows))
            wrong = digest_fault(dataset, split, digest, where)
        if wrong:
            growing.forget(aside, split)
            raise DataError(f"{wrong}; {source.doubt(aside, split)}")
        return _write_rows(dataset, aside, split, rows, written.digest())


def _append(
    source: Archives | TfdsPhotographs,
    split: str,
    aside: Path,
    written: Growing,
    tell: Callable[[int], None],
) -> None:
    """Decodes and writes the photographs that are still lacking."""
    for files, labels, names in source.batches(split, written.count):
        for place, why in enumerate(threads().map(fault, files)):
            if why:
                written.add(files[:place], labels[:place], names[:place])
                name = f" ({names[place].decode(errors='replace')})" if names[place] else ""
                raise DataError(
                    f"photograph {written.count} of {split}{name} in {source.where(split)} cannot "
                    f"be decoded: {why}; {source.doubt(aside, split)}"
                )
        written.add(files, labels, names)
        tell(written.count)
    written.finish()


def _read_back(aside: Path, split: str, rows: np.ndarray) -> Split:
    encoded = np.load(aside / f"{split}-encoded.npy", mmap_mode="r")
    return Split(Photographs(Ragged(encoded, rows["ends"])), rows["labels"])


def _write_rows(
    dataset: Dataset, aside: Path, split: str, rows: np.ndarray, encoded: str
) -> dict[str, dict]:
    """What is known of the photographs, as arrays; the record of all arrays of the split."""
    arrays = {f"{split}-encoded": {"sha256": encoded}}
    for kind in ROW.names:
        if kind == "names" and not any(rows["names"]):
            continue
        values = np.array(rows[kind], kinds(dataset).get(kind, ROW[kind]))
        with open(aside / f"{split}-{kind}.npy", "wb") as file:
            np.save(file, values)
            os.fsync(file.fileno())
        arrays[f"{split}-{kind}"] = {"sha256": sha256(values)}
    for array in arrays:
        arrays[array]["bytes"] = (aside / f"{array}.npy").stat().st_size
    return arrays


# ---------------------------------------------------------------------------- on the disk


@contextmanager
def _written_aside(dataset: Dataset, folder: Path, needed: int) -> Iterator[Path]:
    """A folder to write `needed` bytes to, renamed at the end.

    Of a set with archives it stays where the preparation is stopped, and is taken up again.
    Raises RunError, and Interrupted for a set that can be gone on with.
    """
    keep = bool(dataset.archives)
    try:
        with (kept if keep else workplace)(folder) as aside:
            _make_room(dataset, folder, aside, needed)
            yield aside
            publish(aside, folder)
    except Held as error:
        raise RunError(
            f"{dataset.name} is being prepared in {folder.parent} by {error.strerror}; wait for it"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"cannot write the prepared data to {folder}: {reason}; {_advice(error)}"
            f"{_goes_on(dataset, folder)}"
        ) from error
    except KeyboardInterrupt as error:
        if keep:
            raise Interrupted(f"interrupted{_goes_on(dataset, folder)}") from error
        raise


def _make_room(dataset: Dataset, folder: Path, aside: Path, needed: int) -> None:
    """Raises RunError where the disk lacks room for what is not there yet."""
    more = needed - sum(file.stat().st_size for file in aside.iterdir())
    free = shutil.disk_usage(aside).free
    if free < more:
        raise RunError(
            f"{dataset.name} takes {more / 2**30:,.2f} GiB more in {folder.parent}, where "
            f"{free / 2**30:,.2f} GiB are free; {FULL}"
        )


def _goes_on(dataset: Dataset, folder: Path) -> str:
    """What of a set that is not whole is prepared, and what goes on with it."""
    done = {split: growing.counted(unfinished(folder), split) for split in dataset.examples}
    if not any(done.values()):
        return ""
    counts = ", ".join(f"{split} {n:,} of {dataset.examples[split]:,}" for split, n in done.items())
    return f"; prepared is {counts}: repro data prepare {dataset.name} goes on from there"


FULL = "make room there, or set REPRO_DATA_DIR to a folder on a larger disk"


def _advice(error: OSError) -> str:
    # NumPy says of a full disk how much of what it requested was written, and no number.
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or "requested and" in str(error):
        return FULL
    return "set REPRO_DATA_DIR to a folder that can be written"
