"""NiN (Lin et al. 2013): what the paper and the authors' layer files say of its networks."""

from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from test_local_layers import normalised_by_loops, pooled_by_loops

from papers import nin
from repro import spec
from repro.data import preprocessing
from repro.errors import UsageError
from repro.networks import anatomy, krizhevsky2012, optimizers
from repro.training import schedule

NETWORKS = {n.name: n for n in nin.PAPER.networks}
EXPERIMENTS = {e.name: e for e in nin.PAPER.experiments}


# ---------------------------------------------------------------- counted

# Parameters and multiply-adds, counted by hand from the layer files.
COUNTS = {
    "nin-cifar10": (966_986, 222_486_528),
    "nin-cifar100": (984_356, 223_592_448),
    "nin-mnist": (349_674, 50_699_712),
    "nin-svhn": (1_986_026, 274_235_392),
}

# By layer: the shape of the output, parameters, multiply-adds.
CIFAR_10 = {
    "conv1": ([32, 32, 192], 14_592, 14_745_600),
    "cccp1": ([32, 32, 160], 30_880, 31_457_280),
    "cccp2": ([32, 32, 96], 15_456, 15_728_640),
    "pool1": ([16, 16, 96], 0, 0),
    "conv2": ([16, 16, 192], 460_992, 117_964_800),
    "cccp3": ([16, 16, 192], 37_056, 9_437_184),
    "cccp4": ([16, 16, 192], 37_056, 9_437_184),
    "pool2": ([8, 8, 192], 0, 0),
    "conv3": ([8, 8, 192], 331_968, 21_233_664),
    "cccp5": ([8, 8, 192], 37_056, 2_359_296),
    "cccp6": ([8, 8, 10], 1_930, 122_880),
    "global_average": ([10], 0, 0),
}
LAYERS = {
    "nin-cifar10": CIFAR_10,
    "nin-cifar100": {
        **CIFAR_10,
        "cccp6": ([8, 8, 100], 19_300, 1_228_800),
        "global_average": ([100], 0, 0),
    },
    "nin-mnist": {
        "conv1": ([28, 28, 96], 2_496, 1_881_600),
        "cccp1": ([28, 28, 64], 6_208, 4_816_896),
        "cccp2": ([28, 28, 48], 3_120, 2_408_448),
        "pool1": ([14, 14, 48], 0, 0),
        "conv2": ([14, 14, 128], 153_728, 30_105_600),
        "cccp3": ([14, 14, 96], 12_384, 2_408_448),
        "cccp4": ([14, 14, 48], 4_656, 903_168),
        "pool2": ([7, 7, 48], 0, 0),
        "conv3": ([7, 7, 128], 153_728, 7_526_400),
        "cccp5": ([7, 7, 96], 12_384, 602_112),
        "cccp6": ([7, 7, 10], 970, 47_040),
        "global_average": ([10], 0, 0),
    },
    "nin-svhn": {
        "conv1": ([32, 32, 128], 9_728, 9_830_400),
        "cccp1": ([32, 32, 96], 12_384, 12_582_912),
        "cccp2": ([32, 32, 64], 6_208, 6_291_456),
        "pool1": ([16, 16, 64], 0, 0),
        "conv2": ([16, 16, 320], 512_320, 131_072_000),
        "cccp3": ([16, 16, 256], 82_176, 20_971_520),
        "cccp4": ([16, 16, 128], 32_896, 8_388_608),
        "pool2": ([8, 8, 128], 0, 0),
        "conv3": ([8, 8, 384], 1_229_184, 78_643_200),
        "cccp5": ([8, 8, 256], 98_560, 6_291_456),
        "cccp6": ([8, 8, 10], 2_570, 163_840),
        "global_average": ([10], 0, 0),
    },
}


@cache
def counted(name):
    network = NETWORKS[name]
    found = anatomy.anatomy(network.build(**network.options))
    keras.backend.clear_session()
    return found


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_of_each_network(name):
    found = counted(name)
    assert (found["parameters"], found["multiply_adds"]) == COUNTS[name]


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_in_order(name):
    rows = [row for row in counted(name)["layers"] if "dropout" not in row["name"]]
    found = {r["name"]: (r["output_shape"], r["parameters"], r["multiply_adds"]) for r in rows}
    assert found == LAYERS[name]
    assert list(found) == list(LAYERS[name])


