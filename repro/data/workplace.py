"""Folders in which prepared data is written before it gets its name, and what is left of them.

A process that is killed leaves its folder. Such a folder names its writer and is locked as long as
the writer lives, so that the next preparation can tell a dead one's folder from a live one's.
"""

import contextlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

WRITER = ".writer"
# Written by this version, and by those before it.
_NAMES = re.compile(r"([a-z0-9]+-[0-9.]+\.preparing-|zca-[0-9a-f]{16}\.(preparing-)?)[a-z0-9_]{8}")
_FILES = re.compile(rf"[a-z0-9.-]+\.np[yz]|facts\.json|{re.escape(WRITER)}(\.new)?")
# How long a folder is left alone whose writer cannot be asked: it names none, or one elsewhere.
HOUR, DAY = 3600, 86_400

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
        with _signed(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _open_here.discard(folder)


@contextmanager
def _signed(folder: Path) -> Iterator[None]:
    """Says in the folder who writes it, and locks that file where the file system can."""
    fresh = folder / f"{WRITER}.new"
    with open(fresh, "w", encoding="utf-8") as file:
        json.dump({"host": platform.node(), "pid": os.getpid()}, file)
        file.flush()
        _lock(file.fileno())
        fresh.rename(folder / WRITER)  # under its name it is locked from the start
        yield


def publish(folder: Path, final: Path) -> None:
    """Gives a finished folder its name, readable for all like what is installed. Raises OSError.

    Whatever the umask: prepared data may be shared. Where another process was first, with the same
    content, its folder stays.
    """
    for file in folder.iterdir():
        if file.name != WRITER:
            file.chmod(0o644)
    folder.chmod(0o755)
    (folder / WRITER).unlink(missing_ok=True)
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def sweep(root: Path) -> list[Path]:
    """Removes what killed preparations left in `root`, and returns that. Never raises."""
    removed = []
    with contextlib.suppress(OSError):
        for folder in sorted(root.iterdir()):
            with contextlib.suppress(OSError):
                if _NAMES.fullmatch(folder.name) and _abandoned(folder):
                    shutil.rmtree(folder)
                    removed.append(folder)
    return removed


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
    writer = _writer(folder / WRITER)
    if writer is None:
        return age > HOUR
    host, pid = writer
    if host != platform.node():
        return age > DAY
    with open(folder / WRITER, "r+b") as file:
        locked = _lock(file.fileno())
    if locked is False:
        return False
    # Where locks are not kept, the process itself is asked; its number may be another's by now.
    return not _runs(pid) or (locked is True and age > HOUR)


def _writer(file: Path) -> tuple[str, int] | None:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        host, pid = facts["host"], facts["pid"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
    right = isinstance(host, str) and type(pid) is int and 0 < pid < 2**31
    return (host, pid) if right else None


def _lock(handle: int) -> bool | None:
    """Locks an open file: True, False where another process holds it, None where none can."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:  # cluster file systems without locks
        return None


def _runs(pid: int) -> bool:
    """Whether a process has this number."""
    if os.name == "nt":  # there, signal 0 ends the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
