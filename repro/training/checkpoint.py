"""Exact resume: everything that the next update depends on, in one file with its digest.

The order of examples and every random draw are functions of (seed, pass, example), so a state is
the variables of model and optimizer, plus how far the run is.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from repro.errors import RunError
from repro.files import write_bytes

KEEP = 2
DIGEST_CHARACTERS = 64  # SHA-256 in hexadecimal, then a line feed, then the arrays


def save(folder: Path, update: int, variables: list, progress: dict) -> Path:
    """Writes the state after `update` updates and removes all but the last two."""
    arrays = {f"{i:05d}": np.asarray(v) for i, v in enumerate(variables)}
    content = io.BytesIO()
    np.savez(content, progress=np.array(json.dumps(progress)), **arrays)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    path = folder / f"update-{update:09d}.ckpt"
    write_bytes(path, digest.encode() + b"\n" + content.getvalue())
    for old in sorted(folder.glob("update-*.ckpt"))[:-KEEP]:
        old.unlink()
    return path


def load(path: Path) -> tuple[list[np.ndarray], dict]:
    """The variables and the progress in `path`. Raises RunError if a byte of it has changed."""
    content = path.read_bytes()
    digest, content = content[:DIGEST_CHARACTERS], content[DIGEST_CHARACTERS + 1 :]
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise RunError(f"{path}: the checkpoint is damaged (its digest does not match)")
    try:
        with np.load(io.BytesIO(content)) as file:
            progress = json.loads(str(file["progress"]))
            return [file[name] for name in sorted(file.files) if name != "progress"], progress
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: not a checkpoint of this program ({error})") from None


def newest(folder: Path) -> Path | None:
    """The file of the newest state, readable or not."""
    return max(folder.glob("update-*.ckpt"), default=None)


def forget_after(folder: Path, update: int) -> None:
    """Removes the states after `update`: they are damaged, or a resumed run makes them again.

    And what a process that was killed while writing one has left.
    """
    for aside in folder.glob(".update-*"):
        aside.unlink()
    for path in folder.glob("update-*.ckpt"):
        if int(path.stem.removeprefix("update-")) > update:
            path.unlink()


def latest(folder: Path) -> tuple[list[np.ndarray], dict, list[str]]:
    """The newest readable state, and what was found wrong on the way.

    A damaged checkpoint is passed over for the one before it; with none left, the variables and
    the progress are empty.
    """
    warnings = []
    for path in sorted(folder.glob("update-*.ckpt"), reverse=True):
        try:
            variables, progress = load(path)
        except (RunError, OSError) as error:
            warnings.append(f"{error}; the one before it is used if there is one")
            continue
        return variables, progress, warnings
    return [], {}, warnings
