"""What one backend of Keras makes of given weights and images; tests/test_backends.py compares.

A program, since a process has one backend. Its arguments are a folder, a strategy, and what to do.
Weights are drawn by the first process and read by the others. What is found is written into the
folder, as <backend>-<strategy>.npz and .json.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES, SMALLER, UPDATED
from seen import AUGMENTATION, PREPROCESSING, seen

from papers import densenet
from repro import backends, catalog, spec
from repro.backends import distribution
from repro.data.preprocessing import Contrast, Enlarge, PadTo
from repro.errors import Interrupted, UsageError
from repro.lazy import keras, layers
from repro.networks import initial_weights, losses, optimizers
from repro.training import evaluation, runner, schedule

FOLDER, STRATEGY, JOBS = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
BATCH, UPDATES = 16, 10


def small(dropped: float):
    """Batch normalisation, and random draws while training where some units are dropped."""
    images = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(4, 5, strides=3, use_bias=False)(images)
    x = keras.layers.ReLU()(layers.BatchNormalization()(x))
    x = keras.layers.Dropout(dropped)(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.Dense(10)(x))


def build(name: str):
    """The network `name` with the weights that all backends are given."""
    if name == "normalised":
        model = small(dropped=0.0)
    elif name == "recomputed":
        model = densenet.cifar(depth=10, growth_rate=4, recompute=True)
    else:
        network = catalog.network(name)
        model = network.build(**{**network.options, **SMALLER.get(name, {})})
    file = FOLDER / f"{name}.npz"
    if not file.exists():
        np.savez(file, *[drawn(weight) for weight in model.weights])
    with np.load(file) as weights:
        model.set_weights([weights[key] for key in weights.files])
    return model


def drawn(weight) -> np.ndarray:
    """As initialised, but for batch normalisation, which would not show what it does."""
    draw = np.random.default_rng(0)
    by_name = {
        "gamma": draw.uniform(0.5, 1.5, weight.shape),
        "beta": draw.normal(0.0, 0.1, weight.shape),
        "moving_mean": draw.normal(0.0, 0.1, weight.shape),
        "moving_variance": draw.uniform(0.5, 2.0, weight.shape),
    }
    return np.asarray(by_name.get(weight.name, backends.as_numpy(weight)), "float32")


def images_for(model, *leading: int) -> np.ndarray:
    return (
        np.random.default_rng(1).normal(size=(*leading, *model.input_shape[1:])).astype("float32")
    )


class Outputs:
    """Makes a scorer return the outputs of the network."""

    def __call__(self, outputs, labels):
        return outputs

    def predict(self, outputs):
        return keras.ops.argmax(outputs, axis=-1)


def outputs(found: dict) -> None:
    for name in FAMILIES:
        model = build(name)
        images = images_for(model, 4)
        score = evaluation.scorer(model, Outputs())
        found[f"{name}-testing"] = np.asarray(score(images, np.zeros(4, "int32"))[0])
        if any(isinstance(layer, keras.layers.Dropout) for layer in model.layers):
            continue  # each backend drops other units
        made = model(keras.ops.convert_to_tensor(images), training=True)
        found[f"{name}-training"] = keras.ops.convert_to_numpy(keras.ops.stop_gradient(made))
        for i, variable in enumerate(model.non_trainable_variables):
            found[f"{name}-moved-{i}"] = backends.as_numpy(variable)


def initial(found: dict) -> None:
    """Digests of all weights, as drawn for a run of seed 5."""
    devices = distribution.choose(STRATEGY, BATCH)
    if backends.name() == "jax":  # Keras compiles what draws weights of 250 MB: here all kernels
        from keras.src.backend.jax import core

        core.should_shard_at_init = lambda layout, shape: len(shape) > 1
    for name in FAMILIES:
        network = catalog.network(name)
        with devices.scope(), initial_weights.drawn(5):
            model = network.build(**{**network.options, **SMALLER.get(name, {})})
        weights = [backends.as_numpy(weight) for weight in model.weights]
        digests = [hashlib.sha256(weight.tobytes()).hexdigest() for weight in weights]
        found[f"{name}-initial"] = np.array(digests)


def updates(found: dict) -> None:
    """Ten, in two chunks of which the second is not full."""
    devices = distribution.choose(STRATEGY, BATCH)
    method = spec.SGD(0.05, momentum=0.9, weight_decay=1e-3, averaging=0.8)
    for name in UPDATED:
        with devices.scope():
            model, optimizer = build(name), optimizers.build(method)
            optimizer.build(model.trainable_variables)
        optimizer.learning_rate.assign(0.05)
        if backends.name() == "jax":  # one is trained as on GPUs, the other as on CPUs
            in_one_call = name == "lenet5-modern"
            type(devices)._in_one_call = lambda self, batch, answer=in_one_call: answer
        loop = devices.loop(model, optimizer, losses.SoftmaxCrossEntropy(), BATCH, 6)
        images = images_for(model, UPDATES, BATCH)
        labels = np.random.default_rng(2).integers(0, 10, (UPDATES, BATCH)).astype("int32")
        sums = [loop(images[:6], labels[:6]), loop(images[6:], labels[6:])]
        found[f"{name}-losses"], found[f"{name}-wrong"] = np.transpose(sums)
        for i, variable in enumerate([*model.weights, *optimizer.variables]):
            found[f"{name}-updated-{i:02d}"] = backends.as_numpy(variable)


def compiled(function):
    if backends.name() == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    if backends.name() == "jax":
        import jax

        return jax.jit(function)
    return function


def three_chunks(images, labels):
    """Each with its updates in another order, in arrays that are written over, as a crew does."""
    slots = [(np.empty_like(images), np.empty_like(labels)) for _ in range(2)]
    for turn in range(3):
        images_there, labels_there = slots[turn % 2]
        images_there[:], labels_there[:] = np.roll(images, turn, 0), np.roll(labels, turn, 0)
        yield images_there, labels_there


def in_two_calls(loop, images, labels) -> tuple[float, int]:
    losses, wrong = loop(images[:2], labels[:2])
    losses, more = loop(images[2:], labels[2:], losses)
    return losses, wrong + more


def on_the_device(found: dict) -> None:
    """What updates see of a set on the device, compiled; what comes of nine of them; a test.

    Beside it the same from images that the host has made, and copied ahead as to a GPU.
    """
    devices, differing = distribution.choose(STRATEGY, BATCH), []
    to_tensor = keras.ops.convert_to_tensor
    for kinds in itertools.product(PREPROCESSING, AUGMENTATION):
        images, places, held = seen(*kinds)
        arrays = tuple(map(to_tensor, held.arrays()))
        look_up = compiled(lambda places, arrays=arrays, held=held: held.look_up(arrays, places))
        made = np.stack([keras.ops.convert_to_numpy(look_up(to_tensor(some))) for some in places])
        if made.tobytes() != images.tobytes():
            differing.append("; ".join(kinds))
    found["seen-differing"] = np.array(differing)
    images, places, held = seen("mean of each pixel", "crops and flips")
    labels = np.random.default_rng(2).integers(0, 10, places.shape[:2]).astype("int32")
    tested = images.reshape(-1, *images.shape[2:]), labels.reshape(-1)
    as_on_gpus = pytest.MonkeyPatch()
    if backends.name() == "jax":  # where a part of a chunk is filled up
        as_on_gpus.setattr(type(devices), "_in_one_call", lambda self, batch: True)
    ways = ("host", images, None), ("ahead", images, None), ("device", places, held)
    for name, chunk, resident in ways:
        with devices.scope(), initial_weights.drawn(5):
            pixels = keras.Input(images.shape[2:])
            x = keras.layers.Conv2D(4, 3, strides=2)(pixels)
            model = keras.Model(pixels, keras.layers.Dense(10)(keras.layers.Flatten()(x)))
            optimizer = optimizers.build(spec.SGD(0.05, momentum=0.9))
            optimizer.build(model.trainable_variables)
        optimizer.learning_rate.assign(0.05)
        loss = losses.SoftmaxCrossEntropy()
        loop = devices.loop(model, optimizer, loss, labels.shape[1], 3, resident)
        chunks, call = three_chunks(chunk, labels), loop
        if name == "ahead":
            kinds = tuple(device.replace("CPU", "GPU") for device in devices.devices)
            chunks = dataclasses.replace(devices, devices=kinds).ahead(chunks)
            call = functools.partial(in_two_calls, loop)
        found[f"{name}-losses"] = np.array([call(*pair) for pair in chunks])
        score = dataclasses.replace(evaluation.scorer(model, loss), batch=7)
        there = evaluation.Held(score, *tested) if resident else None
        scores = evaluation.evaluate(score, *tested, held=there)
        found[f"{name}-scores"] = np.array([scores.metrics["loss"], *scores.wrong])
        for i, variable in enumerate([*model.weights, *optimizer.variables]):
            found[f"{name}-updated-{i:02d}"] = backends.as_numpy(variable)
    as_on_gpus.undo()


def experiment() -> spec.Experiment:
    """A small network on data that needs no download, three passes of eleven updates."""
    modern = catalog.experiment("lenet5-modern-mnist")
    recipe = dataclasses.replace(
        modern.recipe,
        data=spec.Data("digits"),
        preprocessing=(Enlarge(20), PadTo(32), Contrast(-0.1, 1.175)),
        passes=3,
    )
    return dataclasses.replace(
        modern, network=spec.Network("small", small, {"dropped": 0.2}), recipe=recipe
    )


def runs(found: dict) -> None:
    """A run left alone, and two stopped by SIGTERM within a pass and resumed.

    The last of them has its data on the device, as on GPUs.
    """
    schedule.CHUNK_UPDATES = 4
    one = experiment()
    catalog.experiment = lambda name: one
    whole, cut, held = (FOLDER / f"{kind}-{backends.name()}" for kind in ("whole", "cut", "held"))
    runner.run(one, out=whole, strategy=STRATEGY)
    stopped_and_resumed(one, cut)
    backends.Devices.holds_data = property(lambda self: True)
    stopped_and_resumed(one, held)


def stopped_and_resumed(one: spec.Experiment, out: Path) -> None:
    def stop(event):
        if event["event"] == "progress" and event["update"] == 15:
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        runner.run(one, out=out, strategy=STRATEGY, observers=[stop])
    except Interrupted:
        random.seed(99)  # the state of the process decides nothing
        np.random.seed(99)
        runner.resume(next((out / one.name).iterdir()))


def failing(shape: tuple) -> bool:
    """Whether what a product of ones of this shape with itself raises means a lack of memory."""
    try:
        keras.ops.matmul(keras.ops.ones(shape), keras.ops.ones(shape))
    except Exception as error:
        return backends.here().out_of_memory(error)
    raise AssertionError("it was computed")


arrays: dict = {}
for job in JOBS:
    globals()[job](arrays)
said = {"backend": keras.config.backend(), "tensorflow": "tensorflow" in sys.modules}
said |= {"too large": failing((2**22, 2**23)), "wrong shapes": failing((2, 3))}
try:
    distribution.choose("mirrored", BATCH)
except UsageError as error:
    said["refusal"] = str(error)
devices = distribution.choose(STRATEGY, BATCH)
said |= {"devices": devices.devices, "batch_statistics": devices.batch_statistics}
if said["backend"] == "jax" and STRATEGY == "mirrored":
    split = devices._split(np.zeros((BATCH, 3), "float32"), axis=0)
    said["parts"] = [shard.data.shape for shard in split.addressable_shards]
stem = f"{said['backend']}-{STRATEGY}"
np.savez(FOLDER / f"{stem}.npz", **arrays)
(FOLDER / f"{stem}.json").write_text(json.dumps(said))
