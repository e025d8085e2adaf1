"""What people see: tables on standard output, progress on standard error.

Results go to standard output and everything else to standard error, so that `--json` can be piped.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


def print_json(document) -> None:
    """Prints one JSON document on standard output; nan and infinity become null."""
    print(json.dumps(_finite(document), indent=2, ensure_ascii=False))


def _finite(value):
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def print_table(columns: Sequence[str], rows: Iterable[Sequence], title: str = "") -> None:
    """Prints rows under the names in `columns`; numbers stand at the right, None is empty.

    Where standard output is no terminal nothing is shortened or wrapped.
    """
    rows = [tuple(rows_) for rows_ in rows]
    table = Table(title=Text(title) if title else None, title_justify="left", box=None)
    for position, column in enumerate(columns):
        numeric = any(isinstance(row[position], int | float) for row in rows)
        justify = "right" if numeric else "left"
        table.add_column(Text(column, style="bold"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*[Text(_cell(value)) for value in row])
    _print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Prints names and values, one to a line; a value that is a tuple takes a line for each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for name, value in facts:
        lines = value if isinstance(value, list | tuple) else (value,)
        for number, line in enumerate(lines):
            grid.add_row(Text("" if number else name, style="bold"), Text(_cell(line)))
    _print(grid)


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if console.is_terminal:
        return console.print(table)
    wide = Console(highlight=False, width=10_000)
    with wide.capture() as capture:
        wide.print(table)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


# ---------------------------------------------------------------------------- progress


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Shows `text` and that something goes on, on standard error where that is a terminal.

    It has a descriptor of its own, so that it stays visible while others' words are dropped, and
    leaves standard output as it is.
    """
    if not sys.stderr.isatty():
        yield
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        console = Console(file=terminal, highlight=False)
        spinner = Spinner("line", Text(text))
        kept = {"redirect_stdout": False, "redirect_stderr": False}
        with Live(spinner, console=console, transient=True, **kept):
            yield


def status(passes: int | None, event: dict) -> str:
    """Where a run is, from a progress or pass event of the trainer, in a line."""
    parts = [f"pass {event['pass']}/{passes or '?'}"]
    running = event.get("error", event.get("running_error"))
    if event.get("test_error") is not None:
        parts.append(f"test error {event['test_error']:.2f} %")
    elif running is not None:
        parts.append(f"training error {running:.2f} %")
    if event.get("images_per_second"):
        parts.append(f"{event['images_per_second']:,.0f} images/s")
    if event.get("seconds_left") is not None:
        parts.append(f"{_clock(event['seconds_left'])} left")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Bars:
    """A bar per run on standard error, or a line per pass where that is no terminal.

    Feed it the trainer's events by `bars.show(label, event)`. A context manager.
    """

    def __init__(self, labels: Iterable[str]):
        self._live = sys.stderr.isatty()
        self._passes: dict[str, int] = {}
        self._tested: dict[str, tuple[int, float]] = {}
        self._left: dict[str, float | None] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True, highlight=False),
            disable=not self._live,
        )
        self._tasks = {
            label: self._progress.add_task(label, total=None, state="starting") for label in labels
        }

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()

    def show(self, label: str, event: dict) -> None:
        """Draws one event; kinds that are not known are passed over."""
        kind = event.get("event")
        if kind == "message":
            self._line(label, event["text"])
        elif kind == "start":
            self._passes[label] = event.get("passes")
            self._progress.update(self._tasks[label], total=event.get("updates"))
            self._line(label, str(event.get("run_dir", "")))
        elif kind == "progress":
            self._left[label] = event.get("seconds_left")
            number, error = self._tested.get(label, (0, None))
            # the test error of the pass before says more than the running one
            recent = number == event["pass"] - 1
            self._update(label, {**event, "test_error": error if recent else None})
        elif kind == "pass":
            event = {"seconds_left": self._left.get(label), **event}
            if event.get("test_error") is not None:
                self._tested[label] = event["pass"], event["test_error"]
            if not self._live:
                self._line(label, status(self._passes.get(label), event))
            self._update(label, event)
        elif kind == "done":
            task = self._tasks[label]
            total = self._progress.tasks[task].total or 1
            self._progress.update(task, total=total, completed=total, state="done")

    def _update(self, label: str, event: dict) -> None:
        state = status(self._passes.get(label), event)
        self._progress.update(self._tasks[label], completed=event.get("update"), state=state)

    def _line(self, label: str, text: str) -> None:
        if not text:
            return
        if self._live:
            self._progress.console.print(Text(f"{label}: {text}"))
        else:
            say(f"{label}: {text}")


def emit(event: dict) -> None:
    """Writes an event as a JSON line on standard error, for the process that started this one.

    When that process is gone nobody waits for this run: it is asked to checkpoint and leave.
    """
    try:
        say(json.dumps(_finite(event), default=str))
    except BrokenPipeError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open until the process ends
        os.kill(os.getpid(), signal.SIGTERM)


class Counter:
    """A bar for `progress(done, total)`, shown from the first call on, on a terminal only."""

    def __init__(self, description: str, unit: str):
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False),
            disable=not sys.stderr.isatty(),
        )
        self._description = description
        self._task = None

    def __call__(self, done: int, total: int) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(self._description, total=total)
            if self._bar.disable:
                say(self._description)
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.stop()
