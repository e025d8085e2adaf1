"""What run.json says of a run, and whether a run may be resumed here."""

import uuid
from collections.abc import Mapping
from typing import Any

from repro import backends, catalog, settings, spec
from repro.backends import settled
from repro.data import decoding
from repro.data.inputs import Inputs
from repro.data.photographs import Photographs
from repro.data.resident import Resident
from repro.errors import RunError
from repro.networks import initial_weights
from repro.records.journal import Journal
from repro.records.provenance import command, commit, machine, now, versions
from repro.training.smoke import Smoke
from repro.training.trainee import Trainee


def of_run(
    request: Mapping[str, Any],
    experiment: spec.Experiment,
    trainee: Trainee,
    inputs: Inputs,
    resident: Resident | None,
    smoke: Smoke | None,
    threads: int | None,
) -> dict[str, Any]:
    """All that is written down before the first update."""
    data = experiment.recipe.data
    return {
        "id": uuid.uuid4().hex,
        **request,
        "paper": catalog.paper_of(experiment.name).name,
        **stack(trainee),
        "replicas": trainee.devices.replicas,
        "batch_statistics": trainee.devices.batch_statistics,
        "initial_weights": initial_weights.VERSION,
        "threads": threads,
        "environment": settled.environment(),
        "digest": settings.digest(experiment, request["scale"]),
        "resolved": settings.as_plain(experiment),
        "data": {
            "dataset": inputs.facts["name"],
            "version": inputs.facts["version"],
            "digest": inputs.facts["digest"],
            "train": data.train,
            "test": data.test,
            "train_examples": len(inputs.train_labels),
            "test_examples": len(inputs.test_labels),
            "resident": resident.nbytes if resident else 0,
        },
        **({"smoke": smoke.record()} if smoke else {}),
        "command": command(request),
        "versions": {**versions(), **_decoders(inputs)},
        "machine": {**machine(), "gpus": backends.here().gpus()},
        **commit(),
        "started": now(),
    }


def stack(trainee: Trainee) -> dict[str, Any]:
    """What else decides the bits, and whom the run may be compared with."""
    here = versions()
    return {
        "backend": backends.name(),
        "strategy": trainee.devices.name,
        "devices": list(trainee.devices.devices),
        "compiler": trainee.compiler,
        "versions": {name: here[name] for name in ("keras", backends.name())},
    }


def _decoders(inputs: Inputs) -> dict[str, str]:
    """The versions of what makes images of photographs; another one may make other pixels."""
    return decoding.versions() if isinstance(inputs.examples, Photographs) else {}


def check_stack(journal: Journal, trainee: Trainee, inputs: Inputs) -> None:
    """Raises RunError where the run began on other devices or versions than those here."""
    facts, here = journal.run(), stack(trainee)
    here["versions"] |= _decoders(inputs)
    for key, value in here.items():
        began = facts.get(key)
        if key == "versions":
            began = {name: began.get(name) for name in value}
        if began != value:
            raise RunError(
                f"{journal.path}: began with {key} {began}, here is {value}; resume it where it "
                "began, or start a new run"
            )


def request_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for when a run began."""
    keys = ("experiment", "scale", "seed", "overrides", "strategy", "precision")
    return {key: run[key] for key in keys}


def experiment_of(journal: Journal) -> spec.Experiment:
    """The experiment of a run, its overrides applied, if it is what the run trained."""
    run = journal.run()
    experiment = settings.override(catalog.experiment(run["experiment"]), run["overrides"])
    present = settings.digest(experiment, run["scale"])
    if settings.digest_of_run(run, experiment) != present:
        raise RunError(
            f"{journal.path}: {run['experiment']} has changed since this run began (digest "
            f"{run['digest']}, now {present}); start a new run"
        )
    return experiment


def check_data(journal: Journal, facts: Mapping[str, Any]) -> None:
    """Raises RunError where the data, as `datasets.facts` tells, is not that of the run."""
    began = journal.run().get("data")
    if began is None:
        raise RunError(f"{journal.path}: run.json does not say which data this run began with")
    if facts["digest"] != began["digest"]:
        raise RunError(f"{journal.path}: the data is not what this run began with")


def outcome(journal: Journal, run: Mapping[str, Any], result: Mapping[str, Any]) -> dict:
    """What is returned, and told, of a finished run."""
    keys = ("metrics", "seconds", "images_per_second")
    return {
        "run_dir": str(journal.path),
        **{key: run[key] for key in ("experiment", "scale", "seed")},
        **{key: result[key] for key in keys},
    }
