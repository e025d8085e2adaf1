"""Photographs: kept as files, decoded, and cut to one size for training and for tests.

A photograph is uint8 [H, W, 3], its grey levels 0 to 255, and stays in them: what is to be learnt
from the training images, their mean say, comes after the crop. `Photographs` holds the files of
many; `Square` makes them images of one size, which `Lazily` preprocesses when they are asked for,
so that a set need not fit into memory. `ScaleJitter`, `InceptionCrop` and `PhotometricDistortions`
are augmentations (`repro.data.augmentation`): the same draws for the same example whatever batch it
comes in. The first two take a sequence of photographs of any sizes and return float32 [B, side,
side, 3].
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from repro.data import augmentation, preprocessing
from repro.data.augmentation import WithoutCopies, draws
from repro.errors import DataError, UsageError, unknown
from repro.lazy import numpy as np


@dataclass(frozen=True, eq=False)
class Photographs:
    """The files of photographs, each of its own size, decoded when they are asked for.

    encoded: uint8 [bytes], the files (JPEG, or what else Pillow reads) one after the other.
    ends: int64 [N], the place after the last byte of each. first: the number of the first one in
    the whole set, for messages.

    An index gives a photograph, always in RGB: files may also be grey or in CMYK. A slice or an
    array of indices gives a list of them, decoded side by side on all cores that the process may
    use. Raises DataError for one that cannot be decoded.
    """

    encoded: np.ndarray
    ends: np.ndarray
    first: int = 0

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, int | np.integer):
            return self._decode(range(len(self))[index])
        rows = range(len(self))[index] if isinstance(index, slice) else np.arange(len(self))[index]
        return list(_threads().map(self._decode, rows))

    def part(self, start: int, stop: int) -> Photographs:
        """Those from `start` to `stop` (exclusive), not decoded; 0 <= start <= stop <= N."""
        begin, end = self._begin(start), self._begin(stop)
        return Photographs(
            self.encoded[begin:end], self.ends[start:stop] - begin, self.first + start
        )

    def file(self, number: int) -> bytes:
        """A photograph as it is kept; 0 <= number < N."""
        return self.encoded[self._begin(number) : self._begin(number + 1)].tobytes()

    def _begin(self, number: int) -> int:
        return int(self.ends[number - 1]) if number else 0

    def _decode(self, number: int) -> np.ndarray:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(self.file(number))) as image:
                return np.asarray(image.convert("RGB"))
        except Exception as error:  # of many types, from a damaged file
            unknown_format = isinstance(error, UnidentifiedImageError)  # its text is an address
            why = "it is in no format that Pillow knows" if unknown_format else error
            raise DataError(f"photograph {self.first + number} cannot be decoded: {why}") from error


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    """Shared by all: Pillow decodes and resizes without holding Python's lock."""
    many = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if many else os.cpu_count() or 1
    return ThreadPoolExecutor(cores, thread_name_prefix="repro-photographs")


@dataclass(frozen=True)
class Square:
    """Preprocessing: the shorter side rescaled to `side` pixels, then the middle of the longer one.

    Krizhevsky et al. 2012, section 2, with a side of 256. Called with photographs [H, W, 3] of any
    sizes (`Photographs`, or a list), it gives uint8 [N, side, side, 3].

    Raises UsageError for a side below 1 or an unknown interpolation.
    """

    side: int
    interpolation: str = "bilinear"

    def __post_init__(self):
        if self.side < 1:
            raise UsageError(f"Square: a side of {self.side}: accepted is a number from 1")
        if self.interpolation not in INTERPOLATIONS:
            raise unknown("interpolation", self.interpolation, INTERPOLATIONS)

    def __call__(self, photographs: Sequence[np.ndarray]) -> np.ndarray:
        squares = np.empty((len(photographs), self.side, self.side, 3), np.uint8)

        def fill(number: int) -> None:  # decodes too, so that few are held at a time
            image = rescale(photographs[number], self.side, self.interpolation)
            squares[number] = centre_crop(image, self.side)

        for _ in _threads().map(fill, range(len(photographs))):
            pass  # raises what a thread raised
        return squares


