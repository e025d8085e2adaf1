"""From the journal of a run to MLflow.

The run directory is the record of truth and MLflow is a view of it: `sync` brings MLflow up to what
the directory says, as often as it is called, and adds nothing twice. A tracking server that is
away therefore costs nothing but a later `repro sync`.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.files import ordinary, write_json
from repro.locks import Held, locked
from repro.records import logged, stores, views
from repro.records.journal import Journal
from repro.records.stores import TrackingError

LOGGED = "mlflow.json"  # in the run directory: where the run stands in MLflow
ARTIFACTS = (".json", ".jsonl", ".svg", ".png", ".txt")
BATCH = 90  # MLflow takes at most 100 parameters or tags, and 1000 metrics, at a time
SECONDS_BETWEEN_SYNCS = 30.0  # of a run that trains, at least


@dataclass(frozen=True)
class _Told:
    """What a run says of itself, and the files that MLflow keeps with it."""

    run: Mapping[str, Any]
    passes: list[dict]
    result: Mapping[str, Any] | None
    failed: bool
    log_files: Callable[[Any, Any], None]

    @property
    def status(self) -> str:
        if self.result:
            return "FINISHED"
        return "FAILED" if self.failed else "RUNNING"


def sync(run_dir: str | Path, timeout: float = 8.0) -> dict[str, Any]:
    """Log to MLflow what it does not yet have of the run in `run_dir`.

    timeout: seconds that the server has for each answer.

    Returns `mlflow_run_id`, `mlflow_experiment_id`, `uri` (without a password), `status` (RUNNING,
    FINISHED or FAILED, as the directory says), and `points`, the number of metric values added.
    Raises UsageError where `run_dir` is no run directory, RunError where a file of it is damaged,
    TrackingError where MLflow fails.
    """
    run_dir = Path(run_dir)
    journal = Journal.open(run_dir)
    # The trainer and `repro sync` may meet. Whoever had to wait reads what is there by then: it
    # adds nothing twice, and does not call a run RUNNING that has finished meanwhile.
    with _alone(run_dir):
        answer = _log(_told_by(journal), timeout)
    kept = {key: answer[key] for key in ("mlflow_run_id", "mlflow_experiment_id", "uri")}
    try:
        if journal.logged() != kept:
            write_json(run_dir / LOGGED, kept, within=run_dir)
    except OSError as error:
        raise TrackingError(f"{run_dir / LOGGED} cannot be written: {error.strerror}") from None
    return answer


def _told_by(journal: Journal) -> _Told:
    run, passes, result = journal.run(), journal.passes(), journal.result()
    failed = result is None and journal.failure() is not None

    def log_files(client: Any, entry: Any) -> None:
        _log_files(client, entry, journal.path, everything=bool(result) or failed)

    return _Told(run, passes, result, failed, log_files)


def sync_record(record: Mapping[str, Any], timeout: float = 8.0) -> dict:
    """Log a record of results/ as `sync` logs a run directory; the record is its one artifact."""

    def log_files(client: Any, entry: Any) -> None:
        there = {file.path for file in client.list_artifacts(entry.info.run_id)}
        if "record.json" not in there:
            text = json.dumps(record, indent=1, ensure_ascii=False)
            client.log_text(entry.info.run_id, text, "record.json")

    failed = not record["result"]
    told = _Told(record["run"], record["passes"], record["result"], failed, log_files)
    return {"run": logged.run_name(record["run"]), **_log(told, timeout)}


def logged_run_id(run_dir: str | Path) -> str | None:
    """The MLflow run that the latest successful `sync` wrote to; None where there was none."""
    return (Journal(run_dir).logged() or {}).get("mlflow_run_id")


@contextlib.contextmanager
def _alone(run_dir: Path) -> Iterator[None]:
    """Held by one `sync` at a time, where the folder can be written."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(run_dir, ".sync.lock", wait=60))
        except Held as other:
            raise TrackingError(f"{run_dir}: is being logged by {other.strerror}") from None
        except OSError:  # a folder of others: nobody trains there
            pass
        yield


# ---------------------------------------------------------------------------- logging it


def _log(told: _Told, timeout: float) -> dict[str, Any]:
    stores.installed()
    target = stores.uri()
    with stores.as_tracking_errors(target), stores.quiet(timeout):
        return stores.answering(target, lambda wrap: _log_to(target, told, timeout, wrap))


