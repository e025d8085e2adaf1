"""The records of runs as a pandas frame: what results.csv and `repro.records()` are made of."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from repro.records.shape import LARGEST
from repro.report.words import failure_reason, versions_of

if TYPE_CHECKING:  # pandas takes half a second to import
    import pandas as pd

COUNTS = ("_wrong", "_count")  # the metrics that count images


def run_frame(records: Sequence[dict]) -> "pd.DataFrame":
    """A row per run and protocol; a run that failed has one, without metrics.

    Whole numbers are Int64 and truths boolean, where a missing one stays missing; `started` is a
    time in UTC, other numbers are floats, and texts are texts.
    """
    import pandas as pd

    frame = pd.DataFrame([row for record in records for row in _rows(record)])
    if frame.empty:
        return frame
    metrics = frame.columns[frame.columns.get_loc("protocol") + 1 :]
    counts = [name for name in metrics if name.endswith(COUNTS)]
    floats = ["seconds", "images_per_second", *metrics.difference(counts)]
    frame = frame.astype(dict.fromkeys([*floats, *counts], float) | {"dirty": "boolean"})
    for name in ("seed", "replicas", "passes", "updates", *counts):
        there = frame[name].dropna()
        if ((there % 1 == 0) & (there.abs() <= LARGEST)).all():
            frame[name] = frame[name].astype("Int64")
    # Python reads more forms of ISO 8601 than pandas, and the records are checked by it.
    started = [datetime.fromisoformat(text) for text in frame["started"]]
    frame["started"] = pd.to_datetime(started, utc=True)
    return frame


def csv_table(records: Sequence[dict]) -> str:
    """results.csv; nothing where there are no records."""
    frame = run_frame(records)
    if frame.empty:
        return ""
    return frame.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S+00:00")


def _rows(record: dict) -> Iterator[dict[str, Any]]:
    run, result = record["run"], record["result"] or {}
    facts = {
        **{key: run[key] for key in ("paper", "experiment", "scale", "seed")},
        "overrides": shlex.join(run.get("overrides", ())),
        **{key: run.get(key) for key in ("precision", "backend", "strategy", "replicas")},
        "devices": ", ".join(run.get("devices", ())),
        "recipe": run["digest"],
        **{key: result.get(key) for key in ("passes", "updates", "seconds", "images_per_second")},
        **{key: run.get(key) for key in ("started", "commit", "dirty")},
        "versions": versions_of(run),
        "id": run["id"],
        "failed": failure_reason(record),
    }
    for protocol, metrics in result.get("metrics", {"": {}}).items():
        row = {**facts, "protocol": protocol}
        yield row | {name: value for name, value in metrics.items() if name not in row}
