"""Photographs: kept as files, decoded when they are asked for, rescaled and cut.

A photograph is uint8 [H, W, 3], its grey levels 0 to 255, and stays in them: what is to be learnt
from the training images, their mean say, comes after the crop. `Photographs` holds the files of
many, and `Lazily` preprocesses them when they are asked for, so that a set need not fit into
memory. What makes images of one size of them is in `repro.data.crops`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from repro.data import decoding, preprocessing
from repro.data.decoding import resize
from repro.errors import DataError, ReproError, RunError, UsageError
from repro.lazy import numpy as np
from repro.limits import Limited
from repro.machine import cores

TOGETHER = 8  # photographs that one thread preprocesses together


@dataclass(frozen=True, eq=False)
class Ragged:
    """N arrays of different lengths, kept one after the other in one.

    values: [total, ...]. ends: int64 [N], the place after the last value of each array. begin: the
    place of the first value of the first.
    """

    values: np.ndarray
    ends: np.ndarray
    begin: int = 0

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> np.ndarray:
        """0 <= number < N."""
        return self.values[self.start(number) : self.start(number + 1)]

    def start(self, number: int) -> int:
        """The place of the first value; 0 <= number <= N."""
        return int(self.ends[number - 1]) if number else self.begin

    def part(self, start: int, stop: int) -> Ragged:
        """Those from `start` to `stop` (exclusive); 0 <= start <= stop <= N."""
        return Ragged(self.values, self.ends[start:stop], self.start(start))

    def __reduce__(self) -> tuple:
        """For another process: of what is mapped into memory only the name of the file."""
        values = self.values
        if isinstance(values, np.memmap) and values.base is not None:
            kept = values.filename, values.dtype, values.offset, values.shape
            return _mapped, (kept, self.ends, self.begin)
        return Ragged, (values, self.ends, self.begin)


def _mapped(kept: tuple, *rest: Any) -> Ragged:
    file, dtype, offset, shape = kept
    return Ragged(np.memmap(file, dtype, "r", offset, shape), *rest)


@dataclass(frozen=True, eq=False)
class Photographs:
    """The files of photographs, each of its own size, decoded when they are asked for.

    files: uint8, the bytes of each (JPEG, or what else Pillow reads). first: the number of the
    first one in the whole set, for messages.
    marks: int16 [marks, 4] of each (`jpegs.marks`): with them a crop decodes only the part that it
    needs, to the same pixels; without, the whole.

    An index gives a photograph, a slice or an array of indices a list of them, decoded side by side
    on all cores that the process may use. Raises DataError for one that cannot be decoded.
    """

    files: Ragged
    first: int = 0
    marks: Ragged | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, int | np.integer):
            return self._photograph(range(len(self))[index]).pixels()
        return list(threads().map(Photograph.pixels, self.undecoded(index)))

    def undecoded(self, index: slice | np.ndarray) -> list[Photograph]:
        """As an index gives them, but each is decoded by whoever takes it."""
        rows = range(len(self))[index] if isinstance(index, slice) else np.arange(len(self))[index]
        return [self._photograph(int(row)) for row in rows]

    def _photograph(self, number: int) -> Photograph:
        marks = None if self.marks is None else self.marks[number]
        return Photograph(self.file(number), self.first + number, marks)

    def measured(self, measure: Callable[[np.ndarray], Any]) -> Iterator:
        """What `measure` gives of each, float64 [1, H, W, 3], in order; on all cores."""

        def of_one(number: int) -> Any:
            return measure(self._photograph(number).pixels().astype(np.float64)[None])

        return _side_by_side(of_one, range(len(self)))

    @property
    def key(self) -> str:
        """Tells these photographs from others: by the sizes of all and some bytes of some."""
        digest = hashlib.sha256(f"{self.files.begin} {self.first}".encode())
        digest.update(np.ascontiguousarray(self.files.ends))
        for number in range(0, len(self), len(self) // 1000 + 1):
            digest.update(self.file(number)[-64:])
        return digest.hexdigest()[:16]

    def part(self, start: int, stop: int) -> Photographs:
        """Those from `start` to `stop` (exclusive), not decoded; 0 <= start <= stop <= N."""
        marks = None if self.marks is None else self.marks.part(start, stop)
        return Photographs(self.files.part(start, stop), self.first + start, marks)

    def through(self, steps: Sequence[Callable]) -> Lazily:
        """The photographs, preprocessed by `steps` each time that they are asked for."""
        return Lazily(self, steps)

    def file(self, number: int) -> bytes:
        """A photograph as it is kept; 0 <= number < N."""
        return self.files[number].tobytes()

    def examine(
        self, tell: Callable[[int], None] | None = None
    ) -> tuple[str, list[tuple[int, str]]]:
        """Reads and decodes all of them: the SHA-256 of the files, and what cannot be decoded.

        That is (number in the set, why) for each. tell: called with how many have been seen.
        """
        digest, faults = hashlib.sha256(), []
        for start in range(0, len(self), 512):
            some = range(start, min(start + 512, len(self)))
            digest.update(self.files.values[self.files.start(start) : self.files.start(some.stop)])
            reasons = threads().map(self._fault, some)
            faults += [(self.first + n, why) for n, why in zip(some, reasons, strict=True) if why]
            if tell:
                tell(some.stop)
        return digest.hexdigest(), faults

    def _fault(self, number: int) -> str | None:
        return fault(self.file(number))


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph as the file that it is kept in; number: which one of the whole set it is.

    marks: as `Photographs` has them.
    """

    file: bytes
    number: int
    marks: np.ndarray | None = None

    @cached_property
    def sides(self) -> tuple[int, int]:
        """Height and width of all its pixels, by the head of the file. Raises DataError."""
        try:
            return decoding.size(self.file)
        except Exception as error:  # of many types, from a damaged file
            raise self._unreadable(error) from error

    def size(self, shorter: int | None = None) -> tuple[int, int]:
        """Height and width of its `pixels`. Raises DataError."""
        return decoding.divided(self.sides, shorter)

    def pixels(
        self, shorter: int | None = None, part: tuple[slice, slice] | None = None
    ) -> np.ndarray:
        """See `decoding.decode`. part: the rows and the columns that are wanted, None for all.

        Raises DataError where the file is damaged, RunError where a package is missing.
        """
        try:
            if part and self.marks is not None and len(self.marks):
                return decoding.decode_part(self.file, self.marks, self.sides, shorter, *part)
            whole = decoding.decode(self.file, shorter)
            return whole[part] if part else whole
        except ReproError:
            raise
        except Exception as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ReproError:
        if isinstance(error, ImportError):  # which says nothing about the file
            return RunError(
                f"photographs cannot be decoded: {error}; do: pip install simplejpeg pillow"
            )
        return DataError(
            f"photograph {self.number} cannot be decoded: {_why(error)}; the check of the data "
            "says what to do: repro data check"
        )


