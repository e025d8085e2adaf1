"""GoogLeNet, 2014: Inception modules, 22 layers with weights, and few weights in them.

What was new: the Inception module, in which kernels of several sizes look at the same maps side by
side and 1x1 convolutions first make fewer maps of them, so that a deep network needs few weights
and operations (12 times fewer weights than AlexNet, the paper says; 8.7 times, by the layers of
both); average pooling where there were full layers; and two auxiliary classifiers that send
gradient into the middle of the network.

Held against the paper here: the layers of Table 1, and what Tables 2 and 3 report on ILSVRC-2014,
top-5: 10.07 % error for one network and one crop, 7.89 % with 144 crops, 6.67 % for seven networks.
The paper prints no top-1 error. The experiment needs ImageNet, and has not been run. That on
Imagenette, ten of its classes, shows that all is wired, and is never held against the paper. No
experiment here shows what the paper says is gained by average pooling (0.6 % of top-1 accuracy) or
by auxiliary classifiers.

Table 1's columns of parameters and operations do not all follow from its own layers, which are what
is built here. Counted without biases, and with K for 1024, the rows agree with their layers to 2 %
or to the last digit printed, but for three: conv1 (2.7K and 34M printed, 9.2K and 118M counted; the
printed ones are those of a separable convolution of depth multiplier 8), 4c (463K, 497K) and 5a
(1072K and 54M, 1018K and 51M).
"""

from dataclasses import replace

from papers.common import (
    AVERAGED_FIRST,
    HIDDEN_LABELS,
    IMAGENETTE_HERE,
    SCALED_DROPOUT,
    SHUFFLED,
    short_band,
)
from repro.data.augmentation import Chain
from repro.data.crops import InceptionCrop, PhotometricDistortions, Square
from repro.data.preprocessing import ChannelMean
from repro.errors import unknown
from repro.lazy import keras, krizhevsky2012, layers
from repro.networks.losses import AuxiliaryCrossEntropy
from repro.spec import SGD, Data, Decreased, Ensemble, Experiment, Network, Paper, Recipe, Reported

# ------------------------------------------------------------------------------- what was reported

# Table 3: one network.
BEST = "the one of seven with the lowest top-1 error on these images"
ONE_CROP, TEN_CROPS, ALL_CROPS = (
    Reported("test_top5_error", value, "Table 3, validation images", protocol, chosen=BEST)
    for protocol, value in (("single-view", 10.07), ("10-crop", 9.15), ("144-crop", 7.89))
)
# Tables 2 and 3: seven networks together, by protocol.
SEVEN = {
    protocol: (
        Reported(
            "test_top5_error",
            value,
            "Table 3, validation images",
            protocol,
            chosen="seven networks, one of them wider; the paper does not say how much",
        ),
    )
    for protocol, value in (("single-view", 8.09), ("10-crop", 7.62), ("144-crop", 6.67))
}
ON_TEST_IMAGES = Reported(
    "test_top5_error",
    6.67,
    "Table 2, test images",
    "144-crop",
    chosen="the same seven networks",
    why_not=HIDDEN_LABELS,
)

# ------------------------------------------------------------------------------- the networks

# Table 1: maps of "#1x1", "#3x3 reduce", "#3x3", "#5x5 reduce", "#5x5", "pool proj".
TABLE_1 = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# The paper does not say how weights are drawn.
INITIALISATIONS = ("glorot", "he")


def drawn(initialisation: str):
    """How weights are drawn: a new initializer. Biases are zero in either case."""
    if initialisation == "glorot":
        return keras.initializers.GlorotUniform()
    if initialisation == "he":
        return layers.he()
    raise unknown("initialisation", initialisation, INITIALISATIONS)


def convolution(x, name: str, maps: int, side: int, initialisation: str, stride: int = 1):
    """A convolution with relu; the border is zeros, side // 2 of them on every side."""
    return layers.zero_bordered_convolution(
        x,
        name,
        maps,
        side,
        stride,
        activation="relu",
        kernel_initializer=drawn(initialisation),
    )


