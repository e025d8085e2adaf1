"""results/bench.md, from the JSON document of a benchmark."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from repro.errors import DataError, RunError

JSON, PAGE = "bench.json", "bench.md"


def page(document: Mapping) -> str:
    """results/bench.md: the JSON document of a benchmark for people."""
    return "\n".join(
        [
            "# Speed\n",
            "Made from [bench.json](bench.json) by `repro results`; measured by `make bench`.\n",
            _facts(document),
            _markdown(*contender_table(document)),
            _markdown(*ratio_table(document)),
            quiet(document),
            _costs(document),
            _method(document),
        ]
    )


def _facts(document: Mapping) -> str:
    machine, versions = document["machine"], document["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    commit = (document["commit"] or "unknown")[:12] + (" with changes" if document["dirty"] else "")
    devices = ", ".join(document["devices"]) or "none"
    return (
        f"ResNet-20 ({document['parameters']:,} parameters, {document['multiply_adds']:,} "
        f"multiply-adds per image), {document['batch']} images per update, CIFAR-10.\n\n"
        f"- {machine['processor']}, {count_of(machine['cores'], 'core')}; computed on {devices}\n"
        f"- {named}\n"
        f"- commit {commit}, {document['date']}\n"
        f"- {count_of(document['rounds'], 'round')}, each contender timed for "
        f"{document['seconds']:g} seconds after its warm-up\n"
    )


def contender_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["contender", "median", "lowest to highest", "unit", "share of the peak"]
    rows = []
    for row in document["contenders"]:
        if row["rate"] is None:
            rows.append([row["title"], "not run", "", "", ""])
            continue
        share = "" if row["share"] is None else f"{100 * row['share']:.0f} %"
        spread = f"{row['low']:,.0f} to {row['high']:,.0f}"
        rows.append([row["title"], f"{row['rate']:,.0f}", spread, row["unit"], share])
        if "training" in row:
            rows.append(["– its training alone", f"{row['training']:,.0f}", "", row["unit"], ""])
    return columns, rows


def ratio_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["ratio", "median", "in each round", "target", "reached"]
    rows = []
    for ratio in document["ratios"]:
        middle, target = ratio["median"], ratio["target"]
        aim = "" if target is None else f"at least {target:g}"
        reached = ""
        if target is not None and middle is not None:
            reached = "yes" if middle >= target else "no"
        each = ", ".join(map(_decimals, ratio["rounds"]))
        figure = "not run" if middle is None else _decimals(middle)
        rows.append([ratio["title"], figure, each, aim, reached])
    return columns, rows


def _decimals(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, [":--", "--:", "--:", *[":--"] * (len(columns) - 3)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def quiet(document: Mapping) -> str:
    """Whether the machine was left alone, and what was not run."""
    samples = [s for row in document["contenders"] for s in row.get("samples", ())]
    parts = []
    busy = [s["others"] for s in samples if s["others"] is not None]
    if busy:
        parts.append(
            f"While a contender was timed, other processes kept {median(busy):.2f} cores busy "
            f"(median; at most {max(busy):.2f})."
        )
    if samples:
        highest = max(s["load"] for s in samples)
        parts.append(f"The load average when a contender began was {highest:.1f} at most.")
    missing: dict[str, list[str]] = {}
    for row in document["contenders"]:
        if row["rate"] is None:
            missing.setdefault(row["not_run"], []).append(row["title"])
    for reason, titles in missing.items():
        parts.append(f"Not run: {'; '.join(titles)} ({reason}).")
    return " ".join(parts) + "\n"


def _costs(document: Mapping) -> str:
    """The formula of the harness' figure, with the medians that went into it."""
    cadence = document["cadence"]
    images = cadence["passes"] * cadence["train_examples"]
    lines = [
        "## What the harness' figure includes\n",
        f"The recipe scores the {cadence['test_examples']:,} test images once in "
        f"{count_of(cadence['passes'], 'pass', 'passes')}, {images:,} training images. A stretch "
        "of that length is put together from its parts, each timed in the harness itself: training "
        "with augmentation, from batch to batch in the middle of a pass (t images/s); the wait "
        "for the first images of a pass (f seconds); scoring (s images/s); the line in "
        "metrics.jsonl (l seconds), a checkpoint (c seconds), logging to MLflow (m seconds). With "
        f"T = {images:,} / t,\n",
        f"    rate = {images:,} / (T + {cadence['test_examples']:,} / s "
        f"+ {cadence['passes']} (f + l) + ({cadence['passes']} + T / "
        f"{cadence['checkpoint_seconds']:g}) c + min({cadence['passes']}, T / "
        f"{cadence['tracking_seconds']:g}) m)\n",
        "since a checkpoint is written after each pass and each minute, and MLflow is brought up "
        "to date after a pass, at most every half a minute. Left out is what happens once in a "
        "run: its start, compilation, the figures and the last evaluation.\n",
    ]
    rows = []
    for row in document["contenders"]:
        costs = [s["costs"] for s in row.get("samples", ()) if "costs" in s]
        if costs:
            middle = {key: median(c[key] for c in costs) for key in costs[0]}
            seconds = [f"{middle[k]:.3f}" for k in ("first_chunk", "line", "checkpoint")]
            tracking = f"{middle['tracking']:.3f}"
            training, scoring = f"{row['training']:,.0f}", f"{middle['scoring']:,.0f}"
            rows.append([row["title"], training, scoring, *seconds, tracking])
    if rows:
        lines.append(_markdown(["contender", "t", "s", "f", "l", "c", "m"], rows))
    return "\n".join(lines)


