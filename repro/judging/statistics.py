"""Intervals of Student's t and of Welch."""

import math

CONFIDENCE = 0.95
ROUNDING = 1e-9  # points; what binary fractions add to a sum of errors decides nothing


def prediction_half_width(std: float, n: int) -> float:
    """Half the width of the interval in which one more run falls with 95 % confidence."""
    return t_quantile(n - 1) * std * math.sqrt(1 + 1 / n)


def welch_half_width(std_a: float, n_a: int, std_b: float, n_b: int) -> float:
    """Half the width of Welch's 95 % interval of the difference of two means.

    The degrees of freedom are those of Welch and Satterthwaite. 0 when neither side varies.
    """
    a, b = std_a**2 / n_a, std_b**2 / n_b
    if a + b == 0:
        return 0.0
    freedom = (a + b) ** 2 / (a**2 / (n_a - 1) + b**2 / (n_b - 1))
    return t_quantile(freedom) * math.sqrt(a + b)


def t_quantile(freedom: float) -> float:
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
