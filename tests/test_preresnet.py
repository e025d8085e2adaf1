"""Pre-activation ResNet (He et al. 2016): its networks, numbers, recipes and claims."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import convolved, outputs_of, relu, weights_of, with_random_normalisations
from graphs import unweighted

from papers import preresnet, resnet
from repro import catalog, settings, spec
from repro.errors import UsageError

PAPER = preresnet.PAPER
EXPERIMENTS = {e.name: e for e in PAPER.experiments}

# ---------------------------------------------------------------- the whole, computed by hand

# Figure 4 for two layers: w is a convolution, b batch normalisation, r relu.
FIGURE_4 = {
    "original": "wbr wb + r",
    "bn-after-addition": "wbr w + br",
    "relu-before-addition": "wbr wbr +",
    "relu-only-preactivation": "rwb rwb +",
    "full-preactivation": "brw brw +",
}
NORMALISED = ("original", "relu-before-addition", "relu-only-preactivation")  # the projections


class Reference:
    """The networks in NumPy, one image [height, width, maps], with the weights of a model."""

    def __init__(self, model, activation="original", skipped=2):
        self.weights = weights_of(model)
        inner, last, _, *self.after = FIGURE_4[activation].split()
        self.layers = [inner] * (skipped - 1) + [last]
        self.activation, self.projects = activation, skipped == 3

    def normalised(self, x, name):
        gamma, beta, mean, variance = self.weights[f"{name}_bn"]
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def activated(self, x, steps, name):
        for step in steps:
            x = relu(x) if step == "r" else self.normalised(x, name)
        return x

    def convolved(self, x, name, stride=1):
        return convolved(x, self.weights[name][0], stride=stride)

    def subsampled(self, x, stride, maps):
        x = x[::stride, ::stride]
        return np.concatenate([x, np.zeros((*x.shape[:2], maps - x.shape[2]))], axis=2)

    def residual(self, x, name, stride, first):
        y = x
        for letter, steps in zip("abc", self.layers, strict=False):
            before, after = steps.split("w")
            if not (first and letter == "a"):
                y = self.activated(y, before, f"{name}{letter}_before")
            if letter == "a":
                taken = y
            y = self.convolved(y, f"{name}{letter}", stride if letter == "a" else 1)
            y = self.activated(y, after, f"{name}{letter}")
        return y, taken

    def unit(self, x, name, stride, first):
        y, taken = self.residual(x, name, stride, first)
        if self.projects and x.shape != y.shape:
            x = self.convolved(taken, f"{name}_projection", stride)
            if self.activation in NORMALISED:
                x = self.normalised(x, f"{name}_projection")
        else:
            x = self.subsampled(x, stride, y.shape[2])
        return self.activated(x + y, "".join(self.after), name)

    def logits(self, x, units):
        x = self.activated(self.convolved(x, "conv1"), "br", "conv1")
        for stage in (2, 3, 4):
            for number in range(1, units + 1):
                stride = 2 if stage > 2 and number == 1 else 1
                x = self.unit(x, f"conv{stage}_{number}", stride, (stage, number) == (2, 1))
        x = self.activated(x, self.layers[0].split("w")[0], "last")
        kernel, bias = self.weights["fc10"]
        return x.mean(axis=(0, 1)) @ kernel + bias


IMAGE = np.random.default_rng(5).normal(size=(32, 32, 3))


@pytest.mark.parametrize("skipped", [1, 2, 3])
@pytest.mark.parametrize("activation", FIGURE_4)
def test_a_network_computes_what_figure_4_describes(activation, skipped):
    model = with_random_normalisations(preresnet.cifar(2, activation, skipped))
    expected = Reference(model, activation, skipped).logits(IMAGE, 4 if skipped == 1 else 2)
    np.testing.assert_allclose(outputs_of(model, IMAGE[None])[0], expected, rtol=1e-3, atol=1e-3)


def test_the_original_unit_is_that_of_the_paper_on_resnet():
    """With the same seed to the bit, and with the same names."""
    models = []
    for build, option in ((preresnet.cifar, "original"), (resnet.cifar, "A")):
        keras.utils.set_random_seed(1)
        models.append(build(2, option))
    ours, theirs = models
    assert [m.name for m in ours.layers[1:]] == [m.name for m in theirs.layers[1:]]
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(*(outputs_of(model, IMAGE[None]) for model in models))


def test_what_a_unit_adds_reaches_the_last_one_unchanged():
    """Section 2: the sum of all residuals, where no dimensions change; here those of one size."""
    model = with_random_normalisations(preresnet.cifar(3, "full-preactivation"))
    units = [f"conv2_{number}" for number in (1, 2, 3)]
    names = ["conv1_relu", *(f"{unit}b" for unit in units), "conv2_3_add"]
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    *parts, total = map(keras.ops.convert_to_numpy, probe(IMAGE[None].astype("float32")))
    np.testing.assert_allclose(total, sum(parts), rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------- Table 1, by hand


class Multiplied(Reference):
    """Original units of two layers, with multiplications before the addition (Figure 2)."""

    def __init__(self, model, kind, number):
        super().__init__(model)
        self.kind, self.number = kind, number

    def unit(self, x, name, stride, first):
        y, _ = self.residual(x, name, stride, first)
        passed = self.subsampled(x, stride, y.shape[2])
        if self.kind == "scaled":
            return relu(0.5 * passed + self.number * y)
        if self.kind == "dropout":  # nothing is dropped in tests
            return relu(passed + y)
        kernel, bias = self.weights[f"{name}_gate"]
        gate = 1 / (1 + np.exp(-(x[::stride, ::stride] @ kernel[0, 0] + bias)))
        return relu((1 - gate) * passed + (gate * y if self.kind == "exclusive-gating" else y))


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(("scaled", 0.5), ("scaled", 1.0), ("dropout", 0.5)),
        *(("exclusive-gating", -1.0), ("shortcut-only-gating", -1.0)),
    ],
)
def test_a_network_computes_what_figure_2_describes(kind, number):
    model = with_random_normalisations(preresnet.with_multiplied_shortcuts(2, kind, number))
    expected = Multiplied(model, kind, number).logits(IMAGE, 2)
    np.testing.assert_allclose(outputs_of(model, IMAGE[None])[0], expected, rtol=1e-3, atol=1e-3)


def test_gates_begin_at_their_bias():
    model = preresnet.with_multiplied_shortcuts(1, "exclusive-gating", -6.0)
    gates = [layer for layer in model.layers if layer.name.endswith("_gate")]
    assert len(gates) == 3
    for gate in gates:
        assert np.all(gate.get_weights()[1] == -6)


def test_half_of_what_passes_on_a_shortcut_is_dropped_while_training():
    keras.utils.set_random_seed(1)
    images = keras.Input((4, 4, 16))
    unit = preresnet.multiplied_unit(images, "conv2_2", 16, 1, "A", "dropout", 0.5)
    model = keras.Model(images, unit)
    model.get_layer("conv2_2b").set_weights([np.zeros((3, 3, 16, 16))])
    given = np.ones((50, 4, 4, 16), "float32")
    found = keras.ops.convert_to_numpy(model(given, training=True))
    assert set(np.unique(found)) == {0, 2}
    assert abs(found.mean() / 2 - 0.5) < 4 * 0.5 / np.sqrt(found.size)


# ---------------------------------------------------------------- depth and options


@pytest.mark.parametrize(
    ("skipped", "n", "depth"), [(1, 2, 14), (2, 2, 14), (3, 2, 20), (2, 9, 56), (3, 4, 38)]
)
def test_the_depth_is_6n_plus_2_and_with_bottlenecks_9n_plus_2(skipped, n, depth):
    model = unweighted(preresnet.cifar, n=n, activation="full-preactivation", skipped=skipped)
    layers = [m for m in model.layers if isinstance(m, keras.layers.Conv2D | keras.layers.Dense)]
    assert len([m for m in layers if "projection" not in m.name]) == depth


def test_the_networks_that_are_named_by_depth_have_it():
    """The experiments' networks of 56, 110, 164 and 1001 layers."""
    for experiment in PAPER.experiments:
        options = experiment.network.options
        each = 9 if options.get("skipped") == 3 else 6
        prefix = experiment.network.name.split("-")[0]
        assert int("".join(c for c in prefix if c.isdigit())) == each * options["n"] + 2
        assert ("164" in prefix or "1001" in prefix) == (each == 9)


