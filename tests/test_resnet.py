"""ResNet (He et al. 2015): what the paper reports, and its recipes."""

import dataclasses
import itertools

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from papers import resnet
from repro import catalog, settings, spec
from repro.data import datasets, preprocessing, sets
from repro.errors import UsageError
from repro.training import schedule

EXPERIMENTS = {e.name: e for e in resnet.PAPER.experiments}
ON_CIFAR = {name: e for name, e in EXPERIMENTS.items() if "-cifar10" in name}
ON_IMAGENET = {name: e for name, e in EXPERIMENTS.items() if name.endswith("-imagenet")}
NETWORKS = {n.name: n for n in resnet.PAPER.networks}


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
    others = {n for n, e in ON_CIFAR.items() if e.recipe != same}
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


def test_the_recipe_for_imagenet():
    """Sections 3.4 and 4.1: batches of 256, 60 * 10^4 iterations, which are some 120 passes."""
    recipe = EXPERIMENTS["resnet34-b-imagenet"].recipe
    assert (recipe.data.dataset, recipe.data.train, recipe.data.test) == (
        *("imagenet", "train"),
        "validation",
    )
    assert (recipe.iterations, recipe.passes, recipe.batch) == (600_000, 0, 256)
    assert len(schedule.pass_ends(recipe, 1_281_167, "paper")) == 120
    method = recipe.optimizer
    assert (method.momentum, method.weight_decay, method.nesterov) == (0.9, 1e-4, False)
    assert method.decayed == "kernels" and method.warm_up is None
    rates = [rate for _, rate in schedule.rates(recipe, 600_000)]
    assert rates == pytest.approx([0.1, 0.01, 0.001, 0.0001])
    scale, colour = recipe.augmentation.steps
    assert (scale.side, scale.smallest, scale.largest) == (224, 256, 480)
    assert (type(colour).__name__, colour.deviation, colour.white) == ("PCAColour", 0.1, 255)
    assert type(recipe.loss).__name__ == "SoftmaxCrossEntropy"
    assert recipe.preprocessing[0].side == 256
    assert all(e.recipe == recipe for e in ON_IMAGENET.values())


def test_which_networks_are_trained_on_imagenet():
    deep = "plain18 plain34 resnet18-a resnet18-b resnet18-c resnet34-a resnet34-b resnet34-c"
    deeper = "resnet50 resnet101 resnet152"
    assert list(ON_IMAGENET) == [f"{name}-imagenet" for name in (deep + " " + deeper).split()]
    for name, experiment in ON_IMAGENET.items():
        assert experiment.network.name == name.removesuffix("-imagenet")
        assert {"single-view", "10-crop"} <= set(experiment.protocols)
        strided = any("first 1x1 convolution" in said for said in experiment.chosen)
        assert strided == (experiment.network.name in deeper.split()), name


def test_the_stand_in_is_resnet_18_of_table_2_in_small():
    one, whole = EXPERIMENTS["resnet18-imagenette"], EXPERIMENTS["resnet18-a-imagenet"]
    small = {**one.network.options}
    assert (small.pop("classes"), small.pop("side")) == (10, 128)
    assert small == whole.network.options and one.network.build is whole.network.build
    assert "10-crop" in one.protocols and one.recipe.batch >= 16
    assert not one.reported and "stand-in" in one.note
    jitter, colour = one.recipe.augmentation.steps
    assert (jitter.side, jitter.smallest, jitter.largest) == (
        128,
        round(256 / 1.75),
        480 / 1.75 // 1,
    )
    assert colour == whole.recipe.augmentation.steps[1]
    assert one.recipe.data.dataset == "imagenette"
    assert not any("resnet18-imagenette" in claim.experiments for claim in catalog.claims())


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


def test_an_unknown_shortcut_cannot_be_set():
    with pytest.raises(UsageError, match=r"unknown network\.shortcut 'Z'; accepted: A, B, C, none"):
        settings.override(EXPERIMENTS["resnet20-cifar10"], ["network.shortcut=Z"])


# ---------------------------------------------------------------- what was reported

# Table 6, test error in per cent.
TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.61, 1202: 7.93}


def test_table_6():
    for name, experiment in ON_CIFAR.items():
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
DENSE = "dense-224-256-384-480-640"  # section 4.1: the five scales of the shorter side
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
        (DENSE, TOP1): 21.84,
        (DENSE, TOP5): 5.71,
    },
    "resnet34-c": {
        ("10-crop", TOP1): 24.19,
        ("10-crop", TOP5): 7.40,
        (DENSE, TOP1): 21.53,
        (DENSE, TOP5): 5.60,
    },
    "resnet50": {
        ("10-crop", TOP1): 22.85,
        ("10-crop", TOP5): 6.71,
        (DENSE, TOP1): 20.74,
        (DENSE, TOP5): 5.25,
    },
    "resnet101": {
        ("10-crop", TOP1): 21.75,
        ("10-crop", TOP5): 6.05,
        (DENSE, TOP1): 19.87,
        (DENSE, TOP5): 4.60,
    },
    "resnet152": {
        ("10-crop", TOP1): 21.43,
        ("10-crop", TOP5): 5.71,
        (DENSE, TOP1): 19.38,
        (DENSE, TOP5): 4.49,
    },
}
PRINTED_IN = {
    ("10-crop", TOP1): {"Table 2", "Table 3", "Tables 2 and 3"},
    ("10-crop", TOP5): {"Table 3"},
    (DENSE, TOP1): {"Table 4"},
    (DENSE, TOP5): {"Table 4"},
}


def test_tables_2_to_5():
    for name, expected in OF_IMAGENET.items():
        numbers = (*EXPERIMENTS[f"{name}-imagenet"].reported, *NETWORKS[name].reported)
        assert len(numbers) == len(expected), name
        assert {(r.protocol, r.metric): r.value for r in numbers} == expected, name
        for number in numbers:
            table, images = number.source.split(", ")
            assert table in PRINTED_IN[number.protocol, number.metric]
            assert images == "validation images"
    assert {n.name for n in NETWORKS.values() if n.reported} <= set(OF_IMAGENET)
    (ensemble,) = resnet.PAPER.reported
    assert (ensemble.metric, ensemble.value, ensemble.source) == (
        *(TOP5, 3.57),
        "Table 5, test images",
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
    """Tables 2, 3 and 6: each number is below that of the one before; with 18 layers, about so."""
    numbers = {
        (name, number.protocol): number.value
        for name, experiment in EXPERIMENTS.items()
        for number in experiment.reported
        if number.metric == "test_error"
    }
    claims = [c for c in resnet.PAPER.claims if c.metric == "test_error"]
    on_imagenet = ["degradation", "reversal", "shortcuts", "18-layers", "options", "depth"]
    assert {c.name for c in claims} == {"resnet-depth", "resnet-over-1000-layers"} | {
        f"resnet-imagenet-{name}" for name in on_imagenet
    }
    for claim in claims:
        values = [numbers[name, claim.protocol] for name in claim.needs]
        falls = [before - after for before, after in itertools.pairwise(values)]
        assert all(fall > claim.margin for fall in falls), claim.name
        assert (claim.margin < 0) == (claim.name == "resnet-imagenet-18-layers")


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
