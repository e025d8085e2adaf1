"""Which networks are drawn in the picture of a dataset, and how fast each trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from repro import spec
from repro.judging import groups
from repro.judging.verdict import VerdictRow
from repro.networks.counts import Counts
from repro.records.reading import KEPT_SCALES
from repro.report.cost import speed_of
from repro.report.words import count_of


@dataclass(frozen=True)
class Shown:
    """A network in the picture.

    paper, place: the name of its paper, and which of the catalog's it is. experiment: that whose
    runs stand for the network. row: the verdict on its test error. speed: images per second.
    """

    paper: str
    place: int
    experiment: spec.Experiment
    row: VerdictRow
    counts: Counts | None = None
    speed: float | None = None

    @property
    def network(self) -> spec.Network:
        return self.experiment.network

    @property
    def name(self) -> str:
        protocol = "" if self.row.protocol == "single-view" else f", {self.row.protocol}"
        return self.experiment.name + protocol


@dataclass(frozen=True)
class Machine:
    """Where images per second were measured: a code path, and the processor with its cores."""

    path: str
    processor: str
    cores: int

    def __str__(self) -> str:
        return f"{count_of(self.cores, 'core')} of {self.processor} ({self.path})"


def by_dataset(papers: Sequence[spec.Paper], rows: Sequence[VerdictRow]) -> dict[str, list[Shown]]:
    """The networks that have runs at paper scale, by dataset; of datasets with two or more.

    A network stands there once, with the first of its experiments that has runs. All train and test
    on the same images: where experiments of a dataset differ in these, most networks decide.
    """
    error_of = {row.experiment: row for row in reversed(rows) if _speaks(row)}
    found: dict[str, dict[spec.Data, dict[str, Shown]]] = {}
    for place, paper in enumerate(papers):
        for experiment in paper.experiments:
            if experiment.name in error_of and experiment.network in paper.networks:
                data, row = experiment.recipe.data, error_of[experiment.name]
                alike = found.setdefault(data.dataset, {}).setdefault(data, {})
                shown = Shown(paper.name, place, experiment, row)
                alike.setdefault(experiment.network.name, shown)
    most = {dataset: max(each.values(), key=len) for dataset, each in found.items()}
    return {dataset: list(some.values()) for dataset, some in most.items() if len(some) > 1}


def _speaks(row: VerdictRow) -> bool:
    return row.main and row.metric == "test_error" and row.mean is not None


def measured_speeds(
    networks: Sequence[Shown], records: Sequence[dict]
) -> tuple[Machine | None, dict[str, float]]:
    """The machine on which most networks have run, and each one's images per second there.

    The median over the plain runs of its experiment, at short scale too. Of machines with as many
    networks that with more runs.
    """
    speeds: dict[Machine, dict[str, list[float]]] = {}
    for shown in networks:
        for record in _plain_runs(shown.experiment, records):
            if speed := speed_of(record):
                run = record["run"]
                here = run.get("machine") or {}
                machine = Machine(
                    groups.code_path(run), here.get("processor", "unknown"), here.get("cores", 0)
                )
                of_network = speeds.setdefault(machine, {})
                of_network.setdefault(shown.network.name, []).append(speed)
    if not speeds:
        return None, {}
    machine = max(speeds, key=lambda m: (len(speeds[m]), _runs(speeds[m]), str(m)))
    return machine, {name: median(some) for name, some in speeds[machine].items()}


def _plain_runs(experiment: spec.Experiment, records: Sequence[dict]) -> list[dict]:
    scales = [groups.groups(records, experiment, scale) for scale in KEPT_SCALES]
    return [run for of in scales for group, runs in of.items() if group.plain for run in runs]


def _runs(speeds: Mapping[str, Sequence[float]]) -> int:
    return sum(map(len, speeds.values()))
