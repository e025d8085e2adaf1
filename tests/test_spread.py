"""What is known of the spread over seeds: the theory, the fit, and where it says nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from programs import simulate_verdicts
from run_records import experiment, failed, record
from scipy import integrate, optimize, stats

from repro import spec
from repro.judging import spread
from repro.judging.spread import NOTHING, Observed, Prior
from repro.records import here, reading

KNOWN = Prior(kappa=0.8, degrees=6.0)


def group(ratio, n, error=2.0, images=10_000):
    """n runs whose deviation is so many times sqrt(e / (2N))."""
    expected = 100 * math.sqrt(error / 100 / (2 * images))
    return Observed("toy", "", n, error, images, ratio * expected)


# ---------------------------------------------------------------------------- the theory


@pytest.mark.parametrize("classes", [2, 10])
def test_calibrated_networks_vary_by_half_the_error_over_the_images(classes):
    """Jordan, arXiv 2304.01910: exact for two classes, for more an upper bound.

    Networks that answer each class as often as it is the label, drawn image by image.
    """
    rng = np.random.default_rng(classes)
    images, runs = 2_000, 4_000
    odds = rng.dirichlet(np.full(classes, 0.3), images)
    edges = odds.cumsum(axis=1)
    labels = (rng.random((images, 1)) > edges).sum(axis=1)
    errors = []
    for _ in range(runs):
        answers = (rng.random((images, 1)) > edges).sum(axis=1)
        errors.append(np.mean(answers != labels))
    expected = Prior(1.0, 1.0).std(100 * np.mean(errors), images)
    ratio = 100 * np.std(errors, ddof=1) / expected
    # 4,000 runs know a deviation to 1.1 %
    assert (ratio == pytest.approx(1, abs=0.045)) if classes == 2 else 0.6 < ratio < 1.03


def test_the_expected_spread_of_a_test_set():
    # He et al. 2015, Table 6: 6.61 % of 10,000 images +- 0.16; sqrt(0.0661 / 20,000) is 0.18 points
    assert Prior(1.0, 1.0).std(6.61, 10_000) == pytest.approx(0.1818, abs=1e-4)
    assert group(1.0, 3, 6.61).expected == pytest.approx(0.1818, abs=1e-4)
    assert KNOWN.std(6.61, 10_000) == pytest.approx(0.1818 * math.sqrt(0.8), abs=1e-4)


# ---------------------------------------------------------------------------- moderated


def test_the_moderated_spread_is_a_mean_by_degrees_of_freedom():
    # s0^2 = 1e4 x 0.8 x 0.02 / 20,000 = 0.008 square points
    std, degrees = KNOWN.moderated(0.1, 5, 2.0, 10_000)
    assert std == pytest.approx(math.sqrt((6 * 0.008 + 4 * 0.01) / 10)) and degrees == 10
    for alone in (None, math.nan):
        std, degrees = KNOWN.moderated(alone, 1, 2.0, 10_000)
        assert std == pytest.approx(math.sqrt(0.008)) and degrees == 6


@pytest.mark.parametrize(
    ("prior", "error", "images"),
    [(NOTHING, 2.0, 10_000), (KNOWN, 2.0, None), (KNOWN, 0.0, 10_000)],
)
def test_where_nothing_is_known_the_spread_is_that_of_the_runs(prior, error, images):
    assert prior.moderated(0.1, 5, error, images) == (0.1, 4)
    assert prior.moderated(None, 1, error, images) == (None, 0)
    assert prior.moderated(math.nan, 1, error, images) == (None, 0)


def test_a_group_that_varies_beyond_all_others_is_not_told_to_be_like_them():
    s0 = KNOWN.std(2.0, 10_000)
    for n in (2, 3, 5):
        edge = s0 * math.sqrt(stats.f.ppf(0.999, n - 1, 6))
        assert KNOWN.moderated(1.01 * edge, n, 2.0, 10_000) == (1.01 * edge, n - 1)
        assert KNOWN.moderated(0.99 * edge, n, 2.0, 10_000)[1] == 6 + n - 1
        assert KNOWN.ratios(n) == pytest.approx(
            [math.sqrt(stats.f.ppf(q, n - 1, 6)) for q in (0.025, 0.975)]
        )


# ---------------------------------------------------------------------------- the fit


def log_moments(degrees):
    """Mean and variance of log(chi^2 / degrees), by integration."""
    density = stats.chi2(degrees).pdf

    def moment(of):
        parts = ((0, degrees), (degrees, np.inf))
        return sum(
            integrate.quad(lambda x: of(math.log(x / degrees)) * density(x), *ends)[0]
            for ends in parts
        )

    mean = moment(lambda y: y)
    return mean, moment(lambda y: (y - mean) ** 2)


def test_the_fit_solves_the_moments_as_integrals_give_them():
    """Nothing of digamma and trigamma here: log s^2 is log s0^2 + log chi^2/d - log chi^2/d0."""
    ratios = [0.5, 1.4, 0.8, 2.4, 1.1, 0.3, 1.9, 0.9]
    counts = [3, 3, 5, 3, 5, 3, 4, 6]
    fitted = spread.fit([group(*pair) for pair in zip(ratios, counts, strict=True)])
    own = [log_moments(n - 1) for n in counts]
    shifted = [2 * math.log(r) - mean for r, (mean, _) in zip(ratios, own, strict=True)]
    beyond = np.var(shifted, ddof=1) - np.mean([variance for _, variance in own])
    assert beyond > 0
    degrees = optimize.brentq(lambda d: log_moments(d)[1] - beyond, 0.5, 200)
    assert fitted.degrees == pytest.approx(degrees, rel=1e-3)
    kappa = math.exp(np.mean(shifted) + log_moments(degrees)[0])
    assert fitted.kappa == pytest.approx(kappa, rel=1e-3)


@pytest.mark.parametrize("value", [1e-3, 0.1, 1.0, 5.0, 1e3])
def test_the_inverse_of_trigamma(value):
    # psi'(y) is the sum of 1 / (y + k)^2: 100,000 terms, and the integral over the rest
    y = spread.trigamma_inverse(value)
    terms = np.arange(100_000.0)
    assert np.sum(1 / (y + terms) ** 2) + 1 / (y + 99_999.5) == pytest.approx(value, rel=1e-6)


def test_the_fit_comes_back_to_what_the_groups_were_drawn_from():
    rng = np.random.default_rng(14)
    kappa, degrees, n = 0.7, 8.0, 4
    sigmas = np.sqrt(kappa * degrees / rng.chisquare(degrees, 20_000))
    ratios = sigmas * np.sqrt(rng.chisquare(n - 1, 20_000) / (n - 1))
    fitted = spread.fit([group(ratio, n) for ratio in ratios])
    assert fitted.kappa == pytest.approx(kappa, rel=0.03)
    assert fitted.degrees == pytest.approx(degrees, rel=0.1)


def test_groups_that_are_all_alike_are_worth_no_more_than_40_degrees_or_their_own():
    assert spread.fit([group(1.0, 3)] * 30).degrees == 40
    assert spread.fit([group(1.0, 3)] * 6).degrees == 12
    assert spread.fit([group(1.0, 3)] * 4) == NOTHING
    assert spread.fit([]) == NOTHING


def test_runs_that_agree_exactly_count_as_rounded_to_an_image():
    # a twelfth of the square of 0.01 points, over 100 x 0.02 / 20,000 x 100
    exact, rounded = group(0.0, 3), group(math.sqrt(0.01**2 / 12 / 0.01), 3)
    others = [group(ratio, 3) for ratio in (0.7, 0.9, 1.0, 1.3, 1.6)]
    one, other = spread.fit([*others, exact]), spread.fit([*others, rounded])
    assert (one.kappa, one.degrees) == pytest.approx((other.kappa, other.degrees))
    assert spread.fit([*others, exact]).degrees < spread.fit(others).degrees


def test_who_lies_outside_is_said_and_who_lies_far_outside():
    prior = Prior(1.0, 20.0)
    edge = math.sqrt(stats.f.ppf(0.975, 4, 20))
    seen = [group(1.0, 5)] * 18 + [group(1.02 * edge, 5), group(0.98 * edge, 5), group(9.0, 5)]
    near, far = spread.outside(seen, prior)
    assert (near[0], near[1]) == (seen[18], False) and (far[0], far[1]) == (seen[20], True)
    low = math.sqrt(stats.f.ppf(0.025, 4, 20))
    assert [g for g, _ in spread.outside([group(0.98 * low, 5)], prior)] and not spread.outside(
        [group(1.02 * low, 5)], prior
    )
    assert spread.outside(seen, NOTHING) == []


def test_two_runs_that_agree_exactly_lie_outside_but_not_far():
    """Where a run varies by 10 images two are the same once in 35 times: 1 / (20 sqrt(pi))."""
    twins = group(0.0, 2)
    assert spread.outside([twins, *[group(1.0, 3)] * 9], Prior(1.0, 6.0)) == [(twins, False)]


# ---------------------------------------------------------------------------- which records teach


def test_a_point_is_a_plain_group_of_two_runs_or_more():
    toy, other, guessing, lost = map(experiment, ("toy", "other", "guessing", "lost"))
    runs = [record(toy, seed, error) for seed, error in enumerate((2.0, 2.2, 1.8))]
    runs += [record(toy, seed, 2.1, backend="jax") for seed in range(2)]
    runs += [record(toy, seed, 3.0, overrides=["recipe.batch=8"]) for seed in range(2)]
    runs += [record(toy, seed, 3.0, precision="mixed_bfloat16") for seed in range(2)]
    runs += [record(toy, seed, 4.0, scale="short") for seed in range(2)]
    runs += [record(experiment("toy", variant=1), seed, 5.0) for seed in range(2)]
    runs += [record(other, 0, 6.0)]
    runs += [record(guessing, seed, error) for seed, error in enumerate((7.0, 89.8))]
    runs += [record(lost, seed, 8.0) for seed in range(2)] + [
        failed(lost, 2, "the loss is not finite")
    ]
    seen = spread.observed(runs, [toy, other, guessing, lost])
    assert [(g.experiment, g.n) for g in seen] == [("toy", 3), ("toy", 2)]
    assert (seen[0].error, seen[0].std) == pytest.approx((2.0, 0.2)) and seen[0].images == 10_000
    assert [g.error for g in spread.observed(runs, [toy], "short")] == [4.0]
    assert spread.prior(runs, [toy, other, guessing, lost]) == NOTHING


def test_variants_of_a_few_patterns_are_no_point():
    """They are right or wrong together, so that errors on them vary more."""
    toy = experiment()
    runs = [record(toy, seed, error) for seed, error in enumerate((2.0, 2.2, 1.8))]
    drawn = replace(toy, recipe=replace(toy.recipe, data=spec.Data("strokes")))
    of_patterns = [record(drawn, seed, error) for seed, error in enumerate((2.0, 2.2, 1.8))]
    assert len(spread.observed(runs, [toy])) == 1
    assert spread.observed(of_patterns, [drawn]) == []


def test_which_metrics_count_images():
    run = record(experiment(), 0, 1.0)
    run["result"]["metrics"]["single-view"] |= {"running_error": 0.5, "training_error": 0.1}
    run["result"]["metrics"]["10-crop"] = {"test_top5_error": 1.0, "test_count": 50_000}
    assert spread.images_of(run, "test_error", "single-view") == 10_000
    assert spread.images_of(run, "test_top5_error", "10-crop") == 50_000
    for metric in ("running_error", "training_error", "layer_response", "passes_to_25"):
        assert spread.images_of(run, metric, "single-view") is None
    assert spread.images_of(run, "test_error", "144-crop") is None
    assert spread.images_of(failed(experiment(), 0), "test_error", "single-view") is None
    less = record(experiment(), 1, 1.0)
    less["result"]["metrics"]["single-view"]["test_count"] = 5_000
    both = spread.images_of_group([run, less], experiment(), "test_error", "single-view")
    assert both is None


def test_the_records_that_came_with_the_program_teach_too(tmp_path, monkeypatch):
    """`repro run` judges the runs of one folder by what all records say of the spread."""
    monkeypatch.chdir(tmp_path)
    committed = reading.committed()
    if committed is None:
        pytest.skip("no records came with the program")
    whole = spread.prior_of_all([])
    assert whole == spread.prior_of_all(reading.records(committed)) and whole.degrees > 0
    assert spread.prior_of_all(here.gather()) == whole
    monkeypatch.setattr(reading, "committed", lambda: None)
    assert spread.prior_of_all([]) == NOTHING


# ---------------------------------------------------------------------------- what it is worth


@pytest.mark.parametrize(
    "truth",
    [simulate_verdicts.as_the_model_says, simulate_verdicts.lognormal_and_steeper],
    ids=lambda truth: truth.__name__,
)
def test_intervals_hold_and_fewer_rows_stay_open(truth):
    """40 tables of 25 rows; `simulate_verdicts.py` does 2,000. A share of 95 % of 1,000 is known
    to 0.7 points."""
    told = simulate_verdicts.simulate(truth, tables=40, runs=3, seed=1)
    assert told["coverage"] == pytest.approx(0.95, abs=0.02)
    assert told["after"]["inconclusive"] < told["before"]["inconclusive"] / 2
    assert told["after"]["seen"] > 1.5 * told["before"]["seen"]
    assert told["after"]["wrong"] < 0.06
