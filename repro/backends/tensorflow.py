"""TensorFlow: updates in one `tf.function`, several devices by `MirroredStrategy`."""

import contextlib
from collections.abc import Callable
from functools import cache

import numpy as np
import tensorflow as tf

from repro import backends
from repro.lazy import keras
from repro.networks.work import multiply_adds

# Multiply-adds of an example, up to which XLA compiles the loop over small batches: LeNet-5's size.
COMPILED_WHOLE = 2_000_000


def configure(batch: int) -> int | None:
    """One-example updates are too short to be shared between cores.

    One thread is as fast, and leaves the other cores to other seeds. float32 is float32 on GPUs
    too, where TensorFlow rounds the factors of products to ten bits (TF32) if it is not told.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if batch >= backends.SMALL_BATCH:
        return None
    with contextlib.suppress(RuntimeError):  # it runs already: the threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf.config.threading.get_intra_op_parallelism_threads() or None


def devices() -> list[str]:
    all_of = tf.config.list_logical_devices
    return [d.name.removeprefix("/device:") for d in all_of("GPU") or all_of("CPU")]


def gpus() -> list[str]:
    details = tf.config.experimental.get_device_details
    return [str(details(gpu).get("device_name")) for gpu in tf.config.list_physical_devices("GPU")]


def set_seed(seed: int) -> None:
    keras.utils.set_random_seed(seed)


def set_compiled(whether: bool) -> None:
    tf.config.run_functions_eagerly(not whether)


def out_of_memory(error: Exception) -> bool:
    return isinstance(error, tf.errors.ResourceExhaustedError)


@cache
def mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """One for the process: two would number their collective operations alike.

    TensorFlow takes those of one number for the same, and refuses the second of another shape.
    """
    return tf.distribute.MirroredStrategy(devices)


class Devices(backends.Devices):
    @property
    def strategy(self) -> tf.distribute.Strategy | None:
        """None on a single device."""
        return mirrored(self.devices) if self.replicas > 1 else None

    @property
    def batch_statistics(self) -> str:
        return "replica" if self.strategy else "batch"

    def scope(self):
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def compiler(self, batch: int, model) -> str:
        """XLA runs LeNet-5's updates 2.5 times faster, since it calls no operation one by one.

        It is not available under a strategy, and on CPU it is slower where the operations take
        longer than to call them: for whole batches, and for large networks.
        """
        if self.strategy is not None or batch >= backends.SMALL_BATCH:
            return "graph"
        return "xla" if multiply_adds(model) <= COMPILED_WHOLE else "graph"

    def loop(self, model, optimizer, loss, batch, size, resident=None):
        strategy = self.strategy
        held = tuple(map(self._replicated, resident.arrays())) if resident else ()

        def update(images, labels, held, i):
            """One update on one replica's part of batch i: its sum of losses, number wrong."""
            images, labels = images[i], labels[i]
            if resident:
                images = resident.look_up(held, images)
            if optimizer.by_gradients:
                with tf.GradientTape() as tape:
                    outputs = tf.cast(model(images, training=True), tf.float32)
                    losses = tf.reduce_sum(loss(outputs, labels))
                    mean = losses / batch
                variables = [v.value for v in model.trainable_variables]
                steps = tape.gradient(mean, variables)
            else:
                outputs, steps = optimizer.steps(model, images)
                losses = tf.reduce_sum(loss(outputs, labels))
            optimizer.apply(steps, model.trainable_variables)
            wrong = tf.cast(loss.predict(outputs), tf.int32) != tf.cast(labels, tf.int32)
            return losses, tf.reduce_sum(tf.cast(wrong, tf.int32))

        @tf.function(jit_compile=True if self.compiler(batch, model) == "xla" else None)
        def loop(images, labels, held, updates, losses):
            wrong, i = 0, 0
            while i < updates:  # over tf.range, XLA would compile anew for each number of updates
                tf.autograph.experimental.set_loop_options(parallel_iterations=1)
                if strategy is None:
                    more, errors = update(images, labels, held, i)
                else:
                    more, errors = strategy.run(update, args=(images, labels, held, i))
                    more = tf.add_n(strategy.experimental_local_results(more))
                    errors = tf.add_n(strategy.experimental_local_results(errors))
                losses += more
                wrong += errors
                i += 1
            return losses, wrong

        @tf.function
        def separate():
            """Each replica draws its own dropout, as far from the first one's as its number."""

            def move(states):
                replica = tf.distribute.get_replica_context().replica_id_in_sync_group
                for variable, state in zip(drawing, states, strict=True):
                    variable.assign(state + tf.cast(tf.stack([replica, 0]), state.dtype))

            strategy.run(move, args=([tf.identity(v.value) for v in drawing],))

        drawing = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

        def run(images, labels, before=0.0):
            if strategy is not None and drawing:
                separate()
            updates, before = tf.constant(len(images)), tf.constant(before, tf.float32)
            if resident:  # on GPUs TensorFlow computes with int32 on the host
                images = images.astype("int64")
            images, labels = (self._split(backends.padded(p, size)) for p in (images, labels))
            losses, wrong = loop(images, labels, held, updates, before)
            return float(losses), int(wrong)

        return run

    def _split(self, chunk: np.ndarray):
        """[updates, batch, ...] -> the part of each replica, cut along the batch."""
        if self.strategy is None:
            return tf.convert_to_tensor(chunk)
        size = chunk.shape[1] // self.replicas
        return self._placed(lambda replica: chunk[:, replica * size : (replica + 1) * size])

    def _replicated(self, array: np.ndarray):
        """The whole of it for each replica."""
        if self.strategy is None:
            return tf.convert_to_tensor(array)
        return self._placed(lambda replica: array)

    def _placed(self, part: Callable[[int], np.ndarray]):
        """On the device of each replica its part."""

        def place(context):
            replica = context.replica_id_in_sync_group
            with tf.device(self.devices[replica]):
                return tf.convert_to_tensor(part(replica))

        return self.strategy.experimental_distribute_values_from_function(place)


def pulled_back(function, inputs, signal):
    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs)
    return tape.gradient(outputs, inputs, tf.cast(signal, outputs.dtype)).numpy()


def _scored(model, loss, images, labels):
    outputs = tf.cast(model(images, training=False), tf.float32)
    return loss(outputs, labels), loss.predict(outputs)


def scorer(model, loss):
    signature = None
    if None in model.input_shape[1:]:  # one graph for images of all sizes
        kinds = (model.input_shape, tf.float32), ((None,), tf.int32)
        signature = [tf.TensorSpec(*kind) for kind in kinds]

    @tf.function(input_signature=signature, reduce_retracing=signature is None)
    def score(images, labels):
        return _scored(model, loss, images, labels)

    return score


def scoring_loop(model, loss, seen):
    @tf.function
    def loop(images, labels):
        def one(batch):
            losses, predictions = _scored(model, loss, seen(batch[0]), batch[1])
            return losses, tf.cast(predictions, tf.int32)

        kinds = tf.float32, tf.int32
        batches = images, labels
        return tf.map_fn(one, batches, fn_output_signature=kinds, parallel_iterations=1)

    return loop
