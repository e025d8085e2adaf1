"""The vocabulary: schedules, what can be set, what names a recipe."""

import dataclasses
import json

import pytest

from repro import catalog, settings
from repro.errors import UsageError
from repro.spec import (
    SGD,
    Data,
    Decreased,
    Divided,
    Experiment,
    Network,
    Recipe,
    Reported,
    Steps,
    WarmUp,
)


@dataclasses.dataclass(frozen=True)
class Loss:
    j: float = 2.0
    robust: bool = False


def build(width, hidden=()):
    raise AssertionError("describing an experiment builds nothing")


EXPERIMENT = Experiment(
    name="tiny-mnist",
    title="A tiny network",
    network=Network("tiny", build, options={"width": 8, "hidden": (3, 4)}),
    recipe=Recipe(
        data=Data("mnist"),
        preprocessing=(),
        loss=Loss(),
        optimizer=SGD(rate=0.1, falls=Divided(by=10, at=(2,)), momentum=0.9),
        passes=3,
        batch=4,
        initialisation="none",
    ),
)


def test_a_rate_divided_by_ten_at_two_iterations():
    """He et al. 2015, section 4.2: 0.1, divided by 10 at 32k and 48k iterations."""
    method = SGD(rate=0.1, falls=Divided(by=10, at=(32_000, 48_000)))
    assert method.stretches(64_000) == [(0, 0.1), (32_000, 0.01), (48_000, 0.001)]
    assert SGD(rate=0.1).stretches(64_000) == [(0, 0.1)]


def test_a_rate_decreased_by_four_per_cent_every_eight_passes():
    """Szegedy et al. 2014, section 6."""
    stretches = SGD(rate=0.01, falls=Decreased(per_cent=4, every=8)).stretches(20)
    assert [start for start, _ in stretches] == [0, 8, 16]
    assert [rate for _, rate in stretches] == pytest.approx([0.01, 0.0096, 0.009216])
    with pytest.raises(UsageError, match=r"every=1e-09: accepted is a number from 0\.1"):
        Decreased(per_cent=4, every=1e-9)


def test_the_rate_can_be_set_and_keeps_falling_as_it_did():
    changed = settings.override(
        catalog.experiment("resnet20-cifar10"), ["recipe.optimizer.rate=0.2"]
    )
    rates = [rate for _, rate in changed.recipe.optimizer.stretches(64_000)]
    assert rates == pytest.approx([0.2, 0.02, 0.002])


@pytest.mark.parametrize(
    ("progress", "rate"),
    [(0, 0.1), (1.99, 0.1), (2, 0.01), (2.5, 0.01), (3, 0.01), (3.25, 0.001), (100, 0.001)],
)
def test_a_step_begins_when_the_passes_before_it_are_over(progress, rate):
    assert Steps(((2, 0.1), (1.25, 0.01), (1, 0.001))).at(progress) == rate


EXPERIMENTS_BY_NAME = {e.name: e for e in catalog.experiments()}


@pytest.mark.parametrize(
    ("assignment", "look", "value"),
    [
        ("recipe.batch=16", lambda e: e.recipe.batch, 16),
        ("recipe.loss.j=1", lambda e: e.recipe.loss.j, 1.0),
        ("recipe.loss.robust=true", lambda e: e.recipe.loss.robust, True),
        ("recipe.loss.robust=False", lambda e: e.recipe.loss.robust, False),
        ("recipe.optimizer.momentum=0", lambda e: e.recipe.optimizer.momentum, 0.0),
        ("recipe.optimizer.weight_decay=1e-4", lambda e: e.recipe.optimizer.weight_decay, 1e-4),
        ("recipe.data.train=train[:100]", lambda e: e.recipe.data.train, "train[:100]"),
        ("network.width=9", lambda e: e.network.options["width"], 9),
        ("recipe.data.train=a=b", lambda e: e.recipe.data.train, "a=b"),
    ],
)
def test_a_value_takes_the_type_of_its_key(assignment, look, value):
    changed = settings.override(EXPERIMENT, [assignment])
    assert look(changed) == value
    assert type(look(changed)) is type(value)
    assert look(EXPERIMENT) != value or assignment.endswith("False")  # the original is untouched


def test_only_what_was_named_changes():
    changed = settings.override(
        EXPERIMENT, ["recipe.batch=16", "network.width=9", "recipe.batch=32"]
    )
    recipe = dataclasses.replace(EXPERIMENT.recipe, batch=32)
    network = dataclasses.replace(EXPERIMENT.network, options={"width": 9, "hidden": (3, 4)})
    assert changed == dataclasses.replace(EXPERIMENT, recipe=recipe, network=network)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("recipe.batch", "KEY=VALUE"),
        ("recipe.bacth=4", "did you mean recipe.batch"),
        ("batch=4", "unknown key 'batch'"),
        ("network.depth=4", "unknown key"),
        ("recipe.optimizer=1", "unknown key"),  # a group of keys, not a key
        ("recipe.optimizer.falls=1", "unknown key"),
        ("recipe.batch.size=4", "unknown key"),
        ("name=other", "unknown key"),
        ("recipe.batch=4.5", "a whole number .now 4"),
        ("recipe.batch=many", "a whole number"),
        ("recipe.batch=", "a whole number"),
        ("recipe.batch=0", "from 1 to 65,536"),
        ("recipe.batch=-4", "from 1 to 65,536"),
        ("recipe.passes=0", "one of the two"),
        ("recipe.short_factor=0", "from 1 to"),
        ("recipe.loss.j=high", "a number"),
        ("recipe.loss.j=nan", "finite"),
        ("recipe.loss.j=inf", "finite"),
        ("recipe.loss.robust=1", "true or false"),
        ("network.width=wide", "a whole number"),
    ],
)
def test_what_is_refused_and_what_is_said(assignment, said):
    with pytest.raises(UsageError, match=said) as raised:
        settings.override(EXPERIMENT, [assignment])
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    assert assignment.partition("=")[0] in str(raised.value)


