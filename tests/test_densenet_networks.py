"""DenseNet (Huang et al. 2016): what the paper says of its networks."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import convolved, outputs_of, relu, weights_of, with_random_normalisations
from graphs import before, counted, model_of, unweighted

from papers import densenet
from repro.networks import layers

NETWORKS = {n.name: n for n in densenet.PAPER.networks if not n.name.endswith("-dropout")}


# ---------------------------------------------------------------- counted

# Parameters that belong to batch normalisations.
OF_NORMALISATIONS = {
    "densenet40-k12": 18_096,
    "densenet100-k12": 117_216,
    "densenet100-k24": 231_264,
    "densenet-bc100-k12": 23_988,
    "densenet-bc250-k24": 257_976,
    "densenet-bc190-k40": 256_960,
    "densenet121": 83_648,
    "densenet169": 158_400,
    "densenet201": 229_056,
    "densenet264": 398_528,
    "densenet161": 219_936,
}


def of_ten_classes(name):
    """The network of Table 1 or 2 that has all layers of this one but the last."""
    return name.removesuffix("-100-classes").removesuffix("-128")


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_of_batch_normalisations(name):
    rows = [r for r in counted(name)["layers"] if r["kind"] == "BatchNormalization"]
    assert sum(r["parameters"] for r in rows) == OF_NORMALISATIONS[of_ten_classes(name)]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_depth_is_that_of_the_name(name):
    """But for 264: with the blocks that Table 1 gives it, there are 265 layers with weights."""
    depth = int(name.removeprefix("densenet").removeprefix("-bc").split("-")[0])
    rows = [r for r in counted(name)["layers"] if r["kind"] in ("Conv2D", "Dense")]
    assert len(rows) == depth + (depth == 264)


# Layers in each block: (L - 4) / 3, or (L - 4) / 6 pairs; Table 1.
BLOCKS = {
    "densenet40-k12": [12] * 3,
    "densenet100-k12": [32] * 3,
    "densenet100-k24": [32] * 3,
    "densenet-bc100-k12": [16] * 3,
    "densenet-bc250-k24": [41] * 3,
    "densenet-bc190-k40": [31] * 3,
    "densenet121": [6, 12, 24, 16],
    "densenet169": [6, 12, 32, 32],
    "densenet201": [6, 12, 48, 32],
    "densenet264": [6, 12, 64, 48],
    "densenet161": [6, 12, 36, 24],
}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_layer_adds_k_maps_and_a_bottleneck_has_4k(name):
    model = model_of(name)
    growth_rate = {"k24": 24, "k40": 40, "k12": 12}.get(name.split("-")[-1], 32)
    growth_rate = 48 if name == "densenet161" else growth_rate
    plain = name in ("densenet40-k12", "densenet100-k12", "densenet100-k24")
    convolutions = [m for m in model.layers if isinstance(m, keras.layers.Conv2D)]
    of_blocks = [m for m in convolutions if m.name.startswith("block")]
    kinds = {(m.kernel_size[0], m.filters) for m in of_blocks}
    assert kinds == {(3, growth_rate)} | (set() if plain else {(1, 4 * growth_rate)})
    for block, count in enumerate(BLOCKS[name], start=1):
        threes = [m for m in of_blocks if m.name.startswith(f"block{block}_layer")]
        assert sum(m.kernel_size == (3, 3) for m in threes) == count
        assert sum(m.kernel_size == (1, 1) for m in threes) == (0 if plain else count)
    assert f"block{len(BLOCKS[name]) + 1}_layer1" not in {m.name for m in of_blocks}


def test_which_networks_save_memory():
    """All but the two smallest of Table 2."""
    kinds = {name: isinstance(model_of(name), layers.Recomputing) for name in NETWORKS}
    kept = [name for name, recomputing in kinds.items() if not recomputing]
    assert {of_ten_classes(name) for name in kept} == {"densenet40-k12", "densenet-bc100-k12"}
    assert len(kept) == 4


# ---------------------------------------------------------------- layers


def test_no_convolution_has_a_bias_and_each_but_the_first_comes_after_relu_after_normalisation():
    for name in ("densenet40-k12", "densenet-bc100-k12", "densenet121"):
        model = model_of(name)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Conv2D):
                assert not layer.use_bias
                if layer.name != "conv1":
                    assert isinstance(before(model, layer), keras.layers.ReLU), layer.name
            if isinstance(layer, keras.layers.ReLU):
                previous = before(model, layer)
                assert isinstance(previous, keras.layers.BatchNormalization), layer.name
            if isinstance(layer, keras.layers.BatchNormalization):
                assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


@pytest.mark.parametrize(("depth", "bc"), [(10, False), (16, True)])
def test_dropout_comes_after_every_convolution_but_the_first(depth, bc):
    """Section 4.2."""
    model = unweighted(densenet.cifar, depth=depth, growth_rate=4, bc=bc, dropout=0.2)
    convolutions = {m.name for m in model.layers if isinstance(m, keras.layers.Conv2D)}
    dropped = {
        before(model, m).name: m.rate for m in model.layers if isinstance(m, keras.layers.Dropout)
    }
    assert len(convolutions) == depth - 1
    assert dropped == dict.fromkeys(convolutions - {"conv1"}, 0.2)
    # What a layer gives to the next ones, and to the pooling, has been through it.
    for name in ("block1_layer1_concat", "transition1_pool"):
        assert isinstance(before(model, model.get_layer(name)), keras.layers.Dropout)


def test_without_dropout_there_is_none():
    for name in NETWORKS:
        assert not any(isinstance(m, keras.layers.Dropout) for m in model_of(name).layers)


# ---------------------------------------------------------------- the whole, computed by hand


class Reference:
    """The networks for CIFAR in NumPy, one image [32, 32, maps], with the weights of a model."""

    def __init__(self, model):
        self.weights = weights_of(model)

    def convolution(self, x, name):
        return convolved(x, *self.weights[name])

    def normalised(self, x, name):
        gamma, beta, mean, variance = self.weights[f"{name}_bn"]
        return relu((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta)

    def h(self, x, name):
        return self.convolution(self.normalised(x, name), name)

    def logits(self, x, blocks, bottleneck):
        x = self.convolution(x, "conv1")
        for block, count in enumerate(blocks, start=1):
            features = [x]  # x0, x1, ..., side by side before each layer (equation 2)
            for number in range(1, count + 1):
                name, y = f"block{block}_layer{number}", np.concatenate(features, axis=-1)
                if bottleneck:
                    y = self.h(y, f"{name}_bottleneck")
                features.append(self.h(y, name))
            x = np.concatenate(features, axis=-1)
            if block < len(blocks):
                x = self.h(x, f"transition{block}")
                x = (x[::2, ::2] + x[::2, 1::2] + x[1::2, ::2] + x[1::2, 1::2]) / 4
        kernel, bias = self.weights["fc10"]
        return self.normalised(x, "final").mean(axis=(0, 1)) @ kernel + bias


@pytest.mark.parametrize(("depth", "bc", "blocks"), [(13, False, (3, 3, 3)), (16, True, (2, 2, 2))])
def test_a_cifar_network_computes_what_section_3_describes(depth, bc, blocks):
    keras.utils.set_random_seed(1)
    model = with_random_normalisations(densenet.cifar(depth, 5, bc=bc))
    image = np.random.default_rng(5).normal(size=(32, 32, 3))
    expected = Reference(model).logits(image, blocks, bc)
    found = outputs_of(model, image[None])[0]
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["densenet121", "densenet169", "densenet201"])
def test_the_imagenet_networks_are_those_of_keras_applications(name):
    """The same weights give the same logits, once the epsilon is the same (there 1.001e-5).

    keras.applications has none with k = 48 (161), not that of 264 layers, and none for CIFAR;
    those for CIFAR are held to NumPy above, the others come out of the function tested here.
    """
    keras.utils.set_random_seed(2)
    model = with_random_normalisations(NETWORKS[name].build(**NETWORKS[name].options))
    elsewhere = getattr(keras.applications, name.replace("densenet", "DenseNet"))
    other = elsewhere(weights=None, classifier_activation=None)
    other.set_weights(model.get_weights())
    for layer in other.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.epsilon = 1e-5
    images = np.random.default_rng(5).normal(size=(2, 224, 224, 3)).astype("float32")
    found, expected = (outputs_of(m, images) for m in (model, other))
    assert expected.std() > 0.05 and not np.allclose(expected[0], expected[1], rtol=0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())
