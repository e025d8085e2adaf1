"""Diagonal second derivatives of the loss (LeCun et al. 1998, Appendix C)."""

import keras
from keras import ops

from repro.networks import lecun1998


def curvatures(model, loss, images, labels) -> list:
    """Diagonal second derivatives h_kk of the mean loss, one array per trainable variable.

    LeCun et al. 1998, Appendix C: second derivatives travel back like first ones, with squared
    weights and squared slopes (Gauss-Newton), all terms off the diagonal dropped. The model is a
    chain of layers. images: [n, height, width, channels]; labels: [n].
    """
    chain = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    values = [ops.convert_to_tensor(images)]
    for layer in chain:
        values.append(layer(values[-1]))
    d1, d2 = loss.curvature(values[-1], labels)
    by_variable: list = []
    for layer in chain:
        if getattr(layer, "activation", None) not in (None, keras.activations.linear):
            raise TypeError(f"{layer.name}: the activation must be a layer of its own")
    for layer, x, y in zip(chain[::-1], values[-2::-1], values[:0:-1], strict=True):
        if isinstance(layer, lecun1998.EuclideanRBF):
            d2, by_weights = layer.curvature(x, y, d2, d1)
        elif hasattr(layer, "curvature"):
            d2, by_weights = layer.curvature(x, y, d2)
        elif isinstance(layer, keras.layers.Conv2D):
            d2_in, by_kernel = lecun1998.convolution_curvature(x, layer.kernel, d2)
            d2, by_weights = d2_in, [by_kernel, ops.sum(d2, axis=(0, 1, 2))]
        elif isinstance(layer, keras.layers.Dense):
            by_weights = [ops.matmul(ops.transpose(x * x), d2), ops.sum(d2, axis=0)]
            d2 = ops.matmul(d2, ops.transpose(layer.kernel**2))
        elif isinstance(layer, keras.layers.Flatten):
            d2, by_weights = ops.reshape(d2, ops.shape(x)), []
        else:
            raise TypeError(f"no curvature rule for a {type(layer).__name__} layer")
        by_variable = [h / len(labels) for h in by_weights] + by_variable
    return by_variable
