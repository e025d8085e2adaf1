"""What an update takes in memory, counted by hand; what is refused for it, and what is not."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import run_records

from repro import catalog, cli, machine, spec
from repro.errors import UsageError
from repro.machine import Place
from repro.networks import counts
from repro.networks.counts import Counts
from repro.training import memory

RESULTS = Path(__file__).parents[1] / "results"
COUNTS = Counts(parameters=1_000, multiply_adds=0, kept=500, passing=300)
TOY = run_records.experiment("toy")


def toy(batch: int = 100, optimizer=None, **changes) -> spec.Experiment:
    recipe = replace(TOY.recipe, batch=batch, optimizer=optimizer or spec.SGD(0.1))
    return replace(TOY, recipe=recipe, **changes)


# ---------------------------------------------------------------------------- the values, by hand


def test_values_are_kept_that_the_way_back_needs():
    """64 + 144 + 144 + 36: what is given to the first layer, what a normalisation is given, what a
    relu gives, and what a pooling gives, which the last layer takes as 36 values in a row."""
    import keras

    from repro.networks.footprint import Footprint, footprint

    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)  # 6 x 6 x 4
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.MaxPooling2D()(x)  # 3 x 3 x 4
    x = keras.layers.Dense(10)(keras.layers.Flatten()(x))
    assert footprint(keras.Model(image, x)) == Footprint(64 + 144 + 144 + 36, 144 + 144)


def test_what_is_computed_again_is_not_kept():
    """Two convolutions whose maps are put side by side, normalised and rectified before a third.

    Kept: 64 given to the first two, and the 64 x 4 and 64 x 2 that they give. For the gradients
    come and go: 64 x 6 side by side and 64 x 6 after relu, beside the signal into the normalisation
    and out of it.
    """
    import keras

    from repro.networks.footprint import Footprint, footprint
    from repro.networks.layers import ByChains, Recomputing

    def model(kind):
        image = keras.Input((8, 8, 1))
        maps = [keras.layers.Conv2D(n, 3, padding="same")(image) for n in (4, 2)]
        x = keras.layers.Concatenate()(maps)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        return kind(image, keras.layers.Conv2D(1, 3, padding="same")(x))

    six = 64 * 6
    assert footprint(model(ByChains)) == Footprint(64 + 2 * six, 2 * six)
    assert footprint(model(Recomputing)) == Footprint(64 + six, 2 * six + 2 * six)


def test_layers_that_keep_more_than_they_are_given():
    import keras

    from repro.networks import krizhevsky2012
    from repro.networks.footprint import footprint

    image = keras.Input((6, 6, 2))
    normalise = krizhevsky2012.LocalResponseNormalization()
    assert (
        footprint(keras.Model(image, normalise(image))).kept == 5 * 72
    )  # given, given, three roots
    weights = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}
    local = krizhevsky2012.LocallyConnected2D(5, 3, **weights)
    assert footprint(keras.Model(image, local(image))).kept == 72 + 16 * 9 * 2  # with all patches
    dropped = keras.layers.Dropout(0.5)(image)
    assert footprint(keras.Model(image, dropped)).kept == 72 // 4  # a byte for each


def test_a_network_within_a_network_counts_as_its_layers():
    import keras

    from repro.networks.footprint import footprint

    def block(x):
        return keras.layers.Dense(3, activation="relu")(keras.layers.Dense(7)(x))

    image, inner = keras.Input((5,)), keras.Input((5,))
    flat = keras.layers.Dense(2)(block(image))
    nested = keras.layers.Dense(2)(keras.Model(inner, block(inner))(image))
    for outputs in (flat, nested):
        assert footprint(keras.Model(image, outputs)).kept == 5 + 7 + 3


def test_resnet_20_by_hand():
    """He et al. 2015, section 4.2: 7, 6 and 6 layers of 32 x 32 x 16, 16 x 16 x 32, 8 x 8 x 64.

    Each is kept before its normalisation and after the relu that follows: 2 x 188,416 values.
    With the image, the borders of the two layers of stride 2, and what the last layer is given.
    """
    from repro.networks.footprint import footprint

    described = catalog.network("resnet20")
    units = 7 * 32 * 32 * 16 + 6 * 16 * 16 * 32 + 6 * 8 * 8 * 64
    kept = 2 * units + 32 * 32 * 3 + 34 * 34 * 16 + 18 * 18 * 32 + 64
    assert footprint(described.build(**described.options)).kept == kept


# ---------------------------------------------------------------------------- bytes of an update


@pytest.mark.parametrize(
    ("optimizer", "weights"),
    [
        (spec.SGD(0.1), 3),  # a weight, its gradient, its velocity
        (spec.SGD(0.1, averaging=0.9), 4),
        (spec.StochasticDiagonalLM(spec.Steps(((1, 0.1),)), 0.1, 5), 3),
    ],
)
def test_the_least_that_an_update_takes(optimizer, weights, monkeypatch):
    monkeypatch.setattr(memory.backends, "name", lambda: "tensorflow")
    need = memory.least(toy(optimizer=optimizer), COUNTS, "float32")
    assert need.of(100) == 4 * (weights * 1_000 + 100 * 500)
    assert memory.least(toy(optimizer=optimizer), COUNTS, "mixed_bfloat16").of(100) == (
        4 * weights * 1_000 + 2 * 100 * 500
    )
    assert need.most(need.of(100)) == 100 and need.most(need.of(100) - 1) == 99
    assert need.most(10) == 0


def test_what_needs_no_way_back_is_not_refused_for_it():
    unsupervised = toy(optimizer=spec.WinnerTakeAll((1.0,), (3,)))
    assert memory.least(unsupervised, COUNTS, "float32").of(100) == 4 * 1_000


def test_an_estimate_is_no_less_than_the_least():
    for name in memory.MORE:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory.backends, "name", lambda name=name: name)
            for precision, kind in itertools.product(spec.PRECISIONS, ("CPU", "H100")):
                least = memory.least(toy(), COUNTS, precision)
                more = memory.estimated(toy(), COUNTS, precision, Place(kind, 1, None))
                assert more.fixed > least.fixed and more.an_image > least.an_image


@pytest.mark.parametrize(
    ("name", "precision", "batches", "peak"),
    [
        ("resnet50-imagenet", "float32", 4, 21_299_999_488),
        ("resnet50-imagenet", "mixed_bfloat16", 4, 11_521_293_312),
        ("alexnet-imagenet", "float32", 4, 2_302_428_416),
        ("alexnet-imagenet", "mixed_bfloat16", 4, 2_110_504_960),
        ("googlenet-imagenet", "float32", 8, 1_818_187_776),
    ],
)
def test_estimates_are_near_what_was_measured_on_an_h100(
    name, precision, batches, peak, monkeypatch
):
    """The peak of JAX in November 2026, less the batches that lay there beside the update."""
    monkeypatch.setattr(memory.backends, "name", lambda: "jax")
    experiment = catalog.experiment(name)
    side, batch = {"alexnet-imagenet": 227}.get(name, 224), experiment.recipe.batch
    counted = counts.known(experiment.network, counts.table(RESULTS))
    need = memory.estimated(experiment, counted, precision, Place("NVIDIA H100", 1, None))
    update = peak - batches * batch * 4 * 3 * side**2
    assert 0.99 * update < need.of(batch) < 1.7 * update
    assert memory.least(experiment, counted, precision).of(batch) < update


def refused(there, batch=100, count=1, kind="CPU"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory.backends, "name", lambda: "tensorflow")
        memory.check(toy(batch), COUNTS, "float32", Place(kind, count, there))


def test_what_fits_is_not_refused():
    """12,000 bytes for the weights and 2,000 for each image."""
    refused(212_000)
    refused(112_000, count=2, kind="H100")
    refused(None)


def test_what_cannot_fit_is_refused_with_what_does():
    with pytest.raises(UsageError, match=r"^recipe\.batch=100: toy needs 0\.00 GB.*up to 99; "):
        refused(211_999)
    with pytest.raises(UsageError, match=r"2 H100.* accepted are up to 198, in multiples of 2; "):
        refused(212_000 - 1, batch=200, count=2, kind="H100")
    with pytest.raises(UsageError, match="accepted are smaller networks"):
        refused(12_001)


def test_a_batch_is_divided_between_the_devices_that_divide_it(monkeypatch):
    monkeypatch.setattr(memory.backends, "name", lambda: "tensorflow")
    eight = Place("NVIDIA H100", 8, 1)
    assert [memory.replicas("auto", batch, eight) for batch in (256, 128, 100, 1)] == [8, 8, 1, 1]
    assert memory.replicas("single", 256, eight) == 1
    assert memory.replicas("mirrored", 256, Place("CPU", 1, 1)) == 1
    monkeypatch.setattr(memory.backends, "name", lambda: "torch")
    assert memory.replicas("auto", 256, eight) == 1


# ---------------------------------------------------------------------------- the machine


def test_what_is_available_is_no_more_than_there_is():
    swap = 0
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc").is_dir() else ():
        swap = 1024 * int(line.split()[1]) if line.startswith("SwapTotal") else swap
    assert 0 < machine.available() <= machine.memory() + swap


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_of_processes_may_leave_less(version, tmp_path, monkeypatch):
    """A job may take 5,000 bytes and has 3,000, of which 1,000 can be freed; above is no limit."""
    kind, names = {
        1: ("memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")),
        2: ("", ("memory.max", "memory.current", "inactive_file")),
    }[version]
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    job = tmp_path / kind / "slurm" / "job_7"
    job.mkdir(parents=True)
    (job / names[0]).write_text("5000\n")
    (job / names[1]).write_text("3000\n")
    (job / "memory.stat").write_text(f"anon 12\n{names[2]} 1000\n")
    (job.parent / names[0]).write_text("max\n")
    mine = tmp_path / "cgroup"
    mine.write_text(f"5:cpuset:/\n0:{kind}:/slurm/job_7\n")
    assert machine._left_by_groups(mine) == [3000]


def test_gpus_are_told_by_the_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    told = "NVIDIA H100 80GB HBM3, 81559\nNVIDIA H100 80GB HBM3, 81000"
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(machine, "has_gpu", lambda: True)
    assert machine.at_hand() == Place("NVIDIA H100 80GB HBM3", 2, 81_000 * 2**20)
    program.write_text("#!/bin/sh\nexit 6\n")
    assert machine.at_hand() == Place("GPU", 1, None)


# ---------------------------------------------------------------------------- in the first second


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A folder whose results/ has counted LeNet-5's later form: a million values an image."""
    from repro.networks import counts

    network = catalog.network("lenet5-modern")
    entry = counts.entry(network, Counts(61_706, 416_520, 1_000_000, 1_000))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (tmp_path / "results" / "networks.json").write_text(
        json.dumps({"networks": {network.name: entry}})
    )
    return tmp_path


