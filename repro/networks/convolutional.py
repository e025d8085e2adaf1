"""Networks for images of any size: full layers as convolutions, and what is averaged in tests."""

import math
from typing import Any

import keras
from keras import ops

from repro.errors import UsageError

# They go by places in images of one size.
OF_ONE_SIZE = (keras.layers.Reshape, keras.layers.Permute)


class FullLayerAsConvolution(keras.layers.Layer):
    """A full layer on each place of maps: a convolution with its weights, which stay its own.

    full: a Dense layer that has been built. window: height and width of the maps that it takes,
    flattened. Maps [batch, height, width, maps] in, [batch, height', width', units] out, smaller by
    the window less one.
    """

    def __init__(self, full: Any, window: tuple[int, int]):
        super().__init__(dtype=full.dtype_policy, name=full.name)
        self.full, self.kernel_size = full, window

    def call(self, x):
        maps, units = x.shape[-1], self.full.units
        kernel = ops.reshape(self.full.kernel, (*self.kernel_size, maps, units))
        x = ops.conv(x, ops.cast(kernel, x.dtype), padding="valid")
        if self.full.use_bias:
            x = x + ops.cast(self.full.bias, x.dtype)
        return x if self.full.activation is None else self.full.activation(x)


def fully_convolutional(model: Any) -> Any:
    """`model` for images of any size, by the same weights (Simonyan and Zisserman 2014, 3.2).

    The full layers become convolutions, the first as large as the last maps (7x7 in VGG), the
    others 1x1. Images [batch, height, width, channels] at least as large as
    those of `model` in, maps of class scores [batch, height', width', classes] out, of one place
    for images as large. Where `model` averages or maximises its last maps as a whole, this does so
    with larger ones, and gives scores [batch, classes].

    Variables are those of `model`: what it learns afterwards, this knows. Raises UsageError for a
    network that can only be of one size.
    """
    graph = getattr(model, "_functional", model)
    (source,), (result,) = graph.inputs, graph.outputs
    images = keras.Input((None, None, source.shape[-1]))
    tensors, windows = {id(source): images}, {}
    try:
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if not node.is_input:
                    _again(node, tensors, windows)
    except Exception as error:  # of many types, from layers that want to know the size
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{model.name} takes images of one size only: {said}") from error
    dense = keras.Model(images, tensors[id(result)], name=f"{model.name}-fully-convolutional")
    places = dense(keras.Input(source.shape[1:])).shape[1:-1]
    if any(side != 1 for side in places) or dense.output_shape[-1] != result.shape[-1]:
        raise UsageError(
            f"{model.name} takes images of one size only: applied to larger ones, it does not end "
            "in class scores"
        )
    return dense


def _again(node: Any, tensors: dict[int, Any], windows: dict[int, tuple[int, int]]) -> None:
    """Calls the layer of a node once more, on what its inputs have become in `tensors`.

    windows: height and width, in the network itself, of what its flattened tensors were made of.
    """
    layer, before, after = node.operation, node.input_tensors[0], node.output_tensors[0]
    arguments, keywords = node.arguments.fill_in(tensors)
    if isinstance(layer, OF_ONE_SIZE):
        raise UsageError(f"{layer.name} is a {type(layer).__name__}")
    if isinstance(layer, keras.layers.Flatten) and len(before.shape) == 4:
        windows[id(after)] = tuple(before.shape[1:3])
        tensors[id(after)] = arguments[0]
        return
    if isinstance(layer, keras.layers.Dense) and len(arguments[0].shape) > len(before.shape):
        layer = FullLayerAsConvolution(layer, windows.get(id(before), (1, 1)))
    elif id(before) in windows:  # dropout, say
        windows[id(after)] = windows[id(before)]
    made = layer(*arguments, **keywords)
    made = made if isinstance(made, list | tuple) else [made]
    tensors.update(zip(map(id, node.output_tensors), made, strict=True))


def mirrored_too(network: Any) -> Any:
    """The network on images and their mirror images: images [n, ...] -> logits [n, classes].

    Their softmax is the mean of both. Maps of class scores are averaged over all places first
    (Simonyan and Zisserman 2014, section 3.2).
    """
    images = keras.Input(network.input_shape[1:])
    outputs = network(ops.concatenate([images, ops.flip(images, axis=2)]))
    scores = ops.cast(outputs, "float32")
    if len(scores.shape) == 4:
        scores = ops.mean(scores, axis=(1, 2))
    return keras.Model(images, mean_softmax(ops.reshape(scores, (2, -1, scores.shape[-1])), axis=0))


def mean_softmax(logits: Any, axis: int) -> Any:
    """Logits whose softmax is the mean, along an axis, of the softmax of `logits` [..., classes]"""
    summed = ops.logsumexp(ops.log_softmax(logits), axis=axis)
    return summed - math.log(logits.shape[axis])
