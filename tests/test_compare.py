"""Two groups of runs, compared: intervals, planted differences, all experiments together."""

import base64
import json
import math
import subprocess
import sys
from functools import cache
from itertools import product

import numpy as np
import pytest
from run_records import experiment, failed, record, seal_run, texts
from scipy import stats

from repro import catalog, cli
from repro.commands import compare as compare_command
from repro.errors import UsageError
from repro.judging import combining, compare, sides, stacks
from repro.judging.spread import NOTHING, Prior
from repro.records import reading
from repro.report import compare_figure

TOY = experiment("toy", 8.75)
PRIOR = Prior(kappa=0.8, degrees=6.0)
STACKS = {
    "tensorflow": {"backend": "tensorflow", "devices": ["CPU:0"], "compiler": "graph"},
    "jax": {"backend": "jax", "devices": ["CPU:0"], "compiler": "xla"},
}


def expected_std(error: float) -> float:
    """sqrt(kappa e / 2N) of 10,000 images, in points."""
    return 100 * math.sqrt(PRIOR.kappa * error / 100 / 20_000)


def ran(of, errors, backend="tensorflow", keras="3.15.1", hour=12, **changes) -> list[dict]:
    """A run per error, with the seeds from 0; each side of a comparison has its hour."""
    stack = STACKS[backend] | {"versions": {"keras": keras, backend: "1.0"}} | changes
    moment = f"2026-11-21T{hour}:{{:02}}:00+00:00"
    return [record(of, k, e, finished=moment.format(k), **stack) for k, e in enumerate(errors)]


def compared(records, *of, by="backend", prior=NOTHING, scale="paper"):
    every = [(one, sides.runs(records, one, scale)) for one in of or (TOY,)]
    flat = [run for _, runs in every for run in runs]
    return compare.compare(sides.pairs_by(by, flat), every, prior)


def only_row(records, *of, **options):
    ((row,),) = [one.rows for one in compared(records, *of, **options)]
    return row


# ---------------------------------------------------------------------------- one experiment


def test_without_prior_knowledge_it_is_students_t_test_of_two_samples():
    a, b = [8.9, 8.5, 8.7], [9.3, 9.1, 9.6, 9.2]
    row = only_row(ran(TOY, a) + ran(TOY, b, "jax", hour=13))
    by_scipy = stats.ttest_ind(b, a)
    low, high = by_scipy.confidence_interval(0.95)
    assert (row.low, row.high, row.p) == pytest.approx((low, high, by_scipy.pvalue), rel=1e-9)
    assert (row.n, row.degrees, row.verdict) == ((3, 4), 5, "differs")


def test_the_variances_of_both_sides_are_pooled_with_what_is_known_beforehand():
    a, b = [8.9, 8.5, 8.7], [8.6]
    row = only_row(ran(TOY, a) + ran(TOY, b, "jax", hour=13), prior=PRIOR)
    expected = 0.8 * 0.0865 / (2 * 10_000) * 100**2  # kappa e / 2N at 8.65 %, in points squared
    moderated = math.sqrt((6.0 * expected + 2 * 0.2**2) / (6.0 + 2))
    half = stats.t.ppf(0.975, 8) * moderated * math.sqrt(1 / 3 + 1)
    assert (row.std, row.degrees) == pytest.approx((moderated, 8.0))
    assert (row.low, row.high) == pytest.approx((-0.1 - half, -0.1 + half))


def test_two_single_runs_are_compared_by_what_is_known_beforehand_alone():
    records = ran(TOY, [8.6]) + ran(TOY, [8.7], "jax", hour=13)
    row = only_row(records, prior=PRIOR)
    std = math.sqrt(0.8 * 0.0865 / 20_000) * 100
    assert row.high - row.difference == pytest.approx(
        stats.t.ppf(0.975, 6) * std * math.sqrt(2), rel=1e-9
    )
    nothing = only_row(records)
    assert (nothing.difference, nothing.low, nothing.p) == (pytest.approx(0.1), None, None)
    assert nothing.verdict == "inconclusive" and nothing.equivalent is None


