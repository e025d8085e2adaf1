"""How far the runs are: a bar each on a terminal, lines where standard error is none."""

import sys
import time
from collections.abc import Iterable

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from repro.terminal import console_for_progress, is_watched, say

ENDS = ("done", "failed", "interrupted", "error")
SECONDS_BETWEEN_LINES = 30.0  # of a long test, where there is no bar


def status(passes: int | None, event: dict) -> str:
    """Where a run is, from a progress, pass or testing event of the trainer, in a line."""
    parts = []
    if event.get("pass") is not None:
        parts.append(f"pass {event['pass']}/{passes or '?'}")
    if event.get("total"):
        parts.append(f"testing {100 * event['done'] // event['total']} %")
    error = event.get("error", event.get("running_error"))
    if event.get("test_error") is not None:
        parts.append(f"test error {event['test_error']:.2f} %")
    elif error is not None:
        parts.append(f"training error {error:.2f} %")
    if event.get("images_per_second"):
        parts.append(f"{event['images_per_second']:,.0f} images/s")
    if event.get("seconds_left") is not None:
        parts.append(f"{clock(event['seconds_left'])} left")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Bars:
    """A bar per run on standard error, or a line per pass where that is no terminal.

    Feed it the trainer's events by `bars.show(label, event)`; those without a label are for all
    runs. A context manager.
    """

    def __init__(self, labels: Iterable[str]):
        self._live = is_watched()
        self._passes: dict[str, int] = {}
        self._tested: dict[str, tuple[int, float]] = {}
        self._last: dict[str, dict] = {}
        self._said_at: dict[str, float] = {}
        self._rates: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[state]}"),
            console=console_for_progress(),
            disable=not self._live,
        )
        self._tasks = {
            label: self._progress.add_task(label, total=None, state="starting") for label in labels
        }
        self._sum: TaskID | None = None  # a last line, once several runs train

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self) -> None:
        """No bars from now on; what comes is told in lines."""
        self._progress.stop()
        self._live = False

    def show(self, label: str | None, event: dict) -> None:
        """Draws one event; unknown kinds are passed over."""
        kind = event.get("event")
        if kind in ENDS and self._rates.pop(label, None):
            self._show_sum()
        if kind == "message":
            self._line(label, f"{'warning: ' if event.get('warning') else ''}{event['text']}")
        elif label not in self._tasks:
            return
        elif kind == "start":
            self._passes[label] = event.get("passes")
            self._progress.update(self._tasks[label], total=event.get("updates"))
            self._line(label, str(event.get("run_dir", "")))
        elif kind == "progress":
            self._last[label] = event
            self._rates[label] = event.get("images_per_second", 0.0)
            self._said_at.pop(label, None)
            number, error = self._tested.get(label, (0, None))
            # the test error of the pass before says more than the running one
            recent = number == event["pass"] - 1
            self._update(label, {**event, "test_error": error if recent else None})
        elif kind == "testing":
            self._testing(label, event)
        elif kind == "pass":
            left = self._last.get(label, {}).get("seconds_left")
            event = {"seconds_left": left, **event}
            if event.get("test_error") is not None:
                self._tested[label] = event["pass"], event["test_error"]
            if not self._live:
                told = [status(self._passes.get(label), event), self._together()]
                self._line(label, ", ".join(filter(None, told)))
            self._update(label, event)
        elif kind == "done":
            task = self._tasks[label]
            total = self._progress.tasks[task].total or 1
            self._progress.update(task, total=total, completed=total, state="done")

    def _together(self) -> str:
        """What all runs that are training come to; "" for one alone."""
        if len(self._rates) < 2:
            return ""
        return f"{len(self._rates)} runs together {sum(self._rates.values()):,.0f} images/s"

    def _testing(self, label: str, event: dict) -> None:
        event = {**event, "pass": self._last.get(label, {}).get("pass")}
        now = time.monotonic()
        # a line only for a test that takes long
        if not self._live and event["done"] < event["total"]:
            if now - self._said_at.setdefault(label, now) > SECONDS_BETWEEN_LINES:
                self._said_at[label] = now
                self._line(label, status(self._passes.get(label), event))
            return
        self._update(label, event)

    def _update(self, label: str, event: dict) -> None:
        state = status(self._passes.get(label), event)
        done = event.get("update", self._progress.tasks[self._tasks[label]].completed)
        self._progress.update(self._tasks[label], completed=done, state=state)
        self._show_sum()

    def _show_sum(self) -> None:
        if together := self._together():
            if self._sum is None:
                self._sum = self._progress.add_task("together", total=None, state=together)
            self._progress.update(self._sum, state=together, visible=True)
        elif self._sum is not None:
            self._progress.update(self._sum, visible=False)

    def _line(self, label: str | None, text: str) -> None:
        if not text:
            return
        line = f"{label}: {text}" if label else text
        if self._live:
            self._progress.console.print(Text(line))
        else:
            say(line)
        sys.stderr.flush()
