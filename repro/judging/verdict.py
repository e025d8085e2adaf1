"""The statistics of "reproduced": does the paper's number come out?

Metrics are errors in per cent, or what a probe measures; lower is better. Only `paper` runs are
held against a paper, and runs are pooled only when they share recipe, code path and versions, and
differ in the seed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from repro import spec
from repro.judging.groups import failed, groups
from repro.judging.measures import measured
from repro.judging.statistics import ROUNDING, prediction_half_width, welch_half_width

FEWEST_RUNS = 3
TOLERANCE_POINTS = 0.2  # an interval wider than this and than the next is no answer
TOLERANCE_SHARE = 0.1  # of the reported error
REPRODUCED, BETTER, WORSE = "reproduced", "better", "worse"
INCONCLUSIVE = "inconclusive"
NOT_RUN = "not run"
NOTHING_REPORTED = "nothing reported"
STALE = "stale"


@dataclass(frozen=True)
class Judgement:
    """A verdict and its figures, in per cent or points; None where they cannot be computed.

    `difference` is mean - reported; `low` and `high` enclose the reported values that count as
    reproduced.
    """

    verdict: str
    n: int
    mean: float | None = None
    std: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class VerdictRow:
    """An experiment, one of its reported numbers, and a group of runs held against it.

    reported, reported_std: the number and the paper's own spread, where it gives one.
    failed: how many runs of the group failed; they are counted nowhere else.
    low, high: the interval of `Judgement`. chosen: how the paper chose its number.
    group: the group in words. seeds, runs: those that were judged, runs by their ids.
    main: whether the row speaks for the experiment.
    """

    experiment: str
    metric: str
    protocol: str
    reported: float | None
    reported_std: float | None
    mean: float | None
    std: float | None
    n: int
    failed: int
    difference: float | None
    verdict: str
    low: float | None
    high: float | None
    source: str
    chosen: str
    group: str
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    main: bool
    number: spec.Reported | None = field(default=None, metadata={"json": False})


def judge(values: Sequence[float], reported: spec.Reported) -> Judgement:
    """The verdict on one reported number, from one measured value per seed (per cent).

    With n values of mean m and standard deviation s the half-width of the interval is
    t(0.975, n-1) s sqrt(1 + 1/n), or that of Welch's interval of the difference where the paper
    gives its own spread over two runs or more. `inconclusive` with fewer than three values or a
    half-width above the larger of 0.2 points and a tenth of the reported error; else `reproduced`
    when the reported value lies within m +- half-width; else `better` or `worse`.
    """
    n = len(values)
    if n == 0:
        return Judgement(NOT_RUN, 0)
    mean = fmean(values)
    difference = mean - reported.value
    if n == 1:
        return Judgement(INCONCLUSIVE, 1, mean, difference=difference)
    std = stdev(values)
    half = half_width(std, n, reported)
    if n < FEWEST_RUNS or half > widest(reported) + ROUNDING:
        verdict = INCONCLUSIVE
    elif abs(difference) <= half + ROUNDING:
        verdict = REPRODUCED
    else:
        verdict = WORSE if difference > 0 else BETTER
    return Judgement(verdict, n, mean, std, difference, mean - half, mean + half)


def half_width(std: float, n: int, reported: spec.Reported) -> float:
    """Half the width of the interval that n values with this standard deviation have."""
    if reported.std is not None and (reported.runs or 0) > 1:
        return welch_half_width(std, n, reported.std, reported.runs)
    return prediction_half_width(std, n)


def widest(reported: spec.Reported) -> float:
    """The largest half-width of an interval that still answers."""
    return max(TOLERANCE_POINTS, TOLERANCE_SHARE * reported.value)


def table(records: Sequence[dict], experiments: Iterable[spec.Experiment]) -> list[VerdictRow]:
    """One row per experiment, reported number and group of paper-scale runs.

    The one row with `main` per experiment and number speaks for the experiment: plain runs of the
    stack with most seeds, the newest of equal ones. The others are variations, other stacks, or
    stale (made with a former recipe; never judged). An experiment without a reported number has
    its first protocol's test error listed, not judged.
    """
    rows = []
    for experiment in experiments:
        done = groups(records, experiment, "paper")
        broken = failed(records, experiment, "paper")
        order = sorted({**done, **broken}, key=lambda group: (group.stale, not group.plain))
        for number in experiment.reported or (None,):
            mine = []
            for group in order:
                row = _row(experiment, number, done.get(group, []), group.stale)
                lost = len(broken.get(group, ()))
                mine.append(replace(row, group=group.label(order), failed=lost))
            if not (order and order[0].plain):
                mine.insert(0, _row(experiment, number, []))
            mine[0] = replace(mine[0], main=True)
            rows += mine
    return rows


def _row(
    experiment: spec.Experiment, number: spec.Reported | None, runs: list, stale: bool = False
) -> VerdictRow:
    asked = number or spec.Reported("test_error", math.nan, "", protocol=experiment.protocols[0])
    counted = measured(runs, asked.metric, asked.protocol)
    judgement = judge([number for _, number in counted], asked)
    if number is None and judgement.n:
        judgement = _not_judged(judgement, NOTHING_REPORTED)
    if stale:
        judgement = _not_judged(judgement, STALE)
    return VerdictRow(
        experiment=experiment.name,
        metric=asked.metric,
        protocol=asked.protocol,
        reported=number.value if number else None,
        reported_std=number.std if number else None,
        mean=judgement.mean,
        std=judgement.std,
        n=judgement.n,
        failed=0,
        difference=judgement.difference,
        verdict=judgement.verdict,
        low=judgement.low,
        high=judgement.high,
        source=asked.source,
        chosen=asked.chosen,
        group="",
        seeds=tuple(run["seed"] for run, _ in counted),
        runs=tuple(run["id"] for run, _ in counted),
        main=False,
        number=number,
    )


def _not_judged(judgement: Judgement, verdict: str) -> Judgement:
    return replace(judgement, verdict=verdict, difference=None, low=None, high=None)


def fell_short(rows: Iterable[VerdictRow], runs: Iterable[str] | None = None) -> bool:
    """Whether a row says `worse` (exit code 1 of the command line).

    Those that count are each experiment's own rows or, where the ids of `runs` are given, the rows
    that these runs were judged in.
    """
    wanted = None if runs is None else set(runs)
    counted = (row for row in rows if (row.main if wanted is None else wanted & set(row.runs)))
    return any(row.verdict == WORSE for row in counted)


def of_runs(rows: Iterable[VerdictRow]) -> dict[str, str]:
    """Run id -> verdict on the first number of its experiment, for the runs that speak for it."""
    first: dict[str, VerdictRow] = {}
    for row in rows:
        if row.main:
            first.setdefault(row.experiment, row)
    return {run: row.verdict for row in first.values() for run in row.runs}
