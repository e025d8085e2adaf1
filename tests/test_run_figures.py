"""The figures of a run directory: drawn when the run is done, and no run is worth one of them."""

import json
import os
import resource
import signal

import numpy as np
import pytest
from run_records import experiment, passes, record, seal_run, texts

from repro.errors import DataError, RunError
from repro.report import filters_file, run_figures
from repro.spec import Band, Reported

TOY = experiment("toy")
FILTERS = np.random.default_rng(0).normal(size=(5, 5, 1, 6)).astype("float32")


@pytest.fixture
def run_dir(tmp_path):
    folder = seal_run(tmp_path / "runs", record(TOY, 0, 1.0))
    np.save(folder / "filters.npy", FILTERS)
    return folder


def told_done(run_dir, of=TOY):
    figures = run_figures.Figures(of)
    figures({"event": "start", "run_dir": str(run_dir), "passes": 2, "updates": 10, "update": 0})
    figures({"event": "progress", "pass": 1, "update": 5})
    figures({"event": "done", "run_dir": str(run_dir), "metrics": {}})


def problem(run_dir) -> str:
    """What the observer says is not drawn: one line."""
    with pytest.raises(RunError) as caught:
        told_done(run_dir)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def drawn(run_dir) -> set[str]:
    return {path.name for path in (run_dir / "figures").iterdir()}


def test_both_figures_are_drawn_when_the_run_is_done(run_dir):
    figures = run_figures.Figures(TOY)
    figures({"event": "start", "run_dir": str(run_dir)})
    for event in ("progress", "testing", "pass", "message", "failed", "interrupted"):
        figures({"event": event})
    assert drawn(run_dir) == set()
    figures({"event": "done"})
    assert drawn(run_dir) == {"curves.svg", "filters.svg"}
    assert "toy, 1 seed" in texts(run_dir / "figures" / "curves.svg")


def test_an_experiment_of_the_catalog_needs_no_telling(tmp_path):
    from repro import catalog

    folder = seal_run(tmp_path, record(catalog.experiment("lenet5-digits"), 0, 1.0, scale="smoke"))
    run_figures.draw_run(folder)
    assert "lenet5-digits, 1 seed, smoke scale" in texts(folder / "figures" / "curves.svg")


def test_a_network_without_filters_has_no_picture_of_them(run_dir):
    (run_dir / "filters.npy").unlink()
    told_done(run_dir)
    assert drawn(run_dir) == {"curves.svg"}


# ---------------------------------------------------------------------------- what cannot be drawn


def test_a_file_in_the_place_of_the_folder(run_dir):
    (run_dir / "figures").rmdir()
    (run_dir / "figures").write_text("mine")
    said = problem(run_dir)
    assert "curves.svg is not drawn" in said and "filters.svg is not drawn" in said
    assert (run_dir / "figures").read_text() == "mine"


