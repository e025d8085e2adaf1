"""The papers' claims: statements that order experiments, judged from the recorded runs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import pairwise
from statistics import fmean, stdev

from repro import backends, catalog, spec
from repro.judging import groups, measures, statistics, verdict
from repro.machine import has_gpu

HOLDS = "holds"
FAILS = "does not hold"
OPEN = "inconclusive"


@dataclass(frozen=True)
class ClaimStep:
    """Two experiments of a claim: by how much the mean falls from `higher` to `lower`.

    Where the claim compares differences, `higher` and `lower` are "a − b" each. means: of the two,
    with None for one that cannot be formed. n: how many runs of each experiment, in the order of
    their names. low, high: the interval.
    """

    higher: str
    lower: str
    means: tuple[float | None, float | None]
    n: tuple[int, ...]
    effect: float | None
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class JudgedClaim:
    """How a claim stands.

    claim: its name. unit: that of the effect, "points", "times", or "" for the fall of what is not
    in per cent. scale: that of the runs, "" where nothing ran. verdict: holds, does not hold,
    inconclusive or not run. effect, low, high: of the step that decides. n: how many runs of each
    experiment at that scale. missing: those without one.
    """

    claim: str
    statement: str
    source: str
    metric: str
    protocol: str
    unit: str
    margin: float
    times: float | None
    scale: str
    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    steps: tuple[ClaimStep, ...]
    n: dict[str, int]
    missing: tuple[str, ...]

    @property
    def decides(self) -> ClaimStep | None:
        """Of the steps with the claim's own verdict, that with the smallest effect."""
        steps = [s for s in self.steps if s.verdict == self.verdict and s.effect is not None]
        return min(steps, key=lambda step: step.effect, default=None)


def judge(
    claim: spec.Claim,
    records: Sequence[dict],
    experiments: Iterable[spec.Experiment] | None = None,
    scale: str | None = None,
) -> JudgedClaim:
    """How `claim` stands, from runs of one scale and one stack that nothing was changed in.

    A stack is a code path with the versions of Keras and its backend.

    The claim is a chain: each experiment has a lower mean than the one before it, by `margin`.
    Each step's effect is the fall of the mean, with Welch's 95 % interval; it holds when the whole
    interval is a fall of at least the margin (negative: a rise of at most as much), does not when
    none of it is, and is inconclusive otherwise, where one side has a single run, and where a run
    never came to what is measured. The chain is as good as its worst step.
    Where the claim says how many times lower, the effect is the ratio of the geometric means, and
    its interval that of the difference of the mean logarithms. Where it subtracts other experiments
    the chain is one of differences of means, each of independent runs.
    Short-scale runs speak only where the paper scale is incomplete; `scale` says so. The two are
    never mixed. With `scale` given only the runs of that scale speak.

    `experiments` are the catalog's unless given. Raises UsageError when the claim needs an
    unknown experiment.
    """
    needed = _needed(claim, experiments)
    scale, measured = _measured(claim, records, needed, (scale,) if scale else ("paper", "short"))
    steps = tuple(_step(claim, a, b, measured) for a, b in pairwise(claim.compared))
    verdicts = [step.verdict for step in steps]
    judged = JudgedClaim(
        claim=claim.name,
        statement=claim.statement,
        source=claim.source,
        metric=claim.metric,
        protocol=claim.protocol,
        unit=_unit(claim),
        margin=claim.margin,
        times=claim.times,
        scale=scale,
        verdict=next(v for v in (FAILS, verdict.NOT_RUN, OPEN, HOLDS) if v in verdicts),
        effect=None,
        low=None,
        high=None,
        steps=steps,
        n={name: len(measured.get(name, ())) for name in claim.experiments},
        missing=tuple(name for name in claim.experiments if not measured.get(name)),
    )
    step = judged.decides
    return replace(judged, effect=step.effect, low=step.low, high=step.high) if step else judged


def _unit(claim: spec.Claim) -> str:
    if claim.times is not None:
        return "times"
    return "points" if measures.per_cent(claim.metric) else ""


def words(judged: JudgedClaim) -> str:
    """The verdict of `judge` for people, who are told where it is not that of the paper's scale."""
    short = judged.scale == "short" and judged.verdict != verdict.NOT_RUN
    return judged.verdict + (" (short scale)" if short else "")


