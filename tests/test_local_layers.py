"""Layers without shared weights and dropout of Krizhevsky et al. 2012, and its layers together.

The last test runs those of gradients and of the whole on Keras' other backends.
"""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import normalised_by_loops, pooled_by_loops
from gradients import BACKEND, assert_derivatives, gradients, normal, output

from repro.networks import anatomy, krizhevsky2012

# ---------------------------------------------------------------- weights that are not shared


def local_by_loops(x, kernel, bias, k, padding):
    """Each position's own weights times its field, in the order row, column, map."""
    if padding == "same":  # the odd zero after the image, as in Keras' convolution
        x = np.pad(x, ((0, 0), ((k - 1) // 2, k // 2), ((k - 1) // 2, k // 2), (0, 0)))
    y = np.zeros((len(x), *bias.shape))
    for e, r, c, f in np.ndindex(*y.shape):
        y[e, r, c, f] = bias[r, c, f]
        weights = iter(kernel[r, c, :, f])
        for i, j, m in np.ndindex(k, k, x.shape[-1]):
            y[e, r, c, f] += x[e, r + i, c + j, m] * next(weights)
    return y


def local(filters, k, padding, **options):
    return krizhevsky2012.LocallyConnected2D(
        filters,
        k,
        padding,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=1),
        bias_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=2),
        **options,
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "k", "filters"),
    [
        ((3, 6, 6, 4), 3, 5),
        ((2, 5, 4, 3), 3, 2),
        ((2, 3, 3, 2), 3, 4),  # "valid": one position
        ((1, 4, 5, 1), 2, 3),
        ((2, 2, 3, 3), 1, 2),
        ((1, 5, 7, 2), 5, 1),
    ],
)
def test_each_position_has_its_own_weights_and_biases(shape, k, filters, padding):
    x = normal(*shape)
    layer = local(filters, k, padding)
    y = output(layer, x)
    kernel, bias = (w.astype("float64") for w in layer.get_weights())
    lost = 0 if padding == "same" else k - 1
    sides = (shape[1] - lost, shape[2] - lost)
    assert kernel.shape == (*sides, k * k * shape[3], filters)
    assert bias.shape == (*sides, filters)
    assert y.shape == layer.compute_output_shape(shape) == (shape[0], *sides, filters)
    expected = local_by_loops(x, kernel, bias, k, padding)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("k", [3, 4])
def test_with_the_same_weights_everywhere_it_is_a_convolution(k, padding):
    x = normal(2, 6, 7, 3)
    convolution = keras.layers.Conv2D(5, k, padding=padding, bias_initializer="random_normal")
    expected = output(convolution, x)
    kernel, bias = convolution.get_weights()
    layer = local(5, k, padding)
    layer.build(x.shape)
    sides = expected.shape[1:3]
    layer.set_weights(
        [
            np.broadcast_to(kernel.reshape(-1, 5), (*sides, k * k * 3, 5)),
            np.broadcast_to(bias, (*sides, 5)),
        ]
    )
    np.testing.assert_allclose(output(layer, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_gradients_of_a_local_layer(padding):
    x = normal(2, 4, 5, 3)
    layer = local(2, 3, padding, dtype="float64")
    layer.build(x.shape)
    kernel, bias = layer.get_weights()
    assert kernel.dtype == "float64"
    upstream = normal(2, *bias.shape)
    by_x, by_kernel, by_bias = gradients(layer, x, upstream)
    for at, found, function in (
        (x, by_x, lambda x: local_by_loops(x, kernel, bias, 3, padding)),
        (kernel, by_kernel, lambda kernel: local_by_loops(x, kernel, bias, 3, padding)),
        (bias, by_bias, lambda bias: local_by_loops(x, kernel, bias, 3, padding)),
    ):
        assert_derivatives(function, at, upstream, found)


@pytest.mark.parametrize(
    ("side", "maps", "parameters"),
    [
        # cuda-convnet's local3 and local4 on images of 24x24 pixels ...
        (6, 64, 664_704),
        (6, 32, 332_928),
        # ... and of 32x32: 64 positions of 32 filters of 3x3xmaps, and as many biases.
        (8, 64, 64 * 32 * (9 * 64 + 1)),
        (8, 32, 64 * 32 * (9 * 32 + 1)),
    ],
)
def test_the_parameters_of_cuda_convnets_local_layers(side, maps, parameters):
    layer = krizhevsky2012.LocallyConnected2D(
        32, 3, "same", kernel_initializer="zeros", bias_initializer="zeros"
    )
    layer.build((None, side, side, maps))
    assert layer.count_params() == parameters


def test_an_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="'full' is neither"):
        local(1, 3, "full")


# ---------------------------------------------------------------- dropout


def test_what_is_kept_is_not_scaled_in_training_but_all_is_in_testing():
    """Section 4.2, of a rate of 0.5: in testing all outputs are multiplied by 0.5."""
    x = np.arange(1.0, 4001.0).reshape(4, 1000)
    for rate in (0.5, 0.2):
        layer = krizhevsky2012.UnscaledDropout(rate, seed=1)
        np.testing.assert_allclose(output(layer, x), x * (1 - rate), rtol=1e-6)
        y = keras.ops.convert_to_numpy(layer(x.astype("float32"), training=True))
        kept = y != 0
        np.testing.assert_allclose(y[kept], x[kept], rtol=1e-6)
        # 4,000 units: four standard deviations of the part that is dropped.
        deviation = math.sqrt(rate * (1 - rate) / x.size)
        assert abs(1 - kept.mean() - rate) < 4 * deviation


def test_without_a_rate_nothing_is_dropped():
    x = normal(3, 4)
    layer = krizhevsky2012.UnscaledDropout(0.0)
    for training in (True, False):
        y = layer(x.astype("float32"), training=training)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), x.astype("float32"))


