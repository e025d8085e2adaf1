"""The vocabulary: what a paper, a recipe, an experiment, a run is.

Everything here is a frozen dataclass that can be printed. Nothing here imports Keras, so that the
command line can list and show experiments at once.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from repro.errors import UsageError, unknown

SCALES = ("smoke", "short", "paper")
PRECISIONS = ("float32", "mixed_bfloat16")
DECAYED = ("all", "kernels")


# ---------------------------------------------------------------------------- what a paper printed


@dataclass(frozen=True)
class Reported:
    """A number that the paper printed.

    `value` and `std` are in per cent. `std` is the paper's own spread over `runs` runs where it
    gives one; `chosen` says how the number was chosen where it is not a plain single run.
    """

    metric: str
    value: float
    source: str
    protocol: str = "single-view"
    std: float | None = None
    runs: int | None = None
    chosen: str = ""


@dataclass(frozen=True)
class Band:
    """A reference band measured here: `low` <= mean of `metric` <= `high`, in per cent.

    `source` says from which runs the band was made.
    """

    scale: str
    metric: str
    low: float
    high: float
    source: str
    protocol: str = "single-view"


# ---------------------------------------------------------------------------- the network


@dataclass(frozen=True)
class Network:
    """A network by name: `build(**options)` returns a Keras model.

    `published` holds the anatomy that the paper prints or that follows exactly from its tables
    (`parameters`, `connections`, `multiply_adds`); `source` says where it stands. `reported` are
    the paper's results with this network of which no experiment is described yet. `choices` holds
    the values that options which are words may take.
    """

    name: str
    build: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    reported: tuple[Reported, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


# ---------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Data:
    """Which images, and how many of them.

    `train` and `test` are split names, with an optional slice of examples in stored order:
    `train[:15000]`, `train[-5000:]`.
    """

    dataset: str
    train: str = "train"
    test: str = "test"


@dataclass(frozen=True)
class Steps:
    """A rate that is constant for a number of passes, then takes the next value.

    `steps` are (passes, rate) pairs, or (iterations, rate) pairs in a recipe that counts
    iterations; the last rate holds to the end.
    """

    steps: tuple[tuple[float, float], ...]

    def at(self, progress: float) -> float:
        """The rate after `progress` passes or iterations."""
        until = 0.0
        for passes, rate in self.steps:
            until += passes
            if progress < until:
                return rate
        return self.steps[-1][1]


@dataclass(frozen=True)
class WarmUp:
    """Training starts with `rate` until the error on the training examples falls below `error`.

    The error, in per cent, is taken over `window` updates together, again and again. It is not
    compressed at short scale.
    """

    rate: float
    error: float
    window: int = 100


@dataclass(frozen=True)
class ParameterGroup:
    """Variables that are trained otherwise than the rest.

    variables: a pattern for "layer/variable": "*/bias", "local*/kernel".
    rate: a factor on the rate. weight_decay: instead of that of the rest.
    """

    variables: str
    rate: float = 1.0
    weight_decay: float = 0.0


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum and the papers' coupled weight decay.

    v <- momentum * v - rate * (gradient + weight_decay * w);  w <- w + v

    nesterov: the step is then momentum * v - rate * (gradient + weight_decay * w) with the new v.
    averaging: tested are averages of the weights as they were after each update: the mean of all of
        them at first, a <- averaging * a + (1 - averaging) * w once that reaches as far back; 0 for
        the weights themselves.
    decayed: "all" variables, or "kernels" alone (no biases, no batch normalisation).
    groups: of those whose pattern fits a variable, the first holds for it, not `decayed`.
    """

    rate: Steps
    momentum: float = 0.0
    weight_decay: float = 0.0
    decayed: str = "all"
    warm_up: WarmUp | None = None
    nesterov: bool = False
    averaging: float = 0.0
    groups: tuple[ParameterGroup, ...] = ()

    def __post_init__(self):
        if self.decayed not in DECAYED:
            raise unknown("recipe.optimizer.decayed", self.decayed, DECAYED)


