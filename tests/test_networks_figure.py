"""Error against size and speed: which networks are drawn, where, and what is said of them."""

import json
import math
import shutil
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import pytest
from run_records import experiment, record, seal_run, texts

from repro import catalog
from repro.errors import RunError, UsageError
from repro.judging import spread, verdict
from repro.networks.counts import Counts
from repro.records.reading import records
from repro.report import inks, network_counts, networks_figure, networks_shown, placing, writing
from repro.spec import Data, Paper, Reported

RESULTS = Path(__file__).parents[1] / "results"


def on(of, dataset, **splits):
    return replace(of, recipe=replace(of.recipe, data=Data(dataset, **splits)))


def paper_of(*experiments, name="toys"):
    networks = tuple({e.network.name: e.network for e in experiments}.values())
    return Paper(name, "Toys", "Someone", "1998", experiments, networks)


def shown_of(papers, runs):
    experiments = [e for paper in papers for e in paper.experiments]
    rows = verdict.table(runs, experiments, spread.NOTHING)
    return networks_shown.by_dataset(papers, rows)


SMALL, LARGE, SILENT = (
    experiment("small", 2.0),
    experiment("large", 1.0),
    experiment("silent", None, note="Nothing is reported."),
)
TOYS = paper_of(SMALL, LARGE, SILENT)
RUNS = [record(SMALL, k, 2.1 + k / 10) for k in range(3)]  # 2.2 in the mean
RUNS += [record(LARGE, 0, 1.5), record(SILENT, 0, 3.0)]
COUNTS = {
    "small": Counts(1_000, 20_000, 0, 0),
    "large": Counts(5_000_000, 700_000_000, 0, 0),
    "silent": Counts(30_000, 40_000, 0, 0),
}


def with_speed(run, speed, cores=2, processor="Some CPU"):
    machine = {"processor": processor, "cores": cores}
    result = {**run["result"], "images_per_second": speed}
    return {**run, "run": {**run["run"], "machine": machine}, "result": result}


def drawn(monkeypatch, networks, counts, runs, ink=inks.LIGHT):
    """The figure itself instead of its file."""
    monkeypatch.setattr(networks_figure, "save", lambda page, path: page)
    return networks_figure.draw("mnist", networks, counts, runs, "", ink)


def marks(axes, colours, page=inks.LIGHT.page):
    """(filled, hollow): the points of each kind in one panel."""
    points = [line for line in axes.lines if line.get_marker() not in (None, "None", "")]
    filled, hollow = set(), set()
    for line in points:
        face = line.get_markerfacecolor()
        assert face in (page, *colours)
        (x,), (y,) = line.get_data()
        (hollow if face == page else filled).add((float(x), round(float(y), 9)))
    return filled, hollow


# ---------------------------------------------------------------------------- what is drawn


def test_filled_marks_are_ours_and_hollow_ones_the_papers(monkeypatch):
    (networks,) = shown_of([TOYS], RUNS).values()
    page = drawn(monkeypatch, networks, COUNTS, RUNS)
    for axes, x in zip(
        page.axes,
        (
            {"small": 1_000, "large": 5_000_000, "silent": 30_000},
            {"small": 20_000, "large": 700_000_000, "silent": 40_000},
            dict.fromkeys(("small", "large", "silent"), 3300.0),
        ),
        strict=True,
    ):
        filled, hollow = marks(axes, inks.LIGHT.papers)
        assert filled == {(x["small"], 2.2), (x["large"], 1.5), (x["silent"], 3.0)}
        assert hollow == {(x["small"], 2.0), (x["large"], 1.0)}
        lines = [line.get_data() for line in axes.lines if len(line.get_xdata()) == 2]
        joined = {(*xs, *(round(y, 9) for y in ys)) for xs, ys in lines}
        assert joined == {(*[x["small"]] * 2, 2.2, 2.0), (*[x["large"]] * 2, 1.5, 1.0)}
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert axes.get_ylim() == page.axes[0].get_ylim()
        to_axes = axes.transScale + axes.transLimits
        for number, name, error in ((1, "large", 1.5), (2, "small", 2.2), (3, "silent", 3.0)):
            (label,) = [text for text in axes.texts if text.get_text() == str(number)]
            assert label.xy == pytest.approx(to_axes.transform((x[name], error)))


