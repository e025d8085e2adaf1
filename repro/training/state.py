"""How far a run is: what a checkpoint holds beside the variables."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class State:
    """What the next update depends on, beside the variables, and what the pass has seen so far.

    losses: the sum over the pass, of whole chunks; part: that of the chunk at hand, in float32.
    part_updates: how much of it is made. rates: the least and the greatest of the pass.
    warm: whether the warm-up is over; warming_wrong: wrong predictions in its window so far.
    """

    update: int = 0
    losses: float = 0.0
    part: float = 0.0
    part_updates: int = 0
    wrong: int = 0
    training_seconds: float = 0.0
    rates: tuple[float, float] | None = None
    warm: bool = False
    warming_wrong: int = 0

    def begin_pass(self) -> None:
        self.losses, self.part, self.part_updates = 0.0, 0.0, 0
        self.wrong, self.training_seconds, self.rates = 0, 0.0, None

    @property
    def loss_sum(self) -> float:
        return self.losses + self.part

    def add(self, updates: int, part: float, wrong: int, seconds: float, chunk_ends: bool) -> None:
        """Counts `updates` that were made; `part` is what the sum of the chunk has come to."""
        self.update += updates
        self.training_seconds += seconds
        self.part, self.part_updates = part, self.part_updates + updates
        if chunk_ends:
            self.losses += self.part
            self.part, self.part_updates = 0.0, 0
        self.wrong += wrong
        self.warming_wrong += wrong

    def add_rates(self, rates: tuple[float, float] | None) -> None:
        """Counts rates that were set, the least and the greatest of them, if any were."""
        seen = [*(rates or ()), *(self.rates or ())]
        self.rates = (min(seen), max(seen)) if seen else None

    def plain(self) -> dict[str, Any]:
        """All but the update, for the checkpoint."""
        return {key: value for key, value in asdict(self).items() if key != "update"}

    @classmethod
    def of(cls, update: int, plain: Mapping[str, Any]) -> "State":
        """The state that a checkpoint holds; one of an earlier version lacks what came later."""
        names = {field.name for field in fields(cls)}
        state = cls(update=update, **{k: v for k, v in plain.items() if k in names})
        state.rates = tuple(state.rates) if state.rates else None
        return state
