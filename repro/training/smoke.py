"""What a smoke run is cut to: it shows in two minutes, on two cores, that everything works.

It makes as many updates, and scores as many images, as a budget of multiply-adds allows; of a large
network also with smaller batches. The same rule holds on every machine, and the record says what
came out of it.
"""

from dataclasses import asdict, dataclass

from repro import spec
from repro.training import protocols

PASSES = 2
LAYERS = 2000  # more are not compiled: of ResNet-1202 that alone takes minutes
BATCH_UNCOMPILED = 8
UPDATES = (2, 20)  # of a pass, at least and at most
IMAGES, IMAGES_OF_TEN_CROPS, FEWEST_IMAGES = 1000, 100, 10
# Multiply-adds, of which two cores make some 50 to 200 billion a second.
TRAINING, TESTING = 2.5e12, 1e12
FORTH_AND_BACK = 3  # what a training update costs, in forward computations


@dataclass(frozen=True)
class Smoke:
    """batch: examples of an update. updates: those of a pass. test_subset: images scored.

    compiled: whether the updates are; otherwise the operations are called one by one.
    """

    batch: int
    updates: int
    test_subset: int
    compiled: bool = True

    @property
    def pass_ends(self) -> list[int]:
        return [self.updates * (number + 1) for number in range(PASSES)]

    def record(self) -> dict[str, int | bool]:
        told = asdict(self)
        if self.compiled:  # as all are but the deepest
            del told["compiled"]
        return told


def cut(
    experiment: spec.Experiment, multiply_adds: int, replicas: int = 1, layers: int = 0
) -> Smoke:
    """What a smoke run of `experiment` is cut to.

    multiply_adds: what an example costs. layers: of the network, in Keras.
    """
    fewest, most = UPDATES
    example = FORTH_AND_BACK * max(1, multiply_adds) * PASSES
    affordable = int(TRAINING / example / fewest)  # examples of an update
    compiled = layers <= LAYERS
    affordable = affordable if compiled else min(affordable, BATCH_UNCOMPILED)
    batch = min(experiment.recipe.batch, max(replicas, affordable // replicas * replicas))
    if not compiled:
        return Smoke(batch, fewest, FEWEST_IMAGES, compiled)
    updates = min(most, max(fewest, int(TRAINING / (example * batch))))
    views = [protocols.parse(name).views for name in experiment.protocols]
    at_most = IMAGES_OF_TEN_CROPS if max(views) > 1 else IMAGES
    scored = PASSES * views[0] + sum(views) + len(experiment.probes)
    images = int(TESTING / (max(1, multiply_adds) * scored))
    return Smoke(batch, updates, max(FEWEST_IMAGES, min(at_most, images)))
