"""One size for photographs of any: squares, and crops and colours that are drawn anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repro.data.augmentation import Augmentation
from repro.data.decoding import INTERPOLATIONS, mirrored, resize
from repro.data.draws import Draw
from repro.data.photographs import pixels, size
from repro.data.preprocessing import LONGEST_SIDE
from repro.errors import UsageError, unknown
from repro.lazy import numpy as np
from repro.limits import Limited, number


@dataclass(frozen=True)
class Square(Limited):
    """The shorter side rescaled to `side` pixels, then the middle of the longer one cut out.

    The preprocessing that makes images of one size of photographs: Krizhevsky et al. 2012, section
    2, with a side of 256. Called with photographs [H, W, 3] of any sizes (`Photographs`, or a
    list), it gives uint8 [N, side, side, 3].
    """

    side: int = number(1, LONGEST_SIDE)
    interpolation: str = "bilinear"

    def __post_init__(self):
        super().__post_init__()
        if self.interpolation not in INTERPOLATIONS:
            raise unknown("interpolation", self.interpolation, INTERPOLATIONS)

    def __call__(self, photographs: Sequence[np.ndarray]) -> np.ndarray:
        squares = np.empty((len(photographs), self.side, self.side, 3), np.uint8)
        for row, photograph in enumerate(photographs):  # decodes too, so that one is held at a time
            height, width = size(photograph, self.side)
            length = min(height, width)
            part = _square((height - length) // 2, (width - length) // 2, length)
            square = pixels(photograph, self.side, part)
            squares[row] = resize(square, self.side, self.side, self.interpolation)
        return squares


def _square(top: int, left: int, length: int) -> tuple[slice, slice]:
    return slice(top, top + length), slice(left, left + length)


def _cut_each(
    cut: Callable, images: Sequence[np.ndarray], drawn: np.ndarray, side: int
) -> np.ndarray:
    """cut(photograph, its own draws) for each of them: uint8 [B, side, side, 3].

    drawn: [draws, B].
    """
    crops = np.empty((len(images), side, side, 3), np.uint8)
    for row, (image, draws) in enumerate(zip(images, drawn.T, strict=True)):
        crops[row] = cut(image, draws)
    return crops


@dataclass(frozen=True)
class ScaleJitter(Augmentation):
    """The photograph rescaled, then a crop of `side` x `side` pixels, mirrored or not.

    The length of the shorter side is drawn from `smallest` to `largest`, each as likely; so are the
    places of the crop; half of the crops are mirrored left to right. One scale where the two ends
    are the same (Simonyan and Zisserman 2014, section 3.1).

    Raises UsageError where the crop is larger than the smallest scale.
    """

    side: int = number(1, LONGEST_SIDE, default=224)
    smallest: int = number(1, LONGEST_SIDE, default=256)
    largest: int = number(1, LONGEST_SIDE, default=512)

    takes_photographs = True

    def __post_init__(self):
        super().__post_init__()
        if not self.side <= self.smallest <= self.largest:
            raise UsageError(
                f"recipe.augmentation: ScaleJitter(side={self.side}, smallest={self.smallest}, "
                f"largest={self.largest}): accepted are side <= smallest <= largest"
            )

    def __call__(self, images: Sequence[np.ndarray], draw: Draw) -> np.ndarray:
        def cut(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
            scale, down, right, mirror = drawn
            scale = self.smallest + int((self.largest - self.smallest + 1) * scale)
            height, width = size(image, scale)
            # What the crop is of: no more is decoded, and no more is resized.
            length = max(1, round(self.side * min(height, width) / scale))
            top = int((height - length + 1) * down)
            left = int((width - length + 1) * right)
            part = pixels(image, scale, _square(top, left, length))
            crop = resize(part, self.side, self.side, "bilinear")
            return mirrored(crop) if mirror < 0.5 else crop

        return _cut_each(cut, images, draw.uniform(4), self.side)


# How many areas and shapes are drawn, of which the first that fits is taken.
TRIES = 10


@dataclass(frozen=True)
class InceptionCrop(Augmentation):
    """A part of the photograph of any scale and a range of shapes, resized to `side` x `side`.

    It covers from `least` to all of the photograph's area, evenly; width over height is log-uniform
    from 3/4 to 4/3 (Szegedy et al. 2014, section 6, which does not say how the shape is drawn);
    every place is as likely. What does not fit into the photograph is drawn anew; if ten do not,
    the largest square is taken. The way of resizing is drawn from `interpolations`. Half of the
    crops are mirrored left to right if `flip`.
    """

    side: int = number(1, LONGEST_SIDE, default=224)
    least: float = number(0, 1, above=True, default=0.08)
    flip: bool = True
    interpolations: tuple[str, ...] = ("bilinear", "area", "nearest", "bicubic")

    takes_photographs = True

    def __post_init__(self):
        super().__post_init__()
        if not self.interpolations:
            raise UsageError(
                "recipe.augmentation: InceptionCrop(interpolations=()): accepted are one or more "
                f"of {', '.join(INTERPOLATIONS)}"
            )
        for name in self.interpolations:
            if name not in INTERPOLATIONS:
                raise unknown("interpolation", name, INTERPOLATIONS)

    def __call__(self, images: Sequence[np.ndarray], draw: Draw) -> np.ndarray:
        def cut(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
            down, right, mirror, way = drawn[:4]
            whole = size(image)
            part = self._shape(*whole, *drawn[4:].reshape(2, TRIES).tolist())
            top = int((whole[0] - part[0] + 1) * down)
            left = int((whole[1] - part[1] + 1) * right)
            # Of a large photograph fewer pixels are decoded, where the part still has enough.
            shorter = -(-self.side * min(whole) // min(part))
            rows, columns = (
                slice(first * there // before, -(-(first + length) * there // before))
                for first, length, there, before in zip(
                    (top, left), part, size(image, shorter), whole, strict=True
                )
            )
            interpolation = self.interpolations[int(len(self.interpolations) * way)]
            crop = resize(
                pixels(image, shorter, (rows, columns)), self.side, self.side, interpolation
            )
            return mirrored(crop) if self.flip and mirror < 0.5 else crop

        return _cut_each(cut, images, draw.uniform(4 + 2 * TRIES), self.side)

    def _shape(
        self, height: int, width: int, areas: list[float], shapes: list[float]
    ) -> tuple[int, int]:
        """Height and width of the part; areas, shapes: of each try, from 0 to 1 (exclusive)."""
        for area, shape in zip(areas, shapes, strict=True):
            area = (self.least + (1 - self.least) * area) * height * width
            ratio = (4 / 3) ** (2 * shape - 1)
            high, wide = (max(1, round(math.sqrt(a))) for a in (area / ratio, area * ratio))
            if high <= height and wide <= width:
                return high, wide
        return min(height, width), min(height, width)


# How bright the eye finds red, green and blue (ITU-R BT.601).
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class PhotometricDistortions(Augmentation):
    """Brightness, contrast and saturation changed in random order, of images 0 to 255.

    Each is multiplied by a factor drawn from 1 - amount to 1 + amount: the distance of every pixel
    from black, from the mean luminance of the image, or from its own luminance. What leaves the
    range from 0 to 255 is set to its end each time. GoogLeNet has them after Howard 2013 (Szegedy
    et al. 2014, section 6); neither the amounts nor the formulas are given.
    """

    brightness: float = number(0, 1, default=0.5)
    contrast: float = number(0, 1, default=0.5)
    saturation: float = number(0, 1, default=0.5)

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        """The examples of images [B, H, W, 3]."""
        amounts = np.array([self.brightness, self.contrast, self.saturation])
        factors, order = np.split(draw.uniform(6), 2)
        factors = (1 + amounts[:, None] * (2 * factors - 1)).astype(np.float32)
        order = np.argsort(order, axis=0)
        distorted = np.array(images, np.float32, order="C")
        for turn in order:
            for kind, origin in enumerate((_black, _mean_luminance, _luminance)):
                rows = np.flatnonzero(turn == kind)
                some = distorted[rows]
                start = origin(some)
                some = start + factors[kind, rows, None, None, None] * (some - start)
                distorted[rows] = np.clip(some, 0, 255)
        return distorted


def _black(images: np.ndarray) -> np.float32:
    return np.float32(0)


def _luminance(images: np.ndarray) -> np.ndarray:
    """[B, H, W, 1] of images [B, H, W, 3]."""
    # No matrix product: its last bit may depend on how many images there are.
    red, green, blue = (np.float32(w) * images[..., c] for c, w in enumerate(LUMINANCE))
    return (red + green + blue)[..., None]


def _mean_luminance(images: np.ndarray) -> np.ndarray:
    """[B, 1, 1, 1] of images [B, H, W, 3]."""
    count, height, width, _ = images.shape
    flat = _luminance(images).reshape(count, height * width)
    return np.mean(flat, axis=1)[:, None, None, None]
