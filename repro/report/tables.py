"""The tables of the pages of results/."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, stdev

from repro import spec
from repro.judging import claims, groups, measures, verdict
from repro.judging.verdict import VerdictRow
from repro.report.cost import minutes_of, speed_of
from repro.report.words import (
    by_chance,
    commit_of,
    effect,
    equivalent,
    failure_reason,
    form_of,
    interval,
    markdown,
    mean_of,
    metric_name,
    paper_number,
    ran_with,
    runs_counted,
    signed,
    spread,
    verdict_word,
)


def verdict_table(rows: list[VerdictRow], group: bool = False, cost: tuple | None = None) -> str:
    """The table of verdicts, with the runs' cost where (records, experiments) are given."""
    header = ["experiment", "metric", "paper", "measured", "n", "difference", "interval", "verdict"]
    header += ["equivalent"]
    header = [*header[:1], *(["what differs"] if group else []), *header[1:]]
    lossy = any(row.failed for row in rows)
    header += ["failed"] if lossy else []
    header += ["minutes a run", "images/s"] if cost else []
    lines = []
    for row in rows:
        line = [
            row.experiment,
            metric_name(row.metric, row.protocol),
            paper_number(row.reported, row.reported_std, row.source, row.chosen),
            spread(row.mean, row.std),
            runs_counted(row),
            signed(row.difference),
            interval(row.low, row.high),
            verdict_word(row).replace("*", "\\*"),
            equivalent(row),
        ]
        if group:
            line.insert(1, row.group)
        if lossy:
            line.append(str(row.failed))
        if cost:
            experiment = next(e for e in cost[1] if e.name == row.experiment)
            runs = groups.speaking(cost[0], experiment, "paper")
            line += [mean_of(minutes_of(r) for r in runs), mean_of(speed_of(r) for r in runs)]
        lines.append(line)
    numeric = {"n", "difference", "failed", "minutes a run", "images/s"}
    chance = by_chance(rows).replace("*", "\\*")
    return markdown(header, lines, numeric) + (f"\n{chance}\n" if chance else "")


def not_run_here(paper: spec.Paper) -> str:
    """The paper's numbers that no experiment stands for, and why there is none."""
    header = ["network", "metric", "paper", "why not"]
    numbers = [(network.name, number) for network in paper.networks for number in network.reported]
    numbers += [("–", number) for number in paper.reported]
    lines = [[name, *_printed(number), number.why_not or "–"] for name, number in numbers]
    return markdown(header, lines, numeric=set()) if lines else ""


def ensembles_table(paper: spec.Paper) -> str:
    """The paper's numbers of several networks together, and what measures them."""
    header = ["ensemble", "runs of", "metric", "paper", "verdict", "command"]
    lines = []
    for ensemble in paper.ensembles:
        counted = Counter(ensemble.members).items()
        members = ", ".join(f"{count} × {name}" for name, count in counted)
        for number in ensemble.reported:
            lines.append([ensemble.name, members, *_printed(number), verdict.NOT_RUN])
            lines[-1].append(f"`{ensemble.command}`")
    return markdown(header, lines, numeric=set()) if lines else ""


def _printed(number: spec.Reported) -> list[str]:
    """The metric, and what the paper prints of it."""
    printed = paper_number(number.value, number.std, number.source, number.chosen)
    return [metric_name(number.metric, number.protocol), printed]


def claims_table(paper: spec.Paper, records: Sequence[dict]) -> str:
    header = ["claim", "source", "compared", "metric", "effect", "interval", "n", "verdict"]
    lines = []
    for claim in paper.claims:
        judged = claims.judge(claim, records, paper.experiments)
        compared = [" − ".join(names) for names in claim.compared]
        counts = [" and ".join(str(judged.n[name]) for name in names) for names in claim.compared]
        lines.append(
            [
                claim.statement,
                claim.source,
                " > ".join(compared),
                metric_name(claim.metric, claim.protocol),
                effect(judged),
                interval(judged.low, judged.high),
                ", ".join(counts) + (" (short scale)" if judged.scale == "short" else ""),
                claims.words(judged),
            ]
        )
    return markdown(header, lines, numeric={"effect"})


