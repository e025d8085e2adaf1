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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from repro.data import preprocessing
from repro.errors import DataError, UsageError, unknown
from repro.lazy import numpy as np
from repro.machine import cores


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
        return list(threads().map(self._decode, rows))

    def part(self, start: int, stop: int) -> Photographs:
        """Those from `start` to `stop` (exclusive), not decoded; 0 <= start <= stop <= N."""
        begin, end = self._begin(start), self._begin(stop)
        return Photographs(
            self.encoded[begin:end], self.ends[start:stop] - begin, self.first + start
        )

    def through(self, steps: Sequence[Callable]) -> Lazily:
        """The photographs, preprocessed by `steps` each time that they are asked for."""
        return Lazily(self, steps)

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
def threads() -> ThreadPoolExecutor:
    """Shared by all: Pillow decodes and resizes without holding Python's lock."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="repro-photographs")


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
    return crop(images, (height - side) // 2, (width - side) // 2, side)


def ten_crop(images: np.ndarray, side: int) -> np.ndarray:
    """The ten views of images [B, H, W, C] that are scored in tests: [10, B, side, side, C].

    The four corners (top left, top right, bottom left, bottom right) and the centre, then the five
    mirrored left to right (Krizhevsky et al. 2012, section 4.1). Raises UsageError for images
    smaller than the crop.
    """
    height, width = images.shape[1:3]
    places = [(y, x) for y in (0, height - side) for x in (0, width - side)]
    crops = [crop(images, y, x, side) for y, x in places]
    crops.append(centre_crop(images, side))
    return np.stack(crops + [crop[:, :, ::-1] for crop in crops])


def crop(images: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    height, width = images.shape[-3:-1]
    if min(height, width) < side:
        raise UsageError(f"a crop of {side}x{side}: the images are {height}x{width}, smaller")
    return images[..., top : top + side, left : left + side, :]
