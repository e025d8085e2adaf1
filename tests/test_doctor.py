"""The doctor tells what is wrong and goes on looking."""

import json
import os
import platform
import shutil
import socket
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro import backends, doctor, machine
from repro.records import reading


@pytest.fixture
def surroundings(tmp_path, tmp_path_factory, monkeypatch):
    """A working directory of its own, without data and with the default tracking store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(reading, "committed", lambda: None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def by_name(checks):
    return {check["name"]: check for check in checks}


def test_a_fresh_folder_is_well_and_stays_empty(surroundings):
    checks = by_name(doctor.report())
    assert {"python", "keras", "tensorflow", "devices", "data mnist", "tracking"} <= set(checks)
    assert [name for name, check in checks.items() if check["ok"] is False] == []
    assert checks["data mnist"]["ok"] is None
    assert "repro data prepare mnist" in checks["data mnist"]["detail"]
    assert checks["data digits"]["ok"] is True  # they come with scikit-learn
    assert "will be created" in checks["tracking"]["detail"]
    assert list(surroundings.iterdir()) == []


@pytest.mark.parametrize(("hidden", "ok"), [("-1", True), ("0", False)])
def test_a_gpu_that_the_user_hides_needs_no_packages(hidden, ok, monkeypatch):
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p, **more: str(p) == "/dev/nvidia0" or exists(p))
    monkeypatch.setattr(machine, "gpu_device", lambda: "/dev/nvidia0")
    monkeypatch.setattr(backends, "here", lambda: SimpleNamespace(gpus=list))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    well, detail = doctor._devices()
    assert well is ok
    assert ("pip install" in detail) is not ok
    assert (f"CUDA_VISIBLE_DEVICES={hidden} hides" in detail) is ok


def test_what_is_not_needed_may_be_missing(surroundings, monkeypatch):
    def version(package):
        if package in ("mlflow", "jax"):
            raise metadata.PackageNotFoundError(package)
        return "1.2.3"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(backends, "installed", lambda package: package != "jax")
    checks = by_name(doctor.report())
    assert checks["mlflow"]["ok"] is None
    assert "`repro sync` does it later, or elsewhere: pip install" in checks["mlflow"]["detail"]
    assert (checks["tensorflow"]["ok"], checks["tensorflow"]["detail"]) == (True, "1.2.3")
    assert checks["backend"]["detail"] == "Keras computes with tensorflow"
    assert (checks["jax"]["ok"], checks["torch"]["ok"]) == (None, None)
    assert checks["jax"]["detail"].startswith("not installed")
    assert checks["torch"]["detail"] == "1.2.3; KERAS_BACKEND=torch computes with it"


def test_an_unknown_backend_does_not_end_the_report(surroundings, monkeypatch):
    monkeypatch.setattr(backends, "name", lambda: "tensorflwo")
    checks = by_name(doctor.report())
    assert checks["backend"]["ok"] is False
    assert "did you mean tensorflow" in checks["backend"]["detail"]
    assert checks["disk"]["ok"] is True


def test_a_tracking_server_that_is_away_is_reported(surroundings, monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    check = by_name(doctor.report())["tracking"]
    assert check["ok"] is False
    assert "connection refused" in check["detail"]


def test_damaged_data_are_reported(surroundings):
    (surroundings / "data" / "mnist-3.0.1").mkdir(parents=True)  # prepared, and then emptied
    check = by_name(doctor.report())["data mnist"]
    assert check["ok"] is False
    assert "mnist" in check["detail"]


def test_a_full_disk_is_reported(surroundings, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**6))
    check = by_name(doctor.report())["disk"]
    assert (check["ok"], check["detail"]) == (False, "0.0 GiB free; a run may need 2")


def test_an_output_that_is_no_folder_is_reported(surroundings):
    (surroundings / "runs").write_text("a file where the folder should be")
    check = by_name(doctor.report())["output"]
    assert check["ok"] is False
    assert "cannot be written" in check["detail"]


def test_a_missing_package_does_not_end_the_report(surroundings, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("keras", "no-such-package"))
    checks = by_name(doctor.report())
    assert checks["no-such-package"]["detail"] == "not installed; do: pip install no-such-package"
    assert checks["disk"]["ok"] is True


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("MPLBACKEND", "ignored"),
        ("GIT_DIR", "ignored"),
        ("KERAS_NNX_ENABLED", "ignored"),
        ("JAX_ENABLE_X64", "ignored"),
        ("TF_ENABLE_ONEDNN_OPTS", "ignored"),
        ("PYTHONWARNINGS", "ignored"),
        ("KERAS_BACKEND", "used"),
        ("OMP_NUM_THREADS", "used"),
    ],
)
def test_what_is_set_on_the_machine_is_told_with_what_becomes_of_it(name, fate, surroundings):
    (row,) = doctor.settings({name: "something", "SHELL": "/bin/sh"})
    assert (row["name"], row["ok"]) == (f"set: {name}", None)
    assert "something" in row["detail"] and fate in row["detail"]


def test_keras_own_file_of_settings_is_told_where_it_differs(surroundings):
    """Keras writes the file itself, with its defaults: then there is nothing to tell."""
    file = surroundings / "keras.json"
    usual = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow"}
    home = {"KERAS_HOME": str(surroundings)}
    for changed, words in (
        ({}, None),
        ({"image_data_format": "channels_first"}, "channels_first (ignored"),
        ({"floatx": "float16"}, "float16 (ignored"),
        ({"backend": "jax"}, "jax (used"),
    ):
        file.write_text(json.dumps({**usual, "image_data_format": "channels_last", **changed}))
        told = [row["detail"] for row in doctor.settings(home) if row["name"].startswith("file")]
        assert len(told) == (words is not None)
        assert all(words in line for line in told)
    for broken in ("{", "[]", "3", "null", "\x00"):
        file.write_text(broken)
        assert any("cannot be read" in row["detail"] for row in doctor.settings(home)), broken


def test_a_broken_record_is_not_ok(surroundings):
    folder = surroundings / "results" / "runs" / "lenet5-mnist"
    folder.mkdir(parents=True)
    (folder / "paper-seed0-x.json").write_text("{")
    check = by_name(doctor.report())["records"]
    assert check["ok"] is False and "paper-seed0-x.json" in check["detail"]


def test_what_a_killed_preparation_left_is_removed(surroundings):
    left = surroundings / "data" / "mnist-3.0.1.preparing-abcdefgh"
    left.mkdir(parents=True)
    (left / "train-images.npy").write_bytes(b"half")
    long_ago = 1_000_000_000
    for path in (left / "train-images.npy", left):
        os.utime(path, (long_ago, long_ago))
    check = by_name(doctor.report())["leftovers"]
    assert str(left) in check["detail"] and not left.exists()
    assert by_name(doctor.report())["leftovers"]["ok"] is True


@pytest.mark.parametrize(
    "name", ["mnist/incomplete.AB12CD_3.0.1", "imagenet2012/incomplete.X_5.1.0"]
)
def test_what_a_killed_tfds_left_is_told_and_kept(surroundings, name):
    left = surroundings / "tfds" / name
    left.mkdir(parents=True)
    detail = by_name(doctor.report())["leftovers"]["detail"]
    assert f"delete what TensorFlow Datasets left, unless it is at work: {left}" in detail
    assert left.exists()


@pytest.mark.parametrize(
    ("system", "processor", "ok"),
    [
        ("Linux", "x86_64", True),
        ("Linux", "aarch64", True),
        ("Darwin", "arm64", True),
        ("Linux", "riscv64", None),
        ("FreeBSD", "amd64", None),
    ],
)
def test_which_systems_are_meant(system, processor, ok, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    assert doctor._system()[0] is ok
