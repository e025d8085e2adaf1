"""What an update takes in memory, known before the network is built; and refusing what cannot fit.

Every weight has a gradient, and what the optimizer keeps of it. Every image of the batch has the
values that its way back needs (`repro.networks.footprint`). That is in memory at once at least: by
it a batch is refused. `estimated` is more, by what passes, and by how much more was measured.
"""

from dataclasses import dataclass

from repro import backends, spec
from repro.errors import UsageError
from repro.machine import Place
from repro.networks.counts import Counts

WIDTH = 4  # bytes of a value in float32
# At the end of an update the step of each weight passes by, in parts.
STEPS = 2
# By how much the peak exceeded the count of values, at most, measured on two CPU cores: ResNet-20,
# DenseNet-40, NiN, GoogLeNet and VGG-A at 128 pixels, 8 to 512 images.
MORE = {"tensorflow": 1.3, "jax": 1.9, "torch": 2.8}
# On an H100 with JAX: ResNet-50 with 256 images, AlexNet with 128, GoogLeNet with 32. The other
# backends were not measured on GPUs, and keep the number of CPUs.
MORE_ON_GPUS = {**MORE, "jax": 1.0}
# Bytes of a process before its first update, without data and network, on the same CPU.
PROGRAM = {"tensorflow": 0.8e9, "jax": 0.45e9, "torch": 0.65e9}
# Of a process that decodes photographs: its proportional set size (PSS), one of two that cut crops
# out of Imagenette, on the same CPU.
DECODER = 0.15e9


@dataclass(frozen=True)
class Need:
    """Bytes of an update on one device: `fixed` for any batch, and `an_image` for each of it."""

    fixed: int
    an_image: int

    def of(self, images: int) -> int:
        return self.fixed + images * self.an_image

    def most(self, there: int) -> int:
        """The largest number of images for which it is no more than `there`."""
        return max(0, (there - self.fixed) // max(1, self.an_image))


def least(experiment: spec.Experiment, counts: Counts, precision: str) -> Need:
    """What is in memory at once, whatever the backend does; a batch that needs more cannot fit."""
    weights = 1 + _slots(experiment.recipe.optimizer)
    kept = counts.kept
    if not _by_gradients(experiment) or experiment.begins:  # no way back, or not through all of it
        kept = 0
    elif backends.name() == "jax":  # XLA may compute cheap layers twice instead
        kept //= 2
    else:
        weights += 1
    return Need(WIDTH * weights * counts.parameters, _width(precision) * kept)


def estimated(experiment: spec.Experiment, counts: Counts, precision: str, place: Place) -> Need:
    """What an update takes with all that comes and goes, as measurements make expect."""
    weights = 1 + _slots(experiment.recipe.optimizer)
    weights += (1 + STEPS) * _by_gradients(experiment)
    values = counts.kept + counts.passing
    more = MORE if place.is_cpu else MORE_ON_GPUS
    an_image = more[backends.name()] * _width(precision) * values
    return Need(WIDTH * weights * counts.parameters, int(an_image))


def _by_gradients(experiment: spec.Experiment) -> bool:
    return not isinstance(experiment.recipe.optimizer, spec.WinnerTakeAll)


def _slots(optimizer: spec.SGD | spec.StochasticDiagonalLM | spec.WinnerTakeAll) -> int:
    """Values that an optimizer keeps of each weight: a velocity, an average; a rate."""
    if isinstance(optimizer, spec.SGD):
        return 1 + bool(optimizer.averaging)
    return int(isinstance(optimizer, spec.StochasticDiagonalLM))


def _width(precision: str) -> int:
    return WIDTH if precision == "float32" else WIDTH // 2


def replicas(strategy: str, batch: int, place: Place) -> int:
    """How many of the devices a run takes; see `repro.backends.distribution.choose`."""
    alone = strategy == "single" or place.is_cpu or backends.name() == "torch"
    return 1 if alone or batch % place.count else place.count


def check(
    experiment: spec.Experiment,
    counts: Counts,
    precision: str,
    place: Place,
    taken: int = 0,
    batch: int | None = None,
) -> None:
    """Raises UsageError where a batch cannot fit into the devices of `place`, all of them.

    taken: bytes that are there already and counted as needed. batch: if not that of the recipe.
    """
    if place.memory is None:
        return
    need, there = least(experiment, counts, precision), place.memory + taken
    batch = batch or experiment.recipe.batch
    images = -(-batch // place.count)
    if need.of(images) <= there:
        return
    most = need.most(there) * place.count
    likely = estimated(experiment, counts, precision, place).most(there) * place.count
    where = f" on each of {place.count} {place.kind}, which have {gigabytes(there)}"
    if place.is_cpu:
        where = f", this machine has {gigabytes(there)} free"
    multiples = f", in multiples of {place.count}" * (place.count > 1)
    accepted = f"up to {most:,}{multiples}; likely to fit are up to {likely:,}"
    raise UsageError(
        f"recipe.batch={batch}: {experiment.network.name} needs {gigabytes(need.of(images))} or "
        f"more for it{where}; accepted are {accepted if most else 'smaller networks'}"
    )


def gigabytes(amount: float) -> str:
    """'0.03 GB', '2.1 GB', '24 GB', of 10^9 bytes."""
    return f"{two_digits(amount / 1e9)} GB"


def two_digits(number: float) -> str:
    """'0.03', '2.1', '24', '861'."""
    return f"{number:,.{0 if number >= 9.95 else 1 if number >= 0.095 else 2}f}"
