"""Weights of a finished run, carried over to a new one that begins with them."""

import shlex
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from repro import backends, catalog, settings, spec
from repro.errors import DataError, UsageError
from repro.records import RUNS, provenance, reading
from repro.records.journal import Journal
from repro.training import facts, keeping


def find(
    experiment: spec.Experiment, request: Mapping[str, Any], out: str | PathLike
) -> Journal | None:
    """The run below `out` that one of `experiment` begins with; None where it begins with none.

    The newest finished one that trained what the source is today. request: the scale, the seed and
    the precision of the run that begins. Raises DataError where there is no such run, and says how
    to make it.
    """
    if not (begins := experiment.begins):
        return None
    source, scale = catalog.experiment(begins.source), begins.scale_for(request["scale"])
    wanted = {"scale": scale, "seed": request["seed"], "precision": request["precision"]}
    present, found = settings.digest(source, scale), []
    for folder in sorted(Path(out, source.name).glob("*")):
        try:
            record = reading.read_run(folder)
        except DataError:
            continue  # no run, or one that is damaged
        run, result = record["run"], record["result"]
        fits = {key: run[key] for key in wanted} == wanted and run["experiment"] == source.name
        if result and fits and settings.digest_of_run(run, source) == present:
            found.append((result["finished"], folder))
    if found:
        return Journal(max(found)[1])
    asked = {**wanted, "experiment": source.name, "strategy": "auto", "overrides": []}
    elsewhere = "" if Path(out) == Path(RUNS) else f" --out {shlex.quote(str(out))}"
    raise DataError(
        f"{experiment.name} begins with the weights of a run of {source.name} at {scale} scale "
        f"with seed {request['seed']}, and {out} has none that is finished and by today's recipe; "
        f"make it with: {provenance.command(asked)}{elsewhere}"
    )


def carry(source: Journal, begins: spec.Carried, model: Any) -> dict[str, Any]:
    """Gives `model` the weights of the run `source`; returns what run.json says of that run.

    Raises UsageError where no layer of the run fits, or where one that is not trained does not.
    """
    of_source = facts.experiment_of(source)
    theirs = {layer.name: layer for layer in keeping.tested(source, of_source)[0].layers}
    carried, drawn = [], []
    for layer in filter(lambda layer: layer.weights, model.layers):
        other = theirs.get(layer.name)
        if other is None or _shapes(other) != _shapes(layer):
            drawn.append(layer.name)
            continue
        for mine, weight in zip(layer.weights, other.weights, strict=True):
            mine.assign(backends.as_numpy(weight))
        carried.append(layer.name)
    left = [name for name in drawn if not begins.trains(name)]
    if left or not carried:
        what = f"{', '.join(left)}, which is not trained," if left else "any layer"
        raise UsageError(f"{source.path} does not hold {what} as this network has it")
    run, result = source.run(), source.result()
    resolved = {key: run["resolved"].get(key) for key in ("network", "recipe", "begins")}
    return {
        **{key: run[key] for key in ("id", "experiment", "scale", "seed", "digest")},
        "resolved": {key: value for key, value in resolved.items() if value is not None},
        **({"begins": run["begins"]} if "begins" in run else {}),
        "test_error": result["metrics"][of_source.protocols[0]]["test_error"],
        "drawn": drawn,
    }


def _shapes(layer: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(weight.name, tuple(weight.shape)) for weight in layer.weights]
