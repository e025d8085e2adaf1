"""Where a run comes from: what to type for it, versions, machine, commit."""

import contextlib
import importlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repro import backends
from repro.errors import ReproError
from repro.machine import cores

SECONDS_FOR_GIT = 10.0  # for all its answers together


def command(request: dict) -> str:
    """What to type for this run."""
    words = ["repro", "run", request["experiment"], "--scale", request["scale"]]
    words += ["--seed", str(request["seed"])]
    for key, usual in (("strategy", "auto"), ("precision", "float32")):
        if request[key] != usual:
            words += [f"--{key}", request[key]]
    if request.get("start_from"):
        words += ["--start-from", request["start_from"]]
    return shlex.join([*words, *(x for text in request["overrides"] for x in ("--set", text))])


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    names = ("keras", backends.name(), "numpy")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(package: str) -> str:
    """TensorFlow and others are also installed under further names, such as tensorflow-cpu."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(package), "__version__", "unknown"))


def machine() -> dict[str, Any]:
    """The processor's name and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = next(filter(None, models), name)
    return {"processor": name, "cores": cores()}


class NoCommit(ReproError):
    """Git does not say which commit the code stands at."""


def commit(package: Path = Path(__file__).parents[1]) -> dict[str, Any]:
    """The commit that the code stands at, and whether tracked files differ from it.

    Where Git does not say, both are None, and `commit_unknown` says why. Only a repository that
    tracks the package counts: one that it is merely installed in has other commits.
    """
    until = time.monotonic() + SECONDS_FOR_GIT
    try:
        _git(package, until, "ls-files", "--error-unmatch", "--", "__init__.py")
        head = _git(package, until, "rev-parse", "--verify", "HEAD").strip()
        changed = _git(package, until, "status", "--porcelain", "--untracked-files=no")
    except NoCommit as error:
        return {"commit": None, "dirty": None, "commit_unknown": str(error)}
    return {"commit": head, "dirty": bool(changed)}


def _git(package: Path, until: float, *arguments: str) -> str:
    """What git answers about the code, whatever the environment says about other repositories.

    It runs no program of the repository's, asks nothing, and writes nothing.
    """
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    own |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    words = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    try:
        done = subprocess.run(
            [*words, "-C", str(package), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=own,
            timeout=max(0.1, until - time.monotonic()),
        )
    except subprocess.TimeoutExpired:
        raise NoCommit(f"git gave no answer in {SECONDS_FOR_GIT:g} seconds") from None
    except OSError as error:
        raise NoCommit(f"git cannot be run ({error.strerror})") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip().splitlines() or [f"git ended with {done.returncode}"]
    if "dubious ownership" in done.stderr:
        raise NoCommit("another user owns the repository (see git's safe.directory)")
    if "did not match any file" in done.stderr or "not a git repository" in done.stderr:
        raise NoCommit("the program does not run from a clone of its repository")
    raise NoCommit(said[0])
