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
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from repro.data import sources, workplace
from repro.data.access import exists, read_text
from repro.data.digests import array_digests, content_fault
from repro.data.folders import PREPARED, prepared_root
from repro.data.photographs import Photographs
from repro.data.places import (
    archive_folder,
    lacking_archives,
    official_files,
    prepared_folder,
    tfds_folder,
)
from repro.data.sets import DATASETS, Dataset, Progress, Split
from repro.data.store import RECORD, damaged, parse_record, read_prepared, read_record
from repro.data.writing import write_arrays, write_photographs
from repro.errors import DataError, ReproError, UsageError, unknown

# Up to how many bytes of photographs a glance reads.
GLANCED = 2**30
# How many photographs that cannot be decoded are named.
NAMED = 3


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
        return Split(whole.images.part(rows.start, rows.stop), whole.labels[rows])
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
        "examples": dict(_examples(dataset)),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def available() -> list[dict]:
    """Every dataset with its state, without reading it; never raises.

    Keys: name, version, title, state, path (or None), examples per split (those that are here, once
    it is prepared), official (the examples of the whole set), problem (what is wrong with it and
    what to do, or None). The state is "prepared", "in TFDS_DATA_DIR", "archives in TFDS_DATA_DIR",
    "comes with scikit-learn", "drawn here", "missing", or "unreadable".
    """
    return [_row(dataset) for dataset in DATASETS.values()]


def ready(name: str) -> bool:
    """Whether `load` reads the dataset as it is here, and neither prepares nor downloads it.

    Raises UsageError for an unknown dataset.
    """
    dataset = _dataset(name)
    if dataset.source in sources.AT_HAND:
        return dataset.source != "scikit-learn" or find_spec("sklearn") is not None
    return _row(dataset)["state"] == "prepared"


def prepare(name: str, progress: Progress | None = None) -> Path | None:
    """Gets the dataset ready and returns its folder (None where there is nothing to prepare).

    Does nothing where that has been done. Otherwise reads the set from `$TFDS_DATA_DIR`, without
    the network; only where it is not there, downloads it, or makes it of the archives that were put
    there (with a progress bar of its own). Then `progress(done, total)` is called with the number
    of examples read. Several processes may prepare at once: the first that ends wins. What killed
    preparations left is removed.

    Raises DataError for data that is missing, damaged or not the dataset; RunError where the
    prepared folder cannot be written.
    """
    dataset = _dataset(name)
    if dataset.source in sources.AT_HAND:
        return None
    sweep()
    return _ready(dataset, progress)


def sweep() -> list[Path]:
    """Removes what killed preparations left, of any dataset, and returns that.

    Raises UsageError where the folder of prepared data cannot be one.
    """
    return workplace.sweep(prepared_root())


def check(name: str, progress: Progress | None = None) -> list[str]:
    """Everything that is wrong with the dataset as it is here, one line each; [] if all is well.

    Reads and digests the whole set, and decodes every photograph; `progress(done, total)` is called
    with the number of examples. Prepares and downloads nothing. That some splits may be here in
    part is no fault, but `standing` says so. Raises UsageError for an unknown dataset.
    """
    return _problems(_dataset(name), progress, glance=False)


def glance(name: str) -> list[str]:
    """Like `check`, without decoding photographs that were decoded when they were prepared.

    Of more than a GiB of those only sizes and labels are verified.
    """
    return _problems(_dataset(name), None, glance=True)


def standing(name: str) -> str:
    """How much of a dataset without problems is here: "ok: ..." or "partial: ..."."""
    row = _row(_dataset(name))
    examples, official = row["examples"], row["official"]
    if examples == official:
        return "ok: all of " + " and ".join(f"{n:,} {split}" for split, n in examples.items())
    numbers = [f"{split} {n:,} of {official[split]:,}" for split, n in examples.items()]
    return f"partial: {', '.join(numbers)}"


# ---------------------------------------------------------------------------- one dataset


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    return DATASETS[name]


def _ready(dataset: Dataset, progress: Progress | None = None) -> Path:
    """The prepared folder, prepared now where that has not been done."""
    folder = prepared_folder(dataset)
    if not exists(folder, PREPARED):
        builder = sources.tfds_builder(dataset)
        if dataset.shape is None:
            write_photographs(dataset, builder, folder, progress)
        else:
            splits = sources.read_tfds(dataset, builder, progress)
            for split, whole in splits.items():
                if fault := content_fault(dataset, split, whole, tfds_folder(dataset)):
                    raise DataError(f"{fault}; {official_files(dataset)}")
            write_arrays(dataset, splits, folder)
    return folder


# Far more digits than any split has examples.
_SLICE = re.compile(r"(-?[0-9]{1,12})?:(-?[0-9]{1,12})?\]")