def test_a_batch_that_cannot_fit_is_refused_before_the_network_is_built(counted):
    """60,000 images of 4 MB are 240 GB, or 120 in bfloat16."""
    code = (
        "import sys; from repro import machine; machine.available = lambda: 10**10;"
        "from repro.cli import main; code = main(sys.argv[1:]);"
        "assert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules); sys.exit(code)"
    )
    asked = ["run", "lenet5-modern-mnist", "--set", "recipe.batch=60000"]
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "recipe.batch=60000: lenet5-modern needs 240 GB or more" in done.stderr
    assert "this machine has 10 GB free; accepted are up to 2,499;" in done.stderr
    asked += ["--precision", "mixed_bfloat16"]
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True)
    assert "needs 120 GB or more" in done.stderr and "up to 4,999;" in done.stderr


def test_the_batch_of_a_smoke_run_is_cut_and_not_refused(counted, monkeypatch):
    from repro.running import train

    experiment = catalog.experiment("lenet5-modern-mnist")
    monkeypatch.setattr(machine, "available", lambda: 10**6)
    with pytest.raises(UsageError, match=r"needs 0\.5 GB or more"):
        train.resolved(experiment, train.Options(out=str(counted)))
    assert train.resolved(experiment, train.Options(scale="smoke", out=str(counted)))


def test_other_options_than_those_counted_are_left_to_the_network_itself(counted, monkeypatch):
    from repro.running import train

    experiment = catalog.experiment("lenet5-mnist")
    monkeypatch.setattr(machine, "available", lambda: 1)
    assert train.resolved(experiment, train.Options(out=str(counted)))


def test_show_says_what_is_not_known(counted, capsys):
    assert cli.main(["show", "lenet5-mnist"]) == 0
    assert (
        "memory not known; time not known (the network was not counted" in capsys.readouterr().out
    )
