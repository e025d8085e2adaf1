"""A run in MLflow for each group of seeds, with what they come to; the seeds are folded under it.

What a parent says (mean, interval, verdict) is judged elsewhere and passed in.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repro.records import logged, stores, tracking
from repro.records.logged import GROUP_ID

PARENT = "mlflow.parentRunId"  # by which MLflow folds runs under others


@dataclass(frozen=True)
class Summary:
    """What a parent says of the runs of one group.

    identity: names the group, and stays the same as runs are added. metrics: in per cent and
    points. tags: an empty one is taken away. runs: run id -> the verdict that the run counts in,
    "" for none. started, ended: ISO times of the first run and the last.
    """

    identity: str
    name: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    runs: Mapping[str, str]
    started: str
    ended: str


def sync(
    paper: str,
    summarize: Callable[[Collection[str]], Iterable[Summary]],
    timeout: float = 8.0,
) -> list[dict[str, Any]]:
    """Brings the parents of a paper's runs up to date; what is there already is not added.

    summarize: the summaries of groups, given the ids of the runs that are logged. It is called
    while no other process writes to a SQLite store, so that the last to come knows most.

    Returns for each summary `parent` (its name), `mlflow_run_id`, and `points`, the number of
    metric values added. Raises TrackingError where MLflow fails.
    """
    stores.installed()
    target = stores.uri()

    def work(wrap: Callable[[Any], Any]) -> list[dict[str, Any]]:
        with stores.creating(target, timeout):
            client = wrap(stores.client_of(target))
            mine = _Parents(client, tracking.experiment_of(client, target, paper))
            return [mine.bring_up_to_date(summary) for summary in summarize(mine.seeds.keys())]

    with stores.as_tracking_errors(target), stores.quiet(timeout):
        return stores.answering(target, work)


class _Parents:
    """The runs of one MLflow experiment: the seeds by their ids, the parents by MLflow's."""

    def __init__(self, client: Any, experiment_id: str):
        self.client, self.experiment_id = client, experiment_id
        self.seeds = {run.data.tags[logged.RUN_ID]: run for run in self._tagged(logged.RUN_ID)}
        self.parents = {run.info.run_id: run for run in self._tagged(GROUP_ID)}

    def bring_up_to_date(self, summary: Summary) -> dict[str, Any]:
        parent = self._parent(summary)
        run_id, ended = parent.info.run_id, logged.milliseconds(summary.ended)
        metrics = _changed(parent.data.metrics, summary.metrics)
        self._tell(parent, summary.tags, metrics)
        if parent.info.run_name != summary.name:
            self.client.update_run(run_id, name=summary.name)
        if (parent.info.status, parent.info.end_time) != ("FINISHED", ended):
            self.client.set_terminated(run_id, status="FINISHED", end_time=ended)
        left = set()
        for seed, verdict in summary.runs.items():
            left.add(self.seeds[seed].data.tags.get(PARENT, run_id))
            self._tell(self.seeds[seed], {PARENT: run_id, "verdict": verdict})
        for former in left & self.parents.keys() - {run_id}:
            if not any(self._children(former)):
                self._delete(former)
        return {"parent": summary.name, "mlflow_run_id": run_id, "points": len(metrics)}

    def _parent(self, summary: Summary) -> Any:
        """The parent with the identity of `summary`, made if need be; a second one is taken away.

        Two processes may make one each on a server, which cannot be kept to one of them.
        """
        same = [r for r in self.parents.values() if r.data.tags[GROUP_ID] == summary.identity]
        if not same:
            self.client.create_run(
                self.experiment_id,
                start_time=logged.milliseconds(summary.started),
                tags={GROUP_ID: summary.identity},
                run_name=summary.name,
            )
            same = list(self._search(f"tags.`{GROUP_ID}` = '{summary.identity}'"))
            self.parents |= {run.info.run_id: run for run in same}
        first, *others = sorted(same, key=lambda run: (run.info.start_time, run.info.run_id))
        for other in others:
            for seed in self._children(other.info.run_id):
                self.client.set_tag(seed.info.run_id, PARENT, first.info.run_id)
            self._delete(other.info.run_id)
        return first

    def _delete(self, run_id: str) -> None:
        self.client.delete_run(run_id)
        del self.parents[run_id]

    def _tell(self, run: Any, tags: Mapping[str, str], metrics: list[Any] | None = None) -> None:
        """Logs metrics and the tags that have changed, and takes the empty ones away."""
        from mlflow.entities import RunTag

        before, run_id = run.data.tags, run.info.run_id
        cut = {name: text[: logged.TAG_LENGTH] for name, text in tags.items()}
        new = [RunTag(*tag) for tag in cut.items() if tag[1] and before.get(tag[0]) != tag[1]]
        if new or metrics:
            self.client.log_batch(run_id, metrics=metrics or (), tags=new, synchronous=True)
        for name, text in cut.items():
            if not text and name in before:
                self.client.delete_tag(run_id, name)

    def _children(self, run_id: str) -> Iterator[Any]:
        return self._search(f"tags.`{PARENT}` = '{run_id}'")

    def _tagged(self, tag: str) -> Iterator[Any]:
        return self._search(f"tags.`{tag}` != ''")

    def _search(self, wanted: str) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], wanted, max_results=1000, page_token=token
            )
            yield from page
            if not (token := page.token):
                return


def _changed(there: Mapping[str, float], told: Mapping[str, float]) -> list[Any]:
    """The metrics to log; one that there is no more becomes "not a number"."""
    from mlflow.entities import Metric

    now = round(1000 * time.time())
    return [
        Metric(name, float(value), now, 0)
        for name, value in {**dict.fromkeys(there, math.nan), **told}.items()
        if name not in there or not _same(there[name], value)
    ]


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
