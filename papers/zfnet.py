"""ZFNet, 2013: AlexNet looked into, and mended where the pictures showed a fault.

What was new: the deconvolutional network, which leads the activation of a unit back to the pixels
that excited it. In AlexNet it showed first filters of very high and very low frequencies with
little between them, and aliasing in the second layer from the stride of 4. With first kernels of
7x7 and a stride of 2, instead of 11x11 and 4, the error fell. `repro look` draws such pictures of
any run.

Held against the paper here: Tables 2 and 3, on the validation images of ILSVRC-2012, top-1 and
top-5. Network (a) has 38.4 and 16.5 % error, (b) with more maps in the layers 3 to 5 has 37.5 and
16.0 %, the paper's own replication of AlexNet 40.5 and 18.1 %; six networks together 36.0 and
14.7 %. Table 3 takes layers away: without the layers 3 and 4 the replication's top-1 error is
45.4 %, without 6 and 7 it is 44.8 %, without all four 71.3 %. All of this needs ImageNet, and has
not been run; the experiment on Imagenette, ten of its classes, shows that the parts work together.
Tables 4 and 5 are about features carried over to other data sets: papers/carrying.py tries that in
small.
"""

from dataclasses import replace

from papers import alexnet
from papers.common import HIDDEN_LABELS, RESCALED, SHUFFLED, top1_and_top5
from repro.data.augmentation import OneOfTenCrops
from repro.data.crops import Square
from repro.data.preprocessing import PerPixelMean
from repro.errors import UsageError, unknown
from repro.lazy import keras, krizhevsky2012, zeiler2013
from repro.networks.losses import SoftmaxCrossEntropy
from repro.spec import (
    SGD,
    Claim,
    Data,
    Divided,
    Ensemble,
    Experiment,
    Network,
    Paper,
    Recipe,
    Reported,
)

# ------------------------------------------------------------------------------- what was reported

# Table 3: top-1 on the training images, top-1 and top-5 on the validation images.
TABLE_3 = {
    "zfnet-alexnet": (35.1, 40.5, 18.1),
    "zfnet-alexnet-without-3-4": (41.8, 45.4, 22.1),
    "zfnet-alexnet-without-7": (27.4, 40.0, 18.4),
    "zfnet-alexnet-without-6-7": (27.4, 44.8, 22.4),
    "zfnet-alexnet-without-3-4-6-7": (71.1, 71.3, 50.1),
    "zfnet-alexnet-fc2048": (40.3, 41.7, 18.8),
    "zfnet-alexnet-fc8192": (26.8, 40.0, 18.1),
    "zfnet-a": (33.1, 38.4, 16.5),
    "zfnet-a-fc2048": (38.2, 40.2, 17.6),
    "zfnet-a-fc8192": (22.0, 38.8, 17.0),
    "zfnet-b": (18.8, 37.5, 16.0),
    "zfnet-b-fc8192": (10.0, 38.3, 16.9),
}
# Table 2 has the errors of these on the validation images too, that of (b) on the test images, and
# those of several networks together.
OF_TABLE_2 = ("zfnet-alexnet", "zfnet-a", "zfnet-b")


def on_test_images(top5: float, protocol: str, chosen: str = "") -> Reported:
    return Reported(
        "test_top5_error",
        top5,
        "Table 2, test images",
        protocol,
        chosen=chosen,
        why_not=HIDDEN_LABELS,
    )


ON_TEST_IMAGES = {"zfnet-b": (on_test_images(16.1, "10-crop"),)}
FIVE, SIX = "five networks (a)", "five networks (a) and one (b)"
OF_ENSEMBLES = (on_test_images(15.3, "ensemble", FIVE), on_test_images(14.8, "ensemble", SIX))

# ------------------------------------------------------------------------------- the networks

# Training details: the root mean square that no filter of a convolution may exceed.
RADIUS = 0.1

TRUNKS = ("zfnet", "alexnet")


def convolution(x, name: str, maps: int, size: int, towers: int = 1, **options):
    """A convolution with relu, its filters renormalised, its biases 0; without maps, none."""
    if not maps:
        return x
    radius = zeiler2013.RenormalisedFilters(RADIUS)
    return alexnet.convolution(
        x, name, maps, size, 0.0, towers, kernel_constraint=radius, **options
    )


def pooled(x, name: str):
    """The maxima of 3x3 windows, 2 apart; the last may reach beyond the maps."""
    return krizhevsky2012.CeilMaxPooling2D(3, strides=2, name=name)(x)


