"""A training set that lies on the device, whole, and what an update sees of it there.

The host draws a few whole numbers per image: which one, where its crop begins, whether it is
mirrored. The device gathers, crops and mirrors. It does no arithmetic on grey levels: it looks up
what preprocessing makes of them in a table from the host. So a run sees the same bits as if the
host had made its images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repro.data import preprocessing
from repro.data.cutting import WHOLE, Cut
from repro.lazy import keras
from repro.lazy import numpy as np

MOST_BYTES = 2**30  # that a set may take on each device; places in it are counted with int32


@dataclass(frozen=True, eq=False)
class Resident:
    """A training set as it lies on the device.

    images: uint8 [N, H, W, C], bytes that `table` says the values of; or float32, the values.
    table: float32 [256, H, W, C], what preprocessing makes of each byte at each place; or None.
    cut: how crops are cut out of the images.
    """

    images: np.ndarray
    table: np.ndarray | None
    cut: Cut

    @property
    def nbytes(self) -> int:
        return self.images.nbytes + (0 if self.table is None else self.table.nbytes)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What goes to the device."""
        pixels = self.images.reshape(-1, self.images.shape[-1])
        return (pixels,) if self.table is None else (pixels, self.table.reshape(-1))

    def look_up(self, arrays: Sequence[Any], places: Any) -> Any:
        """What an update sees: float32 [B, H', W', C], of `places`, [B, 4] (see `Batches`).

        arrays: those of `arrays`, on the device. Places in them are computed in the type of
        `places`. On every backend, compiled or not.
        """
        ops, whole = keras.ops, keras.backend.standardize_dtype(places.dtype)
        height, width, channels = self.images.shape[1:]
        pad, (rows, columns) = self.cut.pad, self.cut.size(height, width)
        index, down, right, mirrored = (places[:, k : k + 1] for k in range(4))
        y = down - pad + ops.arange(rows, dtype=whole)[None]
        across = ops.arange(columns, dtype=whole)[None]
        x = right - pad + ops.where(mirrored > 0, columns - 1 - across, across)
        within = _within(y, height)[:, :, None] & _within(x, width)[:, None, :]
        y, x = ops.clip(y, 0, height - 1), ops.clip(x, 0, width - 1)
        place = y[:, :, None] * width + x[:, None, :]  # in an image
        seen = ops.take(arrays[0], index[:, :, None] * (height * width) + place, axis=0)
        if self.table is not None:
            level = ops.cast(seen, whole) * (height * width) + place[..., None]
            seen = ops.take(arrays[1], level * channels + ops.arange(channels, dtype=whole))
        if not pad:
            return seen
        return ops.where(within[..., None], seen, np.float32(self.cut.outside))


def _within(places: Any, length: int) -> Any:
    return (places >= 0) & (places < length)


def of(
    raw: np.ndarray, images: np.ndarray, steps: Sequence[Callable], augmentation: Any
) -> Resident | None:
    """The training set as it lies on the device; None for one that must be streamed.

    raw: the images as they are stored; images: after all `steps` of the preprocessing. The host
    streams a set that is too large, and one whose augmentation does more than crop and mirror.
    """
    cut = WHOLE if augmentation is None else getattr(augmentation, "cut", None)
    if cut is None:
        return None
    levels, steps = raw, list(steps)
    while levels.dtype == np.uint8 and not all(getattr(s, "by_level", False) for s in steps):
        levels = steps.pop(0)(levels)
    if levels.dtype == np.uint8:
        every = np.arange(256, dtype=np.uint8)[:, None, None, None]
        table = preprocessing.apply(steps, np.broadcast_to(every, (256, *levels.shape[1:])))
        made = Resident(levels, table, cut)
    else:
        made = Resident(images, None, cut)
    return made if made.nbytes <= MOST_BYTES else None
