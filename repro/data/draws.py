"""Random numbers as functions of (seed, pass, example)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from repro.lazy import numpy as np


@dataclass(frozen=True, eq=False)
class Draw:
    """The examples that an augmentation is to make, and its random numbers for them.

    index: [B], the numbers of the examples in the augmented set made of `originals` images. The
        original of an example is index % originals, its copy number index // originals.
    seed, pass_number: what the random numbers are keyed by, with the example. The batch that an
        example comes in has no part in them.
    fill: the background value, for what a moved image uncovers.
    """

    index: np.ndarray
    originals: int
    seed: int
    pass_number: int
    fill: float = 0.0

    def uniform(self, count: int) -> np.ndarray:
        """`count` uniform numbers from 0 to 1 (exclusive) for each example: [count, B], float64.

        They come from hashing (seed, pass, example) and each number's place: a generator per
        example would be slow, and one that has run some way would depend on the batch.
        """
        state = _mix(_keyed(self.seed, self.pass_number) + np.asarray(self.index, np.uint64))
        state = _mix(state + np.arange(count, dtype=np.uint64)[:, None])
        return (state >> np.uint64(11)) * 2.0**-53

    def normal(self, count: int) -> np.ndarray:
        """Like `uniform`, but normal with mean 0 and variance 1, by Box and Muller."""
        radius, angle = np.split(self.uniform(2 * count), 2)
        return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)

    def of_step(self, place: int) -> Draw:
        """The same examples with other numbers, for the step at `place` of a chain."""
        return replace(self, seed=self.seed + (place << 32))

    def of_run(self) -> Draw:
        """The same examples with numbers that stay the same in every pass."""
        return replace(self, pass_number=0)

    def of_rows(self, rows: np.ndarray) -> Draw:
        """Some of the examples, by their places in the batch."""
        return replace(self, index=np.asarray(self.index)[rows])


@lru_cache(maxsize=64)
def _keyed(seed: int, pass_number: int) -> np.ndarray:
    return _mix(_mix(np.array([seed], np.uint64)) + np.uint64(pass_number))


def _mix(state: np.ndarray) -> np.ndarray:
    """The next number of SplitMix64 (Steele, Lea and Flood 2014), for each state."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state ^= state >> np.uint64(30)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state
