"""VGG (Simonyan and Zisserman 2014): what the paper reports, and its recipe."""

import pytest

from papers import vgg

NETWORKS = {n.name: n for n in vgg.NETWORKS}
EXPERIMENTS = {e.name: e for e in vgg.PAPER.experiments}


# ---------------------------------------------------------------- what was reported

TOP1, TOP5 = "test_error", "test_top5_error"
JITTERED = "S=[256;512], Q=256,384,512"
# Tables 3 to 5: (protocol, top-1, top-5), in per cent.
PRINTED = {
    "vgg-a": [("dense, S=256, Q=256", 29.6, 10.4)],
    "vgg-a-lrn": [("dense, S=256, Q=256", 29.7, 10.5)],
    "vgg-b": [("dense, S=256, Q=256", 28.7, 9.9), ("dense, S=256, Q=224,256,288", 28.2, 9.6)],
    "vgg-c": [
        ("dense, S=256, Q=256", 28.1, 9.4),
        ("dense, S=384, Q=384", 28.1, 9.3),
        ("dense, S=[256;512], Q=384", 27.3, 8.8),
        ("dense, S=256, Q=224,256,288", 27.7, 9.2),
        ("dense, S=384, Q=352,384,416", 27.8, 9.2),
        (f"dense, {JITTERED}", 26.3, 8.2),
    ],
    "vgg-d": [
        ("dense, S=256, Q=256", 27.0, 8.8),
        ("dense, S=384, Q=384", 26.8, 8.7),
        ("dense, S=[256;512], Q=384", 25.6, 8.1),
        ("dense, S=256, Q=224,256,288", 26.6, 8.6),
        ("dense, S=384, Q=352,384,416", 26.5, 8.6),
        (f"dense, {JITTERED}", 24.8, 7.5),
        (f"multi-crop, {JITTERED}", 24.6, 7.5),
        (f"multi-crop and dense, {JITTERED}", 24.4, 7.2),
    ],
    "vgg-e": [
        ("dense, S=256, Q=256", 27.3, 9.0),
        ("dense, S=384, Q=384", 26.9, 8.7),
        ("dense, S=[256;512], Q=384", 25.5, 8.0),
        ("dense, S=256, Q=224,256,288", 26.9, 8.7),
        ("dense, S=384, Q=352,384,416", 26.7, 8.6),
        (f"dense, {JITTERED}", 24.8, 7.5),
        (f"multi-crop, {JITTERED}", 24.6, 7.4),
        (f"multi-crop and dense, {JITTERED}", 24.4, 7.1),
    ],
    "vgg-b-shallow": [],
}


@pytest.mark.parametrize("name", PRINTED)
def test_tables_3_to_5(name):
    """On the validation images."""
    expected = {}
    for protocol, top1, top5 in PRINTED[name]:
        expected[protocol, TOP1] = top1
        expected[protocol, TOP5] = top5
    reported = [r for r in NETWORKS[name].reported if r.source.endswith(", validation images")]
    assert {(r.protocol, r.metric): r.value for r in reported} == expected
    assert len(reported) == len(expected)


def test_single_networks_on_the_test_images():
    """Section 4.2 and Table 7: of E, and top-5 only."""
    found = {
        (name, r.source, r.protocol, r.metric): r.value
        for name, network in NETWORKS.items()
        for r in network.reported
        if "validation" not in r.source
    }
    assert found == {
        ("vgg-e", "section 4.2, test images", f"dense, {JITTERED}", TOP5): 7.3,
        ("vgg-e", "Table 7, test images", f"multi-crop and dense, {JITTERED}", TOP5): 7.0,
    }


def test_which_table_prints_which_protocol():
    tables = {
        "dense, S=256, Q=256": {"Table 3"},
        "dense, S=384, Q=384": {"Table 3"},
        "dense, S=[256;512], Q=384": {"Table 3"},
        "dense, S=256, Q=224,256,288": {"Table 4"},
        "dense, S=384, Q=352,384,416": {"Table 4"},
        f"dense, {JITTERED}": {"Table 4", "Tables 4 and 5", "section 4.2"},
        f"multi-crop, {JITTERED}": {"Table 5"},
        f"multi-crop and dense, {JITTERED}": {"Table 5", "Tables 5 and 7", "Table 7"},
    }
    found = {}
    for network in NETWORKS.values():
        for number in network.reported:
            found.setdefault(number.protocol, set()).add(number.source.split(",")[0])
    assert found == tables


def test_table_6():
    """(top-1, top-5, top-5 on the test images) of several networks together."""
    printed = {
        ("seven", "dense"): (24.7, 7.5, 7.3),
        ("two", "dense"): (24.0, 7.1, 7.0),
        ("two", "multi-crop"): (23.9, 7.2, None),
        ("two", "multi-crop and dense"): (23.7, 6.8, 6.8),
    }
    expected = set()
    for (networks, way), (top1, top5, tested) in printed.items():
        row = (networks, f"ensemble, {way}")
        expected.add((*row, TOP1, "Table 6, validation images", top1))
        expected.add((*row, TOP5, "Table 6, validation images", top5))
        if tested is not None:
            expected.add((*row, TOP5, "Table 6, test images", tested))
    found = [(r.chosen.split()[0], r.protocol, r.metric, r.source, r.value) for r in vgg.TABLE_6]
    assert set(found) == expected and len(found) == len(expected)


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


def test_jittered_scales_are_those_of_table_3():
    jittered = {name for name in EXPERIMENTS if name.endswith("-jittered")}
    assert jittered == {f"vgg-{letter}-imagenet-jittered" for letter in "cde"}
    for name in jittered:
        crop = EXPERIMENTS[name].recipe.augmentation.steps[0]
        assert (crop.side, crop.smallest, crop.largest) == (224, 256, 512)


def test_the_claims_that_table_3_bears_out():
    """At S = 256, top-1: and 19 layers are 0.3 points worse than 16, not better."""
    table = {f"{vgg.NAMES[c]}-imagenet": rows[0].value for c, rows in vgg.TABLE_3.items()}
    table["vgg-d-imagenet-jittered"] = vgg.TABLE_3["D"][4].value
    for claim in vgg.CLAIMS:
        if all(name in table for name in claim.needs):
            values = [table[name] for name in claim.needs]
            assert values == sorted(values, reverse=True), claim.name
