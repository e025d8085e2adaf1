"""The images that a run trains and tests on, in memory or as photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from repro import spec
from repro.data import augmentation, datasets, preprocessing, resident, sets
from repro.data.batches import Batches
from repro.data.crops import Square
from repro.data.photographs import Lazily, Photographs
from repro.data.resident import Resident
from repro.data.sets import Split
from repro.errors import UsageError


def in_memory(recipe: spec.Recipe, raw: np.ndarray, test: np.ndarray) -> tuple:
    """The training and the test images, preprocessed once; what `Batches` takes; and a function
    that makes the `Resident` of the training images, or None.

    Raises UsageError for steps that take photographs.
    """
    first = getattr(recipe.augmentation, "steps", (recipe.augmentation,))[0]
    for step in (first, *recipe.preprocessing):
        if augmentation.takes_photographs(step) or isinstance(step, Square):
            raise UsageError(
                f"recipe.data.dataset={recipe.data.dataset}: its images have one size, and "
                f"{type(step).__name__} is for photographs; accepted are "
                f"{', '.join(_of_photographs())}"
            )
    steps = preprocessing.fit(recipe.preprocessing, raw)
    train, test, black = (preprocessing.apply(steps, x) for x in (raw, test, 0 * raw[:1]))
    learnt = augmentation.fit(recipe.augmentation, train)
    options = {"augmentation": learnt, "fill": float(black.flat[0])}
    return train, test, train, options, partial(resident.of, raw, train, steps, learnt)


def _of_photographs() -> list[str]:
    return [dataset.name for dataset in sets.DATASETS.values() if dataset.shape is None]


def prepared(recipe: spec.Recipe, train: Photographs, test: Photographs) -> tuple:
    """The training and the test images, preprocessed as they are asked for; what `Batches` takes;
    and a function that makes no `Resident`.

    Where the augmentation of the recipe cuts its crops out of whole photographs, they take the
    place of the squares in training, and what follows `Square` in the preprocessing is done to
    them. Otherwise the squares are augmented. Raises UsageError for preprocessing without `Square`.
    """
    if not (recipe.preprocessing and isinstance(recipe.preprocessing[0], Square)):
        raise UsageError("recipe.preprocessing: photographs need Square first")
    steps = preprocessing.fit(recipe.preprocessing, train)
    squares, tested = Lazily(train, steps), Lazily(test, steps)
    ready = augmentation.Preprocessed(tuple(steps))
    if not recipe.augmentation:
        made = ready
    elif augmentation.takes_photographs(recipe.augmentation):
        rest = augmentation.Preprocessed(tuple(steps[1:]))
        made = augmentation.Chain((augmentation.fit(recipe.augmentation, train), rest))
    else:
        made = augmentation.Chain((ready, augmentation.fit(recipe.augmentation, squares)))
    return squares, tested, train, {"augmentation": made}, lambda: None


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run trains and tests on.

    facts: what `datasets.facts` tells of the dataset. Images are preprocessed, once or each time
    that they are asked for. examples and options: what `Batches` takes. resident(): the training
    set as it would lie on the device, or None for one that is streamed.
    """

    facts: dict
    train_images: Any
    train_labels: np.ndarray
    test_images: Any
    test_labels: np.ndarray
    examples: Any
    options: dict
    resident: Callable[[], Resident | None]

    def batches(self, batch: int, seed: int, placed: bool = False) -> Batches:
        options = {**self.options, "placed": placed}
        return Batches(self.examples, self.train_labels, batch, seed, **options)


def training_images(data: spec.Data) -> Split:
    """The images that are trained on, as they are stored, and their labels."""
    return datasets.load(data.dataset, data.train, data.per_class)


def of_training(recipe: spec.Recipe) -> Inputs:
    """Raises UsageError and DataError as `datasets.load` does."""
    facts = datasets.facts(recipe.data.dataset)
    train = training_images(recipe.data)
    test = datasets.load(recipe.data.dataset, recipe.data.test)
    ready = prepared if isinstance(train.images, Photographs) else in_memory
    train_images, test_images, *more = ready(recipe, train.images, test.images)
    return Inputs(facts, train_images, train.labels, test_images, test.labels, *more)


def of_test(recipe: spec.Recipe) -> tuple[Any, np.ndarray]:
    """The test images, preprocessed, and their labels.

    The training images are read only where the preprocessing learns from them.
    """
    test, steps = _test(recipe)
    if isinstance(test.images, Photographs):
        return Lazily(test.images, steps), test.labels
    return preprocessing.apply(steps, test.images), test.labels


# What in a preprocessing moves pixels, and comes first; the other steps change grey levels.
MOVING = (Square, preprocessing.PadTo, preprocessing.ShrinkInto, preprocessing.Enlarge)


@dataclass(frozen=True, eq=False)
class Pictures:
    """The test images as a person sees them, each pixel where the network gets it.

    steps: as `preprocessing.fit` returns them, those that move pixels first, `moving` of them.
    white: the grey level of white; that of black is 0.
    """

    images: Any
    labels: np.ndarray
    steps: list[Callable]
    moving: int
    white: float

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """Pictures as float32 [n, H, W, C]."""
        return preprocessing.apply(self.steps[: self.moving], self.images[index])

    def preprocessed(self, pictures: np.ndarray) -> np.ndarray:
        """What preprocessing makes of pictures, changed ones too; of the same size."""
        return preprocessing.apply(self.steps[self.moving :], pictures)


def pictures(recipe: spec.Recipe) -> Pictures:
    """The test images of a recipe. Raises UsageError and DataError as `datasets.load` does."""
    test, steps = _test(recipe)
    moving = sum(isinstance(step, MOVING) for step in recipe.preprocessing)
    white = 255.0
    if not isinstance(test.images, Photographs):  # to decode a thousand of those takes long
        white = float(preprocessing.apply(steps[:moving], test.images[:1000]).max())
    return Pictures(test.images, test.labels, steps, moving, white)


def _test(recipe: spec.Recipe) -> tuple[Any, list[Callable]]:
    """The test split as it is stored; the steps of the preprocessing, which have learnt."""
    data = recipe.data
    test = datasets.load(data.dataset, data.test)
    learning = any(hasattr(step, "fit") for step in recipe.preprocessing)
    seen = training_images(data).images if learning else test.images
    return test, preprocessing.fit(recipe.preprocessing, seen)
