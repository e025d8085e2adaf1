"""The layers and stages of the papers' networks, one by one: shapes, parameters, multiply-adds.

Counted by hand from the tables of the papers and the layer files of their authors, like the sums in
test_counts.py.
"""

import pytest

keras = pytest.importorskip("keras")

from graphs import counted, layers_of
from test_counts import COUNTS, MULTIPLY_ADDS, PARAMETERS

# ---------------------------------------------------------------- layer by layer

# By layer, two towers of AlexNet together: the shape of the output, parameters, multiply-adds.
FULL_LAYERS = {
    "fc6": ([4096], 37_752_832, 37_748_736),
    "fc7": ([4096], 16_781_312, 16_777_216),
    "fc8": ([1000], 4_097_000, 4_096_000),
}
LOCAL = {
    "conv1": ([24, 24, 64], 4_864, 2_764_800),
    "pool1": ([12, 12, 64], 0, 0),
    "conv2": ([12, 12, 64], 102_464, 14_745_600),
    "pool2": ([6, 6, 64], 0, 0),
    "local3": ([6, 6, 32], 664_704, 663_552),
    "local4": ([6, 6, 32], 332_928, 331_776),
    "fc10": ([10], 11_530, 11_520),
}
WHOLE = {
    "conv1": ([32, 32, 64], 4_864, 4_915_200),
    "pool1": ([16, 16, 64], 0, 0),
    "conv2": ([16, 16, 64], 102_464, 26_214_400),
    "pool2": ([8, 8, 64], 0, 0),
    "local3": ([8, 8, 32], 1_181_696, 1_179_648),
    "local4": ([8, 8, 32], 591_872, 589_824),
    "fc10": ([10], 20_490, 20_480),
}
CIFAR_10 = {
    "conv1": ([32, 32, 192], 14_592, 14_745_600),
    "cccp1": ([32, 32, 160], 30_880, 31_457_280),
    "cccp2": ([32, 32, 96], 15_456, 15_728_640),
    "pool1": ([16, 16, 96], 0, 0),
    "conv2": ([16, 16, 192], 460_992, 117_964_800),
    "cccp3": ([16, 16, 192], 37_056, 9_437_184),
    "cccp4": ([16, 16, 192], 37_056, 9_437_184),
    "pool2": ([8, 8, 192], 0, 0),
    "conv3": ([8, 8, 192], 331_968, 21_233_664),
    "cccp5": ([8, 8, 192], 37_056, 2_359_296),
    "cccp6": ([8, 8, 10], 1_930, 122_880),
    "global_average": ([10], 0, 0),
}
LAYERS = {
    "alexnet": {
        "conv1": ([55, 55, 96], 34_944, 105_415_200),
        "pool1": ([27, 27, 96], 0, 0),
        "conv2": ([27, 27, 256], 307_456, 223_948_800),
        "pool2": ([13, 13, 256], 0, 0),
        "conv3": ([13, 13, 384], 885_120, 149_520_384),
        "conv4": ([13, 13, 384], 663_936, 112_140_288),
        "conv5": ([13, 13, 256], 442_624, 74_760_192),
        "pool5": ([6, 6, 256], 0, 0),
        **FULL_LAYERS,
    },
    "alexnet-single-tower": {
        "conv1": ([55, 55, 96], 34_944, 105_415_200),
        "pool1": ([27, 27, 96], 0, 0),
        "conv2": ([27, 27, 256], 614_656, 447_897_600),
        "pool2": ([13, 13, 256], 0, 0),
        "conv3": ([13, 13, 384], 885_120, 149_520_384),
        "conv4": ([13, 13, 384], 1_327_488, 224_280_576),
        "conv5": ([13, 13, 256], 884_992, 149_520_384),
        "pool5": ([6, 6, 256], 0, 0),
        **FULL_LAYERS,
    },
    "alexnet-one-gpu": {
        "conv1": ([55, 55, 48], 17_472, 52_707_600),
        "pool1": ([27, 27, 48], 0, 0),
        "conv2": ([27, 27, 128], 153_728, 111_974_400),
        "pool2": ([13, 13, 128], 0, 0),
        "conv3": ([13, 13, 192], 221_376, 37_380_096),
        "conv4": ([13, 13, 192], 331_968, 56_070_144),
        "conv5": ([13, 13, 256], 442_624, 74_760_192),
        "pool5": ([6, 6, 256], 0, 0),
        **FULL_LAYERS,
    },
    "alexnet-local": LOCAL,
    "alexnet-local-lrn": LOCAL,
    "alexnet-four-layers-relu": WHOLE,
    "alexnet-four-layers-tanh": WHOLE,
    "nin-cifar10": CIFAR_10,
    "nin-cifar100": {
        **CIFAR_10,
        "cccp6": ([8, 8, 100], 19_300, 1_228_800),
        "global_average": ([100], 0, 0),
    },
    "nin-mnist": {
        "conv1": ([28, 28, 96], 2_496, 1_881_600),
        "cccp1": ([28, 28, 64], 6_208, 4_816_896),
        "cccp2": ([28, 28, 48], 3_120, 2_408_448),
        "pool1": ([14, 14, 48], 0, 0),
        "conv2": ([14, 14, 128], 153_728, 30_105_600),
        "cccp3": ([14, 14, 96], 12_384, 2_408_448),
        "cccp4": ([14, 14, 48], 4_656, 903_168),
        "pool2": ([7, 7, 48], 0, 0),
        "conv3": ([7, 7, 128], 153_728, 7_526_400),
        "cccp5": ([7, 7, 96], 12_384, 602_112),
        "cccp6": ([7, 7, 10], 970, 47_040),
        "global_average": ([10], 0, 0),
    },
    "nin-svhn": {
        "conv1": ([32, 32, 128], 9_728, 9_830_400),
        "cccp1": ([32, 32, 96], 12_384, 12_582_912),
        "cccp2": ([32, 32, 64], 6_208, 6_291_456),
        "pool1": ([16, 16, 64], 0, 0),
        "conv2": ([16, 16, 320], 512_320, 131_072_000),
        "cccp3": ([16, 16, 256], 82_176, 20_971_520),
        "cccp4": ([16, 16, 128], 32_896, 8_388_608),
        "pool2": ([8, 8, 128], 0, 0),
        "conv3": ([8, 8, 384], 1_229_184, 78_643_200),
        "cccp5": ([8, 8, 256], 98_560, 6_291_456),
        "cccp6": ([8, 8, 10], 2_570, 163_840),
        "global_average": ([10], 0, 0),
    },
}
LAYERS |= {name: LAYERS["alexnet"] for name in ("alexnet-without-lrn", "alexnet-non-overlapping")}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(name):
    rows = counted(name)["layers"]
    for layer, (shape, parameters, multiply_adds) in LAYERS[name].items():
        (whole,) = [row for row in rows if row["name"] == layer]
        assert whole["output_shape"] == shape
        towers = [row for row in rows if row["name"] in (layer, f"{layer}_1", f"{layer}_2")]
        assert sum(row["parameters"] for row in towers) == parameters
        assert sum(row["multiply_adds"] for row in towers) == multiply_adds
    sums = [sum(layer[i] for layer in LAYERS[name].values()) for i in (1, 2)]
    assert tuple(sums) == COUNTS[name]  # and nothing beside these layers


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("nin")])
def test_the_layers_of_nin_in_order(name):
    rows = [row["name"] for row in counted(name)["layers"] if "dropout" not in row["name"]]
    assert rows == list(LAYERS[name])


