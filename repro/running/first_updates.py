"""The first updates of a few experiments, made here and held against what was recorded of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from repro.errors import Interrupted
from repro.running import children
from repro.running.crew import Crew


@dataclass(frozen=True)
class FirstUpdates:
    """How the first fifty updates of an experiment came out.

    noticed: the first one, from 1, that is not as recorded; None where all are. error: why they
    were not made, "" where they were.
    """

    experiment: str
    noticed: int | None = None
    error: str = ""


def check(experiments: Iterable[str]) -> list[FirstUpdates]:
    """Those of `experiments` that are quick, in a process each. Raises Interrupted."""
    from repro.training.first_updates import QUICK

    wanted = set(experiments)
    return [_check(name) for name in QUICK if name in wanted]


def _check(name: str) -> FirstUpdates:
    asked = {"do": "first_updates", "experiment": name}
    (outcome,) = children.run([0], lambda _: children.command(asked), Crew(1), lambda *_: None)
    if outcome.exit_code == Interrupted.exit_code:
        raise Interrupted("interrupted")
    return FirstUpdates(name, outcome.result.get("noticed"), outcome.error)
