"""Runs laid side by side, test image by test image."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from repro import spec
from repro.judging import groups
from repro.lazy import numpy as np
from repro.records import images
from repro.records.reading import KEPT_SCALES


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Runs that scored the same test images in the same order; wrong: bool [R, N]."""

    records: list[dict]
    wrong: np.ndarray
    order: str

    @property
    def scale(self) -> str:
        return self.records[0]["run"]["scale"]


def side_by_side(records: Sequence[dict], protocol: str) -> SideBySide | None:
    """The runs that keep their test images; of several orders, those of the commonest one.

    None where no run keeps them.
    """
    scored = [images.scored(record, protocol) for record in records]
    times = Counter(filter(None, scored))
    if not times:
        return None
    most = max(times, key=lambda which: (times[which], which))
    same = [record for record, which in zip(records, scored, strict=True) if which == most]
    wrong = np.stack([images.wrong(record, protocol) for record in same])
    return SideBySide(same, wrong, order=most[0])


def speaking(
    records: Sequence[dict], experiments: Sequence[spec.Experiment], protocol: str
) -> SideBySide | None:
    """The runs that speak for `experiments`, side by side: two or more.

    Of all runs those that keep their test images, also where an earlier one of the same seed, which
    does not, counts in the verdict. At paper scale, or at short scale where there are fewer than
    two; None where there are no more at that.
    """
    keeping = [record for record in records if images.order(record, protocol)]
    for scale in reversed(KEPT_SCALES):
        speak = [run for e in experiments for run in groups.speaking(keeping, e, scale)]
        runs = side_by_side(speak, protocol)
        if runs is not None and len(runs.records) > 1:
            return runs
    return None


def spread(wrongs: np.ndarray) -> float:
    """The spread of the test error over seeds that single images make, in points.

    wrongs: bool [R, N], of R runs, at least two, on the same N images.

    The error of a run is the mean over the images of X_i, 1 where image i is wrong and else 0. Over
    seeds X_i has the variance p_i (1 - p_i), where p_i is how often image i is wrong. Of R runs c_i
    are wrong on it, and c_i (R - c_i)/(R (R - 1)) estimates that variance without bias. The
    variance of the mean is N^-2 times the sum of these N variances and of the covariances of all
    pairs of images. Here the variances alone are summed: this is what the spread would be if images
    went wrong independently of each other, as they nearly do in long trainings (Jordan 2023, arXiv
    2304.01910). What the observed spread is above it comes from covariances: some networks are
    better than others on many images at once. Where it is below, errors take turns, or it is
    chance, since of few runs it is known far less well than this.

    The sum over the images is also half the mean number on which two of the runs disagree.
    """
    runs, count = wrongs.shape
    if runs < 2:
        raise ValueError("a spread needs two runs")
    times = wrongs.sum(axis=0, dtype=np.int64)
    variances = times * (runs - times) / (runs * (runs - 1))
    return 100 * math.sqrt(variances.sum()) / count


def disagreement(a: np.ndarray, b: np.ndarray) -> int:
    """How many images one of two runs gets wrong and the other right; a and b: bool [N]."""
    return int(np.count_nonzero(a != b))


def disagreements(wrongs: np.ndarray) -> list[int]:
    """`disagreement` of every two of the runs; wrongs: bool [R, N]."""
    return [disagreement(a, b) for a, b in combinations(wrongs, 2)]


def wrong_in_all(wrongs: np.ndarray) -> np.ndarray:
    """The indices of the images that every run gets wrong, in their order; wrongs: bool [R, N]."""
    return np.flatnonzero(wrongs.all(axis=0))
