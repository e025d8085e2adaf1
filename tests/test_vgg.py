"""VGG (Simonyan and Zisserman 2014): what the paper reports, and its recipe."""

import pytest

from papers import vgg
from repro import catalog

NETWORKS = {n.name: n for n in vgg.NETWORKS}
EXPERIMENTS = {e.name: e for e in vgg.PAPER.experiments}


# ---------------------------------------------------------------- what was reported

TOP1, TOP5 = "test_error", "test_top5_error"
# Tables 3 to 5, on the validation images: (protocol, top-1, top-5), in per cent.
PRINTED = {
    "vgg-a-imagenet": [("dense-256", 29.6, 10.4)],
    "vgg-a-lrn-imagenet": [("dense-256", 29.7, 10.5)],
    "vgg-b-imagenet": [("dense-256", 28.7, 9.9), ("dense-224-256-288", 28.2, 9.6)],
    "vgg-c-imagenet": [("dense-256", 28.1, 9.4), ("dense-224-256-288", 27.7, 9.2)],
    "vgg-c-imagenet-384": [("dense-384", 28.1, 9.3), ("dense-352-384-416", 27.8, 9.2)],
    "vgg-c-imagenet-jittered": [("dense-384", 27.3, 8.8), ("dense-256-384-512", 26.3, 8.2)],
    "vgg-d-imagenet": [("dense-256", 27.0, 8.8), ("dense-224-256-288", 26.6, 8.6)],
    "vgg-d-imagenet-384": [("dense-384", 26.8, 8.7), ("dense-352-384-416", 26.5, 8.6)],
    "vgg-d-imagenet-jittered": [
        ("dense-384", 25.6, 8.1),
        ("dense-256-384-512", 24.8, 7.5),
        ("50-crop-256-384-512", 24.6, 7.5),
        ("50-crop-and-dense-256-384-512", 24.4, 7.2),
    ],
    "vgg-e-imagenet": [("dense-256", 27.3, 9.0), ("dense-224-256-288", 26.9, 8.7)],
    "vgg-e-imagenet-384": [("dense-384", 26.9, 8.7), ("dense-352-384-416", 26.7, 8.6)],
    "vgg-e-imagenet-jittered": [
        ("dense-384", 25.5, 8.0),
        ("dense-256-384-512", 24.8, 7.5),
        ("50-crop-256-384-512", 24.6, 7.4),
        ("50-crop-and-dense-256-384-512", 24.4, 7.1),
    ],
    "vgg-b-shallow-imagenet": [],
    "vgg-d-imagenet-glorot": [],
    "vgg-a-imagenette": [],
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tables_3_to_5(name):
    expected = [
        number
        for protocol, top1, top5 in PRINTED[name]
        for number in ((protocol, TOP1, top1), (protocol, TOP5, top5))
    ]
    reported = EXPERIMENTS[name].reported
    assert [(r.protocol, r.metric, r.value) for r in reported] == expected
    assert all(r.source.endswith(", validation images") for r in reported)


def test_each_number_names_the_table_that_has_it():
    """Each row of Table 3 has one scale Q, each of Table 4 three; dense in Table 5 is Table 4's."""
    tables = {
        "dense-256": {"Table 3"},
        "dense-384": {"Table 3"},
        "dense-224-256-288": {"Table 4"},
        "dense-352-384-416": {"Table 4"},
        "dense-256-384-512": {"Table 4", "Tables 4 and 5"},
        "50-crop-256-384-512": {"Table 5"},
        "50-crop-and-dense-256-384-512": {"Table 5", "Tables 5 and 7"},
    }
    found = {}
    for experiment in EXPERIMENTS.values():
        for number in experiment.reported:
            found.setdefault(number.protocol, set()).add(number.source.split(",")[0])
    assert found == tables


def test_what_has_no_experiment_is_of_images_without_labels():
    """Section 4.2 and Table 7: of E, top-5 only."""
    found = {
        (name, r.source, r.protocol, r.metric): r.value
        for name, network in NETWORKS.items()
        for r in network.reported
    }
    assert found == {
        ("vgg-e", "section 4.2, test images", "dense-256-384-512", TOP5): 7.3,
        ("vgg-e", "Table 7, test images", "50-crop-and-dense-256-384-512", TOP5): 7.0,
    }
    assert all("not public" in r.why_not for n in NETWORKS.values() for r in n.reported)


def test_table_6():
    """(top-1, top-5, top-5 on the test images) of several networks together."""
    three = "256-384-512"
    printed = {
        f"dense-{three}": (24.0, 7.1, 7.0),
        f"50-crop-{three}": (23.9, 7.2, None),
        f"50-crop-and-dense-{three}": (23.7, 6.8, 6.8),
    }
    two = {e.protocol: e for e in vgg.ENSEMBLES}
    rest = {
        ("seven", "dense", TOP1, "Table 6, validation images", 24.7),
        ("seven", "dense", TOP5, "Table 6, validation images", 7.5),
        ("seven", "dense", TOP5, "Table 6, test images", 7.3),
    }
    assert two.keys() == printed.keys()
    for protocol, (top1, top5, tested) in printed.items():
        found = {(r.metric, r.source, r.value) for r in two[protocol].reported}
        validation = "Table 6, validation images"
        assert found == {(TOP1, validation, top1), (TOP5, validation, top5)}
        assert two[protocol].members == ("vgg-d-imagenet-jittered", "vgg-e-imagenet-jittered")
        if tested is not None:
            rest.add(("D", protocol, TOP5, "Table 6, test images", tested))
    found = [(r.chosen.split()[0], r.protocol, r.metric, r.source, r.value) for r in vgg.TABLE_6]
    assert set(found) == rest and len(found) == len(rest)


# ---------------------------------------------------------------- the recipe


def test_the_recipe_of_section_3_1():
    recipe = EXPERIMENTS["vgg-d-imagenet"].recipe
    method = recipe.optimizer
    assert (recipe.batch, recipe.iterations) == (256, 370_000)
    assert (method.momentum, method.weight_decay) == (0.9, 5e-4)
    rates = [rate for _, rate in method.stretches(recipe.iterations)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    jitter, colour = recipe.augmentation.steps
    assert (jitter.side, jitter.smallest, jitter.largest) == (224, 256, 256)
    assert colour.deviation == 0.1
    passes = 370_000 * 256 / 1_281_167  # of the photographs of ILSVRC-2012
    assert passes == pytest.approx(74, abs=0.1)  # section 3.1


FURTHER = [(letter, "-384") for letter in "cde"] + [(letter, "-jittered") for letter in "cde"]


@pytest.mark.parametrize(("letter", "suffix"), FURTHER)
def test_what_goes_on_from_a_trained_network(letter, suffix):
    """Section 3.1: S=384 begins with S=256, at 0.001; [256;512] is fine-tuned from S=384."""
    experiment = EXPERIMENTS[f"vgg-{letter}-imagenet{suffix}"]
    recipe, begins = experiment.recipe, experiment.begins
    crop = recipe.augmentation.steps[0]
    smallest, largest, before = {"-384": (384, 384, ""), "-jittered": (256, 512, "-384")}[suffix]
    assert (crop.side, crop.smallest, crop.largest) == (224, smallest, largest)
    assert begins.source == f"vgg-{letter}-imagenet{before}"
    assert (begins.scale, begins.trained, begins.layers) == ("same", ("*",), ("*",))
    rates = [rate for _, rate in recipe.optimizer.stretches(recipe.iterations)]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5])
    assert (recipe.batch, recipe.optimizer.momentum) == (256, 0.9)
    # What S=256 has left once its rate is 0.001, here.
    first = EXPERIMENTS["vgg-d-imagenet"].recipe
    starts = [start for start, _ in first.optimizer.stretches(first.iterations)]
    assert recipe.iterations == first.iterations - starts[1]
    further = [start for start, _ in recipe.optimizer.stretches(recipe.iterations)]
    assert further == [start - starts[1] for start in starts[1:]]