@pytest.mark.parametrize(
    ("shift", "verdict", "equivalent"),
    [  # with s = 0.1 the 95 % interval is +- 0.227, the 90 % one +- 0.174; the tolerance is 0.875
        (0.20, "equivalent", True),
        (0.60, "differs", True),
        (0.80, "differs", False),
        (-1.20, "differs", False),
    ],
)
def test_verdicts(shift, verdict, equivalent):
    a = [8.6, 8.7, 8.8]
    row = only_row(ran(TOY, a) + ran(TOY, [x + shift for x in a], "jax", hour=13))
    assert (row.verdict, row.equivalent) == (verdict, equivalent)
    assert row.tolerance == 0.875


def test_a_wide_interval_settles_nothing():
    row = only_row(ran(TOY, [8.0, 8.7, 9.4]) + ran(TOY, [8.1, 8.7, 9.5], "jax", hour=13))
    assert (row.verdict, row.equivalent) == ("inconclusive", False)


def test_at_short_scale_the_tolerance_is_that_of_the_mean():
    records = ran(TOY, [24.0, 26.0], scale="short") + ran(
        TOY, [30.0], "jax", hour=13, scale="short"
    )
    assert only_row(records, scale="short").tolerance == pytest.approx(2.75)  # of (25 + 30) / 2
    unreported = experiment("none", None)
    records = ran(unreported, [1.0, 1.2]) + ran(unreported, [1.3], "jax", hour=13)
    assert only_row(records, unreported).tolerance == 0.2


# ---------------------------------------------------------------------------- which runs


def test_runs_that_share_everything_else_are_held_against_each_other():
    """Two versions of Keras on two backends, with unequal numbers of runs."""
    cells = {
        ("tensorflow", "3.15.1"): [8.0, 8.2],
        ("tensorflow", "3.16.0"): [8.5],
        ("jax", "3.15.1"): [9.0],
        ("jax", "3.16.0"): [9.5, 9.3, 9.7],
    }
    records, errors, design = [], [], []
    for hour, ((backend, keras), values) in enumerate(cells.items(), start=10):
        records += ran(TOY, values, backend, keras, hour)
        for error in values:
            errors.append(error)
            design.append([1, backend == "jax", keras == "3.16.0"])
    row = only_row(records, by="keras")
    by_least_squares = np.linalg.lstsq(np.array(design, float), np.array(errors), rcond=None)[0]
    assert row.difference == pytest.approx(by_least_squares[2])
    variance = np.linalg.inv(np.array(design, float).T @ np.array(design, float))[2, 2]
    within = (0.02 + 0.08) / 3  # of the two cells with several runs: squares over degrees
    assert row.standard_error == pytest.approx(math.sqrt(within * variance))
    assert (row.n, row.degrees, row.also) == ((3, 4), 3, ())


def test_where_nothing_matches_all_are_compared_and_it_is_said():
    records = ran(TOY, [8.6]) + ran(TOY, [8.7, 8.8], "jax", hour=13, devices=["GPU:0"])
    row = only_row(records, prior=PRIOR)
    assert row.n == (1, 2) and row.also == ("device CPU; GPU",)


def test_a_seed_counts_once_and_the_run_that_finished_first_stays():
    first = ran(TOY, [8.0], hour=10) + ran(TOY, [9.0], hour=11)
    row = only_row(ran(TOY, [8.5, 8.5], "jax", hour=13) + first[::-1], prior=PRIOR)
    assert (row.means, row.n) == ((8.0, 8.5), (1, 2))


def test_changed_and_failed_runs_are_no_part_of_a_mean():
    records = ran(TOY, [8.6, 8.7]) + ran(TOY, [8.8], "jax", hour=13)
    records += ran(TOY, [90.0], "jax", hour=14, overrides=["recipe.batch=2"])
    records += ran(TOY, [90.0], "jax", hour=15, precision="mixed_bfloat16")
    records += ran(experiment("toy", 8.75, variant=1), [90.0], "jax", hour=16)  # a former recipe
    records.append(failed(TOY, 5, **STACKS["jax"], versions={"keras": "3.15.1", "jax": "1.0"}))
    row = only_row(records, prior=PRIOR)
    assert (row.means[1], row.n, row.failed) == (8.8, (2, 1), (0, 1))