@pytest.mark.parametrize(
    ("name", "setting", "said"),
    [
        ("preresnet110-cifar10", "activation=none", "accepted: original, bn-after-addition"),
        ("preresnet110-cifar10", "skipped=4", "from 1 to 3"),
        ("resnet110-dropout-cifar10", "shortcut=gated", "accepted: scaled, exclusive-gating"),
    ],
)
def test_what_cannot_be_set(name, setting, said):
    with pytest.raises(UsageError, match=said):
        settings.override(EXPERIMENTS[name], [f"network.{setting}"])


def test_a_share_is_no_bias():
    with pytest.raises(UsageError, match="a share from 0, below 1"):
        preresnet.with_multiplied_shortcuts(1, "dropout", -6.0)


# ---------------------------------------------------------------- recipes


def test_cifar_is_trained_as_by_resnet_but_for_400_iterations_at_a_lower_rate():
    theirs = catalog.experiment("resnet20-cifar10").recipe
    for experiment in PAPER.experiments:
        if experiment.name == "preresnet1001-cifar10-batch-64":
            continue
        recipe = experiment.recipe
        assert recipe.data == spec.Data("cifar100" if "cifar100" in experiment.name else "cifar10")
        assert recipe.optimizer.warm_up == spec.WarmUp(rate=0.01, iterations=400)
        cold = dataclasses.replace(recipe.optimizer, warm_up=None)
        same = dataclasses.replace(recipe, data=theirs.data, optimizer=cold, short_ramp=200)
        assert same == theirs, experiment.name
        classes = experiment.network.options.get("classes", 10)
        assert recipe.data.dataset == f"cifar{classes}"


