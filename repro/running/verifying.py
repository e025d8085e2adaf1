"""The short scale, trained here and now, held against the runs that were recorded."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import repro
from repro import backends, catalog, spec
from repro.errors import DataError, ReproError, RunError
from repro.judging import compare, groups, sides, spread
from repro.judging.measures import diverged, finished
from repro.judging.sides import Pair, Run, Side
from repro.machine import has_gpu
from repro.records import provenance, reading
from repro.running import train
from repro.terminal import say

SCALE = "short"
RECORDED, HERE = "recorded", "here"


@dataclass(frozen=True)
class Planned:
    """An experiment that is trained: its seeds, the minutes of a run, the recorded runs (ids).

    former: these were made by a former recipe; none was by the present one.
    """

    experiment: str
    seeds: tuple[int, ...]
    minutes: float
    recorded: tuple[str, ...]
    former: bool


@dataclass(frozen=True)
class Plan:
    """What is trained, in order; what is not: for lack of time (with minutes), or of records.

    carried: what is never trained here, since it begins with the weights of another run.
    """

    budget: float
    planned: tuple[Planned, ...]
    too_long: Mapping[str, float]
    nothing_recorded: tuple[str, ...]
    carried: tuple[str, ...] = ()

    @property
    def minutes(self) -> float:
        """What all of it takes, as recorded."""
        return sum(one.minutes * len(one.seeds) for one in self.planned)


def plan(experiments: Iterable[spec.Experiment], records: Sequence[dict], budget: float) -> Plan:
    """What fits into `budget` minutes, by the time that the recorded runs took.

    That is the median of those on the kind of device that is here, or of all where there are none.
    First one seed of each experiment, those that take least first; then, while there is time, a
    second of each, and so on up to the experiment's number of seeds.
    """
    every = tuple(experiments)
    carried = tuple(one.name for one in every if one.begins)
    of = {one.name: one for one in every if not one.begins}
    recorded = {name: _recorded(records, one) for name, one in of.items()}
    minutes = {
        name: median(record["result"]["seconds"] for record in _as_here(runs)) / 60
        for name, (runs, _) in recorded.items()
        if runs
    }
    order = sorted(minutes, key=minutes.__getitem__)
    seeds, left = dict.fromkeys(order, 0), budget
    for round_ in range(max((of[name].seeds for name in order), default=0)):
        for name in order:
            wanted = round_ < of[name].seeds and seeds[name] == round_
            if wanted and minutes[name] <= left:
                seeds[name] += 1
                left -= minutes[name]
    return Plan(
        budget,
        tuple(
            Planned(
                name,
                tuple(range(seeds[name])),
                minutes[name],
                tuple(record["run"]["id"] for record in recorded[name][0]),
                recorded[name][1],
            )
            for name in order
            if seeds[name]
        ),
        {name: minutes[name] for name in order if not seeds[name]},
        tuple(name for name in recorded if name not in minutes),
        carried,
    )


def _as_here(runs: Sequence[dict]) -> Sequence[dict]:
    """Those that ran on the kind of device that runs would use here; all where there are none."""
    kind = "GPU" if has_gpu() else "CPU"
    same = [
        record
        for record in runs
        if all(device.partition(":")[0] == kind for device in record["run"]["devices"])
    ]
    return same or runs


def _recorded(records: Sequence[dict], experiment: spec.Experiment) -> tuple[list[dict], bool]:
    """The plain short runs of the present recipe or, without any, of the newest former one."""
    done = groups.groups(records, experiment, SCALE)
    usual = {g: runs for g, runs in done.items() if not g.overrides and g.precision == "float32"}
    present = [run for group, runs in usual.items() if not group.stale for run in runs]
    if present or not usual:
        return present, False
    return max(usual.values(), key=lambda runs: max(map(finished, runs))), True


# ---------------------------------------------------------------------------- training


def folder(out: str | os.PathLike) -> Path:
    """Where the runs of this code on this stack lie, below `out`: no others are taken for them."""
    versions = provenance.versions()
    stack = [*(versions[name] for name in ("keras", backends.name())), backends.name(), has_gpu()]
    digest = hashlib.sha256(json.dumps(stack).encode())
    for root in (Path(repro.__file__).parent, catalog.folder()):
        for file in sorted(root.rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return Path(out, digest.hexdigest()[:12])


def train_all(made: Plan, where: Path) -> list[ReproError]:
    """Trains what is not there yet, and resumes what was interrupted; the errors of what failed.

    Raises Interrupted; what is finished by then stays.
    """
    left_out: list[ReproError] = []
    missing: dict[str, list[int]] = {}
    for one in made.planned:
        done = {r["run"]["seed"] for r in ended(where, one.experiment) if r["result"]}
        for seed in sorted(set(one.seeds) - done):
            begun = _begun(where, one.experiment, seed)
            if not begun:
                missing.setdefault(one.experiment, []).append(seed)
                continue
            say(f"{one.experiment}: seed {seed} is resumed: {begun}")
            try:
                train.check(train.resume(str(begun), seed))
            except (DataError, RunError) as error:
                left_out.append(error)
                say(f"{one.experiment} is left out: {error}")
    return left_out + train.train_missing(missing, train.Options(SCALE, out=str(where)))


def ended(where: Path, experiment: str) -> list[dict]:
    """The records of the runs of one experiment below `where` that ended."""
    records = reading.gather(None, where, warn=lambda text: say(f"warning: {text}"))
    return [record for record in records if record["run"]["experiment"] == experiment]


def _begun(where: Path, experiment: str, seed: int) -> Path | None:
    """The newest run directory of a seed that has begun and not ended."""
    for run_dir in sorted(where.glob(f"{experiment}/{SCALE}-seed{seed}-*"), reverse=True):
        ends = [run_dir / name for name in ("result.json", "failure.json")]
        if (run_dir / "run.json").is_file() and not any(map(os.path.lexists, ends)):
            return run_dir
    return None


# ---------------------------------------------------------------------------- comparing


def judge(made: Plan, records: Sequence[dict], where: Path) -> compare.Comparison | None:
    """The recorded runs against those below `where`; None where no experiment has both.

    The runs of one backend and kind of device are held against recorded ones of the same, where
    there are such; versions may differ. An experiment is lost where runs of it failed here; that is
    a difference where one diverged and no recorded run of the same recipe did.
    """
    by_id = {record["run"]["id"]: record for record in records}
    every, mine, lost = [], set(), []
    for one in made.planned:
        trained = [r for r in ended(where, one.experiment) if r["run"]["seed"] in one.seeds]
        mine |= {record["run"]["id"] for record in trained}
        both = [*(by_id[run_id] for run_id in one.recorded), *trained]
        runs = [Run(record, sides.traits(record["run"], ())) for record in both]
        experiment = catalog.experiment(one.experiment)
        every.append((experiment, runs))
        failed = [record for record in trained if not record["result"]]
        if failed:
            told = compare.failing(HERE, experiment, failed, len(trained) - len(failed))
            before = _diverged_before(records, experiment, [by_id[key] for key in one.recorded])
            lost.append(replace(told, differs=told.differs and not before))
    there = {run_id for one in made.planned for run_id in one.recorded}
    pair = Pair(_side(RECORDED, there), _side(HERE, mine), frozenset({"keras"}))
    prior = spread.prior(records, catalog.experiments(), SCALE)
    comparison = next(iter(compare.compare([pair], every, prior)), None)
    return comparison and replace(comparison, lost=tuple(lost))


def _diverged_before(
    records: Sequence[dict], experiment: spec.Experiment, recorded: Sequence[dict]
) -> bool:
    """Whether a run of `experiment` like those `recorded` diverged, whatever it ran on."""
    alike = {_made_by(record, experiment) for record in recorded}
    wanted = experiment.name, SCALE
    mine = [r for r in records if (r["run"]["experiment"], r["run"]["scale"]) == wanted]
    return any(
        diverged(record, experiment) for record in mine if _made_by(record, experiment) in alike
    )


def _made_by(record: dict, experiment: spec.Experiment) -> tuple:
    group = groups.group_of(record["run"], experiment)
    return group.digest, group.overrides, group.precision


def _side(label: str, ids: set[str]) -> Side:
    return Side(label, lambda run: run.record["run"]["id"] in ids)
