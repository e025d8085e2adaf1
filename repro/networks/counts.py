"""What is counted of a network, and the table of it in results/networks.json.

Counting builds a network and imports Keras, which takes seconds. What is counted once is kept, so
that what a run costs is known at once; `repro results` writes the table.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro import files, settings, spec

FILE = "networks.json"


@dataclass(frozen=True)
class Counts:
    """As `repro.networks.anatomy` and `footprint` count them.

    parameters: trainable ones. The rest is of one example: multiply_adds, forwards; kept and
    passing, values that are in memory in training.
    """

    parameters: int
    multiply_adds: int
    kept: int
    passing: int


COUNTED = tuple(Counts.__annotations__)


def of_model(model: Any) -> Counts:
    """Those of a Keras model. Raises RunError for one that is no graph of layers."""
    from repro.networks.anatomy import anatomy
    from repro.networks.footprint import footprint

    counted, held = anatomy(model), footprint(model)
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Counts(parameters, counted["multiply_adds"], held.kept, held.passing)


def table(folder: Path | None) -> dict[str, dict]:
    """The entries of the table in `folder` that are whole, by network; none without a table."""
    try:
        networks = (files.read_json(folder / FILE) or {})["networks"]
        return {name: entry for name, entry in networks.items() if _whole(entry)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _whole(entry: dict) -> bool:
    return all(isinstance(entry.get(name), int) for name in COUNTED)


def entry(network: spec.Network, counted: Counts) -> dict[str, Any]:
    """That of a network in the table. Its counts hold as long as it is built in the same way."""
    return {**_built(network), **asdict(counted)}


def known(network: spec.Network, entries: Mapping[str, dict]) -> Counts | None:
    """Those of `network` in a table; None where it was not counted, or with other options."""
    there = entries.get(network.name)
    counted = there and Counts(*(there[name] for name in COUNTED))
    return counted if counted and entry(network, counted) == there else None


def _built(network: spec.Network) -> dict[str, Any]:
    plain = settings.as_plain(network)
    return {"build": plain["build"], "options": plain["options"]}
