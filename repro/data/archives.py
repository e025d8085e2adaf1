"""ImageNet's archives: whether they are the official ones, and the photographs in them.

The archive of training photographs holds a tar for each class, named by its number in WordNet; that
of validation holds photographs alone, and their classes come from another file. Labels count the
classes in the order of their WordNet numbers.

The order of the photographs is that of TensorFlow Datasets, by the MD5 of the split's name and the
file's name: it has nothing to do with the classes, so that each slice is a sample of all.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from repro.data.access import exists, unreadable
from repro.data.folders import TFDS
from repro.data.growing import ROW
from repro.data.photographs import threads
from repro.data.places import archive_folder, lacking_archives
from repro.data.sets import Dataset, Progress
from repro.errors import DataError

DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
BLOCK = 2**15  # of more, tarfile copies what is left at each step
SOME = 256  # photographs that are held at a time


def faults(dataset: Dataset) -> list[str]:
    """The archives that cannot be whole, by their sizes; reads none.

    Raises DataError for one that cannot be seen.
    """
    lines = []
    for archive in dataset.archives.values():
        path = archive_folder() / archive.name
        if exists(path, TFDS) and (size := path.stat().st_size) != archive.bytes:
            what = f"{size:,} bytes, the official file {archive.bytes:,}"
            lines.append(f"{path} has {what}: put the whole file there")
    return lines


def here(dataset: Dataset) -> str:
    """Which of the archives lie where they belong, and which do not."""
    lacking = lacking_archives(dataset)
    there = [a.name for a in dataset.archives.values() if a.name not in lacking]
    text = f"{' and '.join(there)} in {archive_folder()}" if there else ""
    if there and lacking:
        text += ", lacking "
    return text + " and ".join(lacking if there else ())


def complete(dataset: Dataset) -> bool:
    """Whether all is there in the right size that the dataset is made of. Raises DataError."""
    named = bool(dataset.archives) and not lacking_archives(dataset)
    return named and not faults(dataset) and (not dataset.labels or _labels(dataset) is not None)


class Archives:
    """The photographs of a dataset, from its archives. Raises DataError where these are lacking.

    counts: photographs of each split. bytes: of all, or a little more. verifying: told how many
    bytes have been read, and of how many, while archives are held to their digests.
    """

    def __init__(self, dataset: Dataset, verifying: Progress | None = None):
        problems = faults(dataset)
        if lacking := lacking_archives(dataset):
            more = "".join(f"; {problem}" for problem in problems)
            raise DataError(
                f"{dataset.name} is missing, and needs a licence: register at image-net.org, put "
                f"{' and '.join(lacking)} into {archive_folder()}, then do: repro data prepare "
                f"{dataset.name}{more}; experiments on imagenette, ten of its classes, need none "
                "of this"
            )
        if problems:
            raise DataError("; ".join(problems))
        if dataset.labels and _labels(dataset) is None:
            raise DataError(_no_labels(dataset))
        self._dataset, self._verifying = dataset, verifying
        self.counts = dataset.examples
        self.bytes = sum(archive.bytes for archive in dataset.archives.values())
        self._known: dict[str, dict[str, np.ndarray]] = {}
        self._labels: dict[str, np.ndarray] = {}

    def where(self, split: str) -> Path:
        return archive_folder() / self._dataset.archives[split].name

    def origin(self, split: str) -> str:
        return self._dataset.archives[split].sha256

    def look(self, aside: Path) -> None:
        """Holds the archives to their digests and finds the photographs in them.

        What was found stays in `aside`, and holds as long as an archive keeps its size and time.
        Raises DataError, and OSError where `aside` cannot be written.
        """
        archives = self._dataset.archives
        for split in archives:
            if found := _remembered(_memory(aside, split), self.where(split)):
                self._hold(split, found)
        unknown = [split for split in archives if split not in self._known]
        done, total = 0, sum(archives[split].bytes for split in unknown)
        # The shortest first: what is wrong with it is told soon.
        for split in sorted(unknown, key=lambda split: archives[split].bytes):
            found = _read_through(self.where(split), split, partial(self._tell, done, total))
            _remember(_memory(aside, split), found)
            self._hold(split, found)
            done += archives[split].bytes
        self._label()

    def batches(
        self, split: str, first: int
    ) -> Iterator[tuple[list[bytes], np.ndarray, np.ndarray]]:
        """Photographs from number `first` on, some at a time: files, labels, names of files.

        Raises DataError.
        """
        found, path = self._known[split], self.where(split)
        with _opened(path) as archive:
            for start in range(first, len(found["names"]), SOME):
                rows = slice(start, start + SOME)
                places = zip(found["offsets"][rows], found["sizes"][rows], strict=True)
                read = partial(_read, archive.fileno(), path)
                files = list(threads().map(read, places))
                yield files, self._labels[split][rows], found["names"][rows]

    def doubt(self, aside: Path, split: str) -> str:
        """What to do about a photograph that is broken; the archive is read again next time."""
        _memory(aside, split).unlink(missing_ok=True)
        return (
            "the archive was the official one when it was read, so either the disk has changed "
            f"since or this machine's Pillow fails: do `repro data prepare {self._dataset.name}` "
            "again, which reads the archive again, then `pip install --force-reinstall pillow`"
        )

    def _tell(self, before: int, total: int, done: int) -> None:
        if self._verifying:
            self._verifying(before + done, total)

    def _hold(self, split: str, found: dict[str, np.ndarray]) -> None:
        digest, official = str(found["sha256"]), self._dataset.archives[split].sha256
        if digest != official:
            raise DataError(
                f"{self.where(split)} is not the official file: its SHA-256 is {digest}, wanted is "
                f"{official}; put the official file there"
            )
        self._known[split] = found

    def _label(self) -> None:
        """Labels for the photographs, each class by its place among the sorted names."""
        names = _labels(self._dataset) or []
        classes = {name for found in self._known.values() for name in found["classes"].tolist()}
        order = sorted((classes | set(names)) - {b""})
        number = {name: place for place, name in enumerate(order)}
        for split, found in self._known.items():
            of_each = found["classes"].tolist()
            if b"" in of_each:
                of_file = dict(zip(sorted(found["names"].tolist()), names, strict=False))
                of_each = [of_file.get(name, b"") for name in found["names"].tolist()]
            self._labels[split] = np.array([number.get(name, -1) for name in of_each], np.int32)


# ---------------------------------------------------------------------------- what is remembered


def _memory(aside: Path, split: str) -> Path:
    return aside / f"{split}-archive.npz"


def _remember(memory: Path, found: dict[str, np.ndarray]) -> None:
    beside = memory.with_suffix(".new")
    with open(beside, "wb") as file:
        np.savez(file, **found)
    os.replace(beside, memory)


def _remembered(memory: Path, archive: Path) -> dict[str, np.ndarray] | None:
    """What was found in an archive that is still the same; None where that is not known."""
    try:
        with np.load(memory, allow_pickle=False) as kept:
            found = dict(kept)
        return found if str(found["stamp"]) == _stamp(archive) else None
    except Exception:  # of many types, from a damaged file; the archive is read again
        return None


def forget(aside: Path, split: str) -> None:
    """Removes what is remembered of an archive."""
    for path in (_memory(aside, split), _memory(aside, split).with_suffix(".new")):
        path.unlink(missing_ok=True)


def _stamp(archive: Path) -> str:
    """What changes where a file is replaced."""
    facts = archive.stat()
    return f"{facts.st_size} bytes, time {facts.st_mtime_ns}"


# ---------------------------------------------------------------------------- what is in a tar


class _Digested(io.RawIOBase):
    """Reads a file, and digests what is read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]):
        self._file, self._told = file, tell
        self.digest, self.done = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self.digest.update(part)
        self.done += len(part)
        self._told(self.done)
        return part


