"""LeNet-5 (LeCun et al. 1998): what the paper says of its networks and recipes."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from papers import lenet5
from repro import spec
from repro.data.distortion import DistortedCopies
from repro.data.preprocessing import apply

EXPERIMENTS = {e.name: e for e in lenet5.PAPER.experiments}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return lenet5.LENET5.build(**lenet5.LENET5.options)


# ---------------------------------------------------------------- codes and tables


def test_the_codes_are_ten_different_pictures_of_7_by_12():
    codes = np.array(lenet5.bitmaps())
    assert codes.shape == (10, 7 * 12)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    apart = (codes[:, None] != codes[None]).sum(axis=-1)
    assert apart[~np.eye(10, dtype=bool)].min() > 0


def test_a_code_is_read_row_by_row_seven_wide():
    """The 1 has its stem in the middle column and the 7 its bar across the top."""
    one, seven = (np.array(lenet5.bitmaps()[digit]).reshape(12, 7) for digit in (1, 7))
    assert np.all(one[1:11, 3] == 1) and np.all(one[4:9, [0, 1, 5, 6]] == -1)
    assert np.all(seven[1] == 1) and np.all(seven[4:, 6] == -1)


def test_table_i_of_c3():
    """Six maps see three contiguous maps of S2, six four contiguous, three four others, one all."""
    rows = [set(row) for row in lenet5.C3_TABLE]
    assert all(len(a) == len(b) for a, b in zip(rows, lenet5.C3_TABLE, strict=True))
    assert Counter(map(len, rows)) == {3: 6, 4: 9, 6: 1}
    assert sum(map(len, rows)) == 60
    assert set().union(*rows) == set(range(6))

    def contiguous(n):
        return {frozenset((first + k) % 6 for k in range(n)) for first in range(6)}

    assert {frozenset(row) for row in rows[:6]} == contiguous(3)
    assert {frozenset(row) for row in rows[6:12]} == contiguous(4)
    others = {frozenset(row) for row in rows[12:15]}
    assert len(others) == 3 and not others & contiguous(4) and all(len(row) == 4 for row in others)
    assert Counter(i for row in rows for i in row) == dict.fromkeys(range(6), 10)


def test_the_table_of_lenet1_is_two_halves_with_20_pairs():
    rows = lenet5.H3_TABLE
    assert len(rows) == 12
    assert sum(len(set(row)) for row in rows) == sum(map(len, rows)) == 20
    assert all(set(row) <= {0, 1} for row in rows[:6])
    assert all(set(row) <= {2, 3} for row in rows[6:])


# ---------------------------------------------------------------- networks


def squash(a):
    return 1.7159 * np.tanh(2 * a / 3)


def convolve(maps, kernels, bias, rows):
    """maps: [i, h, w]; kernels: those of the connected pairs in order, [pairs, 5, 5]."""
    out, pair = [], 0
    for row, b in zip(rows, bias, strict=True):
        total = b
        for i in row:
            windows = np.lib.stride_tricks.sliding_window_view(maps[i], (5, 5))
            total = total + np.einsum("rcuv,uv->rc", windows, kernels[pair])
            pair += 1
        out.append(total)
    return np.array(out)


def subsample(maps, coefficient, bias):
    sums = maps[:, ::2, ::2] + maps[:, 1::2, ::2] + maps[:, ::2, 1::2] + maps[:, 1::2, 1::2]
    return sums * coefficient[:, None, None] + bias[:, None, None]


def test_lenet5_computes_what_section_ii_b_describes(network):
    image = np.random.default_rng(5).normal(size=(32, 32))
    w = {layer.name: [np.asarray(v, "float64") for v in layer.get_weights()]
         for layer in network.layers}  # fmt: skip
    kernel, bias = w["C1"]
    x = squash(convolve(image[None], kernel[:, :, 0].transpose(2, 0, 1), bias, [[0]] * 6))
    x = squash(subsample(x, *w["S2"]))
    kernel, bias = w["C3"]
    x = squash(convolve(x, kernel.T.reshape(60, 5, 5), bias, lenet5.C3_TABLE))
    x = squash(subsample(x, *w["S4"]))
    kernel, bias = w["C5"]
    x = squash(np.einsum("iuv,uvim->m", x, kernel) + bias)
    kernel, bias = w["F6"]
    x = squash(x @ kernel + bias)
    expected = 0.05 * ((x - np.array(lenet5.bitmaps())) ** 2).sum(axis=1)
    found = np.asarray(network(image[None, :, :, None].astype("float32")))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_initial_weights_lie_within_2_4_over_the_fan_in_of_their_unit(network):
    """Appendix A. A unit of C3 has 25 inputs from each map that it sees."""
    fan_in = {"C1": 25, "S2": 4, "S4": 4, "C5": 400, "F6": 120}
    for name, inputs in fan_in.items():
        for weights in network.get_layer(name).get_weights():
            assert np.abs(weights).max() <= 2.4 / inputs, name
    kernel, bias = network.get_layer("C3").get_weights()
    seen = [len(row) for row in lenet5.C3_TABLE]
    assert np.all(np.abs(bias) <= 2.4 / (25 * np.array(seen)))
    widest = np.abs(kernel).max(axis=0)
    bound = 2.4 / (25 * np.repeat(seen, seen))
    assert np.all(widest <= bound) and np.all(widest > 0.5 * bound)
    for name in ("C5", "F6"):  # many weights: they fill the interval
        assert np.abs(network.get_layer(name).get_weights()[0]).max() > 0.99 * 2.4 / fan_in[name]


@pytest.mark.parametrize("name", ["C1", "S2", "C3", "S4", "C5", "F6"])
def test_biases_are_drawn_for_themselves(network, name):
    """Not the numbers that the first weights of the same layer have."""
    weights, bias = network.get_layer(name).get_weights()
    assert np.isin(bias, weights).mean() < 0.1  # one of 48,000 float32 may well be met again
    assert len(np.unique(bias)) == len(bias)


# ---------------------------------------------------------------- recipes


def test_the_recipe_of_1998():
    recipe = EXPERIMENTS["lenet5-mnist"].recipe
    assert (recipe.passes, recipe.batch) == (20, 1)
    assert (recipe.optimizer.mu, recipe.optimizer.examples) == (0.02, 500)
    assert isinstance(recipe.optimizer, spec.StochasticDiagonalLM)
    assert type(recipe.loss).__name__ == "MAP" and recipe.loss.j > 0
    assert recipe.data == spec.Data("mnist")
    assert recipe.augmentation is None and recipe.pass_examples == 0
    assert recipe.training_error_measured


def test_eta_of_each_of_the_twenty_passes():
    eta = EXPERIMENTS["lenet5-mnist"].recipe.optimizer.eta
    published = [5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8
    assert [eta.at(done) for done in range(20)] == published


def test_images_are_32_wide_and_go_from_minus_0_1_to_1_175():
    image = np.zeros((1, 28, 28, 1), "uint8")
    image[0, 4, 6] = 255
    field = apply(EXPERIMENTS["lenet5-mnist"].recipe.preprocessing, image)
    assert field.shape == (1, 32, 32, 1) and field.dtype == np.float32
    assert field[0, 6, 8, 0] == pytest.approx(1.175)
    field[0, 6, 8, 0] = -0.1
    np.testing.assert_allclose(field, -0.1, rtol=1e-6)


def test_lenet1_sees_the_digit_16_wide():
    image = np.zeros((1, 28, 28, 1), "uint8")
    image[0, 4:24, 4:24] = 255  # the box of 20x20 that digits fill
    field = apply(EXPERIMENTS["lenet1-mnist"].recipe.preprocessing, image)[0, :, :, 0]
    expected = np.full((28, 28), -0.1)
    expected[6:22, 6:22] = 1.175
    np.testing.assert_allclose(field, expected, atol=1e-5)


def test_distortions_make_540000_more_images():
    recipe = EXPERIMENTS["lenet5-mnist-distorted"].recipe
    assert isinstance(recipe.augmentation, DistortedCopies)
    assert recipe.augmentation.size(60_000) == 60_000 + 540_000
    same = dataclasses.replace(recipe, augmentation=None, pass_examples=0)
    assert same == EXPERIMENTS["lenet5-mnist"].recipe


@pytest.mark.parametrize("thousands", [15, 30])
def test_fewer_images_and_nothing_else(thousands):
    recipe = EXPERIMENTS[f"lenet5-mnist-{thousands}k"].recipe
    assert recipe.data.train == f"train[:{thousands}000]"
    assert recipe.data.test == "test"
    whole = dataclasses.replace(recipe, data=spec.Data("mnist"))
    assert whole == EXPERIMENTS["lenet5-mnist"].recipe


def test_only_known_data_is_tested_on():
    """Each number is the error on the whole test set, in the paper's protocol."""
    for experiment in EXPERIMENTS.values():
        assert experiment.recipe.data.test == "test"
        assert experiment.protocols == ("single-view",)
        assert experiment.recipe.data.dataset == (
            "digits" if "digits" in experiment.name else "mnist"
        )


