"""The statistics of "reproduced": does the paper's number come out?

Metrics are errors in per cent, or what a probe measures; lower is better. Only `paper` runs are
held against a paper, and runs are pooled only when they share recipe, code path and versions, and
differ in the seed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
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

PASSES_TO = "passes_to_"


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

    `path` is the code path, such as "tensorflow single on CPU"; `compiler` what its updates are
    compiled with; `versions` are those of Keras and its backend, as (name, version) pairs: a change
    of any may change accuracy, and must not hide among former runs. `examples`: how many were
    trained on, since some sets may be here in part. `stale`: made with a recipe
    that the catalog no longer has.
    """

    overrides: tuple[str, ...]
    precision: str
    path: str
    compiler: str
    versions: tuple[tuple[str, str], ...]
    digest: str
    stale: bool
    examples: int = 0

    @property
    def plain(self) -> bool:
        """Whether the runs did what the recipe says, in full precision."""
        return not (self.overrides or self.stale) and self.precision == "float32"

    @property
    def stack(self) -> tuple:
        """What runs of different experiments must share to be compared."""
        return self.path, self.versions

    def label(self, among: Iterable["Group"]) -> str:
        """The group in words; compiler and versions only where those `among` differ in them."""
        among = list(among)
        parts = [*self.overrides, self.path]
        if self.precision != "float32":
            parts.append(self.precision)
        if self.stale:
            parts.append(f"recipe {self.digest}")
        if self.compiler and len({group.compiler for group in among}) > 1:
            parts.append(f"compiled by {self.compiler}")
        if len({group.examples for group in among}) > 1:
            parts.append(f"{self.examples:,} training images")
        if len({group.versions for group in among}) > 1:
            parts += [f"{name} {version}" for name, version in self.versions]
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
    """The finished runs of `experiment` at `scale` by what they share, each seed once.

    When a seed was run again the run that finished first stays, so that nobody can choose. Plain
    groups come first, those with most seeds before the others and among equal ones the newest;
    stale ones come last.
    """
    found: dict[Group, dict[int, dict]] = {}
    done = [record for record in _of(records, experiment, scale) if record["result"]]
    for record in sorted(done, key=finished):
        run = record["run"]
        found.setdefault(group_of(run, experiment), {}).setdefault(run["seed"], record)
    newest = sorted(found, key=lambda g: max(map(finished, found[g].values())), reverse=True)
    order = sorted(newest, key=lambda g: (g.stale, not g.plain, -len(found[g])))
    return {group: [found[group][seed] for seed in sorted(found[group])] for group in order}


def stacks(
    records: Sequence[dict], experiments: Iterable[spec.Experiment], scale: str
) -> dict[tuple, dict[str, list[dict]]]:
    """The plain runs at `scale` by stack, then by experiment: those that may be compared."""
    found: dict[tuple, dict[str, list[dict]]] = {}
    for experiment in experiments:
        for group, runs in groups(records, experiment, scale).items():
            if group.plain:
                found.setdefault(group.stack, {}).setdefault(experiment.name, runs)
    return found


def failed(
    records: Iterable[dict], experiment: spec.Experiment, scale: str
) -> dict[Group, list[dict]]:
    """The runs of `experiment` at `scale` that failed, such as those that diverged, by group."""
    found: dict[Group, list[dict]] = {}
    for record in _of(records, experiment, scale):
        if not record["result"]:
            found.setdefault(group_of(record["run"], experiment), []).append(record)
    return found


def seed_before(record: dict, records: Iterable[dict], experiment: spec.Experiment) -> dict | None:
    """The run that counts in the place of `record`: same group and seed, finished before it."""
    run = record["run"]
    same = groups(records, experiment, run["scale"]).get(group_of(run, experiment), ())
    first = next((other for other in same if other["run"]["seed"] == run["seed"]), record)
    return None if first["run"]["id"] == run["id"] else first


def per_cent(metric: str) -> bool:
    """Whether `metric` is in per cent, and its differences in points: errors are."""
    return metric.endswith("error")


