"""The order in which a run sees its examples.

The stream of a run is one permutation of the (augmented) training set after another. That of pass p
is keyed by (seed, p), and update u takes positions u * batch to (u + 1) * batch, so what an update
sees depends on its number alone: a resumed run continues as if it had never stopped.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from repro.data.augmentation import Chain, Preprocessed
from repro.data.crew import Crew
from repro.data.draws import Draw
from repro.data.photographs import Photographs, some
from repro.errors import UsageError
from repro.limits import LARGEST_SEED

# Chunks that are being made or wait while another is trained on.
AHEAD = 3
SLOTS = AHEAD + 2  # in the memory of a crew: also the chunk that was given last, and one before


@dataclass(frozen=True, eq=False)
class Maker:
    """Makes examples of images: augments those that `index` names, in pass `pass_number`."""

    images: Any
    augmentation: Any
    seed: int
    fill: float

    def __call__(
        self, index: np.ndarray, pass_number: int, out: np.ndarray | None = None
    ) -> np.ndarray:
        """out: float32, for the result where that saves a copy; if so, it is what is returned."""
        images = some(self.images, index % len(self.images))
        if not self.augmentation:
            return images
        draw = self.draw(index, pass_number)
        if isinstance(self.augmentation, Chain | Preprocessed):
            return self.augmentation(images, draw, out)
        return self.augmentation(images, draw)

    def draw(self, index: np.ndarray, pass_number: int) -> Draw:
        return Draw(index, len(self.images), self.seed, pass_number, self.fill)


class Batches:
    """The endless stream of batches of one run.

    images: float32 [N, ...], preprocessed; or photographs, for an augmentation that takes those.
    labels: [N].
    batch: examples per update. seed: a whole number from 0 to `LARGEST_SEED`.
    augmentation: one of `repro.data.augmentation`, or None; `fill` is the background value that it
    puts where a moved image leaves a gap.
    placed: chunks say where images lie instead of holding them; see `repro.data.resident`.
    host, hosts: of several machines that train together, each makes its own part of every update:
        the host-th of `hosts` equal ones, from 0.

    `size` is the number of examples in one pass, augmented copies included; `shape` that of one,
    `chunk_shape` that of what a chunk holds of one.
    Raises UsageError for a batch below 1, another seed, or sets that do not fit together.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int,
        seed: int,
        augmentation: Any = None,
        fill: float = 0.0,
        placed: bool = False,
        host: int = 0,
        hosts: int = 1,
    ):
        if len(images) != len(labels) or len(images) == 0:
            raise UsageError(f"{len(images)} images and {len(labels)} labels make no training set")
        if batch < 1:
            raise UsageError(f"batch {batch}: accepted is a whole number from 1")
        if not 0 <= seed <= LARGEST_SEED:
            raise UsageError(f"seed {seed}: accepted is a whole number from 0 to {LARGEST_SEED:,}")
        self._images, self._maker = images, Maker(images, augmentation, seed, fill)
        self._labels = np.asarray(labels, np.int32)
        if batch % hosts or not 0 <= host < hosts:
            raise UsageError(f"batch {batch} on host {host} of {hosts}: accepted are equal parts")
        self._batch, self._share, self._host = batch, batch // hosts, host
        self._seed = seed
        self._crew: Crew | None = None
        self.size = augmentation.size(len(images)) if augmentation else len(images)
        self.shape = self._maker(np.zeros(1, np.int64), 0).shape[1:]
        self._make, self.chunk_shape, self._type = self._maker, self.shape, np.float32
        if placed:
            self._make, self.chunk_shape, self._type = self._places_of, (4,), np.int32
        # A permutation costs more than a chunk of small batches; two cover a chunk on a border.
        self._order = lru_cache(maxsize=2)(self._permutation)

    def chunk(self, first_update: int, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """What updates `first_update`, `first_update + 1`, ... see: a function of its arguments.

        Returns images float32 [updates, batch, ...] and labels int32 [updates, batch]; of several
        hosts, this one's part of each batch. If `placed`, in the place of images int32 [updates,
        batch, 4]: the number of each in the set, how far down and to the right its crop begins, and
        whether it is mirrored.
        """
        images = np.empty((updates * self._share, *self.chunk_shape), self._type)
        labels = np.empty(len(images), np.int32)
        for rows, index, pass_number in self._parts(first_update, updates):
            images[rows] = self._make(index, pass_number)
            labels[rows] = self._labels[index % len(self._labels)]
        return self._by_update(images, updates), self._by_update(labels, updates)

    def draws(self, image: int, count: int) -> np.ndarray:
        """The first `count` examples of one of the N images, from pass to pass: [count, ...].

        A pass may have several copies of an image: they come one after the other.
        """
        copies = self.size // len(self._images)
        made = (divmod(number, copies) for number in range(count))
        return np.concatenate(
            [self._maker(np.array([image + copy * len(self._images)]), p) for p, copy in made]
        )

    def _parts(self, first_update: int, updates: int) -> Iterator[tuple[slice, np.ndarray, int]]:
        """What a chunk sees of each pass: its rows in the chunk, its examples, the pass."""
        updates = range(first_update, first_update + updates)
        stretches = [(u * self._batch + self._host * self._share, self._share) for u in updates]
        if self._share == self._batch:
            stretches = [(first_update * self._batch, len(updates) * self._batch)]
        done = 0
        for position, length in stretches:
            end = position + length
            while position < end:
                pass_number, offset = divmod(position, self.size)
                count = min(end - position, self.size - offset)
                index = self._order(pass_number)[offset : offset + count]
                yield slice(done, done + count), index, pass_number
                position += count
                done += count

    def _by_update(self, values: np.ndarray, updates: int) -> np.ndarray:
        return values.reshape(updates, self._share, *values.shape[1:])

    def stream(
        self, first: int, last: int, chunk_updates: int
    ) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Chunks that cover the updates `first` to `last` (exclusive), made ahead.

        Each holds `chunk_updates` updates, the last one what remains. At most `AHEAD` are held
        beside the one that was given last. A thread makes them; of photographs as many processes as
        there are cores, which write over a chunk when the second after it has been asked for. What
        goes wrong there is raised here.
        """
        chunks = [
            (start, min(chunk_updates, last - start)) for start in range(first, last, chunk_updates)
        ]
        if isinstance(self._images, Photographs):
            yield from self._by_crew(chunks, chunk_updates)
        else:
            yield from self._by_thread(chunks)

    def _by_thread(self, chunks: list[tuple[int, int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        waiting = iter(chunks)
        maker = ThreadPoolExecutor(1, thread_name_prefix="repro-batches")
        try:
            made = deque(maker.submit(self.chunk, *chunk) for chunk in islice(waiting, AHEAD))
            while made:
                chunk = made.popleft().result()
                made.extend(maker.submit(self.chunk, *chunk) for chunk in islice(waiting, 1))
                yield chunk
        finally:
            maker.shutdown(cancel_futures=True)

    def _by_crew(
        self, chunks: list[tuple[int, int]], chunk_updates: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        room = chunk_updates * self._share
        if self._crew is None or len(self._crew.images) < SLOTS * room:
            self._crew = Crew(self._maker, self.shape, SLOTS * room)
        crew, waiting = self._crew, enumerate(chunks)
        together = crew.of_a_task(room)

        def begin(number: int, chunk: tuple[int, int]) -> tuple:
            place, turns = (number % SLOTS) * room, []
            labels = np.empty(chunk[1] * self._share, np.int32)
            for rows, index, pass_number in self._parts(*chunk):
                labels[rows] = self._labels[index % len(self._labels)]
                for start in range(0, len(index), together):
                    part = index[start : start + together]
                    turns.append(crew.begin((place + rows.start + start, part, pass_number)))
            images = crew.images[place : place + len(labels)]
            return turns, self._by_update(images, chunk[1]), self._by_update(labels, chunk[1])

        try:
            begun = deque(begin(*chunk) for chunk in islice(waiting, AHEAD))
            while begun:
                turns, images, labels = begun.popleft()
                for turn in turns:
                    crew.end(turn)
                begun.extend(begin(*chunk) for chunk in islice(waiting, 1))
                yield images, labels
        except BaseException:  # what has been begun would be taken for what is asked for next
            crew.close()
            self._crew = None
            raise

    def _permutation(self, pass_number: int) -> np.ndarray:
        # The raw words of Philox are guaranteed to stay as they are from one NumPy to the next,
        # which `Generator.permutation` is not; a stable sort of distinct words is a permutation.
        key = np.array([self._seed, pass_number], np.uint64)
        return np.argsort(np.random.Philox(key=key).random_raw(self.size), kind="stable")

    def _places_of(self, index: np.ndarray, pass_number: int) -> np.ndarray:
        places = np.zeros((len(index), 4), np.int32)
        places[:, 0] = index % len(self._images)
        if augmentation := self._maker.augmentation:
            draw = self._maker.draw(index, pass_number)
            places[:, 1:] = augmentation.cut.places(self._images.shape[1:], draw)
        return places
