"""The marks of prepared photographs, beside them: where the MCUs of each begin.

They make crops faster and change no pixel (`repro.data.jpegs`). So a set is whole without them, and
they are no part of its record: those that cannot be read, or are of other photographs, are as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from repro.data.access import allowed
from repro.data.digests import sha256
from repro.data.growing import write_header, write_whole
from repro.data.photographs import Photographs, Row, threads
from repro.data.sets import Dataset, Progress
from repro.data.store import Record, read_prepared, read_record
from repro.data.workplace import workplace

STAMPS = "marks.json"
SOME = 1000  # photographs that are marked at a time
SHARE = 0.15  # more than marks take, of the bytes of photographs


def add(dataset: Dataset, folder: Path, progress: Progress | None = None) -> None:
    """Marks the photographs of a prepared set that have no marks yet.

    Does nothing for other sets, without Numba, where there is no room, and in a folder of somebody
    else's. progress(done, total): called with the number of photographs. Raises DataError where the
    set is not what was prepared.
    """
    if dataset.shape is not None or not find_spec("numba") or not allowed(folder, os.W_OK):
        return
    record = read_record(dataset, folder)
    lacking = [split for split in record.examples if of(record, folder, split) is None]
    needed = SHARE * sum(record.arrays[f"{split}-encoded"].bytes for split in lacking)
    done, total = 0, sum(record.examples[split] for split in lacking)
    with contextlib.suppress(OSError):  # the disk is full now; without marks all goes on
        if shutil.disk_usage(folder).free < needed:
            return
        for split in lacking:

            def tell(more: int, before: int = done) -> None:
                if progress:
                    progress(before + more, total)

            photographs = read_prepared(dataset, folder, split).images
            _write(photographs, _encoded(record, split), folder, split, tell)
            done += len(photographs)


def of(record: Record, folder: Path, split: str) -> Row | None:
    """The marks of a split, int16 [..., 4] of each photograph; None where there are none."""
    stamp = _stamps(folder).get(split)
    if not find_spec("numba") or not isinstance(stamp, dict):
        return None
    with contextlib.suppress(Exception):  # of many types, from a damaged file
        marks, ends = (np.load(file, mmap_mode="r") for file in _files(folder, split))
        if (
            stamp["of"] == _encoded(record, split)
            and stamp["ends"] == sha256(ends)
            and (ends.dtype, ends.shape) == (np.int64, (record.examples[split],))
            and (marks.dtype, marks.shape) == (np.int16, (int(ends[-1]), 4))
        ):
            return Row(marks, ends)
    return None


def fault(record: Record, folder: Path, split: str) -> str | None:
    """What is wrong with the marks of a split; reads them all. None where there are none."""
    if (marks := of(record, folder, split)) is None:
        return None
    if sha256(marks.values) == _stamps(folder)[split]["marks"]:
        return None
    file = _files(folder, split)[0]
    return f"{file} was altered; remove {folder / STAMPS}, then prepare the set again"


def _encoded(record: Record, split: str) -> str:
    return record.arrays[f"{split}-encoded"].sha256


def _stamps(folder: Path) -> dict:
    """Of each split the digests of its marks, and of the photographs that they are of."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        stamps = json.loads((folder / STAMPS).read_text(encoding="utf-8"))
        return stamps if isinstance(stamps, dict) else {}
    return {}


def _files(folder: Path, split: str) -> tuple[Path, Path]:
    return folder / f"{split}-marks.npy", folder / f"{split}-marked.npy"


def _write(
    photographs: Photographs, encoded: str, folder: Path, split: str, tell: Callable[[int], None]
) -> None:
    """Raises OSError."""
    from repro.data import jpegs

    ends, digest = np.zeros(len(photographs), np.int64), hashlib.sha256()
    with workplace(folder) as aside:
        written = _files(aside, split)
        with open(written[0], "wb") as file:
            write_header(file, "<i2", (0, 4))
            for start in range(0, len(photographs), SOME):
                some = range(start, min(start + SOME, len(photographs)))
                marks = list(threads().map(jpegs.marks, map(photographs.file, some)))
                ends[start : some.stop] = [len(m) for m in marks]
                values = np.concatenate(marks).astype("<i2")
                digest.update(values)
                file.write(values)
                tell(some.stop)
            ends = np.cumsum(ends)
            write_header(file, "<i2", (int(ends[-1]), 4))
        np.save(written[1], ends)
        for new, final in zip(written, _files(folder, split), strict=True):
            new.chmod(0o644)
            os.replace(new, final)
    stamp = {"of": encoded, "ends": sha256(ends), "marks": digest.hexdigest()}
    write_whole(folder / STAMPS, json.dumps({**_stamps(folder), split: stamp}, indent=2) + "\n")
