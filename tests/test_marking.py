"""The marks of prepared photographs: made once, and none where they are of other photographs."""

import json
import shutil

import numpy as np
import pytest
from test_photograph_sets import FILES, flip, prepared, snaps  # noqa: F401

from repro.data import datasets, jpegs, marking, sets

MADE = ("marks.json", "train-marked.npy", "train-marks.npy")
MADE += ("validation-marked.npy", "validation-marks.npy")


@pytest.fixture
def dataset(snaps):  # noqa: F811
    datasets.prepare("snaps")
    return sets.DATASETS["snaps"]


def marks(split="train"):
    return datasets.load("snaps", split).images.marks


def as_before():
    """The prepared set as versions left it that marked nothing."""
    for name in MADE:
        prepared(name).unlink()


def test_each_photograph_has_its_marks_also_in_a_slice(dataset):
    for split, files in FILES.items():
        for found, wanted in zip(marks(split), map(jpegs.marks, files), strict=True):
            np.testing.assert_array_equal(found, wanted)
        assert isinstance(marks(split).values, np.memmap)
    part = datasets.load("snaps", "train[2:5]").images
    np.testing.assert_array_equal(part.marks[1], jpegs.marks(FILES["train"][3]))
    whole = datasets.load("snaps", "train").images
    (photograph,) = whole.undecoded(np.array([4]))
    np.testing.assert_array_equal(photograph.marks, jpegs.marks(FILES["train"][4]))


def test_they_are_no_part_of_what_the_set_is(dataset):
    facts = datasets.facts("snaps")
    record = prepared("facts.json").read_bytes()
    as_before()
    assert datasets.facts("snaps") == facts
    assert prepared("facts.json").read_bytes() == record
    assert datasets.check("snaps") == []


def test_a_set_without_marks_gets_them_at_its_next_preparation(dataset, monkeypatch):
    as_before()
    assert marks() is None
    assert datasets.load("snaps", "train").images.undecoded(slice(0, 1))[0].marks is None
    told = []
    folder = datasets.prepare("snaps", marked=lambda *of: told.append(of))
    assert told == [(7, 12), (12, 12)]
    assert len(marks()) == 7
    assert [path.name for path in folder.parent.iterdir()] == ["snaps-2.0.0"]
    monkeypatch.setattr(jpegs, "marks", None)
    datasets.prepare("snaps")  # nothing is to be done


def shorter(file):
    file.write_bytes(file.read_bytes()[:-3])


def of_others(file):
    stamps = json.loads(prepared("marks.json").read_text())
    stamps["train"]["of"] = "0" * 64
    prepared("marks.json").write_text(json.dumps(stamps))


SPOIL = {
    "another ending": (flip, "train-marked.npy"),
    "half of the endings": (shorter, "train-marked.npy"),
    "fewer marks": (shorter, "train-marks.npy"),
    "no marks": (lambda file: file.unlink(), "train-marks.npy"),
    "a torn stamp": (shorter, "marks.json"),
    "no stamp": (lambda file: file.write_text("[]"), "marks.json"),
    "another's stamp": (of_others, "marks.json"),
}


@pytest.mark.parametrize("how", SPOIL)
def test_marks_that_cannot_be_those_of_the_set_are_none_until_they_are_made_again(dataset, how):
    spoil, name = SPOIL[how]
    spoil(prepared(name))
    assert marks() is None
    datasets.prepare("snaps")
    np.testing.assert_array_equal(marks()[6], jpegs.marks(FILES["train"][6]))


def test_the_check_finds_altered_marks_and_its_advice_helps(dataset):
    flip(prepared("train-marks.npy"))
    (problem,) = datasets.check("snaps")
    assert "train-marks.npy was altered; remove" in problem
    prepared("marks.json").unlink()
    datasets.prepare("snaps")
    assert datasets.check("snaps") == []


def test_a_full_disk_is_no_obstacle(snaps, monkeypatch):  # noqa: F811
    free = shutil.disk_usage(".")._replace(free=100)
    monkeypatch.setattr(marking.shutil, "disk_usage", lambda folder: free)
    monkeypatch.setattr(marking, "SHARE", 10**6)
    from repro.data import writing

    monkeypatch.setattr(writing, "_make_room", lambda *_: None)
    datasets.prepare("snaps")
    assert marks() is None
    assert datasets.check("snaps") == []


def test_nor_is_one_that_fills_up_meanwhile(snaps, monkeypatch):  # noqa: F811
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(marking, "write_header", full)
    folder = datasets.prepare("snaps")
    assert marks() is None
    assert [path.name for path in folder.parent.iterdir()] == ["snaps-2.0.0"]


def test_without_numba_photographs_are_decoded_whole(snaps, monkeypatch):  # noqa: F811
    datasets.prepare("snaps")
    monkeypatch.setattr(marking, "find_spec", lambda name: None)
    assert marks() is None
    as_before()
    datasets.prepare("snaps")
    assert not prepared("marks.json").exists()


def test_a_folder_of_somebody_elses_is_left_alone(dataset, monkeypatch):
    as_before()
    monkeypatch.setattr(marking, "allowed", lambda *_: False)
    datasets.prepare("snaps")
    assert not prepared("marks.json").exists()
