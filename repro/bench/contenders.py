"""What is timed: networks, and the contenders that train them: `make bench`.

Most contenders train a network of a paper on the images of its recipe, as many per update, in a
process of its own. They take short turns, A B C ... C B A ..., so a machine whose speed drifts
slows all of them; figures are medians, and ratios are formed within a round before their median is
taken. The contenders of one precision take turns together. What they do is in the modules
`with_...` beside this one.

Nothing here imports Keras, TensorFlow, JAX or PyTorch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.errors import unknown

# ---------------------------------------------------------------------------- the networks


@dataclass(frozen=True)
class Network:
    """A network that is trained by the recipe of `experiment`, `batch` images per update.

    model: what it is called in `keras_models` and `torch_models`. parameters: the trained ones.
    multiply_adds: those of one image, forwards, without biases. Whatever a contender builds is
    held to both.
    """

    experiment: str
    title: str
    model: str
    batch: int
    parameters: int
    multiply_adds: int

    @property
    def operations(self) -> int:
        """Of one image, in training.

        A multiply-add is two; the gradients by inputs and by weights cost as much again each.
        """
        return 3 * 2 * self.multiply_adds


# The counts follow from the tables of layers in the papers; see the modules in papers/.
NETWORKS = (
    Network("resnet20-cifar10", "ResNet-20", "resnet20", 128, 269_722, 40_551_040),
    Network("nin-cifar10", "NiN", "nin", 128, 966_986, 222_486_528),
    Network("densenet40-k12-cifar10", "DenseNet-40", "densenet40", 64, 1_019_722, 264_812_928),
    Network("alexnet-local-cifar10", "AlexNet-local", "alexnet_local", 128, 1_116_490, 18_517_248),
    # With both auxiliary heads, 13,378,280 and 1,591,044,096 for a thousand classes. For ten, each
    # of the three classifiers on 1024 units has 990 outputs less: 990 x 1025 and 990 x 1024.
    Network("googlenet-imagenette", "GoogLeNet", "googlenet", 32, 10_334_030, 1_588_002_816),
)
SMALLEST = "resnet20-cifar10"  # what concerns the harness more than the network is timed on it


def network(name: str) -> Network:
    """The network of the experiment of that name. Raises UsageError."""
    for one in NETWORKS:
        if one.experiment == name:
            return one
    raise unknown("network", name, [n.experiment for n in NETWORKS])


# ---------------------------------------------------------------------------- the contenders

FLOAT32, BFLOAT16 = "float32", "bfloat16"
EVERYWHERE, ON_CPUS, ON_GPUS, NOWHERE = ("CPU", "GPU"), ("CPU",), ("GPU",), ()


@dataclass(frozen=True)
class Contender:
    """Something that is timed, by `function(seconds, network, **options)` of the module `module`.

    The function returns a sample: `segments`, a list of [amount, seconds], and what else it knows.
    `rate` is in `unit`: by default images per second. A "{backend}" in `module` stands for that of
    Keras. `package` must be installed; "keras" stands for a backend of it.

    precision: contenders of one precision take turns together; those of none tell
    what the machine can do, before all networks and again after them. networks: the only ones that
    it is for; none for all. copies: so many processes have their turn at the same time, and their
    rates are summed. usual: on what devices it runs without being named.
    """

    name: str
    title: str
    module: str
    function: str
    precision: str = ""
    options: Mapping[str, Any] | None = None
    unit: str = "images/s"
    package: str = "keras"
    networks: tuple[str, ...] = ()
    copies: int = 1
    usual: tuple[str, ...] = EVERYWHERE


def _of(precision: str) -> tuple[Contender, ...]:
    """The contenders that train in a precision."""
    end = "" if precision == FLOAT32 else f"-{precision}"
    policy = precision if precision == FLOAT32 else f"mixed_{precision}"
    keras, torch = {"precision": policy}, {"precision": precision}
    harness = ("with_harness", "harness", precision, keras)
    bare = ("with_{backend}", "bare", precision, keras)
    in_torch = ("with_torch", "train", precision)
    return (
        Contender(f"harness{end}", f"this harness, {policy}", *harness),
        Contender(
            f"harness-three{end}",
            f"this harness, three runs side by side, {policy}",
            *harness,
            networks=(SMALLEST,),
            copies=3,
        ),
        Contender(
            *(f"keras-fit{end}", f"plain Keras, fit on arrays, {policy}"),
            *("with_keras", "fit", precision, keras),
        ),
        Contender(f"bare{end}", f"bare Keras loop with our layers, {policy}", *bare),
        Contender(*(f"torch{end}", f"PyTorch, {precision}"), *in_torch, torch, package="torch"),
        Contender(
            *(f"torch{end}-channels-last", f"PyTorch, {precision}, channels last"),
            *(*in_torch, {**torch, "channels_last": True}),
            package="torch",
        ),
        Contender(
            *(f"torch{end}-compile", f"PyTorch, {precision}, channels last, torch.compile"),
            *(*in_torch, {**torch, "channels_last": True, "compiled": True}),
            package="torch",
            usual=ON_GPUS,
        ),
    )


CONTENDERS = (
    *_of(FLOAT32),
    Contender(
        *("pipeline", "the harness' input pipeline alone"),
        *("with_harness", "pipeline", FLOAT32),
        networks=(SMALLEST,),
        usual=ON_CPUS,  # on a GPU the images are made there, in the loop
    ),
    Contender(
        *("keras-epoch", "plain Keras, a whole epoch of fit, float32"),
        *("with_keras", "epoch", FLOAT32),
        usual=NOWHERE,
    ),
    *_of(BFLOAT16),
    Contender(
        *("product", "matrix product, float32", "with_{backend}", "product"),
        options={"precision": FLOAT32},
        unit="GFLOP/s",
    ),
    Contender(
        *("product-bfloat16", "matrix product, bfloat16", "with_{backend}", "product"),
        options={"precision": BFLOAT16},
        unit="GFLOP/s",
    ),
    Contender("bandwidth", "y = x + 1", "with_{backend}", "bandwidth", unit="GB/s"),
)


def contender(name: str) -> Contender:
    """The contender of that name. Raises UsageError."""
    for one in CONTENDERS:
        if one.name == name:
            return one
    raise unknown("contender", name, [c.name for c in CONTENDERS])


# ---------------------------------------------------------------------------- who plays with whom

ROUNDS_OF_THE_MACHINE = 2  # the most: what they give is no ratio


@dataclass(frozen=True)
class Group:
    """Contenders that are there at once and take turns; `network` is None where they have none."""

    network: Network | None
    contenders: tuple[Contender, ...]
    rounds: int


def groups(networks: Sequence[Network], chosen: Sequence[Contender], rounds: int) -> list[Group]:
    """For each network a group for each precision; before them, and again after, the machine's."""
    of_machine = tuple(c for c in chosen if not c.precision)
    machine = [Group(None, of_machine, min(rounds, ROUNDS_OF_THE_MACHINE))] if of_machine else []
    trained = []
    for one in networks:
        for precision in (FLOAT32, BFLOAT16):
            mine = (c for c in chosen if c.precision == precision)
            fitting = tuple(c for c in mine if not c.networks or one.experiment in c.networks)
            if fitting:
                trained.append(Group(one, fitting, rounds))
    return [*machine, *trained, *(machine if trained else [])]


