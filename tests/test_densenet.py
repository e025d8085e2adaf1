"""DenseNet (Huang et al. 2016): what the paper says of its networks."""

from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from graphs import before, unweighted

from papers import densenet
from repro import catalog, spec
from repro.data import preprocessing
from repro.errors import UsageError
from repro.networks import anatomy, layers
from repro.training import schedule

NETWORKS = {n.name: n for n in densenet.NETWORKS if not n.name.endswith("-dropout")}
EXPERIMENTS = {e.name: e for e in densenet.PAPER.experiments}


@cache
def model_of(name):
    return unweighted(NETWORKS[name].build, **NETWORKS[name].options)


@cache
def counted(name):
    return anatomy.anatomy(model_of(name))


# ---------------------------------------------------------------- counted

# Parameters and multiply-adds: convolutions without bias, a gamma and a beta for each map, the last
# layer with biases. Ten classes, or the 1,000 of ImageNet.
COUNTS = {
    "densenet40-k12": (1_019_722, 264_812_928),
    "densenet100-k12": (6_979_642, 1_769_516_448),
    "densenet100-k24": (27_249_082, 6_889_347_744),
    "densenet-bc100-k12": (769_162, 287_929_692),
    "densenet-bc250-k24": (15_324_406, 5_418_785_724),
    "densenet-bc190-k40": (25_624_430, 9_301_945_740),
    "densenet121": (7_978_856, 2_834_161_664),
    "densenet169": (14_149_480, 3_359_843_328),
    "densenet201": (20_013_928, 4_291_365_888),
    "densenet264": (33_337_704, 5_751_653_376),
    "densenet161": (28_681_000, 7_727_907_072),
}
# With 100 classes.
CIFAR_100 = {
    "densenet40-k12": (1_060_132, 264_853_248),
    "densenet100-k12": (7_084_852, 1_769_621_568),
    "densenet100-k24": (27_457_972, 6_889_556_544),
    "densenet-bc100-k12": (800_032, 287_960_472),
    "densenet-bc250-k24": (15_480_556, 5_418_941_784),
    "densenet-bc190-k40": (25_821_620, 9_302_142_840),
}
# Table 2, and for 201 layers section 4.4, in millions.
PRINTED = {
    "densenet40-k12": 1.0,
    "densenet100-k12": 7.0,
    "densenet100-k24": 27.2,
    "densenet-bc100-k12": 0.8,
    "densenet-bc250-k24": 15.3,
    "densenet-bc190-k40": 25.6,
    "densenet201": 20.0,
}
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


