"""AlexNet (Krizhevsky et al. 2012): what the paper and cuda-convnet say of its networks."""

from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from test_local_layers import normalised_by_loops, pooled_by_loops

from papers import alexnet
from repro import spec
from repro.errors import UsageError
from repro.networks import anatomy, krizhevsky2012, optimizers
from repro.training import schedule

NETWORKS = {n.name: n for n in alexnet.NETWORKS}
EXPERIMENTS = {e.name: e for e in alexnet.PAPER.experiments}


# ---------------------------------------------------------------- counted

# Parameters and multiply-adds, counted by hand from section 3.5, footnote 2 of section 3.2, and
# cuda-convnet's layer files, on images of 24x24 and of 32x32 pixels.
COUNTS = {
    "alexnet": (60_965_224, 724_406_816),
    "alexnet-single-tower": (62_378_344, 1_135_256_096),
    "alexnet-one-gpu": (59_798_312, 391_514_384),
    "alexnet-without-lrn": (60_965_224, 724_406_816),
    "alexnet-non-overlapping": (60_965_224, 724_406_816),
    "alexnet-local": (1_116_490, 18_517_248),
    "alexnet-local-lrn": (1_116_490, 18_517_248),
    "alexnet-four-layers-relu": (1_901_386, 32_919_552),
    "alexnet-four-layers-tanh": (1_901_386, 32_919_552),
}

# By layer, two towers together: the shape of the output, parameters, multiply-adds.
FULL = {
    "fc6": ([4096], 37_752_832, 37_748_736),
    "fc7": ([4096], 16_781_312, 16_777_216),
    "fc8": ([1000], 4_097_000, 4_096_000),
}
LOCAL = {
    "conv1": ([24, 24, 64], 4_864, 2_764_800),
    "pool1": ([12, 12, 64], 0, 0),
    "conv2": ([12, 12, 64], 102_464, 14_745_600),
    "pool2": ([6, 6, 64], 0, 0),
    "local3": ([6, 6, 32], 664_704, 663_552),
    "local4": ([6, 6, 32], 332_928, 331_776),
    "fc10": ([10], 11_530, 11_520),
}
WHOLE = {
    "conv1": ([32, 32, 64], 4_864, 4_915_200),
    "pool1": ([16, 16, 64], 0, 0),
    "conv2": ([16, 16, 64], 102_464, 26_214_400),
    "pool2": ([8, 8, 64], 0, 0),
    "local3": ([8, 8, 32], 1_181_696, 1_179_648),
    "local4": ([8, 8, 32], 591_872, 589_824),
    "fc10": ([10], 20_490, 20_480),
}
LAYERS = {
    "alexnet": {
        "conv1": ([55, 55, 96], 34_944, 105_415_200),
        "pool1": ([27, 27, 96], 0, 0),
        "conv2": ([27, 27, 256], 307_456, 223_948_800),
        "pool2": ([13, 13, 256], 0, 0),
        "conv3": ([13, 13, 384], 885_120, 149_520_384),
        "conv4": ([13, 13, 384], 663_936, 112_140_288),
        "conv5": ([13, 13, 256], 442_624, 74_760_192),
        "pool5": ([6, 6, 256], 0, 0),
        **FULL,
    },
    "alexnet-single-tower": {
        "conv1": ([55, 55, 96], 34_944, 105_415_200),
        "pool1": ([27, 27, 96], 0, 0),
        "conv2": ([27, 27, 256], 614_656, 447_897_600),
        "pool2": ([13, 13, 256], 0, 0),
        "conv3": ([13, 13, 384], 885_120, 149_520_384),
        "conv4": ([13, 13, 384], 1_327_488, 224_280_576),
        "conv5": ([13, 13, 256], 884_992, 149_520_384),
        "pool5": ([6, 6, 256], 0, 0),
        **FULL,
    },
    "alexnet-one-gpu": {
        "conv1": ([55, 55, 48], 17_472, 52_707_600),
        "pool1": ([27, 27, 48], 0, 0),
        "conv2": ([27, 27, 128], 153_728, 111_974_400),
        "pool2": ([13, 13, 128], 0, 0),
        "conv3": ([13, 13, 192], 221_376, 37_380_096),
        "conv4": ([13, 13, 192], 331_968, 56_070_144),
        "conv5": ([13, 13, 256], 442_624, 74_760_192),
        "pool5": ([6, 6, 256], 0, 0),
        **FULL,
    },
    "alexnet-local": LOCAL,
    "alexnet-local-lrn": LOCAL,
    "alexnet-four-layers-relu": WHOLE,
    "alexnet-four-layers-tanh": WHOLE,
}
LAYERS |= {name: LAYERS["alexnet"] for name in ("alexnet-without-lrn", "alexnet-non-overlapping")}