def normalised(x, name: str, lrn: bool):
    """Response normalisation with the parameters of AlexNet; without `lrn`, nothing."""
    if not lrn:
        return x
    return krizhevsky2012.LocalResponseNormalization(
        size=5, k=2.0, alpha=1e-4, beta=0.75, name=name
    )(x)


def full(x, name: str, units: int):
    """Rectified units, half of them dropped while training; without units, nothing."""
    if not units:
        return x
    x = keras.layers.Dense(
        units, activation="relu", kernel_initializer=alexnet.gaussian(0.01), name=name
    )(x)
    return krizhevsky2012.UnscaledDropout(0.5, name=f"{name}_dropout")(x)


def eight_layers(
    maps: tuple[int, int, int, int, int],
    units: tuple[int, int],
    trunk: str = "zfnet",
    classes: int = 1000,
    side: int = 224,
    lrn: bool = True,
):
    """Figure 3: images side x side x 3 in, five convolutions, three full layers, logits out.

    maps: of each convolution; units: of the first two full layers. A 0 leaves the layer out
    (Table 3). trunk: "alexnet" for the first layers of AlexNet, and its two towers. lrn: whether
    responses are normalised in the first two layers. Raises UsageError for an unknown trunk, and
    where the first or second convolution is left out.
    """
    if trunk not in TRUNKS:
        raise unknown("trunk", trunk, TRUNKS)
    if not all(maps[:2]):
        raise UsageError(f"maps={maps}: accepted is one or more in the first two layers")
    x = images = keras.Input((side, side, 3))
    if trunk == "zfnet":
        towers = 1
        x = keras.layers.ZeroPadding2D(1, name="conv1_pad")(x)
        x = convolution(x, "conv1", maps[0], 7, strides=2)  # 110x110
        x = normalised(pooled(x, "pool1"), "norm1", lrn)  # 55x55
        x = convolution(x, "conv2", maps[1], 5, strides=2)  # 26x26
        x = normalised(pooled(x, "pool2"), "norm2", lrn)  # 13x13
    else:
        towers = 2
        x = convolution(x, "conv1", maps[0], 11, strides=4)  # 55x55
        x = pooled(normalised(x, "norm1", lrn), "pool1")  # 27x27
        x = convolution(x, "conv2", maps[1], 5, towers, padding="same")
        x = pooled(normalised(x, "norm2", lrn), "pool2")  # 13x13
    x = convolution(x, "conv3", maps[2], 3, padding="same")
    x = convolution(x, "conv4", maps[3], 3, towers, padding="same")
    x = convolution(x, "conv5", maps[4], 3, towers, padding="same")
    x = keras.layers.Flatten(name="flatten")(pooled(x, "pool5"))  # of 6x6
    x = full(full(x, "fc6", units[0]), "fc7", units[1])
    # Logits, in float32 whatever the precision is.
    x = keras.layers.Dense(
        classes, kernel_initializer=alexnet.gaussian(0.01), dtype="float32", name="fc8"
    )(x)
    return keras.Model(images, x, name="zfnet")


A, B = (96, 256, 384, 384, 256), (96, 256, 512, 1024, 512)
WITHOUT_3_4 = (96, 256, 0, 0, 256)
OF_ALEXNET = {"trunk": "alexnet", "side": alexnet.SIDE}  # its images have 227x227 pixels
LIMITS = {"classes": (2, 1000), "side": (32, 256)}


def of_table_3(name: str, maps: tuple[int, ...], units: tuple[int, int], **options) -> Network:
    """A row of Table 3. Its training error is measured by no experiment here."""
    return Network(
        name,
        eight_layers,
        options={"maps": maps, "units": units, "trunk": "zfnet", "lrn": True, **options},
        choices={"trunk": TRUNKS},
        limits=LIMITS,
        reported=(
            Reported(
                "training_error",
                TABLE_3[name][0],
                "Table 3, training images",
                why_not="no run on ImageNet scores its training images here",
            ),
            *ON_TEST_IMAGES.get(name, ()),
        ),
    )


