"""Claims: an effect with Welch's interval decides, and short runs are named as such."""

import dataclasses
import json
import math

import numpy as np
import pytest
import scipy.stats
from run_records import experiment, passes, record

from repro.errors import UsageError
from repro.jsonable import as_json
from repro.judging import claims
from repro.spec import Claim

A, B, C = (experiment(name) for name in ("fewer", "more", "most"))
CLAIM = Claim("more-data", "More data lowers the error.", "Figure 6", ("fewer", "more", "most"))
PAIR = Claim("pair", "More is better than fewer.", "Figure 6", ("fewer", "more"))


def runs(of, errors, metric="test_error", **changes):
    made = [record(of, seed, error, **changes) for seed, error in enumerate(errors)]
    for run, value in zip(made, errors, strict=True):
        run["result"]["metrics"]["single-view"][metric] = value
    return made


def judge(claim, records):
    return claims.judge(claim, records, (A, B, C))


def test_effect_and_interval_of_one_step():
    judged = judge(PAIR, runs(A, [1.9, 2.0, 2.1]) + runs(B, [0.9, 1.0, 1.1]))
    # s = 0.1 and n = 3 on both sides: 4 degrees of freedom, t(0.975, 4) = 2.776445.
    half = 2.776445 * 0.1 * math.sqrt(2 / 3)
    assert judged.verdict == "holds"
    assert judged.effect == pytest.approx(1.0)
    assert judged.low == pytest.approx(1.0 - half, abs=1e-6)
    assert judged.high == pytest.approx(1.0 + half, abs=1e-6)
    assert (judged.scale, judged.missing) == ("paper", ())


def test_two_seeds_each_have_an_interval():
    judged = judge(PAIR, runs(A, [3.0, 3.2], scale="short") + runs(B, [1.0, 1.2], scale="short"))
    # s^2 = 0.02 and n = 2 on both sides: 2 degrees of freedom, t(0.975, 2) = 4.302653.
    half = 4.302653 * math.sqrt(0.02 / 2 + 0.02 / 2)
    assert judged.low == pytest.approx(2.0 - half, abs=1e-6)
    assert judged.high == pytest.approx(2.0 + half, abs=1e-6)
    assert judged.verdict == "holds"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([0.9, 1.0, 1.1], "holds"),
        ([1.85, 1.95, 2.05], "inconclusive"),
        ([2.9, 3.0, 3.1], "does not hold"),
        ([1.0], "inconclusive"),  # one run says nothing of the spread
        ([], "not run"),
    ],
)
def test_verdicts(more, expected):
    assert judge(PAIR, runs(A, [1.9, 2.0, 2.1]) + runs(B, more)).verdict == expected


@pytest.mark.parametrize(
    ("margin", "expected"), [(0.7, "holds"), (0.9, "inconclusive"), (1.3, "does not hold")]
)
def test_the_margin_is_part_of_the_claim(margin, expected):
    claim = Claim("pair", "By far.", "Figure 6", ("fewer", "more"), margin=margin)
    records = runs(A, [1.9, 2.0, 2.1]) + runs(B, [0.9, 1.0, 1.1])  # 1.0 +- 0.227
    assert judge(claim, records).verdict == expected


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(-0.4, "holds"), (-0.2, "inconclusive"), (0.0, "inconclusive"), (0.25, "does not hold")],
)
def test_a_negative_margin_is_how_much_worse_it_may_be(margin, expected):
    claim = Claim("pair", "No worse.", "Table 3", ("fewer", "more"), margin=margin)
    records = runs(A, [1.9, 2.0, 2.1]) + runs(B, [1.9, 2.0, 2.1])  # 0.0 +- 0.227
    assert judge(claim, records).verdict == expected


@pytest.mark.parametrize(
    ("times", "expected"), [(4.5, "holds"), (6.0, "inconclusive"), (8.0, "does not hold")]
)
def test_how_many_times_lower(times, expected):
    claim = Claim("pair", "Several times.", "Figure 1", ("fewer", "more"), times=times)
    judged = judge(claim, runs(A, [30.0, 33.0, 36.3]) + runs(B, [5.0, 5.5, 6.05]))
    # Both sides are 1, 1.1 and 1.21 times their smallest: the logarithms have s = log 1.1.
    half = 2.776445 * math.log(1.1) * math.sqrt(2 / 3)
    assert (judged.verdict, judged.unit) == (expected, "times")
    assert judged.effect == pytest.approx(6.0)
    assert judged.low == pytest.approx(6.0 * math.exp(-half), abs=1e-5)
    assert judged.high == pytest.approx(6.0 * math.exp(half), abs=1e-5)


