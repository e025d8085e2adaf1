"""The colours of images: their mean, their covariance, and colours added to all pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.lazy import numpy as np

# Images handled at a time where all of them would not fit into memory in float64: rows of an array,
# and photographs, which are larger.
ROWS, FEW = 1000, 64


def colour_statistics(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mean [C] and the covariance [C, C] of the colours of all pixels, in float64.

    images: an array [N, H, W, C], or a sequence of N images [H, W, C] of any sizes.
    """
    count, total, products = 0, 0.0, 0.0
    for block in blocks(images):
        pixels = block.reshape(-1, block.shape[-1])
        count += len(pixels)
        total += pixels.sum(axis=0)
        products += pixels.T @ pixels
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def blocks(images: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Some images at a time in float64, [n, ...]; of a list of any sizes one after the other."""
    together = ROWS if isinstance(images, np.ndarray) else FEW
    for start in range(0, len(images), together):
        some = images[start : start + together]
        for block in [some] if isinstance(some, np.ndarray) else [image[None] for image in some]:
            yield np.asarray(block, np.float64)


@dataclass(frozen=True, eq=False)
class Centred:
    """Images less `mean`, in units of `scale`; both in grey levels.

    mean: float64 [C] or [H, W, C]; scale: a number, or float64 [C].
    """

    by_level = True

    mean: np.ndarray
    scale: float | np.ndarray

    def __call__(self, images: np.ndarray) -> np.ndarray:
        step = np.float32(1 / self.scale)
        levels = np.asarray(images, np.float32)
        centred = levels if np.all(step == 1) else levels * step
        offset = -(self.mean / self.scale).astype(np.float32)
        return coloured(centred, offset) if offset.ndim == 1 else centred + offset


def coloured(images: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A colour added to all pixels: images float32 [B, H, W, C], colours [C], or [B, 1, C]."""
    *leading, width, channels = images.shape
    # To add whole rows is three times as fast as to add to three numbers at a time.
    rows = images.reshape(*leading, width * channels) + np.tile(colours, width)
    return rows.reshape(images.shape)
