"""ResNet (He et al. 2015): what the paper says of its networks and recipes."""

import dataclasses
from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from papers import resnet
from repro import catalog, settings, spec
from repro.data import (
    datasets,
    preprocessing,
    sets,
)
from repro.errors import UsageError
from repro.networks import anatomy
from repro.training import schedule

EXPERIMENTS = {e.name: e for e in resnet.PAPER.experiments}
NETWORKS = {n.name: n for n in resnet.PAPER.networks}


# ---------------------------------------------------------------- counted

# Parameters and multiply-adds, counted by hand from section 4.2 and Table 1: convolutions without
# bias, a gamma and a beta for each map, the last layer with biases.
COUNTS = {
    "resnet20": (269_722, 40_551_040),
    "resnet110": (1_727_962, 252_887_680),
    "plain20": (269_722, 40_551_040),
    "resnet20-b": (272_474, 40_813_184),
    "plain18": (11_515_688, 1_794_805_760),
    "plain34": (21_623_848, 3_644_493_824),
    "resnet18-a": (11_515_688, 1_794_805_760),
    "resnet18-b": (11_689_512, 1_814_073_344),
    "resnet18-c": (12_043_816, 1_878_298_624),
    "resnet34-a": (21_623_848, 3_644_493_824),
    "resnet34-b": (21_797_672, 3_663_761_408),
    "resnet34-c": (22_716_840, 3_830_747_136),
    "resnet50": (25_557_032, 3_857_973_248),
    "resnet101": (44_549_160, 7_570_194_432),
    "resnet152": (60_192_808, 11_282_415_616),
}
# Those that are counted without being built (1,202 layers take half a minute).
BY_DEPTH = {
    "resnet32": (464_154, 68_862_592),
    "resnet44": (658_586, 97_174_144),
    "resnet56": (853_018, 125_485_696),
    "resnet1202": (19_421_274, 2_829_238_912),
    "plain32": (464_154, 68_862_592),
    "plain44": (658_586, 97_174_144),
    "plain56": (853_018, 125_485_696),
    "plain110": (1_727_962, 252_887_680),
    "resnet56-b": (855_770, 125_747_840),
}


@pytest.fixture
def undrawn(monkeypatch):
    """Counting needs no random weights, and 60 million of them take a while."""
    monkeypatch.setattr(resnet, "he", keras.initializers.Zeros)


@cache
def counted(name):
    found = anatomy.of_network(name)
    keras.backend.clear_session()
    return found


@cache
def small(n, shortcut):
    found = anatomy.anatomy(resnet.cifar(n, shortcut))
    return np.array([found["parameters"], found["multiply_adds"]])


# Table 6: millions of parameters, which plain networks have too. Table 1: FLOPs.
PRINTED = {
    "resnet20": (0.27e6,),
    "resnet32": (0.46e6,),
    "resnet44": (0.66e6,),
    "resnet56": (0.85e6,),
    "resnet110": (1.7e6,),
    "resnet1202": (19.4e6,),
    "plain20": (0.27e6,),
    "plain32": (0.46e6,),
    "plain44": (0.66e6,),
    "plain56": (0.85e6,),
    "plain110": (1.7e6,),
    "plain18": (1.8e9,),
    "resnet18-a": (1.8e9,),
    "plain34": (3.6e9,),
    "resnet34-a": (3.6e9,),
    "resnet50": (3.8e9,),
    "resnet101": (7.6e9,),
    "resnet152": (11.3e9,),
}


def test_counts_stand_for_what_is_printed():
    """Tables 1 and 6 print two or three digits; 3.8 of 3.857 is the coarsest."""
    for name, (parameters, multiply_adds) in {**COUNTS, **BY_DEPTH}.items():
        found = {"parameters": parameters, "multiply_adds": multiply_adds}
        for key, printed in NETWORKS[name].published.items():
            assert found[key] == pytest.approx(printed, rel=0.03), name
    printed = {n.name: tuple(n.published.values()) for n in NETWORKS.values() if n.published}
    assert printed == PRINTED


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_of_each_network(undrawn, name):
    found = counted(name)
    assert (found["parameters"], found["multiply_adds"]) == COUNTS[name]
    assert found["published"] == NETWORKS[name].published
    assert len(found["reported"]) == len(NETWORKS[name].reported)