def test_overrides_and_precisions_are_compared_with_what_is_written():
    records = ran(TOY, [8.6, 8.7])
    for hour, override in ((13, "recipe.batch=2"), (14, "recipe.batch=4")):
        records += ran(TOY, [9.0], hour=hour, overrides=[override])
    records += ran(TOY, [8.9], hour=15, precision="mixed_bfloat16")
    made = compared(records, by="override", prior=PRIOR)
    assert [(one.a, one.b) for one in made] == [
        ("as written", "recipe.batch=2"),
        ("as written", "recipe.batch=4"),
    ]
    (made,) = compared(records, by="precision", prior=PRIOR)
    assert (made.a, made.b, made.rows[0].n) == ("float32", "mixed_bfloat16", (2, 1))


def test_labels_choose_runs_by_their_words():
    records = ran(TOY, [8.6, 8.7]) + ran(TOY, [8.8], "jax", "3.16.0", hour=13, commit="ab12cd34ef")
    runs = sides.runs(records, TOY, "paper")
    for a, b in (
        ("tensorflow", "jax cpu"),
        ("keras=3.15.1", "commit=ab12cd3"),
        ("tensorflow=1.0", "commit=ab12cd34ef"),
    ):
        pair = sides.pair_of_labels(a, b, runs)
        (made,) = compare.compare([pair], [(TOY, runs)], PRIOR)
        assert made.rows[0].means == pytest.approx((8.65, 8.8)), (a, b)
    with pytest.raises(UsageError, match=r"unknown word 'jx' .*did you mean jax"):
        sides.pair_of_labels("jx", "tensorflow", runs)
    with pytest.raises(UsageError, match="2 of the runs fit both"):
        sides.pair_of_labels("cpu", "tensorflow", runs)
    with pytest.raises(UsageError, match="one has none"):
        sides.pair_of_labels("cpu", "  ", runs)


def test_what_one_label_alone_names_the_other_shares_where_it_can():
    gpu = {"devices": ["GPU:0"]}
    records = ran(TOY, [8.0], hour=10) + ran(TOY, [8.6], hour=11, **gpu)
    records += ran(TOY, [8.7], "jax", hour=13, **gpu)
    records += ran(TOY, [9.0], hour=14, overrides=["recipe.batch=2"], **gpu)
    runs = sides.runs(records, TOY, "paper")

    def row(a, b):
        (made,) = compare.compare([sides.pair_of_labels(a, b, runs)], [(TOY, runs)], PRIOR)
        return made.rows[0]

    assert row("tensorflow", "jax gpu").means == (8.6, 8.7)
    assert row("tensorflow gpu", "recipe.batch=2").means == (8.6, 9.0)
    on_a_cpu = row("tensorflow cpu", "jax")
    assert (on_a_cpu.means, on_a_cpu.also) == ((8.0, 8.7), ("device CPU; GPU",))


def test_runs_that_diverged_leave_the_others_their_classical_interval():
    a, b = [8.9, 8.5, 8.7], [9.3, 9.1]
    finished = ran(TOY, a) + ran(TOY, b, "jax", hour=13)
    jax = STACKS["jax"] | {"versions": {"keras": "3.15.1", "jax": "1.0"}}
    low, high = stats.ttest_ind(b, a).confidence_interval(0.95)
    diverged = failed(TOY, 2, "the loss is not finite at update 7", **jax)
    row = only_row([*finished, diverged], prior=PRIOR)
    assert (row.low, row.high, row.degrees) == (pytest.approx(low), pytest.approx(high), 3)
    for other in (
        failed(TOY, 2, "out of memory", **jax),
        failed(TOY, 2, "the loss is not finite at update 7", **jax | {"devices": ["GPU:0"]}),
    ):
        assert only_row([*finished, other], prior=PRIOR).degrees == pytest.approx(6 + 3)


@pytest.mark.parametrize(
    ("reasons", "diverged"),
    [
        (["the loss is not finite at update 7"] * 3, 3),
        (["out of memory", "the loss is not finite at update 7"], 1),
        (["out of memory"], 0),
    ],
)
def test_what_one_side_only_failed_in_is_not_lost(reasons, diverged):
    fine = experiment("fine", 8.75)
    records = ran(fine, [8.6, 8.7]) + ran(fine, [8.6, 8.7], "jax", hour=13)
    records += ran(TOY, [8.6, 8.7, 8.8])
    jax = STACKS["jax"] | {"versions": {"keras": "3.15.1", "jax": "1.0"}}
    records += [failed(TOY, seed, reason, **jax) for seed, reason in enumerate(reasons)]
    (made,) = compared(records, fine, TOY, prior=PRIOR)
    assert [row.experiment for row in made.rows] == ["fine"]
    (lost,) = made.lost
    assert (lost.experiment, lost.side, lost.finished) == ("toy", "jax", 0)
    assert (lost.failed, lost.diverged) == (len(reasons), diverged)
    assert lost.differs == made.differs == bool(diverged)
    (alone,) = compared(records, TOY, prior=PRIOR)
    assert (alone.rows, alone.together, alone.lost) == ((), None, made.lost)
    both = [failed(TOY, seed, reason) for seed, reason in enumerate(reasons)]
    assert compared(both + records[-len(reasons) :], TOY, prior=PRIOR) == []


