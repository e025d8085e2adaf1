"""Does accuracy differ? Two groups of runs of the same experiments, compared.

Of each experiment the metric of its first reported number is compared, where that is in per cent,
else the test error after its first protocol. Differences are those of b - a: above 0, b is worse.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from statistics import fmean, variance

from repro import spec
from repro.judging import images, sides, verdict
from repro.judging.combining import random_effects
from repro.judging.measures import diverged, per_cent, value
from repro.judging.sides import MATCHED, Block, Pair, Run
from repro.judging.spread import Prior, images_of_group
from repro.judging.statistics import CONFIDENCE, ROUNDING, Uncertainty, holm
from repro.records.images import scored, wrong

INSIDE = 2 * CONFIDENCE - 1  # confidence of the interval that two one-sided tests make
EQUIVALENT, DIFFERS, INCONCLUSIVE = "equivalent", "differs", "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a row, or all of them together, comes to.

    low, high: the 95 % interval of the difference b - a. p: of no difference, on two sides.
    verdict, equivalent: see `answer`. by_chance: it differs by its own interval, but not as one of
    so many, after Holm's correction.
    """

    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    verdict: str = INCONCLUSIVE
    equivalent: bool | None = None
    by_chance: bool = False

    @property
    def words(self) -> str:
        """The verdict, with what a reader must know of one that differs."""
        if self.by_chance:
            return f"{self.verdict} (chance?)"
        slight = self.verdict == DIFFERS and self.equivalent
        return f"{self.verdict} slightly" if slight else self.verdict


@dataclass(frozen=True, kw_only=True)
class Row(Answer):
    """One experiment on both sides, in per cent and points; None for what cannot be computed.

    means, n, failed, runs: of (a, b); n counts the runs that the means are of.
    std: of one run, moderated; degrees: of freedom of the interval.
    tolerance: the largest difference that does not matter.
    apart, apart_by_seeds: on how many images two runs disagree, a mean: one run of each side, two
    of the same; of different seeds, as equal ones begin alike, where there are such.
    also: in what else the sides differ.
    """

    experiment: str
    metric: str
    protocol: str
    means: tuple[float, float]
    n: tuple[int, int]
    failed: tuple[int, int]
    standard_error: float | None
    degrees: float
    std: float | None
    tolerance: float
    apart: float | None
    apart_by_seeds: float | None
    also: tuple[str, ...]
    runs: tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Together(Answer):
    """All experiments in one, in tolerances: a difference of 1 is as large as the tolerance.

    between: how far the experiments' true differences lie apart, a standard deviation.
    """

    experiments: int
    between: float


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An experiment that runs of one side failed in, and the other side finished.

    side: the label of the side that failed. failed, diverged: how many of its runs, and how many of
    these as their loss was not finite. finished: how many of its runs finished none the less.
    differs: whether this is a difference in accuracy.
    """

    experiment: str
    side: str
    failed: int
    diverged: int
    finished: int
    differs: bool


@dataclass(frozen=True)
class Comparison:
    """Two sides, by their labels, a row per experiment that both finished, and all together.

    lost: the experiments that one side finished and the other only failed in (`repro verify`: or
    failed in here at all).
    """

    a: str
    b: str
    rows: tuple[Row, ...]
    together: Together | None
    lost: tuple[Lost, ...] = ()

    @property
    def said(self) -> list[Answer]:
        return [*self.rows, *([self.together] if self.together else [])]

    @property
    def differs(self) -> bool:
        """Whether something differs that is not expected by chance among so many, or diverged."""
        said = any(one.verdict == DIFFERS and not one.by_chance for one in self.said)
        return said or any(one.differs for one in self.lost)


def compare(
    pairs: Iterable[Pair], every: Sequence[tuple[spec.Experiment, Sequence[Run]]], prior: Prior
) -> list[Comparison]:
    """A comparison for each pair with runs on both sides of any experiment, finished on one.

    every: each experiment with its runs, all of one scale; prior: the spread at that scale.
    Raises DataError for a run that measured nan.
    """
    made = []
    for pair in pairs:
        rows = [row for each in every if (row := _row(pair, *each, prior))]
        lost = [one for each in every if (one := _lost(pair, *each))]
        if rows or lost:
            a, b = pair.a.label, pair.b.label
            made.append(Comparison(a, b, tuple(rows), together(rows), tuple(lost)))
    return _corrected(made)


def _corrected(made: Sequence[Comparison]) -> list[Comparison]:
    """Marks what would not differ after Holm's correction for all that is said."""
    said = [one for comparison in made for one in comparison.said if one.p is not None]
    corrected = holm([one.p for one in said])
    chance = {
        id(one)
        for one, p in zip(said, corrected, strict=True)
        if one.verdict == DIFFERS and p > 1 - CONFIDENCE
    }

    def marked(one):
        return replace(one, by_chance=True) if id(one) in chance else one

    return [replace(c, rows=tuple(map(marked, c.rows)), together=marked(c.together)) for c in made]


