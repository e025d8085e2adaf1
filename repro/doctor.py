"""What works here and what does not: versions, devices, settings, data, records, tracking, disk."""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

from repro import backends, machine
from repro.errors import ReproError
from repro.running import isolation

PACKAGES = ("keras", "numpy", "pandas")
OPTIONAL = {  # what each is for
    "tensorflow-datasets": "gets data sets that are not prepared yet",
    "mlflow": "logs runs; `repro sync` does it later, or elsewhere",
}
WITH_CUDA = {"tensorflow": "tensorflow[and-cuda]", "jax": "jax[cuda12]", "torch": "torch"}
SYSTEMS = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64", "x86_64")}
GIB = 2**30
ENOUGH_DISK = 2 * GIB  # MNIST and both CIFAR prepared, and checkpoints of small networks

USED, IGNORED = "used", "ignored: every run is trained and drawn the same way"
# Variables of the environment, and what becomes of them; the first pattern that fits counts.
VARIABLES = {
    "KERAS_BACKEND": USED,
    "TFDS_DATA_DIR": USED,
    "REPRO_DATA_DIR": USED,
    "CUDA_VISIBLE_DEVICES": USED,
    "JAX_PLATFORMS": USED,
    "OMP_NUM_THREADS": USED,
    "XLA_FLAGS": f"{USED}, less what makes results less exact",
    "TF_XLA_FLAGS": f"{USED}, less what makes results less exact",
    "MPLBACKEND": IGNORED,
    "MATPLOTLIBRC": IGNORED,
    "GIT_*": IGNORED,
    "TF_ENABLE_ONEDNN_OPTS": IGNORED,
    "TF_USE_LEGACY_KERAS": IGNORED,
    "NVIDIA_TF32_OVERRIDE": IGNORED,
    "KERAS_HOME": f"{USED} for the backend alone",
    "KERAS_TORCH_DEVICE": USED,
    "KERAS_*": IGNORED,
    "JAX_ENABLE_X64": IGNORED,
    "PYTHONPATH": f"{USED}, less the folder that a command runs in",
    "PYTHONWARNINGS": IGNORED,
    "PYTHONOPTIMIZE": IGNORED,
    "PYTHONSTARTUP": IGNORED,
}
KERAS_DEFAULTS = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}


