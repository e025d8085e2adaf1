"""AlexNet (Krizhevsky et al. 2012): what the paper and cuda-convnet say of its networks."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import (
    assert_gaussian,
    convolved,
    locally_convolved,
    normalised_by_loops,
    pooled_by_loops,
    relu,
    weights_of,
    windows,
)
from graphs import counted, layers_of
from test_layer_counts import LAYERS

from papers import alexnet
from repro.networks import krizhevsky2012

NETWORKS = {n.name: n for n in alexnet.NETWORKS}


# ---------------------------------------------------------------- layers


@pytest.fixture
def undrawn(monkeypatch):
    """Layers that are only looked at need no random weights."""
    monkeypatch.setattr(alexnet, "gaussian", lambda std: keras.initializers.Zeros())


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


def test_the_two_towers_from_the_image_to_the_logits():
    """Normalisation follows the rectified convolution, pooling the normalisation (section 3.5)."""
    found = counted("alexnet")
    assert found["input_shape"] == [227, 227, 3]
    rows = [
        (row["name"], row["output_shape"], row["receptive_field"])
        for row in found["layers"]
        if row["kind"] != "Split"
    ]
    assert rows == IN_ORDER


def test_the_units_of_figure_2():
    """For the first layer the paper prints 253,440, which is not 96 maps of 55x55."""
    rows = layers_of("alexnet")
    units = [
        np.prod(rows[name]["output_shape"]) for name in LAYERS["alexnet"] if "pool" not in name
    ]
    assert units == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert rows["conv1"]["connections"] == 290_400 * (11 * 11 * 3 + 1)


def test_what_two_gpus_do_not_share_are_the_weights_of_half_the_pairs_of_maps():
    more = counted("alexnet-single-tower")["parameters"] - counted("alexnet")["parameters"]
    assert more == (25 * 96 * 256 + 9 * 384 * 384 + 9 * 384 * 256) // 2


@pytest.mark.parametrize("changed", [{"pooling": "non-overlapping"}, {"lrn": False}, {"bias": 0.1}])
def test_variations_have_the_same_sizes(changed):
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
def test_the_networks_for_cifar_10_from_the_image_to_the_logits(name):
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


def maxima(x, side):
    """Of the windows that fit, 2 apart."""
    return windows(x, side, 2).max(axis=(-2, -1))


def by_section_3(weights, x, towers, window=3, lrn=True):
    """The outputs of pool5 and the logits."""

    def layer(x, name, pad):
        if towers == 1 or name == "conv3":
            return relu(convolved(x, *weights[name], border=pad))
        halves = np.split(x, 2, axis=-1)
        made = [
            convolved(half, *weights[f"{name}_{tower}"], border=pad)
            for tower, half in enumerate(halves, start=1)
        ]
        return relu(np.concatenate(made, axis=-1))

    norm = normalised if lrn else lambda x: x
    x = maxima(norm(relu(convolved(x, *weights["conv1"], stride=4, border=0))), window)
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
        x = active(convolved(x, *weights[name], border=2))
        if lrn:
            x = normalised(x, 5, 1.0, 0.001 / 5 if divided else 0.001)
        x = pooled_by_loops(x, (3, 3), (2, 2))
    for name in ("local3", "local4"):
        x = active(locally_convolved(x, *weights[name]))
    kernel, bias = weights["fc10"]
    found = outputs(model, images, "local4", "fc10")[1]
    assert_close(found, x.reshape(2, -1) @ kernel + bias)


# ---------------------------------------------------------------- options


def test_what_may_be_chosen_can_be_built(undrawn):
    for network in (NETWORKS["alexnet"], NETWORKS["alexnet-four-layers-tanh"]):
        for option, values in network.choices.items():
            for value in values:
                changed = {**network.options, option: value}
                if "maps" in changed:
                    changed["maps"] = (8, 8, 8, 8, 8)
                assert network.build(**changed).count_params() > 0
