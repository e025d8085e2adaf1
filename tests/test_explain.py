"""Verdicts in words: what would settle an open one is what does settle it."""

import math
from statistics import stdev

import pytest
from run_records import experiment, passes, record

from repro.jsonable import as_json
from repro.judging import bands, claims, explain, verdict
from repro.judging.spread import NOTHING, Prior
from repro.spec import Band, Claim, Reported

TOY = experiment("toy")


def row_of(errors, of=TOY, prior=NOTHING, **changes):
    runs = [record(of, seed, error, **changes) for seed, error in enumerate(errors)]
    return next(row for row in verdict.table(runs, [of], prior) if row.main)


def values_with(deviation, n, mean=1.0):
    """n values at equal distances with this standard deviation."""
    step = deviation * math.sqrt(12 / (n * (n + 1)))
    values = [mean + step * (k - (n - 1) / 2) for k in range(n)]
    assert stdev(values) == pytest.approx(deviation)
    return values


# ---------------------------------------------------------------------------- a verdict


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([], "not run: no finished run at paper scale"),
        ([0.99, 1.0, 1.01], "reproduced: the paper's 1.0 % lies in the interval 0.950 to 1.050 %"),
        ([1.99, 2.0, 2.01], "worse: the paper's 1.0 % lies below the interval 1.950 to 2.050 %"),
        ([0.49, 0.5, 0.51], "better: the paper's 1.0 % lies above the interval 0.450 to 0.550 %"),
    ],
)
def test_where_the_papers_number_lies(errors, said):
    # s = 0.01 and n = 3: t(0.975, 2) s sqrt(4/3) = 4.302653 x 0.011547 = 0.0497
    assert explain.row(row_of(errors)) == said


@pytest.mark.parametrize(
    ("errors", "said", "seeds"),
    [
        (
            [1.0],
            "inconclusive: a single run has no spread, and nothing is known of it beforehand; "
            "1 seed of the 3 that make a verdict; 2 more seeds may settle it",
            [1, 2],
        ),
        # s = 0.00707: t(0.975, 1) s sqrt(3/2) = 12.7062 x 0.00866 = 0.110
        (
            [1.0, 1.01],
            "reproduced: the paper's 1.0 % lies in the interval 0.895 to 1.115 %; "
            "2 seeds of the 3 that make a verdict; at this spread 1 more seed would settle it",
            [2],
        ),
        # 12.7062 x 0.0707 x sqrt(3/2) = 1.10; of five 2.776445 x 0.0707 x sqrt(6/5) = 0.215, of
        # six 2.570582 x 0.0707 x sqrt(7/6) = 0.196
        (
            [0.95, 1.05],
            "inconclusive: its interval of ± 1.100 is wider than ± 0.200, the widest allowed; "
            "2 seeds of the 3 that make a verdict; at this spread about 4 more seeds would",
            [2, 3, 4, 5],
        ),
    ],
)
def test_too_few_seeds(errors, said, seeds):
    row = row_of(errors)
    assert explain.row(row).startswith(f"provisional: {said}")
    assert explain.next_seeds(row) == seeds


def test_one_seed_is_judged_by_what_is_known_of_others():
    # s0 = 100 sqrt(0.01 / 20000) = 0.0707; t(0.975, 10) = 2.228139; with sqrt(2) 0.2228
    row = row_of([1.0], prior=Prior(1.0, 10.0))
    said = "its interval of ± 0.223 is wider than ± 0.200, the widest allowed; 1 seed of the 3"
    assert explain.row(row).startswith(f"provisional: inconclusive: {said}")
    assert "at this spread 2 more seeds would settle it" in explain.row(row)
    assert explain.next_seeds(row) == [1, 2]


def test_a_row_says_what_else_is_to_be_known():
    assert explain.row(row_of([1.0] * 5)).endswith("; 2 seeds added to the 3 planned")
    # t(0.975, 2) 0.01 sqrt(4/3) = 0.0497, and 0.06 apart
    sure = explain.row(row_of([1.05, 1.06, 1.07]))
    assert sure.endswith("lies below the interval 1.010 to 1.110 %; equivalent within ± 0.200")
    known = Prior(1.0, 10.0)
    wild = explain.row(row_of([1.0, 1.0, 9.0], prior=known))
    assert "it varies far more than others do, so its own spread alone counts" in wild
    guessing = explain.row(row_of([1.0, 1.0, 90.0], prior=known))
    assert "a run of it diverged, or not all were tested on as many images, so" in guessing
    toys = [experiment(name) for name in ("near", "in")]
    runs = [
        record(toy, seed, mean + (seed - 1) / 100)
        for toy, mean in zip(toys, (1.052, 1.005), strict=True)
        for seed in range(3)
    ]
    near, _ = verdict.table(runs, toys, NOTHING)
    # t = 0.052 / 0.011547 = 4.503 on 2 degrees: p = 0.046, of two 0.092
    assert "inside after Holm's correction (p = 0.046, after it 0.092)" in explain.row(near)


