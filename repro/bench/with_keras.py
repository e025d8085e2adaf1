"""What `repro.bench` times of plain Keras, on any backend of it: `fit` on arrays in memory."""

import math

import keras
import numpy as np

from repro import backends, catalog
from repro.bench import keras_models, subject
from repro.bench.contenders import Network
from repro.bench.subject import WARM_UP
from repro.bench.timing import Clock
from repro.bench.with_harness import device

AUXILIARY = 0.3  # how much the loss of each auxiliary head counts


def stock(network: Network) -> keras.Model:
    """The network as a user of Keras would write it, compiled. Raises RunError for another one."""
    recipe = catalog.experiment(network.experiment).recipe.optimizer
    decay = max([recipe.weight_decay, *(group.weight_decay for group in recipe.groups)])
    model = getattr(keras_models, network.model)(decay)
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    subject.check(network, parameters, multiply_adds(model))
    heads = len(model.outputs) - 1
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer=keras.optimizers.SGD(
            recipe.rate, momentum=recipe.momentum, nesterov=recipe.nesterov
        ),
        loss=[loss] * len(model.outputs) if heads else loss,
        loss_weights=[1.0] + [AUXILIARY] * heads if heads else None,
        metrics=[["accuracy"]] + [[]] * heads if heads else ["accuracy"],
    )
    return model


def multiply_adds(model: keras.Model) -> int:
    """Those of one image, forwards, without biases: a kernel, times where it is used."""
    total = 0
    for layer in model.layers:
        if (kernel := getattr(layer, "kernel", None)) is not None:
            convolution = isinstance(layer, keras.layers.Conv2D)
            positions = math.prod(layer.output.shape[1:3]) if convolution else 1
            total += positions * math.prod(kernel.shape)
    return total


class Stopwatch(keras.callbacks.Callback):
    """Times segments of updates in `fit` and ends it when the time is over.

    It looks where an update begins: where one ends, Keras would wait for its loss each time.
    """

    def __init__(self, seconds: float, batch: int, updates: int):
        """`updates`: how many an epoch has."""
        super().__init__()
        self.clock: Clock | None = None
        self.sample: dict = {}
        self._seconds, self._batch = seconds, batch
        # No segment lies over the end of an epoch.
        self._first, self._most = 0, max(1, updates // 4)

    def on_epoch_begin(self, epoch, logs=None):
        self._first = 0
        if self.clock:
            self.clock.skip()

    def on_train_batch_begin(self, batch, logs=None):
        made = batch - self._first
        if self.clock and not made:  # an epoch's first images are there
            self.clock.skip()
        if self.clock is None and made >= WARM_UP:
            wait_for(self.model)
            self.clock, self._first = Clock(self._seconds), batch
        elif self.clock and made >= min(self.clock.updates, self._most):
            wait_for(self.model)
            if not (self.sample or self.clock.lap(made * self._batch, made)):
                self.sample = self.clock.sample(device=device())
                self.model.stop_training = True
            self._first = batch


def wait_for(model: keras.Model) -> None:
    """Returns once the last update is done: on a GPU it may still be under way."""
    if hasattr(model, "jax_state_sync"):  # on JAX `fit` carries the weights beside the model
        model.jax_state_sync()
    backends.as_numpy(model.trainable_variables[-1])


def begin(network: Network, precision: str) -> tuple[np.ndarray, list[np.ndarray], keras.Model]:
    """Images, the labels of each output, the model. float32 is full precision, also on a GPU."""
    backends.here().configure(network.batch)
    keras.config.set_dtype_policy(precision)
    images, labels = subject.arrays(network)
    model = stock(network)
    return images, [labels] * len(model.outputs), model


def fit(seconds: float, network: Network, precision: str) -> dict:
    """`fit` on arrays. `end_seconds`: what it takes to return after the last segment."""
    images, labels, model = begin(network, precision)
    watch = Stopwatch(seconds, network.batch, len(images) // network.batch)
    labels = labels if len(labels) > 1 else labels[0]
    model.fit(images, labels, batch_size=network.batch, epochs=10**6, verbose=0, callbacks=[watch])
    return {**watch.sample, "end_seconds": watch.clock.since_end()}


def epoch(seconds: float, network: Network) -> dict:
    """One whole epoch of `fit`, from call to return; another until the time is over."""
    images, labels, model = begin(network, "float32")
    labels, batch = labels if len(labels) > 1 else labels[0], network.batch
    some = WARM_UP * batch
    few = [part[:some] for part in labels] if isinstance(labels, list) else labels[:some]
    model.fit(images[:some], few, batch_size=batch, verbose=0)
    clock, more = Clock(seconds), True
    while more:
        model.fit(images, labels, batch_size=batch, verbose=0)
        wait_for(model)
        more = clock.lap(len(images))
    return clock.sample(device=device())
