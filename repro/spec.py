"""The vocabulary: what a paper, a recipe, an experiment, a run is.

Everything here is a frozen dataclass that can be printed. Nothing here imports Keras, so that the
command line can list and show experiments at once.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from repro.carried import SAME, Carried
from repro.errors import UsageError, accept, unknown
from repro.limits import Limited, number
from repro.statements import Claim, Ensemble, Figure, Reported

SCALES = ("smoke", "short", "paper")
PRECISIONS = ("float32", "mixed_bfloat16")
DECAYED = ("all", "kernels")


@dataclass(frozen=True)
class Band:
    """A reference band measured here: `low` <= mean of `metric` <= `high`, in per cent.

    `source` says from which runs the band was made. It holds for runs in float32, and in the
    `precision` in which those were made; and, where `examples` is not 0, for runs that trained on
    so many.
    """

    scale: str
    metric: str
    low: float
    high: float
    source: str
    protocol: str = "single-view"
    precision: str = "float32"
    examples: int = 0

    def holds_for(self, precision: str, examples: int) -> bool:
        return precision in ("float32", self.precision) and self.examples in (0, examples)


@dataclass(frozen=True)
class Network:
    """A network by name: `build(**options)` returns a Keras model.

    `published` holds the anatomy that the paper prints or that follows exactly from its tables
    (`parameters`, `connections`, `multiply_adds`); `source` says where it stands. `reported` are
    the paper's results with this network that no experiment stands for. `choices` holds
    the values that options which are words may take, `limits` the least and the largest value of
    options which are numbers.
    """

    name: str
    build: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    reported: tuple[Reported, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Data(Limited):
    """Which images, and how many of them.

    `train` and `test` are split names, with an optional slice of examples in stored order:
    `train[:15000]`, `train[-5000:]`. `per_class`: of the training images, the first so many of each
    class, in stored order; 0 for all.
    """

    dataset: str
    train: str = "train"
    test: str = "test"
    per_class: int = number(0, 1_000_000, default=0)


# Rates change after so many passes, or iterations in a recipe that counts those.


@dataclass(frozen=True)
class Divided(Limited):
    """The rate is divided by `by` each time that training gets to one of `at`."""

    by: float = number(1, 1e6)
    at: tuple[float, ...] = ()

    def stretches(self, rate: float, total: float) -> list[tuple[float, float]]:
        """The (start, rate) of each stretch with one rate, of `total` in all."""
        return [(start, rate / self.by**step) for step, start in enumerate((0, *self.at))]


@dataclass(frozen=True)
class Decreased(Limited):
    """The rate is decreased by `per_cent` of what it is, after `every` so many."""

    per_cent: float = number(0, 100, below=True)
    every: float = number(0.1, 1e9)

    def stretches(self, rate: float, total: float) -> list[tuple[float, float]]:
        """The (start, rate) of each stretch with one rate, of `total` in all."""
        kept = 1 - self.per_cent / 100
        steps = range(math.ceil(total / self.every))
        return [(self.every * step, rate * kept**step) for step in steps]


@dataclass(frozen=True)
class Steps:
    """A table of rates: (passes, rate) pairs in order; the last rate holds to the end."""

    steps: tuple[tuple[float, float], ...]

    def at(self, progress: float) -> float:
        """The rate after `progress` passes."""
        until = 0.0
        for passes, rate in self.steps:
            until += passes
            if progress < until:
                return rate
        return self.steps[-1][1]


def one_alone(name: str, value: float, other_name: str, other_value: float) -> None:
    """Raises UsageError unless one of the two is 0, and the other is not."""
    if bool(value) == bool(other_value):
        accepted = "one of the two, the other 0" if value else "one of the two above 0"
        raise UsageError(f"{name}={value} and {other_name}={other_value}: accepted is {accepted}")


@dataclass(frozen=True)
class WarmUp(Limited):
    """Training starts with `rate` for so many `iterations`; or until the error is below `error`.

    The error is that on the training examples, in per cent, over `window` updates together, again
    and again. One of `iterations` and `error` is 0. It is not compressed at short scale.
    """

    rate: float = number(0, 1e3, above=True)
    error: float = number(0, 100, default=0.0)
    window: int = number(1, 1_000_000, default=100)
    iterations: int = number(0, 1_000_000, default=0)

    def __post_init__(self):
        super().__post_init__()
        one_alone("warm_up.error", self.error, "warm_up.iterations", self.iterations)


@dataclass(frozen=True)
class ParameterGroup(Limited):
    """Variables that are trained otherwise than the rest.

    variables: a pattern for "layer/variable": "*/bias", "local*/kernel".
    rate: a factor on the rate. weight_decay: instead of that of the rest.
    """

    variables: str
    rate: float = number(0, 1e3, default=1.0)
    weight_decay: float = number(0, 1e3, default=0.0)


@dataclass(frozen=True)
class SGD(Limited):
    """Stochastic gradient descent with momentum and the papers' coupled weight decay.

    v <- momentum * v - rate * (gradient + weight_decay * w);  w <- w + v

    rate: the rate at first; falls: how it changes (None: it does not).
    nesterov: the step is then momentum * v - rate * (gradient + weight_decay * w) with the new v.
    averaging: tested are averages of the weights as they were after each update: the mean of all of
        them at first, a <- averaging * a + (1 - averaging) * w once that reaches as far back; 0 for
        the weights themselves.
    decayed: "all" variables, or "kernels" alone (no biases, no batch normalisation).
    groups: of those whose pattern fits a variable, the first holds for it, not `decayed`.

    Of every optimizer: `by_the_pass`, whether what it does goes by the pass, so that at short scale
    passes are shorter and not fewer; `precisions`, in which it can be computed.
    """

    by_the_pass: ClassVar[bool] = False
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS

    rate: float = number(0, 1e3, above=True)
    falls: Divided | Decreased | None = None
    momentum: float = number(0, 1, below=True, default=0.0)
    weight_decay: float = number(0, 1e3, default=0.0)
    decayed: str = "all"
    warm_up: WarmUp | None = None
    nesterov: bool = False
    averaging: float = number(0, 1, below=True, default=0.0)
    groups: tuple[ParameterGroup, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.decayed not in DECAYED:
            raise unknown("recipe.optimizer.decayed", self.decayed, DECAYED)

    def stretches(self, total: float) -> list[tuple[float, float]]:
        """(start, rate) of each stretch with one rate, in a training of `total`.

        In passes, or in iterations where the recipe counts those.
        """
        return self.falls.stretches(self.rate, total) if self.falls else [(0, self.rate)]


@dataclass(frozen=True)
class StochasticDiagonalLM(Limited):
    """Stochastic diagonal Levenberg-Marquardt (LeCun et al. 1998, Appendix C).

    Each weight k has its own rate, eta / (mu + h_kk); the curvature h_kk is estimated on
    `examples` training images before every pass and held during the pass.
    """

    eta: Steps
    mu: float = number(0, 1e6, above=True)
    examples: int = number(1, 1_000_000)

    by_the_pass: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    warm_up: ClassVar[None] = None

    def stretches(self, total: float) -> list[tuple[float, float]]:
        """None: every weight has its own rate."""
        return []


@dataclass(frozen=True)
class WinnerTakeAll(Limited):
    """Learning without a teacher and without gradients (Fukushima 1980, section 3).

    Of each S-plane at most one cell represents it: the one that responds most, of those that do so
    in an S-column. What a representative sees is added to the weights of its plane.

    speeds: q of each S-layer, how much is added. columns: the side of the S-columns of each.
    """

    speeds: tuple[float, ...]
    columns: tuple[int, ...]

    by_the_pass: ClassVar[bool] = False
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    warm_up: ClassVar[None] = None

    def stretches(self, total: float) -> list[tuple[float, float]]:
        """None: there is no rate."""
        return []


@dataclass(frozen=True)
class Recipe(Limited):
    """All that is needed, with the data, to train the same network.

    passes: how often the training set is gone through; or
    iterations: how many updates are made, in papers that count those. One of the two is 0.
    pass_examples: examples in one pass; 0 stands for the whole training set (copies included).
    batch: examples per update, over all devices.
    preprocessing: callables from `repro.data.preprocessing`, applied in order.
    augmentation: one of `repro.data.augmentation`, or None.
    loss: one of `repro.networks.losses`; minimised where the optimizer goes by gradients.
    short_factor: at `short` scale the schedule is compressed so many times.
    short_ramp: at `short` scale the rate rises to its value over the first so many updates, by the
        same step each time; 0 for none.
    tested_every: the test set is scored after so many passes, and after the last; at short scale
        after as many times fewer as the schedule is shorter.
    training_error_measured: also score the whole training set after each pass with the weights of
        that moment (otherwise the error seen while training is logged).

    Fields with `trained` false describe or measure; they change no weight, so the digest leaves
    them out. `short_factor` and `short_ramp` count at short scale alone.
    """

    data: Data
    preprocessing: tuple[Any, ...]
    loss: Any
    optimizer: SGD | StochasticDiagonalLM | WinnerTakeAll
    passes: int = number(0, 100_000)
    batch: int = number(1, 65_536)
    initialisation: str = field(metadata={"trained": False})
    iterations: int = number(0, 100_000_000, default=0)
    augmentation: Any = None
    pass_examples: int = number(0, 100_000_000, default=0)
    short_factor: int = number(1, 1_000_000, default=10, scale="short")
    short_ramp: int = number(0, 1_000_000, default=0, scale="short")
    tested_every: int = number(1, 100_000, default=1, trained=False)
    training_error_measured: bool = field(default=False, metadata={"trained": False})

    def __post_init__(self):
        super().__post_init__()
        one_alone("recipe.passes", self.passes, "recipe.iterations", self.iterations)


@dataclass(frozen=True)
class Experiment(Limited):
    """A network, a recipe, the protocols it is tested by, and what the paper reports.

    `differs`: each way in which the paper says otherwise, in a sentence; `chosen`: each choice made
    here of which the paper says nothing. `deviations` are both, and what training begins with.
    `begins`: the run whose weights the network begins with; None where they are drawn.
    `note`: what a reader must know before believing the number (no reported number, say).
    `probes`: names in `repro.training.probes`, what else is measured on the trained network.
    `seeds`: how many runs make a verdict, fixed before the first is run. With fewer the verdict is
    provisional; that there are more is said beside it.
    """

    name: str
    title: str
    network: Network
    recipe: Recipe
    protocols: tuple[str, ...] = ("single-view",)
    reported: tuple[Reported, ...] = ()
    bands: tuple[Band, ...] = ()
    differs: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    note: str = ""
    probes: tuple[str, ...] = ()
    seeds: int = number(3, 1_000, default=3)
    begins: Carried | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.begins:
            accept("begins.scale", self.begins.scale, (SAME, *SCALES))
            if not isinstance(self.recipe.optimizer, SGD):
                raise UsageError(f"{self.name}: begins goes with SGD, which can leave layers alone")
        for name in ("protocols", "reported", "bands", "differs", "chosen", "probes"):
            if not isinstance(getattr(self, name), tuple):
                raise UsageError(f"{self.name}: {name} takes a tuple; is a comma missing?")

    @property
    def deviations(self) -> tuple[str, ...]:
        """All ways in which it differs from the paper, or fills in what the paper leaves open."""
        began = (self.begins.sentence,) if self.begins else ()
        return (*self.differs, *began, *self.chosen)


@dataclass(frozen=True)
class Paper:
    """A paper: its citation, networks, experiments (the first is the headline), claims, figures.

    `published`: where and when ("NIPS 2012"). `reported`: results of what is no network here, or of
    several together, that no experiment and no ensemble of `ensembles` stands for.
    """

    name: str
    title: str
    authors: str
    published: str
    experiments: tuple[Experiment, ...] = ()
    networks: tuple[Network, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()
    reported: tuple[Reported, ...] = ()
    ensembles: tuple[Ensemble, ...] = ()

    @property
    def citation(self) -> str:
        return f"{self.authors}. {self.title}. {self.published}."
