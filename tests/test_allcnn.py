"""All-CNN (Springenberg et al. 2014): its twelve networks, its recipe, what the paper reports."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import (
    convolved,
    outputs_of,
    pooled_by_loops,
    relu,
    weights_of,
    with_random_biases,
)
from graphs import counted, model_of

from papers import allcnn
from repro import spec
from repro.errors import UsageError
from repro.networks import optimizers
from repro.training import schedule

EXPERIMENTS = {e.name: e for e in allcnn.PAPER.experiments}
NETWORKS = {n.name: n for n in allcnn.PAPER.networks}

# ---------------------------------------------------------------- the networks

# Layer by layer: shape of the output, parameters, multiply-adds.
ALL_CNN_C = [
    ([32, 32, 96], 2_688, 2_654_208),
    ([32, 32, 96], 83_040, 84_934_656),
    ([16, 16, 96], 83_040, 21_233_664),
    ([16, 16, 192], 166_080, 42_467_328),
    ([16, 16, 192], 331_968, 84_934_656),
    ([8, 8, 192], 331_968, 21_233_664),
    ([6, 6, 192], 331_968, 11_943_936),
    ([6, 6, 192], 37_056, 1_327_104),
    ([6, 6, 10], 1_930, 69_120),
]


def test_the_layers_of_all_cnn_c():
    rows = counted("allcnn-c")["layers"]
    found = [
        (row["output_shape"], row["parameters"], row["multiply_adds"])
        for row in rows
        if row["parameters"]
    ]
    assert found == ALL_CNN_C
    assert rows[-1]["output_shape"] == [10]


# (kernel's side, maps, side of the output) of each convolution before the head.
A, B, C = "a", "b", "c"
CONVOLUTIONS = {
    ("model", A): [(5, 96, 32), (5, 192, 16)],
    ("model", B): [(5, 96, 32), (1, 96, 32), (5, 192, 16), (1, 192, 16)],
    ("model", C): [(3, 96, 32), (3, 96, 32), (3, 192, 16), (3, 192, 16)],
    ("strided", A): [(5, 96, 16), (5, 192, 8)],
    ("strided", B): [(5, 96, 32), (1, 96, 16), (5, 192, 16), (1, 192, 8)],
    ("strided", C): [(3, 96, 32), (3, 96, 16), (3, 192, 16), (3, 192, 8)],
    ("convpool", A): [(5, 96, 32), (3, 96, 32), (5, 192, 16), (3, 192, 16)],
    ("all", A): [(5, 96, 32), (3, 96, 16), (5, 192, 16), (3, 192, 8)],
    ("convpool", B): [
        *[(5, 96, 32), (1, 96, 32), (3, 96, 32)],
        *[(5, 192, 16), (1, 192, 16), (3, 192, 16)],
    ],
    ("all", B): [
        *[(5, 96, 32), (1, 96, 32), (3, 96, 16)],
        *[(5, 192, 16), (1, 192, 16), (3, 192, 8)],
    ],
    ("convpool", C): [
        *[(3, 96, 32), (3, 96, 32), (3, 96, 32)],
        *[(3, 192, 16), (3, 192, 16), (3, 192, 16)],
    ],
    ("all", C): [
        *[(3, 96, 32), (3, 96, 32), (3, 96, 16)],
        *[(3, 192, 16), (3, 192, 16), (3, 192, 8)],
    ],
}
HEAD = [(3, 192, 6), (1, 192, 6), (1, 10, 6)]


@pytest.mark.parametrize(("form", "model"), CONVOLUTIONS)
def test_the_convolutions_of_each_network(form, model):
    network = model_of(f"allcnn-{model}" if form == "all" else f"allcnn-{form}-{model}")
    convolutions = [m for m in network.layers if isinstance(m, keras.layers.Conv2D)]
    found = [(m.kernel_size[0], m.filters, m.output.shape[1]) for m in convolutions]
    assert found == [*CONVOLUTIONS[form, model], *HEAD]
    assert all(m.use_bias for m in convolutions)
    *rectified, last = (m.activation for m in convolutions)
    assert set(rectified) == {keras.activations.relu} and last is keras.activations.linear
    pools = [m for m in network.layers if isinstance(m, keras.layers.MaxPooling2D)]
    pooled = [(m.pool_size, m.strides, m.output.shape[1]) for m in pools]
    assert pooled == (
        [((3, 3), (2, 2), 16), ((3, 3), (2, 2), 8)] if form in ("model", "convpool") else []
    )


@pytest.mark.parametrize("name", ["allcnn-strided-b", "allcnn-convpool-a"])
def test_dropout_takes_a_fifth_of_the_image_and_half_of_what_is_halved(name):
    network = model_of(name)
    dropouts = [m for m in network.layers if isinstance(m, keras.layers.Dropout)]
    assert [(m.rate, m.output.shape[1:]) for m in dropouts] == [
        *[(0.2, (32, 32, 3)), (0.5, (16, 16, 96)), (0.5, (8, 8, 192))]
    ]


def strided(x, kernel, bias, stride):
    """A convolution whose border is k // 2 zeros, and relu."""
    return relu(convolved(x, kernel, bias, stride))