def some(images: Sequence[np.ndarray], rows: np.ndarray) -> Sequence:
    """Those at `rows`: of an array an array, of `Photographs` a list of undecoded ones."""
    return images.undecoded(rows) if hasattr(images, "undecoded") else images[rows]


def size(image: Photograph | np.ndarray, shorter: int | None = None) -> tuple[int, int]:
    """Height and width of what `pixels` gives."""
    return image.size(shorter) if isinstance(image, Photograph) else image.shape[:2]


def pixels(
    image: Photograph | np.ndarray,
    shorter: int | None = None,
    part: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Pixels [H, W, 3]: of a photograph those that `shorter` asks for, an array as it is.

    part: the rows and the columns that are wanted of them, None for all.
    """
    if isinstance(image, Photograph):
        return image.pixels(shorter, part)
    return image if part is None else image[part]


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
    """Shared by all: to decode and to resize holds no lock of Python's."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="repro-photographs")


@dataclass(frozen=True, eq=False)
class Lazily:
    """Images of one size that are preprocessed each time that they are asked for.

    images: an array [N, ...] or `Photographs`. steps: as `preprocessing.fit` returns them.
    An index gives a float32 array [H, W, C]; a slice or an array of indices one of [n, H, W, C],
    made on all cores that the process may use.
    """

    images: Sequence[np.ndarray]
    steps: Sequence[Callable]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(index, int | np.integer):
            number = range(len(self))[index]
            return self[number : number + 1][0]
        made = list(_side_by_side(self._made, _parts(np.arange(len(self))[index])))
        return np.concatenate(made) if made else self[:1][:0]

    def measured(self, measure: Callable[[np.ndarray], Any]) -> Iterator:
        """What `measure` gives of some at a time, float64 [n, H, W, C], in order; on all cores."""

        def of_part(rows: np.ndarray) -> Any:
            return measure(self._made(rows).astype(np.float64))

        return _side_by_side(of_part, _parts(np.arange(len(self))))

    @property
    def key(self) -> str | None:
        """Tells these images from others; None where that takes more than a glance."""
        key = getattr(self.images, "key", None)
        by_name = all(isinstance(step, Limited) for step in self.steps)
        if not (key and by_name):
            return None
        return hashlib.sha256(f"{key} {self.steps!r}".encode()).hexdigest()[:16]

    def _made(self, rows: np.ndarray) -> np.ndarray:
        return preprocessing.apply(self.steps, some(self.images, rows))


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + TOGETHER] for start in range(0, len(rows), TOGETHER)]


def _side_by_side(function: Callable, values: Sequence) -> Iterator:
    """function(value) of each, in order, in threads; of a thousand values at a time."""
    for start in range(0, len(values), 1000):
        yield from threads().map(function, values[start : start + 1000])


def rescale(
    image: Photograph | np.ndarray, shorter: int, interpolation: str = "bilinear"
) -> np.ndarray:
    """A photograph [H, W, 3] with its shorter side `shorter` pixels long, the other in proportion.

    Krizhevsky et al. 2012, section 2; Simonyan and Zisserman 2014, section 3.1. Neither says how
    pixels are interpolated.
    """
    image = pixels(image, shorter)
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