def test_the_keys_that_can_be_set():
    keys = settings.settable(EXPERIMENT)
    assert keys["recipe.optimizer.momentum"] == 0.9
    assert keys["network.width"] == 8
    assert keys["recipe.data.dataset"] == "mnist"
    assert not [key for key in keys if key.split(".")[0] not in ("network", "recipe")]


def test_the_digest_names_what_is_trained():
    digest = settings.digest(EXPERIMENT)
    assert len(digest) == 12 and int(digest, 16) >= 0
    assert settings.digest(dataclasses.replace(EXPERIMENT)) == digest
    changed = [
        "recipe.batch=8",
        "recipe.loss.j=3",
        "recipe.data.train=train[:9]",
        "recipe.optimizer.momentum=0.8",
        "recipe.passes=4",
        "network.width=9",
    ]
    others = {settings.digest(settings.override(EXPERIMENT, [text])) for text in changed}
    assert len(others | {digest}) == len(changed) + 1


def test_the_digest_knows_one_method_from_another_with_the_same_fields():
    @dataclasses.dataclass(frozen=True)
    class OtherLoss:
        j: float = 2.0
        robust: bool = False

    recipe = dataclasses.replace(EXPERIMENT.recipe, loss=OtherLoss())
    assert settings.digest(dataclasses.replace(EXPERIMENT, recipe=recipe)) != settings.digest(
        EXPERIMENT
    )


@pytest.mark.parametrize(
    "words",
    [
        {"chosen": ("It is small.",), "differs": ("It is smaller.",)},
        {"title": "Another title", "note": "a note", "name": "other"},
        {"seeds": 5},
        {"reported": (Reported("test_error", 1.0, "Table 1"),)},
        {"recipe": dataclasses.replace(EXPERIMENT.recipe, training_error_measured=True)},
    ],
    ids=lambda words: "-".join(words),
)
def test_the_digest_ignores_what_does_not_change_the_training(words):
    assert settings.digest(dataclasses.replace(EXPERIMENT, **words)) == settings.digest(EXPERIMENT)


def test_restating_a_default_changes_no_digest():
    def with_default(width, hidden=(), deep=True):
        raise AssertionError("describing an experiment builds nothing")

    network = dataclasses.replace(EXPERIMENT.network, build=with_default)
    restated = dataclasses.replace(network, options={**network.options, "deep": True})
    other = dataclasses.replace(network, options={**network.options, "deep": False})
    short, long, changed = (
        settings.digest(dataclasses.replace(EXPERIMENT, network=n))
        for n in (network, restated, other)
    )
    assert short == long != changed


def test_the_compression_of_the_schedule_counts_at_short_scale_alone():
    recipe = dataclasses.replace(EXPERIMENT.recipe, short_factor=3)
    changed = dataclasses.replace(EXPERIMENT, recipe=recipe)
    assert settings.digest(changed, "paper") == settings.digest(EXPERIMENT, "paper")
    assert settings.digest(changed, "short") != settings.digest(EXPERIMENT, "short")


def run_of(experiment):
    """What run.json says of a run of `experiment`."""
    plain = json.loads(json.dumps(settings.as_plain(experiment)))
    return {"scale": "paper", "resolved": plain}


def test_a_run_keeps_its_digest_when_a_field_with_a_default_is_added():
    run = run_of(EXPERIMENT)
    del run["resolved"]["recipe"]["optimizer"]["averaging"]  # as if it were newer than the run
    del run["resolved"]["recipe"]["pass_examples"]
    assert settings.digest_of_run(run, EXPERIMENT) == settings.digest(EXPERIMENT)


def test_a_run_keeps_its_digest_when_the_network_gets_an_option_with_a_default():
    def wider(width, hidden=(), newer=0):
        raise AssertionError("describing an experiment builds nothing")

    run = run_of(EXPERIMENT)
    network = dataclasses.replace(EXPERIMENT.network, build=wider)
    today = dataclasses.replace(EXPERIMENT, network=network)
    assert settings.digest_of_run(run, today) == settings.digest(today)


