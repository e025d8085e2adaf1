"""Which of its checkpoints a run is resumed from, and the journal that goes with it.

A checkpoint may be damaged, of another run, of another seed or of another network. What it says is
checked before a variable takes it. The lines of metrics.jsonl are in it too, so a journal that was
lost or torn costs nothing.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repro import spec
from repro.errors import RunError
from repro.files import make_folder, reason
from repro.networks import initial_weights
from repro.records import documents
from repro.records.documents import RunFacts
from repro.records.journal import Journal
from repro.records.shape import (
    Damaged,
    amount,
    anything,
    document,
    hexadecimal,
    listed,
    mapping,
    name,
    one_of,
    text,
    whole,
)
from repro.training.checkpoint import (
    REFUSED,
    hold_to_name,
    latest,
    load,
    newest,
    set_aside_after,
    states,
)

TIES = document(
    {
        "id": hexadecimal(32),
        "experiment": name,
        "scale": one_of(spec.SCALES),
        "seed": whole(),
        "digest": text,
    }
)
PROGRESS = document(
    {
        "update": whole(),
        "passes": whole(),
        "state": mapping(anything),
        "seconds": amount,
        "resumed": whole(),
    },
    {"run": TIES, "lines": listed(documents.PASS)},
)


@dataclass(frozen=True)
class Fitting:
    """Whether a state is one of this run: its run, the shapes of its variables, its progress.

    variables: those that take the values (`shape`, `dtype`). state: what the training keeps besides
    them, with values of the right types. Without it, only the first values are wanted: to test a
    network, the optimizer's are not.
    """

    journal: Journal
    variables: Sequence[Any]
    state: Mapping[str, Any] | None = None

    @property
    def largest(self) -> int:
        """Bytes that a checkpoint may have: the arrays, their headers, and the lines of a run."""
        values = sum(int(np.prod(v.shape)) * 8 + 4096 for v in self.variables)
        return (values if self.state is not None else 5 * values) + 64 * 2**20

    def __call__(self, values: list[np.ndarray], progress: Any) -> None:
        """Raises Damaged."""
        hold_progress(progress, self.journal.facts())
        if self.state is not None:
            self._hold_state(progress["state"], complete="run" in progress)
        count = len(self.variables)
        if len(values) < count or (len(values) > count and self.state is not None):
            raise Damaged(f"is of another network: of {len(values)} variables, here are {count}")
        for value, variable in zip(values, self.variables, strict=False):
            _hold_variable(value, variable)

    def _hold_state(self, state: Mapping[str, Any], complete: bool) -> None:
        """Earlier versions kept less: where it says nothing of a key, a run begins with that."""
        for key in self.state:
            if key in state:
                if not _alike(state[key], self.state[key]):
                    raise Damaged(f"has a {key} of {state[key]!r:.40}")
            elif complete:
                raise Damaged(f"lacks its {key}")


def hold_progress(progress: Any, facts: RunFacts) -> None:
    """Raises Damaged where a checkpoint is not one of the run."""
    progress = PROGRESS(progress, "progress")
    if "run" in progress:
        for key, mine in facts.ties().items():
            if (theirs := progress["run"][key]) != mine:
                raise Damaged(f"is of another run ({key} {theirs}, here {mine})")
    elif facts.sealed:
        raise Damaged("does not say which run it is of")
    lines = progress.get("lines")
    if lines is not None and len(documents.passes_of(lines)) != progress["passes"]:
        raise Damaged("holds the lines of another number of passes")


def _alike(value: Any, present: Any) -> bool:
    """Whether `value` may stand where `present` does."""
    if present is None or isinstance(present, list | tuple):
        numbers = isinstance(value, list) and all(_alike(inner, 0.0) for inner in value)
        return value is None or numbers
    if isinstance(present, bool) or isinstance(value, bool):
        return isinstance(present, bool) and isinstance(value, bool)
    if isinstance(present, int):
        return isinstance(value, int) and value >= 0
    if isinstance(present, float):
        return isinstance(value, int | float)
    return type(value) is type(present)


def _hold_variable(value: np.ndarray, variable: Any) -> None:
    kind = {"f": "float", "i": "int", "u": "uint", "b": "bool"}.get(value.dtype.kind, "?")
    if value.shape != tuple(variable.shape) or not str(variable.dtype).startswith(kind):
        raise Damaged(
            f"is of another network: a variable {value.shape} {value.dtype} where "
            f"{tuple(variable.shape)} {variable.dtype} belongs"
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise Damaged("has weights that are not finite")


def restore(fitting: Fitting) -> tuple[list[np.ndarray], dict, list[str]]:
    """Finds the state to resume from and writes metrics.jsonl as it was then.

    Returns variables, progress and warnings about what was passed over. Both are empty for a run
    that was stopped before its first checkpoint. A run that has trained for longer is never begun
    anew without being asked: raises RunError where none of its checkpoints can be used.
    """
    journal = fitting.journal
    try:
        values, progress, warnings = latest(journal.checkpoints, fitting, fitting.largest)
        make_folder(journal.checkpoints, journal.path)
        if not progress:
            _refuse_to_begin(journal, warnings)
            journal.write_passes([])
            return [], {}, ["no checkpoint to resume from: the run starts at its first update"]
        kept = f"it is kept as *{REFUSED}, and the checkpoint before it is used"
        warnings = [f"{warning}; {kept}" for warning in warnings]
        if "run" not in progress:
            warnings.append("the checkpoint, of an earlier version, does not say whose it is")
        warnings += _write_passes(journal, _lines(journal, progress))
        set_aside_after(journal.checkpoints, progress["update"])
    except OSError as error:
        raise RunError(reason(error, journal.checkpoints)) from None
    return values, progress, warnings


def _lines(journal: Journal, progress: Mapping[str, Any]) -> list[dict]:
    """The lines of metrics.jsonl at the time of a checkpoint."""
    if "lines" in progress:
        return progress["lines"]
    with contextlib.suppress(RunError):
        lines = journal.passes()[: progress["passes"]]
        if len(lines) == progress["passes"]:
            return lines
    raise RunError(
        f"{journal.path}/metrics.jsonl is damaged or lacks passes that were trained, and the "
        f"checkpoint, of an earlier version, does not hold them; put the file back, or "
        f"{_anew(journal)}"
    )


def _refuse_to_begin(journal: Journal, warnings: list[str]) -> None:
    """Raises RunError for a run that has trained, or began with weights that are not drawn now.

    A pass is written down before its checkpoint.
    """
    if there := states(journal.checkpoints):
        count = "its checkpoint" if len(there) == 1 else f"any of its {len(there)} checkpoints"
        raise RunError(f"cannot use {count}: {'; '.join(warnings)}; {_anew(journal)}")
    if len(journal.passes()) > 1:
        raise RunError(
            f"{journal.path} has trained, but there is no checkpoint to resume from; put it back, "
            f"or {_anew(journal)}"
        )
    if _drawn_otherwise(journal):
        raise RunError(f"{journal.path} has no checkpoint to resume from; {_anew(journal)}")


def _drawn_otherwise(journal: Journal) -> bool:
    run = journal.run()
    return "begins" in run or run.get("initial_weights") != initial_weights.VERSION


def _anew(journal: Journal) -> str:
    if "begins" in journal.run():
        return "start a new run: this one began with the weights of another, which it has lost"
    if _drawn_otherwise(journal):
        return "start a new run: the weights that this one began with are not drawn any more"
    return (
        f"to train this run from its first update, remove {journal.checkpoints} and "
        f"{journal.path}/metrics.jsonl, then: repro resume {journal.path}"
    )


def _write_passes(journal: Journal, lines: list[dict]) -> list[str]:
    """Writes metrics.jsonl; says so where it lacked some of `lines`, or had other ones."""
    try:
        present = journal.passes()[: len(lines)]
    except RunError:
        present = None
    journal.write_passes(lines)
    if present == lines:
        return []
    return [f"{journal.path}/metrics.jsonl was damaged: it is written again from the checkpoint"]


def mend(journal: Journal) -> list[str]:
    """Mends metrics.jsonl of a finished run from its newest checkpoint; says what it did.

    Raises RunError where that is not enough, and says what is.
    """
    if journal.result() is None:
        return []
    try:
        journal.record()
        return []
    except RunError as error:
        problem = error

    def accept(_, progress):
        hold_progress(progress, journal.facts())

    progress = latest(journal.checkpoints, accept)[1]
    if said := _write_passes(journal, progress["lines"]) if "lines" in progress else []:
        journal.record()
        return said
    try:
        journal.passes()
    except RunError:
        raise RunError(
            f"{journal.path}/metrics.jsonl is damaged, and no checkpoint of this run holds its "
            "lines: put the file back, or train this run again"
        ) from None
    raise problem


def only_newest(fitting: Fitting) -> tuple[list[np.ndarray], dict]:
    """The newest state and no other. Raises RunError where it cannot be used."""
    path = newest(fitting.journal.checkpoints)
    if path is None:
        raise RunError(f"{fitting.journal.path}: no checkpoint, so no weights to evaluate")
    values, progress = load(path, fitting.largest)
    try:
        hold_to_name(progress, path)
        fitting(values, progress)
    except Damaged as error:
        raise RunError(f"{path} {error}") from None
    return values, progress
