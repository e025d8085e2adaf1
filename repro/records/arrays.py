"""Arrays in NumPy's file format, from outside: of the size that they claim, and never a pickle."""

import io
import math
from pathlib import Path

import numpy as np

from repro.files import write_bytes


def array_of(content: bytes) -> np.ndarray:
    """The array in a .npy file. Raises ValueError where the file is anything else.

    NumPy's own reader makes room for as many values as the header claims.
    """
    file = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0}
    readers[2, 0] = np.lib.format.read_array_header_2_0
    try:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise ValueError(f"is of version {version}")
        shape, by_column, kind = readers[version](file)
    except RecursionError:
        raise ValueError("has a header that is nested too deeply") from None
    if kind.hasobject:
        raise ValueError("holds Python objects, which are not loaded")
    if not kind.itemsize:  # any number of them would fit into any file
        raise ValueError("holds values without a size")
    start = file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(content) - start:
        raise ValueError(f"does not hold the {shape} values that it claims")
    if not math.prod(shape):
        return np.empty(shape, kind)
    order = "F" if by_column else "C"
    return np.ndarray(shape, kind, content, start, order=order).copy()


def write_array(path: Path, values: np.ndarray, within: Path | None = None) -> None:
    """Writes a .npy file, whole or not at all. Raises OSError."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    write_bytes(path, content.getbuffer(), within=within)
