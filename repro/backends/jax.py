"""JAX: updates in one compiled loop, several devices by `keras.distribution.DataParallel`.

A compiled function cannot change a variable. So it takes the values of all variables of model and
optimizer, those that training does not change by gradients too (moving statistics, states of random
draws), and returns them; after each chunk they are put into the variables.
"""

import contextlib
import random
from functools import cached_property, partial

import jax
import numpy as np

from repro import backends
from repro.lazy import keras
from repro.prefetch import prefetched

# Each can be set by a variable of the environment, and changes numbers or ends a training.
SETTINGS = {
    "jax_default_matmul_precision": "highest",
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_random_seed_offset": 0,
    "jax_threefry_partitionable": True,
}


def configure(batch: int) -> None:
    """XLA takes all cores. float32 is float32 on GPUs too, not TF32."""
    for option, value in SETTINGS.items():
        jax.config.update(option, value)


def devices() -> list[str]:
    return [f"{device.platform.upper()}:{device.id}" for device in jax.local_devices()]


def gpus() -> list[str]:
    return [d.device_kind for d in jax.local_devices() if d.platform == "gpu"]


def set_seed(seed: int) -> None:
    """`keras.utils.set_random_seed` would import TensorFlow wherever it is installed."""
    random.seed(seed)  # Keras' random layers draw their seeds from it
    np.random.seed(seed)


def set_compiled(whether: bool) -> None:
    jax.config.update("jax_disable_jit", not whether)


def out_of_memory(error: Exception) -> bool:
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


class Devices(backends.Devices):
    """On several devices a batch is cut between them, and XLA computes as if it were one.

    So batch normalisation takes its means over the whole batch, on each device the same.
    """

    @cached_property
    def distribution(self):
        """None on a single device."""
        if self.replicas == 1:
            return None
        return keras.distribution.DataParallel(devices=jax.local_devices()[: self.replicas])

    def scope(self):
        return self.distribution.scope() if self.distribution else contextlib.nullcontext()

    def compiler(self, batch: int, model) -> str:
        return "xla"

    def loop(self, model, optimizer, loss, batch, size, resident=None):
        held = tuple(map(self._replicated, resident.arrays())) if resident else ()

        def counted(outputs, labels):
            return loss(outputs, labels).sum(), (loss.predict(outputs) != labels).sum()

        @partial(jax.jit, donate_argnums=0)
        def update(carried, held, images, labels):
            (trainable, others, slots), losses, wrong = carried
            if resident:
                images = resident.look_up(held, images)

            def mean_loss(trainable):
                outputs, after = model.stateless_call(trainable, others, images, training=True)
                total, errors = counted(outputs.astype("float32"), labels)
                return total / batch, (total, errors, after)

            if optimizer.by_gradients:
                steps, (total, errors, others) = jax.grad(mean_loss, has_aux=True)(trainable)
            else:
                now = [*trainable, *others]
                held_by = [*model.trainable_variables, *model.non_trainable_variables]
                with keras.StatelessScope(zip(held_by, now, strict=True)):
                    outputs, steps = optimizer.steps(model, images)
                total, errors = counted(outputs, labels)
            trainable, slots = optimizer.stateless_apply(slots, steps, trainable)
            return (trainable, others, slots), losses + total, wrong + errors

        @partial(jax.jit, donate_argnums=0)
        def updates(carried, held, images, labels, count):
            def one(i, carried):
                return update(carried, held, images[i], labels[i])

            return jax.lax.fori_loop(0, count, one, carried)

        def run(images, labels, before=0.0):
            variables = model.trainable_variables, model.non_trainable_variables
            variables = *variables, optimizer.variables
            state = jax.tree.map(lambda variable: variable.value, variables)
            carried = state, np.float32(before), np.int32(0)
            if self._in_one_call(batch):
                chunk = [self._split(backends.padded(part, size), 1) for part in (images, labels)]
                carried = updates(carried, held, *chunk, len(images))
            else:
                for examples in zip(images, labels, strict=True):
                    parts = [self._split(part, 0) for part in examples]
                    carried = update(carried, held, *parts)
            state, losses, wrong = carried
            jax.tree.map(lambda variable, value: variable.assign(value), variables, state)
            return float(losses), int(wrong)

        return run

    def ahead(self, chunks):
        """Each chunk is copied in a thread while the one before is trained on.

        For photographs a copy takes half as long as an update, or longer.
        """
        return chunks if self.devices[0].startswith("CPU") else prefetched(chunks, self._copied)

    def _copied(self, chunk: tuple[np.ndarray, ...]) -> tuple:
        """They are there on return, so what they were copied from may be written over."""
        where = self.distribution and self._sharding(None, self.distribution.batch_dim_name)
        there = [jax.device_put(part, where, may_alias=False) for part in chunk]
        return tuple(jax.block_until_ready(there))

    def _in_one_call(self, batch: int) -> bool:
        """Whether the loop over the updates is compiled too.

        One-example updates need it. But in a loop XLA's convolutions of whole batches are a hundred
        times slower on a CPU.
        """
        return batch == 1 or not self.devices[0].startswith("CPU")

    def _split(self, examples: np.ndarray, axis: int):
        """Each device has its part of the batch, which is the given axis."""
        if self.distribution is None:
            return examples
        return self._put(examples, *[None] * axis, self.distribution.batch_dim_name)

    def _replicated(self, array: np.ndarray):
        """On each device the whole of it."""
        return jax.device_put(array) if self.distribution is None else self._put(array)

    def _put(self, array: np.ndarray, *axes: str | None):
        return jax.device_put(array, self._sharding(*axes))

    def _sharding(self, *axes: str | None):
        mesh = self.distribution.device_mesh.backend_mesh
        return jax.NamedSharding(mesh, jax.P(*axes))


def pulled_back(function, inputs, signal):
    outputs, back = jax.vjp(function, jax.numpy.asarray(inputs))
    return np.asarray(back(jax.numpy.asarray(signal, outputs.dtype))[0])


def _scored(model, loss, variables, images, labels):
    outputs, _ = model.stateless_call(*variables, images, training=False)
    outputs = outputs.astype("float32")
    return loss(outputs, labels), loss.predict(outputs)


def _of_now(compiled, model):
    """`compiled`, called with the values that the network's variables have by then."""

    def run(images, labels):
        variables = model.trainable_variables, model.non_trainable_variables
        values = jax.tree.map(lambda variable: variable.value, variables)
        return compiled(values, images, labels)

    return run


def scorer(model, loss):
    return _of_now(jax.jit(partial(_scored, model, loss)), model)


def scoring_loop(model, loss, seen):
    @jax.jit
    def loop(variables, images, labels):
        def one(batch):
            return _scored(model, loss, variables, seen(batch[0]), batch[1])

        return jax.lax.map(one, (images, labels))

    return _of_now(loop, model)