def missing(
    claim: spec.Claim,
    records: Sequence[dict],
    scale: str,
    seeds: int,
    experiments: Iterable[spec.Experiment] | None = None,
) -> dict[str, list[int]]:
    """The seeds below `seeds` to be trained for `claim`, per experiment that lacks any.

    None where one stack has as many runs of each experiment already; else those that are missing
    among the runs with the versions and the kind of device of this machine, since runs of different
    stacks are not compared.
    """
    needed = _needed(claim, experiments)
    stacks = _stacks(claim, records, needed, scale)
    for runs in stacks.values():
        if all(len(runs.get(e.name, ())) >= seeds for e in needed):
            return {}
    backend = backends.name()
    here = {name: _version(name) for name in ("keras", backend)}
    kind = "GPU" if has_gpu() else "CPU"
    ours = [
        runs
        for (path, versions), runs in stacks.items()
        if dict(versions) == here and path.startswith(f"{backend} ") and path.endswith(kind)
    ]
    most = max(ours, key=lambda runs: sum(map(len, runs.values())), default={})
    lacking = {}
    for experiment in needed:
        done = {record["run"]["seed"] for record in most.get(experiment.name, ())}
        lacking[experiment.name] = [seed for seed in range(seeds) if seed not in done]
    return {name: wanted for name, wanted in lacking.items() if wanted}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _needed(
    claim: spec.Claim, experiments: Iterable[spec.Experiment] | None
) -> list[spec.Experiment]:
    by_name = {e.name: e for e in (catalog.experiments() if experiments is None else experiments)}
    return [by_name.get(name) or catalog.experiment(name) for name in claim.experiments]


def _stacks(
    claim: spec.Claim, records: Sequence[dict], needed: Sequence[spec.Experiment], scale: str
) -> dict[tuple, dict[str, list[dict]]]:
    """The plain runs that measured the claim's metric, by stack, then by experiment.

    A seed that was run before its metric was measured, and again since, counts by the later run.
    """
    names = {experiment.name for experiment in needed}
    mine = [record for record in records if record["run"]["experiment"] in names]
    measured = [r for r in mine if measures.value(r, claim.metric, claim.protocol) is not None]
    return groups.stacks(measured, needed, scale)


def _measured(
    claim: spec.Claim,
    records: Sequence[dict],
    needed: Sequence[spec.Experiment],
    scales: Sequence[str],
) -> tuple[str, dict[str, list[float]]]:
    """The scale, and the values per experiment of the stack that serves the claim best.

    Best is complete, then at paper scale, then with most runs of the experiment that has fewest,
    then with most experiments, then the newest.
    """
    candidates = []
    for scale in scales:
        for stack in _stacks(claim, records, needed, scale).values():
            fewest = min(len(stack.get(e.name, ())) for e in needed)
            newest = max(measures.finished(run) for runs in stack.values() for run in runs)
            order = (fewest > 0, scale == "paper", fewest, len(stack), newest)
            candidates.append((order, scale, stack))
    if not candidates:
        return "", {}
    _, scale, stack = max(candidates, key=lambda candidate: candidate[0])
    metric, protocol = claim.metric, claim.protocol
    return scale, {name: measures.values(runs, metric, protocol) for name, runs in stack.items()}


def _step(
    claim: spec.Claim,
    above: tuple[str, ...],
    below: tuple[str, ...],
    measured: dict[str, list[float]],
) -> ClaimStep:
    """The step from `above` to `below`: an experiment each, or one and that to be subtracted."""
    a, b = ([measured.get(name, []) for name in names] for names in (above, below))
    means = _mean(a), _mean(b)
    about = " − ".join(above), " − ".join(below), means, tuple(map(len, (*a, *b)))
    if not all((*a, *b)):
        return ClaimStep(*about, None, None, None, verdict.NOT_RUN)
    if None in means:  # the schedule of some run was too short to tell
        return ClaimStep(*about, None, None, None, OPEN)
    if claim.times is None:
        return ClaimStep(*about, *_fall(a, b, claim.margin))
    a, b = ([list(map(math.log, x)) for x in side] for side in (a, b))  # a ratio: of logarithms
    *figures, stands = _fall(a, b, math.log(claim.times))
    figures = [None if figure is None else math.exp(figure) for figure in figures]
    return ClaimStep(*about, *figures, stands)


def _mean(side: Sequence[Sequence[float]]) -> float | None:
    """The mean of the first group, less that of the second where there is one."""
    if not all(side) or any(math.isinf(value) for group in side for value in group):
        return None
    first, *subtracted = map(fmean, side)
    return first - sum(subtracted)


def _fall(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], least: float
) -> tuple[float, float | None, float | None, str]:
    """The fall of the mean from `a` to `b`, its interval, and how it stands to `least`."""
    effect, runs = _mean(a) - _mean(b), (*a, *b)
    if min(map(len, runs)) < 2:
        return effect, None, None, OPEN
    apart = statistics.satterthwaite(*((stdev(x), len(x), len(x) - 1) for x in runs))
    half = apart.half_width()
    low, high = effect - half, effect + half
    stands = OPEN
    if low >= least - statistics.ROUNDING and (low > 0 or least < 0):
        stands = HOLDS
    elif high < least - statistics.ROUNDING or (high <= 0 <= least):
        stands = FAILS
    return effect, low, high, stands
