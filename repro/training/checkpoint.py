"""Exact resume: everything that the next update depends on, in one file with its digest.

The order of examples and every random draw are functions of (seed, pass, example), so a state is
the variables of model and optimizer, plus how far the run is. A checkpoint also says which run it
is of, and holds the lines of metrics.jsonl so far: a run is resumed from a checkpoint alone.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from repro.errors import RunError
from repro.files import ordinary, parse_json, read_bytes, reason, write_bytes
from repro.records.arrays import array_of
from repro.records.shape import Damaged

KEEP = 2
DIGEST_CHARACTERS = 64  # SHA-256 in hexadecimal, then a line feed, then the arrays
LARGEST = 64 * 2**30  # bytes
NAME = re.compile(r"update-(\d{9,15})\.ckpt")
REFUSED = ".refused"  # added to the name of one that cannot be used, so that nothing is deleted


# ---------------------------------------------------------------------------- one file


def save(folder: Path, update: int, variables: list, progress: dict) -> Path:
    """Writes the state after `update` updates and removes all but the last two."""
    arrays = {f"{i:05d}": np.asarray(v) for i, v in enumerate(variables)}
    content = io.BytesIO()
    np.savez(content, progress=np.array(json.dumps(progress)), **arrays)
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    path = folder / f"update-{update:09d}.ckpt"
    write_bytes(path, digest.encode() + b"\n", content.getbuffer(), within=folder.parent)
    for old in [path for path in states(folder) if _update(path) <= update][:-KEEP]:
        old.unlink()
    return path


def load(path: Path, largest: int = LARGEST) -> tuple[list[np.ndarray], dict]:
    """The variables and the progress in `path`.

    Raises RunError if a byte of it has changed, or it is larger than `largest` bytes.
    """
    try:
        content = read_bytes(path, path.parents[1], largest)
    except OSError as error:
        raise RunError(reason(error, path)) from None
    told, inner = content[:DIGEST_CHARACTERS], memoryview(content)[DIGEST_CHARACTERS + 1 :]
    if hashlib.sha256(inner).hexdigest().encode() != told:
        raise RunError(f"{path}: the checkpoint is damaged (its digest does not match)")
    try:
        arrays = _unpack(content)
        progress = parse_json(str(arrays.pop("progress")[()]).encode())
        return [arrays[key] for key in sorted(arrays)], progress
    except _NOT_OURS as error:
        said = " ".join(str(error).split())
        raise RunError(f"{path}: not a checkpoint of this program ({said})") from None


# What reading an archive that somebody made up may raise.
_NOT_OURS = (KeyError, ValueError, OSError, EOFError, RuntimeError, OverflowError, TypeError)
_NOT_OURS += (zipfile.BadZipFile, MemoryError, IndexError)


def _unpack(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of the archive that `content` ends with; one that is packed is refused.

    So no archive is larger than its file. What stands before it, zipfile passes over.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        if packed or sum(part.file_size for part in parts) > len(content):
            raise ValueError("its parts are packed")
        return {part.filename.removesuffix(".npy"): array_of(archive.read(part)) for part in parts}


# ---------------------------------------------------------------------------- all of a run


def states(folder: Path) -> list[Path]:
    """The files that have the name of a checkpoint, the newest last. Raises RunError for a link."""
    _refuse_link(folder)
    named = [path for path in ordinary(folder, "update-*.ckpt") if _update(path) is not None]
    return sorted(named, key=_update)


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink():
        raise RunError(
            f"{folder} is a symbolic link, which is not followed: put the folder itself there"
        )


def _update(path: Path) -> int | None:
    fits = NAME.fullmatch(path.name)
    ours = fits and path.name == f"update-{int(fits[1]):09d}.ckpt"
    return int(fits[1]) if ours else None


def hold_to_name(progress: object, path: Path) -> None:
    """Raises Damaged where a checkpoint has the name of one after another update."""
    if isinstance(progress, dict) and progress.get("update") != _update(path):
        raise Damaged("is of another update than its name says")


def newest(folder: Path) -> Path | None:
    """What has the name of the newest state, readable or not, be it a link or a folder."""
    _refuse_link(folder)
    named = [path for path in folder.glob("update-*.ckpt") if _update(path) is not None]
    return max(named, key=_update, default=None)


def set_aside_after(folder: Path, update: int) -> None:
    """Renames the states after `update`, which cannot be used: a resumed run makes them again."""
    for path in states(folder):
        if _update(path) > update:
            path.replace(path.with_name(path.name + REFUSED))


def latest(
    folder: Path, accept: Callable[[list, dict], None] | None = None, largest: int = LARGEST
) -> tuple[list[np.ndarray], dict, list[str]]:
    """The newest state that can be used, and what is wrong with those passed over.

    `accept` raises Damaged for one of another run. With none left, the variables and the progress
    are empty.
    """
    warnings = []
    for path in reversed(states(folder)):
        try:
            variables, progress = load(path, largest)
            if accept:
                hold_to_name(progress, path)
                accept(variables, progress)
        except RunError as error:
            warnings.append(str(error))
        except Damaged as error:
            warnings.append(f"{path} {error}")
        else:
            return variables, progress, warnings
    return [], {}, warnings