# ---------------------------------------------------------------------------- the ratios


@dataclass(frozen=True)
class Ratio:
    """`above` over the best of `below`, formed in each round.

    target: what is to be reached, on any device or on GPUs alone. training: those of which the
    training alone is taken, without evaluation, checkpoints and logging.
    """

    title: str
    above: str
    below: tuple[str, ...]
    target: float | None = None
    on_gpus: float | None = None
    training: tuple[str, ...] = ()


def _ratios(precision: str) -> tuple[Ratio, ...]:
    end = "" if precision == FLOAT32 else f"-{precision}"
    mine = f"harness{end}"
    torch = tuple(c.name for c in _of(precision) if c.package == "torch")
    return (
        Ratio(f"harness / bare loop, {precision}", mine, (f"bare{end}",), 0.99),
        Ratio(
            f"its training alone / bare loop, {precision}", mine, (f"bare{end}",), training=(mine,)
        ),
        Ratio(f"harness / plain Keras fit, {precision}", mine, (f"keras-fit{end}",), 1.5),
        Ratio(f"harness / best PyTorch, {precision}", mine, torch, 1.2),
        Ratio(
            f"three side by side / alone, {precision}", f"harness-three{end}", (mine,), on_gpus=1.6
        ),
    )


RATIOS = (
    *_ratios(FLOAT32),
    Ratio("input pipeline / training, float32", "pipeline", ("harness",), training=("harness",)),
    Ratio("harness / plain Keras, a whole epoch, float32", "harness", ("keras-epoch",)),
    *_ratios(BFLOAT16),
)