def unit(metric: str) -> str:
    """What follows a value of `metric`: " %", or nothing."""
    return " %" if per_cent(metric) else ""


def values(records: Iterable[dict], metric: str, protocol: str) -> list[float]:
    """The final `metric` of each run that measured it. Raises DataError for nan."""
    numbers = (value(record, metric, protocol) for record in records)
    return [number for number in numbers if number is not None]


def value(record: dict, metric: str, protocol: str) -> float | None:
    """The final `metric` of one run, None where it has none. Raises DataError for nan.

    The `running_error` is that seen while training in the last pass, whatever the protocol;
    `passes_to_25` says after how many passes it was 25 %, infinite for never.
    """
    if metric.startswith(PASSES_TO):
        return passes_to(float(metric.removeprefix(PASSES_TO)), record)
    number = ((record["result"] or {}).get("metrics") or {}).get(protocol, {}).get(metric)
    if number is None and metric == "running_error" and record["result"] and record["passes"]:
        number = record["passes"][-1].get(metric)
    if number is None:
        return None
    if not math.isfinite(number):
        raise DataError(f"run {record['run']['id']} has a {metric} of {number}")
    return float(number)


def passes_to(error: float, record: dict) -> float | None:
    """After how many passes of a finished run the running error fell to `error` per cent.

    Between the middles of two passes it goes by a straight line. Infinite where it never fell so
    far, None where the run is not finished.
    """
    if not record["result"]:
        return None
    before = None
    for middle, seen in running_errors(record):
        if seen <= error:
            if before is None:
                return middle
            then, higher = before
            return middle - (middle - then) * (error - seen) / (higher - seen)
        before = middle, seen
    return math.inf


def running_errors(record: dict) -> list[tuple[float, float]]:
    """(passes, running error in per cent) of a run: that of a pass, a mean, at its middle."""
    ends = [0, *(line["update"] for line in record["passes"])]
    middles = [(start + end) / 2 / ends[1] for start, end in pairwise(ends)]
    errors = [line["running_error"] for line in record["passes"]]
    return list(zip(middles, errors, strict=True))


def finished(record: dict) -> tuple[str, ...]:
    """What finished runs are ordered by: time, and the id where that is the same."""
    run = record["run"]
    return str(record["result"].get("finished", "")), str(run.get("started", "")), str(run["id"])


def _of(records: Iterable[dict], experiment: spec.Experiment, scale: str) -> list[dict]:
    wanted = (experiment.name, scale)
    return [r for r in records if (r["run"]["experiment"], r["run"]["scale"]) == wanted]


def group_of(run: dict, experiment: spec.Experiment) -> Group:
    """The group that a run of `experiment`, as in run.json, belongs to."""
    versions = run.get("versions", {})
    return Group(
        overrides=tuple(sorted(run.get("overrides", ()))),
        precision=run["precision"],
        path=code_path(run),
        compiler=run.get("compiler") or "",
        versions=tuple((k, versions[k]) for k in ("keras", run["backend"]) if k in versions),
        digest=run["digest"],
        stale=run["digest"] != _present_digest(experiment, run.get("overrides", ())),
        examples=run.get("data", {}).get("train_examples", 0),
    )


def code_path(run: dict) -> str:
    """The code path of a run in words: "tensorflow single on CPU", "... mirrored on 2 GPU"."""
    kinds = "/".join(sorted({device.partition(":")[0] for device in run["devices"]}))
    count = f"{len(run['devices'])} " if len(run["devices"]) > 1 else ""
    return f"{run['backend']} {run['strategy']} on {count}{kinds}"


def _present_digest(experiment: spec.Experiment, overrides: Iterable[str]) -> str | None:
    try:
        return spec.digest(spec.override(experiment, list(overrides)))
    except UsageError:  # the key is gone, so the recipe of that run is too
        return None


# ---------------------------------------------------------------------------- the table


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


# ---------------------------------------------------------------------------- regression bands


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
