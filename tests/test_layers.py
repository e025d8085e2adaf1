"""The layers of LeCun et al. 1998 against the same sums written as loops; batch normalisation."""

import math

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from repro import spec
from repro.backends import distribution
from repro.networks import (
    layers,
    lecun1998,
    losses,
    optimizers,
)

RNG = np.random.default_rng(1998)
ANY = "random_normal"


def fresh(layer, *shape):
    """`layer`, built, on random inputs: (its weights, inputs, outputs)."""
    x = RNG.normal(size=shape).astype("float32")
    y = keras.ops.convert_to_numpy(layer(x))
    return [np.asarray(w, "float64") for w in layer.get_weights()], x.astype("float64"), y


def convolution_by_loops(x, weight, maps_out, k, bias, sees=lambda m, i: True):
    """weight(m, i, r, c): what map m multiplies pixel (r, c) of its field in map i with."""
    n, height, width, maps_in = x.shape
    y = np.zeros((n, height - k + 1, width - k + 1, maps_out))
    for e, row, column, m in np.ndindex(*y.shape):
        total = bias[m]
        for i, r, c in np.ndindex(maps_in, k, k):
            if sees(m, i):
                total += weight(m, i, r, c) * x[e, row + r, column + c, i]
        y[e, row, column, m] = total
    return y


@pytest.mark.parametrize("examples", [1, 2])  # one is computed in another way
def test_the_convolution_for_one_example_is_a_convolution(examples):
    layer = lecun1998.OneExampleConv2D(3, 2, kernel_initializer=ANY, bias_initializer=ANY)
    (kernel, bias), x, y = fresh(layer, examples, 4, 5, 2)
    expected = convolution_by_loops(x, lambda m, i, r, c: kernel[r, c, i, m], 3, 2, bias)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("examples", [1, 2])
