"""The verdict: intervals against scipy.stats and tables of Student's t, and who is pooled."""

import math

import numpy as np
import pytest
from run_records import experiment, failed, record

from repro.errors import DataError, UsageError
from repro.jsonable import as_json
from repro.judging import bands, explain, groups, statistics, verdict
from repro.judging.spread import NOTHING, Prior
from repro.spec import Band, Reported

FIVE = [0.94, 0.95, 0.96, 0.97, 0.98]  # mean 0.96; squares 0.0010, so s = sqrt(0.00025)
FIVE_HALF = 2.776445 * math.sqrt(0.00025) * math.sqrt(1.2)  # t(0.975, 4) from a printed table


def judged(values, reported, prior=NOTHING, images=None, seeds=3, **paper):
    number = Reported("test_error", reported, "Table 1", **paper)
    return verdict.judge(values, number, prior, images, seeds)


# ---------------------------------------------------------------------------- one verdict


def test_prediction_interval_of_five_seeds():
    judgement = judged(FIVE, 0.95)
    assert judgement.n == 5
    assert judgement.mean == pytest.approx(0.96)
    assert judgement.std == pytest.approx(math.sqrt(0.00025))
    assert judgement.difference == pytest.approx(0.01)
    assert judgement.low == pytest.approx(0.96 - FIVE_HALF, abs=1e-6)
    assert judgement.high == pytest.approx(0.96 + FIVE_HALF, abs=1e-6)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (0.95, "reproduced"),
        (0.96 - FIVE_HALF + 1e-4, "reproduced"),
        (0.96 - FIVE_HALF - 1e-4, "worse"),  # the paper's error is lower than any we expect
        (0.96 + FIVE_HALF - 1e-4, "reproduced"),
        (0.96 + FIVE_HALF + 1e-4, "better"),
    ],
)
def test_the_side_on_which_the_paper_lies_decides(reported, expected):
    assert judged(FIVE, reported).verdict == expected


@pytest.mark.parametrize(
    ("values", "reported", "expected"),
    [
        ([0.95], 0.95, "provisional: inconclusive"),  # it has no spread
        ([0.95], 5.0, "provisional: inconclusive"),
        ([0.95, 0.95], 0.95, "provisional: reproduced"),
        ([0.95, 0.95], 5.0, "provisional: better"),
        ([0.95, 0.96], 0.1, "provisional: worse"),
        ([0.90, 1.00], 0.95, "provisional: inconclusive"),  # +- 12.7062 x 0.0707 x 1.2247
    ],
)
def test_fewer_seeds_than_planned_are_provisional(values, reported, expected):
    assert judged(values, reported).verdict == expected


def test_an_experiment_says_how_many_seeds_make_a_verdict():
    assert judged(FIVE, 0.95, seeds=6).verdict == "provisional: reproduced"
    assert experiment().seeds == 3
    toy = experiment(seeds=5)
    four = [record(toy, seed, 1.0) for seed in range(4)]
    assert [row.verdict for row in rows_of(four, toy)] == ["provisional: reproduced"]
    (row,) = rows_of([record(TOY, seed, 1.0) for seed in range(5)])
    assert (row.verdict, row.planned, row.added) == ("reproduced", 3, 2)
    with pytest.raises(UsageError, match=r"Experiment\.seeds=2: accepted is a whole number from 3"):
        experiment(seeds=2)


def test_no_seed_is_not_run():
    assert judged([], 0.95) == verdict.Judgement("not run", 0)


def test_one_seed_has_no_spread():
    judgement = judged([1.05], 0.95)
    assert judgement.std is None and judgement.low is None and judgement.equivalent is None
    assert judgement.difference == pytest.approx(0.1)


def test_seeds_that_agree_exactly_decide():
    assert judged([0.95] * 3, 0.95).verdict == "reproduced"
    assert judged([0.96] * 3, 0.95).verdict == "worse"


# For three seeds the half-width is t(0.975, 2) * s * sqrt(4/3) = 4.302653 * 1.154701 * s.
PER_POINT = 4.302653 * 1.154701


