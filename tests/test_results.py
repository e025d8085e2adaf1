"""The regression test on reported accuracies: reads results/ as it is committed."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from repro import catalog
from repro.judging import bands, groups
from repro.records import reading
from repro.report import writing

RESULTS = Path(__file__).parents[1] / "results"
WARNINGS = []
RECORDS = reading.records(RESULTS, WARNINGS.append)
FINISHED = [record for record in RECORDS if record["result"]]

with_records = pytest.mark.skipif(not RECORDS, reason="results/ holds no run records yet")


def test_every_record_can_be_read():
    assert WARNINGS == []
    assert len(RECORDS) == len(list(RESULTS.glob("runs/*/*.json"))) >= 104


@with_records
def test_every_recorded_mean_lies_in_its_band():
    assert [c for c in bands.checks(RECORDS, catalog.experiments()) if not c.inside] == []


@with_records
def test_every_test_image_was_scored_once():
    for record in FINISHED:
        run = record["run"]
        for protocol, metrics in record["result"]["metrics"].items():
            where = (run["id"], protocol)
            assert metrics["test_count"] == run["data"]["test_examples"], where
            share = metrics["test_wrong"] / metrics["test_count"]
            assert metrics["test_error"] == pytest.approx(100 * share), where


@with_records
def test_every_finished_run_went_to_the_end_of_its_schedule():
    for record in FINISHED:
        run, passes = record["run"], record["passes"]
        assert [line["pass"] for line in passes] == list(range(1, len(passes) + 1)), run["id"]
        recipe = run["resolved"]["recipe"]
        images = recipe["pass_examples"] or run["data"]["train_examples"]
        updates = recipe.get("iterations") or recipe["passes"] * images / recipe["batch"]
        updates /= recipe["short_factor"] if run["scale"] == "short" else 1
        assert passes[-1]["update"] == record["result"]["updates"] == round(updates), run["id"]
        assert len(passes) == record["result"]["passes"], run["id"]
        assert "test_error" in passes[-1], run["id"]


@with_records
def test_what_a_probe_measured_is_the_mean_over_the_layers():
    for record in FINISHED:
        responses = record["result"].get("layer_responses")
        for metrics in record["result"]["metrics"].values():
            if responses:
                mean = sum(responses) / len(responses)
                assert metrics["layer_response"] == pytest.approx(mean), record["run"]["id"]


# Runs of recipes that were given up, by experiment and by the digest that they recorded: all at
# short scale. Their notes in git say why: AlexNet's schedule at short scale, NiN's rates, the first
# updates of ResNet and of plain networks.
FORMER_RECIPES = {
    ("alexnet-local-cifar10", "ebcabdbd22b2"): 2,
    ("nin-cifar10", "5917feff93ea"): 1,
    ("nin-cifar10", "fa0573e8716e"): 2,
    ("nin-mnist", "3df64429f64f"): 2,
    ("nin-mnist", "4aabf1bb15c8"): 2,
    ("plain20-cifar10", "eeb89415ca82"): 2,
    ("plain56-cifar10", "91217dbe60ca"): 2,
    ("resnet20-cifar10", "5bd2ba5d1dc0"): 3,
    ("resnet56-cifar10", "02ee14704d2d"): 2,
}


@with_records
def test_every_other_run_is_one_of_the_recipe_as_it_stands():
    stale = Counter()
    for record in RECORDS:
        run = record["run"]
        if groups.group_of(run, catalog.experiment(run["experiment"])).stale:
            stale[run["experiment"], run["digest"]] += 1
    assert stale == FORMER_RECIPES


@with_records
def test_no_run_is_recorded_twice():
    ids = [record["run"]["id"] for record in RECORDS]
    assert len(ids) == len(set(ids))


@with_records
def test_the_tables_are_those_of_the_records(tmp_path):
    shutil.copytree(RESULTS, tmp_path / "results")
    writing.regenerate(tmp_path / "runs", tmp_path / "results", figures=False)
    pages = ["README.md", "results.csv", *(f"{paper.name}.md" for paper in catalog.papers())]
    for page in pages:
        again = (tmp_path / "results" / page).read_text()
        assert (RESULTS / page).read_text() == again, f"{page} is out of date: repro results"


def test_reported_numbers_are_errors_in_per_cent():
    """The verdict takes lower for better."""
    for experiment in catalog.experiments():
        for number in experiment.reported:
            assert number.metric.endswith("error"), experiment.name
            assert number.protocol in experiment.protocols, experiment.name
            assert 0 < number.value < 100, experiment.name


def test_ensembles_are_of_experiments_that_there_are():
    for paper in catalog.papers():
        for ensemble in paper.ensembles:
            assert len(ensemble.members) >= 2, ensemble.name
            for name in ensemble.members:
                assert ensemble.protocol in catalog.experiment(name).protocols, ensemble.name
            for number in ensemble.reported:
                assert number.metric in ("test_error", "test_top5_error"), ensemble.name
                assert number.protocol == ensemble.protocol, ensemble.name


@pytest.mark.parametrize("paper", catalog.papers(), ids=lambda paper: paper.name)
def test_every_number_without_an_experiment_says_why(paper):
    listed = [number for network in paper.networks for number in network.reported]
    assert all(number.why_not for number in (*listed, *paper.reported))
    held = [e.reported for e in (*paper.experiments, *paper.ensembles)]
    assert not any(number.why_not for numbers in held for number in numbers)


def test_claims_compare_experiments_that_there_are():
    for claim in catalog.claims():
        assert len(claim.needs) >= 2, claim.name
        named = list(claim.experiments)
        assert [catalog.experiment(name).name for name in named] == named
