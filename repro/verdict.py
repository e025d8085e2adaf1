"""The statistics of "reproduced": does the paper's number come out?

Metrics are errors in per cent, so lower is better. Only `paper` runs are held against a paper, and
runs are pooled only when nothing but the seed tells them apart.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from repro import spec
from repro.errors import DataError, UsageError

CONFIDENCE = 0.95
FEWEST_RUNS = 3
TOLERANCE_POINTS = 0.2  # an interval wider than this and than the next is no answer
TOLERANCE_SHARE = 0.1  # of the reported error
ROUNDING = 1e-9  # points; what binary fractions add to a sum of errors decides nothing

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
class Group:
    """All that runs of one experiment and scale must share to be pooled.

    `path` is the code path, such as "tensorflow single on CPU". `stale`: made with a recipe that
    the catalog no longer has.
    """

    overrides: tuple[str, ...]
    precision: str
    path: str
    digest: str
    stale: bool

    @property
    def plain(self) -> bool:
        """Whether the runs did what the recipe says, in full precision."""
        return not (self.overrides or self.stale) and self.precision == "float32"

    def __str__(self) -> str:
        parts = [*self.overrides, self.path]
        if self.precision != "float32":
            parts.append(self.precision)
        if self.stale:
            parts.append(f"recipe {self.digest}")
        return ", ".join(parts)


# ---------------------------------------------------------------------------- one verdict


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


def prediction_half_width(std: float, n: int) -> float:
    """Half the width of the interval in which one more run falls with 95 % confidence."""
    return _t(n - 1) * std * math.sqrt(1 + 1 / n)


def welch_half_width(std_a: float, n_a: int, std_b: float, n_b: int) -> float:
    """Half the width of Welch's 95 % interval of the difference of two means.

    The degrees of freedom are those of Welch and Satterthwaite. 0 when neither side varies.
    """
    a, b = std_a**2 / n_a, std_b**2 / n_b
    if a + b == 0:
        return 0.0
    freedom = (a + b) ** 2 / (a**2 / (n_a - 1) + b**2 / (n_b - 1))
    return _t(freedom) * math.sqrt(a + b)


def _t(freedom: float) -> float:
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


# ---------------------------------------------------------------------------- which runs belong


def groups(
    records: Iterable[dict], experiment: spec.Experiment, scale: str
) -> dict[Group, list[dict]]:
    """The runs of `experiment` at `scale` by what they share, each seed once.

    When a seed was run again the run that finished first stays, so that nobody can choose. Plain
    groups come first, those with most seeds before the others; stale ones come last.
    """
    found: dict[Group, dict[int, dict]] = {}
    for record in sorted(records, key=_finished):
        run = record["run"]
        if run["experiment"] == experiment.name and run["scale"] == scale:
            found.setdefault(_group(run, experiment), {}).setdefault(run["seed"], record)
    order = sorted(found, key=lambda g: (g.stale, not g.plain, -len(found[g]), str(g)))
    return {group: [found[group][seed] for seed in sorted(found[group])] for group in order}


def values(records: Iterable[dict], metric: str, protocol: str) -> list[float]:
    """The final `metric` (per cent) of each run that measured it. Raises DataError for nan."""
    numbers = []
    for record in records:
        number = record["result"]["metrics"].get(protocol, {}).get(metric)
        if number is None:
            continue
        if not math.isfinite(number):
            raise DataError(f"run {record['run']['id']} has a {metric} of {number}")
        numbers.append(float(number))
    return numbers


def _finished(record: dict) -> tuple[str, ...]:
    run = record["run"]
    return str(record["result"].get("finished", "")), str(run.get("started", "")), str(run["id"])


def _group(run: dict, experiment: spec.Experiment) -> Group:
    overrides = tuple(sorted(run.get("overrides", ())))
    stale = run["digest"] not in _present_digests(experiment, run.get("overrides", ()))
    return Group(overrides, run["precision"], code_path(run), run["digest"], stale)


def code_path(run: dict) -> str:
    """The code path of a run in words: "tensorflow single on CPU", "... mirrored on 2 GPU"."""
    kinds = "/".join(sorted({device.partition(":")[0] for device in run["devices"]}))
    count = f"{len(run['devices'])} " if len(run["devices"]) > 1 else ""
    return f"{run['backend']} {run['strategy']} on {count}{kinds}"


def _present_digests(experiment: spec.Experiment, overrides: Iterable[str]) -> set[str]:
    present = {spec.digest(experiment)}
    try:
        present.add(spec.digest(spec.override(experiment, list(overrides))))
    except UsageError:  # the key is gone, so the recipe of that run is too
        present.clear()
    return present


# ---------------------------------------------------------------------------- the table


def table(records: Sequence[dict], experiments: Iterable[spec.Experiment]) -> list[dict]:
    """One row per experiment, reported number and group of paper-scale runs.

    Keys: experiment, metric, protocol, reported, mean, std, n, difference, verdict, low, high
    (the interval of `Judgement`), source, chosen, group, seeds, main. The one row with `main` per
    experiment and number speaks for the experiment: plain runs of the code path with most seeds.
    The others are variations, or stale (made with a former recipe; never judged). An experiment
    without a reported number has its first protocol's test error listed, not judged.
    """
    rows = []
    for experiment in experiments:
        grouped = groups(records, experiment, "paper")
        for number in experiment.reported or (None,):
            mine = [_row(experiment, number, group, runs) for group, runs in grouped.items()]
            plain = bool(grouped) and next(iter(grouped)).plain
            if plain:
                mine[0]["main"] = True
            else:
                mine.insert(0, {**_row(experiment, number, None, []), "main": True})
            rows += mine
    return rows


def _row(
    experiment: spec.Experiment, number: spec.Reported | None, group: Group | None, runs: list
) -> dict:
    asked = number or spec.Reported("test_error", math.nan, "", protocol=experiment.protocols[0])
    found = values(runs, asked.metric, asked.protocol)
    judgement = judge(found, asked)
    verdict, difference = judgement.verdict, judgement.difference
    low, high = judgement.low, judgement.high
    if number is None and verdict != NOT_RUN:
        verdict, difference, low, high = NOTHING_REPORTED, None, None, None
    if group is not None and group.stale:
        verdict, difference, low, high = STALE, None, None, None
    return {
        "experiment": experiment.name,
        "metric": asked.metric,
        "protocol": asked.protocol,
        "reported": number.value if number else None,
        "mean": judgement.mean,
        "std": judgement.std,
        "n": judgement.n,
        "difference": difference,
        "verdict": verdict,
        "low": low,
        "high": high,
        "source": asked.source,
        "chosen": asked.chosen,
        "group": str(group) if group else "",
        "seeds": [record["run"]["seed"] for record in runs],
        "main": False,
    }


def fell_short(rows: Iterable[dict]) -> bool:
    """Whether any experiment's own row says `worse` (exit code 1 of the command line)."""
    return any(row["main"] and row["verdict"] == "worse" for row in rows)


# ---------------------------------------------------------------------------- regression bands


def check_bands(records: Sequence[dict], experiments: Iterable[spec.Experiment]) -> list[str]:
    """One line for each mean of plain runs that lies outside a band of its experiment."""
    problems = []
    for experiment in experiments:
        for band in experiment.bands:
            for group, runs in groups(records, experiment, band.scale).items():
                found = values(runs, band.metric, band.protocol)
                if not (group.plain and found) or band.low <= fmean(found) <= band.high:
                    continue
                problems.append(
                    f"{experiment.name}: {band.metric} at {band.scale} scale is "
                    f"{fmean(found):.3f} % over {len(found)} runs ({group}), outside "
                    f"{band.low:g} to {band.high:g} % ({band.source})"
                )
    return problems
