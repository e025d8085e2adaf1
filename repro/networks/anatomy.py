"""What a network is made of: shapes, parameters, connections, multiply-adds, receptive fields.

Counted from the layers of the Keras model, not from a forward pass:

- parameters: trainable ones. Fixed codes and moving averages are not counted; the gamma and beta of
  a batch normalisation are.
- connections: inputs that a unit takes through a weight, its own or a shared one, trained or fixed,
  plus one for its bias, summed over all units (LeCun et al. 1998, section II.B, counts so).
- multiply-adds: those of convolutions and matrix products, without biases. Of an RBF layer, one for
  each connection. Scalings, normalisations and poolings have none.
- receptive field: the side, in input pixels, of the square that a unit can depend on. Padding
  counts as image, so it can exceed the input. A number, or [height, width] where they differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repro import settings
from repro.errors import RunError
from repro.spec import Network


@dataclass(frozen=True)
class Axis:
    """Along one axis of the image: what a unit sees, and how units are spaced.

    size: input pixels that one unit sees; jump: input pixels between neighbouring units;
    units: how many there are, also when `Flatten` has made features of them. start: the first
    input pixel that the first unit sees, below 0 where it sees a border.
    """

    size: int
    jump: int
    units: int
    start: int = 0

    def window(self, kernel: int, stride: int, units: int, border: int = 0) -> "Axis":
        """After a layer whose units look at `kernel` neighbours, `stride` apart.

        border: units of padding before the first.
        """
        size, start = self.size + (kernel - 1) * self.jump, self.start - border * self.jump
        return Axis(size, self.jump * stride, units, start)

    def whole(self) -> "Axis":
        """After a layer whose unit looks at everything."""
        return Axis(self.size + (self.units - 1) * self.jump, self.jump, 1, self.start)

    def seen(self, unit: int) -> tuple[int, int]:
        """The input pixels that a unit sees, from the first to before the last; borders count."""
        first = self.start + unit * self.jump
        return first, first + self.size


Field = tuple[Axis, ...]


def of_network(network: Network) -> dict[str, Any]:
    """The anatomy of `network`, with the figures that the paper prints beside it.

    `reported` holds what the paper reports of it where no experiment is described yet.
    """
    return {
        **anatomy(network.build(**network.options)),
        "network": network.name,
        "published": dict(network.published),
        "source": network.source,
        "reported": settings.as_plain(network.reported),
    }


def anatomy(model: Any) -> dict[str, Any]:
    """The anatomy of a Keras model that is a graph of layers (Sequential or functional).

    Returns `network`, `input_shape`, the totals `parameters`, `connections` and `multiply_adds`,
    `published` (empty), and `layers`: in the order of computation, each a dict of `name`, `kind`,
    `output_shape` (without the batch), `parameters`, `connections`, `multiply_adds`,
    `receptive_field`. A layer that is used twice has its parameters counted once.
    Raises RunError for a model that is no such graph, and for a layer with a weight matrix whose
    connections this module cannot count: a silent zero would be wrong.
    """
    graph = _graph(model)
    rows: list[dict[str, Any]] = []
    _walk(graph, _input_fields(graph), "", rows, set(), {})
    totals = {k: sum(r[k] for r in rows) for k in ("parameters", "connections", "multiply_adds")}
    parameters = sum(math.prod(w.shape) for w in model.trainable_weights)
    if totals["parameters"] != parameters:
        raise RunError(
            f"anatomy of {model.name}: the layers have {totals['parameters']:,} parameters, the "
            f"model has {parameters:,}"
        )
    shapes = [list(tensor.shape[1:]) for tensor in graph.inputs]
    return {
        "network": model.name,
        "input_shape": shapes[0] if len(shapes) == 1 else shapes,
        **totals,
        "published": {},
        "layers": rows,
    }


def fields(model: Any) -> dict[str, Field]:
    """What units of each layer see, along the height and the width. Raises as `anatomy` does."""
    graph, seen_by = _graph(model), {}
    _walk(graph, _input_fields(graph), "", [], set(), seen_by)
    return seen_by


# ---------------------------------------------------------------------------- the graph


def _input_fields(graph: Any) -> list[Field]:
    return [_input_field(tensor.shape[1:]) for tensor in graph.inputs]


def _graph(model: Any) -> Any:
    import keras

    if isinstance(model, keras.Sequential) and model.built:
        model = model._functional
    if not isinstance(model, keras.Model) or not hasattr(model, "_nodes_by_depth"):
        raise RunError(f"anatomy needs a graph of Keras layers; {model!r} is none")
    return model


def _walk(
    graph: Any,
    fields: Sequence[Field],
    prefix: str,
    rows: list[dict[str, Any]],
    seen: set[int],
    seen_by: dict[str, Field],
) -> list[Field]:
    """Adds a row for each call of a layer in `graph`, and to `seen_by` its field.

    Returns the fields of the outputs.
    """
    import keras

    of_tensor = {id(t): field for t, field in zip(graph.inputs, fields, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            layer = node.operation
            if node.is_input:
                continue
            inputs, outputs = node.input_tensors, node.outputs
            before = [of_tensor[id(t)] for t in inputs]
            if isinstance(layer, keras.Sequential) or hasattr(layer, "_nodes_by_depth"):
                after = _walk(_graph(layer), before, f"{prefix}{layer.name}/", rows, seen, seen_by)
                seen_by[prefix + layer.name] = after[0]
            else:
                field = _field(layer, before, [t.shape for t in inputs], outputs[0].shape)
                connections, multiply_adds = _cost(layer, inputs[0].shape, outputs[0].shape)
                weights = [w for w in getattr(layer, "trainable_weights", []) if id(w) not in seen]
                seen.update(map(id, weights))
                seen_by[prefix + layer.name] = field
                sides = [axis.size for axis in field]
                rows.append(
                    {
                        "name": prefix + layer.name,
                        "kind": type(layer).__name__,
                        "output_shape": list(outputs[0].shape[1:]),
                        "parameters": sum(math.prod(w.shape) for w in weights),
                        "connections": connections,
                        "multiply_adds": multiply_adds,
                        "receptive_field": sides[0] if len(set(sides)) == 1 else sides,
                    }
                )
                after = [field] * len(outputs)
            of_tensor.update(zip(map(id, outputs), after, strict=True))
    return [of_tensor[id(t)] for t in graph.outputs]


# ---------------------------------------------------------------------------- connections


def _cost(layer: Any, before: Sequence[int], after: Sequence[int]) -> tuple[int, int]:
    """(connections, multiply-adds) of one call of `layer` on one example."""
    from keras import layers

    from repro.networks.krizhevsky2012 import LocallyConnected2D
    from repro.networks.lecun1998 import EuclideanRBF, PartialConv2D, Subsampling

    if hasattr(layer, "cost"):  # of a layer that knows it by itself
        return layer.cost(before, after)
    units = math.prod(after[1:])
    if isinstance(layer, Subsampling):
        return units * (2 * 2 + 1), 0
    if isinstance(layer, PartialConv2D):
        positions = math.prod(after[1:-1])
        products = positions * layer.kernel_size**2 * sum(map(len, layer.table))
        return products + units, products
    if isinstance(layer, LocallyConnected2D):
        products = units * layer.kernel_size**2 * before[-1]
        return products + units, products
    if isinstance(layer, EuclideanRBF):
        products = units * before[-1]
        return products, products
    bias = units if getattr(layer, "use_bias", False) else 0
    if isinstance(layer, layers.Conv2D):
        products = units * math.prod(layer.kernel_size) * (before[-1] // layer.groups)
        return products + bias, products
    if isinstance(layer, layers.Dense):
        products = units * before[-1]
        return products + bias, products
    matrices = [w for w in getattr(layer, "weights", []) if len(w.shape) > 1]
    if matrices or type(layer).__name__ in ("Matmul", "Einsum", "Conv", "Dot", "Tensordot"):
        raise RunError(
            f"anatomy does not know the connections of {type(layer).__name__} ('{layer.name}')"
        )
    return 0, 0


# ---------------------------------------------------------------------------- receptive fields


def _input_field(shape: Sequence[int]) -> Field:
    """Images [height, width, channels], or [features] in a row."""
    sides = shape[:-1] if len(shape) > 1 else shape
    return tuple(Axis(1, 1, side or 1) for side in sides)


def _field(
    layer: Any, before: Sequence[Field], shapes: Sequence[Sequence[int]], after: Sequence[int]
) -> Field:
    from keras import layers

    # A unit of a branching network sees what any of its inputs sees.
    axes = max(map(len, before))
    field = tuple(
        Axis(
            max(a.size for a in axis),
            max(a.jump for a in axis),
            max(a.units for a in axis),
            min(a.start for a in axis),
        )
        for axis in zip(*[f for f in before if len(f) == axes], strict=True)
    )
    window = _window(layer)
    if window is not None:
        kernels, strides = window
        borders = _borders(layer, shapes[0][1:-1], kernels, strides)
        return tuple(
            axis.window(kernel, stride, units, border)
            for axis, kernel, stride, units, border in zip(
                field, kernels, strides, after[1:-1], borders, strict=True
            )
        )
    rank_before, rank_after = len(shapes[0]), len(after)
    if rank_before == 2:
        if isinstance(layer, layers.Reshape) and all(a.size == 1 for a in field):
            return _input_field(after[1:])
        matrix = isinstance(layer, layers.Dense) or type(layer).__name__ == "EuclideanRBF"
        return tuple(axis.whole() for axis in field) if matrix else field
    if rank_after == 2:  # flattening keeps the units; pooling leaves one that sees everything
        kept = math.prod(after[1:]) == math.prod(shapes[0][1:])
        return field if kept else tuple(axis.whole() for axis in field)
    if rank_after == rank_before:
        if isinstance(layer, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D):
            return tuple(axis.whole() for axis in field)
        around = [(0, 0)] * len(field)
        if isinstance(layer, layers.ZeroPadding2D):
            around = layer.padding
        return tuple(
            Axis(axis.size, axis.jump, side, axis.start - before * axis.jump)
            for axis, side, (before, _) in zip(field, after[1:-1], around, strict=True)
        )
    return field


def _window(layer: Any) -> tuple[Sequence[int], Sequence[int]] | None:
    """(kernel, stride) of a layer that slides over the image; dilated kernels at their extent."""
    from keras import layers

    from repro.networks.krizhevsky2012 import LocallyConnected2D
    from repro.networks.lecun1998 import PartialConv2D, Subsampling

    if hasattr(layer, "window"):
        return layer.window
    if isinstance(layer, Subsampling):
        return (2, 2), (2, 2)
    if isinstance(layer, PartialConv2D | LocallyConnected2D):
        return (layer.kernel_size,) * 2, (1, 1)
    if isinstance(layer, layers.Conv2D):
        pairs = zip(layer.kernel_size, layer.dilation_rate, strict=True)
        return [(k - 1) * dilation + 1 for k, dilation in pairs], layer.strides
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        return layer.pool_size, layer.strides
    return None


def _borders(
    layer: Any, sides: Sequence[int], kernels: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """How many units of padding come before the first, along each axis.

    With "same" padding the windows cover all of a side, and what is left over is halved; the odd
    one comes after the last.
    """
    if hasattr(layer, "borders"):
        return list(layer.borders)
    if getattr(layer, "padding", "valid") != "same":
        return [0] * len(kernels)
    return [
        max(0, (math.ceil(side / stride) - 1) * stride + kernel - side) // 2
        for side, kernel, stride in zip(sides, kernels, strides, strict=True)
    ]
