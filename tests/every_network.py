"""Whether networks learn at all: tests/test_every_network.py runs this on each backend.

A program, since a process has one backend. Its arguments are names of networks; for each it prints
a line of JSON. A few random images with random classes are learnt by heart: the first update must
leave every weight finite and changed, and the loss must come near zero.
"""

import json
import math
import sys
import time

import numpy as np

from repro import backends, catalog, losses
from repro.lazy import keras

IMAGES, CLASSES = 2, 10  # as many images, and of so many of the classes
NEAR_ZERO, UPDATES, CHUNK = 0.05, 300, 5


def check(name: str) -> dict:
    began = time.monotonic()
    network = catalog.network(name)
    backends.here().set_seed(0)
    model = network.build(**network.options)
    heads = len(model.output_shape) == 3
    loss = losses.AuxiliaryCrossEntropy(0.3, "linear") if heads else losses.SoftmaxCrossEntropy()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    device = backends.here().found()[:1]
    loop = (
        backends.here().Devices("single", tuple(device)).loop(model, optimizer, loss, IMAGES, CHUNK)
    )
    draw = np.random.default_rng(0)
    images = draw.normal(size=(IMAGES, *model.input_shape[1:])).astype("float32")
    labels = draw.choice(CLASSES, IMAGES, replace=False).astype("int32")

    def update(times: int) -> float:
        """Mean loss over `times` updates."""
        parts = (np.stack([x] * times) for x in (images, labels))
        return loop(*parts)[0] / (times * IMAGES)

    before = [backends.as_numpy(v) for v in model.trainable_variables]
    first = last = update(1)
    after = [backends.as_numpy(v) for v in model.trainable_variables]
    variables = zip(model.trainable_variables, before, after, strict=True)
    still = [v.path for v, old, new in variables if np.array_equal(old, new)]
    finite = all(np.isfinite(new).all() for new in after)
    made = 1
    while made < UPDATES and not last < NEAR_ZERO and math.isfinite(last):
        last = update(CHUNK)
        made += CHUNK
    return {
        "network": name,
        "backend": backends.name(),
        "weights": len(before),
        "without a gradient": still,
        "finite": finite,
        "loss at first": round(first, 4),
        "loss at last": round(last, 4),
        "updates": made,
        "seconds": round(time.monotonic() - began, 1),
    }


for each in sys.argv[1:]:
    print(json.dumps(check(each)), flush=True)
    keras.backend.clear_session()
