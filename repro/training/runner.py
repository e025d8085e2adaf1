"""A run from its beginning, from its newest checkpoint, or from its end."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro import catalog, settings, spec
from repro.backends import distribution
from repro.data import datasets, inputs
from repro.errors import Interrupted, RunError, UsageError, unknown
from repro.limits import LARGEST_SEED
from repro.records.journal import Journal
from repro.training import carrying, evaluation, facts, keeping, probes, resuming, schedule
from repro.training.events import Observer, Observers
from repro.training.scoring import Scoring
from repro.training.stop import AtOnce, Stop
from repro.training.training import Training


def run(
    experiment: spec.Experiment,
    *,
    scale: str = "paper",
    seed: int = 0,
    overrides: Sequence[str] = (),
    strategy: str = "auto",
    precision: str = "float32",
    out: str | os.PathLike = "runs",
    start_from: str | os.PathLike | None = None,
    observers: Sequence[Observer] = (),
    leave_within: float | None = None,
) -> dict:
    """Trains and evaluates one seed; returns run_dir, experiment, scale, seed, metrics, and so on.

    observers: are told what happens (`repro.training.events`). leave_within: seconds after SIGINT
    or SIGTERM, after which the process ends wherever it is; None for never.

    start_from: the run whose weights training begins with, where the experiment begins with those
    of a run; otherwise the newest below `out` that fits.

    Raises UsageError for a bad value, DataError for data, and for a run to begin with, that is
    missing or damaged, RunError for a run that diverged or could not be written, Interrupted when
    it was asked to stop.
    """
    request = {
        "experiment": experiment.name,
        "scale": scale,
        "seed": seed,
        "overrides": list(overrides),
        "strategy": strategy,
        "precision": precision,
        **({"start_from": str(start_from)} if start_from else {}),
    }
    experiment = settings.override(experiment, overrides)
    check(experiment, request)
    source = carrying.find(experiment, request, out)
    if source:
        carrying.hold_readable(source)
    with _stoppable(leave_within, "nothing was trained yet") as stop:
        with stop.at_once():
            training = Training(experiment, request, observers, stop)
            if source:
                training.begin_with(source)
        journal = Journal.create(out, experiment.name, scale, seed)
        with journal.alone():
            training.open(journal)
            return training.train()


def resume(
    run_dir: str | os.PathLike,
    *,
    observers: Sequence[Observer] = (),
    leave_within: float | None = None,
) -> dict:
    """Takes a run up where its newest readable checkpoint stands; returns what `run` returns.

    A finished run is only reported. Raises as `run` does, and UsageError where `run_dir` is none.
    """
    journal = Journal.open(run_dir)
    with contextlib.suppress(RunError):
        if (result := journal.result()) and journal.record():
            return facts.outcome(journal, journal.run(), result)
    with journal.alone():
        for text in resuming.mend(journal):
            Observers(observers).tell("message", text=text)
        if result := journal.result():
            return facts.outcome(journal, journal.run(), result)
        experiment, request = facts.experiment_of(journal), facts.request_of(journal.run())
        with _stoppable(leave_within, f"resume with: repro resume {run_dir}") as stop:
            with stop.at_once():
                training = Training(experiment, request, observers, stop)
                training.reopen(journal)
            journal.resumed()
            return training.train()


def evaluate(
    run_dir: str | os.PathLike, protocol: str, *, observers: Sequence[Observer] = ()
) -> dict:
    """A run's last weights under `protocol`: the metrics of the test set, as in result.json.

    Raises UsageError for an unknown protocol or a folder that is no run directory, RunError where
    the run's newest checkpoint cannot be read. Writes nothing.
    """
    evaluation.check_protocol(protocol)
    journal = Journal.open(run_dir)
    experiment, run = facts.experiment_of(journal), journal.run()
    model, update = keeping.tested(journal, experiment)
    facts.check_data(journal, datasets.facts(experiment.recipe.data.dataset))
    tell = Observers(observers).tell

    def testing(done: int, total: int, views: int, seconds: float) -> None:
        left = seconds * (total - done) / max(done, 1)
        tell("testing", done=done, total=total, seconds_left=left)

    test, subset = inputs.of_test(experiment.recipe), run.get("smoke", {}).get("test_subset")
    scoring = Scoring(experiment, model, test, subset=subset, progress=testing)
    passes, result = journal.passes(), journal.result()
    running = {"running_error": passes[-1]["running_error"]} if passes else {}
    return {
        "run_dir": str(run_dir),
        "protocol": protocol,
        "update": update,
        "finished": result is not None and update == result["updates"],
        **({"test_subset": scoring.subset} if subset else {}),
        "metrics": scoring.final(protocol).metrics | running,
    }


def trained(run_dir: str | os.PathLike) -> Any:
    """The network of a run, a Keras model, with the weights that are tested.

    Raises UsageError and RunError as `evaluate` does.
    """
    journal = Journal.open(run_dir)
    return keeping.tested(journal, facts.experiment_of(journal))[0]


def finished(run_dir: str | os.PathLike) -> tuple[Any, spec.Experiment]:
    """The network of a finished run, as `trained` gives it, and the experiment.

    Raises UsageError where the run has not finished or `run_dir` is none, RunError where its
    weights cannot be read or the data here is not what it was trained on.
    """
    journal = Journal.open(run_dir)
    experiment = facts.experiment_of(journal)
    if journal.result() is None:
        raise UsageError(f"{run_dir}: the run has not finished; do: repro resume {run_dir}")
    model, _ = keeping.tested(journal, experiment)
    facts.check_data(journal, datasets.facts(experiment.recipe.data.dataset))
    return model, experiment


def check(experiment: spec.Experiment, request: Mapping[str, Any]) -> None:
    """Raises UsageError, before anything large is imported or made, for what cannot be trained.

    `experiment` has its overrides applied. request: its scale, seed, strategy and precision.
    """
    scale, precision, seed = request["scale"], request["precision"], request["seed"]
    if scale not in spec.SCALES:
        raise unknown("scale", scale, spec.SCALES)
    if precision not in spec.PRECISIONS:
        raise unknown("precision", precision, spec.PRECISIONS)
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"--seed {seed}: accepted is a whole number from 0 to {LARGEST_SEED:,}")
    distribution.check_strategy(request["strategy"])
    accepted = experiment.recipe.optimizer.precisions
    if precision not in accepted:
        raise UsageError(
            f"--precision {precision}: what trains {experiment.name} needs "
            f"{' or '.join(accepted)}; accepted here: {', '.join(accepted)}"
        )
    for protocol in experiment.protocols:
        evaluation.check_protocol(protocol)
    for probe in experiment.probes:
        probes.check(probe)
    if experiment.begins:
        catalog.experiment(experiment.begins.source)
    data, copies = experiment.recipe.data, experiment.recipe.augmentation
    size = datasets.count(data.dataset, data.train, data.per_class)
    schedule.check(experiment.recipe, copies.size(size) if copies else size, scale)


@contextlib.contextmanager
def _stoppable(leave_within: float | None, state: str) -> Iterator[Stop]:
    """Answers signals; `state` says how things stand until the training begins."""
    try:
        with Stop(leave_within) as stop:
            yield stop
    except AtOnce:
        raise Interrupted(f"interrupted; {state}") from None
