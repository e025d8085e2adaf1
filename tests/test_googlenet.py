"""GoogLeNet (Szegedy et al. 2014): what the paper says of its network."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import (
    convolved,
    normalised_by_loops,
    relu,
    weights_of,
    windows,
    with_random_biases,
)
from graphs import before, counted, layers_of, model_of, unweighted
from test_layer_counts import STAGES

from papers import googlenet

NETWORKS = {n.name: n for n in googlenet.PAPER.networks}


# ---------------------------------------------------------------- counted


# Table 1's columns "params" (in K) and "ops" (in M).
PRINTED = {
    "conv1": (2.7, 34),
    "conv2": (112, 360),
    "inception_3a": (159, 128),
    "inception_3b": (380, 304),
    "inception_4a": (364, 73),
    "inception_4b": (437, 88),
    "inception_4c": (463, 100),
    "inception_4d": (580, 119),
    "inception_4e": (840, 170),
    "inception_5a": (1072, 54),
    "inception_5b": (1388, 71),
    "linear": (1000, 1),
}
# Rows whose parameters, whose operations, do not follow from the kernels.
ASTRAY = {"conv1", "inception_4c", "inception_5a"}, {"conv1", "inception_5a"}


def test_where_the_printed_columns_follow_from_the_layers():
    """Without biases and with K = 1024, all but a few do to 2 %."""

    def weights(stage):
        rows = [r for r in counted("googlenet")["layers"] if r["name"].startswith(stage)]
        shapes = [model_of("googlenet").get_layer(r["name"]) for r in rows if r["parameters"]]
        return sum(np.prod(layer.kernel.shape) for layer in shapes)

    far = (set(), set())
    for stage, (thousands, millions) in PRINTED.items():
        if weights(stage) / 1024 != pytest.approx(thousands, rel=0.02):
            far[0].add(stage)
        if STAGES["googlenet"][stage][1] / 1e6 != pytest.approx(millions, rel=0.025):
            far[1].add(stage)
    assert far == ASTRAY


def test_the_published_figures_are_the_sums_of_the_columns():
    thousands, millions = (sum(column) for column in zip(*PRINTED.values(), strict=True))
    assert NETWORKS["googlenet"].published == {
        "parameters": round(thousands * 1000),
        "multiply_adds": millions * 10**6,
    }
    assert "Table 1" in NETWORKS["googlenet"].source


def test_the_auxiliary_classifiers_change_nothing_else():
    layers = {name: row["output_shape"] for name, row in layers_of("googlenet-auxiliary").items()}
    assert layers.pop("stack") == [3, 1000]  # the network's own logits and those of both heads
    own = {name: shape for name, shape in layers.items() if not name.startswith("aux")}
    assert {name: row["output_shape"] for name, row in layers_of("googlenet").items()} == own


def test_what_a_unit_sees():
    """Side and jump after each layer: a kernel k adds (k - 1) jumps, a stride multiplies them."""
    found = {r["name"]: r["receptive_field"] for r in counted("googlenet")["layers"]}
    seen = {
        "conv1": 7,
        "pool1": 7 + 2 * 2,
        "conv2": 11 + 2 * 4,
        "pool2": 19 + 2 * 4,
        "inception_3b": 27 + 2 * 4 * 8,
        "pool3": 91 + 2 * 8,
        "inception_4e": 107 + 5 * 4 * 16,
        "pool4": 427 + 2 * 16,
        "inception_5b": 459 + 2 * 4 * 32,
    }
    assert {name: found[name] for name in seen} == seen


def test_22_layers_deep_with_parameters_and_27_with_pooling():
    """Section 5: layers one after the other; five pool, between the modules or at the end."""
    model = model_of("googlenet")
    depth = {id(model.input): (0, 0)}
    for layer in model.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        pooled = layer.name.startswith(("pool", "avg_pool"))
        weighted, all_of_them = map(max, zip(*(depth[id(t)] for t in inputs), strict=True))
        step = bool(layer.weights)
        depth[id(layer.output)] = weighted + step, all_of_them + (step or pooled)
    assert depth[id(model.output)] == (22, 27)


def test_about_100_layers_altogether():
    """Section 5, of independent building blocks: "about 100"."""
    kinds = [r["kind"] for r in counted("googlenet")["layers"]]
    assert kinds.count("Conv2D") == 57  # and one linear layer: 58 with weights


# ---------------------------------------------------------------- layers


def test_local_response_normalisation_is_an_option():
    lrn = [layer for layer in model_of("googlenet").layers if layer.name.startswith("lrn")]
    assert [layer.name for layer in lrn] == ["lrn1", "lrn2"]
    for layer in lrn:  # the parameters of Krizhevsky et al. 2012, section 3.3
        config = layer.get_config()
        assert [config[k] for k in ("size", "k", "alpha", "beta")] == [5, 2.0, 1e-4, 0.75]
    without = unweighted(googlenet.googlenet, lrn=False)
    assert [m.name for m in without.layers[1:]] == [
        m.name for m in model_of("googlenet").layers[1:] if not m.name.startswith("lrn")
    ]


def test_where_and_how_much_is_dropped():
    """Section 5: 40 % before the linear layer, 70 % between the two of an auxiliary classifier."""
    model = model_of("googlenet-auxiliary")
    dropped = {
        before(model, layer).name: layer.rate
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout)
    }
    assert dropped == {"avg_pool": 0.4, "aux_4a_fc": 0.7, "aux_4d_fc": 0.7}
    for name in ("linear", "aux_4a_linear", "aux_4d_linear"):
        assert isinstance(before(model, model.get_layer(name)), keras.layers.Dropout)


def test_every_convolution_is_rectified_the_linear_layers_are_not():
    for layer in model_of("googlenet-auxiliary").layers:
        if isinstance(layer, keras.layers.Conv2D) or layer.name.endswith("_fc"):
            assert layer.activation is keras.activations.relu and layer.use_bias, layer.name
        elif isinstance(layer, keras.layers.Dense):
            assert layer.activation is keras.activations.linear and layer.use_bias, layer.name


# ---------------------------------------------------------------- the whole, computed by hand


class Reference:
    """The network in NumPy, one image [height, width, maps], with the weights of a model."""

    def __init__(self, model):
        self.weights = weights_of(model)

    def convolution(self, x, name, stride=1):
        return relu(convolved(x, *self.weights[name], stride))

    def max_pool(self, x, stride, before):
        return windows(x, 3, stride, before, after=1, outside=-np.inf).max(axis=(-2, -1))

    def lrn(self, x):
        return normalised_by_loops(x, size=5, k=2, alpha=1e-4, beta=0.75)

    def inception(self, x, name):
        def convolved(x, *parts):
            for part in parts:
                x = self.convolution(x, f"inception_{name}_{part}")
            return x

        branches = [
            convolved(x, "1x1"),
            convolved(x, "3x3_reduce", "3x3"),
            convolved(x, "5x5_reduce", "5x5"),
            convolved(self.max_pool(x, 1, before=1), "pool_proj"),
        ]
        return np.concatenate(branches, axis=-1)

    def dense(self, x, name):
        kernel, bias = self.weights[name]
        return x @ kernel + bias

    def auxiliary(self, x, name):
        x = windows(x, 5, 3).mean(axis=(-2, -1))
        x = self.convolution(x, f"{name}_1x1").ravel()
        return self.dense(relu(self.dense(x, f"{name}_fc")), f"{name}_linear")

    def logits(self, x):
        x = self.lrn(self.max_pool(self.convolution(x, "conv1", stride=2), 2, before=0))
        x = self.lrn(self.convolution(self.convolution(x, "conv2_reduce"), "conv2"))
        x = self.max_pool(x, 2, before=0)
        heads = []
        for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
            if name in ("4a", "5a"):
                x = self.max_pool(x, 2, before=0)
            x = self.inception(x, name)
            if name in ("4a", "4d"):
                heads.append(self.auxiliary(x, f"aux_{name}"))
        return [self.dense(x.mean(axis=(0, 1)), "linear"), *heads]


def test_the_network_and_both_heads_compute_what_table_1_describes():
    """Nothing to compare with is in keras.applications, which has no GoogLeNet."""
    keras.utils.set_random_seed(1)
    model = googlenet.googlenet(auxiliary=True, initialisation="he")
    with_random_biases(model, spread=5)
    image = np.random.default_rng(6).uniform(-128, 128, (224, 224, 3))
    expected = Reference(model).logits(image)
    found = model(image[None].astype("float32"), training=False)
    assert found.shape == (1, 3, 1000)
    for ours, theirs in zip(keras.ops.convert_to_numpy(found)[0], expected, strict=True):
        assert theirs.shape == (1000,) and theirs.std() > 1
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * theirs.std())


# ---------------------------------------------------------------- beginnings


@pytest.mark.parametrize("initialisation", ["glorot", "he"])
def test_beginnings(initialisation):
    keras.utils.set_random_seed(1)
    model = unweighted(googlenet.googlenet, auxiliary=True, initialisation=initialisation)
    for name in ("conv2", "inception_4e_5x5", "aux_4a_linear", "linear"):
        layer = model.get_layer(name)
        shape = layer.kernel.shape
        fan_in, fan_out = np.prod(shape[:-1]), np.prod(shape[:-2]) * shape[-1]
        spread = np.sqrt(2 / (fan_in + fan_out) if initialisation == "glorot" else 2 / fan_in)
        draw = keras.ops.convert_to_numpy(layer.kernel_initializer(shape))
        assert abs(draw.mean()) < 4 * spread / np.sqrt(draw.size), name
        assert draw.std() == pytest.approx(spread, rel=0.02), name
        # A uniform draw ends at the square root of three spreads; a Gaussian has no end.
        far = np.mean(np.abs(draw) > 1.75 * spread)
        assert far == 0 if initialisation == "glorot" else 0.05 < far < 0.11, name
        assert not keras.ops.convert_to_numpy(layer.bias_initializer((64,))).any()


# ---------------------------------------------------------------- what was reported


def test_an_auxiliary_loss_counts_0_3():
    assert googlenet.AUXILIARY_WEIGHT == 0.3  # section 5


def test_tables_2_and_3():
    """Top-5 errors in per cent; neither table has a top-1 error."""
    single = googlenet.IMAGENET.reported
    assert [r.protocol for r in single] == list(googlenet.IMAGENET.protocols)
    one = {r.protocol: (r.value, r.source) for r in single}
    assert one == {
        "single-view": (10.07, "Table 3, validation images"),
        "10-crop": (9.15, "Table 3, validation images"),
        "144-crop": (7.89, "Table 3, validation images"),
    }
    seven = {(e.protocol, r.source): r.value for e in googlenet.ENSEMBLES for r in e.reported}
    assert seven == {
        ("single-view", "Table 3, validation images"): 8.09,
        ("10-crop", "Table 3, validation images"): 7.62,
        ("144-crop", "Table 3, validation images"): 6.67,
    }
    assert all(len(e.members) == 7 for e in googlenet.ENSEMBLES)
    hidden = googlenet.ON_TEST_IMAGES
    assert (hidden.protocol, hidden.source, hidden.value) == (
        "144-crop",
        "Table 2, test images",
        6.67,
    )
    everything = [*single, hidden, *(r for e in googlenet.ENSEMBLES for r in e.reported)]
    assert {r.metric for r in everything} == {"test_top5_error"}
    assert not any(network.reported for network in NETWORKS.values())


# ---------------------------------------------------------------- the recipe


def test_the_recipe_of_sections_5_and_6():
    recipe = googlenet.IMAGENET.recipe
    method = recipe.optimizer
    assert (method.momentum, recipe.loss.weight) == (0.9, 0.3)
    stretches = method.stretches(recipe.passes)  # 4 % less every 8 passes
    assert [start for start, _ in stretches] == list(range(0, recipe.passes, 8))
    assert all(rate == pytest.approx(0.01 * 0.96 ** (start // 8)) for start, rate in stretches)
    crop, distortions = recipe.augmentation.steps
    assert (crop.side, crop.least) == (224, 0.08)
    assert type(distortions).__name__ == "PhotometricDistortions"
    assert method.averaging > 0  # Polyak
    assert recipe.loss.own in {layer.name for layer in model_of("googlenet-auxiliary").layers}
    assert googlenet.IMAGENETTE.recipe.optimizer == method
