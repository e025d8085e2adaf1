"""The networks as a user of Keras would write them: stock layers, `L2` on the kernels.

Each function returns a model that is not compiled. `decay` is the paper's weight decay: Keras' `L2`
of half of it has the same gradient. What Keras has no layer for is written the short way.
"""

import keras
from keras import layers, ops

from repro.bench.inception import INCEPTION


def resnet20(decay: float) -> keras.Model:
    """He et al. 2015, section 4.2 with n = 3 and shortcuts without parameters."""
    l2 = keras.regularizers.L2(decay / 2)
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}

    def convolution(x, maps: int, stride: int = 1):
        x = layers.Conv2D(maps, 3, strides=stride, kernel_regularizer=l2, **options)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    images = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(images, 16))
    for maps in (16, 32, 64):
        for _ in range(3):
            wider = maps - x.shape[-1]
            y = layers.ReLU()(convolution(x, maps, 2 if wider else 1))
            y = convolution(y, maps)
            if wider:
                x = ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, wider)))
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(10, kernel_regularizer=l2, dtype="float32")(x))


def nin(decay: float) -> keras.Model:
    """Lin et al. 2013, by the authors' layer file for CIFAR-10."""
    l2, normal = keras.regularizers.L2(decay / 2), keras.initializers.RandomNormal(stddev=0.05)
    options = {"padding": "same", "activation": "relu"}
    options |= {"kernel_initializer": normal, "kernel_regularizer": l2}
    mlpconvs = ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, 10))

    x = images = keras.Input((32, 32, 3))
    for number, (side, maps, *narrow) in enumerate(mlpconvs, start=1):
        x = layers.Conv2D(maps, side, **options)(x)
        for maps in narrow:
            x = layers.Conv2D(maps, 1, **options)(x)
        if number < len(mlpconvs):
            x = layers.Dropout(0.5)(layers.MaxPooling2D(3, strides=2, padding="same")(x))
    return keras.Model(images, layers.GlobalAveragePooling2D(dtype="float32")(x))


def densenet40(decay: float) -> keras.Model:
    """Huang et al. 2016: 40 layers, growth rate 12, without bottlenecks and compression."""
    l2 = keras.regularizers.L2(decay / 2)
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}

    def convolution(x, maps: int, side: int):
        return layers.Conv2D(maps, side, kernel_regularizer=l2, **options)(x)

    def normalised(x):
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))

    images = keras.Input((32, 32, 3))
    x = convolution(images, 16, 3)
    for block in (1, 2, 3):
        for _ in range(12):
            x = layers.Concatenate()([x, convolution(normalised(x), 12, 3)])
        if block < 3:
            x = layers.AveragePooling2D(2)(convolution(normalised(x), x.shape[-1], 1))
    x = layers.GlobalAveragePooling2D()(normalised(x))
    return keras.Model(images, layers.Dense(10, kernel_regularizer=l2, dtype="float32")(x))


class LocallyConnected(layers.Layer):
    """3x3 with zeros around; each position has weights of its own. Keras 3 has no such layer."""

    def __init__(self, maps: int, std: float, decay: float):
        super().__init__()
        self.maps, self.std, self.decay = maps, std, decay

    def build(self, shape):
        normal = keras.initializers.RandomNormal(stddev=self.std)
        l2 = keras.regularizers.L2(self.decay / 2)
        size = (*shape[1:3], 9 * shape[3], self.maps)
        self.kernel = self.add_weight(shape=size, initializer=normal, regularizer=l2)
        self.bias = self.add_weight(shape=(*shape[1:3], self.maps), initializer="zeros")

    def call(self, x):
        patches = ops.image.extract_patches(x, 3, strides=1, padding="same")
        return ops.einsum("bhwi,hwio->bhwo", patches, self.kernel) + self.bias


def alexnet_local(decay: float) -> keras.Model:
    """Krizhevsky et al. 2012, section 3.3: cuda-convnet's layers-conv-local-13pct, 24x24 pixels."""
    x = images = keras.Input((24, 24, 3))
    for std in (1e-4, 0.01):
        normal = keras.initializers.RandomNormal(stddev=std)
        options = {"padding": "same", "activation": "relu", "kernel_initializer": normal}
        x = layers.Conv2D(64, 5, **options)(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for _ in range(2):
        x = layers.ReLU()(LocallyConnected(32, 0.04, decay)(x))
    normal, l2 = keras.initializers.RandomNormal(stddev=0.01), keras.regularizers.L2(decay / 2)
    full = layers.Dense(10, kernel_initializer=normal, kernel_regularizer=l2, dtype="float32")
    return keras.Model(images, full(layers.Flatten()(x)))


class ResponseNormalization(layers.Layer):
    """Across maps, with AlexNet's parameters. Keras has no such layer, TensorFlow a function.

    On CPUs that takes no bfloat16.
    """

    def __init__(self):
        super().__init__(dtype="float32")

    def call(self, x):
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.nn.local_response_normalization(x, 2, bias=2.0, alpha=1e-4, beta=0.75)
        maps = x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (2, 2)))
        total = sum(squares[..., first : first + maps] for first in range(5))
        return x * ops.power(2.0 + 1e-4 * total, -0.75)


def googlenet(decay: float) -> keras.Model:
    """Szegedy et al. 2014 for ten classes: logits of the network and of both auxiliary heads."""
    l2 = keras.regularizers.L2(decay / 2)

    def convolution(x, maps: int, side: int, stride: int = 1):
        options = {"padding": "same", "activation": "relu", "kernel_regularizer": l2}
        return layers.Conv2D(maps, side, strides=stride, **options)(x)

    def pooled(x, stride: int = 2):
        return layers.MaxPooling2D(3, strides=stride, padding="same")(x)

    def inception(x, name: str):
        one, three_reduce, three, five_reduce, five, projection = INCEPTION[name]
        branches = [
            convolution(x, one, 1),
            convolution(convolution(x, three_reduce, 1), three, 3),
            convolution(convolution(x, five_reduce, 1), five, 5),
            convolution(pooled(x, 1), projection, 1),
        ]
        return layers.Concatenate()(branches)

    def classifier(x, dropped: float, name: str):
        full = layers.Dense(10, kernel_regularizer=l2, dtype="float32", name=name)
        return full(layers.Dropout(dropped)(x))

    def auxiliary(x, name: str):
        x = convolution(layers.AveragePooling2D(5, strides=3)(x), 128, 1)
        x = layers.Dense(1024, activation="relu", kernel_regularizer=l2)(layers.Flatten()(x))
        return classifier(x, 0.7, name)

    images = keras.Input((224, 224, 3))
    x = ResponseNormalization()(pooled(convolution(images, 64, 7, 2)))
    x = convolution(convolution(x, 64, 1), 192, 3)
    x = inception(inception(pooled(ResponseNormalization()(x)), "3a"), "3b")
    x = after_4a = inception(pooled(x), "4a")
    for name in ("4b", "4c", "4d"):
        x = inception(x, name)
    after_4d = x
    x = inception(inception(pooled(inception(x, "4e")), "5a"), "5b")
    logits = classifier(layers.GlobalAveragePooling2D()(x), 0.4, "own")
    heads = [auxiliary(after_4a, "after_4a"), auxiliary(after_4d, "after_4d")]
    return keras.Model(images, [logits, *heads])