def test_runs_of_one_seed_begin_alike_so_different_seeds_are_held_against_each_other():
    """On images: 2 between seeds 0 and 1, 3 between 1 and 0; 1 and 2 between equal seeds."""
    records = of_images({"tensorflow": ["11000000", "10100000"], "jax": ["11000001", "01100000"]})
    row = only_row(records, prior=PRIOR)
    assert (row.apart, row.apart_by_seeds) == (2.5, (2 + 3) / 2)
    of_one_seed = [one for one in records if one["run"]["seed"] == 0]
    assert only_row(of_one_seed, prior=PRIOR).apart == 1.0


def of_images(wrong: dict[str, list[str]]) -> list[dict]:
    """A run for each text of 0 and 1, which are the images that it gets wrong."""
    records = []
    for hour, (backend, bits) in enumerate(wrong.items(), start=12):
        some = ran(TOY, [8.6] * len(bits), backend, hour=hour)
        for one, text in zip(some, bits, strict=True):
            kept = {"order": "a" * 64, "count": 8, "classes": 10, "guesses": ""}
            kept["wrong"] = base64.b64encode(bytes([int(text, 2)])).decode()
            one["result"]["images"] = {"single-view": kept}
        records += some
    return records


def test_images_on_which_the_sides_disagree_beside_those_of_seeds_alone():
    records = of_images({"tensorflow": ["11000000", "10100000"], "jax": ["11110000"]})
    row = only_row(records, prior=PRIOR)
    assert (row.apart, row.apart_by_seeds) == (2.0, 2.0)
    for one in records[2:]:
        one["result"]["images"]["single-view"]["order"] = "b" * 64  # another test set
    row = only_row(records, prior=PRIOR)
    assert (row.apart, row.apart_by_seeds) == (None, 2.0)


# ---------------------------------------------------------------------------- all together


def test_random_effects_by_hand():
    """w = 1, 4; mean 1.6; Q = 3.2; C = 5 - 17/5; so tau^2 = 2.2 / 1.6, and the weights become
    1 / (1 + tau^2) and 1 / (1/4 + tau^2)."""
    mean = combining.random_effects([0.0, 2.0], [1.0, 0.5])
    tau2 = 2.2 / 1.6
    weights = [1 / (1 + tau2), 1 / (0.25 + tau2)]
    centre = 2 * weights[1] / sum(weights)
    q = weights[0] * centre**2 + weights[1] * (2 - centre) ** 2
    assert (mean.between, mean.mean) == pytest.approx((math.sqrt(tau2), centre))
    assert (mean.error, mean.degrees) == (pytest.approx(math.sqrt(q / sum(weights))), 1)
    assert centre == pytest.approx(1.1875, abs=1e-12)


def test_of_equal_errors_it_is_the_plain_mean_with_students_interval():
    values = [0.1, 0.9, -0.4, 0.5, 1.3]
    mean = combining.random_effects(values, [0.2] * 5)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    half = stats.t.ppf(0.975, mean.degrees) * mean.error
    assert (mean.mean - half, mean.mean + half) == pytest.approx((low, high))
    assert mean.between == pytest.approx(math.sqrt(np.var(values, ddof=1) - 0.2**2))


def test_values_that_agree_by_chance_are_not_known_better_than_they_were_measured():
    mean = combining.random_effects([1.0, 1.0, 1.0], [0.3, 0.4, 0.5])
    assert mean.between == 0
    assert mean.error == pytest.approx(1 / math.sqrt(1 / 0.09 + 1 / 0.16 + 1 / 0.25))