@pytest.fixture
def undrawn(monkeypatch):
    """Counting needs no random weights, and 60 million of them take a while."""
    monkeypatch.setattr(alexnet, "gaussian", lambda std: keras.initializers.Zeros())


@cache
def counted(name, **changed):
    network = NETWORKS[name]
    found = anatomy.anatomy(network.build(**{**network.options, **changed}))
    keras.backend.clear_session()
    return found


def test_every_network_is_counted():
    assert set(COUNTS) == set(LAYERS) == set(NETWORKS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_of_each_network(undrawn, name):
    found = counted(name)
    assert (found["parameters"], found["multiply_adds"]) == COUNTS[name]


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(undrawn, name):
    rows = counted(name)["layers"]
    for layer, (shape, parameters, multiply_adds) in LAYERS[name].items():
        (whole,) = [row for row in rows if row["name"] == layer]
        assert whole["output_shape"] == shape
        towers = [row for row in rows if row["name"] in (layer, f"{layer}_1", f"{layer}_2")]
        assert sum(row["parameters"] for row in towers) == parameters
        assert sum(row["multiply_adds"] for row in towers) == multiply_adds


# Every layer of the two towers, from the image to the logits.
IN_ORDER = [
    ("conv1", [55, 55, 96], 11),
    ("norm1", [55, 55, 96], 11),
    ("pool1", [27, 27, 96], 19),
    ("conv2_1", [27, 27, 128], 51),
    ("conv2_2", [27, 27, 128], 51),
    ("conv2", [27, 27, 256], 51),
    ("norm2", [27, 27, 256], 51),
    ("pool2", [13, 13, 256], 67),
    ("conv3", [13, 13, 384], 99),
    ("conv4_1", [13, 13, 192], 131),
    ("conv4_2", [13, 13, 192], 131),
    ("conv4", [13, 13, 384], 131),
    ("conv5_1", [13, 13, 128], 163),
    ("conv5_2", [13, 13, 128], 163),
    ("conv5", [13, 13, 256], 163),
    ("pool5", [6, 6, 256], 195),
    ("flatten", [9216], 195),
    ("fc6", [4096], 355),
    ("fc6_dropout", [4096], 355),
    ("fc7", [4096], 355),
    ("fc7_dropout", [4096], 355),
    ("fc8", [1000], 355),
]


def test_the_two_towers_from_the_image_to_the_logits(undrawn):
    """Normalisation follows the rectified convolution, pooling the normalisation (section 3.5)."""
    found = counted("alexnet")
    assert found["input_shape"] == [227, 227, 3]
    rows = [
        (row["name"], row["output_shape"], row["receptive_field"])
        for row in found["layers"]
        if row["kind"] != "Split"
    ]
    assert rows == IN_ORDER


def test_the_units_of_figure_2(undrawn):
    """For the first layer the paper prints 253,440, which is not 96 maps of 55x55."""
    rows = {row["name"]: row for row in counted("alexnet")["layers"]}
    units = [
        np.prod(rows[name]["output_shape"]) for name in LAYERS["alexnet"] if "pool" not in name
    ]
    assert units == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert rows["conv1"]["connections"] == 290_400 * (11 * 11 * 3 + 1)


def test_what_two_gpus_do_not_share_are_the_weights_of_half_the_pairs_of_maps(undrawn):
    more = counted("alexnet-single-tower")["parameters"] - counted("alexnet")["parameters"]
    assert more == (25 * 96 * 256 + 9 * 384 * 384 + 9 * 384 * 256) // 2


@pytest.mark.parametrize("changed", [{"pooling": "non-overlapping"}, {"lrn": False}, {"bias": 0.1}])
def test_variations_have_the_same_sizes(undrawn, changed):
    """Section 3.4: windows that do not overlap give outputs of equivalent dimensions."""
    found = counted("alexnet-one-gpu", **changed)
    same = counted("alexnet-one-gpu")
    for key in ("parameters", "multiply_adds", "connections"):
        assert found[key] == same[key]
    shapes = {row["name"]: row["output_shape"] for row in found["layers"]}
    for row in same["layers"]:
        if changed == {"lrn": False} and row["kind"] == "LocalResponseNormalization":
            assert row["name"] not in shapes
        else:
            assert shapes[row["name"]] == row["output_shape"]
    assert found["layers"][-1]["receptive_field"] == (
        11 + 4 + 4 * 8 + 8 + 3 * 2 * 16 + 16 + 5 * 32 if "pooling" in changed else 355
    )


def test_classes(undrawn):
    maps = (4, 4, 4, 4, 4)
    assert alexnet.alexnet(maps, 2, classes=10).output_shape == (None, 10)


@pytest.mark.parametrize("name", ["alexnet-local-lrn", "alexnet-four-layers-tanh"])
def test_the_networks_for_cifar_10_from_the_image_to_the_logits(undrawn, name):
    expected = LAYERS[name]
    activation = "tanh" if "tanh" in name else "relu"
    order = []
    for layer, (shape, _, _) in expected.items():
        if layer == "fc10":
            order.append(("flatten", [np.prod(expected["local4"][0])]))
        order.append((layer, shape))
        if "conv" in layer or "local" in layer:
            order.append((f"{layer}_{activation}", shape))
        if "conv" in layer and "lrn" in name:
            order.append((f"rnorm{layer[-1]}", shape))
    rows = counted(name)["layers"]
    assert [(row["name"], row["output_shape"]) for row in rows] == order


# ---------------------------------------------------------------- beginnings


def small(towers=2, **options):
    """The network with few maps."""
    return alexnet.alexnet((8, 16, 8, 16, 8), towers, **options)


def assert_gaussian(weights, std):
    z = weights.ravel() / std
    error = 1 / np.sqrt(len(z))
    assert abs(z.mean()) < 4 * error and abs(z.std() - 1) < 4 * error
    if len(z) > 10_000:  # not truncated
        assert np.mean(np.abs(z) > 2) == pytest.approx(0.0455, abs=4 * np.sqrt(0.0455) * error)


@pytest.mark.parametrize("towers", [1, 2])
def test_weights_and_biases_begin_as_section_5_says(towers):
    keras.utils.set_random_seed(1)
    weighted = [layer for layer in small(towers).layers if layer.weights]
    assert len(weighted) == (8 if towers == 1 else 11)
    for layer in weighted:
        kernel, bias = layer.get_weights()
        assert_gaussian(kernel, 0.01)
        ones = layer.name.split("_")[0] in ("conv2", "conv4", "conv5", "fc6", "fc7")
        np.testing.assert_array_equal(bias, 1.0 if ones else 0.0)


def test_biases_may_begin_at_another_value(undrawn):
    """Replications of the network did not learn with biases of 1; they took 0.1."""
    biases = {m.name: m.get_weights()[1] for m in small(bias=0.1).layers if m.weights}
    begun = {name for name, bias in biases.items() if np.all(bias == np.float32(0.1))}
    assert begun == {
        *("conv2_1", "conv2_2", "conv4_1", "conv4_2", "conv5_1", "conv5_2", "fc6", "fc7")
    }
    assert not any(np.any(bias) for name, bias in biases.items() if name not in begun)


def test_the_towers_draw_weights_of_their_own():
    keras.utils.set_random_seed(1)
    model = small()
    first, second = (model.get_layer(f"conv2_{tower}").get_weights()[0] for tower in (1, 2))
    assert first.shape == second.shape == (5, 5, 4, 8) and not np.array_equal(first, second)


def test_the_spread_of_cuda_convnets_layer_files():
    keras.utils.set_random_seed(1)
    spread = {"conv1": 0.0001, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc10": 0.01}
    model = alexnet.four_layers(24)
    assert {layer.name for layer in model.layers if layer.weights} == set(spread)
    for name, std in spread.items():
        kernel, bias = model.get_layer(name).get_weights()
        assert_gaussian(kernel, std)
        assert not np.any(bias)


def test_half_of_the_units_of_fc6_and_fc7_are_dropped_and_no_others(undrawn):
    model = small()
    dropouts = [m for m in model.layers if isinstance(m, keras.layers.Dropout)]
    assert [type(m) for m in dropouts] == [krizhevsky2012.UnscaledDropout] * 2
    assert [m.rate for m in dropouts] == [0.5, 0.5]
    assert [m.input for m in dropouts] == [model.get_layer(n).output for n in ("fc6", "fc7")]
    assert [model.get_layer(n).input for n in ("fc7", "fc8")] == [m.output for m in dropouts]


def test_the_networks_for_cifar_10_drop_nothing(undrawn):
    kinds = {type(m).__name__ for m in alexnet.four_layers(24, lrn=True).layers}
    assert not [kind for kind in kinds if "Dropout" in kind]


# ---------------------------------------------------------------- the whole, computed by hand


def convolved(x, kernel, bias, stride=1, pad=0):
    """x: [batch, height, width, maps in]; kernel: [k, k, maps in, maps out]."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    views = views[:, ::stride, ::stride]  # [batch, rows, columns, maps in, k, k]
    return np.tensordot(views, kernel.transpose(2, 0, 1, 3), axes=3) + bias


def local(x, kernel, bias, k=3):
    """Each position's own weights, with zeros around the image; k is odd."""
    pad = k // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    y = np.empty((len(x), *bias.shape))
    for r, c in np.ndindex(*bias.shape[:2]):
        y[:, r, c] = x[:, r : r + k, c : c + k].reshape(len(x), -1) @ kernel[r, c] + bias[r, c]
    return y


def relu(x):
    return np.maximum(x, 0)


def maxima(x, size):
    """Of the windows that fit, 2 apart."""
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return views[:, ::2, ::2].max(axis=(4, 5))


def with_random_weights(model, seed=3):
    """Freshly built, some biases are 0 or all the same, which would hide a mistake."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            fan_in = np.prod(kernel.shape[-4:-1] if "conv" in layer.name else kernel.shape[-2])
            std = 1 / np.sqrt(fan_in)
            layer.set_weights(
                [random.normal(0, std, kernel.shape), random.normal(0, 0.1, bias.shape)]
            )
    return model


def weights_of(model):
    return {m.name: [w.astype("float64") for w in m.get_weights()] for m in model.layers}


def outputs(model, images, *names):
    """Of the layers of these names, while testing."""
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    found = inner(images.astype("float32"), training=False)
    return [keras.ops.convert_to_numpy(y) for y in found]


def assert_close(found, expected):
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    assert expected.std() > 1e-3 * scale  # not all alike
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


def normalised(x, size=5, k=2.0, alpha=1e-4):
    return normalised_by_loops(x, size, k, alpha, 0.75)


def by_section_3(weights, x, towers, window=3, lrn=True):
    """The outputs of pool5 and the logits."""

    def layer(x, name, pad):
        if towers == 1 or name == "conv3":
            return relu(convolved(x, *weights[name], pad=pad))
        halves = np.split(x, 2, axis=-1)
        made = [
            convolved(half, *weights[f"{name}_{tower}"], pad=pad)
            for tower, half in enumerate(halves, start=1)
        ]
        return relu(np.concatenate(made, axis=-1))

    norm = normalised if lrn else lambda x: x
    x = maxima(norm(relu(convolved(x, *weights["conv1"], stride=4))), window)
    x = maxima(norm(layer(x, "conv2", 2)), window)
    for name in ("conv3", "conv4", "conv5"):
        x = layer(x, name, 1)
    pooled = maxima(x, window)
    x = pooled.reshape(len(pooled), -1)
    for name in ("fc6", "fc7"):
        kernel, bias = weights[name]
        x = 0.5 * relu(x @ kernel + bias)  # section 4.2
    kernel, bias = weights["fc8"]
    return pooled, x @ kernel + bias


@pytest.mark.parametrize(
    ("towers", "pooling", "lrn"),
    [(2, "overlapping", True), (1, "overlapping", False), (2, "non-overlapping", True)],
)
def test_the_network_computes_what_section_3_describes(towers, pooling, lrn):
    model = with_random_weights(small(towers, pooling=pooling, lrn=lrn))
    images = np.random.default_rng(5).normal(0, 60, (1, 227, 227, 3))
    window = {"overlapping": 3, "non-overlapping": 2}[pooling]
    expected = by_section_3(weights_of(model), images, towers, window, lrn)
    for found, by_hand in zip(outputs(model, images, "pool5", "fc8"), expected, strict=True):
        assert_close(found, by_hand)


@pytest.mark.parametrize(
    ("side", "activation", "lrn", "divided"),
    [
        (24, "relu", False, True),
        (24, "relu", True, True),
        (24, "relu", True, False),
        (32, "tanh", False, True),
    ],
)
def test_the_networks_for_cifar_10_compute_what_the_layer_files_say(side, activation, lrn, divided):
    model = with_random_weights(alexnet.four_layers(side, activation, lrn, divided))
    images = np.random.default_rng(5).normal(0, 60, (2, side, side, 3))
    weights = weights_of(model)
    active = {"relu": relu, "tanh": np.tanh}[activation]
    x = images
    for name in ("conv1", "conv2"):
        x = active(convolved(x, *weights[name], pad=2))
        if lrn:
            x = normalised(x, 5, 1.0, 0.001 / 5 if divided else 0.001)
        x = pooled_by_loops(x, (3, 3), (2, 2))
    for name in ("local3", "local4"):
        x = active(local(x, *weights[name]))
    kernel, bias = weights["fc10"]
    found = outputs(model, images, "local4", "fc10")[1]
    assert_close(found, x.reshape(2, -1) @ kernel + bias)


# ---------------------------------------------------------------- options


@pytest.mark.parametrize("make", [small, lambda: alexnet.four_layers(24, lrn=True)])
def test_logits_stay_float32_in_mixed_precision(undrawn, make, mixed_bfloat16):
    model = make()
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_options_that_there_are_not():
    with pytest.raises(UsageError, match=r"unknown pooling 'overlaping' .did you mean overlapping"):
        small(pooling="overlaping")
    with pytest.raises(UsageError, match="towers=3: accepted is 1 or 2"):
        small(towers=3)
    with pytest.raises(UsageError, match=r"unknown activation 'elu'.*accepted: relu, tanh"):
        alexnet.four_layers(24, "elu")


def test_what_may_be_chosen_can_be_built(undrawn):
    for network in (NETWORKS["alexnet"], NETWORKS["alexnet-four-layers-tanh"]):
        for option, values in network.choices.items():
            for value in values:
                changed = {**network.options, option: value}
                if "maps" in changed:
                    changed["maps"] = (8, 8, 8, 8, 8)
                assert network.build(**changed).count_params() > 0


# ---------------------------------------------------------------- what was reported


def numbers(reported):
    return [(r.source, r.protocol, r.metric, r.value) for r in reported]


TOP1, TOP5 = "test_error", "test_top5_error"


def test_tables_1_and_2():
    test_2010 = "ILSVRC-2010 test images"
    validation = "Table 2, ILSVRC-2012 validation images"
    assert numbers(NETWORKS["alexnet"].reported) == [
        (f"Table 1, {test_2010}", "10-crop", TOP1, 37.5),
        (f"Table 1, {test_2010}", "10-crop", TOP5, 17.0),
        (f"section 6, a footnote, {test_2010}", "single-view", TOP1, 39.0),
        (f"section 6, a footnote, {test_2010}", "single-view", TOP5, 18.3),
    ]
    assert numbers(EXPERIMENTS["alexnet-imagenet"].reported) == [
        (validation, "10-crop", TOP1, 40.7),
        (validation, "10-crop", TOP5, 18.2),
    ]
    assert [(r.value, r.metric, r.protocol) for r in alexnet.OTHERS] == [
        (38.1, TOP1, "ensemble, 10-crop"),
        (16.4, TOP5, "ensemble, 10-crop"),
        (16.4, TOP5, "ensemble, 10-crop"),
        (39.0, TOP1, "10-crop"),
        (16.6, TOP5, "10-crop"),
        (36.7, TOP1, "ensemble, 10-crop"),
        (15.4, TOP5, "ensemble, 10-crop"),
        (15.3, TOP5, "ensemble, 10-crop"),
        (67.4, TOP1, "protocol not given"),
        (40.9, TOP5, "protocol not given"),
    ]
    of_test_images = [r.value for r in alexnet.OTHERS if "2012 test images" in r.source]
    assert of_test_images == [16.4, 15.3]


def test_the_numbers_for_cifar_10():
    found = {name: (r.metric, r.value) for name, r in alexnet.SECTION_3_3.items()}
    assert found == {"alexnet-local": (TOP1, 13.0), "alexnet-local-lrn": (TOP1, 11.0)}
    assert set(found) < set(NETWORKS)


def test_only_sixty_million_parameters_are_printed():
    assert NETWORKS["alexnet"].published == {"parameters": 60_000_000}
    assert COUNTS["alexnet"][0] == pytest.approx(60_000_000, rel=0.02)
    assert not any(n.published for name, n in NETWORKS.items() if name != "alexnet")


def test_networks_that_are_compared_differ_in_one_thing():
    def different(one, other):
        one, other = NETWORKS[one].options, NETWORKS[other].options
        return {key for key in {*one, *other} if one.get(key) != other.get(key)}

    assert different("alexnet", "alexnet-single-tower") == {"towers"}
    assert different("alexnet-single-tower", "alexnet-one-gpu") == {"maps"}
    assert different("alexnet-local", "alexnet-local-lrn") == {"lrn", "divided"}
    assert different("alexnet-four-layers-relu", "alexnet-four-layers-tanh") == {"activation"}
    assert different("alexnet-local", "alexnet-four-layers-relu") == {"side"}


# ---------------------------------------------------------------- recipes

ON_CROPS = ("alexnet-local-cifar10", "alexnet-local-lrn-cifar10")


@pytest.mark.parametrize("name", ON_CROPS)
def test_the_recipe_of_cuda_convnets_parameter_files(name):
    """epsW 0.001, epsB 0.002, momentum 0.9; wc 0.004 where weights are not shared, and for fc10."""
    recipe = EXPERIMENTS[name].recipe
    model = alexnet.four_layers(24, lrn="lrn" in name)
    found = {}
    for layer in model.layers:
        for variable in layer.trainable_variables:
            rate, decay = optimizers.factor_and_decay(recipe.optimizer, variable)
            found[f"{layer.name} {variable.name}"] = (0.001 * rate, decay)
    decayed = {"local3", "local4", "fc10"}
    for layer in ("conv1", "conv2", *decayed):
        expected = 0.004 if layer in decayed else 0.0
        assert found.pop(f"{layer} kernel") == (0.001, expected)
        assert found.pop(f"{layer} bias") == (0.002, 0.0)
    assert not found
    assert (recipe.batch, recipe.optimizer.momentum) == (128, 0.9)
    assert (recipe.augmentation.side, recipe.augmentation.flip) == (24, True)


@pytest.mark.parametrize(
    ("name", "of_four_fifths", "of_all"), [(ON_CROPS[0], 100, 40), (ON_CROPS[1], 300, 150)]
)
def test_as_many_updates_as_cuda_convnet_makes(name, of_four_fifths, of_all):
    """Passes over 40,000 images, over 50,000, and ten each at a tenth and a hundredth."""
    recipe = EXPERIMENTS[name].recipe
    whole = of_four_fifths * 40_000 + of_all * 50_000
    last = schedule.pass_ends(recipe, 50_000, "paper")[-1]
    assert last == pytest.approx((whole + 20 * 50_000) / 128, abs=1)
    first = [first * 128 for first, _ in schedule.rates(recipe, last)]
    assert first == pytest.approx([0, whole, whole + 10 * 50_000], abs=128)
    assert [rate for _, rate in recipe.optimizer.stretches(140)] == pytest.approx([1e-3, 1e-4, 1e-5])


def test_at_short_scale_both_networks_are_trained_equally_long():
    recipes = [EXPERIMENTS[name].recipe for name in ON_CROPS]
    plain, normalised = (schedule.pass_ends(recipe, 50_000, "short") for recipe in recipes)
    assert plain == normalised


def test_ten_views_of_a_test_image_and_the_error_of_section_3_3():
    for name, value in zip(ON_CROPS, (13.0, 11.0), strict=True):
        experiment = EXPERIMENTS[name]
        assert experiment.protocols == ("10-crop", "single-view")
        assert [(r.value, r.protocol) for r in experiment.reported] == [(value, "10-crop")]


def test_figure_1_is_trained_without_regularisation_of_any_kind():
    pair = [EXPERIMENTS[f"alexnet-four-layers-{kind}-cifar10"] for kind in ("tanh", "relu")]
    for experiment in pair:
        recipe = experiment.recipe
        assert recipe.augmentation is None and recipe.data == spec.Data("cifar10")
        model = experiment.network.build(**experiment.network.options)
        for variable in model.trainable_variables:
            assert optimizers.factor_and_decay(recipe.optimizer, variable)[1] == 0
    (claim,) = (c for c in alexnet.CLAIMS if c.metric == "passes_to_25")
    assert claim.needs == tuple(e.name for e in pair)
    (figure,) = alexnet.PAPER.figures
    assert [names for _, names in figure.panels] == [(e.name,) for e in pair]  # tanh is dashed


def test_the_recipe_of_sections_2_4_and_5():
    recipe = EXPERIMENTS["alexnet-imagenet"].recipe
    method = recipe.optimizer
    assert (recipe.batch, method.momentum, method.weight_decay) == (128, 0.9, 0.0005)
    rates = [rate for _, rate in method.stretches(recipe.passes)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert recipe.passes == 90
    crop, colour = recipe.augmentation.steps
    assert (crop.side, crop.flip, colour.deviation) == (227, True, 0.1)
    assert recipe.preprocessing[0].side == 256
    for experiment in EXPERIMENTS.values():
        if experiment.name.endswith("imagenet"):
            assert experiment.recipe == recipe
