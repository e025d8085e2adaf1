"""Contenders in processes of their own, one after the other, round by round."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from repro.bench.contenders import CONTENDERS, Contender
from repro.errors import RunError, unknown

# `-m` would look into the working folder first; the folder of the package comes last.
PROGRAM = (
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from repro.bench.command import main; sys.exit(main())"
)


def contender(name: str) -> Contender:
    """The contender of that name. Raises UsageError."""
    for one in CONTENDERS:
        if one.name == name:
            return one
    raise unknown("contender", name, [c.name for c in CONTENDERS])


def measure(name: str, seconds: float) -> dict:
    """Runs one contender in this process; its sample."""
    chosen = contender(name)
    if chosen.package == "tensorflow":
        from repro.backends import settled

        settled.settle("tensorflow")
    function = getattr(import_module(chosen.module), chosen.function)
    return function(seconds, **chosen.options)


def run(
    chosen: Sequence[Contender],
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[dict], dict[str, str]]:
    """All samples, round by round, and why contenders were not run, by name.

    One that fails is left out of the rounds that follow, and its samples with it. `say` is told of
    every sample, `progress` how many of how many processes are done.
    """
    samples, not_run = [], {}
    for one in chosen:
        if importlib.util.find_spec(one.package) is None:
            reason = f"{one.package} is not installed; do: pip install {one.package}"
            not_run[one.name] = reason
            say(f"{one.title}: not run, {reason}")
    plan = [(number, one) for number in range(1, rounds + 1) for one in chosen]
    with tempfile.TemporaryDirectory(prefix="repro-bench-") as scratch:
        for done, (number, one) in enumerate(plan):
            if one.name in not_run:
                continue
            progress(done, len(plan))
            began = time.monotonic()
            try:
                sample = in_process(one.name, seconds, scratch)
            except RunError as error:
                not_run[one.name] = str(error)
                samples = [s for s in samples if s["contender"] != one.name]
                say(f"{one.title}: {error}")
                continue
            spent = time.monotonic() - began
            common = {"contender": one.name, "round": number, "process_seconds": spent}
            samples.append({**common, **sample})
            figure = f"{sample['rate']:,.0f} {one.unit}"
            say(f"round {number} of {rounds}: {one.title}: {figure} ({spent:.0f} s)")
    return samples, not_run


def in_process(name: str, seconds: float, scratch: str) -> dict:
    """The sample of one contender from a fresh process. Raises RunError where it failed."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db",
        "TMPDIR": scratch,
    }
    command = [sys.executable, "-P", "-c", PROGRAM, "--measure", name, "--seconds", str(seconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        try:
            out, err = child.communicate()
        except BaseException:
            child.kill()
            raise
    try:
        return json.loads(out)
    except ValueError:
        lines = err.strip().splitlines() or [f"ended with exit code {child.returncode}"]
        told = [line for line in lines if line.startswith("error: ")] or lines
        reason = told[-1].removeprefix("error: ")
        raise RunError(f"it failed: {reason}") from None
