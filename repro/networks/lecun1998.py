"""The layers of LeCun et al. 1998, and how curvature travels back through them.

The stochastic diagonal Levenberg-Marquardt method of that paper needs the curvature; see
`repro.networks.curvature`.
"""

import keras
import numpy as np
from keras import ops


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

    def quantile(self, shares):
        """The values up to which the distribution has these shares (`initial_weights`)."""
        return (2.0 * shares - 1.0) * 2.4 / np.asarray(self.fan_in)

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
