"""What `repro.bench` times on JAX alone: the bare loop, and what the machine can do."""

import math
from functools import partial

import jax
import keras
from jax import numpy as jnp

from repro import backends, catalog
from repro.bench import subject
from repro.bench.contenders import Network
from repro.bench.timing import Clock
from repro.bench.with_harness import device
from repro.networks import optimizers, work


def bare(seconds: float, network: Network, precision: str) -> dict:
    """The harness' network and optimizer in the smallest compiled loop, over batches in memory.

    On a CPU each update is a call: within a loop XLA's convolutions are a hundred times slower.
    """
    backends.here().configure(network.batch)
    keras.config.set_dtype_policy(precision)
    experiment = catalog.experiment(network.experiment)
    images, labels = subject.arrays(network)
    model = experiment.network.build(**experiment.network.options)
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    subject.check(network, parameters, work.multiply_adds(model))
    optimizer = optimizers.build(experiment.recipe.optimizer)
    optimizer.build(model.trainable_variables)
    optimizer.learning_rate.assign(experiment.recipe.optimizer.rate)
    there = len(images) // network.batch
    images = jnp.asarray(images.reshape(there, network.batch, *images.shape[1:]))
    labels = jnp.asarray(labels.reshape(there, network.batch))

    def update(some_images, some_labels, carried):
        trainable, others, slots, total = carried

        def mean_loss(trainable):
            outputs, after = model.stateless_call(trainable, others, some_images, training=True)
            return experiment.recipe.loss(outputs.astype("float32"), some_labels).mean(), after

        (loss, others), gradients = jax.value_and_grad(mean_loss, has_aux=True)(trainable)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return trainable, others, slots, total + loss

    @partial(jax.jit, donate_argnums=4)
    def loop(images, labels, first, count, carried):
        def step(i, carried):
            return update(images[i % there], labels[i % there], carried)

        return jax.lax.fori_loop(first, first + count, step, carried)

    one = jax.jit(update, donate_argnums=2)
    variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    carried = (*jax.tree.map(lambda variable: variable.value, variables), jnp.float32(0.0))
    made = 0

    def updates(count: int) -> int:
        nonlocal made, carried
        if device() == "CPU":
            for i in range(made, made + count):
                carried = one(images[i % there], labels[i % there], carried)
        else:
            carried = loop(images, labels, made, count, carried)
        jax.block_until_ready(carried)
        made += count
        return count * network.batch

    subject.warm_up(lambda: updates(1))
    clock = Clock(seconds)
    while clock.lap(updates(clock.updates), clock.updates):
        pass
    return clock.sample(device=device())


def product(seconds: float, network: None, precision: str) -> dict:
    """Products of two large square matrices, in 10^9 operations (two per multiply-add)."""
    backends.here().configure(backends.SMALL_BATCH)
    size, times = (2048, 4) if device() == "CPU" else (8192, 32)

    @jax.jit
    def products(a, b):
        for _ in range(times):  # a loop of XLA would take one core
            b = a @ b
        return b

    # The entries stay in range: each product multiplies their size by one, roughly.
    draw = jax.random.normal(jax.random.key(0), (2, size, size)) / size**0.5
    a, b = draw.astype(precision)
    jax.block_until_ready(products(a, b))
    clock, more = Clock(seconds), True
    while more:
        jax.block_until_ready(products(a, b))
        more = clock.lap(times * 2e-9 * size**3)
    return clock.sample(device=device())


def bandwidth(seconds: float, network: None) -> dict:
    """y = x + 1 on 256 MB, in 10^9 bytes read and written."""
    backends.here().configure(backends.SMALL_BATCH)
    size, times = 2**26, 4 if device() == "CPU" else 256

    add = jax.jit(lambda x: x + 1.0, donate_argnums=0)  # in one call they would be one addition
    x = jax.block_until_ready(add(jnp.zeros(size)))
    clock, more = Clock(seconds), True
    while more:
        for _ in range(times):
            x = add(x)
        jax.block_until_ready(x)
        more = clock.lap(times * 2 * 4e-9 * size)
    return clock.sample(device=device())
