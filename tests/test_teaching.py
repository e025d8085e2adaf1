"""The two small networks of the lecture slides, against the slides' tables of layers."""

import math

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import (
    assert_gaussian,
    convolved,
    outputs_of,
    pooled_by_loops,
    relu,
    weights_of,
    with_random_biases,
)
from graphs import counted, layers_of

from papers import teaching
from repro.data import preprocessing
from repro.training import schedule

# Of each layer: its name, its size, its neurons, its parameters, its multiply-adds. The slides' own
# tables, of Harley's network with 5x5x16 after the second pooling and what follows from it.
TABLES = {
    "teaching-10-20": [
        ("conv1", [24, 24, 10], 5_760, 260, 144_000),
        ("pool1", [12, 12, 10], 1_440, 0, 0),
        ("conv2", [8, 8, 20], 1_280, 5_020, 320_000),
        ("pool2", [4, 4, 20], 320, 0, 0),
        ("fc1", [100], 100, 32_100, 32_000),
        ("fc2", [10], 10, 1_010, 1_000),
    ],
    "teaching-harley": [
        ("conv1", [28, 28, 6], 4_704, 156, 117_600),
        ("pool1", [14, 14, 6], 1_176, 0, 0),
        ("conv2", [10, 10, 16], 1_600, 2_416, 240_000),
        ("pool2", [5, 5, 16], 400, 0, 0),
        ("fc1", [120], 120, 48_120, 48_000),
        ("fc2", [100], 100, 12_100, 12_000),
        ("fc3", [10], 10, 1_010, 1_000),
    ],
}
# Neurons, parameters, multiply-adds of the whole network.
TOTALS = {"teaching-10-20": (8_910, 38_390, 497_000), "teaching-harley": (8_110, 63_802, 418_600)}
NETWORKS = {network.name: network for network in teaching.PAPER.networks}


@pytest.mark.parametrize("name", TABLES)
def test_every_layer_is_that_of_the_slide(name):
    rows = [row for row in layers_of(name).values() if row["kind"] != "Flatten"]
    assert [
        (
            row["name"],
            row["output_shape"],
            math.prod(row["output_shape"]),
            row["parameters"],
            row["multiply_adds"],
        )
        for row in rows
    ] == TABLES[name]


@pytest.mark.parametrize("name", TOTALS)
def test_neurons_parameters_and_multiply_adds(name):
    rows = [row for row in layers_of(name).values() if row["kind"] != "Flatten"]
    neurons = sum(math.prod(row["output_shape"]) for row in rows)
    counts = counted(name)["parameters"], counted(name)["multiply_adds"]
    assert (neurons, *counts) == TOTALS[name]
    assert NETWORKS[name].published == {"parameters": TOTALS[name][1]}


def test_the_note_gives_the_slides_wrong_totals_and_how_they_come_about():
    """3,200 neurons instead of 400 after the second pooling, each with a weight to 120 units."""
    neurons, parameters, _ = TOTALS["teaching-harley"]
    assert (neurons + 2_800, parameters + 2_800 * 120) == (10_910, 399_802)
    for total in ("10,910", "399,802", f"{neurons:,}", f"{parameters:,}"):
        assert total in teaching.HARLEY_MNIST.note


def built(name):
    keras.utils.set_random_seed(1)
    return NETWORKS[name].build(**NETWORKS[name].options)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_network_computes(name):
    model = with_random_biases(built(name))
    weights = weights_of(model)
    x = images = np.random.default_rng(0).random((2, *NETWORKS[name].options["image"]))
    for number in (1, 2):
        x = relu(convolved(x, *weights[f"conv{number}"], border=0))
        x = pooled_by_loops(x, (2, 2), (2, 2))
    x = x.reshape(2, -1)
    *hidden, last = [layer for layer in weights if layer.startswith("fc")]
    for layer in hidden:
        x = relu(x @ weights[layer][0] + weights[layer][1])
    x = x @ weights[last][0] + weights[last][1]
    assert x.shape == (2, 10) and np.std(x) > 0.1
    np.testing.assert_allclose(outputs_of(model, images), x, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_initial_weights_have_a_variance_of_2_over_fan_in(name):
    for layer in built(name).layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            assert_gaussian(kernel, np.sqrt(2 / np.prod(kernel.shape[:-1])))
            assert not np.any(bias)


def test_images_of_28_pixels_go_from_0_to_1_and_get_a_border_for_harley():
    digit = np.zeros((1, 28, 28, 1), "uint8")
    digit[0, 0, 0, 0], digit[0, 27, 27, 0] = 255, 51
    for experiment, border in ((teaching.TEN_TWENTY_MNIST, 0), (teaching.HARLEY_MNIST, 2)):
        x = digit
        for step in preprocessing.fit(experiment.recipe.preprocessing, digit):
            x = np.asarray(step(x))
        assert x.shape == (1, 28 + 2 * border, 28 + 2 * border, 1)
        assert x[0, border, border, 0] == pytest.approx(1.0)
        assert x[0, border + 27, border + 27, 0] == pytest.approx(0.2)
        assert x.sum() == pytest.approx(1.2)


@pytest.mark.parametrize("experiment", teaching.PAPER.experiments, ids=lambda e: e.name)
def test_the_recipe_is_what_the_deviations_say(experiment):
    """Twenty passes over 60,000 images in batches of 128; the rate falls after 10 and 15."""
    recipe = experiment.recipe
    last = schedule.pass_ends(recipe, 60_000, "paper")[-1]
    assert last == 20 * 60_000 // 128
    rates = [rate for _, rate in schedule.rates(recipe, last)]
    assert rates == pytest.approx([0.05, 0.005, 0.0005])
    firsts = [first * 128 for first, _ in schedule.rates(recipe, last)]
    assert firsts == pytest.approx([0, 10 * 60_000, 15 * 60_000], abs=128)
    assert (recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.9, 0.0)
    assert experiment.reported == () and experiment.bands == ()
