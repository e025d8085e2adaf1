"""Preprocessing: what is done alike to every image, before training and before testing.

Each is a frozen dataclass, called with images [N, H, W, C]; it returns [N, H', W', C] in float32
(`PadTo` keeps the type that it gets). One that learns from the training images has a method `fit`
instead, which takes them and returns what is to be called. Networks flatten for themselves.

A step whose result at each place depends on the number there alone has `by_level` true, before it
has learnt and after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repro.data import learnt
from repro.data.colours import ROWS, Centred, colour_statistics, mean_image, rows_of
from repro.errors import UsageError
from repro.lazy import numpy as np
from repro.limits import Limited, number

# The longest side of an image that is made here, in pixels.
LONGEST_SIDE = 1024


def fit(preprocessing: tuple[Any, ...], images: Sequence[np.ndarray]) -> list[Callable]:
    """The steps, those that learn from the training `images` having learnt from them alone.

    images: an array [N, ...], or `Photographs`, of which only some are held at a time.
    """
    steps: list[Callable] = []
    for step in preprocessing:
        if hasattr(step, "fit"):
            if isinstance(images, np.ndarray):
                seen = apply(steps, images)
            else:
                seen = images.through(tuple(steps)) if steps else images
            step = step.fit(seen)
        steps.append(step)
    return steps


def apply(
    preprocessing: Sequence[Callable], images: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """`images` through every step in order; float32 also where there are no steps.

    out: float32, written to where the last step can do so, and then what is returned.
    """
    for place, step in enumerate(preprocessing):
        writes = place + 1 == len(preprocessing) and isinstance(step, Centred)
        images = step(images, out) if writes else step(images)
    return np.asarray(images, np.float32)


@dataclass(frozen=True)
class Contrast(Limited):
    """The grey levels 0 to 255 to `background` to `foreground`, linearly.

    LeNet-5 takes -0.1 and 1.175, which is to give a mean near 0 and a variance near 1 (LeCun et
    al. 1998, section II.B). On MNIST in its field of 32 x 32 the mean is 0.03, the variance 0.12.
    """

    by_level = True

    background: float = number(-1e6, 1e6)
    foreground: float = number(-1e6, 1e6)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        step = np.float32((self.foreground - self.background) / 255)
        contrast = np.multiply(images, step, dtype=np.float32)
        contrast += np.float32(self.background)
        return contrast


@dataclass(frozen=True)
class PerPixelMean(Limited):
    """Grey levels in units of `scale`, less the mean of the training images at each pixel.

    The mean is taken per pixel and channel (He et al. 2015, section 4.2, after Krizhevsky et al.
    2012).
    """

    by_level = True

    scale: float = number(0, 1e6, above=True, default=255.0)

    def fit(self, images: Sequence[np.ndarray]) -> Centred:
        return Centred(mean_image(images), self.scale)


@dataclass(frozen=True)
class ChannelMean(Limited):
    """Grey levels in units of `scale`, less the mean colour of the training images.

    The mean RGB value, one number per channel (Simonyan and Zisserman 2014, section 2.1).
    """

    by_level = True

    scale: float = number(0, 1e6, above=True, default=255.0)

    def fit(self, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        mean, _ = colour_statistics(images)
        return Centred(mean, self.scale)


@dataclass(frozen=True)
class ChannelMeanAndDeviation:
    """Each channel less its mean, divided by its standard deviation, over the training images.

    Both are taken over all pixels of all training images (Huang et al. 2016, section 4.1). The
    units of the grey levels cancel out.
    """

    by_level = True

    def fit(self, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        mean, covariance = colour_statistics(images)
        return Centred(mean, np.sqrt(np.diag(covariance)))


@dataclass(frozen=True)
class GlobalContrastNormalization(Limited):
    """Each image less its own mean over all pixels and channels, then divided by its own contrast.

    The image becomes scale * x / sqrt(bias + |x|^2), x being the image less its mean; with
    `use_std` the mean of the squares takes the place of their sum |x|^2. An image without any
    contrast becomes zeros.

    Lin et al. 2013, section 4.2, after Goodfellow et al. 2013. Neither gives the constants; those
    here are those that Pylearn2, the library of Goodfellow et al., prepares CIFAR-10 with.
    """

    scale: float = number(0, 1e6, above=True, default=55.0)
    use_std: bool = False
    bias: float = number(0, 1e12, default=0.0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        vectors = np.array(images, np.float32).reshape(len(images), -1)
        vectors -= np.mean(vectors, axis=1, keepdims=True)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        if self.use_std:
            squares /= vectors.shape[1]
        contrast = np.sqrt(self.bias + squares)
        contrast[contrast < 1e-8] = 1  # nothing to divide
        vectors *= (self.scale / contrast).astype(np.float32)[:, None]
        return vectors.reshape(images.shape)


@dataclass(frozen=True)
class ZCAWhitening(Limited):
    """Each image, a vector x of its D numbers, becomes V (E + regularisation)^(-1/2) V' (x - mean).

    V holds the eigenvectors and E the eigenvalues of the covariance of the training images. Comes
    after `GlobalContrastNormalization` (Lin et al. 2013, section 4.2, after Goodfellow et al.
    2013). No constant is given there; 0.1 is Pylearn2's, for images of contrast 55.

    What was learnt is kept where prepared data is, in a file that is named after a digest of the
    training images and of the constant, so it is learnt once; D (D + 1) numbers, 38 MB for
    CIFAR-10. It is learnt again where the file cannot be read, and not kept where it cannot be
    written.
    """

    # Above 0, since images less their mean have an eigenvalue of 0.
    regularisation: float = number(0, 1e12, above=True, default=0.1)

    def fit(self, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        vectors = np.ascontiguousarray(images, np.float32).reshape(len(images), -1)
        digest = hashlib.sha256(f"{vectors.shape} {self.regularisation!r}".encode())
        digest.update(vectors)
        length = vectors.shape[1]
        shapes = {"mean": (length,), "matrix": (length, length)}
        name = f"zca-{digest.hexdigest()[:16]}"
        kept = learnt.kept(name, shapes, np.float32, lambda: self._learn(vectors))
        mean, matrix = kept["mean"], kept["matrix"]

        def whiten(images: np.ndarray) -> np.ndarray:
            white = np.empty(images.shape, np.float32)
            rows = white.reshape(len(images), -1)
            for start in range(0, len(images), ROWS):
                block = np.asarray(images[start : start + ROWS], np.float32)
                block = block.reshape(len(block), -1) - mean
                np.matmul(block, matrix, out=rows[start : start + ROWS])
            return white

        return whiten

    def _learn(self, vectors: np.ndarray) -> learnt.Arrays:
        """The mean [D] and the matrix [D, D] of the training vectors [N, D], in float32.

        Computed in float64, of which only some of the vectors are held at a time.
        """
        mean = np.mean(vectors, axis=0, dtype=np.float64)
        covariance = np.zeros((len(mean), len(mean)))
        for block in rows_of(vectors):
            centred = block - mean
            covariance += centred.T @ centred
        values, axes = np.linalg.eigh(covariance / len(vectors))
        values = np.maximum(values, 0)  # none is negative but by rounding
        matrix = (axes / np.sqrt(values + self.regularisation)) @ axes.T
        return {"mean": mean.astype(np.float32), "matrix": matrix.astype(np.float32)}


@dataclass(frozen=True)
class LocalContrastNormalization(Limited):
    """Each pixel less the mean around it, divided by the contrast around it, channel by channel.

    Means are weighted by a Gaussian of `deviation` pixels in a window of `size` x `size`; outside
    of the image lie zeros. The contrast is the root of the weighted mean of the squares that the
    subtraction leaves; where it is below its mean over the image, or below `least`, the larger of
    the two divides instead.

    For SVHN: Lin et al. 2013, section 4.4, after Goodfellow et al. 2013, who give no constants. The
    form is that of Jarrett et al. 2009, section 2; the constants are Pylearn2's, which has
    `GlobalContrastNormalization(scale=1)` before it.
    """

    size: int = number(1, 255, default=7)
    deviation: float = number(0, 1000, above=True, default=2.0)
    least: float = number(0, 1e6, above=True, default=1e-4)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        normal = np.empty(images.shape, np.float32)
        for start in range(0, len(images), ROWS):
            rows = slice(start, start + ROWS)
            block = np.asarray(images[rows], np.float32)
            block = block - self._mean_around(block)
            contrast = np.sqrt(self._mean_around(block**2))
            mean = np.mean(contrast, axis=(1, 2), keepdims=True)
            normal[rows] = block / np.maximum(np.maximum(contrast, mean), np.float32(self.least))
        return normal

    def _mean_around(self, images: np.ndarray) -> np.ndarray:
        from scipy.ndimage import correlate1d

        offset = np.arange(self.size) - self.size // 2
        weights = np.exp(-(offset**2) / (2 * self.deviation**2))
        weights /= weights.sum()
        for axis in (1, 2):
            images = correlate1d(images, weights, axis, mode="constant")
        return images


@dataclass(frozen=True)
class PadTo(Limited):
    """Each image in the middle of a field of `size` x `size` zeros (the background of MNIST).

    Comes before `Contrast`. Raises UsageError for an image larger than the field.
    """

    size: int = number(1, LONGEST_SIDE)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        n, height, width, channels = images.shape
        if max(height, width) > self.size:
            raise UsageError(f"PadTo({self.size}): the images are {height}x{width}, larger")
        top, left = (self.size - height) // 2, (self.size - width) // 2
        field = np.zeros((n, self.size, self.size, channels), images.dtype)
        field[:, top : top + height, left : left + width] = images
        return field


@dataclass(frozen=True)
class ShrinkInto(Limited):
    """The digit made smaller, in the middle of a `field` x `field` field of zeros.

    MNIST's digits fill a box of 20 x 20 pixels (`box`) in the image; that box comes to occupy
    `digit` x `digit` pixels, what lies around it shrinks likewise, and both centres coincide. Each
    new pixel is the mean of the area that it covers, so nothing is lost between two samples.

    LeNet-1: 16 x 16 pixels in a 28 x 28 field (LeCun et al. 1998, section III.C).
    """

    digit: int = number(1, LONGEST_SIDE)
    field: int = number(1, LONGEST_SIDE)
    box: int = number(1, LONGEST_SIDE, default=20)

    def __post_init__(self):
        super().__post_init__()
        if self.digit > self.box:
            raise UsageError(
                f"ShrinkInto(digit={self.digit}, box={self.box}): accepted is a digit up to its box"
            )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        _, height, width, _ = images.shape
        pitch = self.box / self.digit  # old pixels per new pixel
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
class Enlarge(Limited):
    """Scikit-learn's digits, grey levels 0 to 16, to `size` x `size` pixels of 0 to 255.

    Bilinear interpolation between pixel centres; the border repeats the outermost pixels.
    """

    size: int = number(1, LONGEST_SIDE)

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
