"""What works here and what does not: versions, devices, data, tracking server, disk."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from repro.errors import ReproError

PACKAGES = ("keras", "tensorflow", "tensorflow-datasets", "mlflow", "numpy", "pandas")
GIB = 2**30
ENOUGH_DISK = 2 * GIB  # MNIST and CIFAR-10 prepared, and checkpoints of the small networks


def report(out: str | Path = "runs") -> list[dict[str, Any]]:
    """Checks in the order in which one would look, each a dict of `name`, `ok`, `detail`.

    ok: True works, False does not and `detail` says what to do, None is for information.
    out: the folder that runs are written to.
    Takes a few seconds, because it imports TensorFlow and digests the prepared data; never raises.
    """
    from repro.data import datasets

    checks = [_check("python", lambda: (True, platform.python_version()))]
    checks += [
        _check(package, lambda p=package: (True, metadata.version(p))) for package in PACKAGES
    ]
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


def _backend() -> tuple[bool | None, str]:
    import keras

    name = keras.backend.backend()
    two = keras.ops.convert_to_numpy(keras.ops.add(keras.ops.ones(()), 1))
    return bool(two == 2), f"Keras computes with {name}"


def _devices() -> tuple[bool | None, str]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    cores = f"{os.cpu_count()} CPU cores"
    if gpus:
        kinds = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
        return True, f"{cores}, {len(gpus)} GPUs: {', '.join(str(kind) for kind in kinds)}"
    if Path("/dev/nvidia0").exists():
        return False, (
            f"{cores}; there is an NVIDIA GPU that TensorFlow does not see; do: "
            'pip install "tensorflow[and-cuda]"'
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
    from repro import tracking

    return True, tracking.check(timeout=3)


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
