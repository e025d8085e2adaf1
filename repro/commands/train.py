"""`run`, `resume`, `evaluate`, `export`: what trains, and what uses what was trained."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from repro import catalog, spec
from repro.commands import options
from repro.commands.options import (
    ExperimentName,
    Jobs,
    Json,
    Overrides,
    Precision,
    RunDir,
    Scale,
    Strategy,
    number,
)
from repro.errors import UsageError
from repro.limits import LARGEST_SEED, MOST_SEEDS
from repro.records import RUNS


def run(
    experiment: ExperimentName,
    scale: Scale = "paper",
    seed: Annotated[
        int | None,
        number("--seed", 0, LARGEST_SEED, metavar="K", help="Default: 0."),
    ] = None,
    seeds: Annotated[
        int | None,
        number(
            "--seeds",
            1,
            MOST_SEEDS,
            metavar="N",
            help="Seeds 0 to N-1, a process each.",
        ),
    ] = None,
    overrides: Overrides = None,
    strategy: Strategy = "auto",
    precision: Precision = "float32",
    jobs: Jobs = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN_DIR",
            help="The run whose weights training begins with, of experiments that begin with one. "
            "Default: the newest below --out that fits.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR")] = Path(RUNS),
    json: Json = False,
):
    """Train, evaluate by the paper's protocol, log, judge."""
    as_written = options.experiment(experiment)
    if seed is not None and seeds is not None:
        raise UsageError(f"--seed {seed} --seeds {seeds}: accepted is one of the two")
    if jobs and not seeds:
        raise UsageError(f"--jobs {jobs}: goes with --seeds")
    from repro import terminal
    from repro.running import train

    start = str(start_from) if start_from else None
    wanted = train.Options(
        scale, tuple(overrides or ()), strategy, precision, str(out), jobs, start
    )
    resolved = train.resolved(as_written, wanted)
    if not json:
        terminal.say(f"{as_written.name}, {scale} scale: {as_written.title}")
        if as_written.note:
            terminal.say(as_written.note)
    printed = Printed(json)
    outcomes = train.train(resolved, range(seeds) if seeds else [seed or 0], wanted, printed)
    short = _conclude(as_written, scale, out, outcomes, printed, several=bool(seeds))
    train.check(outcomes)
    return short


def resume(run_dir: RunDir, json: Json = False):
    """Resume a run exactly where it stopped."""
    from repro.records import journal
    from repro.running import train

    facts = journal.Journal.open(run_dir).run()
    experiment = catalog.experiment(facts["experiment"])
    printed = Printed(json)
    outcomes = train.resume(str(run_dir), facts["seed"], printed)
    train.check(outcomes)
    out = run_dir.resolve().parent.parent
    return _conclude(experiment, facts["scale"], out, outcomes, printed)


class Printed:
    """Prints results for people once, as soon as they are there; JSON is printed at the end."""

    def __init__(self, json: bool):
        self.json, self.done = json, json

    def __call__(self, results: Sequence[dict]) -> None:
        if not self.done:
            _print_results(results)
        self.done = True


def _conclude(
    experiment: spec.Experiment,
    scale: str,
    out: Path,
    outcomes: Sequence,
    printed: Printed,
    several: bool = False,
) -> bool:
    """Prints the runs that finished, then what they come to; true when they fell short.

    The result comes first: nothing that fails after it, or beside it, may hide it.
    """
    outcomes = [outcome for outcome in outcomes if outcome.result]
    if not outcomes:
        return False
    from repro import terminal
    from repro.commands import judge
    from repro.running import conclude

    printed([outcome.result for outcome in outcomes])
    made = conclude.conclude(experiment, scale, out, outcomes)
    if not printed.json:
        judge.print_verdicts(made.rows)
        for line in made.lines:
            terminal.tell(line)
    conclude.tell_mlflow(made)
    if printed.json:
        document = [{**o.result, "warnings": o.warnings + made.warnings} for o in outcomes]
        terminal.print_json(document if several else document[0])
    for warning in dict.fromkeys(made.warnings):
        terminal.say(f"warning: {' '.join(warning.split())}")
    return made.fell_short


