"""The papers' claims: statements that order experiments, judged from the recorded runs."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean, stdev

from repro import catalog, spec, verdict

HOLDS = "holds"
FAILS = "does not hold"
OPEN = "inconclusive"


def judge(
    claim: spec.Claim,
    records: Sequence[dict],
    experiments: Iterable[spec.Experiment] | None = None,
) -> dict:
    """How `claim` stands, from runs of one scale and one code path that nothing was changed in.

    The claim is a chain: each experiment has a lower mean than the one before it, by `margin`
    points. Each step's effect is the fall of the mean, in points, with Welch's 95 % interval; it
    holds when the whole interval is a fall of at least the margin, does not when none of it is,
    and is inconclusive otherwise or where one side has a single run. The chain is as good as its
    worst step. Short-scale runs speak only where the paper scale is incomplete; `scale` says so.

    Returns claim (its name), statement, source, metric, protocol, margin, scale ("" where nothing
    ran), verdict (holds, does not hold, inconclusive, not run), effect, low, high (of the step
    with the smallest effect), steps, and missing (the experiments without a run at that scale).
    `experiments` are the catalog's unless given. Raises UsageError when the claim needs an
    unknown experiment.
    """
    known = {e.name: e for e in (catalog.experiments() if experiments is None else experiments)}
    needed = [known.get(name) or catalog.experiment(name) for name in claim.needs]
    scale, measured = _measured(claim, records, needed)
    steps = [_step(claim, a.name, b.name, measured) for a, b in pairwise(needed)]
    verdicts = [step["verdict"] for step in steps]
    worst = next(v for v in (FAILS, verdict.NOT_RUN, OPEN, HOLDS) if v in verdicts)
    effects = [step for step in steps if step["effect"] is not None]
    smallest = min(effects, key=lambda step: step["effect"], default={})
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "metric": claim.metric,
        "protocol": claim.protocol,
        "margin": claim.margin,
        "scale": scale,
        "verdict": worst,
        "effect": smallest.get("effect"),
        "low": smallest.get("low"),
        "high": smallest.get("high"),
        "steps": steps,
        "missing": [e.name for e in needed if not measured.get(e.name)],
    }


def _measured(
    claim: spec.Claim, records: Sequence[dict], needed: Sequence[spec.Experiment]
) -> tuple[str, dict[str, list[float]]]:
    """The scale, and the values per experiment of the code path that serves the claim best.

    Best is complete, then at paper scale, then with most runs of the experiment that has fewest.
    """
    candidates = []
    for scale in ("paper", "short"):
        by_path: dict[str, dict[str, list[float]]] = {}
        for experiment in needed:
            for group, runs in verdict.groups(records, experiment, scale).items():
                found = verdict.values(runs, claim.metric, claim.protocol)
                if group.plain and found:
                    by_path.setdefault(group.path, {})[experiment.name] = found
        for _, measured in sorted(by_path.items()):
            fewest = min(len(measured.get(e.name, ())) for e in needed)
            candidates.append(((fewest > 0, scale == "paper", fewest, len(measured)), measured))
    if not candidates:
        return "", {}
    (_, paper, *_), measured = max(candidates, key=lambda candidate: candidate[0])
    return ("paper" if paper else "short"), measured


def _step(claim: spec.Claim, higher: str, lower: str, measured: dict[str, list[float]]) -> dict:
    a, b = measured.get(higher, []), measured.get(lower, [])
    effect = low = high = None
    if not (a and b):
        stands = verdict.NOT_RUN
    else:
        effect = fmean(a) - fmean(b)
        stands = OPEN
        if min(len(a), len(b)) > 1:
            half = verdict.welch_half_width(stdev(a), len(a), stdev(b), len(b))
            low, high = effect - half, effect + half
            if low > 0 and low >= claim.margin - verdict.ROUNDING:
                stands = HOLDS
            elif high <= 0 or high < claim.margin - verdict.ROUNDING:
                stands = FAILS
    return {
        "higher": higher,
        "lower": lower,
        "means": [fmean(a) if a else None, fmean(b) if b else None],
        "n": [len(a), len(b)],
        "effect": effect,
        "low": low,
        "high": high,
        "verdict": stands,
    }
