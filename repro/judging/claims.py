"""The papers' claims: statements that order experiments, judged from the recorded runs."""

import math
from collections.abc import Iterable, Sequence
from importlib import metadata
from itertools import pairwise
from statistics import fmean, stdev

from repro import backends, catalog, spec
from repro.judging import groups, measures, statistics, verdict
from repro.machine import has_gpu

HOLDS = "holds"
FAILS = "does not hold"
OPEN = "inconclusive"


def judge(
    claim: spec.Claim,
    records: Sequence[dict],
    experiments: Iterable[spec.Experiment] | None = None,
    scale: str | None = None,
) -> dict:
    """How `claim` stands, from runs of one scale and one stack that nothing was changed in.

    A stack is a code path with the versions of Keras and its backend.

    The claim is a chain: each experiment has a lower mean than the one before it, by `margin`.
    Each step's effect is the fall of the mean, with Welch's 95 % interval; it holds when the whole
    interval is a fall of at least the margin (negative: a rise of at most as much), does not when
    none of it is, and is inconclusive otherwise, where one side has a single run, and where a run
    never came to what is measured. The chain is as good as its worst step.
    Where the claim says how many times lower, the effect is the ratio of the geometric means, and
    its interval that of the difference of the mean logarithms.
    Short-scale runs speak only where the paper scale is incomplete; `scale` says so. The two are
    never mixed. With `scale` given only the runs of that scale speak.

    Returns claim (its name), statement, source, metric, protocol, unit (of the effect: "points",
    "times", or "" for the fall of what is not in per cent), margin, times, scale ("" where nothing
    ran), verdict (holds, does not hold, inconclusive, not run), effect, low, high (of the step that
    decides: of those with the claim's own verdict, that with the smallest effect), steps, and
    missing (the experiments without a run at that scale).
    `experiments` are the catalog's unless given. Raises UsageError when the claim needs an
    unknown experiment.
    """
    needed = _needed(claim, experiments)
    scale, measured = _measured(claim, records, needed, (scale,) if scale else ("paper", "short"))
    steps = [_step(claim, a.name, b.name, measured) for a, b in pairwise(needed)]
    verdicts = [step["verdict"] for step in steps]
    worst = next(v for v in (FAILS, verdict.NOT_RUN, OPEN, HOLDS) if v in verdicts)
    deciding = [s for s in steps if s["verdict"] == worst and s["effect"] is not None]
    smallest = min(deciding, key=lambda step: step["effect"], default={})
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "metric": claim.metric,
        "protocol": claim.protocol,
        "unit": _unit(claim),
        "margin": claim.margin,
        "times": claim.times,
        "scale": scale,
        "verdict": worst,
        "effect": smallest.get("effect"),
        "low": smallest.get("low"),
        "high": smallest.get("high"),
        "steps": steps,
        "missing": [e.name for e in needed if not measured.get(e.name)],
    }


def _unit(claim: spec.Claim) -> str:
    if claim.times is not None:
        return "times"
    return "points" if measures.per_cent(claim.metric) else ""


def words(judged: dict) -> str:
    """The verdict of `judge` for people, who are told where it is not that of the paper's scale."""
    short = judged["scale"] == "short" and judged["verdict"] != verdict.NOT_RUN
    return judged["verdict"] + (" (short scale)" if short else "")


def missing(
    claim: spec.Claim,
    records: Sequence[dict],
    scale: str,
    seeds: int,
    experiments: Iterable[spec.Experiment] | None = None,
) -> dict[str, list[int]]:
    """The seeds below `seeds` to be trained for `claim`, per experiment that lacks any.

    None where one stack has as many runs of each experiment already; else those that are not there
    with the versions and the kind of device of this machine, since runs of different stacks are not
    compared.
    """
    needed = _needed(claim, experiments)
    stacks = _stacks(claim, records, needed, scale)
    for there in stacks.values():
        if all(len(there.get(e.name, ())) >= seeds for e in needed):
            return {}
    backend = backends.name()
    here = {name: _version(name) for name in ("keras", backend)}
    kind = "GPU" if has_gpu() else "CPU"
    ours = [
        there
        for (path, versions), there in stacks.items()
        if dict(versions) == here and path.startswith(f"{backend} ") and path.endswith(kind)
    ]
    most = max(ours, key=lambda there: sum(map(len, there.values())), default={})
    found = {}
    for experiment in needed:
        there = {record["run"]["seed"] for record in most.get(experiment.name, ())}
        found[experiment.name] = [seed for seed in range(seeds) if seed not in there]
    return {name: lacking for name, lacking in found.items() if lacking}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _needed(
    claim: spec.Claim, experiments: Iterable[spec.Experiment] | None
) -> list[spec.Experiment]:
    known = {e.name: e for e in (catalog.experiments() if experiments is None else experiments)}
    return [known.get(name) or catalog.experiment(name) for name in claim.needs]


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
        for there in _stacks(claim, records, needed, scale).values():
            fewest = min(len(there.get(e.name, ())) for e in needed)
            newest = max(measures.finished(run) for runs in there.values() for run in runs)
            order = (fewest > 0, scale == "paper", fewest, len(there), newest)
            candidates.append((order, scale, there))
    if not candidates:
        return "", {}
    _, scale, there = max(candidates, key=lambda candidate: candidate[0])
    metric, protocol = claim.metric, claim.protocol
    return scale, {name: measures.values(runs, metric, protocol) for name, runs in there.items()}


def _step(claim: spec.Claim, higher: str, lower: str, measured: dict[str, list[float]]) -> dict:
    a, b = measured.get(higher, []), measured.get(lower, [])
    never = any(map(math.isinf, (*a, *b)))
    step = {
        "higher": higher,
        "lower": lower,
        "means": [fmean(x) if x and not any(map(math.isinf, x)) else None for x in (a, b)],
        "n": [len(a), len(b)],
    }
    effect = low = high = None
    if not (a and b):
        stands = verdict.NOT_RUN
    elif never:  # the schedule of some run was too short to tell
        stands = OPEN
    else:
        least = claim.margin
        if claim.times is not None:  # a ratio is a difference of logarithms
            a, b, least = list(map(math.log, a)), list(map(math.log, b)), math.log(claim.times)
        effect = fmean(a) - fmean(b)
        stands = OPEN
        if min(len(a), len(b)) > 1:
            half = statistics.welch_half_width(stdev(a), len(a), stdev(b), len(b))
            low, high = effect - half, effect + half
            if low >= least - statistics.ROUNDING and (low > 0 or least < 0):
                stands = HOLDS
            elif high < least - statistics.ROUNDING or (high <= 0 <= least):
                stands = FAILS
    found = {"effect": effect, "low": low, "high": high}
    if claim.times is not None:
        found = {k: None if v is None else math.exp(v) for k, v in found.items()}
    return {**step, **found, "verdict": stands}
