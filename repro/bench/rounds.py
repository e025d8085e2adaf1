"""Contenders in processes of their own, in short turns, round by round."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from repro.bench import timing
from repro.bench.contenders import CONTENDERS, Contender
from repro.bench.summary import combined_rate
from repro.errors import RunError, unknown
from repro.machine import SHARING

# `-m` would look into the working folder first; the folder of the package comes last.
PROGRAM = (
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from repro.bench.command import main; sys.exit(main())"
)
OF_A_TURN = {"rate", "processor", "segments", "load", "others"}


def contender(name: str) -> Contender:
    """The contender of that name. Raises UsageError."""
    for one in CONTENDERS:
        if one.name == name:
            return one
    raise unknown("contender", name, [c.name for c in CONTENDERS])


def measure(name: str, seconds: float) -> None:
    """Runs one contender in this process, in turns; tells what it knows beside them."""
    chosen = contender(name)
    turns = timing.Clock.turns = timing.Turns(sys.stdin, take_standard_output())
    if chosen.package == "tensorflow":
        from repro.backends import settled

        settled.settle("tensorflow")
    function = getattr(import_module(chosen.module), chosen.function)
    known = function(seconds, **chosen.options)
    turns.tell(known={key: value for key, value in known.items() if key not in OF_A_TURN})


def take_standard_output() -> TextIO:
    """For what is told alone; what libraries print goes to standard error from now on."""
    sys.stdout.flush()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return told


def run(
    chosen: Sequence[Contender],
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[dict], dict[str, str]]:
    """All samples, round by round, and why contenders were not run, by name.

    Each contender has a process, which stands still while another has its turn. They come in order,
    and in every second round in the opposite one: A B C C B A. One that fails is left out of what
    follows, and its samples with it. `say` is told of every round, `progress` how many of how many
    turns are over.
    """
    playing, samples, not_run = {}, [], {}

    def failed(one: Contender, reason: str) -> None:
        not_run[one.name] = reason
        say(f"{one.title}: not run, {reason}")
        playing.pop(one.name, None)

    progress(0, rounds * len(chosen))
    with tempfile.TemporaryDirectory(prefix="repro-bench-") as scratch, ExitStack() as processes:
        for one in chosen:
            if importlib.util.find_spec(one.package) is None:
                reason = f"{one.package} is not installed; do: pip install {one.package}"
                failed(one, reason)
                continue
            try:
                player = processes.enter_context(Player(one.name, seconds, scratch))
                playing[one.name] = player
                player.warm_up()
            except RunError as error:
                failed(one, str(error))
        for number in range(1, rounds + 1):
            said = []
            if not playing:
                break
            for place, one in enumerate(chosen if number % 2 else reversed(chosen)):
                progress((number - 1) * len(chosen) + place, rounds * len(chosen))
                if one.name not in playing:
                    continue
                try:
                    sample = playing[one.name].turn()
                except RunError as error:
                    failed(one, str(error))
                    continue
                samples.append({"contender": one.name, "round": number, **sample})
                said.append(f"{one.name} {sample['rate']:,.0f}")
            say(f"round {number} of {rounds}: {', '.join(said)}")
        knows = {}
        for one in chosen:
            if one.name in playing:
                try:
                    knows[one.name] = playing[one.name].end()
                except RunError as error:
                    failed(one, str(error))
    return [
        with_costs(s, knows[s["contender"]]) for s in samples if s["contender"] in knows
    ], not_run


def with_costs(sample: dict, known: Mapping[str, Any]) -> dict:
    """The sample of a turn with what its process knows; the rate of the harness with its costs."""
    sample = {**known, **sample}
    if "costs" in sample:
        sample["training"] = sample["rate"]
        cadence = sample.pop("cadence")
        sample["rate"] = combined_rate(sample["training"], sample["costs"], cadence)
    return sample


class Player:
    """The process of a contender. A context manager, at whose end it is gone."""

    def __init__(self, name: str, seconds: float, scratch: str):
        environment = {
            **SHARING,  # all of them are there at once
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db",
            "TMPDIR": scratch,
        }
        command = [sys.executable, "-P", "-c", PROGRAM, "--measure", name]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in __exit__)
        self._process = subprocess.Popen(
            [*command, "--seconds", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def warm_up(self) -> None:
        """Until it is there; what compiles in its first turn is not timed."""
        self._listen("ready")

    def turn(self) -> dict:
        """The sample of one turn."""
        self._answer("go")
        told = self._listen("ready", "turn")
        while "ready" in told:  # it warmed up once more, with a clock of its own
            self._answer("go")
            told = self._listen("ready", "turn")
        return told["turn"]

    def end(self) -> dict:
        """What it knows beside its turns."""
        self._answer("end")
        return self._listen("known")["known"]

    def _answer(self, word: str) -> None:
        with suppress(OSError):  # it has ended; its last words say why
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def _listen(self, *kinds: str) -> dict:
        """The next thing that it tells. Raises RunError where it failed."""
        with suppress(ValueError):  # it died within a line
            told = json.loads(self._process.stdout.readline())
            if any(kind in told for kind in kinds):
                return told
            self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        lines = lines or [f"ended with exit code {self._process.returncode}"]
        told = [line for line in lines if line.startswith("error: ")] or lines
        raise RunError(f"it failed: {told[-1].removeprefix('error: ')}")
