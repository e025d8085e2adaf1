"""What a recipe may do to images: every preprocessing and augmentation, with what it does."""

import dataclasses
from typing import Any

from repro.data import augmentation, crops, distortion, preprocessing

PREPROCESSINGS = (
    preprocessing.PadTo,
    preprocessing.ShrinkInto,
    preprocessing.Enlarge,
    crops.Square,
    preprocessing.Contrast,
    preprocessing.PerPixelMean,
    preprocessing.ChannelMean,
    preprocessing.ChannelMeanAndDeviation,
    preprocessing.GlobalContrastNormalization,
    preprocessing.ZCAWhitening,
    preprocessing.LocalContrastNormalization,
)
AUGMENTATIONS = (
    distortion.DistortedCopies,
    augmentation.CropAndFlip,
    augmentation.RandomCrop,
    crops.ScaleJitter,
    crops.InceptionCrop,
    augmentation.PCAColour,
    crops.PhotometricDistortions,
    augmentation.Chain,
)


def preprocessings() -> list[dict[str, Any]]:
    """Every preprocessing; needs no NumPy. For the keys see `described`."""
    return [described(part) for part in PREPROCESSINGS]


def augmentations() -> list[dict[str, Any]]:
    """Every augmentation; needs no NumPy. For the keys see `described`."""
    return [described(part) for part in AUGMENTATIONS]


def described(part: type) -> dict[str, Any]:
    """A dataclass that recipes are made of: `name`, `does` (a sentence), `module`, `fields`.

    fields: name to default, None for one that has to be given.
    """
    fields = {
        f.name: None if f.default is dataclasses.MISSING else f.default
        for f in dataclasses.fields(part)
    }
    does = (part.__doc__ or "").strip().splitlines()[0]
    return {"name": part.__name__, "does": does, "module": part.__module__, "fields": fields}
