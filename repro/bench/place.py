"""Where, when and with what it is measured."""

import contextlib
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata

from repro import backends, catalog, spec
from repro.bench.contenders import Network
from repro.errors import accept

BACKENDS = ("tensorflow", "jax")  # those on which Keras is timed


def backend() -> str | None:
    """The backend of Keras: KERAS_BACKEND, or the first that is installed; None without one.

    Raises UsageError where KERAS_BACKEND is another one.
    """
    if asked := os.environ.get("KERAS_BACKEND"):
        accept("KERAS_BACKEND", asked, BACKENDS)
        return asked
    return next(filter(backends.installed, BACKENDS), None)


def facts(networks: Sequence[Network], rounds: int, seconds: float) -> dict:
    """What the document says beside the samples."""
    from repro.records import provenance

    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("keras", "tensorflow", "jax", "torch", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance.commit(),
        "machine": provenance.machine(),
        "versions": versions,
        "backend": backend(),
        "rounds": rounds,
        "seconds": seconds,
        "networks": [of_network(network) for network in networks],
    }


def of_network(network: Network) -> dict:
    described = catalog.experiment(network.experiment)
    return {
        "experiment": network.experiment,
        "title": network.title,
        "dataset": described.recipe.data.dataset,
        "batch": network.batch,
        "parameters": network.parameters,
        "multiply_adds": network.multiply_adds,
        "operations": network.operations,
        "cadence": cadence(described),
    }


def cadence(experiment: spec.Experiment) -> dict[str, float]:
    """How often a run is scored, saved and logged: see `summary.combined_rate`."""
    from repro.data import datasets
    from repro.records import tracking
    from repro.training import training

    data = experiment.recipe.data
    return {
        "passes": experiment.recipe.tested_every,
        "train_examples": datasets.count(data.dataset, data.train, data.per_class),
        "test_examples": datasets.count(data.dataset, data.test),
        "checkpoint_seconds": training.SECONDS_BETWEEN_CHECKPOINTS,
        "tracking_seconds": tracking.SECONDS_BETWEEN_SYNCS,
    }
