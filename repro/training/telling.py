"""What a training says of where it is and how long it still takes."""

import time
from collections.abc import Sequence
from pathlib import Path

from repro.errors import Interrupted
from repro.training.events import Observer, Observers
from repro.training.pace import Pace
from repro.training.schedule import Schedule
from repro.training.state import State

SECONDS_BETWEEN_EVENTS = 0.5  # of a test


class Teller:
    """Tells the observers of a run; `pace` and `views`, those still to be scored, give the time."""

    def __init__(self, observers: Sequence[Observer], schedule: Schedule):
        self.tell = Observers(observers).tell
        self.pace = Pace(schedule.batch)
        self.views = 0
        self._schedule = schedule
        self._told_at = 0.0

    def start(self, run_dir: Path, state: State, views: int) -> None:
        self._run_dir, self._state, self.views = str(run_dir), state, views
        self.tell("start", run_dir=self._run_dir, passes=self._schedule.passes, **self._at())

    def progress(self, number: int) -> None:
        """After a call of the loop, in pass `number`, from 0."""
        state = self._state
        examples = (state.update - self._schedule.start(number)) * self._schedule.batch
        facts = {
            "pass": number + 1,
            **self._at(),
            "loss": state.loss_sum / examples,
            "error": 100.0 * state.wrong / examples,
            "images_per_second": examples / max(state.training_seconds, 1e-9),
            "seconds_left": self._seconds_left(),
        }
        self.tell("progress", **facts)

    def testing(self, done: int, total: int, views: int, seconds: float) -> None:
        """So many images of a test are scored, the last ones as `views` views in `seconds`."""
        self.views -= views
        self.pace.tested(views, seconds)
        if time.monotonic() - self._told_at >= SECONDS_BETWEEN_EVENTS:
            self._told_at = time.monotonic()
            self.tell("testing", done=done, total=total, seconds_left=self._seconds_left())

    def interrupted(self, update: int) -> Interrupted:
        """Tells that the run stops, with a checkpoint of `update`; the error to be raised."""
        text = (
            f"stopped at update {update} of {self._schedule.last}; resume with: "
            f"repro resume {self._run_dir}"
        )
        facts = {"run_dir": self._run_dir, "update": update, "updates": self._schedule.last}
        self.tell("interrupted", **facts, text=text)
        return Interrupted(text)

    def failed(self, reason: str) -> None:
        self.tell("failed", run_dir=self._run_dir, reason=reason, update=self._state.update)

    def _at(self) -> dict[str, int]:
        return {"update": self._state.update, "updates": self._schedule.last}

    def _seconds_left(self) -> float | None:
        return self.pace.left(self._schedule.last - self._state.update, self.views)