REPORTED = {
    "lenet5-mnist": {"test_error": 0.95, "running_error": 0.35},
    "lenet5-mnist-mse": {"test_error": 0.95, "running_error": 0.35},
    "lenet5-mnist-distorted": {"test_error": 0.8},
    "lenet5-mnist-15k": {},
    "lenet5-mnist-30k": {},
    "lenet5-modern-mnist": {},
    "lenet1-mnist": {"test_error": 1.7},
    "fully-connected-300-mnist": {"test_error": 4.7},
    "fully-connected-300-100-mnist": {"test_error": 3.05},
    "linear-mnist": {"test_error": 12.0},
    "lenet5-digits": {},
}


@pytest.mark.parametrize("name", REPORTED)
def test_what_the_paper_reports(name):
    assert {r.metric: r.value for r in EXPERIMENTS[name].reported} == REPORTED[name]


def test_the_other_classifiers_of_figure_9():
    """PAPERS: those that no experiment stands for, from the highest error down."""
    found = sorted((r.value for r in lenet5.PAPER.reported), reverse=True)
    assert found == [8.4, 7.6, 5.0, 3.6, 3.3, 2.4, *[1.1] * 5, 0.8, 0.7]
    of_lenet4 = sorted(r.value for r in lenet5.PAPER.reported if "LeNet-4" in r.chosen)
    assert of_lenet4 == [0.7, 1.1, 1.1, 1.1]