def test_runs_of_all_stacks_together():
    """Equal numbers of runs: a balanced analysis of variance with one random factor."""
    values = [[8.0, 8.2, 8.4], [9.0, 9.2, 9.4]]
    together = stacks.together(values, NOTHING, 10_000)
    between = ((8.7 - 8.2) ** 2 + (9.2 - 8.7) ** 2) - 0.04 / 3  # of the means, less s^2 / n
    assert (together.n, together.stacks) == (6, 2)
    assert (together.mean, together.between) == pytest.approx((8.7, math.sqrt(between)))
    assert together.std == pytest.approx(math.sqrt(0.04 + between))
    assert together.error == pytest.approx(math.sqrt((between + 0.04 / 3) / 2))
    assert together.degrees == pytest.approx((0.04 + between) ** 2 / (0.04**2 / 4 + between**2))
    alike = stacks.together([[8.0, 8.4], [8.2]], PRIOR, 10_000)
    assert alike.between == 0 and alike.degrees == 7.0
    with pytest.raises(ValueError, match="no spread"):
        stacks.together([[8.0], [8.2]], NOTHING, 10_000)


def test_with_two_stacks_that_differ_the_interval_is_approximate():
    """The docstring's 0.85 for another run, where stacks lie three times s apart; 600 repetitions
    have a standard error of 0.015."""
    rng, holds, std = np.random.default_rng(5), 0, expected_std(8.7)
    for _ in range(600):
        s = std * math.sqrt(PRIOR.degrees / rng.chisquare(PRIOR.degrees))
        *values, (another, *_) = rng.normal(rng.normal(8.7, 3 * std, (3, 1)), s, (3, 3))
        made = stacks.together([list(each) for each in values], PRIOR, 10_000)
        half = stats.t.ppf(0.975, made.degrees) * math.hypot(made.std, made.error)
        holds += abs(made.mean - another) <= half
    assert 0.80 < holds / 600 < 0.90


# ---------------------------------------------------------------------------- planted differences

ERRORS = {"a": 1.0, "b": 1.9, "c": 3.8, "d": 8.7, "e": 10.4, "f": 25.0, "g": 28.0, "h": 35.0}
REPETITIONS = 20


@cache
def planted(factor: float, seed: int) -> compare.Comparison:
    """Eight experiments, three seeds a side; the errors of the second side times `factor`.

    The variance of each experiment is drawn as the prior says: s0^2 d0 / chi^2(d0).
    """
    rng, of, records = np.random.default_rng(seed), [], []
    for name, error in ERRORS.items():
        toy = experiment(name, error)
        std = expected_std(error) * math.sqrt(PRIOR.degrees / rng.chisquare(PRIOR.degrees))
        records += ran(toy, rng.normal(error, std, 3))
        records += ran(toy, rng.normal(error * factor, std, 3), "jax", hour=13)
        of.append(toy)
    (made,) = compared(records, *of, prior=PRIOR)
    return made


def test_nothing_planted_is_nothing_found():
    """Holm's correction holds what is said falsely, of nine statements, to 5 %.

    So of twenty repetitions one is expected to say that something differs; more than three would be
    once in sixty times.
    """
    wrongly = sum(planted(1.0, seed).differs for seed in range(REPETITIONS))
    assert stats.binom.sf(3, REPETITIONS, 0.05) == pytest.approx(1 / 63, abs=5e-4)
    assert wrongly <= 3


def test_single_intervals_hold_no_difference_as_often_as_they_say():
    """160 intervals of 95 %: between 144 and 159 of them with a probability above 99 %."""
    rows = [row for seed in range(REPETITIONS) for row in planted(1.0, seed).rows]
    inside = sum(row.low <= 0 <= row.high for row in rows)
    low, high = 144, 159
    assert stats.binom.cdf(high, 160, 0.95) - stats.binom.cdf(low - 1, 160, 0.95) > 0.99
    assert low <= inside <= high


def test_a_planted_regression_is_found_every_time():
    """A tenth more errors: at 8.7 % one experiment alone sees it, at p < 0.05 / 9, in most cases.

    s = 0.187, so that the difference is 5.7 standard errors on ten degrees of freedom.
    """
    std = expected_std(8.7)
    away = 0.87 / (std * math.sqrt(2 / 3))
    limit = stats.t.ppf(1 - 0.05 / 9 / 2, 10)
    assert stats.nct.sf(limit, 10, away) > 0.9
    made = [planted(1.1, seed) for seed in range(REPETITIONS)]
    assert all(one.differs for one in made)
    assert all(one.together.difference > 0 for one in made)