@dataclass(frozen=True)
class StochasticDiagonalLM:
    """Stochastic diagonal Levenberg-Marquardt (LeCun et al. 1998, Appendix C).

    Each weight k has its own rate, eta / (mu + h_kk); the curvature h_kk is estimated on
    `examples` training images before every pass and held during the pass.
    """

    eta: Steps
    mu: float
    examples: int


@dataclass(frozen=True)
class Recipe:
    """All that is needed, with the data, to train the same network.

    passes: how often the training set is gone through; or
    iterations: how many updates are made, in papers that count those. One of the two is 0.
    pass_examples: examples in one pass; 0 stands for the whole training set (copies included).
    batch: examples per update, over all devices.
    preprocessing: callables from `repro.data.preprocessing`, applied in order.
    augmentation: one of `repro.data.augmentation`, or None.
    loss: one of `repro.losses`.
    short_factor: at `short` scale the schedule is compressed so many times.
    tested_every: the test set is scored after so many passes, and after the last; at short scale
        after as many times fewer as the schedule is shorter.
    training_error_measured: also score the whole training set after each pass with the weights of
        that moment (otherwise the error seen while training is logged).
    """

    data: Data
    preprocessing: tuple[Any, ...]
    loss: Any
    optimizer: SGD | StochasticDiagonalLM
    passes: int
    batch: int
    initialisation: str
    iterations: int = 0
    augmentation: Any = None
    pass_examples: int = 0
    short_factor: int = 10
    tested_every: int = 1
    training_error_measured: bool = False

    def __post_init__(self):
        if bool(self.passes) == bool(self.iterations):
            raise UsageError(
                f"recipe.passes={self.passes} and recipe.iterations={self.iterations}: accepted is "
                "one of the two, the other 0"
            )


@dataclass(frozen=True)
class Experiment:
    """A network, a recipe, the protocols it is tested by, and what the paper reports.

    `deviations`: each way in which it differs from the paper, in a sentence.
    `note`: what a reader must know before believing the number (no reported number, say).
    `probes`: names in `repro.probes`, what else is measured on the trained network.
    """

    name: str
    title: str
    network: Network
    recipe: Recipe
    protocols: tuple[str, ...] = ("single-view",)
    reported: tuple[Reported, ...] = ()
    bands: tuple[Band, ...] = ()
    deviations: tuple[str, ...] = ()
    note: str = ""
    probes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that compares experiments.

    `needs` names the experiments; `metric` is compared after `protocol`. The claim holds when each
    experiment of `needs` has a lower mean than the one before it, by at least `margin` points (of
    a negative margin: is not higher by more than that); or, where `times` is given, one at least so
    many times lower, the means being geometric.

    metric: one of result.json, or `passes_to_25`: after how many passes the running error was 25 %.
    """

    name: str
    statement: str
    source: str
    needs: tuple[str, ...]
    metric: str = "test_error"
    protocol: str = "single-view"
    margin: float = 0.0
    times: float | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of the paper, drawn again from the recorded runs of one scale.

    panels: (title, names of experiments) pairs; of "errors" from left to right.
    shows: "errors", each panel's training and test error against the iteration. Or all together,
        those of the first panel dashed, the others solid: "running_error", the error seen while
        training, against the pass; or the name of a probe, its values against the layer, as they
        come and by size.
    source: which figure it is ("Figure 6").
    """

    name: str
    title: str
    source: str
    panels: tuple[tuple[str, tuple[str, ...]], ...]
    shows: str = "errors"


