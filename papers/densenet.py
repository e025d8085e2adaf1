"""DenseNet, 2016: each layer takes the maps of all layers before it.

What was new: the maps of all layers before a layer in its block stand side by side as its input,
and it adds a few maps of its own (the growth rate, k). Features are used again rather than learnt
again, so that layers can be narrow and a network needs few weights for its accuracy.

Held against the paper here: the networks of Table 2 on CIFAR-10 (5.24 % test error on augmented
images with 40 layers and k = 12; 4.51 % with 0.8 million weights, DenseNet-BC of 100 layers and
k = 12; 3.46 % with DenseNet-BC of 190 layers and k = 40) and on CIFAR-100 (24.42, 22.27 and 17.18 %
with the same three). On ImageNet, top-1 with one crop (Table 3): 25.02 % with 121 layers, 22.15 %
with 264. That needs ImageNet, and has not been run; DenseNet-121 on Imagenette, ten of its classes,
shows that all is wired. The numbers on SVHN are here too, but no experiment for them. DenseNet-161
is from the authors' repository. With the blocks that Table 1 gives it, DenseNet-264
has 265 layers with weights; each of the others has as many as its name says.

Kept as they are for the gradients, the inputs of all layers take memory that grows with the square
of a block's depth: each is a copy of all maps before it. All networks but the two smallest are
therefore built with `recompute`: what stands between two convolutions is computed again for the
gradients instead (`layers.Recomputing`). An update of 64 images in float32 took, on a CPU and
beyond what the process needs anyway, 1.6 GB for 40 layers and k = 12, and with `recompute` 0.6 GB
in a quarter more time; 2.8 and 1.1 GB for DenseNet-BC of 100 layers and k = 12; 15.5 and 2.4 GB for
100 layers and k = 24.
"""

from dataclasses import replace

from papers import resnet
from papers.common import (
    AVERAGED_FIRST,
    HE_BY_FAN_IN,
    IMAGENETTE_HERE,
    MOMENTUM,
    MOVING_AVERAGES,
    NO_SVHN,
    SCALED_DROPOUT,
    SHUFFLED,
    STATISTICS_OF_A_BATCH,
    UNBIASED,
    short_band,
    top1_and_top5,
)
from repro.data.augmentation import Chain, CropAndFlip, PCAColour
from repro.data.crops import InceptionCrop, PhotometricDistortions, Square
from repro.data.preprocessing import ChannelMeanAndDeviation
from repro.errors import UsageError
from repro.lazy import keras, layers
from repro.networks.losses import SoftmaxCrossEntropy
from repro.spec import SGD, Claim, Data, Divided, Experiment, Network, Paper, Recipe, Reported

# ------------------------------------------------------------------------------- what was reported

# Table 2: test error in per cent. A plus: with mirroring and shifts; without one, CIFAR is trained
# with dropout 0.2, as SVHN is. The paper leaves three numbers of the largest network out.
ERRORS = {
    "densenet40-k12": {"C10": 7.00, "C10+": 5.24, "C100": 27.55, "C100+": 24.42, "SVHN": 1.79},
    "densenet100-k12": {"C10": 5.77, "C10+": 4.10, "C100": 23.79, "C100+": 20.20, "SVHN": 1.67},
    "densenet100-k24": {"C10": 5.83, "C10+": 3.74, "C100": 23.42, "C100+": 19.25, "SVHN": 1.59},
    "densenet-bc100-k12": {"C10": 5.92, "C10+": 4.51, "C100": 24.15, "C100+": 22.27, "SVHN": 1.76},
    "densenet-bc250-k24": {"C10": 5.19, "C10+": 3.62, "C100": 19.64, "C100+": 17.60, "SVHN": 1.74},
    "densenet-bc190-k40": {"C10+": 3.46, "C100+": 17.18},
}
LOWEST = "the network with the lowest validation error"
TABLE_2 = {
    network: {
        data: Reported(
            "test_error", value, "Table 2, SVHN (not checked)", chosen=LOWEST, why_not=NO_SVHN
        )
        if data == "SVHN"
        else Reported("test_error", value, f"Table 2, {data}")
        for data, value in errors.items()
    }
    for network, errors in ERRORS.items()
}


