"""What a run takes on devices, by hand: images, minutes, gigabytes."""

import json
from dataclasses import replace

import pytest
import run_records

from repro import catalog
from repro.commands import texts
from repro.machine import Place
from repro.networks import counts
from repro.networks.counts import Counts
from repro.report import cost, outlay, rates

RESNET = catalog.experiment("resnet20-cifar10")
COUNTED = Counts(parameters=270_000, multiply_adds=40_000_000, kept=400_000, passing=50_000)
BESIDE = Counts(parameters=1, multiply_adds=80_000_000, kept=1_600_000, passing=1)
CPU, H100 = Place("CPU", 1, 10**10), Place("NVIDIA H100", 8, 8 * 10**10)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which ResNet-20 is counted, on a machine of two cores and TensorFlow."""
    entry = counts.entry(RESNET.network, COUNTED)
    (tmp_path / counts.FILE).write_text(json.dumps({"networks": {RESNET.network.name: entry}}))
    monkeypatch.setattr(outlay, "at_hand", lambda: CPU)
    monkeypatch.setattr(outlay, "cores", lambda: 2)
    monkeypatch.setattr(outlay.backends, "name", lambda: "tensorflow")
    return tmp_path


def rate(counted: Counts, images_per_second: float, batch: int = 100) -> rates.Rate:
    return rates.Rate("CPU", 2, "float32", "some", counted, batch, images_per_second)


def run_on_cpu(seed: int, minutes: float, cores: int = 2, **more) -> dict:
    record = run_records.record(RESNET, seed, 8.0, **more)
    record["run"]["machine"] = {"processor": "x", "cores": cores}
    record["result"]["seconds"] = 60 * minutes
    return record


# ---------------------------------------------------------------------------- how much work


def test_the_images_of_a_run_are_those_trained_on_and_a_third_of_those_tested():
    """64,000 iterations of 128; 163.84 passes, tested after every fourth and the last, at the end
    and by the probe: 41 + 1 + 1 times 10,000 images."""
    takes = {"images": 64_000 * 128, "passes": 163.84}
    assert outlay.work(RESNET, takes) == pytest.approx(8_192_000 + 430_000 / 3)
    ten = replace(RESNET, protocols=("single-view", "10-crop"), probes=())
    assert outlay.work(ten, takes) == pytest.approx(8_192_000 + (410_000 + 110_000) / 3)


# ---------------------------------------------------------------------------- how fast


def test_of_what_was_measured_the_nearest_counts():
    """Twice the operations and four times the values: half or a quarter as fast."""
    far = Counts(1, 40_000, 400, 1)
    found = rates.expected(BESIDE, 100, [rate(far, 1e6), rate(COUNTED, 1_000.0)])
    assert (found.low, found.high) == (250.0, 500.0)
    assert found.rate.counts == COUNTED
    assert rates.expected(BESIDE, 100, []) is None


def test_an_update_takes_no_less_than_one_with_more_work():
    """10 images instead of 100: in the worst case in the same time, a tenth as fast."""
    found = rates.expected(COUNTED, 10, [rate(COUNTED, 1_000.0)])
    assert (found.low, found.high) == (100.0, 1_000.0)


def test_rates_are_those_of_benchmarks_and_of_runs_on_cpus(folder):
    rows = [
        {"name": "harness", "rate": 600.0},
        {"name": "harness-bfloat16", "rate": 1_000.0},
        {"name": "torch", "rate": 5.0},
        {"name": "harness-three", "rate": None},
    ]
    networks = [{"experiment": RESNET.name, "contenders": rows}]
    for name, device in (("bench.json", "CPU"), ("bench-gpu.json", "NVIDIA H200")):
        document = {"networks": networks, "devices": [device], "machine": {"cores": 2}}
        (folder / name).write_text(json.dumps(document))
    runs = [run_on_cpu(seed, 1.0, cores=4) for seed in range(3)]
    for run, speed in zip(runs, (1.0, 900.0, 700.0), strict=True):
        run["result"]["images_per_second"] = speed
    runs.append(run_on_cpu(4, 1.0, cores=4, devices=["GPU:0"]))
    runs.append(run_on_cpu(5, 1.0, cores=4, overrides=["network.n=1"]))
    found = rates.measured(runs, folder, counts.table(folder))
    assert {(r.kind, r.cores, r.precision): r.images_per_second for r in found} == {
        ("CPU", 2, "float32"): 600.0,
        ("CPU", 2, "mixed_bfloat16"): 1_000.0,
        ("NVIDIA H200", 0, "float32"): 600.0,
        ("NVIDIA H200", 0, "mixed_bfloat16"): 1_000.0,
        ("CPU", 4, "float32"): 700.0,
        ("NVIDIA H100", 0, "float32"): 34_300.0,  # FIELD.md, M16
        ("NVIDIA H100", 0, "mixed_bfloat16"): 79_700.0,
    }
    assert {r.batch for r in found} == {128}
    for broken in ("", "[]", '{"devices": []}', '{"networks": [{}], "devices": ["CPU"]}'):
        (folder / "bench.json").write_text(broken)
        assert len(rates.measured([], folder, counts.table(folder))) == 4


# ---------------------------------------------------------------------------- minutes


def outlays(folder, records=(), **how):
    takes = cost.cost(RESNET, records, how.get("changed", False))
    return outlay.outlays(RESNET, takes, records, folder, **{"precision": "float32", **how})


def test_what_was_measured_on_such_a_machine_is_told(folder):
    """Of three cores it is no measurement; two GPUs say nothing of two cores."""
    on_three = [run_on_cpu(seed, 999.0, cores=3) for seed in range(3)]
    runs = [run_on_cpu(seed, m) for seed, m in enumerate((100.0, 120.0, 500.0))]
    here, there = outlays(folder, runs)
    assert (here.basis, here.minutes, here.source) == (
        "measured",
        (120.0,) * 2,
        "3 runs, tensorflow",
    )
    assert there.basis == "estimated"
    assert outlays(folder, on_three)[0].basis == "estimated"
    assert outlays(folder, runs, changed=True)[0].basis == "estimated"
    assert outlays(folder, [])[0].minutes is None


def test_a_run_that_does_not_say_how_long_it_took_measures_nothing(folder):
    silent = run_on_cpu(0, 100.0)
    del silent["result"]["seconds"]
    assert outlays(folder, [silent])[0].basis == "estimated"
    assert outlays(folder, [silent, run_on_cpu(1, 120.0)])[0].source == "1 run, tensorflow"


def test_runs_at_short_scale_on_such_a_machine_tell_more_than_other_networks(folder):
    runs = [run_on_cpu(0, 1.0, scale="short")]
    runs[0]["result"]["images_per_second"] = 1_000.0
    here = outlays(folder, runs)[0]
    assert (here.basis, here.source) == ("estimated", "its runs at short scale")
    assert here.minutes == (pytest.approx(8_192_000 / 1_000 / 60),) * 2


def test_eight_gpus_are_estimated_from_one(folder):
    """16 images on each, whose update may take as long as that of 128; eight count as 6.4."""
    there = outlays(folder)[1]
    images, each = 8_192_000 + 430_000 / 3, 34_300.0 * 8 * 0.8
    assert there.minutes == (
        pytest.approx(images / each / 60),
        pytest.approx(images / (each / 8) / 60),
    )
    assert (there.devices, there.basis) == (8, "estimated")
    assert there.source == "resnet20-cifar10 on one NVIDIA H100, taking 8 for 6.4"


def test_a_gpu_by_its_full_name_is_of_the_kind(folder, monkeypatch):
    one = Place("NVIDIA H100 80GB HBM3", 1, 8 * 10**10)
    monkeypatch.setattr(outlay, "at_hand", lambda: one)
    run = run_on_cpu(0, 10.0, devices=["GPU:0"])
    assert outlays(folder, [run])[0].basis == "estimated"  # no record says which kind it was
    run["run"]["machine"]["gpus"] = ["NVIDIA H100 80GB HBM3"]
    assert outlays(folder, [run])[0].minutes == (10.0, 10.0)
    monkeypatch.setattr(outlay, "at_hand", lambda: replace(one, kind="NVIDIA A100"))
    assert outlays(folder, [run])[0].source == "nothing was measured on such devices"


# ---------------------------------------------------------------------------- memory


def test_memory_of_a_cpu_and_of_each_gpu(folder):
    """Weight, velocity, gradient and a step in two parts; 450,000 values an image, a third more.

    On the CPU with the program and 60,000 images in float32; on each of eight GPUs 16 images of the
    batch, and the training images as bytes beside the test images in float32.
    """
    weights, values, pixels = 4 * 5 * 270_000, 1.3 * 4 * 450_000, 32 * 32 * 3
    here, there = outlays(folder)
    assert here.needed == pytest.approx(weights + 128 * values + 4 * 60_000 * pixels + 0.8e9)
    assert there.needed == pytest.approx(weights + 16 * values + pixels * (50_000 + 4 * 10_000))


def test_memory_of_photographs_is_that_of_the_processes_that_decode_them(folder):
    """Two cores, 0.15 GB for each; the photographs themselves stay on the disk."""
    photographs = catalog.experiment("resnet18-imagenette")
    entry = counts.entry(photographs.network, COUNTED)
    (folder / counts.FILE).write_text(json.dumps({"networks": {photographs.network.name: entry}}))
    takes = cost.cost(photographs, ())
    here, there = outlay.outlays(photographs, takes, (), folder, "float32")
    weights, values = 4 * 5 * 270_000, 1.3 * 4 * 450_000
    batch = photographs.recipe.batch
    assert here.needed == pytest.approx(weights + batch * values + 0.8e9 + 2 * 0.15e9)
    assert there.needed == pytest.approx(weights + batch / there.devices * values)


# ---------------------------------------------------------------------------- in words


def test_in_words():
    one = outlay.Outlay(H100, 8, 6.42e9, (140.0, 1_740.0), "estimated", "toy on one NVIDIA H100")
    assert texts.outlay(one, photographs=True) == (
        "8 x NVIDIA H100: memory about 6.4 GB of 80 GB on each (estimated); 2.3 to 29 hours "
        "(estimated from toy on one NVIDIA H100; if the host makes the images as fast)"
    )
    alone = replace(one, devices=1, basis="measured", source="3 runs, jax", minutes=(31.4, 31.4))
    assert texts.outlay(alone, photographs=True) == (
        "8 x NVIDIA H100, 1 of them used: memory about 6.4 GB of 80 GB (estimated); 31 minutes "
        "(measured: 3 runs, jax)"
    )


@pytest.mark.parametrize(
    ("least", "most", "words"),
    [
        (0.63, 4.2, "0.6 to 4.2 minutes"),
        (100, 119, "100 to 119 minutes"),
        (60, 120, "1.0 to 2.0 hours"),
        (1440, 28_800, "1.0 to 20 days"),
        (1, 105, "up to 105 minutes"),
        (31.4, 31.4, "31 minutes"),
    ],
)
def test_durations(least, most, words):
    assert texts.duration(least, most) == words
