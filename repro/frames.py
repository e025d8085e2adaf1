"""For notebooks: what there is, what was measured, and runs, as pandas frames.

    import repro

    repro.verdicts().query("main and verdict == 'reproduced'")

Errors are of the class `repro.errors.ReproError`, one line each. Nothing slow is imported before
one of the functions is called.
"""

import contextlib
import itertools
import json
import operator
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import catalog
from repro.errors import DataError, RunError, UsageError
from repro.jsonable import fields_of
from repro.limits import LARGEST_SEED, MOST_SEEDS
from repro.records import RUNS

if TYPE_CHECKING:
    import pandas as pd

    from repro.records import reading

RUN_INDEX = ["experiment", "scale", "seed"]
# What a column holds, by the type of a field; texts stay as they are.
KINDS = {int: int, int | None: "Int64", bool: bool, bool | None: "boolean"}
KINDS |= {float: float, float | None: float}


def experiments() -> "pd.DataFrame":
    """The experiments of all papers, a row each, by name.

    Columns: `paper`, `title`, `network`, `dataset`; how long it trains, in `passes` through the
    training set or in `iterations` (updates), and `batch`, examples per update; the number that
    the paper prints first, `reported` (of errors in per cent), its spread `reported_std` where the
    paper gives one, its `metric`, `protocol` and `source`; `seeds`, how many runs make a verdict;
    `deviations` from the paper, a sentence a line.

        repro.experiments().query("dataset == 'cifar10' and reported < 7")
    """
    pandas = _pandas()
    rows = []
    for paper in catalog.papers():
        for one in paper.experiments:
            recipe, number = one.recipe, one.reported[0] if one.reported else None
            row = {
                "experiment": one.name,
                "paper": paper.name,
                "title": one.title,
                "network": one.network.name,
                "dataset": recipe.data.dataset,
                "passes": recipe.passes or None,
                "iterations": recipe.iterations or None,
                "batch": recipe.batch,
                "metric": number and number.metric,
                "protocol": number and number.protocol,
                "reported": number and number.value,
                "reported_std": number and number.std,
                "source": number and number.source,
                "seeds": one.seeds,
                "deviations": "\n".join(one.deviations),
            }
            rows.append(row)
    kinds = {"passes": "Int64", "iterations": "Int64", "reported": float, "reported_std": float}
    return pandas.DataFrame(rows).set_index("experiment").astype(kinds)


def records() -> "pd.DataFrame":
    """The recorded runs, a row per run and protocol, by experiment, scale and seed.

    Those are the records of results/ (or that came with this program) and the runs below runs/.
    Columns: what ran (`paper`, `overrides`, `precision`, `backend`, `strategy`, `replicas`,
    `devices`, `recipe`, its digest, `commit`, `dirty`, `versions`), `passes`, `updates`, `seconds`,
    `images_per_second`, when it `started` (UTC), its `id`, and why it `failed` ("" where it did
    not); then `protocol` and what it measured: each `..._error` in per cent, `..._wrong` and
    `..._count` in images. Raises DataError where there are no records.

        repro.records().groupby(["experiment", "scale"])["test_error"].agg(["mean", "std", "count"])
    """
    _pandas()
    from repro.report.run_frame import run_frame

    return run_frame(_gathered()).set_index(RUN_INDEX).sort_index(kind="stable")


def verdicts() -> "pd.DataFrame":
    """Measured against reported, as `repro verdict` has it, by experiment.

    A row per reported number and group of runs, and one of all stacks together where there are
    several; `main` is the one that speaks for the experiment.
    Columns are those of `repro.judging.verdict.VerdictRow`, of errors `reported`, `mean`, `low` and
    `high` in per cent, `std` and `difference` in points; `seeds` and `runs` are lists in a text.
    Raises DataError where there are no records.

        repro.verdicts().query("main and n >= 3")[["reported", "mean", "low", "high", "verdict"]]
    """
    pandas = _pandas()
    from repro.judging import spread, verdict

    there = _gathered()
    rows = verdict.table(there, catalog.experiments(), spread.prior_of_all(there))
    said = [name for name in fields_of(rows[0]) if name != "experiment"]
    kinds = verdict.VerdictRow.__annotations__
    columns = {name: [_listed(getattr(row, name)) for row in rows] for name in said}
    named = pandas.Index([row.experiment for row in rows], name="experiment")
    frame = pandas.DataFrame(columns, named)
    frame = frame.astype({name: KINDS[kinds[name]] for name in said if kinds[name] in KINDS})
    frame.insert(0, "paper", [catalog.paper_of(name).name for name in frame.index])
    return frame