def test_a_fully_connected_head_takes_every_pixel_of_the_last_maps():
    for head in ("fc", "fc-dropout"):
        found = counted(f"nin-cifar10-{head}")
        more = 8 * 8 * 10 * 10  # weights of the layer that global average pooling does without
        assert found["parameters"] == 966_986 + more + 10
        assert found["multiply_adds"] == 222_486_528 + more


def test_the_conventional_trunk():
    """Section 4.6: three convolutions and a local layer of ten maps, one for each class."""
    rows = {row["name"]: row for row in counted("nin-conventional-gap")["layers"]}
    shapes = {name: rows[name]["output_shape"] for name in rows if rows[name]["parameters"]}
    assert shapes == {
        "conv1": [32, 32, 64],
        "conv2": [16, 16, 64],
        "conv3": [8, 8, 64],
        "local4": [4, 4, 10],
    }
    assert rows["conv1"]["parameters"] == 5 * 5 * 3 * 64 + 64
    assert rows["conv3"]["parameters"] == 5 * 5 * 64 * 64 + 64
    assert rows["local4"]["parameters"] == 4 * 4 * (3 * 3 * 64 + 1) * 10
    more = counted("nin-conventional-fc")["parameters"]
    assert more - counted("nin-conventional-gap")["parameters"] == 4 * 4 * 10 * 10 + 10


# ---------------------------------------------------------------- what it computes


def built(name, **changed):
    network = NETWORKS[name]
    return network.build(**{**network.options, **changed})


def test_every_convolution_is_rectified_the_last_cccp_too():
    """With global average pooling, no logit is negative."""
    model = built("nin-cifar10")
    rectified = [m.name for m in model.layers if isinstance(m, keras.layers.Conv2D)]
    assert len(rectified) == 9
    assert all(m.activation is keras.activations.relu for m in map(model.get_layer, rectified))
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    assert np.min(model.predict_on_batch(images)) >= 0


def test_dropout_follows_both_poolings_and_halves_what_is_tested():
    model = built("nin-cifar10")
    dropouts = [m for m in model.layers if isinstance(m, keras.layers.Dropout)]
    assert [(type(m), m.rate) for m in dropouts] == [(krizhevsky2012.UnscaledDropout, 0.5)] * 2
    assert [m.input for m in dropouts] == [model.get_layer(f"pool{n}").output for n in (1, 2)]
    ones = np.ones((2, 1000), "float32")
    kept = keras.ops.convert_to_numpy(dropouts[0](ones, training=True))
    assert set(np.unique(kept)) == {0.0, 1.0} and 0.4 < kept.mean() < 0.6
    assert np.all(keras.ops.convert_to_numpy(dropouts[0](ones, training=False)) == 0.5)
    without = [m for m in built("nin-cifar10-without-dropout").layers if m.name == "dropout1"]
    assert without[0].rate == 0.0


def test_only_the_head_with_dropout_drops_before_the_fully_connected_layer():
    for head, expected in (("fc", 2), ("fc-dropout", 3)):
        model = built(f"nin-cifar10-{head}")
        dropouts = [m for m in model.layers if isinstance(m, keras.layers.Dropout)]
        assert len(dropouts) == expected
        before = dropouts[-1].output if head == "fc-dropout" else model.get_layer("flatten").output
        assert model.get_layer("fc").input is before