def test_batches_of_64_come_with_the_schedule_of_the_authors_program():
    """KaimingHe/resnet-1k-layers: th main.lua ... -batchSize 64 -nEpochs 200."""
    experiment = EXPERIMENTS["preresnet1001-cifar10-batch-64"]
    recipe = experiment.recipe
    assert (recipe.batch, recipe.passes, recipe.iterations) == (64, 200, 0)
    assert recipe.optimizer.stretches(200) == [(0, 0.1), (80, 0.01), (121, 0.001)]
    assert experiment.network is EXPERIMENTS["preresnet1001-cifar10"].network


def test_every_verdict_takes_five_runs():
    assert {e.seeds for e in PAPER.experiments} == {5}


# ---------------------------------------------------------------- what was reported

# Test error in per cent: Tables 1, 2, 3 (of the original unit and the new one), 4.
WARMED = "-cifar10-warm-up-400"
REPORTED = {
    "resnet110-scaled-half-half-cifar10": 12.35,
    "resnet110-exclusive-gating-6-cifar10": 8.70,
    "resnet110-exclusive-gating-7-cifar10": 9.81,
    "resnet110-shortcut-only-gating-0-cifar10": 12.86,
    "resnet110-shortcut-only-gating-6-cifar10": 6.91,
    "resnet110-c-cifar10": 12.22,
    f"resnet110{WARMED}": 6.61,
    "resnet110-bn-after-addition-cifar10": 8.17,
    "resnet110-relu-before-addition-cifar10": 7.84,
    "resnet110-relu-only-preactivation-cifar10": 6.71,
    "preresnet110-cifar10": 6.37,
    "resnet164-cifar10": 5.93,
    "resnet164-bn-after-addition-cifar10": 6.50,
    "resnet164-relu-before-addition-cifar10": 6.14,
    "resnet164-relu-only-preactivation-cifar10": 5.91,
    "preresnet164-cifar10": 5.46,
    "resnet110-one-layer-cifar10": 9.90,
    "preresnet110-one-layer-cifar10": 8.91,
    "resnet1001-cifar10": 7.61,
    "preresnet1001-cifar10": 4.89,
    "preresnet1001-cifar10-batch-64": 4.69,
    "resnet164-cifar100": 25.16,
    "preresnet164-cifar100": 24.33,
    "resnet1001-cifar100": 27.82,
    "preresnet1001-cifar100": 22.68,
}
# Table 4: mean, standard deviation, median.
OF_TABLE_4 = {
    "preresnet1001-cifar10": (4.89, 0.14, "4.92"),
    "preresnet1001-cifar10-batch-64": (4.69, 0.20, "4.62"),
    "preresnet1001-cifar100": (22.68, 0.22, "22.71"),
}
FAIL = {
    f"plain110{WARMED}",
    "resnet110-scaled-half-one-cifar10",
    "resnet110-exclusive-gating-0-cifar10",
    "resnet110-dropout-cifar10",
}
STAND_INS = {
    f"resnet56{WARMED}",
    "resnet56-bn-after-addition-cifar10",
    "resnet56-relu-before-addition-cifar10",
    "resnet56-relu-only-preactivation-cifar10",
    "preresnet56-cifar10",
}


