"""Numbers, settings and verdicts as they stand in tables."""

from repro import machine, spec
from repro.judging.measures import unit
from repro.judging.verdict import VerdictRow
from repro.report.outlay import Outlay
from repro.training.memory import gigabytes, two_digits

VAGUE = 50  # times the least: then only the most says something


def measured(row: VerdictRow) -> str:
    """'0.964 ± 0.031 (n=5, 2 added, 1 failed)'; nothing where nothing was run at paper scale."""
    lost = [f"{row.failed} failed"] if row.failed else []
    if not row.n:
        return "".join(lost)
    spread = f" ± {row.std:.3f}" if row.std is not None else ""
    counts = [f"n={row.n}", *([f"{row.added} added"] if row.added else []), *lost]
    return f"{row.mean:.3f}{spread} ({', '.join(counts)})"


def short_alone(runs: int) -> str:
    """What stands in the place of a measured number where only short-scale runs speak."""
    return f"short scale alone (n={runs})" if runs else ""


def papers_number(row: VerdictRow, experiment: spec.Experiment) -> str:
    """The number that is judged; where there is none, the first that the paper has at all.

    One by another protocol than a single view says so, and one of five guesses.
    """
    if row.reported is not None:
        return _noted(row.reported, row.metric, row.protocol)
    other = next(iter(experiment.network.reported), None)
    if other is None:
        return "none"
    return _noted(other.value, other.metric, f"{other.protocol.partition(',')[0]}, not judged")


def _noted(number: float, metric: str, protocol: str) -> str:
    notes = ["top-5"] if "top5" in metric else []
    notes += [protocol] if protocol != "single-view" else []
    return f"{number:g}" + (f" ({', '.join(notes)})" if notes else "")


def reported(number: spec.Reported) -> str:
    spread = f" ± {number.std:g} over {number.runs} runs" if number.std is not None else ""
    chosen = f", {number.chosen}" if number.chosen else ""
    where = f"({number.protocol}; {number.source}{chosen})"
    return f"{number.metric} {number.value:g}{unit(number.metric)}{spread} {where}"


def band(band: spec.Band) -> str:
    sign = unit(band.metric)
    return f"{band.scale}: {band.metric} {band.low:g} to {band.high:g}{sign} ({band.source})"


def said(recipe: spec.Recipe) -> list[tuple]:
    """The fields of a recipe, of passes and iterations the one that it counts."""
    unsaid = "iterations" if recipe.passes else "passes"
    return [(key, value) for key, value in vars(recipe).items() if key != unsaid]


def value(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_inner(v)}" for k, v in value.items())
    return _inner(value) if isinstance(value, list | tuple) else value


def _inner(inner):
    if isinstance(inner, list | tuple):
        separator = " x " if all(isinstance(v, int) for v in inner) else ", "
        return separator.join(str(v) for v in inner)
    return value(inner)


def flat(tree: dict, prefix: str = ""):
    for key, inner in tree.items():
        if isinstance(inner, dict):
            yield from flat(inner, f"{prefix}{key}.")
        else:
            yield prefix + key, inner


def cost(cost: dict) -> str:
    minutes, runs = cost["minutes"], cost["measured"]
    source = f"as measured here ({runs} run{'' if runs == 1 else 's'}, {cost['path']})"
    if cost["estimated"]:
        source = f"by the speed of short-scale runs here ({cost['path']})"
    spent = "not measured"
    if minutes is not None:
        spent = f"{minutes:,.{0 if minutes >= 10 else 1}f} minutes {source}"
    work = f"{cost['updates']:,} updates, {cost['images']:,} images ({cost['passes']:,g} passes)"
    return f"{work}; one run at paper scale: {spent}"


def outlay(of: Outlay, photographs: bool) -> str:
    """'CPU, 2 cores: memory about 1.6 GB of 19 GB (estimated); 3.1 hours (measured: 1 run, jax)'.

    photographs: whether the images are photographs, of which the host may make too few.
    """
    place = of.place
    cores = f"{machine.cores()} cores" if place.is_cpu else ""
    devices = cores or f"{place.count} x {place.kind}"
    if of.devices < place.count:
        devices += f", {of.devices} of them used"
    there = "" if place.memory is None else f" of {gigabytes(place.memory)}"
    each = " free" if place.is_cpu and there else " on each" if of.devices > 1 else ""
    memory = "memory not known"
    if of.needed is not None:
        memory = f"memory about {gigabytes(of.needed)}{there}{each} (estimated)"
    if of.minutes is None:
        return f"{devices}: {memory}; time not known ({of.source})"
    source = f"{of.basis}{' from' if of.basis == 'estimated' else ':'} {of.source}"
    if photographs and of.basis == "estimated":
        source += "; if the host makes the images as fast"
    return f"{devices}: {memory}; {duration(*of.minutes)} ({source})"


def duration(least: float, most: float) -> str:
    """Minutes as '2.4 to 19 hours', '31 minutes' where both come to the same, 'up to 2.0 days'."""
    units = {"days": 1440, "hours": 60, "minutes": 1}
    unit = next((unit for unit, minutes in units.items() if most >= 2 * minutes), "minutes")
    ends = [two_digits(end / units[unit]) for end in (least, most)]
    if least < most / VAGUE:
        return f"up to {ends[1]} {unit}"
    return " to ".join(dict.fromkeys(ends)) + f" {unit}"
