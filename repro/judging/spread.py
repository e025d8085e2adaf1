"""What is known beforehand about the spread of a test error over seeds.

The error of a calibrated network, a share e of N test images, varies from seed to seed by about
sigma^2 = e / (2N) (Jordan, arXiv 2304.01910, with Jiang et al., arXiv 2106.13799). Why: where the
label of an image has the probabilities q_k, and networks answer k with probability q_k, they are
wrong with probability 1 - sum q_k^2; whether one is wrong has, on average over the labels, the
variance sum q_k^2 (1 - q_k). For two classes that is half the probability, for more at most half.

How well this holds is measured: in every group of plain runs the variance s^2 of n test errors has
n - 1 degrees of freedom, and sigma^2 of the groups is taken to spread about s0^2 = kappa e / (2N)
as s0^2 d0 / chi^2(d0). Then s^2 / s0^2 follows F(n - 1, d0), and what a group of its own is best
believed to vary by is the moderated

    s~^2 = (d0 s0^2 + (n - 1) s^2) / (d0 + n - 1),

with d0 + n - 1 degrees of freedom for Student's t (Smyth 2004, "Linear models and empirical Bayes
methods", Statistical Applications in Genetics and Molecular Biology 3(1), article 3).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from repro import catalog, spec
from repro.data.sets import DATASETS
from repro.judging import groups, measures
from repro.judging.statistics import CONFIDENCE, holm
from repro.records import here, reading

MOST_DEGREES = 40  # more would drown what the runs of a group say themselves
FEWEST_GROUPS = 5  # fewer say too little about how groups differ: 95 % intervals hold 93 % or less
FAR = 0.001  # a spread that the prior lets one group in a thousand exceed is no longer moderated


@dataclass(frozen=True)
class Prior:
    """What is known beforehand: the variance is about kappa e / (2N), worth `degrees` of freedom.

    With 0 degrees nothing is known, and every interval is the classical one.
    """

    kappa: float
    degrees: float

    def std(self, error: float, images: int) -> float:
        """The spread to be expected at an `error` in per cent of so many images, in points."""
        return 100 * math.sqrt(self.kappa * error / 100 / (2 * images))

    def moderated(
        self, std: float | None, n: int, error: float, images: int | None
    ) -> tuple[float | None, float]:
        """The moderated spread in points, and its degrees of freedom.

        std: that of n runs in points, None or nan for a single one. error: their mean, in per cent.
        images: how many are tested, None where the metric counts none. The spread is returned as
        it is, with n - 1 degrees, where the prior says nothing about it: without images or errors,
        and where it is `far_above` the expected one.
        """
        alone = std is None or math.isnan(std)
        own = 0 if alone else n - 1
        if not (self.degrees and images and error > 0):
            return (None, 0) if alone else (std, own)
        if not alone and self.far_above(std, n, error, images):
            return std, own
        squares = self.degrees * self.std(error, images) ** 2 + (own * std**2 if own else 0)
        degrees = self.degrees + own
        return math.sqrt(squares / degrees), degrees

    def far_above(self, std: float, n: int, error: float, images: int | None) -> bool:
        """Whether n runs vary by more than one group in a thousand would, by the prior.

        Such a group (a seed that learnt badly, say) is not like the others, and is not told to be:
        as in Phipson et al. 2016, "Robust hyperparameter estimation protects against hypervariable
        genes", Annals of Applied Statistics 10(2).
        """
        if not (self.degrees and images and error > 0 and n > 1):
            return False
        return self.share_above(std, n, error, images) < FAR

    def share_above(self, std: float, n: int, error: float, images: int) -> float:
        """The share of groups of n runs, from 0 to 1, that would vary by more than `std` points."""
        from scipy.special import fdtrc

        return float(fdtrc(n - 1, self.degrees, (std / self.std(error, images)) ** 2))

    def ratios(self, n: int) -> tuple[float, float]:
        """Between which multiples of the expected spread that of n runs lies, 95 times in 100."""
        from scipy.special import fdtri

        tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
        low, high = (math.sqrt(fdtri(n - 1, self.degrees, tail)) for tail in tails)
        return low, high


NOTHING = Prior(1.0, 0.0)


@dataclass(frozen=True)
class Observed:
    """A group of plain runs whose test errors tell how such errors spread.

    group: in words. n: runs. error: their mean, in per cent. std: of n runs, in points.
    """

    experiment: str
    group: str
    n: int
    error: float
    images: int
    std: float

    @property
    def expected(self) -> float:
        """sqrt(e / (2N)), in points."""
        return Prior(1.0, 1.0).std(self.error, self.images)

    @property
    def rounded(self) -> float:
        """`std`, but no less than that of rounding to a whole image: a twelfth of its square.

        A test error is a number of images (Sheppard), so runs that agree exactly do not vary by 0.
        """
        return max(self.std, 100 / self.images / math.sqrt(12))


def prior_of_all(records: Sequence[dict], scale: str = "paper") -> Prior:
    """What `every` record of the catalog's experiments teaches."""
    return prior(every(records), catalog.experiments(), scale)


def every(records: Sequence[dict]) -> list[dict]:
    """`records`, those of results/ here and those that came with the program, each once."""
    merged = {record["run"]["id"]: record for record in records}
    read = {str(folder) for _, _, folder in getattr(records, "places", ())}
    for folder in dict.fromkeys(filter(None, (here.kept_in(), reading.committed()))):
        if str(folder.absolute()) not in read:
            for record in reading.records(folder, warn=lambda _: None):
                merged.setdefault(record["run"]["id"], record)
    return list(merged.values())


