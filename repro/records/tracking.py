"""From the journal of a run to MLflow.

The run directory is the record of truth and MLflow is a view of it: `sync` brings MLflow up to what
the directory says, as often as it is called, and adds nothing twice. A tracking server that is
away therefore costs nothing but a later `repro sync`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repro.files import read_json, write_json
from repro.records.journal import Journal
from repro.records.stores import (
    TrackingError,
    _locked,
    as_tracking_errors,
    client_of,
    creating,
    installed,
    quiet,
    shown,
    sqlite_path,
    uri,
)

RUN_ID = "repro.run_id"
LOGGED = "mlflow.json"  # in the run directory: where the run is found in MLflow
SECONDS_BETWEEN_SYNCS = 30.0  # of a run that is being trained
PARAMETER_LENGTH = 500
TAG_LENGTH = 5000
BATCH = 90  # MLflow takes at most 100 parameters or tags, and 1000 metrics, at a time


def sync(
    run_dir: str | Path,
    timeout: float = 8.0,
    verdict: str | None = None,
) -> dict[str, Any]:
    """Log to MLflow what it does not yet have of the run in `run_dir`.

    timeout: seconds that the server has for each answer.
    verdict: the verdict that the run counts in; "" takes a former one away, None leaves it.

    Returns `mlflow_run_id`, `mlflow_experiment_id`, `uri` (without a password), `status` (RUNNING,
    FINISHED or FAILED, as the directory says), and `points`, the number of metric values added.
    Raises UsageError where `run_dir` is no run directory, TrackingError where MLflow fails.
    """
    run_dir = Path(run_dir)
    journal = Journal.open(run_dir)
    run, passes, result = journal.run(), journal.passes(), journal.result()
    if result:
        status, ended = "FINISHED", _milliseconds(result["finished"])
    else:
        status, ended = "FAILED" if journal.failure() else "RUNNING", None
    installed()
    target = uri()
    # The trainer and `repro sync` may meet; the lock keeps them from making two runs.
    with as_tracking_errors(target), _locked(run_dir), quiet(timeout):
        with creating(target, timeout):
            client = client_of(target)
            experiment_id = _experiment(client, target, run["paper"])
        known = _find(client, experiment_id, run["id"])
        if known is None:
            known = client.create_run(
                experiment_id,
                start_time=_milliseconds(run["started"]),
                tags=_tags(run),
                run_name=f"{run['experiment']} · {run['scale']} · seed {run['seed']}",
            )
        run_id = known.info.run_id
        _log_parameters(client, known, run)
        _log_data(client, known, run)
        points = _log_points(client, known, run, passes, result)
        tagged = known.data.tags.get("verdict", "")
        if verdict and tagged != verdict:
            client.set_tag(run_id, "verdict", verdict)
        elif verdict == "" and tagged:
            client.delete_tag(run_id, "verdict")
        _log_files(client, known, run_dir, everything=status != "RUNNING")
        if status != known.info.status:
            if status == "RUNNING":  # it failed, and has been resumed
                client.update_run(run_id, status=status)
            else:
                client.set_terminated(run_id, status=status, end_time=ended)
        logged = {
            "mlflow_run_id": run_id,
            "mlflow_experiment_id": experiment_id,
            "uri": shown(target),
        }
        if read_json(run_dir / LOGGED) != logged:
            write_json(run_dir / LOGGED, logged)
        return {**logged, "status": status, "points": points}


def logged_run_id(run_dir: str | Path) -> str | None:
    """The MLflow run that the latest successful `sync` wrote to; None where there was none."""
    logged = read_json(Path(run_dir) / LOGGED)
    return logged["mlflow_run_id"] if logged else None


def _tags(run: Mapping[str, Any]) -> dict[str, str]:
    resolved = run["resolved"]
    deviations = resolved.get("deviations") or []
    tags = {
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
        "commit": run.get("commit"),
        "dirty": run.get("dirty"),
        "deviations": "\n".join(deviations),
        "mlflow.source.name": run.get("command"),
        "mlflow.source.git.commit": run.get("commit"),
        "mlflow.note.content": _note(resolved, deviations),
    }
    for name, version in (run.get("versions") or {}).items():
        tags[f"version.{name}"] = version
    for reported in resolved.get("reported") or []:
        key = _metric_name(reported["protocol"], reported["metric"])
        tags[f"reported.{key}"] = f"{reported['value']} ({reported['source']})"
    return {k: str(v)[:TAG_LENGTH] for k, v in tags.items() if v not in (None, "")}


def _note(resolved: Mapping[str, Any], deviations: list[str]) -> str:
    """The run's description, in the Markdown that MLflow shows."""
    parts = [resolved.get("title", ""), resolved.get("note", "")]
    if deviations:
        parts.append("Deviations from the paper:\n" + "\n".join(f"- {d}" for d in deviations))
    return "\n\n".join(part for part in parts if part)


