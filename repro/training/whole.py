"""Tests on whole photographs: many views of each, of several sizes.

Views wait on the host, in bytes, for others of their size, and go through the network together. A
photograph is done when all of its views have been. So the order is another one than that of the
test set; but each photograph comes once, with its number.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repro import backends
from repro.data import preprocessing, views
from repro.data.photographs import Lazily, threads
from repro.prefetch import prefetched
from repro.training.guesses import LogProbabilities
from repro.training.protocols import OfWhole

DECODED = 16  # photographs at once, while the network scores as many; with 144 crops each, 0.7 GB
MOST_WAITING = 256 * 2**20  # bytes of views


@dataclass(frozen=True)
class Waiting:
    """A view uint8 [height, width, 3] of photograph `number`; what its softmax counts, as a log."""

    number: int
    view: np.ndarray
    weight: float


@dataclass
class Sum:
    """The log of a mean softmax [classes] in the making, and how many views it still lacks."""

    missing: int
    total: np.ndarray | float = field(default=-math.inf)

    def add(self, logs: np.ndarray) -> bool:
        """Whether it is whole with these."""
        self.total = np.logaddexp(self.total, logs)
        self.missing -= 1
        return self.missing == 0


class Whole:
    """Tests a network by a protocol on whole photographs. batch: views of its own size at once.

    On JAX a network is compiled for each size of views, with one number of them: the rest of a
    batch is zeros there. At one scale, the 3,925 test photographs of Imagenette have 308 sizes; the
    50,000 of ImageNet must have more. Elsewhere it is compiled once, for any, or not at all.
    """

    def __init__(self, model: Any, protocol: OfWhole, batch: int):
        from repro.networks.convolutional import fully_convolutional, mirrored_too

        self._side, self._batch = model.input_shape[1], batch
        self._looks = protocol.looks(self._side)
        self._networks = {}
        for dense in {look.dense for look in self._looks}:
            network = mirrored_too(fully_convolutional(model) if dense else model)
            self._networks[dense] = backends.here().scorer(network, LogProbabilities())
        self._filled_up = backends.name() == "jax"

    def over(
        self, images: Lazily, count: int
    ) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Numbers of photographs, and the logs of the mean softmax of each, [n, classes].

        images: the squares that are made of them; what is done to these after the cut is done to
        the views. The first `count` of them.
        """
        square, *after = images.steps
        after = views.anywhere(after)
        sums: dict[int, Sum] = {}
        waiting: dict[tuple, list[Waiting]] = {}
        held = 0

        def through(key: tuple) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            """The views that wait there."""
            nonlocal held
            some = waiting.pop(key)
            held -= sum(one.view.nbytes for one in some)
            done = []
            for one, logs in zip(some, self._logs(key, some, after), strict=True):
                if sums[one.number].add(logs + one.weight):
                    done.append(one.number)
            if done:
                yield np.array(done), np.stack([sums.pop(number).total for number in done])

        with closing(prefetched(self._seen(images, count, square.interpolation))) as made:
            for numbers, cuts in made:
                for key, one in self._views(numbers, cuts, sums):
                    waiting.setdefault(key, []).append(one)
                    held += one.view.nbytes
                    if len(waiting[key]) == self._size(key):
                        yield from through(key)
                    elif held > MOST_WAITING:
                        yield from through(max(waiting, key=lambda key: len(waiting[key])))
        for key in list(waiting):
            yield from through(key)

    def _seen(self, images: Lazily, count: int, interpolation: str):
        """Numbers of photographs, and what each look cuts out of each."""

        def cut(image: np.ndarray) -> list[np.ndarray]:
            return [look.cut(image, interpolation) for look in self._looks]

        for first in range(0, count, DECODED):
            numbers = range(first, min(first + DECODED, count))
            photographs = images.images.undecoded(slice(numbers.start, numbers.stop))
            yield numbers, list(threads().map(cut, photographs))

    def _views(self, numbers: range, cuts: list, sums: dict):
        """What is to wait, and where; `sums` learns how much it is of each photograph."""
        for number, seen in zip(numbers, cuts, strict=True):
            sums[number] = Sum(sum(map(len, seen)))
            for look, some in zip(self._looks, seen, strict=True):
                weight = -math.log(len(some) * len(self._looks))
                for view in some:
                    yield (look.dense, *view.shape[:2]), Waiting(number, view, weight)

    def _size(self, key: tuple) -> int:
        """How many views go through the network at once; so do their mirror images."""
        _, height, width = key
        return max(1, int(self._batch * self._side**2 / (2 * height * width)))

    def _logs(self, key: tuple, some: list[Waiting], after: list) -> np.ndarray:
        images = preprocessing.apply(after, np.stack([one.view for one in some]))
        if self._filled_up:
            images = backends.padded(images, self._size(key))
        score = self._networks[key[0]]
        _, logs = score(images, np.zeros(len(images), "int32"))
        return np.asarray(logs)[: len(some)]
