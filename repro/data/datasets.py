"""Datasets: where they come from, whether they are the real ones, and fast access to them.

A set of TensorFlow Datasets is converted once into NumPy arrays in the prepared folder
(`$REPRO_DATA_DIR`, else `data/` below the working directory). From then on it is mapped into
memory, and neither TensorFlow nor TensorFlow Datasets is needed. Every set is held to a digest of
its content that is written here, so nothing else can pass under its name.

Sets of photographs, each of its own size, are kept as the files that they came in, and decoded when
they are asked for (`repro.data.photographs`). Not all of their splits can be held to a digest; the
others are held to their number of examples, to the number in each class, and to being photographs.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from repro.data import archives, checking, marking, presence, sources, workplace
from repro.data.access import exists
from repro.data.archives import Archives
from repro.data.digests import array_digests, content_fault
from repro.data.folders import PREPARED, prepared_root
from repro.data.photographs import Photographs
from repro.data.places import described, official_files, prepared_folder, tfds_folder
from repro.data.sets import DATASETS, Dataset, Progress, Split
from repro.data.sources import TfdsPhotographs
from repro.data.store import read_prepared, read_record
from repro.data.writing import write_arrays, write_photographs
from repro.errors import DataError, UsageError, unknown


def load(name: str, split: str, per_class: int = 0) -> Split:
    """A split, or a slice of one in stored order: `train`, `train[:15000]`, `test[-100:]`.

    per_class: of that, the first so many examples of each class, in stored order; 0 for all.

    Prepares the dataset first where that has not been done. What is returned is verified against
    the digests made at preparation, and mapped into memory, read-only. Of photographs only the
    digest of the labels and the sizes of the files are verified, since to read ImageNet takes
    minutes; `check` reads them all.

    Raises UsageError for an unknown dataset or split, a malformed or empty slice or one that goes
    beyond the split, and where a class has fewer than `per_class`; DataError for data that is
    missing, damaged, or not the dataset.
    """
    dataset = _dataset(name)
    part, rows = _parse(dataset, split)
    if per_class:
        count(name, split, per_class)  # refuses at once what cannot be
    if made := sources.AT_HAND.get(dataset.source):
        whole = made(dataset)[part]
    else:
        folder = _ready(dataset)
        part, rows = _parse(dataset, split)  # less may be here than the official number
        whole = read_prepared(dataset, folder, part)
    if isinstance(whole.images, Photographs):
        marks = marking.of(dataset, read_record(dataset, folder), folder, part)
        images = replace(whole.images, marks=marks).part(rows.start, rows.stop)
        return Split(images, whole.labels[rows])
    taken = Split(whole.images[rows], whole.labels[rows])
    return _of_each_class(dataset, split, taken, per_class) if per_class else taken


def _of_each_class(dataset: Dataset, split: str, taken: Split, per_class: int) -> Split:
    fewest = int(np.bincount(taken.labels, minlength=dataset.classes).min())
    if fewest < per_class:
        raise _too_many(per_class, f"{split} of {dataset.name} has {fewest:,} of a class", fewest)
    of_class = (np.flatnonzero(taken.labels == label) for label in range(dataset.classes))
    rows = np.sort(np.concatenate([places[:per_class] for places in of_class]))
    return Split(taken.images[rows], taken.labels[rows])


def _too_many(per_class: int, why: str, most: int) -> UsageError:
    return UsageError(f"recipe.data.per_class={per_class}: {why}; accepted is up to {most:,}")


def count(name: str, split: str, per_class: int = 0) -> int:
    """How many examples `load` gives; reads no data. Raises UsageError.

    Of a set that may be here in part it counts those that are here, once it is prepared.
    """
    dataset = _dataset(name)
    rows = _parse(dataset, split)[1]
    total = rows.stop - rows.start
    if not per_class:
        return total
    if dataset.shape is None:
        raise UsageError(
            f"recipe.data.per_class={per_class}: of {name}, which are photographs, all are taken; "
            "accepted is 0"
        )
    if per_class * dataset.classes > total:
        why = f"{split} has {total:,} examples of {dataset.classes:,} classes"
        raise _too_many(per_class, why, total // dataset.classes)
    return per_class * dataset.classes


def facts(name: str) -> dict:
    """What the dataset is: name, version, title, classes, examples per split that are here, digest.

    `digest` names the arrays that are really there, values and order. It comes from the record of
    the preparation, which `load` holds the arrays to, so that this is cheap. Prepares the dataset
    where that has not been done. Raises UsageError and DataError like `load`.
    """
    dataset = _dataset(name)
    if made := sources.AT_HAND.get(dataset.source):
        digests = array_digests(made(dataset))
    else:
        arrays = read_record(dataset, _ready(dataset)).arrays
        digests = {array: stored.sha256 for array, stored in arrays.items()}
    text = "".join(digests[array] for array in sorted(digests))
    return {
        "name": dataset.name,
        "version": dataset.version,
        "title": dataset.title,
        "classes": dataset.classes,
        "examples": dict(presence.examples(dataset)),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def available() -> list[dict]:
    """Every dataset with its state, without reading it; never raises.

    Keys: name, version, title, state, path (or None), examples per split (those that are here, once
    it is prepared, or in part), official (the examples of the whole set), problem (what is wrong
    with it and what to do, or None), archives (which are there and which lack, or ""). The state is
    "prepared", "partly prepared", "in TFDS_DATA_DIR", "archives in TFDS_DATA_DIR", "comes with
    scikit-learn", "drawn here", "missing", or "unreadable".
    """
    return [presence.row(dataset) for dataset in DATASETS.values()]


def ready(name: str) -> bool:
    """Whether `load` reads the dataset as it is here, and neither prepares nor downloads it.

    Raises UsageError for an unknown dataset.
    """
    dataset = _dataset(name)
    if dataset.source in sources.AT_HAND:
        return dataset.source != "scikit-learn" or find_spec("sklearn") is not None
    return presence.row(dataset)["state"] == "prepared"


def prepare(
    name: str,
    progress: Progress | None = None,
    verifying: Progress | None = None,
    marking_progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Path | None:
    """Gets the dataset ready and returns its folder (None where there is nothing to prepare).

    Does nothing where that has been done. Otherwise reads the set from `$TFDS_DATA_DIR`, without
    the network; only where it is not there, downloads it (with a progress bar of its own). A set
    with archives is read from these where they are all there: `verifying(done, total)` is called
    with bytes while they are held to their digests. Then `progress(done, total)` is called with the
    number of examples read.

    Then it marks photographs, also those of a set that was prepared without (`marking.add`). It
    calls `marking_progress(done, total)` with their number, and `warn` with a line that says why
    they stay without marks.

    Several processes may prepare at once: the first that ends wins. What killed preparations left
    is removed. A set with archives is large: one process prepares it, and goes on from what is good
    where one before was stopped. One process marks; others go on without.

    Raises DataError for data that is missing, damaged or not the dataset; RunError where the
    prepared folder cannot be written or another process prepares the set; Interrupted.
    """
    dataset = _dataset(name)
    if dataset.source in sources.AT_HAND:
        return None
    sweep()
    folder = _ready(dataset, progress, verifying)
    marking.add(dataset, folder, marking_progress, warn)
    return folder


def sweep() -> list[Path]:
    """Removes what killed preparations left, of any dataset, and returns that.

    Raises UsageError where the folder of prepared data cannot be one.
    """
    return workplace.sweep(prepared_root())


def left_by_tfds() -> list[Path]:
    """What TensorFlow Datasets leaves where it is killed, and has there while it works.

    Raises UsageError where its folder cannot be one.
    """
    folders = (tfds_folder(dataset) for dataset in DATASETS.values() if dataset.source == "tfds")
    return sorted(p for f in folders for p in f.parent.glob(f"incomplete.*_{f.name}"))


def check(name: str, progress: Progress | None = None) -> list[str]:
    """Everything that is wrong with the dataset as it is here, one line each; [] if all is well.

    Reads and digests the whole set, and decodes every photograph; `progress(done, total)` is called
    with the number of examples. Prepares and downloads nothing. That some splits may be here in
    part is no fault, but `standing` says so. Raises UsageError for an unknown dataset.
    """
    return checking.problems(_dataset(name), progress, glance=False)


def glance(name: str) -> list[str]:
    """Like `check`, without decoding photographs that were decoded when they were prepared.

    Of more than a GiB of those only sizes and labels are verified.
    """
    return checking.problems(_dataset(name), None, glance=True)


def standing(name: str) -> str:
    """How much of a dataset without problems is here: "ok: ..." or "partial: ..."."""
    return presence.amount(presence.row(_dataset(name)))


# ---------------------------------------------------------------------------- one dataset


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    return DATASETS[name]


def _ready(
    dataset: Dataset, progress: Progress | None = None, verifying: Progress | None = None
) -> Path:
    """The prepared folder, prepared now where that has not been done."""
    folder = prepared_folder(dataset)
    if exists(folder, PREPARED):
        return folder
    if dataset.shape is None:
        write_photographs(dataset, _photographs(dataset, verifying), folder, progress)
        return folder
    splits = sources.read_tfds(dataset, sources.tfds_builder(dataset), progress)
    for split, whole in splits.items():
        if fault := content_fault(dataset, split, whole, tfds_folder(dataset)):
            raise DataError(f"{fault}; {official_files(dataset)}")
    write_arrays(dataset, splits, folder)
    return folder


def _photographs(dataset: Dataset, verifying: Progress | None) -> Archives | TfdsPhotographs:
    """The archives where they are all there; they are told as lacking where TFDS has no set."""
    if dataset.archives and (archives.complete(dataset) or not described(dataset)):
        return Archives(dataset, verifying)
    return TfdsPhotographs(dataset)


# Far more digits than any split has examples.
_SLICE = re.compile(r"(-?[0-9]{1,12})?:(-?[0-9]{1,12})?\]")


def _parse(dataset: Dataset, split: str) -> tuple[str, slice]:
    """`train[a:b]` as the name of the split and a slice with both ends given."""
    name, bracket, rest = split.partition("[")
    if name not in dataset.examples:
        raise unknown(f"split of {dataset.name}", name[:80], dataset.examples)
    total, official = presence.examples(dataset)[name], dataset.examples[name]
    if not bracket:
        return name, slice(0, total)
    shown = split if len(split) <= 80 else f"{split[:77]}..."
    match = _SLICE.fullmatch(rest)
    if not match:
        raise UsageError(
            f"split '{shown}': accepted are {name}, {name}[:N], {name}[-N:], {name}[A:B], with "
            f"numbers up to {total:,}"
        )
    ends = [None if end is None else int(end) for end in match.groups()]
    if any(end is not None and abs(end) > total for end in ends):
        here = f", of which {total:,} are here" if total < official else ""
        raise UsageError(f"split '{shown}' goes beyond the {official:,} examples of {name}{here}")
    start, stop, _ = slice(*ends).indices(total)
    if start >= stop:
        raise UsageError(f"split '{shown}' holds no examples; accepted are A below B")
    return name, slice(start, stop)
