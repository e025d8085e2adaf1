"""Differences of several experiments, or means of several stacks, taken together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Combined:
    """A random-effects mean: its standard error, and the degrees of freedom of its t.

    weighted_error: what the weights alone give. between: how far the true values lie apart, a
    standard deviation.
    """

    mean: float
    error: float
    degrees: float
    weighted_error: float
    between: float


def random_effects(values: Sequence[float], errors: Sequence[float]) -> Combined:
    """The mean of `values`, two at least, whose standard errors are `errors`, all above 0.

    The true values are taken to be drawn around their mean with a variance that DerSimonian and
    Laird (1986) estimate by moments; each value has the weight 1 / (error^2 + that variance). The
    error of the mean comes from how far the values lie from it, with as many degrees of freedom as
    there are values, less one (Hartung and Knapp 2001), and is never below that which the weights
    alone give (Knapp and Hartung 2003): a few values that agree by chance prove little.
    """
    between = _between(values, errors)
    weights = [1 / (error**2 + between) for error in errors]
    mean = _mean(values, weights)
    degrees = len(values) - 1
    apart = sum(w * (x - mean) ** 2 for w, x in zip(weights, values, strict=True)) / degrees
    weighted = math.sqrt(1 / sum(weights))
    error = weighted * math.sqrt(max(1.0, apart))
    return Combined(mean, error, degrees, weighted, math.sqrt(between))


def _between(values: Sequence[float], errors: Sequence[float]) -> float:
    weights = [1 / error**2 for error in errors]
    mean, total = _mean(values, weights), sum(weights)
    apart = sum(w * (x - mean) ** 2 for w, x in zip(weights, values, strict=True))
    expected = len(values) - 1
    return max(0.0, (apart - expected) / (total - sum(w**2 for w in weights) / total))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)
