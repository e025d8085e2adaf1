"""Where passes end, which rate holds, what is refused before anything large is made."""

import dataclasses
import time

import pytest
from small_runs import modern_on_digits

from repro import catalog, spec
from repro.errors import UsageError
from repro.training import runner, schedule
from repro.training.schedule import Schedule
from repro.training.state import State

SHAPE = (32, 32, 1)


def cuts(plan: Schedule, state: State, number: int) -> list[int]:
    """Where the rest of a pass is cut."""
    updates = []
    while state.update < plan.ends[number]:
        state.update = plan.cut(number, state)
        updates.append(state.update)
    return updates


def test_rates_change_where_the_schedule_says_so():
    """Half a pass at one rate, a whole one at the next: each pass is cut in its middle."""
    method = dataclasses.replace(
        modern_on_digits().recipe.optimizer, rate=0.01, falls=spec.Divided(10, (0.5, 1.5))
    )
    recipe = modern_on_digits(optimizer=method, passes=2).recipe
    plan, state = Schedule(recipe, 1437, SHAPE, "paper"), State()
    end = plan.ends[0]
    assert end == round(1437 / 128)
    assert cuts(plan, state, 0) == [end // 2 + end % 2, end]
    assert plan.ends[1] == 22
    assert cuts(plan, state, 1) == [16, 22]  # three quarters of 22, to the nearest even number
    rates = [plan.rate(State(update=update)) for update in (0, 5, 6, 15, 16, 21)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])


@pytest.mark.parametrize(
    ("factor", "batch", "passes", "ends"),
    [
        (1, 1, 3, [100, 200, 300]),
        (10, 1, 3, [10, 20, 30]),
        (1, 8, 2, [12, 25]),  # 12.5 updates a pass: none is lost over two
    ],
)
def test_where_passes_end(factor, batch, passes, ends):
    recipe = dataclasses.replace(
        catalog.experiment("lenet5-digits").recipe,
        batch=batch,
        passes=passes,
        short_factor=factor,
    )
    assert schedule.pass_ends(recipe, 100, "short") == ends


def counting(iterations: int, **optimizer) -> spec.Recipe:
    recipe = catalog.experiment("lenet5-modern-mnist").recipe
    method = dataclasses.replace(recipe.optimizer, **optimizer)
    return dataclasses.replace(
        recipe, passes=0, iterations=iterations, batch=128, short_factor=40, optimizer=method
    )


def test_iterations_are_counted_where_the_paper_counts_them():
    """He et al. 2015, section 4.2: 64,000 iterations of 128 out of 50,000 images, rates by 32,000
    and 48,000."""
    recipe = counting(64_000, rate=0.1, falls=spec.Divided(10, (32_000, 48_000)))
    ends = schedule.pass_ends(recipe, 50_000, "paper")
    assert (len(ends), ends[:2], ends[-2:]) == (164, [391, 781], [63_672, 64_000])
    starts, rates = zip(*schedule.rates(recipe, ends[-1]), strict=True)
    assert starts == (0, 32_000, 48_000)
    assert rates == pytest.approx((0.1, 0.01, 0.001))
    # A fortieth of it: 1,600 updates, still in passes over the whole training set.
    short = schedule.pass_ends(recipe, 50_000, "short")
    assert short == [391, 781, 1172, 1562, 1600]
    assert [first for first, _ in schedule.rates(recipe, short[-1])] == [0, 800, 1200]


def test_the_warm_up_ends_once_the_training_error_is_low_enough():
    """He et al. 2015, section 4.2: 0.01 until the training error is below 80 %, then 0.1."""
    warm_up = spec.WarmUp(rate=0.01, error=80.0, window=3)
    recipe = counting(22, rate=0.1, falls=None, warm_up=warm_up)
    plan = Schedule(recipe, 1437, SHAPE, "paper")
    assert cuts(plan, State(), 0) == [3, 6, 9, 11]
    # Of 384 examples in a window wrong: 80.2 %, 79.9 %, and then it does not come back.
    seen, state = [], State()
    for state.update, state.warming_wrong in ((0, 0), (3, 308), (6, 307), (9, 384)):
        seen.append(plan.rate(state))
    assert seen == [0.01, 0.01, 0.1, 0.1]


@pytest.mark.parametrize("scale", ["paper", "short"])
def test_the_warm_up_ends_after_so_many_iterations(scale):
    """He et al. 2016: 0.01 at the beginning, for 400 iterations, then 0.1; whatever the error."""
    warm_up = spec.WarmUp(rate=0.01, iterations=400)
    recipe = counting(64_000, rate=0.1, falls=None, warm_up=warm_up)
    plan, state = Schedule(recipe, 50_000, SHAPE, scale), State()
    assert cuts(plan, state, 0) == [391]
    seen = []
    for state.update in (0, 391, 399, 400, 401):
        state.warming_wrong = 128 * state.update
        seen.append(plan.rate(state))
    assert seen == [0.01, 0.01, 0.01, 0.1, 0.1] and state.warm
    assert plan.cut(1, State(update=391)) == 400
    assert plan.cut(1, State(update=400, warm=True)) == 781


