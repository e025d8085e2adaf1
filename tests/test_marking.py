"""The marks of prepared photographs: made once, and none where they are of other photographs."""

import errno
import json
import os
import platform
import shutil
import stat

import numpy as np
import pytest
from test_photograph_sets import FILES, flip, prepared, snaps  # noqa: F401

from repro.data import datasets, jpegs, marking, sets
from repro.data.workplace import kept, unfinished

MADE = ("marks.json", "train-marks-ends.npy", "train-marks.npy")
MADE += ("validation-marks-ends.npy", "validation-marks.npy")


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
    folder = datasets.prepare("snaps", marking_progress=lambda *of: told.append(of))
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
    "another ending": (flip, "train-marks-ends.npy"),
    "half of the endings": (shorter, "train-marks-ends.npy"),
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
    assert "the marks of train of snaps were altered" in problem
    assert f"remove {prepared('marks.json')}, then do: repro data prepare snaps" in problem
    prepared("marks.json").unlink()
    datasets.prepare("snaps")
    assert datasets.check("snaps") == []


def test_a_stamp_without_its_digest_is_a_fault_too(dataset):
    stamps = json.loads(prepared("marks.json").read_text())
    del stamps["train"]["marks"]
    prepared("marks.json").write_text(json.dumps(stamps))
    (problem,) = datasets.check("snaps")
    assert "the marks of train of snaps were altered" in problem


# ---------------------------------------------------------------- what is told, and stops nothing


def why():
    """What `prepare` says."""
    told = []
    folder = datasets.prepare("snaps", warn=told.append)
    assert [path.name for path in folder.parent.iterdir()] == ["snaps-2.0.0"]
    assert datasets.check("snaps") == []
    (line,) = told
    assert "\n" not in line
    assert line.startswith("photographs of snaps that have no marks are decoded whole: ")
    return line


def test_too_little_room(dataset, monkeypatch):
    as_before()
    free = shutil.disk_usage(".")._replace(free=100)
    monkeypatch.setattr(marking.shutil, "disk_usage", lambda folder: free)
    assert "marks take up to 0.00 GiB" in why()
    assert marks() is None


def test_a_disk_that_fills_up_meanwhile(dataset, monkeypatch):
    as_before()
    written = []

    def full(file, kind, shape):
        written.append(file.name)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(marking, "write_header", full)
    assert f"{prepared('').resolve()}: No space left on device" in why()
    assert written
    assert marks() is None


def test_a_folder_that_cannot_be_written_to(dataset, monkeypatch):
    as_before()
    monkeypatch.setattr(marking, "allowed", lambda *_: False)
    assert f"{prepared('').resolve()} cannot be written to; ask " in why()
    assert not prepared("marks.json").exists()


def test_another_process_that_marks(dataset):
    as_before()
    with kept(prepared("").resolve()):
        told = []
        datasets.prepare("snaps", warn=told.append)
    assert "marks them now" in told[0]
    assert marks() is None
    datasets.prepare("snaps")
    assert len(marks()) == 7


FAILURES = {
    "Numba needs NumPy 2.4 or less.": ImportError("Numba needs NumPy 2.4 or less.\nGot 9.9"),
    "NotImplementedError": NotImplementedError(),
    "could not be cut here": None,
}


@pytest.mark.parametrize("told", FAILURES)
def test_a_numba_that_does_not_work(dataset, monkeypatch, told):
    def part(*_):
        if FAILURES[told]:
            raise FAILURES[told]

    marking.unusable.cache_clear()
    try:
        monkeypatch.setattr(jpegs, "part", part)
        assert marks() is None
        assert datasets.load("snaps", "train").images[3].shape == (23, 27, 3)
        as_before()
        assert told in why()
    finally:
        marking.unusable.cache_clear()


@pytest.mark.parametrize("killed", MADE)
def test_a_process_that_is_killed_leaves_no_marks_that_do_not_hold(dataset, monkeypatch, killed):
    """Before it gives a file its name."""
    as_before()

    class Killed(BaseException):
        pass

    def replace(new, final):
        if final.name == killed:
            raise Killed
        os.rename(new, final)

    with monkeypatch.context() as patch:
        patch.setattr(marking.os, "replace", replace)
        with pytest.raises(Killed):
            datasets.prepare("snaps")
    for split, files in FILES.items():
        found = marks(split)
        assert found is None or list(map(len, found)) == [len(jpegs.marks(f)) for f in files]
    datasets.prepare("snaps")
    assert len(marks()) == 7 and datasets.check("snaps") == []


def left_behind():
    """What a process leaves that is killed while it marks, before its stamp gets its name."""
    folder = unfinished(prepared("").resolve())
    folder.mkdir()
    for name in (*MADE, ".lock", ".writer"):
        (folder / name).write_text(platform.node())
        os.utime(folder / name, (0, 0))
    os.utime(folder, (0, 0))
    return folder


def test_what_a_killed_process_left_is_removed(dataset):
    folder = left_behind()
    assert datasets.sweep() == [folder]
    as_before()
    folder = left_behind()
    marking.add(dataset, prepared(""))
    assert not folder.exists()
    assert len(marks()) == 7


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_the_umask_changes_nothing(dataset, mask):
    as_before()
    before = os.umask(mask)
    try:
        datasets.prepare("snaps")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(prepared(name).stat().st_mode) for name in MADE} == {0o644}


def test_where_files_cannot_be_mapped_marks_are_read(dataset, no_mapping):
    assert len(marks()) == 7


def test_a_set_on_another_disk_behind_a_link(dataset, tmp_path, monkeypatch):
    as_before()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    prepared("").rename(elsewhere / "snaps-2.0.0")
    (tmp_path / "prepared" / "snaps-2.0.0").symlink_to(elsewhere / "snaps-2.0.0")
    replace = os.replace

    def within_a_disk(new, final):
        if new.resolve().parent.parent != final.parent.resolve().parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(new, final)

    monkeypatch.setattr(marking.os, "replace", within_a_disk)
    datasets.prepare("snaps")
    assert len(marks()) == 7
    assert [path.name for path in elsewhere.iterdir()] == ["snaps-2.0.0"]
