"""What contenders have in common: the images that they train on, and which network it must be."""

import math
import time
from collections.abc import Callable

import numpy as np

from repro import catalog
from repro.bench.contenders import Network
from repro.data import inputs
from repro.errors import RunError

MOST_BYTES = 2**28  # of the arrays: several processes have them at once
WARM_UP, ENOUGH = 2, 5.0  # updates that are not timed, fewer after so many seconds


def arrays(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """What the first updates of the harness see: images float32 [N, ...] and labels int32 [N].

    Preprocessed, cropped and mirrored once, and then in memory. N is a whole number of batches.
    """
    recipe = catalog.experiment(network.experiment).recipe
    batches = inputs.of_training(recipe).batches(network.batch, seed=0)
    bytes_of_a_batch = 4 * network.batch * math.prod(batches.shape)
    updates = max(1, min(batches.size // network.batch, MOST_BYTES // bytes_of_a_batch))
    images, labels = batches.chunk(0, updates)
    return images.reshape(-1, *batches.shape), labels.reshape(-1)


def warm_up(update: Callable[[], object]) -> None:
    """Makes the updates that are not timed; the first of them compiles."""
    began = time.perf_counter()
    for _ in range(WARM_UP):
        update()
        if time.perf_counter() - began > ENOUGH:
            return


def check(network: Network, parameters: int, multiply_adds: int) -> None:
    """Raises RunError where what was built is not the network."""
    recipe = catalog.experiment(network.experiment).recipe
    for what, found, wanted in (
        ("trained parameters", parameters, network.parameters),
        ("multiply-adds", multiply_adds, network.multiply_adds),
        ("images per update", recipe.batch, network.batch),
    ):
        if found != wanted:
            raise RunError(f"{network.title}: {found:,} {what} were built, it has {wanted:,}")
