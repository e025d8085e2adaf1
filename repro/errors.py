"""Errors that a person sees: one line that says what was wrong, what is accepted, what to do.

Every error carries the exit code of the command line; 0 is success, 1 a verdict that fell short.
"""

import difflib
from collections.abc import Iterable

MOST_NAMED, NAMED_OF_MANY = 50, 10
NOT_FINITE = "the loss is not finite"  # how the reason of a run that diverged begins


class ReproError(Exception):
    """An expected failure; its text is shown to the user without a traceback."""

    exit_code = 4

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it (IPython asks for this)."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(ReproError):
    """A name, key or value that is not accepted."""

    exit_code = 2


class Listed(UsageError):
    """One with a line below for each of several things that are wrong; `lines` are the others."""

    def __init__(self, text: str, lines: Iterable[str]):
        self.lines = tuple(lines)
        super().__init__("\n  ".join((f"{text}:", *self.lines)))


class DataError(ReproError):
    """A dataset that is missing, truncated, or not the one that the paper used."""

    exit_code = 3


class RunError(ReproError):
    """A run that failed: it diverged, ran out of memory or disk, or cannot be resumed."""

    exit_code = 4


class Interrupted(ReproError):
    """A run that was asked to stop; its checkpoint is written."""

    exit_code = 130


def unknown(what: str, name: str, accepted: Iterable[str], listed_by: str = "") -> UsageError:
    """The error for a name that is not one of `accepted`, with the nearest one as a hint.

    listed_by: the command that lists them, for more of them than anybody wants to read in an error.
    """
    accepted = list(accepted)
    nearest = difflib.get_close_matches(name, accepted, n=1, cutoff=0.5)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    names = f" are those of: {listed_by}" if listed_by else f": {_named(name, accepted)}"
    return UsageError(f"unknown {what} '{name}'{hint}; accepted{names}")


def _named(name: str, accepted: list[str]) -> str:
    """All of them; of more than anybody wants to read, the nearest to `name`."""
    if len(accepted) <= MOST_NAMED:
        return ", ".join(accepted)
    nearest = difflib.get_close_matches(name, accepted, n=NAMED_OF_MANY, cutoff=0.0)
    return f"{', '.join(nearest)} and {len(accepted) - len(nearest)} more"


def accept(what: str, value: str, accepted: Iterable[str]) -> None:
    if value not in accepted:
        raise unknown(what, value, accepted)
