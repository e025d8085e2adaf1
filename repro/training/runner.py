"""A run from its beginning, from its newest checkpoint, or from its end."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repro import catalog, settings, spec
from repro.backends import distribution
from repro.data import datasets, inputs
from repro.errors import Interrupted, RunError, UsageError, unknown
from repro.limits import LARGEST_SEED
from repro.records.journal import Journal
from repro.training import (
    carrying,
    evaluation,
    facts,
    keeping,
    probes,
    protocols,
    resuming,
    schedule,
    weights,
)
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

    Raises UsageError for an unknown protocol, one that takes other images than the run's, or a
    folder that is no run directory, RunError where the run's newest checkpoint cannot be read.
    Writes nothing.
    """
    protocols.parse(protocol)
    journal = Journal.open(run_dir)
    experiment = facts.experiment_of(journal)
    protocols.check(protocol, experiment.recipe)
    model, update = keeping.tested(journal, experiment)
    facts.check_data(journal, datasets.facts(experiment.recipe.data.dataset))
    tell = Observers(observers).tell

    def testing(done: int, total: int, views: int, seconds: float) -> None:
        left = seconds * (total - done) / max(done, 1)
        tell("testing", done=done, total=total, seconds_left=left)

    test, subset = inputs.of_test(experiment.recipe), _subset(journal)
    scoring = Scoring(experiment, model, test, subset=subset, progress=testing)
    passes = journal.passes()
    running = {"running_error": passes[-1]["running_error"]} if passes else {}
    return {
        "run_dir": str(run_dir),
        "protocol": protocol,
        **_reached(journal, update),
        **({"test_subset": scoring.subset} if subset else {}),
        "metrics": scoring.final(protocol).metrics | running,
    }


def evaluate_together(run_dirs: Sequence[str | os.PathLike], protocol: str) -> dict:
    """The mean softmax of several runs under `protocol`, each with its own preprocessing.

    Returns the protocol, the runs in the order given, and the metrics of the test set. One network
    is in memory at a time, and float32 [images, classes] twice. Raises as `evaluate` does, and
    UsageError for runs that were not trained for the same test images.
    """
    protocols.parse(protocol)
    journals = [Journal.open(run_dir) for run_dir in run_dirs]
    experiments = [facts.experiment_of(journal) for journal in journals]
    for experiment in experiments:
        protocols.check(protocol, experiment.recipe)
    _check_together(journals, experiments)
    runs, summed, read, made_of = [], -np.inf, None, None
    for journal, experiment in zip(journals, experiments, strict=True):
        recipe = experiment.recipe
        model, update = keeping.tested(journal, experiment)
        scorer = evaluation.scorer(model, recipe.loss, protocol, probabilities=True)
        if made_of != (recipe.data, recipe.preprocessing):
            facts.check_data(journal, datasets.facts(recipe.data.dataset))
            read, made_of = inputs.of_test(recipe), (recipe.data, recipe.preprocessing)
        images, labels = read[0], read[1][: _subset(journal)]
        logs = evaluation.collected(scorer, images, labels)[1]
        if runs and logs.shape != summed.shape:
            raise UsageError(
                f"{journal.path}: tells {logs.shape[1]} classes apart, {journals[0].path} "
                f"{summed.shape[1]}; accepted are runs with the same classes"
            )
        summed = np.logaddexp(summed, logs)
        named = {"run_dir": str(journal.path), "experiment": experiment.name}
        runs.append({**named, **_reached(journal, update)})
    scored = evaluation.of_logs(summed - np.float32(np.log(len(runs))), labels)
    return {
        "protocol": protocol,
        "runs": runs,
        **({"test_subset": len(labels)} if _subset(journals[0]) else {}),
        "metrics": {f"test_{metric}": value for metric, value in scored.metrics.items()},
    }


def evaluate_weights(
    experiment: spec.Experiment, file: str | os.PathLike, protocol: str | None = None
) -> dict:
    """The weights in a .npz file, as `repro.training.weights` lays it out, in an experiment's test.

    protocol: the experiment's first where it is left out. The preprocessing is the experiment's,
    with what it learns from the training images. Returns experiment, weights, protocol and the
    metrics of the test set. Raises UsageError where the file does not hold this network's weights.
    """
    protocol = protocol or experiment.protocols[0]
    protocols.check(protocol, experiment.recipe)
    model = keeping.drawn(experiment)
    weights.read(Path(file), model, evaluation.tested(model, experiment.recipe.loss)[0])
    test = inputs.of_test(experiment.recipe)
    scoring = Scoring(experiment, model, test)
    return {
        "experiment": experiment.name,
        "weights": str(file),
        "protocol": protocol,
        "metrics": scoring.final(protocol).metrics,
    }


def _check_together(journals: Sequence[Journal], experiments: Sequence[spec.Experiment]) -> None:
    """Raises UsageError for runs that are tested on other images, and for a run named twice."""
    first = None
    for journal, experiment in zip(journals, experiments, strict=True):
        data, run = experiment.recipe.data, journal.run()
        begun_with = (run.get("data") or {}).get("digest")
        tested = data.dataset, data.test, begun_with, _subset(journal)
        if first is None:
            first = tested
        if tested != first:
            raise UsageError(
                f"{journal.path}: is tested on {_images_of(tested)}, {journals[0].path} on "
                f"{_images_of(first)}; accepted are runs with the same test images"
            )
    names = [journal.path.resolve() for journal in journals]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name}: is named twice; accepted is each run once")


def _images_of(tested: tuple) -> str:
    dataset, split, digest, subset = tested
    part = f", the first {subset}" if subset else ""
    return f"{dataset} ({split}{part}; {str(digest)[:8]})"


def _subset(journal: Journal) -> int | None:
    """How many of the test images a run is tested on; None for all."""
    return journal.run().get("smoke", {}).get("test_subset")


def _reached(journal: Journal, update: int) -> dict[str, Any]:
    result = journal.result()
    return {"update": update, "finished": result is not None and update == result["updates"]}


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
        protocols.check(protocol, experiment.recipe)
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
