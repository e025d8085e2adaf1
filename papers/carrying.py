"""Features carried over, after ZFNet, 2013: what was learnt on many images serves on a few.

The idea is that of Tables 4 and 5 of the paper: a network that was trained on ImageNet and gets a
new last layer does far better on sets of few images than the same network trained from scratch. The
paper's accuracies, in per cent, carried over and from scratch: on Caltech-101 83.8 and 22.8 with 15
images of each class, 86.5 and 46.5 with 30 (Table 4); on Caltech-256 65.7 and 9.0 with 15 images,
74.2 and 38.8 with 60 (Table 5). The fewer the images, the larger the gain.

All else is chosen here, so that two cores can run it, and nothing is held against the paper's
numbers. ResNet-20 is trained on CIFAR-100, and carried to CIFAR-10 with 50, 500 and all 5,000
images of each class: as features for a linear classifier, as the paper does it ("linear"), and with
its last stage trained further ("tuned"). Beside them stands the network trained from scratch on the
same images, with as many updates ("scratch").

A run that carries over begins with the weights of a run of `resnet20-cifar100` at short scale, of
the same seed and in the same folder. Make that first: make reproduce-carrying SCALE=short, for
seed 0.
"""

from dataclasses import replace

from papers.common import SHUFFLED, short_band
from papers.resnet import CIFAR10_RECIPE, OF_RESNETS, RESNETS, WARMED_RECIPE, of_classes
from repro.spec import Carried, Claim, Data, Divided, Experiment, Paper

# ------------------------------------------------------------------------------- what was reported

# Nothing for what is trained here.

# ------------------------------------------------------------------------------- the networks

RESNET20 = RESNETS[20]
RESNET20_100 = replace(
    RESNET20,
    name="resnet20-100-classes",
    build=of_classes,
    options={**RESNET20.options, "classes": 100},
    limits={**RESNET20.limits, "classes": (2, 1000)},
    published={},
    source="",
)

# ------------------------------------------------------------------------------- the recipes

SOURCE_RECIPE = replace(CIFAR10_RECIPE, data=Data("cifar100"))