# ---------------------------------------------------------------- written down, and counted


# Made within the test: one with random draws starts TensorFlow, which is too early here.
WRITTEN_DOWN = {
    "norm": (
        lambda: krizhevsky2012.LocalResponseNormalization(3, 1.0, 0.01, 0.5, name="n"),
        (2, 3, 3, 4),
    ),
    "pool": (lambda: krizhevsky2012.CeilMaxPooling2D((3, 2), (2, 1), name="pool"), (2, 6, 5, 4)),
    "local, same": (lambda: local(3, 2, "same", name="local"), (2, 3, 4, 2)),
    "local, valid": (lambda: local(3, 2, "valid"), (2, 3, 4, 2)),
    "dropout": (lambda: krizhevsky2012.UnscaledDropout(0.25), (2, 3)),
}


@pytest.mark.parametrize("name", WRITTEN_DOWN)
def test_a_layer_is_the_same_after_it_was_written_down(name):
    make, shape = WRITTEN_DOWN[name]
    layer = make()
    x = normal(*shape)
    y = output(layer, x)
    for again in (
        type(layer).from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)),
    ):
        assert again.get_config() == layer.get_config()
        output(again, x)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(output(again, x), y)


def network_of_the_three():
    """9x8 pixels: 9x8, 9x8, 4x4 of 3/2 windows, 4x4 (same) and 2x2 (valid) positions."""
    images = keras.Input((9, 8, 2))
    x = keras.layers.Conv2D(6, 3, padding="same", name="conv")(images)
    x = krizhevsky2012.LocalResponseNormalization(name="norm")(x)
    x = krizhevsky2012.CeilMaxPooling2D(3, strides=2, name="pool")(x)
    x = local(5, 3, "same", name="local")(x)
    x = local(4, 3, "valid", name="last")(x)
    return keras.Model(images, x)


def test_what_a_network_of_the_three_computes():
    model = network_of_the_three()
    x = normal(2, 9, 8, 2, scale=60.0)
    found = output(model, x)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    kernel, bias = weights["conv"]
    same = [np.broadcast_to(kernel.reshape(-1, 6), (9, 8, 18, 6)), np.broadcast_to(bias, (9, 8, 6))]
    x = normalised_by_loops(local_by_loops(x, *same, 3, "same"), 5, 2.0, 1e-4, 0.75)
    x = pooled_by_loops(x, (3, 3), (2, 2))
    x = local_by_loops(x, *weights["local"], 3, "same")
    x = local_by_loops(x, *weights["last"], 3, "valid")
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-4 * np.abs(x).max())


def test_what_a_network_of_the_three_is_made_of():
    found = anatomy.anatomy(network_of_the_three())
    rows = {row["name"]: row for row in found["layers"]}
    shapes = {"norm": [9, 8, 6], "pool": [4, 4, 6], "local": [4, 4, 5], "last": [2, 2, 4]}
    assert {name: rows[name]["output_shape"] for name in shapes} == shapes
    products = {"norm": 0, "pool": 0, "local": 16 * 9 * 6 * 5, "last": 4 * 9 * 5 * 4}
    biases = {"norm": 0, "pool": 0, "local": 16 * 5, "last": 4 * 4}
    for name in shapes:
        assert rows[name]["multiply_adds"] == products[name]
        # Without shared weights each connection has its own.
        assert rows[name]["parameters"] == products[name] + biases[name]
        assert rows[name]["connections"] == products[name] + biases[name]
    fields = {name: rows[name]["receptive_field"] for name in shapes}
    assert fields == {"norm": 3, "pool": 3 + 2, "local": 5 + 2 * 2, "last": 9 + 2 * 2}


# ---------------------------------------------------------------- the other backends


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="starts the others from the default one")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_holds_on_the_other_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (an extra: pip install -e '.[{backend}]')")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
    # PyTorch's arrays do not know an argument that NumPy 2 passes.
    harmless = "ignore:__array__ implementation:DeprecationWarning"
    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    files = [__file__, Path(__file__).with_name("test_normalisation_and_pooling.py")]
    chosen = "gradient or lower_precisions or three_computes"
    done = subprocess.run(
        [*program, "-W", harmless, "-k", chosen, *files],
        cwd=Path(__file__).parent.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "12 passed" in done.stdout
