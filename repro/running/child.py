"""The process of one run: does what it is asked, and tells what happens.

What happens is told by events, one JSON object a line, on what was standard output when the process
began. Whatever else is printed goes to standard error, so that no library can tear an event.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from repro import catalog
from repro.errors import Interrupted, ReproError
from repro.jsonable import as_json
from repro.running.background import Background, Observer

SECONDS_TO_LEAVE = 7.0  # after the first signal, before the parent kills the process


def main(request: str) -> int:
    """Does what the JSON document `request` says; see `DO`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tell = Channel(take_standard_output())
    code = 0
    try:
        asked = json.loads(request)
        DO[asked.pop("do")](asked, tell)
    except ReproError as error:
        code = _failed(tell, str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _failed(tell, "interrupted", Interrupted.exit_code)
    except (OSError, MemoryError) as error:
        code = _failed(tell, f"{type(error).__name__}: {error}", ReproError.exit_code)
    except Exception as error:
        traceback.print_exc()
        code = _failed(tell, f"{type(error).__name__}: {error}", ReproError.exit_code, bug=True)
    sys.stderr.flush()
    # Threads of libraries that wait for a server may not keep the process.
    os._exit(code)


class Channel:
    """Writes events for the process that started this one; several threads may call it.

    When that process is gone nobody waits for this run: it is asked to checkpoint and leave.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._open = True
        self.done = False

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.done |= event["event"] == "done"
        line = json.dumps(as_json(event), default=str) + "\n"
        with self._lock:
            if not self._open:
                return
            try:
                rest = line.encode()
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                return
            except BrokenPipeError:
                self._open = False
        os.kill(os.getpid(), signal.SIGTERM)


def take_standard_output() -> int:
    """A descriptor for events alone; what is printed goes to standard error from now on."""
    sys.stdout.flush()
    events = os.dup(1)
    os.dup2(2, 1)
    return events


def _failed(tell: Observer, reason: str, exit_code: int, bug: bool = False) -> int:
    tell({"event": "error", "reason": reason, "exit_code": exit_code, "bug": bug})
    return exit_code


def _train(asked: dict, tell: Channel) -> None:
    from repro.training import runner

    experiment = catalog.experiment(asked.pop("experiment"))
    _observed(runner.run, tell, experiment, **asked)


def _resume(asked: dict, tell: Channel) -> None:
    from repro.training import runner

    _observed(runner.resume, tell, asked["run_dir"])


def _observed(train: Callable[..., dict], tell: Channel, *what: Any, **options: Any) -> None:
    """Trains, watched by those whom it tells what happens, and by what draws and logs the run."""
    with Background(_observers(), tell) as background:
        watching = (tell, background)
        result = train(*what, **options, observers=watching, leave_within=SECONDS_TO_LEAVE)
        if not tell.done:  # the run had finished before, so nothing was told
            for observer in watching:
                observer({"event": "done", **result})


def _summarize(asked: dict, tell: Observer) -> None:
    """Tells MLflow what the runs of an experiment come to; what it cannot log is a warning."""
    from repro.running import summaries

    try:
        for _ in summaries.sync([asked["experiment"]], asked["out"]):
            pass
    except ReproError as error:
        tell({"event": "message", "warning": True, "text": str(error)})
    tell({"event": "done"})


def _first_updates(asked: dict, tell: Observer) -> None:
    """Tells at which update an experiment is not what was recorded, if at any."""
    from repro.training import first_updates

    name = asked["experiment"]
    run = first_updates.train(first_updates.experiment(name))
    tell({"event": "done", "noticed": first_updates.first_noticed(name, run)})


DO = {
    "train": _train,
    "resume": _resume,
    "summarize": _summarize,
    "first_updates": _first_updates,
}


def _observers() -> tuple[Observer, ...]:
    """Figures come first: they are logged too."""
    from repro.report.run_figures import Figures
    from repro.running.following import Follower

    return Figures(), Follower()