def test_after_how_many_passes_the_training_error_is_reached():
    claim = Claim("pair", "Sooner.", "Figure 1", ("fewer", "more"), "passes_to_25", times=1.5)
    slow = runs(A, [9.0] * 2)
    fast = runs(B, [9.0] * 2)
    for run in slow:  # 35 % at 2.5 passes and 15 % at 3.5: 25 % in their middle
        run["passes"] = passes({}, [60.0, 45.0, 35.0, 15.0])
    for run in fast:
        run["passes"] = passes({}, [30.0, 20.0, 26.0, 10.0])
    judged = judge(claim, slow + fast)
    assert judged.steps[0].means == pytest.approx([3.0, 1.0])
    assert (judged.verdict, judged.effect) == ("holds", pytest.approx(3.0))
    slow[0]["passes"] = slow[1]["passes"] = passes({}, [20.0, 15.0])  # its middle at the latest
    assert judge(claim, slow + fast).steps[0].means[0] == 0.5
    slow[0]["passes"] = passes({}, [60.0, 35.0, 15.0])
    slow[0]["passes"][2]["update"] = 2 * 391 + 196  # half a pass, or nearly: its middle at 2.25
    first = judge(claim, [slow[0], slow[0] | {}, *fast]).steps[0].means[0]
    assert first == pytest.approx(1.5 + 0.75 / 2, abs=1e-3)


def test_a_run_that_never_gets_there_leaves_it_open_and_is_not_asked_for_again():
    claim = Claim("pair", "Sooner.", "Figure 1", ("fewer", "more"), "passes_to_25", times=1.5)
    records = runs(A, [9.0] * 2) + runs(B, [9.0] * 2)
    for run in records:
        run["passes"] = passes({}, [60.0, 20.0])
    records[0]["passes"] = passes({}, [60.0, 25.1])
    judged = judge(claim, records)
    assert (judged.verdict, judged.effect) == ("inconclusive", None)
    assert judged.steps[0].n == (2, 2) and judged.missing == ()
    assert json.loads(json.dumps(as_json(judged), allow_nan=False))["steps"][0]["means"][0] is None
    assert claims.missing(claim, records, "paper", 2, (A, B, C)) == {}


def test_runs_that_agree_exactly():
    assert judge(PAIR, runs(A, [2.0] * 3) + runs(B, [1.0] * 3)).verdict == "holds"
    assert judge(PAIR, runs(A, [1.0] * 3) + runs(B, [1.0] * 3)).verdict == "does not hold"


def test_a_chain_is_as_good_as_its_worst_step():
    good = runs(A, [2.9, 3.0, 3.1]) + runs(B, [1.9, 2.0, 2.1])
    holds = judge(CLAIM, good + runs(C, [1.4, 1.5, 1.6]))
    assert holds.verdict == "holds"
    assert holds.effect == pytest.approx(0.5)  # the smaller of the two
    assert [step.verdict for step in holds.steps] == ["holds", "holds"]
    assert judge(CLAIM, good + runs(C, [2.4, 2.5, 2.6])).verdict == "does not hold"
    assert judge(CLAIM, good + runs(C, [1.9, 2.0, 2.1])).verdict == "inconclusive"
    # told is the step that decides, not the one that fell least
    clear, wide = runs(A, [2.19, 2.2, 2.21]), runs(C, [0.5, 1.4, 1.5])
    mixed = judge(CLAIM, clear + runs(B, [1.99, 2.0, 2.01]) + wide)
    assert [step.verdict for step in mixed.steps] == ["holds", "inconclusive"]
    assert (mixed.verdict, mixed.effect) == ("inconclusive", pytest.approx(2.0 - 3.4 / 3))
    assert mixed.low < 0
    absent = judge(CLAIM, good)
    assert (absent.verdict, absent.missing) == ("not run", ("most",))


