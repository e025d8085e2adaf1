"""Layer responses (He et al. 2015, Figure 7) against the same sums in NumPy, on each backend."""

import dataclasses
import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro import catalog, spec
from repro.errors import UsageError
from repro.records.journal import Journal
from repro.training import probes, runner

PROGRAM = Path(__file__).parent / "programs" / "probed_network.py"


PRECISIONS = {
    "tensorflow": ("float32", "mixed_bfloat16"),
    "jax": ("float32",),
    "torch": ("float32",),
}


@functools.cache
def responses(backend: str) -> dict:
    """What the program says, by precision."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *PRECISIONS[backend]],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-len(PRECISIONS[backend]) :]
    return dict(zip(PRECISIONS[backend], map(json.loads, lines), strict=True))


@pytest.mark.parametrize("backend", PRECISIONS)
def test_layer_responses_are_the_standard_deviations_of_the_3x3_layers(backend):
    said = responses(backend)["float32"]
    assert said["backend"] == backend
    assert said["found"] == pytest.approx(said["expected"], rel=1e-5)
    assert said["mean"] == pytest.approx(sum(said["expected"]) / 3, rel=1e-5)
    assert said["untouched"]


def test_layer_responses_of_a_network_in_bfloat16_are_summed_in_full_precision():
    said = responses("tensorflow")["mixed_bfloat16"]
    assert said["found"] == pytest.approx(said["expected"], rel=0.02)


def test_a_network_without_3x3_layers_has_no_responses():
    import keras

    entry = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 5)(entry)
    model = keras.Model(entry, keras.layers.BatchNormalization()(x))
    with pytest.raises(UsageError, match="no batch normalisation after a 3x3 convolution"):
        probes.responses(model)


def test_an_unknown_probe_is_named():
    with pytest.raises(UsageError, match=r"'layer_respones'.*did you mean layer_response"):
        probes.check("layer_respones")


def two_layers():
    """Of 3x3 and batch-normalised, for images of 32x32."""
    import keras

    x = entry = keras.Input((32, 32, 1))
    for _ in range(2):
        x = keras.layers.Conv2D(4, 3, 2, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(entry, keras.layers.Dense(10)(x))


def test_a_run_leaves_what_its_probes_measured(tmp_path):
    data = catalog.experiment("lenet5-digits").recipe
    modern = catalog.experiment("lenet5-modern-mnist")
    how = {"data": data.data, "preprocessing": data.preprocessing, "tested_every": 4}
    probed = dataclasses.replace(
        modern,
        network=spec.Network("two-layers", two_layers),
        recipe=dataclasses.replace(modern.recipe, training_error_measured=False, **how),
        probes=("layer_response",),
    )
    outcome = runner.run(probed, scale="smoke", out=tmp_path)
    journal = Journal.open(outcome["run_dir"])
    result = journal.result()
    assert len(result["layer_responses"]) == 2
    assert all(0 < value < 10 for value in result["layer_responses"])
    metrics = result["metrics"]["single-view"]
    assert metrics["layer_response"] == pytest.approx(sum(result["layer_responses"]) / 2)
    # two passes: after the first nothing was tested, after the last everything
    assert ["test_error" in line for line in journal.passes()] == [False, True]
    assert metrics["test_error"] == journal.passes()[-1]["test_error"]
