"""The arithmetic of a benchmark: medians, shares of the peak, ratios."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from repro.bench.contenders import BFLOAT16, CONTENDERS, FLOAT32, RATIOS, Ratio

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


def summarise(
    facts: Mapping, samples: Sequence[Mapping], not_run: Mapping[tuple[str | None, str], str]
) -> dict:
    """The document that is written: `facts`, every sample, medians, shares, limits and ratios.

    samples: each with `network` (an experiment, or None for what the machine can do), `contender`,
    `round` and what the contender's function returned. not_run: why a contender has no samples, by
    (network, name).
    """
    devices = sorted({sample["device"] for sample in samples if "device" in sample})
    machine = _rows([s for s in samples if s["network"] is None], _reasons(None, not_run))
    best = {row["name"]: row["high"] for row in machine if row["rate"] is not None}
    cores, on_gpu = facts["machine"]["cores"], any(device != "CPU" for device in devices)
    networks = []
    for described in facts["networks"]:
        name = described["experiment"]
        mine = [sample for sample in samples if sample["network"] == name]
        rows = _rows(mine, _reasons(name, not_run))
        values = next((s["values"] for s in mine if "values" in s), None)
        for row in rows:
            row["share"] = _share(row, described["operations"], best)
        asked = {row["name"] for row in rows}
        ratios = [r for r in RATIOS if r.above in asked and asked.intersection(r.below)]
        networks.append(
            {
                **described,
                "contenders": rows,
                "ratios": [_ratio(ratio, mine, cores, on_gpu) for ratio in ratios],
                "limits": [
                    limit(precision, described["operations"], values, best)
                    for precision in (FLOAT32, BFLOAT16)
                    if any(row["precision"] == precision for row in rows)
                ],
            }
        )
    return {**facts, "devices": devices, "can": machine, "networks": networks}


def _reasons(network: str | None, not_run: Mapping[tuple[str | None, str], str]) -> dict[str, str]:
    return {name: reason for (of, name), reason in not_run.items() if of == network}


def _rows(samples: Sequence[Mapping], not_run: Mapping[str, str]) -> list[dict]:
    """A row for each contender that was asked for."""
    rows = []
    for contender in CONTENDERS:
        mine = [s for s in samples if s["contender"] == contender.name]
        row: dict = {"name": contender.name, "title": contender.title, "unit": contender.unit}
        row["precision"] = contender.precision
        if not mine:
            if contender.name in not_run:
                rows.append({**row, "rate": None, "not_run": not_run[contender.name]})
            continue
        for figure in ("rate", "training", "processor"):
            if figure in mine[0]:
                row[figure] = median(s[figure] for s in mine)
        row |= {"low": min(s["rate"] for s in mine), "high": max(s["rate"] for s in mine)}
        rows.append({**row, "samples": mine})
    return rows


def peak(precision: str, best: Mapping[str, float]) -> float | None:
    """Operations per second in large matrix products, in 10^9; `best` is by contender.

    For bfloat16 the faster of both precisions counts: a processor without it emulates it.
    """
    products = ["product"] + ["product-bfloat16"] * (precision == BFLOAT16)
    return max((best[name] for name in products if name in best), default=None)


def limit(
    precision: str, operations: int, values: int | None, best: Mapping[str, float]
) -> dict[str, float | str | None]:
    """Images per second that the machine allows, by the operations and by the bytes of one image.

    values: how many numbers the layers of the network give for one image. Each is written and read
    forwards; backwards it is read, and its gradient is written and read.
    """
    rate, width = peak(precision, best), {FLOAT32: 4, BFLOAT16: 2}[precision]
    moved = None if values is None else 5 * width * values
    return {
        "precision": precision,
        "bytes": moved,
        "by_operations": rate and 1e9 * rate / operations,
        "by_bytes": 1e9 * best["bandwidth"] / moved if moved and "bandwidth" in best else None,
    }


def _share(row: Mapping, operations: int, best: Mapping[str, float]) -> float | None:
    """The operations that the training needs, over those of the machine's matrix products."""
    rate = peak(row["precision"], best)
    if row["name"] == "pipeline" or not row["rate"] or not rate:
        return None
    return operations * row["rate"] / (1e9 * rate)


def _ratio(ratio: Ratio, samples: Sequence[Mapping], cores: int, on_gpu: bool) -> dict:
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
        "target": ratio.on_gpus if ratio.target is None and on_gpu else ratio.target,
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
