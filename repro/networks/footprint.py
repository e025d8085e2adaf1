"""How many values of an example a network keeps in training, counted from its graph of layers.

A gradient needs some of what its layer was given or gave, so that stays in memory until the way
back has come to it: of a convolution, a matrix product or a normalisation what it was given, of a
relu what it gave, of a sum nothing. What several layers need is there once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from repro.networks.anatomy import graph_of
from repro.networks.layers import Recomputing


@dataclass(frozen=True)
class Footprint:
    """kept: values of an example that are in memory at once, at the turn of the way back.

    passing: values that come and go beside them, at most: the signal into a layer and out of it,
    and what the layers of a chain compute anew (`repro.networks.layers.Recomputing`).
    """

    kept: int
    passing: int


def footprint(model: Any) -> Footprint:
    """Of a Keras model that is a graph of layers. Raises RunError for another."""
    graph = graph_of(model)
    kept, within, passing = _needed(graph, {})
    return Footprint(sum(kept.values()) + within, passing)


def _needed(graph: Any, same: dict[int, int]) -> tuple[dict[int, int], int, int]:
    """Which tensors are kept, with their sizes; values within layers; values that pass.

    same: tensors that are others: the inputs of a graph within another, what a `Flatten` gives.
    """
    kept: dict[int, int] = {}
    within = passing = 0
    for chain in _chains(graph):
        needed, inside, through = {}, 0, 0
        for node in chain:
            layer, given, gave = node.operation, node.input_tensors, node.outputs
            if hasattr(layer, "_nodes_by_depth"):
                inner = graph_of(layer)
                names = dict(zip(map(id, inner.inputs), map(id, given), strict=True))
                tensors, more, most = _needed(inner, names)
                of_outputs = zip(map(id, inner.outputs), map(id, gave), strict=True)
                outputs = dict(of_outputs)
                needed |= {outputs.get(tensor, tensor): size for tensor, size in tensors.items()}
            else:
                tensors = [*(given if _takes(layer) else ()), *(gave if _gives(layer) else ())]
                needed |= {id(tensor): _size(tensor) for tensor in tensors}
                more, most = _inside(layer, given[0], gave[0]), sum(map(_size, (*given, *gave)))
                if type(layer).__name__ in RENAMING:
                    same[id(gave[0])] = same.get(id(given[0]), id(given[0]))
            inside, through = inside + more, max(through, most)
        if len(chain) > 1:  # computed anew: what comes from outside stays, the rest passes
            own = {id(tensor) for node in chain for tensor in node.outputs}
            outside = {id(t): _size(t) for n in chain for t in n.input_tensors if id(t) not in own}
            through += inside + sum(size for tensor, size in needed.items() if tensor in own)
            needed, inside = outside, 0
        kept |= {same.get(tensor, tensor): size for tensor, size in needed.items()}
        within, passing = within + inside, max(passing, through)
    return kept, within, passing


def _chains(graph: Any) -> Iterator[list]:
    """The nodes in the order of computation, those together that are computed anew together."""
    if isinstance(graph, Recomputing):
        yield from graph.chains
        return
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from ([node] for node in graph._nodes_by_depth[depth] if not node.is_input)


def _size(tensor: Any) -> int:
    """Values of an example."""
    return math.prod(tensor.shape[1:])


# Layers that give what they were given, in another shape.
RENAMING = ("Flatten", "Reshape")
# Layers whose gradient needs neither what they were given nor what they gave.
MOVING = ("Add", "Subtract", "Average", "Concatenate", "ZeroPadding2D", "Cropping2D", "Rescaling")
MOVING += (*RENAMING, "Permute", "RepeatVector", "UpSampling2D", "Identity", "Dropout")
MOVING += ("Pad", "Stack", "Split", "GetItem", "Transpose", "Squeeze", "ExpandDims")
MOVING += ("UnscaledDropout", "AveragePooling2D", "GlobalAveragePooling2D", "Subsampling")
# Those whose gradient goes by what they gave alone.
SQUASHING = ("ReLU", "ScaledTanh", "Activation", "Softmax")


def _takes(layer: Any) -> bool:
    return type(layer).__name__ not in (*MOVING, *SQUASHING)


def _gives(layer: Any) -> bool:
    """An unknown layer keeps both."""
    from keras import activations, layers

    if type(layer).__name__ in MOVING:
        return False
    activation = getattr(layer, "activation", None)
    if getattr(layer, "kernel", None) is not None:
        return activation not in (None, activations.linear)
    return not isinstance(layer, layers.BatchNormalization | layers.Multiply)


def _inside(layer: Any, given: Any, gave: Any) -> int:
    """Values that a layer keeps of its own."""
    kind = type(layer).__name__
    if kind == "LocalResponseNormalization":  # a root, the root of it, and their product
        return 3 * _size(gave)
    if kind == "LocallyConnected2D":  # the patches
        positions = _size(gave) // gave.shape[-1]
        return positions * layer.kernel_size**2 * given.shape[-1]
    if kind == "Subsampling":  # the sums
        return _size(gave)
    if kind == "EuclideanRBF":  # the differences
        return _size(given) * _size(gave)
    if kind in ("Dropout", "UnscaledDropout"):  # a byte each: which of them are dropped
        return _size(gave) // 4
    return 0