def max_pool(x, name: str):
    """3x3, stride 2. The last window may reach beyond the image, so that the side is halved."""
    return krizhevsky2012.CeilMaxPooling2D(3, strides=2, name=name)(x)


def normalised(x, name: str, wanted: bool):
    """Local response normalisation with the parameters of AlexNet, where it is `wanted`."""
    if not wanted:
        return x
    return krizhevsky2012.LocalResponseNormalization(
        size=5, k=2.0, alpha=1e-4, beta=0.75, name=name
    )(x)


def inception(x, name: str, maps: tuple[int, ...], initialisation: str):
    """An Inception module with dimension reduction (Figure 2b); `maps` is a row of Table 1."""
    one, three_reduce, three, five_reduce, five, pool_projection = maps

    def convolved(x, part, maps, side):
        return convolution(x, f"{name}_{part}", maps, side, initialisation)

    pooled = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches = [
        convolved(x, "1x1", one, 1),
        convolved(convolved(x, "3x3_reduce", three_reduce, 1), "3x3", three, 3),
        convolved(convolved(x, "5x5_reduce", five_reduce, 1), "5x5", five, 5),
        convolved(pooled, "pool_proj", pool_projection, 1),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def linear(x, name: str, classes: int, initialisation: str):
    """Logits, in float32 whatever the precision is."""
    return keras.layers.Dense(
        classes, kernel_initializer=drawn(initialisation), dtype="float32", name=name
    )(x)


def auxiliary_classifier(x, name: str, classes: int, initialisation: str):
    """The head of section 5: 14x14 maps, averaged to 4x4, 128 maps, 1024 units, logits."""
    x = keras.layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)
    x = convolution(x, f"{name}_1x1", 128, 1, initialisation)
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    x = keras.layers.Dense(
        1024, activation="relu", kernel_initializer=drawn(initialisation), name=f"{name}_fc"
    )(x)
    x = keras.layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return linear(x, f"{name}_linear", classes, initialisation)


def googlenet(
    auxiliary: bool = False,
    lrn: bool = True,
    initialisation: str = "glorot",
    classes: int = 1000,
):
    """The network of Table 1: 224x224x3 in, logits out.

    auxiliary: with both auxiliary classifiers, as in training; the logits [batch, 3, classes] are
        then the network's own, those after 4a and those after 4d.
    lrn: local response normalisation after the first pooling and after the 3x3 convolution that
        follows it (Figure 3).
    """

    def modules(x, *names):
        for name in names:
            x = inception(x, f"inception_{name}", TABLE_1[name], initialisation)
        return x

    images = keras.Input((224, 224, 3))
    x = convolution(images, "conv1", 64, 7, initialisation, stride=2)  # 112x112x64
    x = normalised(max_pool(x, "pool1"), "lrn1", lrn)
    x = convolution(x, "conv2_reduce", 64, 1, initialisation)
    x = convolution(x, "conv2", 192, 3, initialisation)  # 56x56x192
    x = max_pool(normalised(x, "lrn2", lrn), "pool2")
    x = max_pool(modules(x, "3a", "3b"), "pool3")  # 14x14x480
    after_4a = modules(x, "4a")
    after_4d = modules(after_4a, "4b", "4c", "4d")
    x = max_pool(modules(after_4d, "4e"), "pool4")  # 7x7x832
    x = modules(x, "5a", "5b")  # 7x7x1024
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = linear(keras.layers.Dropout(0.4, name="dropout")(x), "linear", classes, initialisation)
    if auxiliary:
        heads = (("aux_4a", after_4a), ("aux_4d", after_4d))
        x = [x, *[auxiliary_classifier(y, name, classes, initialisation) for name, y in heads]]
        x = keras.ops.stack(x, axis=1)
    return keras.Model(images, x, name="googlenet")


