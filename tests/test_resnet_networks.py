"""ResNet (He et al. 2015): what the paper says of its networks."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import convolved, outputs_of, relu, weights_of, windows, with_random_normalisations
from graphs import counted

from papers import resnet

NETWORKS = {n.name: n for n in resnet.PAPER.networks}

# ---------------------------------------------------------------- depth


def test_the_depth_of_a_cifar_network_is_6n_plus_2():
    for name, network in NETWORKS.items():
        if "n" in network.options:
            depth = name.split("-")[0].removeprefix("resnet").removeprefix("plain")
            assert int(depth) == 6 * network.options["n"] + 2
            kind = {"none": "plain", "A": "resnet", "B": "resnet"}[network.options["shortcut"]]
            assert name.startswith(kind)
            assert name.endswith("-b") == (network.options["shortcut"] == "B")


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet18-a", "resnet34-c", "resnet50"])
def test_the_depth_is_that_of_the_name(name):
    """Weighted layers from input to output: a projection lies beside them."""
    rows = [
        layer
        for layer in counted(name)["layers"]
        if layer["kind"] in ("Conv2D", "Dense") and "projection" not in layer["name"]
    ]
    assert len(rows) == int("".join(c for c in name.split("-")[0] if c.isdigit()))


def test_thirteen_more_projections_with_option_c():
    """Section 4.1: the extra parameters of option C are those of thirteen projections."""

    def projections(name):
        rows = counted(name)["layers"]
        return sum(r["kind"] == "Conv2D" and "projection" in r["name"] for r in rows)

    assert [projections(f"resnet34-{option}") for option in "abc"] == [0, 3, 16]


# ---------------------------------------------------------------- layers


def shapes_of(model):
    return [tuple(w.shape) for w in model.trainable_weights]


def test_plain_networks_have_the_weights_of_the_residual_ones():
    """Section 4.2: exactly the same depth, width and number of parameters."""
    assert shapes_of(resnet.cifar(2, "none")) == shapes_of(resnet.cifar(2, "A"))
    kinds = [type(layer).__name__ for layer in resnet.cifar(2, "none").layers]
    assert "Add" not in kinds


def small_networks():
    """One of each family: option A, bottlenecks with projections."""
    return [resnet.cifar(2, "A"), resnet.imagenet((2, 2, 1, 1), "B", bottlenecks=True)]


def test_no_convolution_has_a_bias_and_each_is_normalised():
    for model in small_networks():
        convolutions = [m for m in model.layers if isinstance(m, keras.layers.Conv2D)]
        assert convolutions and not any(layer.use_bias for layer in convolutions)
        for layer in convolutions:
            normalisation = model.get_layer(f"{layer.name}_bn")
            assert normalisation.input is layer.output
            assert isinstance(normalisation, keras.layers.BatchNormalization)
            assert (normalisation.momentum, normalisation.epsilon) == (0.9, 1e-5)


def test_where_the_strides_are():
    """Table 1: conv3_1, conv4_1, conv5_1; of a bottleneck its first 1x1, and its projection."""
    _, model = small_networks()
    convolutions = {m.name: m for m in model.layers if isinstance(m, keras.layers.Conv2D)}
    halving = {name for name, layer in convolutions.items() if layer.strides == (2, 2)}
    first = {f"conv{stage}_1" for stage in (3, 4, 5)}
    assert halving == {"conv1"} | {f"{name}a" for name in first} | {
        f"{name}_projection" for name in first
    }
    assert [convolutions[f"conv3_1{c}"].kernel_size for c in "abc"] == [(1, 1), (3, 3), (1, 1)]
    basic = resnet.cifar(2, "A")
    strided = {m.name for m in basic.layers if getattr(m, "strides", None) == (2, 2)}
    assert strided == {
        f"{block}{layer}" for block in ("conv3_1", "conv4_1") for layer in ("a", "_subsampled")
    }


@pytest.mark.parametrize(("before", "after"), [(16, 32), (32, 64)])
def test_option_a_takes_every_other_pixel_and_adds_maps_of_zeros(before, after):
    x = np.random.default_rng(3).normal(size=(2, 8, 8, before)).astype("float32")
    images = keras.Input(x.shape[1:])
    model = keras.Model(images, resnet.option_a(images, "conv", after, 2))
    assert model.count_params() == 0
    expected = np.concatenate(
        [x[:, 0::2, 0::2], np.zeros((2, 4, 4, after - before), "float32")], axis=-1
    )
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), expected)


def test_blocks_whose_last_gamma_is_zero_pass_their_input_on():
    """What is left is the first layer, subsampled twice, its 16 maps followed by 48 of zeros."""
    model = resnet.cifar(3, "A")
    for layer in model.layers:
        if layer.name.endswith("b_bn"):
            gamma, *others = layer.get_weights()
            layer.set_weights([0 * gamma, *others])
    outputs = [model.get_layer(name).output for name in ("conv1_relu", "average_pool")]
    images = np.random.default_rng(4).normal(size=(2, 32, 32, 3)).astype("float32")
    first, pooled = map(keras.ops.convert_to_numpy, keras.Model(model.input, outputs)(images))
    assert first.shape == (2, 32, 32, 16) and first.min() == 0 and first.max() > 1
    expected = np.concatenate([first[:, ::4, ::4].mean(axis=(1, 2)), np.zeros((2, 48))], axis=-1)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_without_shortcuts_nothing_would_pass():
    model = resnet.cifar(1, "none")
    gamma, *others = model.get_layer("conv3_1b_bn").get_weights()
    model.get_layer("conv3_1b_bn").set_weights([0 * gamma, *others])
    pool = keras.Model(model.input, model.get_layer("average_pool").output)
    images = np.random.default_rng(4).normal(size=(1, 32, 32, 3)).astype("float32")
    assert np.all(keras.ops.convert_to_numpy(pool(images)) == 0)


# ---------------------------------------------------------------- the whole, computed by hand


class Reference:
    """The networks in NumPy, one image [height, width, maps], with the weights of a model."""

    def __init__(self, model):
        self.weights = weights_of(model)

    def layer(self, x, name, stride=1):
        """Convolution, batch normalisation by the moving averages."""
        (kernel,) = self.weights[name]
        y = convolved(x, kernel, stride=stride)
        gamma, beta, mean, variance = self.weights[f"{name}_bn"]
        return (y - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def shortcut(self, x, y, name, stride, option):
        if option == "C" or (option == "B" and x.shape != y.shape):
            return self.layer(x, f"{name}_projection", stride)
        x = x[::stride, ::stride]
        return np.concatenate([x, np.zeros((*x.shape[:2], y.shape[2] - x.shape[2]))], axis=2)

    def block(self, x, name, stride, option, letters):
        y = self.layer(x, f"{name}{letters[0]}", stride)
        for letter in letters[1:]:
            y = self.layer(relu(y), f"{name}{letter}")
        if option != "none":
            y = y + self.shortcut(x, y, name, stride, option)
        return relu(y)

    def logits(self, x, blocks, option, letters="ab", of_imagenet=False):
        x = relu(self.layer(x, "conv1", stride=2 if of_imagenet else 1))
        if of_imagenet:
            x = windows(x, 3, 2, before=1, after=1, outside=-np.inf).max(axis=(-2, -1))
        for stage, count in enumerate(blocks, start=2):
            for number in range(1, count + 1):
                stride = 2 if stage > 2 and number == 1 else 1
                x = self.block(x, f"conv{stage}_{number}", stride, option, letters)
        kernel, bias = self.weights["fc1000" if of_imagenet else "fc10"]
        return x.mean(axis=(0, 1)) @ kernel + bias


@pytest.mark.parametrize("option", resnet.SHORTCUTS)
def test_a_cifar_network_computes_what_section_3_describes(option):
    model = with_random_normalisations(resnet.cifar(2, option))
    image = np.random.default_rng(5).normal(size=(32, 32, 3))
    expected = Reference(model).logits(image, (2, 2, 2), option)
    found = outputs_of(model, image[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("option", "letters"), [("A", "ab"), ("B", "abc")])
def test_an_imagenet_network_computes_what_table_1_describes(option, letters):
    blocks = (2, 1, 1, 1)
    model = resnet.imagenet(blocks, option, bottlenecks=len(letters) == 3)
    model = with_random_normalisations(model)
    image = np.random.default_rng(5).normal(size=(224, 224, 3))
    expected = Reference(model).logits(image, blocks, option, letters, of_imagenet=True)
    found = outputs_of(model, image[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
