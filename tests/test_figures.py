"""The figures: what they show of the records, and what of them is written down."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from run_records import counting_iterations, experiment, passes, points, record, texts

from repro.errors import RunError
from repro.judging import measures
from repro.report import drawing, paper_figures, run_figures
from repro.spec import Claim, Figure, Reported

TOY = experiment("toy")


def test_curves_name_the_experiment_the_seeds_and_the_papers_numbers(tmp_path):
    toy = experiment(
        reported=(
            Reported("test_error", 0.95, "Figure 9"),
            Reported("training_error", 0.35, "section III.B"),
        )
    )
    path = tmp_path / "figures" / "curves.svg"
    assert run_figures.draw_curves([record(toy, k, 1.0) for k in range(5)], toy, path) == path
    words = texts(path)
    assert "toy, 5 seeds" in words
    assert {"test 1.00 %", "training 0.50 %"} <= set(words)
    assert {"paper, test 0.95 %", "paper, training 0.35 %"} <= set(words)


def test_short_curves_do_not_show_the_papers_number(tmp_path):
    path = tmp_path / "curves.svg"
    run_figures.draw_curves([record(TOY, 0, 1.0, scale="short")], TOY, path)
    assert "toy, 1 seed, short scale" in texts(path)
    assert not [word for word in texts(path) if word.startswith("paper")]


def test_error_seen_while_training_stands_in_for_the_training_error(tmp_path):
    run = record(TOY, 0, 1.0)
    run["passes"] = [{"pass": k, "test_error": 1.0, "running_error": 2.0} for k in (1, 2, 3)]
    run_figures.draw_curves([run], TOY, tmp_path / "curves.svg")
    assert "while training 2.00 %" in texts(tmp_path / "curves.svg")


def test_the_dashed_curve_is_the_one_that_the_paper_reports(tmp_path):
    run = record(TOY, 0, 1.0)
    for line in run["passes"]:
        line["running_error"] = 2.0
    run_figures.draw_curves([run], TOY, tmp_path / "scored.svg")
    assert "training 0.50 %" in texts(tmp_path / "scored.svg")
    toy = experiment(reported=(Reported("running_error", 0.35, "Figure 5"),))
    run_figures.draw_curves([run], toy, tmp_path / "running.svg")
    words = texts(tmp_path / "running.svg")
    assert {"while training 2.00 %", "paper, while training 0.35 %"} <= set(words)
    assert not [word for word in words if word.startswith("training ")]


@pytest.mark.parametrize("errors", [[0.0, 0.0], [5.0, 0.0], [90.0], [90.0, 0.01]])
def test_curves_of_every_range(tmp_path, errors):
    run = record(TOY, 0, 1.0)
    run["passes"] = [{"pass": k + 1, "test_error": e} for k, e in enumerate(errors)]
    assert run_figures.draw_curves([run], TOY, tmp_path / "curves.png").stat().st_size > 0


def test_nothing_to_draw(tmp_path):
    run = record(TOY, 0, 1.0) | {"passes": []}
    assert run_figures.draw_curves([run], TOY, tmp_path / "curves.svg") is None
    assert not (tmp_path / "curves.svg").exists()


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [((5, 5, 1, 6), 6), ((3, 3, 3, 16), 16), ((5, 5, 6, 4), 24), ((5, 5, 1, 1), 1)],
)
def test_one_picture_per_filter_and_one_range(tmp_path, shape, pictures):
    array = np.random.default_rng(0).normal(size=shape)
    path = run_figures.draw_filters(array, tmp_path / "filters.svg", "toy, seed 0: filters")
    images = [e for e in ElementTree.parse(path).iter() if e.tag.endswith("}image")]
    bar = 0 if shape[2] == 3 else 1
    assert len(images) in (pictures, pictures + bar)
    assert "toy, seed 0: filters" in texts(path)
    if bar:
        assert f"{np.abs(array).max():.2g}" in texts(path)


def test_filters_that_are_all_zero(tmp_path):
    assert run_figures.draw_filters(np.zeros((5, 5, 1, 6)), tmp_path / "filters.png").exists()


def test_a_figure_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        run_figures.draw_filters(np.zeros((5, 5, 1, 6)), tmp_path / "file" / "filters.svg")


# ---------------------------------------------------------------------------- passes without a test

COUNTED = counting_iterations(TOY)
EIGHT = [60.0, 40.0, 30.0, 25.0, 20.0, 15.0, 12.0, 10.0]
TESTED = {4: 30.0, 8: 12.5}


def counted(of, seed, tested=TESTED, running=EIGHT, **changes):
    made = record(of, seed, tested[max(tested)], **changes)
    return made | {"passes": passes(tested, running)}


def test_a_pass_that_was_not_tested_has_no_point(tmp_path):
    path = tmp_path / "curves.svg"
    run_figures.draw_curves([counted(COUNTED, 0)], COUNTED, path)
    assert {"test 12.50 %", "while training 10.00 %"} <= set(texts(path))
    assert max(points(path, drawing.TEST_COLOUR)) == len(TESTED)
    assert max(points(path, drawing.TRAINING_COLOUR)) == len(EIGHT)


def test_seeds_that_were_tested_after_different_passes(tmp_path):
    path = tmp_path / "curves.svg"
    runs = [counted(COUNTED, 0), counted(COUNTED, 1, {3: 30.0, 7: 12.0})]
    run_figures.draw_curves(runs, COUNTED, path)
    assert not [word for word in texts(path) if word.startswith("test") or "nan" in word]


def test_a_recipe_that_counts_iterations_has_an_axis_for_them(tmp_path):
    path = tmp_path / "curves.svg"
    run_figures.draw_curves([counted(COUNTED, 0)], COUNTED, path)
    assert {"pass", "iterations", "1k", "2k", "3k"} <= set(texts(path))  # 8 passes of 391
    run_figures.draw_curves([counted(TOY, 0)], TOY, path)
    assert "iterations" not in texts(path)


def test_a_last_pass_that_is_a_part_is_drawn_as_one(tmp_path):
    path = tmp_path / "curves.svg"
    run = counted(COUNTED, 0, {3: 30.0}, [60.0, 40.0, 30.0])
    run["passes"][-1]["update"] = 1_000  # 2.56 passes of 391
    run_figures.draw_curves([run], COUNTED, path)
    words = texts(path)
    assert {"1", "2", "1k"} <= set(words) and "3" not in words


# ---------------------------------------------------------------------------- the papers' figures

PLAIN, DEEP, RESIDUAL = (counting_iterations(experiment(n)) for n in ("plain", "deep", "residual"))
EVERY = (PLAIN, DEEP, RESIDUAL)
PANELS = (("without shortcuts", ("plain", "deep")), ("with shortcuts", ("residual",)))
ERRORS = Figure("figure-6", "Errors on the way", "Figure 6", PANELS)
LAYERS = Figure("figure-7", "Responses", "Figure 7", PANELS, shows="layer_response")


def measured(of, seed, responses, **changes):
    run = record(of, seed, 9.0, **changes)
    run["result"] |= {"layer_responses": responses}
    return run


def test_the_errors_of_a_paper_side_by_side(tmp_path):
    path = tmp_path / "figure.svg"
    runs = {
        "plain": [counted(PLAIN, k, {4: 30.0, 8: 10.0 + k}, scale="short") for k in range(2)],
        "residual": [counted(RESIDUAL, 0, {8: 8.0}, scale="short")],
    }
    assert paper_figures.draw_figure(ERRORS, runs, path) == path
    words = texts(path)
    assert "Errors on the way, short scale" in words
    assert any("as Figure 6 of the paper" in word and "1 to 2 seeds" in word for word in words)
    assert {"without shortcuts", "with shortcuts", "iterations", "error (%)"} <= set(words)
    assert {"plain 10.50 %", "residual 8.00 %"} <= set(words)
    assert not [word for word in words if word.startswith("deep")]
    # plain and residual come first in their panels, so one colour: thin lines and a mean for each
    # of two seeds, dashed with 8 points and solid with 2; then the single seed's 8 and 1.
    drawn = [n for n in points(path, drawing.TEST_COLOUR) if n in (1, 2, 8)]
    assert drawn.count(8) >= 4


def test_a_panel_without_runs_is_left_out(tmp_path):
    path = tmp_path / "figure.svg"
    paper_figures.draw_figure(ERRORS, {"residual": [counted(RESIDUAL, 0)]}, path)
    words = texts(path)
    assert "with shortcuts" in words and "without shortcuts" not in words
    assert "not run: without shortcuts" in words


def test_an_experiment_without_runs_is_named_beside_those_with(tmp_path):
    path = tmp_path / "figure.svg"
    paper_figures.draw_figure(ERRORS, {"plain": [counted(PLAIN, 0)]}, path)
    assert "not run: deep; with shortcuts" in texts(path)
    every = {of.name: [counted(of, 0)] for of in EVERY}
    paper_figures.draw_figure(ERRORS, every, path)
    assert not [word for word in texts(path) if "not run" in word]


SOONER = Figure("figure-1", "Sooner", "Figure 1", PANELS, shows="running_error")
REACHED = Claim("sooner", "Sooner.", "Figure 1", ("plain", "residual"), "passes_to_25", times=2.0)


def test_the_error_that_a_claim_asks_for_has_a_line(tmp_path):
    """An error of 35 % at 1.5 passes and of 15 % at 2.5 comes to 25 % after two."""
    path = tmp_path / "figure.svg"
    runs = {
        "plain": [counted(PLAIN, 0, running=[60.0, 35.0, 15.0])],
        "residual": [counted(RESIDUAL, 0, running=[30.0, 20.0])],
    }
    paper_figures.draw_figure(SOONER, runs, path, [REACHED])
    assert {"25 %", "after 2.0", "after 1.0"} <= set(texts(path))
    paper_figures.draw_figure(SOONER, runs, path)
    assert "25 %" not in texts(path)
    elsewhere = Claim("other", "?", "?", ("plain", "elsewhere"), "passes_to_25")
    paper_figures.draw_figure(SOONER, runs, path, [elsewhere])
    assert "25 %" not in texts(path)


def test_an_error_that_is_never_reached_is_said(tmp_path):
    path = tmp_path / "figure.svg"
    runs = {"plain": [counted(PLAIN, 0, running=[60.0, 35.0])]}
    paper_figures.draw_figure(SOONER, runs, path, [REACHED])
    assert "plain 35.00 % in pass 2, not 25 % in every run" in texts(path)


def test_alexnets_figure_1_has_the_line_of_its_claim(tmp_path):
    from repro import catalog

    paper = catalog.paper("alexnet")
    (figure,) = paper.figures
    names = [name for _, names in figure.panels for name in names]
    runs = {n: [counted(catalog.experiment(n), 0, running=[60.0, 20.0])] for n in names}
    paper_figures.draw_figure(figure, runs, tmp_path / "figure.svg", paper.claims)
    assert "25 %" in texts(tmp_path / "figure.svg")


def test_the_axis_of_errors_leaves_out_the_first_tenth(tmp_path):
    path = tmp_path / "figure.svg"
    run = counted(PLAIN, 0, {20: 10.0}, [90.0, *[20.0] * 19])
    paper_figures.draw_figure(ERRORS, {"plain": [run]}, path)
    ticks = [float(word) for word in texts(path) if word.replace(".", "").isdigit()]
    assert 20 <= max(ticks) < 30


def test_the_training_error_of_two_networks_in_one_panel(tmp_path):
    """At the middles of the passes, so that it crosses an error where `passes_to` says."""
    path = tmp_path / "figure.svg"
    figure = Figure("figure-1", "Sooner", "Figure 1", PANELS, shows="running_error")
    runs = {
        "plain": [counted(PLAIN, k, running=[40.0, 30.0, 20.0 + k]) for k in range(2)],
        "residual": [counted(RESIDUAL, 0, running=[20.0, 10.0])],
    }
    assert paper_figures.chosen(figure, EVERY, [*runs["plain"], *runs["residual"]], "paper") == runs
    paper_figures.draw_figure(figure, runs, path)
    words = texts(path)
    assert {"Sooner", "pass", "training error (%)"} <= set(words)
    assert {"plain 20.50 % in pass 3", "residual 10.00 % in pass 2"} <= set(words)
    assert any("dashed: without shortcuts; solid: with shortcuts" in word for word in words)
    assert not [word for word in words if word.startswith("deep")]
    assert points(path, drawing.TEST_COLOUR).count(3) == 3  # two seeds and their mean
    assert measures.running_errors(runs["residual"][0]) == [(0.5, 20.0), (1.5, 10.0)]


def test_the_training_error_of_few_runs_or_passes(tmp_path):
    path = tmp_path / "figure.svg"
    figure = Figure("figure-1", "Sooner", "Figure 1", PANELS, shows="running_error")
    residual = counted(RESIDUAL, 0, running=[20.0])
    paper_figures.draw_figure(figure, {"residual": [residual]}, path)
    assert any("; solid: with shortcuts; 1 seed each" in word for word in texts(path))
    assert not [word for word in texts(path) if "dashed" in word]
    assert "0.2" not in texts(path)  # one pass: no ticks between
    plain = counted(PLAIN, 0) | {"passes": []}
    paper_figures.draw_figure(figure, {"plain": [plain], "residual": [residual]}, path)
    assert not [word for word in texts(path) if word.startswith("plain")]


def test_layer_by_layer_and_from_the_largest(tmp_path):
    path = tmp_path / "figure.svg"
    runs = {
        "plain": [measured(PLAIN, k, [1.0 + k, 3.0, 2.0]) for k in range(2)],
        "residual": [measured(RESIDUAL, 0, [0.5, 0.25])],
    }
    paper_figures.draw_figure(LAYERS, runs, path)
    words = texts(path)
    assert {"Responses", "layer", "layer, by size", "layer response"} <= set(words)
    assert {"plain, mean 2.17", "residual, mean 0.38"} <= set(words)
    assert any("dashed: without shortcuts; solid: with shortcuts" in word for word in words)
    assert not [word for word in words if "%" in word or "scale" in word]


@pytest.mark.parametrize(
    ("responses", "ticks"),
    [([[50.0, 5.0, 0.5], [1.0, 0.9]], {"0.5", "1", "10", "50"}), ([[2.0, 0.0], [1.0]], {"0", "1"})],
    ids=["by ratios", "with a zero"],
)
def test_responses_are_drawn_by_their_ratios(tmp_path, responses, ticks):
    """So that small ones are told apart beside one that is fifty times as large."""
    path = tmp_path / "figure.svg"
    plain, residual = responses
    runs = {"plain": [measured(PLAIN, 0, plain)], "residual": [measured(RESIDUAL, 0, residual)]}
    paper_figures.draw_figure(LAYERS, runs, path)
    words = [word.removesuffix(".00").removesuffix(".0") for word in texts(path)]
    assert ticks <= set(words)


def test_nothing_to_draw_of_a_paper(tmp_path):
    assert paper_figures.draw_figure(ERRORS, {}, tmp_path / "figure.svg") is None
    assert paper_figures.chosen(ERRORS, EVERY, [], "paper") == {}
    assert paper_figures.chosen(LAYERS, EVERY, [record(PLAIN, 0, 9.0)], "paper") == {}


def test_a_figure_is_drawn_from_one_scale():
    short = [record(of, 0, 9.0, scale="short") for of in EVERY]
    paper = [record(RESIDUAL, k, 8.0) for k in range(3)]
    found = paper_figures.chosen(ERRORS, EVERY, short + paper, "short")
    assert {name: runs[0]["run"]["scale"] for name, runs in found.items()} == dict.fromkeys(
        ("plain", "deep", "residual"), "short"
    )
    assert paper_figures.chosen(ERRORS, EVERY, short + paper, "paper") == {"residual": paper}


def test_a_figure_is_drawn_from_plain_runs_of_one_stack():
    jax = {"backend": "jax", "versions": {"keras": "3.15.1", "jax": "0.10.2"}}
    apart = [record(PLAIN, 0, 9.0, **jax), record(RESIDUAL, 0, 8.0), record(DEEP, 0, 9.5)]
    assert list(paper_figures.chosen(ERRORS, EVERY, apart, "paper")) == ["deep", "residual"]
    changed = [record(PLAIN, 0, 9.0, precision="mixed_bfloat16")]
    assert paper_figures.chosen(ERRORS, EVERY, changed, "paper") == {}


def test_a_figure_of_a_probe_is_drawn_from_runs_that_have_it():
    runs = [record(PLAIN, 0, 9.0), measured(PLAIN, 1, [1.0, 2.0])]
    assert paper_figures.chosen(LAYERS, EVERY, runs, "paper") == {"plain": runs[1:]}
