"""NiN (Lin et al. 2013): what the paper and the authors' layer files say of its networks."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import convolved, locally_convolved, normalised_by_loops, pooled_by_loops, relu
from graphs import layers_of

from papers import nin
from repro import spec
from repro.data import preprocessing
from repro.networks import krizhevsky2012, optimizers
from repro.training import schedule

NETWORKS = {n.name: n for n in nin.PAPER.networks}
EXPERIMENTS = {e.name: e for e in nin.PAPER.experiments}


# ---------------------------------------------------------------- the trunk of section 4.6


def test_the_conventional_trunk():
    """Section 4.6: three convolutions and a local layer of ten maps, one for each class."""
    rows = layers_of("nin-conventional-gap")
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
            x = relu(convolved(x, *weights[name]))
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
        x = relu(convolved(x, *weights[f"conv{number}"]))
        x = pooled_by_loops(x, (3, 3), (2, 2)) if number == 1 else averaged_by_loops(x)
        if number < 3:
            x = normalised_by_loops(x, size=9, k=1.0, alpha=0.001, beta=0.75)
    kernel, bias = weights["local4"]
    y = relu(locally_convolved(x, kernel, bias))
    assert y.shape == (2, 4, 4, 10)
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
        ("nin-cifar100", {}),
        ("nin-conventional-fc", CONVENTIONAL),
    ):
        for layer in built(name).layers:
            if layer.weights:
                kernel, bias = layer.get_weights()
                z = kernel.ravel() / special.get(layer.name, 0.05)
                assert abs(z.mean()) < 4 / np.sqrt(len(z)), (name, layer.name)
                assert abs(z.std() - 1) < 4 / np.sqrt(len(z)), (name, layer.name)
                assert not np.any(bias)


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
        "nin-cifar100": (35.68, "Table 2"),
        "nin-mnist": (0.47, "Table 4"),
    }
    found = {e.name: (e.reported[0].value, e.reported[0].source) for e in EXPERIMENTS.values()}
    assert found == expected
    without = {n.name: [r.value for r in n.reported] for n in NETWORKS.values() if n.reported}
    assert without == {"nin-svhn": [2.35]}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_recipe(name):
    """CIFAR: the first author's example. The rest: the file for CIFAR-100, its loss doubled."""
    recipe = EXPERIMENTS[name].recipe
    method = recipe.optimizer
    by_example = name.startswith("nin-cifar10")  # nin-cifar100 too
    decay = 0.0001 if by_example else 0.0005
    assert (method.momentum, method.weight_decay, recipe.batch) == (0.9, decay, 128)
    rate = 0.1 if by_example else 0.02
    if name == "nin-mnist":
        rate /= 2  # a deviation
    rates = [r for _, r in method.stretches(recipe.passes)]
    assert rates == pytest.approx([rate, rate / 10, rate / 100])
    model = built(EXPERIMENTS[name].network.name)
    trained = {v.path: optimizers.factor_and_decay(method, v) for v in model.trainable_variables}
    for path, found in trained.items():
        share = 0.1 if by_example and path.startswith("cccp6/") else 1.0
        assert found == ((share, decay) if path.endswith("/kernel") else (2 * share, 0.0))
    of_name = {"nin-mnist": "mnist", "nin-cifar100": "cifar100"}
    assert recipe.data == spec.Data(of_name.get(name, "cifar10"))
    assert (recipe.augmentation is not None) == (name == "nin-cifar10-augmented")
    last = schedule.pass_ends(recipe, 50_000, "paper")[-1]
    assert last == 260 * 50_000 // 128  # the authors' instructions: 200, 30 and 30 passes
    first = [first * 128 for first, _ in schedule.rates(recipe, last)]
    assert first == pytest.approx([0, 200 * 50_000, 230 * 50_000], abs=128)


@pytest.mark.parametrize("name", ["nin-cifar10", "nin-cifar100"])
def test_images_are_contrast_normalised_then_whitened(name):
    steps = EXPERIMENTS[name].recipe.preprocessing
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