def _log_to(target: str, told: _Told, timeout: float, wrap: Callable[[Any], Any]) -> dict[str, Any]:
    run = told.run
    with stores.creating(target, timeout):
        client = wrap(stores.client_of(target))
        experiment_id = experiment_of(client, target, run["paper"])
        entry = _find(client, experiment_id, run["id"])
        if entry is None:
            entry = client.create_run(
                experiment_id,
                start_time=logged.milliseconds(run["started"]),
                tags=logged.tags(run),
                run_name=logged.run_name(run),
            )
    run_id = entry.info.run_id
    _log_parameters(client, entry, run)
    _log_data(client, entry, run)
    points = _log_points(client, entry, told)
    if told.status != entry.info.status:
        if told.status == "RUNNING":  # it failed, and has been resumed
            client.update_run(run_id, status=told.status)
        else:
            ended = logged.milliseconds(told.result["finished"]) if told.result else None
            client.set_terminated(run_id, status=told.status, end_time=ended)
    told.log_files(client, entry)
    return {
        "mlflow_run_id": run_id,
        "mlflow_experiment_id": experiment_id,
        "uri": stores.shown(target),
        "status": told.status,
        "points": points,
    }


def experiment_of(client: Any, target: str, paper: str) -> str:
    """The MLflow experiment of a paper, made if need be, with its views. Raises TrackingError."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(paper)
    if experiment is None:
        path = stores.sqlite_path(target)
        location = None if path is None else (path.parent / stores.ARTIFACTS / paper).as_uri()
        with contextlib.suppress(MlflowException):  # another run has just made it
            client.create_experiment(paper, artifact_location=location)
        experiment = client.get_experiment_by_name(paper)
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"the MLflow experiment '{paper}' is deleted; restore it: mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}"
        )
    for key, value in views.tags().items():
        if experiment.tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return experiment.experiment_id


def _find(client: Any, experiment_id: str, identity: str) -> Any:
    wanted = f"tags.`{logged.RUN_ID}` = '{identity}'"
    runs = client.search_runs([experiment_id], wanted, max_results=1)
    return runs[0] if runs else None


def _log_parameters(client: Any, entry: Any, run: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    told = logged.parameters(run).items()
    missing = [Param(k, v) for k, v in told if k not in entry.data.params]
    for batch in _batches(missing):
        client.log_batch(entry.info.run_id, params=batch, synchronous=True)


def _log_data(client: Any, entry: Any, run: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = run.get("data")
    if not data or (entry.inputs and entry.inputs.dataset_inputs):
        return
    dataset = Dataset(
        name=data["dataset"],
        digest=str(data["digest"])[:36],  # as many as MLflow keeps
        source_type="code",
        source=json.dumps({"dataset": data["dataset"], "version": data.get("version")}),
        profile=json.dumps(data),
    )
    inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training and test")])]
    client.log_inputs(entry.info.run_id, inputs)


def _log_points(client: Any, entry: Any, told: _Told) -> int:
    from mlflow.entities import Metric

    points = logged.points(told.run, told.passes, told.result)
    run_id = entry.info.run_id
    there = {
        (name, metric.step)
        for name in {name for name, _ in points} & set(entry.data.metrics)
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


def _log_files(client: Any, entry: Any, run_dir: Path, everything: bool) -> None:
    """The directory's JSON files and figures; while the run goes on, only run.json, once.

    Links are left out: they may lead anywhere.
    """
    run_id = entry.info.run_id
    for folder in ("", "figures"):
        files = [path for path in ordinary(run_dir / folder, "*") if _is_artifact(path)]
        if not everything:
            files = [path for path in files if path.name == "run.json"]
        if files:
            sizes = {f.path: f.file_size for f in client.list_artifacts(run_id, folder or None)}
            for path in files:
                name = f"{folder}/{path.name}" if folder else path.name
                if sizes.get(name) != path.stat().st_size:
                    client.log_artifact(run_id, str(path), folder or None)


def _is_artifact(path: Path) -> bool:
    return path.suffix in ARTIFACTS and not path.name.startswith(".") and path.name != LOGGED


def _batches(items: list) -> Iterator[list]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
