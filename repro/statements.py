"""What a paper says of several experiments together: its claims, and figures to be drawn again."""

from dataclasses import dataclass

from repro.errors import UsageError


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