@pytest.mark.parametrize("name", BY_DEPTH)
def test_each_step_of_depth_adds_as_much(undrawn, name):
    """Six layers more for each n; resnet110 above is built, which shows that this holds."""
    n, shortcut = (NETWORKS[name].options[key] for key in ("n", "shortcut"))
    one, two = small(1, shortcut), small(2, shortcut)
    assert tuple(one + (n - 1) * (two - one)) == BY_DEPTH[name]


def test_the_depth_of_a_cifar_network_is_6n_plus_2():
    for name, network in NETWORKS.items():
        if "n" in network.options:
            depth = name.split("-")[0].removeprefix("resnet").removeprefix("plain")
            assert int(depth) == 6 * network.options["n"] + 2
            kind = {"none": "plain", "A": "resnet", "B": "resnet"}[network.options["shortcut"]]
            assert name.startswith(kind)
            assert name.endswith("-b") == (network.options["shortcut"] == "B")


def test_every_network_is_counted():
    assert {*COUNTS, *BY_DEPTH} == set(NETWORKS)


# Parameters and multiply-adds of each stage, counted by hand.
STAGES = {
    "resnet34-b": {
        "conv1": (9_536, 118_013_952),
        "conv2": (221_952, 693_633_024),
        "conv3": (1_116_416, 873_463_808),
        "conv4": (6_822_400, 1_335_885_824),
        "conv5": (13_114_368, 642_252_800),
        "fc1000": (513_000, 512_000),
    },
    "resnet50": {
        "conv1": (9_536, 118_013_952),
        "conv2": (215_808, 667_942_912),
        "conv3": (1_219_584, 950_534_144),
        "conv4": (7_098_368, 1_387_266_048),
        "conv5": (14_964_736, 732_168_192),
        "fc1000": (2_049_000, 2_048_000),
    },
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_of_table_1(undrawn, name):
    layers = counted(name)["layers"]
    for stage, expected in STAGES[name].items():
        rows = [layer for layer in layers if layer["name"].startswith(stage)]
        assert tuple(sum(r[k] for r in rows) for k in ("parameters", "multiply_adds")) == expected


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        (
            "resnet20",
            {
                "conv1_relu": [32, 32, 16],
                "conv2_3_relu": [32, 32, 16],
                "conv3_3_relu": [16, 16, 32],
                "conv4_3_relu": [8, 8, 64],
                "fc10": [10],
            },
        ),
        (
            "resnet50",
            {
                "conv1_relu": [112, 112, 64],
                "max_pool": [56, 56, 64],
                "conv2_3_relu": [56, 56, 256],
                "conv3_4_relu": [28, 28, 512],
                "conv4_6_relu": [14, 14, 1024],
                "conv5_3_relu": [7, 7, 2048],
                "fc1000": [1000],
            },
        ),
    ],
)
def test_output_sizes(undrawn, name, shapes):
    found = {layer["name"]: layer["output_shape"] for layer in counted(name)["layers"]}
    assert {layer: found[layer] for layer in shapes} == shapes


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet18-a", "resnet34-c", "resnet50"])
def test_the_depth_is_that_of_the_name(undrawn, name):
    """Weighted layers from input to output: a projection lies beside them."""
    rows = [
        layer
        for layer in counted(name)["layers"]
        if layer["kind"] in ("Conv2D", "Dense") and "projection" not in layer["name"]
    ]
    assert len(rows) == int("".join(c for c in name.split("-")[0] if c.isdigit()))


def test_thirteen_more_projections_with_option_c(undrawn):
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


