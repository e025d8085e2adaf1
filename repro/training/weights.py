"""The weights of a network as a file of NumPy arrays, whoever wrote it.

A .npz file holds one array for each variable, under `<layer>/<variable>`: `conv1/kernel`,
`conv1/bias`; of batch normalisation `gamma`, `beta`, `moving_mean` and `moving_variance`. Layers
have the names that `repro anatomy` prints. A kernel of a convolution is height, width, maps in,
maps out; one of a full layer inputs, outputs, where maps are flattened in the order row, column,
map. Numbers have 16, 32 or 64 bits.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from repro import backends
from repro.errors import Listed, UsageError

SHOWN = 20  # arrays that do not fit, of which each has a line
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def named(model: Any) -> dict[str, Any]:
    """The variables of a network by their names in a file."""
    return {"/".join(v.path.split("/")[-2:]): v for v in model.weights}


def write(model: Any, file: Path) -> None:
    """Raises OSError."""
    arrays = {name: backends.as_numpy(variable) for name, variable in named(model).items()}
    with open(file, "wb") as stream:
        np.savez(stream, **arrays)


def read(file: Path, model: Any, needed: Any) -> None:
    """Gives `model` the weights in a file.

    needed: the part of it that is tested; the file may lack the variables that are beyond. Nothing
    is changed, and UsageError raised, where the file has not every variable that is needed, or has
    one in another shape, or any other array, or what is not finite, or cannot be read.
    """
    variables, must = named(model), named(needed)
    with _opened(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        headers = {name: _header(archive, info) for name, info in members.items()}
        own, others = list(_misfits(headers, variables, must)), list(_surplus(headers, variables))
        if own or others:
            count, half = len(own) + len(others), SHOWN // 2
            of_own = min(len(own), max(half, SHOWN - len(others)))
            told = [*own[:of_own], *others[: SHOWN - of_own]]
            told += [f"and {count - len(told)} more"] if count > len(told) else []
            what = "array does" if count == 1 else "arrays do"
            raise Listed(f"{file}: {count} {what} not fit {model.name}", told)
        values = {name: _values(archive, members[name]) for name in headers}
    for name, value in values.items():
        if not np.all(np.isfinite(value)):
            raise UsageError(f"{file}: {name} has numbers that are not finite")
    for name, value in values.items():
        variables[name].assign(value)


def _misfits(
    headers: Mapping[str, tuple], variables: Mapping[str, Any], must: Mapping[str, Any]
) -> Iterator[str]:
    """A line for each variable of the network that the file has not, or not as it should be."""
    for name, variable in variables.items():
        wanted = tuple(variable.shape)
        if name not in headers:
            if name in must:
                yield f"{name} is missing: {_words(wanted)}"
            continue
        shape, kind = headers[name]
        if shape != wanted:
            yield f"{name} is {_words(shape)}, wanted is {_words(wanted)}"
        elif kind.kind != "f" or kind.itemsize > 8:
            yield f"{name} is of {kind}, wanted is float16, float32 or float64"


def _surplus(headers: Mapping[str, tuple], variables: Mapping[str, Any]) -> Iterator[str]:
    for name, (shape, _) in headers.items():
        if name not in variables:
            yield f"{name} is none of the network: {_words(shape)}"


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; what goes wrong with it, then or later, is a UsageError of one line."""
    try:
        if not file.is_file():
            raise UsageError(f"{file}: there is no such file; accepted is a .npz file of weights")
        if not zipfile.is_zipfile(file):
            raise UsageError(f"{file}: is no .npz file, or only the beginning of one")
        with zipfile.ZipFile(file) as archive:
            yield archive
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror or error})") from None
    except MemoryError:
        raise UsageError(f"{file}: does not fit into memory") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError) as error:
        raise UsageError(f"{file}: is damaged ({' '.join(str(error).split())})") from None


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of an array, which is not read. Raises ValueError and UsageError."""
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{info.filename}: an array of a version that is not known here")
        shape, _, kind = _HEADERS[version](stream)
    if kind.hasobject:
        raise UsageError(
            f"{archive.filename}: {info.filename} holds Python objects, which are not read; "
            "accepted are arrays of numbers"
        )
    return shape, kind


def _values(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """float32. What is too large for it becomes infinite."""
    with archive.open(info) as stream, np.errstate(over="ignore"):
        values = np.lib.format.read_array(stream, allow_pickle=False).astype("float32")
        if stream.read(1):  # to its end, where its checksum is looked at
            raise ValueError(f"{info.filename} is longer than its array")
    return values
