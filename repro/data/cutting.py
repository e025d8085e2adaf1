"""Crops out of images of one size, on the host, and where they lie, for the device."""

from __future__ import annotations

from dataclasses import dataclass

from repro.data.draws import Draw
from repro.lazy import numpy as np


@dataclass(frozen=True)
class Cut:
    """How crops are cut: out of images padded by `pad` pixels of the value `outside`.

    side: of the crop, in pixels; 0 for one as large as the image. flip: whether some are mirrored.
    """

    pad: int = 0
    side: int = 0
    flip: bool = False
    outside: float = 0.0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a crop."""
        return (self.side, self.side) if self.side else (height, width)

    def places(self, shape: tuple[int, ...], draw: Draw) -> np.ndarray:
        """Where crops lie in images of `shape` [H, W, C]: int32 [B, 3], down, right, mirrored.

        Every place is as likely, and an image is mirrored left to right in half of the cases.
        """
        rows, columns = self.size(*shape[:2])
        down, right, mirror = draw.uniform(3)
        down = (shape[0] + 2 * self.pad - rows + 1) * down
        right = (shape[1] + 2 * self.pad - columns + 1) * right
        places = np.stack([down, right, (mirror < 0.5) & self.flip], axis=1)
        return places.astype(np.int32)

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        """Images [B, H, W, C] cropped, each at its own place and some of them mirrored."""
        places, size = self.places(images.shape[1:], draw), self.size(*images.shape[1:3])
        images = np.asarray(images, np.float32)
        if self.pad:
            border = ((0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0))
            images = np.pad(images, border, constant_values=self.outside)
        crops = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))
        cropped = np.moveaxis(crops[np.arange(len(images)), places[:, 0], places[:, 1]], 1, 3)
        mirrored = places[:, 2] > 0
        cropped[mirrored] = cropped[mirrored, :, ::-1]
        return cropped


WHOLE = Cut()