def _parse(dataset: Dataset, split: str) -> tuple[str, slice]:
    """`train[a:b]` as the name of the split and a slice with both ends given."""
    name, bracket, rest = split.partition("[")
    if name not in dataset.examples:
        raise unknown(f"split of {dataset.name}", name[:80], dataset.examples)
    total, official = _examples(dataset)[name], dataset.examples[name]
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


def _examples(dataset: Dataset) -> Mapping[str, int]:
    """Examples per split: those that are prepared, or else the official ones."""
    if dataset.partial:
        try:
            text = read_text(prepared_folder(dataset) / RECORD, PREPARED)
        except ReproError:
            text = None  # told where the data is read
        if record := parse_record(dataset, text):
            return record.examples
    return dataset.examples


def _row(dataset: Dataset) -> dict:
    try:
        state, path, problem = _state(dataset)
        examples = _examples(dataset)
        if state == "in TFDS_DATA_DIR":
            held = sources.held(dataset)
            examples, problem = held.examples or examples, held.problem
    except ReproError as error:
        state, path, problem, examples = "unreadable", None, str(error), dataset.examples
    return {
        "name": dataset.name,
        "version": dataset.version,
        "title": dataset.title,
        "state": state,
        "path": str(path) if path else None,
        "examples": dict(examples),
        "official": dict(dataset.examples),
        "problem": problem,
    }


def _state(dataset: Dataset) -> tuple[str, Path | None, str | None]:
    """The state, where it lies, and what is wrong with it."""
    if dataset.source in sources.AT_HAND:
        comes = dataset.source == "scikit-learn"
        return "comes with scikit-learn" if comes else dataset.source, None, None
    folder = prepared_folder(dataset)
    if exists(folder, PREPARED):
        try:
            read_record(dataset, folder)
        except DataError as error:
            return "prepared", folder, str(error)
        return "prepared", folder, None
    if sources.described(dataset):
        return "in TFDS_DATA_DIR", tfds_folder(dataset), None
    if dataset.archives and not lacking_archives(dataset):
        return "archives in TFDS_DATA_DIR", archive_folder(), None
    return "missing", None, None


# ---------------------------------------------------------------------------- what is wrong


def _problems(dataset: Dataset, progress: Progress | None, glance: bool) -> list[str]:
    try:
        if made := sources.AT_HAND.get(dataset.source):
            made(dataset)
            return []
        folder = prepared_folder(dataset)
        if not exists(folder, PREPARED):
            row = _row(dataset)
            where = f" (it is in {row['path']})" if row["path"] else ""
            todo = f"{dataset.name} is not prepared{where}; do: repro data prepare {dataset.name}"
            return [row["problem"] or todo]
        examples = read_record(dataset, folder).examples
    except ReproError as error:
        return [str(error)]
    problems, done, total = [], 0, sum(examples.values())
    for split, number in examples.items():

        def tell(seen: int, before: int = done) -> None:
            if progress:
                progress(before + seen, total)

        try:
            problems += _of_split(dataset, folder, split, tell, glance)
        except DataError as error:
            problems.append(str(error))
        done += number
        tell(number)
    return list(dict.fromkeys(problems))


def _of_split(dataset: Dataset, folder: Path, split: str, tell, glance: bool) -> list[str]:
    """The photographs of a prepared split that cannot be decoded. Raises DataError for the rest."""
    record = read_record(dataset, folder)
    if dataset.shape is not None:
        whole = read_prepared(dataset, folder, split, digests=True)
        if fault := content_fault(dataset, split, whole, folder):
            raise damaged(dataset, folder, fault)
        return []
    array = record.arrays[f"{split}-encoded"]
    if glance and record.decoded:
        read_prepared(dataset, folder, split, digests=array.bytes <= GLANCED)
        return []
    whole = read_prepared(dataset, folder, split)
    digest, faults = whole.images.examine(tell)
    if digest != array.sha256:
        file = folder / f"{split}-encoded.npy"
        raise damaged(dataset, folder, f"{file} was altered since it was prepared")
    if fault := content_fault(dataset, split, whole, folder):
        raise damaged(dataset, folder, fault)
    if not faults:
        return []
    names = "; ".join(f"photograph {number} {why}" for number, why in faults[:NAMED])
    more = " ..." if len(faults) > NAMED else ""
    problem = (
        f"{len(faults):,} of the {len(whole.labels):,} photographs of {split} in {folder} cannot "
        f"be decoded ({names}{more}), and came so"
    )
    if sources.described(dataset):  # from there they would come so again
        problem += f"; move {tfds_folder(dataset)} away, or put the official files there"
    return [str(damaged(dataset, folder, problem))]
