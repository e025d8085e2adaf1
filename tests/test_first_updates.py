"""The first fifty updates of an experiment of each family, held to what is recorded of them.

On whichever backend: initial weights, order and augmentation are the same. Quick ones here; with
REPRO_EVERY_NETWORK=1 all of them, which takes two cores some minutes.
"""

import dataclasses
import math
import os

import pytest

from repro import settings
from repro.data.preprocessing import Contrast
from repro.training import first_updates
from repro.training.first_updates import (
    EXPERIMENTS,
    KINDS,
    MARGIN,
    QUICK,
    SEED,
    UPDATES,
    experiment,
    first_noticed,
    train,
)

ALL = os.environ.get("REPRO_EVERY_NETWORK") == "1"
RECORDED = first_updates.recorded()


@pytest.fixture(autouse=True)
def float32():
    import keras

    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_first_updates_are_what_they_were(name, real_data):
    if name not in QUICK and not ALL:
        pytest.skip("minutes: REPRO_EVERY_NETWORK=1 asks for it")
    real_data(experiment(name).recipe.data.dataset)
    run = train(experiment(name))
    assert len(run["losses"]) == len(run["lengths"]) == UPDATES
    assert first_noticed(name, run) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in QUICK])
def test_the_first_two_updates_of_the_others_are_too(name, real_data):
    """Enough to notice other pixels: the first loss is of images and initial weights alone."""
    real_data(experiment(name).recipe.data.dataset)
    assert first_noticed(name, train(experiment(name), updates=2)) is None


def test_the_record_is_of_what_is_trained():
    """And its tolerance says something: below a hundredth in the first updates."""
    assert RECORDED.keys() == EXPERIMENTS.keys()
    for name, recorded in RECORDED.items():
        assert recorded["overrides"] == list(EXPERIMENTS[name])
        assert recorded["seed"] == SEED
        for kind in KINDS:
            assert len(recorded[kind]) == len(recorded["astray"][kind]) == UPDATES
            assert all(map(math.isfinite, recorded[kind]))
            assert max(recorded["astray"][kind][:5]) < 0.01 / MARGIN
        assert max(recorded["astray"]["lengths"]) < 1e-3 / MARGIN


# ---------------------------------------------------------------------------- broken recipes


def without_the_mean(trained):
    """Pixels from 0 to 1, the mean of the training images left in."""
    recipe = dataclasses.replace(trained.recipe, preprocessing=(Contrast(0.0, 1.0),))
    return dataclasses.replace(trained, recipe=recipe)


def overridden(*changes):
    return lambda trained: settings.override(trained, changes)


# What is broken in ResNet-20's recipe, and by which update it must have been noticed: decay shows
# in the weights alone, the mean and the shortcut in the first loss.
BROKEN = {
    "decay times ten": (overridden("recipe.optimizer.weight_decay=0.001"), 5),
    "no decay": (overridden("recipe.optimizer.weight_decay=0"), 20),
    "every weight decays": (overridden("recipe.optimizer.decayed=all"), 50),
    "Nesterov's momentum": (overridden("recipe.optimizer.nesterov=true"), 2),
    "a rate one per cent higher": (overridden("recipe.optimizer.rate=0.00101"), 5),
    "the mean left out": (without_the_mean, 1),
    "another shortcut": (overridden("network.shortcut=B"), 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_recipe_is_noticed(name, real_data):
    real_data("cifar10")
    change, update = BROKEN[name]
    run = train(change(experiment("resnet20-cifar10")), updates=update)
    assert first_noticed("resnet20-cifar10", run) is not None
