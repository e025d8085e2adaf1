"""Augmentation: the training set enlarged by altered copies of its images.

Every augmentation is a frozen dataclass with two methods:

    size(n)  examples in the augmented set made of n originals
    __call__(images, index, n, seed, epoch, fill)  the examples `index` of that set

images: float32 [B, H, W, C], the originals of the examples, already preprocessed; in
`repro.data.photographs`, a sequence of B photographs, before any preprocessing.
index: [B], from 0 to size(n) - 1. Its original is index % n and its copy number index // n.
seed, epoch: what the random draws are keyed by, with the example; the batch that an example comes
in has no part in them. fill: the background value, for what a moved image uncovers.
Returns float32 [B, H, W, C], of another height and width where it crops.

One that learns from the training images has a method `fit` instead of being called, which takes
the images and returns what is to be called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repro.data import preprocessing
from repro.data.draws import draws, normal_draws
from repro.errors import UsageError
from repro.lazy import numpy as np


def fit(augmentation: Any, images: Sequence[np.ndarray]) -> Any:
    """The augmentation (None too), having learnt from the training `images` if it is to learn."""
    return augmentation.fit(images) if hasattr(augmentation, "fit") else augmentation


def of_photographs(augmentation: Any) -> bool:
    """Whether it takes photographs of any size, and cuts images of one size out of them."""
    return getattr(augmentation, "of_photographs", False)


class WithoutCopies:
    """What augmentations share that have an altered image in the place of each original."""

    def size(self, n: int) -> int:
        """Examples in the set made of `n` originals: there are no copies."""
        return n


@dataclass(frozen=True)
class CropAndFlip(WithoutCopies):
    """A crop of the image's own size from the image padded by `pad` pixels, mirrored or not.

    Place and mirroring are drawn for each example and pass; every place is as likely, and the image
    is mirrored left to right in half of the cases. What lies outside of the image is `outside`:
    0 once the mean has been subtracted (He et al. 2015, section 4.2).
    """

    pad: int = 4
    flip: bool = True
    outside: float = 0.0

    def __call__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index`, cropped; the background `fill` has no part in it."""
        down, right, mirror = draws(3, seed, index, epoch)
        count, height, width, channels = images.shape
        padded = np.full(
            (count, height + 2 * self.pad, width + 2 * self.pad, channels), self.outside, np.float32
        )
        padded[:, self.pad : self.pad + height, self.pad : self.pad + width] = images
        return _cropped(padded, (height, width), down, right, (mirror < 0.5) & self.flip)


@dataclass(frozen=True)
class RandomCrop(WithoutCopies):
    """A crop of `side` x `side` pixels out of the image, mirrored or not.

    Place and mirroring are drawn for each example and pass; every place is as likely, and the image
    is mirrored left to right in half of the cases (Krizhevsky et al. 2012, section 4.1: 224 x 224
    out of 256 x 256; their networks for CIFAR-10: 24 x 24 out of 32 x 32).
    """

    side: int
    flip: bool = True

    def __call__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index`, [B, side, side, C]; the background `fill` has no part in it.

        Raises UsageError for images smaller than the crop.
        """
        _, height, width, _ = images.shape
        if min(height, width) < self.side:
            raise UsageError(f"RandomCrop({self.side}): the images are {height}x{width}, smaller")
        down, right, mirror = draws(3, seed, index, epoch)
        mirrored = (mirror < 0.5) & self.flip
        images = np.asarray(images, np.float32)
        return _cropped(images, (self.side, self.side), down, right, mirrored)


def _cropped(
    images: np.ndarray,
    size: tuple[int, int],
    down: np.ndarray,
    right: np.ndarray,
    mirrored: np.ndarray,
) -> np.ndarray:
    """Images [B, H, W, C] cropped to `size`, each at its own place and some of them mirrored.

    down, right: [B], from 0 to 1 (exclusive), parts of the way that the crop can be moved.
    """
    crops = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))
    down = (crops.shape[1] * down).astype(np.int64)
    right = (crops.shape[2] * right).astype(np.int64)
    cropped = np.moveaxis(crops[np.arange(len(images)), down, right], 1, 3)
    cropped[mirrored] = cropped[mirrored, :, ::-1]
    return cropped


@dataclass(frozen=True)
class PCAColour(WithoutCopies):
    """To every pixel of an image the same colour is added, along the principal components.

    That colour is a1 l1 p1 + a2 l2 p2 + a3 l3 p3: p are the eigenvectors and l the eigenvalues of
    the covariance of the colours of the training images, a is normal with standard deviation
    `deviation`, drawn for each example and pass (Krizhevsky et al. 2012, section 4.1).

    white: how far white lies from black in the images as they come here, 1 or 255. An eigenvalue
        is a square of grey levels, so the formula holds in one unit alone; here that is white.
    """

    deviation: float = 0.1
    white: float = 1.0

    def fit(self, images: Sequence[np.ndarray]) -> ColourShift:
        """images: [N, H, W, 3], or N photographs [H, W, 3], with as many grey levels as `white`."""
        _, covariance = preprocessing.colour_statistics(images)
        values, vectors = np.linalg.eigh(covariance / self.white**2)
        return ColourShift(self.white * self.deviation * values[:, None] * vectors.T)


@dataclass(frozen=True)
class ColourShift(WithoutCopies):
    """`PCAColour`, having learnt. components: [3, 3], each row what a draw of 1 adds to a pixel."""

    components: np.ndarray

    def __call__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index`, recoloured; the background `fill` has no part in it."""
        amounts = normal_draws(len(self.components), seed, index, epoch)
        # No matrix product: its last bit may depend on how many rows there are.
        shift = sum(a[:, None] * row for a, row in zip(amounts, self.components, strict=True))
        return images + shift[:, None, None].astype(np.float32)


@dataclass(frozen=True)
class Chain:
    """Several augmentations, one after the other, each with draws of its own."""

    steps: tuple[Any, ...]

    @property
    def of_photographs(self) -> bool:
        return of_photographs(self.steps[0])

    def size(self, n: int) -> int:
        """Examples in the set made of `n` originals."""
        return max(step.size(n) for step in self.steps)

    def fit(self, images: Sequence[np.ndarray]) -> Chain:
        """Each step that learns does so from the images as they are before the first step."""
        return Chain(tuple(fit(step, images) for step in self.steps))

    def __call__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        for place, step in enumerate(self.steps):
            # Under one seed the first draw of every step would be the same number.
            images = step(images, index, n, seed + (place << 32), epoch, fill)
        return images


@dataclass(frozen=True)
class Preprocessed(WithoutCopies):
    """Preprocessing that waits for the crop: `steps`, having learnt, done to each example."""

    steps: tuple[Callable, ...]

    def __call__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index`, preprocessed; nothing is drawn for it."""
        return preprocessing.apply(self.steps, images)
