"""Every network of every paper, counted: one table of parameters and multiply-adds.

Expected values are those that the papers print, or counted by hand from the kernels in their
tables: convolutions and full layers with biases, but for the ResNets and DenseNet, whose
convolutions have none and where each map has a gamma and a beta.
"""

import json
from pathlib import Path

import pytest

keras = pytest.importorskip("keras")

from graphs import counted, model_of, unweighted

from papers import preresnet
from repro import catalog
from repro.networks import anatomy

NETWORKS = {network.name: network for network in catalog.networks()}

# Of pre-activation ResNet, the orders between the original one and full pre-activation; and the
# weights and multiply-adds of 1x1 convolutions beside all 54 units of ResNet-110.
ORDERS = ("bn-after-addition", "relu-before-addition", "relu-only-preactivation")
OF_1X1 = 18 * 16 * 16 + (16 + 17 * 32) * 32 + (32 + 17 * 64) * 64
WORK_OF_1X1 = 1024 * 18 * 16 * 16 + 256 * (16 + 17 * 32) * 32 + 64 * (32 + 17 * 64) * 64


def of_zfnet(convolutions, inputs, units):
    """With the full layers: from so many inputs to so many units, to as many, to 1,000."""
    parameters = (inputs + 1) * units + (units + 1) * units + (units + 1) * 1000
    return convolutions[0] + parameters, convolutions[1] + (inputs + units + 1000) * units


# The convolutions of networks (a) and (b) of Zeiler and Fergus, and of AlexNet.
ZFNET_A, ZFNET_B = (3_726_464, 1_109_410_944), (11_247_744, 2_380_334_208)
OF_ALEXNET = (2_334_080, 665_784_864)

