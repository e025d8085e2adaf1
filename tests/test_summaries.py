"""What MLflow is told of a group of runs, against figures that were worked out by hand."""

from dataclasses import replace

import pytest
from run_records import experiment, failed, record

from repro.judging import spread
from repro.running import summaries
from repro.spec import Band, Paper, Reported

TOY = experiment("toy", 1.0)


def of(records, *experiments):
    paper = Paper("toys", "Toys", "Someone", "1998", experiments or (TOY,))
    return summaries.of_paper(paper, records, spread.NOTHING)


def three(of_, **changes):
    return [record(of_, seed, error, **changes) for seed, error in enumerate((0.9, 1.0, 1.1))]


def test_three_seeds_beside_the_paper():
    runs = three(TOY)
    (made,) = of(runs)
    assert made.name == "toy"
    # mean 1, deviation 0.1; t of 2 degrees is 4.3027: 4.3027 * 0.1 * sqrt(1 + 1/3) = 0.4968
    assert made.metrics["measured"] == made.metrics["test_error"] == 1.0
    assert (made.metrics["reported"], made.metrics["difference"]) == (1.0, 0.0)
    assert (made.metrics["std"], made.metrics["n"]) == (0.1, 3)
    assert made.metrics["low"] == pytest.approx(0.5032, abs=1e-4)
    assert made.metrics["high"] == pytest.approx(1.4968, abs=1e-4)
    assert made.tags["verdict"] == "inconclusive"  # wider than 0.2 points
    assert (made.tags["seed"], made.tags["seeds"]) == ("3 seeds", "0, 1, 2")
    assert made.tags["reported.test_error"] == "1.0 (Table 1)"
    assert made.tags["group"] == "tensorflow single on CPU"
    assert "± 0.497" in made.tags["mlflow.note.content"]
    assert made.runs == {run["run"]["id"]: "inconclusive" for run in runs}
    assert (made.started, made.ended) == ("2026-11-21T11:00:00+00:00", "2026-11-21T12:02:00+00:00")


def test_runs_that_do_not_count_are_under_the_parent_without_a_verdict():
    again = record(TOY, 0, 9.0, finished="2026-11-22T00:00:00+00:00")
    lost = failed(TOY, 3)
    (made,) = of([*three(TOY), again, lost])
    assert (made.metrics["n"], made.metrics["measured"]) == (3, 1.0)
    assert made.runs[again["run"]["id"]] == made.runs[lost["run"]["id"]] == ""
    (alone,) = of([lost])
    assert (alone.metrics["n"], alone.tags["verdict"]) == (0, "")


def test_groups_have_parents_of_their_own_that_stay_as_seeds_are_added():
    versions = {"keras": "3.16.0", "tensorflow": "2.21.0"}
    kinds = ({}, {"overrides": ["recipe.batch=8"]}, {"scale": "short"}, {"versions": versions})
    kinds = (*kinds, {"devices": ["GPU:0"]}, {"precision": "bfloat16"}, {"compiler": "graph"})
    few = of([record(TOY, seed, 1.0, **kind) for kind in kinds for seed in range(2)])
    more = of([record(TOY, seed, 1.0, **kind) for kind in kinds for seed in range(3)])
    assert len({made.identity for made in few}) == len({made.name for made in few}) == len(kinds)
    assert {made.identity for made in few} == {made.identity for made in more}
    assert {made.metrics["n"] for made in more} == {3}
    assert sum(made.name == "toy" for made in few) == 1


def test_a_recipe_that_changes_leaves_the_identity_as_it_is():
    runs = three(TOY)
    (before,) = of(runs)
    (after,) = of(runs, experiment("toy", 1.0, variant=1))
    assert after.tags["verdict"] == "stale"
    assert after.identity == before.identity


def test_short_runs_have_their_band_and_no_verdict():
    banded = replace(TOY, bands=(Band("short", "test_error", 0.5, 1.5, "three seeds"),))
    (made,) = of(three(banded, scale="short"), banded)
    assert made.name == "toy short"
    assert (made.metrics["test_error"], made.metrics["std"]) == (1.0, 0.1)
    assert not {"reported", "measured", "low"} & set(made.metrics)
    assert (made.tags["verdict"], made.tags["band"]) == ("", "inside")
    outside = replace(TOY, bands=(Band("short", "test_error", 0.1, 0.2, "three seeds"),))
    (made,) = of(three(outside, scale="short"), outside)
    assert made.tags["band"] == "outside"
    assert of([record(TOY, 0, 1.0, scale="smoke")]) == []


def test_further_numbers_stand_behind_their_names():
    second = Reported("test_error", 0.8, "Table 2", protocol="10-crop")
    numbers = (*TOY.reported, second)
    toy = replace(TOY, reported=numbers, protocols=("single-view", "10-crop"))
    runs = three(toy)
    for run in runs:
        run["result"]["metrics"]["10-crop"] = {"test_error": 0.7, "test_count": 10_000}
    (made,) = of(runs, toy)
    assert (made.metrics["measured"], made.metrics["reported"]) == (1.0, 1.0)
    assert made.metrics["10-crop/test_error"] == made.metrics["10-crop/test_error/measured"] == 0.7
    assert made.metrics["10-crop/test_error/reported"] == 0.8
    assert made.metrics["10-crop/test_error/difference"] == pytest.approx(-0.1)
    assert "10-crop/test_count" not in made.metrics