def report(out: str | Path = "runs") -> list[dict[str, Any]]:
    """Checks in the order in which one would look, each a dict of `name`, `ok`, `detail`.

    ok: True works, False does not and `detail` says what to do, None is for information.
    out: the folder that runs are written to.
    Takes a few seconds, because it imports Keras with its backend, and digests the prepared data;
    removes what killed preparations left; never raises.
    """
    from repro.data import datasets

    checks = [_check("system", _system)]
    checks.append(_check("python", lambda: (True, platform.python_version())))
    checks += [
        _check(package, lambda p=package: (True, metadata.version(p))) for package in PACKAGES
    ]
    checks += [_check(package, lambda p=package: _optional(p)) for package in OPTIONAL]
    checks += [_check(package, lambda p=package: _is_backend(p)) for package in backends.NAMES]
    checks += settings(isolation.users_environment())
    checks += [_check("backend", _backend), _check("devices", _devices)]
    for row in datasets.available():
        checks.append(_check(f"data {row['name']}", lambda r=row: _data(r)))
    checks += [
        _check("leftovers", _leftovers),
        _check("records", lambda: _records(out)),
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


# ---------------------------------------------------------------------------- the machine


def _system() -> tuple[bool | None, str]:
    system, processor = platform.system(), platform.machine()
    detail = f"{system} on {processor}"
    if processor in SYSTEMS.get(system, ()):
        return True, detail
    return None, f"{detail}: not tried; meant are Linux and macOS, and Windows through WSL"


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
    backends.here()
    import keras

    two = keras.ops.convert_to_numpy(keras.ops.add(keras.ops.ones(()), 1))
    return bool(two == 2), f"Keras computes with {backends.name()}"


def _devices() -> tuple[bool | None, str]:
    cores = f"{machine.cores()} CPU cores"
    gpus = backends.here().gpus()
    if gpus:
        return True, f"{cores}, {len(gpus)} GPU{'s' * (len(gpus) > 1)}: {', '.join(gpus)}"
    name, nvidia = backends.name(), Path("/dev/nvidia0").exists()
    if nvidia and not machine.has_gpu():
        hidden = os.environ["CUDA_VISIBLE_DEVICES"]
        return True, f"{cores}; CUDA_VISIBLE_DEVICES={hidden} hides the GPU"
    if nvidia:
        return False, (
            f"{cores}; there is an NVIDIA GPU that {name} does not see; do: "
            f'pip install "{WITH_CUDA[name]}"'
        )
    return True, f"{cores}, no GPU"


# ---------------------------------------------------------------------------- what the user has set


def settings(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is set on this machine that a program like this reads, and what becomes of it here."""
    rows = []
    for name in sorted(environ):
        fate = next((VARIABLES[p] for p in VARIABLES if fnmatchcase(name, p)), None)
        if fate is not None:
            rows.append({"name": f"set: {name}", "ok": None, "detail": f"{environ[name]} ({fate})"})
    folder = Path(environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))
    rows += [
        {"name": f"file: {file}", "ok": None, "detail": detail}
        for file, detail in (*_keras_file(folder / "keras.json"), *_matplotlib_files())
    ]
    return rows


def _keras_file(file: Path) -> list[tuple[Path, str]]:
    """The settings of Keras' file that are not those that Keras itself writes there."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        own = {
            k: said[k]
            for k in KERAS_DEFAULTS
            if said.get(k, KERAS_DEFAULTS[k]) != KERAS_DEFAULTS[k]
        }
        backend = said.get("backend", backends.NAMES[0])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return [(file, f"cannot be read ({IGNORED})")]
    rows = []
    if own:
        rows.append((file, f"{', '.join(f'{k} {v}' for k, v in own.items())} ({IGNORED})"))
    if backend != backends.NAMES[0]:
        rows.append((file, f"backend {backend} ({USED} where KERAS_BACKEND is not set)"))
    return rows


def _matplotlib_files() -> list[tuple[Path, str]]:
    candidates = (Path("matplotlibrc"), Path.home() / ".config" / "matplotlib" / "matplotlibrc")
    return [(file, IGNORED) for file in candidates if file.is_file()]


# ---------------------------------------------------------------------------- data, records, disk


def _data(row: dict[str, Any]) -> tuple[bool | None, str]:
    from repro.data import datasets

    state, where, name = row["state"], row["path"], row["name"]
    if row.get("problem"):
        return False, row["problem"]
    if state == "missing":
        there = f" ({row['archives']})" if row.get("archives") else ""
        return None, f"missing{there}; get it with: repro data prepare {name}"
    if state == "partly prepared":
        rest = f"in {where}; go on with: repro data prepare {name}"
        return None, f"{datasets.standing(name)}, {rest}"
    if state == "prepared":
        problems = datasets.glance(name)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            return False, problems[0] + more
        standing = datasets.standing(name)
        whole = True if standing.startswith("ok") else None
        return whole, f"{standing.removeprefix('ok: ')}, in {where}"
    if state == "in TFDS_DATA_DIR":
        standing = datasets.standing(name)
        whole = True if standing.startswith("ok") else None
        return whole, f"{standing.removeprefix('ok: ')}, in {where}, not prepared yet"
    return True, f"{state}: {where}" if where else state


def _leftovers() -> tuple[bool | None, str]:
    from repro.data import datasets

    told = []
    if swept := datasets.sweep():
        told.append(f"removed what killed preparations left: {', '.join(map(str, swept))}")
    if others := datasets.left_by_tfds():
        these = ", ".join(map(str, others))
        told.append(f"delete what TensorFlow Datasets left, unless it is at work: {these}")
    return (None, "; ".join(told)) if told else (True, "none of killed preparations")


def _records(out: str | Path) -> tuple[bool | None, str]:
    from repro.records import here

    warnings: list[str] = []
    records = here.read(warnings.append, out)
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        return False, f"{warnings[0]}{more}; the others are read"
    return True, records.origin() or "no records of runs"


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
