"""What was learnt from training images, kept in the prepared folder, so that it is learnt once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from repro.data.folders import prepared_root
from repro.data.workplace import workplace
from repro.errors import ReproError
from repro.lazy import numpy as np
from repro.locks import locked

Arrays = dict  # of arrays by name
WAIT = 3600.0  # ImageNet's mean takes two cores a quarter of an hour


def kept(
    name: str, shapes: Mapping[str, tuple], dtype: type, learn: Callable[[], Arrays]
) -> Arrays:
    """What `learn` returns, arrays by name; read where that is kept already.

    name: of the file, without its ending; says from which images it was learnt, and how. shapes:
    those of the arrays, None for any. It is learnt again where the file cannot be read, and not
    kept where it cannot be written. Of several processes that need it one learns, the others wait
    for it, up to `WAIT` seconds.
    """
    try:
        file = prepared_root() / f"{name}.npz"
    except ReproError:  # no folder can be used
        return learn()
    if (arrays := _read(file, shapes, dtype)) is not None:
        return arrays
    with contextlib.ExitStack() as alone:
        with contextlib.suppress(OSError):  # without the lock it learns all the same
            alone.enter_context(_alone(file))
        if (arrays := _read(file, shapes, dtype)) is None:
            arrays = learn()
            _keep(file, arrays)
    return arrays


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Holds the lock; removes its file once what was learnt is there. Raises OSError."""
    lock = file.with_suffix(".lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.parent, lock.name, wait=WAIT):
        yield
        with contextlib.suppress(OSError):
            if file.exists():  # whoever waits for the lock, or makes it again, finds it
                lock.unlink()


def _read(file: Path, shapes: Mapping[str, tuple], dtype: type) -> Arrays | None:
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as found:
            arrays = {name: found[name] for name in shapes}
    except Exception:  # of many types, from a damaged file
        return None
    same = all(shape in (None, arrays[name].shape) for name, shape in shapes.items())
    return arrays if same and all(a.dtype == dtype for a in arrays.values()) else None


def _keep(file: Path, arrays: Arrays) -> None:
    """Writes aside and renames, so that a file under the final name is always whole."""
    with contextlib.suppress(OSError), workplace(file.with_suffix("")) as aside:
        np.savez(aside / file.name, **arrays)
        (aside / file.name).replace(file)