def crops(one: tuple[float, float], ten: tuple[float, float]) -> tuple[Reported, ...]:
    """Table 3: (top-1, top-5), with one crop and with ten."""
    source = "Table 3, validation images"
    return (*top1_and_top5(source, *one), *top1_and_top5(source, *ten, "10-crop"))


TABLE_3 = {
    "densenet121": crops((25.02, 7.71), (23.61, 6.66)),
    "densenet169": crops((23.80, 6.85), (22.08, 5.92)),
    "densenet201": crops((22.58, 6.34), (21.46, 5.54)),
    "densenet264": crops((22.15, 6.12), (20.80, 5.29)),
    "densenet161": (Reported("test_error", 22.2, "the authors' repository, validation images"),),
}

# ------------------------------------------------------------------------------- the networks


def convolution(x, name: str, maps: int, side: int, stride: int = 1):
    return layers.zero_bordered_convolution(
        x, name, maps, side, stride, use_bias=False, kernel_initializer=layers.he()
    )


def normalised(x, name: str):
    """Batch normalisation and relu."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def composite(x, name: str, maps: int, side: int, dropout: float):
    """Batch normalisation, relu, convolution; then dropout (section 4.2).

    H of section 3; with a bottleneck, each half of it; and the beginning of a transition.
    """
    x = convolution(normalised(x, name), name, maps, side)
    return keras.layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def dense_block(x, name: str, count: int, growth_rate: int, bottleneck: bool, dropout: float):
    """`count` layers, each of which adds `growth_rate` maps to those that it takes.

    bottleneck: a 1x1 convolution to 4 * growth_rate maps comes before each 3x3 (DenseNet-B).
    """
    pieces = [x]
    for number in range(1, count + 1):
        layer, y = f"{name}_layer{number}", x
        if bottleneck:
            y = composite(y, f"{layer}_bottleneck", 4 * growth_rate, 1, dropout)
        pieces.append(composite(y, layer, growth_rate, 3, dropout))
        x = keras.layers.Concatenate(name=f"{layer}_concat")(pieces)
    return x


def transition(x, name: str, compression: float, dropout: float):
    """Between blocks: a 1x1 convolution to `compression` times the maps, half the side."""
    x = composite(x, name, int(compression * x.shape[-1]), 1, dropout)
    return keras.layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def dense_blocks(
    x, counts: tuple[int, ...], growth_rate: int, bc: bool, dropout: float, classes: int
):
    """Blocks with transitions between them; global average pooling; logits, always in float32.

    bc: with bottlenecks and with compression by half (DenseNet-BC).
    """
    for block, count in enumerate(counts, start=1):
        x = dense_block(x, f"block{block}", count, growth_rate, bc, dropout)
        if block < len(counts):
            x = transition(x, f"transition{block}", 0.5 if bc else 1.0, dropout)
    x = normalised(x, "final")
    x = keras.layers.GlobalAveragePooling2D(name="average_pool")(x)
    name = f"fc{classes}"
    return keras.layers.Dense(classes, kernel_initializer=layers.he(), dtype="float32", name=name)(
        x
    )


def built(images, logits, name: str, recompute: bool):
    """The network, of layers in chains (`layers.ByChains`).

    recompute: what each convolution takes is not kept for the gradients.
    """
    return layers.deep_model(
        images, logits, name, layers.Recomputing if recompute else layers.ByChains
    )


def cifar(
    depth: int,
    growth_rate: int,
    bc: bool = False,
    classes: int = 10,
    dropout: float = 0.0,
    recompute: bool = False,
):
    """The networks for CIFAR and SVHN: 32x32x3 in, three blocks of 32, 16 and 8 pixels, logits.

    depth: layers with weights, counting the first, the transitions and the last.
    dropout: the share of units dropped after every convolution but the first, while training.
    recompute: for less memory, see `built`.
    Raises UsageError where the blocks cannot have equally many layers.
    """
    each = 2 if bc else 1
    count, left = divmod(depth - 4, 3 * each)
    if left or count < 1:
        raise UsageError(f"depth={depth}: accepted is 4 more than a multiple of {3 * each}")
    images = keras.Input((32, 32, 3))
    # Section 3: 16 maps, or twice the growth rate with BC; in the authors' code always the latter.
    x = convolution(images, "conv1", 2 * growth_rate if bc else 16, 3)
    x = dense_blocks(x, (count,) * 3, growth_rate, bc, dropout, classes)
    return built(images, x, f"densenet{'-bc' if bc else ''}{depth}-k{growth_rate}", recompute)


# Table 2: depth, growth rate, BC or not, and the parameters as printed for all data, which
# are those with ten classes.
OF_TABLE_2 = {
    "densenet40-k12": (40, 12, False, 1_000_000),
    "densenet100-k12": (100, 12, False, 7_000_000),
    "densenet100-k24": (100, 24, False, 27_200_000),
    "densenet-bc100-k12": (100, 12, True, 800_000),
    "densenet-bc250-k24": (250, 24, True, 15_300_000),
    "densenet-bc190-k40": (190, 40, True, 25_600_000),
}
# Of these an update of 64 images takes less than 3 GB as they are.
SMALL = ("densenet40-k12", "densenet-bc100-k12")

LIMITS = {"depth": (7, 250), "growth_rate": (1, 48), "classes": (2, 1000), "dropout": (0, 0.99)}

# The columns of Table 2 that are trained here, and how many classes their images have. A plus: with
# mirroring and shifts; without one there is dropout (section 4.2).
COLUMNS = {"C10+": 10, "C10": 10, "C100+": 100, "C100": 100}


def of_table_2(name: str, column: str) -> Network:
    """The network of a row of Table 2, as it was trained for a column."""
    depth, growth_rate, bc, parameters = OF_TABLE_2[name]
    classes, dropout = COLUMNS[column], 0.0 if column.endswith("+") else 0.2
    ten = classes == 10
    return Network(
        name + ("" if ten else f"-{classes}-classes") + ("-dropout" if dropout else ""),
        cifar,
        options={
            "depth": depth,
            "growth_rate": growth_rate,
            "bc": bc,
            "classes": classes,
            "dropout": dropout,
            "recompute": name not in SMALL,
        },
        limits=LIMITS,
        published={"parameters": parameters} if ten else {},
        source="Table 2 (to 0.1 million)" if ten else "",
        reported=(TABLE_2[name]["SVHN"],) if ten and dropout else (),
    )


OF_CIFAR = {
    (name, column): of_table_2(name, column)
    for column in COLUMNS
    for name in OF_TABLE_2
    if column in TABLE_2[name]
}


def imagenet(
    blocks: tuple[int, ...],
    growth_rate: int,
    classes: int = 1000,
    side: int = 224,
    recompute: bool = False,
):
    """The networks of Table 1, all DenseNet-BC: 224x224x3 in, blocks from 56x56 to 7x7, logits.

    side: that of the images; the paper's is 224. recompute: for less memory, see `built`.
    """
    images = keras.Input((side, side, 3))
    # Table 1 has each convolution after its normalisation and relu; the first has them after it, as
    # in the authors' code.
    x = convolution(images, "conv1", 2 * growth_rate, 7, stride=2)
    x = normalised(x, "conv1")
    # Nothing is below zero after a relu, so a border of zeros changes no maximum.
    x = keras.layers.ZeroPadding2D(1, name="max_pool_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="max_pool")(x)
    x = dense_blocks(x, blocks, growth_rate, True, 0.0, classes)
    name = "-".join(map(str, ("densenet", *blocks, f"k{growth_rate}")))
    return built(images, x, name, recompute)


# Table 1, but for the last: blocks, growth rate.
OF_TABLE_1 = {
    "densenet121": ((6, 12, 24, 16), 32),
    "densenet169": ((6, 12, 32, 32), 32),
    "densenet201": ((6, 12, 48, 32), 32),
    "densenet264": ((6, 12, 64, 48), 32),
    "densenet161": ((6, 12, 36, 24), 48),
}

OF_IMAGENET = tuple(
    Network(
        name,
        imagenet,
        options={"blocks": blocks, "growth_rate": growth_rate, "recompute": True},
        limits={**LIMITS, "side": (32, 224)},
        published={"parameters": 20_000_000} if name == "densenet201" else {},
        source="section 4.4 (in millions)" if name == "densenet201" else "",
    )
    for name, (blocks, growth_rate) in OF_TABLE_1.items()
)
# DenseNet-121 for ten classes, on images of 128x128.
SMALL = replace(
    OF_IMAGENET[0],
    name="densenet121-128",
    options={**OF_IMAGENET[0].options, "classes": 10, "side": 128},
)

# ------------------------------------------------------------------------------- the recipes

# Section 4.2: 300 passes in batches of 64, the rate 0.1 divided by 10 after a half and three
# quarters of them. "C10+": with mirroring and shifts.
AUGMENTED_RECIPE = Recipe(
    data=Data("cifar10"),
    preprocessing=(ChannelMeanAndDeviation(),),
    augmentation=CropAndFlip(pad=4),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(
        rate=0.1,
        falls=Divided(by=10, at=(150, 225)),
        momentum=0.9,
        nesterov=True,
        weight_decay=1e-4,
    ),
    passes=300,
    batch=64,
    initialisation="Gaussian of variance 2 / fan-in, biases 0, gamma 1, beta 0",
    short_factor=150,
    tested_every=5,
)
PLAIN_RECIPE = replace(AUGMENTED_RECIPE, augmentation=None)

# Section 4.2: 90 passes in batches of 256, the rate 0.1 divided by 10 after 30 and 60 of them; the
# augmentation of Facebook's ResNets in Torch. That its amounts are these is recalled, not checked.
IMAGENET_RECIPE = replace(
    AUGMENTED_RECIPE,
    data=Data("imagenet", test="validation"),
    preprocessing=(Square(256, "bicubic"), ChannelMeanAndDeviation()),
    augmentation=Chain(
        (
            InceptionCrop(224, interpolations=("bicubic",)),
            PhotometricDistortions(brightness=0.4, contrast=0.4, saturation=0.4),
            PCAColour(white=255.0),
        )
    ),
    optimizer=replace(AUGMENTED_RECIPE.optimizer, falls=Divided(by=10, at=(30, 60))),
    passes=90,
    batch=256,
    short_factor=10,
    tested_every=1,
)
# Imagenette's photographs are small: 146 is to 128 as 256 is to 224.
IMAGENETTE_RECIPE = replace(
    IMAGENET_RECIPE,
    data=Data("imagenette", test="validation"),
    preprocessing=(Square(146, "bicubic"), ChannelMeanAndDeviation()),
    augmentation=Chain(
        (InceptionCrop(128, interpolations=("bicubic",)), *IMAGENET_RECIPE.augmentation.steps[1:])
    ),
    batch=16,
    short_factor=30,
    short_ramp=100,
)

# ------------------------------------------------------------------------------- the experiments

RECIPE_CHOSEN = (
    HE_BY_FAN_IN + " Its authors' code takes the fan-out form, and for the last layer the uniform "
    "one of its library.",
    UNBIASED + " Those of the authors' code have none.",
    MOVING_AVERAGES,
    STATISTICS_OF_A_BATCH + " The paper does not say on how many GPUs it trained.",
    "Weight decay applies to all weights, those of batch normalisation and the biases too; the "
    "paper does not say to which.",
    MOMENTUM + " The authors' code multiplies the whole step.",
    SHUFFLED,
)
DENSENET_CHOSEN = (
    *RECIPE_CHOSEN,
    "Transitions have a relu after their normalisation, and normalisation and relu follow the last "
    "block before it is pooled, as in the authors' code; the paper names the normalisation of the "
    "transitions alone.",
)
SHIFTED_CHOSEN = (
    "Images are shifted by up to 4 pixels both ways, and what is uncovered is zero after "
    "normalisation; the paper says mirroring and shifting, not by how much.",
)

IMAGENET_CHOSEN = (
    "A crop covers 8 to 100 % of the photograph's area, evenly, its sides in a ratio from 3:4 to "
    "4:3 of which the logarithm is uniform; what does not fit is drawn anew, up to ten times, and "
    "then the largest square is taken. The paper refers to Facebook's ResNets in Torch for this; "
    "their numbers are recalled, not checked.",
    "Brightness, contrast and saturation vary by up to 0.4, in random order, each time cut off at "
    "black and at white; then comes the colour shift of Krizhevsky et al. 2012, of deviation 0.1, "
    "in units of white, along the components of these photographs. That Facebook's program does so "
    "is recalled, not checked, and the paper gives no amounts.",
    "Photographs are rescaled bicubically, in tests too, which is recalled of Facebook's program; "
    "the paper does not say how it rescales them.",
    AVERAGED_FIRST,
    "From each colour its mean is subtracted, and it is divided by its deviation, both over the "
    "middle squares of the training photographs; the paper does not say how it normalises them.",
    "The views of a test image, one or ten, are cut out of the middle square of the photograph, "
    "its shorter side 256 pixels long; the paper says that a crop has 224 pixels.",
)
RESNET_DIFFERS = (
    "Where a stage begins, the first 1x1 convolution of the block has the stride, as in the "
    "networks that He et al. published; in Facebook's, which the paper compares with, the 3x3 has "
    "it.",
)
IMAGENETTE_DIFFERS = (
    "Ten classes instead of a thousand, crops of 128 pixels instead of 224, in tests out of 146 "
    "instead of 256, and batches of 16 instead of 256.",
    "90 passes over 9,469 photographs are 53,263 updates instead of 450,410.",
)
IMAGENETTE_CHOSEN = (
    "At short scale, a thirtieth of the passes, the rate rises to its value over the first 100 "
    "updates.",
)

# Measured here at short scale (28.83 and 29.69 %).
AT_SHORT_SCALE = {
    "densenet40-k12-cifar10": (short_band(29.3, 1.3, "two seeds"),),
    "densenet40-k12-cifar100": (short_band(70.3, 3.7, "one seed"),),
}


def on_cifar(printed: str, column: str) -> Experiment:
    """A row of Table 2 by the recipe of section 4.2, on the data of a column."""
    classes, augmented = COLUMNS[column], column.endswith("+")
    recipe = AUGMENTED_RECIPE if augmented else PLAIN_RECIPE
    name = f"{printed}-cifar{classes}" + ("" if augmented else "-unaugmented")
    title = printed.replace("densenet", "DenseNet").replace("-bc", "-BC")
    return Experiment(
        name=name,
        title=f"{title} on CIFAR-{classes}, "
        + ("mirrored and shifted" if augmented else "as it is, with dropout"),
        network=OF_CIFAR[printed, column],
        recipe=replace(recipe, data=Data(f"cifar{classes}")),
        reported=(TABLE_2[printed][column],),
        bands=AT_SHORT_SCALE.get(name, ()),
        chosen=(*DENSENET_CHOSEN, *(SHIFTED_CHOSEN if augmented else (SCALED_DROPOUT,))),
    )


ON_CIFAR = tuple(on_cifar(*place) for place in OF_CIFAR)


def on_imagenet(network: Network) -> Experiment:
    """A row of Table 3, or the network of the authors' repository, by the recipe of section 4.2."""
    return Experiment(
        name=f"{network.name}-imagenet",
        title=f"{network.name.replace('densenet', 'DenseNet-')} on ImageNet",
        network=network,
        recipe=IMAGENET_RECIPE,
        protocols=("single-view", "10-crop"),
        reported=TABLE_3[network.name],
        chosen=(*DENSENET_CHOSEN, *IMAGENET_CHOSEN),
        note="Needs ImageNet, and GPUs; densenet121-imagenette runs without ImageNet.",
    )