def anatomy(network: str) -> "pd.DataFrame":
    """The layers of a network, by name, in the order of computation.

    Columns: `kind`, `output_shape` ("28x28x6": height, width, maps), `parameters` (trainable ones),
    `connections`, `multiply_adds` for one image, `receptive_field` (the side of a square, in input
    pixels). What the paper says of the whole network is in `frame.attrs["published"]`. Raises
    UsageError for an unknown network, and where Keras or its backend is missing.

        repro.anatomy("lenet5")[["parameters", "connections"]].sum()
    """
    pandas = _pandas()
    described = catalog.network(network)
    frame = pandas.DataFrame(_asked("anatomy", described.name)["layers"])
    frame["output_shape"] = ["x".join(map(str, shape)) for shape in frame["output_shape"]]
    frame.attrs["published"] = dict(described.published)
    return frame.rename(columns={"name": "layer"}).set_index("layer")


def run(
    experiment: str,
    scale: str = "paper",
    seeds: int | Iterable[int] = 1,
    overrides: Mapping[str, Any] | None = None,
    strategy: str = "auto",
    precision: str = "float32",
    out: str = RUNS,
    start_from: str | None = None,
) -> "pd.DataFrame":
    """Trains, tests, logs and judges, as `repro run` does; the results, by seed and protocol.

    seeds: how many, from 0 on, or which: `[3, 4]`. overrides: what `--set` takes, such as
    `{"recipe.optimizer.rate": 0.05}`. start_from: the folder of the run to begin with, for one seed
    of an experiment that begins with one. The other options are those of the command. Each seed is
    trained in a process of its own; progress is told on standard error.

    Columns are those of `records`, and `run_dir`. Raises UsageError for an unknown name or value,
    and where Keras is missing; DataError for data that is not there; RunError where a run failed.
    Interrupted, it checkpoints and raises Interrupted.

        repro.run("lenet5-digits", scale="short", seeds=3)[["test_error", "seconds"]]
    """
    _pandas()
    as_written, chosen = catalog.experiment(experiment), _chosen(seeds)
    from repro.records import reading
    from repro.report.run_frame import run_frame
    from repro.running import conclude, train
    from repro.terminal import say

    changes = tuple(f"{key}={value}" for key, value in (overrides or {}).items())
    start = str(start_from) if start_from else None
    options = train.Options(scale, changes, strategy, precision, str(out), start_from=start)
    outcomes = train.train(train.resolved(as_written, options), chosen, options)
    finished = [outcome for outcome in outcomes if outcome.result]
    if finished:
        made = conclude.conclude(as_written, scale, Path(out), finished)
        for line in made.lines:
            say(line)
        conclude.tell_mlflow(made)
        for warning in dict.fromkeys(made.warnings):
            say(f"warning: {warning}")
    train.check(outcomes)
    done = {outcome.run_dir: reading.read_run(outcome.run_dir) for outcome in outcomes}
    folders = {record["run"]["id"]: folder for folder, record in done.items()}
    frame = run_frame(list(done.values()))
    return frame.assign(run_dir=frame["id"].map(folders)).set_index(RUN_INDEX)


def _gathered() -> "reading.Records":
    """The records there are; what is broken is named. Raises DataError where there are none."""
    from repro.records import here
    from repro.terminal import say

    there = here.read(lambda text: say(f"warning: {text}"))
    if not there:
        raise DataError(f"{there.absence()}; repro.run('lenet5-digits', scale='short') makes one")
    return there


def _chosen(seeds: int | Iterable[int]) -> list[int]:
    """The seeds, from how many or which. Raises UsageError."""
    with contextlib.suppress(TypeError):
        several = seeds if isinstance(seeds, Iterable) else range(operator.index(seeds))
        chosen = [operator.index(seed) for seed in itertools.islice(several, MOST_SEEDS + 1)]
        different = len(set(chosen)) == len(chosen)
        right = all(0 <= seed <= LARGEST_SEED for seed in chosen)
        if different and right and 0 < len(chosen) <= MOST_SEEDS:
            return chosen
    raise UsageError(
        f"seeds={seeds!r}: accepted is how many, from 1 to {MOST_SEEDS:,}, or which: [3, 4]"
    )


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


def _asked(*words: str) -> Any:
    """What a command answers, in a process of its own: a backend would take all of a GPU's memory.

    Raises what the command fails with.
    """
    from repro.running import isolation

    command = [*isolation.python(), *words, "--json"]
    said = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    done = subprocess.run(command, env=isolation.pinned(os.environ), check=False, **said)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        kind = UsageError if done.returncode == UsageError.exit_code else RunError
        raise kind(reason.removeprefix("error: "))
    return json.loads(done.stdout)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UsageError("pandas is not installed; do: pip install pandas") from None
    return pandas
