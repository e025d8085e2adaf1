"""Data that cannot be read is not thereby damaged: each reason is told, with what helps."""

import errno
import mmap  # noqa: F401  NumPy imports it late, when another user may not read Python's files
import os
import re
import resource
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from users import another_user

from repro.data import access, datasets, sets, sources, workplace, writing
from repro.data.digests import content_digest
from repro.data.sets import Dataset, Split
from repro.errors import DataError, RunError, UsageError

WHOLE = {
    name: Split(
        np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), np.uint8),
        (np.arange(count) % 3).astype(np.int32),
    )
    for seed, (name, count) in enumerate({"train": 9, "test": 6}.items())
}
DATASET = Dataset(
    name="dots",
    version="1.0.0",
    title="Dots of three kinds",
    source="tfds",
    classes=3,
    shape=(4, 4, 1),
    examples={name: len(split.labels) for name, split in WHOLE.items()},
    content={name: content_digest(split) for name, split in WHOLE.items()},
)


@pytest.fixture
def dots(monkeypatch):
    """A set "dots" that is prepared in a folder which every user may enter; gives that folder."""
    root = Path(tempfile.mkdtemp(prefix="repro-test-"))
    root.chmod(0o755)
    monkeypatch.setenv("REPRO_DATA_DIR", str(root / "prepared"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(root / "tfds"))
    monkeypatch.setitem(sets.DATASETS, "dots", DATASET)
    folder = root / "prepared" / "dots-1.0.0"
    writing.write_arrays(DATASET, WHOLE, folder)
    monkeypatch.setattr(sources, "tfds_builder", lambda dataset: None)
    monkeypatch.setattr(sources, "read_tfds", lambda dataset, builder, progress: WHOLE)
    yield folder
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(root)


def told(ask=lambda: datasets.load("dots", "train")):
    """The one line that is told instead of data; it never says that something be deleted."""
    with another_user(), pytest.raises((DataError, UsageError)) as error:
        ask()
    text = str(error.value)
    assert "\n" not in text
    assert "delete" not in text and "damaged" not in text
    return text


def well():
    with another_user():
        assert datasets.check("dots") == []
        images = datasets.load("dots", "train").images
    return (images == WHOLE["train"].images).all()


# ---------------------------------------------------------------------------- closed to this user

CLOSED = {
    "an array": ("train-images.npy", 0),
    "the record": ("facts.json", 0),
    "the prepared folder": ("", 0),
    "the prepared folder to enter": ("", 0o644),
    "the folder of all prepared data": ("..", 0),
}


@pytest.mark.parametrize("what", CLOSED)
def test_what_is_closed_names_its_owner_and_what_opens_it(dots, what):
    name, mode = CLOSED[what]
    (dots / name).resolve().chmod(mode)
    text = told()
    with another_user():
        assert datasets.check("dots") == datasets.glance("dots") == [text]
        row = next(row for row in datasets.available() if row["name"] == "dots")
        assert row["problem"] == (text if name != "train-images.npy" else None)
        assert datasets.count("dots", "train") == 9
    assert "Permission denied" in text
    assert f"belongs to {dots.owner()} and is closed to you" in text
    command = re.search("ask for `(.*)`", text)[1]
    assert command.startswith("chmod ")
    subprocess.run(shlex.split(command), check=True)
    assert well()


def test_who_may_not_read_prepares_data_elsewhere(dots, monkeypatch):
    dots.chmod(0)
    assert "or set REPRO_DATA_DIR to a folder of your own" in told()
    own = Path(tempfile.mkdtemp(prefix="repro-test-"))
    own.chmod(0o777)
    monkeypatch.setenv("REPRO_DATA_DIR", str(own))
    with another_user():
        datasets.prepare("dots")
    assert well()
    shutil.rmtree(own)


def test_a_closed_folder_of_tfds_is_told_before_anything_is_downloaded(dots, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("TFDS_DATA_DIR", str(dots.parents[1] / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(dots.parents[1] / "other"))
    monkeypatch.setattr(sources, "_download", None)
    pytest.importorskip("tensorflow_datasets")
    folder = dots.parents[1] / "tfds" / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    folder.parent.chmod(0)
    for ask in (lambda: datasets.prepare("mnist"), lambda: datasets.facts("mnist")):
        assert f"{folder.parent} belongs to" in told(ask)
        assert "set TFDS_DATA_DIR to a folder of your own" in told(ask)
    with another_user():
        row = next(row for row in datasets.available() if row["name"] == "mnist")
    assert row["state"] == "unreadable"
    assert "closed to you" in row["problem"]


def test_damaged_data_of_another_user_is_not_ours_to_delete(dots, monkeypatch):
    (dots / "test-labels.npy").write_bytes(b"")
    text = told(lambda: datasets.load("dots", "test")) if os.geteuid() == 0 else ""
    if text:
        assert f"belongs to {dots.owner()}, ask for it to be prepared again" in text
    with pytest.raises(DataError, match=f"delete the folder {dots}, then do: repro data prepare"):
        datasets.load("dots", "test")  # its owner
    shutil.rmtree(dots)
    datasets.prepare("dots")
    assert well()


# ---------------------------------------------------------------------------- away, faulty, astray

FAULTS = {
    errno.EIO: "see to the disk",
    errno.ESTALE: "mount it again",
    errno.ENOTCONN: "mount it again",
    errno.ETIMEDOUT: "mount it again",
    errno.EHOSTDOWN: "mount it again",
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "ulimit -n",
    errno.ENOMEM: "close other programs",
    errno.EINVAL: "may still be whole",
}


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("place", ["record", "array"])
def test_faults_of_reading_are_told_apart(dots, monkeypatch, number, place):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(*((access.os, "open") if place == "record" else (np, "load")), fail)
        text = told()
    assert os.strerror(number) in text
    assert FAULTS[number] in text
    assert well()  # once the disk, the network, the memory is there again


def test_a_disk_that_fails_while_it_is_read(dots):
    """Linux answers reading this file from its beginning with an input/output error."""
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs /proc")
    record = dots / "facts.json"
    text = record.read_text()
    record.unlink()
    record.symlink_to("/proc/self/mem")
    with pytest.raises(DataError, match=r"cannot be read: Input/output error; the disk reports"):
        datasets.load("dots", "train")
    record.unlink()
    record.write_text(text)
    assert well()


def test_a_link_to_a_disk_that_is_not_mounted(dots, monkeypatch):
    disk, mounted = dots.parents[1] / "disk", dots.parents[1] / "mounted"
    mounted.mkdir()
    dots.rename(mounted / dots.name)
    dots.symlink_to(disk / dots.name)
    for ask in (lambda: datasets.load("dots", "train"), lambda: datasets.prepare("dots")):
        text = told(ask)
        assert f"{dots} is a symbolic link to {disk / dots.name}, which is not there" in text
        assert "mount it" in text
    mounted.rename(disk)
    assert well()


def test_links_in_a_circle(dots):
    record = dots / "facts.json"
    whole = record.rename(dots / "whole")
    record.symlink_to("facts.json")
    assert "lead in a circle: correct them" in told()
    record.unlink()
    whole.rename(record)
    assert well()


def test_where_files_cannot_be_mapped_they_are_read(dots, no_mapping):
    assert well()


# ---------------------------------------------------------------------------- which folder


def state():
    return next(row for row in datasets.available() if row["name"] == "dots")


@pytest.mark.parametrize("variable", ["REPRO_DATA_DIR", "TFDS_DATA_DIR"])
@pytest.mark.parametrize("value", ["file", "gs://bucket/data", "~nobody-of-this-name/data"])
def test_what_is_no_folder_of_this_machine_is_refused(dots, monkeypatch, variable, value):
    shutil.rmtree(dots)
    before = os.environ[variable]
    if value == "file":
        value = str(dots.parent / "file")
        Path(value).write_text("in the way")
    monkeypatch.setenv(variable, value)
    row = state()
    assert row["state"] == "unreadable"
    assert variable in row["problem"] and "folder" in row["problem"]
    if variable == "REPRO_DATA_DIR":
        for ask in (lambda: datasets.prepare("dots"), lambda: datasets.load("dots", "train")):
            assert told(ask) == row["problem"]
    monkeypatch.setenv(variable, before)
    datasets.prepare("dots")
    assert well()


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_setting_prepared_data_is_below_the_working_folder(dots, monkeypatch, value):
    monkeypatch.chdir(dots.parents[1])
    dots.parent.rename(dots.parents[1] / "data")
    monkeypatch.setenv("REPRO_DATA_DIR", value or "")
    if value is None:
        monkeypatch.delenv("REPRO_DATA_DIR")
    assert state()["path"] == "data/dots-1.0.0"
    assert well()


def test_a_relative_folder_and_one_that_is_made(dots, monkeypatch):
    monkeypatch.chdir(dots.parents[1])
    monkeypatch.setenv("REPRO_DATA_DIR", "prepared/../prepared")
    assert well()
    monkeypatch.setenv("REPRO_DATA_DIR", "not/yet/there")
    assert state()["state"] == "missing"
    datasets.prepare("dots")
    assert well()


def test_a_folder_with_too_long_a_name(dots, monkeypatch):
    monkeypatch.setenv("REPRO_DATA_DIR", "/tmp/" + 300 * "a")
    assert "set REPRO_DATA_DIR to a folder with a shorter name" in told()


def test_a_user_without_a_home(dots, monkeypatch):
    """As in containers that run under a number which no user has."""
    import pwd

    def nobody(number):
        raise KeyError(number)

    shutil.rmtree(dots)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert "TFDS_DATA_DIR is not set" in state()["problem"]
    assert "set TFDS_DATA_DIR to a folder" in state()["problem"]
    monkeypatch.setenv("TFDS_DATA_DIR", str(dots.parents[1]))
    assert state()["state"] == "missing"
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert state()["state"] == "missing"


# ---------------------------------------------------------------------------- writing


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o277, 0o777])
def test_the_umask_changes_nothing_of_what_is_prepared(dots, mask):
    whole = {file.name: file.read_bytes() for file in dots.iterdir()}
    shutil.rmtree(dots)
    before = os.umask(mask)
    try:
        datasets.prepare("dots")
    finally:
        os.umask(before)
    assert {file.name: file.read_bytes() for file in dots.iterdir()} == whole
    assert stat.S_IMODE(dots.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in dots.iterdir()} == {0o644}
    assert well()


def test_a_full_disk_is_told_and_leaves_nothing(dots, monkeypatch):
    shutil.rmtree(dots)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(RunError, match="make room there, or set REPRO_DATA_DIR") as error:
            datasets.prepare("dots")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert list(dots.parent.iterdir()) == []
    datasets.prepare("dots")
    assert well()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EROFS, errno.EACCES, errno.ENOTSUP])