# The batch, the crops and flips, the momentum and the weight decay are ResNet's, and so are the
# parts of the training after which the rate falls.
UPDATES = 2_000
FALLS = Divided(by=10, at=(UPDATES // 2, 3 * UPDATES // 4))
SCRATCH_RECIPE = replace(
    WARMED_RECIPE,
    optimizer=replace(WARMED_RECIPE.optimizer, falls=FALLS),
    iterations=UPDATES,
    # Curves have a point after every 200 updates, however often these go through the images.
    pass_examples=200 * WARMED_RECIPE.batch,
    tested_every=1,
    short_factor=10,
    short_ramp=0,
)
CARRIED_RECIPE = replace(
    SCRATCH_RECIPE, optimizer=replace(SCRATCH_RECIPE.optimizer, rate=0.01, warm_up=None)
)

# ------------------------------------------------------------------------------- the experiments

SOURCE = replace(
    OF_RESNETS[20],
    name="resnet20-cifar100",
    title="ResNet-20 on CIFAR-100",
    network=RESNET20_100,
    recipe=SOURCE_RECIPE,
    reported=(),
    bands=(short_band(62.8, 2.5, "three seeds"),),
    differs=("The images are those of CIFAR-100; ResNet's paper has CIFAR-10 and ImageNet.",),
    note="The networks that are carried over begin with it. In the sentences below, the paper is "
    "that on ResNet, which has no number for CIFAR-100.",
)

CARRYING_DIFFERS = (
    "The network is ResNet-20; the paper has one of its own, for photographs of 224x224 pixels.",
    "Images are those of CIFAR-10; the paper has Caltech-101 and Caltech-256.",
)
FROM_CIFAR_100_DIFFERS = (
    "What is carried over was learnt on CIFAR-100; the paper's was learnt on ImageNet.",
    "It was learnt at short scale, in 2,000 updates instead of the 64,000 of ResNet's recipe.",
)
CARRYING_CHOSEN = (
    "Layers, preprocessing, crops and flips, batch, momentum and weight decay are those of "
    "resnet20-cifar10, and all that is chosen there, but for the rates, is chosen here too.",
    "Each network makes 2,000 updates, so that none is trained longer than another: 512 passes "
    "over 50 images of each class, five over all.",
    "Of each class the first images in stored order are taken, the same for all seeds.",
    "The mean that is subtracted is that of the images that are trained on.",
    SHUFFLED,
)
SCRATCH_CHOSEN = (
    "The rate is ResNet's 0.1, divided by 10 after half and three quarters of the updates.",
    "At first it is 0.01, until a hundred updates together have a training error below 80 %, as "
    "ResNet-110 is warmed up. At 0.1 the first updates may throw a network back, 2,000 updates do "
    "not make up for that, and carrying over would look better than it is.",
)
CARRIED_CHOSEN = (
    "The rate is 0.01, a tenth of that from scratch, to keep what is carried over, and falls when "
    "that from scratch does; neither was tried out on these images.",
)
LINEAR_CHOSEN = (
    "The features are what ResNet's last layer takes: the mean of each of its last 64 maps.",
)
TUNED_CHOSEN = (
    "The last of ResNet's three stages is trained with the last layer, and the batch "
    "normalisation within it; the two stages before it stay as they are.",
)

# By name: what it is in a title, what is trained of what it begins with, what was chosen.
WAYS = {
    "linear": ("A linear classifier on features of ResNet-20", ("fc10",), LINEAR_CHOSEN),
    "tuned": ("ResNet-20 with its last stage tuned", ("conv4_*", "fc10"), TUNED_CHOSEN),
    "scratch": ("ResNet-20 from scratch", (), SCRATCH_CHOSEN),
}
PER_CLASS = (50, 500, 5_000)


def on_cifar10(way: str, per_class: int) -> Experiment:
    """CIFAR-10 with so many training images of each class; its test images are all 10,000."""
    title, trained, chosen = WAYS[way]
    recipe = CARRIED_RECIPE if trained else SCRATCH_RECIPE
    return Experiment(
        name=f"resnet20-cifar10-{way}-{per_class}",
        title=f"{title}, on {per_class:,} images of each class of CIFAR-10",
        network=RESNET20,
        recipe=replace(recipe, data=Data("cifar10", per_class=per_class)),
        differs=(*CARRYING_DIFFERS, *(FROM_CIFAR_100_DIFFERS if trained else ())),
        chosen=(*CARRYING_CHOSEN, *(CARRIED_CHOSEN if trained else ()), *chosen),
        note="The paper has no number for it: it is compared with the others here.",
        begins=Carried(SOURCE.name, "short", trained) if trained else None,
    )


ON_CIFAR_10 = {(way, count): on_cifar10(way, count) for way in WAYS for count in PER_CLASS}

# ------------------------------------------------------------------------------- the claims


def of_way(way: str, *counts: int) -> tuple[str, ...]:
    return tuple(ON_CIFAR_10[way, count].name for count in counts)


CLAIMS = (
    *(
        Claim(
            name=f"carrying-{way}-{count}",
            statement=f"With {count} images of each class, {what} has a lower test error than one "
            "trained from scratch.",
            source="Tables 4 and 5, on other images",
            needs=(*of_way("scratch", count), *of_way(way, count)),
        )
        for way, what in (
            ("linear", "a network carried over with a new last layer"),
            ("tuned", "a network carried over and tuned"),
        )
        for count in (50, 500)
    ),
    Claim(
        name="carrying-fewer-images",
        statement="The fewer the images, the more a network gains that is carried over and tuned.",
        source="Tables 4 and 5, on other images",
        needs=of_way("tuned", *reversed(PER_CLASS)),
        less=of_way("scratch", *reversed(PER_CLASS)),
    ),
)

# ------------------------------------------------------------------------------- the paper

PAPER = Paper(
    name="carrying",
    title="Visualizing and Understanding Convolutional Networks, features carried over",
    authors="M. D. Zeiler, R. Fergus",
    published="arXiv:1311.2901, 2013",
    experiments=(SOURCE, *ON_CIFAR_10.values()),
    networks=(RESNET20_100,),
    claims=CLAIMS,
)
