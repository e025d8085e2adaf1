"""Gradients of layers on the backend at hand, and what they are held against: differences."""

import keras
import numpy as np

BACKEND = keras.backend.backend()
# Of gradients in float64. Elsewhere Keras has float32 come out of a product of matrices.
TOLERANCE = 1e-7 if BACKEND == "tensorflow" else 1e-5


def normal(*shape, scale=1.0):
    return np.random.default_rng(2012).normal(size=shape, scale=scale)


def output(layer, x, dtype="float32"):
    y = keras.ops.cast(layer(x.astype(dtype)), "float64" if dtype == "float64" else "float32")
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(y))


def gradients(layer, x, upstream):
    """Of sum(upstream * layer(x)), in float64: by x, then by each of the layer's weights."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x) * upstream)
        found = tape.gradient(total, [x, *[w.value for w in layer.weights]])
    elif BACKEND == "jax":
        import jax

        if not layer.built:
            layer.build(x.shape)

        def total(x, weights):
            return (layer.stateless_call(weights, [], x)[0] * upstream).sum()

        both = jax.jit(jax.grad(total, (0, 1)))
        by_x, by_weights = both(x, [w.value for w in layer.weights])
        found = [by_x, *by_weights]
    else:
        import torch

        x = torch.tensor(x, requires_grad=True)
        (layer(x) * torch.tensor(upstream)).sum().backward()
        found = [x.grad, *[w.value.grad for w in layer.weights]]
    return [keras.ops.convert_to_numpy(g) for g in found]


def assert_derivatives(function, at, upstream, found):
    """`found` is the gradient of sum(upstream * function(at)): central differences on some."""
    assert found.shape == at.shape
    entries = np.random.default_rng(7).choice(at.size, size=min(at.size, 12), replace=False)
    for entry in entries:
        step = np.zeros(at.size)
        step[entry] = 1e-5
        step = step.reshape(at.shape)
        slope = np.sum(upstream * (function(at + step) - function(at - step))) / 2e-5
        np.testing.assert_allclose(found.ravel()[entry], slope, rtol=TOLERANCE, atol=TOLERANCE)
