"""filters.npy of a run directory: the first layer's filters, read with care."""

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

    from repro.records.arrays import array_of

    try:
        content = files.read_bytes(path, within, LARGEST_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot read {files.reason(error, path)}") from None
    try:
        array = array_of(content)
    except Exception as error:  # NumPy parses what the file says with Python's own parser
        said = " ".join(str(error).split())
        raise DataError(f"{path} is not an array as NumPy saves it: {said}") from None
    if array.dtype.kind != "f":
        raise DataError(f"{path} holds {array.dtype}; accepted are floating-point numbers")
    shape = array.shape
    if len(shape) != 4 or 0 in shape or max(shape[:2]) > LARGEST_SIDE:
        raise DataError(
            f"{path} has the shape {shape}; accepted is (height, width, inputs, filters), "
            f"of a height and width up to {LARGEST_SIDE}"
        )
    pictures = shape[3] if shape[2] == 3 else shape[2] * shape[3]
    if pictures > MOST_PICTURES:
        raise DataError(f"{path} holds {pictures:,} pictures; at most {MOST_PICTURES:,} are drawn")
    if not np.isfinite(array).all():
        raise DataError(f"{path} holds numbers that are not finite")
    return array
