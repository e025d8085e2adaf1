"""Datasets: where they come from, whether they are the real ones, and fast access to them.

A set of TensorFlow Datasets is converted once into NumPy arrays in the prepared folder
(`$REPRO_DATA_DIR`, else `data/` below the working directory). From then on it is mapped into
memory, and neither TensorFlow nor TensorFlow Datasets is needed. Every set is held to a digest of
its content that is written here, so nothing else can pass under its name.

Sets of photographs, each of its own size, are kept as the files that they came in, and decoded when
they are asked for (`repro.data.photographs`). Not all of their splits can be held to a digest: of
those only the number of examples is known.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from repro.data import sources
from repro.data.digests import array_digests, miscounted, verify_content
from repro.data.folders import archive_folder, lacking_archives, prepared_folder, tfds_folder
from repro.data.photographs import Photographs
from repro.data.sets import DATASETS, Dataset, Progress, Split
from repro.data.store import read_prepared, read_record, write_photographs, write_prepared
from repro.errors import DataError, UsageError, unknown


def load(dataset: str, split: str) -> Split:
    """A split, or a slice of one in stored order: `train`, `train[:15000]`, `test[-100:]`.

    Prepares the dataset first where that has not been done. What is returned is verified against
    the digests made at preparation, and mapped into memory, read-only. Of photographs only the
    digest of the labels and the sizes of the files are verified, since to read ImageNet takes
    minutes; `check` reads them all.

    Raises UsageError for an unknown dataset or split and a malformed or empty slice or one that
    goes beyond the split; DataError for data that is missing, damaged, or not the dataset.
    """
    known = _known(dataset)
    name, part = _parse(known, split)
    if known.source == "scikit-learn":
        whole = sources.from_scikit_learn(known)[name]
    else:
        folder = prepare(dataset)
        name, part = _parse(known, split)  # less may be here than was known before
        whole = read_prepared(known, folder, name)
    if isinstance(whole.images, Photographs):
        return Split(whole.images.part(part.start, part.stop), whole.labels[part])
    return Split(whole.images[part], whole.labels[part])


def count(dataset: str, split: str) -> int:
    """How many examples a split, or a slice of one, has; reads no data. Raises UsageError.

    Of a set that may be here in part it counts those that are here, once it is prepared.
    """
    part = _parse(_known(dataset), split)[1]
    return part.stop - part.start


def facts(dataset: str) -> dict:
    """What the dataset is: name, version, title, classes, examples per split that are here, digest.

    `digest` names the arrays that are really there, values and order. It comes from the record of
    the preparation, which `load` holds the arrays to, so that this is cheap. Prepares the dataset
    where that has not been done. Raises UsageError and DataError like `load`.
    """
    known = _known(dataset)
    if known.source == "scikit-learn":
        digests = array_digests(sources.from_scikit_learn(known))
    else:
        digests = read_record(known, prepare(dataset))["arrays"]
    text = "".join(digests[array]["sha256"] for array in sorted(digests))
    return {
        "name": known.name,
        "version": known.version,
        "title": known.title,
        "classes": known.classes,
        "examples": dict(_examples(known)),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def available() -> list[dict]:
    """Every dataset with its state, without reading it.

    Keys: name, version, title, state, path (or None), examples per split (those that are here, once
    it is prepared), official (the examples of the whole set). The state is "prepared", "in
    TFDS_DATA_DIR", "archives in TFDS_DATA_DIR", "comes with scikit-learn", or "missing".
    """
    return [
        {
            "name": known.name,
            "version": known.version,
            "title": known.title,
            "state": (where := _state(known))[0],
            "path": str(where[1]) if where[1] else None,
            "examples": dict(_examples(known)),
            "official": dict(known.examples),
        }
        for known in DATASETS.values()
    ]


def prepare(name: str, progress: Progress | None = None) -> Path | None:
    """Gets the dataset ready and returns its folder (None where there is nothing to prepare).

    Does nothing where that has been done. Otherwise reads the set from `$TFDS_DATA_DIR`, without
    the network; only where it is not there, downloads it, or makes it of the archives that were put
    there (with a progress bar of its own). Then `progress(done, total)` is called with the number
    of examples read. Several processes may prepare at once: the first that ends wins.

    Raises DataError for data that is missing, damaged or not the dataset; RunError where the
    prepared folder cannot be written.
    """
    known = _known(name)
    if known.source == "scikit-learn":
        return None
    folder = prepared_folder(known)
    if not folder.exists():
        builder = sources.tfds_builder(known)
        if known.shape is None:
            write_photographs(known, builder, folder, progress)
        else:
            splits = sources.read_tfds(known, builder, progress)
            for split in splits:
                verify_content(known, split, splits[split], tfds_folder(known))
            write_prepared(known, splits, folder)
    return folder


def check(name: str) -> list[str]:
    """Everything that is wrong with the dataset as it is here, one line each; [] if all is well.

    Reads and digests the whole set. Prepares and downloads nothing.
    Raises UsageError for an unknown dataset.
    """
    known = _known(name)
    problems = []
    if known.source == "scikit-learn":
        try:
            sources.from_scikit_learn(known)
        except DataError as error:
            problems.append(str(error))
        return problems
    folder = prepared_folder(known)
    if not folder.exists():
        _, path = _state(known)
        found = f" (it lies in {path})" if path else ""
        return [f"{name} is not prepared{found}; do: repro data prepare {name}"]
    for split in known.examples:
        try:
            whole = read_prepared(known, folder, split, digests=True)
            verify_content(known, split, whole, folder)
        except DataError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems))


def _known(name: str) -> Dataset:
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    return DATASETS[name]


def _parse(known: Dataset, split: str) -> tuple[str, slice]:
    """`train[a:b]` as the name of the split and a slice with both ends given."""
    name, bracket, rest = split.partition("[")
    if name not in known.examples:
        raise unknown(f"split of {known.name}", name, known.examples)
    total, official = _examples(known)[name], known.examples[name]
    if not bracket:
        return name, slice(0, total)
    match = re.fullmatch(r"(-?\d+)?:(-?\d+)?\]", rest)
    if not match:
        raise UsageError(f"split '{split}': accepted are {name}, {name}[:N], {name}[-N:], [A:B]")
    ends = [None if end is None else int(end) for end in match.groups()]
    if any(end is not None and abs(end) > total for end in ends):
        here = f", of which {total:,} are here" if total < official else ""
        raise UsageError(f"split '{split}' goes beyond the {official:,} examples of {name}{here}")
    start, stop, _ = slice(*ends).indices(total)
    if start >= stop:
        raise UsageError(f"split '{split}' holds no examples")
    return name, slice(start, stop)


def _examples(known: Dataset) -> Mapping[str, int]:
    """Examples per split: those that were found if it is prepared, or else the official ones."""
    if known.partial:
        try:
            record = json.loads((prepared_folder(known) / "facts.json").read_text())
            if not miscounted(known, record["examples"]):
                return record["examples"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not prepared, or damaged, which is told where the data is read
    return known.examples


def _state(known: Dataset) -> tuple[str, Path | None]:
    if known.source == "scikit-learn":
        return "comes with scikit-learn", None
    if prepared_folder(known).exists():
        return "prepared", prepared_folder(known)
    if (tfds_folder(known) / "dataset_info.json").exists():
        return "in TFDS_DATA_DIR", tfds_folder(known)
    if known.archives and not lacking_archives(known):
        return "archives in TFDS_DATA_DIR", archive_folder()
    return "missing", None
