"""Whether networks learn at all: tests/test_every_network.py runs this on each backend.

A program, since a process has one backend. Its arguments are names of networks; for each it prints
a line of JSON. Two random images with random classes are learnt by heart: the first update must
leave every weight finite and changed, and the loss must come near zero.

The first update is made as in training. For the others dropout is turned off: what is learnt by
heart does not lie below its noise.
"""

import json
import math
import sys
import time

import numpy as np

from repro import backends, catalog
from repro.lazy import keras
from repro.networks import losses

IMAGES, CLASSES = 2, 10  # as many images, and of so many of the classes
NEAR_ZERO, UPDATES, CHUNK = 0.05, 300, 5
# Trained on grey levels, whose spread is about 60, into fully connected layers of thousands of
# units, which take smaller steps.
ON_GREY_LEVELS = ("alexnet", "zfnet", "vgg")


def check(name: str) -> dict:
    began = time.monotonic()
    network = catalog.network(name)
    backends.here().set_seed(0)
    model = network.build(**network.options)
    heads = len(model.output_shape) == 3
    loss = losses.AuxiliaryCrossEntropy(0.3, "linear") if heads else losses.SoftmaxCrossEntropy()
    grey_levels = name.startswith(ON_GREY_LEVELS) and model.input_shape[1] > 32
    # NiN's outputs end in a relu: if the first steps cut off all those of an image, it is lost.
    rate = 3e-5 if grey_levels else 3e-4 if name.startswith("nin") else 1e-3
    optimizer = keras.optimizers.Adam(rate)
    optimizer.by_gradients = True  # as the harness' own optimizers say
    optimizer.build(model.trainable_variables)
    devices = backends.here().Devices("single", tuple(backends.here().devices()[:1]))
    draw = np.random.default_rng(0)
    images = draw.normal(size=(IMAGES, *model.input_shape[1:])).astype("float32")
    if grey_levels:
        images *= 60
    labels = draw.choice(CLASSES, IMAGES, replace=False).astype("int32")

    def compiled():
        """Updates, as of a batch that is large enough for the loop that networks train by.

        The loss is divided by the size of that batch, which makes no difference to Adam.
        """
        return devices.loop(model, optimizer, loss, backends.SMALL_BATCH, CHUNK)

    def update(times: int) -> float:
        """Mean loss over `times` updates."""
        parts = (np.stack([x] * times) for x in (images, labels))
        return loop(*parts)[0] / (times * IMAGES)

    loop = compiled()
    before = [backends.as_numpy(v) for v in model.trainable_variables]
    first = last = update(1)
    after = [backends.as_numpy(v) for v in model.trainable_variables]
    variables = zip(model.trainable_variables, before, after, strict=True)
    still = [v.path for v, old, new in variables if np.array_equal(old, new)]
    finite = all(np.isfinite(new).all() for new in after)
    dropouts = [m for m in model._flatten_layers() if isinstance(m, keras.layers.Dropout)]
    if dropouts:
        for layer in dropouts:
            layer.rate = 0.0
        loop = compiled()
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
        "loss at last": last,
        "updates": made,
        "seconds": round(time.monotonic() - began, 1),
    }


for each in sys.argv[1:]:
    print(json.dumps(check(each)), flush=True)
    keras.backend.clear_session()