def test_what_begins_with_a_and_what_is_drawn():
    """Section 3.1: the first four convolutions, the last three layers; all are trained."""
    seven = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
    of_a = {name for name, e in EXPERIMENTS.items() if e.begins and "vgg-a" in e.begins.source}
    assert of_a == {f"vgg-{letter}-imagenet" for letter in "bcde"}
    for name in of_a:
        begins = EXPERIMENTS[name].begins
        assert (begins.source, begins.scale) == ("vgg-a-imagenet", "same")
        assert (begins.layers, begins.trained) == (seven, ("*",))
    drawn = {name for name, e in EXPERIMENTS.items() if not e.begins}
    assert drawn == {
        "vgg-a-imagenet",
        "vgg-a-lrn-imagenet",
        "vgg-b-shallow-imagenet",
        "vgg-d-imagenet-glorot",
        "vgg-a-imagenette",
    }
    for name, experiment in EXPERIMENTS.items():
        drawn_by = experiment.network.options["initialisation"]
        glorot = name.endswith("glorot") or "shallow" in name or name.endswith("imagenette")
        assert drawn_by == ("glorot" if glorot else "deviation"), name


def test_the_chain_from_a_to_jittered_scales():
    """Each run takes the one before it at its own scale."""
    for scale in ("paper", "short", "smoke"):
        assert catalog.sources(EXPERIMENTS["vgg-e-imagenet-jittered"], scale) == [
            ("vgg-a-imagenet", scale),
            ("vgg-e-imagenet", scale),
            ("vgg-e-imagenet-384", scale),
        ]


def test_the_claims_that_the_paper_bears_out():
    """Table 3, top-1: at S = 256 19 layers are 0.3 points worse than 16, not better."""
    for claim in vgg.CLAIMS:
        table = {
            name: top1
            for name, rows in PRINTED.items()
            for protocol, top1, _ in rows
            if protocol == claim.protocol
        }
        values = [table[name] for name in claim.needs if name in table]
        if len(values) == len(claim.needs):
            assert values == sorted(values, reverse=True), claim.name
        else:  # no number is printed
            assert claim.name in ("vgg-small-kernels", "vgg-no-pre-training")
        assert all(name in EXPERIMENTS for name in claim.needs)
    assert {c.protocol for c in vgg.CLAIMS} == {"dense-256", "dense-384", "single-view"}
