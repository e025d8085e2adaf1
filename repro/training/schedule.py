"""When a pass ends, which rate holds, and how much is trained at once, at each scale."""

import math
from itertools import count, takewhile

import numpy as np

from repro import spec
from repro.errors import UsageError
from repro.training.smoke import Smoke
from repro.training.state import State

MOST_PASSES, MOST_UPDATES = 100_000, 999_999_999  # checkpoints are named by nine digits
STEPS_OF_A_RAMP = 20
# Arrays of 32 MB are mapped anew each time: to make batches of them took three times as long.
CHUNK_UPDATES, CHUNK_BYTES = 1000, 8 * 2**20


class Schedule:
    """The passes of a training, the rate before each update, and where a stretch of updates ends.

    size: examples of the training set; chunk_shape: that of what is made ready of one. ends: the
    update at which each pass ends.
    rates: (first update, rate) pairs, none where every weight has its own rate. ramp: the updates
    before which it rises to the first of them. chunk: updates that are made ready together.
    """

    def __init__(
        self,
        recipe: spec.Recipe,
        size: int,
        chunk_shape: tuple[int, ...],
        scale: str,
        smoke: Smoke | None = None,
    ):
        self.ends = smoke.pass_ends if smoke else pass_ends(recipe, size, scale)
        self.rates = rates(recipe, self.last)
        self.warm_up = recipe.optimizer.warm_up
        self.ramp = ramp(recipe, self.last) if scale == "short" else []
        self.batch = recipe.batch
        self.chunk = chunk_updates(self.batch, 4 * math.prod(chunk_shape), self.ends)
        factor = recipe.short_factor if scale == "short" else 1
        self.tested_every = max(1, recipe.tested_every // factor)

    @property
    def passes(self) -> int:
        return len(self.ends)

    @property
    def last(self) -> int:
        """How many updates are made in all."""
        return self.ends[-1]

    def start(self, number: int) -> int:
        """The update with which pass `number`, from 0, begins."""
        return self.ends[number - 1] if number else 0

    def tested(self, number: int) -> bool:
        """Whether the test set is scored after pass `number`, from 0."""
        return (number + 1) % self.tested_every == 0 or number + 1 == self.passes

    def cut(self, number: int, state: State) -> int:
        """The next update before which the rate changes or may change, or pass `number` ends.

        A function of the update and of whether the warm-up is over, as a resumed run needs.
        """
        cuts = [self.ends[number], *(first for first, _ in self.rates), *self.ramp]
        if self.warm_up and not state.warm:
            window = self.warm_up.iterations or self.warm_up.window
            cuts.append((state.update // window + 1) * window)
        return min(cut for cut in cuts if cut > state.update)

    def rate(self, state: State) -> float | None:
        """The rate of the next update; None where every weight has its own.

        Where a window of the warm-up has just ended, looks at its error.
        """
        if not self.rates:
            return None
        if self._warming(state):
            return self.warm_up.rate
        rate = [rate for first, rate in self.rates if first <= state.update][-1]
        risen = 1 + sum(first <= state.update for first in self.ramp)
        return rate * min(1.0, risen / STEPS_OF_A_RAMP) if self.ramp else rate

    def _warming(self, state: State) -> bool:
        if self.warm_up is None or state.warm:
            return False
        if self.warm_up.iterations:
            state.warm = state.update >= self.warm_up.iterations
        elif state.update and state.update % self.warm_up.window == 0:
            examples = self.warm_up.window * self.batch
            state.warm = 100.0 * state.warming_wrong / examples < self.warm_up.error
            state.warming_wrong = 0
        return not state.warm


def pass_ends(recipe: spec.Recipe, size: int, scale: str) -> list[int]:
    """The update at which each pass ends, for a training set of `size` examples.

    At short scale there are fewer passes, of the usual length. Where what the optimizer does goes
    by the pass there are as many as at paper scale, and each is shorter. At smoke scale
    `repro.training.smoke` decides. Raises UsageError for a schedule that is empty or too long.
    """
    in_a_pass = recipe.pass_examples or size
    if recipe.batch > in_a_pass:
        raise UsageError(
            f"recipe.batch={recipe.batch}: more than the {in_a_pass:,} examples of a pass; "
            f"accepted is up to {in_a_pass}"
        )
    updates = in_a_pass / recipe.batch
    total = recipe.iterations or updates * recipe.passes
    factor = recipe.short_factor if scale == "short" else 1
    of_a_pass = recipe.optimizer.by_the_pass
    most = int(updates if of_a_pass else total)
    if factor > most:
        raise UsageError(
            f"recipe.short_factor={factor}: more than the {most:,} updates of "
            f"{'a pass' if of_a_pass else 'the training'}; accepted is up to {most}"
        )
    last = round(total / factor)
    if of_a_pass:
        updates /= factor
    if last > MOST_UPDATES:
        raise UsageError(
            f"{_length(recipe)} with batches of {recipe.batch}: {last:,} updates; accepted are up "
            f"to {MOST_UPDATES:,}"
        )
    if last / updates > MOST_PASSES:
        raise UsageError(
            f"{_length(recipe)}: {math.ceil(last / updates):,} passes; accepted are up to "
            f"{MOST_PASSES:,}"
        )
    return [*takewhile(lambda end: end < last, (round(updates * p) for p in count(1))), last]


def check(recipe: spec.Recipe, size: int, scale: str) -> None:
    """Raises UsageError, at once, where a training set of `size` has no such schedule."""
    pass_ends(recipe, size, "paper" if scale == "smoke" else scale)


def _length(recipe: spec.Recipe) -> str:
    if recipe.passes:
        return f"recipe.passes={recipe.passes}"
    return f"recipe.iterations={recipe.iterations}"


def rates(recipe: spec.Recipe, last: int) -> list[tuple[int, float]]:
    """(first update, rate) pairs of a training that ends with the update `last`."""
    total = recipe.iterations or recipe.passes
    stretches = recipe.optimizer.stretches(total)
    return [(round(last * start / total), rate) for start, rate in stretches]


def ramp(recipe: spec.Recipe, last: int) -> list[int]:
    """The updates before which the rate of a ramp rises; from the last on it is the full one."""
    length = min(recipe.short_ramp, last)
    steps = range(1, STEPS_OF_A_RAMP)
    return [math.ceil(length * k / STEPS_OF_A_RAMP) for k in steps] if length else []


def chunk_updates(batch: int, held_bytes: int, ends: list[int]) -> int:
    """Updates that are made ready together: what they see is in memory at once."""
    longest = max(np.diff([0, *ends]))
    return int(max(1, min(CHUNK_UPDATES, CHUNK_BYTES // (batch * held_bytes), longest)))
