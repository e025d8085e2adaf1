"""AlexNet (Krizhevsky et al. 2012): what the paper reports, and its recipes."""

import pytest

keras = pytest.importorskip("keras")

from papers import alexnet
from repro import spec
from repro.networks import optimizers
from repro.training import schedule

NETWORKS = {n.name: n for n in alexnet.NETWORKS}
EXPERIMENTS = {e.name: e for e in alexnet.PAPER.experiments}


# ---------------------------------------------------------------- what was reported


def numbers(reported):
    return [(r.source, r.protocol, r.metric, r.value) for r in reported]


TOP1, TOP5 = "test_error", "test_top5_error"


def test_tables_1_and_2():
    test_2010 = "ILSVRC-2010 test images"
    validation = "Table 2, ILSVRC-2012 validation images"
    assert numbers(NETWORKS["alexnet"].reported) == [
        (f"Table 1, {test_2010}", "10-crop", TOP1, 37.5),
        (f"Table 1, {test_2010}", "10-crop", TOP5, 17.0),
        (f"section 6, a footnote, {test_2010}", "single-view", TOP1, 39.0),
        (f"section 6, a footnote, {test_2010}", "single-view", TOP5, 18.3),
    ]
    assert numbers(EXPERIMENTS["alexnet-imagenet"].reported) == [
        (validation, "10-crop", TOP1, 40.7),
        (validation, "10-crop", TOP5, 18.2),
    ]
    assert [(r.value, r.metric, r.protocol) for r in alexnet.OTHERS] == [
        (16.4, TOP5, "10-crop"),
        (39.0, TOP1, "10-crop"),
        (16.6, TOP5, "10-crop"),
        (36.7, TOP1, "10-crop"),
        (15.4, TOP5, "10-crop"),
        (15.3, TOP5, "10-crop"),
        (67.4, TOP1, "protocol not given"),
        (40.9, TOP5, "protocol not given"),
    ]
    of_test_images = [r.value for r in alexnet.OTHERS if "2012 test images" in r.source]
    assert of_test_images == [16.4, 15.3]
    (five,) = alexnet.PAPER.ensembles
    assert five.members == ("alexnet-imagenet",) * 5
    assert numbers(five.reported) == [
        (validation, "10-crop", TOP1, 38.1),
        (validation, "10-crop", TOP5, 16.4),
    ]


def test_the_numbers_for_cifar_10():
    found = {name: (r.metric, r.value) for name, r in alexnet.SECTION_3_3.items()}
    assert found == {"alexnet-local": (TOP1, 13.0), "alexnet-local-lrn": (TOP1, 11.0)}
    assert set(found) < set(NETWORKS)


def test_networks_that_are_compared_differ_in_one_thing():
    def different(one, other):
        one, other = NETWORKS[one].options, NETWORKS[other].options
        return {key for key in {*one, *other} if one.get(key) != other.get(key)}

    assert different("alexnet", "alexnet-single-tower") == {"towers"}
    assert different("alexnet-single-tower", "alexnet-one-gpu") == {"maps"}
    assert different("alexnet-local", "alexnet-local-lrn") == {"lrn", "divided"}
    assert different("alexnet-four-layers-relu", "alexnet-four-layers-tanh") == {"activation"}
    assert different("alexnet-local", "alexnet-four-layers-relu") == {"side"}


# ---------------------------------------------------------------- recipes

ON_CROPS = ("alexnet-local-cifar10", "alexnet-local-lrn-cifar10")


@pytest.mark.parametrize("name", ON_CROPS)
def test_the_recipe_of_cuda_convnets_parameter_files(name):
    """epsW 0.001, epsB 0.002, momentum 0.9; wc 0.004 where weights are not shared, and for fc10."""
    recipe = EXPERIMENTS[name].recipe
    model = alexnet.four_layers(24, lrn="lrn" in name)
    found = {}
    for layer in model.layers:
        for variable in layer.trainable_variables:
            rate, decay = optimizers.factor_and_decay(recipe.optimizer, variable)
            found[f"{layer.name} {variable.name}"] = (0.001 * rate, decay)
    decayed = {"local3", "local4", "fc10"}
    for layer in ("conv1", "conv2", *decayed):
        expected = 0.004 if layer in decayed else 0.0
        assert found.pop(f"{layer} kernel") == (0.001, expected)
        assert found.pop(f"{layer} bias") == (0.002, 0.0)
    assert not found
    assert (recipe.batch, recipe.optimizer.momentum) == (128, 0.9)
    assert (recipe.augmentation.side, recipe.augmentation.flip) == (24, True)


