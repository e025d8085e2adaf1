"""AlexNet: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", NIPS 2012.

What was new: a convolutional network large enough for ImageNet, spread over two GPUs; seven of its
kind together won the year's contest with a top-5 error of 15.3 %, where the next best had 26.2 %.
Rectified units, which train several times faster than tanh; response normalisation across maps;
pooling whose windows overlap; dropout in the full layers.

The paper reports, top-1 and top-5, 37.5 and 17.0 % test error on ILSVRC-2010, which is not here,
and 40.7 and 18.2 % on the validation images of ILSVRC-2012, which the experiments are for. With
one GPU the errors are 1.7 and 1.2 points higher, without response normalisation 1.4 and 1.2, with
windows that do not overlap 0.4 and 0.3. On CIFAR-10 a four-layer network has 13 % test error, with
response normalisation 11 % (section 3.3), and rectified units reach 25 % training error six times
faster than tanh (Figure 1). What needs ImageNet has not been run here, nor has, at paper scale, the
network with response normalisation on CIFAR-10. On two CPU cores the one without took 54 minutes.

The networks for CIFAR-10 are those of the layer files that come with cuda-convnet, the program of
the first author, to which the paper refers for them: layers-conv-local-13pct and -11pct.

Figure 2 gives the first layer 253,440 units; 96 maps of 55x55 are 290,400. Its input of 224x224
gives no 55x55 maps with 11x11 kernels 4 apart: images of 227x227 pixels do, or a border.
"""

from dataclasses import replace

from repro.data.augmentation import Chain, PCAColour, RandomCrop
from repro.data.crops import Square
from repro.data.preprocessing import PerPixelMean
from repro.errors import UsageError, unknown
from repro.lazy import keras, krizhevsky2012
from repro.networks.losses import SoftmaxCrossEntropy
from repro.spec import (
    SGD,
    Band,
    Claim,
    Data,
    Divided,
    Experiment,
    Figure,
    Network,
    Paper,
    ParameterGroup,
    Recipe,
    Reported,
)

# ------------------------------------------------------------------------------- the networks

# The side of the images: what 55x55 maps take without a border.
SIDE = 227

# Section 3.4: the side of the windows, two pixels apart.
POOLINGS = {"overlapping": 3, "non-overlapping": 2}


def gaussian(std: float):
    """Weights are drawn from a Gaussian of mean zero (section 5; the layer files of CIFAR-10)."""
    return keras.initializers.RandomNormal(stddev=std)


def convolution(x, name: str, maps: int, size: int, bias: float, towers: int = 1, **options):
    """A convolution with relu. Of two towers, each makes half of the maps from half of the input.

    A convolution with groups is the same, but slower on CPUs. The first tower's maps come first.
    """
    names = [name] if towers == 1 else [f"{name}_{tower}" for tower in range(1, towers + 1)]
    inputs = [x] if towers == 1 else keras.ops.split(x, towers, axis=-1)
    outputs = [
        keras.layers.Conv2D(
            maps // towers,
            size,
            activation="relu",
            kernel_initializer=gaussian(0.01),
            bias_initializer=keras.initializers.Constant(bias),
            name=tower_name,
            **options,
        )(tower)
        for tower_name, tower in zip(names, inputs, strict=True)
    ]
    return outputs[0] if towers == 1 else keras.layers.Concatenate(name=name)(outputs)


def full(x, name: str, bias: float):
    """4096 rectified units, half of them dropped while training (section 4.2)."""
    x = keras.layers.Dense(
        4096,
        activation="relu",
        kernel_initializer=gaussian(0.01),
        bias_initializer=keras.initializers.Constant(bias),
        name=name,
    )(x)
    return krizhevsky2012.UnscaledDropout(0.5, name=f"{name}_dropout")(x)