GOOGLENET = Network(
    "googlenet",
    googlenet,
    options={"auxiliary": False, "lrn": True, "initialisation": "glorot"},
    choices={"initialisation": INITIALISATIONS},
    limits={"classes": (2, 1000)},
    published={"parameters": 6_797_700, "multiply_adds": 1_502_000_000},
    source="Table 1 (the sums of its columns, a K read as 1000; some rows do not follow from its "
    "layers)",
)
# As it is trained. Tests take the first of its three outputs.
GOOGLENET_AUXILIARY = Network(
    "googlenet-auxiliary",
    googlenet,
    options={**GOOGLENET.options, "auxiliary": True},
    choices=GOOGLENET.choices,
    limits=GOOGLENET.limits,
)
# The same for ten classes, with He's weights: with Glorot's, short training ends before it learns.
GOOGLENET_10 = replace(
    GOOGLENET_AUXILIARY,
    name="googlenet-auxiliary-10",
    options={**GOOGLENET_AUXILIARY.options, "classes": 10, "initialisation": "he"},
)

# ------------------------------------------------------------------------------- the recipes

# Section 5: the loss of each auxiliary classifier counts so much while training.
AUXILIARY_WEIGHT = 0.3

# Section 6: momentum 0.9, the rate 4 % lower every 8 passes, Polyak averaging; crops of 8 to 100 %
# of the image with sides from 3:4 to 4:3, photometric distortions, ways of resizing at random. The
# rate to begin with, the batch, the weight decay and the number of passes are not in the paper.
IMAGENET_RECIPE = Recipe(
    data=Data("imagenet", test="validation"),
    preprocessing=(Square(256), ChannelMean(scale=128.0)),
    augmentation=Chain((InceptionCrop(224), PhotometricDistortions())),
    loss=AuxiliaryCrossEntropy(AUXILIARY_WEIGHT, own="linear"),
    optimizer=SGD(
        rate=0.01,
        falls=Decreased(per_cent=4, every=8),
        momentum=0.9,
        weight_decay=2e-4,
        decayed="kernels",
        averaging=0.9999,
    ),
    passes=250,
    batch=32,
    initialisation="what network.initialisation names, biases 0",
    short_factor=25,
)
IMAGENETTE_RECIPE = replace(
    IMAGENET_RECIPE, data=Data("imagenette", test="validation"), short_factor=40
)

# ------------------------------------------------------------------------------- the experiments