def _parameters(run: Mapping[str, Any]) -> dict[str, str]:
    """The resolved network and recipe under the keys that `--set` takes."""
    resolved = run["resolved"]
    network = resolved["network"]
    tree = {
        "network": {"name": network["name"], **network.get("options", {})},
        "recipe": resolved["recipe"],
        "protocols": resolved.get("protocols"),
        "scale": run["scale"],
        "seed": run["seed"],
        "precision": run.get("precision"),
    }
    parameters: dict[str, str] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                walk(f"{key}.{name}" if key else name, inner)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            short = len(text) <= PARAMETER_LENGTH
            parameters[key] = text if short else text[: PARAMETER_LENGTH - 1] + "…"

    walk("", tree)
    return parameters


def _metric_name(protocol: str, metric: str) -> str:
    """Plain names are the protocol of the curves; the others are prefixed by theirs."""
    return metric if protocol == "single-view" else f"{protocol}/{metric}"


def _points(
    run: Mapping[str, Any], passes: list[dict], result: Mapping[str, Any] | None
) -> dict[tuple[str, int], tuple[float, int]]:
    """(metric, pass) -> (value, milliseconds): the curves, then the final metrics.

    What a probe measured has the number of the layer in the place of the pass.
    """
    begun, elapsed = _milliseconds(run["started"]), 0.0
    points: dict[tuple[str, int], tuple[float, int]] = {}
    for line in passes:
        elapsed += line.get("seconds") or 0.0  # of this pass; pauses before a resume are left out
        when = begun + round(1000 * elapsed)
        for name, value in line.items():
            if name != "pass" and _is_number(value):
                points[name, line["pass"]] = (float(value), when)
    if result is not None:
        last = result.get("passes") or (passes[-1]["pass"] if passes else 0)
        when = _milliseconds(result["finished"])
        final = {
            _metric_name(protocol, name): value
            for protocol, metrics in result["metrics"].items()
            for name, value in metrics.items()
        }
        for name in ("seconds", "images_per_second"):
            final[f"run_{name}"] = result.get(name)
        for name, value in final.items():
            if _is_number(value):
                points.setdefault((name, last), (float(value), when))
        for name, values in result.items():
            if isinstance(values, list):
                for layer, value in enumerate(values, start=1):
                    points[name, layer] = (float(value), when)
    return points


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _experiment(client: Any, target: str, paper: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(paper)
    if found is None:
        path = sqlite_path(target)
        location = None if path is None else (path.parent / "mlartifacts" / paper).as_uri()
        try:
            return client.create_experiment(paper, artifact_location=location)
        except MlflowException:  # another run of this paper has just made it
            found = client.get_experiment_by_name(paper)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise TrackingError(f"the MLflow experiment '{paper}' is deleted: restore it, or rename it")
    return found.experiment_id


def _find(client: Any, experiment_id: str, identity: str) -> Any:
    runs = client.search_runs([experiment_id], f"tags.`{RUN_ID}` = '{identity}'", max_results=1)
    return runs[0] if runs else None


def _log_parameters(client: Any, known: Any, run: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    missing = [Param(k, v) for k, v in _parameters(run).items() if k not in known.data.params]
    for batch in _batches(missing):
        client.log_batch(known.info.run_id, params=batch, synchronous=True)


def _log_data(client: Any, known: Any, run: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = run.get("data")
    if not data or (known.inputs and known.inputs.dataset_inputs):
        return
    dataset = Dataset(
        name=data["dataset"],
        digest=str(data["digest"])[:36],  # as many as MLflow keeps
        source_type="code",
        source=json.dumps({"dataset": data["dataset"], "version": data.get("version")}),
        profile=json.dumps(data),
    )
    inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training and test")])]
    client.log_inputs(known.info.run_id, inputs)


def _log_points(
    client: Any,
    known: Any,
    run: Mapping[str, Any],
    passes: list[dict],
    result: Mapping[str, Any] | None,
) -> int:
    from mlflow.entities import Metric

    points = _points(run, passes, result)
    run_id = known.info.run_id
    there = {
        (name, metric.step)
        for name in {name for name, _ in points} & set(known.data.metrics)
        for metric in client.get_metric_history(run_id, name)
    }
    missing = [
        Metric(name, value, when, step)
        for (name, step), (value, when) in sorted(points.items(), key=lambda item: item[0][1])
        if (name, step) not in there
    ]
    for batch in _batches(missing):
        client.log_batch(run_id, metrics=batch, synchronous=True)
    return len(missing)


def _log_files(client: Any, known: Any, run_dir: Path, everything: bool) -> None:
    """The directory's JSON files and figures; while the run goes on, only run.json, once."""
    run_id = known.info.run_id
    for folder in ("", "figures"):
        files = sorted(p for p in (run_dir / folder).glob("*") if _is_artifact(p))
        if not everything:
            files = [p for p in files if p.name == "run.json"]
        if files:
            sizes = {f.path: f.file_size for f in client.list_artifacts(run_id, folder or None)}
            for path in files:
                name = f"{folder}/{path.name}" if folder else path.name
                if sizes.get(name) != path.stat().st_size:
                    client.log_artifact(run_id, str(path), folder or None)


def _is_artifact(path: Path) -> bool:
    if path.name.startswith(".") or path.name == LOGGED:
        return False
    return path.is_file() and path.suffix in (".json", ".jsonl", ".svg", ".png", ".txt")


def _batches(items: list) -> Iterator[list]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _milliseconds(moment: str) -> int:
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return round(1000 * parsed.timestamp())
