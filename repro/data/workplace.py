"""Folders in which prepared data is written before it gets its name, and what is left of them.

A process that is killed leaves its folder. Such a folder names its writer's machine and is locked
as long as the writer lives, so that the next preparation can tell a dead one's from a live one's.
"""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repro.locks import Held, locked

LOCK, WRITER = ".lock", ".writer"
# Written by this version, and of whitening by those before it.
_NAMES = re.compile(
    r"([a-z0-9]+-[0-9.]+\.preparing-|(zca|colours|mean)-[0-9a-f]{16}\.(preparing-)?)[a-z0-9_]{8}"
)
_LONG = re.compile(r"[a-z0-9]+-[0-9.]+\.preparing")
_MARKS = re.compile(r"\.writer|\.lock(\.held)?")
_FILES = re.compile(rf"[a-z0-9.-]+\.(np[yz]|rows|jsonl|new)|(facts|marks)\.json|{_MARKS.pattern}")
# How long a folder is left alone: one that may be about to be locked, one that names no machine
# (older versions), one of another machine, whose locks may not be seen here.
MOMENT, HOUR, DAY = 5, 3600, 86_400

_open_here: set[Path] = set()


@contextmanager
def workplace(final: Path) -> Iterator[Path]:
    """A new folder beside `final` to write to; removed at the end if it still has its first name.

    Raises OSError where it cannot be made.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{final.name}.preparing-", dir=final.parent))
    _open_here.add(folder)
    try:
        folder.chmod(0o700)  # some umasks keep the owner out
        with locked(folder, LOCK):
            (folder / WRITER).write_text(platform.node(), encoding="utf-8")
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _open_here.discard(folder)


def unfinished(final: Path) -> Path:
    """Where a long preparation is, for whoever goes on with it."""
    return final.with_name(f"{final.name}.preparing")


@contextmanager
def kept(final: Path) -> Iterator[Path]:
    """The folder `unfinished(final)` to write to, made or taken up; what is in it stays.

    Raises Held where another process writes to it, OSError where it cannot be made.
    """
    folder = unfinished(final)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with locked(folder, LOCK):
        try:
            (folder / WRITER).write_text(platform.node(), encoding="utf-8")
            yield folder
        finally:
            with contextlib.suppress(OSError):  # it has another name now
                if all(_MARKS.fullmatch(file.name) for file in folder.iterdir()):
                    shutil.rmtree(folder)


def publish(folder: Path, final: Path) -> None:
    """Gives a finished folder its name, readable for all like what is installed. Raises OSError.

    Whatever the umask: prepared data may be shared. Where another process was first, with the same
    content, its folder stays.
    """
    for file in list(folder.iterdir()):
        if _MARKS.fullmatch(file.name):
            file.unlink()
        else:
            file.chmod(0o644)
    folder.chmod(0o755)
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def sweep(root: Path) -> list[Path]:
    """Removes what killed preparations left in `root`, and returns that. Never raises.

    What a preparation that can be gone on with has left stays until the set is there.
    """
    removed = []
    with contextlib.suppress(OSError):
        for folder in sorted(root.iterdir()):
            with contextlib.suppress(OSError):
                if _is_useless(folder) and _abandoned(folder):
                    shutil.rmtree(folder)
                    removed.append(folder)
    return removed


def _is_useless(folder: Path) -> bool:
    final = folder.with_suffix("")
    done = _LONG.fullmatch(folder.name) and final.is_dir()
    return bool(done or _NAMES.fullmatch(folder.name))


def _abandoned(folder: Path) -> bool:
    """Whether it is one of ours and its writer is dead. Raises OSError where that is not seen."""
    if folder in _open_here or folder.is_symlink() or not folder.is_dir():
        return False
    if hasattr(os, "geteuid") and folder.stat().st_uid != os.geteuid():
        return False
    files = list(folder.iterdir())
    if not all(_FILES.fullmatch(f.name) and f.is_file() and not f.is_symlink() for f in files):
        return False
    age = time.time() - max(path.stat().st_mtime for path in (folder, *files))
    if folder / WRITER not in files:
        # It is locked before it names its machine.
        return age > (MOMENT if folder / LOCK in files and _free(folder) else HOUR)
    host = (folder / WRITER).read_text(encoding="utf-8", errors="replace")
    return _free(folder) and (host == platform.node() or age > DAY)


def _free(folder: Path) -> bool:
    try:
        with locked(folder, LOCK):
            return True
    except Held:
        return False