ON_IMAGENET = {network.name: on_imagenet(network) for network in OF_IMAGENET}
RESNET_101 = replace(
    ON_IMAGENET["densenet201"],
    name="resnet101-imagenet-torch",
    title="ResNet-101 on ImageNet, trained as the DenseNets are",
    network=resnet.ON_IMAGENET["resnet101"].network,
    reported=(),
    differs=RESNET_DIFFERS,
    chosen=(*RECIPE_CHOSEN, *IMAGENET_CHOSEN),
    note="What section 4.4 compares DenseNet-201 with; needs ImageNet, and GPUs.",
)
IMAGENETTE = Experiment(
    name="densenet121-imagenette",
    title="DenseNet-121 on Imagenette, ten classes of ImageNet in small",
    network=SMALL,
    recipe=IMAGENETTE_RECIPE,
    protocols=("single-view", "10-crop"),
    differs=IMAGENETTE_DIFFERS,
    chosen=(*DENSENET_CHOSEN, *IMAGENET_CHOSEN, *IMAGENETTE_CHOSEN),
    bands=(short_band(62.8, 5.6, "one seed", "mixed_bfloat16", IMAGENETTE_HERE),),
    note="A stand-in, to see that all is wired: the paper has no number for it.",
)

# ------------------------------------------------------------------------------- the claims

