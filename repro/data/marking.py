"""The marks of prepared photographs, kept beside them: where the MCUs of each JPEG begin.

With marks, training decodes only the part of a photograph that its crop needs, to the same pixels
(`repro.data.jpegs`). A set is whole without them, so they are no part of its record, and `add`
tells what goes wrong and goes on. Marks that somebody altered give wrong pixels; `repro data check`
finds them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from repro.data.access import allowed, owner
from repro.data.digests import sha256
from repro.data.growing import write_header
from repro.data.photographs import Photographs, Ragged, threads
from repro.data.sets import Dataset, Progress
from repro.data.store import Record, mapped, read_prepared, read_record
from repro.data.workplace import kept
from repro.locks import Held

STAMPS = "marks.json"
FORMAT = 1  # another where what marks mean changes, or which photographs have some
SOME = 1000  # photographs that are marked at a time
# Of the bytes of photographs; Imagenette's marks take 0.15, those of ImageNet about 0.07.
ROOM = 0.16


def add(
    dataset: Dataset,
    folder: Path,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Marks the photographs of a prepared set that have no marks yet; does nothing for other sets.

    Where that cannot be done, `warn` is told in one line. progress(done, total): called with the
    number of photographs. Raises DataError where the set is not what was prepared.
    """
    if dataset.shape is not None:
        return
    record, folder = read_record(dataset, folder), folder.resolve()
    if not _lacking(dataset, record, folder):
        return
    try:
        why = unusable() or _add(dataset, record, folder, progress)
    except Held as error:
        why = f"{error.strerror} marks them now"
    except OSError as error:
        why = f"{error.filename or folder}: {error.strerror or error}"
    if why and warn:
        warn(f"photographs of {dataset.name} that have no marks are decoded whole: {why}")


def _add(dataset: Dataset, record: Record, folder: Path, progress: Progress | None) -> str:
    """Why it did nothing, or "". Raises OSError."""
    if not allowed(folder, os.W_OK):
        return f"{folder} cannot be written to; ask {owner(folder)} for them: {_command(dataset)}"
    with kept(folder) as aside:
        for name in _all_names(record):  # of a process that was killed
            (aside / name).unlink(missing_ok=True)
        lacking = _lacking(dataset, record, folder)  # another process may have been first
        needed = ROOM * sum(record.arrays[f"{split}-encoded"].bytes for split in lacking)
        if shutil.disk_usage(folder).free < needed:
            return (
                f"marks take up to {needed / 2**30:,.2f} GiB, and {folder} has less free; make "
                f"room there, then do: {_command(dataset)}"
            )
        done, total = 0, sum(record.examples[split] for split in lacking)
        try:
            for split in lacking:

                def tell(more: int, before: int = done) -> None:
                    if progress:
                        progress(before + more, total)

                photographs = read_prepared(dataset, folder, split).images
                stamp = {"format": FORMAT, "of": _encoded(record, split)}
                stamp |= _write(photographs, aside, split, tell)
                stamps = json.dumps({**_stamps(folder), split: stamp}, indent=2) + "\n"
                _to_disk(aside / STAMPS, lambda file, text=stamps: file.write(text.encode()))
                for name in (*_names(split), STAMPS):
                    (aside / name).chmod(0o644)  # whatever the umask: the set may be shared
                    os.replace(aside / name, folder / name)
                done += len(photographs)
        finally:
            for name in _all_names(record):
                (aside / name).unlink(missing_ok=True)
    return ""


def of(dataset: Dataset, record: Record, folder: Path, split: str) -> Ragged | None:
    """The marks of a split, int16 [marks, 4] of each photograph; None where there are none.

    What cannot be read, is of other photographs or of another format counts as none.
    """
    marks = _read(dataset, record, folder, split)
    return marks if marks and not unusable() else None


