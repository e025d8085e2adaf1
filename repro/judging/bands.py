"""Reference bands: where the mean of runs is expected to lie, from runs that were made here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from repro import spec
from repro.judging.groups import groups
from repro.judging.measures import measured


@dataclass(frozen=True)
class BandCheck:
    """The mean over the runs of one group, held against a band of their experiment.

    group: the group in words. seeds, runs: those that were counted, runs by their ids.
    """

    experiment: str
    band: spec.Band
    mean: float
    group: str
    seeds: tuple[int, ...]
    runs: tuple[str, ...]

    @property
    def inside(self) -> bool:
        return self.band.low <= self.mean <= self.band.high


def checks(records: Sequence[dict], experiments: Iterable[spec.Experiment]) -> list[BandCheck]:
    """Every mean that a band of its experiment holds for."""
    made = []
    for experiment in experiments:
        for band in experiment.bands:
            grouped = groups(records, experiment, band.scale)
            for group, runs in grouped.items():
                held = group.held_to(band)
                if held and (counted := measured(runs, band.metric, band.protocol)):
                    mean, label = fmean(number for _, number in counted), group.label(grouped)
                    seeds = tuple(run["seed"] for run, _ in counted)
                    ids = tuple(run["id"] for run, _ in counted)
                    made.append(BandCheck(experiment.name, band, mean, label, seeds, ids))
    return made
