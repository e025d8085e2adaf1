"""What is measured on a trained network besides its errors, on any backend of Keras.

A probe returns one number per layer. `result.json` keeps them under the name's plural, and their
mean stands among the metrics of every protocol under the name.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from repro.errors import unknown

BATCH = 200


def check(name: str) -> None:
    """Raises UsageError for an unknown probe."""
    if name not in PROBES:
        raise unknown("probe", name, PROBES)


def measure(names: Sequence[str], model: Any, images: np.ndarray) -> dict[str, list[float]]:
    """The values of each probe of `names`, in the order of the layers; `model` is left as it was.

    Raises UsageError for an unknown name and for a network that has nothing to measure.
    """
    for name in names:
        check(name)
    return {name: PROBES[name](model, images) for name in names}


def means(measured: dict[str, list[float]]) -> dict[str, float]:
    """The metric that stands for each probe: the mean over the layers."""
    return {name: fmean(values) for name, values in measured.items()}


def layer_response(model: Any, images: np.ndarray) -> list[float]:
    """The standard deviation of each 3x3 layer's response over all `images` [n, ...].

    He et al. 2015, section 4.2 and Figure 7: the response of a 3x3 convolution is what follows its
    batch normalisation, before the nonlinearity or the addition. In inference mode, one number per
    layer, over all images, places and maps.

    The batches' means and variances are taken in float32, and added up in float64: a batch's sum of
    squares would lose the small variance of a large mean.
    """
    probe = _with_moments(model, responses(model))
    count, mean, squares = 0, 0.0, 0.0  # squares: of the deviations from the mean, by layer
    for first in range(0, len(images), BATCH):
        part = images[first : first + BATCH]
        moments = np.asarray(probe.predict_on_batch(part), "float64")  # [layers, 2]
        more, apart = len(part), moments[:, 0] - mean
        squares += moments[:, 1] * more + apart**2 * count * more / (count + more)
        mean += apart * more / (count + more)
        count += more
    return np.sqrt(squares / count).tolist()


PROBES = {"layer_response": layer_response}


def responses(model: Any) -> list[Any]:
    """The outputs of the batch normalisations that follow a 3x3 convolution, from first to last."""
    import keras

    from repro.errors import UsageError

    single = [layer for layer in model.layers if not isinstance(layer.output, list | tuple)]
    makers = {id(layer.output): layer for layer in single}
    outputs = []
    for layer in single:
        if isinstance(layer, keras.layers.BatchNormalization):
            before = makers.get(id(layer.input))
            if tuple(getattr(before, "kernel_size", ())) == (3, 3):
                outputs.append(layer.output)
    if not outputs:
        raise UsageError(
            f"layer_response: {model.name} has no batch normalisation after a 3x3 convolution"
        )
    return outputs


def _with_moments(model: Any, outputs: Sequence[Any]) -> Any:
    """A model of the same weights: images -> [outputs, 2], the mean and variance of each output."""
    import keras
    from keras import ops

    from repro.networks import layers

    wide = [ops.cast(output, "float32") for output in outputs]
    moments = ops.stack([ops.stack([ops.mean(x), ops.var(x)]) for x in wide])
    probe = layers.deep_model(model.inputs, moments, name="moments")
    if keras.config.backend() == "tensorflow":
        probe.jit_compile = False  # compiling a deep network would take longer than measuring it
    return probe