def averaged_by_loops(x):
    """Means over 3x3 windows, 2 apart, the last over what is inside; sides are even."""
    batch, height, width, maps = x.shape
    y = np.empty((batch, height // 2, width // 2, maps))
    for r, c in np.ndindex(height // 2, width // 2):
        y[:, r, c] = x[:, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].mean(axis=(1, 2))
    return y


def convolved(x, kernel, bias):
    pad = kernel.shape[0] // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.tensordot(views, kernel.transpose(2, 0, 1, 3), axes=3) + bias


def given_weights(model, seed):
    """Weights that let every layer show; returns them by layer."""
    draw = np.random.default_rng(seed)
    found = {}
    for layer in model.layers:
        if layer.weights:
            kernel, bias = (w.shape for w in layer.weights)
            fan_in = kernel[-2] if len(kernel) == 4 and "local" in layer.name else np.prod(kernel)
            fan_in = fan_in if "local" in layer.name else fan_in / kernel[-1]
            values = [
                draw.normal(0, np.sqrt(2 / fan_in), kernel).astype("float32"),
                draw.normal(0, 0.1, bias).astype("float32"),
            ]
            layer.set_weights(values)
            found[layer.name] = [v.astype("float64") for v in values]
    return found


def test_the_network_computes_what_section_3_describes():
    model = nin.nin(((5, 6, 5, 4), (5, 6, 6, 6), (3, 6, 6, 7)), image=(14, 14, 3))
    weights = given_weights(model, 1)
    x = images = np.random.default_rng(2).normal(size=(2, 14, 14, 3)).astype("float32")
    for number in (1, 2, 3):
        for name in (f"conv{number}", f"cccp{2 * number - 1}", f"cccp{2 * number}"):
            x = np.maximum(convolved(x, *weights[name]), 0)
        if number < 3:
            x = 0.5 * pooled_by_loops(x, (3, 3), (2, 2))
    expected = x.mean(axis=(1, 2))
    assert expected.shape == (2, 7) and expected.std() > 0.01
    np.testing.assert_allclose(model.predict_on_batch(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", nin.HEADS)
def test_the_conventional_trunk_computes_what_is_said_of_it(head):
    model = nin.conventional(head, maps=6)
    weights = given_weights(model, 3)
    x = images = np.random.default_rng(4).normal(size=(2, 32, 32, 3)).astype("float32")
    for number in (1, 2, 3):
        x = np.maximum(convolved(x, *weights[f"conv{number}"]), 0)
        x = pooled_by_loops(x, (3, 3), (2, 2)) if number == 1 else averaged_by_loops(x)
        if number < 3:
            x = normalised_by_loops(x, size=9, k=1.0, alpha=0.001, beta=0.75)
    kernel, bias = weights["local4"]
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.empty((2, 4, 4, 10))
    for r, c in np.ndindex(4, 4):
        patch = x[:, r : r + 3, c : c + 3].reshape(2, -1)
        y[:, r, c] = np.maximum(patch @ kernel[r, c] + bias[r, c], 0)
    if head == "global-average":
        expected = y.mean(axis=(1, 2))
    else:
        y = y.reshape(2, -1) * (0.5 if "dropout" in head else 1.0)
        expected = y @ weights["fc"][0] + weights["fc"][1]
    assert expected.std() > 0.01
    np.testing.assert_allclose(model.predict_on_batch(images), expected, rtol=1e-4, atol=1e-5)


# cuda-convnet's examples, but for conv1, which has 1e-4 there, for grey levels.
CONVENTIONAL = {"conv1": 0.01, "conv2": 0.01, "conv3": 0.01, "local4": 0.04, "fc": 0.01}


def test_how_widely_initial_weights_are_spread():
    keras.utils.set_random_seed(1)
    for name, special in (
        ("nin-cifar10", {}),
        ("nin-mnist", {}),
        ("nin-cifar100", {"conv1": 0.001, "cccp1": 0.01, "cccp2": 0.01}),
        ("nin-conventional-fc", CONVENTIONAL),
    ):
        for layer in built(name).layers:
            if layer.weights:
                kernel, bias = layer.get_weights()
                z = kernel.ravel() / special.get(layer.name, 0.05)
                assert abs(z.mean()) < 4 / np.sqrt(len(z)), (name, layer.name)
                assert abs(z.std() - 1) < 4 / np.sqrt(len(z)), (name, layer.name)
                assert not np.any(bias)


def test_logits_stay_float32_in_mixed_precision(mixed_bfloat16):
    for head in nin.HEADS:
        model = nin.nin(((3, 4, 4, 4), (3, 4, 4, 5)), (8, 8, 3), ((0.1,) * 3,) * 2, head=head)
        assert (model.output.dtype, model.layers[1].compute_dtype) == ("float32", "bfloat16")


def test_options_that_there_are_not():
    shape = ((3, 4, 4, 4), (3, 4, 4, 5), (3, 4, 4, 5))
    with pytest.raises(UsageError, match=r"unknown head 'max'.*global-average"):
        nin.nin(shape, head="max")
    with pytest.raises(UsageError, match=r"dropout=1\.0: accepted is a number from 0, below 1"):
        nin.nin(shape, dropout=1.0)


# ---------------------------------------------------------------- what was reported, and how


def test_tables_1_to_5_and_the_text():
    expected = {
        "nin-cifar10": (10.41, "Table 1"),
        "nin-cifar10-augmented": (8.81, "Table 1"),
        "nin-cifar10-without-dropout": (14.51, "section 4.2"),
        "nin-cifar10-fc": (11.59, "Table 5"),
        "nin-cifar10-fc-dropout": (10.88, "Table 5"),
        "nin-conventional-gap-cifar10": (16.46, "section 4.6"),
        "nin-conventional-fc-cifar10": (17.56, "section 4.6"),
        "nin-conventional-fc-dropout-cifar10": (15.99, "section 4.6"),
        "nin-mnist": (0.47, "Table 4"),
    }
    found = {e.name: (e.reported[0].value, e.reported[0].source) for e in EXPERIMENTS.values()}
    assert found == expected
    without = {n.name: [r.value for r in n.reported] for n in NETWORKS.values() if n.reported}
    assert without == {"nin-cifar100": [35.68], "nin-svhn": [2.35]}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_recipe(name):
    """CIFAR-10: the first author's example. The rest: the file for CIFAR-100, its loss doubled."""
    recipe = EXPERIMENTS[name].recipe
    method = recipe.optimizer
    by_example = name.startswith("nin-cifar10")
    decay = 0.0001 if by_example else 0.0005
    assert (method.momentum, method.weight_decay, recipe.batch) == (0.9, decay, 128)
    rate = 0.1 if by_example else 0.02
    if name == "nin-mnist":
        rate /= 2  # a deviation
    assert [r for _, r in method.stretches(recipe.passes)] == pytest.approx([rate, rate / 10, rate / 100])
    model = built(EXPERIMENTS[name].network.name)
    trained = {v.path: optimizers.factor_and_decay(method, v) for v in model.trainable_variables}
    for path, found in trained.items():
        share = 0.1 if by_example and path.startswith("cccp6/") else 1.0
        assert found == ((share, decay) if path.endswith("/kernel") else (2 * share, 0.0))
    assert recipe.data == spec.Data("mnist" if name == "nin-mnist" else "cifar10")
    assert (recipe.augmentation is not None) == (name == "nin-cifar10-augmented")
    last = schedule.pass_ends(recipe, 50_000, "paper")[-1]
    assert last == 260 * 50_000 // 128  # the authors' instructions: 200, 30 and 30 passes
    first = [first * 128 for first, _ in schedule.rates(recipe, last)]
    assert first == pytest.approx([0, 200 * 50_000, 230 * 50_000], abs=128)


def test_images_are_contrast_normalised_then_whitened():
    steps = EXPERIMENTS["nin-cifar10"].recipe.preprocessing
    assert [type(step).__name__ for step in steps] == [
        *("GlobalContrastNormalization", "ZCAWhitening")
    ]
    assert (steps[0].scale, steps[1].regularisation) == (55.0, 0.1)


def test_digits_are_grey_levels_less_the_mean_of_each_pixel():
    """As cuda-convnet takes images: of two, each is half of their difference away."""
    digits = np.array([[0, 51, 255], [10, 51, 55]], "uint8").reshape(2, 1, 3, 1)
    (step,) = preprocessing.fit(EXPERIMENTS["nin-mnist"].recipe.preprocessing, digits)
    expected = [[-5, 0, 100], [5, 0, -100]]
    np.testing.assert_allclose(step(digits).reshape(2, 3), expected, atol=1e-4)


def test_the_claims_that_the_paper_itself_bears_out():
    numbers = {e.name: e.reported[0].value for e in EXPERIMENTS.values()}
    for claim in nin.CLAIMS:
        values = [numbers[name] for name in claim.needs]
        assert values == sorted(values, reverse=True) and len(set(values)) == len(values)


def test_heads_are_compared_on_one_trunk():
    for claim in nin.CLAIMS[1:]:
        trunks = {EXPERIMENTS[name].network.build for name in claim.needs}
        assert len(trunks) == 1, claim.name
