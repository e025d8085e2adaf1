"""Affine distortions of images (LeCun et al. 1998, section III.B)."""

from __future__ import annotations

from dataclasses import dataclass

from repro.data.augmentation import Augmentation
from repro.data.draws import Draw
from repro.lazy import numpy as np
from repro.limits import number


@dataclass(frozen=True)
class DistortedCopies(Augmentation):
    """The originals, and `copies` randomly distorted instances of each, made once for the run.

    Each instance is one planar affine map: a translation both ways, a change of scale, a squeeze
    (narrower and higher, or wider and lower) and a horizontal shear. With 9 copies MNIST's 60,000
    originals get 540,000 instances (LeCun et al. 1998, section III.B). The paper does not say by
    how much; the amounts here are chosen:

    translation: up to so many pixels, each way, horizontally and vertically.
    scaling: both sides times a factor from 1 / (1 + scaling) to 1 + scaling.
    squeezing: the width times such a factor, the height divided by it.
    shear: up to so many pixels sideways per pixel of height.

    Translation and shear are uniform, the factors log-uniform. Bilinear interpolation.
    """

    copies: int = number(0, 99, default=9)
    translation: float = number(0, 1000, default=2.0)
    scaling: float = number(0, 10, default=0.15)
    squeezing: float = number(0, 10, default=0.15)
    shear: float = number(0, 10, default=0.2)

    def size(self, originals: int) -> int:
        """Examples in the set made of so many originals."""
        return originals * (self.copies + 1)

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        """The examples; copy 0 is the original, untouched. The pass changes nothing."""
        moved = np.array(images, np.float32)
        distorted = np.flatnonzero(np.asarray(draw.index) >= draw.originals)
        for start in range(0, len(distorted), _BLOCK):
            rows = distorted[start : start + _BLOCK]
            moved[rows] = self._distort(moved[rows], draw.of_rows(rows))
        return moved

    def _distort(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        right, down, scale, squeeze, shear = 2 * draw.of_run().uniform(5) - 1
        scale = (1 + self.scaling) ** scale
        squeeze = (1 + self.squeezing) ** squeeze
        return warp(
            images,
            right=self.translation * right,
            down=self.translation * down,
            width=scale * squeeze,
            height=scale / squeeze,
            shear=self.shear * shear,
            fill=draw.fill,
        )


# Images warped at a time: few enough for the arrays of a block to stay in the processor's cache.
_BLOCK = 128


def warp(
    images: np.ndarray,
    right: np.ndarray,
    down: np.ndarray,
    width: np.ndarray,
    height: np.ndarray,
    shear: np.ndarray,
    fill: float,
) -> np.ndarray:
    """Images [B, H, W, C], each sheared and resized about its centre, then moved.

    right, down: pixels. width, height: factors. shear: pixels to the right per pixel down. All
    [B]. `fill` surrounds the image. Returns float32 [B, H, W, C], bilinearly interpolated.

    None of these transformations mixes columns into rows: which old row a new pixel comes from
    depends on its row alone. So the rows are interpolated first, whole, and then the columns.
    """
    count, rows, columns, channels = images.shape
    field = np.full((count, rows + 2, columns + 2, channels), fill, np.float32)
    field[:, 1:-1, 1:-1] = images
    y = (np.arange(rows) - (rows - 1) / 2 - down[:, None]) / height[:, None]  # [B, H]
    x = (np.arange(columns) - (columns - 1) / 2 - right[:, None]) / width[:, None]  # [B, W]
    x = x[:, None, :] - (shear[:, None] * y)[:, :, None]  # [B, H, W]

    which = np.arange(count)[:, None]
    above, part = _neighbours(y, rows)
    part = part[:, :, None, None]
    field = field[which, above] * (1 - part) + field[which, above + 1] * part

    left, part = _neighbours(x, columns)
    part = part[..., None]
    left += (np.arange(count * rows) * (columns + 2)).reshape(count, rows, 1)
    field = field.reshape(-1, channels)
    if channels == 1:  # taking numbers is several times as fast as taking rows of one number
        flat = field[:, 0]
        return (flat[left] * (1 - part[..., 0]) + flat[left + 1] * part[..., 0])[..., None]
    return field[left] * (1 - part) + field[left + 1] * part


def _neighbours(centred: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions measured from an image's centre, in its field with a border of one pixel.

    Returns the field's pixel before each position, and how far from it towards the next one.
    """
    position = np.clip(centred + ((length - 1) / 2 + 1), 0, length + 1).astype(np.float32)
    before = np.minimum(position.astype(np.int64), length)
    return before, position - before.astype(np.float32)