def test_at_short_scale_alone_the_rate_rises_in_twenty_equal_steps():
    recipe = dataclasses.replace(counting(64_000, rate=0.1, falls=None), short_ramp=200)
    plan, state = Schedule(recipe, 50_000, SHAPE, "short"), State()
    assert cuts(plan, state, 0) == [*range(10, 200, 10), 391]
    seen = [plan.rate(State(update=update)) for update in range(0, 400)]
    expected = [0.1 * min(1.0, (update // 10 + 1) / 20) for update in range(0, 400)]
    assert seen == pytest.approx(expected)
    for scale in ("paper", "smoke"):
        plan = Schedule(recipe, 50_000, SHAPE, scale)
        assert cuts(plan, State(), 0) == [391] and plan.rate(State()) == 0.1


def test_weights_with_rates_of_their_own_have_none_in_the_schedule():
    plan = Schedule(catalog.experiment("lenet5-digits").recipe, 1437, SHAPE, "short")
    assert plan.rate(State()) is None
    assert cuts(plan, State(), 0) == [plan.ends[0]]


def test_the_rates_of_a_pass_are_the_least_and_the_greatest():
    state = State()
    for rates in (None, (0.1, 0.1), (0.01, 0.2), None):
        state.add_rates(rates)
    assert state.rates == (0.01, 0.2)


@pytest.mark.parametrize("scale", spec.SCALES)
def test_a_batch_larger_than_a_pass_is_refused(scale):
    recipe = catalog.experiment("lenet5-digits").recipe
    recipe = dataclasses.replace(recipe, batch=101)
    with pytest.raises(UsageError, match=r"recipe\.batch=101: more than the 100 .*up to 100$"):
        schedule.check(recipe, 100, scale)


@pytest.mark.parametrize(
    ("scale", "changes", "complaint"),
    [
        ("paper", {"passes": 0, "iterations": 100_000_000}, "8,907,447 passes; accepted are up"),
        ("paper", {"pass_examples": 10**8, "passes": 10**5}, "passes=100000 with .* updates; acc"),
        ("paper", {"pass_examples": 1, "batch": 1, "passes": 0, "iterations": 10**8}, "0,000 pass"),
        ("smoke", {"passes": 0, "iterations": 100_000_000}, "8,907,447 passes; accepted are up"),
        ("short", {"short_factor": 10**6}, "short_factor=1000000: more than .* is up to 67$"),
        ("short", {"batch": 60_000}, "batch=60000: more than .* accepted is up to 1437$"),
        ("paper", {"batch": 60_000}, "batch=60000: more than .* accepted is up to 1437$"),
    ],
)
def test_a_schedule_without_an_end_is_refused_at_once(scale, changes, complaint):
    """Without making a list of it, and before anything is imported that computes."""
    recipe = modern_on_digits(**changes).recipe
    began = time.process_time()
    with pytest.raises(UsageError, match=complaint):
        schedule.check(recipe, 1437, scale)
    assert time.process_time() - began < 0.5


def test_what_a_refusal_says_is_accepted_is_accepted():
    schedule.check(modern_on_digits(short_factor=67).recipe, 1437, "short")
    schedule.check(modern_on_digits(batch=1437).recipe, 1437, "paper")
    by_pass = dataclasses.replace(catalog.experiment("lenet5-digits").recipe, batch=60)
    with pytest.raises(UsageError, match=r"short_factor=2: more than the 1 updates of a pass"):
        schedule.check(by_pass, 100, "short")
    schedule.check(dataclasses.replace(by_pass, short_factor=1), 100, "short")


REQUEST = {"scale": "smoke", "seed": 0, "strategy": "auto", "precision": "float32"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scale": "smok"}, "unknown scale 'smok'.*did you mean smoke"),
        ({"seed": -1}, r"--seed -1: accepted is a whole number from 0"),
        (
            {"seed": 10**30},
            r"--seed 1000000\d+: accepted is a whole number from 0 to 4,294,967,295",
        ),
        ({"strategy": "mirored"}, "unknown strategy"),
        ({"precision": "float16"}, "unknown precision"),
        ({"precision": "mixed_bfloat16"}, "what trains lenet5-digits needs float32"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_built(changes, complaint):
    with pytest.raises(UsageError, match=complaint):
        runner.check(catalog.experiment("lenet5-digits"), REQUEST | changes)


def test_every_experiment_can_be_trained_at_every_scale():
    for experiment in catalog.experiments():
        for scale in spec.SCALES:
            runner.check(experiment, REQUEST | {"scale": scale})