@pytest.mark.parametrize(
    ("form", "rectified"), [*((form, False) for form in allcnn.FORMS), ("all", True)]
)
def test_a_network_computes_what_is_said_of_it(form, rectified):
    """Model B, which has kernels of all sides; in testing dropout does nothing."""
    network = with_random_biases(allcnn.allcnn("b", form, rectified=rectified))
    weights = weights_of(network)
    x = images = np.random.default_rng(1).normal(size=(1, 32, 32, 3))
    for block in (1, 2):
        names = [n for n in weights if n.startswith(f"conv{block}_") and weights[n]]
        assert len(names) == (3 if form in ("convpool", "all") else 2)
        for name in names:
            halves = name == names[-1] and form in ("strided", "all")
            x = strided(x, *weights[name], stride=2 if halves else 1)
        if form in ("model", "convpool"):
            x = pooled_by_loops(x, (3, 3), (2, 2))
    x = relu(convolved(x, *weights["conv3_1"], border=0))
    x = convolved(strided(x, *weights["conv3_2"], 1), *weights["conv3_3"])
    assert x.shape == (1, 6, 6, 10) and x.min() < 0
    x = relu(x) if rectified else x
    expected = x.mean(axis=(1, 2))
    assert expected.std() > 0.01
    np.testing.assert_allclose(outputs_of(network, images), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("wrong", [{"model": "d"}, {"form": "pool"}])
def test_an_unknown_model_or_form_is_refused(wrong):
    (said,) = wrong.values()
    with pytest.raises(UsageError, match=f"'{said}'"):
        allcnn.allcnn(**{"model": "a", "form": "all", **wrong})


# ---------------------------------------------------------------- what was reported, and how

REPORTED = {
    **{"allcnn-model-a-cifar10": 12.47, "allcnn-strided-a-cifar10": 13.46},
    **{"allcnn-convpool-a-cifar10": 10.21, "allcnn-a-cifar10": 10.30},
    **{"allcnn-model-b-cifar10": 10.20, "allcnn-strided-b-cifar10": 10.98},
    **{"allcnn-convpool-b-cifar10": 9.33, "allcnn-b-cifar10": 9.10},
    **{"allcnn-model-c-cifar10": 9.74, "allcnn-strided-c-cifar10": 10.19},
    **{"allcnn-convpool-c-cifar10": 9.31, "allcnn-c-cifar10": 9.08},
    **{"allcnn-c-cifar10-augmented": 7.25, "allcnn-c-cifar100": 33.71},
}


def test_the_errors_that_the_paper_reports():
    found = {e.name: [(r.metric, r.value) for r in e.reported] for e in EXPERIMENTS.values()}
    assert found == {name: [("test_error", value)] for name, value in REPORTED.items()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_recipe(name):
    recipe = EXPERIMENTS[name].recipe
    method = recipe.optimizer
    assert (recipe.passes, method.momentum, method.weight_decay) == (350, 0.9, 0.001)
    assert method.rate in (0.25, 0.1, 0.05, 0.01)
    parts = [(start, rate / method.rate) for start, rate in method.stretches(350)]
    assert [start for start, _ in parts] == [0, 200, 250, 300]
    assert [part for _, part in parts] == pytest.approx([1, 0.1, 0.01, 0.001])
    assert recipe.data == spec.Data("cifar100" if name.endswith("cifar100") else "cifar10")
    assert [type(step).__name__ for step in recipe.preprocessing] == [
        *("GlobalContrastNormalization", "ZCAWhitening")
    ]
    moved = name in ("allcnn-c-cifar10-augmented", "allcnn-c-cifar100")
    found = recipe.augmentation
    assert (found and (found.pad, found.flip)) == ((5, True) if moved else None)


def test_all_weights_and_biases_decay_alike():
    method = EXPERIMENTS["allcnn-c-cifar10"].recipe.optimizer
    variables = model_of("allcnn-c").trainable_variables
    assert len(variables) == 18
    assert {optimizers.factor_and_decay(method, v) for v in variables} == {(1.0, 0.001)}


def test_short_runs_make_two_thousand_updates():
    ends = schedule.pass_ends(EXPERIMENTS["allcnn-c-cifar10"].recipe, 50_000, "short")
    assert ends[-1] == pytest.approx(2_000, rel=0.05)


def test_initial_weights_are_uniform_with_variance_2_over_fan_in_and_fan_out():
    keras.utils.set_random_seed(2)
    network = allcnn.allcnn("b", "strided")
    convolutions = [m for m in network.layers if m.weights]
    assert len(convolutions) == 7
    for layer in convolutions:
        kernel, bias = layer.get_weights()
        assert not np.any(bias)
        pixels, (taken, given) = kernel.shape[0] ** 2, kernel.shape[2:]
        limit = np.sqrt(6 / (pixels * (taken + given)))
        assert 0.99 * limit < np.abs(kernel).max() <= limit
        assert np.abs(kernel).mean() == pytest.approx(limit / 2, rel=0.05)


# ---------------------------------------------------------------- the claims


def test_the_claims_that_the_paper_itself_bears_out():
    for claim in allcnn.CLAIMS:
        values = [REPORTED[name] for name in claim.needs]
        falls = -np.diff(values)
        assert len(falls) and np.all(falls >= claim.margin), claim.name


def test_strided_forms_are_held_against_each_of_the_other_three():
    pairs = {claim.needs for claim in allcnn.CLAIMS if claim.name.startswith("allcnn-strided")}
    forms = ("allcnn-model-", "allcnn-convpool-", "allcnn-")
    assert pairs == {
        (f"allcnn-strided-{model}-cifar10", f"{form}{model}-cifar10")
        for model in "abc"
        for form in forms
    }


def test_forms_without_pooling_are_held_against_as_many_weights_with_it():
    claims = [claim for claim in allcnn.CLAIMS if claim.margin]
    assert len(claims) == 3 and all(claim.margin < 0 for claim in claims)
    for claim in claims:
        pooled, convolved_only = (EXPERIMENTS[name].network.name for name in claim.needs)
        assert "convpool" in pooled
        assert counted(pooled)["parameters"] == counted(convolved_only)["parameters"]


def test_bands_are_of_the_recipe_that_was_run():
    banded = {e.name for e in allcnn.PAPER.experiments if e.bands}
    assert banded == {f"allcnn-{form}c-cifar10" for form in ("", "strided-", "convpool-")}