CLAIMS = (
    Claim(
        name="densenet-growth",
        statement="With mirroring and shifts, and without bottlenecks or compression, the error "
        "falls with depth and with the growth rate.",
        source="section 4.3, Table 2",
        needs=(
            "densenet40-k12-cifar10",
            "densenet100-k12-cifar10",
            "densenet100-k24-cifar10",
        ),
    ),
    Claim(
        name="densenet-bc",
        statement="With bottlenecks and compression, 0.8 million weights do better (in 100 layers) "
        "than 1.0 million without (in 40).",
        source="Table 2; section 5, Figure 4",
        needs=("densenet40-k12-cifar10", "densenet-bc100-k12-cifar10"),
    ),
    Claim(
        name="densenet-bc-cifar100",
        statement="On CIFAR-100 too, 100 layers with bottlenecks and compression do better than 40 "
        "without, on fewer weights.",
        source="Table 2, C100+",
        needs=("densenet40-k12-cifar100", "densenet-bc100-k12-cifar100"),
    ),
    Claim(
        name="densenet-parameters",
        statement="DenseNet-BC of 0.8 million weights does better than ResNet-110 of 1.7 million.",
        source="section 4.3, Table 2",
        needs=("resnet110-cifar10", "densenet-bc100-k12-cifar10"),
    ),
    Claim(
        name="densenet-imagenet-depth",
        statement="On ImageNet the error falls with depth, from 121 to 169 to 201 to 264 layers.",
        source="section 4.4, Table 3",
        needs=tuple(f"densenet{depth}-imagenet" for depth in (121, 169, 201, 264)),
    ),
    Claim(
        name="densenet-imagenet-parameters",
        statement="On ImageNet, DenseNet-201 of 20 million weights does no worse than ResNet-101 "
        "of 45 million by more than half a point.",
        source="section 4.4 (about equal; the half is chosen here)",
        needs=(RESNET_101.name, "densenet201-imagenet"),
        margin=-0.5,
    ),
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="densenet",
    title="Densely Connected Convolutional Networks",
    authors="G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger",
    published="arXiv:1608.06993, 2016",
    experiments=(*ON_CIFAR, *ON_IMAGENET.values(), RESNET_101, IMAGENETTE),
    networks=(*OF_CIFAR.values(), *OF_IMAGENET, SMALL),
    claims=CLAIMS,
)
