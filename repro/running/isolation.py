"""What a user's machine is set to, kept away from the processes that train.

What the libraries themselves read is held in `repro.backends.settled` and `repro.plain_matplotlib`.
"""

import os
from collections.abc import Mapping

from repro import machine

# Python's own settings that say where things are; all others are dropped.
KEPT_PYTHON = {
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONPATH",
    "PYTHONPYCACHEPREFIX",
    "PYTHONUSERBASE",
}
DROPPED_PREFIXES = ("GIT_",)  # another repository than that of the code
PINNED = {
    "MPLBACKEND": "agg",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

_as_found: dict[str, str] = {}


def pinned(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that trains, made from the user's."""
    kept = {name: value for name, value in environ.items() if not is_dropped(name)}
    kept |= PINNED | {"PYTHONUTF8": "1"}
    path = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if _belongs(entry)]
    kept.pop("PYTHONPATH", None)
    if path:
        kept["PYTHONPATH"] = os.pathsep.join(path)
    if not machine.gpu_device():  # else TensorFlow announces the driver that it cannot find
        kept["CUDA_VISIBLE_DEVICES"] = "-1"
    if not _has_home(kept):
        import tempfile

        kept["HOME"] = tempfile.gettempdir()
    return kept


def is_dropped(name: str) -> bool:
    """Whether a variable of the environment is kept from the processes that train."""
    if name.startswith("PYTHON"):
        return name not in KEPT_PYTHON
    return name.startswith(DROPPED_PREFIXES)


def pin_this_process() -> None:
    """The same for a command that draws or builds networks itself."""
    _as_found.update(os.environ)
    wanted = pinned(os.environ)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def users_environment() -> Mapping[str, str]:
    """The environment as the user set it, before it was pinned."""
    return _as_found or os.environ


def python() -> list[str]:
    """The beginning of a command that is ours."""
    return machine.python("sys.argv[0] = 'repro'; from repro.cli import main; sys.exit(main())")


def _belongs(entry: str) -> bool:
    """Whether an entry of PYTHONPATH is more than the folder that one happens to be in."""
    if not os.path.isabs(entry):
        return False
    return entry == str(machine.PACKAGE_ROOT) or os.path.abspath(entry) != _working_folder()


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _has_home(environ: Mapping[str, str]) -> bool:
    """Whether libraries can tell where the user's own files are; else they write to "~"."""
    if environ.get("HOME"):
        return True
    return os.path.isabs(os.path.expanduser("~"))
