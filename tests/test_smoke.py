"""What a smoke run is cut to, so that any network ends in two minutes on two cores."""

import dataclasses

import pytest
from small_runs import Seen, modern_on_digits

from repro import catalog
from repro.records.journal import Journal
from repro.training import runner, smoke, telling
from repro.training.protocols import parse

# Multiply-adds of an example, in millions: of the papers, or counted by tests/test_anatomy.py.
LENET, RESNET20, DENSENET, NIN = 0.34, 41, 265, 223
GOOGLENET, VGG_A, VGG_E = 1_600, 7_600, 19_600


def cut(name: str, millions: float, replicas: int = 1) -> smoke.Smoke:
    return smoke.cut(catalog.experiment(name), int(millions * 1e6), replicas)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("lenet5-mnist", LENET), ("resnet20-cifar10", RESNET20), ("densenet40-k12-cifar10", DENSENET)],
)
def test_what_is_cheap_makes_forty_updates_and_scores_a_thousand_images(name, millions):
    batch = catalog.experiment(name).recipe.batch
    assert cut(name, millions) == smoke.Smoke(batch, 20, 1000)
    assert cut(name, millions).pass_ends == [20, 40]


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("nin-cifar10", NIN),
        ("googlenet-imagenette", GOOGLENET),
        ("vgg-a-imagenet", VGG_A),
        ("vgg-e-imagenet", VGG_E),
    ],
)
def test_what_is_expensive_stays_within_the_budget(name, millions):
    """2.5e12 and 1e12 multiply-adds, of which two cores make 5e10 a second or more."""
    experiment, made = catalog.experiment(name), cut(name, millions)
    assert made.updates >= 2 and made.test_subset >= 10
    assert made.batch <= experiment.recipe.batch
    assert 3 * millions * 1e6 * made.batch * made.pass_ends[-1] <= 2.5e12
    views = sum(parse(protocol).views for protocol in experiment.protocols)
    views += 2 * parse(experiment.protocols[0]).views  # one test after each pass
    assert made.test_subset * views * millions * 1e6 <= 1e12 or made.test_subset == 10
    assert made.test_subset <= (100 if "10-crop" in experiment.protocols else 1000)


def test_the_batch_stays_whole_as_long_as_two_updates_of_it_are_affordable():
    assert cut("googlenet-imagenette", GOOGLENET).batch == 32
    assert cut("vgg-e-imagenet", VGG_E).batch < 256


def test_a_smaller_batch_can_still_be_divided_between_devices():
    assert cut("vgg-e-imagenet", VGG_E, replicas=8).batch % 8 == 0
    assert cut("vgg-e-imagenet", 1000 * VGG_E, replicas=8).batch == 8


def test_a_smoke_run_says_what_it_was_cut_to(tmp_path, monkeypatch):
    monkeypatch.setattr(smoke, "IMAGES", 150)
    monkeypatch.setattr(smoke, "TRAINING", 4e9)
    monkeypatch.setattr(telling, "SECONDS_BETWEEN_EVENTS", 0.0)
    seen, experiment = Seen(), modern_on_digits()
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    outcome = runner.run(experiment, scale="smoke", out=tmp_path, observers=[seen])
    journal = Journal.open(outcome["run_dir"])
    told, result = journal.run()["smoke"], journal.result()
    updates = told["updates"]
    assert told == {"batch": 128, "updates": updates, "test_subset": 150} and 2 <= updates < 20
    assert [line["update"] for line in journal.passes()] == [updates, 2 * updates]
    metrics = result["metrics"]["single-view"]
    assert (metrics["test_count"], metrics["training_count"]) == (150, 150)
    assert result["test_subset"] == 150
    assert journal.run()["data"]["test_examples"] == 360
    # It is evaluated on the same images, and says so.
    again = runner.evaluate(journal.path, "single-view")
    assert again["test_subset"] == 150
    assert again["metrics"]["test_error"] == metrics["test_error"]
    # Testing is told, and the time left goes to nothing.
    assert {event["total"] for event in seen.of("testing")} == {150}
    assert seen.of("testing")[-1]["seconds_left"] == pytest.approx(0.0, abs=1e-6)
    left = [e["seconds_left"] for e in seen if e.get("seconds_left") is not None]
    assert all(seconds > 0 for seconds in left[:-1])


def test_a_smoke_run_that_needs_a_smaller_batch_has_one(tmp_path, monkeypatch):
    monkeypatch.setattr(smoke, "TRAINING", 1e8)
    experiment = dataclasses.replace(modern_on_digits())
    outcome = runner.run(experiment, scale="smoke", out=tmp_path)
    journal = Journal.open(outcome["run_dir"])
    told = journal.run()["smoke"]
    assert told["updates"] == 2 and 1 < told["batch"] < 128
    assert journal.result()["updates"] == 4
    assert journal.run()["resolved"]["recipe"]["batch"] == 128  # the paper's recipe, cut


def test_the_deepest_network_is_not_compiled():
    """Compiling ResNet-1202, 4,210 layers in Keras, took TensorFlow more than two minutes."""
    experiment, works = catalog.experiment("resnet1202-cifar10"), 2_800_000_000
    assert smoke.cut(experiment, works, layers=4210) == smoke.Smoke(8, 2, 10, compiled=False)
    assert smoke.cut(experiment, works, replicas=4, layers=4210).batch == 8
    assert smoke.cut(catalog.experiment("resnet110-cifar10"), RESNET20, layers=388).compiled


def test_operations_called_one_by_one_come_to_what_a_compiled_loop_does(tmp_path, monkeypatch):
    monkeypatch.setattr(smoke, "TRAINING", 1e8)
    losses = {}
    for layers in (2000, 0):
        monkeypatch.setattr(smoke, "LAYERS", layers)
        monkeypatch.setattr(smoke, "BATCH_UNCOMPILED", 128)
        outcome = runner.run(modern_on_digits(), scale="smoke", out=tmp_path / str(layers))
        journal = Journal.open(outcome["run_dir"])
        losses[layers] = [line["loss"] for line in journal.passes()]
        compiled = "compiled" not in journal.run()["smoke"]
        assert compiled == (layers == 2000) == (journal.run()["compiler"] != "none")
    assert losses[0] == pytest.approx(losses[2000], rel=1e-5)


def test_other_scales_are_not_cut(tmp_path):
    outcome = runner.run(modern_on_digits(passes=1), out=tmp_path)
    journal = Journal.open(outcome["run_dir"])
    assert "smoke" not in journal.run() and "test_subset" not in journal.result()