GOOGLENET_DIFFERS = (
    "All examples of a batch make one update; the paper trains on many machines with asynchronous "
    "updates.",
    "Crops are sampled in the way that the paper found to work well after the competition, with "
    "distortions and random ways of resizing from the first pass on; for its own networks the "
    "sampling changed over months, and some were trained on with another dropout and rate.",
    "A crop that does not fit into the photograph is drawn anew, its area too, so that large ones "
    "are rarer than small ones, and after ten that do not fit the largest square that does is "
    "taken; the paper says that areas are distributed evenly.",
    "The colours of crops vary without lighting noise; Howard 2013, to whom the paper refers, has "
    "such noise too.",
    "The first layer is a dense 7x7 convolution; Table 1 prints for it the parameters of a "
    "separable one.",
)
GOOGLENET_CHOSEN = (
    SCALED_DROPOUT,
    "The rate to begin with, the batch, the weight decay and the number of passes are those of a "
    "replication in Caffe (0.01, 32, 0.0002, 250). The paper gives none of the four.",
    "Every convolution and full layer has biases, which begin at 0; the paper does not mention "
    "them, and the parameters in its Table 1 fit layers without.",
    "Momentum is the classical one; the paper refers to Sutskever et al. 2013, who describe "
    "Nesterov's too.",
    "Polyak averaging is the mean of the weights after each of the first 10,000 updates, then a "
    "moving average of decay 0.9999; the paper does not say which form it takes.",
    "Weight decay applies to the weights of convolutions and full layers, not to biases; the paper "
    "does not mention it.",
    "The sides of a crop are drawn so that the logarithm of their ratio is uniform; the paper "
    "gives the range only.",
    "Half of the crops are mirrored; the paper does not mention mirroring in training.",
    "Brightness, contrast and saturation vary by up to a half, in random order; the paper gives no "
    "amounts.",
    "Responses are normalised where Figure 3 shows it, after the first pooling and after the 3x3 "
    "convolution, with the parameters of AlexNet; the paper gives none.",
    "Convolutions have borders of zeros, alike on both sides, and poolings of stride 2 a last "
    "window that reaches beyond the image; Figure 3 says which layers have a border, not where it "
    "goes.",
    "The view that is tested is the centre of the image rescaled to 256 pixels, and the ten crops "
    "are its corners, its centre and their mirror images; the paper does not say how it takes one "
    "or ten.",
    "Photographs, and the squares of the 144 crops, are rescaled bilinearly for tests; the paper "
    "does not say how it rescales them.",
    AVERAGED_FIRST,
    SHUFFLED,
    "Grey levels less one mean colour are divided by 128; the paper subtracts the mean, and does "
    "not say whether it is a colour or an image, nor in which units.",
)
GLOROT_CHOSEN = (
    "Weights are drawn by Glorot's fan-in and fan-out, those of a replication in Caffe by fan-in "
    "alone; the paper does not say how it draws them.",
)
HE_CHOSEN = (
    "Weights are drawn by He's fan-in form; the paper does not say how it draws them. Drawn by "
    "Glorot's, the logits of different photographs lay a hundred times closer together before the "
    "first update, and after one pass over 6,000 photographs the loss was still that of chance.",
)
BEST_DIFFERS = (
    "One network is trained; the paper's one network is the one of seven with the lowest top-1 "
    "error on the validation images.",
)
IMAGENETTE_DIFFERS = (
    "Ten classes instead of a thousand, and photographs of 160 pixels, enlarged.",
    "250 passes over so few photographs are less than a hundredth of the updates on ImageNet.",
)

IMAGENET = Experiment(
    name="googlenet-imagenet",
    title="GoogLeNet on ImageNet",
    network=GOOGLENET_AUXILIARY,
    recipe=IMAGENET_RECIPE,
    protocols=("single-view", "10-crop", "144-crop"),
    reported=(ONE_CROP, TEN_CROPS, ALL_CROPS),
    differs=(*GOOGLENET_DIFFERS, *BEST_DIFFERS),
    chosen=(*GOOGLENET_CHOSEN, *GLOROT_CHOSEN),
    note="Needs ImageNet, and a GPU; googlenet-imagenette runs without ImageNet.",
)
IMAGENETTE = Experiment(
    name="googlenet-imagenette",
    title="GoogLeNet on Imagenette, ten classes of ImageNet in small",
    network=GOOGLENET_10,
    recipe=IMAGENETTE_RECIPE,
    protocols=("single-view", "10-crop"),
    differs=(*GOOGLENET_DIFFERS, *IMAGENETTE_DIFFERS),
    chosen=(*GOOGLENET_CHOSEN, *HE_CHOSEN),
    bands=(short_band(60.0, 5.4, "one seed", "mixed_bfloat16", IMAGENETTE_HERE),),
    note="A stand-in, to see that all is wired: the paper has no number for it.",
)

ENSEMBLES = tuple(
    Ensemble("seven GoogLeNets", (IMAGENET.name,) * 7, protocol, numbers)
    for protocol, numbers in SEVEN.items()
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="googlenet",
    title="Going Deeper with Convolutions",
    authors="C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, "
    "V. Vanhoucke, A. Rabinovich",
    published="arXiv:1409.4842, 2014",
    experiments=(IMAGENET, IMAGENETTE),
    networks=(GOOGLENET, GOOGLENET_AUXILIARY, GOOGLENET_10),
    ensembles=ENSEMBLES,
    reported=(ON_TEST_IMAGES,),
)