def _read_through(path: Path, split: str, tell: Callable[[int], None]) -> dict[str, np.ndarray]:
    """Reads an archive once: its digest, and where its photographs lie, in the order of the set.

    Raises DataError.
    """
    with _opened(path) as file:
        stamp, reading = _stamp(path), _Digested(file, tell)
        try:
            photographs = list(_photographs(reading))
            while reading.read(BLOCK):
                pass
        except OSError as error:
            raise unreadable(path, error, TFDS) from error
        except Exception as error:  # of many types, from a damaged tar
            raise DataError(
                f"{path} is damaged, before its byte {reading.done:,}: {error}; put the official "
                "file there"
            ) from error
    salt = split.encode()
    photographs.sort(key=lambda photograph: _place(salt + photograph[0]))
    names, classes, offsets, sizes = zip(*photographs, strict=True) if photographs else ((),) * 4
    return {
        "stamp": np.array(stamp),
        "sha256": np.array(reading.digest.hexdigest()),
        "names": np.array(names, ROW["names"]),
        "classes": np.array(classes, "S40"),
        "offsets": np.array(offsets, np.int64),
        "sizes": np.array(sizes, np.int64),
    }


def _place(key: bytes) -> bytes:
    return hashlib.md5(key, usedforsecurity=False).digest()