def test_the_seeds_that_are_missing_are_named_lowest_first():
    runs = [record(TOY, seed, 1.0) for seed in (1, 4)]
    (row,) = verdict.table(runs, [TOY], NOTHING)
    assert explain.next_seeds(row) == [0]


@pytest.mark.parametrize("spread", [0.05, 0.08, 0.1])
def test_an_interval_too_wide_comes_down_with_the_seeds_that_are_asked_for(spread):
    row = row_of([1.0 - spread, 1.0, 1.0 + spread])  # a deviation of `spread`
    assert row.verdict == "inconclusive"
    needed = explain.seeds_needed(row)
    more = f"{needed - 3} more seed{'s' * (needed > 4)}"
    assert f"at this spread about {more} would settle it" in explain.row(row)
    assert explain.next_seeds(row) == list(range(3, needed))
    # So many values of the same deviation are an answer, and one fewer are none.
    for n in (needed - 1, needed):
        judged = verdict.judge(values_with(spread, n), TOY.reported[0])
        assert (judged.verdict != "inconclusive") == (n == needed), n


def test_a_spread_that_no_number_of_seeds_brings_down():
    # One more run falls within 1.96 s at best: 0.294 for s = 0.15, above 0.2 points.
    row = row_of([0.85, 1.0, 1.15])
    assert "at this spread no number of seeds would settle it" in explain.row(row)
    assert explain.next_seeds(row) == []


def test_a_difference_may_be_settled_before_the_interval_is_narrow():
    # s = 0.15 and 0.35 apart: 2.262 x 0.15 sqrt(11/10) = 0.356 of ten, 2.228 x ... = 0.349 of 11
    row = row_of([1.2, 1.35, 1.5])
    assert row.verdict == "inconclusive"
    assert "at this spread about 8 more seeds would settle it" in explain.row(row)


def test_the_papers_own_spread_is_taken_into_account():
    """He et al. 2015, Table 6: 6.61 +- 0.16 over five runs; Welch's interval narrows with n."""
    from scipy import stats

    toy = experiment("toy", reported=(Reported("test_error", 6.61, "Table 6", std=0.16, runs=5),))
    row = row_of([6.0, 6.6, 7.2], toy)
    needed = explain.seeds_needed(row)
    # Welch by hand for n runs of s = 0.6: the larger the sample, the nearer to t(0.975) s / sqrt(n)
    for n, wide in ((needed, False), (needed - 1, True)):
        a, b = 0.36 / n, 0.16**2 / 5
        freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / 4)
        assert (stats.t.ppf(0.975, freedom) * math.sqrt(a + b) > 0.661) == wide


def test_another_protocol_and_failed_runs_are_said():
    toy = experiment("toy", reported=(Reported("test_error", 1.0, "T", protocol="10-crop"),))
    row = row_of([1.0], toy)
    assert explain.row(row) == "not run: no finished run at paper scale"
    run = record(toy, 0, 1.0)
    run["result"]["metrics"] = {"10-crop": {"test_error": 1.0}}
    assert explain.row(verdict.table([run], [toy], NOTHING)[0]).endswith("(10-crop)")


@pytest.mark.parametrize(
    ("of", "runs", "said"),
    [
        (experiment("toy", reported=None), experiment("toy", reported=None), "nothing reported: "),
        (TOY, experiment("toy", variant=1), "stale: the recipe has changed since"),
    ],
    ids=["nothing reported", "stale"],
)
def test_what_is_not_judged_says_why(of, runs, said):
    rows = verdict.table([record(runs, seed, 1.0) for seed in range(3)], [of], NOTHING)
    assert explain.row(rows[-1]).startswith(said)


def test_a_row_is_json_without_what_words_are_made_of():
    assert not {"number", "prior"} & as_json(row_of([1.0])).keys()


# ---------------------------------------------------------------------------- a claim

A, B = experiment("fewer"), experiment("more")
CLAIM = Claim("pair", "More is better.", "Figure 6", ("fewer", "more"))


def runs(of, errors, **changes):
    return [record(of, seed, error, **changes) for seed, error in enumerate(errors)]


def said(a, b, claim=CLAIM, **changes):
    records = runs(A, a, **changes) + runs(B, b, **changes)
    return explain.claim(claims.judge(claim, records, (A, B)))


def test_a_claim_that_is_settled_says_by_which_interval():
    # Welch: 2.776445 x 0.1 x sqrt(2/3) = 0.2267
    clear = said([1.9, 2.0, 2.1], [0.9, 1.0, 1.1])
    fall = "from fewer to more the mean falls by 0.773 to 1.227 points"
    assert clear == f"holds: {fall}; the claim asks for a fall"
    turned = said([0.9, 1.0, 1.1], [1.9, 2.0, 2.1], scale="short")
    assert turned.startswith(
        "does not hold (short scale): from fewer to more the mean falls by −1.2"
    )
    asked = {0.5: "a fall of 0.5 points or more", -0.5: "no rise beyond 0.5 points"}
    for margin, words in asked.items():
        claim = Claim("pair", "?", "?", ("fewer", "more"), margin=margin)
        assert said([1.9, 2.0, 2.1], [0.9, 1.0, 1.1], claim).endswith(words)


