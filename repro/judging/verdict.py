"""The statistics of "reproduced": does the paper's number come out?

Metrics are errors in per cent, or what a probe measures; lower is better. Only `paper` runs are
held against a paper, and runs are pooled only when they share recipe, code path and versions, and
differ in the seed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from repro import spec
from repro.judging import statistics
from repro.judging.groups import failed, groups
from repro.judging.measures import measured
from repro.judging.spread import NOTHING, Prior, images_of_group
from repro.judging.stacks import together
from repro.judging.statistics import CONFIDENCE, ROUNDING, Uncertainty, holm

TOLERANCE_POINTS = 0.2  # an interval wider than this and than the next is no answer
TOLERANCE_SHARE = 0.1  # of the reported error
REPRODUCED, BETTER, WORSE = "reproduced", "better", "worse"
INCONCLUSIVE = "inconclusive"
SETTLED = (REPRODUCED, BETTER, WORSE, INCONCLUSIVE)
PROVISIONAL = "provisional: "  # with fewer runs than the experiment is judged by
NOT_RUN = "not run"
NOTHING_REPORTED = "nothing reported"
STALE = "stale"


@dataclass(frozen=True)
class Judgement:
    """A verdict and its figures, in per cent or points; None where they cannot be computed.

    `spread` is the moderated standard deviation, `degrees` those of freedom of the interval.
    `difference` is mean - reported; `low` and `high` enclose the reported values that count as
    reproduced.
    `equivalent`: whether the two differ by no more than the tolerance, with 95 % confidence.
    `p`: how often chance alone makes such a difference.
    """

    verdict: str
    n: int
    mean: float | None = None
    std: float | None = None
    spread: float | None = None
    degrees: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    equivalent: bool | None = None
    p: float | None = None


@dataclass(frozen=True)
class VerdictRow:
    """An experiment, one of its reported numbers, and a group of runs held against it.

    reported, reported_std: the number and the paper's own spread, where it gives one.
    std, spread, degrees, low, high, equivalent, p: as in `Judgement`.
    planned: how many runs the experiment is judged by. failed: how many runs of the group failed;
    they are counted nowhere else.
    p_holm: `p` after Holm's correction for all rows that are judged in the same table.
    chosen: how the paper chose its number. group: the group in words.
    seeds, runs: those that were judged, runs by their ids.
    main: whether the row speaks for the experiment. stacks: of how many the runs are; `judge` is
    for those of one.
    images: how many test images the metric is a share of, where the prior speaks of its spread.
    """

    experiment: str
    metric: str
    protocol: str
    reported: float | None
    reported_std: float | None
    mean: float | None
    std: float | None
    spread: float | None
    degrees: float | None
    n: int
    planned: int
    failed: int
    difference: float | None
    verdict: str
    low: float | None
    high: float | None
    equivalent: bool | None
    p: float | None
    p_holm: float | None
    source: str
    chosen: str
    group: str
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    main: bool
    stacks: int
    images: int | None
    number: spec.Reported | None = field(default=None, metadata={"json": False})
    prior: Prior = field(default=NOTHING, metadata={"json": False})

    @property
    def word(self) -> str:
        """The verdict without whether it is provisional."""
        return self.verdict.removeprefix(PROVISIONAL)

    @property
    def provisional(self) -> bool:
        return self.verdict.startswith(PROVISIONAL)

    @property
    def judged(self) -> bool:
        """Whether it counts among the verdicts."""
        return self.main and self.verdict in SETTLED

    @property
    def outside(self) -> bool:
        return self.word in (BETTER, WORSE)

    @property
    def by_chance(self) -> bool:
        """Whether it lies outside before Holm's correction only."""
        return self.outside and self.p_holm is not None and self.p_holm > 1 - CONFIDENCE

    @property
    def added(self) -> int:
        """How many runs of the stack there are beyond those that were planned."""
        return max(0, self.n - self.planned) if self.stacks == 1 else 0

    def half_width(self, n: int) -> float | None:
        """Half the width that its interval would have with n runs, at today's spread."""
        if self.number is None or self.mean is None:
            return None
        std = self.std
        if std is None and n > 1 and self.spread is not None:
            std = self.prior.std(self.mean, self.images)  # what is to be expected of more runs
        _, unsure = uncertainty(std, n, self.mean, self.number, self.prior, self.images)
        return unsure.half_width() if unsure else None


