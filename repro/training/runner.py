"""A run from its beginning, from its newest checkpoint, or from its end."""

import os
from collections.abc import Sequence

from repro import spec
from repro.errors import UsageError, unknown
from repro.records.journal import Journal
from repro.training import evaluation
from repro.training.training import Progress, Training, outcome


def run(
    experiment: spec.Experiment,
    *,
    scale: str = "paper",
    seed: int = 0,
    overrides: Sequence[str] = (),
    strategy: str = "auto",
    precision: str = "float32",
    out: str | os.PathLike = "runs",
    progress: Progress = lambda event: None,
) -> dict:
    """Trains and evaluates one seed; returns run_dir, metrics, images_per_second, mlflow_run_id.

    Raises UsageError for a bad value, DataError for data that is not there, RunError for a run that
    diverged or could not go on, Interrupted when it was asked to stop.
    """
    if scale not in spec.SCALES:
        raise unknown("scale", scale, spec.SCALES)
    if precision not in spec.PRECISIONS:
        raise unknown("precision", precision, spec.PRECISIONS)
    if seed < 0:
        raise UsageError(f"--seed {seed}: accepted is a whole number from 0")
    request = {
        "experiment": experiment.name,
        "scale": scale,
        "seed": seed,
        "overrides": list(overrides),
        "strategy": strategy,
        "precision": precision,
    }
    training = Training(experiment, request)
    journal = Journal.create(out, experiment.name, scale, seed)
    with journal.alone():
        training.open(journal)
        return training.train(progress)


def resume(run_dir: str | os.PathLike, progress: Progress = lambda event: None) -> dict:
    """Goes on with a run where its newest readable checkpoint stands; returns what `run` returns.

    A finished run is only reported. Raises as `run` does, and UsageError where `run_dir` is none.
    """
    journal = Journal.open(run_dir)
    if result := journal.result():
        return outcome(journal, result)
    training = Training.reopen(run_dir)
    with journal.alone():
        if result := journal.result():  # another process has just finished it
            return outcome(journal, result)
        training.check_stack()
        for warning in training.restore():
            progress({"event": "message", "text": warning})
        journal.going_on()
        return training.train(progress)


def evaluate(run_dir: str | os.PathLike, protocol: str) -> dict:
    """A run's last weights under `protocol`: the metrics, as in result.json.

    Raises UsageError for an unknown protocol or a folder that is no run directory, RunError where
    the run's newest checkpoint cannot be read. Writes nothing.
    """
    evaluation.check_protocol(protocol)
    training = Training.reopen(run_dir, strategy="single")
    training.load_newest()
    return {
        "run_dir": str(run_dir),
        "protocol": protocol,
        "update": training.update,
        "finished": training.update == training.pass_ends[-1],
        "metrics": training.final_metrics(protocol),
    }
