"""VGG, 2014: depth alone, from 11 to 19 layers with weights.

What was new: depth, with the smallest kernels that know left from right and up from down. Three 3x3
layers see what one 7x7 layer sees, with two more rectifications and 27 weights for each pair of
maps instead of 49.

Here are the networks of Table 1, and what Tables 3 to 7 report of them on ILSVRC-2012, top-1 and
top-5. Trained and tested at one scale (256): 29.6 and 10.4 % error for A, 27.0 and 8.8 % for D,
27.3 and 9.0 % for E; trained with scales from 256 to 512 and tested at three: 24.8 and 7.5 % for D
and for E. Of the shallow network (B with each pair of 3x3 layers replaced by one of 5x5) the paper
says only that its top-1 error on a centre crop is 7 % higher than that of B (section 4.1).

Each row of Tables 3 to 5 is an experiment and one of its protocols. They build on each other:
A is drawn; B to E begin with seven layers of A; C, D and E at a scale of 384 begin with those at
256, and with jittered scales with those at 384. They need ImageNet, and have not been run. The
experiment on Imagenette, ten of its classes, shows that all is wired.

Beyond the paper's own numbers: He et al. 2015 give 15.3 and 19.6 billion multiply-adds for D and E;
the first leaves out the full layers (15.35 without them, 15.47 with them), the second has them
(19.51 and 19.63).
"""

import math
from dataclasses import replace

