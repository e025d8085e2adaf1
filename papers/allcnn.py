"""All-CNN, 2014: networks of convolutions alone, which lower their resolution by strides.

What was new: pooling is left out. Three networks with max-pooling (models A, B and C) are each
changed in three ways. Strided: the pooling is dropped, and the convolution before it has a stride
of 2. ConvPool: one more convolution stands before the pooling. All-CNN: that convolution, with a
stride of 2, stands in the place of the pooling, so that it has as many layers and weights as
ConvPool. Fully connected layers are left out too, as in NiN: the last convolution makes one map for
each class, whose mean goes into the softmax.

Held against the paper here (test error in per cent, CIFAR-10 without augmentation): models A, B, C
12.47, 10.20, 9.74; strided 13.46, 10.98, 10.19; ConvPool 10.21, 9.33, 9.31; All-CNN 10.30, 9.10,
9.08; All-CNN-C on mirrored and moved images 7.25, and on CIFAR-100 33.71. Its result with much
stronger augmentation, and the network for ImageNet, are not here.
"""

from dataclasses import replace

from papers.common import (
    ALL_DECAYED,
    SCALED_DROPOUT,
    SCORED_ONCE,
    SHUFFLED,
    WHITENED,
    momentum,
    short_band,
    whitened,
)
from repro.data.augmentation import CropAndFlip
from repro.errors import unknown
from repro.lazy import keras, krizhevsky2012, layers
from repro.networks.losses import SoftmaxCrossEntropy
from repro.spec import SGD, Claim, Data, Divided, Experiment, Network, Paper, Recipe, Reported

# ------------------------------------------------------------------------------- what was reported

# Table 3: test error in per cent on CIFAR-10 without augmentation, by form and model.
ERRORS = {
    "model": {"a": 12.47, "b": 10.20, "c": 9.74},
    "strided": {"a": 13.46, "b": 10.98, "c": 10.19},
    "convpool": {"a": 10.21, "b": 9.33, "c": 9.31},
    "all": {"a": 10.30, "b": 9.10, "c": 9.08},
}
# The paper compares All-CNN-C with the results of others; the number of that table was not read.
AUGMENTED_REPORTED = Reported("test_error", 7.25, "the comparison with others, augmented CIFAR-10")
CIFAR_100_REPORTED = Reported("test_error", 33.71, "the comparison with others, CIFAR-100")

# ------------------------------------------------------------------------------- the networks

# Side and maps of the convolutions before the first pooling, and before the second.
MODELS = {
    "a": (((5, 96),), ((5, 192),)),
    "b": (((5, 96), (1, 96)), ((5, 192), (1, 192))),
    "c": (((3, 96), (3, 96)), ((3, 192), (3, 192))),
}
FORMS = ("model", "strided", "convpool", "all")


def convolution(x, name: str, maps: int, side: int, stride: int = 1, activation: str = "relu"):
    """A convolution with a border of zeros, and its activation, relu."""
    return layers.zero_bordered_convolution(x, name, maps, side, stride, activation=activation)


def halved(x, block: int, convolutions: tuple[tuple[int, int], ...], form: str):
    """The convolutions, then half the side: by pooling, or by the stride of the last of them."""
    if form in ("convpool", "all"):  # one more convolution, as wide as the last
        _, maps = convolutions[-1]
        convolutions = (*convolutions, (3, maps))
    strided = form in ("strided", "all")
    for number, (side, maps) in enumerate(convolutions, start=1):
        stride = 2 if strided and number == len(convolutions) else 1
        x = convolution(x, f"conv{block}_{number}", maps, side, stride)
    if not strided:
        x = krizhevsky2012.CeilMaxPooling2D(3, strides=2, name=f"pool{block}")(x)
    return x


def allcnn(model: str, form: str, classes: int = 10, rectified: bool = False):
    """32x32x3 in, halved twice, one logit for each class out.

    model: "a", "b" or "c". form: "model", with pooling; or what is made of it, "strided",
    "convpool" or "all". Dropout takes 20 % of the image, and half of what each pooling, or what
    stands in its place, gives. rectified: whether the last convolution has a relu too. Raises
    UsageError for an unknown model or form.
    """
    if model not in MODELS:
        raise unknown("model", model, tuple(MODELS))
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Dropout(0.2, name="image_dropout")(images)
    for block, convolutions in enumerate(MODELS[model], start=1):
        x = halved(x, block, convolutions, form)
        x = keras.layers.Dropout(0.5, name=f"dropout{block}")(x)
    # Without a border, so that 8x8 pixels become the 6x6 that are averaged.
    x = keras.layers.Conv2D(192, 3, activation="relu", name="conv3_1")(x)
    x = convolution(x, "conv3_2", 192, 1)
    x = convolution(x, "conv3_3", classes, 1, activation="relu" if rectified else "linear")
    x = keras.layers.GlobalAveragePooling2D(dtype="float32", name="global_average")(x)
    return keras.Model(images, x, name="allcnn")


