"""The first fifty updates of an experiment of each family, in float32, without dropout.

Initial weights, the order of examples and augmentation are functions of the seed, so the losses are
the same wherever Keras runs, up to rounding. So is the length of the vector of all weights, which
shows what a loss hardly does: the weight decay.

Rounding grows from update to update, the faster the larger the rate, most where there is batch
normalisation. How far is measured: before each update, each weight w is moved to w (1 + r z), z
being normal. A float32 sum of n terms is off by about r = sqrt(n) 2^-24, as errors of either sign
add up; the longest sums are over all pixels of a batch, in the statistics of batch normalisation
and in the gradients of kernels.

    python -P tests/programs/first_losses.py [EXPERIMENT...]           prints all that as JSON
    python -P tests/programs/first_losses.py --record [EXPERIMENT...]  writes first_losses.json

One process has one backend (KERAS_BACKEND). tests/test_first_losses.py holds each to what is
recorded.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repro import backends, catalog, settings, spec
from repro.backends import distribution
from repro.data import inputs
from repro.lazy import keras
from repro.records.provenance import versions
from repro.training.schedule import Schedule
from repro.training.state import State
from repro.training.trainee import Trainee

RECORD = Path(__file__).parents[1] / "first_losses.json"
SEED, UPDATES, MOVED = 3, 50, 3  # MOVED: how many runs with moved weights a record is made of
KINDS = ("losses", "lengths")

# Batches are smaller than the papers', and some see a part of the training set, to be quick. With
# batch normalisation, at the papers' rates, rounding takes over within ten updates.
SOME, SLOWER = "recipe.data.train=train[:2000]", "recipe.optimizer.rate=0.001"
EXPERIMENTS = {
    "lenet5-mnist": (SOME,),
    "lenet5-modern-mnist": (SOME, "recipe.batch=32"),
    "alexnet-local-lrn-cifar10": (SOME, "recipe.batch=32"),
    "nin-mnist": (SOME, "recipe.batch=16"),
    "vgg-a-imagenette": ("recipe.batch=4",),
    "googlenet-imagenette": ("recipe.batch=4",),
    "resnet20-cifar10": (SOME, "recipe.batch=32", SLOWER),
    "densenet40-k12-cifar10": (SOME, "recipe.batch=8", SLOWER),
}


def experiment(name: str) -> spec.Experiment:
    return settings.override(catalog.experiment(name), EXPERIMENTS[name])


def train(
    trained: spec.Experiment, updates: int = UPDATES, moved: int | None = None
) -> dict[str, Any]:
    """losses, lengths: of each update, the mean loss of its batch, the length of weights after it.

    moved: the seed by which weights are moved; None where they are left alone. rounding: how far.
    """
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
            move(weights, rounding, draw)
        loss, wrong = trainee.loop(images, labels)
        state.add(1, loss, wrong, 0.0, chunk_ends=True)
        losses.append(loss / recipe.batch)
        lengths.append(math.sqrt(sum(squares(weight) for weight in weights)))
    return {"losses": losses, "lengths": lengths, "rounding": rounding}


def squares(weight: Any) -> float:
    return float(np.square(backends.as_numpy(weight), dtype="float64").sum())


def move(weights: Sequence, by: float, draw: np.random.Generator) -> None:
    for weight in weights:
        value = np.asarray(backends.as_numpy(weight))
        weight.assign(value * (1.0 + by * draw.standard_normal(value.shape, "float32")))


def record(names: Sequence[str]) -> None:
    """Writes what was trained, what came of it, and how far rounding may lead astray.

    astray: the largest relative difference up to each update, over the runs with moved weights, and
    no less than what one sum is off.
    """
    there = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in names:
        exact = train(experiment(name))
        runs = [train(experiment(name), moved=seed) for seed in range(MOVED)]
        there[name] = {
            "overrides": EXPERIMENTS[name],
            "seed": SEED,
            "versions": {key: versions()[key] for key in ("keras", "numpy", backends.name())},
            **{kind: to_digits(9, exact[kind]) for kind in KINDS},
            "astray": {
                kind: to_digits(2, np.max([differences(run, exact, kind) for run in runs], axis=0))
                for kind in KINDS
            },
        }
        lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in there.items()]
        RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def differences(ours: dict, theirs: dict, kind: str) -> np.ndarray:
    off = abs(np.divide(ours[kind], theirs[kind]) - 1.0)
    return np.maximum.accumulate(np.maximum(off, theirs["rounding"]))


def to_digits(count: int, values: Sequence[float]) -> list[float]:
    return [float(f"{value:.{count}g}") for value in values]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true")
    parser.add_argument("names", nargs="*", default=list(EXPERIMENTS))
    asked = parser.parse_args()
    if asked.record:
        record(asked.names)
    else:
        print(json.dumps({name: train(experiment(name)) for name in asked.names}))
