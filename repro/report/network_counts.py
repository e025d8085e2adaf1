"""results/networks.json: what is counted of networks, each once; see `repro.networks.counts`.

A network is counted again where it has other options than it was counted with.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from repro import files, spec
from repro.errors import ReproError
from repro.networks import counts
from repro.networks.counts import FILE, Counts

MADE = (
    "Made by `repro results`; of one image, but for the parameters: multiply-adds, and the values "
    "that training keeps and passes on. Remove it to count anew."
)


def of(
    networks: Iterable[spec.Network],
    root: Path,
    warn: Callable[[str], None],
    others: Iterable[spec.Network] = (),
) -> dict[str, Counts]:
    """The counts of `networks` by their names, those in `root` where they are there.

    What had to be counted is written there. Counts of `others` stay where they still hold; the rest
    goes. A network that cannot be counted is left out and named by `warn`. Raises RunError where
    the file cannot be written.
    """
    kept, found = counts.table(root), {}
    wanted = {network.name: network for network in networks}
    every = {network.name: network for network in (*others, *wanted.values())}
    entries = {name: kept[name] for name, network in every.items() if counts.known(network, kept)}
    for name, network in sorted(wanted.items()):
        try:
            found[name] = counts.known(network, kept) or _counted(network)
        except Exception as error:
            what = error if isinstance(error, ReproError) else f"{type(error).__name__}: {error}"
            warn(f"{name} is not counted, and in no figure: {what}")
            continue
        if name not in entries:  # written at once: to count them all takes minutes
            entries[name] = counts.entry(network, found[name])
            _write(entries, root)
    if entries != kept:
        _write(entries, root)
    return found


def _write(entries: dict[str, dict], root: Path) -> None:
    text = json.dumps({"made": MADE, "networks": dict(sorted(entries.items()))}, indent=1)
    files.put(root / FILE, text + "\n")


def _counted(network: spec.Network) -> Counts:
    from repro import backends, terminal

    with terminal.muffled():
        backends.here()
        return counts.of_model(network.build(**network.options))