@pytest.mark.parametrize(
    ("half", "reported", "expected"),
    [
        (0.199, 1.0, "reproduced"),
        (0.201, 1.0, "inconclusive"),  # above 0.2 points and above a tenth of 1 %
        (0.201, 3.0, "reproduced"),  # a tenth of 3 % is 0.3
        (0.299, 3.0, "reproduced"),
        (0.301, 3.0, "inconclusive"),
    ],
)
def test_an_interval_too_wide_is_no_answer(half, reported, expected):
    step = half / PER_POINT  # three values a step apart have the step as their deviation
    assert judged([reported - step, reported, reported + step], reported).verdict == expected


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_prediction_interval_holds_one_more_run_in_95_of_100(n):
    rng = np.random.default_rng(n)
    runs = rng.normal(size=(40_000, n + 1))
    seen, more = runs[:, :n], runs[:, n]
    half = statistics.prediction(1.0, n, n - 1).half_width() * seen.std(axis=1, ddof=1)
    assert np.mean(np.abs(more - seen.mean(axis=1)) <= half) == pytest.approx(0.95, abs=0.005)


def test_welch_interval_is_that_of_scipy_stats():
    from scipy import stats

    a, b = [6.5, 6.7, 6.4, 6.9, 6.6], [6.9, 7.4, 7.0]
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    apart = statistics.welch(np.std(a, ddof=1), 5, 4, np.std(b, ddof=1), 3, 2)
    assert apart.half_width() == pytest.approx((interval.high - interval.low) / 2)
    difference = np.mean(a) - np.mean(b)
    assert apart.p(difference) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    alike = statistics.welch(0.0, 5, 4, 0.0, 3, 2)
    assert (alike.half_width(), alike.p(0.0), alike.p(0.1)) == (0.0, 1.0, 0.0)


def test_a_clear_miss_is_one_however_wide_the_interval():
    """LeCun et al. 1998, Figure 9: 3.05 % for 300-100; five seeds here gave 3.732 +- 0.186."""
    d = 0.18606 / math.sqrt(2.5)
    values = [3.732 + k * d for k in (-2, -1, 0, 1, 2)]
    judgement = judged(values, 3.05)
    half = 2.776445 * 0.18606 * math.sqrt(1.2)
    assert half > 0.305  # wider than the tolerance, a tenth of 3.05
    assert judgement.low == pytest.approx(3.732 - half, abs=1e-5) and judgement.low > 3.05
    assert judgement.verdict == "worse"


@pytest.mark.parametrize(
    ("reported", "verdict_", "equivalent"),
    [
        (0.96, "reproduced", True),
        (0.96 + FIVE_HALF + 1e-3, "better", True),  # surely lower, by a tolerable 0.049
        (0.80, "worse", True),  # t(0.95, 4) = 2.131847: 0.16 + 0.0369 is below 0.2
        (0.79, "worse", False),
    ],
)
def test_two_numbers_may_differ_for_sure_and_be_equivalent(reported, verdict_, equivalent):
    judgement = judged(FIVE, reported)
    assert (judgement.verdict, judgement.equivalent) == (verdict_, equivalent)


def test_equivalence_is_two_one_sided_tests():
    from scipy import stats

    # Five values a step apart; the reported one is a sixth: the error is s sqrt(6/5).
    for reported in np.linspace(0.7, 1.25, 56):
        error, apart = math.sqrt(0.00025) * math.sqrt(6 / 5), 0.96 - reported
        above = stats.t.sf((apart + 0.2) / error, 4)  # against "lower by 0.2 points or more"
        below = stats.t.cdf((apart - 0.2) / error, 4)  # against "higher by 0.2 points or more"
        assert judged(FIVE, reported).equivalent == (max(above, below) <= 0.05)
        both = 2 * stats.t.sf(abs(apart) / error, 4)
        assert judged(FIVE, reported).p == pytest.approx(both, rel=1e-6)


# ---------------------------------------------------------------------------- what is known before

KNOWN = Prior(kappa=0.8, degrees=6.0)


