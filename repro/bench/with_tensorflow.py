"""What `repro.bench` times on TensorFlow alone: the bare loop, and what the machine can do."""

import math

import keras
import tensorflow as tf

from repro import backends, catalog
from repro.bench import subject
from repro.bench.contenders import Network
from repro.bench.timing import Clock
from repro.bench.with_harness import device
from repro.networks import optimizers, work


def bare(seconds: float, network: Network, precision: str) -> dict:
    """The harness' network and optimizer in the smallest compiled loop, over batches in memory."""
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
    images = tf.constant(images.reshape(there, network.batch, *images.shape[1:]))
    labels = tf.constant(labels.reshape(there, network.batch))

    @tf.function
    def loop(images, labels, first, updates):
        total = 0.0
        for i in tf.range(first, first + updates):
            with tf.GradientTape() as tape:
                outputs = tf.cast(model(images[i % there], training=True), tf.float32)
                loss = tf.reduce_mean(experiment.recipe.loss(outputs, labels[i % there]))
            variables = [v.value for v in model.trainable_variables]
            optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
            total += loss
        return total

    made = 0

    def update(count: int) -> int:
        nonlocal made
        float(loop(images, labels, tf.constant(made), tf.constant(count)))
        made += count
        return count * network.batch

    subject.warm_up(lambda: update(1))
    clock = Clock(seconds)
    while clock.lap(update(clock.updates), clock.updates):
        pass
    return clock.sample(device=device())


def product(seconds: float, network: None, precision: str) -> dict:
    """Products of two large square matrices, in 10^9 operations (two per multiply-add)."""
    backends.here().configure(backends.SMALL_BATCH)
    size, times = (2048, 4) if device() == "CPU" else (8192, 32)

    @tf.function
    def products(a, b):
        for _ in tf.range(times):
            b = tf.matmul(a, b)
        return tf.reduce_sum(tf.cast(b[:1], "float32"))

    # The entries stay in range: each product multiplies their size by one, roughly.
    draw = tf.random.stateless_normal((2, size, size), seed=(0, 0)) / size**0.5
    a, b = tf.unstack(tf.cast(draw, precision))
    float(products(a, b))
    clock, more = Clock(seconds), True
    while more:
        float(products(a, b))
        more = clock.lap(times * 2e-9 * size**3)
    return clock.sample(device=device())


def bandwidth(seconds: float, network: None) -> dict:
    """y = x + 1 on 256 MB, in 10^9 bytes read and written."""
    backends.here().configure(backends.SMALL_BATCH)
    size, times = 2**26, 4 if device() == "CPU" else 256

    @tf.function
    def additions(x):
        for _ in tf.range(times):
            x = x + 1.0
        return x[0]

    x = tf.zeros(size)
    float(additions(x))
    clock, more = Clock(seconds), True
    while more:
        float(additions(x))
        more = clock.lap(times * 2 * 4e-9 * size)
    return clock.sample(device=device())
