"""Where a run comes from: what to type for it, versions, machine, commit."""

import contextlib
import importlib.metadata
import platform
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repro import backends
from repro.machine import cores


def command(request: dict) -> str:
    """What to type for this run."""
    words = ["repro", "run", request["experiment"], "--scale", request["scale"]]
    words += ["--seed", str(request["seed"])]
    for key, usual in (("strategy", "auto"), ("precision", "float32")):
        if request[key] != usual:
            words += [f"--{key}", request[key]]
    return shlex.join([*words, *(x for text in request["overrides"] for x in ("--set", text))])


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    names = ("keras", backends.name(), "numpy")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def machine() -> dict[str, Any]:
    """The processor's name and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    return {"processor": name, "cores": cores()}


def commit() -> dict[str, Any]:
    """The commit that the code stands at, and whether tracked files differ from it."""

    def git(*arguments: str) -> str | None:
        where = Path(__file__).parent
        try:
            command = ["git", "-C", str(where), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return None

    head, status = git("rev-parse", "HEAD"), git("status", "--porcelain", "-uno")
    return {"commit": head.strip() if head else None, "dirty": bool(status)}