def test_moderated_intervals_are_those_of_smyth():
    """Written out with scipy: Smyth 2004, section 4; s0^2 = kappa e / (2N)."""
    from scipy import stats

    for values in ([8.45, 8.65, 8.85], [8.6, 8.7], [8.55, 8.6, 8.65, 8.7, 8.75]):
        n, mean = len(values), np.mean(values)
        known = 1e4 * 0.8 * (mean / 100) / (2 * 10_000)  # in square points
        mixed = (6 * known + (n - 1) * np.var(values, ddof=1)) / (6 + n - 1)
        low, high = stats.t.interval(0.95, 6 + n - 1, mean, math.sqrt(mixed * (1 + 1 / n)))
        judgement = judged(values, 8.75, KNOWN, 10_000)
        assert (judgement.low, judgement.high) == pytest.approx((low, high))
        assert judgement.spread == pytest.approx(math.sqrt(mixed))
        assert judgement.std == pytest.approx(np.std(values, ddof=1))
        assert judgement.degrees == 6 + n - 1
        assert judgement.verdict == "provisional: " * (n < 3) + "reproduced"


def test_one_seed_has_the_interval_of_what_is_known():
    from scipy import stats

    error = 100 * math.sqrt(0.8 * 0.0865 / 20_000) * math.sqrt(2)
    low, high = stats.t.interval(0.95, 6, 8.65, error)
    judgement = judged([8.65], 8.75, KNOWN, 10_000)
    assert (judgement.low, judgement.high) == pytest.approx((low, high))
    assert (judgement.std, judgement.verdict) == (None, "provisional: reproduced")
    assert judged([8.65], low - 0.01, KNOWN, 10_000).verdict == "provisional: worse"


def test_the_papers_own_spread_is_moderated_too():
    from scipy import stats

    # He et al. 2015, Table 6: 6.61 +- 0.16 over five runs, of the same 10,000 images.
    values = [6.5, 6.7, 7.0]
    parts = []
    for mean, variance, n in ((np.mean(values), np.var(values, ddof=1), 3), (6.61, 0.16**2, 5)):
        known = 1e4 * 0.8 * (mean / 100) / (2 * 10_000)
        mixed = (6 * known + (n - 1) * variance) / (6 + n - 1)
        parts.append((mixed / n, 6 + n - 1))
    (a, f), (b, g) = parts
    freedom = (a + b) ** 2 / (a**2 / f + b**2 / g)
    low, high = stats.t.interval(0.95, freedom, np.mean(values), math.sqrt(a + b))
    judgement = judged(values, 6.61, KNOWN, 10_000, std=0.16, runs=5)
    assert (judgement.low, judgement.high) == pytest.approx((low, high))


def test_what_counts_no_images_keeps_its_own_spread():
    assert judged(FIVE, 0.95, KNOWN, None) == judged(FIVE, 0.95)


def test_a_table_is_moderated_where_images_are_counted():
    both = (Reported("test_error", 1.0, "Table 1"), Reported("running_error", 1.0, "Figure 5"))
    toy = experiment(reported=both)
    runs = [record(toy, seed, 1.0 + seed / 10) for seed in range(3)]
    tested, seen = verdict.table(runs, [toy], KNOWN)
    assert (tested.images, tested.degrees, seen.images, seen.degrees) == (10_000, 8, None, 2)
    lost = [*runs, failed(toy, 3, "the loss is not finite at update 9 (pass 1); ...")]
    assert (
        verdict.table(lost, [toy], KNOWN)[0].degrees == 2
    )  # what diverges has a spread of its own
    full = [*runs, failed(toy, 3, "out of memory")]
    assert verdict.table(full, [toy], KNOWN)[0].degrees == 8
    guessing = [*runs, record(toy, 3, 89.9)]
    assert verdict.table(guessing, [toy], KNOWN)[0].degrees == 3


# ---------------------------------------------------------------------------- many rows