TUNED = {"tuned-50": [38.0, 40.5, 39.0], "tuned-500": [21.0, 20.2, 20.9, 20.4]}
SCRATCH = {"scratch-50": [60.0, 66.0, 61.0], "scratch-500": [26.1, 25.2]}
GAINS = Claim(
    "gains",
    "The fewer, the more is gained.",
    "Table 4",
    needs=("tuned-500", "tuned-50"),
    less=("scratch-500", "scratch-50"),
)
OF = {name: experiment(name) for name in (*TUNED, *SCRATCH)}


def of_gains(claim=GAINS, without=(), **changes):
    errors = {**TUNED, **SCRATCH, **changes}
    made = [run for name in OF if name not in without for run in runs(OF[name], errors[name])]
    return claims.judge(claim, made, OF.values())


def test_differences_are_compared_with_the_interval_for_all_four_means():
    """By the formula of Welch and Satterthwaite for a sum of means."""
    four = [SCRATCH["scratch-50"], TUNED["tuned-50"], SCRATCH["scratch-500"], TUNED["tuned-500"]]
    means, counts = np.array([np.mean(x) for x in four]), np.array([len(x) for x in four])
    parts = np.array([np.var(x, ddof=1) for x in four]) / counts
    degrees = parts.sum() ** 2 / (parts**2 / (counts - 1)).sum()
    effect = (means[0] - means[1]) - (means[2] - means[3])
    half = scipy.stats.t.ppf(0.975, degrees) * np.sqrt(parts.sum())
    judged = of_gains()
    assert judged.effect == pytest.approx(effect) and judged.unit == "points"
    assert judged.low == pytest.approx(effect - half)
    assert judged.high == pytest.approx(effect + half)
    (step,) = judged.steps
    assert (step.higher, step.lower) == ("tuned-500 − scratch-500", "tuned-50 − scratch-50")
    assert step.means == pytest.approx([means[3] - means[2], means[1] - means[0]])
    assert step.n == (4, 2, 3, 3)
    assert judged.n == {"tuned-500": 4, "tuned-50": 3, "scratch-500": 2, "scratch-50": 3}
    assert judged.verdict == "holds"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scratch-50": [43.0, 45.6, 44.0]}, "inconclusive"),  # gains of 5.0 and of 5.0
        ({"scratch-50": [38.1, 40.4, 39.0]}, "does not hold"),  # of 5.0 and of nothing
        ({"scratch-500": [26.1]}, "inconclusive"),  # one run says nothing of the spread
    ],
)
def test_verdicts_on_differences(changes, expected):
    assert of_gains(**changes).verdict == expected


def test_the_margin_of_a_difference():
    """It falls by 18.1 points: from -5.0 to -23.2."""
    for margin, expected in ((5.0, "holds"), (18.0, "inconclusive"), (40.0, "does not hold")):
        assert of_gains(dataclasses.replace(GAINS, margin=margin)).verdict == expected


def test_a_chain_of_differences_is_as_good_as_its_worst_step():
    """Gains of 1, of 5 and of 23 points."""
    most = {"tuned-5000": [9.0, 9.1, 8.9], "scratch-5000": [10.0, 10.1, 9.9]}
    of = {**OF, **{name: experiment(name) for name in most}}
    claim = dataclasses.replace(
        GAINS, needs=("tuned-5000", *GAINS.needs), less=("scratch-5000", *GAINS.less)
    )

    def judged(**changes):
        errors = {**TUNED, **SCRATCH, **most, **changes}
        return claims.judge(claim, [r for n in of for r in runs(of[n], errors[n])], of.values())

    assert [step.verdict for step in judged().steps] == ["holds", "holds"]
    assert judged().effect == pytest.approx(25.65 - 20.625 - 1.0)
    assert judged(**{"scratch-5000": [20.0, 20.1, 19.9]}).verdict == "does not hold"


@pytest.mark.parametrize("wrong", [{"less": ("scratch-50",)}, {"times": 2.0}])
def test_what_is_subtracted_goes_with_each_that_is_needed_and_not_with_times(wrong):
    with pytest.raises(UsageError, match="gains: less takes an experiment for each of needs"):
        dataclasses.replace(GAINS, **wrong)


