"""Whether data is the official data: digests of content, in any order."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from repro.data.photographs import Photographs
from repro.data.sets import Dataset, Split
from repro.errors import DataError


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


def verify_content(known: Dataset, name: str, split: Split, where: object) -> None:
    if known.shape is not None:
        wanted = (known.examples[name], *known.shape)
        if split.images.shape != wanted or split.labels.shape != wanted[:1]:
            raise DataError(
                f"{known.name} {known.version} {name} in {where} has images {split.images.shape} "
                f"and {len(split.labels)} labels; wanted are images {wanted}"
            )
    if name in known.content:
        verify_digest(known, name, content_digest(split), where)


def verify_digest(known: Dataset, name: str, digest: str, where: object) -> None:
    if digest != known.content.get(name, digest):
        raise DataError(
            f"{name} in {where} is not {known.title} ({known.name} {known.version}): "
            "its content differs from the official one; put the official files there"
        )


def miscounted(known: Dataset, counts: Mapping[str, int]) -> list[str]:
    """The splits that hold more or fewer examples than they may."""
    least = {n: 1 if n in known.partial else official for n, official in known.examples.items()}
    return [n for n, most in known.examples.items() if not least[n] <= counts[n] <= most]


def arrays_of(splits: Mapping[str, Split]) -> Iterator[tuple[str, np.ndarray]]:
    for name, split in splits.items():
        yield f"{name}-images", split.images
        yield f"{name}-labels", split.labels


def array_digests(splits: Mapping[str, Split]) -> dict[str, dict]:
    return {array: {"sha256": sha256(values)} for array, values in arrays_of(splits)}


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()