def test_each_map_of_a_partial_convolution_sees_only_the_maps_of_its_row(examples):
    table = ((0, 2), (1,), (0, 1, 2), (2,))
    layer = lecun1998.PartialConv2D(table, 3, ANY, ANY)
    (kernel, bias), x, y = fresh(layer, examples, 5, 4, 3)
    assert kernel.shape == (9, 7) and bias.shape == (4,)
    pairs = [(m, i) for m, row in enumerate(table) for i in row]
    expected = convolution_by_loops(
        x,
        lambda m, i, r, c: kernel[3 * r + c, pairs.index((m, i))],
        *(4, 3, bias),
        sees=lambda m, i: i in table[m],
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape((examples, 5, 4, 3)) == y.shape


def test_subsampling_weighs_the_sum_of_four_pixels():
    layer = lecun1998.Subsampling(ANY, ANY)
    (coefficient, bias), x, y = fresh(layer, 2, 4, 6, 3)
    assert coefficient.shape == bias.shape == (3,)
    expected = np.zeros((2, 2, 3, 3))
    for e, r, c, m in np.ndindex(*expected.shape):
        four = x[e, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2, m]
        expected[e, r, c, m] = coefficient[m] * four.sum() + bias[m]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape((2, 4, 6, 3)) == y.shape


def test_penalties_are_scaled_squared_distances_to_the_codes():
    codes = RNG.choice([-1.0, 1.0], size=(3, 5))
    layer = lecun1998.EuclideanRBF(codes, scale=0.05)
    weights, x, y = fresh(layer, 4, 5)
    assert weights == []
    expected = [[0.05 * sum((a - b) ** 2 for a, b in zip(r, c, strict=True)) for c in codes]
                for r in x]  # fmt: skip
    np.testing.assert_allclose(y, expected, rtol=1e-4)
    at_codes = keras.ops.convert_to_numpy(layer(codes.astype("float32")))
    np.testing.assert_array_equal(np.diag(at_codes), 0.0)
    # Codes of +-1 that differ in d places are 4d apart.
    np.testing.assert_allclose(at_codes[0, 1], 0.05 * 4 * np.sum(codes[0] != codes[1]), rtol=1e-5)
    assert layer.compute_output_shape((4, 5)) == y.shape


def test_the_squashing_function_goes_through_plus_and_minus_one():
    a = np.array([[-50.0, -1.0, 0.0, 0.5, 1.0, 50.0]], "float32")
    y = keras.ops.convert_to_numpy(lecun1998.ScaledTanh()(a))[0]
    np.testing.assert_allclose(y[[1, 2, 4]], [-1.0, 0.0, 1.0], atol=1e-4)
    np.testing.assert_allclose(y[[0, 5]], [-1.7159, 1.7159], rtol=1e-6)
    assert y[3] == pytest.approx(1.7159 * math.tanh(1 / 3), rel=1e-5)


def test_curvature_passes_the_squashing_function_with_its_squared_slope():
    a = np.linspace(-2, 2, 9)[None]
    h = 1e-5
    slope = 1.7159 * (np.tanh(2 / 3 * (a + h)) - np.tanh(2 / 3 * (a - h))) / (2 * h)
    y = (1.7159 * np.tanh(2 / 3 * a)).astype("float32")
    found, by_weights = lecun1998.ScaledTanh().curvature(
        a.astype("float32"), y, np.full_like(y, 3.0)
    )
    np.testing.assert_allclose(found, 3.0 * slope**2, rtol=1e-3)
    assert by_weights == []


@pytest.mark.parametrize("fan_in", [4, 150])
def test_initial_weights_are_uniform_within_2_4_over_the_fan_in(fan_in):
    keras.utils.set_random_seed(7)
    draw = np.asarray(lecun1998.FanInUniform(fan_in)((40, 50)))
    bound = 2.4 / fan_in
    assert np.abs(draw).max() <= bound
    assert np.abs(draw).max() > 0.99 * bound
    # Of a uniform distribution: standard deviation bound / sqrt(3), mean 0, of 2,000 draws.
    assert np.std(draw) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert abs(np.mean(draw)) < 5 * bound / math.sqrt(3 * 2000)


def test_each_unit_may_have_its_own_fan_in():
    keras.utils.set_random_seed(7)
    fan_in = [75, 100, 150]
    widest = np.abs(np.asarray(lecun1998.FanInUniform(fan_in)((1000, 3)))).max(axis=0)
    np.testing.assert_allclose(widest, 2.4 / np.array(fan_in), rtol=0.02)
    assert np.all(widest <= 2.4 / np.array(fan_in))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lecun1998.ScaledTanh(), (1, 3)),
        (lecun1998.Subsampling(lecun1998.FanInUniform(4), "zeros"), (1, 4, 4, 2)),
        (lecun1998.OneExampleConv2D(2, 2), (1, 3, 3, 1)),
        (lecun1998.PartialConv2D([[0], [0, 1]], 2, lecun1998.FanInUniform([4, 8, 8]), "ones"),
         (1, 3, 3, 2)),
        (lecun1998.EuclideanRBF([[1.0, -1.0], [-1.0, -1.0]], 0.25), (1, 2)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_layer_is_the_same_after_it_was_written_down(layer, shape):
    x = RNG.normal(size=shape).astype("float32")
    y = layer(x)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), y)
    assert again.get_config() == layer.get_config()


# Batch normalisation. The expected values are those of Keras' own layer, and of sums in NumPy.


def two_batch_normalizations(shape, **options):
    """Keras' own and ours, with the same weights, none of them at its first value."""
    layers_ = [
        make(momentum=0.9, epsilon=1e-5, **options)
        for make in (keras.layers.BatchNormalization, layers.BatchNormalization)
    ]
    channels = shape[-1]
    gamma, variance = RNG.uniform(0.5, 2.0, size=(2, channels))
    beta, mean = RNG.normal(size=(2, channels))
    for layer in layers_:
        layer.build(shape)
        layer.set_weights([gamma, beta, mean, variance])
    return layers_


def outcome_of(layer, x, upstream, training):
    """Outputs, the gradients by x, gamma and beta, the moving statistics afterwards."""
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        total = tf.reduce_sum(tf.cast(y, "float32") * upstream)
    gradients = tape.gradient(total, [x, layer.gamma.value, layer.beta.value])
    moving = [layer.moving_mean, layer.moving_variance]
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in (y, *gradients, *moving)
    ]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("shape", [(8, 6, 5, 4), (1, 2, 1, 3)])
def test_the_fused_batch_normalisation_is_that_of_keras(shape, dtype, tolerance, training):
    x = RNG.normal(2.0, 3.0, size=shape).astype("float32")
    upstream = RNG.normal(size=shape).astype("float32")
    theirs, ours = (
        outcome_of(layer, x, upstream, training)
        for layer in two_batch_normalizations(shape, dtype=dtype)
    )
    for expected, found in zip(theirs, ours, strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, atol=tolerance * scale)


