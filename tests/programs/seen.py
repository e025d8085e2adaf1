"""Training sets small enough for a test, and what updates see of them, made by the host."""

import dataclasses
from typing import NamedTuple

import numpy as np

from repro import catalog
from repro.data import inputs
from repro.data.augmentation import CropAndFlip, RandomCrop
from repro.data.batches import Batches
from repro.data.preprocessing import (
    ChannelMean,
    ChannelMeanAndDeviation,
    Contrast,
    Enlarge,
    GlobalContrastNormalization,
    PadTo,
    PerPixelMean,
)
from repro.data.resident import Resident

BATCH = 16
PREPROCESSING = {
    "bytes to levels": (Contrast(-0.1, 1.175),),
    "padded bytes": (PadTo(16), Contrast(-0.1, 1.175)),
    "mean of each pixel": (PerPixelMean(),),
    "mean of each channel": (ChannelMean(),),
    "mean and deviation": (ChannelMeanAndDeviation(),),
    "one after the other": (ChannelMean(), Contrast(0.5, 2.0)),
    "by the image": (GlobalContrastNormalization(), PerPixelMean(scale=1.0)),
    "enlarged": (Enlarge(14), Contrast(0.0, 1.0)),
    "none": (),
}
IN_BYTES = PREPROCESSING.keys() - {"by the image", "enlarged"}
AUGMENTATION = {
    "none": None,
    "crops and flips": CropAndFlip(pad=3),
    "crops of another background": CropAndFlip(pad=2, outside=-0.25),
    "flips": CropAndFlip(pad=0),
    "small crops": RandomCrop(side=7),
    "small crops, none mirrored": RandomCrop(side=7, flip=False),
}


class Seen(NamedTuple):
    """What three updates across the border of a pass see: images, where they lie, the whole set."""

    images: np.ndarray
    places: np.ndarray
    held: Resident | None


def images() -> np.ndarray:
    """Bytes [N, H, W, C] of every level, of sides that tell height from width."""
    return np.random.default_rng(0).integers(0, 256, (50, 12, 10, 3)).astype(np.uint8)


def seen(preprocessing: str, augmentation: str) -> Seen:
    recipe = dataclasses.replace(
        catalog.experiment("resnet20-cifar10").recipe,
        preprocessing=PREPROCESSING[preprocessing],
        augmentation=AUGMENTATION[augmentation],
    )
    _, _, examples, options, held = inputs.in_memory(recipe, images(), images())
    labels = np.arange(len(images()))
    streamed, placed = (
        Batches(examples, labels, BATCH, 3, **options, placed=placed).chunk(2, 3)
        for placed in (False, True)
    )
    np.testing.assert_array_equal(streamed[1], placed[1])
    return Seen(streamed[0], placed[0], held())