def test_the_points_are_those_of_the_records_that_are_kept(monkeypatch):
    """Read again from the JSON files, without what the harness reads, groups and judges by."""
    errors = defaultdict(lambda: defaultdict(dict))
    for path in sorted(RESULTS.glob("runs/*/paper-*.json")):
        kept = json.loads(path.read_text())
        run = kept["run"]
        if run["overrides"] or run["precision"] != "float32" or not kept.get("result"):
            continue
        stack = (run["backend"], run["strategy"], tuple(run["devices"]), str(run["versions"]))
        errors[run["experiment"]][stack].setdefault(run["seed"], kept["result"]["metrics"])
    expected, reported = defaultdict(dict), defaultdict(dict)
    for one in catalog.experiments():
        data, name = one.recipe.data, one.network.name
        if one.name in errors and data.train == "train" and name not in expected[data.dataset]:
            numbers = [number for number in one.reported if number.metric == "test_error"]
            protocol = numbers[0].protocol if numbers else one.protocols[0]
            runs = max(errors[one.name].values(), key=len).values()
            mean = fmean(metrics[protocol]["test_error"] for metrics in runs)
            expected[data.dataset][name] = mean
            if numbers:
                reported[data.dataset][name] = numbers[0].value
    expected = {dataset: means for dataset, means in expected.items() if len(means) > 1}
    assert {"mnist", "cifar10"} <= set(expected)

    kept = records(RESULTS)
    networks = shown_of(catalog.papers(), kept)
    assert set(networks) == set(expected)
    for dataset, means in expected.items():
        counts = {n: Counts(k, 2 * k, 0, 0) for k, n in enumerate(means, start=10)}
        page = drawn(monkeypatch, networks[dataset], counts, kept)
        for axes, times in zip(page.axes, (1, 2), strict=False):
            filled, hollow = marks(axes, inks.LIGHT.papers)
            x = {name: times * count.parameters for name, count in counts.items()}
            assert filled == {(x[name], round(mean, 9)) for name, mean in means.items()}
            assert hollow == {(x[name], value) for name, value in reported[dataset].items()}


def test_the_table_says_what_the_marks_show(tmp_path):
    (networks,) = shown_of([TOYS], RUNS).values()
    elsewhere = with_speed(record(SILENT, 0, 3.0), 80.0, cores=64)
    runs = [*RUNS[:-1], elsewhere]
    for name, ink in networks_figure.files_of("mnist").items():
        path = networks_figure.draw("mnist", networks, COUNTS, runs, tmp_path / name, ink)
        words = texts(path)
        for row in (
            ("1", "large", "toys", "1", "1.50", "1", "5,000,000", "700,000,000", "3,300"),
            ("2", "small", "toys", "2", "2.20", "3", "1,000", "20,000", "3,300"),
            ("3", "silent", "toys", "–", "3.00", "1", "30,000", "40,000", "–"),
        ):
            for word in row:
                assert word in words, word
        said = " ".join(words)
        assert "where most networks ran, 2 cores of Some CPU (tensorflow single on CPU)" in said
        assert "– where none ran there" in said
        svg = path.read_text().lower()
        assert f"fill: {ink.page}; stroke: {ink.papers[0]}".lower() in svg, "hollow"


def test_the_papers_differ_in_colour_or_in_shape():
    row, looks = verdict.table(RUNS, TOYS.experiments, spread.NOTHING)[0], set()
    for theme in (inks.LIGHT, inks.DARK):
        for place in range(30):
            look = networks_figure.look(networks_shown.Shown("toys", place, SMALL, row), theme)
            looks.add((look["marker"], look["markerfacecolor"]))
    assert len(looks) == 2 * 30


def test_what_is_not_counted_is_left_out_and_one_network_alone_is_not_drawn(tmp_path):
    (networks,) = shown_of([TOYS], RUNS).values()
    path = tmp_path / "networks.svg"
    two = {name: COUNTS[name] for name in ("small", "silent")}
    assert networks_figure.draw("mnist", networks, two, RUNS, path) == path
    assert "large" not in texts(path) and "small" in texts(path)
    path.unlink()
    one = {"small": COUNTS["small"]}
    assert networks_figure.draw("mnist", networks, one, RUNS, path) is None
    assert not path.exists()


# ---------------------------------------------------------------------------- which networks


def test_one_picture_for_each_dataset_with_two_networks_that_have_run():
    one, two = on(experiment("one"), "cifar10"), on(experiment("two"), "cifar10")
    alone, waiting = on(experiment("alone"), "digits"), on(experiment("waiting"), "digits")
    short = on(experiment("short"), "digits")
    papers = [TOYS, paper_of(one, two, alone, waiting, short, name="more")]
    runs = [*RUNS, record(one, 0, 9.0), record(two, 0, 8.0), record(alone, 0, 7.0)]
    runs.append(record(short, 0, 7.0, scale="short"))
    found = shown_of(papers, runs)
    names = {dataset: [s.network.name for s in some] for dataset, some in found.items()}
    assert names == {"mnist": ["small", "large", "silent"], "cifar10": ["one", "two"]}


