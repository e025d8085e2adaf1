"""From the journal of a run to MLflow.

The run directory is the record of truth and MLflow is a view of it: `sync` brings MLflow up to what
the directory says, as often as it is called, and adds nothing twice. A tracking server that is
away therefore costs nothing but a later `repro sync`.
"""

import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import socket
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from repro.errors import RunError
from repro.journal import Journal, read_json, write_json

RUN_ID = "repro.run_id"
LOGGED = "mlflow.json"  # in the run directory: where the run is found in MLflow
PARAMETER_LENGTH = 500
TAG_LENGTH = 5000
BATCH = 90  # MLflow takes at most 100 parameters or tags, and 1000 metrics, at a time
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class TrackingError(RunError):
    """MLflow could not be brought up to date; the run directory has everything."""


def uri() -> str:
    """Where runs are logged: MLFLOW_TRACKING_URI, or else `mlflow.db` in the working directory."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    return given or f"sqlite:///{Path('mlflow.db').absolute()}"


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
    _installed()
    target = uri()
    # The trainer and `repro sync` may meet; the lock keeps them from making two runs.
    with _reported(target), _locked(run_dir), _quiet(timeout):
        with _creating(target, timeout):
            client = _client(target)
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


def _installed() -> None:
    if importlib.util.find_spec("mlflow") is None:
        raise TrackingError("MLflow is not installed (pip install mlflow)")


def logged_run_id(run_dir: str | Path) -> str | None:
    """The MLflow run that the latest successful `sync` wrote to; None where there was none."""
    logged = read_json(Path(run_dir) / LOGGED)
    return logged["mlflow_run_id"] if logged else None


def check(timeout: float = 3.0) -> str:
    """Says in a few words that the tracking store answers; raises TrackingError if it does not.

    A SQLite file is looked at without MLflow, which would create it.
    """
    _installed()
    target = uri()
    with _reported(target), _quiet(timeout):
        _reachable(target, timeout)
        path = _sqlite_path(target)
        if path is None:
            _client(target).search_experiments(max_results=1)
            return f"{shown(target)} answers"
        if not path.exists():
            return f"{shown(target)} will be created by the first run"
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'runs'")
            if tables.fetchone() is None:
                return f"{shown(target)} is empty"
            count = database.execute(
                "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'"
            ).fetchone()[0]
        return f"{shown(target)} holds {count} run{'' if count == 1 else 's'}"


def shown(target: str) -> str:
    """The address `target` without user name and password."""
    host = urlsplit(target).netloc
    return target.replace(host, host.rpartition("@")[2], 1) if "@" in host else target


# ---------------------------------------------------------------------------- what is logged


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


# ---------------------------------------------------------------------------- logging it


def _client(target: str) -> Any:
    from mlflow import MlflowClient

    # Alembic announces each of some forty migrations, and MLflow that it begins them.
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=target)


def _experiment(client: Any, target: str, paper: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(paper)
    if found is None:
        path = _sqlite_path(target)
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


# ---------------------------------------------------------------------------- a server that is away


def _sqlite_path(target: str) -> Path | None:
    if not target.startswith("sqlite:///"):
        return None
    return Path(target.removeprefix("sqlite:///").partition("?")[0]).absolute()


def _reachable(target: str, timeout: float) -> None:
    """Fails at once for a database that MLflow would try to open for two minutes.

    HTTP servers are left to MLflow, which knows about proxies and answers in time.
    """
    path = _sqlite_path(target)
    if path is not None and path.exists():
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as database:
            database.execute("PRAGMA schema_version")  # reads the header: is it SQLite at all?
        if not os.access(path, os.W_OK):
            raise PermissionError(f"{path} cannot be written")
    parts = urlsplit(target)
    port = DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port and parts.hostname:
        with socket.create_connection((parts.hostname, parts.port or port), timeout):
            pass


@contextlib.contextmanager
def _creating(target: str, timeout: float) -> Iterator[None]:
    """Makes sure that the store can be there, and alone creates it if need be.

    Seeds that start side by side would otherwise create the tables of one SQLite file at the same
    time, and all but one fail; MLflow's own lock does not prevent it.
    """
    path = _sqlite_path(target)
    if path is None:
        _reachable(target, timeout)
        yield
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            path.open("ab").close()
            _reachable(target, timeout)
            yield


@contextlib.contextmanager
def _quiet(timeout: float) -> Iterator[None]:
    """MLflow without telemetry, warnings and long retries; what the user has set stays."""
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    mine = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _reported(target: str) -> Iterator[None]:
    """Every failure inside as a TrackingError of one line.

    The stores raise errors of MLflow, SQLAlchemy, requests, sockets and of cloud libraries, and
    none of them may end a run that has taken hours; hence the broad `except`.
    """
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        reason = _reason(error).replace(target, shown(target))
        raise TrackingError(f"MLflow at {shown(target)} failed: {reason}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    for sign, words in (
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("Name or service not known", "unknown host"),
        ("Temporary failure in name resolution", "unknown host"),
        ("No such file or directory", "no such file"),
    ):
        if sign in text:
            return words
    line = (text.strip().splitlines() or [""])[0] or type(error).__name__
    return line if len(line) <= 160 else line[:159] + "…"