@pytest.mark.parametrize("size", [3, 7])
def test_borders_are_as_wide_on_every_side(size):
    """Each output of a strided layer looks at size // 2 pixels on both sides of its centre."""
    side = 12
    images = keras.Input((side, side, 1))
    model = keras.Model(images, resnet.convolution(images, "conv", 1, size, stride=2))
    model.get_layer("conv").set_weights([np.ones((size, size, 1, 1))])
    impulses = np.zeros((side, side, side, 1), "float32")
    impulses[range(side), range(side), range(side)] = 1.0
    seen = np.asarray(keras.ops.convert_to_numpy(model(impulses, training=False)))[..., 0] > 0.5
    centres = 2 * np.arange(side // 2)
    for pixel in range(side):
        near = np.abs(centres - pixel) <= size // 2
        np.testing.assert_array_equal(seen[pixel], near[:, None] & near[None, :])


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
        self.weights = {
            layer.name: [np.asarray(w, "float64") for w in layer.get_weights()]
            for layer in model.layers
        }

    def layer(self, x, name, stride=1):
        """Convolution, batch normalisation by the moving averages."""
        (kernel,) = self.weights[name]
        pad = kernel.shape[0] // 2
        windows = self.windows(np.pad(x, ((pad, pad), (pad, pad), (0, 0))), len(kernel), stride)
        y = np.tensordot(windows, kernel.transpose(2, 0, 1, 3), axes=3)
        gamma, beta, mean, variance = self.weights[f"{name}_bn"]
        return (y - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    @staticmethod
    def windows(x, size, stride):
        views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
        return views[::stride, ::stride]

    def shortcut(self, x, y, name, stride, option):
        if option == "C" or (option == "B" and x.shape != y.shape):
            return self.layer(x, f"{name}_projection", stride)
        x = x[::stride, ::stride]
        return np.concatenate([x, np.zeros((*x.shape[:2], y.shape[2] - x.shape[2]))], axis=2)

    def block(self, x, name, stride, option, letters):
        y = self.layer(x, f"{name}{letters[0]}", stride)
        for letter in letters[1:]:
            y = self.layer(np.maximum(y, 0), f"{name}{letter}")
        if option != "none":
            y = y + self.shortcut(x, y, name, stride, option)
        return np.maximum(y, 0)

    def logits(self, x, blocks, option, letters="ab", of_imagenet=False):
        x = np.maximum(self.layer(x, "conv1", stride=2 if of_imagenet else 1), 0)
        if of_imagenet:
            x = np.pad(x, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
            x = self.windows(x, 3, 2).max(axis=(3, 4))
        for stage, count in enumerate(blocks, start=2):
            for number in range(1, count + 1):
                stride = 2 if stage > 2 and number == 1 else 1
                x = self.block(x, f"conv{stage}_{number}", stride, option, letters)
        kernel, bias = self.weights["fc1000" if of_imagenet else "fc10"]
        return x.mean(axis=(0, 1)) @ kernel + bias


def with_random_normalisations(model, seed=6):
    """Freshly built, gammas are 1 and betas and means 0, which would hide a mistake."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            maps = len(layer.get_weights()[0])
            scales = [random.uniform(0.5, 1.5, maps) for _ in range(2)]
            shifts = [random.normal(0, 0.3, maps) for _ in range(2)]
            layer.set_weights([scales[0], shifts[0], shifts[1], scales[1]])
    return model


@pytest.mark.parametrize("option", resnet.SHORTCUTS)
def test_a_cifar_network_computes_what_section_3_describes(option):
    model = with_random_normalisations(resnet.cifar(2, option))
    image = np.random.default_rng(5).normal(size=(32, 32, 3))
    expected = Reference(model).logits(image, (2, 2, 2), option)
    found = keras.ops.convert_to_numpy(model(image[None].astype("float32"), training=False))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("option", "letters"), [("A", "ab"), ("B", "abc")])
def test_an_imagenet_network_computes_what_table_1_describes(option, letters):
    blocks = (2, 1, 1, 1)
    model = resnet.imagenet(blocks, option, bottlenecks=len(letters) == 3)
    model = with_random_normalisations(model)
    image = np.random.default_rng(5).normal(size=(224, 224, 3))
    expected = Reference(model).logits(image, blocks, option, letters, of_imagenet=True)
    found = keras.ops.convert_to_numpy(model(image[None].astype("float32"), training=False))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------- beginnings


def test_weights_are_gaussian_of_variance_2_over_fan_in():
    keras.utils.set_random_seed(1)
    model = resnet.cifar(2, "A")
    for name, fan_in in (("conv2_1a", 9 * 16), ("conv4_1b", 9 * 64), ("fc10", 64)):
        z = model.get_layer(name).get_weights()[0].ravel() / np.sqrt(2 / fan_in)
        error = 1 / np.sqrt(len(z))
        assert abs(z.mean()) < 4 * error and abs(z.std() - 1) < 4 * error, name
    z = model.get_layer("conv4_1b").get_weights()[0].ravel() / np.sqrt(2 / (9 * 64))
    assert np.mean(np.abs(z) > 2) == pytest.approx(0.0455, abs=0.005)  # not truncated
    assert not np.any(model.get_layer("fc10").get_weights()[1])


def test_each_layer_draws_its_own_weights_and_the_seed_decides_them():
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = resnet.cifar(1, "A")
        drawn.append([model.get_layer(f"conv2_1{c}").get_weights()[0] for c in "ab"])
    assert np.array_equal(drawn[0], drawn[1])
    for others in (drawn[0][1], drawn[2][0]):
        assert not np.array_equal(drawn[0][0], others)


def test_logits_stay_float32_in_mixed_precision(mixed_bfloat16):
    model = resnet.cifar(1, "A")
    assert model.get_layer("conv3_1a").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_a_shortcut_that_there_is_not():
    with pytest.raises(UsageError, match="unknown shortcut 'a'; accepted: A, B, C, none"):
        resnet.cifar(1, "a")
    with pytest.raises(UsageError, match=r"unknown network\.shortcut 'Z'; accepted: A, B, C, none"):
        settings.override(EXPERIMENTS["resnet20-cifar10"], ["network.shortcut=Z"])


# ---------------------------------------------------------------- recipes


def test_the_recipe_of_section_4_2():
    recipe = EXPERIMENTS["resnet20-cifar10"].recipe
    assert (recipe.iterations, recipe.passes, recipe.batch) == (64_000, 0, 128)
    assert recipe.data == spec.Data("cifar10")
    method = recipe.optimizer
    assert isinstance(method, spec.SGD)
    assert (method.momentum, method.weight_decay, method.decayed) == (0.9, 1e-4, "kernels")
    assert schedule.rates(recipe, 64_000) == [(0, 0.1), (32_000, 0.01), (48_000, 0.001)]
    passes = schedule.pass_ends(recipe, 50_000, "paper")
    assert (len(passes), passes[-1]) == (164, 64_000)
    assert (recipe.augmentation.pad, recipe.augmentation.flip) == (4, True)
    assert type(recipe.loss).__name__ == "SoftmaxCrossEntropy"


def test_only_the_residual_networks_of_110_layers_and_more_are_warmed_up():
    warmed = {n for n, e in EXPERIMENTS.items() if e.recipe.optimizer.warm_up is not None}
    assert warmed == {"resnet110-cifar10", "resnet1202-cifar10"}
    for name in warmed:
        method = EXPERIMENTS[name].recipe.optimizer
        assert (method.warm_up.rate, method.warm_up.error) == (0.01, 80.0)
        cold = dataclasses.replace(
            EXPERIMENTS[name].recipe, optimizer=dataclasses.replace(method, warm_up=None)
        )
        assert cold == EXPERIMENTS["resnet20-cifar10"].recipe


def test_every_other_network_is_trained_alike():
    same = EXPERIMENTS["resnet20-cifar10"].recipe
    others = {n for n, e in EXPERIMENTS.items() if e.recipe != same}
    assert others == {"resnet110-cifar10", "resnet1202-cifar10", "resnet20-cifar10-dev"}


def test_the_development_split_is_45000_and_5000_training_images():
    development = EXPERIMENTS["resnet20-cifar10-dev"]
    data = development.recipe.data
    assert datasets.count("cifar10", data.train) == 45_000
    assert datasets.count("cifar10", data.test) == 5_000
    assert (data.train, data.test) == ("train[:45000]", "train[45000:]")
    assert not development.reported and "held out" in development.note
    whole = dataclasses.replace(development.recipe, data=spec.Data("cifar10"))
    assert whole == EXPERIMENTS["resnet20-cifar10"].recipe


def test_images_lose_the_mean_of_each_pixel_of_the_training_images():
    images = np.random.default_rng(2).integers(0, 256, (20, 32, 32, 3)).astype("uint8")
    steps = preprocessing.fit(EXPERIMENTS["resnet20-cifar10"].recipe.preprocessing, images)
    found = preprocessing.apply(steps, images)
    mean = images.astype("float64").sum(axis=0) / 20
    np.testing.assert_allclose(found, (images - mean) / 255, atol=1e-6)


def test_the_headline_network_takes_the_images_of_cifar10():
    experiment = resnet.PAPER.experiments[0]
    assert experiment.name == "resnet20-cifar10"
    model = experiment.network.build(**experiment.network.options)
    outputs = model(np.zeros((2, *sets.DATASETS["cifar10"].shape), "float32"))
    values = keras.ops.convert_to_numpy(experiment.recipe.loss(outputs, np.array([3, 8], "int32")))
    assert values.shape == (2,) and np.all(np.isfinite(values))


# ---------------------------------------------------------------- what was reported

# Table 6, test error in per cent.
TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.61, 1202: 7.93}


def test_table_6():
    for name, experiment in EXPERIMENTS.items():
        found = [(r.metric, r.value, r.source) for r in experiment.reported]
        depth = int(name.split("-")[0].removeprefix("resnet").removeprefix("plain"))
        if name == f"resnet{depth}-cifar10":
            assert found == [("test_error", TABLE_6[depth], "Table 6")]
        else:
            assert found == [] and experiment.note
    assert {f"resnet{depth}-cifar10" for depth in TABLE_6} <= set(EXPERIMENTS)


def test_of_resnet_110_the_mean_is_held_to_and_not_the_best():
    (number,) = EXPERIMENTS["resnet110-cifar10"].reported
    assert (number.value, number.std, number.runs) == (6.61, 0.16, 5)
    assert "6.43" in number.chosen


def test_plain_networks_have_no_numbers():
    for depth in (20, 32, 44, 56):
        assert "Figure 6" in EXPERIMENTS[f"plain{depth}-cifar10"].note
    assert "above 60 %" in EXPERIMENTS["plain110-cifar10"].note


# Tables 2 to 4: (protocol, metric) -> per cent.
TOP1, TOP5 = "test_error", "test_top5_error"
OF_IMAGENET = {
    "plain18": {("10-crop", TOP1): 27.94},
    "plain34": {("10-crop", TOP1): 28.54, ("10-crop", TOP5): 10.02},
    "resnet18-a": {("10-crop", TOP1): 27.88},
    "resnet18-b": {},
    "resnet18-c": {},
    "resnet34-a": {("10-crop", TOP1): 25.03, ("10-crop", TOP5): 7.76},
    "resnet34-b": {
        ("10-crop", TOP1): 24.52,
        ("10-crop", TOP5): 7.46,
        ("multi-scale", TOP1): 21.84,
        ("multi-scale", TOP5): 5.71,
    },
    "resnet34-c": {
        ("10-crop", TOP1): 24.19,
        ("10-crop", TOP5): 7.40,
        ("multi-scale", TOP1): 21.53,
        ("multi-scale", TOP5): 5.60,
    },
    "resnet50": {
        ("10-crop", TOP1): 22.85,
        ("10-crop", TOP5): 6.71,
        ("multi-scale", TOP1): 20.74,
        ("multi-scale", TOP5): 5.25,
    },
    "resnet101": {
        ("10-crop", TOP1): 21.75,
        ("10-crop", TOP5): 6.05,
        ("multi-scale", TOP1): 19.87,
        ("multi-scale", TOP5): 4.60,
    },
    "resnet152": {
        ("10-crop", TOP1): 21.43,
        ("10-crop", TOP5): 5.71,
        ("multi-scale", TOP1): 19.38,
        ("multi-scale", TOP5): 4.49,
    },
}
PRINTED_IN = {
    ("10-crop", TOP1): {"Table 2", "Table 3", "Tables 2 and 3"},
    ("10-crop", TOP5): {"Table 3"},
    ("multi-scale", TOP1): {"Table 4"},
    ("multi-scale", TOP5): {"Table 4"},
}


def test_tables_2_to_5():
    for name, network in NETWORKS.items():
        found = {(r.protocol, r.metric): r.value for r in network.reported}
        assert found == OF_IMAGENET.get(name, {}), name
        for number in network.reported:
            table, images = number.source.split(", ")
            assert table in PRINTED_IN[number.protocol, number.metric]
            assert images == "validation images"
    (ensemble,) = resnet.PAPER.reported
    assert (ensemble.protocol, ensemble.metric, ensemble.value, ensemble.source) == (
        *("ensemble", TOP5),
        *(3.57, "Table 5, test images"),
    )


# ---------------------------------------------------------------- claims


def test_claims_compare_like_with_like():
    """Each is a chain of experiments that differ in the network, and in the warm-up, alone."""

    def cold(recipe: spec.Recipe) -> spec.Recipe:
        return dataclasses.replace(
            recipe, optimizer=dataclasses.replace(recipe.optimizer, warm_up=None)
        )

    for claim in resnet.PAPER.claims:
        chain = [EXPERIMENTS[name] for name in claim.needs]
        assert all(cold(e.recipe) == cold(chain[0].recipe) for e in chain), claim.name
        assert len({e.network.name for e in chain}) == len(chain) >= 2, claim.name
        if claim.metric == "layer_response":
            assert all("layer_response" in e.probes for e in chain), claim.name
        else:
            assert claim.metric in ("test_error", "running_error"), claim.name
    assert {c.name for c in resnet.PAPER.claims} <= {c.name for c in catalog.claims()}


def test_the_claims_that_the_paper_itself_bears_out():
    """Table 6: each experiment's number is below that of the one before."""
    numbers = {n: e.reported[0].value for n, e in EXPERIMENTS.items() if e.reported}
    claims = [c for c in resnet.PAPER.claims if c.metric == "test_error"]
    assert {c.name for c in claims} == {"resnet-depth", "resnet-over-1000-layers"}
    for claim in claims:
        values = [numbers[name] for name in claim.needs]
        assert values == sorted(values, reverse=True), claim.name


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("resnet-degradation", "plain56 plain20"),
        ("resnet-degradation-with-depth", "plain56 plain44 plain32 plain20"),
        ("resnet-reversal", "resnet20 resnet56"),
        ("resnet-shortcuts", "plain56 resnet56"),
        ("resnet-responses-20", "plain20 resnet20"),
        ("resnet-responses-56", "plain56 resnet56"),
        ("resnet-responses-with-depth", "resnet20 resnet56 resnet110"),
    ],
)
def test_figures_6_and_7_from_the_highest_curve_down(name, chain):
    (claim,) = [c for c in resnet.PAPER.claims if c.name == name]
    assert list(claim.needs) == [f"{network}-cifar10" for network in chain.split()]
    assert claim.metric == ("layer_response" if "Figure 7" in claim.source else "running_error")


def test_the_panels_of_figures_6_and_7():
    panels = {
        figure.source: [" ".join(n.removesuffix("-cifar10") for n in names) for _, names in panels]
        for figure, panels in ((f, f.panels) for f in resnet.PAPER.figures)
    }
    assert panels == {
        "Figure 6": [
            "plain20 plain32 plain44 plain56",
            "resnet20 resnet32 resnet44 resnet56 resnet110",
            "resnet110 resnet1202",
        ],
        "Figure 7": ["plain20 plain56", "resnet20 resnet56 resnet110"],
    }
    assert all(n in EXPERIMENTS for f in resnet.PAPER.figures for _, ns in f.panels for n in ns)