def test_holms_correction_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1, and none below a smaller one.
    assert statistics.holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert statistics.holm([0.5, 0.6]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_a_row_that_is_outside_before_the_correction_only_is_known():
    # t(0.975, 2) = 4.302653; 4.5 and 30 errors out, p is 0.046 and 0.0011.
    toys = [experiment(name) for name in ("near", "far", "in", "early")]
    step = 0.01
    runs = []
    for toy, errors in zip(toys, (4.5, 30.0, 0.5, 30.0), strict=True):
        mean = 1.0 + errors * step * math.sqrt(4 / 3)
        seeds = range(2 if toy.name == "early" else 3)
        runs += [record(toy, seed, mean + (seed - 1) * step) for seed in seeds]
    near, far, inside, early = verdict.table(runs, toys, NOTHING)
    assert [near.verdict, far.verdict, inside.verdict] == ["worse", "worse", "reproduced"]
    assert early.verdict.startswith("provisional: ") and early.p_holm is None
    assert near.p == pytest.approx(0.0460, abs=2e-4) and near.p_holm == pytest.approx(2 * near.p)
    assert far.p_holm == pytest.approx(3 * far.p) and inside.p_holm == inside.p
    assert (near.by_chance, far.by_chance, inside.by_chance) == (True, False, False)
    assert verdict.outside_by_chance([near, far, inside, early]) == pytest.approx(0.15)
    assert not verdict.fell_short([near]) and verdict.fell_short([near, far])


def test_all_stacks_of_an_experiment_have_a_line_together():
    jax = {"backend": "jax", "versions": {"keras": "3.15.1", "jax": "0.11.2"}}
    ours = [record(TOY, seed, error) for seed, error in enumerate((0.98, 1.0, 1.02))]
    theirs = [record(TOY, 0, 1.1, **jax), record(TOY, 1, 1.14, **jax)]
    changed = record(TOY, 5, 9.0, overrides=["recipe.batch=8"])
    main, other, variation, together = verdict.table([*ours, *theirs, changed], [TOY], NOTHING)
    assert (main.n, other.n, variation.n, together.n) == (3, 2, 1, 5)
    assert (together.main, together.stacks, together.group) == (False, 2, "all 2 stacks together")
    assert main.mean < together.mean < other.mean
    # the stacks lie 0.12 apart, far beyond the 0.02 of their runs: that is in the interval
    assert together.spread > 0.06 and together.low < 1.0 < together.high
    assert together.added == 0 and together.p_holm is None
    some = {"dataset": "mnist", "digest": "d" * 64, "train_examples": 900}
    part = [record(TOY, k, 1.1, **jax, data=some) for k in range(2)]
    assert verdict.table([*ours, *part], [TOY], NOTHING)[-1].stacks == 1
    assert verdict.table([*ours, changed], [TOY], NOTHING)[-1].stacks == 1


def test_stacks_that_agree_are_one_sample_with_their_own_means():
    jax = {"backend": "jax", "versions": {"keras": "3.15.1", "jax": "0.11.2"}}
    runs = [record(TOY, seed, error) for seed, error in enumerate((1.98, 2.0, 2.02))]
    runs += [record(TOY, seed, error, **jax) for seed, error in enumerate((1.99, 2.01))]
    main, _, together = verdict.table(runs, [TOY], NOTHING)
    # s^2 = (2 x 0.0004 + 0.0002) / 3 on 3 degrees; t(0.975, 3) = 3.182446
    half = 3.182446 * math.sqrt(0.001 / 3 * (1 + 1 / 5))
    assert (together.low, together.high) == pytest.approx((2.0 - half, 2.0 + half), abs=1e-6)
    assert together.verdict == main.verdict == "worse"
    assert verdict.fell_short([main], main.runs)
    assert not verdict.fell_short([together], together.runs)  # a line beside, never the verdict


def test_the_papers_own_runs_are_of_one_more_stack():
    from scipy import stats

    jax = {"backend": "jax", "versions": {"keras": "3.15.1", "jax": "0.11.2"}}
    toy = experiment(reported=(Reported("test_error", 6.61, "Table 6", std=0.16, runs=5),))
    runs = [record(toy, seed, error) for seed, error in enumerate((6.5, 6.6, 6.7))]
    runs += [record(toy, seed, error, **jax) for seed, error in enumerate((7.0, 7.1, 7.2))]
    *_, together = verdict.table(runs, [toy], NOTHING)
    # Within a stack s^2 = 0.01 on 4 degrees; the means, 0.5 apart, vary by 0.125 = t^2 + 0.01 / 3.
    between = 0.125 - 0.01 / 3
    degrees = (0.01 + between) ** 2 / (0.01**2 / 4 + between**2)
    ours, theirs = 0.125 / 2 + between, 0.16**2 / 5
    freedom = (ours + theirs) ** 2 / (ours**2 / degrees + theirs**2 / 4)
    interval = stats.t.interval(0.95, freedom, 6.85, math.sqrt(ours + theirs))
    assert (together.low, together.high) == pytest.approx(interval)


# ---------------------------------------------------------------------------- the paper's spread


def test_the_papers_own_spread_is_used_where_it_is_given():
    # ResNet-110 on CIFAR-10: 6.61 +- 0.16 over five runs (He et al. 2015, Table 6). With the same
    # n and s on both sides Welch's degrees of freedom are 8: t(0.975, 8) = 2.306004.
    d = 0.16 / math.sqrt(2.5)  # five values -2d..2d, d apart, have the deviation d sqrt(2.5)
    values = [6.75 + k * d for k in (-2, -1, 0, 1, 2)]
    judgement = judged(values, 6.61, std=0.16, runs=5)
    half = 2.306004 * 0.16 * math.sqrt(2 / 5)
    assert judgement.high - judgement.mean == pytest.approx(half, abs=1e-5)
    assert judgement.verdict == "reproduced"  # 0.14 lies within 0.233
    # Without the paper's spread: t(0.975, 4) * 0.16 * sqrt(1.2) = 0.487, within 10 % of 6.61.
    assert judged(values, 6.61).high - 6.75 == pytest.approx(2.776445 * 0.16 * math.sqrt(1.2))
    assert judged([v + 0.2 for v in values], 6.61, std=0.16, runs=5).verdict == "worse"


def test_a_spread_without_a_count_of_runs_is_not_used():
    assert judged(FIVE, 0.95, std=0.16) == judged(FIVE, 0.95)


# ---------------------------------------------------------------------------- who is pooled

TOY = experiment()


def rows_of(records, *experiments):
    """The rows of `verdict.table`, but for those of several stacks together."""
    rows = verdict.table(records, experiments or (TOY,), NOTHING)
    return [row for row in rows if row.stacks == 1]


def test_row_has_the_keys_that_others_rely_on():
    (row,) = rows_of([record(TOY, seed, 1.0 + seed / 100) for seed in range(3)])
    keys = "experiment metric protocol reported mean std n difference verdict low high source group"
    keys += " spread degrees planned equivalent p p_holm images stacks"
    assert set(keys.split()) <= as_json(row).keys()
    assert (row.experiment, row.metric, row.protocol) == (
        "toy",
        "test_error",
        "single-view",
    )
    assert (row.reported, row.n, row.verdict, row.source) == (
        1.0,
        3,
        "reproduced",
        "Table 1",
    )
    assert row.mean == pytest.approx(1.01)


def test_an_experiment_without_runs_is_listed():
    (row,) = rows_of([])
    assert (row.verdict, row.n, row.mean, row.main) == ("not run", 0, None, True)


def test_no_reported_number_is_never_judged():
    digits = experiment("digits", reported=None)
    (row,) = rows_of([record(digits, k, 5.0) for k in range(3)], digits)
    assert row.mean == 5.0
    assert (row.reported, row.difference, row.low) == (None, None, None)
    assert row.verdict not in ("reproduced", "better", "worse", "inconclusive")


@pytest.mark.parametrize("scale", ["short", "smoke"])
def test_only_paper_runs_are_compared_with_the_paper(scale):
    (row,) = rows_of([record(TOY, k, 1.0, scale=scale) for k in range(3)])
    assert row.verdict == "not run"


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": ["recipe.batch=8"]},
        {"precision": "mixed_bfloat16"},
        {"backend": "jax"},
        {"strategy": "mirrored", "devices": ["CPU:0", "CPU:1"], "replicas": 2},
        {"devices": ["GPU:0"]},
        {"versions": {"keras": "3.16.0", "tensorflow": "2.21.0"}},
        {"versions": {"keras": "3.15.1", "tensorflow": "2.22.0"}},
        {"compiler": "graph"},
        {"data": {"name": "mnist", "train_examples": 6_000, "test_examples": 10_000}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_runs_that_differ_are_never_pooled(change):
    plain = [record(TOY, seed, 1.0) for seed in range(3)]
    other = [record(TOY, seed, 2.0, **change) for seed in (3, 4)]
    main, variation = rows_of(plain + other)
    assert (main.main, main.n, main.mean) == (True, 3, 1.0)
    assert (variation.main, variation.n, variation.mean) == (False, 2, 2.0)
    assert main.group != variation.group


def test_what_is_no_part_of_the_stack_does_not_part_runs():
    other = {"commit": "fedcba", "versions": {"keras": "3.15.1", "tensorflow": "2.21.0"}}
    (row,) = rows_of([record(TOY, 0, 1.0), record(TOY, 1, 1.0, **other, dirty=True)])
    assert row.n == 2


NEWER = {"versions": {"keras": "3.16.0", "tensorflow": "2.21.0"}}


def test_versions_are_named_only_where_groups_differ_in_them():
    (alone,) = rows_of([record(TOY, 0, 1.0)])
    assert alone.group == "tensorflow single on CPU"
    rows = rows_of([record(TOY, 0, 1.0), record(TOY, 1, 1.0), record(TOY, 0, 1.0, **NEWER)])
    assert [row.group for row in rows] == [
        "tensorflow single on CPU, keras 3.15.1, tensorflow 2.21.0",
        "tensorflow single on CPU, keras 3.16.0, tensorflow 2.21.0",
    ]
    graph = rows_of([record(TOY, 0, 1.0), record(TOY, 0, 1.0, compiler="graph")])
    assert {row.group.partition("on CPU, ")[2] for row in graph} == {
        "compiled by xla",
        "compiled by graph",
    }


@pytest.mark.parametrize(("seeds", "mean"), [(2, 1.0), (3, 2.0), (4, 2.0)])
def test_most_seeds_speak_and_among_equals_the_newest(seeds, mean):
    old = [record(TOY, k, 1.0) for k in range(3)]
    new = [
        record(TOY, k, 2.0, finished=f"2026-12-01T00:00:0{k}+00:00", **NEWER) for k in range(seeds)
    ]
    for records in (old + new, new + old):
        main, other = rows_of(records)
        assert (main.main, main.mean, other.main) == (True, mean, False)


def test_failed_runs_are_counted_apart():
    runs = [record(TOY, k, 1.0) for k in range(3)]
    (row,) = rows_of([*runs, failed(TOY, 3), failed(TOY, 4)])
    assert (row.n, row.failed, row.mean, row.seeds) == (3, 2, 1.0, (0, 1, 2))
    (row,) = rows_of([failed(TOY, 0), failed(TOY, 1, scale="short")])
    assert (row.n, row.failed, row.verdict, row.main) == (0, 1, "not run", True)
    main, variation = rows_of([*runs, failed(TOY, 0, overrides=["recipe.batch=8"])])
    assert (main.failed, variation.failed, variation.n) == (0, 1, 0)


def test_a_variation_alone_does_not_speak_for_the_experiment():
    main, variation = rows_of([record(TOY, 0, 1.0, overrides=["recipe.batch=8"])])
    assert (main.main, main.verdict, variation.n) == (True, "not run", 1)


def test_the_order_of_overrides_does_not_matter():
    batch, passes = "recipe.batch=8", "recipe.passes=3"
    records = [
        record(TOY, 0, 1.0, overrides=[batch, passes]),
        record(TOY, 1, 1.2, overrides=[passes, batch]),
    ]
    assert [row.n for row in rows_of(records)] == [0, 2]


def test_an_override_that_says_what_the_recipe_says_is_none():
    records = [record(TOY, 0, 1.0), record(TOY, 1, 1.2, overrides=["recipe.batch=1"])]
    (row,) = rows_of(records)
    assert (row.n, row.main, row.seeds) == (2, True, (0, 1))
    not_compressed = rows_of([record(TOY, 0, 1.0, overrides=["recipe.short_factor=5"])])
    assert [row.n for row in not_compressed] == [1]  # at paper scale it says nothing
    compressed = record(TOY, 0, 1.0, scale="short", overrides=["recipe.short_factor=5"])
    (group,) = groups.groups([compressed], TOY, "short")
    assert group.overrides == ("recipe.short_factor=5",) and not group.plain


def test_a_former_recipe_is_stale_and_not_judged():
    former = experiment(variant=1)
    now, before = rows_of([record(former, seed, 1.0) for seed in range(3)])
    assert (now.verdict, now.n) == ("not run", 0)
    assert (before.verdict, before.n, before.main) == ("stale", 3, False)
    assert (before.difference, before.low) == (None, None)


def test_an_override_whose_key_is_gone_is_stale():
    gone = record(TOY, 0, 1.0)
    gone["run"]["overrides"] = ["recipe.dropout=0.5"]
    assert [row.verdict for row in rows_of([gone])] == ["not run", "stale"]


def test_a_seed_run_again_counts_once_and_the_first_to_finish_stays():
    again = record(TOY, 0, 0.1, finished="2026-11-22T00:00:00+00:00")
    first = record(TOY, 0, 1.3, finished="2026-11-21T00:00:00+00:00")
    (row,) = rows_of([again, first])
    assert (row.n, row.mean, row.seeds) == (1, 1.3, (0,))


def test_a_number_is_held_against_its_own_protocol():
    one, ten = (
        Reported("test_error", 1.0, "Table 1"),
        Reported("test_error", 0.5, "Table 2", protocol="10-crop"),
    )
    toy = experiment(reported=(one, ten), protocols=("single-view", "10-crop"))
    both = record(toy, 0, 1.2)
    both["result"]["metrics"]["10-crop"] = {"test_error": 0.6}
    rows = rows_of([both, record(toy, 1, 1.4)], toy)
    assert [(row.protocol, row.n, row.mean) for row in rows] == [
        ("single-view", 2, pytest.approx(1.3)),
        ("10-crop", 1, 0.6),
    ]


def test_the_error_while_training_is_that_of_the_last_pass():
    toy = experiment(reported=(Reported("running_error", 0.35, "Figure 5"),))
    old, new = record(toy, 0, 1.0), record(toy, 1, 1.0)
    for run in (old, new):
        run["passes"][0]["running_error"], run["passes"][1]["running_error"] = 8.0, 0.4
    new["result"]["metrics"]["single-view"]["running_error"] = 0.5
    (row,) = rows_of([old, new], toy)
    assert (row.n, row.mean) == (2, pytest.approx(0.45))
    bare = record(toy, 2, 1.0) | {"passes": []}
    assert rows_of([bare], toy)[0].n == 0


def test_a_row_names_the_runs_that_were_judged():
    both = (Reported("test_error", 1.0, "Table 1"), Reported("running_error", 0.3, "Figure 5"))
    toy = experiment(reported=both)
    runs = [record(toy, seed, 1.0) for seed in range(3)]
    runs[0]["result"]["metrics"]["single-view"]["running_error"] = 0.3
    for line in (line for run in runs for line in run["passes"]):
        del line["running_error"]
    ids = [run["run"]["id"] for run in runs]
    changed = record(toy, 3, 1.0, overrides=["recipe.batch=8"])
    again = record(toy, 0, 0.1, finished="2026-11-22T00:00:00+00:00")
    rows = rows_of([*runs, changed, again, record(toy, 4, 1.0, scale="short")], toy)
    assert [row.runs for row in rows if row.main] == [tuple(ids), tuple(ids[:1])]
    assert groups.seed_before(again, [*runs, again], toy) == runs[0]
    assert groups.seed_before(runs[0], [*runs, again], toy) is None


def test_a_metric_that_is_not_finite_is_refused():
    diverged = record(TOY, 0, 1.0)
    diverged["result"]["metrics"]["single-view"]["test_error"] = math.nan
    with pytest.raises(DataError, match=r"run [0-9a-f]{32} has a test_error of nan"):
        rows_of([diverged])


def test_fell_short_looks_at_the_experiments_own_rows():
    worse = [record(TOY, k, 2.0) for k in range(3)]
    assert verdict.fell_short(rows_of(worse))
    assert rows_of(worse[:2])[0].verdict == "provisional: worse"
    assert not verdict.fell_short(rows_of(worse[:2]))
    assert not verdict.fell_short(rows_of([record(TOY, k, 1.0) for k in range(3)]))
    changed = [record(TOY, k, 2.0, overrides=["recipe.batch=8"]) for k in range(3)]
    assert not verdict.fell_short(rows_of(changed))


def test_fell_short_of_some_runs_looks_at_the_rows_they_are_in():
    plain = [record(TOY, k, 1.0) for k in range(4)]
    newer = [record(TOY, k, 2.0, finished=f"2026-12-0{k + 1}", **NEWER) for k in range(3)]
    rows = rows_of(plain + newer)
    assert verdict.fell_short(rows, [newer[0]["run"]["id"]])
    assert not verdict.fell_short(rows, [plain[0]["run"]["id"]])
    assert not verdict.fell_short(rows, ["a run that was not counted"])


# ---------------------------------------------------------------------------- bands


def banded(low, high, scale="paper", **more):
    return experiment(bands=(Band(scale, "test_error", low, high, "five seeds here", **more),))


def outside(records, toy):
    return [check for check in bands.checks(records, [toy]) if not check.inside]


@pytest.mark.parametrize(("low", "high", "problems"), [(0.9, 1.1, 0), (0.9, 0.99, 1), (1.01, 2, 1)])
def test_a_mean_outside_its_band_is_a_problem(low, high, problems):
    toy = banded(low, high)
    checks = outside([record(toy, 0, 0.95), record(toy, 1, 1.05)], toy)
    assert len(checks) == problems
    for check in checks:
        assert check.experiment == "toy" and check.mean == pytest.approx(1.0)
        assert check.band.source == "five seeds here"


def test_a_band_is_for_plain_runs_of_its_scale():
    toy = banded(0.9, 1.1, scale="short")
    others = [record(toy, 0, 9.0), record(toy, 0, 9.0, scale="short", overrides=["recipe.batch=8"])]
    assert outside(others, toy) == []
    assert len(outside([record(toy, 0, 9.0, scale="short")], toy)) == 1


def test_a_band_holds_in_float32_and_in_the_precision_that_it_was_made_in():
    lossy = record(banded(0.9, 1.1), 0, 9.0, precision="mixed_bfloat16")
    assert outside([lossy], banded(0.9, 1.1)) == []
    toy = banded(0.9, 1.1, precision="mixed_bfloat16")
    assert len(outside([record(toy, 0, 9.0, precision="mixed_bfloat16")], toy)) == 1
    assert len(outside([record(toy, 0, 9.0)], toy)) == 1
    changed = {"precision": "mixed_bfloat16", "overrides": ["recipe.batch=8"]}
    assert outside([record(toy, 0, 9.0, **changed)], toy) == []


def test_a_band_of_a_part_of_the_set_holds_for_such_runs_alone():
    toy = banded(0.9, 1.1, examples=6_000)
    for trained, problems in ((6_000, 1), (9_469, 0)):
        run = record(toy, 0, 9.0)
        run["run"]["data"]["train_examples"] = trained
        assert len(outside([run], toy)) == problems


def test_each_code_path_must_lie_in_the_band():
    toy = banded(0.9, 1.1)
    records = [record(toy, 0, 1.0), record(toy, 0, 1.5, strategy="mirrored")]
    (check,) = outside(records, toy)
    assert "mirrored" in check.group


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("test_error", "2.000 % (seed 0 alone) is OUTSIDE the band 0.5 to 1 % ("),
        ("layer_response", "2.000 (seed 0 alone) is OUTSIDE the band 0.5 to 1 ("),
    ],
)
def test_only_errors_are_in_per_cent(metric, said):
    toy = experiment(bands=(Band("paper", metric, 0.5, 1.0, "five seeds here"),))
    run = record(toy, 0, 2.0)
    run["result"]["metrics"]["single-view"] = {metric: 2.0}
    (check,) = outside([run], toy)
    assert said in explain.band(check)
