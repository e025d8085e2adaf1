"""`repro results` overwrites nothing of others, and one broken thing stops nothing else."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_records import experiment, record, seal_run

from repro.errors import UsageError
from repro.report import drawing, ownership, writing
from repro.spec import Figure, Paper

RESULTS = Path(__file__).parents[1] / "results"
TOY, OTHER = experiment("toy"), experiment("other")
SHOWN = Figure("figure-6", "Errors", "Figure 6", (("both", ("toy", "other")),))
PAPER = Paper("toys", "Toys", "Someone", "1998", (TOY, OTHER), figures=(SHOWN,))


@pytest.fixture
def roots(tmp_path):
    """A folder of runs with two in it, and one for results that nobody has written to."""
    runs = tmp_path / "runs"
    for of in (TOY, OTHER):
        np.save(seal_run(runs, record(of, 0, 1.0)) / "filters.npy", np.ones((5, 5, 1, 6)))
    return runs, tmp_path / "results"


def write(roots, told=None, **how):
    warn = (told if told is not None else []).append
    return writing.regenerate(*roots, [PAPER], warn=warn, **how)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------------------- whose the files are

SOMEBODYS = {
    "README.md": "# My results\n\nThree runs of a detector.\n",
    "toys.md": "My notes on toys.\n",
    "results.csv": "date,accuracy\n2026-01-01,0.9\n",
    "figures/toy-curves.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>\n",
    "figures/toys-figure-6.svg": "not even a picture\n",
    "figures": "a file where the folder should be\n",
}


@pytest.mark.parametrize("name", SOMEBODYS)
def test_a_file_that_somebody_else_made_is_kept_and_named(roots, name):
    path = roots[1] / name
    path.parent.mkdir(parents=True)
    path.write_text(SOMEBODYS[name])
    with pytest.raises(UsageError) as caught:
        write(roots)
    said = str(caught.value)
    assert str(path) in said and "--out" in said and "\n" not in said
    assert files_in(roots[1]) == {name: SOMEBODYS[name].encode()}, "something was written"


@pytest.mark.parametrize("name", SOMEBODYS)
def test_moved_away_as_told_it_holds_up_nothing(roots, name):
    path = roots[1] / name
    path.parent.mkdir(parents=True)
    path.write_text(SOMEBODYS[name])
    path.rename(roots[1] / "mine.txt")
    assert write(roots, figures=False)["records"] == 2
    assert (roots[1] / "mine.txt").read_text() == SOMEBODYS[name]


def test_written_elsewhere_as_told_it_holds_up_nothing(roots, tmp_path):
    """With the records that lie in results/, and with the runs that have no record yet."""
    write(roots, figures=False)
    (roots[1] / "README.md").write_text(SOMEBODYS["README.md"])
    before = files_in(roots[1])
    seal_run(roots[0], record(TOY, 1, 1.0))
    elsewhere = tmp_path / "elsewhere"
    made = write((roots[0], elsewhere), figures=False, kept=roots[1])
    assert made["records"] == 3 and "[results.csv]" in (elsewhere / "README.md").read_text()
    assert files_in(roots[1]) == before
    again = write((tmp_path / "no runs", elsewhere), figures=False)
    assert again["records"] == 3, "the folder is whole"


def test_a_folder_of_results_is_not_copied_into_itself(roots):
    write(roots, figures=False)
    before = files_in(roots[1])
    write(roots, figures=False, kept=roots[1] / ".." / "results")
    assert files_in(roots[1]) == before


@pytest.mark.parametrize("name", ["README.md", "toys.md", "results.csv", "figures/toy-curves.svg"])
def test_a_link_or_a_folder_in_the_place_of_a_file_is_not_ours(roots, name, tmp_path):
    path = roots[1] / name
    path.parent.mkdir(parents=True)
    shutil.copytree(RESULTS / "runs", tmp_path / "precious")
    for put in (lambda: path.symlink_to(tmp_path / "precious"), path.mkdir):
        put()
        with pytest.raises(UsageError, match=path.name):
            write(roots)
        path.unlink() if path.is_symlink() else path.rmdir()


def test_what_is_not_text_is_not_ours(roots):
    roots[1].mkdir()
    (roots[1] / "results.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"results\.csv"):
        write(roots)


def test_other_files_beside_the_pages_are_left_alone(roots):
    roots[1].mkdir()
    (roots[1] / "notes.md").write_text("mine")
    write(roots, figures=False)
    assert (roots[1] / "notes.md").read_text() == "mine"


def test_what_was_written_is_written_again(roots):
    write(roots)
    before = files_in(roots[1])
    assert {"README.md", "toys.md", "results.csv", "figures/toy-filters.svg"} <= before.keys()
    write(roots)
    assert files_in(roots[1]) == before


def test_the_files_that_come_with_the_code_are_ours():
    made = [path for path in RESULTS.rglob("*") if path.suffix in (".md", ".csv", ".svg")]
    assert len(made) > 20
    ownership.refuse_foreign(made)


def test_a_figure_as_matplotlib_writes_it_for_others_is_not_ours(tmp_path):
    from matplotlib.figure import Figure

    path = tmp_path / "curves.svg"
    Figure().savefig(path)
    with pytest.raises(UsageError):
        ownership.refuse_foreign([path])
    drawing.save(Figure(), path)
    ownership.refuse_foreign([path])


# ---------------------------------------------------------------------------- from what


@pytest.mark.parametrize("there", [[], ["README.md"], ["bench.json"]])
def test_from_no_records_nothing_is_written(tmp_path, there):
    results = tmp_path / "results"
    results.mkdir()
    for name in there:
        (results / name).write_text("mine")
    before = files_in(tmp_path)
    assert write((tmp_path / "runs", results)) == {"records": 0, "added": [], "written": []}
    assert files_in(tmp_path) == before


def test_no_folder_is_made_for_nothing(tmp_path):
    write((tmp_path / "runs", tmp_path / "results"))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------- what is broken


def one_line_that_names(told: list[str], path: Path) -> None:
    (line,) = told
    assert str(path) in line and "\n" not in line


def test_a_foreign_directory_among_the_runs_stops_nothing(roots):
    folder = roots[0] / "detector" / "exp1"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text('{"acc": 1}')
    told = []
    assert write(roots, told)["records"] == 2
    one_line_that_names(told, folder)
    assert (roots[1] / "figures" / "toy-curves.svg").exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b'{"run": 1}', b"[" * 100_000], ids=lambda c: repr(c[:10])
)
def test_a_broken_record_is_told_once_and_stops_nothing(roots, content):
    path = roots[1] / "runs" / "toy" / "paper-seed7-x.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    told = []
    assert write(roots, told, figures=False)["records"] == 2
    one_line_that_names(told, path)
    assert path.read_bytes() == content


def test_filters_that_cannot_be_read_cost_their_picture_alone(roots):
    (path,) = roots[0].glob("toy/*/filters.npy")
    path.write_bytes(b"\x93NUMPY")
    told = []
    write(roots, told)
    one_line_that_names(told, path)
    drawn = {p.name for p in (roots[1] / "figures").iterdir()}
    assert "other-filters.svg" in drawn and "toy-filters.svg" not in drawn
    assert "toy-curves.svg" in drawn


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"contenders": 3, "ratios": []}', '{"contenders": [{}]}'],
)
def test_a_broken_benchmark_costs_its_page_alone(roots, content):
    roots[1].mkdir()
    (roots[1] / "bench.json").write_text(content)
    told = []
    write(roots, told, figures=False)
    assert not (roots[1] / "bench.md").exists()
    assert "bench.md" not in (roots[1] / "README.md").read_text()
    if content != "null":  # says that nothing was measured
        one_line_that_names(told, roots[1] / "bench.md")


def test_a_benchmark_that_broke_leaves_the_page_as_it_was(roots):
    roots[1].mkdir()
    for name in ("bench.json", "bench.md"):
        shutil.copy(RESULTS / name, roots[1])
    before = (roots[1] / "bench.md").read_bytes()
    torn = (roots[1] / "bench.json").read_text()[:1000]
    (roots[1] / "bench.json").write_text(torn)
    told = []
    write(roots, told, figures=False)
    one_line_that_names(told, roots[1] / "bench.md")
    assert (roots[1] / "bench.md").read_bytes() == before


def test_values_of_a_probe_that_cannot_be_drawn_cost_their_figure_alone(tmp_path):
    figure = Figure("figure-7", "Responses", "Figure 7", (("all", ("toy",)),), "layer_response")
    paper = Paper("toys", "Toys", "Someone", "1998", (TOY,), figures=(figure,))
    run = record(TOY, 0, 1.0)
    run["result"]["layer_responses"] = [1.0, "many", None]
    seal_run(tmp_path / "runs", run)
    told = []
    writing.regenerate(tmp_path / "runs", tmp_path / "results", [paper], warn=told.append)
    one_line_that_names(told, tmp_path / "results" / "figures" / "toys-figure-7.svg")
    assert (tmp_path / "results" / "figures" / "toy-curves.svg").exists()


def test_words_from_a_record_cannot_break_a_table(tmp_path):
    run = record(TOY, 0, 1.0)
    run["run"]["versions"] = {"keras": "3 | 4\n| x", "tensorflow": "2"}
    seal_run(tmp_path / "runs", run)
    writing.regenerate(tmp_path / "runs", tmp_path / "results", [PAPER], figures=False)
    text = (tmp_path / "results" / "toys.md").read_text()
    (row,) = (line for line in text.splitlines() if "tensorflow 2" in line)
    assert "keras 3 \\| 4 \\| x, tensorflow 2" in row
    assert json.loads(next((tmp_path / "results").glob("runs/*/*.json")).read_text())
