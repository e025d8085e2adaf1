"""GoogLeNet (Szegedy et al. 2014): what the paper says of its network."""

from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from graphs import before, unweighted

from papers import googlenet
from repro.errors import UsageError
from repro.networks import anatomy

NETWORKS = {n.name: n for n in googlenet.NETWORKS}


@cache
def model_of(name):
    return unweighted(NETWORKS[name].build, **NETWORKS[name].options)


@cache
def rows_of(name):
    return anatomy.anatomy(model_of(name))["layers"]


# ---------------------------------------------------------------- counted

# Parameters (with biases) and multiply-adds, from the kernels of Table 1.
COUNTS = {
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet-auxiliary": (13_378_280, 1_591_044_096),
}
STAGES = {
    "conv1": (9_472, 118_013_952),
    "conv2": (114_944, 359_661_568),
    "inception_3a": (163_696, 128_049_152),
    "inception_3b": (388_736, 304_267_264),
    "inception_4a": (376_176, 73_608_192),
    "aux_4a": (3_188_840, 4_169_728),
    "inception_4b": (449_160, 87_908_352),
    "inception_4c": (510_104, 99_850_240),
    "inception_4d": (605_376, 118_515_712),
    "aux_4d": (3_190_888, 4_202_496),
    "inception_4e": (868_352, 169_996_288),
    "inception_5a": (1_043_456, 51_079_168),
    "inception_5b": (1_444_080, 70_697_984),
    "linear": (1_025_000, 1_024_000),
}


def of_stage(name, stage):
    rows = [r for r in rows_of(name) if r["name"].startswith(stage)]
    return tuple(sum(r[k] for r in rows) for k in ("parameters", "multiply_adds"))


