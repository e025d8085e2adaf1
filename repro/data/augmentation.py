"""Augmentation: the training set enlarged by altered copies of its images.

Every augmentation is a frozen dataclass with two methods:

    size(originals)  examples in the augmented set made of so many images
    __call__(images, draw)  the examples of that set that `draw` names

images: float32 [B, H, W, C], the originals of the examples, already preprocessed; or, for those
that cut crops out of photographs, a sequence of B photographs before any preprocessing.
draw: a `repro.data.draws.Draw`: which examples, and their random numbers.
Returns float32 [B, H, W, C], of another height and width where it crops. Crops of photographs are
uint8: what comes after them turns them into float32 before it computes.

One that learns from the training images has a method `fit` instead of being called, which takes
the images and returns what is to be called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repro.data import photographs, preprocessing
from repro.data.colours import colour_statistics, coloured
from repro.data.cutting import Cut
from repro.data.draws import Draw
from repro.data.preprocessing import LONGEST_SIDE
from repro.errors import UsageError
from repro.lazy import numpy as np
from repro.limits import Limited, number


def fit(augmentation: Any, images: Sequence[np.ndarray]) -> Any:
    """The augmentation (None too); one that learns has learnt from the training `images`."""
    return augmentation.fit(images) if hasattr(augmentation, "fit") else augmentation


def takes_photographs(augmentation: Any) -> bool:
    """Whether it takes photographs of any size, and cuts images of one size out of them."""
    return getattr(augmentation, "takes_photographs", False)


class Augmentation(Limited):
    """What augmentations share: limits, and one altered image in the place of each original."""

    def size(self, originals: int) -> int:
        """Examples in the set made of so many originals: as many, where there are no copies."""
        return originals


@dataclass(frozen=True)
class CropAndFlip(Augmentation):
    """A crop of the image's own size from the image padded by `pad` pixels, mirrored or not.

    Place and mirroring are drawn for each example and pass; every place is as likely, and the image
    is mirrored left to right in half of the cases. What lies outside of the image is `outside`:
    0 once the mean has been subtracted (He et al. 2015, section 4.2).
    """

    pad: int = number(0, 64, default=4)
    flip: bool = True
    outside: float = number(-1e6, 1e6, default=0.0)

    @property
    def cut(self) -> Cut:
        return Cut(pad=self.pad, flip=self.flip, outside=self.outside)

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        return self.cut(images, draw)


@dataclass(frozen=True)
class RandomCrop(Augmentation):
    """A crop of `side` x `side` pixels out of the image, mirrored or not.

    Place and mirroring are drawn for each example and pass; every place is as likely, and the image
    is mirrored left to right in half of the cases (Krizhevsky et al. 2012, section 4.1: 224 x 224
    out of 256 x 256; their networks for CIFAR-10: 24 x 24 out of 32 x 32).

    Raises UsageError for images smaller than the crop.
    """

    side: int = number(1, LONGEST_SIDE)
    flip: bool = True

    @property
    def cut(self) -> Cut:
        return Cut(side=self.side, flip=self.flip)

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        _, height, width, _ = images.shape
        if min(height, width) < self.side:
            raise UsageError(
                f"recipe.augmentation: RandomCrop(side={self.side}): the images are "
                f"{height}x{width}; accepted is up to {min(height, width)}"
            )
        return self.cut(images, draw)


@dataclass(frozen=True)
class OneOfTenCrops(Augmentation):
    """One of the ten crops that tests take: four corners, centre, and their mirror images.

    Which one is drawn for each example and pass; each is as likely (Zeiler and Fergus 2013: 224
    x 224 out of 256 x 256). Raises UsageError for images smaller than the crop.
    """

    side: int = number(1, LONGEST_SIDE)

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        places = np.array(photographs.five_places(*images.shape[1:3], self.side))
        drawn = (10 * draw.uniform(1)[0]).astype(int)  # one crop each: ten would be a gigabyte
        cut = zip(images, places[drawn % 5], strict=True)
        views = np.stack([photographs.crop(image, *place, self.side) for image, place in cut])
        views = np.asarray(views, np.float32)
        views[drawn >= 5] = views[drawn >= 5, :, ::-1]
        return views


@dataclass(frozen=True)
class PCAColour(Augmentation):
    """One colour is added to every pixel of an image, along the principal components.

    That colour is a1 l1 p1 + a2 l2 p2 + a3 l3 p3: p are the eigenvectors and l the eigenvalues of
    the covariance of the colours of the training images, a is normal with standard deviation
    `deviation`, drawn for each example and pass (Krizhevsky et al. 2012, section 4.1).

    white: how far white lies from black in the images as they come here, 1 or 255. An eigenvalue
        is a square of grey levels, so the formula holds in one unit alone; here that is white.
    """

    deviation: float = number(0, 10, default=0.1)
    white: float = number(0, 65_535, above=True, default=1.0)

    def fit(self, images: Sequence[np.ndarray]) -> ColourShift:
        """images: [N, H, W, 3], or N photographs [H, W, 3], with as many grey levels as `white`."""
        _, covariance = colour_statistics(images)
        values, vectors = np.linalg.eigh(covariance / self.white**2)
        return ColourShift(self.white * self.deviation * values[:, None] * vectors.T)


@dataclass(frozen=True)
class ColourShift(Augmentation):
    """`PCAColour`, having learnt. components: [3, 3], each row what a draw of 1 adds to a pixel."""

    components: np.ndarray

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        amounts = draw.normal(len(self.components))
        # No matrix product: its last bit may depend on how many rows there are.
        shift = sum(a[:, None] * row for a, row in zip(amounts, self.components, strict=True))
        return coloured(images, shift[:, None].astype(np.float32))


@dataclass(frozen=True)
class Chain:
    """Several augmentations, one after the other, each with draws of its own.

    The first alone may take photographs. Raises UsageError for a chain without steps.
    """

    steps: tuple[Any, ...]

    def __post_init__(self):
        if not self.steps or not all(hasattr(step, "size") for step in self.steps):
            raise UsageError(
                f"recipe.augmentation: Chain({self.steps!r:.80}): accepted are augmentations, one "
                "or more"
            )
        for step in self.steps[1:]:
            if takes_photographs(step):
                raise UsageError(
                    f"recipe.augmentation: {type(step).__name__} takes photographs; accepted is "
                    "one such step, the first of the chain"
                )

    @property
    def takes_photographs(self) -> bool:
        return takes_photographs(self.steps[0])

    def size(self, originals: int) -> int:
        """Examples in the set made of so many originals."""
        return max(step.size(originals) for step in self.steps)

    def fit(self, images: Sequence[np.ndarray]) -> Chain:
        """Each step that learns does so from the images as they are before the first step."""
        return Chain(tuple(fit(step, images) for step in self.steps))

    def __call__(self, images: np.ndarray, draw: Draw, out: np.ndarray | None = None) -> np.ndarray:
        """out: as `Preprocessed` takes it, where that comes last."""
        for place, step in enumerate(self.steps):
            writes = place + 1 == len(self.steps) and isinstance(step, Preprocessed)
            # With the same numbers the first draw of every step would be equal.
            own = draw.of_step(place)
            images = step(images, own, out) if writes else step(images, own)
        return images


@dataclass(frozen=True)
class Preprocessed(Augmentation):
    """Preprocessing that waits for the crop: `steps`, having learnt, done to each example."""

    steps: tuple[Callable, ...]

    def __call__(self, images: np.ndarray, draw: Draw, out: np.ndarray | None = None) -> np.ndarray:
        """out: see `preprocessing.apply`."""
        return preprocessing.apply(self.steps, images, out)
