"""The arithmetic of a benchmark: medians, shares of the peak, ratios."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from repro.bench.contenders import CONTENDERS, OPERATIONS_PER_IMAGE, RATIOS, Ratio

MOST_BY_OTHERS = 0.1  # of the cores, which other processes may take; else a round is not judged


def combined_rate(training: float, costs: Mapping[str, float], cadence: Mapping[str, int]) -> float:
    """Images per second of the whole harness, from one scoring of the test set to the next.

    training: images per second while it trains. costs: `scoring`, images per second, and the
    seconds that each takes of `first_chunk` (what a pass waits for its first images), `line` (in
    metrics.jsonl), `checkpoint` and `tracking`. cadence: `passes` between two scorings,
    `train_examples` and `test_examples`; checkpoints and tracking also go by the clock, every
    `checkpoint_seconds` and at most every `tracking_seconds`.
    """
    images, passes = cadence["passes"] * cadence["train_examples"], cadence["passes"]
    seconds = images / training
    checkpoints = passes + seconds / cadence["checkpoint_seconds"]
    logged = min(passes, seconds / cadence["tracking_seconds"])
    seconds += cadence["test_examples"] / costs["scoring"]
    seconds += passes * (costs["first_chunk"] + costs["line"])
    seconds += checkpoints * costs["checkpoint"] + logged * costs["tracking"]
    return images / seconds


def summarise(facts: Mapping, samples: Sequence[Mapping], not_run: Mapping[str, str]) -> dict:
    """The document that is written: `facts`, every sample, medians, shares and ratios.

    samples: each with `contender`, `round` and what the contender's function returned.
    not_run: why a contender has no samples, by name.
    """
    contenders = []
    for contender in CONTENDERS:
        mine = [s for s in samples if s["contender"] == contender.name]
        row = {"name": contender.name, "title": contender.title, "unit": contender.unit}
        if not mine:
            reason = not_run.get(contender.name) or "not asked for"
            contenders.append({**row, "rate": None, "not_run": reason})
            continue
        for figure in ("rate", "training", "processor"):
            if figure in mine[0]:
                row[figure] = median(s[figure] for s in mine)
        row |= {"low": min(s["rate"] for s in mine), "high": max(s["rate"] for s in mine)}
        contenders.append({**row, "samples": mine})
    rates = {row["name"]: row["rate"] for row in contenders}
    for row in contenders:
        row["share"] = _share(row, rates)
    return {
        **facts,
        "devices": sorted({sample["device"] for sample in samples}),
        "contenders": contenders,
        "ratios": [_ratio(ratio, samples, facts["machine"]["cores"]) for ratio in RATIOS],
    }


def _share(row: Mapping, rates: Mapping[str, float | None]) -> float | None:
    """The operations that the training needs, over those of the machine's matrix products.

    For bfloat16 the faster of both products counts: a processor without it emulates it.
    """
    products = ["product"] + ["product-bfloat16"] * ("bfloat16" in row["name"])
    peak = max(rates[name] or 0.0 for name in products)
    if row["name"] == "pipeline" or row["unit"] != "images/s" or not row["rate"] or not peak:
        return None
    return OPERATIONS_PER_IMAGE * row["rate"] / (1e9 * peak)


def _ratio(ratio: Ratio, samples: Sequence[Mapping], cores: int) -> dict:
    """The ratio in each round in which the machine was left alone; `disturbed`: in how many not."""
    rounds: dict[int, dict[str, float]] = {}
    names, disturbed = {ratio.above, *ratio.below}, set()
    for sample in samples:
        name, figure = sample["contender"], sample["rate"]
        if name in ratio.training:
            figure = sample.get("training", figure)
        rounds.setdefault(sample["round"], {})[name] = figure
        if name in names and (sample["others"] or 0.0) > MOST_BY_OTHERS * cores:
            disturbed.add(sample["round"])
    each, left_out = [], 0
    for number, rates in sorted(rounds.items()):
        below = [rates[name] for name in ratio.below if name in rates]
        if ratio.above in rates and below:
            if number in disturbed:
                left_out += 1
            else:
                each.append(rates[ratio.above] / max(below))
    low, high = interval(each)
    return {
        "title": ratio.title,
        "target": ratio.target,
        "rounds": each,
        "median": median(each) if each else None,
        "low": low,
        "high": high,
        "disturbed": left_out,
    }


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Between which values the median lies with 95 % confidence or more; None below six of them.

    Those of the k-th lowest and k-th highest: the median lies outside with twice the probability
    that a fair coin falls on one side less than k times, whatever the distribution is.
    """
    n, k, below = len(values), 0, 0.0
    while k < n / 2 and below + math.comb(n, k) / 2**n <= 0.025:
        below += math.comb(n, k) / 2**n
        k += 1
    if not k:
        return None, None
    ordered = sorted(values)
    return ordered[k - 1], ordered[n - k]
