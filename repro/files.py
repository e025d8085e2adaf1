"""Files that are whole or not there, and JSON that is what it should be.

What lies in a run directory or in results/ may come from anywhere. `within` names the folder that
a file must stay in: below it no symbolic link is followed, for reading or writing. Only ordinary
files are opened, and no more is read of one than `largest` bytes.
"""

import contextlib
import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repro.errors import RunError
from repro.jsonable import as_json, as_text

LARGEST = 64 * 2**20  # bytes of a text that is read
DEEPEST = 64  # levels of a JSON document
LARGEST_WHOLE = 2**63

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in the place of a file does not wait


class NotOrdinary(OSError):
    """A symbolic link, a folder, a pipe or a device in the place of a file."""


def reason(error: Exception, path: str | os.PathLike) -> str:
    """Why `path` could not be read or written: "/runs/a/run.json is a symbolic link, ..."."""
    if isinstance(error, NotOrdinary):
        return f"{error.filename} {error.strerror}"
    if isinstance(error, OSError):
        return f"{path}: {error.strerror or error}"
    return f"{path} {error}"


# ---------------------------------------------------------------------------- reading


def read_bytes(path: Path, within: Path | None = None, largest: int = LARGEST) -> bytes:
    """The content of a file. Raises OSError, in its words for people `reason`."""
    with _parent(path, within) as folder:
        handle = _open(folder, path, os.O_RDONLY)
    with open(handle, "rb") as file:
        content = file.read(min(os.fstat(handle).st_size, largest) + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"is larger than {largest:,} bytes", str(path))
    return content


def read_json(path: Path, within: Path | None = None) -> Any:
    """The content of a JSON file, or None where there is no such file.

    Raises OSError, and ValueError where it is not JSON (see `parse_json`).
    """
    try:
        return parse_json(read_bytes(path, within))
    except FileNotFoundError:
        return None


def parse_json(content: bytes) -> Any:
    """A JSON document of finite numbers. Raises ValueError, of a few words: "is not UTF-8"."""
    try:
        value = json.loads(content.decode())
        _look_through(value, escaped=b"\\u" in content)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON (line {error.lineno}: {error.msg})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:  # Python itself refuses to read numbers of thousands of digits
        said = str(error)
        raise ValueError(
            said if said.startswith(("is ", "has ")) else "has a huge number"
        ) from None
    return value


def _look_through(value: Any, escaped: bool) -> None:
    """Level by level. escaped: whether the text has \\u: that alone brings in half a character."""
    levels, values = DEEPEST, [value]
    while values:
        inner: list = []
        for one in values:
            kind = type(one)
            if kind is float:
                if not math.isfinite(one):
                    raise ValueError(f"has a number that is not finite ({one})")
            elif kind is int:
                if abs(one) > LARGEST_WHOLE:
                    raise ValueError("has a huge number")
            elif kind is str:
                if escaped:
                    _whole(one)
            elif kind in (list, dict):
                if not levels:
                    raise ValueError("is nested too deeply")
                inner += one if kind is list else one.values()
                for key in one if kind is dict and escaped else ():
                    _whole(key)
        levels, values = levels - 1, inner


def _whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("has half a character (a lone surrogate)") from None


def ordinary(folder: Path, pattern: str) -> list[Path]:
    """The ordinary files of `folder` whose names fit, by name; none where it is a link itself."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(p for p in folder.glob(pattern) if p.is_file() and not p.is_symlink())


# ---------------------------------------------------------------------------- writing


def write_json(path: Path, value: Any, within: Path | None = None) -> None:
    """Numbers that are not finite are written as null: JSON has no others."""
    text = json.dumps(as_text(as_json(value)), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", within)


def write_text(path: Path, text: str, within: Path | None = None) -> None:
    write_bytes(path, text.encode(errors="backslashreplace"), within=within)


def write_bytes(path: Path, *parts: bytes | memoryview, within: Path | None = None) -> None:
    """Writes aside, then renames: a reader sees the old file or the new one, never a part.

    A link in the place of `path` is replaced, not followed. Raises OSError.
    """
    with _parent(path, within) as folder:
        aside = f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
            with open(os.open(aside, flags, 0o666, dir_fd=folder), "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside, dir_fd=folder)
            raise


def append_text(path: Path, text: str, within: Path | None = None) -> None:
    """Adds `text` to the end of a file, all of it or nothing. Raises OSError."""
    with _parent(path, within) as folder:
        handle = _open(folder, path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with open(handle, "ab") as file:
        before = os.fstat(handle).st_size
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, before)
            raise


def put(path: Path, content: str | bytes, within: Path | None = None) -> None:
    """Writes a whole file, and the folder it is in. Raises RunError."""
    try:
        make_folder(path.parent, within)
        parts = content if isinstance(content, bytes) else content.encode()
        write_bytes(path, parts, within=within)
    except OSError as error:
        raise RunError(f"cannot write {reason(error, path)}") from None


def make_folder(path: Path, within: Path | None = None) -> None:
    """Makes a folder and those above it; below `within` none may be a link. Raises OSError."""
    with _parent(path / "file", within, make=True):
        pass


# ---------------------------------------------------------------------------- no link is followed


@contextlib.contextmanager
def _parent(path: Path, within: Path | None, make: bool = False) -> Iterator[int]:
    """The folder of `path`, opened; from `within` down, no link leads there."""
    reached = path.parent if within is None else Path(within)
    if make:
        reached.mkdir(parents=True, exist_ok=True)
    handle = os.open(reached, _FOLDER)
    try:
        for part in path.parent.relative_to(reached).parts:
            reached /= part
            if part == "..":
                raise NotOrdinary(errno.EINVAL, "leads out of its folder", str(reached))
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            _refuse_link(handle, reached)
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _open(folder: int, path: Path, flags: int) -> int:
    """An ordinary file in `folder`, opened."""
    with contextlib.suppress(FileNotFoundError):
        _refuse_link(folder, path)
    handle = os.open(path.name, flags | _FILE, 0o666, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotOrdinary(errno.EINVAL, "is not an ordinary file", str(path))
    return handle


def _refuse_link(folder: int, path: Path) -> None:
    if stat.S_ISLNK(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode):
        said = "is a symbolic link, which is not followed here: put the file or folder itself there"
        raise NotOrdinary(errno.ELOOP, said, str(path))