def test_a_folder_that_cannot_be_renamed_is_told_in_one_line(dots, monkeypatch, number):
    shutil.rmtree(dots)
    rename = Path.rename

    def fail(path, target):
        if ".preparing-" in path.name:
            raise OSError(number, os.strerror(number))
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(RunError, match="set REPRO_DATA_DIR to a folder that can be") as error:
            datasets.prepare("dots")
    assert os.strerror(number) in str(error.value) and "\n" not in str(error.value)
    assert list(dots.parent.iterdir()) == []
    monkeypatch.setenv("REPRO_DATA_DIR", str(dots.parents[1] / "another"))
    datasets.prepare("dots")
    assert well()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_prepared_on(dots, monkeypatch, number):
    def fail(handle, operation):
        raise OSError(number, os.strerror(number))

    shutil.rmtree(dots)
    monkeypatch.setattr("fcntl.flock", fail)
    datasets.prepare("dots")
    assert [path.name for path in dots.parent.iterdir()] == ["dots-1.0.0"]
    assert well()


def test_names_are_told_apart_where_capitals_are_not():
    names = [f"{d.name}-{d.version}" for d in sets.DATASETS.values()]
    assert len({name.lower() for name in names}) == len(names)
    assert all(workplace._NAMES.fullmatch(f"{name}.preparing-abcd_123") for name in names)