def _method(document: Mapping) -> str:
    waits = [
        s["end_seconds"]
        for row in document["contenders"]
        for s in row.get("samples", ())
        if "end_seconds" in s
    ]
    told = ""
    if waits:
        each = ", ".join(f"{seconds:.1f}" for seconds in waits)
        told = f" (seconds from its last update to its return: {each})"
    return (
        "## How it was measured\n\n"
        "Each contender runs in a process of its own, one after the other in the order of the "
        "table, and so again in every round. What it does before its first full segment "
        "(compilation, first batches) is not timed. A segment is some updates; the figure of a "
        "process is the median over its segments, that of the table the median over the rounds. "
        "Ratios are formed within a round; the best PyTorch is the fastest of that round.\n\n"
        "- The harness draws its crops and flips; the others take the same arrays as they are, "
        "without augmentation and without evaluation.\n"
        "- Plain Keras: stock layers, `SGD(0.1, momentum=0.9)`, `L2` on the kernels, accuracy as a "
        "metric, `fit` on arrays. Its segments lie within one epoch, so what it may wait at the "
        f"end of an epoch{told} does not count against it; `--contenders keras-epoch` times a "
        "whole one.\n"
        "- Bare loop: the harness' network and optimizer in one compiled TensorFlow loop over "
        "batches that are in memory, and nothing else.\n"
        "- PyTorch: the same network, `torch.optim.SGD` with momentum and weight decay, arrays in "
        "memory, as many threads as cores; bfloat16 by autocast. Without `torch.compile`.\n"
        "- Share of the peak: 3 x 2 operations per multiply-add of the network (forward, and twice "
        "as much backward) over the rate of large matrix products by TensorFlow: in float32, or "
        "for bfloat16 in the faster of both. Convolutions by other algorithms may need fewer "
        "operations.\n"
    )


def count_of(number: int, what: str, several: str = "") -> str:
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def write(document: Mapping, folder: Path) -> None:
    """bench.json and bench.md in `folder`. Raises RunError where they cannot be written."""
    from repro.files import write_json, write_text

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JSON, document)
        write_text(folder / PAGE, page(document))
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror}") from None


def read(folder: str | os.PathLike) -> dict | None:
    """The document in `folder`, or None where nothing was measured yet. Raises DataError."""
    path = Path(folder, JSON)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
