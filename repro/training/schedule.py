"""When a pass ends, and which rate holds, at each scale."""

from itertools import count, takewhile

import numpy as np

from repro import spec
from repro.errors import UsageError

SMOKE_PASSES, SMOKE_UPDATES = 2, 20
# Arrays of 32 MB are mapped anew each time: to make batches of them took three times as long.
CHUNK_UPDATES, CHUNK_BYTES = 1000, 8 * 2**20


def pass_ends(recipe: spec.Recipe, size: int, scale: str) -> list[int]:
    """The update at which each pass ends, for a training set of `size` examples.

    At short scale there are fewer passes, of the usual length. Stochastic diagonal
    Levenberg-Marquardt has as many as at paper scale and each is shorter, since its schedule and
    its curvatures go by the pass.
    """
    updates = (recipe.pass_examples or size) / recipe.batch
    total = recipe.iterations or updates * recipe.passes
    if scale == "smoke":
        return [SMOKE_UPDATES * (p + 1) for p in range(SMOKE_PASSES)]
    factor = recipe.short_factor if scale == "short" else 1
    if isinstance(recipe.optimizer, spec.StochasticDiagonalLM):
        updates /= factor
    last = round(total / factor)
    if last < 1:
        raise UsageError(
            f"recipe.short_factor={factor}: more than the {round(total)} updates of the training; "
            f"accepted is up to {round(total)}"
        )
    if updates < 1:
        raise UsageError(
            f"recipe.batch={recipe.batch}: more than the {recipe.pass_examples or size} examples "
            f"of a pass at scale {scale}; accepted is up to {int(updates * recipe.batch)}"
        )
    return [*takewhile(lambda end: end < last, (round(updates * p) for p in count(1))), last]


def rates(recipe: spec.Recipe, last: int) -> list[tuple[int, float]]:
    """(first update, rate) pairs of a training that ends with the update `last`."""
    if not isinstance(recipe.optimizer, spec.SGD):
        return []
    total = recipe.iterations or recipe.passes
    stretches = recipe.optimizer.stretches(total)
    return [(round(last * start / total), rate) for start, rate in stretches]


def chunk_updates(batch: int, image_bytes: int, ends: list[int]) -> int:
    """Updates that are handed to the compiled loop at once: it needs their images in memory."""
    longest = max(np.diff([0, *ends]))
    return int(max(1, min(CHUNK_UPDATES, CHUNK_BYTES // (batch * image_bytes), longest)))