def test_every_network_is_counted():
    assert list(NETWORKS) == list(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds(name):
    found = anatomy.anatomy(model_of(name))
    assert (found["parameters"], found["multiply_adds"]) == COUNTS[name]


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_of_table_1(stage):
    assert of_stage("googlenet-auxiliary", stage) == STAGES[stage]
    alone = (0, 0) if stage.startswith("aux") else STAGES[stage]
    assert of_stage("googlenet", stage) == alone


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
        rows = [r for r in rows_of("googlenet") if r["name"].startswith(stage)]
        shapes = [model_of("googlenet").get_layer(r["name"]) for r in rows if r["parameters"]]
        return sum(np.prod(layer.kernel.shape) for layer in shapes)

    far = (set(), set())
    for stage, (thousands, millions) in PRINTED.items():
        if weights(stage) / 1024 != pytest.approx(thousands, rel=0.02):
            far[0].add(stage)
        if STAGES[stage][1] / 1e6 != pytest.approx(millions, rel=0.025):
            far[1].add(stage)
    assert far == ASTRAY


def test_the_published_figures_are_the_sums_of_the_columns():
    thousands, millions = (sum(column) for column in zip(*PRINTED.values(), strict=True))
    assert NETWORKS["googlenet"].published == {
        "parameters": round(thousands * 1000),
        "multiply_adds": millions * 10**6,
    }
    assert "Table 1" in NETWORKS["googlenet"].source


SHAPES = {
    "conv1": [112, 112, 64],
    "pool1": [56, 56, 64],
    "lrn1": [56, 56, 64],
    "conv2_reduce": [56, 56, 64],
    "conv2": [56, 56, 192],
    "lrn2": [56, 56, 192],
    "pool2": [28, 28, 192],
    "inception_3a": [28, 28, 256],
    "inception_3b": [28, 28, 480],
    "pool3": [14, 14, 480],
    "inception_4a": [14, 14, 512],
    "inception_4b": [14, 14, 512],
    "inception_4c": [14, 14, 512],
    "inception_4d": [14, 14, 528],
    "inception_4e": [14, 14, 832],
    "pool4": [7, 7, 832],
    "inception_5a": [7, 7, 832],
    "inception_5b": [7, 7, 1024],
    "avg_pool": [1024],
    "linear": [1000],
    "aux_4a_pool": [4, 4, 512],
    "aux_4a_1x1": [4, 4, 128],
    "aux_4a_fc": [1024],
    "aux_4a_linear": [1000],
    "aux_4d_pool": [4, 4, 528],
    "aux_4d_1x1": [4, 4, 128],
    "aux_4d_fc": [1024],
    "aux_4d_linear": [1000],
}


def test_output_shapes():
    found = {r["name"]: r["output_shape"] for r in rows_of("googlenet-auxiliary")}
    assert {name: found[name] for name in SHAPES} == SHAPES
    alone = {r["name"]: r["output_shape"] for r in rows_of("googlenet")}
    assert found.pop("stack") == [3, 1000]  # the network's own logits and those of both heads
    assert alone == {name: shape for name, shape in found.items() if not name.startswith("aux")}


def test_what_a_unit_sees():
    """Side and jump after each layer: a kernel k adds (k - 1) jumps, a stride multiplies them."""
    found = {r["name"]: r["receptive_field"] for r in rows_of("googlenet")}
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
    kinds = [r["kind"] for r in rows_of("googlenet")]
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


@pytest.mark.parametrize("side", [3, 7])
def test_borders_are_as_wide_on_every_side(side):
    """Each output of a strided layer looks at side // 2 pixels on both sides of its centre."""
    size = 12
    images = keras.Input((size, size, 1))
    convolved = googlenet.convolution(images, "conv", 1, side, "glorot", stride=2)
    model = keras.Model(images, convolved)
    model.get_layer("conv").set_weights([np.ones((side, side, 1, 1)), np.zeros(1)])
    impulses = np.zeros((size, size, size, 1), "float32")
    impulses[range(size), range(size), range(size)] = 1.0
    seen = keras.ops.convert_to_numpy(model(impulses, training=False))[..., 0] > 0.5
    centres = 2 * np.arange(size // 2)
    for pixel in range(size):
        near = np.abs(centres - pixel) <= side // 2
        np.testing.assert_array_equal(seen[pixel], near[:, None] & near[None, :])


# ---------------------------------------------------------------- the whole, computed by hand


class Reference:
    """The network in NumPy, one image [height, width, maps], with the weights of a model."""

    def __init__(self, model):
        self.weights = {
            m.name: [w.astype("float64") for w in m.get_weights()] for m in model.layers
        }

    @staticmethod
    def windows(x, size, stride, before, after, value):
        x = np.pad(x, ((before, after), (before, after), (0, 0)), constant_values=value)
        views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
        return views[::stride, ::stride]

    def convolution(self, x, name, stride=1):
        kernel, bias = self.weights[name]
        border = len(kernel) // 2
        windows = self.windows(x, len(kernel), stride, border, border, 0.0)
        y = np.tensordot(windows, kernel.transpose(2, 0, 1, 3), axes=3) + bias
        return np.maximum(y, 0)

    def max_pool(self, x, stride, before):
        return self.windows(x, 3, stride, before, 1, -np.inf).max(axis=(3, 4))

    @staticmethod
    def lrn(a):
        """Krizhevsky et al. 2012, section 3.3."""
        b = np.empty_like(a)
        for i in range(a.shape[-1]):
            near = a[..., max(0, i - 2) : i + 3]
            b[..., i] = a[..., i] / (2 + 1e-4 * (near**2).sum(axis=-1)) ** 0.75
        return b

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
        x = self.windows(x, 5, 3, 0, 0, 0.0).mean(axis=(3, 4))
        x = self.convolution(x, f"{name}_1x1").ravel()
        return self.dense(np.maximum(self.dense(x, f"{name}_fc"), 0), f"{name}_linear")

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
    random = np.random.default_rng(6)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(random.normal(0, 5, layer.bias.shape))
    image = random.uniform(-128, 128, (224, 224, 3))
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


def test_an_initialisation_that_there_is_not():
    with pytest.raises(UsageError, match="unknown initialisation 'xavier'; accepted: glorot, he"):
        googlenet.googlenet(initialisation="xavier")


def test_logits_stay_float32_in_mixed_precision(mixed_bfloat16):
    model = unweighted(googlenet.googlenet, auxiliary=True)
    assert model.get_layer("inception_3a_3x3").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    ends = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert {layer.compute_dtype for layer in ends if "fc" not in layer.name} == {"float32"}


# ---------------------------------------------------------------- what was reported


def test_an_auxiliary_loss_counts_0_3():
    assert googlenet.AUXILIARY_WEIGHT == 0.3  # section 5


def test_tables_2_and_3():
    """Top-5 errors in per cent; neither table has a top-1 error."""
    measured = googlenet.IMAGENET.reported  # the rest of the table is not measured yet
    assert [r.protocol for r in measured] == list(googlenet.IMAGENET.protocols)
    single = [*measured, *NETWORKS["googlenet"].reported]
    one = {r.protocol: (r.value, r.source) for r in single}
    assert one == {
        "single-view": (10.07, "Table 3, validation images"),
        "10-crop": (9.15, "Table 3, validation images"),
        "144-crop": (7.89, "Table 3, validation images"),
    }
    seven = {(r.protocol, r.source): r.value for r in googlenet.ENSEMBLES}
    assert seven == {
        ("ensemble, single-view", "Table 3, validation images"): 8.09,
        ("ensemble, 10-crop", "Table 3, validation images"): 7.62,
        ("ensemble, 144-crop", "Table 3, validation images"): 6.67,
        ("ensemble, 144-crop", "Table 2, test images"): 6.67,
    }
    everything = [*single, *googlenet.ENSEMBLES]
    assert {r.metric for r in everything} == {"test_top5_error"}
    assert all("seven" in r.chosen for r in googlenet.ENSEMBLES)
    assert NETWORKS["googlenet-auxiliary"].reported == ()


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
