"""What papers share: pairs of errors, bands, and what this harness does where they say nothing.

A module of this folder describes one paper, in this order: what it reports, its networks, recipes,
experiments, claims, and last PAPER. An experiment lists in `differs` where the paper, or what it
refers to, says otherwise, and in `chosen` what it leaves open; of the latter, the sentences below
are the harness' own.
"""

from repro.data.preprocessing import GlobalContrastNormalization, ZCAWhitening
from repro.spec import Band, Reported

# What NiN, and after it All-CNN, do to the images of CIFAR.
WHITENED = (GlobalContrastNormalization(), ZCAWhitening())


def top1_and_top5(
    source: str, top1: float, top5: float, protocol: str = "single-view", chosen: str = ""
) -> tuple[Reported, Reported]:
    """The two errors, in per cent, by which papers on ImageNet judge a network."""
    return (
        Reported("test_error", top1, source, protocol, chosen=chosen),
        Reported("test_top5_error", top5, source, protocol, chosen=chosen),
    )


def short_band(
    mean: float, half: float, seeds: str, precision: str = "float32", examples: int = 0
) -> Band:
    """Where one more run at short scale lies (95 %), in per cent: within `half` of the mean here.

    `half` goes by the spread of the plain short runs on record; see `repro.judging.spread`. seeds:
    how many there were. precision: that of these runs. examples: on how many images they were
    trained, where another machine may hold more of the set.
    """
    low, high = round(mean - half, 1), round(mean + half, 1)
    of = seeds if precision == "float32" else f"{seeds} in {precision}"
    of += f" on {examples:,} images" if examples else ""
    source = f"{of}, {mean}; of one more run, 95 %"
    return Band("short", "test_error", low, high, source, "single-view", precision, examples)


# Of the 9,469 training photographs of Imagenette, how many the bands here were made with.
IMAGENETTE_HERE = 6_000


def shuffled(otherwise: str) -> str:
    """How batches are made up, and what the paper or its program does instead."""
    return (
        "Each pass takes the images in a new random order, and a batch may hold the last images of "
        f"one pass and the first of the next; {otherwise}."
    )


def whitened(otherwise: str) -> str:
    """The constants of WHITENED, and what the paper says of them."""
    return (
        "Contrast normalisation and whitening have the constants of Pylearn2 (a contrast of 55, "
        f"and 0.1 added to the eigenvalues); {otherwise}."
    )


def momentum(decay: str) -> str:
    """The formula of the update; `decay`: the weight decay."""
    return (
        "The rate multiplies the gradient within the momentum, and weight decay is part of the "
        f"gradient: v <- 0.9 v - rate * (gradient + {decay} w). The paper gives no formula; one in "
        "which the rate multiplies the whole step trains otherwise once the rate has changed."
    )


SHUFFLED = shuffled("the paper does not say how it makes up its batches")
RESCALED = (
    "Photographs are rescaled bilinearly; of those at least twice as large as needed, pixels are "
    "first averaged by twos, fours or eights; the paper does not say how it rescales them."
)
AVERAGED_FIRST = (
    "Of photographs, or the parts that crops are, at least twice as large as needed, pixels are "
    "first averaged by twos, fours or eights, whichever way they are rescaled; the paper does not "
    "mention it."
)
COLOUR_SHIFT = (
    "The colour shift is that of Krizhevsky et al. 2012, in units of white; the paper refers to "
    "them, who give no unit."
)
ALL_DECAYED = "Weight decay applies to all weights and biases; the paper does not say to which."
MOMENTUM = momentum("0.0001")
MOVING_AVERAGES = (
    "In tests, batch normalisation goes by moving averages of momentum 0.9, with an epsilon of "
    "1e-5; the paper does not say by what."
)
STATISTICS_OF_A_BATCH = (
    "In training, batch normalisation goes by all images of a batch, also on several GPUs with "
    "JAX; with TensorFlow each of several GPUs goes by its own share, and the moving averages of "
    "the first are kept."
)
UNBIASED = "Convolutions have no biases; the paper does not say whether its own have."
HE_BY_FAN_IN = (
    "Weights, those of the last layer too, are drawn by the fan-in form of the initialisation that "
    "the paper refers to; the paper does not say by which form."
)
HIDDEN_LABELS = "the labels of the test images are not public"
NO_SVHN = "SVHN is not read here"
SCORED_ONCE = "Each test image is scored once, as it is; the paper does not say how it tests."
SCALED_DROPOUT = (
    "Dropout divides what it keeps by the share that it keeps, in training; the paper does not say "
    "whether it scales in training or in tests."
)
