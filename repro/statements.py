"""What a paper says: its numbers, and of several experiments together its claims and figures."""

from dataclasses import dataclass

from repro.errors import UsageError


@dataclass(frozen=True)
class Reported:
    """A number that the paper printed.

    `value` and `std` are in per cent. `std` is the paper's own spread over `runs` runs where it
    gives one; `chosen` says how the number was chosen where it is not a plain single run. `why_not`
    says of a number without an experiment why it has none: what is missing here.
    """

    metric: str
    value: float
    source: str
    protocol: str = "single-view"
    std: float | None = None
    runs: int | None = None
    chosen: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Ensemble:
    """Several trained networks tested together: the mean of their softmax, by `protocol`.

    members: the experiment of each run; one that is named again stands for another seed.
    """

    name: str
    members: tuple[str, ...]
    protocol: str
    reported: tuple[Reported, ...]

    @property
    def command(self) -> str:
        """What tests the runs of its members, which come in the place of each RUN."""
        return f"repro evaluate {'RUN ' * len(self.members)}--protocol {self.protocol}"


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that compares experiments.

    `needs` names the experiments; `metric` is compared after `protocol`. The claim holds when each
    experiment of `needs` has a lower mean than the one before it, by at least `margin` points (of
    a negative margin: is not higher by more than that); or, where `times` is given, one at least so
    many times lower, the means being geometric.

    `less` names for each experiment of `needs` another one, whose mean is subtracted first: the
    differences are compared, with the same margin and without `times`.

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
    less: tuple[str, ...] = ()

    def __post_init__(self):
        if self.less and (len(self.less) != len(self.needs) or self.times is not None):
            raise UsageError(
                f"{self.name}: less takes an experiment for each of needs, and no claim of times"
            )

    @property
    def compared(self) -> tuple[tuple[str, ...], ...]:
        """What the chain compares: experiments, or pairs, the second to be subtracted."""
        return tuple(zip(self.needs, self.less, strict=True) if self.less else zip(self.needs))

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of all that it needs, each once."""
        return tuple(dict.fromkeys((*self.needs, *self.less)))


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