def prior(
    records: Sequence[dict], experiments: Iterable[spec.Experiment], scale: str = "paper"
) -> Prior:
    """What the plain groups of two runs or more of one scale teach."""
    return fit(observed(records, experiments, scale))


def observed(
    records: Sequence[dict], experiments: Iterable[spec.Experiment], scale: str = "paper"
) -> list[Observed]:
    """The test error, by its first protocol, of every plain group of two runs or more.

    Left out are groups that diverged (see `images_of_group`) or made no error at all, and test
    images that were drawn here: variants of a few patterns are right or wrong together.
    """
    ran = {r["run"]["experiment"] for r in records if r["run"]["scale"] == scale}
    seen = []
    for experiment in experiments:
        drawn = DATASETS[experiment.recipe.data.dataset].source == "drawn here"
        if drawn or experiment.name not in ran:
            continue
        done = groups.groups(records, experiment, scale)
        lost = groups.failed(records, experiment, scale)
        protocol = experiment.protocols[0]
        for group, runs in done.items():
            errors = measures.values(runs, "test_error", protocol)
            if not group.plain or len(errors) < 2 or not fmean(errors):
                continue
            ended = [*runs, *lost.get(group, ())]
            images = images_of_group(ended, experiment, "test_error", protocol)
            if images:
                facts = (len(errors), fmean(errors), images, stdev(errors))
                seen.append(Observed(experiment.name, group.label(done), *facts))
    return seen


def fit(seen: Sequence[Observed]) -> Prior:
    """kappa and d0 by the method of moments on the log variances (Smyth 2004, section 6.2).

    With d = n - 1, z = log(s^2 / (e / (2N))) has the mean
    log kappa + psi(d/2) - log(d/2) - psi(d0/2) + log(d0/2) and the variance psi'(d/2) + psi'(d0/2).
    So y = z - psi(d/2) + log(d/2) varies over G groups by psi'(d0/2) more than the mean psi'(d/2),
    which gives d0, and its mean gives kappa. d0 is at most 40, and at most as much as the degrees
    of all groups together, on which kappa rests. With fewer than five groups nothing is known.
    s is `rounded`, so that runs that agree exactly have a logarithm.
    """
    if len(seen) < FEWEST_GROUPS:
        return NOTHING
    from scipy.special import polygamma, psi

    shifted, own = [], []
    for group in seen:
        half = (group.n - 1) / 2
        ratio = group.rounded / group.expected
        shifted.append(2 * math.log(ratio) - psi(half) + math.log(half))
        own.append(polygamma(1, half))
    more = variance(shifted) - fmean(own)
    most = min(MOST_DEGREES, sum(group.n - 1 for group in seen))
    degrees = float(min(most, 2 * trigamma_inverse(more))) if more > 0 else float(most)
    kappa = math.exp(fmean(shifted) + psi(degrees / 2) - math.log(degrees / 2))
    return Prior(kappa, degrees)


def outside(seen: Sequence[Observed], prior: Prior) -> list[tuple[Observed, bool]]:
    """The groups outside of the band that holds 95 of 100, and whether far.

    Far outside is a group that still is after Holm's correction for all of them.
    """
    if not prior.degrees:
        return []
    above = [prior.share_above(group.rounded, group.n, group.error, group.images) for group in seen]
    ps = [2 * min(share, 1 - share) for share in above]
    alpha = 1 - CONFIDENCE
    return [
        (group, corrected < alpha)
        for group, p, corrected in zip(seen, ps, holm(ps), strict=True)
        if p < alpha
    ]


def trigamma_inverse(value: float) -> float:
    """The y > 0 with psi'(y) = `value` > 0, by Newton's steps on 1 / psi' (Smyth 2004, appendix).

    1 / psi' is nearly a straight line and convex, so the steps come from one side and end.
    """
    from scipy.special import polygamma

    y = 0.5 + 1 / value
    for _ in range(100):
        slope = polygamma(1, y)
        step = slope * (1 - slope / value) / polygamma(2, y)
        y += step
        if abs(step) <= 1e-10 * y:
            break
    return float(y)


def images_of(record: dict, metric: str, protocol: str) -> int | None:
    """Of how many test images `metric` is a share; None for a metric that counts none.

    What is measured on training images, or while training, tells nothing of chance in testing. The
    top-5 error, which is shares of the same images, is taken as the top-1 error is.
    """
    if not (metric.startswith("test_") and measures.per_cent(metric)):
        return None
    scored = ((record["result"] or {}).get("metrics") or {}).get(protocol, {})
    count = scored.get("test_count")
    return int(count) if count and scored.get(metric) is not None else None


def images_of_group(
    ended: Iterable[dict], experiment: spec.Experiment, metric: str, protocol: str
) -> int | None:
    """`images_of` all runs of a group that ended, or None where their spread has another cause.

    That is where the loss of one was not finite, or where one does no better than chance. None too
    where they were tested on different numbers of images.
    """
    ended = list(ended)
    counts = {images_of(record, metric, protocol) for record in ended if record["result"]} - {None}
    if len(counts) != 1 or any(measures.diverged(record, experiment) for record in ended):
        return None
    return counts.pop()
