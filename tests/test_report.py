"""results/: made from the records alone, the same each time, losing nothing."""

import csv
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from run_records import experiment, failed, record, write_run

from repro import report
from repro.errors import DataError, RunError
from repro.spec import Band, Claim, Paper, Reported

TOY = experiment("toy", deviations=("The penalty is scaled by 1/40.",))
OTHER = experiment("other", note="Not the paper's data.", reported=None)
NEVER = experiment("never", reported=12.0)
PAPER = Paper(
    "toys",
    "Toys",
    "Someone 1998.",
    (TOY, OTHER, NEVER),
    (),
    (Claim("claim", "The other is better.", "Figure 6", ("toy", "other")),),
)


def roots(tmp_path, records):
    for each in records:
        write_run(tmp_path / "runs", each)
    return tmp_path / "runs", tmp_path / "results"


def table_row(text, *cells):
    """The first table row of a page that begins with these cells."""
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and row[: len(cells)] == list(cells):
            return row
    raise AssertionError(f"no row {cells}")


@pytest.fixture
def results(tmp_path):
    records = [record(TOY, seed, error) for seed, error in enumerate((0.94, 1.0, 1.06))]
    records.append(record(TOY, 3, 2.0, precision="mixed_bfloat16"))
    records.append(record(OTHER, 0, 5.0, scale="short"))
    runs_root, results_root = roots(tmp_path, records)
    np.save(next((runs_root / "toy").glob("*seed0*")) / "filters.npy", np.ones((5, 5, 1, 6)))
    report.regenerate(runs_root, results_root, [PAPER])
    return runs_root, results_root


# ---------------------------------------------------------------------------- records


def test_finished_runs_become_records(tmp_path):
    unfinished = record(TOY, 1, 1.0) | {"result": None}
    smoke = record(TOY, 2, 1.0, scale="smoke")
    kept = record(TOY, 0, 1.0)
    runs_root, results_root = roots(tmp_path, [kept, unfinished, smoke])
    (path,) = report.collect(runs_root, results_root)
    assert path == results_root / "runs" / "toy" / "paper-seed0-20261121-120000.json"
    assert report.records(results_root) == [kept]


def test_a_record_that_is_there_is_kept(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(TOY, 0, 1.0)])
    (path,) = report.collect(runs_root, results_root)
    before = path.read_bytes()
    result = next(runs_root.glob("*/*/result.json"))
    result.write_text(result.read_text().replace("3300.0", "1.0"))
    assert report.collect(runs_root, results_root) == []
    assert path.read_bytes() == before


def test_failed_runs_become_records_and_interrupted_ones_do_not(tmp_path):
    diverged = failed(TOY, 0, "the loss is not finite")
    smoke, interrupted = failed(TOY, 1, scale="smoke"), record(TOY, 2, 1.0) | {"result": None}
    runs_root, results_root = roots(tmp_path, [diverged, smoke, interrupted])
    assert report.gather(results_root, runs_root) == [diverged]
    (path,) = report.collect(runs_root, results_root)
    assert json.loads(path.read_text()) == diverged
    assert report.records(results_root) == [diverged]
    assert report.collect(runs_root, results_root) == []


def test_a_failed_run_that_has_finished_since_is_recorded_anew(tmp_path):
    runs_root, results_root = roots(tmp_path, [failed(TOY, 0)])
    (path,) = report.collect(runs_root, results_root)
    finished = record(TOY, 0, 1.0)
    (folder,) = runs_root.glob("toy/*")
    (folder / "failure.json").unlink()
    assert report.collect(runs_root, results_root) == []  # resumed, and on its way
    (folder / "result.json").write_text(json.dumps(finished["result"]))
    (folder / "metrics.jsonl").write_text("")
    (gathered,) = report.gather(results_root, runs_root)
    assert gathered["result"] == finished["result"]
    assert report.collect(runs_root, results_root) == [path]
    assert report.records(results_root) == [gathered]


