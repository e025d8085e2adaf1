"""The images that every run gets wrong: the sheet, and the table of the runs side by side."""

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image
from run_records import experiment, record, seal_run, texts

from repro import spec
from repro.data import datasets
from repro.data.photographs import Photographs, Ragged
from repro.data.sets import Split
from repro.errors import DataError
from repro.records import images
from repro.report import hard_images, images_table, writing

PLAIN = experiment("toy", reported=None)


def on(dataset, split="test"):
    data = spec.Data(dataset, test=split)
    return dataclasses.replace(PLAIN, recipe=dataclasses.replace(PLAIN.recipe, data=data))


DIGITS = on("digits")
PAPER = spec.Paper("toys", "Toys", "Someone", "1998", (DIGITS,))


def run(seed, taken, of=DIGITS, count=360, digest=None, **changes):
    """A run that took some test images, {number: class}, for a wrong class."""
    wrong = np.zeros(count, bool)
    wrong[list(taken)] = True
    made = record(of, seed, 100 * len(taken) / count, **changes)
    counts = {"test_wrong": len(taken), "test_count": count}
    made["result"]["metrics"]["single-view"] |= counts
    data = of.recipe.data
    order = images.order_of(digest or datasets.facts(data.dataset)["digest"], data.test, count)
    guesses = np.array([taken[number] for number in sorted(taken)])
    kept = images.packed(wrong, guesses, 10, order)
    made["result"]["images"] = {"single-view": kept}
    return made


# Images 40 and 300 are wrong in all of them.
RUNS = [
    run(0, {7: 1, 40: 2, 300: 4, 9: 5}),
    run(1, {40: 3, 300: 4, 7: 1, 12: 5}),
    run(2, {300: 4, 40: 3, 359: 6}),
]


def picture(path):
    """The one image in an SVG figure, [height, width, 3]."""
    (coded,) = re.findall(r"data:image/png;base64,([^\"]*)\"", path.read_text())
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(coded))).convert("RGB"))


def test_the_images_that_all_get_wrong_come_by_agreement():
    hard = hard_images.of([DIGITS], RUNS)
    assert hard.numbers.tolist() == [300, 40]  # three of three take the first for a 4
    assert hard.guesses.tolist() == [[4, 2], [4, 3], [4, 3]]
    assert [hard.guessed(place) for place in (0, 1)] == [[(4, 3)], [(3, 2), (2, 1)]]
    assert hard_images.of([DIGITS], RUNS[:1]) is None
    assert hard_images.of([DIGITS], [record(DIGITS, 0, 1.0), RUNS[0]]) is None


def test_the_sheet_shows_them_with_labels_and_guesses(tmp_path):
    split = datasets.load("digits", "test")
    path = hard_images.draw_sheet("digits", [DIGITS], RUNS, tmp_path / "sheet.svg")
    *under, title, about = texts(path)
    assert "2 of 360 test images are wrong in all 3 runs" in title
    assert about.startswith("1 experiment at paper scale.")
    labels = split.labels[[300, 40]].astype(str)
    assert under == ["300", labels[0], "4", "40", labels[1], "3, 2"]
    sheet = picture(path)
    grey = 255 - np.round(split.images[300, :, :, 0] * (255 / 16))  # 16 is black here
    tile = np.kron(grey, np.ones((3, 3)))
    rows = [y for y in range(len(sheet) - 24) if np.array_equal(sheet[y : y + 24, :24, 1], tile)]
    assert len(rows) == 1
    first = path.read_bytes()
    assert hard_images.draw_sheet("digits", [DIGITS], RUNS, path).read_bytes() == first


def test_nothing_is_drawn_of_images_that_some_run_gets_right(tmp_path):
    runs = [run(0, {1: 2}), run(1, {3: 2})]
    (tmp_path / "sheet.svg").write_text("the sheet of runs that agreed")
    assert hard_images.draw_sheet("digits", [DIGITS], runs, tmp_path / "sheet.svg") is None
    assert not list(tmp_path.iterdir())


def test_images_in_another_order_are_not_passed_off_as_those_of_the_runs(tmp_path):
    runs = [run(seed, {1: 2}, digest="e" * 64) for seed in (0, 1)]
    with pytest.raises(DataError, match="digits here are not those"):
        hard_images.draw_sheet("digits", [DIGITS], runs, tmp_path / "sheet.svg")