def test_a_link_in_the_place_of_the_folder_leads_nowhere(run_dir, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (run_dir / "figures").rmdir()
    (run_dir / "figures").symlink_to(tmp_path / "elsewhere")
    assert str(run_dir / "figures") in problem(run_dir)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_in_the_place_of_a_figure_is_replaced_and_not_followed(run_dir, tmp_path):
    (tmp_path / "precious").write_text("keep")
    (run_dir / "figures" / "curves.svg").symlink_to(tmp_path / "precious")
    told_done(run_dir)
    assert (tmp_path / "precious").read_text() == "keep"
    assert not (run_dir / "figures" / "curves.svg").is_symlink()


def test_a_folder_in_the_place_of_a_figure_leaves_the_other(run_dir):
    (run_dir / "figures" / "curves.svg").mkdir()
    assert "curves.svg is not drawn" in problem(run_dir)
    assert "filters.svg" in drawn(run_dir)


def test_a_full_disk(run_dir):
    """Files of this process end at 8 KB for a moment, as if there were no more room."""
    run_figures.draw_run(run_dir, TOY)  # what Matplotlib itself keeps in files is there now
    before = {p.name: p.read_bytes() for p in (run_dir / "figures").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        said = problem(run_dir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "curves.svg is not drawn" in said
    assert {p.name: p.read_bytes() for p in (run_dir / "figures").iterdir()} == before


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"pass": "one"}', '{"pass": 1, "test_error": "low"}', "\udcff", "[" * 100_000],
    ids=["empty", "torn", "a word", "an error that is a word", "not UTF-8", "deep"],
)
def test_damaged_metrics_cost_their_figure_alone(run_dir, text):
    content = text.encode(errors="surrogateescape")
    (run_dir / "metrics.jsonl").write_bytes(content)
    try:
        told_done(run_dir)
    except RunError as error:
        assert "curves.svg is not drawn" in str(error) and "\n" not in str(error)
    assert drawn(run_dir) == {"filters.svg"}  # no pass: no curve


def test_a_run_json_of_nobody_costs_its_figure_alone(run_dir):
    (run_dir / "run.json").write_text(json.dumps({"experiment": "../../x"}))
    assert "curves.svg is not drawn" in problem(run_dir)
    assert drawn(run_dir) == {"filters.svg"}


# ---------------------------------------------------------------------------- filters.npy


class Trap:
    """Pickled, it writes a file when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, ("trapped",))


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999, 99999, 1, 6), }"


def header_alone(path):
    content = b"\x93NUMPY\x01\x00" + len(HEADER).to_bytes(2, "little") + HEADER.encode()
    path.write_bytes(content)


BROKEN = {
    "objects": lambda path: np.save(path, np.array([Trap()], dtype=object), allow_pickle=True),
    "a pickle": lambda path: path.write_bytes(b"\x80\x04\x95\x00"),
    "text": lambda path: path.write_text("filters"),
    "nothing": lambda path: path.write_bytes(b""),
    "three axes": lambda path: np.save(path, np.ones((5, 5, 6), "float32")),
    "no filters": lambda path: np.save(path, np.ones((5, 5, 1, 0), "float32")),
    "complex": lambda path: np.save(path, np.ones((5, 5, 1, 6), "complex64")),
    "strings": lambda path: np.save(path, np.full((5, 5, 1, 6), "a")),
    "infinite": lambda path: np.save(path, np.full((5, 5, 1, 6), np.inf, "float32")),
    "nan": lambda path: np.save(path, np.full((5, 5, 1, 6), np.nan, "float32")),
    "images": lambda path: np.save(path, np.ones((224, 224, 3, 1), "float32")),
    "a fully connected layer": lambda path: np.save(path, np.ones((1, 1, 4096, 1000), "float32")),
    "more than it has": header_alone,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", BROKEN)
def test_filters_that_are_none_are_named_and_cost_no_other_figure(run_dir, name, monkeypatch):
    monkeypatch.chdir(run_dir)
    BROKEN[name](run_dir / "filters.npy")
    said = problem(run_dir)
    assert str(run_dir / "filters.npy") in said
    assert drawn(run_dir) == {"curves.svg"}
    assert not (run_dir / "trapped").exists()


def test_filters_that_are_a_link_are_not_followed(run_dir, tmp_path):
    (run_dir / "filters.npy").rename(tmp_path / "other.npy")
    (run_dir / "filters.npy").symlink_to(tmp_path / "other.npy")
    assert "symbolic link" in problem(run_dir)
    with pytest.raises(DataError, match=r"filters\.npy"):
        filters_file.read_filters(run_dir / "filters.npy", within=run_dir)


@pytest.mark.parametrize("kind", ["float32", "float64", ">f4"])
def test_filters_come_back_as_they_were_saved(tmp_path, kind):
    for order in "CF":
        array = np.array(FILTERS, kind, order=order)
        np.save(tmp_path / "filters.npy", array)
        read = filters_file.read_filters(tmp_path / "filters.npy", within=tmp_path)
        assert np.array_equal(read, array)


# ---------------------------------------------------------------------------- what the curves say

BANDED = experiment(
    "toy",
    bands=(
        Band("short", "test_error", 0.8, 1.2, "three seeds"),
        Band("paper", "test_error", 0.1, 0.2, "three seeds"),
        Band("short", "test_error", 7.0, 8.0, "three seeds", protocol="10-crop"),
    ),
)


def words(of, path, **changes):
    run_figures.draw_curves([record(of, 0, 1.0, **changes)], of, path)
    return texts(path)


def test_short_curves_show_the_band_and_no_number_of_the_paper(tmp_path):
    shown = words(BANDED, tmp_path / "curves.svg", scale="short")
    assert "band, test 0.8 to 1.2 %" in shown
    assert not [word for word in shown if "paper" in word or "0.1" in word or "7 to 8" in word]


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": "paper"},
        {"scale": "smoke"},
        {"scale": "short", "overrides": ["recipe.batch=8"]},
        {"scale": "short", "precision": "mixed_bfloat16"},
    ],
    ids=lambda changes: ", ".join(map(str, changes.values())),
)
def test_a_band_is_shown_to_the_runs_that_it_is_for(tmp_path, changes):
    shown = words(BANDED, tmp_path / "curves.svg", **changes)
    assert not [word for word in shown if word.startswith("band")]


def test_a_band_made_in_bfloat16_is_shown_to_such_runs_too(tmp_path):
    short = Band("short", "test_error", 0.8, 1.2, "two seeds", precision="mixed_bfloat16")
    toy = experiment("toy", bands=(short,))
    for precision in ("mixed_bfloat16", "float32"):
        shown = words(toy, tmp_path / "curves.svg", scale="short", precision=precision)
        assert "band, test 0.8 to 1.2 %" in shown


def test_a_band_that_the_curve_does_not_reach_is_on_the_page(tmp_path):
    far = experiment("toy", bands=(Band("short", "test_error", 40.0, 50.0, "three seeds"),))
    shown = words(far, tmp_path / "curves.svg", scale="short")
    assert max(float(w) for w in shown if w.replace(".", "").isdigit()) >= 40


def test_the_protocol_that_is_not_the_plain_one_is_said(tmp_path):
    """Curves are of the experiment's first protocol; the paper's number may be of another."""
    single, crops = (Reported("test_error", v, "T", protocol=p) for v, p in CROPPED)
    first = experiment("toy", reported=(crops,), protocols=("10-crop", "single-view"))
    assert {"test, 10-crop 1.00 %", "paper, test, 10-crop 0.5 %"} <= set(
        words(first, tmp_path / "first.svg")
    )
    second = experiment("toy", reported=(single, crops), protocols=("single-view", "10-crop"))
    shown = words(second, tmp_path / "second.svg")
    assert {"test 1.00 %", "paper, test 0.9 %"} <= set(shown)
    assert "the paper's test error by 10-crop: 0.5 %" in shown


CROPPED = ((0.9, "single-view"), (0.5, "10-crop"))


def test_errors_that_are_missing_or_infinite_leave_no_point(tmp_path):
    run = record(TOY, 0, 1.0) | {"passes": passes({1: 9.0, 2: float("inf"), 3: 3.0}, [8, 7, 6])}
    run["passes"][0]["test_error"] = None
    run_figures.draw_curves([run], TOY, tmp_path / "curves.svg")
    assert "test 3.00 %" in texts(tmp_path / "curves.svg")
