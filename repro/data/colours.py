"""The colours of images: their mean, their covariance, and colours added to all pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from repro.data import learnt
from repro.lazy import numpy as np

ROWS = (
    1000  # images of an array that are handled at a time: all would not fit into memory in float64
)


def colour_statistics(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mean [C] and the covariance [C, C] of the colours of all pixels, in float64.

    images: an array [N, H, W, C], a sequence of N images [H, W, C] of any sizes, or photographs;
    what is learnt of those is kept.
    """

    def moments(block: np.ndarray) -> tuple:
        pixels = block.reshape(-1, block.shape[-1])
        return len(pixels), pixels.sum(axis=0), pixels.T @ pixels

    def learn() -> learnt.Arrays:
        count, total, products = 0, 0.0, 0.0
        for part in _each(images, moments):
            count, total, products = count + part[0], total + part[1], products + part[2]
        mean = total / count
        return {"mean": mean, "covariance": products / count - np.outer(mean, mean)}

    kept = _kept("colours", images, {"mean": (3,), "covariance": (3, 3)}, learn)
    return kept["mean"], kept["covariance"]


def mean_image(images: Sequence[np.ndarray]) -> np.ndarray:
    """The mean at each place, float64 [H, W, C], of images of one size."""

    def learn() -> learnt.Arrays:
        total = sum(_each(images, lambda block: np.sum(block, axis=0)))
        return {"mean": total / len(images)}

    return _kept("mean", images, {"mean": None}, learn)["mean"]


def rows_of(array: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows at a time in float64."""
    for start in range(0, len(array), ROWS):
        yield np.asarray(array[start : start + ROWS], np.float64)


def _each(images: Sequence[np.ndarray], measure: Callable[[np.ndarray], Any]) -> Iterator:
    """What `measure` gives of blocks [n, H, W, C] in float64 that are all images together."""
    if hasattr(images, "measured"):
        return images.measured(measure)
    if isinstance(images, np.ndarray):
        return map(measure, rows_of(images))
    return (measure(np.asarray(image[None], np.float64)) for image in images)


def _kept(
    name: str, images: Any, shapes: dict, learn: Callable[[], learnt.Arrays]
) -> learnt.Arrays:
    key = getattr(images, "key", None)
    return learnt.kept(f"{name}-{key}", shapes, np.float64, learn) if key else learn()


@dataclass(frozen=True, eq=False)
class Centred:
    """Images less `mean`, in units of `scale`; both in grey levels.

    mean: float64 [C] or [H, W, C]; scale: a number, or float64 [C].
    """

    by_level = True

    mean: np.ndarray
    scale: float | np.ndarray

    def __call__(self, images: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """out: float32, where the result is to be written; None for a new array."""
        step, offset = self._line
        if out is not None:
            out[...] = images
            levels = own = out
        else:
            levels = np.asarray(images, np.float32)
            own = levels if isinstance(images, np.ndarray) and images.dtype != np.float32 else None
        if step is not None:
            levels = own = np.multiply(levels, step, out=own)
        if offset.ndim == 1:
            return coloured(levels, offset, own)
        return np.add(levels, offset, out=own)

    @cached_property
    def _line(self) -> tuple[np.ndarray | None, np.ndarray]:
        """The factor, None for 1, and the offset."""
        step = np.float32(1 / self.scale)
        return None if np.all(step == 1) else step, -(self.mean / self.scale).astype(np.float32)

    @property
    def anywhere(self) -> Centred:
        """The same where images have no such places: less the mean of the means."""
        return self if self.mean.ndim == 1 else Centred(self.mean.mean(axis=(0, 1)), self.scale)


def coloured(images: np.ndarray, colours: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """A colour added to all pixels: images [B, H, W, C], colours float32 [C], or [B, 1, C].

    out: `images`, where they may be written over.
    """
    *leading, width, channels = images.shape
    # To add whole rows is three times as fast as to add to three numbers at a time.
    rows = images.reshape(*leading, width * channels)
    sums = np.add(rows, np.tile(colours, width), out=None if out is None else rows)
    return sums.reshape(images.shape)