ALEXNET = of_table_3("zfnet-alexnet", A, (4096, 4096), **OF_ALEXNET)
NETWORKS = (
    of_table_3("zfnet-a", A, (4096, 4096)),
    of_table_3("zfnet-b", B, (4096, 4096)),
    of_table_3("zfnet-a-fc2048", A, (2048, 2048)),
    of_table_3("zfnet-a-fc8192", A, (8192, 8192)),
    of_table_3("zfnet-b-fc8192", B, (8192, 8192)),
    ALEXNET,
    of_table_3("zfnet-alexnet-without-3-4", WITHOUT_3_4, (4096, 4096), **OF_ALEXNET),
    of_table_3("zfnet-alexnet-without-7", A, (4096, 0), **OF_ALEXNET),
    of_table_3("zfnet-alexnet-without-6-7", A, (0, 0), **OF_ALEXNET),
    of_table_3("zfnet-alexnet-without-3-4-6-7", WITHOUT_3_4, (0, 0), **OF_ALEXNET),
    of_table_3("zfnet-alexnet-fc2048", A, (2048, 2048), **OF_ALEXNET),
    of_table_3("zfnet-alexnet-fc8192", A, (8192, 8192), **OF_ALEXNET),
)
# (a) for ten classes, on images of 128x128.
SMALL = replace(
    NETWORKS[0],
    name="zfnet-a-128",
    options={**NETWORKS[0].options, "classes": 10, "side": 128},
    reported=(),
)

# ------------------------------------------------------------------------------- the recipes

# Training details. 70 passes, in which the rate was lowered by hand; when is chosen here.
IMAGENET_RECIPE = Recipe(
    data=Data("imagenet", test="validation"),
    preprocessing=(Square(256), PerPixelMean(scale=1.0)),
    augmentation=OneOfTenCrops(224),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(rate=0.01, falls=Divided(by=10, at=(25, 45, 60)), momentum=0.9),
    passes=70,
    batch=128,
    initialisation="Gaussian of deviation 0.01, biases 0",
)
ALEXNET_RECIPE = replace(IMAGENET_RECIPE, augmentation=OneOfTenCrops(alexnet.SIDE))
# Imagenette's photographs are small: 146 is to 128 as 256 is to 224.
IMAGENETTE_RECIPE = replace(
    IMAGENET_RECIPE,
    data=Data("imagenette", test="validation"),
    preprocessing=(Square(146), PerPixelMean(scale=1.0)),
    augmentation=OneOfTenCrops(128),
)

# ------------------------------------------------------------------------------- the experiments

SCHEDULE_DIFFERS = (
    "The rate falls after 25, 45 and 60 of 70 passes; the paper lowered it by hand, when the error "
    "on the validation images no longer fell, and does not say when that was.",
)
ZFNET_CHOSEN = (
    "Weights are drawn from a Gaussian of deviation 0.01; the paper says that all are initialised "
    "to 0.01, which, taken literally, makes all filters of a layer the same.",
    "Filters are renormalised after each update. A filter is all weights that make one map, "
    "without the bias; the paper says neither when it renormalises nor what it counts as a filter.",
    "In the first two layers responses are normalised across maps, with the parameters of AlexNet "
    "(network.lrn=false leaves that out). That the paper normalises contrast after these layers is "
    "recalled, not checked, and it gives no parameters.",
    "Windows of poolings may reach beyond the maps, and a border of one pixel of zeros surrounds "
    "the images of 224x224, so that the maps have sides of 110, 55, 26, 13 and 6 (all but the last "
    "recalled, not checked); the paper does not say where the borders are.",
    "There is no weight decay; the paper does not mention any.",
    "Dropout halves the outputs of the full layers in tests, as in AlexNet, instead of doubling "
    "them in training; the paper does not say which.",
    "Test images are scored by the mean softmax of the ten crops that training takes; the paper "
    "does not say how it tests.",
    "Each pass trains on one of the ten crops of an image, drawn anew; the paper does not say in "
    "which order it takes them.",
    RESCALED,
    SHUFFLED,
)
REPLICATION_DIFFERS = (
    "Crops have 227x227 pixels; those of the paper have 224x224, from which the first layer of "
    "AlexNet does not make 55x55 maps.",
)
REPLICATION_CHOSEN = (
    "The replication is AlexNet with its two towers, trained by the recipe of ZFNet, with filters "
    "renormalised and biases of 0; the paper does not say whether its own was trained otherwise.",
    "In the replication responses are normalised across the maps of both towers, before they are "
    "pooled, as in AlexNet; the paper does not say where.",
)
IMAGENETTE_DIFFERS = (
    "Ten classes instead of a thousand, and crops of 128 pixels out of 146 instead of 224 out of "
    "256, so 2,304 inputs of the first full layer instead of 9,216.",
    "70 passes over 9,469 photographs are 5,178 updates, less than a hundredth of those on "
    "ImageNet.",
)

