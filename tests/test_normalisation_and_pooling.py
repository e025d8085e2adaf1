"""Response normalisation and overhanging pooling (Krizhevsky et al. 2012) against plain loops.

test_local_layers.py runs those of gradients on Keras' other backends.
"""

import math

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import normalised_by_loops, pooled_by_loops, windows_by_loops
from gradients import assert_derivatives, gradients, normal, output

from repro.networks import krizhevsky2012

# ---------------------------------------------------------------- response normalisation


@pytest.mark.parametrize(
    ("shape", "size", "k", "alpha", "beta"),
    [
        ((2, 3, 4, 12), 5, 2.0, 1e-4, 0.75),  # the paper's
        ((1, 2, 2, 64), 5, 1.0, 0.001, 0.75),  # cuda-convnet's
        ((2, 5, 1, 3), 5, 2.0, 1e-4, 0.75),  # fewer maps than the window
        ((1, 1, 3, 1), 5, 2.0, 0.01, 0.75),
        ((2, 2, 3, 7), 1, 1.0, 0.01, 0.75),
        ((2, 2, 3, 7), 3, 0.5, 0.01, 0.5),
        ((2, 2, 3, 9), 4, 1.0, 0.01, 1.0),
        ((3, 20), 9, 2.0, 0.001, 0.75),  # maps alone
    ],
)
def test_response_normalisation_is_the_formula_of_section_3_3(shape, size, k, alpha, beta):
    a = normal(*shape, scale=60.0)  # about as large as first responses to grey levels
    layer = krizhevsky2012.LocalResponseNormalization(size, k, alpha, beta)
    b = output(layer, a)
    expected = normalised_by_loops(a, size, k, alpha, beta)
    np.testing.assert_allclose(b, expected, rtol=1e-5)
    assert not np.allclose(b, a / k**beta, rtol=0.05)  # the neighbours do count
    assert layer.compute_output_shape(shape) == b.shape
    assert layer.weights == []


def test_alpha_is_not_divided_by_the_size():
    """Five maps of 10: 100 for each neighbour, times 0.01; three neighbours at the ends."""
    layer = krizhevsky2012.LocalResponseNormalization(5, k=1.0, alpha=0.01, beta=1.0)
    b = output(layer, np.full((1, 1, 1, 5), 10.0))
    np.testing.assert_allclose(b[0, 0, 0], [10 / 4, 10 / 5, 10 / 6, 10 / 5, 10 / 4], rtol=1e-6)


def test_the_numbers_of_section_3_3_are_the_defaults():
    layer = krizhevsky2012.LocalResponseNormalization()
    assert (layer.size, layer.k, layer.alpha, layer.beta) == (5, 2.0, 1e-4, 0.75)


@pytest.mark.parametrize(("maps", "beta"), [(8, 0.75), (8, 0.5), (3, 0.75)])
def test_the_gradient_of_response_normalisation(maps, beta):
    a, upstream = normal(2, 2, 3, maps), normal(3, 2, 2, maps).transpose(1, 2, 0, 3)
    layer = krizhevsky2012.LocalResponseNormalization(5, 1.0, 0.3, beta, dtype="float64")
    (found,) = gradients(layer, a, upstream)
    assert_derivatives(lambda a: normalised_by_loops(a, 5, 1.0, 0.3, beta), a, upstream, found)


@pytest.mark.parametrize(
    ("policy", "dtype", "tolerance"),
    [("mixed_float16", "float16", 2**-10), ("mixed_bfloat16", "bfloat16", 2**-7)],
)
def test_response_normalisation_in_lower_precisions_loses_their_rounding_only(
    policy, dtype, tolerance
):
    """The squares of 300 and more are too large for float16."""
    a = np.arange(300.0, 340.0, 5.0).reshape(1, 1, 1, 8)  # exact in either
    layer = krizhevsky2012.LocalResponseNormalization(dtype=policy)
    b = output(layer, a)
    assert keras.backend.standardize_dtype(layer(a).dtype) == dtype
    a = output(keras.layers.Identity(dtype=policy), a).astype("float64")
    expected = normalised_by_loops(a, 5, 2.0, 1e-4, 0.75)
    np.testing.assert_allclose(b, expected, rtol=tolerance)


