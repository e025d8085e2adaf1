"""What MLflow is told of the runs that are judged together: a parent run for each group of them."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from statistics import fmean, stdev
from typing import Any

from repro import catalog, spec
from repro.judging import bands, explain, groups, measures, spread, verdict
from repro.judging.groups import Group
from repro.judging.verdict import VerdictRow
from repro.records import RUNS, here, logged, parents, reading
from repro.records.parents import Summary

# What all runs of a group are tagged with alike.
SHARED = ("paper", "experiment", "scale", "overrides")
SHARED += ("precision", "backend", "strategy", "devices")
FIGURES = ("reported", "difference", "std", "low", "high")  # of a row of the verdict


def sync(experiments: Collection[str], *runs_roots: Any) -> Iterator[dict[str, Any]]:
    """Brings the parents of the runs of these experiments up to date, as `parents.sync` does.

    Judged are the runs that MLflow has, by their records in results/, runs/ and `runs_roots`.
    Raises TrackingError.
    """
    for paper in catalog.papers():
        names = [one.name for one in paper.experiments if one.name in experiments]
        if names:
            yield from parents.sync(paper.name, partial(_of_logged, paper, names, runs_roots))


def _of_logged(
    paper: spec.Paper, names: Collection[str], runs_roots: Sequence[Any], ids: Collection[str]
) -> list[Summary]:
    # What is broken has been named when it was logged.
    records = reading.gather(here.kept_in(), RUNS, *runs_roots, warn=lambda _: None)
    there = [record for record in records if record["run"]["id"] in ids]
    made = of_paper(paper, there, spread.prior_of_all(records))
    return [summary for summary in made if summary.tags["experiment"] in names]


def of_paper(paper: spec.Paper, records: Sequence[dict], prior: spread.Prior) -> list[Summary]:
    """The summaries of all groups of runs of a paper, at short and at paper scale."""
    table = verdict.table(records, paper.experiments, prior)
    made = []
    for experiment in paper.experiments:
        rows = [row for row in table if row.experiment == experiment.name and row.stacks == 1]
        for scale in reading.KEPT_SCALES:
            done = groups.groups(records, experiment, scale)
            among = {**done, **groups.failed(records, experiment, scale)}
            runs: dict[Group, list[dict]] = {}
            for record in records:
                run = record["run"]
                if (run["experiment"], run["scale"]) == (experiment.name, scale):
                    runs.setdefault(groups.group_of(run, experiment), []).append(record)
            for group, every in runs.items():
                label = group.label(among)
                speaks = group.plain and group == next(iter(among))
                name = experiment.name if scale == "paper" else f"{experiment.name} {scale}"
                summary = _summary(
                    experiment,
                    every,
                    done.get(group, []),
                    [row for row in rows if scale == "paper" and row.group == label],
                    label,
                    name=name if speaks else f"{name}, {label}",
                    identity=_identity(experiment.name, scale, group),
                )
                made.append(summary)
    return made


def _summary(
    experiment: spec.Experiment,
    every: Sequence[dict],
    counted: Sequence[dict],
    rows: Sequence[VerdictRow],
    label: str,
    **named: str,
) -> Summary:
    """every: the runs of a group. counted: without those that failed and those of a seed that had
    finished before. rows: its rows of the verdict, one for each reported number; at short scale
    none.
    """
    counts = rows[0].runs if rows else ()
    judged = rows[0].verdict if rows and rows[0].n else ""
    checks = [] if rows else bands.checks(counted, [experiment])
    seeds = [str(record["run"]["seed"]) for record in counted]
    own = logged.tags(groups.as_grouped(every[0], experiment)["run"])
    lines = [f"{row.metric.replace('_', ' ')}: {explain.row(row)}" for row in rows]
    ends = [
        (record["result"] or {}).get("finished") or (record.get("failure") or {}).get("at")
        for record in every
    ]
    begun = [record["run"]["started"] for record in every]
    return Summary(
        **named,
        metrics=_metrics(experiment, counted, rows),
        tags={
            **{key: own.get(key, "") for key in SHARED},
            **{key: text for key, text in own.items() if rows and key.startswith("reported.")},
            "kind": "group",
            "group": label,
            "seed": f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}",
            "seeds": ", ".join(seeds),
            "verdict": judged,
            "band": ("inside" if all(c.inside for c in checks) else "outside") if checks else "",
            "mlflow.note.content": "\n\n".join(
                [experiment.title, *lines, *map(explain.band, checks)]
            ),
        },
        runs={r["run"]["id"]: judged if r["run"]["id"] in counts else "" for r in every},
        started=min(begun, key=logged.milliseconds),
        ended=max(filter(None, (*ends, *begun)), key=logged.milliseconds),
    )


def _metrics(
    experiment: spec.Experiment, counted: Sequence[dict], rows: Sequence[VerdictRow]
) -> dict[str, float]:
    """Means under the names that the runs use; of the first number that the paper prints
    `measured`, `reported` and so on, of further ones the same after its name and a slash."""
    told: dict[str, float] = {"n": len(counted)}
    scored = [record["result"]["metrics"] for record in counted]
    for protocol, metric in dict.fromkeys((p, m) for one in scored for p in one for m in one[p]):
        values = measures.values(counted, metric, protocol)
        if measures.per_cent(metric) and len(values) == len(counted):
            told[logged.metric_name(protocol, metric)] = fmean(values)
    for row in rows:
        before = "" if row is rows[0] else f"{logged.metric_name(row.protocol, row.metric)}/"
        figures = {"measured": row.mean, **{name: getattr(row, name) for name in FIGURES}}
        told[f"{before}n"] = row.n
        told |= {before + name: value for name, value in figures.items() if value is not None}
    if not rows:
        values = measures.values(counted, "test_error", experiment.protocols[0])
        told |= {"std": stdev(values)} if len(values) > 1 else {}
    return {name: round(value, 6) for name, value in told.items()}


def _identity(experiment: str, scale: str, group: Group) -> str:
    said = [experiment, scale, group.overrides, group.precision, group.path, group.compiler]
    said += [group.versions, group.digest, group.examples]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]
