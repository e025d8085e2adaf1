"""Where a run computes: one device, or all GPUs by `MirroredStrategy`.

Also what belongs to TensorFlow alone: the compiled loop that makes many updates in one call. The
order of updates and everything random is decided outside of it.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from repro.errors import UsageError, unknown

STRATEGIES = ("auto", "single", "mirrored")
SMALL_BATCH = 16  # below it an update is too short to be shared between cores


def configure(batch: int) -> int | None:
    """Chooses threads before TensorFlow starts; returns their number, None for all cores.

    One-example updates are too short to be shared between cores: one thread is as fast, and leaves
    the other cores to other seeds.
    """
    if batch >= SMALL_BATCH:
        return None
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it runs already: the threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf.config.threading.get_intra_op_parallelism_threads() or None


@dataclass(frozen=True)
class Devices:
    """The devices of a run. `strategy` is None on a single one."""

    name: str
    devices: tuple[str, ...]
    strategy: Any = None

    @property
    def replicas(self) -> int:
        return len(self.devices)

    def scope(self):
        """Variables of model and optimizer are made within it."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def compiler(self, batch: int) -> str:
        """What `loop` compiles with.

        XLA runs a one-example update 2.5 times faster, since it calls no operation one by one. It
        is not available under a strategy, and on CPU it is slower for whole batches.
        """
        return "xla" if self.strategy is None and batch < SMALL_BATCH else "graph"

    def loop(self, update: Callable, batch: int, size: int) -> Callable:
        """One compiled function that makes an update for each batch of a chunk.

        update(images [b, ...], labels [b]) -> (sum of losses, number wrong) is run on each replica
        with its part of the batch. The function takes images [n, batch, ...] and labels [n, batch],
        n up to `size`, and returns the two sums over all n updates.
        """
        import tensorflow as tf

        strategy = self.strategy

        def one(images, labels, i):
            return update(images[i], labels[i])

        @tf.function(jit_compile=True if self.compiler(batch) == "xla" else None)
        def loop(images, labels, updates):
            losses, wrong = 0.0, 0
            for i in tf.range(updates):
                tf.autograph.experimental.set_loop_options(parallel_iterations=1)
                if strategy is None:
                    loss, errors = one(images, labels, i)
                else:
                    loss, errors = strategy.run(one, args=(images, labels, i))
                    loss = strategy.reduce("SUM", loss, axis=None)
                    errors = strategy.reduce("SUM", errors, axis=None)
                losses += loss
                wrong += errors
            return losses, wrong

        def run(images, labels):
            updates = tf.constant(len(images))
            images, labels = (self._split(padded(part, size)) for part in (images, labels))
            losses, wrong = loop(images, labels, updates)
            return float(losses), int(wrong)

        return run

    def _split(self, chunk):
        """[updates, batch, ...] -> the part of each replica, cut along the batch."""
        import tensorflow as tf

        if self.strategy is None:
            return tf.convert_to_tensor(chunk)
        size = chunk.shape[1] // self.replicas

        def part(context):
            first = context.replica_id_in_sync_group * size
            return tf.convert_to_tensor(chunk[:, first : first + size])

        return self.strategy.experimental_distribute_values_from_function(part)


def padded(chunk: np.ndarray, size: int) -> np.ndarray:
    """A chunk of fewer updates filled up to `size`, so that one compiled function serves all."""
    missing = size - len(chunk)
    if not missing:
        return chunk
    return np.concatenate([chunk, np.zeros((missing, *chunk.shape[1:]), chunk.dtype)])


def check_backend() -> None:
    """Raises UsageError where Keras would not run on TensorFlow."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend == "tensorflow":
        import keras

        backend = keras.config.backend()
    if backend != "tensorflow":
        raise UsageError(f"KERAS_BACKEND={backend}: accepted for training is tensorflow")


def check_strategy(strategy: str) -> None:
    """Raises UsageError for a strategy that there is not; imports nothing slow."""
    if strategy == "multi-worker":
        raise UsageError("--strategy multi-worker: not there yet; accepted: auto, single, mirrored")
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)


def choose(strategy: str, batch: int) -> Devices:
    """The devices for `strategy`: "single", "mirrored", or "auto" (mirrored on several GPUs).

    Raises UsageError when the strategy is unknown, the devices are not there, or `batch` examples
    cannot be divided between them.
    """
    check_strategy(strategy)
    import tensorflow as tf

    gpus = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices("GPU")]
    cpus = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices("CPU")]
    several = gpus or cpus
    if strategy == "auto":
        divisible = len(gpus) > 1 and batch % len(gpus) == 0
        strategy = "mirrored" if divisible else "single"
    if strategy == "single":
        return Devices("single", tuple(several[:1]))
    if len(several) < 2:
        raise UsageError(
            f"--strategy mirrored needs two devices or more, here is {several[0]} alone; "
            "accepted here: auto, single"
        )
    if batch % len(several):
        raise UsageError(
            f"--strategy mirrored: a batch of {batch} cannot be divided between {len(several)} "
            "devices; accepted is a multiple, or --strategy single"
        )
    mirrored = tf.distribute.MirroredStrategy(several)
    return Devices("mirrored", tuple(several), mirrored)