def test_the_moving_variance_takes_the_biased_variance_of_the_batch():
    x = RNG.normal(size=(2, 3, 1, 2)).astype("float32")
    layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    layer(x, training=True)
    expected = 0.9 * 1.0 + 0.1 * x.astype("float64").var(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_variance, expected, rtol=1e-5)
    layer.trainable = False  # then Keras' layer learns nothing either
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_variance, expected, rtol=1e-5)


def test_the_fused_operation_is_used_and_only_where_it_holds():
    import tensorflow as tf

    def operations(shape, **options):
        layer = layers.BatchNormalization(**options)
        layer.build((None, *shape))
        signature = tf.TensorSpec((4, *shape), tf.float32)
        graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(signature)
        return {operation.type for operation in graph.graph.get_operations()}

    assert "FusedBatchNormV3" in operations((5, 5, 3))
    for shape, options in [
        ((7,), {}),
        ((5, 5, 3), {"axis": 1}),
        ((5, 5, 3), {"scale": False}),
        ((5, 5, 3), {"center": False}),
        ((5, 5, 3), {"synchronized": True}),
        ((5, 5, 3), {"renorm": True}),
    ]:
        assert "FusedBatchNormV3" not in operations(shape, **options)


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 5e-2)])
def test_ten_updates_go_the_same_way_with_either_batch_normalisation(policy, tolerance):
    """A residual block on ten batches: the same weights and statistics at the end."""
    images = RNG.normal(size=(10, 16, 8, 8, 3)).astype("float32")
    labels = RNG.integers(0, 4, size=(10, 16))

    def weights(normalisation):
        keras.utils.set_random_seed(1)
        normalise = lambda: normalisation(momentum=0.9, epsilon=1e-5, dtype=policy)  # noqa: E731
        convolution = lambda: keras.layers.Conv2D(  # noqa: E731
            8, 3, padding="same", use_bias=False, dtype=policy
        )
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.ReLU(dtype=policy)(normalise()(convolution()(inputs)))
        y = normalise()(convolution()(x))
        x = keras.layers.GlobalAveragePooling2D(dtype=policy)(
            keras.layers.Add(dtype=policy)([x, y])
        )
        model = keras.Model(inputs, keras.layers.Dense(4, dtype="float32")(x))
        model.compile(
            keras.optimizers.SGD(0.05, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        for batch in zip(images, labels, strict=True):
            model.train_on_batch(*batch)
        return model.get_weights()

    theirs = weights(keras.layers.BatchNormalization)
    for expected, found in zip(theirs, weights(layers.BatchNormalization), strict=True):
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_a_network_of_more_than_a_thousand_layers_can_be_built():
    """ResNet-1202's graph is deeper than Python's recursion limit, which Keras runs into."""
    inputs = keras.Input((2,))
    x = inputs
    for _ in range(1_500):
        x = keras.layers.ReLU()(x)
    with pytest.raises(RecursionError):
        keras.Model(inputs, x)
    model = layers.deep_model(inputs, x, name="deep")
    assert len(model.layers) == 1_501


def densely_connected(kind):
    """Three layers; what stands side by side is normalised before each convolution."""
    inputs = keras.Input((8, 8, 3))
    pieces = [keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)]
    for _ in range(3):
        x = pieces[0] if len(pieces) == 1 else keras.layers.Concatenate()(pieces)
        x = keras.layers.ReLU()(layers.BatchNormalization()(x))
        x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        pieces.append(keras.layers.Dropout(0.2, seed=7)(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Concatenate()(pieces))
    return layers.deep_model(inputs, keras.layers.Dense(4, dtype="float32")(x), "dense", kind)


KINDS = (keras.Model, layers.ByChains, layers.Recomputing)


def three_alike():
    """`densely_connected` of each kind, with the same weights."""
    models = [densely_connected(kind) for kind in KINDS]
    for model in models[1:]:
        model.set_weights(models[0].get_weights())
    return models


@pytest.mark.parametrize("strategy", ["single", "mirrored"])
def test_chains_and_what_is_computed_again_give_the_same(two_devices, strategy):
    """Weights, moving statistics and outputs after five updates, of each kind."""
    images = RNG.normal(size=(5, 32, 8, 8, 3)).astype("float32")
    labels = RNG.integers(0, 4, (5, 32)).astype("int32")
    devices = distribution.choose(strategy, 32)
    with devices.scope():
        models = three_alike()
        sgd = [optimizers.build(spec.SGD(0.1, momentum=0.9)) for _ in models]
        for model, optimizer in zip(models, sgd, strict=True):
            optimizer.build(model.trainable_variables)
            optimizer.learning_rate.assign(0.1)
    found = []
    for model, optimizer in zip(models, sgd, strict=True):
        loop = devices.loop(model, optimizer, losses.SoftmaxCrossEntropy(), 32, 5)
        loss, _ = loop(images, labels)
        outputs = keras.ops.convert_to_numpy(model(images[0], training=False))
        found.append([loss, outputs, *model.get_weights()])
    for expected, *others in zip(*found, strict=True):
        for other in others:
            np.testing.assert_allclose(other, expected, rtol=1e-3, atol=1e-4)


def test_chains_and_what_is_computed_again_give_the_same_in_mixed_precision(mixed_bfloat16):
    """Up to the rounding of bfloat16, of which a kernel of another width has another."""
    images = RNG.normal(size=(8, 8, 8, 3)).astype("float32")
    outputs = [keras.ops.convert_to_numpy(m(images, training=True)) for m in three_alike()]
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], rtol=0.02, atol=0.02)


