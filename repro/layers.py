"""Layers that the papers need and Keras lacks, or has only slowly.

Each runs on every backend; all but one are plain Keras (`keras.ops`). The layers of LeCun et al.
1998 also say how curvature travels back through them (`curvature`), which the stochastic diagonal
Levenberg-Marquardt method of that paper needs; see `repro.optimizers`.
"""

import inspect
import itertools
import math
import sys
from collections import Counter
from functools import cached_property

import keras
import numpy as np
from keras import ops


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


@keras.saving.register_keras_serializable("repro")
class FanInUniform(keras.initializers.RandomUniform):
    """Uniform on [-2.4/F, 2.4/F], F being the fan-in of the unit (LeCun et al. 1998, Appendix A).

    fan_in: one number, or one for each entry of the last axis.
    """

    def __init__(self, fan_in, seed=None):
        super().__init__(minval=-1.0, maxval=1.0, seed=seed)
        self.fan_in = fan_in

    def __call__(self, shape, dtype=None):
        draw = super().__call__(shape, dtype=dtype)
        return draw * ops.cast(2.4 / np.asarray(self.fan_in, "float32"), draw.dtype)

    def get_config(self):
        return {"fan_in": self.fan_in, "seed": self.seed}


@keras.saving.register_keras_serializable("repro")
class ScaledTanh(keras.layers.Layer):
    """The squashing function f(a) = 1.7159 tanh(2a/3) of LeCun et al. 1998, Appendix A.

    f(1) = 1 and f(-1) = -1; the shape is kept.
    """

    amplitude = 1.7159
    slope = 2.0 / 3.0

    def call(self, a):
        return self.amplitude * ops.tanh(self.slope * a)

    def curvature(self, x, y, d2):
        """d2E/da2 = f'(a)^2 d2E/dy2 (the Gauss-Newton approximation drops f'')."""
        derivative = self.slope * (self.amplitude - y * y / self.amplitude)
        return derivative * derivative * d2, []


@keras.saving.register_keras_serializable("repro")
class Subsampling(keras.layers.Layer):
    """Sums of non-overlapping 2x2 fields, times a coefficient, plus a bias, one pair per map.

    LeCun et al. 1998, section II.B, S2 and S4. Input [batch, height, width, maps] with even height
    and width; output [batch, height/2, width/2, maps].
    """

    def __init__(self, coefficient_initializer, bias_initializer, **kwargs):
        super().__init__(**kwargs)
        self.coefficient_initializer = keras.initializers.get(coefficient_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, shape):
        maps = (shape[-1],)
        self.coefficient = self.add_weight(
            name="coefficient", shape=maps, initializer=self.coefficient_initializer
        )
        self.bias = self.add_weight(name="bias", shape=maps, initializer=self.bias_initializer)

    def call(self, x):
        return 4.0 * ops.average_pool(x, 2, 2) * self.coefficient + self.bias

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] // 2, shape[2] // 2, shape[3])

    def curvature(self, x, y, d2):
        """Each of the four inputs of a unit has the coefficient as its weight."""
        sums = 4.0 * ops.average_pool(x, 2, 2)
        into = ops.repeat(ops.repeat(d2 * self.coefficient**2, 2, axis=1), 2, axis=2)
        return into, [ops.sum(d2 * sums**2, axis=(0, 1, 2)), ops.sum(d2, axis=(0, 1, 2))]

    def get_config(self):
        initializers = {
            "coefficient_initializer": keras.saving.serialize_keras_object(
                self.coefficient_initializer
            ),
            "bias_initializer": keras.saving.serialize_keras_object(self.bias_initializer),
        }
        return {**super().get_config(), **initializers}


@keras.saving.register_keras_serializable("repro")
class OneExampleConv2D(keras.layers.Conv2D):
    """Keras' Conv2D, valid and of stride 1, fast also where a batch is one example.

    The function is the same; see `valid_convolution`.
    """

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        alike = self.padding == "valid" and self.use_bias and self.groups == 1
        if not alike or {*self.strides, *self.dilation_rate} != {1}:
            raise ValueError("OneExampleConv2D is valid, of stride 1, with a bias")

    def call(self, x):
        return valid_convolution(x, self.kernel) + self.bias


