"""What comes of finished runs: judged, said in words, told to MLflow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro import spec
from repro.errors import ReproError
from repro.judging import bands, explain, groups, measures, spread, verdict
from repro.records import reading, tracking
from repro.running import children
from repro.running.children import Outcome
from repro.running.crew import Crew


@dataclass
class Conclusion:
    """What finished runs of one experiment and scale come to.

    lines: what they mean, and what to do next. warnings: what could not be done after the runs.
    fell_short: of the paper, or of a band. summarize: what MLflow is to sum up, of what it has.
    """

    rows: list[verdict.VerdictRow] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    fell_short: bool = False
    summarize: dict[str, str] = field(default_factory=dict)


def conclude(
    experiment: spec.Experiment, scale: str, out: Path, outcomes: Sequence[Outcome]
) -> Conclusion:
    """Judges finished runs of one experiment and scale; never raises.

    They are judged with the others in `out`, not with the records that came with the code: whoever
    trains the seeds again wants to know what these say. What is known of the spread comes from all.
    """
    made = Conclusion()
    for outcome in outcomes:
        outcome.result["mlflow_run_id"] = None
        _attempt(made, "the MLflow run is unknown", _look_up, outcome)
    _attempt(made, "the runs are not judged", _judge, made, experiment, scale, out, outcomes)
    logged = any(outcome.result["mlflow_run_id"] for outcome in outcomes)
    if logged and scale in reading.KEPT_SCALES:
        made.summarize = {"experiment": experiment.name, "out": str(out)}
    return made


def tell_mlflow(made: Conclusion) -> None:
    """Tells MLflow what the runs come to, in a process that can be left; never raises."""
    if made.summarize:
        _attempt(made, "MLflow was not told the verdict", _tell, made)


def _tell(made: Conclusion) -> None:
    asked = {"do": "summarize", **made.summarize}
    (told,) = children.run([0], lambda _: children.command(asked), Crew(1), lambda *_: None)
    made.warnings += told.warnings or ([told.error] if told.error else [])


def _attempt(made: Conclusion, failed: str, step: Callable[..., None], *arguments: Any) -> None:
    """Whatever fails after a run has finished costs one warning."""
    try:
        step(*arguments)
    except ReproError as error:
        made.warnings.append(f"{failed}: {error}")
    except Exception as error:
        made.warnings.append(f"{failed}: {type(error).__name__}: {error}")


def _look_up(outcome: Outcome) -> None:
    outcome.result["mlflow_run_id"] = tracking.logged_run_id(outcome.result["run_dir"])


def _judge(
    made: Conclusion,
    experiment: spec.Experiment,
    scale: str,
    out: Path,
    outcomes: Sequence[Outcome],
) -> None:
    mine = [reading.read_run(outcome.result["run_dir"]) for outcome in outcomes]
    ids = [record["run"]["id"] for record in mine]
    records = reading.gather(None, out)
    if scale == "paper":
        made.rows = verdict.table(records, [experiment], spread.prior_of_all(records))
    own = bands.checks(mine, [experiment])
    outside = not all(check.inside for check in own)
    made.fell_short = verdict.fell_short(made.rows, ids) or outside
    made.lines += [line for record in mine for line in _chance(record, experiment)]
    made.lines += _repeated(mine, records, experiment)
    made.lines += _bands(own, bands.checks(records, [experiment]), ids)
    made.lines += [
        f"{row.metric.replace('_', ' ')}: {explain.row(row)}"
        for row in made.rows
        if set(row.runs) & set(ids) and row.stacks == 1
    ]
    if scale == "smoke":
        made.lines.append(_smoke(mine))
    made.lines += _next(experiment, scale, made.rows, mine, outcomes)


def _chance(record: dict, experiment: spec.Experiment) -> list[str]:
    """A line where the network guesses."""
    lines = []
    for protocol, metrics in record["result"]["metrics"].items():
        if measures.guesses(metrics, experiment):
            under = "" if protocol == "single-view" else f" ({protocol})"
            lines.append(
                f"seed {record['run']['seed']}: a test error of {metrics['test_error']:.2f} %"
                f"{under} is chance for {measures.classes(experiment)} classes: the network has "
                "learnt nothing so far"
            )
    return lines


def _repeated(mine: list[dict], records: list[dict], experiment: spec.Experiment) -> list[str]:
    """Which run of a seed counts, where it was trained more than once."""
    lines = []
    for record in mine:
        before = groups.seed_before(record, records, experiment)
        if before:
            lines.append(
                f"seed {record['run']['seed']}: this run does not count; the one that finished "
                f"first does, at {before['result'].get('finished')} (run {before['run']['id']})"
            )
    return lines


def _bands(
    own: Sequence[bands.BandCheck], pooled: Sequence[bands.BandCheck], ids: Sequence[str]
) -> list[str]:
    """Where the runs just made lie, and where the mean of all seeds does."""
    lines = [explain.band(check) for check in own]
    more = [explain.band(check) for check in pooled if set(check.runs) & set(ids)]
    return lines + [line for line in more if line not in lines]


def _smoke(mine: list[dict]) -> str:
    subset = mine[0]["result"].get("test_subset")
    total = mine[0]["run"].get("data", {}).get("test_examples")
    part = subset and subset != total
    tested = f"; tested on the first {subset:,} test images alone" if part else ""
    return f"smoke scale: the wiring holds; the numbers mean nothing{tested}"


def _next(
    experiment: spec.Experiment,
    scale: str,
    rows: Sequence[verdict.VerdictRow],
    mine: list[dict],
    outcomes: Sequence[Outcome],
) -> list[str]:
    """Where to look, and the command that comes next."""
    figures = [Path(outcome.result["run_dir"], "figures") for outcome in outcomes]
    drawn = [folder for folder in figures if any(folder.glob("*.svg"))]
    others = ", and those of the other seeds" if drawn[1:] else ""
    lines = [f"figures: {folder}{others}" for folder in drawn[:1]]
    lines.append("the runs in MLflow: repro ui")
    run = mine[0]["run"]
    count = groups.group_of(run, experiment).overrides
    changes = "".join(f" --set {text}" for text in run["overrides"] if count)
    command = f"repro run {experiment.name}"
    if scale != "paper":
        larger = "short" if scale == "smoke" else "paper"
        return [*lines, f"next: {command} --scale {larger}{changes}"]
    if not experiment.reported and not changes:
        return lines  # there is no number to come to
    main = [row for row in rows if row.main and row.runs]
    seeds = sorted({seed for row in main for seed in explain.next_seeds(row)})
    if changes or not seeds:
        return [*lines, f"next: repro verdict {experiment.name}"]
    return [*lines, *(f"next: {command} --seed {seed}" for seed in seeds[:5])]