def answer(difference: float, unsure: Uncertainty | None, tolerance: float) -> Answer:
    """What a difference with this uncertainty says.

    `differs` when its 95 % interval excludes 0; else `equivalent`; else, and without any,
    `inconclusive`. It is equivalent when two one-sided tests of 95 % reject that it is as
    large as the tolerance, that is, when its 90 % interval lies within (Schuirmann 1987). A small
    difference may be that and differ.
    """
    if unsure is None:
        return Answer(difference=difference)
    half, apart = unsure.half_width(), abs(difference)
    equivalent = apart + unsure.half_width(INSIDE) <= tolerance + ROUNDING
    stands = EQUIVALENT if equivalent else INCONCLUSIVE
    return Answer(
        difference=difference,
        low=difference - half,
        high=difference + half,
        p=unsure.p(difference),
        verdict=DIFFERS if apart > half + ROUNDING else stands,
        equivalent=equivalent,
    )


def together(rows: Sequence[Row]) -> Together | None:
    """The random-effects mean of the differences in tolerances; None below two of them."""
    rows = [row for row in rows if row.standard_error]
    if len(rows) < 2:
        return None
    mean = random_effects(
        [row.difference / row.tolerance for row in rows],
        [row.standard_error / row.tolerance for row in rows],
    )
    said = answer(mean.mean, Uncertainty(mean.error, mean.degrees), 1.0)
    return Together(experiments=len(rows), between=mean.between, **vars(said))


def measure(experiment: spec.Experiment) -> spec.Reported:
    """The number whose metric is compared; its value is nan where the paper reports none."""
    first = next(iter(experiment.reported), None)
    if first and per_cent(first.metric):
        return first
    return spec.Reported("test_error", math.nan, "", protocol=experiment.protocols[0])


def _row(pair: Pair, experiment: spec.Experiment, runs: Sequence[Run], prior: Prior) -> Row | None:
    number = measure(experiment)
    metric, protocol = number.metric, number.protocol
    blocks = sides.blocks(pair, runs, metric, protocol)
    if not blocks:
        return None
    means, weight = _means(blocks, metric, protocol)
    counted = tuple([run for block in blocks for run in block[k]] for k in (0, 1))
    lost = [run for run in runs if not run.record["result"]]
    kinds = {_kind(run) for side in counted for run in side}
    ended = [*counted[0], *counted[1], *(run for run in lost if _kind(run) in kinds)]
    tested = images_of_group((run.record for run in ended), experiment, metric, protocol)
    std, degrees = _spread(blocks, number, fmean(means), tested, prior)
    unsure = None if std is None else Uncertainty(std / math.sqrt(weight), degrees)
    tolerance = _tolerance(number, means, runs[0].record["run"]["scale"])
    said = answer(means[1] - means[0], unsure, tolerance)
    apart, apart_by_seeds = _apart(blocks, number)
    return Row(
        **vars(said),
        experiment=experiment.name,
        metric=metric,
        protocol=protocol,
        means=means,
        n=tuple(map(len, counted)),
        failed=tuple(sum(map(side.has, lost)) for side in (pair.a, pair.b)),
        standard_error=unsure and unsure.error,
        degrees=degrees,
        std=std,
        tolerance=tolerance,
        apart=apart,
        apart_by_seeds=apart_by_seeds,
        also=tuple(sides.differences(pair, blocks)),
        runs=tuple(tuple(run.record["run"]["id"] for run in side) for side in counted),
    )


