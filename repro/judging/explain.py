"""Verdicts in words: why a verdict is what it is, and what would settle one that is open."""

import math

from repro.judging import claims, verdict
from repro.judging.bands import BandCheck
from repro.judging.claims import ClaimStep, JudgedClaim
from repro.judging.measures import unit
from repro.judging.statistics import t_quantile
from repro.judging.verdict import VerdictRow, tolerance

MOST_SEEDS = 200  # nobody trains more of them to settle a number


def row(row: VerdictRow) -> str:
    """Why a row of the verdict says what it says, and what would settle it, in a line."""
    why = {
        verdict.NOT_RUN: "no finished run at paper scale" + _failed(row),
        verdict.NOTHING_REPORTED: "the paper prints no number for it",
        verdict.STALE: "the recipe has changed since these runs",
    }.get(row.verdict)
    return f"{row.verdict}: {why or _judged(row)}"


def _judged(row: VerdictRow) -> str:
    parts, sign = [], unit(row.metric)
    if row.spread is None:
        parts.append("a single run has no spread, and nothing is known of it beforehand")
    elif row.word == verdict.INCONCLUSIVE:
        half, most = row.half_width(row.n), tolerance(row.number)
        parts.append(f"its interval of ± {half:.3f} is wider than ± {most:.3f}, the widest allowed")
    else:
        place = {verdict.WORSE: "below", verdict.BETTER: "above"}.get(row.word, "in")
        parts.append(
            f"the paper's {row.reported}{sign} lies {place} the interval "
            f"{row.low:.3f} to {row.high:.3f}{sign}"
        )
    if row.by_chance:
        parts.append(f"inside after Holm's correction (p = {row.p:.3f}, after it {row.p_holm:.3f})")
    if row.outside and row.equivalent:
        parts.append(f"equivalent within ± {tolerance(row.number):.3f}")
    parts += _own_spread(row)
    if row.provisional or row.word == verdict.INCONCLUSIVE:
        parts += _open(row)
    if row.added:
        parts.append(f"{_seeds(row.added)} added to the {row.planned} planned")
    return "; ".join(parts) + _failed(row) + _other_protocol(row.protocol)


def _own_spread(row: VerdictRow) -> list[str]:
    """Why what is known beforehand is not used, where it would be."""
    if row.n < 2 or not row.prior.degrees:
        return []
    if row.images is None:
        tested = row.metric.startswith("test_")
        why = "a run of it diverged, or not all were tested on as many images"
        return [f"{why}, so its own spread alone counts"] if tested else []
    if row.prior.far_above(row.std, row.n, row.mean, row.images):
        return ["it varies far more than others do, so its own spread alone counts"]
    return []


def next_seeds(row: VerdictRow) -> list[int]:
    """The seeds to train for an answer: as many of the lowest as are missing; none where unknown.

    By the present spread where there is one, else up to those that are planned.
    """
    wanted = seeds_needed(row) or 0
    lowest = (seed for seed in range(wanted + row.n) if seed not in row.seeds)
    return [seed for seed, _ in zip(lowest, range(wanted - row.n), strict=False)]


def seeds_needed(row: VerdictRow) -> int | None:
    """With how many seeds in all an answer can be expected; None where no number would do.

    Spread and mean staying as they are, the interval comes down to what still answers, or to where
    it leaves the reported value outside.
    """
    if row.number is None or row.spread is None:
        return max(row.planned, row.n)

    def settles(n: int) -> bool:
        half = row.half_width(n)
        return half <= tolerance(row.number) or half < abs(row.difference)

    return next(filter(settles, range(max(row.planned, row.n), MOST_SEEDS + 1)), None)


def _open(row: VerdictRow) -> list[str]:
    needed = seeds_needed(row)
    more = "no number of seeds" if needed is None else _seeds(needed - row.n, "more ")
    early = [f"{_seeds(row.n)} of the {row.planned} that make a verdict"] if row.provisional else []
    if row.spread is None:
        return [*early, f"{more} may settle it"]
    about = "about " if needed and needed > row.planned else ""
    return [*early, f"at this spread {about}{more} would settle it"]


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
            single = next(name for name, n in judged.n.items() if n < 2)
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

    The spread, here taken as the same in all of them, and the effect staying as they are.
    """
    scaled = math.log if judged.times is not None else float
    effect, low, high = map(scaled, (step.effect, step.low, step.high))
    apart = abs(effect - scaled(judged.times if judged.times is not None else judged.margin))
    groups = len(step.n)
    error = math.sqrt(sum(1 / n for n in step.n))
    spread = (high - low) / 2 / (t_quantile(sum(step.n) - groups) * error)
    for n in range(max(step.n) + 1, MOST_SEEDS + 1):
        if t_quantile(groups * (n - 1)) * spread * math.sqrt(groups / n) < apart:
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
