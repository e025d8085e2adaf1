"""Random numbers as functions of (seed, pass, example)."""

from __future__ import annotations

from repro.lazy import numpy as np


def draws(count: int, seed: int, example: np.ndarray, epoch: int = 0) -> np.ndarray:
    """`count` uniform numbers from 0 to 1 for each example: [count, B], float64.

    A function of (seed, epoch, example) and of the number's place, by hashing them: a generator
    per example, or one that has run some way, would be slow or depend on the batch.
    """
    keys = np.asarray(example, np.uint64)[None, :]
    state = _mix(_mix(np.full((1, 1), seed, np.uint64)) + np.uint64(epoch))
    state = _mix(_mix(state + keys) + np.arange(count, dtype=np.uint64)[:, None])
    return (state >> np.uint64(11)) * 2.0**-53


def normal_draws(count: int, seed: int, example: np.ndarray, epoch: int = 0) -> np.ndarray:
    """Like `draws`, from the normal distribution of mean 0 and variance 1, by Box and Muller."""
    radius, angle = np.split(draws(2 * count, seed, example, epoch), 2)
    return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)


def _mix(state: np.ndarray) -> np.ndarray:
    """The next number of SplitMix64 (Steele, Lea and Flood 2014), for each state."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
