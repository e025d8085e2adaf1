"""Whether data is the official data: digests of content, in any order, and numbers of examples."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from repro.data.photographs import Photographs
from repro.data.sets import Dataset, Split


def content_digest(split: Split) -> str:
    """Names the content of a split in any order: SHA-256 over the sorted SHA-256 of its examples.

    An example is the bytes of its image, or the file of its photograph, then its label as a
    little-endian int32.
    """
    images = split.images
    if isinstance(images, Photographs):
        contents = map(images.file, range(len(images)))
    else:
        contents = (image.tobytes() for image in images)
    return digest_of(map(example_digest, contents, split.labels))


def example_digest(image: bytes, label: int) -> bytes:
    return hashlib.sha256(image + np.asarray(label, "<i4").tobytes()).digest()


def digest_of(examples: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(examples))).hexdigest()


def content_fault(dataset: Dataset, name: str, split: Split, where: object) -> str | None:
    """What tells a split in `where` from the official one; None for the official one."""
    if dataset.shape is not None:
        wanted = (dataset.examples[name], *dataset.shape)
        if split.images.shape != wanted or split.labels.shape != wanted[:1]:
            return (
                f"{dataset.name} {dataset.version} {name} in {where} has images "
                f"{split.images.shape} and {len(split.labels)} labels; wanted are images {wanted}"
            )
    digest = content_digest(split) if name in dataset.content else ""
    return class_fault(dataset, name, split.labels, where) or digest_fault(
        dataset, name, digest, where
    )


def digest_fault(dataset: Dataset, name: str, digest: str, where: object) -> str | None:
    if digest == dataset.content.get(name, digest):
        return None
    return (
        f"{name} in {where} is not {dataset.title} ({dataset.name} {dataset.version}): its content "
        "differs from the official one"
    )


def class_fault(dataset: Dataset, name: str, labels: np.ndarray, where: object) -> str | None:
    """What is wrong with labels of other classes, or of too few or too many examples of one."""
    fault = f"{name} in {where} is not {dataset.title}"
    if not 0 <= np.min(labels) <= np.max(labels) < dataset.classes:
        return f"{fault}: it has other classes"
    if name not in dataset.per_class:
        return None
    least, most = dataset.per_class[name]
    if len(labels) < dataset.examples[name]:
        least = 0  # only some are here
    counts = np.bincount(labels, minlength=dataset.classes)
    wrong = np.flatnonzero((counts < least) | (counts > most))
    if len(wrong) == 0:
        return None
    wanted = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    count = counts[wrong[0]]
    return f"{fault}: it holds {count:,} examples of class {wrong[0]}, wanted are {wanted}"


def miscounted(dataset: Dataset, counts: Mapping[str, int]) -> list[str]:
    """The splits that hold more or fewer examples than they may."""
    return [
        name
        for name, official in dataset.examples.items()
        if not (1 if name in dataset.partial else official) <= counts[name] <= official
    ]


def arrays_of(splits: Mapping[str, Split]) -> Iterator[tuple[str, np.ndarray]]:
    for name, split in splits.items():
        yield f"{name}-images", split.images
        yield f"{name}-labels", split.labels


def array_digests(splits: Mapping[str, Split]) -> dict[str, str]:
    return {array: sha256(values) for array, values in arrays_of(splits)}


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()
