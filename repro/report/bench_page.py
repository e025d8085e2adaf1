"""results/bench.md, from the JSON document of a benchmark."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from repro import files
from repro.errors import DataError
from repro.report.pages import render
from repro.report.words import markdown

JSON, PAGE = "bench.json", "bench.md"


def page(document: Mapping) -> str:
    """results/bench.md: the JSON document of a benchmark for people.

    Raises DataError for what is not such a document.
    """
    try:
        versions = document["versions"].items()
        cadence = document["cadence"]
        return render(
            "bench.md",
            **document,
            packages=[f"{name} {version}" for name, version in versions if version],
            contender_table=_table(contender_table(document)),
            ratio_table=_table(ratio_table(document)),
            quiet=quiet(document),
            images=cadence["passes"] * cadence["train_examples"],
            costs=_costs(document),
            waits=[f"{s:.1f}" for s in _each(document, "end_seconds")],
        )
    except Exception as error:  # any document may come from outside
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"{JSON} is not the document of a benchmark ({said})") from None


def _table(table: tuple[list[str], list[list[str]]]) -> str:
    columns, rows = table
    return markdown(columns, rows, numeric=set(columns[1:3]) | {"processor ms each", "rounds"})


def _each(document: Mapping, fact: str) -> list[Any]:
    """What processes know once, though each of their samples says it."""
    return list(dict.fromkeys(s[fact] for s in _samples(document) if fact in s))


def _samples(document: Mapping) -> list[Mapping]:
    return [sample for row in document["contenders"] for sample in row.get("samples", ())]


def contender_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = [
        "contender",
        "median",
        "lowest to highest",
        "unit",
        "share of the peak",
        "processor ms each",
    ]
    rows = []
    for row in document["contenders"]:
        if row["rate"] is None:
            rows.append([row["title"], "not run", "", "", "", ""])
            continue
        share = "" if row["share"] is None else f"{100 * row['share']:.0f} %"
        spread = f"{row['low']:,.0f} to {row['high']:,.0f}"
        processor = f"{1000 * row['processor']:.2f}" if "processor" in row else ""
        rows.append([row["title"], f"{row['rate']:,.0f}", spread, row["unit"], share, processor])
        if "training" in row:
            alone = f"{row['training']:,.0f}"
            rows.append(["– its training alone", alone, "", row["unit"], "", ""])
    return columns, rows


def ratio_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["ratio", "median", "95 % interval", "rounds", "target", "reached"]
    rows = []
    for ratio in document["ratios"]:
        middle, target = ratio["median"], ratio["target"]
        aim = "" if target is None else f"at least {target:g}"
        figure, between = "not run", ""
        if middle is not None:
            figure = _decimals(middle)
        if ratio.get("low") is not None:
            between = f"{_decimals(ratio['low'])} to {_decimals(ratio['high'])}"
        count, disturbed = f"{len(ratio['rounds'])}", ratio.get("disturbed", 0)
        if disturbed:
            count += f", {disturbed} disturbed"
            figure = "not judged" if middle is None else figure
        rows.append([ratio["title"], figure, between, count, aim, _reached(ratio)])
    return columns, rows


def _reached(ratio: Mapping) -> str:
    """Whether a ratio reaches its target; "not judged" where others disturbed half of the rounds.

    Where there is an interval, it decides; "open" where the target lies in it.
    """
    middle, target, low = ratio["median"], ratio["target"], ratio.get("low")
    disturbed = ratio.get("disturbed", 0)
    if disturbed and disturbed >= len(ratio["rounds"]):
        return "not judged"
    if target is None or middle is None:
        return ""
    if low is not None and low < target <= ratio["high"]:
        return "open"
    return "yes" if middle >= target else "no"


def _decimals(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def quiet(document: Mapping) -> str:
    """Whether the machine was left alone, and what was not run."""
    samples, parts = _samples(document), []
    busy = [s["others"] for s in samples if s["others"] is not None]
    if busy:
        parts.append(
            f"While a contender was timed, other processes kept {median(busy):.2f} cores busy "
            f"(median; at most {max(busy):.2f})."
        )
    missing: dict[str, list[str]] = {}
    for row in document["contenders"]:
        if row["rate"] is None:
            missing.setdefault(row["not_run"], []).append(row["title"])
    for reason, titles in missing.items():
        parts.append(f"Not run: {'; '.join(titles)} ({reason}).")
    return " ".join(parts)


def _costs(document: Mapping) -> str:
    """The medians that went into the formula, a row per contender that is the harness."""
    rows = []
    for row in document["contenders"]:
        costs = [s["costs"] for s in row.get("samples", ()) if "costs" in s]
        if costs:
            middle = {key: median(c[key] for c in costs) for key in costs[0]}
            seconds = ("first_chunk", "line", "checkpoint", "tracking")
            speeds = [f"{row['training']:,.0f}", f"{middle['scoring']:,.0f}"]
            rows.append([row["title"], *speeds, *(f"{middle[key]:.3f}" for key in seconds)])
    columns = ["contender", "t", "s", "f", "l", "c", "m"]
    return _table((columns, rows)) if rows else ""


def write(document: Mapping, folder: Path) -> None:
    """bench.json and bench.md in `folder`. Raises RunError where they cannot be written."""
    files.put(folder / JSON, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    files.put(folder / PAGE, page(document))


def read(folder: str | os.PathLike) -> Any:
    """The document in `folder`, or None where nothing was measured yet. Raises DataError."""
    path = Path(folder, JSON)
    try:
        return files.read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
