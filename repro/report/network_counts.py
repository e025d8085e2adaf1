"""results/networks.json: the parameters and multiply-adds of the networks that a figure shows.

Counting builds a network and imports Keras, which takes seconds, so each is counted once and kept.
It is counted again where it has other options than it was counted with.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from repro import files, settings, spec
from repro.errors import ReproError

FILE = "networks.json"
MADE = "Made by `repro results`; multiply-adds are those of one image. Remove it to count anew."
COUNTED = ("parameters", "multiply_adds")


@dataclass(frozen=True)
class Counts:
    """As `repro.networks.anatomy` counts them: trainable ones; of one image, forwards."""

    parameters: int
    multiply_adds: int


def of(
    networks: Iterable[spec.Network], root: Path, warn: Callable[[str], None]
) -> dict[str, Counts]:
    """The counts of `networks` by their names, those in `root` where they are there.

    What had to be counted is written there, and what is not asked for goes. A network that cannot
    be counted is left out and named by `warn`. Raises RunError where the file cannot be written.
    """
    kept, found = _kept(root / FILE), {}
    for network in sorted(networks, key=lambda network: network.name):
        plain = settings.as_plain(network)
        built = {"build": plain["build"], "options": plain["options"]}
        entry = kept.get(network.name, {})
        try:
            counted = {**built, **{name: entry.get(name) for name in COUNTED}} == entry
            found[network.name] = entry if counted else {**built, **_counted(network)}
        except Exception as error:
            what = error if isinstance(error, ReproError) else f"{type(error).__name__}: {error}"
            warn(f"{network.name} is not counted, and in no figure: {what}")
    if found != kept:
        text = json.dumps({"made": MADE, "networks": found}, indent=1)
        files.put(root / FILE, text + "\n")
    return {name: Counts(*(entry[fact] for fact in COUNTED)) for name, entry in found.items()}


def _counted(network: spec.Network) -> dict[str, int]:
    from repro import backends, terminal

    with terminal.muffled():
        backends.here()
        from repro.networks import anatomy

        counted = anatomy.of_network(network)
    return {name: counted[name] for name in COUNTED}


def _kept(path: Path) -> dict[str, dict]:
    """The entries of the file that are whole; none where there is no such file."""
    try:
        networks = (files.read_json(path) or {})["networks"]
        return {name: entry for name, entry in networks.items() if _whole(entry)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _whole(entry: dict) -> bool:
    return all(isinstance(entry.get(name), int) for name in COUNTED)
