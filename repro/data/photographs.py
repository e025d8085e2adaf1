"""Photographs: kept as files, decoded, resized and cut.

A photograph is uint8 [H, W, 3], its grey levels 0 to 255, and stays in them: what is to be learnt
from the training images, their mean say, comes after the crop. `Photographs` holds the files of
many, and `Lazily` preprocesses them when they are asked for, so that a set need not fit into
memory. What makes images of one size of them is in `repro.data.crops`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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

    def examine(
        self, tell: Callable[[int], None] | None = None
    ) -> tuple[str, list[tuple[int, str]]]:
        """Reads and decodes all of them: the SHA-256 of the files, and what cannot be decoded.

        That is (number in the set, why) for each. tell: called with how many have been seen.
        """
        digest, faults = hashlib.sha256(), []
        for start in range(0, len(self), 512):
            some = range(start, min(start + 512, len(self)))
            digest.update(self.encoded[self._begin(start) : self._begin(some.stop)])
            reasons = threads().map(self._fault, some)
            faults += [(self.first + n, why) for n, why in zip(some, reasons, strict=True) if why]
            if tell:
                tell(some.stop)
        return digest.hexdigest(), faults

    def _fault(self, number: int) -> str | None:
        return fault(self.file(number))

    def _begin(self, number: int) -> int:
        return int(self.ends[number - 1]) if number else 0

    def _decode(self, number: int) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.file(number))) as image:
                return np.asarray(image.convert("RGB"))
        except Exception as error:  # of many types, from a damaged file
            raise DataError(
                f"photograph {self.first + number} cannot be decoded: {_why(error)}; the check of "
                "the data says what to do: repro data check"
            ) from error


def fault(file: bytes) -> str | None:
    """Why the file of a photograph cannot be decoded; None where it can."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(file)) as image:
            # A JPEG is read to its end at an eighth of its size too, in a third of the time.
            image.draft("RGB", (image.width // 8 or 1, image.height // 8 or 1))
            image.load()
    except Exception as error:  # of many types, from a damaged file
        return _why(error)
    return None


def _why(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):  # its text is an address
        return "it is in no format that Pillow knows"
    return str(error) or type(error).__name__


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
    filtering = Image.Resampling[INTERPOLATIONS[interpolation]]
    return np.asarray(Image.fromarray(image).resize((width, height), filtering))


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


def ten_crop(images: Any, side: int, ops: Any = np) -> Any:
    """The ten views of images [B, H, W, C] that are scored in tests: [B, 10, side, side, C].

    The four corners (top left, top right, bottom left, bottom right) and the centre, then the five
    mirrored left to right (Krizhevsky et al. 2012, section 4.1). ops: NumPy, or `keras.ops` for
    tensors. Raises UsageError for images smaller than the crop.
    """
    crops = [crop(images, y, x, side) for y, x in five_places(*images.shape[1:3], side)]
    return ops.stack(crops + [ops.flip(crop, 2) for crop in crops], axis=1)


def five_places(height: int, width: int, side: int) -> list[tuple[int, int]]:
    """Where `ten_crop` cuts: the top and the left of the crops at the corners and in the middle."""
    corners = [(y, x) for y in (0, height - side) for x in (0, width - side)]
    return [*corners, ((height - side) // 2, (width - side) // 2)]


def crop(images: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    height, width = images.shape[-3:-1]
    if min(height, width) < side:
        raise UsageError(f"a crop of {side}x{side}: the images are {height}x{width}, smaller")
    return images[..., top : top + side, left : left + side, :]
