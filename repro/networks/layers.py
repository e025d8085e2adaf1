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
        if mask is not None or not self.can_be_fused(inputs):
            return super().call(inputs, training=training, mask=mask)
        return self.fused(inputs, bool(training) and self.trainable)

    def fused(self, inputs, learning: bool):
        """By the fused operation; in learning, by the batch's own statistics, which are averaged.

        Maps in the inputs beyond those of the layer are zeros, and remain so.
        """
        import tensorflow as tf

        def of_all(variable):
            """With zeros for the maps beyond."""
            values = ops.convert_to_tensor(variable)
            beyond = inputs.shape[-1] - values.shape[0]
            return tf.pad(values, [[0, beyond]]) if beyond else values

        mean, variance = ops.convert_to_tensor([]), ops.convert_to_tensor([])
        if not learning:
            mean, variance = of_all(self.moving_mean), of_all(self.moving_variance)
        fused = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=of_all(self.gamma),
            offset=of_all(self.beta),
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            is_training=learning,
        )
        if learning:
            # The operation gives the unbiased variance of the batch, Keras averages the biased one.
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            maps = self.gamma.shape[0]
            self._average(self.moving_mean, fused.batch_mean[:maps])
            variance = fused.batch_variance[:maps] * (count - 1.0) / count
            self._average(self.moving_variance, variance)
        return fused.y

    def can_be_fused(self, inputs) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and not self.synchronized
            and not self.renorm
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        )

    def _average(self, moving, new) -> None:
        moving.assign(moving * self.momentum + new * (1.0 - self.momentum))


# Maps that oneDNN's operations take at a time on a CPU.
AT_A_TIME = 16


class ByChains(keras.Model):
    """A graph of layers that is trained in chains: cheap layers with the one that they feed.

    Where maps stand side by side, their number is often no multiple of 16, such as 28 or 148. On a
    CPU, TensorFlow's batch normalisation and convolutions then take up to ten times as long for
    each map. In training, a chain of concatenation, batch normalisation, relu and convolution
    therefore gets maps and kernels of zeros there, up to the next multiple, which change nothing.
    Outputs, gradients and moving statistics are those of `keras.Model`; in bfloat16 they differ by
    its rounding. One input, one output, and each
    layer gives one tensor, or ValueError; a layer that takes what a cheap one gives has the
    precision of the policy.
    """

    CHEAP = (keras.layers.Concatenate, keras.layers.BatchNormalization, keras.layers.ReLU)

    def call(self, inputs, training=None, mask=None):
        if not training:
            return super().call(inputs, training=training, mask=mask)
        (source,), (result,) = self.inputs, self.outputs
        values_of = {id(source): inputs}
        for chain in self.chains:
            values_of[id(chain[-1].output_tensors[0])] = self._trained(chain, values_of)
        return values_of[id(result)]

    @cached_property
    def chains(self):
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

    def _trained(self, chain, values_of):
        """What the last node of the chain gives; `values_of` has what comes from outside."""
        layers = [node.operation for node in chain]
        if can_be_filled_up(*layers):
            maps = [values_of[id(tensor)] for tensor in chain[0].input_tensors]
            return filled_up(maps, *layers[-3::2])
        values_of = dict(values_of)
        for node in chain:
            arguments, keywords = node.arguments.fill_in(values_of)
            if "training" in inspect.signature(node.operation.call).parameters:
                keywords["training"] = True
            result = values_of[id(node.output_tensors[0])] = node.operation(*arguments, **keywords)
        return result


def can_be_filled_up(*chain) -> bool:
    """Whether `filled_up` computes on this device what the layers of the chain do."""
    kinds = [keras.layers.Concatenate, BatchNormalization, keras.layers.ReLU, keras.layers.Conv2D]
    if [type(layer) for layer in chain] not in (kinds, kinds[1:]):
        return False
    *before, normalise, rectify, convolve = chain
    if keras.backend.backend() != "tensorflow" or not normalise.can_be_fused(normalise.input):
        return False
    import tensorflow as tf

    return (
        not tf.config.list_logical_devices("GPU")
        and all(concatenate.axis in (-1, 3) for concatenate in before)
        and len({layer.compute_dtype for layer in chain}) == 1
        and all(layer.activity_regularizer is None for layer in chain)
        and normalise.trainable
        and normalise.epsilon > 0  # without it, what divides a map of zeros is zero
        and (rectify.max_value, rectify.negative_slope, rectify.threshold) == (None, 0, 0)
        and (convolve.strides, convolve.dilation_rate) == ((1, 1), (1, 1))
        and (convolve.padding, convolve.groups, convolve.use_bias) == ("same", 1, False)
        and convolve.activation is keras.activations.linear
        and convolve.data_format == "channels_last"
    )


def filled_up(pieces, normalise: BatchNormalization, convolve: keras.layers.Conv2D):
    """The convolution of the normalised and rectified pieces, maps side by side, in training.

    pieces: tensors [batch, height, width, maps] of TensorFlow.
    """
    import tensorflow as tf

    pieces = [tf.cast(piece, convolve.compute_dtype) for piece in pieces]
    kernel = tf.cast(ops.convert_to_tensor(convolve.kernel), convolve.compute_dtype)
    taken, given = (-maps % AT_A_TIME for maps in kernel.shape[2:])
    if taken:
        pieces.append(tf.zeros([*tf.unstack(tf.shape(pieces[0])[:3]), taken], pieces[0].dtype))
    x = tf.nn.relu(normalise.fused(tf.concat(pieces, -1), learning=True))
    x = tf.nn.conv2d(x, tf.pad(kernel, [[0, 0], [0, 0], [0, taken], [0, given]]), 1, "SAME")
    # Not x[..., :n]: TensorFlow computes its gradient on one core.
    return tf.slice(x, [0, 0, 0, 0], [-1, -1, -1, convolve.filters]) if given else x


class Recomputing(ByChains):
    """A graph of layers that takes less memory in training: cheap layers are computed twice.

    Gradients need what every layer was given. Where maps are put side by side, normalised and
    rectified before a convolution takes them, that is two more copies of all maps before it. Here
    only what the convolution gives is kept; for the gradients, the layers between are computed a
    second time from what was kept.
    """

    def _trained(self, chain, values_of):
        """The same, but for the gradients all of it is computed again."""
        if len(chain) == 1:
            return super()._trained(chain, values_of)
        variables = [v for node in chain for v in getattr(node.operation, "variables", ())]
        moving = [v for v in variables if not v.trainable]
        inner = {id(tensor) for node in chain for tensor in node.output_tensors}
        outer = [id(t) for node in chain for t in node.input_tensors if id(t) not in inner]
        trained = super()._trained

        def compute(*given):
            tensors, values = given[: len(outer)], given[len(outer) :]
            with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
                result = trained(chain, dict(zip(outer, tensors, strict=True)))
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
