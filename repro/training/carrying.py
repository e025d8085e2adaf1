"""Weights of a finished run, carried over to a new one that begins with them."""

import shlex
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from repro import backends, catalog, settings, spec
from repro.errors import DataError, RunError, UsageError
from repro.records import RUNS, provenance, reading
from repro.records.journal import Journal
from repro.training import checkpoint, facts, keeping, resuming

# ---------------------------------------------------------------------------- which run it is


def find(
    experiment: spec.Experiment, request: Mapping[str, Any], out: str | PathLike
) -> Journal | None:
    """The run that one of `experiment` begins with; None where it begins with none.

    That is the run that `request` names as "start_from", or else the newest one below `out`. Either
    has finished and trained what the source is today, at the scale, with the seed and in the
    precision that are asked for.

    request: the scale, the seed and the precision of the run that begins. Raises DataError where
    there is no such run, and says how to make it; UsageError for a run that is named and does not
    fit.
    """
    named = request.get("start_from")
    if not experiment.begins:
        if named:
            raise UsageError(
                f"--start-from {named}: {experiment.name} begins with weights that are drawn; "
                "accepted with experiments that begin with those of a run (see repro show)"
            )
        return None
    wanted = _wanted(experiment, request)
    return _named(experiment, wanted, named) if named else _newest(experiment, wanted, out)


def _wanted(experiment: spec.Experiment, request: Mapping[str, Any]) -> dict[str, Any]:
    """What the run to begin with must be, by the keys of run.json."""
    begins = experiment.begins
    return {
        "experiment": catalog.experiment(begins.source).name,
        "scale": begins.scale_for(request["scale"]),
        **{key: request[key] for key in ("seed", "precision")},
    }


def _command(wanted: Mapping[str, Any]) -> str:
    asked = {key: wanted[key] for key in ("experiment", "scale", "seed", "precision")}
    return provenance.command({**asked, "strategy": "auto", "overrides": []})


def _by_todays_recipe(run: Mapping[str, Any]) -> bool:
    source = catalog.experiment(run["experiment"])
    return settings.digest_of_run(run, source) == settings.digest(source, run["scale"])


def _newest(experiment: spec.Experiment, wanted: Mapping[str, Any], out: str | PathLike) -> Journal:
    found = []
    for folder in sorted(Path(out, wanted["experiment"]).glob("*")):
        try:
            record = reading.read_run(folder)
        except DataError:
            continue  # no run, or one that is damaged
        run, result = record["run"], record["result"]
        fits = {key: run[key] for key in wanted} == wanted
        if result and fits and _by_todays_recipe(run):
            found.append((result["finished"], folder))
    if found:
        return Journal(max(found)[1])
    elsewhere = "" if Path(out) == Path(RUNS) else f" --out {shlex.quote(str(out))}"
    raise DataError(
        f"{experiment.name} begins with the weights of a run of {wanted['experiment']} at "
        f"{wanted['scale']} scale with seed {wanted['seed']}, and {out} has none that is finished "
        f"and by today's recipe; name one elsewhere with --start-from RUN_DIR, or make it with: "
        f"{_command(wanted)}{elsewhere}"
    )


def _named(experiment: spec.Experiment, wanted: Mapping[str, Any], folder: str) -> Journal:
    """The run in `folder`. Raises UsageError where it is not what is wanted, and says what is."""
    journal, run = Journal(folder), Journal(folder).run()
    asked = (
        f"{experiment.name} begins with a run of {wanted['experiment']} at {wanted['scale']} scale "
        f"with seed {wanted['seed']} in {wanted['precision']}"
    )
    if other := [f"{key} {run[key]}" for key in wanted if run[key] != wanted[key]]:
        raise UsageError(f"--start-from {folder}: is of {', '.join(other)}; {asked}")
    if not _by_todays_recipe(run):
        changed = " ".join(f"--set {text}" for text in run["overrides"])
        by = f"with {changed}" if changed else f"by a former recipe ({run['digest']})"
        raise UsageError(
            f"--start-from {folder}: was trained {by}; {asked} by today's recipe, which comes "
            f"from: {_command(wanted)}"
        )
    if not reading.read_run(folder)["result"]:
        raise UsageError(
            f"--start-from {folder}: the run has not finished; do: repro resume {folder}"
        )
    return journal


# ---------------------------------------------------------------------------- its weights


def hold_readable(source: Journal) -> None:
    """Raises DataError where the last weights of a finished run are damaged or gone.

    It takes a second, and is done before data are read, which may take an hour.
    """
    try:
        path = checkpoint.newest(source.checkpoints)
        if path is None:
            raise RunError(f"{source.path}: has no checkpoint left")
        _, progress = checkpoint.load(path)
        checkpoint.hold_to_name(progress, path)
        resuming.hold_progress(progress, source.facts())
        if progress["update"] != source.result()["updates"]:
            raise RunError(f"{source.path}: its last checkpoint is gone, {path.name} is the newest")
    except (RunError, ValueError) as error:
        where = "" if str(source.path) in str(error) else f"{path} "
        raise _unusable(f"{where}{error}", source.run()) from None


def _unusable(what: str, run: Mapping[str, Any]) -> DataError:
    return DataError(
        f"{what}; put the checkpoint back as it was, or begin with another run: {_command(run)}"
    )


def carry(source: Journal, begins: spec.Carried, model: Any) -> dict[str, Any]:
    """Gives `model` the weights of the run `source`; returns what run.json says of that run.

    Raises UsageError where no layer of the run fits, or where one does not that has to; DataError
    where its weights are not those that it was tested with.
    """
    of_source, run, result = facts.experiment_of(source), source.run(), source.result()
    theirs_as_tested = keeping.tested(source, of_source)[0]
    weights = keeping.digest(theirs_as_tested)
    if result.get("weights", weights) != weights:
        raise _unusable(
            f"{source.path}: its weights have changed since they were tested (digest "
            f"{weights[:12]}, in result.json {result['weights'][:12]})",
            run,
        )
    theirs = {layer.name: layer for layer in theirs_as_tested.layers}
    carried, drawn = [], []
    for layer in filter(lambda layer: layer.weights, model.layers):
        other = theirs.get(layer.name) if begins.takes(layer.name) else None
        if other is None or _shapes(other) != _shapes(layer):
            drawn.append(layer.name)
            continue
        for mine, weight in zip(layer.weights, other.weights, strict=True):
            mine.assign(backends.as_numpy(weight))
        carried.append(layer.name)
    if left := [name for name in drawn if begins.needs(name)]:
        why = "which is not trained" if not begins.trains(left[0]) else "which begins with it"
        raise UsageError(
            f"{source.path} does not hold {', '.join(left)}, {why}, as this network has it"
        )
    if not carried:
        raise UsageError(f"{source.path} does not hold any layer as this network has it")
    resolved = {key: run["resolved"].get(key) for key in ("network", "recipe", "begins")}
    return {
        **{key: run[key] for key in ("id", "experiment", "scale", "seed", "digest")},
        "weights": weights,
        "resolved": {key: value for key, value in resolved.items() if value is not None},
        **({"begins": run["begins"]} if "begins" in run else {}),
        "test_error": result["metrics"][of_source.protocols[0]]["test_error"],
        "drawn": drawn,
    }


def _shapes(layer: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(weight.name, tuple(weight.shape)) for weight in layer.weights]