def _print_results(results: Sequence[dict]) -> None:
    from repro import terminal
    from repro.judging.measures import unit

    scored = [metrics for result in results for metrics in result["metrics"].values()]
    first = ("test_error", "training_error", "running_error")
    others = [key for metrics in scored for key in metrics if not _is_bookkeeping(key)]
    shown = [key for key in dict.fromkeys((*first, *others)) if any(key in m for m in scored)]
    rows = []
    for result in results:
        for protocol, metrics in result["metrics"].items():
            speed = round(result.get("images_per_second") or 0)
            values = [metrics.get(key) for key in shown]
            rows.append((result["seed"], protocol, *values, speed, result["run_dir"]))
    names = [key.replace("_", " ") + unit(key) for key in shown]
    terminal.print_table(("seed", "protocol", *names, "images/s", "run directory"), rows)
    sys.stdout.flush()


def _is_bookkeeping(metric: str) -> bool:
    """Counts and losses, from which the errors are made, are in result.json alone."""
    return metric.endswith(("_count", "_wrong", "_loss"))


LAYOUT = (
    "Test an experiment's network with the weights in this file: an array for each variable, named "
    "<layer>/<variable> (conv1/kernel, conv1/bias; gamma, beta, moving_mean, moving_variance), the "
    "layers as `repro anatomy` names them. Kernels are height, width, inputs, outputs; those of "
    "full layers inputs, outputs, the inputs flattened by row, column and map. `repro export "
    "RUN_DIR OUT.npz` writes such files. Auxiliary classifiers may be missing."
)


def evaluate(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_DIR...",
            help="Of several runs, the mean of their softmax is scored. With --weights, an "
            "experiment in their place.",
        ),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="single-view, 10-crop, 144-crop, dense-Q, 50-crop-Q, 50-crop-and-dense-Q: Q a "
            "length of the shorter side in pixels, or several, dense-224-256-288. See `repro "
            "parts`. With --weights the default is the experiment's first.",
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(metavar="FILE.npz", help=LAYOUT)] = None,
    json: Json = False,
):
    """Score a run's network under another protocol, several together, or weights from a file."""
    from repro import terminal
    from repro.commands import texts
    from repro.training import protocols, runner

    if protocol is not None:
        protocols.parse(protocol)
    elif weights is None:
        raise UsageError(f"--protocol is missing; accepted: {', '.join(protocols.SAID)}")
    if weights and len(runs) > 1:
        raise UsageError(f"--weights {weights}: goes with one experiment, there are {len(runs)}")
    described = options.experiment(runs[0]) if weights else None
    with terminal.working(f"testing {' '.join(runs)}"), terminal.muffled():
        if weights:
            scored = runner.evaluate_weights(described, weights, protocol)
        elif len(runs) > 1:
            scored = runner.evaluate_together(runs, protocol)
        else:
            scored = runner.evaluate(runs[0], protocol)
    if json:
        return terminal.print_json(scored)
    facts = [("run", texts.value(run)) for run in scored.pop("runs", ())]
    terminal.print_facts(
        [*facts, *((key, texts.value(value)) for key, value in texts.flat(scored))]
    )


def export(run_dir: RunDir, file: Annotated[Path, typer.Argument(metavar="OUT.keras|OUT.npz")]):
    """Write the trained network of a run as a .keras file, or its weights as a .npz file."""
    if file.suffix not in (".keras", ".npz"):
        raise UsageError(f"{file}: accepted is a name that ends in .keras or .npz")
    from repro import terminal
    from repro.running import exporting

    with terminal.working(f"exporting {run_dir}"), terminal.muffled():
        exporting.export(run_dir, file)
    print(f"{file}: the network of {run_dir}, as it was tested")


def train_one(request: Annotated[str, typer.Argument(metavar="JSON")]):
    """One run in a process of its own, told in events (for `run` and `resume`)."""
    from repro.running import child

    return child.main(request)
