"""What is wrong with a dataset as it is here, and what to do about it."""

from pathlib import Path

from repro.data import marking, sources
from repro.data.access import exists
from repro.data.digests import content_fault
from repro.data.folders import PREPARED
from repro.data.places import described, prepared_folder, tfds_folder
from repro.data.presence import amount, row
from repro.data.sets import Dataset, Progress
from repro.data.store import damaged, file_name, read_prepared, read_record
from repro.errors import DataError, ReproError

# Up to how many bytes of photographs a glance reads.
GLANCED = 2**30
# How many photographs that cannot be decoded are named.
NAMED = 3


def problems(dataset: Dataset, progress: Progress | None, glance: bool) -> list[str]:
    """One line each; [] if all is well. glance: does not decode again what was decoded."""
    try:
        if made := sources.AT_HAND.get(dataset.source):
            made(dataset)
            return []
        folder = prepared_folder(dataset)
        if not exists(folder, PREPARED):
            return [_unprepared(row(dataset))]
        examples = read_record(dataset, folder).examples
    except ReproError as error:
        return [str(error)]
    found, done, total = [], 0, sum(examples.values())
    for split, number in examples.items():

        def tell(seen: int, before: int = done) -> None:
            if progress:
                progress(before + seen, total)

        try:
            found += _of_split(dataset, folder, split, tell, glance)
        except DataError as error:
            found.append(str(error))
        done += number
        tell(number)
    return list(dict.fromkeys(found))


def _unprepared(seen: dict) -> str:
    """What is wrong with a set that is not prepared, and what to do."""
    if seen["problem"]:
        return seen["problem"]
    todo = f"do: repro data prepare {seen['name']}"
    if seen["state"] == "partly prepared":
        return f"{seen['name']} is not whole: {amount(seen)}, in {seen['path']}; {todo}"
    where = f"it is in {seen['path']}" if seen["path"] else seen["archives"]
    return f"{seen['name']} is not prepared{f' ({where})' if where else ''}; {todo}"


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
        return [marked] if (marked := marking.fault(dataset, record, folder, split)) else []
    some = [(n, file_name(dataset, folder, split, n), why) for n, why in faults[:NAMED]]
    texts = [f"photograph {n} {f'({name}) ' if name else ''}{why}" for n, name, why in some]
    names = "; ".join(texts)
    more = " ..." if len(faults) > NAMED else ""
    problem = (
        f"{len(faults):,} of the {len(whole.labels):,} photographs of {split} in {folder} cannot "
        f"be decoded ({names}{more}), and came so"
    )
    if described(dataset):  # from there they would come so again
        problem += f"; move {tfds_folder(dataset)} away, or put the official files there"
    return [str(damaged(dataset, folder, problem))]