@keras.saving.register_keras_serializable("repro")
class PartialConv2D(keras.layers.Layer):
    """A valid convolution in which each output map sees only some of the input maps.

    LeCun et al. 1998, section II.B, C3. `table[m]` lists the input maps of output map m. Only the
    connected kernels are weights: [kernel_size^2, number of connected pairs of maps].
    Input [batch, height, width, maps]; output [batch, height - k + 1, width - k + 1, len(table)].
    """

    def __init__(self, table, kernel_size, kernel_initializer, bias_initializer, **kwargs):
        super().__init__(**kwargs)
        self.table = [list(row) for row in table]
        self.kernel_size = kernel_size
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, shape):
        pairs = [(i, m) for m, row in enumerate(self.table) for i in row]
        size, maps_in, maps_out = self.kernel_size, shape[-1], len(self.table)
        # A constant 0/1 matrix puts the kernel of each pair at its place in a dense kernel.
        placement = np.zeros((len(pairs), maps_in * maps_out), "float32")
        for pair, (i, m) in enumerate(pairs):
            placement[pair, i * maps_out + m] = 1.0
        self.placement = placement
        self.dense_shape = (size, size, maps_in, maps_out)
        self.kernel = self.add_weight(
            name="kernel", shape=(size * size, len(pairs)), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(
            name="bias", shape=(maps_out,), initializer=self.bias_initializer
        )

    def dense_kernel(self):
        """[k, k, maps in, maps out], with zeros where the table has no connection."""
        placement = ops.cast(self.placement, self.compute_dtype)
        return ops.reshape(ops.matmul(self.kernel, placement), self.dense_shape)

    def call(self, x):
        return valid_convolution(x, self.dense_kernel()) + self.bias

    def compute_output_shape(self, shape):
        shrink = self.kernel_size - 1
        return (shape[0], shape[1] - shrink, shape[2] - shrink, len(self.table))

    def curvature(self, x, y, d2):
        into, dense = convolution_curvature(x, self.dense_kernel(), d2)
        dense = ops.reshape(dense, (self.kernel_size**2, -1))
        kernel = ops.matmul(dense, np.transpose(self.placement))
        return into, [kernel, ops.sum(d2, axis=(0, 1, 2))]

    def get_config(self):
        config = {
            "table": self.table,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.saving.serialize_keras_object(self.kernel_initializer),
            "bias_initializer": keras.saving.serialize_keras_object(self.bias_initializer),
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("repro")
class EuclideanRBF(keras.layers.Layer):
    """Penalties y_i = scale * sum_j (x_j - code_ij)^2 with fixed codes; small means alike.

    LeCun et al. 1998, section II.B, equation 7. Input [batch, units]; output [batch, classes].
    The paper has no `scale`; with scale = 1 the penalties are so large that training saturates.
    """

    def __init__(self, codes, scale, **kwargs):
        super().__init__(**kwargs)
        self.codes = np.asarray(codes, "float32")
        self.scale = scale

    def call(self, x):
        difference = ops.expand_dims(x, 1) - ops.cast(self.codes, x.dtype)
        return self.scale * ops.sum(difference * difference, axis=-1)

    def compute_output_shape(self, shape):
        return (shape[0], len(self.codes))

    def curvature(self, x, y, d2, d1):
        """From the loss' first (d1) and second (d2) derivatives by the penalties, [batch, classes].

        E depends on x_j through every y_i; with the terms between two penalties dropped,
        d2E/dx_j2 = sum_i d2E/dy_i2 (dy_i/dx_j)^2 + dE/dy_i d2y_i/dx_j2.
        """
        slope = 2.0 * self.scale * (ops.expand_dims(x, 1) - ops.cast(self.codes, x.dtype))
        bend = 2.0 * self.scale * ops.sum(d1, axis=-1, keepdims=True)
        return ops.sum(ops.expand_dims(d2, -1) * slope * slope, axis=1) + bend, []

    def get_config(self):
        return {**super().get_config(), "codes": self.codes.tolist(), "scale": self.scale}


@keras.saving.register_keras_serializable("repro")
class LocalResponseNormalization(keras.layers.Layer):
    """b_i = a_i / (k + alpha * sum_j a_j^2)^beta over the maps j from i - size//2 to i + size//2.

    Krizhevsky et al. 2012, section 3.3: alpha is not divided by the size, as it is in Caffe and
    PyTorch. At the first and last maps the sum has fewer terms. Maps are the last axis; the shape
    is kept. In lower precisions it is computed in float32.
    """

    def __init__(self, size=5, k=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def build(self, shape):
        # A product with this 0/1 matrix sums over neighbouring maps, at once on every backend.
        maps = np.arange(shape[-1])
        self.neighbours = np.abs(maps[:, None] - maps) <= self.size // 2

    def call(self, a):
        a = ops.cast(a, "float64" if self.compute_dtype == "float64" else "float32")
        sums = ops.matmul(ops.square(a), ops.cast(self.neighbours, a.dtype))
        base = self.k + self.alpha * sums
        if self.beta == 0.75:  # base^-0.75, without a general power
            root = ops.rsqrt(base)
            scale = root * ops.sqrt(root)
        else:
            scale = ops.power(base, -self.beta)
        return ops.cast(a * scale, self.compute_dtype)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        config = {"size": self.size, "k": self.k, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("repro")
class CeilMaxPooling2D(keras.layers.MaxPooling2D):
    """Max-pooling whose last windows may overhang the lower and the right border.

    As in cuda-convnet and Caffe: of n pixels, ceil((n - pool) / stride) + 1 windows along an axis,
    where Keras' "valid" has those that fit, and "same" as many for 3/2 pooling of even sides only.
    What lies outside never wins. Input [batch, height, width, maps]. Raises ValueError for a stride
    above the pool (a window could lie outside as a whole), for another padding or axis of maps.
    """

    def __init__(self, pool_size=(2, 2), strides=None, **kwargs):
        super().__init__(pool_size, strides, **kwargs)
        if self.padding != "valid" or self.data_format != "channels_last":
            raise ValueError("CeilMaxPooling2D has no padding, and takes maps as the last axis")
        if any(s > p for s, p in zip(self.strides, self.pool_size, strict=True)):
            raise ValueError(f"strides {self.strides} are above the pool {self.pool_size}")

    def call(self, x):
        padding = self._built_in(x.shape[1:3])
        if padding is None:
            # With stride - 1 pixels more, the windows that fit are those that overhung.
            ends = [(0, stride - 1) for stride in self.strides]
            x = ops.pad(x, [(0, 0), *ends, (0, 0)], constant_values=float("-inf"))
        return ops.max_pool(x, self.pool_size, self.strides, padding or "valid", self.data_format)

    def _built_in(self, sides):
        """The padding with which Keras' pooling has the very same windows, or None."""
        axes = list(zip(sides, self.pool_size, self.strides, strict=True))
        if any(n is None for n, _, _ in axes):
            return None
        if all(n >= p and (n - p) % s == 0 for n, p, s in axes):
            return "valid"
        # "same" puts one pixel at the end, and more than one on both sides.
        outside = [((math.ceil(n / s) - 1) * s + p - n, s) for n, p, s in axes]
        return "same" if all(0 <= pixels <= 1 and pixels < s for pixels, s in outside) else None

    def compute_output_shape(self, shape):
        axes = zip(shape[1:3], self.pool_size, self.strides, strict=True)
        sides = [None if n is None else math.ceil((n - p) / s) + 1 for n, p, s in axes]
        return (shape[0], *sides, shape[3])


@keras.saving.register_keras_serializable("repro")
class LocallyConnected2D(keras.layers.Layer):
    """A convolution of stride 1 whose weights are not shared: each position has its own.

    The layers `local3` and `local4` of cuda-convnet, which Krizhevsky et al. 2012 used on CIFAR-10.
    Each position has its own bias for each filter, too: so its 13 % network has 1,116,490
    parameters on 24x24 pixels. kernel: [height, width, kernel_size^2 * maps in, filters], the
    second to last in the order row, column, map in; bias: [height, width, filters], height and
    width being those of the output. An initializer that goes by the fan-in would take the positions
    for inputs. Input [batch, height, width, maps]; output [batch, height, width, filters], for
    padding "valid" smaller by kernel_size - 1, for "same" (zeros around) not.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        padding="valid",
        *,
        kernel_initializer,
        bias_initializer,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if padding not in ("valid", "same"):
            raise ValueError(f"padding '{padding}' is neither 'valid' nor 'same'")
        self.filters = filters
        self.kernel_size = kernel_size
        self.padding = padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, shape):
        positions, inputs = self._sides(shape), self.kernel_size**2 * shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*positions, inputs, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(*positions, self.filters), initializer=self.bias_initializer
        )

    def call(self, x):
        k, (height, width) = self.kernel_size, self._sides(x.shape)
        x = ops.transpose(x, (1, 2, 0, 3))  # positions first: one batched product of matrices
        if self.padding == "same":
            around = ((k - 1) // 2, k // 2)
            x = ops.pad(x, (around, around, (0, 0), (0, 0)))
        # On TensorFlow the gradient of x[...] is slow on CPUs; that of `ops.slice` is not.
        window = (height, width, ops.shape(x)[2], x.shape[3])
        shifted = [ops.slice(x, (i, j, 0, 0), window) for i in range(k) for j in range(k)]
        product = ops.matmul(ops.concatenate(shifted, axis=-1), self.kernel)
        return ops.transpose(product, (2, 0, 1, 3)) + self.bias

    def _sides(self, shape):
        shrink = self.kernel_size - 1 if self.padding == "valid" else 0
        return shape[1] - shrink, shape[2] - shrink

    def compute_output_shape(self, shape):
        return (shape[0], *self._sides(shape), self.filters)

    def get_config(self):
        config = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
            "kernel_initializer": keras.saving.serialize_keras_object(self.kernel_initializer),
            "bias_initializer": keras.saving.serialize_keras_object(self.bias_initializer),
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("repro")
class UnscaledDropout(keras.layers.Dropout):
    """Dropout as first described: outputs are multiplied by 1 - rate in testing, not in training.

    Krizhevsky et al. 2012, section 4.2. Keras' own divides what is kept by 1 - rate in training
    instead: at the same rate and initial weights, the layers behind it train differently.
    """

    def call(self, x, training=False):
        return super().call(x, training=training) * (1.0 - self.rate)


def valid_convolution(x, kernel):
    """A valid convolution of stride 1.

    x: [batch, height, width, maps in]; kernel: [k, k, maps in, maps out]. A single example is
    taken as one matrix product of its patches: compiled by XLA on a CPU, an update of LeNet-5 takes
    0.15 ms that way, 0.55 ms by the convolution operation, which wins for whole batches.
    """
    if x.shape[0] != 1:
        return ops.conv(x, kernel, padding="valid")
    k, _, _, maps_out = kernel.shape
    height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
    shifted = [x[:, i : i + height, j : j + width] for i in range(k) for j in range(k)]
    patches = ops.reshape(ops.concatenate(shifted, axis=-1), (-1, k * k * x.shape[3]))
    product = ops.matmul(patches, ops.reshape(kernel, (-1, maps_out)))
    return ops.reshape(product, (-1, height, width, maps_out))


def convolution_curvature(x, kernel, d2):
    """Curvature through a valid convolution of stride 1 (LeCun et al. 1998, Appendix C).

    x: [batch, height, width, maps in]; kernel: [k, k, maps in, maps out]; d2: second derivatives by
    the outputs. Returns those by the inputs, sum u^2 d2, and by the kernel, sum x^2 d2: a shared
    weight collects what each of its connections has.
    """
    pad = kernel.shape[0] - 1
    flipped = ops.transpose(ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2)) ** 2
    padded = ops.pad(d2, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    into = ops.conv(padded, flipped, padding="valid")
    by_map = ops.conv(
        ops.transpose(x * x, (3, 1, 2, 0)), ops.transpose(d2, (1, 2, 0, 3)), padding="valid"
    )
    return into, ops.transpose(by_map, (1, 2, 0, 3))


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
        known = {id(source): inputs}
        for chain in self._chains:
            compute = self._recomputed if len(chain) > 1 else self._computed
            known[id(chain[-1].output_tensors[0])] = compute(chain, known)
        return known[id(result)]

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

    def _computed(self, chain, known):
        """What the last node of the chain gives; `known` has the tensors that come from outside."""
        known = dict(known)
        for node in chain:
            arguments, keywords = node.arguments.fill_in(known)
            if "training" in inspect.signature(node.operation.call).parameters:
                keywords["training"] = True
            result = known[id(node.output_tensors[0])] = node.operation(*arguments, **keywords)
        return result

    def _recomputed(self, chain, known):
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
        result, *after = keras.remat(compute)(*(known[tensor] for tensor in outer), *values)
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