TITLES = {
    "zfnet-a": "ZFNet (a)",
    "zfnet-b": "ZFNet (b), with 512, 1024 and 512 maps in layers 3 to 5",
    "zfnet-a-fc2048": "ZFNet (a) with 2048 units in layers 6 and 7",
    "zfnet-a-fc8192": "ZFNet (a) with 8192 units in layers 6 and 7",
    "zfnet-b-fc8192": "ZFNet (b) with 8192 units in layers 6 and 7",
    "zfnet-alexnet": "AlexNet, replicated",
    "zfnet-alexnet-without-3-4": "AlexNet without layers 3 and 4",
    "zfnet-alexnet-without-7": "AlexNet without layer 7",
    "zfnet-alexnet-without-6-7": "AlexNet without layers 6 and 7",
    "zfnet-alexnet-without-3-4-6-7": "AlexNet without layers 3, 4, 6 and 7",
    "zfnet-alexnet-fc2048": "AlexNet with 2048 units in layers 6 and 7",
    "zfnet-alexnet-fc8192": "AlexNet with 8192 units in layers 6 and 7",
}


def on_imagenet(network: Network) -> Experiment:
    replicated = network.options["trunk"] == "alexnet"
    table = "Tables 2 and 3" if network.name in OF_TABLE_2 else "Table 3"
    return Experiment(
        name=f"{network.name}-imagenet",
        title=f"{TITLES[network.name]} on ImageNet",
        network=network,
        recipe=ALEXNET_RECIPE if replicated else IMAGENET_RECIPE,
        protocols=("10-crop", "single-view"),
        reported=top1_and_top5(
            f"{table}, validation images", *TABLE_3[network.name][1:], protocol="10-crop"
        ),
        differs=(*SCHEDULE_DIFFERS, *(REPLICATION_DIFFERS if replicated else ())),
        chosen=(*ZFNET_CHOSEN, *(REPLICATION_CHOSEN if replicated else ())),
        note="Needs ImageNet, and a GPU; zfnet-a-imagenette runs without ImageNet.",
    )


ON_IMAGENET = {network.name: on_imagenet(network) for network in NETWORKS}
IMAGENETTE = Experiment(
    name="zfnet-a-imagenette",
    title="ZFNet (a) on Imagenette, ten classes of ImageNet in small",
    network=SMALL,
    recipe=IMAGENETTE_RECIPE,
    protocols=("10-crop", "single-view"),
    differs=(*SCHEDULE_DIFFERS, *IMAGENETTE_DIFFERS),
    chosen=ZFNET_CHOSEN,
    note="A stand-in, to see that the parts work together: the paper has no number for it.",
)

ENSEMBLES = tuple(
    Ensemble(
        name,
        tuple(f"{member}-imagenet" for member in members),
        "10-crop",
        top1_and_top5("Table 2, validation images", *errors, "10-crop", chosen=name),
    )
    for name, members, errors in (
        (FIVE, ("zfnet-a",) * 5, (36.7, 15.3)),
        (SIX, ("zfnet-a",) * 5 + ("zfnet-b",), (36.0, 14.7)),
    )
)

# ------------------------------------------------------------------------------- the claims

# The paper gives no margin for the last of these; ten points are chosen here.
CLAIMS = tuple(
    Claim(
        name=f"zfnet-{name}",
        statement=statement,
        source=source,
        needs=tuple(f"{network}-imagenet" for network in needs),
        protocol="10-crop",
        margin=margin,
    )
    for name, statement, source, needs, margin in (
        (
            "first-layer",
            "A first layer with smaller kernels and a smaller stride lowers the error of AlexNet.",
            "Table 2 (by 2.1 points)",
            ("zfnet-alexnet", "zfnet-a"),
            0.0,
        ),
        (
            "middle-layers",
            "More maps in the layers 3 to 5 lower the error.",
            "Table 3 (by 0.9 points)",
            ("zfnet-a", "zfnet-b"),
            0.0,
        ),
        (
            "depth",
            "AlexNet without layers 3, 4, 6 and 7 has an error at least ten points higher than "
            "without 3 and 4 alone.",
            "Table 3 (by 25.9 points)",
            ("zfnet-alexnet-without-3-4-6-7", "zfnet-alexnet-without-3-4"),
            10.0,
        ),
    )
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="zfnet",
    title="Visualizing and Understanding Convolutional Networks",
    authors="M. D. Zeiler, R. Fergus",
    published="arXiv:1311.2901, 2013",
    experiments=(*ON_IMAGENET.values(), IMAGENETTE),
    networks=(*NETWORKS, SMALL),
    claims=CLAIMS,
    ensembles=ENSEMBLES,
    reported=OF_ENSEMBLES,
)
