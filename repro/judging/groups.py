"""Which runs may be pooled, and which compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repro import settings, spec
from repro.errors import UsageError
from repro.judging.measures import finished

Digests = dict[tuple[tuple[str, ...], str], str | None]


@dataclass(frozen=True)
class Group:
    """All that runs of one experiment and scale must share to be pooled.

    `path` is the code path, such as "tensorflow single on CPU"; `compiler` what its updates are
    compiled with; `versions` are those of Keras and its backend, as (name, version) pairs: a change
    of any may change accuracy, and must not hide among former runs. `examples`: how many were
    trained on, since a machine may hold only a part of a set. `stale`: made with a recipe that the
    catalog no longer has.
    """

    overrides: tuple[str, ...]
    precision: str
    path: str
    compiler: str
    versions: tuple[tuple[str, str], ...]
    digest: str
    stale: bool
    examples: int = 0

    @property
    def plain(self) -> bool:
        """Whether the runs did what the recipe says, in full precision."""
        return self.as_written and self.precision == "float32"

    @property
    def as_written(self) -> bool:
        """Whether the runs did what the recipe says, in whatever precision."""
        return not (self.overrides or self.stale)

    def held_to(self, band: spec.Band) -> bool:
        return self.as_written and band.holds_for(self.precision, self.examples)

    @property
    def stack(self) -> tuple:
        """What runs of different experiments must share to be compared."""
        return self.path, self.versions

    def label(self, among: Iterable["Group"]) -> str:
        """The group in words; compiler and versions only where those `among` differ in them."""
        among = list(among)
        parts = [*self.overrides, self.path]
        if self.precision != "float32":
            parts.append(self.precision)
        if self.stale:
            parts.append(f"recipe {self.digest}")
        if self.compiler and len({group.compiler for group in among}) > 1:
            parts.append(f"compiled by {self.compiler}")
        if len({group.examples for group in among}) > 1:
            parts.append(f"{self.examples:,} training images")
        if len({group.versions for group in among}) > 1:
            parts += [f"{name} {version}" for name, version in self.versions]
        return ", ".join(parts)


def groups(
    records: Iterable[dict], experiment: spec.Experiment, scale: str
) -> dict[Group, list[dict]]:
    """The finished runs of `experiment` at `scale` by what they share, each seed once.

    When a seed was run again the run that finished first stays, so that nobody can choose. Plain
    groups come first, those with most seeds before the others and among equal ones the newest;
    stale ones come last.
    """
    by_seed: dict[Group, dict[int, dict]] = {}
    done = [record for record in _of(records, experiment, scale) if record["result"]]
    present: Digests = {}
    for record in sorted(done, key=finished):
        run = record["run"]
        by_seed.setdefault(group_of(run, experiment, present), {}).setdefault(run["seed"], record)
    newest = sorted(by_seed, key=lambda g: max(map(finished, by_seed[g].values())), reverse=True)
    order = sorted(newest, key=lambda g: (g.stale, not g.plain, -len(by_seed[g])))
    return {group: [by_seed[group][seed] for seed in sorted(by_seed[group])] for group in order}


def stacks(
    records: Sequence[dict], experiments: Iterable[spec.Experiment], scale: str
) -> dict[tuple, dict[str, list[dict]]]:
    """The plain runs at `scale` by stack, then by experiment: those that may be compared."""
    by_stack: dict[tuple, dict[str, list[dict]]] = {}
    for experiment in experiments:
        for group, runs in groups(records, experiment, scale).items():
            if group.plain:
                by_stack.setdefault(group.stack, {}).setdefault(experiment.name, runs)
    return by_stack


def speaking(records: Iterable[dict], experiment: spec.Experiment, scale: str) -> list[dict]:
    """The runs that speak for `experiment` at `scale`: the first plain group; none without one."""
    first = next(iter(groups(records, experiment, scale).items()), None)
    return first[1] if first and first[0].plain else []


def failed(
    records: Iterable[dict], experiment: spec.Experiment, scale: str
) -> dict[Group, list[dict]]:
    """The runs of `experiment` at `scale` that failed, such as those that diverged, by group."""
    by_group: dict[Group, list[dict]] = {}
    for record in _of(records, experiment, scale):
        if not record["result"]:
            by_group.setdefault(group_of(record["run"], experiment), []).append(record)
    return by_group


def seed_before(record: dict, records: Iterable[dict], experiment: spec.Experiment) -> dict | None:
    """The run that counts in the place of `record`: same group and seed, finished before it."""
    run = record["run"]
    same = groups(records, experiment, run["scale"]).get(group_of(run, experiment), ())
    first = next((other for other in same if other["run"]["seed"] == run["seed"]), record)
    return None if first["run"]["id"] == run["id"] else first


def _of(records: Iterable[dict], experiment: spec.Experiment, scale: str) -> list[dict]:
    wanted = (experiment.name, scale)
    return [r for r in records if (r["run"]["experiment"], r["run"]["scale"]) == wanted]


def group_of(run: dict, experiment: spec.Experiment, present: Digests | None = None) -> Group:
    """The group that a run of `experiment`, as in run.json, belongs to.

    An override counts where it changes the training; one that the recipe now has is none.

    present: digests of the recipe as it stands, by overrides and scale, to be kept between calls.
    """
    versions, trained = run.get("versions", {}), settings.digest_of_run(run, experiment)
    present = {} if present is None else present
    asked, scale = tuple(run.get("overrides", ())), run["scale"]
    for overrides in (asked, ()):
        if (overrides, scale) not in present:
            present[overrides, scale] = present_digest(experiment, overrides, scale)
    stale = trained != present[asked, scale]
    return Group(
        overrides=() if present[asked, scale] == present[(), scale] else tuple(sorted(asked)),
        precision=run["precision"],
        path=code_path(run),
        compiler=run.get("compiler") or "",
        versions=tuple((k, versions[k]) for k in ("keras", run["backend"]) if k in versions),
        digest=run["digest"] if stale else trained,
        stale=stale,
        examples=run.get("data", {}).get("train_examples", 0),
    )


def as_grouped(record: dict, experiment: spec.Experiment) -> dict:
    """The record with those overrides alone that count."""
    overrides = list(group_of(record["run"], experiment).overrides)
    return {**record, "run": {**record["run"], "overrides": overrides}}


def code_path(run: dict) -> str:
    """The code path of a run in words: "tensorflow single on CPU", "... mirrored on 2 GPU"."""
    kinds = "/".join(sorted({device.partition(":")[0] for device in run["devices"]})) or "unknown"
    count = f"{len(run['devices'])} " if len(run["devices"]) > 1 else ""
    return f"{run['backend']} {run['strategy']} on {count}{kinds}"


def present_digest(experiment: spec.Experiment, overrides: Iterable[str], scale: str) -> str | None:
    try:
        return settings.digest(settings.override(experiment, list(overrides)), scale)
    except UsageError:  # the key is gone, so the recipe of that run is too
        return None