@pytest.mark.parametrize(
    ("name", "of_four_fifths", "of_all"), [(ON_CROPS[0], 100, 40), (ON_CROPS[1], 300, 150)]
)
def test_as_many_updates_as_cuda_convnet_makes(name, of_four_fifths, of_all):
    """Passes over 40,000 images, over 50,000, and ten each at a tenth and a hundredth."""
    recipe = EXPERIMENTS[name].recipe
    whole = of_four_fifths * 40_000 + of_all * 50_000
    last = schedule.pass_ends(recipe, 50_000, "paper")[-1]
    assert last == pytest.approx((whole + 20 * 50_000) / 128, abs=1)
    first = [first * 128 for first, _ in schedule.rates(recipe, last)]
    assert first == pytest.approx([0, whole, whole + 10 * 50_000], abs=128)
    rates = [rate for _, rate in recipe.optimizer.stretches(recipe.passes)]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5])


def test_at_short_scale_both_networks_are_trained_equally_long():
    recipes = [EXPERIMENTS[name].recipe for name in ON_CROPS]
    plain, normalised = (schedule.pass_ends(recipe, 50_000, "short") for recipe in recipes)
    assert plain == normalised


def test_ten_views_of_a_test_image_and_the_error_of_section_3_3():
    for name, value in zip(ON_CROPS, (13.0, 11.0), strict=True):
        experiment = EXPERIMENTS[name]
        assert experiment.protocols == ("10-crop", "single-view")
        assert [(r.value, r.protocol) for r in experiment.reported] == [(value, "10-crop")]


def test_figure_1_is_trained_without_regularisation_of_any_kind():
    pair = [EXPERIMENTS[f"alexnet-four-layers-{kind}-cifar10"] for kind in ("tanh", "relu")]
    for experiment in pair:
        recipe = experiment.recipe
        assert recipe.augmentation is None and recipe.data == spec.Data("cifar10")
        model = experiment.network.build(**experiment.network.options)
        for variable in model.trainable_variables:
            assert optimizers.factor_and_decay(recipe.optimizer, variable)[1] == 0
    (claim,) = (c for c in alexnet.CLAIMS if c.metric == "passes_to_25")
    assert claim.needs == tuple(e.name for e in pair)
    (figure,) = alexnet.PAPER.figures
    assert [names for _, names in figure.panels] == [(e.name,) for e in pair]  # tanh is dashed


def test_the_recipe_of_sections_2_4_and_5():
    recipe = EXPERIMENTS["alexnet-imagenet"].recipe
    method = recipe.optimizer
    assert (recipe.batch, method.momentum, method.weight_decay) == (128, 0.9, 0.0005)
    rates = [rate for _, rate in method.stretches(recipe.passes)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert recipe.passes == 90
    crop, colour = recipe.augmentation.steps
    assert (crop.side, crop.flip, colour.deviation) == (227, True, 0.1)
    assert recipe.preprocessing[0].side == 256
    for experiment in EXPERIMENTS.values():
        if experiment.name.endswith("imagenet"):
            assert experiment.recipe == recipe


def test_the_stand_in_is_alexnet_in_small():
    """Caffe's replication begins the biases at 0.1."""
    one, whole = EXPERIMENTS["alexnet-imagenette"], EXPERIMENTS["alexnet-imagenet"]
    small = {**one.network.options}
    assert (small.pop("classes"), small.pop("side"), small.pop("bias")) == (10, 127, 0.1)
    assert small == {k: v for k, v in whole.network.options.items() if k != "bias"}
    assert "10-crop" in one.protocols and one.recipe.batch >= 16
    assert not one.reported and "stand-in" in one.note
    crop, colour = one.recipe.augmentation.steps
    assert (crop.side, one.recipe.preprocessing[0].side) == (127, round(256 * 127 / 227))
    assert colour == whole.recipe.augmentation.steps[1]
    assert one.recipe.data.dataset == "imagenette"