# ---------------------------------------------------------------- stage by stage

# The layers whose names begin so: parameters, multiply-adds.
STAGES = {
    "resnet34-b": {
        "conv1": (9_536, 118_013_952),
        "conv2": (221_952, 693_633_024),
        "conv3": (1_116_416, 873_463_808),
        "conv4": (6_822_400, 1_335_885_824),
        "conv5": (13_114_368, 642_252_800),
        "fc1000": (513_000, 512_000),
    },
    "resnet50": {
        "conv1": (9_536, 118_013_952),
        "conv2": (215_808, 667_942_912),
        "conv3": (1_219_584, 950_534_144),
        "conv4": (7_098_368, 1_387_266_048),
        "conv5": (14_964_736, 732_168_192),
        "fc1000": (2_049_000, 2_048_000),
    },
    "googlenet-auxiliary": {
        "conv1": (9_472, 118_013_952),
        "conv2": (114_944, 359_661_568),
        "inception_3a": (163_696, 128_049_152),
        "inception_3b": (388_736, 304_267_264),
        "inception_4a": (376_176, 73_608_192),
        "aux_4a": (3_188_840, 4_169_728),
        "inception_4b": (449_160, 87_908_352),
        "inception_4c": (510_104, 99_850_240),
        "inception_4d": (605_376, 118_515_712),
        "aux_4d": (3_190_888, 4_202_496),
        "inception_4e": (868_352, 169_996_288),
        "inception_5a": (1_043_456, 51_079_168),
        "inception_5b": (1_444_080, 70_697_984),
        "linear": (1_025_000, 1_024_000),
    },
    "densenet40-k12": {
        "conv1": (432, 442_368),
        "block1": (108_240, 108_822_528),
        "transition1": (25_920, 26_214_400),
        "block2": (298_320, 74_981_376),
        "transition2": (93_024, 23_658_496),
        "block3": (488_400, 30_689_280),
        "final": (896, 0),
        "fc10": (4_490, 4_480),
    },
    "densenet-bc100-k12": {
        "conv1": (648, 663_552),
        "block1": (175_680, 174_587_904),
        "transition1": (23_760, 23_887_872),
        "block2": (242_880, 60_162_048),
        "transition2": (45_600, 11_520_000),
        "block3": (276_480, 17_104_896),
        "final": (684, 0),
        "fc10": (3_430, 3_420),
    },
    "densenet121": {
        "conv1": (9_536, 118_013_952),
        "block1": (335_040, 1_040_449_536),
        "transition1": (33_280, 102_760_448),
        "block2": (919_680, 712_900_608),
        "transition2": (132_096, 102_760_448),
        "block3": (2_837_760, 549_126_144),
        "transition3": (526_336, 102_760_448),
        "block4": (2_158_080, 104_366_080),
        "final": (2_048, 0),
        "fc1000": (1_025_000, 1_024_000),
    },
}
STAGES["googlenet"] = {
    stage: counts
    for stage, counts in STAGES["googlenet-auxiliary"].items()
    if not stage.startswith("aux")
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage(name):
    for stage, counts in STAGES[name].items():
        rows = [row for row in counted(name)["layers"] if row["name"].startswith(stage)]
        assert tuple(sum(row[k] for row in rows) for k in (PARAMETERS, MULTIPLY_ADDS)) == counts
    sums = tuple(map(sum, zip(*STAGES[name].values(), strict=True)))
    assert sums == COUNTS[name]  # and nothing beside the stages


# ---------------------------------------------------------------- shapes

SHAPES = {
    "googlenet-auxiliary": {
        "conv1": [112, 112, 64],
        "pool1": [56, 56, 64],
        "lrn1": [56, 56, 64],
        "conv2_reduce": [56, 56, 64],
        "conv2": [56, 56, 192],
        "lrn2": [56, 56, 192],
        "pool2": [28, 28, 192],
        "inception_3a": [28, 28, 256],
        "inception_3b": [28, 28, 480],
        "pool3": [14, 14, 480],
        "inception_4a": [14, 14, 512],
        "inception_4b": [14, 14, 512],
        "inception_4c": [14, 14, 512],
        "inception_4d": [14, 14, 528],
        "inception_4e": [14, 14, 832],
        "pool4": [7, 7, 832],
        "inception_5a": [7, 7, 832],
        "inception_5b": [7, 7, 1024],
        "avg_pool": [1024],
        "linear": [1000],
        "aux_4a_pool": [4, 4, 512],
        "aux_4a_1x1": [4, 4, 128],
        "aux_4a_fc": [1024],
        "aux_4a_linear": [1000],
        "aux_4d_pool": [4, 4, 528],
        "aux_4d_1x1": [4, 4, 128],
        "aux_4d_fc": [1024],
        "aux_4d_linear": [1000],
    },
    "resnet20": {
        "conv1_relu": [32, 32, 16],
        "conv2_3_relu": [32, 32, 16],
        "conv3_3_relu": [16, 16, 32],
        "conv4_3_relu": [8, 8, 64],
        "fc10": [10],
    },
    "resnet50": {
        "conv1_relu": [112, 112, 64],
        "max_pool": [56, 56, 64],
        "conv2_3_relu": [56, 56, 256],
        "conv3_4_relu": [28, 28, 512],
        "conv4_6_relu": [14, 14, 1024],
        "conv5_3_relu": [7, 7, 2048],
        "fc1000": [1000],
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shapes_that_layers_give(name):
    layers = layers_of(name)
    assert {layer: layers[layer]["output_shape"] for layer in SHAPES[name]} == SHAPES[name]


# (side, maps) after the first convolution, then after each block and each transition.
DENSENETS = {
    "densenet40-k12": [(32, 16), (32, 160), (16, 160), (16, 304), (8, 304), (8, 448)],
    "densenet100-k12": [(32, 16), (32, 400), (16, 400), (16, 784), (8, 784), (8, 1168)],
    "densenet100-k24": [(32, 16), (32, 784), (16, 784), (16, 1552), (8, 1552), (8, 2320)],
    "densenet-bc100-k12": [(32, 24), (32, 216), (16, 108), (16, 300), (8, 150), (8, 342)],
    "densenet-bc250-k24": [(32, 48), (32, 1032), (16, 516), (16, 1500), (8, 750), (8, 1734)],
    "densenet-bc190-k40": [(32, 80), (32, 1320), (16, 660), (16, 1900), (8, 950), (8, 2190)],
    "densenet121": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 1024), (7, 512), (7, 1024)],
    ],
    "densenet169": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 1280), (7, 640), (7, 1664)],
    ],
    "densenet201": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 1792), (7, 896), (7, 1920)],
    ],
    "densenet264": [
        *[(112, 64), (56, 256), (28, 128), (28, 512), (14, 256)],
        *[(14, 2304), (7, 1152), (7, 2688)],
    ],
    "densenet161": [
        *[(112, 96), (56, 384), (28, 192), (28, 768), (14, 384)],
        *[(14, 2112), (7, 1056), (7, 2208)],
    ],
}


@pytest.mark.parametrize("name", DENSENETS)
def test_the_shapes_that_the_stages_of_a_densenet_give(name):
    rows = {n: layer["output_shape"] for n, layer in layers_of(name).items()}
    found = [rows["conv1"]]
    for block in range(1, 5):
        ends = [shape for n, shape in rows.items() if n.startswith(f"block{block}_")]
        found += ends[-1:] + [rows[n] for n in rows if n == f"transition{block}_pool"]
    assert found == [[side, side, maps] for side, maps in DENSENETS[name]]
    of_imagenet = DENSENETS[name][0][0] == 112
    assert ("max_pool" in rows) == of_imagenet
    assert not of_imagenet or rows["max_pool"] == [56, 56, DENSENETS[name][0][1]]
    assert rows["average_pool"] == [DENSENETS[name][-1][1]]
    assert rows["fc1000" if of_imagenet else "fc10"] == [1000 if of_imagenet else 10]