# As printed in Table 3. The layers have fewer: 0.84, 0.89 and 0.95 million (A, B, C) as models and
# strided, 1.25, 1.30 and 1.37 million in the other two forms.
PARAMETERS = {
    "model": {"a": 900_000, "b": 1_000_000, "c": 1_300_000},
    "convpool": {"a": 1_280_000, "b": 1_350_000, "c": 1_400_000},
}
PARAMETERS |= {"strided": PARAMETERS["model"], "all": PARAMETERS["convpool"]}


def name_of(model: str, form: str) -> str:
    """allcnn-c, allcnn-strided-c: what the paper calls All-CNN-C and Strided-CNN-C."""
    return f"allcnn-{model}" if form == "all" else f"allcnn-{form}-{model}"


# All-CNN-C comes first: it is what the paper is known for.
OF_TABLE_3 = {
    (model, form): Network(
        name_of(model, form),
        allcnn,
        options={"model": model, "form": form, "classes": 10, "rectified": False},
        choices={"model": tuple(MODELS), "form": FORMS},
        limits={"classes": (2, 1000)},
        published={"parameters": PARAMETERS[form][model]},
        source="Table 3 (rounded; the layers have fewer)",
    )
    for form in reversed(FORMS)
    for model in reversed(MODELS)
}
ALL_CNN_C = OF_TABLE_3["c", "all"]
OF_100_CLASSES = replace(
    ALL_CNN_C,
    name="allcnn-c-100-classes",
    options={**ALL_CNN_C.options, "classes": 100},
    published={},
    source="",
)

# ------------------------------------------------------------------------------- the recipes

# 350 passes; the rate is multiplied by 0.1 after 200, 250 and 300.
CIFAR_10_RECIPE = Recipe(
    data=Data("cifar10"),
    preprocessing=WHITENED,
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(
        rate=0.05,
        falls=Divided(by=10, at=(200, 250, 300)),
        momentum=0.9,
        weight_decay=0.001,
    ),
    passes=350,
    batch=128,
    initialisation="Glorot uniform, biases 0",
    # Five passes, 1,953 updates. There is no ramp: the weights begin small, and the loss stays at
    # that of a guess for the first sixty updates of All-CNN-C; a lower rate would prolong that.
    short_factor=70,
    tested_every=5,
)
AUGMENTED_RECIPE = replace(CIFAR_10_RECIPE, augmentation=CropAndFlip(pad=5))
CIFAR_100_RECIPE = replace(AUGMENTED_RECIPE, data=Data("cifar100"))

# ------------------------------------------------------------------------------- the experiments

ALLCNN_DIFFERS = (
    "All networks have one rate, 0.05; the paper chose one of 0.25, 0.1, 0.05 and 0.01 for each.",
    "The last convolution has no relu (network.rectified=true gives it one); the paper's has one, "
    "as recalled, not checked, and so has NiN's. With it, after 400 updates here, seven of model "
    "A's ten maps were 0 on all images that were looked at, and so without a gradient.",
)
ALLCNN_CHOSEN = (
    "The rate of 0.05 is that of a reimplementation in Caffe, whose initial weights are much like "
    "these and whose All-CNN-C comes near the paper's error. Others, who began with their "
    "library's own weights, found that most networks learn nothing at 0.05 and more. The paper "
    "does not say which network had which rate.",
    "A batch has 128 images, as NiN's have, whose preprocessing this is; that reimplementation "
    "has 256, and the paper does not say how many.",
    "Weights are drawn uniformly, as Glorot and Bengio do, and biases begin at 0; the paper does "
    "not say how it draws them.",
    "A border of zeros keeps the size in all convolutions but the 3x3 one after the second "
    "dropout, which has none, so that 8x8 pixels become the 6x6 that the paper averages. The paper "
    "says nothing else of borders.",
    "Pooling windows of 3x3 may overhang the lower and the right border, so that they halve the "
    "side as strides do; the paper does not say how it treats borders.",
    "Images are contrast-normalised first and then whitened; the paper does not say in which "
    "order.",
    whitened("the paper does not print its own"),
    ALL_DECAYED,
    momentum("0.001"),
    SCALED_DROPOUT,
    SHUFFLED,
    SCORED_ONCE,
    "Training takes all images from the start; the paper does not say on which images it chose "
    "its rates.",
)
MOVED_CHOSEN = (
    "Images are moved by up to 5 pixels both ways and mirrored after they have been whitened, and "
    "what is uncovered is zero; the paper does not say in which order. Others who reproduced it "
    "advise to whiten last.",
)
CIFAR_100_CHOSEN = (
    "The images of CIFAR-100 are moved and mirrored, and all else is as for CIFAR-10. What was "
    "read of the paper does not say whether its own were; later papers list the number among those "
    "with augmentation (recalled, not checked).",
)

