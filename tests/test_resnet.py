"""ResNet (He et al. 2015): what the paper reports, and its recipes."""

import dataclasses

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from papers import resnet
from repro import catalog, settings, spec
from repro.data import datasets, preprocessing, sets
from repro.errors import UsageError
from repro.training import schedule

EXPERIMENTS = {e.name: e for e in resnet.PAPER.experiments}
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


def test_an_unknown_shortcut_cannot_be_set():
    with pytest.raises(UsageError, match=r"unknown network\.shortcut 'Z'; accepted: A, B, C, none"):
        settings.override(EXPERIMENTS["resnet20-cifar10"], ["network.shortcut=Z"])


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
