"""filters.npy of a run directory: the first layer's filters, read with care."""

import io
import math
from pathlib import Path
from typing import Any

from repro import files
from repro.errors import DataError

LARGEST_SIDE, MOST_PICTURES = 64, 2048
LARGEST_FILE = 8 * LARGEST_SIDE**2 * MOST_PICTURES


def read_filters(path: Path, within: Path | None = None) -> Any:
    """The filters, [height, width, inputs, filters], or None where the file does not exist.

    Nothing that the file says is believed before it is checked, and nothing in it is run. Raises
    DataError, which names the file, for what is not an array of filters that can be drawn.
    """
    import numpy as np
    from numpy.lib import format as npy

    try:
        content = files.read_bytes(path, within, LARGEST_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot read {files.reason(error, path)}") from None
    stream = io.BytesIO(content)
    try:
        if npy.read_magic(stream) != (1, 0):
            raise ValueError("another version")
        shape, by_columns, kind = npy.read_array_header_1_0(stream)
    except Exception:  # NumPy parses what the file says with Python's own parser
        raise DataError(f"{path} is not an array as NumPy saves it") from None
    if kind not in (np.float32, np.float64):
        raise DataError(f"{path} holds {kind}; accepted is float32 or float64")
    if len(shape) != 4 or 0 in shape or max(shape[:2]) > LARGEST_SIDE:
        raise DataError(
            f"{path} has the shape {shape}; accepted is (height, width, inputs, filters), "
            f"of a height and width up to {LARGEST_SIDE}"
        )
    pictures = shape[3] if shape[2] == 3 else shape[2] * shape[3]
    if pictures > MOST_PICTURES:
        raise DataError(f"{path} holds {pictures:,} pictures; at most {MOST_PICTURES:,} are drawn")
    body = content[stream.tell() :]
    if len(body) != math.prod(shape) * kind.itemsize:
        raise DataError(f"{path} is cut off or damaged: it holds more or less than it says")
    array = np.frombuffer(body, kind).reshape(shape, order="F" if by_columns else "C")
    if not np.isfinite(array).all():
        raise DataError(f"{path} holds numbers that are not finite")
    return array
