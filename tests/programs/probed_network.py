"""A small residual network and its layer responses: by the probe, and in NumPy.

A program, so that each backend of Keras has a process of its own. Its arguments are precisions: a
line of JSON for each.
450 images are two batches and a smaller one, and their grey level is far above their spread.
"""

import json
import sys

import keras
import numpy as np
from keras import layers, ops

from repro.training import probes

EPSILON = 1e-5
draw = np.random.default_rng(0)
images = (20 + draw.normal(size=(450, 6, 6, 3))).astype("float32")
weights = {}  # of the network that was built last


def normalised(x, name, size):
    """A convolution to four maps and its batch normalisation, with drawn weights."""
    weights[name] = {
        "kernel": draw.normal(size=(size, size, x.shape[-1], 4)) / 10,
        **{key: draw.normal(size=4) for key in ("gamma", "beta", "mean")},
        "variance": draw.uniform(0.5, 2.0, size=4),
    }
    drawn = list(weights[name].values())
    convolution = layers.Conv2D(4, size, padding="same", use_bias=False, name=name)
    norm = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}-norm")
    x = norm(convolution(x))
    convolution.set_weights(drawn[:1])
    norm.set_weights(drawn[1:])
    return x


def network():
    entry = keras.Input((6, 6, 3))
    first = layers.ReLU()(normalised(entry, "first", 3))
    x = layers.ReLU()(normalised(first, "second", 3))
    x = normalised(x, "third", 3)
    x = layers.Add()([x, normalised(first, "projection", 1)])  # 1x1: no response
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(entry, layers.Dense(2)(x))


def expected():
    """The standard deviations in float64, all images at once."""
    x, found = images.astype("float64"), []
    for name in ("first", "second", "third"):
        w = weights[name]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        places = [(i, j) for i in range(3) for j in range(3)]
        x = sum(padded[:, i : i + 6, j : j + 6] @ w["kernel"][i, j] for i, j in places)
        x = (x - w["mean"]) / np.sqrt(w["variance"] + EPSILON) * w["gamma"] + w["beta"]
        found.append(float(np.std(x)))
        x = np.maximum(x, 0)
    return found


for precision in sys.argv[1:]:
    keras.config.set_dtype_policy(precision)
    model = network()
    before = [ops.convert_to_numpy(v).copy() for v in model.variables]
    measured = probes.measure(("layer_response",), model, images)
    after = [ops.convert_to_numpy(v) for v in model.variables]
    document = {
        "backend": keras.config.backend(),
        "found": measured["layer_response"],
        "mean": probes.means(measured)["layer_response"],
        "expected": expected(),
        "untouched": all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)),
    }
    print(json.dumps(document))