# ---------------------------------------------------------------------------- the command


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder without records, in which no others are seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "committed", lambda: None)
    return tmp_path


@pytest.fixture
def recorded(elsewhere):
    """Two experiments with runs on two backends."""
    for name, error in (("lenet5-mnist", 1.0), ("resnet20-cifar10", 8.7)):
        of = catalog.experiment(name)
        a = ran(of, [error, error + 0.05, error - 0.05])
        for one in a + ran(of, [1.3 * error, 1.32 * error], "jax", hour=13):
            backend = one["run"]["backend"]
            seal_run(elsewhere / "runs" / backend, one)
    runs = elsewhere / "runs"
    for backend, folder in product(("tensorflow", "jax"), ("lenet5-mnist", "resnet20-cifar10")):
        for run in (runs / backend / folder).glob("*"):
            (runs / folder).mkdir(exist_ok=True)
            run.rename(runs / folder / f"{run.name}-{backend}")
    return elsewhere


def test_the_command_prints_a_table_of_80_columns(recorded, capsys):
    assert cli.main(["compare", "lenet5-mnist", "resnet20-cifar10", "--by", "backend"]) == 1
    out, _ = capsys.readouterr()
    title, heading, lenet5, resnet20, below = out.splitlines()
    assert title == "a: tensorflow; b: jax; paper scale"
    assert heading.split() == [
        "experiment",
        "tensorflow",
        "jax",
        "b",
        "-",
        "a",
        "tolerance",
        "verdict",
    ]
    assert lenet5.split()[:5] == ["lenet5-mnist", "1.00", "(3)", "1.31", "(2)"]
    assert "± 0.20" in lenet5 and lenet5.endswith("differs")
    assert resnet20.split()[5] == "+2.70" and "± 0.88" in resnet20
    assert below.startswith("all 2 experiments together: ")
    assert all(len(line) <= 80 for line in (title, heading, lenet5, resnet20))