def judge(
    values: Sequence[float],
    reported: spec.Reported,
    prior: Prior = NOTHING,
    images: int | None = None,
    seeds: int = 3,
) -> Judgement:
    """The verdict on one reported number, from one measured value per seed (per cent).

    prior, images: what is known of the spread; see `Prior.moderated`. seeds: how many values are
    needed; the verdict on fewer is provisional.

    With n values of mean m the half-width of the interval is that of `uncertainty` at 95 %.
    `better` or `worse` when the reported value lies outside m +- half-width. Inside it `reproduced`
    when the half-width is at most the tolerance, else `inconclusive`. One value without a prior has
    no interval, and is inconclusive.

    Apart from that the mean and the reported value are `equivalent` when two one-sided tests at
    95 % both say that they differ by less than the tolerance (Schuirmann 1987): when the interval
    at 90 % lies within it.
    """
    n = len(values)
    if n == 0:
        return Judgement(NOT_RUN, 0)
    mean, std = fmean(values), stdev(values) if n > 1 else None
    spread, unsure = uncertainty(std, n, mean, reported, prior, images)
    return _judgement(n, mean, std, spread, unsure, reported, seeds)


def _judgement(
    n: int,
    mean: float,
    std: float | None,
    spread: float | None,
    unsure: Uncertainty | None,
    reported: spec.Reported,
    seeds: int,
) -> Judgement:
    early, difference = PROVISIONAL if n < seeds else "", mean - reported.value
    if unsure is None:
        return Judgement(early + INCONCLUSIVE, n, mean, difference=difference)
    half, apart, most = unsure.half_width(), abs(difference), tolerance(reported) + ROUNDING
    if apart > half + ROUNDING:
        verdict = WORSE if difference > 0 else BETTER
    else:
        verdict = REPRODUCED if half <= most else INCONCLUSIVE
    return Judgement(
        verdict=early + verdict,
        n=n,
        mean=mean,
        std=std,
        spread=spread,
        degrees=unsure.degrees,
        difference=difference,
        low=mean - half,
        high=mean + half,
        equivalent=apart + unsure.half_width(2 * CONFIDENCE - 1) <= most,
        p=unsure.p(difference),
    )


def uncertainty(
    std: float | None,
    n: int,
    mean: float,
    reported: spec.Reported,
    prior: Prior,
    images: int | None,
) -> tuple[float | None, Uncertainty | None]:
    """The moderated spread of n runs, and how well their difference from the paper is known.

    The reported value counts as one more run: the error is spread sqrt(1 + 1/n). Where the paper
    gives its own spread over two runs or more, that is moderated likewise, and the error is Welch's
    of the difference of the means: the two need not have the same spread. None for one run without
    a prior.
    """
    spread, degrees = prior.moderated(std, n, mean, images)
    if spread is None:
        return None, None
    runs = reported.runs or 0
    if reported.std is None or runs < 2:
        return spread, statistics.prediction(spread, n, degrees)
    theirs = prior.moderated(reported.std, runs, reported.value, images)
    return spread, statistics.welch(spread, n, degrees, theirs[0], runs, theirs[1])


def tolerance(reported: spec.Reported) -> float:
    """The largest half-width, in points, of an interval that still answers."""
    return max(TOLERANCE_POINTS, TOLERANCE_SHARE * reported.value)


def table(
    records: Sequence[dict], experiments: Iterable[spec.Experiment], prior: Prior
) -> list[VerdictRow]:
    """One row per experiment, reported number and group of paper-scale runs.

    The one row with `main` per experiment and number speaks for the experiment: plain runs of the
    stack with most seeds, the newest of equal ones. The others are variations, other stacks, all
    plain stacks that trained on as many images together (see `stacks.together`), or stale (made
    with a former recipe; never judged). An experiment without a reported number has its first
    protocol's test error listed, not judged. Holm's correction is over the rows that count among
    the verdicts.
    """
    rows = []
    for experiment in experiments:
        done = groups(records, experiment, "paper")
        broken = failed(records, experiment, "paper")
        order = sorted({**done, **broken}, key=lambda group: (group.stale, not group.plain))
        for number in experiment.reported or (None,):
            mine = []
            for group in order:
                runs, lost = done.get(group, []), broken.get(group, [])
                row = _row(experiment, number, runs, lost, prior, group.stale)
                mine.append(replace(row, group=group.label(order)))
            if not (order and order[0].plain):
                mine.insert(0, _row(experiment, number, [], [], prior))
            mine[0] = replace(mine[0], main=True)
            alike = [g for g in order if g.plain and g.examples == order[0].examples]
            stacks = [done.get(group, []) for group in alike]
            lost = [run for group in alike for run in broken.get(group, ())]
            rows += [*mine, *_all_stacks(experiment, number, stacks, lost, prior)]
    return _corrected(rows)


