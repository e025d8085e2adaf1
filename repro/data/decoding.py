"""Files of photographs to pixels, and pixels to another size.

libjpeg-turbo decodes JPEGs, Pillow all else; where both can, they give the same pixels. Nobody
turns a photograph by the orientation that its file may name: the tools of the papers' time did not.
"""

from __future__ import annotations

import contextlib
import io

from repro.errors import unknown
from repro.lazy import numpy as np

# What OpenCV calls each way of resizing. Going down, "area" takes the mean; the others leave out.
INTERPOLATIONS = {
    "nearest": "INTER_NEAREST",
    "bilinear": "INTER_LINEAR",
    "bicubic": "INTER_CUBIC",
    "area": "INTER_AREA",
}
# Colours of four inks, as the head of a JPEG names them: libjpeg-turbo mixes them otherwise.
OF_FOUR = ("CMYK", "YCCK")
# By what both sides of a JPEG can be divided while it is decoded; other divisions take longer.
FEWER = (8, 4, 2)


def versions() -> dict[str, str]:
    """Of the packages that decode and resize."""
    import cv2
    import PIL
    import simplejpeg

    packages = {"simplejpeg": simplejpeg, "opencv": cv2, "pillow": PIL}
    return {name: package.__version__ for name, package in packages.items()}


def size(file: bytes) -> tuple[int, int]:
    """Height and width, in pixels. Raises what Pillow raises where the file tells none."""
    if head := _head_of_jpeg(file):
        return head[:2]
    with _opened(file) as image:
        return image.height, image.width


def divided(sides: tuple[int, int], shorter: int | None) -> tuple[int, int]:
    """Height and width of what `decode` gives of a photograph with such `sides`."""
    return _divided(sides, _fewer(sides, shorter))


def decode(file: bytes, shorter: int | None = None) -> np.ndarray:
    """A photograph in RGB, uint8 [H, W, 3]; grey and CMYK ones become RGB.

    shorter: the length in pixels that the shorter side has to have at least. Where a half, a
    quarter or an eighth of the photograph has that, the smallest of them is given, each pixel about
    the mean of those that it stands for; less is computed then. None for all pixels.

    Raises what Pillow raises where the file is damaged: errors of many types.
    """
    head = _head_of_jpeg(file)
    if head is None or head[2] in OF_FOUR:
        return _by_pillow(file, shorter)
    try:
        return _by_libjpeg(file, head[:2], _fewer(head[:2], shorter))
    except ValueError:  # damaged; Pillow knows whether all pixels are there nevertheless
        return _by_pillow(file, shorter)


def decode_part(
    file: bytes,
    marks: np.ndarray,
    sides: tuple[int, int],
    shorter: int | None,
    rows: slice,
    columns: slice,
) -> np.ndarray:
    """decode(file, shorter)[rows, columns], by less than all of the file.

    marks: as `jpegs.marks` makes them. sides: the `size` of the file. rows and columns have a start
    and a stop.
    """
    from repro.data import jpegs

    fewer = _fewer(sides, shorter)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    down, along = (slice(s.start * fewer, s.stop * fewer) for s in (rows, columns))
    if part := jpegs.part(file, marks, sides, down, along, fewer):
        with contextlib.suppress(ValueError):  # damaged; see below
            image = _by_libjpeg(part.file, part.sides, fewer)
            top, left = part.top // fewer, part.left // fewer
            return image[rows.start - top :, columns.start - left :][:height, :width]
    return decode(file, shorter)[rows, columns]


def _by_libjpeg(file: bytes, sides: tuple[int, int], fewer: int) -> np.ndarray:
    import simplejpeg

    height, width = _divided(sides, fewer)
    return simplejpeg.decode_jpeg(file, min_height=height, min_width=width)


def resize(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """Pixels [H, W, 3] as uint8 [height, width, 3]. Raises UsageError."""
    import cv2

    if interpolation not in INTERPOLATIONS:
        raise unknown("interpolation", interpolation, INTERPOLATIONS)
    cv2.setNumThreads(0)  # photographs are decoded side by side; each is resized in its own thread
    way = getattr(cv2, INTERPOLATIONS[interpolation])
    return cv2.resize(image, (width, height), interpolation=way)


def mirrored(image: np.ndarray) -> np.ndarray:
    """Pixels [H, W, 3] with left and right exchanged."""
    import cv2

    return cv2.flip(image, 1)


def _head_of_jpeg(file: bytes) -> tuple | None:
    """Height, width and colour space; None for what libjpeg-turbo does not know."""
    import simplejpeg

    try:
        return simplejpeg.decode_jpeg_header(file)
    except (ValueError, KeyError):  # no JPEG, or samples as it has no name for
        return None


def _divided(sides: tuple[int, int], fewer: int) -> tuple[int, int]:
    return -(-sides[0] // fewer), -(-sides[1] // fewer)


def _fewer(sides: tuple[int, int], shorter: int | None) -> int:
    """By how much both sides may be divided."""
    least = min(sides) if shorter is None else shorter
    return next((fewer for fewer in FEWER if min(sides) >= fewer * least), 1)


def _by_pillow(file: bytes, shorter: int | None) -> np.ndarray:
    with _opened(file) as image:
        fewer = _fewer((image.height, image.width), shorter)
        image = image.convert("RGB")
        return np.asarray(image.reduce(fewer) if fewer > 1 else image)


def _opened(file: bytes):
    from PIL import Image

    return Image.open(io.BytesIO(file))
