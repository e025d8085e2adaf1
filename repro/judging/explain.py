"""Verdicts in words: why a verdict is what it is, and what would settle one that is open."""

import math

from repro.judging import claims, verdict
from repro.judging.bands import BandCheck
from repro.judging.claims import ClaimStep, JudgedClaim
from repro.judging.measures import unit
from repro.judging.statistics import t_quantile
from repro.judging.verdict import FEWEST_RUNS, VerdictRow, half_width, widest

MOST_SEEDS = 200  # nobody trains more of them to settle a number


def row(row: VerdictRow) -> str:
    """Why a row of the verdict says what it says, and what would settle it, in a line."""
    if row.verdict == verdict.INCONCLUSIVE:
        return f"{row.verdict}: {_open(row)}"
    why = {
        verdict.NOT_RUN: "no finished run at paper scale" + _failed(row),
        verdict.NOTHING_REPORTED: "the paper prints no number for it",
        verdict.STALE: "the recipe has changed since these runs",
    }.get(row.verdict)
    if why is None:
        sign = unit(row.metric)
        place = {verdict.WORSE: "below", verdict.BETTER: "above"}.get(row.verdict, "in")
        why = (
            f"the paper's {row.reported}{sign} lies {place} the interval "
            f"{row.low:.3f} to {row.high:.3f}{sign}{_other_protocol(row.protocol)}"
        )
    return f"{row.verdict}: {why}"


def next_seeds(row: VerdictRow) -> list[int]:
    """The seeds to train for an answer: as many of the lowest as are missing; none where unknown.

    By the present spread where there is one, else up to the fewest that can answer.
    """
    wanted = seeds_needed(row) or 0
    lowest = (seed for seed in range(wanted + row.n) if seed not in row.seeds)
    return [seed for seed, _ in zip(lowest, range(wanted - row.n), strict=False)]


def seeds_needed(row: VerdictRow) -> int | None:
    """With how many seeds in all an answer can be expected; None where no number would do.

    The half-width of the interval comes down to what still answers, the spread staying as it is.
    """
    if row.number is None or row.std is None:
        return FEWEST_RUNS
    enough = (
        n
        for n in range(max(FEWEST_RUNS, row.n), MOST_SEEDS + 1)
        if half_width(row.std, n, row.number) <= widest(row.number)
    )
    return next(enough, None)


def _open(row: VerdictRow) -> str:
    needed, parts = seeds_needed(row), []
    if row.n < FEWEST_RUNS:
        parts.append(f"{_seeds(row.n)} of the {FEWEST_RUNS} that an answer takes at least")
    if row.std is None or needed == FEWEST_RUNS:
        parts.append(f"{_seeds(FEWEST_RUNS - row.n, 'more ')} may settle it")
    else:
        half, most = half_width(row.std, row.n, row.number), widest(row.number)
        parts.append(f"its interval of ± {half:.3f} is wider than ± {most:.3f}, the widest allowed")
        more = f"about {_seeds(needed - row.n, 'more ')}" if needed else "no number of seeds"
        parts.append(f"at this spread {more} would settle it")
    return "; ".join(parts) + _failed(row) + _other_protocol(row.protocol)


def claim(judged: JudgedClaim) -> str:
    """Why a claim stands as it does, and what would settle it, in a line."""
    said = claims.words(judged)
    if judged.verdict == verdict.NOT_RUN:
        scale = f" at {judged.scale} scale" if judged.scale else ""
        return f"{said}: no finished run{scale} of {', '.join(judged.missing)}"
    if judged.verdict != claims.OPEN:
        return f"{said}: {_of_step(judged, judged.decides)}"
    open_steps = [step for step in judged.steps if step.verdict == claims.OPEN]
    for step in open_steps:
        if step.effect is None:
            return (
                f"{said}: a run never came to what is compared; a longer training would settle it"
            )
    for step in open_steps:
        if min(step.n) < 2:
            single = step.higher if step.n[0] < 2 else step.lower
            return f"{said}: a single run of {single} has no spread; a second seed gives it one"
    step = judged.decides
    needed = _seeds_to_tell_apart(judged, step)
    settled = f"about {_seeds(needed)} of each" if needed else "no number of seeds"
    return f"{said}: {_of_step(judged, step)}; at this spread {settled} would settle it"


def _of_step(judged: JudgedClaim, step: ClaimStep) -> str:
    """The interval of a step beside what the claim asks for."""
    if judged.times is not None:
        fall = f"{step.lower} is {step.low:.2f} to {step.high:.2f} times lower than {step.higher}"
        return f"{fall}; the claim asks for {judged.times:g} times or more"
    unit = f" {judged.unit}".rstrip()
    asked = "a fall" if judged.margin == 0 else f"a fall of {judged.margin:g}{unit} or more"
    if judged.margin < 0:
        asked = f"no rise beyond {-judged.margin:g}{unit}"
    fall = f"{step.low:.3f} to {step.high:.3f}{unit}".replace("-", "−")
    return (
        f"from {step.higher} to {step.lower} the mean falls by {fall}; the claim asks for {asked}"
    )


def _seeds_to_tell_apart(judged: JudgedClaim, step: ClaimStep) -> int | None:
    """With how many seeds of each the interval would lie on one side; None for very many.

    The spread, here taken as the same on both sides, and the effect staying as they are.
    """
    scaled = math.log if judged.times is not None else float
    effect, low, high = map(scaled, (step.effect, step.low, step.high))
    apart = abs(effect - scaled(judged.times if judged.times is not None else judged.margin))
    a, b = step.n
    spread = (high - low) / 2 / (t_quantile(a + b - 2) * math.sqrt(1 / a + 1 / b))
    for n in range(max(a, b) + 1, MOST_SEEDS + 1):
        if t_quantile(2 * n - 2) * spread * math.sqrt(2 / n) < apart:
            return n
    return None


def band(check: BandCheck) -> str:
    """Where the mean of the seeds lies, in a line: inside its band, or outside."""
    of, sign = check.band, unit(check.band.metric)
    n = len(check.seeds)
    mean = f"mean of {_seeds(n)}" if n > 1 else f"seed {check.seeds[0]} alone"
    where = "inside" if check.inside else "OUTSIDE"
    protocol = "" if of.protocol == "single-view" else f", {of.protocol}"
    return (
        f"{of.metric.replace('_', ' ')}{protocol} {check.mean:.3f}{sign} ({mean}) is {where} the "
        f"band {of.low:g} to {of.high:g}{sign} ({of.source})"
    )


def _seeds(count: int, more: str = "") -> str:
    return f"{count} {more}seed{'' if count == 1 else 's'}"


def _failed(row: VerdictRow) -> str:
    return f" ({row.failed} failed)" if row.failed else ""


def _other_protocol(protocol: str) -> str:
    return "" if protocol == "single-view" else f" ({protocol})"