def test_tables_1_to_4():
    found = {name: [r.value for r in e.reported] for name, e in EXPERIMENTS.items()}
    assert found == {
        **{name: [value] for name, value in REPORTED.items()},
        **{name: [] for name in FAIL | STAND_INS},
    }
    for name in REPORTED:
        (number,) = EXPERIMENTS[name].reported
        assert (number.metric, number.protocol) == ("test_error", "single-view")
        mean, std, middle = OF_TABLE_4.get(name, (number.value, None, "median of five"))
        assert (number.value, number.std) == (mean, std) and middle in number.chosen
        assert number.runs == (5 if std else None)


def test_what_has_no_number_says_why():
    for name in FAIL:
        assert "fail" in EXPERIMENTS[name].note and "above 20 %" in EXPERIMENTS[name].note
    for name in STAND_INS:
        assert "no number for 56 layers" in EXPERIMENTS[name].note
        assert any("56 layers" in sentence for sentence in EXPERIMENTS[name].differs)
    assert {e.name for e in PAPER.experiments if e.differs} == {
        *STAND_INS,
        "preresnet1001-cifar10-batch-64",
    }


def test_table_5():
    found = {n.name: [r.value for r in n.reported] for n in PAPER.networks if n.reported}
    assert found == {
        "preresnet152": [21.1, 5.5],
        "resnet200": [21.8, 6.0],
        "preresnet200": [20.7, 5.3, 20.1, 4.8],
    }
    for network in PAPER.networks:
        assert [r.metric for r in network.reported[::2]] == ["test_error"] * (
            len(network.reported) // 2
        )
        for number in network.reported:
            assert number.source.startswith("Table 5, one crop of 320x320")


# ---------------------------------------------------------------- claims


def test_claims_compare_like_with_like():
    for claim in PAPER.claims:
        chain = [EXPERIMENTS[name] for name in claim.needs]
        assert len({e.recipe for e in chain}) == 1, claim.name
        assert len({e.network.name for e in chain}) == len(chain) >= 2, claim.name


def test_the_paper_bears_its_claims_out():
    """Where it prints numbers; "fail" is above 20 %. The stand-ins have none and say so."""
    numbers = {**REPORTED, **dict.fromkeys(FAIL, 20.0)}
    stand_ins = [claim for claim in PAPER.claims if set(claim.needs) & STAND_INS]
    assert len(stand_ins) == 2
    for claim in stand_ins:
        assert set(claim.needs) <= STAND_INS and claim.source.startswith("not in the paper")
    for claim in PAPER.claims:
        if claim not in stand_ins:
            assert all(numbers[a] > numbers[b] for a, b in pairwise(claim.needs)), claim.name


def test_every_shortcut_that_multiplies_is_held_against_the_identity():
    baseline = f"resnet110{WARMED}"
    against = {c.needs[0] for c in PAPER.claims if c.needs[1:] == (baseline,)}
    tables = [name for name in (*REPORTED, *FAIL) if name not in (baseline,)]
    multiplied = ("scaled", "gating", "-c-", "plain", "dropout")
    assert {name for name in tables if any(word in name for word in multiplied)} <= against


@pytest.mark.parametrize(
    "ending", ["110-cifar10", "164-cifar10", "1001-cifar10", "164-cifar100", "1001-cifar100"]
)
def test_pre_activation_is_held_against_the_original_unit(ending):
    original = f"resnet110{WARMED}" if ending == "110-cifar10" else f"resnet{ending}"
    assert (original, f"preresnet{ending}") in {claim.needs for claim in PAPER.claims}
