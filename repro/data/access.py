"""Reading files that may be closed to us, far away, or not what they should be.

What cannot be read is not thereby damaged: each reason has advice of its own, and none of it is to
delete anything.
"""

import errno
import os
import shlex
import stat
from pathlib import Path

from repro.errors import DataError

# A description of a dataset is far smaller.
LARGEST_DESCRIPTION = 16 * 2**20

_CLOSED = {errno.EACCES, errno.EPERM}
_AWAY = {
    getattr(errno, name)
    for name in (
        *("ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN"),
        *("ENETUNREACH", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "ENOMEDIUM"),
    )
    if hasattr(errno, name)
}
_FAULTY = {
    getattr(errno, name)
    for name in ("EIO", "EREMOTEIO", "ENXIO", "EBADMSG", "EUCLEAN", "ENODEV")
    if hasattr(errno, name)
}


def exists(path: Path, variable: str) -> bool:
    """Whether there is something at `path`. Raises DataError where that cannot be seen.

    variable: the environment variable that chooses where it lies.
    """
    try:
        os.stat(path)
        return True
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise unreadable(path, error, variable) from error
    if path.is_symlink():
        raise DataError(
            f"{path} is a symbolic link to {os.readlink(path)}, which is not there; if that is on "
            f"a disk that is not mounted, mount it, else remove the link (or set {variable} to "
            "another folder)"
        )
    return False


def read_text(path: Path, variable: str) -> str | None:
    """The text of a small file, or None where it is no file, too long or not UTF-8.

    Raises DataError where it cannot be read.
    """
    try:
        # Opening a pipe must not wait for somebody to write to it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            content = file.read(LARGEST_DESCRIPTION + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error, variable) from error
    try:
        return None if len(content) > LARGEST_DESCRIPTION else content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def unreadable(path: Path, error: OSError, variable: str) -> DataError:
    """What is wrong with reading `path`, and what to do about it."""
    reason = error.strerror or str(error) or type(error).__name__
    return DataError(f"{path} cannot be read: {reason}; {_advice(path, error.errno, variable)}")


def _advice(path: Path, number: int | None, variable: str) -> str:
    elsewhere = f"set {variable} to another folder"
    if number in _CLOSED:
        return _opening(path, variable)
    if number in _AWAY:
        return f"its network drive does not answer: mount it again, or {elsewhere}"
    if number in _FAULTY:
        return (
            "the disk reports a fault, so the data may still be whole: see to the disk and its "
            f"cable or connection, or {elsewhere}"
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many files are open: do `ulimit -n 4096`, then again"
    if number == errno.ENOMEM:
        return "the data may still be whole: close other programs, then again"
    if number == errno.ELOOP:
        return f"its symbolic links lead in a circle: correct them, or {elsewhere}"
    if number == errno.ENAMETOOLONG:
        return f"set {variable} to a folder with a shorter name"
    return f"the data may still be whole; {elsewhere} if this stays"


def _opening(path: Path, variable: str) -> str:
    """Which file or folder on the way to `path` keeps us out, whose it is, what opens it."""
    own = f"set {variable} to a folder of your own"
    for folder in reversed(path.absolute().parents):
        if not allowed(folder, os.X_OK):
            opened = f"chmod a+x {_quoted(folder)}"
            return f"{_owned(folder)} and is closed to you: ask for `{opened}`, or {own}"
    if not allowed(path, os.R_OK):
        opened = f"chmod -R a+rX {_quoted(path.parent)}"
        return f"{_owned(path)} and is closed to you: ask for `{opened}`, or {own}"
    return f"the system does not allow it: ask whoever looks after this machine, or {own}"


def allowed(path: Path, mode: int) -> bool:
    """Whether we may do so: os.R_OK, os.W_OK, os.X_OK."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, mode, effective_ids=effective)


def _owned(path: Path) -> str:
    return f"{path} belongs to {owner(path)}"


def owner(path: Path) -> str:
    """Whose file it is: a name, or a number that has none."""
    try:
        return path.owner()
    except (KeyError, NotImplementedError):
        return f"user {path.stat().st_uid}"
    except OSError:
        return "another user"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