def test_every_network_is_counted():
    assert list(NETWORKS) == list(COUNTS) == list(OF_NORMALISATIONS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds(name):
    found = counted(name)
    assert (found["parameters"], found["multiply_adds"]) == COUNTS[name]
    normalisations = [r for r in found["layers"] if r["kind"] == "BatchNormalization"]
    assert sum(r["parameters"] for r in normalisations) == OF_NORMALISATIONS[name]


@pytest.mark.parametrize("name", CIFAR_100)
def test_with_100_classes(name):
    options = {**NETWORKS[name].options, "classes": 100}
    found = anatomy.anatomy(unweighted(NETWORKS[name].build, **options))
    assert (found["parameters"], found["multiply_adds"]) == CIFAR_100[name]
    assert found["layers"][-1]["output_shape"] == [100]


def test_what_is_printed_rounds_the_counts():
    for name, network in NETWORKS.items():
        if name in PRINTED:
            assert network.published == {"parameters": round(PRINTED[name] * 10**6)}
            assert round(COUNTS[name][0] / 10**6, 1) == PRINTED[name]
        else:
            assert network.published == {}


@pytest.mark.parametrize("name", COUNTS)
def test_the_depth_is_that_of_the_name(name):
    """But for 264: with the blocks that Table 1 gives it, there are 265 layers with weights."""
    depth = int(name.removeprefix("densenet").removeprefix("-bc").split("-")[0])
    rows = [r for r in counted(name)["layers"] if r["kind"] in ("Conv2D", "Dense")]
    assert len(rows) == depth + (depth == 264)


# Parameters and multiply-adds of each stage.
STAGES = {
    "densenet40-k12": {
        "conv1": (432, 442_368),
        "block1": (108_240, 108_822_528),
        "transition1": (25_920, 26_214_400),
        "block2": (298_320, 74_981_376),
        "transition2": (93_024, 23_658_496),
        "block3": (488_400, 30_689_280),
        "head": (5_386, 4_480),
    },
    "densenet-bc100-k12": {
        "conv1": (648, 663_552),
        "block1": (175_680, 174_587_904),
        "transition1": (23_760, 23_887_872),
        "block2": (242_880, 60_162_048),
        "transition2": (45_600, 11_520_000),
        "block3": (276_480, 17_104_896),
        "head": (4_114, 3_420),
    },
    "densenet121": {
        "conv1": (9_536, 118_013_952),
        "block1": (335_040, 1_040_449_536),
        "transition1": (33_280, 102_760_448),
        "block2": (919_680, 712_900_608),
        "transition2": (132_096, 102_760_448),
        "block3": (2_837_760, 549_126_144),
        "transition3": (526_336, 102_760_448),
        "block4": (2_158_080, 104_366_080),
        "head": (1_027_048, 1_024_000),
    },
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage(name):
    found = {}
    for row in counted(name)["layers"]:
        stage = row["name"].split("_")[0]
        stage = "head" if stage.startswith(("final", "average", "fc")) else stage
        before = found.get(stage, (0, 0))
        found[stage] = before[0] + row["parameters"], before[1] + row["multiply_adds"]
    found.pop("max", None)
    assert found == STAGES[name]


# (side, maps) after the first convolution, then after each block and each transition.
SHAPES = {
    "densenet40-k12": [(32, 16), (32, 160), (16, 160), (16, 304), (8, 304), (8, 448)],
    "densenet100-k12": [(32, 16), (32, 400), (16, 400), (16, 784), (8, 784), (8, 1168)],
    "densenet100-k24": [(32, 16), (32, 784), (16, 784), (16, 1552), (8, 1552), (8, 2320)],
    "densenet-bc100-k12": [(32, 24), (32, 216), (16, 108), (16, 300), (8, 150), (8, 342)],
    "densenet-bc250-k24": [(32, 48), (32, 1032), (16, 516), (16, 1500), (8, 750), (8, 1734)],
    "densenet-bc190-k40": [(32, 80), (32, 1320), (16, 660), (16, 1900), (8, 950), (8, 2190)],
    "densenet121": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 1024), (7, 512), (7, 1024)],
    ],
    "densenet169": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 1280), (7, 640), (7, 1664)],
    ],
    "densenet201": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 1792), (7, 896), (7, 1920)],
    ],
    "densenet264": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 2304), (7, 1152), (7, 2688)],
    ],
    "densenet161": [
        *[(112, 96), (56, 384), (28, 192), (28, 768), (14, 384)],
        *[(14, 2112), (7, 1056), (7, 2208)],
    ],
}


@pytest.mark.parametrize("name", SHAPES)
def test_output_shapes(name):
    rows = {r["name"]: r["output_shape"] for r in counted(name)["layers"]}
    found = [rows["conv1"]]
    for block in range(1, 5):
        ends = [shape for n, shape in rows.items() if n.startswith(f"block{block}_")]
        found += ends[-1:] + [rows[n] for n in rows if n == f"transition{block}_pool"]
    assert found == [[side, side, maps] for side, maps in SHAPES[name]]
    of_imagenet = SHAPES[name][0][0] == 112
    assert ("max_pool" in rows) == of_imagenet
    assert not of_imagenet or rows["max_pool"] == [56, 56, SHAPES[name][0][1]]
    assert rows["average_pool"] == [SHAPES[name][-1][1]]
    assert rows["fc1000" if of_imagenet else "fc10"] == [1000 if of_imagenet else 10]


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
    assert kept == ["densenet40-k12", "densenet-bc100-k12"]


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


def test_a_depth_that_does_not_divide():
    with pytest.raises(UsageError, match="depth=41: accepted is 4 more than a multiple of 3"):
        densenet.cifar(41, 12)
    with pytest.raises(UsageError, match="depth=103: accepted is 4 more than a multiple of 6"):
        densenet.cifar(103, 12, bc=True)


# ---------------------------------------------------------------- the whole, computed by hand


class Reference:
    """The networks for CIFAR in NumPy, one image [32, 32, maps], with the weights of a model."""

    def __init__(self, model):
        self.weights = {
            m.name: [w.astype("float64") for w in m.get_weights()] for m in model.layers
        }

    def convolution(self, x, name):
        (kernel,) = self.weights[name]
        border = len(kernel) // 2
        x = np.pad(x, ((border, border), (border, border), (0, 0)))
        views = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
        return np.tensordot(views, kernel.transpose(2, 0, 1, 3), axes=3)

    def normalised(self, x, name):
        gamma, beta, mean, variance = self.weights[f"{name}_bn"]
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)

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


