"""The statistics of "reproduced": does the paper's number come out?

Metrics are errors in per cent, or what a probe measures; lower is better. Only `paper` runs are
held against a paper, and runs are pooled only when they share recipe, code path and versions, and
differ in the seed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from repro import spec
from repro.judging.groups import failed, groups
from repro.judging.measures import unit, value, values
from repro.judging.statistics import ROUNDING, prediction_half_width, welch_half_width

FEWEST_RUNS = 3
TOLERANCE_POINTS = 0.2  # an interval wider than this and than the next is no answer
TOLERANCE_SHARE = 0.1  # of the reported error
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
        return Judgement("inconclusive", 1, mean, difference=difference)
    std = stdev(values)
    if reported.std is not None and (reported.runs or 0) > 1:
        half = welch_half_width(std, n, reported.std, reported.runs)
    else:
        half = prediction_half_width(std, n)
    widest = max(TOLERANCE_POINTS, TOLERANCE_SHARE * reported.value)
    if n < FEWEST_RUNS or half > widest + ROUNDING:
        verdict = "inconclusive"
    elif abs(difference) <= half + ROUNDING:
        verdict = "reproduced"
    else:
        verdict = "worse" if difference > 0 else "better"
    return Judgement(verdict, n, mean, std, difference, mean - half, mean + half)


def table(records: Sequence[dict], experiments: Iterable[spec.Experiment]) -> list[dict]:
    """One row per experiment, reported number and group of paper-scale runs.

    Keys: experiment, metric, protocol, reported, reported_std (the paper's own spread, where it
    gives one), mean, std, n, failed, difference, verdict, low, high (the interval of `Judgement`),
    source, chosen, group, seeds, runs (the ids of those that were judged), main. The one row with
    `main` per experiment and number speaks for the experiment: plain runs of the stack with most
    seeds, the newest of equal ones. The others are variations, other stacks, or stale (made with a
    former recipe; never judged). An experiment without a reported number has its first protocol's
    test error listed, not judged. Runs that failed are counted in `failed` and nowhere else.
    """
    rows = []
    for experiment in experiments:
        done = groups(records, experiment, "paper")
        broken = failed(records, experiment, "paper")
        order = sorted({**done, **broken}, key=lambda group: (group.stale, not group.plain))
        labels = {group: group.label(order) for group in order}
        for number in experiment.reported or (None,):
            mine = []
            for group in order:
                runs, lost = done.get(group, []), len(broken.get(group, ()))
                row = _row(experiment, number, runs, group.stale)
                mine.append({**row, "group": labels[group], "failed": lost})
            if not (order and order[0].plain):
                mine.insert(0, _row(experiment, number, []))
            mine[0]["main"] = True
            rows += mine
    return rows


def _row(
    experiment: spec.Experiment, number: spec.Reported | None, runs: list, stale: bool = False
) -> dict:
    asked = number or spec.Reported("test_error", math.nan, "", protocol=experiment.protocols[0])
    measured = [(run, value(run, asked.metric, asked.protocol)) for run in runs]
    measured = [(run["run"], error) for run, error in measured if error is not None]
    judgement = judge([error for _, error in measured], asked)
    verdict, difference = judgement.verdict, judgement.difference
    low, high = judgement.low, judgement.high
    if number is None and verdict != NOT_RUN:
        verdict, difference, low, high = NOTHING_REPORTED, None, None, None
    if stale:
        verdict, difference, low, high = STALE, None, None, None
    return {
        "experiment": experiment.name,
        "metric": asked.metric,
        "protocol": asked.protocol,
        "reported": number.value if number else None,
        "reported_std": number.std if number else None,
        "mean": judgement.mean,
        "std": judgement.std,
        "n": judgement.n,
        "failed": 0,
        "difference": difference,
        "verdict": verdict,
        "low": low,
        "high": high,
        "source": asked.source,
        "chosen": asked.chosen,
        "group": "",
        "seeds": [run["seed"] for run, _ in measured],
        "runs": [run["id"] for run, _ in measured],
        "main": False,
    }


def fell_short(rows: Iterable[dict], runs: Iterable[str] | None = None) -> bool:
    """Whether a row says `worse` (exit code 1 of the command line).

    Those that count are each experiment's own rows or, where the ids of `runs` are given, the rows
    that these runs were judged in.
    """
    wanted = None if runs is None else set(runs)
    counted = (r for r in rows if (r["main"] if wanted is None else wanted & set(r["runs"])))
    return any(row["verdict"] == "worse" for row in counted)


def of_runs(rows: Iterable[dict]) -> dict[str, str]:
    """Run id -> verdict on the first number of its experiment, for the runs that speak for it."""
    first: dict[str, dict] = {}
    for row in rows:
        if row["main"]:
            first.setdefault(row["experiment"], row)
    return {run: row["verdict"] for row in first.values() for run in row["runs"]}


def check_bands(records: Sequence[dict], experiments: Iterable[spec.Experiment]) -> list[str]:
    """One line for each mean of plain runs that lies outside a band of its experiment."""
    problems = []
    for experiment in experiments:
        for band in experiment.bands:
            grouped = groups(records, experiment, band.scale)
            for group, runs in grouped.items():
                found = values(runs, band.metric, band.protocol)
                if not (group.plain and found) or band.low <= fmean(found) <= band.high:
                    continue
                sign = unit(band.metric)
                problems.append(
                    f"{experiment.name}: {band.metric} at {band.scale} scale is "
                    f"{fmean(found):.3f}{sign} over {len(found)} run{'s' * (len(found) > 1)} "
                    f"({group.label(grouped)}), outside {band.low:g} to {band.high:g}{sign} "
                    f"({band.source})"
                )
    return problems