def test_no_experiment_is_left_out_here():
    assert set(REPORTED) == set(EXPERIMENTS)


def test_digits_say_that_they_are_not_the_papers_data():
    experiment = EXPERIMENTS["lenet5-digits"]
    assert "not the paper's" in experiment.note
    assert any("not MNIST" in d for d in experiment.deviations)
    assert experiment.network is lenet5.LENET5


def test_what_the_text_leaves_open_is_said():
    """Scale and j of the penalties decide everything and are not in the paper."""
    for name in ("lenet5-mnist", "lenet5-mnist-distorted", "lenet5-digits"):
        said = " ".join(EXPERIMENTS[name].deviations)
        assert "penalty_scale" in said and "recipe.loss.j" in said and "held out" in said


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_the_network_takes_the_images_and_the_loss_its_outputs(experiment):
    model = experiment.network.build(**experiment.network.options)
    side = 8 if experiment.recipe.data.dataset == "digits" else 28
    images = apply(experiment.recipe.preprocessing, np.zeros((2, side, side, 1), "uint8"))
    assert model.input_shape[1:] == images.shape[1:]
    outputs = model(images)
    values = np.asarray(experiment.recipe.loss(outputs, np.array([3, 8], "int32")))
    assert values.shape == (2,) and np.all(np.isfinite(values))
    assert np.asarray(experiment.recipe.loss.predict(outputs)).shape == (2,)
