"""One experiment, several seeds: each in a process of its own."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repro.machine import on_signals
from repro.running import isolation
from repro.running.crew import Crew

SECONDS_TO_STOP = 8.0  # a run that was asked to stop is killed after so many
SECONDS_AFTER_RESULT = 60.0  # figures and MLflow have so many
SECONDS_TO_DIE = 2.0
SECONDS_BETWEEN_LOOKS = 0.2  # a signal that comes just before a wait does not end it
Show = Callable[[int | None, dict], None]  # of a seed, or of all
WHAT_FOLLOWS_A_RUN = (
    "the result is kept; its figures or MLflow are not up to date; do: repro resume {}"
)
STOPPING = "stopping at the next checkpoint; Ctrl-C once more to kill"


@dataclass
class Outcome:
    """How the run of one seed ended: `result` when it finished, `error` when it did not.

    The exit code is 130 for one that was interrupted, or never started because of another.
    """

    seed: int
    exit_code: int
    run_dir: str = ""
    result: dict = field(default_factory=dict)
    error: str = ""
    log: tuple[str, ...] = ()  # the last lines on standard error, of a failure that is a bug
    warnings: list[str] = field(default_factory=list)  # they have been shown


def command(request: dict) -> list[str]:
    """The command of a process that does what `request` says (`repro.running.child`)."""
    return [*isolation.python(), "train-one", json.dumps(request)]


def run(
    seeds: Sequence[int],
    command: Callable[[int], list[str]],
    crew: Crew,
    show: Show,
) -> list[Outcome]:
    """Runs `command(seed)` for each seed, as many at a time as `crew` allows.

    A command tells what happens by events, JSON lines on standard output. A run has finished when
    it tells "done", whatever comes after. SIGINT and SIGTERM are passed on once as SIGTERM, so that
    the runs checkpoint; a second one kills them, and so does waiting too long. After wrong usage
    or missing data no further seed is started: it would fail in the same way.
    """
    family = _Family(command, crew, show)
    waiting = deque(seeds)
    # they become news, so that they are answered at once and in order
    with on_signals((signal.SIGINT, signal.SIGTERM), lambda *_: family.news.put((None, None))):
        while waiting or family.running:
            while waiting and len(family.running) < crew.allowed and not family.stopped:
                family.start(waiting.popleft())
            if not family.running:
                break
            family.wait()
    family.outcomes |= {seed: Outcome(seed, 130) for seed in waiting}
    return [family.outcomes[seed] for seed in seeds]


class _Family:
    """The running children. Everything is done in one thread, in the order in which it is told."""

    def __init__(self, command: Callable[[int], list[str]], crew: Crew, show: Show):
        self.command, self.crew, self.show = command, crew, show
        self.news: queue.SimpleQueue = queue.SimpleQueue()
        self.running: dict[int, _Child] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.stopped = self.interrupted = False

    def start(self, seed: int) -> None:
        self.running[seed] = _Child(seed, self.command(seed), self.crew.environment, self.news)

    def wait(self) -> None:
        """Until something happens, or a child has had its time."""
        for child in self.running.values():
            child.end_in_time()
        deadlines = [child.deadline for child in self.running.values() if child.deadline]
        left = min([SECONDS_BETWEEN_LOOKS, *(d - time.monotonic() for d in deadlines)])
        try:
            seed, event = self.news.get(timeout=max(left, 0))
        except queue.Empty:
            return
        if seed is None:
            self._interrupt()
        elif event is None:
            child = self.running.pop(seed)
            if child.left_early():
                text = WHAT_FOLLOWS_A_RUN.format(child.run_dir)
                event = {"event": "message", "warning": True, "text": text}
                child.take(event)
                self.show(seed, event)
            outcome = self.outcomes[seed] = child.outcome(self.interrupted)
            self.crew.ended(seed, failed=not outcome.result)
            if not outcome.result:
                self.show(seed, {"event": "failed"})
            self.stopped |= self.outcomes[seed].exit_code in (2, 3)
        elif seed in self.running:
            self.running[seed].take(event)
            self.crew.told(seed, event)
            self.show(seed, event)

    def _interrupt(self) -> None:
        if not self.interrupted:
            self.show(None, {"event": "message", "text": STOPPING})
        for child in self.running.values():
            if self.interrupted:
                child.kill()
            else:
                child.terminate(SECONDS_TO_STOP)
        self.stopped = self.interrupted = True


class _Child:
    """A process, and two threads that read what it says."""

    def __init__(
        self,
        seed: int,
        command: list[str],
        environment: Mapping[str, str],
        news: queue.SimpleQueue,
    ):
        self.seed = seed
        self.deadline: float | None = None
        self.asked_to_end = False
        self.run_dir, self.error, self.exit_code = "", {}, None
        self.result: dict = {}
        self.warnings: list[str] = []
        self.noise: deque[str] = deque(maxlen=40)
        # in a session of its own, Ctrl-C reaches it through us alone, and once
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env={**environment, **isolation.pinned(os.environ)},
            start_new_session=True,
        )
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        threading.Thread(target=self._follow, args=(news,), daemon=True).start()

    def _listen(self) -> None:
        with self.process.stderr as lines:
            for line in lines:
                self.noise.append(line.rstrip())

    def _follow(self, news: queue.SimpleQueue) -> None:
        with self.process.stdout as lines:
            for line in lines:
                event = _event(line)
                if event:
                    news.put((self.seed, event))
        self.process.wait()
        self.listener.join(SECONDS_TO_DIE)  # a process that outlives it may hold the pipe
        news.put((self.seed, None))

    def take(self, event: dict) -> None:
        kind = event["event"]
        self.run_dir = event.get("run_dir") or self.run_dir
        if kind == "done":
            self.result = {key: value for key, value in event.items() if key != "event"}
            self.result.setdefault("seed", self.seed)
            if not self.asked_to_end:
                self.deadline = time.monotonic() + SECONDS_AFTER_RESULT
        elif kind == "error":
            self.error = event
        elif kind == "message" and event.get("warning"):
            self.warnings.append(event["text"])

    def terminate(self, seconds: float) -> None:
        self.asked_to_end = True
        self.deadline = time.monotonic() + seconds
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self.deadline = None
        self._signal(signal.SIGKILL)

    def end_in_time(self) -> None:
        """Ends a process whose time is over: it is asked first."""
        if self.deadline is None or time.monotonic() < self.deadline:
            return
        if self.asked_to_end:
            self.kill()
        else:
            self.terminate(SECONDS_TO_DIE)

    def _signal(self, number: int) -> None:
        """To a process that only trains; killed are those that it started too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def left_early(self) -> bool:
        """Whether a process with a result did not come to its end by itself."""
        return bool(self.result) and self.process.returncode != 0

    def outcome(self, interrupted: bool) -> Outcome:
        code = self.process.returncode
        outcome = Outcome(self.seed, 0, self.run_dir, self.result, warnings=self.warnings)
        if self.result:
            return outcome
        outcome.exit_code = self.error.get("exit_code") or code or 4
        if interrupted and code < 0:  # ended by the signal passed on, or killed
            outcome.exit_code = 130
        outcome.error = self.error.get("reason") or _last_words(self.noise, outcome.exit_code)
        if self.error.get("bug") or not self.error:
            outcome.log = tuple(self.noise)
        return outcome


def _event(line: str) -> dict | None:
    try:
        event: Any = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _last_words(noise: Sequence[str], exit_code: int) -> str:
    if exit_code < 0:
        return f"ended by signal {-exit_code} ({_signal_name(-exit_code)})"
    lines = [line for line in noise if line.strip()]
    return lines[-1] if lines else f"ended with exit code {exit_code}"


def _signal_name(number: int) -> str:
    if number == signal.SIGKILL:
        return "SIGKILL: often the system, where memory ran out"
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
