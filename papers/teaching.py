"""Two small networks that lecture slides teach with, and for which they print no error.

The slides print a table for each: of every layer the size, how many neurons it has and how many
parameters. A slide calls the first network LeNet-5, which it is not: it takes 28x28 pixels, has 10
and 20 maps, and no C5 or F6. The table of the second, Harley's, has a wrong row, corrected here: it
lets a pooling turn 16 maps into 128, and so comes to 399,802 parameters instead of 63,802.

`make reproduce-teaching` trains the first, in two minutes on two CPU cores. How the networks are
trained was chosen here: the slides say nothing of it.
"""

from dataclasses import replace

from papers.common import shuffled
from repro.data.preprocessing import Contrast, PadTo
from repro.lazy import keras, layers
from repro.networks.losses import SoftmaxCrossEntropy
from repro.spec import SGD, Data, Divided, Experiment, Network, Paper, Recipe

# ------------------------------------------------------------------------------- what was reported

# No error. The parameters of the second are those of its table with the right row after the second
# pooling: 5x5x16, 400 neurons. The slide has 5x5x128, 3,200 neurons, and from there on
# 3,201 x 120 = 384,120 parameters instead of 401 x 120 = 48,120.
PARAMETERS = {"teaching-10-20": 38_390, "teaching-harley": 63_802}

# ------------------------------------------------------------------------------- the networks


def small(image: tuple[int, int, int], maps: tuple[int, ...], units: tuple[int, ...]):
    """Convolutions of 5x5 without a border, each halved by pooling; full layers; ten logits out.

    maps: of each convolution. units: of each full layer before the last.
    """
    network = keras.Sequential([keras.Input(image)])
    for number, count in enumerate(maps, start=1):
        network.add(
            keras.layers.Conv2D(
                count, 5, activation="relu", kernel_initializer=layers.he(), name=f"conv{number}"
            )
        )
        network.add(keras.layers.MaxPooling2D(2, name=f"pool{number}"))
    network.add(keras.layers.Flatten(name="flatten"))
    for number, count in enumerate(units, start=1):
        network.add(full(f"fc{number}", count, "relu"))
    network.add(full(f"fc{len(units) + 1}", 10, None, dtype="float32"))
    return network


def full(name: str, units: int, activation: str | None, **how):
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=layers.he(), name=name, **how
    )


TEN_TWENTY = Network(
    "teaching-10-20",
    small,
    options={"image": (28, 28, 1), "maps": (10, 20), "units": (100,)},
    published={"parameters": PARAMETERS["teaching-10-20"]},
    source='the slide "The LeNet-5 Architecture"',
)
HARLEY = Network(
    "teaching-harley",
    small,
    options={"image": (32, 32, 1), "maps": (6, 16), "units": (120, 100)},
    published={"parameters": PARAMETERS["teaching-harley"]},
    source="the slide on Harley's network, one row corrected; it prints 399,802",
)

# ------------------------------------------------------------------------------- the recipes

TEN_TWENTY_RECIPE = Recipe(
    data=Data("mnist"),
    preprocessing=(Contrast(background=0.0, foreground=1.0),),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(rate=0.05, falls=Divided(by=10, at=(10, 15)), momentum=0.9),
    passes=20,
    batch=128,
    initialisation="Gaussian of variance 2 / fan-in, biases 0",
)
HARLEY_RECIPE = replace(
    TEN_TWENTY_RECIPE, preprocessing=(PadTo(32), *TEN_TWENTY_RECIPE.preprocessing)
)

# ------------------------------------------------------------------------------- the experiments

NO_NUMBER = "The slides print no error for it."
TRAINING_CHOSEN = (
    "Convolutions and full layers are rectified, but for the last; the slides name no activation.",
    "Pooling takes the largest of each 2x2; the slides do not say what it takes.",
    "Ten logits with a softmax and its cross entropy; the slides name no loss.",
    "Weights are Gaussian with a variance of 2 / fan-in, and biases 0; the slides do not say how "
    "they begin.",
    "Momentum SGD trains for twenty passes, on batches of 128, at a rate of 0.05 that is divided "
    "by 10 after 10 and after 15; the slides say nothing of training.",
    "Neither weight decay nor dropout, and no image is distorted; the slides name none.",
    "Grey levels go from 0 to 1; the slides do not say how they are scaled.",
    shuffled("the slides do not say how batches are made up"),
)

TEN_TWENTY_MNIST = Experiment(
    name="teaching-10-20-mnist",
    title="The slides' network of 10 and 20 maps on MNIST",
    network=TEN_TWENTY,
    recipe=TEN_TWENTY_RECIPE,
    note=f"{NO_NUMBER} They call it LeNet-5, but that is another network (lenet5-mnist).",
    chosen=TRAINING_CHOSEN,
)
HARLEY_MNIST = Experiment(
    name="teaching-harley-mnist",
    title="Harley's network of 6 and 16 maps on MNIST",
    network=HARLEY,
    recipe=HARLEY_RECIPE,
    note=f"{NO_NUMBER} Their table has a wrong row, so that its totals, 10,910 neurons and 399,802 "
    "parameters, are wrong too: the network has 8,110 and 63,802.",
    differs=(
        "The second pooling leaves 5x5x16, 400 neurons. The slide's row has 5x5x128, 3,200 "
        "neurons; but pooling cannot turn 16 maps into 128.",
    ),
    chosen=(
        *TRAINING_CHOSEN,
        "A border of zeros makes the images 32x32 pixels; the slides do not say how digits of "
        "28x28 become so large.",
        "Each map of the second convolution sees all six of the first; whether they do in Harley's "
        "own network was not verified.",
    ),
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="teaching",
    title="Two Small Networks of Lecture Slides",
    authors="Unknown lecturers; the second network is Harley's",
    published="Lecture slides, undated",
    experiments=(TEN_TWENTY_MNIST, HARLEY_MNIST),
    networks=(TEN_TWENTY, HARLEY),
)