def test_a_claim_of_a_ratio_speaks_of_times():
    claim = Claim("pair", "?", "?", ("fewer", "more"), times=2.0)
    words = said([30.0, 33.0, 36.3], [5.0, 5.5, 6.05], claim)
    assert "more is 4.8" in words and "times lower than fewer; the claim asks for 2 times" in words


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([], [1.0], "not run: no finished run at paper scale of fewer"),
        ([], [], "not run: no finished run of fewer, more"),
        ([1.0], [2.0, 2.1], "inconclusive: a single run of fewer has no spread; a second seed"),
        ([1.0, 1.1], [2.0], "inconclusive: a single run of more has no spread"),
    ],
)
def test_a_claim_that_lacks_runs_names_whose(a, b, words):
    assert said(a, b).startswith(words)


def test_so_many_seeds_would_tell_two_means_apart():
    words = said([1.9, 2.0, 2.1], [1.8, 1.9, 2.0])
    (needed,) = (int(w) for w in words.partition("about ")[2].split()[:1])

    assert said(values_with(0.1, needed, 2.0), values_with(0.1, needed, 1.9)).startswith("holds")
    fewer = values_with(0.1, needed - 1, 2.0), values_with(0.1, needed - 1, 1.9)
    assert said(*fewer).startswith("inconclusive")


def gains(scratch_50, n=3):
    """Differences of which all four means have a deviation of 0.1, in words."""
    names = ("tuned-500", "tuned-50", "scratch-500", "scratch-50")
    of = [experiment(name) for name in names]
    claim = Claim("gains", "?", "?", names[:2], less=names[2:])
    means = zip(of, (10.0, 20.0, 11.0, scratch_50), strict=True)
    made = [run for each, mean in means for run in runs(each, values_with(0.1, n, mean))]
    return explain.claim(claims.judge(claim, made, of))


def test_a_claim_about_differences_names_what_is_subtracted():
    # Four means of n = 3 with s = 0.1: 8 degrees of freedom, 2.306004 x 0.1 x sqrt(4/3) = 0.2663.
    fall = "from tuned-500 − scratch-500 to tuned-50 − scratch-50 the mean falls by 0.734 to 1.266"
    assert gains(22.0) == f"holds: {fall} points; the claim asks for a fall"


def test_so_many_seeds_of_each_would_tell_two_differences_apart():
    words = gains(21.1)
    (needed,) = (int(w) for w in words.partition("about ")[2].split()[:1])
    assert gains(21.1, needed).startswith("holds")
    assert gains(21.1, needed - 1).startswith("inconclusive")


def test_a_run_that_never_gets_there_needs_a_longer_training():
    claim = Claim("pair", "Sooner.", "Figure 1", ("fewer", "more"), "passes_to_25", times=1.5)
    records = runs(A, [9.0] * 2) + runs(B, [9.0] * 2)
    for run in records:
        run["passes"] = passes({}, [60.0, 20.0])
    records[0]["passes"] = passes({}, [60.0, 25.1])
    words = explain.claim(claims.judge(claim, records, (A, B)))
    assert "never came to what is compared" in words and "longer" in words


# ---------------------------------------------------------------------------- a band

BANDED = experiment("toy", bands=(Band("short", "test_error", 0.9, 1.1, "five seeds here"),))


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([1.0], "test error 1.000 % (seed 0 alone) is inside the band 0.9 to 1.1 % (five seeds"),
        ([0.9, 1.2], "test error 1.050 % (mean of 2 seeds) is inside the band"),
        ([1.2, 1.3, 1.4], "test error 1.300 % (mean of 3 seeds) is OUTSIDE the band 0.9 to 1.1 %"),
        ([0.8], "is OUTSIDE the band"),
    ],
)
def test_the_mean_of_the_seeds_and_its_band(errors, words):
    (check,) = bands.checks(runs(BANDED, errors, scale="short"), [BANDED])
    assert words in explain.band(check)
    assert check.inside == ("inside" in words)


def test_a_band_of_another_protocol_says_so():
    band = Band("short", "test_error", 0.9, 1.1, "five seeds here", protocol="10-crop")
    toy = experiment("toy", bands=(band,), protocols=("10-crop",))
    run = record(toy, 0, 1.0, scale="short")
    run["result"]["metrics"] = {"10-crop": {"test_error": 1.0}}
    (check,) = bands.checks([run], [toy])
    assert explain.band(check).startswith("test error, 10-crop 1.000 %")
    assert bands.checks([record(toy, 0, 1.0, scale="short")], [toy]) == []