@pytest.mark.parametrize(("depth", "bc", "blocks"), [(13, False, (3, 3, 3)), (16, True, (2, 2, 2))])
def test_a_cifar_network_computes_what_section_3_describes(depth, bc, blocks):
    keras.utils.set_random_seed(1)
    model = with_random_normalisations(densenet.cifar(depth, 5, bc=bc))
    image = np.random.default_rng(5).normal(size=(32, 32, 3))
    expected = Reference(model).logits(image, blocks, bc)
    found = keras.ops.convert_to_numpy(model(image[None].astype("float32"), training=False))[0]
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [
        ("densenet121", "DenseNet121"),
        ("densenet169", "DenseNet169"),
        ("densenet201", "DenseNet201"),
    ],
)
def test_the_imagenet_networks_are_those_of_keras_applications(name, elsewhere):
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
    found, expected = (
        keras.ops.convert_to_numpy(m(images, training=False)) for m in (model, other)
    )
    assert expected.std() > 0.05 and not np.allclose(expected[0], expected[1], rtol=0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())


# ---------------------------------------------------------------- beginnings


def test_weights_are_gaussian_of_variance_2_over_fan_in():
    keras.utils.set_random_seed(1)
    model = densenet.cifar(40, 12)
    fans = (("block1_layer12", 9 * 148), ("transition2", 304), ("block3_layer5", 9 * 352))
    for name, fan_in in (*fans, ("fc10", 448)):
        z = model.get_layer(name).get_weights()[0].ravel() / np.sqrt(2 / fan_in)
        error = 1 / np.sqrt(len(z))
        assert abs(z.mean()) < 4 * error and abs(z.std() - 1) < 4 * error, name
    z = model.get_layer("transition2").get_weights()[0].ravel() / np.sqrt(2 / 304)
    assert np.mean(np.abs(z) > 2) == pytest.approx(0.0455, abs=0.005)  # not truncated
    assert not np.any(model.get_layer("fc10").get_weights()[1])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, *_ = layer.get_weights()
            assert np.all(gamma == 1) and not beta.any()


def test_each_layer_draws_its_own_weights_and_the_seed_decides_them():
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = densenet.cifar(16, 4, bc=True)
        drawn.append([model.get_layer(f"block1_layer{n}").get_weights()[0] for n in (1, 2)])
    assert np.array_equal(drawn[0], drawn[1])
    for others in (drawn[0][1], drawn[2][0]):
        assert not np.array_equal(drawn[0][0], others)


def test_logits_stay_float32_in_mixed_precision(mixed_bfloat16):
    model = unweighted(densenet.cifar, depth=10, growth_rate=4)
    assert model.get_layer("block1_layer1").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


# ---------------------------------------------------------------- what was reported

# Test error in per cent: C10, C10+, C100, C100+, SVHN.
TABLE_2 = {
    "densenet40-k12": (7.00, 5.24, 27.55, 24.42, 1.79),
    "densenet100-k12": (5.77, 4.10, 23.79, 20.20, 1.67),
    "densenet100-k24": (5.83, 3.74, 23.42, 19.25, 1.59),
    "densenet-bc100-k12": (5.92, 4.51, 24.15, 22.27, 1.76),
    "densenet-bc250-k24": (5.19, 3.62, 19.64, 17.60, 1.74),
    "densenet-bc190-k40": (None, 3.46, None, 17.18, None),
}
# Per cent: top-1 and top-5 with one crop, the same with ten.
TABLE_3 = {
    "densenet121": (25.02, 7.71, 23.61, 6.66),
    "densenet169": (23.80, 6.85, 22.08, 5.92),
    "densenet201": (22.58, 6.34, 21.46, 5.54),
    "densenet264": (22.15, 6.12, 20.80, 5.29),
}


def test_table_2():
    assert list(densenet.TABLE_2) == list(TABLE_2)
    for name, row in TABLE_2.items():
        data = zip(("C10", "C10+", "C100", "C100+", "SVHN"), row, strict=True)
        printed = {column: value for column, value in data if value is not None}
        found = densenet.TABLE_2[name]
        assert {column: r.value for column, r in found.items()} == printed
        assert {r.metric for r in found.values()} == {"test_error"}
        sources = {column: r.source.removesuffix(" (not checked)") for column, r in found.items()}
        assert sources == {column: f"Table 2, {column}" for column in printed}
        # Section 4.2: on SVHN the network with the lowest validation error was taken.
        assert [c for c, r in found.items() if r.chosen] == [c for c in found if c == "SVHN"]