def alexnet(
    maps: tuple[int, int, int, int, int],
    towers: int,
    bias: float = 1.0,
    pooling: str = "overlapping",
    lrn: bool = True,
    classes: int = 1000,
):
    """Section 3.5 and Figure 2: 227x227x3 in, five convolutions, three full layers, logits.

    maps: how many each convolution makes. towers: on how many GPUs; with two, the second, fourth
    and fifth convolution see the maps of their own GPU only. bias: where the biases of these three
    and of the full hidden layers begin (section 5: 1), the others at 0. lrn: whether responses are
    normalised (section 3.3). Raises UsageError for an unknown pooling or number of towers.
    """
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    if towers not in (1, 2):
        raise UsageError(f"towers={towers}: accepted is 1 or 2")

    def pooled(x, name):
        return keras.layers.MaxPooling2D(POOLINGS[pooling], strides=2, name=name)(x)

    def normalised(x, name):
        norm = krizhevsky2012.LocalResponseNormalization(
            size=5, k=2.0, alpha=1e-4, beta=0.75, name=name
        )
        return norm(x) if lrn else x

    images = keras.Input((SIDE, SIDE, 3))
    x = convolution(images, "conv1", maps[0], 11, bias=0.0, strides=4)
    x = pooled(normalised(x, "norm1"), "pool1")
    x = convolution(x, "conv2", maps[1], 5, bias, towers, padding="same")
    x = pooled(normalised(x, "norm2"), "pool2")
    x = convolution(x, "conv3", maps[2], 3, bias=0.0, padding="same")
    x = convolution(x, "conv4", maps[3], 3, bias, towers, padding="same")
    x = convolution(x, "conv5", maps[4], 3, bias, towers, padding="same")
    x = keras.layers.Flatten(name="flatten")(pooled(x, "pool5"))
    x = full(full(x, "fc6", bias), "fc7", bias)
    # Logits, in float32 whatever the precision is.
    x = keras.layers.Dense(classes, kernel_initializer=gaussian(0.01), dtype="float32", name="fc8")(
        x
    )
    return keras.Model(images, x, name="alexnet")


