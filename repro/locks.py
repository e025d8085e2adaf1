"""Folders that one process holds at a time, on file systems without locks as well."""

import contextlib
import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
SECONDS_BETWEEN_TRIES = 0.1


class Held(OSError):
    """Another process holds the folder."""


@contextlib.contextmanager
def locked(folder: str | os.PathLike, name: str = ".lock", wait: float = 0.0) -> Iterator[None]:
    """Holds `folder` for as long as the block runs; a process that is killed lets go of it.

    name: of the file that is locked, made if need be. wait: seconds for which to try.
    Raises Held, and OSError where the file cannot be made.

    Some file systems of clusters have no locks. There a second file says who holds the folder; one
    that a process of this machine has left behind is taken over.
    """
    path = Path(folder, name)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666)
    last = time.monotonic() + wait
    try:
        while not (claim := _flock(handle, path)):
            if time.monotonic() >= last:
                raise Held(errno.EAGAIN, _holder(path), str(path))
            time.sleep(SECONDS_BETWEEN_TRIES)
        try:
            yield
        finally:
            if claim == "file":
                _claimed(path).unlink(missing_ok=True)
    finally:
        os.close(handle)


def _flock(handle: int, path: Path) -> str:
    """Tries once; how the folder is held now, or nothing."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return "lock"
    except BlockingIOError:
        return ""
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return "file" if _claim(_claimed(path)) else ""


def _claimed(path: Path) -> Path:
    return path.with_name(f"{path.name}.held")


def _claim(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    except FileExistsError:
        if _left_behind(path):
            # Of several processes that see this, one renames it; it looks again at what it has.
            aside = path.with_name(f"{path.name}.{os.getpid()}")
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, aside)
                if _left_behind(aside):
                    aside.unlink()
                    return _claim(path)
                os.rename(aside, path)
        return False
    with open(handle, "w") as file:
        file.write(f"{platform.node()} {os.getpid()} {_began(os.getpid())}\n")
    return True


def _left_behind(path: Path) -> bool:
    """Whether the process that `path` names was one of this machine and runs no more."""
    try:
        host, process, began = path.read_text(errors="replace").split()
        if host != platform.node():
            return False
        os.kill(int(process), 0)
        return began != _began(int(process))
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        return False


def _began(process: int) -> str:
    """When a process began, in its system's own count: numbers of processes are used again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"


def _holder(path: Path) -> str:
    claimed = _claimed(path)
    if not claimed.exists():
        return "another process"
    try:
        host, process, _ = claimed.read_text(errors="replace").split()
    except (OSError, ValueError):
        host, process = "another machine", "?"
    return f"process {process} on {host} (if that runs no more, remove {claimed})"
