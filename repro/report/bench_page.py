"""results/bench.md and bench-gpu.md, from the JSON documents of benchmarks."""

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

# The document and its page, by where it was computed: both may stand side by side.
FILES = {"CPU": ("bench.json", "bench.md"), "GPU": ("bench-gpu.json", "bench-gpu.md")}


def kind(document: Mapping) -> str:
    """Where it was computed: "GPU" if anything was, else "CPU"."""
    return "GPU" if any(device != "CPU" for device in document["devices"]) else "CPU"


def page(document: Mapping, file: str = "") -> str:
    """The JSON document of a benchmark for people; `file` is its name, if not that of its kind.

    Raises DataError for what is not such a document.
    """
    try:
        file = file or FILES[kind(document)][0]
        versions = document["versions"].items()
        return render(
            "bench.md",
            **{**document, "networks": [_network(network) for network in document["networks"]]},
            file=file,
            packages=[f"{name} {version}" for name, version in versions if version],
            machine_table=_table(machine_table(document)),
            quiet=quiet(document),
            compiled=any("compile" in row["name"] for row in _rows(document)),
            waits=[f"{s:.1f}" for s in _each(document, "end_seconds")],
        )
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"{file or 'this'} is not the document of a benchmark ({said})") from None


def _network(network: Mapping) -> dict[str, Any]:
    """What the page shows of a network."""
    return {
        **network,
        "contender_table": _table(contender_table(network)),
        "ratio_table": _table(ratio_table(network)),
        "limit_table": _table(limit_table(network)),
        "costs": _costs(network),
    }


def _table(table: tuple[list[str], list[list[str]]]) -> str:
    columns, rows = table
    words = {columns[0], "95 % interval", "unit", "target", "reached"}
    return markdown(columns, rows, numeric=set(columns) - words) if rows else ""


def tables(document: Mapping) -> list[tuple[str, tuple[list[str], list[list[str]]]]]:
    """The tables for a terminal, each with what stands above it; none is empty."""
    made = [("The machine", machine_table(document))]
    for network in document["networks"]:
        made.append((network["title"], contender_table(network)))
        made.append((f"{network['title']}, within a round", ratio_table(network)))
        made.append((f"{network['title']}, what the machine allows", limit_table(network)))
    return [(heading, table) for heading, table in made if table[1]]


def _each(document: Mapping, fact: str) -> list[Any]:
    """What processes know once, though each of their samples says it."""
    return list(dict.fromkeys(s[fact] for s in _samples(document) if fact in s))


def _samples(document: Mapping) -> list[Mapping]:
    return [sample for row in _rows(document) for sample in row.get("samples", ())]


def _rows(document: Mapping) -> list[Mapping]:
    """Those of all contenders, of the machine and of the networks."""
    networks = [row for network in document["networks"] for row in network["contenders"]]
    return [*document["can"], *networks]


def machine_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["what the machine can do", "highest", "lowest", "unit"]
    rows = []
    for row in document["can"]:
        if row["rate"] is None:
            rows.append([row["title"], "not run", "", ""])
        else:
            rows.append([row["title"], figure(row["high"]), figure(row["low"]), row["unit"]])
    return columns, rows


def limit_table(network: Mapping) -> tuple[list[str], list[list[str]]]:
    """Images per second that the operations and the bytes of a network allow."""
    columns = ["limit", "by operations", "by bytes", "bytes of an image"]
    rows = []
    for limit in network["limits"]:
        figures = [limit["by_operations"], limit["by_bytes"], limit["bytes"]]
        shown = ["not known" if value is None else figure(value) for value in figures]
        rows.append([f"{limit['precision']}, images/s", *shown])
    return columns, rows


def contender_table(network: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = [
        "contender",
        "median",
        "lowest to highest",
        "unit",
        "share of the peak",
        "processor ms each",
    ]
    rows = []
    for row in network["contenders"]:
        if row["rate"] is None:
            rows.append([row["title"], "not run", "", "", "", ""])
            continue
        share = "" if row["share"] is None else f"{100 * row['share']:.0f} %"
        spread = f"{figure(row['low'])} to {figure(row['high'])}"
        processor = f"{1000 * row['processor']:.2f}" if "processor" in row else ""
        rows.append([row["title"], figure(row["rate"]), spread, row["unit"], share, processor])
        if "training" in row:
            alone = figure(row["training"])
            rows.append(["– its training alone", alone, "", row["unit"], "", ""])
    return columns, rows


def ratio_table(network: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["ratio", "median", "95 % interval", "rounds", "target", "reached"]
    rows = []
    for ratio in network["ratios"]:
        middle, target = ratio["median"], ratio["target"]
        aim = "" if target is None else f"at least {target:g}"
        shown, between = "not run", ""
        if middle is not None:
            shown = _decimals(middle)
        if ratio.get("low") is not None:
            between = f"{_decimals(ratio['low'])} to {_decimals(ratio['high'])}"
        count, disturbed = f"{len(ratio['rounds'])}", ratio.get("disturbed", 0)
        if disturbed:
            count += f", {disturbed} disturbed"
            shown = "not judged" if middle is None else shown
        rows.append([ratio["title"], shown, between, count, aim, _reached(ratio)])
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


def figure(value: float) -> str:
    """Of a rate: whole from a hundred on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


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
    for row in _rows(document):
        if row["rate"] is None:
            missing.setdefault(row["not_run"], []).append(row["title"])
    for reason, titles in missing.items():
        parts.append(f"Not run: {'; '.join(dict.fromkeys(titles))} ({reason}).")
    return " ".join(parts)


def _costs(network: Mapping) -> str:
    """The medians that went into the formula, a row per contender that is the harness."""
    rows = []
    for row in network["contenders"]:
        costs = [s["costs"] for s in row.get("samples", ()) if "costs" in s]
        if costs:
            middle = {key: median(c[key] for c in costs) for key in costs[0]}
            seconds = ("first_chunk", "line", "checkpoint", "tracking")
            speeds = [figure(row["training"]), figure(middle["scoring"])]
            rows.append([row["title"], *speeds, *(f"{middle[key]:.3f}" for key in seconds)])
    columns = ["contender", "t", "s", "f", "l", "c", "m"]
    return _table((columns, rows)) if rows else ""


def write(document: Mapping, folder: Path) -> list[Path]:
    """The document and its page in `folder`; both paths. Raises RunError for one in the way."""
    paths = [folder / name for name in FILES[kind(document)]]
    files.put(paths[0], json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    files.put(paths[1], page(document))
    return paths


def read(folder: str | os.PathLike, name: str = FILES["CPU"][0]) -> Any:
    """The document in `folder`, or None where nothing was measured yet. Raises DataError."""
    path = Path(folder, name)
    try:
        return files.read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
