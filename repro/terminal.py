"""What people see: tables on standard output, everything else on standard error.

So `--json` can be piped, and a pipe gets no colours and no shortened lines.
"""

import contextlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from repro.jsonable import as_json

GAP = 2  # between two columns


def print_json(document) -> None:
    """Prints one JSON document on standard output; nan and infinity become null."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")
    print(json.dumps(as_json(document), indent=2, ensure_ascii=not unicode))


def say(text: str) -> None:
    """One line on standard error; on a terminal wrapped between words."""
    print(_wrapped(text, sys.stderr), file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """One line on standard output, likewise."""
    print(_wrapped(text, sys.stdout), flush=True)


def _wrapped(text: str, stream) -> str:
    room = _columns() - 1
    if not stream.isatty() or cell_len(text) <= room:
        return text
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    options = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": indent}
    return "\n".join(textwrap.wrap(text, room, **options))


def _columns() -> int:
    return max(shutil.get_terminal_size((80, 24)).columns, 20)


# ---------------------------------------------------------------------------- tables


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence],
    title: str = "",
    narrow: Sequence[str] = (),
) -> None:
    """Prints rows under the names in `columns`; numbers stand at the right, None is empty.

    On a terminal that is too narrow, the columns in `narrow` alone, or else each row on lines of
    its own: no name is broken. Where standard output is no terminal everything is printed.
    """
    rows = [tuple(row) for row in rows]
    room = width()
    if room is not None and _natural_width(columns, rows) > room:
        kept = [columns.index(name) for name in narrow or columns]
        columns, rows = [columns[i] for i in kept], [tuple(row[i] for i in kept) for row in rows]
        if _natural_width(columns, rows) > room:
            return _print_stacked(columns, rows, title, room)
    table = Table(title=Text(title) if title else None, title_justify="left", box=None)
    for position, column in enumerate(columns):
        numeric = any(isinstance(row[position], int | float) for row in rows)
        table.add_column(Text(column, style="bold"), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*[Text(_cell(value)) for value in row])
    _print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Prints names and values, one to a line; a value that is a tuple takes a line for each."""
    grid = Table.grid(padding=(0, GAP))
    grid.add_column(no_wrap=True)
    for name, value in facts:
        lines = value if isinstance(value, list | tuple) else (value,)
        for number, line in enumerate(lines):
            grid.add_row(Text("" if number else name, style="bold"), Text(_cell(line)))
    _print(grid)


def width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    return _columns()


def _natural_width(columns: Sequence[str], rows: Sequence[tuple]) -> int:
    lines = [columns, *([_cell(value) for value in row] for row in rows)]
    return sum(max(cell_len(line[i]) for line in lines) + GAP for i in range(len(columns)))


def _print_stacked(columns: Sequence[str], rows: Sequence[tuple], title: str, room: int) -> None:
    """The first cell of a row, then the others with their names, as many on a line as fit."""
    if title:
        print(title)
    for row in rows:
        tell(_cell(row[0]))
        named = zip(columns[1:], row[1:], strict=True)
        line = ""
        for part in [f"{name}: {_cell(value)}" for name, value in named if _cell(value)]:
            if line and cell_len(f"{line}; {part}") < room:
                line += f"; {part}"
                continue
            if line:
                tell(line)
            line = f"  {part}"
        if line:
            tell(line)


def _print(table: Table) -> None:
    room = width()
    if room is not None:
        return Console(highlight=False, width=room).print(table)
    wide = Console(highlight=False, width=10_000, force_terminal=False, color_system=None)
    with wide.capture() as capture:
        wide.print(table)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


# ---------------------------------------------------------------------------- work that takes long


def is_watched() -> bool:
    """Whether somebody sees standard error on a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def console_for_progress() -> Console:
    return Console(stderr=True, highlight=False, width=_columns() if is_watched() else None)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Shows `text` and that something goes on, on standard error where that is a terminal.

    It has a descriptor of its own, so that it stays visible while others' words are dropped, and
    leaves standard output as it is.
    """
    if not is_watched():
        yield
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", errors="replace") as terminal:
        console = Console(file=terminal, highlight=False)
        spinner = Spinner("line", Text(text))
        kept = {"redirect_stdout": False, "redirect_stderr": False}
        with Live(spinner, console=console, transient=True, **kept):
            yield


@contextlib.contextmanager
def muffled() -> Iterator[None]:
    """Drops what compiled libraries write on standard error meanwhile; errors are still raised.

    TensorFlow announces missing GPU drivers before it reads any setting that would silence it.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Counter:
    """A bar for `progress(done, total)`, shown from the first call on, on a terminal only."""

    def __init__(self, description: str, unit: str):
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
            TimeRemainingColumn(),
            console=console_for_progress(),
            disable=not is_watched(),
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
        if done >= total:  # so that another bar may begin
            self._bar.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.stop()