@dataclass(frozen=True)
class Paper:
    """A paper: its citation, networks, experiments (the first is the headline), claims, figures.

    `reported`: results of several networks together (ensembles), without an experiment yet.
    """

    name: str
    title: str
    citation: str
    experiments: tuple[Experiment, ...] = ()
    networks: tuple[Network, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()
    reported: tuple[Reported, ...] = ()


# ---------------------------------------------------------------------------- printing and changing


def as_plain(value: Any) -> Any:
    """`value` as JSON data: dataclasses become objects with their class name under "kind"."""
    if dataclasses.is_dataclass(value):
        plain = {f.name: as_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        named = isinstance(value, Experiment | Recipe | Network | Data)
        return plain if named else {"kind": type(value).__name__, **plain}
    if isinstance(value, Mapping):
        return {str(k): as_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(v) for v in value]
    if callable(value):
        return getattr(value, "__name__", str(value))
    return value


# Fields of a recipe that describe what is done, or what is measured, but change no weight.
NOT_TRAINED = ("initialisation", "tested_every", "training_error_measured")
# Fields that came later: where they do nothing, earlier runs keep their digest.
LATER = {
    "iterations": 0,
    "decayed": "all",
    "warm_up": None,
    "nesterov": False,
    "averaging": 0.0,
    "groups": [],
}


def digest(experiment: Experiment) -> str:
    """Twelve hexadecimal digits that name what is trained: the network and the recipe."""

    def said(fields: dict) -> dict:
        return {k: v for k, v in fields.items() if k not in LATER or v != LATER[k]}

    plain = as_plain(experiment)
    recipe = {k: v for k, v in said(plain["recipe"]).items() if k not in NOT_TRAINED}
    recipe["optimizer"] = said(recipe["optimizer"])
    network = [plain["network"]["name"], plain["network"]["options"]]
    text = json.dumps([network, recipe], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def settable(experiment: Experiment) -> dict[str, Any]:
    """The keys that `--set` accepts, with their present values."""
    keys: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            items = list(value.items())
        else:
            items = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        for name, inner in items:
            key = f"{prefix}{name}"
            if dataclasses.is_dataclass(inner):
                walk(key + ".", inner)
            elif key == "recipe.initialisation" or (name in ("passes", "iterations") and not inner):
                continue
            elif isinstance(inner, bool | int | float | str):
                keys[key] = inner

    walk("network.", experiment.network.options)
    walk("recipe.", experiment.recipe)
    return keys


def override(experiment: Experiment, assignments: Mapping[str, str] | list[str]) -> Experiment:
    """`experiment` with `KEY=VALUE` assignments applied.

    A value must have the type that the key has now. Raises UsageError for an unknown key, a value
    of another type, and a value that makes no sense (a batch of 0, a negative rate).
    """
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, got '{text}'")
        keys = settable(experiment)
        if key not in keys:
            raise unknown("key", key, sorted(keys))
        choices = experiment.network.choices.get(key.removeprefix("network."))
        if choices and value not in choices:
            raise unknown(key, value, choices)
        experiment = _replace(experiment, key.split("."), _typed(key, value, keys[key]))
    return experiment


def _typed(key: str, text: str, present: Any) -> Any:
    kind = type(present)
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        accepted = "true or false" if kind is bool else f"a value of type {kind.__name__}"
        raise UsageError(f"{key}={text}: accepted is {accepted} (now {present})") from None
    if kind in (int, float):
        if key.endswith((".momentum", ".averaging")) and value >= 1:
            raise UsageError(f"{key}={text}: accepted is a number from 0, below 1 (now {present})")
        positive = key.split(".")[-1] in POSITIVE
        signed = key.endswith(".outside")
        if value != value or abs(value) == float("inf") or (value < 0 and not signed):
            raise UsageError(f"{key}={text}: accepted is a finite number from 0 (now {present})")
        if positive and value == 0:
            raise UsageError(f"{key}={text}: accepted is a number above 0 (now {present})")
    return value


POSITIVE = {
    "passes",
    "iterations",
    "batch",
    "n",
    "mu",
    "examples",
    "short_factor",
    "penalty_scale",
    "tested_every",
    "window",
    "side",
    "white",
}


def _replace(value: Any, path: list[str], new: Any) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(value, Network) and head != "options":  # network.KEY sets an option of `build`
        return dataclasses.replace(value, options={**value.options, head: new})
    inner = _replace(getattr(value, head), rest, new) if rest else new
    return dataclasses.replace(value, **{head: inner})
