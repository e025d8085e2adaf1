"""What the networks of several papers share, on every backend; and models of many layers."""

import inspect
import itertools
import sys
from collections import Counter
from functools import cached_property

import keras
from keras import ops


def he():
    """Gaussian weights of variance 2 / fan-in: the forward case of He et al. 2015.

    "Delving Deep into Rectifiers", which the papers on ResNet and DenseNet refer to.
    """
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")


def zero_bordered_convolution(x, name: str, maps: int, side: int, stride: int = 1, **options):
    """A convolution with a border of side // 2 zeros on every side; `options` are Conv2D's.

    `side`: that of the kernels, an odd number.
    """
    border, padding = side // 2, "same"
    # With a stride, Keras' "same" puts fewer zeros before the image than after it.
    if stride > 1 and border:
        x, padding = keras.layers.ZeroPadding2D(border, name=f"{name}_pad")(x), "valid"
    return keras.layers.Conv2D(maps, side, strides=stride, padding=padding, name=name, **options)(x)


@keras.saving.register_keras_serializable("repro")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, by TensorFlow's fused operation where that holds.

    The fused operation takes maps [batch, height, width, channels] on TensorFlow. Elsewhere, and
    for what it cannot do (masks, synchronised or renormalised statistics, no scale or no centre),
    this is Keras' own layer. Outputs, gradients and moving statistics are those of Keras' layer;
    in bfloat16 they differ by its rounding.
    """

    def call(self, inputs, training=None, mask=None):
        if mask is not None or not self._can_be_fused(inputs):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        learning = bool(training) and self.trainable
        mean, variance = ops.convert_to_tensor([]), ops.convert_to_tensor([])
        if not learning:
            mean = ops.convert_to_tensor(self.moving_mean)
            variance = ops.convert_to_tensor(self.moving_variance)
        fused = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.convert_to_tensor(self.gamma),
            offset=ops.convert_to_tensor(self.beta),
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            is_training=learning,
        )
        if learning:
            # The operation gives the unbiased variance of the batch, Keras averages the biased one.
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            self._average(self.moving_mean, fused.batch_mean)
            self._average(self.moving_variance, fused.batch_variance * (count - 1.0) / count)
        return fused.y

    def _can_be_fused(self, inputs) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and not self.synchronized
            and not self.renorm
            and inputs.dtype.name in ("float32", "bfloat16", "float16")
        )

    def _average(self, moving, new) -> None:
        moving.assign(moving * self.momentum + new * (1.0 - self.momentum))


class Recomputing(keras.Model):
    """A graph of layers that takes less memory in training: cheap layers are computed twice.

    Gradients need what every layer was given. Where maps are put side by side, normalised and
    rectified before a convolution takes them, that is two more copies of all maps before it. Here
    only what the convolution gives is kept; for the gradients, the layers between are computed a
    second time from what was kept. Outputs, gradients and moving statistics are those of
    `keras.Model`. One input, one output, and each layer gives one tensor, or ValueError; a layer
    that takes what a cheap one gives has the precision of the policy.
    """

    CHEAP = (keras.layers.Concatenate, keras.layers.BatchNormalization, keras.layers.ReLU)

    def call(self, inputs, training=None, mask=None):
        if not training:
            return super().call(inputs, training=training, mask=mask)
        (source,), (result,) = self.inputs, self.outputs
        values_of = {id(source): inputs}
        for chain in self._chains:
            compute = self._recomputed if len(chain) > 1 else self._computed
            values_of[id(chain[-1].output_tensors[0])] = compute(chain, values_of)
        return values_of[id(result)]

    @cached_property
    def _chains(self):
        """The nodes in the order of computation, cheap ones together with the one they feed."""
        depths = sorted(self._nodes_by_depth, reverse=True)
        nodes = [node for depth in depths for node in self._nodes_by_depth[depth]]
        uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
        waiting, chains = {}, []
        for node in nodes:
            if node.is_input:
                continue
            (result,) = node.output_tensors
            before = [waiting.pop(id(t), []) for t in node.input_tensors]
            chain = [*itertools.chain.from_iterable(before), node]
            if isinstance(node.operation, self.CHEAP) and uses[id(result)] == 1:
                waiting[id(result)] = chain
            else:
                chains.append(chain)
        return chains

    def _computed(self, chain, values_of):
        """What the last node of the chain gives; `values_of` has what comes from outside."""
        values_of = dict(values_of)
        for node in chain:
            arguments, keywords = node.arguments.fill_in(values_of)
            if "training" in inspect.signature(node.operation.call).parameters:
                keywords["training"] = True
            result = values_of[id(node.output_tensors[0])] = node.operation(*arguments, **keywords)
        return result

    def _recomputed(self, chain, values_of):
        """The same, but for the gradients all of it is computed again."""
        variables = [v for node in chain for v in getattr(node.operation, "variables", ())]
        moving = [v for v in variables if not v.trainable]
        inner = {id(tensor) for node in chain for tensor in node.output_tensors}
        outer = [id(t) for node in chain for t in node.input_tensors if id(t) not in inner]

        def compute(*given):
            tensors, values = given[: len(outer)], given[len(outer) :]
            with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
                result = self._computed(chain, dict(zip(outer, tensors, strict=True)))
            # Within the scope no variable changes: a second time would be once too often.
            return result, *map(scope.get_current_value, moving)

        # torch refuses gradients where a value has changed in its place since, as moving ones do.
        values = [v.value if v.trainable else ops.copy(v.value) for v in variables]
        values = map(ops.convert_to_tensor, values)
        result, *after = keras.remat(compute)(*(values_of[tensor] for tensor in outer), *values)
        for variable, value in zip(moving, after, strict=True):
            variable.assign(value)
        return result


def deep_model(inputs, outputs, name: str, kind: type[keras.Model] = keras.Model) -> keras.Model:
    """A model of layers, also of thousands one after the other; `kind` is its class.

    Keras follows a graph back from its outputs by recursion, one call for each operation, and
    Python stops at a thousand calls.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10_000))
    try:
        return kind(inputs, outputs, name=name)
    finally:
        sys.setrecursionlimit(limit)
