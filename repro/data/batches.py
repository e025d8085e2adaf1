"""The order in which a run sees its examples.

The stream of a run is one permutation of the (augmented) training set after another. Permutation
e is keyed by (seed, e) and update u takes positions u * batch to (u + 1) * batch, so what an update
sees depends on nothing but its number: a resumed run goes on as if it had never stopped.
"""

import queue
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from repro.errors import UsageError


class Batches:
    """The endless stream of batches of one run.

    images: float32 [N, ...], preprocessed; or photographs, for an augmentation that takes those.
    labels: [N].
    batch: examples per update. seed: an integer from 0.
    augmentation: one of `repro.data.augmentation`, or None; `fill` is the background value that it
    puts where a moved image leaves a gap.

    `size` is the number of examples in one pass, augmented copies included; `shape` that of one.
    Raises UsageError for a batch below 1, a negative seed, or sets that do not fit together.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int,
        seed: int,
        augmentation: Any = None,
        fill: float = 0.0,
    ):
        if len(images) != len(labels) or len(images) == 0:
            raise UsageError(f"{len(images)} images and {len(labels)} labels make no training set")
        if batch < 1:
            raise UsageError(f"batch {batch}: accepted is a number from 1")
        if seed < 0:
            raise UsageError(f"seed {seed}: accepted is a number from 0")
        self._images = images
        self._labels = np.asarray(labels, np.int32)
        self._batch = batch
        self._seed = seed
        self._augmentation = augmentation
        self._fill = fill
        n = len(images)
        self.size = augmentation.size(n) if augmentation else n
        self.shape = self._examples(np.zeros(1, np.int64), 0)[0].shape[1:]
        # A permutation costs more than a chunk of small batches; two cover a chunk on a border.
        self._order = lru_cache(maxsize=2)(self._permutation)

    def chunk(self, first_update: int, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """What updates `first_update`, `first_update + 1`, ... see: a function of its arguments.

        Returns images float32 [updates, batch, ...] and labels int32 [updates, batch].
        """
        position = first_update * self._batch
        end = position + updates * self._batch
        images = np.empty((end - position, *self.shape), np.float32)
        labels = np.empty(end - position, np.int32)
        done = 0
        while position < end:
            epoch, offset = divmod(position, self.size)
            count = min(end - position, self.size - offset)
            index = self._order(epoch)[offset : offset + count]
            rows = slice(done, done + count)
            images[rows], labels[rows] = self._examples(index, epoch)
            position += count
            done += count
        shape = (updates, self._batch)
        return images.reshape(*shape, *images.shape[1:]), labels.reshape(shape)

    def stream(
        self, first: int, last: int, chunk_updates: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Chunks that cover the updates `first` to `last` (exclusive), made ahead in a thread.

        Each holds `chunk_updates` updates, the last one what remains. At most two wait at a time.
        An error in the thread is raised here; leaving the loop early ends the thread.
        """
        chunks: queue.Queue = queue.Queue(maxsize=2)
        stop = threading.Event()

        def put(item: Any) -> None:
            while not stop.is_set():
                try:
                    return chunks.put(item, timeout=0.1)
                except queue.Full:
                    pass

        def produce() -> None:
            try:
                for start in range(first, last, chunk_updates):
                    if stop.is_set():
                        return
                    put(self.chunk(start, min(chunk_updates, last - start)))
                put(None)
            except BaseException as error:
                put(error)

        thread = threading.Thread(target=produce, name="repro-batches", daemon=True)
        thread.start()
        try:
            while (item := chunks.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            thread.join()

    def _permutation(self, epoch: int) -> np.ndarray:
        # The raw words of Philox are guaranteed to stay as they are from one NumPy to the next,
        # which `Generator.permutation` is not; a stable sort of distinct words is a permutation.
        words = np.random.Philox(key=np.array([self._seed, epoch], np.uint64)).random_raw(self.size)
        return np.argsort(words, kind="stable")

    def _examples(self, index: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        n = len(self._images)
        original = index % n
        images = self._images[original]
        if self._augmentation:
            images = self._augmentation(images, index, n, self._seed, epoch, self._fill)
        return images, self._labels[original]