def test_failed_runs_are_listed_and_never_count(tmp_path):
    records = [record(TOY, k, 1.0) for k in range(3)] + [failed(TOY, 3, "not\nfinite | big")]
    records += [failed(OTHER, 0, scale="short")]
    runs_root, results_root = roots(tmp_path, records)
    report.regenerate(runs_root, results_root, [PAPER], figures=True)
    text = (results_root / "toys.md").read_text()
    row = table_row(text, "toy")
    assert "failed" in table_row(text, "experiment")
    assert (row[3:5], row[-3]) == (["1.000 ± 0.000", "3"], "1")
    assert "failed: not finite \\| big" in text
    short = text[text.index("## Short scale") : text.index("## Experiments")]
    assert table_row(short, "other")[3:6] == ["–", "0", "1"]
    assert "not run" not in text[text.index("### other") : text.index("### never")]
    with open(results_root / "results.csv", newline="") as file:
        (line,) = (x for x in csv.DictReader(file) if x["experiment"] == "toy" and x["seed"] == "3")
    assert (line["failed"], line["test_error"]) == ("not finite | big", "")
    assert "toy, 3 seeds" in texts(results_root / "figures" / "toy-curves.svg")


def test_runs_are_gathered_once(tmp_path):
    records = [record(TOY, k, 1.0) for k in range(2)] + [record(TOY, 2, 1.0, scale="smoke")]
    runs_root, results_root = roots(tmp_path, records)
    assert report.gather(results_root, runs_root) == records[:2]
    report.collect(runs_root, results_root)
    assert report.gather(results_root, runs_root, runs_root) == records[:2]


def test_records_outlive_the_run_directories(results, tmp_path):
    _, results_root = results
    before = {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()}
    report.regenerate(tmp_path / "no-runs-here", results_root, [PAPER])
    assert {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()} == before


