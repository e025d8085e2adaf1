"""The records of runs: read from results/ and from run directories.

A record is one JSON document per run that ended: {"run": ..., "passes": [...], "result": ...}, the
three files of its run directory. Of a run that failed, `result` is null and `failure` says why.
"""

import json
import os
from pathlib import Path

from repro.errors import DataError, RunError
from repro.files import put
from repro.records.journal import Journal

KEPT_SCALES = ("short", "paper")


def records(results_root: str | os.PathLike) -> list[dict]:
    """All run records below `results_root`/runs, in the order of their file names.

    Raises DataError for a file that is not a record.
    """
    return [_read_record(path) for path in sorted(Path(results_root, "runs").glob("*/*.json"))]


def gather(results_root: str | os.PathLike | None, *runs_roots: str | os.PathLike) -> list[dict]:
    """The records of `results_root`, and the short and paper runs that are not among them yet.

    Without a `results_root` only the latter. These are the runs below `runs_roots` that have ended.
    Raises DataError.
    """
    recorded = records(results_root) if results_root else []
    found = {record["run"]["id"]: record for record in recorded}
    for root in runs_roots:
        for folder in _ended(root):
            record = read_run(folder)
            known = found.get(record["run"]["id"])
            if record["run"]["scale"] in KEPT_SCALES and (known is None or _newer(record, known)):
                found[record["run"]["id"]] = record
    return list(found.values())


def read_run(run_dir: str | os.PathLike) -> dict:
    """The record of one run directory; `result` is None while the run is unfinished.

    Raises DataError for a file that cannot be read.
    """
    journal = Journal(run_dir)
    try:
        record = {"run": journal.run(), "passes": journal.passes(), "result": journal.result()}
        failure = None if record["result"] else journal.failure()
    except (OSError, ValueError, RunError) as error:
        raise DataError(f"{run_dir} is not a run directory that can be read: {error}") from None
    return {**record, "failure": failure} if failure else record


def collect(runs_root: str | os.PathLike, results_root: str | os.PathLike) -> list[Path]:
    """Copies the short and paper runs of `runs_root` that ended and have no record yet.

    Returns the new files. A record that is there already is never touched, but for that of a run
    that failed and, resumed, has finished since.
    """
    added = []
    for folder in _ended(runs_root):
        target = Path(results_root, "runs", folder.parent.name, f"{folder.name}.json")
        if target.exists() and _read_record(target)["result"]:
            continue
        record = read_run(folder)
        if record["run"]["scale"] not in KEPT_SCALES:
            continue
        if not target.exists() or _newer(record, _read_record(target)):
            put(target, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
            added.append(target)
    return added


def _ended(runs_root: str | os.PathLike) -> list[Path]:
    """The run directories that have a result or a failure; one that was interrupted has neither."""
    files = ("result.json", "failure.json")
    return sorted({path.parent for name in files for path in Path(runs_root).glob(f"*/*/{name}")})


def _newer(record: dict, known: dict) -> bool:
    return bool(record["result"]) and not known["result"]


def _read_record(path: Path) -> dict:
    try:
        record = json.loads(path.read_text())
        ended = record["result"]["metrics"] if record["result"] else record["failure"]["reason"]
        complete = record["run"]["id"] and ended and "passes" in record
    except (OSError, ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise DataError(f"{path} is not the record of a run that ended")
    return record
