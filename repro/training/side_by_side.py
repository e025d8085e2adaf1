"""One experiment, several seeds: each in a process of its own."""

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from repro.backends import SMALL_BATCH
from repro.machine import cores, has_gpu
from repro.spec import Experiment


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
    log: tuple[str, ...] = ()  # the last lines on standard error


def jobs(experiment: Experiment) -> int:
    """How many runs of `experiment` go side by side: one per core for one-example recipes.

    Larger batches use all cores already, and a GPU is used by one run at a time.
    """
    if experiment.recipe.batch >= SMALL_BATCH or has_gpu():
        return 1
    return cores()


def run(
    seeds: Sequence[int],
    command: Callable[[int], list[str]],
    jobs: int,
    progress: Callable[[int, dict], None],
) -> list[Outcome]:
    """Runs `command(seed)` for each seed, at most `jobs` at a time; call it in the main thread.

    A command prints its progress as JSON lines on standard error, its result as one JSON document
    on standard output, and on failure a last line "error: ...". SIGINT and SIGTERM are passed on
    once as SIGTERM, so that the runs checkpoint; a second one kills them. After wrong usage or
    missing data no further seed is started: it would fail in the same way.
    """
    running: set[subprocess.Popen] = set()
    lock = threading.Lock()  # guards `running` and `stop`; progress is called under it too
    stop = threading.Event()  # no further seed is started
    interrupted = threading.Event()

    def one(seed: int) -> Outcome:
        with lock:
            if stop.is_set():
                return Outcome(seed, 130)
            # in a session of its own, Ctrl-C reaches it through us alone, and once
            child = subprocess.Popen(
                command(seed),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            running.add(child)
            if interrupted.is_set():  # the signal came while the child was being started
                child.terminate()
        outcome, tail = Outcome(seed, 0), deque(maxlen=40)
        with child:
            for line in child.stderr:
                event = _event(line)
                if event is None:
                    tail.append(line.rstrip())
                    continue
                outcome.run_dir = event.get("run_dir", outcome.run_dir)
                with lock:
                    progress(seed, event)
            out = child.stdout.read()
        outcome.exit_code = child.returncode
        with lock:
            running.discard(child)
        outcome.result = _result(out)
        if not outcome.result:
            outcome.exit_code = outcome.exit_code or 4
            if interrupted.is_set() and child.returncode < 0:  # ended by the signal passed on
                outcome.exit_code = 130
            outcome.error = _reason(tail, outcome.exit_code)
            outcome.log = tuple(tail)
        if outcome.exit_code in (2, 3):
            stop.set()
        return outcome

    def forward(*_) -> None:
        again = interrupted.is_set()
        interrupted.set()
        stop.set()
        for child in list(running):
            child.send_signal(signal.SIGKILL if again else signal.SIGTERM)

    before = {s: signal.signal(s, forward) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, seeds))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def command(*arguments: str) -> list[str]:
    """A `repro` command that tells its progress in JSON lines and prints its result as JSON."""
    return [sys.executable, "-m", "repro", *arguments, "--json", "--progress", "json"]


def _event(line: str) -> dict | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if "event" in event else None


def _result(out: str) -> dict:
    try:
        return json.loads(out)
    except ValueError:
        return {}


def _reason(tail: Sequence[str], exit_code: int) -> str:
    errors = [line for line in tail if line.startswith("error: ")]
    if errors:
        return errors[-1].removeprefix("error: ")
    if exit_code < 0:
        return f"ended by signal {-exit_code}"
    return tail[-1] if tail else f"ended with exit code {exit_code}"