def test_a_changed_default_makes_earlier_runs_stale():
    def before(width, hidden=(), dropout=0.5):
        raise AssertionError("describing an experiment builds nothing")

    def since(width, hidden=(), dropout=0.4):
        raise AssertionError("describing an experiment builds nothing")

    then, today = (
        dataclasses.replace(EXPERIMENT, network=dataclasses.replace(EXPERIMENT.network, build=b))
        for b in (before, since)
    )
    assert settings.digest_of_run(run_of(then), then) == settings.digest(then)
    assert settings.digest_of_run(run_of(then), today) != settings.digest(today)


def test_a_run_that_does_not_say_what_it_trained_has_no_digest():
    for run in ({}, {"scale": "paper", "resolved": {}}, {"scale": "paper", "resolved": [1]}):
        assert settings.digest_of_run(run, EXPERIMENT) == ""


def test_a_tuple_with_its_comma_forgotten_is_refused():
    for name in ("differs", "chosen", "probes", "protocols"):
        with pytest.raises(UsageError, match=f"{name} takes a tuple; is a comma missing"):
            dataclasses.replace(EXPERIMENT, **{name: ("One sentence.")})


ABSURD = ("9" * 30, "-" + "9" * 30, "1e999", "-1e300", "nan", "9" * 5000, "1_0", "+5", "٣", " 7")


@pytest.mark.parametrize("experiment", EXPERIMENTS_BY_NAME.values(), ids=EXPERIMENTS_BY_NAME)
def test_no_number_is_without_an_upper_end(experiment):
    for key, present in settings.settable(experiment).items():
        if isinstance(present, bool) or not isinstance(present, int | float):
            continue
        for value in ABSURD:
            with pytest.raises(UsageError, match="accepted is") as refused:
                settings.override(experiment, [f"{key}={value}"])
            assert len(str(refused.value)) < 300


def test_a_description_is_plain_json_that_names_its_classes():
    plain = json.loads(json.dumps(settings.as_plain(EXPERIMENT)))
    assert plain["recipe"]["optimizer"] == {
        "kind": "SGD",
        "rate": 0.1,
        "falls": {"kind": "Divided", "by": 10, "at": [2]},
        "momentum": 0.9,
        "weight_decay": 0.0,
        "decayed": "all",
        "warm_up": None,
        "nesterov": False,
        "averaging": 0.0,
        "groups": [],
    }
    assert plain["network"]["build"] == "build"
    assert plain["network"]["options"] == {"width": 8, "hidden": [3, 4]}
    assert plain["recipe"]["loss"]["kind"] == "Loss"


def test_descriptions_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXPERIMENT.recipe.batch = 3


def test_what_is_decayed_is_checked_before_anything_is_loaded():
    with pytest.raises(UsageError, match=r"recipe\.optimizer\.decayed.*accepted: all, kernels"):
        settings.override(catalog.experiment("resnet20-cifar10"), ["recipe.optimizer.decayed=most"])


def test_a_recipe_counts_passes_or_iterations_not_both():
    recipe = catalog.experiment("resnet20-cifar10").recipe
    for passes, iterations, accepted in ((1, 64_000, ", the other 0"), (0, 0, " above 0")):
        with pytest.raises(UsageError, match=f"accepted is one of the two{accepted}$"):
            dataclasses.replace(recipe, passes=passes, iterations=iterations)
    with pytest.raises(UsageError, match=r"recipe\.passes"):
        settings.override(catalog.experiment("resnet20-cifar10"), ["recipe.passes=3"])


def test_a_warm_up_goes_by_iterations_or_by_the_error_not_by_both():
    for limits, accepted in (
        ({"error": 80.0, "iterations": 400}, ", the other 0"),
        ({}, " above 0"),
    ):
        told = rf"warm_up\.iterations=\d+: accepted is one of the two{accepted}$"
        with pytest.raises(UsageError, match=told):
            WarmUp(rate=0.01, **limits)
    key = "recipe.optimizer.warm_up.iterations"
    changed = settings.override(catalog.experiment("preresnet110-cifar10"), [f"{key}=100"])
    assert changed.recipe.optimizer.warm_up == WarmUp(rate=0.01, iterations=100)
    assert key not in settings.settable(catalog.experiment("resnet110-cifar10"))


def test_a_run_warmed_up_by_the_error_keeps_its_digest():
    experiment = catalog.experiment("resnet110-cifar10")
    run = run_of(experiment)
    del run["resolved"]["recipe"]["optimizer"]["warm_up"]["iterations"]  # newer than the run
    assert settings.digest_of_run(run, experiment) == settings.digest(experiment)


def test_what_lies_outside_of_an_image_may_be_below_zero():
    changed = settings.override(
        catalog.experiment("resnet20-cifar10"), ["recipe.augmentation.outside=-0.5"]
    )
    assert changed.recipe.augmentation.outside == -0.5


def test_how_weights_are_drawn_can_be_chosen_where_the_network_has_a_choice():
    experiment = catalog.experiment("vgg-d-imagenet")
    chosen = settings.override(experiment, ["network.initialisation=published"])
    assert chosen.network.options["initialisation"] == "published"
    assert settings.digest(chosen) != settings.digest(experiment)
    assert "recipe.initialisation" not in settings.settable(experiment)  # it is a description
