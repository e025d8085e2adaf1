"""What is here of each dataset: prepared, in part, as others keep it, as archives, or nothing."""

from collections.abc import Mapping
from pathlib import Path

from repro.data import archives, growing, sources
from repro.data.access import exists, read_text
from repro.data.folders import PREPARED
from repro.data.places import archive_folder, described, prepared_folder, tfds_folder
from repro.data.sets import Dataset
from repro.data.store import RECORD, parse_record, read_record
from repro.data.workplace import unfinished
from repro.errors import DataError, ReproError


def examples(dataset: Dataset) -> Mapping[str, int]:
    """Examples per split: those that are prepared, or else the official ones."""
    if dataset.partial:
        try:
            text = read_text(prepared_folder(dataset) / RECORD, PREPARED)
        except ReproError:
            text = None  # told where the data is read
        if record := parse_record(dataset, text):
            return record.examples
    return dataset.examples


def row(dataset: Dataset) -> dict:
    """What `datasets.available` says of a dataset; never raises."""
    there = ""
    try:
        state, path, problem = _state(dataset)
        numbers = examples(dataset)
        if state == "in TFDS_DATA_DIR":
            held = sources.held(dataset)
            numbers, problem = held.examples or numbers, held.problem
        if state == "partly prepared":
            numbers = {split: growing.counted(path, split) for split in dataset.examples}
        if state == "missing" and dataset.archives:
            problem, there = "; ".join(archives.faults(dataset)) or None, archives.here(dataset)
    except ReproError as error:
        state, path, problem, numbers = "unreadable", None, str(error), dataset.examples
    return {
        "name": dataset.name,
        "version": dataset.version,
        "title": dataset.title,
        "state": state,
        "path": str(path) if path else None,
        "examples": dict(numbers),
        "official": dict(dataset.examples),
        "problem": problem,
        "archives": there,
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
    if any(growing.counted(unfinished(folder), split) for split in dataset.examples):
        return "partly prepared", unfinished(folder), None
    if archives.complete(dataset):
        return "archives in TFDS_DATA_DIR", archive_folder(), None
    if described(dataset):
        return "in TFDS_DATA_DIR", tfds_folder(dataset), None
    return "missing", None, None


def amount(row: dict) -> str:
    """How much of a dataset without problems is here: "ok: ..." or "partial: ..."."""
    numbers, official = row["examples"], row["official"]
    if numbers == official:
        return "ok: all of " + " and ".join(f"{n:,} {split}" for split, n in numbers.items())
    parts = [f"{split} {n:,} of {official[split]:,}" for split, n in numbers.items()]
    return f"partial: {', '.join(parts)}"