from papers.common import (
    ALL_DECAYED,
    COLOUR_SHIFT,
    HIDDEN_LABELS,
    IMAGENETTE_HERE,
    RESCALED,
    SCALED_DROPOUT,
    SHUFFLED,
    short_band,
    top1_and_top5,
)
from repro.carried import SAME
from repro.data.augmentation import Chain, PCAColour
from repro.data.crops import ScaleJitter, Square
from repro.data.preprocessing import ChannelMean
from repro.errors import unknown
from repro.lazy import keras, krizhevsky2012
from repro.networks.losses import SoftmaxCrossEntropy
from repro.spec import (
    SGD,
    Carried,
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

# S is the shorter side to which images are scaled for training, Q that for testing; [256;512] is
# drawn anew for each image. A protocol names the scales Q. "dense": the fully convolutional form on
# the whole image and its mirror image, the map of class scores averaged; "50-crop": so many crops
# at each scale (section 3.2).


def scored(table: str, protocol: str, top1: float, top5: float) -> tuple[Reported, ...]:
    """The errors on the validation images."""
    return top1_and_top5(f"{table}, validation images", top1, top5, protocol)


# By S, then by configuration. Table 3: one scale Q.
TABLE_3 = {
    "256": {
        "A": scored("Table 3", "dense-256", 29.6, 10.4),
        "A-LRN": scored("Table 3", "dense-256", 29.7, 10.5),
        "B": scored("Table 3", "dense-256", 28.7, 9.9),
        "C": scored("Table 3", "dense-256", 28.1, 9.4),
        "D": scored("Table 3", "dense-256", 27.0, 8.8),
        "E": scored("Table 3", "dense-256", 27.3, 9.0),
    },
    "384": {
        "C": scored("Table 3", "dense-384", 28.1, 9.3),
        "D": scored("Table 3", "dense-384", 26.8, 8.7),
        "E": scored("Table 3", "dense-384", 26.9, 8.7),
    },
    "[256;512]": {
        "C": scored("Table 3", "dense-384", 27.3, 8.8),
        "D": scored("Table 3", "dense-384", 25.6, 8.1),
        "E": scored("Table 3", "dense-384", 25.5, 8.0),
    },
}
# Table 4: three scales Q; what Table 5 calls dense are the last rows of D and E.
TABLE_4 = {
    "256": {
        "B": scored("Table 4", "dense-224-256-288", 28.2, 9.6),
        "C": scored("Table 4", "dense-224-256-288", 27.7, 9.2),
        "D": scored("Table 4", "dense-224-256-288", 26.6, 8.6),
        "E": scored("Table 4", "dense-224-256-288", 26.9, 8.7),
    },
    "384": {
        "C": scored("Table 4", "dense-352-384-416", 27.8, 9.2),
        "D": scored("Table 4", "dense-352-384-416", 26.5, 8.6),
        "E": scored("Table 4", "dense-352-384-416", 26.7, 8.6),
    },
    "[256;512]": {
        "C": scored("Table 4", "dense-256-384-512", 26.3, 8.2),
        "D": scored("Tables 4 and 5", "dense-256-384-512", 24.8, 7.5),
        "E": scored("Tables 4 and 5", "dense-256-384-512", 24.8, 7.5),
    },
}
# Table 5: the other two ways of testing.
CROPS, BOTH = "50-crop-256-384-512", "50-crop-and-dense-256-384-512"
TABLE_5 = {
    "[256;512]": {
        "D": (*scored("Table 5", CROPS, 24.6, 7.5), *scored("Table 5", BOTH, 24.4, 7.2)),
        "E": (*scored("Table 5", CROPS, 24.6, 7.4), *scored("Tables 5 and 7", BOTH, 24.4, 7.1)),
    }
}


def in_tables(scales: str, configuration: str) -> tuple[Reported, ...]:
    """What the tables have of a configuration that was trained at such scales S."""
    tables = (TABLE_3, TABLE_4, TABLE_5)
    return tuple(n for t in tables for n in t.get(scales, {}).get(configuration, ()))


# On the test images; the paper gives top-5 errors only.
ON_TEST_IMAGES = {
    "E": (
        Reported(
            "test_top5_error",
            7.3,
            "section 4.2, test images",
            "dense-256-384-512",
            chosen="S=[256;512]",
            why_not=HIDDEN_LABELS,
        ),
        Reported(
            "test_top5_error",
            7.0,
            "Table 7, test images",
            BOTH,
            chosen="S=[256;512]",
            why_not=HIDDEN_LABELS,
        ),
    ),
}

# Table 6: several networks, the average of their softmax. On the validation images D and E, by
# protocol; the other rows have test images, or seven networks that the paper does not list.
D_AND_E = {
    "dense-256-384-512": scored("Table 6", "dense-256-384-512", 24.0, 7.1),
    CROPS: scored("Table 6", CROPS, 23.9, 7.2),
    BOTH: scored("Table 6", BOTH, 23.7, 6.8),
}
SEVEN = "seven networks, the submission to ILSVRC-2014"
TABLE_6 = tuple(
    Reported(metric, value, f"Table 6, {images} images", protocol, chosen=networks, why_not=why)
    for networks, protocol, images, metric, value, why in (
        (SEVEN, "dense", "validation", "test_error", 24.7, "the paper does not list the seven"),
        (SEVEN, "dense", "validation", "test_top5_error", 7.5, "the paper does not list the seven"),
        (SEVEN, "dense", "test", "test_top5_error", 7.3, HIDDEN_LABELS),
        ("D and E", "dense-256-384-512", "test", "test_top5_error", 7.0, HIDDEN_LABELS),
        ("D and E", BOTH, "test", "test_top5_error", 6.8, HIDDEN_LABELS),
    )
)

# ------------------------------------------------------------------------------- the networks

# Table 1: the maps of the five stages, between which there is a max-pooling ...
MAPS = (64, 128, 256, 512, 512)
# ... and the side of the kernel of each layer in each stage, by configuration. "shallow" is the
# network that section 4.1 compares B with.
CONFIGURATIONS = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
    "shallow": ((5,), (5,), (5,), (5,), (5,)),
}

NAMES = {
    "A": "vgg-a",
    "A-LRN": "vgg-a-lrn",
    "B": "vgg-b",
    "C": "vgg-c",
    "D": "vgg-d",
    "E": "vgg-e",
    "shallow": "vgg-b-shallow",
}

# Section 3.1. "published": Gaussian weights of variance 0.01, as printed. "deviation": of standard
# deviation 0.01. "glorot": Glorot and Bengio 2010, of which the authors found after the submission
# that it needs no pre-training.
INITIALISATIONS = ("glorot", "published", "deviation")


