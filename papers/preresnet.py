"""Pre-activation ResNet, 2016: nothing but additions on the way from block to block.

ResNet's residual units end in a relu after the addition. Here normalisation and relu come before
each convolution instead, so that what one unit adds reaches every later one, and its gradient every
earlier one, unchanged. Units whose shortcuts scale, gate, convolve or drop do worse than ResNet's,
units with this order better, the more so the deeper the network.

Held against the paper here, as test error in per cent on CIFAR-10 (original unit, pre-activation):
ResNet-110 6.61, 6.37; -110 with a shortcut over each single layer 9.90, 8.91; -164 5.93, 5.46;
-1001 7.61, 4.89 (in batches of 64: 4.69). On CIFAR-100: -164 25.16, 24.33; -1001 27.82, 22.68.
These are medians of five runs; 4.89, 4.69 and 22.68 are means, which the paper gives beside them.
The other shortcuts (Table 1, at 110 layers) and the other orders (Table 2, at 110 and 164) are here
too. Networks of 56 layers, for which the paper has no number, compare the orders in less time.

`make reproduce-preresnet` trains pre-activation ResNet-110 on CIFAR-10: 64,000 updates. The paper
trained ResNet-1001 for 27 hours on two GPUs.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from papers import resnet
from papers.common import (
    HE_BY_FAN_IN,
    MOMENTUM,
    MOVING_AVERAGES,
    SCALED_DROPOUT,
    SHUFFLED,
    STATISTICS_OF_A_BATCH,
    UNBIASED,
    short_band,
    top1_and_top5,
)
from repro.data.preprocessing import ChannelMeanAndDeviation
from repro.errors import UsageError, unknown
from repro.lazy import keras, layers
from repro.spec import (
    SGD,
    Claim,
    Data,
    Divided,
    Experiment,
    Network,
    Paper,
    Recipe,
    Reported,
    WarmUp,
)

# ------------------------------------------------------------------------------- what was reported

MEDIAN = "median of five"


def median(value: float, tables: str) -> Reported:
    return Reported("test_error", value, tables, chosen=MEDIAN)


def of_five(middle: float, mean: float, std: float, tables: str) -> Reported:
    """The mean, where the paper gives it beside the median."""
    chosen = f"mean of five; the median is {middle}"
    return Reported("test_error", mean, tables, std=std, runs=5, chosen=chosen)


# CIFAR-10, ResNet-110, by what is done to the shortcut. For the others the table says "fail".
TABLE_1 = {
    "scaled-half-half": median(12.35, "Table 1"),
    "exclusive-gating-6": median(8.70, "Table 1"),
    "exclusive-gating-7": median(9.81, "Table 1"),
    "shortcut-only-gating-0": median(12.86, "Table 1"),
    "shortcut-only-gating-6": median(6.91, "Table 1"),
    "convolution": median(12.22, "Table 1"),
}
# CIFAR-10, by depth and by the order within a unit.
TABLE_2 = {
    (110, "original"): Reported(
        "test_error", 6.61, "Tables 1 to 3", chosen=f"{MEDIAN}; in the paper on ResNet the mean"
    ),
    (110, "bn-after-addition"): median(8.17, "Table 2"),
    (110, "relu-before-addition"): median(7.84, "Table 2"),
    (110, "relu-only-preactivation"): median(6.71, "Table 2"),
    (110, "full-preactivation"): median(6.37, "Tables 2 and 3"),
    (164, "original"): median(5.93, "Tables 2 and 3"),
    (164, "bn-after-addition"): median(6.50, "Table 2"),
    (164, "relu-before-addition"): median(6.14, "Table 2"),
    (164, "relu-only-preactivation"): median(5.91, "Table 2"),
    (164, "full-preactivation"): median(5.46, "Tables 2 and 3"),
}
# By unit. On CIFAR-10, ResNet-110 with a shortcut over each layer, then ResNet-1001; on CIFAR-100.
TABLE_3_ONE_LAYER = {
    "original": median(9.90, "Table 3"),
    "full-preactivation": median(8.91, "Table 3"),
}
TABLE_3_1001 = {
    "original": median(7.61, "Table 3"),
    "full-preactivation": of_five(4.92, 4.89, 0.14, "Tables 3 and 4"),
}
TABLE_3_CIFAR_100 = {
    (164, "original"): median(25.16, "Table 3"),
    (164, "full-preactivation"): median(24.33, "Table 3"),
    (1001, "original"): median(27.82, "Table 3"),
    (1001, "full-preactivation"): of_five(22.71, 22.68, 0.22, "Tables 3 and 4"),
}
TABLE_4_BATCH_64 = of_five(4.62, 4.69, 0.20, "Table 4")


def table_5(top1: float, top5: float, augmented: str = "") -> tuple[Reported, ...]:
    source = f"Table 5, one crop of 320x320{augmented}, validation images"
    why_not = "no recipe here: only the network's parameters and operations are counted"
    return tuple(replace(number, why_not=why_not) for number in top1_and_top5(source, top1, top5))


# ImageNet. ResNet-152 of the original unit, which is counted in papers/resnet.py, has 21.3 and 5.5.
TABLE_5 = {
    "preresnet152": table_5(21.1, 5.5),
    "resnet200": table_5(21.8, 6.0),
    "preresnet200": (
        *table_5(20.7, 5.3),
        *table_5(20.1, 4.8, augmented=", trained with aspect ratios changed too"),
    ),
}

# ------------------------------------------------------------------------------- the networks


class Order(NamedTuple):
    """Where batch normalisation (BN) and relu stand in a residual unit.

    before: each convolution. after: each but the last. last: after the last. addition: after that.
    """

    before: str = ""
    after: str = ""
    last: str = ""
    addition: str = ""


# Figure 4, (a) to (e).
ORDERS = {
    "original": Order(after="BN ReLU", last="BN", addition="ReLU"),
    "bn-after-addition": Order(after="BN ReLU", addition="BN ReLU"),
    "relu-before-addition": Order(after="BN ReLU", last="BN ReLU"),
    "relu-only-preactivation": Order(before="ReLU", after="BN", last="BN"),
    "full-preactivation": Order(before="BN ReLU"),
}


def applied(steps: str, x, name: str):
    """x after those of BN and ReLU that `steps` names, in this order."""
    if "BN" in steps:
        x = resnet.normalised(x, name)
    return resnet.relu(x, name) if "ReLU" in steps else x


def convolutions(maps: int, skipped: int) -> tuple[tuple[int, int], ...]:
    """(side, maps) of those that a shortcut skips: one, two, or the three of a bottleneck."""
    return {
        1: ((3, maps),),
        2: ((3, maps), (3, maps)),
        3: ((1, maps), (3, maps), (1, 4 * maps)),
    }[skipped]


def residual(x, name: str, maps: int, stride: int, order: Order, skipped: int):
    """F(x), and what its first convolution takes; that convolution has the stride.

    In the first unit of a network nothing stands before the first convolution: there the activation
    comes right after conv1, before the paths part.
    """
    y = x
    for number, (side, width) in enumerate(convolutions(maps, skipped)):
        layer = f"{name}{'abc'[number]}"
        if layer != "conv2_1a":
            y = applied(order.before, y, f"{layer}_before")
        if number == 0:
            taken = y
        y = resnet.unnormalised(y, layer, width, side, 1 if number else stride)
        y = applied(order.last if number == skipped - 1 else order.after, y, layer)
    return y, taken


def unit(x, name: str, maps: int, stride: int, option: str, activation: str, skipped: int):
    """A residual unit in one of the orders of Figure 4.

    A projection takes x as the first convolution does. It is normalised where the last one is.
    """
    order = ORDERS[activation]
    y, taken = residual(x, name, maps, stride, order, skipped)
    if option == "B" and x.shape != y.shape:
        project = resnet.convolution if "BN" in order.last else resnet.unnormalised
        x = project(taken, f"{name}_projection", y.shape[-1], 1, stride)
    else:
        x = resnet.shortcut(x, name, y.shape[-1], stride, option)
    return applied(order.addition, keras.layers.Add(name=f"{name}_add")([y, x]), name)


def activated_unit(activation: str, skipped: int) -> Callable:
    """`unit` for `resnet.stages`. Raises UsageError for an unknown activation."""
    if activation not in ORDERS:
        raise unknown("activation", activation, ORDERS)
    return partial(unit, activation=activation, skipped=skipped)


def of_cifar(block: Callable, units: int, option: str, classes: int, name: str, last: str = ""):
    """32x32x3 in, `units` units at each of three sizes, one logit for each class out.

    last: BN and ReLU after the last addition, where units begin with them.
    """
    images = keras.Input((32, 32, 3))
    x = resnet.relu(resnet.convolution(images, "conv1", 16, 3), "conv1")
    x = applied(last, resnet.stages(x, block, (units,) * 3, 16, option), "last")
    return layers.deep_model(images, resnet.classifier(x, classes), name=name)


def cifar(n: int, activation: str, skipped: int = 2, classes: int = 10):
    """2n layers at each of three sizes, 6n + 2 in all; with bottlenecks 3n, and 9n + 2.

    skipped: how many layers a shortcut skips. With 3 the units are bottlenecks, with projections
    where the dimensions change; with 1 and 2 the shortcuts are those of option A.
    """
    block = activated_unit(activation, skipped)
    units = 2 * n if skipped == 1 else n
    option = "B" if skipped == 3 else "A"
    name = f"resnet{3 * units * skipped + 2}-{activation}"
    return of_cifar(block, units, option, classes, name, last=ORDERS[activation].before)


# Table 1: what is done to the shortcut; the identity and option C are in papers/resnet.py.
SHORTCUTS = ("scaled", "exclusive-gating", "shortcut-only-gating", "dropout")


def multiplied_unit(x, name: str, maps: int, stride: int, option: str, kind: str, number: float):
    """An original unit of two layers, with multiplications before the addition (Figure 2).

    number: by what F is multiplied, where the shortcut is scaled by 0.5; the first bias of a gate;
    or the share that is dropped.
    """
    y, _ = residual(x, name, maps, stride, ORDERS["original"], skipped=2)
    passed = resnet.shortcut(x, name, maps, stride, option)
    if kind == "scaled":
        passed = keras.layers.Rescaling(0.5, name=f"{name}_shortcut_scaled")(passed)
        y = keras.layers.Rescaling(number, name=f"{name}_scaled")(y)
    elif kind == "dropout":
        passed = keras.layers.Dropout(number, name=f"{name}_shortcut_dropout")(passed)
    else:
        gate = keras.layers.Conv2D(
            maps,
            1,
            strides=stride,
            activation="sigmoid",
            kernel_initializer=layers.he(),
            bias_initializer=keras.initializers.Constant(number),
            name=f"{name}_gate",
        )(x)
        rest = keras.layers.Rescaling(-1.0, offset=1.0, name=f"{name}_rest")(gate)
        passed = keras.layers.Multiply(name=f"{name}_shortcut_gated")([passed, rest])
        if kind == "exclusive-gating":
            y = keras.layers.Multiply(name=f"{name}_gated")([y, gate])
    return resnet.relu(keras.layers.Add(name=f"{name}_add")([y, passed]), name)


def with_multiplied_shortcuts(n: int, shortcut: str, number: float):
    """ResNet's 6n + 2 layers with the units of Table 1; for `number` see `multiplied_unit`.

    Raises UsageError for an unknown shortcut, and for a share that is not below 1.
    """
    if shortcut not in SHORTCUTS:
        raise unknown("shortcut", shortcut, SHORTCUTS)
    if shortcut == "dropout" and not 0 <= number < 1:
        raise UsageError(f"number={number}: accepted is a share from 0, below 1")
    block = partial(multiplied_unit, kind=shortcut, number=number)
    return of_cifar(block, n, "A", 10, f"resnet{6 * n + 2}-{shortcut}")


N = {56: 9, 110: 18, 164: 18, 1001: 111}
# Table 4, in millions: 10.2, where 10.33 are counted, and 10.18 without those of normalisation.
PARAMETERS = {164: 1_700_000, 1001: 10_200_000}


def network(depth: int, activation: str, skipped: int, classes: int = 10) -> Network:
    """What `cifar` builds; the original unit of two layers is that of papers/resnet.py."""
    if (activation, skipped) == ("original", 2):
        return resnet.RESNETS[depth]
    name = {"original": f"resnet{depth}", "full-preactivation": f"preresnet{depth}"}.get(
        activation, f"resnet{depth}-{activation}"
    )
    name += "-one-layer" if skipped == 1 else ""
    printed = depth in PARAMETERS and activation == "full-preactivation" and classes == 10
    return Network(
        name + ("" if classes == 10 else f"-{classes}-classes"),
        cifar,
        options={"n": N[depth], "activation": activation, "skipped": skipped, "classes": classes},
        choices={"activation": tuple(ORDERS)},
        limits={"n": (1, 200), "skipped": (1, 3), "classes": (2, 1000)},
        published={"parameters": PARAMETERS[depth]} if printed else {},
        source="Table 4 (in millions)" if printed else "",
    )


def multiplied(ending: str, shortcut: str, number: float) -> Network:
    return Network(
        f"resnet110-{ending}",
        with_multiplied_shortcuts,
        options={"n": N[110], "shortcut": shortcut, "number": number},
        choices={"shortcut": SHORTCUTS},
        limits={"n": (1, 200), "number": (-10, 1)},
    )


# Table 1, by the ending of a network's name. A shortcut scaled by zero is none: a plain network.
WITH_SHORTCUTS = {
    "scaled-zero-one": resnet.PLAINS[110],
    "scaled-half-one": multiplied("scaled-half-one", "scaled", 1.0),
    "scaled-half-half": multiplied("scaled-half-half", "scaled", 0.5),
    "exclusive-gating-0": multiplied("exclusive-gating-0", "exclusive-gating", 0.0),
    "exclusive-gating-6": multiplied("exclusive-gating-6", "exclusive-gating", -6.0),
    "exclusive-gating-7": multiplied("exclusive-gating-7", "exclusive-gating", -7.0),
    "shortcut-only-gating-0": multiplied("shortcut-only-gating-0", "shortcut-only-gating", 0.0),
    "shortcut-only-gating-6": multiplied("shortcut-only-gating-6", "shortcut-only-gating", -6.0),
    "convolution": Network(
        "resnet110-c",
        resnet.cifar,
        options={"n": N[110], "shortcut": "C"},
        choices={"shortcut": resnet.SHORTCUTS},
        limits={"n": (1, 200)},
    ),
    "dropout": multiplied("dropout", "dropout", 0.5),
}

# ------------------------------------------------------------------------------- the recipes

# As ResNet on CIFAR-10, with a rate of 0.01 in the first 400 iterations, in all experiments.
CIFAR10_RECIPE = replace(
    resnet.CIFAR10_RECIPE,
    optimizer=replace(resnet.CIFAR10_RECIPE.optimizer, warm_up=WarmUp(rate=0.01, iterations=400)),
    short_ramp=0,
)
CIFAR100_RECIPE = replace(CIFAR10_RECIPE, data=Data("cifar100"))

# As in the Torch program that the authors published, which extends Facebook's: 200 passes, the rate
# divided from the 81st and from the 122nd on.
BATCH_64_RECIPE = replace(
    CIFAR10_RECIPE,
    preprocessing=(ChannelMeanAndDeviation(),),
    optimizer=SGD(
        rate=0.1,
        falls=Divided(by=10, at=(80, 121)),
        momentum=0.9,
        nesterov=True,
        weight_decay=1e-4,
    ),
    iterations=0,
    passes=200,
    batch=64,
)

# ------------------------------------------------------------------------------- the experiments

PRERESNET_CHOSEN = (*resnet.CIFAR10_CHOSEN, *resnet.WARMED_CHOSEN)
BY_SKIPPED_CHOSEN = {
    1: (
        *resnet.OPTION_A_CHOSEN,
        "The layers are those of ResNet-110, with a shortcut of option A over each of the 108 "
        "between the first and the last; the paper says only that one layer is skipped.",
    ),
    2: resnet.OPTION_A_CHOSEN,
    3: (
        "The first 1x1 convolution of a bottleneck has the stride, as in the authors' program; the "
        "paper does not say which.",
    ),
}
RAW_CHOSEN = (
    "Where the dimensions change, shortcuts of option A take x before the unit activates it; the "
    "paper says only that projections take it after that.",
)
PROJECTED_CHOSEN = (
    "A projection is normalised where the last convolution of its unit is, and takes what the "
    "first takes; the paper says only that in pre-activation networks it takes x activated.",
)
GATED_CHOSEN = (
    *resnet.OPTION_A_CHOSEN,
    "A gate has one map for each map of its unit, and its weights are drawn like the others; the "
    "paper says that a gate is a 1x1 convolution and a sigmoid.",
    "Where the dimensions change, the gate takes the input of the unit, with the stride, and is "
    "applied to the shortcut of option A; the paper does not speak of these units.",
)
SHORTCUT_CHOSEN = {
    "scaled": (
        *resnet.OPTION_A_CHOSEN,
        "Where the dimensions change, what is scaled is the shortcut of option A; the paper does "
        "not speak of these units.",
    ),
    "exclusive-gating": GATED_CHOSEN,
    "shortcut-only-gating": GATED_CHOSEN,
    "C": (
        "Each 1x1 convolution on a shortcut is followed by batch normalisation, as ResNet's are; "
        "the paper does not say whether its own are.",
    ),
    "dropout": (
        *resnet.OPTION_A_CHOSEN,
        "Half of a shortcut is dropped (network.number), as recalled from the paper, not checked.",
        SCALED_DROPOUT,
    ),
}
STAND_IN_DIFFERS = (
    "The network has 56 layers, to take less time; the paper compares units at 110 layers and "
    "more.",
)
BATCH_64_DIFFERS = (
    "In batches of 64 the network is trained as by the authors' Torch program, which gave the "
    "number: 200 passes, the rate divided after 80 and 121, no warm-up, Nesterov's momentum, all "
    "weights and biases decayed, each channel's mean subtracted and its deviation divided by. The "
    "paper describes training in batches of 128, for which the authors used Caffe.",
)
BATCH_64_CHOSEN = (
    STATISTICS_OF_A_BATCH + " The authors' Torch program takes those of 32 images on each of two "
    "GPUs.",
    MOVING_AVERAGES,
    UNBIASED,
    HE_BY_FAN_IN + " The Torch program takes the fan-out form, and for the last layer the uniform "
    "one of its library.",
    MOMENTUM + " Torch multiplies the whole step.",
    "The test error is that of the weights after the last pass; the paper does not say after which "
    "pass it takes its errors.",
    "Images are padded with zeros after normalisation, as in the Torch program.",
    SHUFFLED,
    *BY_SKIPPED_CHOSEN[3],
    *PROJECTED_CHOSEN,
)

FAILED = (
    'Instead of a number the paper says "fail" (Table 1): the test error is above 20 %. So there '
    "is nothing to give a verdict on."
)
STAND_IN = "A stand-in: the paper prints no number for 56 layers."

TITLES = {
    "original": "original units",
    "bn-after-addition": "normalisation after addition",
    "relu-before-addition": "relu before addition",
    "relu-only-preactivation": "pre-activation by relu alone",
    "full-preactivation": "pre-activation",
}
SHORTCUT_TITLES = {
    "scaled-zero-one": "shortcuts times 0",
    "scaled-half-one": "shortcuts times 0.5",
    "scaled-half-half": "shortcuts and residuals times 0.5",
    "exclusive-gating-0": "exclusive gating (bias 0)",
    "exclusive-gating-6": "exclusive gating (bias -6)",
    "exclusive-gating-7": "exclusive gating (bias -7)",
    "shortcut-only-gating-0": "gated shortcuts (bias 0)",
    "shortcut-only-gating-6": "gated shortcuts (bias -6)",
    "convolution": "1x1 convolutions as shortcuts",
    "dropout": "dropout on shortcuts",
}


# Two networks of 56 layers with original units ended 11 points apart (28.95 and 39.78 %): no band.
AT_SHORT_SCALE = {
    "preresnet56-cifar10": (short_band(25.3, 2.0, "two seeds", "mixed_bfloat16"),),
}


def experiment(
    network: Network,
    title: str,
    chosen: tuple[str, ...],
    reported: Reported | None = None,
    recipe: Recipe = CIFAR10_RECIPE,
    differs: tuple[str, ...] = (),
    note: str = "",
) -> Experiment:
    """By the recipe of this paper, also where the network is one of papers/resnet.py."""
    name = f"{network.name.removesuffix('-100-classes')}-{recipe.data.dataset}"
    return Experiment(
        name=name + ("-warm-up-400" if network in resnet.PAPER.networks else ""),
        title=f"{title} on {recipe.data.dataset.replace('cifar', 'CIFAR-')}",
        network=network,
        recipe=recipe,
        reported=(reported,) if reported else (),
        differs=differs,
        chosen=(*PRERESNET_CHOSEN, *chosen),
        note=note,
        bands=AT_SHORT_SCALE.get(name, ()),
        seeds=5,
    )


def of_order(
    depth: int,
    activation: str,
    reported: Reported | None,
    skipped: int,
    recipe: Recipe = CIFAR10_RECIPE,
    differs: tuple[str, ...] = (),
    note: str = "",
) -> Experiment:
    """A network of Figure 4."""
    classes = 100 if recipe is CIFAR100_RECIPE else 10
    over = ", a shortcut over each layer," if skipped == 1 else ""
    raw = bool(ORDERS[activation].before) and skipped < 3
    chosen = (
        *BY_SKIPPED_CHOSEN[skipped],
        *(RAW_CHOSEN if raw else ()),
        *(PROJECTED_CHOSEN if skipped == 3 else ()),
    )
    return experiment(
        network(depth, activation, skipped, classes),
        f"ResNet-{depth} with {TITLES[activation]}{over}",
        chosen,
        reported,
        recipe,
        differs,
        note,
    )


# By depth and activation.
OF_TABLE_2 = {
    (depth, activation): of_order(depth, activation, number, skipped=2 if depth == 110 else 3)
    for (depth, activation), number in TABLE_2.items()
}
STAND_INS = {
    activation: of_order(56, activation, None, skipped=2, differs=STAND_IN_DIFFERS, note=STAND_IN)
    for activation in ORDERS
}
ONE_LAYER = {
    activation: of_order(110, activation, number, skipped=1)
    for activation, number in TABLE_3_ONE_LAYER.items()
}
OF_1001 = {
    activation: of_order(1001, activation, number, skipped=3)
    for activation, number in TABLE_3_1001.items()
}
ON_CIFAR_100 = {
    (depth, activation): of_order(depth, activation, number, skipped=3, recipe=CIFAR100_RECIPE)
    for (depth, activation), number in TABLE_3_CIFAR_100.items()
}
BATCH_64 = replace(
    OF_1001["full-preactivation"],
    name="preresnet1001-cifar10-batch-64",
    title="ResNet-1001 with pre-activation on CIFAR-10, in batches of 64",
    recipe=BATCH_64_RECIPE,
    reported=(TABLE_4_BATCH_64,),
    differs=BATCH_64_DIFFERS,
    chosen=BATCH_64_CHOSEN,
)
OF_TABLE_1 = {
    ending: experiment(
        network,
        f"ResNet-110 with {SHORTCUT_TITLES[ending]}",
        SHORTCUT_CHOSEN.get(network.options["shortcut"], ()),
        TABLE_1.get(ending),
        note="" if ending in TABLE_1 else FAILED,
    )
    for ending, network in WITH_SHORTCUTS.items()
}

# ------------------------------------------------------------------------------- the claims


def compared(name: str, statement: str, source: str, *experiments: Experiment) -> Claim:
    """Each experiment has a lower test error than the one before it."""
    return Claim(
        name=f"preresnet-{name}",
        statement=statement,
        source=source,
        needs=tuple(e.name for e in experiments),
    )


def pair(experiments: dict, depth: int) -> tuple[Experiment, Experiment]:
    """Of a depth, those with the original unit and with full pre-activation."""
    return experiments[depth, "original"], experiments[depth, "full-preactivation"]


CLAIMS = (
    *(
        compared(
            f"shortcut-{ending}",
            f"ResNet-110 does worse with {SHORTCUT_TITLES[ending]} than with identities.",
            "section 3.1, Table 1",
            varied,
            OF_TABLE_2[110, "original"],
        )
        for ending, varied in OF_TABLE_1.items()
    ),
    *(
        compared(
            f"{activation}-{depth}",
            f"ResNet-{depth} does worse with {TITLES[activation]} than with original units.",
            "section 4.1, Table 2",
            OF_TABLE_2[depth, activation],
            OF_TABLE_2[depth, "original"],
        )
        for depth in (110, 164)
        for activation in ("bn-after-addition", "relu-before-addition")
    ),
    *(
        compared(
            ending,
            f"{words} does better with pre-activation.",
            "section 4.1, Table 3",
            original,
            preactivation,
        )
        for ending, words, (original, preactivation) in (
            ("110", "ResNet-110", pair(OF_TABLE_2, 110)),
            ("110-one-layer", "ResNet-110 with a shortcut over each layer", ONE_LAYER.values()),
            ("164", "ResNet-164", pair(OF_TABLE_2, 164)),
            ("1001", "ResNet-1001", OF_1001.values()),
            ("164-cifar100", "On CIFAR-100 ResNet-164", pair(ON_CIFAR_100, 164)),
            ("1001-cifar100", "On CIFAR-100 ResNet-1001", pair(ON_CIFAR_100, 1001)),
        )
    ),
    compared(
        "too-deep",
        "With original units, 1001 layers do worse than 164.",
        "Table 3",
        OF_1001["original"],
        OF_TABLE_2[164, "original"],
    ),
    compared(
        "depth",
        "With pre-activation the error falls from 110 to 164 to 1001 layers.",
        "Table 3",
        OF_TABLE_2[110, "full-preactivation"],
        OF_TABLE_2[164, "full-preactivation"],
        OF_1001["full-preactivation"],
    ),
    compared(
        "56-bn-after-addition",
        "At 56 layers too, normalisation after addition does worse than original units.",
        "not in the paper, whose Table 2 has 110 layers and more",
        STAND_INS["bn-after-addition"],
        STAND_INS["original"],
    ),
    compared(
        "56",
        "At 56 layers too, pre-activation does better.",
        "not in the paper, whose Tables 2 and 3 have 110 layers and more",
        STAND_INS["original"],
        STAND_INS["full-preactivation"],
    ),
)

# ------------------------------------------------------------------------------- only counted

# The networks for ImageNet. How the paper trains and tests them is not described here yet.


def imagenet(blocks: tuple[int, ...], activation: str):
    """Bottlenecks in four stages from 56x56 to 7x7: 224x224x3 in, 1000 logits."""
    images = keras.Input((224, 224, 3))
    block = activated_unit(activation, skipped=3)
    x = resnet.stages(resnet.before_the_stages(images), block, blocks, 64, "B")
    x = applied(ORDERS[activation].before, x, "last")
    name = f"resnet{3 * sum(blocks) + 2}-{activation}"
    return layers.deep_model(images, resnet.classifier(x, 1000), name=name)


# The blocks of ResNet-200 are those of Facebook's program, which has this network; not checked in
# the paper.
DEEP_200 = (3, 24, 36, 3)
OF_IMAGENET = tuple(
    Network(
        name,
        imagenet,
        options={"blocks": blocks, "activation": activation},
        choices={"activation": tuple(ORDERS)},
        reported=TABLE_5[name],
    )
    for name, blocks, activation in (
        ("preresnet152", resnet.DEEP_152, "full-preactivation"),
        ("resnet200", DEEP_200, "original"),
        ("preresnet200", DEEP_200, "full-preactivation"),
    )
)

# ------------------------------------------------------------------------------- the paper

# The headline first; then in the order of the tables.
EXPERIMENTS = (
    OF_TABLE_2[110, "full-preactivation"],
    *OF_TABLE_1.values(),
    *(e for place, e in OF_TABLE_2.items() if place != (110, "full-preactivation")),
    *ONE_LAYER.values(),
    *OF_1001.values(),
    *ON_CIFAR_100.values(),
    BATCH_64,
    *STAND_INS.values(),
)
# Without those that are networks of papers/resnet.py.
OF_CIFAR = tuple(
    {
        e.network.name: e.network for e in EXPERIMENTS if e.network not in resnet.PAPER.networks
    }.values()
)

PAPER = Paper(
    name="preresnet",
    title="Identity Mappings in Deep Residual Networks",
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    published="arXiv:1603.05027, 2016",
    experiments=EXPERIMENTS,
    networks=(*OF_CIFAR, *OF_IMAGENET),
    claims=CLAIMS,
)