# Parameters, multiply-adds.
COUNTS = {
    # Fukushima 1980, section 5: S-cells and their V-cells, 25 inputs each of 1 or 24 planes, and an
    # inhibitory weight a plane; C-cells, 25 or 4 inputs, which have no weights that learn.
    "neocognitron": (
        25 * 24 + 2 * 600 * 24 + 3 * 24,
        25 * (6_144 + 256) + 600 * (1_536 + 64 + 96 + 4) + 25 * (2_400 + 864) + 4 * 24,
    ),
    # LeCun et al. 1998, sections II.B and III.C. Of LeNet-1, the 20 pairs of maps of 1990.
    "lenet5": (60_000, 326_520),
    "lenet5-modern": (61_706, 416_520),
    "lenet1": (2_578, 57_600 + 32_000 + 1_920),
    "linear": (785 * 10, 7_840),
    "fully-connected-300": (785 * 300 + 301 * 10, 235_200 + 3_000),
    "fully-connected-300-100": (785 * 300 + 301 * 100 + 101 * 10, 235_200 + 30_000 + 1_000),
    # The tables of lecture slides, of Harley's network with its wrong row corrected.
    "teaching-10-20": (38_390, 497_000),
    "teaching-harley": (63_802, 418_600),
    # Krizhevsky et al. 2012, section 3.5 and footnote 2 of section 3.2; cuda-convnet's layer files,
    # on images of 24x24 and of 32x32 pixels.
    "alexnet": (60_965_224, 724_406_816),
    "alexnet-single-tower": (62_378_344, 1_135_256_096),
    "alexnet-one-gpu": (59_798_312, 391_514_384),
    "alexnet-without-lrn": (60_965_224, 724_406_816),
    "alexnet-non-overlapping": (60_965_224, 724_406_816),
    # On images of 127x127, ten classes: maps of 30, 14, 6 and 2 pixels a side.
    "alexnet-127": (
        60_965_224 - 8_192 * 4_096 - 4_097 * 990,
        900 * 34_848
        + 196 * 307_200
        + 36 * (884_736 + 663_552 + 442_368)
        + 1_024 * 4_096
        + 4_096**2
        + 40_960,
    ),
    "alexnet-local": (1_116_490, 18_517_248),
    "alexnet-local-lrn": (1_116_490, 18_517_248),
    "alexnet-four-layers-relu": (1_901_386, 32_919_552),
    "alexnet-four-layers-tanh": (1_901_386, 32_919_552),
    # Zeiler and Fergus 2013, Figure 3 and Table 3; the last on images of 128x128, 10 classes.
    "zfnet-a": (62_357_608, 1_168_032_896),
    "zfnet-b": (107_627_624, 2_476_704_896),
    "zfnet-a-fc2048": of_zfnet(ZFNET_A, 9_216, 2048),
    "zfnet-a-fc8192": of_zfnet(ZFNET_A, 9_216, 8192),
    "zfnet-b-fc8192": of_zfnet(ZFNET_B, 18_432, 8192),
    "zfnet-alexnet": (60_965_224, 724_406_816),
    "zfnet-alexnet-without-3-4": (59_268_712, 437_826_080),
    "zfnet-alexnet-without-7": (60_965_224 - 4097 * 4096, 724_406_816 - 4096**2),
    "zfnet-alexnet-without-6-7": (2_334_080 + 9217 * 1000, 665_784_864 + 9_216_000),
    "zfnet-alexnet-without-3-4-6-7": (637_568 + 9217 * 1000, 379_204_128 + 9_216_000),
    "zfnet-alexnet-fc2048": of_zfnet(OF_ALEXNET, 9_216, 2048),
    "zfnet-alexnet-fc8192": of_zfnet(OF_ALEXNET, 9_216, 8192),
    "zfnet-a-128": (29_990_026, 352_656_512),
    # Lin et al. 2013: the authors' layer files. A full head takes 8x8 pixels of ten maps; that of
    # the conventional trunk 4x4.
    "nin-cifar10": (966_986, 222_486_528),
    "nin-cifar10-without-dropout": (966_986, 222_486_528),
    "nin-cifar100": (984_356, 223_592_448),
    "nin-mnist": (349_674, 50_699_712),
    "nin-svhn": (1_986_026, 274_235_392),
    "nin-cifar10-fc": (966_986 + 641 * 10, 222_486_528 + 6_400),
    "nin-cifar10-fc-dropout": (966_986 + 641 * 10, 222_486_528 + 6_400),
    "nin-conventional-gap": (302_112, 37_775_360),
    "nin-conventional-fc": (302_112 + 161 * 10, 37_775_360 + 1_600),
    "nin-conventional-fc-dropout": (302_112 + 161 * 10, 37_775_360 + 1_600),
    # Simonyan and Zisserman 2014, Table 1; the last on images of 128x128, 10 classes.
    "vgg-a": (132_863_336, 7_609_090_048),
    "vgg-a-lrn": (132_863_336, 7_609_090_048),
    "vgg-b": (133_047_848, 11_308_466_176),
    "vgg-c": (133_638_952, 11_770_888_192),
    "vgg-d": (138_357_544, 15_470_264_320),
    "vgg-e": (143_667_240, 19_632_062_464),
    "vgg-b-shallow": (134_503_528, 9_356_017_664),
    "vgg-a-128": (59_601_290, 2_494_603_264),
    # Szegedy et al. 2014, the kernels of Table 1; the last with 10 classes.
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet-auxiliary": (13_378_280, 1_591_044_096),
    "googlenet-auxiliary-10": (13_378_280 - 3 * 1025 * 990, 1_591_044_096 - 3 * 1024 * 990),
    # Springenberg et al. 2014: models A, B and C, 6x6 pixels averaged; the last with 100 classes.
    "allcnn-model-a": (839_242, 138_677_760),
    "allcnn-model-b": (885_610, 157_552_128),
    "allcnn-model-c": (954_730, 228_331_008),
    "allcnn-strided-a": (839_242, 44_674_560),
    "allcnn-strided-b": (885_610, 143_396_352),
    "allcnn-strided-c": (954_730, 100_929_024),
    "allcnn-convpool-a": (1_254_250, 308_547_072),
    "allcnn-convpool-b": (1_300_618, 327_421_440),
    "allcnn-convpool-c": (1_369_738, 398_200_320),
    "allcnn-a": (1_254_250, 181_145_088),
    "allcnn-b": (1_300_618, 200_019_456),
    "allcnn-c": (1_369_738, 270_798_336),
    "allcnn-c-100-classes": (1_387_108, 271_420_416),
    # He et al. 2015, section 4.2 and Table 1.
    "resnet20": (269_722, 40_551_040),
    "resnet32": (464_154, 68_862_592),
    "resnet44": (658_586, 97_174_144),
    "resnet56": (853_018, 125_485_696),
    "resnet110": (1_727_962, 252_887_680),
    "resnet1202": (19_421_274, 2_829_238_912),
    "plain20": (269_722, 40_551_040),
    "plain32": (464_154, 68_862_592),
    "plain44": (658_586, 97_174_144),
    "plain56": (853_018, 125_485_696),
    "plain110": (1_727_962, 252_887_680),
    "resnet20-b": (272_474, 40_813_184),
    "resnet20-100-classes": (269_722 + 90 * 65, 40_551_040 + 90 * 64),
    "resnet56-b": (855_770, 125_747_840),
    "plain18": (11_515_688, 1_794_805_760),
    "plain34": (21_623_848, 3_644_493_824),
    "resnet18-a": (11_515_688, 1_794_805_760),
    "resnet18-b": (11_689_512, 1_814_073_344),
    "resnet18-c": (12_043_816, 1_878_298_624),
    "resnet34-a": (21_623_848, 3_644_493_824),
    "resnet34-b": (21_797_672, 3_663_761_408),
    "resnet34-c": (22_716_840, 3_830_747_136),
    "resnet50": (25_557_032, 3_857_973_248),
    "resnet101": (44_549_160, 7_570_194_432),
    "resnet152": (60_192_808, 11_282_415_616),
    # On images of 128x128, 10 classes: where maps have 7, 14, 28 ... pixels a side, 4, 8, 16 ...
    "resnet18-a-128": (
        11_515_688 - 513 * 990,
        (1_794_805_760 - 512_000) * 16 // 49 + 5_120,
    ),
    # He et al. 2016, Figures 2 and 4. The order within a unit changes no count, but that the
    # projections to 64, 128 and 256 maps are normalised or not.
    "preresnet56": (853_018, 125_485_696),
    "preresnet110": (1_727_962, 252_887_680),
    "preresnet164": (1_703_258, 244_500_992),
    "preresnet1001": (10_327_706, 1_487_849_984),
    "resnet164": (1_704_154, 244_500_992),
    "resnet1001": (10_328_602, 1_487_849_984),
    "preresnet164-100-classes": (1_726_388, 244_524_032),
    "preresnet1001-100-classes": (10_350_836, 1_487_873_024),
    "resnet164-100-classes": (1_704_154 + 257 * 90, 244_524_032),
    "resnet1001-100-classes": (10_328_602 + 257 * 90, 1_487_873_024),
    **{f"resnet56-{order}": (853_018, 125_485_696) for order in ORDERS},
    **{f"resnet110-{order}": (1_727_962, 252_887_680) for order in ORDERS},
    "resnet164-bn-after-addition": (1_704_154 - 2 * (64 + 128 + 256), 244_500_992),
    "resnet164-relu-before-addition": (1_704_154, 244_500_992),
    "resnet164-relu-only-preactivation": (1_704_154, 244_500_992),
    "resnet110-one-layer": (1_727_962, 252_887_680),
    "preresnet110-one-layer": (1_727_962, 252_887_680),
    "resnet110-scaled-half-one": (1_727_962, 252_887_680),
    "resnet110-scaled-half-half": (1_727_962, 252_887_680),
    "resnet110-dropout": (1_727_962, 252_887_680),
    "resnet110-c": (1_727_962 + OF_1X1 + 18 * 2 * (16 + 32 + 64), 252_887_680 + WORK_OF_1X1),
    **{
        f"resnet110-{gating}": (
            1_727_962 + OF_1X1 + 18 * (16 + 32 + 64),
            252_887_680 + WORK_OF_1X1,
        )
        for gating in (
            *("exclusive-gating-0", "exclusive-gating-6", "exclusive-gating-7"),
            *("shortcut-only-gating-0", "shortcut-only-gating-6"),
        )
    },
    # The original unit has its projections of 256 to 2,048 maps normalised. Sixteen more blocks of
    # 28x28 pixels make ResNet-200 of ResNet-152: 1x1 of 512 and of 128 maps, 3x3 of 128 between.
    "preresnet152": (60_192_808 - 2 * (256 + 512 + 1024 + 2048), 11_282_415_616),
    "resnet200": (
        60_192_808 + 16 * (2 * 512 * 128 + 9 * 128 * 128 + 2 * (128 + 128 + 512)),
        11_282_415_616 + 16 * 28 * 28 * (2 * 512 * 128 + 9 * 128 * 128),
    ),
    "preresnet200": (
        60_192_808
        + 16 * (2 * 512 * 128 + 9 * 128 * 128 + 2 * (128 + 128 + 512))
        - 2 * (256 + 512 + 1024 + 2048),
        11_282_415_616 + 16 * 28 * 28 * (2 * 512 * 128 + 9 * 128 * 128),
    ),
    # Huang et al. 2016, Tables 1 and 2. Dropout adds nothing to count.
    "densenet40-k12": (1_019_722, 264_812_928),
    "densenet100-k12": (6_979_642, 1_769_516_448),
    "densenet100-k24": (27_249_082, 6_889_347_744),
    "densenet-bc100-k12": (769_162, 287_929_692),
    "densenet-bc250-k24": (15_324_406, 5_418_785_724),
    "densenet-bc190-k40": (25_624_430, 9_301_945_740),
    "densenet40-k12-100-classes": (1_060_132, 264_853_248),
    "densenet100-k12-100-classes": (7_084_852, 1_769_621_568),
    "densenet100-k24-100-classes": (27_457_972, 6_889_556_544),
    "densenet-bc100-k12-100-classes": (800_032, 287_960_472),
    "densenet-bc250-k24-100-classes": (15_480_556, 5_418_941_784),
    "densenet-bc190-k40-100-classes": (25_821_620, 9_302_142_840),
    "densenet121": (7_978_856, 2_834_161_664),
    "densenet169": (14_149_480, 3_359_843_328),
    "densenet201": (20_013_928, 4_291_365_888),
    "densenet264": (33_337_704, 5_751_653_376),
    "densenet161": (28_681_000, 7_727_907_072),
    # On images of 128x128, 10 classes, as of ResNet-18 above.
    "densenet121-128": (
        7_978_856 - 1_025 * 990,
        (2_834_161_664 - 1_024_000) * 16 // 49 + 10_240,
    ),
}
OF_IMAGENET = (
    *(
        "alexnet-single",
        "alexnet-one",
        "alexnet-without",
        "alexnet-non",
        "zfnet",
        "vgg",
        "googlenet",
    ),
    *("plain18", "plain34", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnet200", "preresnet152", "preresnet200"),
    *("densenet121", "densenet169", "densenet201", "densenet264", "densenet161"),
)
# Logits of 1,000 classes, of 100, of a classifier and two auxiliary ones; the cells of five digits
# and another one; ten if not here.
OUTPUTS = {
    **{name: (None, 1000) for name in COUNTS if name.startswith(OF_IMAGENET)},
    "alexnet": (None, 1000),
    "vgg-a-128": (None, 10),
    "resnet18-a-128": (None, 10),
    "densenet121-128": (None, 10),
    "zfnet-a-128": (None, 10),
    **{name: (None, 100) for name in COUNTS if name.endswith("-100-classes")},
    "nin-cifar100": (None, 100),
    "googlenet-auxiliary": (None, 3, 1000),
    "neocognitron": (None, 5 + 1),
    "googlenet-auxiliary-10": (None, 3, 10),
}
# Never built here: 1,202 layers take half a minute, and each step of depth adds the same.
BY_DEPTH = ("resnet32", "resnet44", "resnet56", "resnet1202")
BY_DEPTH += ("plain32", "plain44", "plain56", "plain110", "resnet56-b")
# Of the networks of 2016 each kind is built once.
BUILT_OF_2016 = ("preresnet56", "preresnet164", "resnet164", "preresnet164-100-classes")
BY_DEPTH += tuple(
    name
    for name, network in NETWORKS.items()
    if network in preresnet.OF_CIFAR and name not in BUILT_OF_2016
)
# The same layers as the network without the ending, and dropout between them.
DROPPING = {f"{name}-dropout": name for name in COUNTS if name.startswith("densenet")}
BUILT = [name for name in COUNTS if name not in BY_DEPTH]


def both(anatomy_of_it):
    return anatomy_of_it["parameters"], anatomy_of_it["multiply_adds"]


def test_every_network_of_every_paper_is_counted():
    assert set(NETWORKS) <= {*COUNTS, *DROPPING}
    assert set(COUNTS) <= set(NETWORKS)


@pytest.mark.parametrize("name", BUILT)
def test_parameters_and_multiply_adds(name):
    assert both(counted(name)) == COUNTS[name]
    model = model_of(name)
    of_keras = model.count_params() - sum(w.shape[0] for w in model.non_trainable_weights)
    assert of_keras == COUNTS[name][0]  # Keras counts the moving averages too
    assert model.output_shape == OUTPUTS.get(name, (None, 10))


@pytest.mark.parametrize("name", sorted(set(DROPPING) & set(NETWORKS)))
def test_dropout_adds_nothing_to_a_densenet(name):
    network, twin = NETWORKS[name], NETWORKS[DROPPING[name]]
    assert network.build is twin.build
    assert {**network.options, "dropout": 0.0} == twin.options


@pytest.mark.parametrize("name", BY_DEPTH)
def test_each_step_of_depth_of_a_resnet_adds_as_much(name):
    """Six or nine layers more for each n; resnet110 and preresnet164 are built above, which shows
    that this holds."""
    build, options = NETWORKS[name].build, NETWORKS[name].options
    n = options["n"]
    one, two = (both(anatomy.anatomy(unweighted(build, **{**options, "n": m}))) for m in (1, 2))
    assert tuple(a + (n - 1) * (b - a) for a, b in zip(one, two, strict=True)) == COUNTS[name]


def test_the_kept_counts_are_those_of_the_table():
    """A network whose layers change needs its new counts in results/networks.json."""
    file = Path(__file__).parents[1] / "results" / "networks.json"
    if not file.exists():
        pytest.skip("no figure of networks is drawn yet")
    kept = json.loads(file.read_text())["networks"]
    assert kept and {name: both(entry) for name, entry in kept.items()} == {
        name: COUNTS[DROPPING.get(name, name)] for name in kept
    }, "remove it, then: repro results"


# ---------------------------------------------------------------- what the papers print

PARAMETERS, MULTIPLY_ADDS, CONNECTIONS = "parameters", "multiply_adds", "connections"
# What is printed, and how far from it the count may be: half of the last digit, but where said.
PRINTED = {
    "lenet5": {PARAMETERS: (60_000, 0), CONNECTIONS: (340_908, 0)},
    "lenet1": {PARAMETERS: (2_600, 50), MULTIPLY_ADDS: (100_000, 10_000)},  # "about"
    "teaching-10-20": {PARAMETERS: (38_390, 0)},
    "teaching-harley": {PARAMETERS: (63_802, 0)},  # corrected: 399,802 are printed
    "alexnet": {PARAMETERS: (60e6, 1e6)},  # "60 million"; 60.97 are counted
    **{name: {PARAMETERS: (133e6, 0.5e6)} for name in ("vgg-a", "vgg-a-lrn", "vgg-b")},
    "vgg-c": {PARAMETERS: (134e6, 0.5e6)},
    "vgg-d": {PARAMETERS: (138e6, 0.5e6)},
    "vgg-e": {PARAMETERS: (144e6, 0.5e6)},
    # The sums of two columns of Table 1, of which some rows do not follow from its kernels.
    "googlenet": {PARAMETERS: (6_797_700, 0.21e6), MULTIPLY_ADDS: (1.502e9, 0.09e9)},
    # Table 3, of which some do not follow from the layers: of C 0.95 million are counted.
    **{f"allcnn-{form}-a": {PARAMETERS: (0.9e6, 0.07e6)} for form in ("model", "strided")},
    **{f"allcnn-{form}-b": {PARAMETERS: (1.0e6, 0.12e6)} for form in ("model", "strided")},
    **{f"allcnn-{form}-c": {PARAMETERS: (1.3e6, 0.35e6)} for form in ("model", "strided")},
    **{name: {PARAMETERS: (1.28e6, 0.03e6)} for name in ("allcnn-convpool-a", "allcnn-a")},
    **{name: {PARAMETERS: (1.35e6, 0.05e6)} for name in ("allcnn-convpool-b", "allcnn-b")},
    **{name: {PARAMETERS: (1.4e6, 0.05e6)} for name in ("allcnn-convpool-c", "allcnn-c")},
    **{f"{kind}20": {PARAMETERS: (0.27e6, 0.005e6)} for kind in ("resnet", "plain")},
    **{f"{kind}32": {PARAMETERS: (0.46e6, 0.005e6)} for kind in ("resnet", "plain")},
    **{f"{kind}44": {PARAMETERS: (0.66e6, 0.005e6)} for kind in ("resnet", "plain")},
    **{f"{kind}56": {PARAMETERS: (0.85e6, 0.005e6)} for kind in ("resnet", "plain")},
    **{f"{kind}110": {PARAMETERS: (1.7e6, 0.05e6)} for kind in ("resnet", "plain")},
    "resnet1202": {PARAMETERS: (19.4e6, 0.05e6)},
    **{name: {MULTIPLY_ADDS: (1.8e9, 0.05e9)} for name in ("plain18", "resnet18-a")},
    **{name: {MULTIPLY_ADDS: (3.6e9, 0.05e9)} for name in ("plain34", "resnet34-a")},
    "resnet50": {MULTIPLY_ADDS: (3.8e9, 0.06e9)},  # 3.858 are counted
    "resnet101": {MULTIPLY_ADDS: (7.6e9, 0.05e9)},
    "resnet152": {MULTIPLY_ADDS: (11.3e9, 0.05e9)},
    "preresnet164": {PARAMETERS: (1.7e6, 0.05e6)},
    "preresnet1001": {PARAMETERS: (10.2e6, 0.13e6)},  # 10.33 are counted, 10.18 of convolutions
    "densenet40-k12": {PARAMETERS: (1.0e6, 0.05e6)},
    "densenet100-k12": {PARAMETERS: (7.0e6, 0.05e6)},
    "densenet100-k24": {PARAMETERS: (27.2e6, 0.05e6)},
    "densenet-bc100-k12": {PARAMETERS: (0.8e6, 0.05e6)},
    "densenet-bc250-k24": {PARAMETERS: (15.3e6, 0.05e6)},
    "densenet-bc190-k40": {PARAMETERS: (25.6e6, 0.05e6)},
    "densenet201": {PARAMETERS: (20e6, 0.05e6)},
}
PRINTED |= {f"{name}-dropout": PRINTED[name] for name in PRINTED if name.startswith("densenet")}


def test_what_the_networks_say_is_printed_is_what_the_papers_print():
    said = {name: dict(network.published) for name, network in NETWORKS.items()}
    assert {name: figures for name, figures in said.items() if figures} == {
        name: {quantity: value for quantity, (value, _) in figures.items()}
        for name, figures in PRINTED.items()
        if name in NETWORKS
    }
    assert all(network.source for network in NETWORKS.values() if network.published)


@pytest.mark.parametrize("name", sorted(set(PRINTED) & set(COUNTS)))
def test_the_counts_round_to_what_is_printed(name):
    counts = dict(zip((PARAMETERS, MULTIPLY_ADDS), COUNTS[name], strict=True))
    for quantity, (printed, apart) in PRINTED[name].items():
        count = counts.get(quantity) or counted(name)[quantity]
        assert abs(count - printed) <= apart, quantity