@pytest.mark.parametrize(
    "dataset, shape, shown, first",
    [
        ("cifar10", (32, 32, 3), 50, ["0", "bird", "airplane …"]),  # automobile does not fit
        ("imagenette", None, 20, ["0", "cassette player", "tench, springer"]),
    ],
)
def test_a_sheet_stays_small(tmp_path, monkeypatch, dataset, shape, shown, first):
    """Of noise, which no file format makes smaller."""
    draw = np.random.default_rng(0)
    labels = np.full(100, 2, "int32")
    if shape:
        pictures = draw.integers(0, 256, (100, *shape)).astype("uint8")
    else:
        files = []
        for noise in draw.integers(0, 256, (100, 60, 90, 3)).astype("uint8"):
            Image.fromarray(noise).save(file := io.BytesIO(), "png")
            files.append(file.getvalue())
        ends = np.cumsum([len(file) for file in files])
        pictures = Photographs(Ragged(np.frombuffer(b"".join(files), "uint8"), ends))
    monkeypatch.setattr(datasets, "ready", lambda name: True)
    monkeypatch.setattr(datasets, "facts", lambda name: {"digest": "c" * 64})
    monkeypatch.setattr(datasets, "load", lambda name, split: Split(pictures, labels))
    of = on(dataset)
    runs = [
        run(seed, dict.fromkeys(range(100), seed), of=of, count=100, digest="c" * 64)
        for seed in (0, 1)
    ]
    path = hard_images.draw_sheet(dataset, [of], runs, tmp_path / "sheet.svg")
    assert 100_000 < path.stat().st_size < 300_000
    assert f"Shown are {shown}, of those" in texts(path)[-1]
    assert texts(path)[: len(first)] == first


def test_the_table_lays_runs_side_by_side():
    """By hand: the pairs differ in 9, 12; in 7, 9, 359; in 7, 12, 359."""
    header, _, row = images_table.images_table(PAPER, RUNS).splitlines()
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert cells["| experiment"] == "| toy" and cells["n"] == "3"
    assert cells["two runs disagree on"] == "2.7 (2 to 3)"
    assert cells["by images"] == "0.321"  # 100 sqrt(8 / 3 / 2) / 360
    assert cells["spread over seeds"] == "0.160"  # of 4, 4 and 3 of 360: 100 / 360 / sqrt(3)
    assert cells["wrong in all |"] == "2 of 360 |"
    assert images_table.images_table(PAPER, RUNS[:1]) == ""


def test_short_runs_are_said_to_be_so():
    short = [run(seed, {1: 2}, scale="short") for seed in (0, 1)]
    assert "| 2 (short scale) |" in images_table.images_table(PAPER, short)


def test_results_show_table_and_sheet_and_keep_a_sheet_where_the_dataset_is_not_here(
    tmp_path, monkeypatch
):
    for made in RUNS:
        seal_run(tmp_path / "runs", made)
    told = []
    again = dict(papers=[PAPER], warn=told.append)
    writing.regenerate(tmp_path / "runs", tmp_path / "results", **again)
    page = (tmp_path / "results/toys.md").read_text()
    sheet = tmp_path / "results/figures/digits-hard-images.svg"
    assert "## Test images" in page and "| toy | test error | 3 |" in page
    assert "](figures/digits-hard-images.svg)" in page
    before = sheet.read_bytes()
    monkeypatch.setattr(datasets, "ready", lambda name: False)
    writing.regenerate(tmp_path / "runs", tmp_path / "results", **again)
    assert sheet.read_bytes() == before
    assert (tmp_path / "results/toys.md").read_text() == page
    assert told == []


def test_pages_of_older_records_say_nothing_of_images(tmp_path):
    seal_run(tmp_path / "runs", record(DIGITS, 0, 1.0))
    writing.regenerate(tmp_path / "runs", tmp_path / "results", papers=[PAPER], figures=False)
    assert "Test images" not in (tmp_path / "results/toys.md").read_text()


def test_classes_are_called_as_tensorflow_datasets_calls_them(real_data):
    from repro.data.sets import DATASETS

    file = real_data("cifar10") / "3.0.2" / "label.labels.txt"
    assert DATASETS["cifar10"].names == tuple(file.read_text().split())
    assert DATASETS["mnist"].class_name(7) == "7"
    assert len(DATASETS["imagenette"].names) == DATASETS["imagenette"].classes == 10


def test_a_dataset_is_ready_when_it_need_not_be_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path))
    assert not datasets.ready("mnist") and datasets.ready("digits")
    assert not list(tmp_path.iterdir())
