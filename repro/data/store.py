"""The prepared folder of a dataset, read: NumPy arrays, held to the digests in its record.

What is read there is not trusted: it may be torn, altered, or another user's.
"""

import contextlib
import errno
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.data.access import allowed, exists, owner, read_text, unreadable
from repro.data.digests import class_fault, miscounted, sha256
from repro.data.folders import PREPARED
from repro.data.growing import ROW
from repro.data.photographs import Photographs, Ragged
from repro.data.places import archive_folder, described, lacking_archives
from repro.data.sets import Dataset, Split
from repro.errors import DataError, ReproError

RECORD = "facts.json"


@dataclass(frozen=True)
class Stored:
    """An array as it was when it was prepared: the digest of its values, the size of its file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Record:
    """What was written down at the preparation.

    examples: per split. decoded: whether every photograph has been decoded then.
    """

    examples: Mapping[str, int]
    arrays: Mapping[str, Stored]
    decoded: bool


def kinds(dataset: Dataset) -> dict[str, type]:
    """The arrays that a split is kept in, with their types."""
    if dataset.shape is None:
        return {"ends": np.int64, "labels": np.int32, "encoded": np.uint8}
    return {"images": np.uint8, "labels": np.int32}


def damaged(dataset: Dataset, folder: Path, what: str) -> DataError:
    """The error for prepared data that is not what it was, with what brings it back."""
    if not allowed(folder.parent, os.W_OK):
        return DataError(
            f"{what}; the folder {folder} belongs to {owner(folder)}, ask for it to be prepared "
            f"again, or set {PREPARED} to a folder of your own"
        )
    lacking = ""
    with contextlib.suppress(ReproError):  # where TFDS' folder cannot be seen
        lacking = "" if described(dataset) else " and ".join(lacking_archives(dataset))
    put = f"put {lacking} into {archive_folder()}, " if lacking else ""
    return DataError(
        f"{what}; {put}delete the folder {folder}, then do: repro data prepare {dataset.name}"
    )


def read_record(dataset: Dataset, folder: Path) -> Record:
    """The record of the preparation, with every array's file there in its full size.

    Raises DataError.
    """
    file = folder / RECORD
    if not exists(file, PREPARED):
        raise damaged(dataset, folder, f"{file} is missing")
    record = parse_record(dataset, read_text(file, PREPARED))
    if record is None:
        raise damaged(dataset, folder, f"{file} is damaged, or not of {dataset.title}")
    for array, stored in record.arrays.items():
        file = folder / f"{array}.npy"
        if not exists(file, PREPARED):
            raise damaged(dataset, folder, f"{file} is missing")
        if not file.is_file():
            raise damaged(dataset, folder, f"{file} is not a file")
        if (size := file.stat().st_size) != stored.bytes:
            raise damaged(dataset, folder, f"{file} has {size:,} of {stored.bytes:,} bytes")
    return record


def parse_record(dataset: Dataset, text: str | None) -> Record | None:
    """The text of a record, or None for what is none of this dataset."""
    try:
        facts = json.loads(text or "")
        arrays = {name: Stored(a["sha256"], a["bytes"]) for name, a in facts["arrays"].items()}
        examples = dict(dataset.examples)
        if dataset.shape is None:
            examples = {name: facts["examples"][name] for name in dataset.examples}
        decoded = facts.get("decoded") is True
        named = (facts["name"], facts["version"], facts["content"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    wanted = {f"{split}-{kind}" for split in dataset.examples for kind in kinds(dataset)}
    well = (
        arrays.keys() - {f"{split}-names" for split in dataset.examples} == wanted
        and named == (dataset.name, dataset.version, dict(dataset.content))
        and all(_whole(n) for n in examples.values())
        and not miscounted(dataset, examples)
        and all(_whole(a.bytes) and _digest(a.sha256) for a in arrays.values())
    )
    return Record(examples, arrays, decoded) if well else None


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def read_prepared(dataset: Dataset, folder: Path, name: str, digests: bool = False) -> Split:
    """A whole split, verified; the digest of photographs only where all `digests` are wanted.

    Raises DataError.
    """
    record = read_record(dataset, folder)
    count = record.examples[name]
    shapes = {"images": (count, *(dataset.shape or ())), "ends": (count,), "labels": (count,)}
    arrays: dict[str, np.ndarray] = {}
    for kind, dtype in kinds(dataset).items():
        file = folder / f"{name}-{kind}.npy"
        values = mapped(dataset, folder, file)
        if kind == "encoded":
            shapes["encoded"] = (int(arrays["ends"][-1]),)
        same = values.dtype == dtype and values.shape == shapes[kind]
        if same and (digests or kind != "encoded"):
            same = sha256(values) == record.arrays[f"{name}-{kind}"].sha256
        if same and kind == "ends":  # they are used as places without a look
            same = values[0] > 0 and bool(np.all(values[1:] > values[:-1]))
        if not same:
            raise damaged(dataset, folder, f"{file} was altered since it was prepared")
        arrays[kind] = values
    if fault := class_fault(dataset, name, arrays["labels"], folder):
        raise damaged(dataset, folder, fault)
    if dataset.shape is None:
        return Split(Photographs(Ragged(arrays["encoded"], arrays["ends"])), arrays["labels"])
    return Split(**arrays)


def file_name(dataset: Dataset, folder: Path, split: str, number: int) -> str:
    """What the file of a photograph was called; "" where that is not known. Raises DataError."""
    if (stored := read_record(dataset, folder).arrays.get(f"{split}-names")) is None:
        return ""
    names = mapped(dataset, folder, folder / f"{split}-names.npy")
    if names.dtype != ROW["names"] or sha256(names) != stored.sha256:
        raise damaged(dataset, folder, f"{folder}/{split}-names.npy was altered")
    return names[number].decode(errors="replace")


def mapped(dataset: Dataset, folder: Path, file: Path) -> np.ndarray:
    """An array, mapped into memory where the file system can. Raises DataError."""
    try:
        try:
            return np.load(file, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            if error.errno != errno.ENODEV:  # what some network drives say of mapping
                raise
            return np.load(file, allow_pickle=False)
    except OSError as error:
        raise unreadable(file, error, PREPARED) from error
    except MemoryError as error:
        raise unreadable(file, OSError(errno.ENOMEM, "no memory left"), PREPARED) from error
    except ImportError:  # NumPy's own, which says nothing about the file
        raise
    except Exception:  # of many types, from a damaged header
        raise damaged(dataset, folder, f"{file} is not an array that NumPy reads") from None