def operations_of_an_update(model) -> list:
    import tensorflow as tf

    @tf.function
    def gradients(images):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(images, training=True))
        return tape.gradient(total, [v.value for v in model.trainable_variables])

    return gradients.get_concrete_function(tf.zeros((2, 8, 8, 3))).graph.get_operations()


@pytest.mark.parametrize("kind", [layers.ByChains, layers.Recomputing])
def test_chains_are_filled_up_to_sixteen_maps_at_a_time(kind):
    """Of 4, 8 and 12 maps, 4 are made: all of it 16 wide, but for the first convolution."""
    operations = operations_of_an_update(densely_connected(kind))
    normalised = [op.inputs[0].shape for op in operations if op.type == "FusedBatchNormV3"]
    assert {shape[-1] for shape in normalised} == {16}
    convolved = [op for op in operations if op.type == "Conv2D" and op.inputs[0].shape[-1] != 3]
    assert {tuple(op.inputs[1].shape) for op in convolved} == {(3, 3, 16, 16)}


@pytest.mark.parametrize(
    ("convolution", "relu", "normalisation"),
    [
        ({"strides": 2}, {}, {}),
        ({"padding": "valid"}, {}, {}),
        ({"use_bias": True, "bias_initializer": "ones"}, {}, {}),
        ({"activation": "tanh"}, {}, {}),
        ({"dilation_rate": 2}, {}, {}),
        ({"groups": 2}, {}, {}),
        ({}, {"max_value": 0.5}, {}),
        ({}, {"negative_slope": 0.5}, {}),
        ({}, {"threshold": 0.5}, {}),
        ({}, {}, {"trainable": False}),
        ({}, {}, {"epsilon": 0.0}),
        ({}, {}, {"center": False}),
    ],
)
def test_other_layers_are_computed_as_they_are(convolution, relu, normalisation):
    """What `filled_up` does not know, or what maps of zeros would change."""
    inputs = keras.Input((8, 8, 12))
    x = keras.layers.ReLU(**relu)(layers.BatchNormalization(**normalisation)(inputs))
    options = {"padding": "same", "use_bias": False} | convolution
    outputs = keras.layers.Conv2D(4, 3, **options)(x)
    images = RNG.normal(size=(2, 8, 8, 12)).astype("float32")
    kept, chained = keras.Model(inputs, outputs), layers.ByChains(inputs, outputs)
    expected, found = (
        keras.ops.convert_to_numpy(m(images, training=True)) for m in (kept, chained)
    )
    assert found.shape == expected.shape and np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_maps_of_another_axis_are_computed_as_they_are():
    inputs = keras.Input((8, 8, 12))
    x = keras.layers.Concatenate(axis=1)([inputs, inputs])
    x = keras.layers.ReLU()(layers.BatchNormalization()(x))
    outputs = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    images = RNG.normal(size=(2, 8, 8, 12)).astype("float32")
    kept, chained = keras.Model(inputs, outputs), layers.ByChains(inputs, outputs)
    expected, found = (
        keras.ops.convert_to_numpy(m(images, training=True)) for m in (kept, chained)
    )
    assert found.shape == (2, 16, 8, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_normalisations_are_computed_twice():
    def normalisations(model):
        return [op.type for op in operations_of_an_update(model)].count("FusedBatchNormV3")

    kept, _, again = three_alike()
    assert (normalisations(kept), normalisations(again)) == (3, 6)