def test_columns_of_other_data_are_reported_of_the_network_that_was_trained():
    """The caption of Table 2: whatever is not augmented, SVHN too, was trained with dropout."""
    numbers = {n.name: [r.value for r in n.reported] for n in densenet.NETWORKS}
    for name, (_, _, c100, augmented, svhn) in TABLE_2.items():
        assert numbers[name] == [augmented]
        assert numbers.get(f"{name}-dropout") == ([c100, svhn] if c100 else None)


def test_table_3():
    keys = [(p, m) for p in ("single-view", "10-crop") for m in ("test_error", "test_top5_error")]
    for name, row in TABLE_3.items():
        reported = NETWORKS[name].reported
        assert {(r.protocol, r.metric): r.value for r in reported} == dict(
            zip(keys, row, strict=True)
        )
        assert {r.source for r in reported} == {"Table 3, validation images"}
    (number,) = NETWORKS["densenet161"].reported
    assert (number.metric, number.value, number.protocol) == ("test_error", 22.2, "single-view")
    assert "repository" in number.source


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_recipe_of_section_4_2(name):
    experiment = EXPERIMENTS[name]
    recipe, method = experiment.recipe, experiment.recipe.optimizer
    assert (recipe.passes, recipe.iterations, recipe.batch) == (300, 0, 64)
    assert recipe.data == spec.Data("cifar10")
    assert (method.momentum, method.nesterov, method.weight_decay) == (0.9, True, 1e-4)
    assert type(recipe.loss).__name__ == "SoftmaxCrossEntropy"
    last = schedule.pass_ends(recipe, 50_000, "paper")[-1]
    assert last == 300 * 50_000 // 64
    half, three_quarters = last // 2, last * 3 // 4
    rates = schedule.rates(recipe, last)
    assert [rate for _, rate in rates] == [0.1, 0.01, 0.001]
    assert [first for first, _ in rates] == pytest.approx([0, half, three_quarters], abs=1)


def test_what_is_not_augmented_is_trained_with_dropout():
    for name, experiment in EXPERIMENTS.items():
        plain = name.endswith("-unaugmented")
        assert experiment.network.options["dropout"] == (0.2 if plain else 0.0), name
        assert (experiment.recipe.augmentation is None) == plain, name
        if not plain:
            crop = experiment.recipe.augmentation
            assert (crop.pad, crop.flip, crop.outside) == (4, True, 0.0)
        twin = NETWORKS[experiment.network.name.removesuffix("-dropout")]
        assert {**experiment.network.options, "dropout": 0.0} == twin.options


def test_images_are_normalised_by_the_mean_and_deviation_of_each_channel():
    images = np.random.default_rng(2).integers(0, 256, (20, 32, 32, 3)).astype("uint8")
    images[..., 1] //= 3
    steps = preprocessing.fit(EXPERIMENTS["densenet40-k12-cifar10"].recipe.preprocessing, images)
    found = preprocessing.apply(steps, images).reshape(-1, 3)
    np.testing.assert_allclose(found.mean(axis=0, dtype="float64"), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0, dtype="float64"), 1.0, atol=1e-3)


def test_each_experiment_is_held_to_its_column_of_table_2():
    expected = {
        "densenet40-k12": (5.24, 7.00),
        "densenet100-k12": (4.10, 5.77),
        "densenet100-k24": (3.74, 5.83),
        "densenet-bc100-k12": (4.51, 5.92),
        "densenet-bc250-k24": (3.62, 5.19),
        "densenet-bc190-k40": (3.46,),
    }
    found = {}
    for name, experiment in EXPERIMENTS.items():
        (number,) = experiment.reported
        found.setdefault(name.split("-cifar10")[0], []).append(number.value)
    assert {name: tuple(values) for name, values in found.items()} == expected
    assert densenet.PAPER.experiments[0].name == "densenet40-k12-cifar10"


def test_the_claims_that_the_paper_itself_bears_out():
    """Table 2, and for ResNet-110 Table 6 of He et al. 2015 (the mean, 6.61)."""
    numbers = {e.name: e.reported[0].value for e in catalog.experiments() if e.reported}
    for claim in densenet.PAPER.claims:
        values = [numbers[name] for name in claim.needs]
        assert values == sorted(values, reverse=True) and len(set(values)) > 1, claim.name