def test_again_gives_the_same_bytes(results):
    runs_root, results_root = results
    before = {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()}
    assert any(path.suffix == ".svg" for path in before)
    said = report.regenerate(runs_root, results_root, [PAPER])
    assert (said["records"], said["added"]) == (5, [])
    assert {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": {"id": "x"}, "passes": []}', "null"])
def test_a_broken_record_is_named(tmp_path, text):
    path = tmp_path / "runs" / "toy" / "paper-seed0-x.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=r"paper-seed0-x\.json"):
        report.records(tmp_path)


def test_no_results_yet(tmp_path):
    assert report.records(tmp_path / "results") == []


def test_results_that_cannot_be_written(tmp_path):
    runs_root, _ = roots(tmp_path, [record(TOY, 0, 1.0)])
    blocked = tmp_path / "results"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(RunError, match="cannot write"):
        report.regenerate(runs_root, blocked, [PAPER])


# ---------------------------------------------------------------------------- what a run costs


def test_the_minutes_of_a_run_are_the_median_of_those_measured():
    runs = [record(TOY, seed, 1.0) for seed in range(4)]
    for run, seconds in zip(runs, (60, 120, 600, 6000), strict=True):
        run["result"]["seconds"] = seconds
    others = [record(TOY, 5, 1.0, scale="short"), record(TOY, 6, 1.0, overrides=["recipe.batch=8"])]
    found = [*runs[:3], *others, failed(TOY, 7)]
    work = {"updates": 120_000, "images": 120_000}  # two passes over MNIST, one by one
    assert report.cost(TOY, found) == {**work, "minutes": 2.0, "measured": 3}
    assert report.cost(TOY, runs)["minutes"] == 6.0
    assert report.cost(TOY, []) == {**work, "minutes": None, "measured": 0}
    assert report.cost(TOY, found, changed=True) == {**work, "minutes": None, "measured": 0}


# ---------------------------------------------------------------------------- pages


def test_index_gives_the_verdict_with_its_figures(results):
    text = (results[1] / "README.md").read_text()
    # mean 1.00, s = 0.06; t(0.975, 2) * 0.06 * sqrt(4/3) = 4.302653 * 0.069282 = 0.298, wider
    # than 0.2 points and a tenth of 1.0 %.
    assert table_row(text, "toy") == [
        "toy", "test error", "1.0 (Table 1)", "1.000 ± 0.060", "3", "+0.000", "0.702 to 1.298",
        "inconclusive",
    ]  # fmt: skip
    assert table_row(text, "never")[-1] == "not run"
    assert table_row(text, "The other is better.")[-1] == "not run"
    assert "[Toys](toys.md)" in text


def test_page_of_a_paper(results):
    text = (results[1] / "toys.md").read_text()
    assert "- The penalty is scaled by 1/40." in text
    assert "Not the paper's data." in text
    assert text.rindex("not run") > text.index("### never")
    assert "figures/toy-curves.svg" in text and "figures/toy-filters.svg" in text
    variations = text[text.index("## Variations") : text.index("## Claims")]
    assert "mixed_bfloat16" in variations and "2.000" in variations
    main = text[: text.index("## Variations")]
    assert "2.000" not in main
    assert table_row(main, "toy")[-2:] == ["6.0", "3,300.0"]  # 360 s; images a second
    one_run = table_row(text[text.index("### toy") :], "paper", "0")
    assert one_run[2:] == [
        "0.94", "2", "6.0", "3,300.0", "2026-11-21", "0123456",
        "tensorflow single on CPU (2 cores of Some CPU); keras 3.15.1, tensorflow 2.21.0", "–",
    ]  # fmt: skip


def test_short_runs_stand_apart_with_their_band(tmp_path):
    toy = experiment("toy", bands=(Band("short", "test_error", 0.5, 0.9, "three seeds"),))
    records = [record(toy, seed, 1.0, scale="short") for seed in range(3)]
    runs_root, results_root = roots(tmp_path, records)
    paper = Paper("toys", "Toys", "Someone 1998.", (toy,), ())
    report.regenerate(runs_root, results_root, [paper], figures=False)
    text = (results_root / "toys.md").read_text()
    assert table_row(text, "toy")[-3] == "not run"
    short = text[text.index("## Short scale") :]
    assert table_row(short, "toy")[-3:] == ["3", "0.500 to 0.900", "NO"]


def test_a_second_run_of_a_seed_and_a_changed_tree_are_said(tmp_path):
    first = record(TOY, 0, 1.0, finished="2026-11-21T12:00:00+00:00")
    second = record(TOY, 0, 0.1, finished="2026-11-21T13:00:00+00:00", dirty=True)
    results_root = tmp_path / "results"
    for k, each in enumerate((first, second)):
        path = results_root / "runs" / "toy" / f"paper-seed0-{k}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    report.regenerate(tmp_path / "runs", results_root, [PAPER], figures=False)
    text = (results_root / "toys.md").read_text()
    assert table_row(text, "toy")[3:5] == ["1.000", "1"]
    assert "seed run before: not counted" in text
    assert "0123456 (changed)" in text


def test_stale_runs_are_listed_apart(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(experiment("toy", variant=1), 0, 1.0)])
    report.regenerate(runs_root, results_root, [PAPER], figures=False)
    text = (results_root / "toys.md").read_text()
    assert table_row(text[text.index("## Former recipes") :], "toy")[-1] == "stale"


def test_records_of_experiments_that_are_gone_are_said(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(experiment("gone"), 0, 1.0)])
    report.regenerate(runs_root, results_root, [PAPER], figures=False)
    assert "gone" in (results_root / "README.md").read_text()


