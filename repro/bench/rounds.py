"""Contenders in processes of their own, in short turns, round by round."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import Any, TextIO

from repro.bench import contenders, place, timing
from repro.bench.contenders import Contender, Group, contender
from repro.bench.summary import combined_rate
from repro.errors import RunError
from repro.machine import SHARING, has_gpu
from repro.report.bench_page import figure

# `-m` would look into the working folder first; the folder of the package comes last.
PROGRAM = (
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from repro.bench.command import main; sys.exit(main())"
)
MEMORY = "memory ran out"
OF_MEMORY = re.compile("out of memory|resource_?exhausted|allocate memory|bad_alloc", re.I)
OF_A_TURN = {"rate", "processor", "segments", "load", "others"}


def measure(name: str, experiment: str | None, seconds: float) -> None:
    """Runs one contender in this process, in turns; tells what it knows beside them."""
    chosen, network = contender(name), experiment and contenders.network(experiment)
    turns = timing.Clock.turns = timing.Turns(sys.stdin, take_standard_output())
    module, backend = chosen.module, place.backend()
    if chosen.package == "keras":
        from repro.backends import settled

        settled.settle(backend)
        module = module.format(backend=backend)
    function = getattr(import_module(f"repro.bench.{module}"), chosen.function)
    known = function(seconds, network, **chosen.options or {})
    turns.tell(known={key: value for key, value in known.items() if key not in OF_A_TURN})


def take_standard_output() -> TextIO:
    """For what is told alone; what libraries print goes to standard error from now on."""
    sys.stdout.flush()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return told


def run(
    groups: Sequence[Group],
    seconds: float,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[dict], dict[tuple[str | None, str], str]]:
    """All samples, round by round, and why contenders were not run, by (experiment, name).

    One group after the other; see `play`. `say` is told of every round, `progress` how many of how
    many turns are over.
    """
    samples, not_run = [], {}
    done, total = 0, sum(group.rounds * len(group.contenders) for group in groups)
    with tempfile.TemporaryDirectory(prefix="repro-bench-") as scratch:
        for number, group in enumerate(groups):
            before = done
            found, failed = play(
                *(group, seconds, scratch, say),
                lambda turns, before=before: progress(before + turns, total),
            )
            done += group.rounds * len(group.contenders)
            experiment = group.network.experiment if group.network else None
            # What the machine can do is asked twice, in rounds of its own each time.
            earlier = sum(
                each.rounds for each in groups[:number] if group.network is None is each.network
            )
            samples += [
                {"network": experiment, **sample, "round": earlier + sample["round"]}
                for sample in found
            ]
            not_run |= {(experiment, name): reason for name, reason in failed.items()}
    return samples, not_run


def play(
    group: Group,
    seconds: float,
    scratch: str,
    say: Callable[[str], None],
    progress: Callable[[int], None],
) -> tuple[list[dict], dict[str, str]]:
    """The samples of a group, and why contenders were not run, by name.

    Each contender has a process, which stands still while another has its turn. On CPUs they warm
    up at the same time; on a GPU, where libraries choose their algorithms by timing them, one after
    the other. They come in order, and in every second round in the opposite one: A B C C B A. One
    that fails is left out of what follows, and its samples with it.
    """
    playing: dict[str, Player | Together] = {}
    samples, not_run, knows, on_gpu = [], {}, {}, has_gpu()
    title = group.network.title if group.network else "the machine"

    def failed(one: Contender, reason: str) -> None:
        not_run[one.name] = reason
        say(f"{title}: {one.title}: not run, {reason}")
        if player := playing.pop(one.name, None):
            player.__exit__()  # the other processes of one with copies end too

    progress(0)
    chosen = group.contenders
    with ExitStack() as processes:
        for one in chosen:
            if reason := missing(one.package):
                failed(one, reason)
                continue
            player = player_of(one, group, seconds, scratch)
            playing[one.name] = processes.enter_context(player)
            if on_gpu:
                attempt(one, playing, failed, lambda player: player.warm_up())
        for one in chosen if not on_gpu else ():
            attempt(one, playing, failed, lambda player: player.warm_up())
        for number in range(1, group.rounds + 1):
            said = []
            for number_of_turn, one in enumerate(chosen if number % 2 else reversed(chosen)):
                progress((number - 1) * len(chosen) + number_of_turn)
                sample = attempt(one, playing, failed, lambda player: player.turn())
                if sample is not None:
                    samples.append({"contender": one.name, "round": number, **sample})
                    said.append(f"{one.name} {figure(sample['rate'])}")
            if said:
                say(f"{title}, round {number} of {group.rounds}: {', '.join(said)}")
        for one in chosen:
            known = attempt(one, playing, failed, lambda player: player.end())
            if known is not None:
                knows[one.name] = known
    samples = [with_costs(s, knows[s["contender"]]) for s in samples if s["contender"] in knows]
    return samples, not_run


def attempt(
    one: Contender,
    playing: Mapping[str, Any],
    failed: Callable[[Contender, str], None],
    work: Callable[[Any], Any],
) -> Any:
    """What `work` makes of the process of a contender; None where there is none, or it fails."""
    try:
        return work(playing[one.name]) if one.name in playing else None
    except RunError as error:
        failed(one, str(error))
        return None


def missing(package: str) -> str:
    """Why a contender that needs the package cannot run; empty where it can."""
    lacking = (package,) if package != "keras" or place.backend() else place.BACKENDS
    if any(importlib.util.find_spec(name) is None for name in lacking):
        return f"{' or '.join(lacking)} is not installed; do: pip install {lacking[0]}"
    return ""


def player_of(one: Contender, group: Group, seconds: float, scratch: str) -> "Player | Together":
    experiment = group.network.experiment if group.network else None
    players = [Player(one.name, experiment, seconds, scratch) for _ in range(one.copies)]
    return players[0] if one.copies == 1 else Together(players)


def with_costs(sample: dict, known: Mapping[str, Any]) -> dict:
    """The sample of a turn with what its process knows; the rate of the harness with its costs."""
    sample = {**known, **sample}
    if "costs" in sample:
        sample["training"], copies = sample["rate"], sample.get("copies", 1)
        cadence = sample.pop("cadence")
        each = combined_rate(sample["training"] / copies, sample["costs"], cadence)
        sample["rate"] = copies * each
    return sample


class Together:
    """Several processes of one contender that have their turns at the same time.

    A context manager, used as `Player` is. What they do is added up.
    """

    def __init__(self, players: Sequence["Player"]):
        self._players = players

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for player in self._players:
            player.__exit__()

    def warm_up(self) -> None:
        for player in self._players:
            player.warm_up()

    def turn(self) -> dict:
        for player in self._players:
            player.begin_turn()
        return together([player.end_turn() for player in self._players])

    def end(self) -> dict:
        """What the first knows; each finds it out while the others do."""
        for player in self._players:
            player.ask_what_it_knows()
        known = [player.what_it_knows() for player in self._players]
        return known[0]


def together(turns: Sequence[Mapping]) -> dict:
    """One sample of turns at the same time: rates are added up.

    They do not end at the same moment; of each, the last segment is left out if it has others.
    To each, the others were other processes that kept cores busy.
    """
    cores = [turn["processor"] * timing.mean_rate(turn["segments"]) for turn in turns]
    others = None
    if turns[0]["others"] is not None:
        others = max(0.0, turns[0]["others"] - sum(cores[1:]))
    rates = [timing.rate(turn["segments"][:-1] or turn["segments"]) for turn in turns]
    return {
        "rate": sum(rates),
        "copies": len(turns),
        "rates": rates,
        "processor": sum(cores) / sum(timing.mean_rate(turn["segments"]) for turn in turns),
        "load": turns[0]["load"],
        "others": others,
    }


class Player:
    """The process of a contender. A context manager, at whose end it is gone."""

    def __init__(self, name: str, experiment: str | None, seconds: float, scratch: str):
        scratch = tempfile.mkdtemp(dir=scratch)
        environment = {
            **SHARING,  # all of them are there at once
            **os.environ,
            "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db",
            "TMPDIR": scratch,
        }
        if backend := place.backend():
            environment["KERAS_BACKEND"] = backend
        command = [sys.executable, "-P", "-c", PROGRAM, *([experiment] if experiment else [])]
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed in __exit__)
        self._process = subprocess.Popen(
            [*command, "--measure", name, "--seconds", str(seconds)],
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
        """Until what it does first is over: what it compiles, say."""
        self._listen("ready")

    def turn(self) -> dict:
        """The sample of one turn."""
        self.begin_turn()
        return self.end_turn()

    def begin_turn(self) -> None:
        self._answer("go")

    def end_turn(self) -> dict:
        return self._listen("turn")["turn"]

    def end(self) -> dict:
        """What it knows beside its turns."""
        self.ask_what_it_knows()
        return self.what_it_knows()

    def ask_what_it_knows(self) -> None:
        self._answer("end")

    def what_it_knows(self) -> dict:
        return self._listen("known")["known"]

    def _answer(self, word: str) -> None:
        with suppress(OSError):  # it has ended; its last words say why
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def _listen(self, kind: str) -> dict:
        """The next thing that it tells. Raises RunError where it failed."""
        with suppress(ValueError):  # it died within a line
            told = json.loads(self._process.stdout.readline())
            if kind in told:
                return told
            self._process.kill()
            raise RunError(f"it failed: it told {', '.join(told)} in the place of {kind}")
        code = self._process.wait()
        if code == -signal.SIGKILL:
            raise RunError(f"{MEMORY}: it was killed, which systems do then")
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        lines = lines or [f"ended with exit code {code}"]
        told = [line for line in lines if line.startswith("error: ")] or lines
        said = shorten(told[-1].removeprefix("error: "), 200, placeholder=" ...")
        raise RunError(f"{MEMORY if OF_MEMORY.search(said) else 'it failed'}: {said}")