def test_json_has_every_row_and_all_together(recorded, capsys):
    assert cli.main(["compare", "lenet5", "resnet", "--by", "backend", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["by"], document["scale"]) == ("backend", "paper")
    (one,) = document["comparisons"]
    assert (one["a"], one["b"]) == ("tensorflow", "jax")
    assert [row["experiment"] for row in one["rows"]] == ["lenet5-mnist", "resnet20-cifar10"]
    row = one["rows"][0]
    keys = "metric protocol means n failed difference low high p std degrees tolerance verdict"
    keys += " equivalent by_chance apart apart_by_seeds also runs standard_error experiment"
    assert set(row) == set(keys.split())
    assert row["means"] == pytest.approx([1.0, 1.31]) and row["n"] == [3, 2]
    assert one["together"]["experiments"] == 2
    assert {"difference", "low", "high", "p", "between", "verdict"} <= set(one["together"])


def test_the_picture_says_what_the_table_says(recorded, capsys):
    assert cli.main(["compare", "--by", "backend", "--figure", "out.svg"]) == 1
    drawn = texts(recorded / "out.svg")
    assert "jax minus tensorflow, paper scale" in drawn
    assert {"lenet5-mnist", "resnet20-cifar10", "all 2 together"} <= set(drawn)
    assert "+0.31 points, differs" in drawn
    before = (recorded / "out.svg").read_bytes()
    cli.main(["compare", "--by", "backend", "--figure", "out.svg"])
    assert (recorded / "out.svg").read_bytes() == before


def test_what_lies_far_out_is_drawn_at_the_edge(tmp_path):
    errors = {"near": ([8.6, 8.7], [8.7, 8.8]), "far": ([8.6, 8.7], [90.0, 89.9])}
    of = [experiment(name, 8.75) for name in errors]
    records = []
    for one in of:
        a, b = errors[one.name]
        records += ran(one, a) + ran(one, b, "jax", hour=13)
    path = compare_figure.draw(compared(records, *of, prior=PRIOR), "paper", tmp_path / "far.svg")
    assert "+81.30 points, differs" in texts(path)


@pytest.fixture
def one_diverged(elsewhere):
    """LeNet-5 is fine on two backends; on JAX no run of ResNet-20 ended well."""
    jax = STACKS["jax"] | {"versions": {"keras": "3.15.1", "jax": "1.0"}}
    lenet5, resnet20 = map(catalog.experiment, ("lenet5-mnist", "resnet20-cifar10"))
    made = ran(lenet5, [1.0, 1.05, 0.95]) + ran(resnet20, [8.7, 8.8, 8.6])
    theirs = ran(lenet5, [1.0, 1.03, 0.97], "jax", hour=13)
    jax["finished"] = "2026-11-21T14:00:00+00:00"
    theirs += [failed(resnet20, k, "the loss is not finite at update 7", **jax) for k in range(3)]
    for one in theirs:
        one["run"]["seed"] += 3
    for one in made + theirs:
        seal_run(elsewhere / "runs", one)
    return elsewhere


def test_what_diverged_on_one_side_is_told_and_is_exit_code_1(one_diverged, capsys):
    assert cli.main(["compare", "--by", "backend", "--figure", "out.svg"]) == 1
    *_, row, below = capsys.readouterr().out.splitlines()
    assert row.split()[0] == "lenet5-mnist" and row.endswith("equivalent")
    assert below == "resnet20-cifar10 differs; jax: all 3 runs failed (the loss is not finite)"
    assert "jax: diverged" in texts(one_diverged / "out.svg")
    assert cli.main(["compare", "resnet20-cifar10", "--a", "tensorflow", "--b", "jax"]) == 1
    assert capsys.readouterr().out.splitlines() == ["a: tensorflow; b: jax; paper scale", below]
    arguments = ["resnet20-cifar10", "--by", "backend", "--json", "--figure", "alone.svg"]
    assert cli.main(["compare", *arguments]) == 1
    (one,) = json.loads(capsys.readouterr().out)["comparisons"]
    lost = {"experiment": "resnet20-cifar10", "side": "jax", "failed": 3, "diverged": 3}
    assert one["rows"] == [] and one["lost"] == [{**lost, "finished": 0, "differs": True}]
    assert "resnet20-cifar10" in texts(one_diverged / "alone.svg")


def test_the_command_knows_the_factors_and_imports_nothing_heavy():
    program = (
        "import sys; from repro.commands import compare; print(*compare.FACTORS);"
        "print({'numpy', 'scipy', 'pandas', 'matplotlib', 'keras'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.splitlines() == ["backend keras device precision override", "set()"]
    assert compare_command.FACTORS is sides.FACTORS and not hasattr(compare_command, "BY")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ("--by backend|keras", "--a and --b")),
        ("--by backend --a jax --b tensorflow", ("one of the two",)),
        ("--a jax", ("--a and --b go together",)),
        ("--by bakend", ("'bakend'", "did you mean backend")),
        ("--by backend --scale smoke", ("'smoke'", "short, paper")),
        ("lenet5-mnst --by backend", ("'lenet5-mnst'", "did you mean lenet5-mnist")),
        ("--by keras", ("all of one group, 3.15.1 (10 runs)",)),
        ("vgg --by backend", ("no paper-scale runs of vgg",)),
        ("--by backend --scale short", ("no short-scale runs of any experiment",)),
        ("--a jax --b tensorflw", ("'tensorflw'", "did you mean tensorflow")),
        ("--by backend --figure out.pdf", ("out.pdf", ".svg")),
    ],
)
def test_errors_are_one_line(arguments, words, recorded, capsys):
    assert cli.main(["compare", *arguments.split()]) == 2
    out, error = capsys.readouterr()
    (line,) = [line for line in error.splitlines() if not line.startswith("read: ")]
    assert out == "" and line.startswith("error: ")
    assert all(word in line for word in words), line


def test_without_records_it_says_so(elsewhere, capsys):
    assert cli.main(["compare", "--by", "backend"]) == 2
    assert "no paper-scale runs of any experiment" in capsys.readouterr().err


def test_nothing_differs_is_exit_code_0(elsewhere, capsys):
    of = catalog.experiment("lenet5-mnist")
    for one in ran(of, [1.0, 1.05, 0.95]):
        seal_run(elsewhere / "runs", one)
    for one in ran(of, [1.0, 1.03, 0.97], keras="3.16.0", hour=13):
        one["run"]["seed"] += 3
        seal_run(elsewhere / "runs", one)
    assert cli.main(["compare", "--by", "keras"]) == 0
    assert "equivalent" in capsys.readouterr().out