def test_short_runs_speak_only_where_the_paper_scale_is_incomplete():
    short = runs(A, [3.0, 3.1], scale="short") + runs(B, [1.0, 1.1], scale="short")
    judged = judge(PAIR, short + runs(A, [2.0, 2.1]))
    assert (judged.scale, judged.verdict) == ("short", "holds")
    complete = short + runs(A, [2.0, 2.1]) + runs(B, [2.5, 2.6])
    judged = judge(PAIR, complete)
    assert (judged.scale, judged.verdict) == ("paper", "does not hold")


def test_the_scales_are_never_mixed():
    short = runs(A, [3.0, 3.1], scale="short")
    assert judge(PAIR, short + runs(B, [1.0, 1.1])).verdict == "not run"
    both = short + runs(B, [2.8, 2.9], scale="short") + runs(B, [1.0, 1.1])
    assert judge(PAIR, both).steps[0].means == pytest.approx([3.05, 2.85])


def test_people_are_told_that_a_verdict_is_of_the_short_scale():
    short = runs(A, [3.0, 3.1], scale="short") + runs(B, [1.0, 1.1], scale="short")
    assert claims.words(judge(PAIR, short)) == "holds (short scale)"
    assert claims.words(judge(PAIR, short[:2])) == "not run"
    assert claims.words(judge(PAIR, runs(A, [3.0, 3.1]) + runs(B, [1.0, 1.1]))) == "holds"


def test_training_errors_are_those_of_the_last_pass():
    claim = Claim("trained", "More is better.", "Figure 6", ("fewer", "more"), "running_error")
    records = runs(A, [3.0, 3.1]) + runs(B, [2.0, 2.1])
    for run, error in zip(records, (9.0, 9.2, 4.0, 4.2), strict=True):
        run["passes"][-1] = {"pass": 2, "update": 120_000, "running_error": error}
    judged = judge(claim, records)
    assert (judged.effect, judged.unit) == (pytest.approx(5.0), "points")
    assert judged.verdict == "holds"


RESPONSES = Claim("r", "Responses shrink.", "Figure 7", ("fewer", "more"), "layer_response")


def test_what_a_probe_measured_is_compared_too():
    records = runs(A, [0.9, 0.92], "layer_response") + runs(B, [0.3, 0.32], "layer_response")
    judged = judge(RESPONSES, records)
    assert (judged.effect, judged.unit) == (pytest.approx(0.6), "")
    assert judged.verdict == "holds"


def test_a_seed_run_before_there_was_a_probe_counts_as_it_was_run_again():
    later = {"finished": "2026-12-01T00:00:00+00:00"}
    old = runs(A, [3.0, 3.1]) + runs(B, [2.0, 2.1])
    assert judge(RESPONSES, old).verdict == "not run"
    new = [*runs(A, [0.9], "layer_response", **later), *runs(B, [0.3], "layer_response", **later)]
    assert judge(RESPONSES, old + new).effect == pytest.approx(0.6)


@pytest.mark.parametrize(
    "change",
    [{"overrides": ["recipe.batch=8"]}, {"precision": "mixed_bfloat16"}, {"scale": "smoke"}],
    ids=lambda change: next(iter(change)),
)
def test_changed_runs_do_not_count(change):
    judged = judge(PAIR, runs(A, [2.0, 2.1]) + runs(B, [1.0, 1.1], **change))
    assert (judged.verdict, judged.missing) == ("not run", ("more",))


def test_one_code_path_at_a_time():
    mirrored = {"strategy": "mirrored", "devices": ["CPU:0", "CPU:1"]}
    apart = runs(A, [2.0, 2.1]) + runs(B, [1.0, 1.1], **mirrored)
    assert judge(PAIR, apart).verdict == "not run"
    both = apart + runs(A, [0.5, 0.6], **mirrored)
    assert judge(PAIR, both).verdict == "does not hold"


OLD = {"versions": {"keras": "3.15.1", "tensorflow": "2.21.0"}}
NEW = {"versions": {"keras": "3.16.0", "tensorflow": "2.22.0"}}


def test_one_set_of_versions_at_a_time():
    apart = runs(A, [2.0, 2.1], **OLD) + runs(B, [1.0, 1.1], **NEW)
    assert judge(PAIR, apart).verdict == "not run"
    later = {**NEW, "finished": "2026-12-01T00:00:00+00:00"}
    both = apart + runs(B, [0.9, 1.0], **OLD) + runs(A, [0.5, 0.6], **later)
    assert judge(PAIR, both).verdict == "does not hold"  # as good, and newer


