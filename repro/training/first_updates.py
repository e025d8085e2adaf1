"""The first fifty updates of an experiment of each family, in float32, without dropout.

Initial weights, the order of examples and augmentation are functions of the seed, so the losses are
the same wherever Keras runs, up to rounding. So is the length of the vector of all weights, which
shows what a loss hardly does: the weight decay.

Rounding grows from update to update, the faster the larger the rate, most where there is batch
normalisation. How far is measured: before each update, each weight w is moved to w (1 + r z), z
being normal. A float32 sum of n terms is off by about r = sqrt(n) 2^-24, as errors of either sign
add up; the longest sums are over all pixels of a batch, in the statistics of batch normalisation
and in the gradients of kernels.

`first_updates.json` beside this file holds what was recorded (tests/programs/first_losses.py).
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from repro import backends, catalog, settings, spec
from repro.backends import distribution
from repro.lazy import keras
from repro.lazy import numpy as np

RECORD = Path(__file__).with_suffix(".json")
SEED, UPDATES = 3, 50
KINDS = ("losses", "lengths")
# Three runs with moved weights do not show the farthest that rounding may lead. Measured between
# backends: up to 1.8 times as far, in losses; up to 0.8 times, in lengths.
MARGIN = 4.0

# Batches are smaller than the papers', and some see a part of the training set, to be quick. With
# batch normalisation, at the papers' rates, rounding takes over within ten updates; VGG without
# dropout diverges at the seventh.
SOME, SLOWER = "recipe.data.train=train[:2000]", "recipe.optimizer.rate=0.001"
EXPERIMENTS = {
    "lenet5-mnist": (SOME,),
    "lenet5-modern-mnist": (SOME, "recipe.batch=32"),
    "alexnet-local-lrn-cifar10": (SOME, "recipe.batch=32"),
    "nin-mnist": (SOME, "recipe.batch=16"),
    "vgg-a-imagenette": ("recipe.batch=4", "recipe.optimizer.rate=0.00001"),
    "googlenet-imagenette": ("recipe.batch=4", "network.initialisation=glorot"),
    "resnet20-cifar10": (SOME, "recipe.batch=32", SLOWER),
    "densenet40-k12-cifar10": (SOME, "recipe.batch=8", SLOWER),
}
QUICK = ("lenet5-mnist", "lenet5-modern-mnist", "nin-mnist", "resnet20-cifar10")  # seconds each


def experiment(name: str) -> spec.Experiment:
    return settings.override(catalog.experiment(name), EXPERIMENTS[name])


@cache
def recorded() -> Mapping[str, Mapping[str, Any]]:
    """By experiment: losses, lengths, and how far rounding may lead each `astray`."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def first_noticed(name: str, run: Mapping[str, Sequence[float]]) -> int | None:
    """The first update, from 1, whose loss, or the length of whose weights, is not as recorded."""
    there, places = recorded()[name], []
    for kind in KINDS:
        updates = len(run[kind])
        off = abs(np.divide(run[kind], there[kind][:updates]) - 1.0)
        tolerated = MARGIN * np.array(there["astray"][kind])[:updates]
        places += np.flatnonzero(~(off <= tolerated)).tolist()
    return 1 + min(places) if places else None


def train(
    trained: spec.Experiment, updates: int = UPDATES, moved: int | None = None
) -> dict[str, Any]:
    """losses, lengths: of each update, the mean loss of its batch, the length of weights after it.

    moved: the seed by which weights are moved; None where they are left alone. rounding: how far.
    Raises DataError where the data is missing.
    """
    from repro.data import inputs
    from repro.training.schedule import Schedule
    from repro.training.state import State
    from repro.training.trainee import Trainee

    recipe = trained.recipe
    backends.here().configure(recipe.batch)
    given = inputs.of_training(recipe)
    batches = given.batches(recipe.batch, SEED)
    trainee = Trainee(trained, "float32", SEED, distribution.choose("single", recipe.batch))
    for layer in trainee.model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    schedule = Schedule(recipe, batches.size, batches.shape, "paper")
    trainee.compile(recipe.batch, 1)
    state, losses, lengths = State(), [], []
    rounding = math.sqrt(recipe.batch * math.prod(batches.shape[:2])) * 2.0**-24
    weights, draw = trainee.model.trainable_variables, np.random.default_rng(moved)
    trainee.before_pass(0, given)
    for images, labels in batches.stream(0, updates, 1):
        trainee.optimizer.set_rate(schedule.rate(state))
        if moved is not None:
            _move(weights, rounding, draw)
        loss, wrong = trainee.loop(images, labels)
        state.add(1, loss, wrong, 0.0, chunk_ends=True)
        losses.append(loss / recipe.batch)
        lengths.append(math.sqrt(sum(_squares(weight) for weight in weights)))
    return {"losses": losses, "lengths": lengths, "rounding": rounding}


def _squares(weight: Any) -> float:
    return float(np.square(backends.as_numpy(weight), dtype="float64").sum())


def _move(weights: Sequence, by: float, draw: "np.random.Generator") -> None:
    for weight in weights:
        value = np.asarray(backends.as_numpy(weight))
        weight.assign(value * (1.0 + by * draw.standard_normal(value.shape, "float32")))