def _row(
    experiment: spec.Experiment,
    number: spec.Reported | None,
    runs: list,
    lost: list,
    prior: Prior,
    stale: bool = False,
) -> VerdictRow:
    row = _bare(experiment, number, runs, lost, prior)
    asked = number or spec.Reported("test_error", math.nan, "")
    values = [value for _, value in measured(runs, row.metric, row.protocol)]
    judgement = judge(values, asked, prior, row.images, experiment.seeds)
    if number is None and judgement.n:
        judgement = _not_judged(judgement, NOTHING_REPORTED)
    if stale:
        judgement = _not_judged(judgement, STALE)
    return replace(row, **vars(judgement))


def _all_stacks(
    experiment: spec.Experiment,
    number: spec.Reported | None,
    stacks: Sequence[list],
    lost: list,
    prior: Prior,
) -> list[VerdictRow]:
    """The row of two plain stacks or more together; none where there are fewer."""
    if number is None:
        return []
    every = [run for runs in stacks for run in runs]
    row = _bare(experiment, number, every, lost, prior)
    values = [[v for _, v in measured(runs, row.metric, row.protocol)] for runs in stacks]
    values = list(filter(None, values))
    if len(values) < 2:
        return []
    try:
        made = together(values, prior, row.images)
    except ValueError:  # a run of each and no prior
        return []
    if (number.runs or 0) > 1 and number.std is not None:
        theirs, degrees = prior.moderated(number.std, number.runs, number.value, row.images)
        # The paper's runs are of one more stack.
        apart = math.hypot(made.error, made.between)
        unsure = statistics.welch(apart, 1, made.degrees, theirs, number.runs, degrees)
    else:  # the paper's is one more run of some stack
        unsure = Uncertainty(math.hypot(made.std, made.error), made.degrees)
    std = stdev(value for some in values for value in some)
    facts = made.n, made.mean, std, made.std, unsure, number, experiment.seeds
    group = f"all {made.stacks} stacks together"
    return [replace(row, **vars(_judgement(*facts)), group=group, stacks=made.stacks)]


def _bare(
    experiment: spec.Experiment,
    number: spec.Reported | None,
    runs: list,
    lost: list,
    prior: Prior,
) -> VerdictRow:
    """What a row says before it is judged."""
    metric, protocol = "test_error", experiment.protocols[0]
    if number:
        metric, protocol = number.metric, number.protocol
    counted = [run for run, _ in measured(runs, metric, protocol)]
    return VerdictRow(
        **vars(Judgement(NOT_RUN, 0)),
        experiment=experiment.name,
        metric=metric,
        protocol=protocol,
        reported=number.value if number else None,
        reported_std=number.std if number else None,
        planned=experiment.seeds,
        failed=len(lost),
        p_holm=None,
        source=number.source if number else "",
        chosen=number.chosen if number else "",
        group="",
        seeds=tuple(run["seed"] for run in counted),
        runs=tuple(run["id"] for run in counted),
        main=False,
        stacks=1,
        images=images_of_group([*runs, *lost], experiment, metric, protocol),
        number=number,
        prior=prior,
    )


def _not_judged(judgement: Judgement, verdict: str) -> Judgement:
    nothing = dict.fromkeys(("difference", "low", "high", "equivalent", "p"))
    return replace(judgement, verdict=verdict, **nothing)


def _corrected(rows: list[VerdictRow]) -> list[VerdictRow]:
    judged = [place for place, row in enumerate(rows) if row.judged]
    for place, p in zip(judged, holm([rows[place].p for place in judged]), strict=True):
        rows[place] = replace(rows[place], p_holm=p)
    return rows


def outside_by_chance(rows: Iterable[VerdictRow]) -> float:
    """How many of the judged rows would fall outside of their intervals by chance alone."""
    return (1 - CONFIDENCE) * sum(row.judged for row in rows)


def fell_short(rows: Iterable[VerdictRow], runs: Iterable[str] | None = None) -> bool:
    """Whether a row says `worse` (exit code 1 of the command line); no provisional one does, nor
    one that is worse before Holm's correction only: of so many rows some are, by chance.

    Those that count are each experiment's own rows or, where the ids of `runs` are given, the rows
    that these runs were judged in.
    """
    wanted = None if runs is None else set(runs)
    single = (row for row in rows if row.stacks == 1)
    counted = (row for row in single if (row.main if wanted is None else wanted & set(row.runs)))
    return any(row.verdict == WORSE and not row.by_chance for row in counted)
