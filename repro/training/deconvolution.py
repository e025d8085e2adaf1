"""Which units of a layer images excite most, and what in the images does it.

Zeiler and Fergus 2013, for any network that is a graph of layers. Their deconvolutional
network goes from the strongest unit of a map, all others of its layer set to zero, down to the
pixels: a max-pooling hands its signal to the place of the maximum that was recorded on the way up
(the switch), a rectification rectifies the signal, a convolution is the transposed one, without
biases. That is the gradient of the unit by the image, times what the unit gave, with one thing
changed: where relu's gradient lets the signal through at the places that were above zero on the way
up, here the signal itself is rectified. Said so, the rule is the paper's for a chain of such
layers, and holds for any graph: an addition hands its signal to both branches, batch normalisation
multiplies it by gamma over the deviation, an average pooling spreads it out. For what the paper
says nothing of, such as tanh or response normalisation, it is the plain gradient.

The switches are all that this way back knows of the image: in a network without max-pooling a unit
gives the same picture whatever the image is, but for its strength. `guided` lets a signal through
only where relu was above zero on the way up, too (Springenberg et al. 2014).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from repro import backends
from repro.errors import UsageError, unknown
from repro.lazy import keras, layers
from repro.networks import anatomy, work
from repro.training.evaluation import BATCH, BATCH_WORK

BACK = 16  # images that are led back to the pixels at once
# How far a set is looked through for what excites the maps of a layer, in multiply-adds: minutes.
MOST_WORK = 4e12


# ---------------------------------------------------------------------------- layers with maps


def with_maps(model: Any) -> dict[str, Any]:
    """The layers that make maps, by name, from first to last."""
    made = {}
    for layer in model.layers:
        single = not isinstance(layer, keras.layers.InputLayer) and len(layer._inbound_nodes) == 1
        output = layer.output if single else None
        if len(getattr(output, "shape", ())) == 4:
            made[layer.name] = layer
    return made


def layer_of(model: Any, name: str | None) -> str:
    """The layer `name`, if it makes maps; by default the deepest whose units see few pixels.

    That is at most two thirds of an image along either side. Of the layers that rectify, where any
    does. Raises UsageError.
    """
    made = with_maps(model)
    if not made:
        raise UsageError(f"{model.name} has no layer with maps to look at")
    if name is not None:
        if name not in made:
            raise unknown("layer", name, made)
        return name
    chosen = [n for n, layer in made.items() if rectifies(layer)] or list(made)
    seen, sides = anatomy.fields(model), model.input_shape[1:3]
    parts = [
        n
        for n in chosen
        if all(3 * a.size <= 2 * side for a, side in zip(seen[n], sides, strict=True))
    ]
    return (parts or chosen[:1])[-1]


def rectifies(layer: Any) -> bool:
    """Whether a layer ends in relu."""
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope and not layer.threshold and layer.max_value is None
    return getattr(layer, "activation", None) is keras.activations.relu


def up_to(model: Any, layer: str) -> Any:
    """The network from its input to the maps of `layer`, with the same weights."""
    maps = model.get_layer(layer).output
    part = layers.deep_model(model.inputs[0], maps, name="up_to_a_layer")
    part.jit_compile = False  # compiling a deep network would take longer than to look through it
    return part


# ---------------------------------------------------------------------------- what excites a map


@dataclass(frozen=True, eq=False)
class Strongest:
    """The units that images excite most, in each map: at most one for an image.

    values: float32 [k, maps], what the units gave, in falling order; images: int [k, maps], which
    image it was; places: int [k, maps, 2], the row and column of the unit. looked_at: how many
    images were.
    """

    values: np.ndarray
    images: np.ndarray
    places: np.ndarray
    looked_at: int


def strongest(
    part: Any,
    images: Callable[[slice], np.ndarray],
    count: int,
    keep: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Strongest:
    """Of the first `count` images, the `keep` that excite each map of `part` most.

    part: a network `up_to` a layer. images(slice): some of them as it takes them. So many are
    looked at as MOST_WORK pays for. Of equal units that of the first image counts, and within an
    image the first.
    """
    each = max(1, work.multiply_adds(part))
    count = min(count, max(keep, int(MOST_WORK / each)))
    batch = max(1, min(BATCH, int(BATCH_WORK / each)))
    best = None
    for first in range(0, count, batch):
        last = min(first + batch, count)
        maps = part.predict_on_batch(images(slice(first, last)))
        found = _strongest_places(np.asarray(maps, np.float32), first)
        if best is not None:
            found = [np.concatenate(pair) for pair in zip(best, found, strict=True)]
        order = np.argsort(-found[0], axis=0, kind="stable")[:keep]
        best = [np.take_along_axis(rows, order, axis=0) for rows in found]
        progress(last, count)
    values, numbers, units = best
    places = np.stack(np.divmod(units, part.output_shape[2]), axis=-1)
    return Strongest(values, numbers, places, count)


def _strongest_places(maps: np.ndarray, first: int) -> list[np.ndarray]:
    """Of maps [n, rows, columns, m]: the greatest values, their images and places, all [n, m]."""
    flat = maps.reshape(len(maps), -1, maps.shape[-1])
    units = flat.argmax(axis=1)
    values = np.take_along_axis(flat, units[:, None], axis=1)[:, 0]
    numbers = np.broadcast_to(np.arange(first, first + len(maps))[:, None], units.shape)
    return [values, numbers, units]


# ---------------------------------------------------------------------------- back to the pixels


def deconvolved(
    part: Any,
    images: np.ndarray,
    maps: Sequence[int],
    places: np.ndarray,
    guided: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """What in each of `images` [n, H, W, C] excites a unit of the layer that `part` ends with.

    part: a network `up_to` that layer. maps: [n], and places: [n, 2], row and column: one unit for
    each image. Returns pictures, float32 of the shape of the images, and what the units gave, [n].
    """
    network, maps, places = partial(part, training=False), np.asarray(maps), np.asarray(places)
    pictures, values = np.zeros(images.shape, np.float32), np.zeros(len(images), np.float32)
    for first in range(0, len(images), BACK):
        some = slice(first, first + BACK)
        given = np.asarray(images[some], np.float32)
        gave = keras.ops.convert_to_numpy(network(keras.ops.convert_to_tensor(given)))
        units = np.arange(len(given)), *places[some].T, maps[some]
        signal = np.zeros(gave.shape, np.float32)
        signal[units] = values[some] = gave[units]
        with _signals_rectified(part, guided):
            pictures[some] = backends.here().pulled_back(network, given, signal)
    return pictures, values


def blind(part: Any, images: np.ndarray) -> bool:
    """Whether the way back from the layer that `part` ends with is the same for every image.

    images: two that are not alike, [2, H, W, C], of those that the network is for: cells that only
    answer to such let nothing through of noise.
    """
    signal = np.random.default_rng(0).normal(size=(1, *part.output_shape[1:])).astype("float32")
    signal = np.repeat(signal, 2, axis=0)
    with _signals_rectified(part, guided=False):
        one, other = backends.here().pulled_back(partial(part, training=False), images, signal)
    same = np.allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(one).max())
    return bool(same and one.any())


@contextlib.contextmanager
def _signals_rectified(model: Any, guided: bool) -> Iterator[None]:
    """Within it every relu rectifies the signal on the way back; it masks it only if `guided`."""
    rectifying = partial(_relu, guided=guided)
    changed = []
    try:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.Model) or not rectifies(layer):
                continue
            name = "call" if isinstance(layer, keras.layers.ReLU) else "activation"
            changed.append((layer, name, getattr(layer, name)))
            object.__setattr__(layer, name, rectifying)  # not Keras' own, which would track it
        yield
    finally:
        for layer, name, before in changed:
            object.__setattr__(layer, name, before)
            if name == "call":
                object.__delattr__(layer, name)  # the class has it


def _relu(x, guided):
    """relu forwards; backwards the signal, rectified."""

    @keras.ops.custom_gradient
    def both_ways(x):
        def back(*arguments, upstream=None):
            signal = keras.ops.relu(arguments[0] if upstream is None else upstream)
            return signal * keras.ops.cast(x > 0, signal.dtype) if guided else signal

        return keras.ops.relu(x), back

    return both_ways(x)
