"""What MLflow is told of a run: tags, parameters, metrics, made from its record alone."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

RUN_ID = "repro.run_id"
GROUP_ID = "repro.group_id"  # of the runs that others are folded under
PARAMETER_LENGTH = 500
TAG_LENGTH = 5000


def run_name(run: Mapping[str, Any]) -> str:
    """Short, since the run table cuts names; scale and seed have columns of their own."""
    return f"{run['experiment']} #{run['seed']}"


def tags(run: Mapping[str, Any]) -> dict[str, str]:
    """Short ones for the columns of the run table, and where the run comes from."""
    resolved = run["resolved"]
    deviations, began = resolved.get("deviations") or [], run.get("begins") or {}
    named = {
        RUN_ID: run["id"],
        "paper": run["paper"],
        "experiment": run["experiment"],
        "scale": run["scale"],
        "seed": run["seed"],
        "precision": run.get("precision"),
        "backend": run.get("backend"),
        "strategy": run.get("strategy"),
        "devices": ", ".join(map(str, run.get("devices") or [])),
        "replicas": run.get("replicas"),
        "overrides": " ".join(run.get("overrides") or []),
        "digest": run.get("digest"),
        "begins": began.get("id"),
        "begins.weights": began.get("weights"),
        "commit": run.get("commit"),
        "dirty": run.get("dirty"),
        "deviations": "\n".join(map(str, deviations)),
        "mlflow.source.name": run.get("command"),
        "mlflow.source.git.commit": run.get("commit"),
        "mlflow.note.content": _note(resolved, deviations),
    }
    for name, version in (run.get("versions") or {}).items():
        named[f"version.{name}"] = version
    for reported in resolved.get("reported") or []:
        key = metric_name(reported["protocol"], reported["metric"])
        named[f"reported.{key}"] = f"{reported['value']} ({reported['source']})"
    return {k: str(v)[:TAG_LENGTH] for k, v in named.items() if v not in (None, "")}


def _note(resolved: Mapping[str, Any], deviations: list[str]) -> str:
    """The run's description, in the Markdown that MLflow shows."""
    parts = [resolved.get("title", ""), resolved.get("note", "")]
    if deviations:
        parts.append("Deviations from the paper:\n" + "\n".join(f"- {d}" for d in deviations))
    return "\n\n".join(part for part in parts if part)


def parameters(run: Mapping[str, Any]) -> dict[str, str]:
    """The resolved network and recipe under the keys that `--set` takes."""
    resolved = run["resolved"]
    network = resolved["network"]
    tree = {
        "network": {"name": network["name"], **network.get("options", {})},
        "recipe": resolved["recipe"],
        "protocols": resolved.get("protocols"),
        **({"begins": resolved["begins"]} if resolved.get("begins") else {}),
        "scale": run["scale"],
        "seed": run["seed"],
        "precision": run.get("precision"),
    }
    flat: dict[str, str] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                walk(f"{key}.{name}" if key else name, inner)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            short = len(text) <= PARAMETER_LENGTH
            flat[key] = text if short else text[: PARAMETER_LENGTH - 1] + "…"

    walk("", tree)
    return flat


def points(
    run: Mapping[str, Any], passes: list[dict], result: Mapping[str, Any] | None
) -> dict[tuple[str, int], tuple[float, int]]:
    """(metric, pass) -> (value, milliseconds): the curves, then the final metrics.

    What a probe measured has the number of the layer in the place of the pass. `reported` and
    `difference` stand beside the error that the paper prints first, for runs at paper scale.
    """
    begun, elapsed = milliseconds(run["started"]), 0.0
    told: dict[tuple[str, int], tuple[float, int]] = {}
    for line in passes:
        elapsed += line.get("seconds") or 0.0  # of this pass; pauses before a resume are left out
        when = begun + round(1000 * elapsed)
        for name, value in line.items():
            if name != "pass" and _is_number(value):
                told[name, line["pass"]] = (float(value), when)
    if result is not None:
        last = result.get("passes") or (passes[-1]["pass"] if passes else 0)
        when = milliseconds(result["finished"])
        for name, value in {**_final(result), **_against_the_paper(run, result)}.items():
            if _is_number(value):
                told.setdefault((name, last), (float(value), when))
        for name, values in result.items():
            if isinstance(values, list):
                for layer, value in enumerate(values, start=1):
                    told[name, layer] = (float(value), when)
    return told


def _final(result: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {
        metric_name(protocol, name): value
        for protocol, measured in result["metrics"].items()
        for name, value in measured.items()
    }
    return metrics | {f"run_{name}": result.get(name) for name in ("seconds", "images_per_second")}


def _against_the_paper(run: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, float]:
    """The number that the paper prints first, and how far from it this run is."""
    reported = run["resolved"].get("reported")
    if run["scale"] != "paper" or not reported:
        return {}
    measured = result["metrics"].get(reported[0]["protocol"], {}).get(reported[0]["metric"])
    value = reported[0]["value"]
    told = {"reported": value}
    if _is_number(measured):
        told["difference"] = round(measured - value, 6)  # the page shows every digit
    return told


def metric_name(protocol: str, metric: str) -> str:
    """Plain names are the protocol of the curves; the others are prefixed by theirs."""
    return metric if protocol == "single-view" else f"{protocol}/{metric}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def milliseconds(moment: str) -> int:
    """ISO time, by default in UTC, since 1970."""
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return round(1000 * parsed.timestamp())
