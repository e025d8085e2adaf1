"""The layers of Krizhevsky et al. 2012 and of its program, cuda-convnet."""

import math

import keras
import numpy as np
from keras import ops


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
