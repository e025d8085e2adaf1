"""The three backends of Keras compute the same, and a machine may have any one of them alone."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from programs.families import FAMILIES, UPDATED
from small_runs import timeless

from repro import backends
from repro.errors import UsageError
from repro.records.journal import Journal
from repro.training import checkpoint

HERE = Path(__file__).parent
slow = pytest.mark.slow
OTHERS = ("jax", "torch")
DROPPING = ("nin-mnist", "vgg-a", "googlenet")  # in training


def needs(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (an extra: pip install -e '.[{backend}]')")


def process(backend: str, *arguments, python: Path = Path(sys.executable), **more):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **more}
    environment["PYTHONPATH"] = str(HERE.parent)
    return subprocess.run(
        [python, *map(str, arguments)], env=environment, capture_output=True, text=True
    )


class Found:
    """What tests/programs/one_backend.py writes, once per backend and strategy."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, backend: str, strategy: str = "single", *jobs: str, **environment):
        needs(backend)
        stem = self.folder / f"{backend}-{strategy}"
        if not stem.with_suffix(".json").exists():
            if backend != "tensorflow":
                self("tensorflow")  # it draws the weights
            jobs = jobs or ("outputs", "initial", "updates", "on_the_device", "runs")
            program = [HERE / "programs" / "one_backend.py", self.folder, strategy, *jobs]
            done = process(backend, *program, **environment)
            assert done.returncode == 0, done.stderr
        with np.load(stem.with_suffix(".npz")) as arrays:
            return dict(arrays), json.loads(stem.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return Found(tmp_path_factory.mktemp("backends"))


@slow
@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_weights_give_the_same_outputs(backend, name, found):
    """Also while training, where batch normalisation goes by the batch and moves its statistics."""
    (ours, _), (reference, _) = found(backend), found("tensorflow")
    modes = [mode for mode in ("testing", "training") if f"{name}-{mode}" in reference]
    assert (modes == ["testing"]) == (name in DROPPING)
    for mode in modes:
        outputs = reference[f"{name}-{mode}"]
        spread = outputs.std()  # 4e-5 where weights begin small, for inputs up to 255
        assert outputs.shape == (4, 10) and spread > 1e-5
        atol = 1e-4 * min(1.0, spread)
        np.testing.assert_allclose(ours[f"{name}-{mode}"], outputs, rtol=1e-5, atol=atol)
    if name == "resnet20":
        assert not np.allclose(
            reference[f"{name}-testing"], reference[f"{name}-training"], atol=0.1
        )
        moved = [key for key in reference if key.startswith(f"{name}-moved")]
        assert len(moved) == 2 * 19  # a mean and a variance behind each convolution
        for key in moved:
            np.testing.assert_allclose(ours[key], reference[key], rtol=1e-4, atol=1e-4)


def same_initial_weights(ours: dict, reference: dict) -> None:
    for name in FAMILIES:
        digests = reference[f"{name}-initial"]
        assert len(digests) > 9
        np.testing.assert_array_equal(ours[f"{name}-initial"], digests)


@slow
@pytest.mark.parametrize("backend", OTHERS)
def test_initial_weights_are_the_same_to_the_bit(backend, found):
    same_initial_weights(found(backend)[0], found("tensorflow")[0])


@slow
@pytest.mark.parametrize("backend", backends.NAMES)
def test_what_is_seen_of_a_set_on_the_device_is_the_same_to_the_bit(backend, found):
    same_on_the_device(found(backend)[0])


def same_on_the_device(ours: dict) -> None:
    assert ours["seen-differing"].tolist() == []
    compared = [key.removeprefix("host-") for key in ours if key.startswith("host-")]
    assert len(compared) > 8
    for key in compared:
        np.testing.assert_allclose(ours[f"device-{key}"], ours[f"host-{key}"], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(ours[f"ahead-{key}"], ours[f"host-{key}"])


def same_after_ten_updates(ours: dict, reference: dict, name: str) -> None:
    np.testing.assert_allclose(ours[f"{name}-losses"], reference[f"{name}-losses"], rtol=1e-4)
    np.testing.assert_allclose(ours[f"{name}-wrong"], reference[f"{name}-wrong"], atol=1)
    updated = [key for key in reference if key.startswith(f"{name}-updated")]
    assert len(updated) > 10  # weights, moving statistics, velocities
    for key in updated:
        # Rounding grows in the deepest of them: after ten updates of it, float32 is up to 4e-4 away
        # from float64 on TensorFlow, whichever way its batch normalisation is computed.
        atol = 1e-3 if name == "recomputed" else 1e-5
        np.testing.assert_allclose(ours[key], reference[key], rtol=1e-4, atol=atol)


@slow
@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", UPDATED)
def test_ten_updates_end_in_the_same_weights(backend, name, found):
    same_after_ten_updates(found(backend)[0], found("tensorflow")[0], name)


@slow
@pytest.mark.parametrize("name", UPDATED)
def test_two_devices_on_jax_compute_as_one(name, found):
    """Batch normalisation too: on JAX its statistics are those of the whole batch."""
    two = "--xla_force_host_platform_device_count=2"
    jobs = "initial", "updates", "on_the_device"
    ours, said = found("jax", "mirrored", *jobs, XLA_FLAGS=two)
    assert said["devices"] == ["CPU:0", "CPU:1"]
    assert said["batch_statistics"] == "batch"
    assert said["parts"] == [[8, 3], [8, 3]]  # a batch of 16
    same_after_ten_updates(ours, found("tensorflow")[0], name)
    same_initial_weights(ours, found("tensorflow")[0])
    same_on_the_device(ours)


@slow
@pytest.mark.parametrize("backend", OTHERS)
def test_other_backends_import_no_tensorflow_and_refuse_devices_that_are_not_there(backend, found):
    _, said = found(backend)
    assert said["backend"] == backend
    assert said["tensorflow"] is False
    assert said["refusal"].startswith("--strategy mirrored needs two devices or more")
    assert f"{backend} takes CPU:0 alone here" in said["refusal"]


@slow
@pytest.mark.parametrize("backend", backends.NAMES)
def test_a_lack_of_memory_is_told_from_other_errors(backend, found):
    _, said = found(backend)
    assert (said["too large"], said["wrong shapes"]) == (True, False)


COMPILERS = {"tensorflow": "graph", "jax": "xla", "torch": "eager"}


@slow
@pytest.mark.parametrize("kind", ["cut", "held"])
@pytest.mark.parametrize("backend", COMPILERS)
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(backend, kind, found):
    """With batch normalisation and dropout: what is not trained is in the checkpoint too.

    And where the device holds the training set, as where the host makes the images.
    """
    found(backend)
    whole, cut = (
        Journal.open(next((found.folder / f"{name}-{backend}" / "lenet5-modern-mnist").iterdir()))
        for name in ("whole", kind)
    )
    assert (whole.run()["data"]["resident"], cut.run()["data"]["resident"] > 0) == (
        0,
        kind == "held",
    )
    assert (whole.result()["resumed"], cut.result()["resumed"]) == (0, 1)
    assert timeless(cut) == timeless(whole)
    mine, theirs = (checkpoint.latest(journal.checkpoints)[0] for journal in (cut, whole))
    assert len(mine) == len(theirs) > 12
    assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    run, passes = whole.run(), whole.passes()
    told = run["backend"], run["compiler"], run["devices"]
    assert told == (backend, COMPILERS[backend], ["CPU:0"])
    assert run["versions"].keys() == {"python", "keras", backend, "numpy"}
    assert passes[-1]["loss"] < 0.8 * passes[0]["loss"]  # it did learn


# ---------------------------------------------------------------- a machine without TensorFlow

ABSENT = ("tensorflow", "mlflow")


@pytest.fixture(scope="module")
def without_tensorflow(tmp_path_factory) -> Path:
    """The Python of an environment like this one, less TensorFlow, TFDS and MLflow."""
    needs("jax")
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.lower().startswith(ABSENT) and not path.name.startswith("__editable__"):
            (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


def test_without_tensorflow_tfds_and_mlflow_a_run_is_trained_and_judged(
    without_tensorflow, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "data"))

    def repro(*arguments):
        return process("jax", "-m", "repro", *arguments, python=without_tensorflow)

    missing = process(
        "jax",
        "-c",
        "import importlib.util as u\n"
        "print([p for p in ('tensorflow', 'tensorflow_datasets', 'mlflow') if u.find_spec(p)])",
        python=without_tensorflow,
    )
    assert missing.stdout.strip() == "[]", missing
    done = repro("run", "lenet5-digits", "--scale", "smoke", "--set", "recipe.batch=32", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["single-view"]["test_count"] == 360
    assert result["mlflow_run_id"] is None
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if "MLflow is not installed" in line]
    assert len(said) == 1 and f"repro sync {result['run_dir']}" in said[0]
    assert not Path("mlflow.db").exists()
    judged = repro("verdict", "lenet5-digits", "--json")
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout)[0]["experiment"] == "lenet5-digits"
    unprepared = repro("data", "prepare", "mnist")
    assert (unprepared.returncode, unprepared.stdout) == (3, "")
    assert unprepared.stderr.startswith("error: mnist is not prepared, and tensorflow and")
    assert unprepared.stderr.count("\n") == 1 and "copy " in unprepared.stderr
    refused = repro("sync", result["run_dir"])
    assert (refused.returncode, refused.stdout) == (4, "")
    assert refused.stderr == "error: MLflow is not installed (pip install mlflow)\n"


def test_a_backend_that_is_not_installed_is_told_in_one_line(without_tensorflow):
    done = process("tensorflow", "-m", "repro", "anatomy", "lenet5", python=without_tensorflow)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: KERAS_BACKEND=tensorflow: tensorflow is not installed")
    assert done.stderr.count("\n") == 1 and "accepted here: jax" in done.stderr


@pytest.mark.parametrize("command", [["run", "lenet5-digits"], ["anatomy", "lenet5"]])
def test_an_unknown_backend_is_told_in_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = process("tensorflwo", "-m", "repro", *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: unknown KERAS_BACKEND 'tensorflwo' (did you mean tensorflow?); "
        "accepted: tensorflow, jax, torch\n"
    )


# ---------------------------------------------------------------- which backend it is


@pytest.mark.parametrize(
    ("variable", "settings", "name"),
    [
        ("torch", '{"backend": "jax"}', "torch"),
        ("", '{"backend": "jax"}', "jax"),
        ("", "{}", "tensorflow"),
        ("", "{not JSON", "tensorflow"),
        ("", None, "tensorflow"),
    ],
)
def test_the_backend_is_that_of_keras_before_keras_is_imported(
    variable, settings, name, tmp_path, monkeypatch
):
    """KERAS_BACKEND wins, then Keras' settings file counts, then its default."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", variable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if settings is not None:
        (tmp_path / "keras.json").write_text(settings)
    assert backends.name() == name


def test_a_backend_without_training_is_refused(monkeypatch):
    monkeypatch.setattr(backends, "name", lambda: "openvino")
    with pytest.raises(UsageError, match=r"KERAS_BACKEND 'openvino'.*tensorflow, jax, torch"):
        backends.here()