# cuda-convnet, layers-conv-local-13pct and -11pct, four hidden layers and fc10: how widely the
# initial weights are spread, for inputs in grey levels from 0 to 255, less their mean.
SPREAD = {"conv1": 1e-4, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc10": 0.01}

ACTIVATIONS = ("relu", "tanh")


def four_layers(side: int, activation: str = "relu", lrn: bool = False, divided: bool = True):
    """The networks for CIFAR-10: side x side x 3 in, two convolutions, two local layers, 10 logits.

    Each convolution is followed by the response normalisation, if any, then by pooling with windows
    that overlap each other and the border. The weights of the last two layers of 3x3 are not
    shared. divided: cuda-convnet divides the scale of its files, 0.001, by the five maps. Raises
    UsageError for an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)

    def active(x, name):
        return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)

    x = images = keras.Input((side, side, 3))
    for number in (1, 2):
        name = f"conv{number}"
        x = keras.layers.Conv2D(
            64, 5, padding="same", kernel_initializer=gaussian(SPREAD[name]), name=name
        )(x)
        x = active(x, name)
        if lrn:
            alpha = 0.001 / 5 if divided else 0.001
            x = krizhevsky2012.LocalResponseNormalization(
                size=5, k=1.0, alpha=alpha, beta=0.75, name=f"rnorm{number}"
            )(x)
        x = krizhevsky2012.CeilMaxPooling2D(3, strides=2, name=f"pool{number}")(x)
    for name in ("local3", "local4"):
        x = krizhevsky2012.LocallyConnected2D(
            32,
            3,
            padding="same",
            kernel_initializer=gaussian(SPREAD[name]),
            bias_initializer="zeros",
            name=name,
        )(x)
        x = active(x, name)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(
        10, kernel_initializer=gaussian(SPREAD["fc10"]), dtype="float32", name="fc10"
    )(x)
    return keras.Model(images, x, name="alexnet-four-layers")


# ------------------------------------------------------------------------------- what was reported


def both(source: str, protocol: str, top1: float, top5: float, chosen: str = ""):
    """A pair of errors, top-1 and top-5."""
    return (
        Reported("test_error", top1, source, protocol, chosen=chosen),
        Reported("test_top5_error", top5, source, protocol, chosen=chosen),
    )


# Table 1, and the same network without the average over ten crops (a footnote to it).
TABLE_1 = (
    *both("Table 1, ILSVRC-2010 test images", "10-crop", 37.5, 17.0),
    *both("section 6, a footnote, ILSVRC-2010 test images", "single-view", 39.0, 18.3),
)
# Table 2: the network of section 3.5 alone ...
VALIDATION, TEST = (f"Table 2, ILSVRC-2012 {images} images" for images in ("validation", "test"))
TABLE_2 = both(VALIDATION, "10-crop", 40.7, 18.2)
# ... and what else it has: several networks, and some with a sixth convolution, trained on the
# ImageNet of autumn 2011 first. Of the test images there are top-5 errors only.
FIVE = "five networks"
SIXTH = "one network with a sixth convolution, trained on ImageNet 2011 first"
SIXTH_ALONE = "one network with a sixth convolution"
SEVEN = "seven networks, two of them with a sixth convolution, trained on ImageNet 2011 first"
OTHERS = (
    *both(VALIDATION, "ensemble, 10-crop", 38.1, 16.4, FIVE),
    Reported("test_top5_error", 16.4, TEST, "ensemble, 10-crop", chosen=FIVE),
    *both(VALIDATION, "10-crop", 39.0, 16.6, SIXTH),
    *both(VALIDATION, "ensemble, 10-crop", 36.7, 15.4, SEVEN),
    Reported("test_top5_error", 15.3, TEST, "ensemble, 10-crop", chosen=SEVEN),
    *both(
        "section 6, ImageNet 2009, 10,184 classes", "protocol not given", 67.4, 40.9, SIXTH_ALONE
    ),
)

# Section 3.3, CIFAR-10, without and with response normalisation. The paper does not say how it
# tests; cuda-convnet's instructions, which give the same errors, average over ten views.
SECTION_3_3 = {
    "alexnet-local": Reported("test_error", 13.0, "section 3.3", "10-crop"),
    "alexnet-local-lrn": Reported("test_error", 11.0, "section 3.3", "10-crop"),
}

# ------------------------------------------------------------------------------- by name

ALEXNET = Network(
    "alexnet",
    alexnet,
    options={
        "maps": (96, 256, 384, 384, 256),
        "towers": 2,
        "bias": 1.0,
        "pooling": "overlapping",
        "lrn": True,
    },
    choices={"pooling": tuple(POOLINGS)},
    published={"parameters": 60_000_000},
    source="abstract (to one digit)",
    reported=TABLE_1,
)
# What is usually built: each convolution sees all maps.
SINGLE_TOWER = Network(
    "alexnet-single-tower",
    alexnet,
    options={**ALEXNET.options, "towers": 1},
    choices=ALEXNET.choices,
)
# Section 3.2, what two GPUs are compared with: half the maps, but in the last convolution.
ONE_GPU = Network(
    "alexnet-one-gpu",
    alexnet,
    options={**ALEXNET.options, "maps": (48, 128, 192, 192, 256), "towers": 1},
    choices=ALEXNET.choices,
)
VARIED = replace(ALEXNET, published={}, source="", reported=())
WITHOUT_LRN = replace(VARIED, name="alexnet-without-lrn", options={**ALEXNET.options, "lrn": False})
NON_OVERLAPPING = replace(
    VARIED,
    name="alexnet-non-overlapping",
    options={**ALEXNET.options, "pooling": "non-overlapping"},
)

# Section 3.3: on crops of 24x24 pixels, as cuda-convnet trains them.
LOCAL = Network(
    "alexnet-local",
    four_layers,
    options={"side": 24, "activation": "relu", "lrn": False},
    choices={"activation": ACTIVATIONS},
)
LOCAL_LRN = Network(
    "alexnet-local-lrn",
    four_layers,
    options={**LOCAL.options, "lrn": True, "divided": True},
    choices=LOCAL.choices,
)
# Figure 1: the paper says only that the network is a four-layer convolutional one, and that it is
# trained without regularisation of any kind. It is taken to be that of section 3.3 without response
# normalisation, here on whole images, since crops regularise.
RELU = Network(
    "alexnet-four-layers-relu",
    four_layers,
    options={**LOCAL.options, "side": 32},
    choices=LOCAL.choices,
)
TANH = Network(
    "alexnet-four-layers-tanh",
    four_layers,
    options={**RELU.options, "activation": "tanh"},
    choices=LOCAL.choices,
)

NETWORKS = (
    *(ALEXNET, SINGLE_TOWER, ONE_GPU, WITHOUT_LRN, NON_OVERLAPPING),
    *(LOCAL, LOCAL_LRN, RELU, TANH),
)

# ------------------------------------------------------------------------------- the recipes

# Section 3.3, by the parameter files of layers-conv-local-13pct and -11pct. Biases go twice as
# fast and do not decay. Of the weights, those of the local layers and of fc10 decay, and those of
# the convolutions do not.
# cuda-convnet's instructions have the former network as their example: 100 passes over four fifths
# of the images, 40 over all, and twice ten at a tenth of the rate before. 140 passes over all are
# as many updates.
RECIPE = Recipe(
    data=Data("cifar10"),
    preprocessing=(PerPixelMean(scale=1.0),),
    augmentation=RandomCrop(24),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(
        rate=0.001,
        falls=Divided(by=10, at=(120, 130)),
        momentum=0.9,
        groups=(
            ParameterGroup("*/bias", rate=2.0),
            ParameterGroup("conv*/kernel"),
            ParameterGroup("*/kernel", weight_decay=0.004),
        ),
    ),
    passes=140,
    batch=128,
    initialisation="Gaussian, as wide as the layer files say, biases 0",
    short_factor=14,
    tested_every=10,
)
# By the parameter file of -11pct: 300 passes over four fifths, 150 over all, and twice ten.
RECIPE_LRN = replace(
    RECIPE,
    optimizer=replace(RECIPE.optimizer, falls=Divided(by=10, at=(390, 400))),
    passes=410,
    short_factor=41,
)

# Sections 2, 4.1 and 5. About 90 passes, in which the rate was divided by 10 three times.
IMAGENET = Recipe(
    data=Data("imagenet", test="validation"),
    preprocessing=(Square(256), PerPixelMean(scale=1.0)),
    augmentation=Chain((RandomCrop(SIDE), PCAColour(white=255.0))),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(
        rate=0.01,
        falls=Divided(by=10, at=(30, 55, 75)),
        momentum=0.9,
        weight_decay=5e-4,
    ),
    passes=90,
    batch=128,
    initialisation="Gaussian of deviation 0.01, biases network.bias or 0",
)


def constant(rate: float, passes: int) -> Recipe:
    """Figure 1: `passes` at one rate, and no regularisation of any kind."""
    return replace(
        RECIPE,
        augmentation=None,
        optimizer=SGD(
            rate=rate,
            momentum=0.9,
            groups=(ParameterGroup("*/bias", rate=2.0),),
        ),
        passes=passes,
        short_factor=1,
        tested_every=5,
    )


# ------------------------------------------------------------------------------- the experiments

# What differs from the paper, or what it leaves open.
DEVIATIONS = (
    "Each pass is shuffled anew, and a batch may end one pass and begin the next; cuda-convnet "
    "goes through its files in order.",
)
BY_FILES = (
    "The paper says of its network for CIFAR-10 how many layers it has, and refers to cuda-convnet "
    "for the rest; taken are that program's files for errors of 13 and 11 %, with four hidden "
    "layers, and what the program does by itself.",
    "All 50,000 images are trained on from the start, for as many updates; by cuda-convnet's "
    "instructions one trains on 40,000, looks at the other 10,000, and goes on with all.",
    "The rate falls after a set number of passes; by the instructions it does when the error on "
    "the images added last comes near that on the others.",
    "The rate of the biases falls with that of the weights; cuda-convnet's instructions and "
    "parameter file name that of the weights alone.",
    "The mean of each pixel is subtracted before the crop; cuda-convnet subtracts that of the "
    "central 24x24 pixels from every crop.",
    "The views of a test image are its four corners, its centre and their mirror images, and their "
    "softmax is averaged; the paper does not say how its error on CIFAR-10 is measured.",
)
OF_LOCAL = (
    "140 passes are as many updates as cuda-convnet's instructions make, as others quote them (100 "
    "passes over 40,000 images, 40 over all, and twice ten); the parameter file of this network "
    "has none, nor has the paper.",
)
OF_LOCAL_LRN = (
    "410 passes are as many updates as the parameter file makes (300 passes over 40,000 images, "
    "150 over all, and twice ten), and the network without normalisation is trained for 140; the "
    "paper does not say that the two were trained alike.",
    "The scale of the layer files is divided by the five maps that responses are summed over, "
    "as cuda-convnet does when it reads them, and the sum is added to 1; section 3.3 has half that "
    "scale, adds to 2, and does not say whether this holds on CIFAR-10.",
    "The layer file is the version with windows of five maps before both poolings; a later one has "
    "windows of nine, the first normalisation after its pooling, 64 maps in the first local layer, "
    "and 50 passes more.",
)
ON_IMAGENET = (
    "Photographs are of 256x256 pixels, and crops of them, as well as those of tests, of 227x227; "
    "the paper says 224x224, from which kernels of 11x11, 4 apart, make no 55x55 maps.",
    "The rate falls after 30, 55 and 75 of 90 passes; the paper lowered it three times when the "
    "error no longer fell, of roughly 90 passes.",
    "Weight decay applies to all weights and biases; the paper does not say to what.",
    "The shift of colours is in units of white, and their components are those of the colours "
    "less the mean of their place; the paper gives no unit.",
    "Photographs are rescaled bilinearly; the paper does not say how.",
    "Each pass is shuffled anew, and a batch may end one pass and begin the next; the paper does "
    "not say how its batches are made up.",
)
ACROSS = (
    "Responses are normalised across the maps of both GPUs; the paper does not say whether those "
    "next to the border see the other GPU's.",
)
ABLATED = (
    "Trained and tested on ILSVRC-2012; the paper does not say on which of its two sets it "
    "compared these networks, and made most of its experiments on ILSVRC-2010.",
)
ONE_TOWER = (
    "Every convolution sees all maps; the paper's second, fourth and fifth see those of their own "
    "GPU.",
)
FOUR_LAYERS = (
    "Figure 1 is of a four-layer network that the paper does not describe; here it is that of "
    "section 3.3 without response normalisation, as cuda-convnet's layer files have it, with four "
    "hidden layers, on whole images.",
    "Both networks begin with the initial weights of those files, and biases have twice the rate; "
    "the mean of each pixel is subtracted; momentum is 0.9 and batches are of 128, as in section "
    "5; the rate of each network stays as it is, and training ends after 8 passes with rectified "
    "units and after 20 with tanh. Of Figure 1 the paper says none of this.",
    "The rates are 0.002 for rectified units and 0.008 for tanh: of rates a factor of two apart, "
    "those at which the training error fell to 25 % soonest (0.001 to 0.004 and 0.001 to 0.016 "
    "were tried, in one run each, in bfloat16, with a seed that none of the measured ones has; "
    "of tanh, those at 0.001 and 0.002 ended above 25 % after 18 passes, and that at 0.016 behind "
    "after nine); the paper chose each so that its network trains as fast as possible, and prints "
    "neither.",
    "The training error is measured while training, over a pass in which the weights change; it "
    "counts for the middle of the pass, and between middles it goes by a straight line. The paper "
    "does not say how that of its figure is measured.",
)


# Measured here at short scale, two seeds each: the mean of the test errors. One more run falls
# within 0.6 points of it (95 %), the spread being 0.12 points over the two pairs together.
AT_SHORT_SCALE = {
    "alexnet-local": Band(
        "short", "test_error", 24.5, 25.8, "two seeds, 25.2; of one more run, 95 %", "10-crop"
    ),
    "alexnet-local-lrn": Band(
        "short", "test_error", 24.3, 25.5, "two seeds, 24.9; of one more run, 95 %", "10-crop"
    ),
}


def on_crops(network: Network, title: str, recipe: Recipe, chosen: tuple[str, ...]) -> Experiment:
    """A network of section 3.3, trained on random crops and tested on ten views."""
    return Experiment(
        name=f"{network.name}-cifar10",
        title=title,
        network=network,
        recipe=recipe,
        protocols=("10-crop", "single-view"),
        reported=(SECTION_3_3[network.name],),
        bands=(AT_SHORT_SCALE[network.name],),
        chosen=(*DEVIATIONS, *BY_FILES, *chosen),
    )


def of_figure_1(network: Network, title: str, rate: float, passes: int) -> Experiment:
    return Experiment(
        name=f"{network.name}-cifar10",
        title=title,
        network=network,
        recipe=constant(rate, passes),
        note="The paper prints no test error of this network: Figure 1 shows its training error, "
        "which is followed here until it is well below 25 %.",
        chosen=(*DEVIATIONS, *FOUR_LAYERS),
    )


def on_imagenet(
    network: Network,
    title: str,
    chosen: tuple[str, ...],
    reported: tuple[Reported, ...] = (),
) -> Experiment:
    return Experiment(
        name=f"{network.name}-imagenet",
        title=f"{title} on ImageNet",
        network=network,
        recipe=IMAGENET,
        protocols=("10-crop", "single-view"),
        reported=reported,
        chosen=(*ON_IMAGENET, *chosen),
        note="Needs ImageNet, and a GPU. A replication (Caffe's) learnt nothing with biases of 1; "
        "it took 0.1 (--set network.bias=0.1).",
    )


LOCAL_CIFAR10 = on_crops(LOCAL, "AlexNet's small network on CIFAR-10", RECIPE, OF_LOCAL)
LOCAL_LRN_CIFAR10 = on_crops(
    LOCAL_LRN, "AlexNet's small network on CIFAR-10, responses normalised", RECIPE_LRN, OF_LOCAL_LRN
)
RELU_CIFAR10 = of_figure_1(RELU, "Figure 1: rectified units", rate=0.002, passes=8)
TANH_CIFAR10 = of_figure_1(TANH, "Figure 1: tanh units", rate=0.008, passes=20)

ALEXNET_IMAGENET = on_imagenet(ALEXNET, "AlexNet", ACROSS, TABLE_2)
SINGLE_TOWER_IMAGENET = on_imagenet(SINGLE_TOWER, "AlexNet in one tower", ONE_TOWER)
ONE_GPU_IMAGENET = on_imagenet(ONE_GPU, "AlexNet's network for one GPU", ABLATED)
WITHOUT_LRN_IMAGENET = on_imagenet(WITHOUT_LRN, "AlexNet without response normalisation", ABLATED)
NON_OVERLAPPING_IMAGENET = on_imagenet(
    NON_OVERLAPPING, "AlexNet with windows that do not overlap", (*ABLATED, *ACROSS)
)

# ------------------------------------------------------------------------------- the claims

CLAIMS = (
    Claim(
        name="alexnet-relu",
        statement="Rectified units reach a training error of 25 % several times faster than tanh.",
        source="section 3.1, Figure 1 (six times in the network shown; judged is whether at least "
        "twice)",
        needs=(TANH_CIFAR10.name, RELU_CIFAR10.name),
        metric="passes_to_25",
        times=2.0,  # the least that "several" can mean
    ),
    Claim(
        name="alexnet-response-normalisation",
        statement="Response normalisation lowers the test error.",
        source="section 3.3 (by 2 points; at paper scale 140 passes without it, 410 with it)",
        needs=(LOCAL_CIFAR10.name, LOCAL_LRN_CIFAR10.name),
        protocol="10-crop",
    ),
    *(
        Claim(
            name=f"alexnet-{name}-imagenet",
            statement=statement,
            source=source,
            needs=(without.name, ALEXNET_IMAGENET.name),
            protocol="10-crop",
        )
        for name, statement, source, without in (
            (
                "response-normalisation",
                "Response normalisation lowers the test error.",
                "section 3.3 (by 1.4 points)",
                WITHOUT_LRN_IMAGENET,
            ),
            (
                "overlapping-pooling",
                "Pooling windows that overlap lower the test error.",
                "section 3.4 (by 0.4 points)",
                NON_OVERLAPPING_IMAGENET,
            ),
            (
                "two-gpus",
                "Spread over two GPUs, with more maps, the network has a lower test error.",
                "section 3.2 (by 1.7 points)",
                ONE_GPU_IMAGENET,
            ),
        )
    ),
)

FIGURES = (
    Figure(
        name="figure-1",
        title="Training error of a four-layer network on CIFAR-10",
        source="Figure 1",
        panels=(
            ("tanh units", (TANH_CIFAR10.name,)),
            ("rectified units", (RELU_CIFAR10.name,)),
        ),
        shows="running_error",
    ),
)

PAPER = Paper(
    name="alexnet",
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    authors="A. Krizhevsky, I. Sutskever, G. E. Hinton",
    published="Advances in Neural Information Processing Systems 25, 2012",
    experiments=(
        *(LOCAL_CIFAR10, LOCAL_LRN_CIFAR10, RELU_CIFAR10, TANH_CIFAR10),
        *(ALEXNET_IMAGENET, SINGLE_TOWER_IMAGENET, ONE_GPU_IMAGENET),
        *(WITHOUT_LRN_IMAGENET, NON_OVERLAPPING_IMAGENET),
    ),
    networks=NETWORKS,
    claims=CLAIMS,
    figures=FIGURES,
    reported=OTHERS,
)
