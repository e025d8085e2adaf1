"""Student's t, Welch's difference of two means, and Holm's correction of several tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
ROUNDING = 1e-9  # points; what binary fractions add to a sum of errors decides nothing


@dataclass(frozen=True)
class Uncertainty:
    """How well a difference is known: its standard error, in points, and degrees of freedom."""

    error: float
    degrees: float

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Half the width of the interval that holds the true difference so often."""
        return t_quantile(self.degrees, confidence) * self.error

    def p(self, difference: float) -> float:
        """How often chance alone makes a difference so large, on either side, out of none."""
        if abs(difference) <= ROUNDING:
            return 1.0
        if self.error == 0:
            return 0.0
        from scipy.special import stdtr

        return float(2 * stdtr(self.degrees, -abs(difference) / self.error))


def prediction(std: float, n: int, degrees: float) -> Uncertainty:
    """How far one more run may lie from the mean of n, whose spread has so many `degrees`."""
    return Uncertainty(std * math.sqrt(1 + 1 / n), degrees)


def welch(
    std_a: float, n_a: int, degrees_a: float, std_b: float, n_b: int, degrees_b: float
) -> Uncertainty:
    """How well the difference of two means is known, whose spreads need not be the same."""
    return satterthwaite((std_a, n_a, degrees_a), (std_b, n_b, degrees_b))


def satterthwaite(*groups: tuple[float, int, float]) -> Uncertainty:
    """How well a sum of means is known, each added or subtracted, of independent groups.

    groups: their (std, n, degrees). The degrees of freedom are those of Welch and Satterthwaite:
    (a + b + ...)^2 / (a^2 / degrees_a + b^2 / degrees_b + ...) with a = std_a^2 / n_a and so on.
    """
    variances = [std**2 / n for std, n, _ in groups]
    degrees = [freedom for _, _, freedom in groups]
    total = sum(variances)
    if total == 0:
        return Uncertainty(0.0, sum(degrees))
    of_each = (v**2 / d for v, d in zip(variances, degrees, strict=True))
    return Uncertainty(math.sqrt(total), total**2 / sum(of_each))


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in the order given (Holm 1979).

    The smallest of m counts m times, the next m - 1 times, and so on; none is below a smaller one.
    """
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = largest
    return corrected


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """How many standard errors the two-sided interval of that confidence reaches to each side."""
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    return float(stdtrit(freedom, (1 + confidence) / 2))
