"""The order in which a run sees its examples.

The stream of a run is one permutation of the (augmented) training set after another. That of pass p
is keyed by (seed, p), and update u takes positions u * batch to (u + 1) * batch, so what an update
sees depends on its number alone: a resumed run continues as if it had never stopped.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from repro.data.draws import Draw
from repro.errors import UsageError
from repro.limits import LARGEST_SEED

# Chunks that are being made or wait while another is trained on.
AHEAD = 3


class Batches:
    """The endless stream of batches of one run.

    images: float32 [N, ...], preprocessed; or photographs, for an augmentation that takes those.
    labels: [N].
    batch: examples per update. seed: a whole number from 0 to `LARGEST_SEED`.
    augmentation: one of `repro.data.augmentation`, or None; `fill` is the background value that it
    puts where a moved image leaves a gap.
    placed: chunks say where images lie instead of holding them; see `repro.data.resident`.

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
    ):
        if len(images) != len(labels) or len(images) == 0:
            raise UsageError(f"{len(images)} images and {len(labels)} labels make no training set")
        if batch < 1:
            raise UsageError(f"batch {batch}: accepted is a whole number from 1")
        if not 0 <= seed <= LARGEST_SEED:
            raise UsageError(f"seed {seed}: accepted is a whole number from 0 to {LARGEST_SEED:,}")
        self._images = images
        self._labels = np.asarray(labels, np.int32)
        self._batch = batch
        self._seed = seed
        self._augmentation = augmentation
        self._fill = fill
        self.size = augmentation.size(len(images)) if augmentation else len(images)
        self.shape = self._images_of(np.zeros(1, np.int64), 0).shape[1:]
        self._make, self.chunk_shape, self._type = self._images_of, self.shape, np.float32
        if placed:
            self._make, self.chunk_shape, self._type = self._places_of, (4,), np.int32
        # A permutation costs more than a chunk of small batches; two cover a chunk on a border.
        self._order = lru_cache(maxsize=2)(self._permutation)

    def chunk(self, first_update: int, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """What updates `first_update`, `first_update + 1`, ... see: a function of its arguments.

        Returns images float32 [updates, batch, ...] and labels int32 [updates, batch]. If `placed`,
        in the place of images int32 [updates, batch, 4]: the number of each in the set, how far
        down and to the right its crop begins, and whether it is mirrored.
        """
        position = first_update * self._batch
        end = position + updates * self._batch
        images = np.empty((end - position, *self.chunk_shape), self._type)
        labels = np.empty(end - position, np.int32)
        done = 0
        while position < end:
            pass_number, offset = divmod(position, self.size)
            count = min(end - position, self.size - offset)
            index = self._order(pass_number)[offset : offset + count]
            rows = slice(done, done + count)
            images[rows] = self._make(index, pass_number)
            labels[rows] = self._labels[index % len(self._labels)]
            position += count
            done += count
        shape = (updates, self._batch)
        return images.reshape(*shape, *images.shape[1:]), labels.reshape(shape)

    def stream(
        self, first: int, last: int, chunk_updates: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Chunks that cover the updates `first` to `last` (exclusive), made ahead in a thread.

        Each holds `chunk_updates` updates, the last one what remains. At most `AHEAD` are held
        beside the one that was given last. An error in the thread is raised here; leaving the loop
        early ends the thread.
        """
        starts = iter(range(first, last, chunk_updates))

        def make(start: int) -> tuple[np.ndarray, np.ndarray]:
            return self.chunk(start, min(chunk_updates, last - start))

        maker = ThreadPoolExecutor(1, thread_name_prefix="repro-batches")
        try:
            chunks = deque(maker.submit(make, start) for start in islice(starts, AHEAD))
            while chunks:
                chunk = chunks.popleft().result()
                chunks.extend(maker.submit(make, start) for start in islice(starts, 1))
                yield chunk
        finally:
            maker.shutdown(cancel_futures=True)

    def _permutation(self, pass_number: int) -> np.ndarray:
        # The raw words of Philox are guaranteed to stay as they are from one NumPy to the next,
        # which `Generator.permutation` is not; a stable sort of distinct words is a permutation.
        key = np.array([self._seed, pass_number], np.uint64)
        return np.argsort(np.random.Philox(key=key).random_raw(self.size), kind="stable")

    def _images_of(self, index: np.ndarray, pass_number: int) -> np.ndarray:
        images = self._images[index % len(self._images)]
        if self._augmentation:
            images = self._augmentation(images, self._draw(index, pass_number))
        return images

    def _places_of(self, index: np.ndarray, pass_number: int) -> np.ndarray:
        places = np.zeros((len(index), 4), np.int32)
        places[:, 0] = index % len(self._images)
        if self._augmentation:
            draw = self._draw(index, pass_number)
            places[:, 1:] = self._augmentation.cut.places(self._images.shape[1:], draw)
        return places

    def _draw(self, index: np.ndarray, pass_number: int) -> Draw:
        return Draw(index, len(self._images), self._seed, pass_number, self._fill)
