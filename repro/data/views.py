"""What of a photograph is scored in tests: all of it at a scale, a grid of crops, crops of squares.

`whole`, `grid` and `of_squares` take a photograph, decoded (uint8 [H, W, 3]) or not, rescale it so
that its shorter side has `scale` pixels, and return views uint8 [n, height, width, 3], without
their mirror images. One that is not decoded becomes what it is in training at such a scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.data.photographs import Photograph, centre_crop, crop, rescale, resize
from repro.lazy import numpy as np


def whole(
    image: Photograph | np.ndarray, scale: int, interpolation: str = "bilinear"
) -> np.ndarray:
    """All of it: one view, its shorter side `scale` (Simonyan and Zisserman 2014, section 3.2)."""
    return rescale(image, scale, interpolation)[None]


def grid(
    image: Photograph | np.ndarray,
    scale: int,
    side: int,
    across: int,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """A regular grid of `across` x `across` crops of `side` x `side` pixels, row by row.

    The outermost ones touch the border; the others lie between them at even distances, rounded
    down to whole pixels. Simonyan and Zisserman 2014, section 3.2, with 5 across. Raises UsageError
    for a crop larger than the scale.
    """
    image = rescale(image, scale, interpolation)
    tops, lefts = (
        [(length - side) * step // (across - 1) for step in range(across)]
        for length in image.shape[:2]
    )
    return np.stack([crop(image, top, left, side) for top in tops for left in lefts])


def of_squares(
    image: Photograph | np.ndarray, scale: int, side: int, interpolation: str = "bilinear"
) -> np.ndarray:
    """Six views of `side` x `side` pixels of each of three squares: 18.

    The squares are as large as the shorter side allows: at the beginning, in the middle and at the
    end of the longer side. Of each come the four corners (top left, top right, bottom left, bottom
    right), the centre, and all of it, resized. With four scales and mirror images these are the 144
    crops of Szegedy et al. 2014. Raises UsageError for a view larger than the scale.
    """
    image = rescale(image, scale, interpolation)
    height, width = image.shape[:2]
    views = []
    for part in (0, 1, 2):
        square = crop(image, (height - scale) * part // 2, (width - scale) * part // 2, scale)
        ends = (0, scale - side)
        views += [crop(square, top, left, side) for top in ends for left in ends]
        views += [centre_crop(square, side), resize(square, side, side, interpolation)]
    return np.stack(views)


def anywhere(steps: Sequence[Callable]) -> list[Callable]:
    """Steps of a preprocessing that go by the level, learnt on squares, for views of any size.

    Where there is a mean for each pixel of a square, the mean colour of all of them takes its
    place.
    """
    return [getattr(step, "anywhere", step) for step in steps]
