"""Where, when and with what it is measured."""

import contextlib
import sys
from datetime import UTC, datetime
from importlib import metadata

from repro import catalog, spec
from repro.bench.contenders import BATCH, EXPERIMENT, MULTIPLY_ADDS, PARAMETERS


def facts(rounds: int, seconds: float) -> dict:
    """What the document says beside the samples."""
    from repro.records import provenance

    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("keras", "tensorflow", "torch", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance.commit(),
        "machine": provenance.machine(),
        "versions": versions,
        "experiment": EXPERIMENT,
        "batch": BATCH,
        "parameters": PARAMETERS,
        "multiply_adds": MULTIPLY_ADDS,
        "rounds": rounds,
        "seconds": seconds,
        "cadence": cadence(catalog.experiment(EXPERIMENT)),
    }


def cadence(experiment: spec.Experiment) -> dict[str, float]:
    """How often a run is scored, saved and logged: see `summary.combined_rate`."""
    from repro.data import datasets
    from repro.records import tracking
    from repro.training import training

    data = experiment.recipe.data
    return {
        "passes": experiment.recipe.tested_every,
        "train_examples": datasets.count(data.dataset, data.train),
        "test_examples": datasets.count(data.dataset, data.test),
        "checkpoint_seconds": training.SECONDS_BETWEEN_CHECKPOINTS,
        "tracking_seconds": tracking.SECONDS_BETWEEN_SYNCS,
    }
