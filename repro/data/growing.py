"""A split of photographs while it is written: what is good of it outlives the process.

Photographs are appended to one file, and what is known of each to another. Now and then both are
brought to the disk, and a line in a journal says how much is good, with the digests so far. Whoever
goes on reads what is there once, to hold it to these digests, and cuts off what came after.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# What is known of a photograph: the place after its last byte, its class, its file's name.
ROW = np.dtype([("ends", "<i8"), ("labels", "<i4"), ("names", "S40")])
# How many bytes of photographs a killed process may lose, so that they are fetched again.
UNKEPT = 64 * 2**20
# NumPy leaves room in its header for a length that is known later only.
HEADER = 128


class Growing:
    """The photographs of the split `name` in `folder`: `count` of them, in `size` bytes.

    origin: names what they come from; those that came from something else are dropped.
    Only what `keep` or `finish` brought to the disk is found again. Raises OSError where the files
    cannot be read or written.
    """

    def __init__(self, folder: Path, name: str, origin: str):
        self.count = self.size = self._kept = 0
        self.finished = False
        self._pending: list[tuple[int, int, bytes]] = []
        self._digests = hashlib.sha256(), hashlib.sha256()
        self._whole = ""
        self._journal = _journal(folder, name)
        self._paths = folder / f"{name}-encoded.npy", folder / f"{name}.rows"
        self._files = tuple(map(_opened, self._paths))
        try:
            self._take_up({"origin": origin})
        except BaseException:
            self.close()
            raise

    def add(self, files: Sequence[bytes], labels: Sequence[int], names: Sequence[bytes]) -> None:
        for file, label, name in zip(files, labels, names, strict=True):
            self._files[0].write(file)
            self._digests[0].update(file)
            self.size += len(file)
            self._pending.append((self.size, label, name))
        self.count += len(files)
        if self.size - self._kept >= UNKEPT:
            self.keep()

    def keep(self) -> None:
        """Brings what was added to the disk, and then says so in the journal."""
        rows = np.array(self._pending, ROW).tobytes()
        self._files[1].write(rows)
        self._digests[1].update(rows)
        self._to_disk()
        encoded, known = (digest.hexdigest() for digest in self._digests)
        self._say({"count": self.count, "size": self.size, "encoded": encoded, "rows": known})
        self._pending, self._kept = [], self.size

    def finish(self) -> None:
        """No more come: the file of photographs gets the header of its length."""
        if self.finished:
            return
        if self._pending or not self.count:
            self.keep()
        self._write_header()
        self._to_disk()
        self._whole, self.finished = self._digests[0].hexdigest(), True
        self._say({"count": self.count, "size": self.size, "finished": self._whole})

    def rows(self) -> np.ndarray:
        """What is known of those that are kept: an array of `ROW`s."""
        return np.fromfile(self._paths[1], ROW, self.count)

    def digest(self) -> str:
        """The SHA-256 of all photographs of a finished split, one after the other."""
        return self._whole

    def close(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):  # a full disk, of which was told before
                file.close()

    # ------------------------------------------------------------------------ what is there

    def _take_up(self, first: dict) -> None:
        lines = _lines(self._journal)
        good = [first]
        if lines[:1] == [first]:
            good += [lines[-1]] if self._is_finished(lines[-1]) else self._good(lines[1:])
        write_whole(self._journal, "".join(json.dumps(line) + "\n" for line in good))
        if not self.finished:
            if not self.count:
                self._write_header()
            for file, end in zip(self._files, self._ends(self.count, self.size), strict=True):
                file.truncate(end)
                file.seek(end)
        self._kept = self.size

    def _is_finished(self, line: dict) -> bool:
        """Takes a split as its last line says, where all of it is there."""
        if "finished" not in line:
            return False
        ends = self._ends(line["count"], line["size"])
        if ends != tuple(path.stat().st_size for path in self._paths):
            return False
        self.count, self.size = line["count"], line["size"]
        self._whole, self.finished = line["finished"], True
        return True

    def _good(self, lines: list[dict]) -> Iterator[dict]:
        """The lines, from the first, whose photographs are there as they were written."""
        self._files[0].seek(HEADER)
        for line in lines:
            if "finished" in line:
                return
            more = line["size"] - self.size, (line["count"] - self.count) * ROW.itemsize
            digests = tuple(digest.copy() for digest in self._digests)
            for file, digest, length in zip(self._files, digests, more, strict=True):
                digest.update(file.read(length))
            if [digest.hexdigest() for digest in digests] != [line["encoded"], line["rows"]]:
                return
            self.count, self.size, self._digests = line["count"], line["size"], digests
            yield line

    def _ends(self, count: int, size: int) -> tuple[int, int]:
        return HEADER + size, count * ROW.itemsize

    # ------------------------------------------------------------------------ to the disk

    def _write_header(self) -> None:
        write_header(self._files[0], "|u1", (self.size,))

    def _to_disk(self) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())

    def _say(self, line: dict) -> None:
        with open(self._journal, "a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
            journal.flush()
            os.fsync(journal.fileno())


def write_header(file: BinaryIO, kind: str, shape: tuple[int, ...]) -> None:
    """The header of an array whose values come after it, at the beginning of a file."""
    file.seek(0)
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    if file.tell() != HEADER:
        raise AssertionError(f"NumPy writes a header of {file.tell()} bytes")


def counted(folder: Path, name: str) -> int:
    """How many photographs of a split are kept, by its journal alone."""
    lines = _lines(_journal(folder, name))
    return lines[-1].get("count", 0) if lines else 0


def forget(folder: Path, name: str) -> None:
    """Removes what tells how a split was written; without it what was written is nothing."""
    for end in (".jsonl", ".rows", ".new"):
        (folder / f"{name}{end}").unlink(missing_ok=True)


def _journal(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl"


def _opened(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")


def _lines(journal: Path) -> list[dict[str, Any]]:
    """The lines of a journal up to the first that is torn."""
    lines = []
    with contextlib.suppress(OSError, ValueError):
        for text in journal.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if not _is_line(line, first=not lines):
                break
            lines.append(line)
    return lines


def _is_line(line: Any, first: bool) -> bool:
    if first or not isinstance(line, dict):
        return isinstance(line, dict) and list(line) == ["origin"]
    whole = all(type(line.get(key)) is int and line[key] >= 0 for key in ("count", "size"))
    return whole and (isinstance(line.get("finished"), str) or {"encoded", "rows"} <= line.keys())


def write_whole(path: Path, text: str) -> None:
    """Writes all of a small file, or leaves what was there. Raises OSError."""
    beside = path.with_suffix(".new")
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