def _photographs(archive: Any) -> Iterator[tuple[bytes, bytes, int, int]]:
    """The name, the class, the place of the first byte and the size of each photograph."""
    with tarfile.open(fileobj=archive, mode="r|", bufsize=BLOCK) as tar:
        for member in tar:
            if not member.isfile():
                continue
            if member.name.endswith(".tar"):
                of_class = Path(member.name).stem.encode()
                for name, _, offset, size in _photographs(tar.extractfile(member)):
                    yield name, of_class, member.offset_data + offset, size
            else:
                yield Path(member.name).name.encode(), b"", member.offset_data, member.size


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise unreadable(path, error, TFDS) from error


def _read(handle: int, path: Path, place: tuple[int, int]) -> bytes:
    """The bytes of a photograph; place: its offset and its size."""
    offset, size = map(int, place)
    try:
        file = os.pread(handle, size, offset)
    except OSError as error:
        raise unreadable(path, error, TFDS) from error
    if len(file) < size:
        raise DataError(f"{path} ends before its byte {offset + size:,}; put the whole file there")
    return file


# ---------------------------------------------------------------------------- validation's classes


def _labels(dataset: Dataset) -> list[bytes] | None:
    """The class of each photograph in an archive without classes, in the order of their names.

    None where no file says them. Raises DataError for one that cannot be read.
    """
    for lines in (_from_tfds, _from_devkit):
        text = lines()
        if text is not None and hashlib.sha256(text).hexdigest() == dataset.labels:
            return text.split()
    return None


def _no_labels(dataset: Dataset) -> str:
    put = f"put the official {DEVKIT} into {archive_folder()}"
    if exists(archive_folder() / DEVKIT, TFDS):
        return f"{archive_folder() / DEVKIT} does not hold the classes of {dataset.title}; {put}"
    return (
        f"{dataset.name} lacks the file with the classes of its validation photographs; accepted "
        f"is that which comes with TensorFlow Datasets (pip install tensorflow-datasets); or {put}"
    )


def _from_tfds() -> bytes | None:
    """The file of WordNet numbers that comes with TensorFlow Datasets, which is not imported."""
    package = find_spec("tensorflow_datasets")
    if package is None or package.origin is None:
        return None
    file = Path(package.origin).parent / "datasets" / "imagenet2012" / "validation_labels.txt"
    try:
        return b"".join(name + b"\n" for name in file.read_bytes().split())
    except OSError:
        return None


def _from_devkit() -> bytes | None:
    """The same from the development kit: a number for each photograph, and a table of numbers."""
    path = archive_folder() / DEVKIT
    if not exists(path, TFDS):
        return None
    from scipy.io import loadmat

    try:
        with tarfile.open(path, "r:gz") as kit:
            files = {Path(m.name).name: kit.extractfile(m).read() for m in kit if m.isfile()}
        table = loadmat(io.BytesIO(files["meta.mat"]), squeeze_me=True)["synsets"]
        names = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in table}
        numbers = files["ILSVRC2012_validation_ground_truth.txt"].split()
        return "".join(f"{names[int(number)]}\n" for number in numbers).encode()
    except Exception as error:  # of many types, from a damaged file
        if isinstance(error, OSError) and error.errno:
            raise unreadable(path, error, TFDS) from error
        return None