def test_runs_of_one_claim_may_be_compiled_in_different_ways():
    a, b = runs(A, [2.0, 2.1], compiler="graph"), runs(B, [1.0, 1.1], compiler="xla")
    assert judge(PAIR, a + b).verdict == "holds"


@pytest.mark.parametrize(
    ("scale", "expected"),
    [("short", ("short", "holds")), ("paper", ("paper", "not run")), (None, ("short", "holds"))],
)
def test_one_scale_alone(scale, expected):
    records = runs(A, [2.0, 2.1]) + runs(A, [2.0, 2.1], scale="short")
    records += runs(B, [1.0, 1.1], scale="short")
    judged = claims.judge(PAIR, records, (A, B), scale=scale)
    assert (judged.scale, judged.verdict) == expected


@pytest.fixture
def installed(monkeypatch):
    """A function that sets the versions installed here, and the backend of Keras."""

    def now(how, backend="tensorflow"):
        def version(name):
            if name not in how["versions"]:
                raise claims.metadata.PackageNotFoundError(name)
            return how["versions"][name]

        monkeypatch.setattr(claims.metadata, "version", version)
        monkeypatch.setattr(claims.backends, "name", lambda: backend)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")

    return now


def test_what_is_missing_is_trained_within_one_stack(installed):
    half = runs(A, [2.0, 2.1, 2.2], **OLD) + runs(B, [1.0], **OLD)

    def missing(records, seeds=3):
        return claims.missing(PAIR, records, "paper", seeds, (A, B))

    installed(OLD)
    assert missing([]) == {"fewer": [0, 1, 2], "more": [0, 1, 2]}
    assert missing(half) == {"more": [1, 2]}
    assert missing(half, seeds=1) == {}
    installed(NEW)
    assert missing(half) == {"fewer": [0, 1, 2], "more": [0, 1, 2]}
    assert missing(half + runs(A, [2.0], **NEW)) == {"fewer": [1, 2], "more": [0, 1, 2]}
    assert missing(half, seeds=1) == {}  # complete with other versions: nothing to train


def test_what_is_subtracted_is_needed_too(installed):
    judged = of_gains(without=("scratch-50",))
    assert (judged.verdict, judged.missing) == ("not run", ("scratch-50",))
    installed(OLD)

    def missing(*names):
        made = [run for name in names for run in runs(OF[name], [1.0, 2.0], **OLD)]
        return claims.missing(GAINS, made, "paper", 2, OF.values())

    assert missing() == {name: [0, 1] for name in OF}
    assert missing(*TUNED, "scratch-50") == {"scratch-500": [0, 1]}


def test_runs_of_another_backend_are_not_ours(installed):
    jax = {"versions": {"keras": "3.15.1", "jax": "0.10.2"}}
    by_tensorflow = runs(A, [2.0, 2.1], **OLD) + runs(B, [1.0], **OLD)
    by_jax = runs(B, [1.0], backend="jax", **jax)

    def missing(records):
        return claims.missing(PAIR, records, "paper", 2, (A, B))

    installed(jax, "jax")  # a machine without TensorFlow
    assert missing(by_tensorflow) == {"fewer": [0, 1], "more": [0, 1]}
    assert missing(by_tensorflow + by_jax) == {"fewer": [0, 1], "more": [1]}
    installed({"versions": {"keras": "3.15.1"}}, "torch")  # the training will say what is lacking
    assert missing(by_tensorflow + by_jax) == {"fewer": [0, 1], "more": [0, 1]}


def test_former_recipes_do_not_count():
    former = experiment("more", variant=1)
    assert judge(PAIR, runs(A, [2.0, 2.1]) + runs(former, [1.0, 1.1])).verdict == "not run"


def test_nothing_ran():
    judged = judge(CLAIM, [])
    assert (judged.verdict, judged.scale, judged.effect) == ("not run", "", None)
    assert judged.missing == ("fewer", "more", "most")


def test_an_unknown_experiment_is_named():
    with pytest.raises(UsageError, match="no-such"):
        judge(Claim("x", "?", "?", ("fewer", "no-such")), [])
