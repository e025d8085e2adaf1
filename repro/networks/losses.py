"""Losses of the papers: what is minimised, and how a class is chosen from the network's outputs.

Each is called with `outputs` [batch, classes], one with those of several classifiers, and integer
`labels` [batch], and returns one value per example; `predict` returns the chosen classes.
`curvature` returns the first and second derivatives by the outputs, for recipes that need them.
"""

from dataclasses import dataclass

from repro.lazy import keras
from repro.limits import Limited, number


def one_hot(labels, outputs):
    return keras.ops.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype)


@dataclass(frozen=True)
class MAP(Limited):
    """The discriminative criterion of LeCun et al. 1998, equation 9, over penalties y.

    E = y_D + log(exp(-j) + sum_i exp(-y_i)); j > 0 is the penalty of a "rubbish" class and limits
    how far wrong classes are pushed away. The class is the smallest penalty.
    """

    j: float = number(0, 1e6)

    def __call__(self, y, labels):
        ops = keras.ops
        right = ops.sum(y * one_hot(labels, y), axis=-1)
        return right + ops.logsumexp(self._exponents(y), axis=-1)

    def predict(self, y):
        return keras.ops.argmin(y, axis=-1)

    def curvature(self, y, labels):
        p = keras.ops.softmax(self._exponents(y))[:, :-1]  # without the rubbish class
        return one_hot(labels, y) - p, p * (1.0 - p)

    def _exponents(self, y):
        rubbish = keras.ops.full_like(y[:, :1], -self.j)
        return keras.ops.concatenate([-y, rubbish], axis=-1)


@dataclass(frozen=True)
class RightPenalty:
    """The mean penalty of the right class (LeCun et al. 1998, equation 8)."""

    def __call__(self, y, labels):
        return keras.ops.sum(y * one_hot(labels, y), axis=-1)

    def predict(self, y):
        return keras.ops.argmin(y, axis=-1)

    def curvature(self, y, labels):
        return one_hot(labels, y), keras.ops.zeros_like(y)


@dataclass(frozen=True)
class SquaredError:
    """Half the squared distance to targets of +1 for the right class and -1 for the others."""

    def __call__(self, outputs, labels):
        difference = outputs - (2.0 * one_hot(labels, outputs) - 1.0)
        return 0.5 * keras.ops.sum(difference * difference, axis=-1)

    def predict(self, outputs):
        return keras.ops.argmax(outputs, axis=-1)

    def curvature(self, outputs, labels):
        difference = outputs - (2.0 * one_hot(labels, outputs) - 1.0)
        return difference, keras.ops.ones_like(outputs)


@dataclass(frozen=True)
class NotTheWinner:
    """1 where the largest output is not that of the right class, else 0: counted, not minimised.

    The network has an output more than there are classes, for all that belongs to none. So does an
    example on which no output is above 0.
    """

    def __call__(self, outputs, labels):
        right = keras.ops.equal(keras.ops.cast(self.predict(outputs), labels.dtype), labels)
        return 1.0 - keras.ops.cast(right, outputs.dtype)

    def predict(self, outputs):
        ops, none = keras.ops, outputs.shape[-1] - 1
        first = ops.argmax(outputs, axis=-1)
        return ops.where(ops.max(outputs, axis=-1) > 0, first, ops.full_like(first, none))


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Cross entropy of softmax(logits) with the right class."""

    def __call__(self, logits, labels):
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def predict(self, logits):
        return keras.ops.argmax(logits, axis=-1)


@dataclass(frozen=True)
class AuxiliaryCrossEntropy(Limited):
    """The cross entropy of a network's own logits, and `weight` times that of each auxiliary head.

    Szegedy et al. 2014, section 5. `outputs`: [batch, 1 + heads, classes], the network's own first.
    own: the layer that its own logits come from; what lies beyond it in the heads is not tested.
    """

    weight: float = number(0, 1e6)
    own: str

    def __call__(self, outputs, labels):
        ops = keras.ops
        labels = ops.repeat(ops.expand_dims(labels, 1), outputs.shape[1], axis=1)
        each = keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
        return each[:, 0] + self.weight * ops.sum(each[:, 1:], axis=1)

    def predict(self, outputs):
        return keras.ops.argmax(outputs[:, 0], axis=-1)


# Those that are minus the logarithm of the probability of the right class; of a network with
# auxiliary heads, as it is tested.
OF_PROBABILITY = (MAP, SoftmaxCrossEntropy, AuxiliaryCrossEntropy)