def test_csv_has_a_line_per_run_and_protocol(results):
    with open(results[1] / "results.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 5
    first = next(x for x in lines if x["experiment"] == "toy" and x["seed"] == "0")
    assert (first["paper"], first["protocol"], first["scale"]) == ("toys", "single-view", "paper")
    assert (float(first["test_error"]), int(first["test_wrong"])) == (0.94, 94)


# ---------------------------------------------------------------------------- figures


def texts(path):
    return ["".join(e.itertext()) for e in ElementTree.parse(path).iter() if e.tag.endswith("text")]


def test_curves_name_the_experiment_the_seeds_and_the_papers_numbers(tmp_path):
    toy = experiment(
        reported=(
            Reported("test_error", 0.95, "Figure 9"),
            Reported("training_error", 0.35, "section III.B"),
        )
    )
    path = tmp_path / "figures" / "curves.svg"
    assert report.draw_curves([record(toy, k, 1.0) for k in range(5)], toy, path) == path
    words = texts(path)
    assert "toy, 5 seeds" in words
    assert {"test 1.00 %", "training 0.50 %"} <= set(words)
    assert {"paper, test 0.95 %", "paper, training 0.35 %"} <= set(words)


def test_short_curves_do_not_show_the_papers_number(tmp_path):
    path = tmp_path / "curves.svg"
    report.draw_curves([record(TOY, 0, 1.0, scale="short")], TOY, path)
    assert "toy, 1 seed, short scale" in texts(path)
    assert not [word for word in texts(path) if word.startswith("paper")]


def test_error_seen_while_training_stands_in_for_the_training_error(tmp_path):
    run = record(TOY, 0, 1.0)
    run["passes"] = [{"pass": k, "test_error": 1.0, "running_error": 2.0} for k in (1, 2, 3)]
    report.draw_curves([run], TOY, tmp_path / "curves.svg")
    assert "while training 2.00 %" in texts(tmp_path / "curves.svg")


def test_the_dashed_curve_is_the_one_that_the_paper_reports(tmp_path):
    run = record(TOY, 0, 1.0)
    for line in run["passes"]:
        line["running_error"] = 2.0
    report.draw_curves([run], TOY, tmp_path / "scored.svg")
    assert "training 0.50 %" in texts(tmp_path / "scored.svg")
    toy = experiment(reported=(Reported("running_error", 0.35, "Figure 5"),))
    report.draw_curves([run], toy, tmp_path / "running.svg")
    words = texts(tmp_path / "running.svg")
    assert {"while training 2.00 %", "paper, while training 0.35 %"} <= set(words)
    assert not [word for word in words if word.startswith("training ")]


@pytest.mark.parametrize("errors", [[0.0, 0.0], [5.0, 0.0], [90.0], [90.0, 0.01]])
def test_curves_of_every_range(tmp_path, errors):
    run = record(TOY, 0, 1.0)
    run["passes"] = [{"pass": k + 1, "test_error": e} for k, e in enumerate(errors)]
    assert report.draw_curves([run], TOY, tmp_path / "curves.png").stat().st_size > 0


def test_nothing_to_draw(tmp_path):
    run = record(TOY, 0, 1.0) | {"passes": []}
    assert report.draw_curves([run], TOY, tmp_path / "curves.svg") is None
    assert not (tmp_path / "curves.svg").exists()


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [((5, 5, 1, 6), 6), ((3, 3, 3, 16), 16), ((5, 5, 6, 4), 24), ((5, 5, 1, 1), 1)],
)
def test_one_picture_per_filter_and_one_range(tmp_path, shape, pictures):
    array = np.random.default_rng(0).normal(size=shape)
    path = report.draw_filters(array, tmp_path / "filters.svg", "toy, seed 0: filters")
    images = [e for e in ElementTree.parse(path).iter() if e.tag.endswith("}image")]
    bar = 0 if shape[2] == 3 else 1
    assert len(images) in (pictures, pictures + bar)
    assert "toy, seed 0: filters" in texts(path)
    if bar:
        assert f"{np.abs(array).max():.2g}" in texts(path)


def test_filters_that_are_all_zero(tmp_path):
    assert report.draw_filters(np.zeros((5, 5, 1, 6)), tmp_path / "filters.png").exists()


def test_a_figure_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        report.draw_filters(np.zeros((5, 5, 1, 6)), tmp_path / "file" / "filters.svg")