TITLES = {
    "model": "Model {}",
    "strided": "Strided-CNN-{}",
    "convpool": "ConvPool-CNN-{}",
    "all": "All-CNN-{}",
}


def title(model: str, form: str) -> str:
    return TITLES[form].format(model.upper())


# Five passes turn the order of Table 3 around: Strided-CNN-C, with seven convolutions instead of
# nine, is ahead.
TWO_SEEDS = "two seeds", "mixed_bfloat16"
AT_SHORT_SCALE = {
    ("c", "strided"): (short_band(43.9, 2.2, *TWO_SEEDS),),
    ("c", "all"): (short_band(52.5, 3.2, *TWO_SEEDS),),
    ("c", "convpool"): (short_band(53.6, 2.6, *TWO_SEEDS),),
}
AS_IT_IS = {
    (model, form): Experiment(
        name=f"{network.name}-cifar10",
        title=f"{title(model, form)} on CIFAR-10",
        network=network,
        recipe=CIFAR_10_RECIPE,
        reported=(Reported("test_error", ERRORS[form][model], "Table 3"),),
        differs=ALLCNN_DIFFERS,
        chosen=ALLCNN_CHOSEN,
        bands=AT_SHORT_SCALE.get((model, form), ()),
    )
    for (model, form), network in OF_TABLE_3.items()
}
AUGMENTED = replace(
    AS_IT_IS["c", "all"],
    name="allcnn-c-cifar10-augmented",
    title="All-CNN-C on CIFAR-10, images moved and mirrored",
    recipe=AUGMENTED_RECIPE,
    reported=(AUGMENTED_REPORTED,),
    bands=(),
    chosen=(*ALLCNN_CHOSEN, *MOVED_CHOSEN),
)
ON_CIFAR_100 = replace(
    AUGMENTED,
    name="allcnn-c-cifar100",
    title="All-CNN-C on CIFAR-100, images moved and mirrored",
    network=OF_100_CLASSES,
    recipe=CIFAR_100_RECIPE,
    reported=(CIFAR_100_REPORTED,),
    chosen=(*AUGMENTED.chosen, *CIFAR_100_CHOSEN),
)

# ------------------------------------------------------------------------------- the claims


def lower(model: str, than: str, form: str) -> tuple[str, str]:
    """The `needs` of a claim: `form` of a model has a lower error than the form `than`."""
    return AS_IT_IS[model, than].name, AS_IT_IS[model, form].name


# The paper gives no margin for "no worse". A fifth of a point is chosen here: in Table 3 All-CNN-A
# is 0.09 worse than ConvPool-CNN-A, and the least that strides alone cost is 0.45 (Strided-CNN-C).
CLAIMS = (
    *(
        Claim(
            name=f"allcnn-no-pooling-{model}",
            statement=f"{title(model, 'all')} is at most a fifth of a point worse than "
            f"{title(model, 'convpool')}, which has pooling and as many layers.",
            source="Table 3",
            needs=lower(model, "convpool", "all"),
            margin=-0.2,
        )
        for model in MODELS
    ),
    *(
        Claim(
            name=f"allcnn-strided-{model}-{form}",
            statement=f"{title(model, 'strided')}, where strides alone replace the pooling, does "
            f"worse than {title(model, form)}.",
            source="Table 3",
            needs=lower(model, "strided", form),
        )
        for model in MODELS
        for form in FORMS
        if form != "strided"
    ),
    Claim(
        name="allcnn-models",
        statement="Of the three networks with pooling, B does better than A, and C than B.",
        source="Table 3",
        needs=tuple(AS_IT_IS[model, "model"].name for model in MODELS),
    ),
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="allcnn",
    title="Striving for Simplicity: The All Convolutional Net",
    authors="J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller",
    published="arXiv:1412.6806, 2014",
    experiments=(*AS_IT_IS.values(), AUGMENTED, ON_CIFAR_100),
    networks=(*OF_TABLE_3.values(), OF_100_CLASSES),
    claims=CLAIMS,
)
