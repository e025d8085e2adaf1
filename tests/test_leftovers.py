"""What killed preparations leave is removed; what others are writing is not."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from repro.data import datasets, sets, sources, workplace
from repro.data.digests import content_digest
from repro.data.preprocessing import ZCAWhitening
from repro.data.sets import Dataset, Split

SPLIT = Split(np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1), np.array([0, 1], np.int32))
DATASET = Dataset(
    name="dots",
    version="1.0.0",
    title="Dots",
    source="tfds",
    classes=2,
    shape=(2, 2, 1),
    examples={"train": 2},
    content={"train": content_digest(SPLIT)},
)
# A process that writes, says so, and waits to be killed or told to end.
WRITING = """
import sys
from pathlib import Path
{before}
from repro.data.workplace import publish, workplace
final = Path(sys.argv[1])
with workplace(final) as folder:
    (folder / "train-images.npy").write_bytes(b"half of it")
    print(folder, flush=True)
    sys.stdin.readline()
    publish(folder, final)
"""
WITHOUT_LOCKS = """
import errno, fcntl
def fail(handle, operation):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = fail
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of all prepared data; the set "dots" can be prepared in it."""
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setitem(sets.DATASETS, "dots", DATASET)
    monkeypatch.setattr(sources, "tfds_builder", lambda dataset: None)
    monkeypatch.setattr(sources, "read_tfds", lambda dataset, builder, progress: {"train": SPLIT})
    (tmp_path / "prepared").mkdir()
    return tmp_path / "prepared"


@pytest.fixture
def writer(root):
    """Starts a process that prepares; gives it and its folder."""
    processes = []

    def start(name="dots-1.0.0", before=""):
        command = [sys.executable, "-c", WRITING.format(before=before), str(root / name)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        processes.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("before", ["", WITHOUT_LOCKS], ids=["locks", "no locks"])
def test_what_a_killed_preparation_left_is_removed_by_the_next(root, writer, monkeypatch, before):
    if before:
        exec(before.replace("fcntl.flock = fail", ""), scope := {})
        monkeypatch.setattr("fcntl.flock", scope["fail"])
    process, folder = writer(before=before)
    assert folder.name.startswith("dots-1.0.0.preparing-")
    assert datasets.sweep() == []  # it lives
    kill(process)
    datasets.prepare("dots")
    assert [path.name for path in root.iterdir()] == ["dots-1.0.0"]
    assert datasets.check("dots") == []


def test_doctor_can_remove_what_is_left_of_any_set(root, writer):
    folders = []
    for name in ("imagenet-5.1.0", "mnist-3.0.1", "zca-0123456789abcdef"):
        process, folder = writer(name)
        kill(process)
        folders.append(folder)
    assert datasets.sweep() == sorted(folders)
    assert list(root.iterdir()) == []
    assert datasets.sweep() == []


@pytest.mark.parametrize("before", ["", WITHOUT_LOCKS], ids=["locks", "no locks"])
def test_another_live_preparation_is_not_hurt(root, writer, monkeypatch, before):
    if before:
        exec(before.replace("fcntl.flock = fail", ""), scope := {})
        monkeypatch.setattr("fcntl.flock", scope["fail"])
    process, folder = writer(before=before)
    os.utime(folder, (0, 0))  # long ago is no sign of death
    os.utime(folder / "train-images.npy", (0, 0))
    assert datasets.sweep() == []
    process.communicate("go on\n")
    assert process.returncode == 0
    assert [path.name for path in root.iterdir()] == ["dots-1.0.0"]
    assert [path.name for path in (root / "dots-1.0.0").iterdir()] == ["train-images.npy"]


def test_of_two_at_once_the_first_wins_and_nothing_is_left(root, writer):
    process, _ = writer()
    datasets.prepare("dots")
    process.communicate("go on\n")
    assert process.returncode == 0
    assert [path.name for path in root.iterdir()] == ["dots-1.0.0"]
    assert datasets.check("dots") == []


def test_an_error_and_ctrl_c_leave_nothing(root):
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), workplace.workplace(root / "dots-1.0.0") as folder:
            (folder / "train-images.npy").write_bytes(b"half of it")
            assert datasets.sweep() == []  # in the same process, which may lock a file twice
            raise error
    assert list(root.iterdir()) == []


def leave(root, name, age=0.0, **files):
    """A folder as left behind some seconds ago."""
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - age, time.time() - age))
    return folder


HALF = {"train-images.npy": "half"}
HERE = {**HALF, ".lock": "", ".writer": os.uname().nodename}
ELSEWHERE = {**HALF, ".lock": "", ".writer": "another-machine"}


@pytest.mark.parametrize(
    ("name", "age", "files", "removed"),
    [
        ("dots-1.0.0.preparing-abcd1234", 0, HERE, True),
        # As versions before this one left them.
        ("dots-1.0.0.preparing-abcd1234", 60, HALF, False),
        ("dots-1.0.0.preparing-abcd1234", 4000, HALF, True),
        ("zca-0123456789abcdef.abcd1234", 4000, {"zca-0123456789abcdef.npz": ""}, True),
        ("colours-0123456789abcdef.abcd1234", 4000, {"colours-0123456789abcdef.npz": ""}, True),
        ("mean-0123456789abcdef.abcd1234", 4000, {"mean-0123456789abcdef.npz": ""}, True),
        # About to be locked, or killed in between.
        ("dots-1.0.0.preparing-abcd1234", 0, {".lock": ""}, False),
        ("dots-1.0.0.preparing-abcd1234", 60, {".lock": ""}, True),
        # Of another machine, whose locks may not be seen here.
        ("dots-1.0.0.preparing-abcd1234", 4000, ELSEWHERE, False),
        ("dots-1.0.0.preparing-abcd1234", 90_000, ELSEWHERE, True),
        # Not ours.
        ("dots-1.0.0.preparing-abcd1234", 90_000, {**HERE, "thesis.txt": "years of work"}, False),
        ("dots-1.0.0.preparing-mine", 90_000, HALF, False),
        ("dots-1.0.0.abcd1234", 90_000, HALF, False),
        ("results-1.20260101", 90_000, HALF, False),
        ("my.preparing-abcd1234", 90_000, HALF, False),
        ("dots-1.0.0", 90_000, HALF, False),
    ],
)
def test_what_is_ours_and_abandoned(root, name, age, files, removed):
    folder = leave(root, name, age, **files)
    assert datasets.sweep() == ([folder] if removed else [])
    assert folder.exists() != removed


def test_links_and_folders_in_folders_are_left_alone(root, tmp_path):
    precious = leave(tmp_path, "precious", 90_000, **HERE)
    (root / "dots-1.0.0.preparing-abcd1234").symlink_to(precious)
    inner = leave(root, "dots-1.0.0.preparing-wxyz5678", 90_000, **HERE)
    (inner / "deeper").mkdir()
    linked = leave(root, "mnist-3.0.1.preparing-abcd1234", 90_000, **HERE)
    (linked / "train-labels.npy").symlink_to(precious / "train-images.npy")
    assert datasets.sweep() == []
    assert (precious / "train-images.npy").read_text() == "half"


def test_what_another_user_left_is_left_alone(root):
    if os.geteuid():
        pytest.skip("only root can leave files as another user")
    folder = leave(root, "dots-1.0.0.preparing-abcd1234", 90_000, **HERE)
    os.chown(folder, 65_534, -1)
    assert datasets.sweep() == []


def test_sweeping_what_is_not_there_or_cannot_be_removed_is_no_error(root, monkeypatch):
    leave(root, "dots-1.0.0.preparing-abcd1234", 0, **HERE)

    def fail(folder):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(shutil, "rmtree", fail)
    assert datasets.sweep() == []
    monkeypatch.undo()
    monkeypatch.setenv("REPRO_DATA_DIR", str(root / "nowhere"))
    assert datasets.sweep() == []


def test_whitening_leaves_nothing_beside_what_it_keeps(root):
    images = np.random.default_rng(0).normal(size=(20, 2, 2, 1)).astype(np.float32)
    ZCAWhitening().fit(images)
    (kept,) = root.iterdir()
    assert kept.suffix == ".npz"
    assert datasets.sweep() == []
