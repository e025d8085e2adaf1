"""What one run at paper scale takes on devices: memory of each, minutes; measured or estimated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from pathlib import Path
from statistics import median

from repro import backends, spec
from repro.data.sets import DATASETS
from repro.judging import groups
from repro.machine import Place, at_hand, cores
from repro.networks import counts
from repro.networks.counts import Counts
from repro.report import rates
from repro.report.cost import examples, minutes_of
from repro.training import memory, protocols

EIGHT_H100 = Place(rates.H100, 8, 80 * 10**9)
# Of how many devices' worth several are, each: assumed, nobody measured it.
WORTH = 0.8
# What a forward computation costs of a training update.
FORWARD = 1 / 3


@dataclass(frozen=True)
class Outlay:
    """What a run takes on `place`, of whose devices it uses so many.

    needed: bytes of memory on each, estimated; None for a network that was not counted. minutes:
    from the least to the most; None where nothing of the kind was measured. basis: "measured" or
    "estimated", and `source` says from what.
    """

    place: Place
    devices: int
    needed: float | None
    minutes: tuple[float, float] | None
    basis: str | None
    source: str


def outlays(
    experiment: spec.Experiment,
    takes: Mapping,
    records: Sequence[dict],
    folder: Path | None,
    precision: str,
    changed: bool = False,
) -> list[Outlay]:
    """On the devices at hand, and on eight H100.

    takes: what `repro.report.cost.cost` gives. records and folder: what is kept, and where.
    changed: by `--set`, so that no run is one of it.
    """
    entries = counts.table(folder)
    counted = counts.known(experiment.network, entries)
    speeds = rates.measured(records, folder, entries)
    plain, found = not changed and precision == "float32", []
    for place in (at_hand(), EIGHT_H100):
        used = replace(place, count=memory.replicas("auto", experiment.recipe.batch, place))
        needed = counted and bytes_of(experiment, counted, precision, used)
        runs = _runs_on(used, experiment, records) if plain else []
        spent = [m for m in map(minutes_of, runs) if m is not None]
        if spent:
            source = f"{len(spent)} run{'s' * (len(spent) > 1)}, {runs[0]['run']['backend']}"
            timed = (median(spent),) * 2, "measured", source
        elif plain and takes["estimated"] and _short_on(used, experiment, records):
            timed = (takes["minutes"],) * 2, "estimated", "its runs at short scale"
        else:
            alike = _alike(speeds, used, precision)
            timed = _expected(experiment, takes, counted, alike, used.count)
        found.append(Outlay(place, used.count, needed, *timed))
    return found


def bytes_of(experiment: spec.Experiment, counted: Counts, precision: str, used: Place) -> float:
    """On each device: the update, and images that lie there; on a CPU all processes, too."""
    update = memory.estimated(experiment, counted, precision, used)
    images = ceil(experiment.recipe.batch / used.count)
    data, shape = experiment.recipe.data, DATASETS[experiment.recipe.data.dataset].shape
    number = examples(data)
    pixels = prod(shape) if shape else 0  # photographs are decoded batch by batch
    if used.is_cpu:
        held = 4 * pixels * sum(number.values()) + memory.PROGRAM[backends.name()]
        held += 0 if shape else cores() * memory.DECODER
    else:
        held = pixels * (number["train"] + 4 * number["test"])
    return update.of(images) + held


def work(experiment: spec.Experiment, takes: Mapping) -> float:
    """Images trained on, and those tested at what they cost of it."""
    recipe, number = experiment.recipe, examples(experiment.recipe.data)
    views = [protocols.parse(protocol).views for protocol in experiment.protocols]
    passes = ceil(takes["passes"])
    training = number["train"] * recipe.training_error_measured
    seen = ceil(passes / recipe.tested_every) * number["test"] + passes * training
    seen = views[0] * seen + sum(views) * (number["test"] + training)
    return takes["images"] + FORWARD * (seen + len(experiment.probes) * number["test"])


def _runs_on(used: Place, experiment: spec.Experiment, records: Sequence[dict]) -> list[dict]:
    """The plain runs at paper scale on such devices: of one path, most seeds first."""
    for group, runs in groups.groups(records, experiment, "paper").items():
        there = [record for record in runs if _is_on(used, record["run"])]
        if group.plain and there:
            return there
    return []


def _short_on(used: Place, experiment: spec.Experiment, records: Sequence[dict]) -> bool:
    """Whether the runs at short scale that speak for the experiment were on such devices."""
    short = groups.speaking(records, experiment, "short")
    return bool(short) and all(_is_on(used, record["run"]) for record in short)


def _is_on(used: Place, run: Mapping) -> bool:
    machine = run.get("machine") or {}
    if len(run["devices"]) != used.count:
        return False
    if used.is_cpu:
        return run["devices"][0].startswith("CPU") and machine.get("cores") == cores()
    return any(_same(used.kind, gpu) for gpu in machine.get("gpus", ()))


def _same(kind: str, other: str) -> bool:
    """Whether two names are of one kind of device: "NVIDIA H100", "NVIDIA H100 80GB HBM3"."""
    return kind.startswith(other) or other.startswith(kind)


def _alike(speeds: Sequence[rates.Rate], used: Place, precision: str) -> list[rates.Rate]:
    """Those on such a device; on CPUs with as many cores, or else with any number."""
    some = [s for s in speeds if s.precision == precision and _same(used.kind, s.kind)]
    return [s for s in some if s.cores == cores()] or some if used.is_cpu else some


def _expected(
    experiment: spec.Experiment,
    takes: Mapping,
    counted: Counts | None,
    speeds: Sequence[rates.Rate],
    devices: int,
) -> tuple[tuple[float, float] | None, str | None, str]:
    if counted is None:
        return None, None, "the network was not counted; repro results --count does it"
    speed = rates.expected(counted, ceil(experiment.recipe.batch / devices), speeds)
    if speed is None:
        return None, None, "nothing was measured on such devices"
    more = WORTH * devices if devices > 1 else 1
    fast, slow = (work(experiment, takes) / rate / more / 60 for rate in (speed.high, speed.low))
    source = f"{speed.rate.experiment} on {speed.rate.where}"
    if devices > 1:
        source += f", taking {devices} for {more:g}"
    return (fast, slow), "estimated", source