def test_a_network_stands_there_once_with_the_first_of_its_experiments_that_has_run():
    never = replace(SMALL, name="small-never")
    other = replace(SMALL, name="small-otherwise")
    paper = paper_of(never, SMALL, other, LARGE)
    runs = [*RUNS, record(other, 0, 0.5)]
    (networks,) = shown_of([paper], runs).values()
    assert [s.experiment.name for s in networks] == ["small", "large"]


def test_all_train_and_are_tested_on_the_same_images():
    fewer = [on(experiment(name), "mnist", train="train[:15000]") for name in ("f", "g")]
    paper = paper_of(*fewer, *TOYS.experiments)
    runs = [*RUNS, *(record(one, 0, 5.0) for one in fewer)]
    (networks,) = shown_of([paper], runs).values()
    assert [s.network.name for s in networks] == ["small", "large", "silent"]


def test_the_error_is_that_of_the_papers_protocol(monkeypatch):
    crops = experiment(
        "crops",
        (Reported("test_error", 1.2, "Table 1", "10-crop"),),
        protocols=("10-crop", "single-view"),
    )
    run = record(crops, 0, 9.0)
    metrics = run["result"]["metrics"]
    metrics["10-crop"] = {**metrics["single-view"], "test_error": 1.4}
    runs = [*RUNS, run]
    (networks,) = shown_of([paper_of(SMALL, crops)], runs).values()
    assert [s.name for s in networks] == ["small", "crops, 10-crop"]
    assert [s.row.mean for s in networks] == [pytest.approx(2.2), 1.4]


def test_runs_with_another_recipe_are_not_drawn():
    changed = record(LARGE, 0, 1.5, overrides=["recipe.passes=7"])
    assert shown_of([paper_of(SMALL, LARGE)], [*RUNS[:3], changed]) == {}


# ---------------------------------------------------------------------------- how fast


def test_speeds_are_those_of_the_machine_on_which_most_networks_ran():
    (networks,) = shown_of([TOYS], RUNS).values()
    here = [with_speed(record(SMALL, k, 2.0), s) for k, s in enumerate((100.0, 300.0, 120.0))]
    here.append(with_speed(record(LARGE, 0, 1.5), 10.0))
    gpu = record(SMALL, 7, 2.0, devices=["GPU:0"])
    others = [with_speed(gpu, 9e4)]
    others += [with_speed(record(SMALL, k, 2.0), 7e4, cores=64) for k in range(8, 20)]
    machine, speeds = networks_shown.measured_speeds(networks, [*here, *others])
    assert str(machine) == "2 cores of Some CPU (tensorflow single on CPU)"
    assert speeds == {"small": median((100.0, 300.0, 120.0)), "large": 10.0}
    machine, speeds = networks_shown.measured_speeds(networks, others)
    assert machine.cores == 64 and speeds == {"small": 7e4}


def test_runs_at_short_scale_tell_a_speed_and_changed_ones_do_not():
    (networks,) = shown_of([TOYS], RUNS).values()
    runs = [with_speed(record(LARGE, 0, 9.0, scale="short"), 50.0)]
    runs.append(with_speed(record(SMALL, 0, 9.0, overrides=["recipe.passes=7"]), 60.0))
    runs.append(with_speed(record(SMALL, 1, 9.0, precision="bfloat16"), 70.0))
    _, speeds = networks_shown.measured_speeds(networks, runs)
    assert speeds == {"large": 50.0}


def test_runs_that_tell_no_speed(tmp_path):
    (networks,) = shown_of([TOYS], RUNS).values()
    runs = [with_speed(run, None) for run in RUNS]
    assert networks_shown.measured_speeds(networks, runs) == (None, {})
    path = networks_figure.draw("mnist", networks, COUNTS, runs, tmp_path / "networks.svg")
    assert "No run says how many images per second it trained on." in texts(path)


# ---------------------------------------------------------------------------- labels


def test_a_label_stands_right_of_a_point_that_has_room():
    point, page = placing.Box(1, 1, 0.05, 0.05), placing.Box(1, 1, 1, 1)
    (label,) = placing.beside([point], [(0.2, 0.1)], [], page)
    assert (label.x, label.y) == (pytest.approx(1.05 + placing.NEAR + 0.1), 1)
    edge = placing.Box(1.9, 1, 0.05, 0.05)
    (label,) = placing.beside([edge], [(0.2, 0.1)], [], page)
    assert (label.x, label.y) == (pytest.approx(1.85 - placing.NEAR - 0.1), 1)