# ---------------------------------------------------------------- overhanging pooling


SIDES = [(2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 8), (8, 7), (9, 4)]
POOLS = [((3, 3), (2, 2)), ((2, 2), (2, 2)), ((3, 3), (3, 3)), ((5, 5), (3, 3)), ((3, 2), (2, 1))]


@pytest.mark.parametrize(
    ("sides", "pool", "stride"),
    [(sides, *p) for sides in SIDES for p in POOLS if min(sides) > p[0][0] - p[1][0]],
)
def test_the_last_windows_overhang_and_what_is_outside_never_wins(sides, pool, stride):
    x = normal(2, *sides, 3)
    x -= x.max() + 1  # every pixel is below zero
    layer = krizhevsky2012.CeilMaxPooling2D(pool, strides=stride)
    expected = pooled_by_loops(x, pool, stride).astype("float32")
    found = output(layer, x)
    np.testing.assert_array_equal(found, expected)
    rule = tuple(math.ceil((n - p) / s) + 1 for n, p, s in zip(sides, pool, stride, strict=True))
    assert found.shape[1:3] == rule
    assert layer.compute_output_shape(x.shape) == found.shape


@pytest.mark.parametrize(
    ("side", "smaller"), [(32, 16), (16, 8), (8, 4), (28, 14), (14, 7), (24, 12), (12, 6), (55, 27)]
)
def test_the_sides_of_the_papers_networks(side, smaller):
    """cuda-convnet's networks for CIFAR-10 and MNIST; AlexNet, where nothing overhangs."""
    layer = krizhevsky2012.CeilMaxPooling2D(3, strides=2)
    assert layer.compute_output_shape((None, side, side, 2)) == (None, smaller, smaller, 2)
    assert output(layer, normal(1, side, side, 2)).shape == (1, smaller, smaller, 2)


@pytest.mark.parametrize(
    ("sides", "pool", "stride"),
    [((5, 5), *POOLS[0]), ((6, 6), *POOLS[0]), ((7, 8), *POOLS[0]), ((5, 7), *POOLS[1])],
)
def test_the_gradient_goes_where_the_maximum_was(sides, pool, stride):
    x = normal(2, *sides, 3)
    layer = krizhevsky2012.CeilMaxPooling2D(pool, strides=stride, dtype="float64")
    maxima = pooled_by_loops(x, pool, stride)
    upstream = normal(*maxima.shape)
    expected = np.zeros_like(x)
    for (r, c), window in windows_by_loops(x, pool, stride):
        won = x[window] == maxima[:, r, None, c, None]
        expected[window] += won * upstream[:, r, None, c, None]
    (found,) = gradients(layer, x, upstream)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_nothing_is_padded_where_the_pooling_of_keras_is_the_same(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("padded")

    monkeypatch.setattr(krizhevsky2012.ops, "pad", refuse)
    layer = krizhevsky2012.CeilMaxPooling2D(3, strides=2)
    for side in (32, 16, 8, 55, 27, 13):
        output(layer, normal(1, side, side, 1))
    for sides in ((7, 8), (8, 7)):
        with pytest.raises(AssertionError, match="padded"):
            layer(normal(1, *sides, 1))


def test_images_of_unknown_size_are_pooled_and_normalised():
    images = keras.Input((None, None, 2))
    x = krizhevsky2012.CeilMaxPooling2D(3, strides=2)(
        krizhevsky2012.LocalResponseNormalization()(images)
    )
    model = keras.Model(images, x)
    assert model.output_shape == (None, None, None, 2)
    for sides in ((7, 8), (6, 6), (5, 5)):
        x = normal(1, *sides, 2, scale=60.0)
        expected = pooled_by_loops(normalised_by_loops(x, 5, 2.0, 1e-4, 0.75), (3, 3), (2, 2))
        np.testing.assert_allclose(output(model, x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_size": 2, "strides": 3}, "above the pool"),
        ({"pool_size": (3, 2), "strides": (2, 3)}, "above the pool"),
        ({"pool_size": 3, "padding": "same"}, "no padding"),
        ({"pool_size": 3, "data_format": "channels_first"}, "last axis"),
    ],
)
def test_poolings_that_cannot_overhang_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        krizhevsky2012.CeilMaxPooling2D(**options)