@dataclass(frozen=True, eq=False)
class Lazily:
    """Images of one size that are preprocessed each time that they are asked for.

    images: an array [N, ...] or `Photographs`. steps: as `preprocessing.fit` returns them.
    An index gives a float32 array [H, W, C]; a slice or an array of indices one of [n, H, W, C].
    """

    images: Sequence[np.ndarray]
    steps: Sequence[Callable]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(index, int | np.integer):
            number = range(len(self))[index]
            return self[number : number + 1][0]
        return preprocessing.apply(self.steps, self.images[index])


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


# What Pillow calls each way of resizing. Going down, all but the nearest pixel also smooth.
INTERPOLATIONS = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "area": "BOX"}


def resize(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """A photograph [H, W, 3] as uint8 [height, width, 3]. Raises UsageError."""
    from PIL import Image

    if interpolation not in INTERPOLATIONS:
        raise unknown("interpolation", interpolation, INTERPOLATIONS)
    how = Image.Resampling[INTERPOLATIONS[interpolation]]
    return np.asarray(Image.fromarray(image).resize((width, height), how))


def rescale(image: np.ndarray, shorter: int, interpolation: str = "bilinear") -> np.ndarray:
    """A photograph [H, W, 3] with its shorter side `shorter` pixels long, the other in proportion.

    Krizhevsky et al. 2012, section 2; Simonyan and Zisserman 2014, section 3.1. Neither says how
    pixels are interpolated.
    """
    height, width = image.shape[:2]
    factor = shorter / min(height, width)
    return resize(image, round(factor * height), round(factor * width), interpolation)


def centre_crop(images: np.ndarray, side: int) -> np.ndarray:
    """The middle `side` x `side` pixels of images [..., H, W, C]. Raises UsageError."""
    height, width = images.shape[-3:-1]
    return _crop(images, (height - side) // 2, (width - side) // 2, side)


def ten_crop(images: np.ndarray, side: int) -> np.ndarray:
    """The ten views of images [B, H, W, C] that are scored in tests: [10, B, side, side, C].

    The four corners (top left, top right, bottom left, bottom right) and the centre, then the five
    mirrored left to right (Krizhevsky et al. 2012, section 4.1). Raises UsageError for images
    smaller than the crop.
    """
    height, width = images.shape[1:3]
    places = [(y, x) for y in (0, height - side) for x in (0, width - side)]
    crops = [_crop(images, y, x, side) for y, x in places]
    crops.append(centre_crop(images, side))
    return np.stack(crops + [crop[:, :, ::-1] for crop in crops])


def _crop(images: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    height, width = images.shape[-3:-1]
    if min(height, width) < side:
        raise UsageError(f"a crop of {side}x{side}: the images are {height}x{width}, smaller")
    return images[..., top : top + side, left : left + side, :]


def _cut_each(cut: Callable, images: Sequence[np.ndarray], drawn: np.ndarray) -> np.ndarray:
    """cut(photograph, its own draws) for each of them, side by side; drawn: [draws, B]."""
    return np.stack(list(_threads().map(cut, images, drawn.T))).astype(np.float32)


@dataclass(frozen=True)
class ScaleJitter(WithoutCopies):
    """The photograph rescaled, then a crop of `side` x `side` pixels, mirrored or not.

    The length of the shorter side is drawn from `smallest` to `largest`, each as likely; so are the
    places of the crop; half of the crops are mirrored left to right. One scale where the two ends
    are the same (Simonyan and Zisserman 2014, section 3.1).

    Raises UsageError where the crop is larger than the smallest scale.
    """

    side: int = 224
    smallest: int = 256
    largest: int = 512

    of_photographs = True

    def __post_init__(self):
        if not self.side <= self.smallest <= self.largest:
            raise UsageError(
                f"ScaleJitter: a crop of {self.side} out of {self.smallest} to {self.largest}: "
                "accepted are numbers that do not fall"
            )

    def __call__(
        self,
        images: Sequence[np.ndarray],
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index`; the background `fill` has no part in it."""

        def cut(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
            scale, down, right, mirror = drawn
            image = rescale(image, self.smallest + int((self.largest - self.smallest + 1) * scale))
            top = int((image.shape[0] - self.side + 1) * down)
            left = int((image.shape[1] - self.side + 1) * right)
            crop = _crop(image, top, left, self.side)
            return crop[:, ::-1] if mirror < 0.5 else crop

        return _cut_each(cut, images, draws(4, seed, index, epoch))


# How many areas and shapes are drawn, of which the first that fits is taken.
TRIES = 10


@dataclass(frozen=True)
class InceptionCrop(WithoutCopies):
    """A part of the photograph of any scale and a range of shapes, resized to `side` x `side`.

    It covers from `least` to all of the photograph's area, evenly; width over height is log-uniform
    from 3/4 to 4/3 (Szegedy et al. 2014, section 6, which does not say how the shape is drawn);
    every place is as likely. What does not fit into the photograph is drawn anew; if ten do not,
    the largest square is taken. The way of resizing is drawn from `interpolations`. Half of the
    crops are mirrored left to right if `flip`.
    """

    side: int = 224
    least: float = 0.08
    flip: bool = True
    interpolations: tuple[str, ...] = ("bilinear", "area", "nearest", "bicubic")

    of_photographs = True

    def __call__(
        self,
        images: Sequence[np.ndarray],
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index`; the background `fill` has no part in it."""

        def cut(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
            down, right, mirror, way = drawn[:4]
            height, width = self._shape(*image.shape[:2], *np.split(drawn[4:], 2))
            top = int((image.shape[0] - height + 1) * down)
            left = int((image.shape[1] - width + 1) * right)
            part = image[top : top + height, left : left + width]
            interpolation = self.interpolations[int(len(self.interpolations) * way)]
            crop = resize(part, self.side, self.side, interpolation)
            return crop[:, ::-1] if self.flip and mirror < 0.5 else crop

        return _cut_each(cut, images, draws(4 + 2 * TRIES, seed, index, epoch))

    def _shape(
        self, height: int, width: int, area: np.ndarray, shape: np.ndarray
    ) -> tuple[int, int]:
        """Height and width of the part; area, shape: [TRIES], from 0 to 1 (exclusive)."""
        area = (self.least + (1 - self.least) * area) * height * width
        ratio = (4 / 3) ** (2 * shape - 1)
        heights = np.rint(np.sqrt(area / ratio)).astype(int)
        widths = np.rint(np.sqrt(area * ratio)).astype(int)
        fitting = np.flatnonzero((heights <= height) & (widths <= width))
        if len(fitting) == 0:
            return min(height, width), min(height, width)
        return int(heights[fitting[0]]), int(widths[fitting[0]])


# How bright the eye finds red, green and blue (ITU-R BT.601).
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class PhotometricDistortions(WithoutCopies):
    """Brightness, contrast and saturation changed in random order, of images 0 to 255.

    Each is multiplied by a factor drawn from 1 - amount to 1 + amount: the distance of every pixel
    from black, from the mean luminance of the image, or from its own luminance. What leaves the
    range from 0 to 255 is set to its end each time. GoogLeNet has them after Howard 2013 (Szegedy
    et al. 2014, section 6); neither the amounts nor the formulas are given.
    """

    brightness: float = 0.5
    contrast: float = 0.5
    saturation: float = 0.5

    def __call__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        n: int,
        seed: int,
        epoch: int,
        fill: float,
    ) -> np.ndarray:
        """The examples `index` of images [B, H, W, 3]; `fill` has no part in it."""
        amounts = np.array([self.brightness, self.contrast, self.saturation])
        factors, order = np.split(draws(6, seed, index, epoch), 2)
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