def short_table(paper: spec.Paper, records: Sequence[dict], stale: bool) -> str:
    """The short-scale runs by the recipes as they are, or (`stale`) as they were: without bands."""
    header = ["experiment", "what ran", "metric", "measured", "n"]
    header += [] if stale else ["band", "within"]
    lossy = any(groups.failed(records, experiment, "short") for experiment in paper.experiments)
    if lossy:
        header.insert(5, "failed")
    lines = []
    for experiment in paper.experiments:
        bands = {(b.metric, b.protocol): b for b in experiment.bands if b.scale == "short"}
        named = [(c.metric, c.protocol) for c in paper.claims if experiment.name in c.experiments]
        wanted = dict.fromkeys([*bands, ("test_error", experiment.protocols[0]), *named])
        done = groups.groups(records, experiment, "short")
        broken = groups.failed(records, experiment, "short")
        everyone = {**done, **broken}
        for group in everyone:
            for metric, protocol in wanted if group.stale == stale else ():
                numbers = measures.values(done.get(group, ()), metric, protocol)
                if not numbers and group not in broken:
                    continue
                band, within = bands.get((metric, protocol)), "–"
                if band and not band.holds_for(group.precision, group.examples):
                    band = None
                if band and numbers and group.held_to(band):
                    within = "yes" if band.low <= fmean(numbers) <= band.high else "NO"
                line = [
                    experiment.name,
                    group.label(everyone),
                    metric_name(metric, protocol),
                    spread(
                        fmean(numbers) if numbers else None,
                        stdev(numbers) if len(numbers) > 1 else None,
                    ),
                    str(len(numbers)),
                ]
                line += [str(len(broken.get(group, ())))] if lossy else []
                if not stale:
                    line += [interval(band.low, band.high) if band else "–", within]
                lines.append(line)
    return markdown(header, lines, numeric={"n", "failed"}) if lines else ""


def runs_table(runs: list[dict], experiment: spec.Experiment, counted: set[str]) -> str:
    seen = "training_error" if experiment.recipe.training_error_measured else "running_error"
    metrics = dict.fromkeys(
        [("test_error", protocol) for protocol in experiment.protocols]
        + [(number.metric, number.protocol) for number in experiment.reported]
        + [(metric, experiment.protocols[0]) for metric in (seen, *experiment.probes)]
    )
    columns = {
        (m, p): metric_name(m, p) if m.startswith("test") else m.replace("_", " ")
        for m, p in metrics
        if measures.values(runs, m, p)
    }
    header = ["scale", "seed", *columns.values(), "passes", "minutes", "images/s"]
    numeric = set(header[1:])
    header += ["date", "commit", "ran with", "remarks"]
    lines = []
    for record in runs:
        run, result = record["run"], record["result"] or {}
        group = groups.group_of(run, experiment)
        differs = list(group.overrides)
        differs += [] if run["precision"] == "float32" else [run["precision"]]
        if not result:
            differs.append(f"failed: {failure_reason(record)}")
        elif group.stale:
            differs.append("former recipe: not judged")
        elif run["id"] not in counted:
            differs.append("seed run before: not counted")
        if began := run.get("begins"):
            differs.append(f"began with run {began['id'][:8]} ({began['test_error']:.2f} %)")
        lines.append(
            [
                run["scale"],
                str(run["seed"]),
                *(mean_of(measures.values([record], m, p), form_of(m)) for m, p in columns),
                str(result.get("passes", "–")),
                mean_of([minutes_of(record)]),
                mean_of([speed_of(record)]),
                str(run.get("started", ""))[:10],
                commit_of(run),
                ran_with(run),
                ", ".join(differs) or "–",
            ]
        )
    return markdown(header, lines, numeric)