def covers(one, other):
    across = abs(one.x - other.x) < one.half_width + other.half_width - 1e-6
    return across and abs(one.y - other.y) < one.half_height + other.half_height - 1e-6


def test_labels_of_a_crowd_cover_neither_points_nor_each_other():
    """Twelve points on a ring, close to each other, and four in a heap."""
    turns = [k * math.tau / 12 for k in range(12)]
    points = [placing.Box(1 + 0.4 * math.cos(a), 1 + 0.4 * math.sin(a), 0.06, 0.06) for a in turns]
    points += [placing.Box(1 + 0.02 * k, 1, 0.06, 0.06) for k in range(4)]
    page = placing.Box(1, 1, 1, 1)
    labels = placing.beside(points, [(0.14, 0.1)] * len(points), [], page)
    assert not any(covers(a, b) for a, b in combinations(labels, 2))
    assert not any(covers(label, point) for label in labels for point in points)
    assert all(abs(label.x - 1) < 1 and abs(label.y - 1) < 1 for label in labels)


# ---------------------------------------------------------------------------- in results/


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """A folder of runs, one for results; `counted` are the networks that were built for them."""
    counted = []

    def count(network):
        if network.name == "silent":
            raise RunError("anatomy does not know it")
        counted.append(network.name)
        return COUNTS[network.name]

    monkeypatch.setattr(network_counts, "_counted", count)
    for others in ("_overviews", "_figures"):  # not drawn here: they take long
        monkeypatch.setattr(writing, others, lambda *_: [])
    for run in RUNS:
        seal_run(tmp_path / "runs", run)
    return tmp_path / "runs", tmp_path / "results", counted


def test_the_results_have_the_picture_for_light_and_for_dark_pages(roots):
    runs, results, _ = roots
    told = []
    made = writing.regenerate(runs, results, [TOYS], warn=told.append)
    names = ["mnist-networks.svg", "mnist-networks-dark.svg"]
    for name in names:
        assert str(results / "figures" / name) in made["written"]
        assert {"small", "large"} <= set(texts(results / "figures" / name))
    page = (results / "README.md").read_text()
    assert all(f'="figures/{name}"' in page for name in names)
    (line,) = told
    assert "silent" in line and "does not know it" in line


def test_nothing_is_counted_twice_and_all_comes_out_the_same(roots, tmp_path):
    runs, results, counted = roots
    writing.regenerate(runs, results, [TOYS], warn=lambda _: None)
    assert counted == ["large", "small"]
    before = {p: p.read_bytes() for p in results.rglob("*") if p.is_file()}
    assert results / "networks.json" in before
    writing.regenerate(runs, results, [TOYS], warn=lambda _: None)
    elsewhere = tmp_path / "elsewhere"
    writing.regenerate(runs, elsewhere, [TOYS], warn=lambda _: None, kept=results)
    assert counted == ["large", "small"]
    assert {p: p.read_bytes() for p in results.rglob("*") if p.is_file()} == before
    same = (elsewhere / "networks.json").read_bytes()
    assert same == before[results / "networks.json"]


def test_pages_alone_need_no_counts(roots):
    runs, results, counted = roots
    writing.regenerate(runs, results, [TOYS], figures=False)
    assert counted == [] and not (results / "networks.json").exists()
    assert "networks.svg" not in (results / "README.md").read_text()


def test_counts_of_somebody_else_are_kept_and_named(roots):
    runs, results, _ = roots
    results.mkdir()
    (results / "networks.json").write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=r"networks\.json"):
        writing.regenerate(runs, results, [TOYS])
    assert (results / "networks.json").read_text() == '{"mine": 1}'


def test_the_pictures_are_left_out_of_the_page_once_they_are_gone(roots):
    runs, results, _ = roots
    writing.regenerate(runs, results, [TOYS], warn=lambda _: None)
    shutil.rmtree(results / "figures")
    writing.regenerate(runs, results, [TOYS], figures=False)
    assert "Error against size" not in (results / "README.md").read_text()


def test_the_pictures_are_svg_whose_text_is_text(roots):
    runs, results, _ = roots
    writing.regenerate(runs, results, [TOYS], warn=lambda _: None)
    root = ElementTree.parse(results / "figures" / "mnist-networks.svg").getroot()
    assert root.tag.endswith("svg") and "multiply-adds" in texts(
        results / "figures" / "mnist-networks.svg"
    )