def _lost(pair: Pair, experiment: spec.Experiment, runs: Sequence[Run]) -> Lost | None:
    """What one side finished and the other only failed in; None for what is not so."""
    finished = [run for run in runs if run.record["result"]]
    for side, other in ((pair.a, pair.b), (pair.b, pair.a)):
        if any(map(other.has, finished)) and not any(map(side.has, finished)):
            failed = [run.record for run in runs if side.has(run)]
            if failed:
                return failing(side.label, experiment, failed)
    return None


def failing(
    side: str, experiment: spec.Experiment, failed: Sequence[dict], finished: int = 0
) -> Lost:
    """What the records of `failed` runs of a side say; it differs where one of them diverged."""
    count = sum(diverged(record, experiment) for record in failed)
    return Lost(
        experiment=experiment.name,
        side=side,
        failed=len(failed),
        diverged=count,
        finished=finished,
        differs=count > 0,
    )


def _kind(run: Run) -> tuple[str, ...]:
    return tuple(run.traits[name] for name in MATCHED)


def _means(
    blocks: Sequence[Block], metric: str, protocol: str
) -> tuple[tuple[float, float], float]:
    """The means of both sides, and the weight of their difference: its variance is s^2 / weight.

    A block of n and m runs has the weight 1 / (1/n + 1/m), so that the difference is that of least
    squares with an effect for each block.
    """
    weights = [len(a) * len(b) / (len(a) + len(b)) for a, b in blocks]
    means = []
    for k in (0, 1):
        of_blocks = [fmean(_values(block[k], metric, protocol)) for block in blocks]
        weighted = sum(w * mean for w, mean in zip(weights, of_blocks, strict=True))
        means.append(weighted / sum(weights))
    return tuple(means), sum(weights)


def _spread(
    blocks: Sequence[Block],
    number: spec.Reported,
    error: float,
    tested: int | None,
    prior: Prior,
) -> tuple[float | None, float]:
    """The moderated standard deviation of one run, and its degrees of freedom.

    s^2 = (d0 s0^2 + sum of (n_i - 1) s_i^2) / (d0 + sum of (n_i - 1)), over the sides of all blocks
    with n_i runs of variance s_i^2; s0^2 and d0 are what `prior` says at this error, measured on
    `tested` images. Without a number of these (see `images_of_group`) d0 is 0.
    """
    metric, protocol = number.metric, number.protocol
    cells = [_values(side, metric, protocol) for block in blocks for side in block]
    degrees = sum(len(cell) - 1 for cell in cells)
    pooled = sum((len(cell) - 1) * variance(cell) for cell in cells if len(cell) > 1)
    std = math.sqrt(pooled / degrees) if degrees else None
    return prior.moderated(std, degrees + 1, error, tested)


def _tolerance(number: spec.Reported, means: tuple[float, float], scale: str) -> float:
    """That of a verdict; where no paper's number is for these runs, the same of the mean."""
    if scale == "paper" and not math.isnan(number.value):
        return verdict.tolerance(number)
    return verdict.tolerance(replace(number, value=fmean(means)))


def _values(runs: Sequence[Run], metric: str, protocol: str) -> list[float]:
    return [value(run.record, metric, protocol) for run in runs]


def _apart(blocks: Sequence[Block], number: spec.Reported) -> tuple[float | None, float | None]:
    """On how many images a run of one side and one of the other disagree; and two of the same.

    Runs with the same seed begin from the same weights, so across the sides only different seeds
    are held against each other, as within a side, where there are such.
    """
    if number.metric != "test_error":
        return None, None
    across = [pair for block in blocks for pair in product(*block)]
    within = [pair for block in blocks for side in block for pair in combinations(side, 2)]
    apart = _disagreement([(a, b) for a, b in across if a.seed != b.seed], number.protocol)
    if apart is None:
        apart = _disagreement(across, number.protocol)
    return apart, _disagreement(within, number.protocol)


def _disagreement(pairs: Iterable[tuple[Run, Run]], protocol: str) -> float | None:
    """The mean over the pairs of runs that keep their images, in the same order."""
    counts = []
    for one, other in pairs:
        which = scored(one.record, protocol)
        if which and which == scored(other.record, protocol):
            pair = (wrong(run.record, protocol) for run in (one, other))
            counts.append(images.disagreement(*pair))
    return fmean(counts) if counts else None
