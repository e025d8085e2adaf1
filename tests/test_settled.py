"""What a user's machine is set to does not change what is trained, nor end it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro import backends
from repro.backends import settled
from repro.errors import UsageError

# Builds a network as a training does, and tells what came out of it.
PROGRAM = """
import json, os, sys
from repro import backends, catalog
from repro.backends import distribution, settled
backends.here().configure(128)
from repro.training.trainee import Trainee, first_filters
experiment = catalog.experiment("plain20-cifar10")
devices = distribution.choose("single", 128)
trainee = Trainee(experiment, "float32", 5, devices)
import keras

def computed():
    "What JAX makes of mixed types and shapes, and the first number it draws."
    if keras.config.backend() != "jax":
        return None
    import jax
    from jax import numpy as jnp
    whole, halves = jnp.arange(3), jnp.full((2, 3), 0.5)
    drawn = jax.random.uniform(jax.random.key(0)).item()
    return [str(jnp.arange(3.0).dtype), (whole + halves).tolist(), drawn]

print(json.dumps({
    "computed": computed(),
    "backend": keras.config.backend(),
    "parameters": trainee.model.count_params(),
    "format": keras.config.image_data_format(),
    "float": keras.config.floatx(),
    "epsilon": keras.config.epsilon(),
    "types": sorted({str(v.dtype) for v in trainee.model.variables}),
    "filters": first_filters(trainee.model).sum().item().hex(),
    "environment": settled.environment(),
    "home": os.environ.get("KERAS_HOME"),
}))
"""
# He et al. 2015, plain-20: 269,722 weights, biases, gammas and betas, and 2 statistics for each of
# 688 maps.
COUNT = 269_722 + 2 * 688


def built(backend: str, folder: Path, **environment) -> dict:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KERAS", "JAX", "XLA"))}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        env={
            **kept,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **environment,
        },
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What comes out on a machine that is set to nothing, by backend."""
    known = {}

    def of(backend: str) -> dict:
        if backend not in known:
            known[backend] = built(backend, tmp_path_factory.mktemp("plain"), KERAS_HOME="/nowhere")
        return known[backend]

    return of


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_without_any_setting_it_is_the_network_of_the_paper(backend, plain):
    said = plain(backend)
    assert (said["backend"], said["parameters"]) == (backend, COUNT)
    assert (said["format"], said["float"], said["epsilon"]) == ("channels_last", "float32", 1e-7)
    assert said["types"] == ["float32"]


SETTINGS = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
VARIABLES = {
    "jax": {
        "JAX_ENABLE_X64": "1",
        "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_RANDOM_SEED_OFFSET": "7",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "KERAS_NNX_ENABLED": "true",
    },
    "tensorflow": {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "NVIDIA_TF32_OVERRIDE": "1",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
        "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    },
}


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_settings_of_keras_and_variables_that_change_numbers_change_nothing(
    backend, plain, tmp_path
):
    """All in one process: none of them makes up for another."""
    (tmp_path / "keras.json").write_text(json.dumps(SETTINGS))
    said = built(backend, tmp_path, KERAS_HOME=str(tmp_path), **VARIABLES[backend])
    told = {k: v for k, v in said.pop("environment").items() if v}
    assert set(told) <= {"JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DEFAULT_PRNG_IMPL"}
    before = {k: v for k, v in plain(backend).items() if k != "environment"}
    assert said == {**before, "home": str(tmp_path)}
    assert json.loads((tmp_path / "keras.json").read_text()) == SETTINGS


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_a_settings_file_that_would_end_keras_changes_nothing(backend, plain, tmp_path):
    broken = {"image_data_format": "channels_frist", "floatx": 32, "epsilon": "small"}
    (tmp_path / "keras.json").write_text(json.dumps(broken))
    said = built(backend, tmp_path, KERAS_HOME=str(tmp_path))
    assert said == {**plain(backend), "home": str(tmp_path)}
    assert json.loads((tmp_path / "keras.json").read_text()) == broken


def test_what_cannot_be_held_is_recorded(tmp_path):
    flags = "--xla_force_host_platform_device_count=2"
    said = built(
        "tensorflow",
        tmp_path,
        XLA_FLAGS=f"{flags} --xla_cpu_enable_fast_math=true",
        TF_DETERMINISTIC_OPS="1",
        OMP_NUM_THREADS="2",
        AWS_SECRET_ACCESS_KEY="secret",
    )
    assert said["environment"] == {
        "OMP_NUM_THREADS": "2",
        "TF_DETERMINISTIC_OPS": "1",
        "XLA_FLAGS": flags,
    }


def test_what_was_read_already_is_recorded_rather_than_dropped(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    monkeypatch.setitem(sys.modules, "keras", sys.modules.get("keras"))
    settled._drop("tensorflow")
    assert settled.environment()["TF_ENABLE_ONEDNN_OPTS"] == "0"


@pytest.mark.parametrize("content", ["[]", '{"backend": 5}', "[" * 100_000, b"\xff\xfe", "5", ""])
def test_a_settings_file_that_says_nothing_leaves_the_default(content, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "keras.json").write_bytes(content)
    assert backends.name() == "tensorflow"


def test_an_unknown_backend_is_told_from_where_it_comes(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "theano"}')
    with pytest.raises(UsageError, match=r"unknown backend in .*keras\.json 'theano'"):
        backends.check()
    monkeypatch.setenv("KERAS_BACKEND", "garbage")
    with pytest.raises(UsageError, match="unknown KERAS_BACKEND 'garbage'"):
        backends.check()
