"""Preprocessing: what is done to every image once, before training and before testing.

Each is a frozen dataclass, called with images [N, H, W, C]; it returns [N, H', W', C] in float32
(`PadTo` keeps the type that it gets). One that learns from the training images has a method `fit`
instead, which takes them and returns what is to be called. Networks flatten for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repro.errors import UsageError
from repro.lazy import numpy as np


def fit(preprocessing: tuple[Any, ...], images: np.ndarray) -> list[Callable]:
    """The steps, those that learn from the training `images` having learnt from them alone."""
    steps: list[Callable] = []
    for step in preprocessing:
        if hasattr(step, "fit"):
            step = step.fit(apply(steps, images))
        steps.append(step)
    return steps


def apply(preprocessing: Sequence[Callable], images: np.ndarray) -> np.ndarray:
    """`images` through every step in order; float32 also where there are no steps."""
    for step in preprocessing:
        images = step(images)
    return np.asarray(images, np.float32)


@dataclass(frozen=True)
class Contrast:
    """The grey levels 0 to 255 to `background` to `foreground`, linearly.

    LeNet-5 takes -0.1 and 1.175, which is to give a mean near 0 and a variance near 1 (LeCun et
    al. 1998, section II.B). On MNIST in its field of 32 x 32 the mean is 0.03, the variance 0.12.
    """

    background: float
    foreground: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        step = np.float32((self.foreground - self.background) / 255)
        contrast = np.multiply(images, step, dtype=np.float32)
        contrast += np.float32(self.background)
        return contrast


@dataclass(frozen=True)
class PerPixelMean:
    """Grey levels in units of `scale`, less the mean of the training images at each pixel.

    The mean is taken per pixel and channel (He et al. 2015, section 4.2, after Krizhevsky et al.
    2012).
    """

    scale: float = 255.0

    def fit(self, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        mean = np.mean(images, axis=0, dtype=np.float64)
        step = np.float32(1 / self.scale)
        offset = (mean / self.scale).astype(np.float32)

        def subtract(images: np.ndarray) -> np.ndarray:
            centred = np.multiply(images, step, dtype=np.float32)
            centred -= offset
            return centred

        return subtract


@dataclass(frozen=True)
class PadTo:
    """Each image in the middle of a field of `size` x `size` zeros (the background of MNIST).

    Comes before `Contrast`. Raises UsageError for an image larger than the field.
    """

    size: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        n, height, width, channels = images.shape
        if max(height, width) > self.size:
            raise UsageError(f"PadTo({self.size}): the images are {height}x{width}, larger")
        top, left = (self.size - height) // 2, (self.size - width) // 2
        field = np.zeros((n, self.size, self.size, channels), images.dtype)
        field[:, top : top + height, left : left + width] = images
        return field


@dataclass(frozen=True)
class ShrinkInto:
    """The digit made smaller, in the middle of a `field` x `field` field of zeros.

    MNIST's digits fill a box of 20 x 20 pixels (`box`) in the image; that box comes to occupy
    `digit` x `digit` pixels, what lies around it shrinks likewise, and both centres coincide. Each
    new pixel is the mean of the area that it covers, so nothing is lost between two samples.

    LeNet-1: 16 x 16 pixels in a 28 x 28 field (LeCun et al. 1998, section III.C).
    """

    digit: int
    field: int
    box: int = 20

    def __call__(self, images: np.ndarray) -> np.ndarray:
        _, height, width, _ = images.shape
        pitch = self.box / self.digit  # old pixels per new pixel
        if pitch < 1:
            raise UsageError(f"ShrinkInto: a digit of {self.digit} is larger than {self.box}")
        if max(height, width) > self.field * pitch:
            raise UsageError(f"ShrinkInto: {height}x{width} shrunk does not fit into {self.field}")
        return _separable(images, self._means(height, pitch), self._means(width, pitch))

    def _means(self, length: int, pitch: float) -> np.ndarray:
        """[field, length]: how much of each old pixel a new one covers, as parts of its area."""
        edges = length / 2 + (np.arange(self.field + 1) - self.field / 2) * pitch
        old = np.arange(length)
        high = np.minimum(edges[1:, None], old + 1)
        low = np.maximum(edges[:-1, None], old)
        return np.maximum(high - low, 0) / pitch


@dataclass(frozen=True)
class Enlarge:
    """Scikit-learn's digits, grey levels 0 to 16, to `size` x `size` pixels of 0 to 255.

    Bilinear interpolation between pixel centres; the border repeats the outermost pixels.
    """

    size: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        _, height, width, _ = images.shape
        if self.size < max(height, width):
            raise UsageError(f"Enlarge({self.size}): the images are {height}x{width}, larger")
        grey = _separable(images, self._weights(height), self._weights(width))
        return grey * np.float32(255 / 16)

    def _weights(self, length: int) -> np.ndarray:
        """[size, length]: the two nearest old pixels of each new one, with their weights."""
        centre = (np.arange(self.size) + 0.5) * length / self.size - 0.5
        centre = np.clip(centre, 0, length - 1)
        return np.maximum(1 - np.abs(centre[:, None] - np.arange(length)), 0)


def _separable(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] through rows [H', H] and columns [W', W]; float32 [N, H', W', C]."""
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    planes = np.moveaxis(np.asarray(images, np.float32), 3, 1)
    return np.ascontiguousarray(np.moveaxis(rows @ planes @ columns.T, 1, 3))
