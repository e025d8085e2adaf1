"""The numbers of a run that are judged."""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

from repro import spec
from repro.errors import NOT_FINITE, DataError

PASSES_TO = "passes_to_"


def per_cent(metric: str) -> bool:
    """Whether `metric` is in per cent, and its differences in points: errors are."""
    return metric.endswith("error")


def unit(metric: str) -> str:
    """What follows a value of `metric`: " %", or nothing."""
    return " %" if per_cent(metric) else ""


def values(records: Iterable[dict], metric: str, protocol: str) -> list[float]:
    """The final `metric` of each run that measured it. Raises DataError for nan."""
    return [number for _, number in measured(records, metric, protocol)]


def measured(records: Iterable[dict], metric: str, protocol: str) -> list[tuple[dict, float]]:
    """(run, its final `metric`) of each that measured it, as in run.json. Raises DataError."""
    numbers = ((record["run"], value(record, metric, protocol)) for record in records)
    return [(run, number) for run, number in numbers if number is not None]


def value(record: dict, metric: str, protocol: str) -> float | None:
    """The final `metric` of one run, None where it has none. Raises DataError for nan.

    The `running_error` is that seen while training in the last pass, whatever the protocol;
    `passes_to_25` says after how many passes it was 25 %, infinite for never.
    """
    if metric.startswith(PASSES_TO):
        return passes_to(float(metric.removeprefix(PASSES_TO)), record)
    number = ((record["result"] or {}).get("metrics") or {}).get(protocol, {}).get(metric)
    if number is None and metric == "running_error" and record["result"] and record["passes"]:
        number = record["passes"][-1].get(metric)
    if number is None:
        return None
    if not math.isfinite(number):
        raise DataError(f"run {record['run']['id']} has a {metric} of {number}")
    return float(number)


def passes_to(error: float, record: dict) -> float | None:
    """After how many passes of a finished run the running error fell to `error` per cent.

    Between the middles of two passes it goes by a straight line. Infinite where it never fell so
    far, None where the run is not finished.
    """
    if not record["result"]:
        return None
    before = None
    for middle, seen in running_errors(record):
        if seen <= error:
            if before is None:
                return middle
            then, higher = before
            return middle - (middle - then) * (error - seen) / (higher - seen)
        before = middle, seen
    return math.inf


def running_errors(record: dict) -> list[tuple[float, float]]:
    """(passes, running error in per cent) of a run: that of a pass, a mean, at its middle.

    Nothing where a pass does not say its error or its updates.
    """
    lines = record["passes"]
    if not all(line.get("running_error") is not None and line.get("update") for line in lines):
        return []
    ends = [0, *(line["update"] for line in lines)]
    middles = [(start + end) / 2 / ends[1] for start, end in pairwise(ends)]
    return list(zip(middles, (line["running_error"] for line in lines), strict=True))


def classes(experiment: spec.Experiment) -> int:
    """How many classes the dataset of an experiment has."""
    from repro.data.sets import DATASETS

    return DATASETS[experiment.recipe.data.dataset].classes


def guesses(metrics: Mapping[str, float | None], experiment: spec.Experiment) -> bool:
    """Whether a test error is that of guessing, to within two standard deviations of its count."""
    error, count = metrics.get("test_error"), metrics.get("test_count")
    if error is None or not count:
        return False
    chance = 1 - 1 / classes(experiment)
    return error >= 100 * (chance - 2 * math.sqrt(chance * (1 - chance) / count))


def diverged(record: dict, experiment: spec.Experiment) -> bool:
    """Whether the loss of a run that ended was not finite, or the trained network guesses."""
    if not record["result"]:
        return str((record.get("failure") or {}).get("reason", "")).startswith(NOT_FINITE)
    return any(guesses(metrics, experiment) for metrics in record["result"]["metrics"].values())


def finished(record: dict) -> tuple[str, ...]:
    """What finished runs are ordered by: time, and the id where that is the same."""
    run = record["run"]
    return str(record["result"].get("finished", "")), str(run.get("started", "")), str(run["id"])
