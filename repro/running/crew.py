"""How many runs go side by side."""

import time
from collections.abc import Callable
from typing import NamedTuple

from repro.backends import SMALL_BATCH
from repro.machine import SHARING, cores, has_gpu, nvidia_smi
from repro.spec import Experiment

SECONDS_OF_A_LOOK = 20.0  # for which the rates of all runs are measured
WORTH_IT = 1.05  # what one more run must make of the sum of the rates
FULL = 0.9  # of a GPU's memory


class Crew:
    """As many runs as `allowed`."""

    def __init__(self, allowed: int, sharing: bool = False):
        """sharing: whether the runs have one GPU between them."""
        self.allowed = allowed
        self.environment = SHARING if sharing else {}

    def told(self, seed: int, event: dict) -> None:
        """A run has told where it is (see `repro.training.telling`)."""

    def ended(self, seed: int, failed: bool) -> None:
        """A run has ended."""


class Moment(NamedTuple):
    """When a run was at which update."""

    seconds: float
    update: int


class GrowingCrew(Crew):
    """One run more, for as long as all together make more updates a second than before it came.

    `memory` tells which share of the device's memory the runs take, None where that is unknown; no
    run joins that would not fit. The first run is alone until its rate is measured.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], float | None] | None = None,
    ):
        super().__init__(1, sharing=True)
        self._clock, self._memory = clock, memory or gpu_memory
        self._seen: dict[int, list[Moment]] = {}
        self._rate, self._settled = 0.0, False

    def told(self, seed: int, event: dict) -> None:
        if event["event"] == "start":
            self._look_anew()
            self._seen[seed] = []
        if event["event"] == "progress" and seed in self._seen and not self._settled:
            self._seen[seed].append(Moment(self._clock(), event["update"]))
            if len(self._seen) == self.allowed and all(self._seen.values()):
                self._look()

    def ended(self, seed: int, failed: bool) -> None:
        """Where one failed beside others, there is one less from now on: it may be the memory."""
        self._seen.pop(seed, None)
        self._look_anew()
        if failed and self._seen:
            self.allowed, self._settled = max(1, self.allowed - 1), True

    def _look_anew(self) -> None:
        self._seen = {seed: [] for seed in self._seen}

    def _look(self) -> None:
        """Decides, once all have trained for long enough at the same time."""
        since, rate, runs = max(seen[0].seconds for seen in self._seen.values()), 0.0, self.allowed
        for seen in self._seen.values():
            together = [moment for moment in seen if moment.seconds >= since] or seen[-1:]
            first, last = together[0], together[-1]
            if last.seconds - first.seconds < SECONDS_OF_A_LOOK:
                return
            rate += (last.update - first.update) / (last.seconds - first.seconds)
        taken = self._memory()
        if rate < WORTH_IT * self._rate:
            self.allowed, self._settled = runs - 1, True
        elif taken is not None and taken * (runs + 1) / runs > FULL:
            self._settled = True
        else:
            self.allowed, self._rate = runs + 1, rate


def crew_for(experiment: Experiment, jobs: int | None = None) -> Crew:
    """`jobs` runs of `experiment` side by side; None for as many as are fastest together.

    On CPUs that is one per core for one-example recipes, whose updates are too short to be shared;
    larger batches use all cores already. On a GPU, `GrowingCrew` tries it out.
    """
    if jobs:
        return Crew(jobs, sharing=jobs > 1 and has_gpu())
    if has_gpu():
        return GrowingCrew()
    return Crew(1 if experiment.recipe.batch >= SMALL_BATCH else cores())


def gpu_memory() -> float | None:
    """The share of its memory that is taken on the fullest GPU that runs see; None if unknown."""
    try:
        pairs = [[float(n) for n in line] for line in nvidia_smi("memory.used,memory.total", 10)]
        return max(used / total for used, total in pairs)
    except (ValueError, ZeroDivisionError):
        return None
