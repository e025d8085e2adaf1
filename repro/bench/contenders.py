"""How fast ResNet-20 is trained here, beside what people would use instead: `make bench`.

Every contender trains ResNet-20 of He et al. 2015 on CIFAR-10's arrays, 128 images per update, in
a process of its own. They take short turns, A B C ... C B A ..., so a machine whose speed drifts
slows all of them; figures are medians, and ratios are formed within a round before their median is
taken. What is timed is in `with_keras` and `with_torch`.

Nothing here imports Keras, TensorFlow or PyTorch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXPERIMENT = "resnet20-cifar10"
BATCH = 128
# He et al. 2015, section 4.2 with n = 3: counted layer by layer, multiply-adds without biases.
PARAMETERS, MULTIPLY_ADDS = 269_722, 40_551_040
# A multiply-add is two operations; the gradients by inputs and by weights cost as much again each.
OPERATIONS_PER_IMAGE = 3 * 2 * MULTIPLY_ADDS


@dataclass(frozen=True)
class Contender:
    """Something that is timed, by `function(seconds, **options)` of the module `module`.

    The function returns a sample: `segments`, a list of [amount, seconds], and what else it knows.
    `rate` is in `unit`: by default images per second. `package` must be installed. One that is not
    `usual` runs only when it is named.
    """

    name: str
    title: str
    module: str
    function: str
    options: Mapping[str, Any]
    unit: str = "images/s"
    package: str = "tensorflow"
    usual: bool = True


def _torch(name: str, title: str, **options: Any) -> Contender:
    return Contender(name, title, "repro.bench.with_torch", "train", options, package="torch")


def _keras(name: str, title: str, function: str, unit: str = "images/s", usual=True, **options):
    return Contender(name, title, "repro.bench.with_keras", function, options, unit, usual=usual)


CONTENDERS = (
    _keras("harness", "this harness, float32", "harness", precision="float32"),
    _keras(
        "harness-bfloat16", "this harness, mixed_bfloat16", "harness", precision="mixed_bfloat16"
    ),
    _keras("keras-fit", "plain Keras, fit on arrays, float32", "fit"),
    _keras("bare", "bare Keras loop with our layers, float32", "bare"),
    _torch("torch", "PyTorch, float32", precision="float32", channels_last=False),
    _torch(
        "torch-channels-last",
        "PyTorch, float32, channels last",
        precision="float32",
        channels_last=True,
    ),
    _torch("torch-bfloat16", "PyTorch, bfloat16", precision="bfloat16", channels_last=False),
    _torch(
        "torch-bfloat16-channels-last",
        "PyTorch, bfloat16, channels last",
        precision="bfloat16",
        channels_last=True,
    ),
    _keras("pipeline", "the harness' input pipeline alone", "pipeline"),
    _keras("product", "matrix product, float32", "product", "GFLOP/s", precision="float32"),
    _keras(
        "product-bfloat16", "matrix product, bfloat16", "product", "GFLOP/s", precision="bfloat16"
    ),
    _keras("keras-epoch", "plain Keras, a whole epoch of fit", "epoch", usual=False),
)
TORCH = tuple(c.name for c in CONTENDERS if c.package == "torch")


@dataclass(frozen=True)
class Ratio:
    """`above` over the best of `below`, formed in each round; `target` where one is set.

    Where `training` is named, the training alone of that side is taken: without evaluation,
    checkpoints and logging.
    """

    title: str
    above: str
    below: tuple[str, ...]
    target: float | None = None
    training: tuple[str, ...] = ()


RATIOS = (
    Ratio("harness float32 / plain Keras fit", "harness", ("keras-fit",), 1.5),
    Ratio("harness float32 / best PyTorch", "harness", TORCH, 1.1),
    Ratio("harness mixed_bfloat16 / best PyTorch", "harness-bfloat16", TORCH, 1.6),
    Ratio("harness float32 / bare loop", "harness", ("bare",), 0.97),
    Ratio("its training alone / bare loop", "harness", ("bare",), None, ("harness",)),
    Ratio("input pipeline / training, float32", "pipeline", ("harness",), 10, ("harness",)),
    Ratio(
        "input pipeline / training, mixed_bfloat16",
        "pipeline",
        ("harness-bfloat16",),
        None,
        ("harness-bfloat16",),
    ),
    Ratio("harness mixed_bfloat16 / harness float32", "harness-bfloat16", ("harness",)),
    Ratio("harness float32 / plain Keras, a whole epoch", "harness", ("keras-epoch",)),
)
