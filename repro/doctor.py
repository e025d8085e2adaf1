"""What works here and what does not: versions, devices, data, tracking server, disk."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from repro import backends
from repro.errors import ReproError

PACKAGES = ("keras", "numpy", "pandas")
OPTIONAL = {  # what each is for
    "tensorflow-datasets": "gets data sets that are not prepared yet",
    "mlflow": "logs runs; `repro sync` does it later, or elsewhere",
}
WITH_CUDA = {"tensorflow": "tensorflow[and-cuda]", "jax": "jax[cuda12]", "torch": "torch"}
GIB = 2**30
ENOUGH_DISK = 2 * GIB  # MNIST and CIFAR-10 prepared, and checkpoints of the small networks


def report(out: str | Path = "runs") -> list[dict[str, Any]]:
    """Checks in the order in which one would look, each a dict of `name`, `ok`, `detail`.

    ok: True works, False does not and `detail` says what to do, None is for information.
    out: the folder that runs are written to.
    Takes a few seconds, because it imports Keras with its backend, and digests the prepared data;
    never raises.
    """
    from repro.data import datasets

    checks = [_check("python", lambda: (True, platform.python_version()))]
    checks += [
        _check(package, lambda p=package: (True, metadata.version(p))) for package in PACKAGES
    ]
    checks += [_check(package, lambda p=package: _optional(p)) for package in OPTIONAL]
    checks += [_check(package, lambda p=package: _is_backend(p)) for package in backends.NAMES]
    checks += [_check("backend", _backend), _check("devices", _devices)]
    for known in datasets.available():
        checks.append(_check(f"data {known['name']}", lambda k=known: _data(k)))
    checks += [
        _check("tracking", _tracking),
        _check("output", lambda: _output(Path(out))),
        _check("disk", lambda: _disk(Path(out))),
    ]
    return checks


def _check(name: str, look: Callable[[], tuple[bool | None, str]]) -> dict[str, Any]:
    """A check that breaks is one that says no: the others must still be told."""
    try:
        ok, detail = look()
    except metadata.PackageNotFoundError:
        ok, detail = False, f"not installed; do: pip install {name}"
    except ReproError as error:
        ok, detail = False, str(error)
    except Exception as error:
        line = (str(error).strip().splitlines() or [""])[0]
        ok, detail = False, f"{type(error).__name__}: {line}"
    return {"name": name, "ok": ok, "detail": detail}


def _optional(package: str) -> tuple[bool | None, str]:
    try:
        return True, metadata.version(package)
    except metadata.PackageNotFoundError:
        return None, f"not installed; it {OPTIONAL[package]}: pip install {package}"


def _is_backend(package: str) -> tuple[bool | None, str]:
    """A package that Keras can compute with; one has to be there."""
    if package == backends.name():
        return True, metadata.version(package)
    if not backends.installed(package):
        return None, f"not installed; Keras could compute with it: pip install {package}"
    return None, f"{metadata.version(package)}; KERAS_BACKEND={package} computes with it"


def _backend() -> tuple[bool | None, str]:
    backends.check()
    import keras

    two = keras.ops.convert_to_numpy(keras.ops.add(keras.ops.ones(()), 1))
    return bool(two == 2), f"Keras computes with {backends.name()}"


def _devices() -> tuple[bool | None, str]:
    cores = f"{os.cpu_count()} CPU cores"
    gpus = backends.here().gpus()
    if gpus:
        return True, f"{cores}, {len(gpus)} GPU{'s' * (len(gpus) > 1)}: {', '.join(gpus)}"
    if Path("/dev/nvidia0").exists():
        name = backends.name()
        return False, (
            f"{cores}; there is an NVIDIA GPU that {name} does not see; do: "
            f'pip install "{WITH_CUDA[name]}"'
        )
    return True, f"{cores}, no GPU"


def _data(known: dict[str, Any]) -> tuple[bool | None, str]:
    from repro.data import datasets

    state, where = known["state"], known["path"]
    if state == "missing":
        return None, f"missing; get it with: repro data prepare {known['name']}"
    if state == "prepared":
        problems = datasets.check(known["name"])
        if problems:
            return False, problems[0]
        return True, f"prepared and whole, in {where}"
    return True, f"{state}: {where}" if where else state


def _tracking() -> tuple[bool | None, str]:
    from repro.records import stores

    return True, stores.check(timeout=3)


def _output(out: Path) -> tuple[bool | None, str]:
    folder = _existing(out)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True, f"{folder.absolute()} can be written"
    except OSError as error:
        return False, f"{folder.absolute()} cannot be written: {error.strerror}"


def _disk(out: Path) -> tuple[bool | None, str]:
    free = shutil.disk_usage(_existing(out)).free
    detail = f"{free / GIB:.1f} GiB free"
    if free < ENOUGH_DISK:
        return False, f"{detail}; a run may need {ENOUGH_DISK / GIB:.0f}"
    return True, detail


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