def _read(dataset: Dataset, record: Record, folder: Path, split: str) -> Ragged | None:
    stamp = _stamp(folder, split)
    if (stamp.get("format"), stamp.get("of")) != (FORMAT, _encoded(record, split)):
        return None
    try:
        marks, ends = (mapped(dataset, folder, folder / name) for name in _names(split))
        same = sha256(ends) == stamp["ends"] and ends.shape == (record.examples[split],)
        if same and (marks.dtype, marks.shape) == (np.int16, (int(ends[-1]), 4)):
            return Ragged(marks, ends)
    except Exception:  # of many types, from a damaged file
        return None
    return None


def fault(dataset: Dataset, record: Record, folder: Path, split: str) -> str | None:
    """What is wrong with the marks of a split; reads them all. None where there are none."""
    marks = _read(dataset, record, folder, split)
    if marks is None or sha256(marks.values) == _stamp(folder, split).get("marks"):
        return None
    return (
        f"the marks of {split} of {dataset.name} were altered ({folder / _names(split)[0]}): "
        f"remove {folder / STAMPS}, then do: {_command(dataset)}"
    )


@cache
def unusable() -> str:
    """Why JPEGs cannot be marked and cut on this machine; "" where they can."""
    try:
        import simplejpeg

        from repro.data import jpegs

        sides, corner = (512, 512), slice(0, 8)
        file = simplejpeg.encode_jpeg(np.zeros((*sides, 3), np.uint8))
        if jpegs.part(file, jpegs.marks(file), sides, corner, corner) is None:
            return "a grey JPEG could not be cut here"
    except Exception as error:  # of many types: Numba refuses a NumPy that is too new for it
        line = next(iter(str(error).splitlines()), "") or type(error).__name__
        return f"JPEGs cannot be cut here: {line}; do: pip install --upgrade numba simplejpeg"
    return ""


def _command(dataset: Dataset) -> str:
    return f"repro data prepare {dataset.name}"


def _lacking(dataset: Dataset, record: Record, folder: Path) -> list[str]:
    return [s for s in record.examples if _read(dataset, record, folder, s) is None]


def _encoded(record: Record, split: str) -> str:
    return record.arrays[f"{split}-encoded"].sha256


def _names(split: str) -> tuple[str, str]:
    """Of the file of marks, and of that with the place after the last of each photograph."""
    return f"{split}-marks.npy", f"{split}-marks-ends.npy"


def _all_names(record: Record) -> list[str]:
    return [name for split in record.examples for name in _names(split)] + [STAMPS]


def _stamp(folder: Path, split: str) -> dict:
    """The format of the marks of a split, their digests, and that of the photographs."""
    stamp = _stamps(folder).get(split)
    return stamp if isinstance(stamp, dict) else {}


def _stamps(folder: Path) -> dict:
    try:
        stamps = json.loads((folder / STAMPS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write(
    photographs: Photographs, aside: Path, split: str, tell: Callable[[int], None]
) -> dict[str, str]:
    """The digests of what it wrote. Raises OSError."""
    from repro.data import jpegs

    ends, digest = np.zeros(len(photographs), np.int64), hashlib.sha256()

    def write(file: BinaryIO) -> None:
        write_header(file, "<i2", (0, 4))
        for start in range(0, len(photographs), SOME):
            some = range(start, min(start + SOME, len(photographs)))
            marks = list(threads().map(jpegs.marks, map(photographs.file, some)))
            ends[start : some.stop] = [len(m) for m in marks]
            values = np.concatenate(marks).astype("<i2")
            digest.update(values)
            file.write(values)
            tell(some.stop)
        ends[:] = np.cumsum(ends)
        write_header(file, "<i2", (int(ends[-1]), 4))

    marked, ended = (aside / name for name in _names(split))
    _to_disk(marked, write)
    _to_disk(ended, lambda file: np.save(file, ends))
    return {"ends": sha256(ends), "marks": digest.hexdigest()}


def _to_disk(path: Path, write: Callable[[BinaryIO], object]) -> None:
    with open(path, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