def drawn(initialisation: str):
    """How weights are drawn: a new initializer. Biases are zero in each case (section 3.1)."""
    if initialisation == "published":
        return keras.initializers.RandomNormal(stddev=math.sqrt(1e-2))
    if initialisation == "deviation":
        return keras.initializers.RandomNormal(stddev=1e-2)
    if initialisation == "glorot":
        return keras.initializers.GlorotUniform()
    raise unknown("initialisation", initialisation, INITIALISATIONS)


def convolutions(x, stage: int, sides: tuple[int, ...], maps: int, initialisation: str):
    """The layers conv<stage>_1, conv<stage>_2, ...: stride 1, the image's size kept, relu."""
    for number, side in enumerate(sides, start=1):
        x = keras.layers.Conv2D(
            maps,
            side,
            padding="same",
            activation="relu",
            kernel_initializer=drawn(initialisation),
            name=f"conv{stage}_{number}",
        )(x)
    return x


def full(x, name: str, units: int, initialisation: str):
    """A full layer with relu, half of its units dropped while training (section 3.1)."""
    x = keras.layers.Dense(
        units, activation="relu", kernel_initializer=drawn(initialisation), name=name
    )(x)
    return keras.layers.Dropout(0.5, name=f"{name}_dropout")(x)


def vgg(configuration: str, initialisation: str = "glorot", classes: int = 1000, side: int = 224):
    """A column of Table 1: 224x224x3 in, five stages down to 7x7, three full layers, logits.

    side: that of the images; the paper's is 224.
    """
    if configuration not in CONFIGURATIONS:
        raise unknown("configuration", configuration, CONFIGURATIONS)
    x = images = keras.Input((side, side, 3))
    stages = zip(CONFIGURATIONS[configuration], MAPS, strict=True)
    for stage, (sides, maps) in enumerate(stages, start=1):
        x = convolutions(x, stage, sides, maps, initialisation)
        if configuration == "A-LRN" and stage == 1:  # with the parameters of AlexNet (section 2.1)
            x = krizhevsky2012.LocalResponseNormalization(
                size=5, k=2.0, alpha=1e-4, beta=0.75, name="lrn1"
            )(x)
        x = keras.layers.MaxPooling2D(2, strides=2, name=f"pool{stage}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = full(x, "fc6", 4096, initialisation)
    x = full(x, "fc7", 4096, initialisation)
    # Logits, in float32 whatever the precision is.
    x = keras.layers.Dense(
        classes, kernel_initializer=drawn(initialisation), dtype="float32", name="fc8"
    )(x)
    return keras.Model(images, x, name=NAMES[configuration])


# Table 2, in millions; A and A-LRN share a column.
PARAMETERS = {"A": 133, "A-LRN": 133, "B": 133, "C": 134, "D": 138, "E": 144}

LIMITS = {"classes": (2, 1000), "side": (32, 224)}

NETWORKS = tuple(
    Network(
        name,
        vgg,
        options={"configuration": configuration, "initialisation": "glorot"},
        choices={
            "configuration": tuple(CONFIGURATIONS),
            "initialisation": INITIALISATIONS,
        },
        limits=LIMITS,
        published={"parameters": PARAMETERS[configuration] * 1_000_000}
        if configuration in PARAMETERS
        else {},
        source="Table 2 (in millions)" if configuration in PARAMETERS else "",
        reported=ON_TEST_IMAGES.get(configuration, ()),
    )
    for configuration, name in NAMES.items()
)
# For ten classes, on images of 128x128.
SMALL = Network(
    "vgg-a-128",
    vgg,
    options={"configuration": "A", "initialisation": "glorot", "classes": 10, "side": 128},
    choices=NETWORKS[0].choices,
    limits=LIMITS,
)

# ------------------------------------------------------------------------------- the recipes

# Section 3.1. 370,000 iterations, in which the rate was divided by 10 three times; when, is chosen
# here.
IMAGENET_RECIPE = Recipe(
    data=Data("imagenet", test="validation"),
    preprocessing=(Square(256), ChannelMean(scale=1.0)),
    augmentation=Chain((ScaleJitter(224, 256, 256), PCAColour(white=255.0))),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(
        rate=0.01,
        falls=Divided(by=10, at=(160_000, 260_000, 320_000)),
        momentum=0.9,
        weight_decay=5e-4,
    ),
    passes=0,
    iterations=370_000,
    batch=256,
    initialisation="what network.initialisation names, biases 0",
)
# What begins with a trained network goes on from a rate of 0.001, as its own training did.
FURTHER_RECIPE = replace(
    IMAGENET_RECIPE,
    optimizer=replace(
        IMAGENET_RECIPE.optimizer, rate=0.001, falls=Divided(by=10, at=(100_000, 160_000))
    ),
    iterations=210_000,
    preprocessing=(Square(384), ChannelMean(scale=1.0)),
)
# S=384.
LARGER_RECIPE = replace(
    FURTHER_RECIPE, augmentation=Chain((ScaleJitter(224, 384, 384), PCAColour(white=255.0)))
)
# S drawn from 256 to 512 for each image; tested at Q = 0.5 (256 + 512) (section 4.1).
JITTERED_RECIPE = replace(
    FURTHER_RECIPE, augmentation=Chain((ScaleJitter(224, 256, 512), PCAColour(white=255.0)))
)

# Imagenette's photographs are small: 146 is to 128 as 256 is to 224.
IMAGENETTE_RECIPE = replace(
    IMAGENET_RECIPE,
    data=Data("imagenette", test="validation"),
    preprocessing=(Square(146), ChannelMean(scale=1.0)),
    augmentation=Chain((ScaleJitter(128, 146, 146), PCAColour(white=255.0))),
    optimizer=replace(
        IMAGENET_RECIPE.optimizer, rate=0.0025, falls=Divided(by=10, at=(32, 52, 64))
    ),
    passes=74,
    iterations=0,
    batch=32,
    short_factor=15,
)

# ------------------------------------------------------------------------------- the experiments

# The first four convolutions and the three full layers of A (section 3.1).
FROM_A = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")

CROPS_DIFFERS = (
    "A test image is the centre of the rescaled photograph, or ten crops of that; Tables 3 and 4 "
    "apply the network densely to the whole photograph and its mirror image.",
)
VGG_CHOSEN = (
    ALL_DECAYED,
    RESCALED,
    SCALED_DROPOUT,
    SHUFFLED,
    COLOUR_SHIFT,
    "Grey levels stay from 0 to 255, and the mean colour is that of the square centres of the "
    "photographs; the paper computes it on the training set, and does not say in which units.",
)
# Section 3.1: how the weights begin. With a variance of 0.01 the logits of A begin in the hundreds
# of millions, and the first update leaves no weight finite.
DEVIATION_DIFFERS = (
    "Weights are drawn with a standard deviation of 0.01; the paper prints a variance of 0.01, by "
    "which the first update of A overflows.",
)
GLOROT = (
    "Weights are drawn as Glorot and Bengio do, which the authors found to need no pre-training; "
)
A_GLOROT_DIFFERS = (GLOROT + "the paper draws those of A with a variance of 0.01.",)
NO_A_DIFFERS = (
    GLOROT + "the networks of the tables began with seven layers of a trained A, and drew the "
    "others with a variance of 0.01.",
)
FROM_A_CHOSEN = (
    "The first four convolutions of A begin those of the same stage and place; the paper does not "
    "say where in a deeper network it puts them.",
    "Each run begins with a run of A of its own seed, so that the spread over seeds holds A's too.",
)
LRN_BEGINNING_CHOSEN = (
    "Weights are drawn as those of A; the paper does not say whether this network began with "
    "layers of A.",
)
SHALLOW_BEGINNING_CHOSEN = (
    GLOROT + "the paper does not say how this network began. Layers of A do not fit it.",
)
SCHEDULE_DIFFERS = (
    "The rate falls after 160,000, 260,000 and 320,000 of 370,000 iterations; the paper lowered it "
    "three times, when the accuracy on the validation images, which its tables are of, no longer "
    "rose, and does not say when that was.",
)
FURTHER_DIFFERS = (
    "The rate falls after 100,000 and 160,000 of 210,000 iterations, as that of S=256 does from "
    "0.001 on; the paper lowered it when the accuracy on the validation images no longer rose, and "
    "says neither when that was nor how long this training took.",
)
JITTERED_CHOSEN = (
    "The rate begins at 0.001, as that of S=384, and goes on as long; the paper fine-tunes the "
    "network of S=384, and gives neither rate nor length of it.",
)
AT_384_CHOSEN = (
    "For one crop and ten, test images are rescaled to 384 pixels: the centre crop covers a third "
    "of that square, and three quarters of the 256 of the other networks; ten crops reach the "
    "corners of both.",
)
LRN_CHOSEN = (
    "Response normalisation follows the first convolution's relu, as in AlexNet, and alpha is not "
    "divided by the size; Table 1 has it after the convolution, and leaves relus out.",
)
SHALLOW_CHOSEN = (
    "The network is tested at the scale of 256 pixels; the paper compares it with B on a centre "
    "crop, and does not say at which scale.",
)
IMAGENETTE_DIFFERS = (
    "Ten classes instead of a thousand, crops of 128 pixels out of 146 instead of 224 out of 256, "
    "so 8,192 inputs of the first full layer instead of 25,088, and batches of 32 instead of 256.",
    "The rate falls after 32, 52 and 64 of 74 passes, which are 21,897 updates with all 9,469 "
    "photographs, instead of 370,000.",
    "The rate begins at 0.0025 instead of 0.01: from 0.01, with batches of 32, two of three runs "
    "were still at chance after four passes.",
)


# By which protocols each network is tested, beside those of its numbers.
CROPS_OF_ONE_SCALE = ("single-view", "10-crop")

# By S: what follows in the name and in the title, and the recipe.
TRAINED_AT = {
    "256": ("", "", IMAGENET_RECIPE),
    "384": ("-384", ", at a scale of 384", LARGER_RECIPE),
    "[256;512]": ("-jittered", ", scales jittered", JITTERED_RECIPE),
}


def on_imagenet(
    configuration: str,
    scales: str,
    differs: tuple[str, ...],
    chosen: tuple[str, ...],
    begins: Carried | None = None,
    initialisation: str = "deviation",
) -> Experiment:
    """A configuration trained at such scales S, with what the tables have of it."""
    network = next(network for network in NETWORKS if network.name == NAMES[configuration])
    suffix, said, recipe = TRAINED_AT[scales]
    reported = in_tables(scales, configuration)
    first = scales == "256"
    return Experiment(
        name=f"{network.name}-imagenet{suffix}",
        title=f"{network.name.upper()} on ImageNet{said}",
        network=replace(network, options={**network.options, "initialisation": initialisation}),
        recipe=recipe,
        protocols=(*CROPS_OF_ONE_SCALE, *dict.fromkeys(number.protocol for number in reported)),
        reported=reported,
        differs=(*differs, *(SCHEDULE_DIFFERS if first else FURTHER_DIFFERS)),
        chosen=(*VGG_CHOSEN, *chosen, *(() if first else AT_384_CHOSEN)),
        note="Needs ImageNet, and GPUs; vgg-a-imagenette runs without ImageNet.",
        begins=begins,
    )


def beginning_with(source: Experiment, layers: tuple[str, ...] = ("*",)) -> Carried:
    """These layers as a run of `source` ended; all layers are trained, at one rate."""
    return Carried(source.name, SAME, trained=("*",), layers=layers)


A = on_imagenet("A", "256", DEVIATION_DIFFERS, ())
AT_256 = {
    configuration: on_imagenet(
        configuration, "256", DEVIATION_DIFFERS, FROM_A_CHOSEN, beginning_with(A, FROM_A)
    )
    for configuration in "BCDE"
}
AT_384 = {
    configuration: on_imagenet(configuration, "384", (), (), beginning_with(AT_256[configuration]))
    for configuration in "CDE"
}
JITTERED = {
    configuration: on_imagenet(
        configuration, "[256;512]", (), JITTERED_CHOSEN, beginning_with(AT_384[configuration])
    )
    for configuration in "CDE"
}
LRN = on_imagenet("A-LRN", "256", DEVIATION_DIFFERS, (*LRN_BEGINNING_CHOSEN, *LRN_CHOSEN))
SHALLOW = on_imagenet(
    "shallow",
    "256",
    (),
    (*SHALLOW_BEGINNING_CHOSEN, *SHALLOW_CHOSEN),
    initialisation="glorot",
)
WITHOUT_A = replace(
    on_imagenet("D", "256", NO_A_DIFFERS, (), initialisation="glorot"),
    name="vgg-d-imagenet-glorot",
    title="VGG-D on ImageNet, without pre-training",
    reported=(),
)
IMAGENETTE = Experiment(
    name="vgg-a-imagenette",
    title="VGG-A on Imagenette, ten classes of ImageNet in small",
    network=SMALL,
    recipe=IMAGENETTE_RECIPE,
    protocols=("single-view", "10-crop"),
    differs=(*A_GLOROT_DIFFERS, *CROPS_DIFFERS, *IMAGENETTE_DIFFERS),
    chosen=VGG_CHOSEN,
    bands=(short_band(54.1, 5.2, "one seed", "mixed_bfloat16", IMAGENETTE_HERE),),
    note="A stand-in, to see that all is wired: the paper has no number for it.",
)

ENSEMBLES = tuple(
    Ensemble("D and E, S=[256;512]", (JITTERED["D"].name, JITTERED["E"].name), protocol, numbers)
    for protocol, numbers in D_AND_E.items()
)

# ------------------------------------------------------------------------------- the claims

# Of "no better" the paper gives no margin; the quarter of a point is chosen here.
CLAIMS = (
    Claim(
        name="vgg-depth",
        statement="The error falls with depth, from 11 to 13 to 16 layers.",
        source="section 4.1, Table 3",
        needs=("vgg-a-imagenet", "vgg-b-imagenet", "vgg-d-imagenet"),
        protocol="dense-256",
    ),
    Claim(
        name="vgg-saturation",
        statement="19 layers do no better than 16 by more than a quarter of a point.",
        source="section 4.1, Table 3",
        needs=("vgg-e-imagenet", "vgg-d-imagenet"),
        margin=-0.25,
        protocol="dense-256",
    ),
    Claim(
        name="vgg-kernels-of-one-pixel",
        statement="Three more layers, of 1x1 kernels, lower the error; with 3x3 kernels in their "
        "place it is lower still.",
        source="section 4.1, Table 3",
        needs=("vgg-b-imagenet", "vgg-c-imagenet", "vgg-d-imagenet"),
        protocol="dense-256",
    ),
    Claim(
        name="vgg-response-normalisation",
        statement="Response normalisation does no better by more than a quarter of a point.",
        source="section 4.1, Table 3",
        needs=("vgg-a-lrn-imagenet", "vgg-a-imagenet"),
        margin=-0.25,
        protocol="dense-256",
    ),
    Claim(
        name="vgg-small-kernels",
        statement="3x3 kernels in pairs do better than 5x5 kernels alone.",
        source="section 4.1",
        needs=("vgg-b-shallow-imagenet", "vgg-b-imagenet"),
    ),
    Claim(
        name="vgg-jitter",
        statement="Scales jittered in training, from 256 to 512, do better than 384 alone, though "
        "one scale is tested.",
        source="section 4.1, Table 3",
        needs=("vgg-d-imagenet-384", "vgg-d-imagenet-jittered"),
        protocol="dense-384",
    ),
    Claim(
        name="vgg-no-pre-training",
        statement="Drawn as Glorot and Bengio do, 16 layers that do not begin with A do no worse "
        "by more than a quarter of a point.",
        source="section 3.1",
        needs=("vgg-d-imagenet", "vgg-d-imagenet-glorot"),
        margin=-0.25,
        protocol="dense-256",
    ),
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="vgg",
    title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    authors="K. Simonyan, A. Zisserman",
    published="arXiv:1409.1556, 2014",
    experiments=(
        AT_256["D"],
        A,
        LRN,
        *(e for configuration, e in AT_256.items() if configuration != "D"),
        SHALLOW,
        *AT_384.values(),
        *JITTERED.values(),
        WITHOUT_A,
        IMAGENETTE,
    ),
    networks=(*NETWORKS, SMALL),
    claims=CLAIMS,
    ensembles=ENSEMBLES,
    reported=TABLE_6,
)
