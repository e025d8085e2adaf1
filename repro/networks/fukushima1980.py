"""The cells of Fukushima 1980, and how they learn.

Equations are numbered as in the paper. No output is negative. Around a layer lie silent cells.
`windows` is what cells see; what they make of it is sums and products, in operations of Keras, so
that every backend computes it, in training too.
"""

import math

import keras
import numpy as np
from keras import ops

# Outputs that differ by less count as equal, and the first of equal ones wins: along a straight
# line they are equal but for rounding, and the last bit is not the same on all machines.
TIE = 1e-5


def windows(u, side: int, stride: int = 1, pad: tuple[int, int] = (0, 0)):
    """What cells see of `u` [batch, height, width, planes]: [batch, rows, columns, inputs].

    A window has side x side places, stride apart; `pad` silent cells lie before and after `u` along
    each axis. The inputs of a cell: the places of its window row by row, at each all planes.
    """
    u = ops.pad(u, ((0, 0), pad, pad, (0, 0)))
    height, width, planes = u.shape[1:]
    places = window_places(height, width, side, stride)
    seen = ops.take(ops.reshape(u, (-1, height * width, planes)), places.ravel(), axis=1)
    return ops.reshape(seen, (-1, *places.shape[:2], side**2 * planes))


def window_places(height: int, width: int, side: int, stride: int = 1) -> np.ndarray:
    """Which places of a layer, counted row by row, each window holds: [rows, columns, side^2]."""
    places = np.arange(height * width, dtype="int32").reshape(height, width)
    every = np.lib.stride_tricks.sliding_window_view(places, (side, side))[::stride, ::stride]
    return every.reshape(*every.shape[:2], side**2)


def decreasing(side: int, base: float) -> np.ndarray:
    """base^|v| for each place v of a window, [side, side], |v| from its centre in cells."""
    x = np.arange(side) - (side - 1) / 2
    return base ** np.hypot(x[:, None], x[None, :])


