"""The images that a run trains and tests on, in memory or as photographs."""

from __future__ import annotations

from typing import Any

import numpy as np

from repro import spec
from repro.data import augmentation, preprocessing
from repro.data.crops import Square
from repro.data.photographs import Lazily, Photographs
from repro.errors import UsageError


def in_memory(recipe: spec.Recipe, train: np.ndarray, test: np.ndarray) -> tuple:
    """The training and the test images, preprocessed once, and what `Batches` is to be given."""
    steps = preprocessing.fit(recipe.preprocessing, train)
    train, test, black = (preprocessing.apply(steps, x) for x in (train, test, 0 * train[:1]))
    learnt = augmentation.fit(recipe.augmentation, train)
    return train, test, train, {"augmentation": learnt, "fill": float(black.flat[0])}


def prepared(recipe: Any, train: Photographs, test: Photographs) -> tuple:
    """The training and the test images, preprocessed as they are asked for; what `Batches` takes.

    Where the augmentation of the recipe cuts its crops out of whole photographs, they take the
    place of the squares in training, and what follows `Square` in the preprocessing is done to
    them. Otherwise the squares are augmented. Raises UsageError for preprocessing without `Square`.
    """
    if not (recipe.preprocessing and isinstance(recipe.preprocessing[0], Square)):
        raise UsageError("recipe.preprocessing: photographs need Square first")
    steps = preprocessing.fit(recipe.preprocessing, train)
    squares, tested = Lazily(train, steps), Lazily(test, steps)
    if not augmentation.of_photographs(recipe.augmentation):
        how = {"augmentation": augmentation.fit(recipe.augmentation, squares)}
        return squares, tested, squares, how
    cut = augmentation.fit(recipe.augmentation, train)
    cut = augmentation.Chain((cut, augmentation.Preprocessed(tuple(steps[1:]))))
    return squares, tested, train, {"augmentation": cut}