def first_impressions(side: int, inputs: int, planes: int) -> np.ndarray:
    """The excitatory weights before any learning, in parts of the greatest possible: all positive.

    [side, side, inputs, planes]. Plane k of K prefers lines at the angle pi k/K, weakly, and those
    planes of the layer before it (of K') whose k'/K' is near its own k/K. Nothing is random.
    """
    x = np.arange(side) - (side - 1) / 2
    angle = np.arctan2(-x[:, None], x[None, :])[..., None]
    place = np.arange(planes) / planes
    along = (3 + np.cos(2 * (angle - math.pi * place))) / 4
    along[side // 2, side // 2] = 1.0
    before = np.arange(inputs)[:, None] / inputs
    near = 1 - np.abs(before - place) if inputs > 1 else np.ones((1, planes))
    return along[:, :, None, :] * near


class Cells(keras.layers.Layer):
    """A layer of cells: `planes` planes, each cell with a window of side x side."""

    stride = 1

    def __init__(self, side: int, pad: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.side, self.pad = side, tuple(pad)

    def seen(self, u):
        return windows(u, self.side, self.stride, self.pad)

    @property
    def window(self):
        """Kernel and stride of each axis, for the anatomy."""
        return (self.side,) * 2, (self.stride,) * 2

    @property
    def borders(self):
        """The silent cells before the first one along each axis, for the anatomy."""
        return (self.pad[0],) * 2

    def compute_output_shape(self, shape):
        sides = ((n + sum(self.pad) - self.side) // self.stride + 1 for n in shape[1:3])
        return (shape[0], *sides, self.planes_of(shape))

    def get_config(self):
        return {**super().get_config(), "side": self.side, "pad": self.pad}


@keras.saving.register_keras_serializable("repro")
class SCells(Cells):
    """An S-layer with the V-cells that inhibit it; its weights `excitatory` a and `inhibitory` b.

    S = r [(1 + sum a u) / (1 + 2r/(1+r) b v) - 1], 0 where that is negative (1, 2), with the V-cell
    v = sqrt(sum c u^2) over the same window (3). c falls with the distance as base^|v|; over window
    and planes its sum is 1. All cells of a plane have the same weights.

    planes: how many. side, pad: of the window. r: how selective cells are. start: the greatest
    weight before any learning.
    """

    def __init__(
        self,
        planes: int,
        side: int,
        pad: tuple[int, int],
        r: float,
        base: float,
        start: float,
        **kwargs,
    ):
        super().__init__(side, pad, **kwargs)
        self.planes, self.r, self.base, self.start = planes, r, base, start

    def planes_of(self, shape):
        return self.planes

    def build(self, shape):
        first = self.start * first_impressions(self.side, shape[-1], self.planes)
        self.excitatory = self.add_weight(
            name="excitatory", shape=first.shape, initializer=keras.initializers.Constant(first)
        )
        self.inhibitory = self.add_weight(
            name="inhibitory", shape=(self.planes,), initializer="zeros"
        )
        c = np.repeat(decreasing(self.side, self.base).ravel(), shape[-1])
        self.c = (c / c.sum()).astype("float32")

    def v(self, seen):
        """The V-cells' outputs [..., 1], of what they see [..., inputs]."""
        return ops.sqrt(ops.sum(ops.multiply(self.c, seen**2), axis=-1, keepdims=True))

    def call(self, u):
        seen = self.seen(u)
        weights = ops.reshape(self.excitatory, (-1, self.planes))
        inhibition = 2 * self.r / (1 + self.r) * self.inhibitory * self.v(seen)
        return self.r * ops.relu((1 + ops.matmul(seen, weights)) / (1 + inhibition) - 1)

    def reinforcements(self, u, s, speed: float, column: int):
        """What is added to a and b when `u` makes these cells give `s`.

        Of a plane with a representative: q c u of its window to a (7), q/2 v to b (8). All cells of
        the plane share them. speed: q; column: the side of an S-column.
        """
        there = representatives(s, column)
        seen = self.seen(u)
        inputs = ops.reshape(seen, (-1, there.shape[1], seen.shape[-1]))
        v = ops.reshape(self.v(seen), (-1, there.shape[1], 1))
        a = speed * ops.einsum("bni,bnk->ik", ops.multiply(self.c, inputs), there)
        b = speed / 2 * ops.sum(v * there, axis=(0, 1))
        return [ops.reshape(a, self.excitatory.shape), b]

    def cost(self, before, after):
        """Connections: of an S-cell its window and its V-cell, of a V-cell its window."""
        inputs = self.side**2 * before[-1]
        cells, columns = math.prod(after[1:]), math.prod(after[1:-1])
        return cells * (inputs + 1) + columns * inputs, (cells + columns) * inputs

    def get_config(self):
        names = ("planes", "r", "base", "start")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("repro")
class CCells(Cells):
    """A C-layer with the V-cells of its lateral inhibition; nothing in it is learnt.

    C = x / (alpha + x) of x = (1 + sum d s) / (1 + v) - 1, 0 where that is negative (4, 5). The sum
    goes over a window of the S-plane of the same number. The V-cell v is the mean of these sums
    over all planes (6). d falls with the distance as base^|v|, from 1 at the centre.

    side, stride, pad: of the window. alpha: how soon the output saturates.
    """

    def __init__(
        self, side: int, stride: int, pad: tuple[int, int], alpha: float, base: float, **kwargs
    ):
        super().__init__(side, pad, **kwargs)
        self.stride, self.alpha, self.base = stride, alpha, base

    def planes_of(self, shape):
        return shape[-1]

    def call(self, s):
        seen = self.seen(s)
        shape = (-1, *seen.shape[1:3], self.side**2, s.shape[-1])
        d = decreasing(self.side, self.base).astype("float32").reshape(-1, 1)
        sums = ops.sum(ops.multiply(ops.reshape(seen, shape), d), axis=-2)
        v = ops.mean(sums, axis=-1, keepdims=True)
        x = ops.relu((1 + sums) / (1 + v) - 1)
        return x / (self.alpha + x)

    def cost(self, before, after):
        """Connections: of a C-cell its window and its V-cell, of a V-cell that of all planes.

        A V-cell takes the mean of what the C-cells have added up, so it multiplies nothing more.
        """
        cells, inputs = math.prod(after[1:]), self.side**2
        return cells * (inputs + 1) + cells * inputs, cells * inputs

    def get_config(self):
        names = ("stride", "alpha", "base")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("repro")
class Naming(keras.layers.Layer):
    """Says for which digit the last cells take a pattern: [batch, cells] -> [batch, classes + 1].

    Of each class the output of its own cell, and last the greatest output of any other cell.
    `winners` holds the cell of each class, -1 for none. It takes no part in learning.
    """

    def __init__(self, classes: int, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, shape):
        none = keras.initializers.Constant(-1)
        self.winners = self.add_weight(
            name="winners", shape=(self.classes,), initializer=none, trainable=False
        )

    def call(self, u):
        cells = np.arange(u.shape[-1], dtype="float32")
        own = ops.cast(ops.equal(self.winners[:, None], cells), u.dtype)  # [classes, cells]
        others = u * (1 - ops.max(own, axis=0))
        of_classes = ops.matmul(u, ops.transpose(own))
        return ops.concatenate([of_classes, ops.max(others, axis=-1, keepdims=True)], axis=-1)

    def take_note(self, u: np.ndarray, labels: np.ndarray) -> None:
        """The winner of a class is the cell that responds most to its first example, if any does.

        u: [examples, cells].
        """
        winners = np.full(self.classes, -1.0, "float32")
        for row, label in reversed(list(zip(u, labels, strict=True))):
            winners[label] = np.argmax(row) if row.max() > 0 else -1
        self.winners.assign(winners)

    def compute_output_shape(self, shape):
        return (shape[0], self.classes + 1)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def first_largest(u, axis: int):
    """Where the largest along an axis is, the first of equal ones."""
    largest = ops.max(u, axis=axis, keepdims=True)
    return ops.argmax(ops.cast(u >= (1 - TIE) * largest, "int32"), axis=axis)


def representatives(s, column: int):
    """Which cells represent their planes: 1 for those, else 0, [batch, cells of a plane, planes].

    An S-column holds column x column cells of every plane. The cell of a column that gives the
    largest output is a candidate, if it gives any; of a plane the candidate with the largest output
    represents it. Columns lie at every place of the layer.
    """
    height, width, planes = s.shape[1:]
    columns = windows(s, column)
    cells = np.arange(height * width * planes, dtype="int32").reshape(-1, planes)
    cells = cells[window_places(height, width, column)].reshape(1, *columns.shape[1:])
    largest = first_largest(columns, -1)
    which = ops.one_hot(largest, cells.shape[-1], dtype="int32")
    chosen = ops.sum(ops.multiply(which, cells), axis=-1)
    candidates = ops.any(ops.one_hot(chosen, height * width * planes, dtype="bool"), axis=(1, 2))
    outputs = ops.reshape(s, (-1, height * width, planes))
    outputs = ops.where(ops.reshape(candidates, (-1, height * width, planes)), outputs, 0.0)
    first = ops.one_hot(first_largest(outputs, 1), height * width, axis=1, dtype=s.dtype)
    return first * ops.cast(outputs > 0, s.dtype)
