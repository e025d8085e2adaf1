"""The benchmark: its arithmetic and its page. What it measures is no test's business."""

import io
import json
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from repro.bench import command, contenders, place, rounds, subject, summary, timing
from repro.errors import DataError, Interrupted, RunError, UsageError
from repro.report import bench_page, writing

RESULTS = Path(__file__).parents[1] / "results"

CADENCE = {
    "passes": 4,
    "train_examples": 50_000,
    "test_examples": 10_000,
    "checkpoint_seconds": 60.0,
    "tracking_seconds": 30.0,
}
COSTS = {"scoring": 2000.0, "first_chunk": 0.25, "line": 0.01, "checkpoint": 0.3, "tracking": 0.1}
RESNET20 = {
    "experiment": "resnet20-cifar10",
    "title": "ResNet-20",
    "dataset": "cifar10",
    "batch": 128,
    "parameters": 269_722,
    "multiply_adds": 40_551_040,
    "operations": 243_306_240,
    "cadence": CADENCE,
}
FACTS = {
    "date": "2026-11-21T10:00:00+00:00",
    "commit": "0123456789abcdef",
    "dirty": False,
    "machine": {"processor": "A Processor", "cores": 2},
    "versions": {"keras": "3.15.1", "tensorflow": "2.21.0"},
    "backend": "tensorflow",
    "rounds": 3,
    "seconds": 20.0,
    "networks": [RESNET20],
}
ALL = [network.experiment for network in contenders.NETWORKS]
OF_MACHINE = ("product", "product-bfloat16", "bandwidth")


def samples(contender: str, *rates: float, **facts) -> list[dict]:
    """One made-up sample for each round, of ResNet-20 or of the machine."""
    common = {"contender": contender, "segments": [[128, 1.0]], "load": 1.5, "others": 0.15}
    common |= {"device": "CPU", "processor": 0.0019}
    common["network"] = None if contender in OF_MACHINE else "resnet20-cifar10"
    rounds = enumerate(rates, start=1)
    return [{**common, "round": number, "rate": rate, **facts} for number, rate in rounds]


HARNESS = [
    {**sample, "training": training, "values": 500_000}
    for sample, training in zip(
        samples("harness", 900.0, 450.0, 1000.0, costs=COSTS), (950.0, 500.0, 1050.0), strict=True
    )
]
SAMPLES = [
    *HARNESS,
    *samples("keras-fit", 600.0, 300.0, 500.0, end_seconds=9.5),
    *samples("bare", 1000.0, 480.0, 1000.0),
    *samples("torch", 750.0, 450.0, 600.0),
    *samples("torch-channels-last", 600.0, 500.0, 800.0),
    *samples("torch-bfloat16", 2000.0, 2000.0, 2000.0),
    *samples("pipeline", 9500.0, 6000.0, 10500.0),
    *samples("product", 250.0, 200.0),
    *samples("bandwidth", 20.0, 16.0),
]
NOT_RUN = {("resnet20-cifar10", "harness-bfloat16"): "it failed: out of memory"}


def summarised(found: list[dict], not_run: dict | None = None, **facts) -> dict:
    return summary.summarise({**FACTS, **facts}, found, not_run or {})


@pytest.fixture(scope="module")
def document() -> dict:
    return summarised(SAMPLES, NOT_RUN)


def row(document: dict, name: str) -> dict:
    """Of the machine, or of the first network."""
    found = [document["can"], *(network["contenders"] for network in document["networks"][:1])]
    return next(row for rows in found for row in rows if row["name"] == name)


def ratio(document: dict, title: str) -> dict:
    ratios = document["networks"][0]["ratios"]
    return next(ratio for ratio in ratios if ratio["title"] == title)


# ---------------------------------------------------------------------------- the networks

# Parameters and multiply-adds of each network, computed from the tables of the papers by a program
# of its own. GoogLeNet's are those for a thousand classes, less 990 outputs of three classifiers.
OF_PAPERS = {
    "resnet20-cifar10": (269_722, 40_551_040),
    "nin-cifar10": (966_986, 222_486_528),
    "densenet40-k12-cifar10": (1_019_722, 264_812_928),
    "alexnet-local-cifar10": (1_116_490, 18_517_248),
    "googlenet-imagenette": (
        13_378_280 - 3 * 990 * 1025,
        1_591_044_096 - 3 * 990 * 1024,
    ),
}
IMAGES = {"alexnet-local-cifar10": 24, "googlenet-imagenette": 224}  # pixels along a side; else 32


def test_the_networks_have_the_figures_of_the_papers():
    found = {n.experiment: (n.parameters, n.multiply_adds) for n in contenders.NETWORKS}
    assert found == OF_PAPERS
    assert contenders.network("resnet20-cifar10").operations == 243_306_240


@pytest.mark.parametrize("network", contenders.NETWORKS, ids=ALL)
def test_the_torch_network_is_that_of_the_paper(network):
    torch = pytest.importorskip("torch")
    from repro.bench import torch_models

    side, (parameters, multiply_adds) = 32, OF_PAPERS[network.experiment]
    side = IMAGES.get(network.experiment, side)
    with torch.device("meta"):  # shapes alone
        model = torch_models.MODELS[network.model]()
        images = torch.zeros(2, 3, side, side)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert torch_models.multiply_adds(model, (3, side, side)) == multiply_adds
    assert model.training
    outputs = model(images)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    heads = 3 if network.model == "googlenet" else 1
    assert [tuple(logits.shape) for logits in outputs] == [(2, 10)] * heads


@cache
def stock(network):
    from repro.bench import with_keras

    return with_keras.stock(network)


@pytest.mark.parametrize("network", contenders.NETWORKS, ids=ALL)
def test_the_stock_keras_network_is_that_of_the_paper(network):
    import keras

    from repro import catalog
    from repro.bench import with_keras

    model, recipe = stock(network), catalog.experiment(network.experiment).recipe
    parameters, multiply_adds = OF_PAPERS[network.experiment]
    assert sum(w.shape.num_elements() for w in model.trainable_weights) == parameters
    assert with_keras.multiply_adds(model) == multiply_adds
    heads = 3 if network.model == "googlenet" else 1
    assert [output.shape for output in model.outputs] == [(None, 10)] * heads
    side = IMAGES.get(network.experiment, 32)
    assert model.input_shape == (None, side, side, 3)
    assert recipe.batch == network.batch
    own = [layer for layer in model.layers if type(layer).__module__.startswith("repro")]
    assert {type(layer).__name__ for layer in own} <= {"LocallyConnected", "ResponseNormalization"}
    dropped = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    wanted = {"nin": [0.5, 0.5], "googlenet": [0.4, 0.7, 0.7]}
    assert sorted(dropped) == wanted.get(network.model, [])


@pytest.mark.parametrize(
    ("experiment", "count", "l2"),  # half of the weight decay times the sum of squares
    [
        ("resnet20-cifar10", 20, 5e-5),
        ("nin-cifar10", 9, 5e-5),
        ("densenet40-k12-cifar10", 40, 5e-5),
        ("alexnet-local-cifar10", 3, 2e-3),  # the convolutions have none
    ],
)
def test_the_stock_keras_network_has_the_weight_decay_of_the_recipe(experiment, count, l2):
    weights = stock(contenders.network(experiment)).trainable_weights
    decays = [float(w.regularizer.l2) for w in weights if w.regularizer is not None]
    assert decays == pytest.approx([l2] * count)


def test_another_network_is_refused():
    network = contenders.network("resnet20-cifar10")
    with pytest.raises(RunError, match=r"ResNet-20: 269,721 trained parameters were built, it has"):
        subject.check(network, 269_721, 40_551_040)
    with pytest.raises(RunError, match="1 multiply-adds were built"):
        subject.check(network, 269_722, 1)


def test_the_locally_connected_layers_of_all_compute_the_same():

    torch = pytest.importorskip("torch")
    from repro.bench import keras_models, torch_models

    draw = np.random.default_rng(0)
    images = draw.normal(size=(2, 6, 6, 5)).astype("float32")
    kernel = draw.normal(size=(6, 6, 3, 3, 5, 4)).astype("float32")
    bias = draw.normal(size=(6, 6, 4)).astype("float32")
    around = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((2, 6, 6, 4))
    for i in range(6):
        for j in range(6):
            window = around[:, i : i + 3, j : j + 3]
            expected[:, i, j] = np.tensordot(window, kernel[i, j], 3) + bias[i, j]
    ours = keras_models.LocallyConnected(4, 0.04, 0.0)
    ours.build(images.shape)
    ours.kernel.assign(kernel.reshape(6, 6, 45, 4))
    ours.bias.assign(bias)
    np.testing.assert_allclose(np.asarray(ours(images)), expected, rtol=1e-4, atol=1e-4)
    theirs = torch_models.LocallyConnected(5, 4, 6)
    with torch.no_grad():  # its patches have the map first, then row and column
        weight = kernel.reshape(36, 3, 3, 5, 4).transpose(0, 3, 1, 2, 4).reshape(36, 45, 4)
        theirs.weight.copy_(torch.from_numpy(weight.copy()))
        theirs.bias.copy_(torch.from_numpy(bias.reshape(36, 4)))
        found = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-4)


def test_the_response_normalisation_of_plain_keras_takes_lower_precision(mixed_bfloat16):
    import keras

    from repro.bench import keras_models

    found = keras_models.ResponseNormalization()(keras.ops.ones((1, 2, 2, 8), "bfloat16"))
    assert float(found[0, 0, 0, 4]) == pytest.approx((2 + 5e-4) ** -0.75, rel=1e-5)


def test_the_response_normalisations_of_all_compute_the_same():

    torch = pytest.importorskip("torch")
    from repro.bench import keras_models, torch_models
    from repro.networks.krizhevsky2012 import LocalResponseNormalization

    images = 60 * np.random.default_rng(0).normal(size=(2, 3, 3, 8)).astype("float32")
    expected = LocalResponseNormalization(size=5, k=2.0, alpha=1e-4, beta=0.75)(images)
    assert not np.allclose(expected, images / 2**0.75, rtol=0.05)
    found = keras_models.ResponseNormalization()(images)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-4)
    with torch.device("meta"):
        layers = torch_models.GoogLeNet().to_4a
    one, other = (m for m in layers if isinstance(m, torch.nn.LocalResponseNorm))
    found = one(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), np.asarray(expected), rtol=1e-4)
    assert (one.size, one.alpha) == (other.size, other.alpha)


# ---------------------------------------------------------------------------- the arithmetic


def test_the_combined_rate_of_a_slow_machine():
    # T = 200 s; scoring 5 s; four passes begin and end, 1.04 s; 4 + 200/60 checkpoints, 2.2 s;
    # MLflow after each pass, 0.4 s
    rate = summary.combined_rate(1000.0, COSTS, CADENCE)
    assert rate == pytest.approx(200_000 / (200 + 5 + 1.04 + 2.2 + 0.4))


def test_the_combined_rate_of_a_fast_machine_logs_by_the_clock():
    # T = 10 s: a third of a time for MLflow, a sixth of a checkpoint beside the four
    costs = {**COSTS, "scoring": 50_000.0}
    rate = summary.combined_rate(20_000.0, costs, CADENCE)
    assert rate == pytest.approx(200_000 / (10 + 0.2 + 1.04 + (4 + 1 / 6) * 0.3 + 0.1 / 3))


def test_medians_are_those_over_the_rounds(document):
    harness = row(document, "harness")
    assert (harness["rate"], harness["low"], harness["high"]) == (900.0, 450.0, 1000.0)
    assert harness["training"] == 950.0
    assert row(document, "bare")["rate"] == 1000.0
    names = [row["name"] for row in document["networks"][0]["contenders"]]
    assert "keras-epoch" not in names, "nobody asked for it"
    assert row(document, "harness-bfloat16")["rate"] is None


def test_ratios_are_formed_within_a_round(document):
    plain = ratio(document, "harness / plain Keras fit, float32")
    assert plain["rounds"] == pytest.approx([1.5, 1.5, 2.0])
    assert plain["median"] == pytest.approx(1.5)  # that of the medians is 900 / 500 = 1.8
    assert plain["target"] == 1.5


def test_the_best_torch_is_that_of_the_round_and_of_the_precision(document):
    best = ratio(document, "harness / best PyTorch, float32")
    assert best["rounds"] == pytest.approx([900 / 750, 450 / 500, 1000 / 800])
    for end in ("float32", "bfloat16"):
        mine = next(r for r in contenders.RATIOS if r.title == f"harness / best PyTorch, {end}")
        compared = {contenders.contender(name).precision for name in (mine.above, *mine.below)}
        assert compared == {end} and len(mine.below) == 3


def test_the_harness_is_held_to_the_bare_loop_with_all_it_does(document):
    assert ratio(document, "harness / bare loop, float32")["median"] == pytest.approx(450 / 480)
    alone = ratio(document, "its training alone / bare loop, float32")
    assert alone["rounds"] == pytest.approx([0.95, 500 / 480, 1.05])
    assert alone["median"] == pytest.approx(500 / 480)


def test_the_pipeline_is_held_to_training(document):
    pipeline = ratio(document, "input pipeline / training, float32")
    assert pipeline["rounds"] == pytest.approx([10.0, 12.0, 10.0])


def test_a_ratio_of_what_was_not_asked_for_is_left_out(document):
    titles = [ratio["title"] for ratio in document["networks"][0]["ratios"]]
    assert not any("epoch" in title or "side by side" in title for title in titles)
    assert ratio(document, "harness / best PyTorch, bfloat16")["median"] is None


def test_a_round_in_which_others_took_more_than_a_tenth_of_the_cores_is_left_out():
    found = [*samples("harness", 900.0, 450.0, 1000.0), *samples("bare", 1000.0, 500.0, 1250.0)]
    found[4]["others"] = 0.21  # of two cores, while the bare loop had its second turn
    loop = ratio(summarised(found), "harness / bare loop, float32")
    assert loop["rounds"] == pytest.approx([0.9, 0.8]) and loop["disturbed"] == 1
    for sample in found[3:5]:
        sample["others"] = 1.3
    document = summarised(found)
    assert ratio(document, "harness / bare loop, float32")["disturbed"] == 2
    assert "| 0.800 |  | 1, 2 disturbed | at least 0.99 | not judged |" in bench_page.page(document)
    found[5]["others"] = 0.5
    text = bench_page.page(summarised(found))
    assert "| not judged |  | 0, 3 disturbed | at least 0.99 | not judged |" in text


@pytest.mark.parametrize(
    ("n", "ranks"),  # by the binomial distribution, as in tables of the sign test at 5 %
    [(5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (12, (3, 10)), (20, (6, 15)), (25, (8, 18))],
)
def test_the_interval_of_a_median_goes_by_ranks(n, ranks):
    values = [float(rank) for rank in range(1, n + 1)]
    assert summary.interval(values[::-1]) == (ranks or (None, None))


@pytest.mark.parametrize(
    ("figures", "reached"), [((1.0, 2.0), "open"), ((1.5, 2.0), "yes"), ((1.0, 1.4), "no")]
)
def test_the_interval_decides_whether_a_target_is_reached(figures, reached):
    rates = [600.0 * (figures[0] + (figures[1] - figures[0]) * k / 11) for k in range(12)]
    found = [*samples("harness", *rates), *samples("keras-fit", *[600.0] * 12)]
    assert f"| 12 | at least 1.5 | {reached} |" in bench_page.page(summarised(found))


def test_the_targets_are_those_that_were_set():
    every = {(r.title, r.target) for r in contenders.RATIOS if r.target is not None}
    assert every == {
        (f"{title}, {precision}", target)
        for precision in ("float32", "bfloat16")
        for title, target in (
            ("harness / bare loop", 0.99),
            ("harness / plain Keras fit", 1.5),
            ("harness / best PyTorch", 1.2),
        )
    }
    on_gpus = {r.title: r.on_gpus for r in contenders.RATIOS if r.on_gpus is not None}
    assert on_gpus == {
        "three side by side / alone, float32": 1.6,
        "three side by side / alone, bfloat16": 1.6,
    }


@pytest.mark.parametrize(("device", "target"), [("CPU", None), ("NVIDIA H100", 1.6)])
def test_three_side_by_side_have_a_target_on_gpus_alone(device, target):
    found = [*samples("harness", 100.0, device=device), *samples("harness-three", 180.0)]
    aside = ratio(summarised(found), "three side by side / alone, float32")
    assert aside["rounds"] == [1.8] and aside["target"] == target


def test_the_share_of_the_peak(document):
    # 6 x 40,551,040 = 243.3 million operations per image, 900 images/s, of 250 thousand million
    assert row(document, "harness")["share"] == pytest.approx(0.875902, rel=1e-5)
    assert row(document, "pipeline")["share"] is None
    assert "share" not in row(document, "product")


def test_the_share_of_bfloat16_is_of_the_faster_product():
    found = [*samples("harness-bfloat16", 1000.0), *samples("product", 250.0)]
    slow = summarised([*found, *samples("product-bfloat16", 50.0)])
    fast = summarised([*found, *samples("product-bfloat16", 500.0)])
    assert row(slow, "harness-bfloat16")["share"] == pytest.approx(0.973225, rel=1e-5)
    assert row(fast, "harness-bfloat16")["share"] == pytest.approx(0.486612, rel=1e-5)


def test_the_limits_of_a_network():
    # 500,000 numbers, five times 4 bytes each, are 10 MB: of 20 GB/s, 2,000 images. A network of
    # 0.1 thousand million operations: of 250, 2,500 images.
    best = {"product": 250.0, "bandwidth": 20.0}
    limit = summary.limit("float32", 100_000_000, 500_000, best)
    assert limit["bytes"] == 10_000_000
    assert (limit["by_operations"], limit["by_bytes"]) == pytest.approx((2500.0, 2000.0))
    half = summary.limit("bfloat16", 100_000_000, 500_000, {**best, "product-bfloat16": 1000.0})
    assert (half["by_operations"], half["by_bytes"]) == pytest.approx((10_000.0, 4000.0))
    unknown = summary.limit("float32", 100_000_000, None, {})
    assert (unknown["by_operations"], unknown["by_bytes"], unknown["bytes"]) == (None, None, None)


def test_the_highest_round_of_the_machine_is_its_limit(document):
    limits = document["networks"][0]["limits"]
    assert [limit["precision"] for limit in limits] == ["float32", "bfloat16"]
    assert limits[0]["by_operations"] == pytest.approx(250e9 / 243_306_240)
    assert limits[0]["by_bytes"] == pytest.approx(20e9 / 10e6)


def test_the_numbers_that_layers_give_are_counted():
    import keras

    from repro.bench import with_harness

    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(images)  # 256
    x = keras.layers.ReLU()(x)  # 256
    x = keras.layers.MaxPooling2D(2)(x)  # 64
    x = keras.layers.Dense(10)(keras.layers.Flatten()(x))  # 10, of 64
    assert with_harness.values(keras.Model(images, x)) == 256 + 256 + 64 + 64 + 10


def test_many_segments_are_joined_and_nothing_is_lost():
    segments = [[10.0, 1.0]] * 59 + [[10.0, 3.0]]
    joined = timing.joined(segments, most=30)
    assert len(joined) == 30
    assert joined[0] == [20.0, 2.0]
    assert joined[-1] == [20.0, 4.0]
    assert timing.joined([[10.0, 1.0]], most=30) == [[10.0, 1.0]]


def test_the_clock_leaves_out_what_is_skipped(monkeypatch):
    now = iter([100.0, 101.0, 105.0, 106.0, 108.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(timing, "others_seconds", lambda: None)
    clock = timing.Clock(5.0)  # made at 100, after the warm-up
    assert clock.lap(64)  # at 101: go on
    clock.skip()  # at 105
    assert not clock.lap(64)  # at 106: six seconds have passed
    assert clock.segments == [[64, 1.0], [64, 1.0]]
    assert clock.sample()["rate"] == 64.0


def test_a_segment_has_as_many_updates_as_fill_half_a_second(monkeypatch):
    now = iter([0.0, 0.04, 0.54, 2.54])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(timing, "others_seconds", lambda: None)
    clock = timing.Clock(5.0)
    assert clock.updates == 1
    clock.lap(128)  # in 0.04 seconds
    assert clock.updates == 12
    clock.lap(12 * 128, 12)  # in half a second
    assert clock.updates == 12
    clock.lap(12 * 128, 12)  # in two: three in half a second
    assert clock.updates == 3


def test_a_clock_stands_still_between_turns_and_times_each_for_itself(monkeypatch):
    now = iter([100.0, 103.0, 106.0, 500.0, 502.0, 506.0, 507.0, 509.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(timing.time, "process_time", lambda: 0.0)
    monkeypatch.setattr(timing, "others_seconds", lambda: None)
    told = io.StringIO()
    monkeypatch.setattr(timing.Clock, "turns", timing.Turns(io.StringIO("go\ngo\nend\n"), told))
    clock = timing.Clock(5.0)  # told to go at 100
    assert clock.lap(30)  # at 103
    assert clock.lap(60)  # at 106 the turn is over; told to go on at 500
    assert clock.lap(100)  # at 502
    assert not clock.lap(100)  # at 506 the turn is over, and at 507 the last was
    assert clock.since_end() == 2.0
    ready, *turns = [json.loads(line) for line in told.getvalue().splitlines()]
    assert ready == {"ready": True}
    assert [turn["turn"]["segments"] for turn in turns] == [
        [[30, 3.0], [60, 3.0]],
        [[100, 2.0], [100, 4.0]],
    ]
    assert [turn["turn"]["rate"] for turn in turns] == [15.0, 37.5]


def test_a_clock_whose_turns_are_over_before_the_first_is_interrupted(monkeypatch):
    monkeypatch.setattr(timing.Clock, "turns", timing.Turns(io.StringIO(""), io.StringIO()))
    with pytest.raises(Interrupted):
        timing.Clock(5.0)


# ---------------------------------------------------------------------------- the page


def test_the_page_says_what_was_not_run_and_why(document):
    text = bench_page.page(document)
    row = "| plain Keras, fit on arrays, float32 | 500 | 300 to 600 | images/s | 49 % | 1.90 |"
    assert row in text
    assert "| this harness, mixed_bfloat16 | not run |" in text
    assert "Not run: this harness, mixed_bfloat16 (it failed: out of memory)." in text
    assert "| harness / best PyTorch, bfloat16 | not run |  | 0 | at least 1.2 |  |" in text


def test_the_page_gives_ratios_with_their_targets(document):
    text = bench_page.page(document)
    assert "| harness / plain Keras fit, float32 | 1.500 |  | 3 | at least 1.5 | yes |" in text
    assert "| harness / bare loop, float32 | 0.938 |  | 3 | at least 0.99 | no |" in text


def test_the_page_gives_limits(document):
    text = bench_page.page(document)
    assert "| matrix product, float32 | 250 | 200 | GFLOP/s |" in text
    assert "| float32, images/s | 1,028 | 2,000 | 10,000,000 |" in text
    assert "| bfloat16, images/s | 1,028 | 4,000 | 5,000,000 |" in text


def test_the_page_has_a_section_for_each_network():
    other = {**RESNET20, "experiment": "nin-cifar10", "title": "NiN"}
    found = [*SAMPLES, *({**s, "network": "nin-cifar10"} for s in samples("bare", 77.0))]
    text = bench_page.page(summarised(found, networks=[RESNET20, other]))
    first, second = text.index("## ResNet-20\n"), text.index("## NiN\n")
    assert first < text.index("| bare Keras loop with our layers, float32 | 1,000 |") < second
    assert second < text.index("| bare Keras loop with our layers, float32 | 77.0 |")


def test_the_page_gives_the_formula_with_its_figures(document):
    text = bench_page.page(document)
    assert "rate = N / (T + E / s + p (f + l) + (p + T / 60) c + min(p, T / 30) m)" in text
    assert "ResNet-20: p = 4, N = 200,000, E = 10,000." in text
    assert "| this harness, float32 | 950 | 2,000 | 0.250 | 0.010 | 0.300 | 0.100 |" in text


def test_the_page_says_where_it_was(document):
    assert document["devices"] == ["CPU"]
    text = bench_page.page(document)
    assert "- A Processor, 2 cores; computed on CPU\n" in text
    assert "- keras 3.15.1, tensorflow 2.21.0; Keras on tensorflow\n- commit 0123456789ab" in text


def test_the_page_says_how_quiet_the_machine_was(document):
    text = bench_page.page(document)
    assert "other processes kept 0.15 cores busy" in text
    assert "(9.5 seconds from its last update to its return)" in text


@pytest.mark.parametrize(
    ("device", "names"),
    [("CPU", ("bench.json", "bench.md")), ("NVIDIA H100", ("bench-gpu.json", "bench-gpu.md"))],
)
def test_the_page_of_a_gpu_stands_beside_that_of_a_cpu(device, names, tmp_path):
    found = [{**sample, "device": device} for sample in SAMPLES]
    document = summarised(found)
    paths = bench_page.write(document, tmp_path)
    assert (
        [path.name for path in paths] == list(names) == sorted(p.name for p in tmp_path.iterdir())
    )
    again = bench_page.read(tmp_path, names[0])
    assert again == document and paths[1].read_text() == bench_page.page(again)
    assert f"Made from [{names[0]}]({names[0]})" in paths[1].read_text()
    assert bench_page.read(tmp_path / "nowhere", names[0]) is None


def test_results_has_both_pages(document, tmp_path, monkeypatch):
    """`repro results` makes both again, and keeps what it cannot read."""
    gpu = summarised([{**sample, "device": "NVIDIA H100"} for sample in SAMPLES])
    for one in (document, gpu):
        bench_page.write(one, tmp_path)
    (tmp_path / "bench.json").write_text('{"contenders": [], "ratios": []}')
    (tmp_path / "bench-gpu.md").unlink()
    before, warned = (tmp_path / "bench.md").read_text(), []
    pages = writing._pages([], [], [], ([], writing.spread.fit([])), tmp_path, warned.append)
    assert pages["bench-gpu.md"] == bench_page.page(gpu)
    assert "bench.md" not in pages and (tmp_path / "bench.md").read_text() == before
    (warning,) = warned
    assert "bench.md is left as it is: bench.json is not the document of a benchmark" in warning


@pytest.mark.parametrize(
    "foreign", [None, [], {}, {"devices": 3}, {"contenders": [], "ratios": []}]
)
def test_a_foreign_document_is_an_error_of_data(foreign):
    with pytest.raises(DataError, match=r"(bench\.json|this) is not the document of a benchmark"):
        bench_page.page(foreign)


def test_a_page_of_nothing_but_missing_contenders():
    text = bench_page.page(summarised([], {("resnet20-cifar10", "bare"): "it failed: why"}))
    assert "not run" in text and "(it failed: why)" in text
    assert bench_page.page(summarised([], networks=[]))


@pytest.mark.parametrize("names", bench_page.FILES.values(), ids=list(bench_page.FILES))
def test_the_page_in_results_is_that_of_its_figures(names):
    document, page = names
    if not (RESULTS / document).exists():
        pytest.skip("nothing was measured yet")
    measured = bench_page.read(RESULTS, document)
    if "networks" not in measured:
        pytest.skip("measured before networks had sections")
    again = bench_page.page(measured)
    assert (RESULTS / page).read_text() == again, f"results/{page} is out of date"


# ---------------------------------------------------------------------------- the processes


class Player:
    """Stands in for the process of a contender; the `failing` one does so at its second turn."""

    asked: list[str]
    failing = ""

    def __init__(self, name, *_):
        self.name, self.turns = name, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.asked.append(f"{self.name} is gone")

    def warm_up(self):
        self.asked.append(f"{self.name} warms up")

    def turn(self):
        self.begin_turn()
        return self.end_turn()

    def begin_turn(self):
        self.turns += 1
        self.asked.append(self.name)

    def end_turn(self):
        if self.name == self.failing and self.turns == 2:
            raise RunError("it failed: out of memory")
        done = 100.0 * self.turns
        sample = samples(self.name, done, segments=[[done, 1.0]])[0]
        return {key: sample[key] for key in sample.keys() - {"contender", "round", "network"}}

    def end(self):
        self.ask_what_it_knows()
        return self.what_it_knows()

    def ask_what_it_knows(self):
        self.asked.append(f"{self.name} ends")

    def what_it_knows(self):
        return {"device": "CPU"}


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    Player.asked = []
    monkeypatch.setattr(rounds, "Player", Player)
    monkeypatch.setattr(rounds, "missing", lambda package: "")
    return Player.asked


RESNET = contenders.network("resnet20-cifar10")


def group(*names: str, rounds: int = 3) -> contenders.Group:
    return contenders.Group(RESNET, tuple(map(contenders.contender, names)), rounds)


def test_every_second_round_has_the_opposite_order_and_a_failure_stops_no_other(asked, monkeypatch):
    monkeypatch.setattr(Player, "failing", "bare")
    progress = []
    names = ["harness", "bare", "torch"]
    found, not_run = rounds.run([group(*names)], 1.0, progress=lambda *so: progress.append(so))
    assert asked[:3] == [f"{name} warms up" for name in names]
    failed = ["bare", "bare is gone"]
    assert asked[3:12] == [*names, "torch", *failed, "harness", "harness", "torch"]
    assert asked[12:14] == ["harness ends", "torch ends"]
    assert {"harness is gone", "bare is gone", "torch is gone"} == set(asked[14:])
    told = [(s["network"], s["contender"], s["round"], s["rate"]) for s in found]
    assert told == [
        ("resnet20-cifar10", "harness", 1, 100.0),
        ("resnet20-cifar10", "torch", 1, 100.0),
        ("resnet20-cifar10", "torch", 2, 200.0),
        ("resnet20-cifar10", "harness", 2, 200.0),
        ("resnet20-cifar10", "harness", 3, 300.0),
        ("resnet20-cifar10", "torch", 3, 300.0),
    ]
    assert not_run == {("resnet20-cifar10", "bare"): "it failed: out of memory"}
    assert progress[0] == (0, 9) and all(total == 9 for _, total in progress)


def test_one_group_is_gone_before_the_next_begins(asked):
    machine = contenders.Group(None, (contenders.contender("product"),), 1)
    found, _ = rounds.run([machine, group("harness", rounds=1)], 1.0)
    assert asked.index("product is gone") < asked.index("harness warms up")
    assert [sample["network"] for sample in found] == [None, "resnet20-cifar10"]


def test_the_contenders_of_a_precision_are_a_group():
    usual = [c for c in contenders.CONTENDERS if "CPU" in c.usual]
    nin = contenders.network("nin-cifar10")
    machine, *trained, again = contenders.groups([RESNET, nin], usual, 6)
    assert machine.network is None and machine.rounds == 2 and again == machine
    assert [c.name for c in machine.contenders] == list(OF_MACHINE)
    plain = ["harness", "keras-fit", "bare", "torch", "torch-channels-last"]
    names = [[c.name.replace("-bfloat16", "") for c in made.contenders] for made in trained]
    assert names[2:] == [plain, plain]
    assert set(names[0]) == {*plain, "harness-three", "pipeline"}
    assert set(names[1]) == {*plain, "harness-three"}
    assert [made.network for made in trained] == [RESNET, RESNET, nin, nin]
    assert all(made.rounds == 6 for made in trained)
    for made in trained:
        assert len({c.precision for c in made.contenders}) == 1
    assert sum(c.copies for c in trained[2].contenders) <= 6
    only = contenders.groups([nin], [contenders.contender("pipeline")], 6)
    assert only == [], "the pipeline is timed on ResNet-20"


def test_copies_have_their_turn_at_the_same_time(asked):
    found, not_run = rounds.run([group("harness-three", rounds=2)], 1.0)
    assert not not_run
    assert asked[:3] == ["harness-three warms up"] * 3
    assert asked[3:9] == ["harness-three"] * 6
    assert [(s["rate"], s["rates"]) for s in found] == [
        (300.0, [100.0] * 3),
        (600.0, [200.0] * 3),
    ]


def test_a_copy_that_fails_takes_the_others_with_it(asked, monkeypatch):
    monkeypatch.setattr(Player, "failing", "harness-three")
    names = ("harness-three", "harness")
    _, not_run = rounds.run([group(*names, rounds=2)], 1.0)
    assert set(not_run) == {("resnet20-cifar10", "harness-three")}
    gone = asked.index("harness-three is gone")
    assert asked[gone : gone + 3] == ["harness-three is gone"] * 3
    assert "harness ends" in asked[gone:], "at once, not at the end"


def test_on_a_gpu_one_warms_up_after_the_other(monkeypatch):
    """Libraries choose their algorithms by timing them."""
    order = []

    class Noted(Player):
        asked: ClassVar[list] = []

        def __init__(self, name, *_):
            super().__init__(name)
            order.append(f"{name} starts")

        def warm_up(self):
            order.append(f"{self.name} warms up")

    monkeypatch.setattr(rounds, "Player", Noted)
    monkeypatch.setattr(rounds, "missing", lambda package: "")
    for gpu in (True, False):
        order.clear()
        monkeypatch.setattr(rounds, "has_gpu", lambda gpu=gpu: gpu)
        rounds.run([group("harness", "bare", rounds=1)], 1.0)
        assert (order[1] == "harness warms up") == gpu
        assert sorted(order) == sorted(
            f"{name} {does}" for name in ("harness", "bare") for does in ("starts", "warms up")
        )


def test_rates_of_copies_are_added_up_and_none_is_a_stranger_to_another():
    turns = samples("harness-three", 100.0, 200.0, 250.0, processor=0.004, others=1.4)
    for turn, segments in zip(turns, ([[50, 0.5]], [[200, 1.0]], [[250, 1.0]]), strict=True):
        turn["segments"] = segments
    one = rounds.together(turns)
    assert one["rate"] == 550.0 and one["rates"] == [100.0, 200.0, 250.0]
    assert one["processor"] == pytest.approx(0.004)
    # the second keeps 200 x 0.004 = 0.8 cores busy, the third 1.0: more than the first saw of them
    assert one["others"] == 0.0
    turns[0]["others"] = 1.9
    assert rounds.together(turns)["others"] == pytest.approx(0.1)
    turns[0]["others"] = None
    assert rounds.together(turns)["others"] is None
    # in its last segment one may be alone
    turns[1]["segments"] = [[200, 1.0], [900, 1.0]]
    assert rounds.together(turns)["rates"] == [100.0, 200.0, 250.0]


def test_the_figure_of_the_harness_is_what_its_costs_leave_of_its_training():
    turn, known = samples("harness", 1000.0)[0], {"costs": COSTS, "cadence": CADENCE}
    made = rounds.with_costs(turn, known)
    expected = 200_000 / (200 + 5 + 1.04 + 2.2 + 0.4)
    assert made["training"] == 1000.0
    assert made["rate"] == pytest.approx(expected)
    assert rounds.with_costs(turn, {"end_seconds": 2.0}) == {**turn, "end_seconds": 2.0}
    three = rounds.with_costs({**turn, "rate": 3000.0, "copies": 3}, known)
    assert three["training"] == 3000.0
    assert three["rate"] == pytest.approx(3 * expected), "each of the three has them"


def test_a_process_that_fails_is_heard(tmp_path, monkeypatch):
    """Its last words say why; without any, its exit code. Where memory ran out, it says that."""
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    for program, said in (
        (
            "print('error: mnist is missing', file=__import__('sys').stderr)",
            "it failed: mnist is m",
        ),
        ("raise SystemExit(3)", "it failed: ended with exit code 3"),
        ("raise MemoryError('Out of memory')", "memory ran out: MemoryError: Out of memory"),
        ("raise RuntimeError('can\\'t allocate memory')", "memory ran out: RuntimeError"),
        (killed, "memory ran out: it was killed"),
    ):
        monkeypatch.setattr(rounds, "PROGRAM", program)
        with rounds.Player("product", None, 1.0, str(tmp_path)) as player:
            with pytest.raises(RunError, match=f"^{said}"):
                player.warm_up()
            with pytest.raises(RunError, match=f"^{said}"):
                player.turn()


@pytest.mark.parametrize("name", ["bench.json", "bench.md", "bench-gpu.json", "bench-gpu.md"])
def test_a_benchmark_does_not_replace_somebody_s_file(name, monkeypatch, tmp_path, capsys):
    """Before it measures, not after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rounds, "run", lambda *how: pytest.fail("it measured"))
    path = tmp_path / "results" / name
    path.parent.mkdir()
    path.write_text("{}")
    assert command.main([]) == 2
    assert f"results/{name} was not made by" in capsys.readouterr().err
    assert path.read_text() == "{}" and len(list(path.parent.iterdir())) == 1


def test_a_package_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(rounds.importlib.util, "find_spec", lambda name: None)
    said = []
    found, not_run = rounds.run([group("torch")], 1.0, said.append)
    assert found == []
    reason = "torch is not installed; do: pip install torch"
    assert not_run == {("resnet20-cifar10", "torch"): reason}
    assert said == [f"ResNet-20: PyTorch, float32: not run, {reason}"]


@pytest.mark.parametrize(
    ("there", "asked_for", "backend"),
    [
        (("tensorflow", "jax"), None, "tensorflow"),
        (("jax", "torch"), None, "jax"),
        (("tensorflow", "jax"), "jax", "jax"),
        (("torch",), None, None),
    ],
)
def test_keras_is_timed_on_the_backend_that_is_there(there, asked_for, backend, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if asked_for:
        monkeypatch.setenv("KERAS_BACKEND", asked_for)
    monkeypatch.setattr(place.backends, "installed", lambda package: package in there)
    assert place.backend() == backend
    if backend is None:
        monkeypatch.setattr(rounds.importlib.util, "find_spec", lambda name: name in there or None)
        said = "tensorflow or jax is not installed; do: pip install tensorflow"
        assert rounds.missing("keras") == said


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(UsageError, match="unknown KERAS_BACKEND 'torch'"):
        place.backend()


def test_what_runs_on_any_backend_imports_none(tmp_path):
    """Without TensorFlow the harness and plain Keras are timed on JAX."""
    program = (
        "import sys; sys.modules['tensorflow'] = sys.modules['torch'] = None\n"
        "from repro.bench import command, contenders, place, rounds, subject, summary"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    source = Path(rounds.__file__).parent
    for neutral in ("with_harness", "with_keras", "subject"):
        lines = (source / f"{neutral}.py").read_text().splitlines()
        assert not [line for line in lines if "import tensorflow" in line or "import jax" in line]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "--seconds 0: accepted is a number from 0.1 to 3600"),
        (["--seconds", "nan"], "--seconds nan: accepted is a number from 0.1 to 3600"),
        (["--rounds", "1.5"], "--rounds 1.5: accepted is a whole number from 1 to 100"),
        (["--rounds"], "Option '--rounds' requires an argument."),
        (["--contenders", "torhc"], "unknown contender 'torhc' (did you mean torch?)"),
        (["--second", "3"], "No such option: --second (Possible options: --json, --rounds, --sec"),
        (
            ["--rounds", "9" * 400],
            "--rounds 99999999999999999...: accepted is a whole number from 1 to 100",
        ),
        (
            ["resnet20"],
            "unknown network 'resnet20' (did you mean resnet20-cifar10?); accepted: res",
        ),
    ],
)
def test_a_bad_argument_is_one_line(arguments, message, capsys):
    assert command.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_few_rounds_or_contenders_leave_results_alone(asked, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_prepare", lambda networks: None)
    assert command.main(["--rounds", "2", "--contenders", "harness,product"]) == 0
    assert command.main(["--rounds", "5"]) == 0
    assert command.main(["--seconds", "3"]) == 0
    assert command.main(["--contenders", "product,pipeline"]) == 0
    assert command.main(["nin-cifar10"]) == 0
    assert not (tmp_path / "results").exists()
    out = capsys.readouterr().out
    assert "matrix product, float32" in out and "three runs side by side" in out

    def run(reason, device="CPU"):
        found = [{**sample, "device": device} for sample in samples("product", 1.0)]
        not_run = {("resnet20-cifar10", "bare"): reason} if reason else {}
        monkeypatch.setattr(rounds, "run", lambda *how: (found, not_run))

    run("it failed")
    assert command.main([]) == 4
    run("torch is not installed")
    assert command.main([]) == 0
    assert not (tmp_path / "results").exists()
    run("memory ran out: it was killed")
    assert command.main([]) == 0
    assert (tmp_path / "results" / "bench.json").exists()
    (tmp_path / "results" / "bench.json").unlink()
    monkeypatch.setattr(command, "has_gpu", lambda: True)
    run("")
    assert command.main(["resnet20-cifar10"]) == 0
    assert not (tmp_path / "results" / "bench.json").exists(), "some networks, on a CPU after all"
    run("", "NVIDIA H100")
    assert command.main(["resnet20-cifar10"]) == 0
    assert (tmp_path / "results" / "bench-gpu.json").exists()


@pytest.mark.parametrize(
    ("arguments", "timed"),
    [
        ([], ALL),
        (["nin-cifar10"], ["nin-cifar10"]),
        (["googlenet-imagenette", "resnet20-cifar10"], [ALL[0], ALL[4]]),
        (["--contenders", "pipeline"], ["resnet20-cifar10"]),
        (["--contenders", "product"], []),
    ],
)
def test_networks_are_named(arguments, timed, asked, monkeypatch, capsys):
    prepared = []
    monkeypatch.setattr(command, "_prepare", prepared.extend)
    assert command.main([*arguments, "--rounds", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [network["experiment"] for network in document["networks"]] == timed
    assert [network.experiment for network in prepared] == timed


def test_torch_compiles_on_gpus(asked, monkeypatch, capsys):
    monkeypatch.setattr(command, "_prepare", lambda networks: None)
    for gpu in (False, True):
        monkeypatch.setattr(command, "has_gpu", lambda gpu=gpu: gpu)
        assert command.main(["nin-cifar10", "--rounds", "1"]) == 0
        assert ("torch.compile" in capsys.readouterr().out) == gpu


def test_from_the_command_to_the_page(tmp_path):
    """The cheapest contender, in a process of its own, as `make bench` runs it."""
    arguments = ["--contenders", "product", "--rounds", "2", "--seconds", "0.2"]
    done = subprocess.run(
        [sys.executable, "-m", "repro.bench", *arguments, "--json", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    product = row(document, "product")
    assert product["rate"] > 0
    assert [sample["round"] for sample in product["samples"]] == [1, 2]
    assert all(sample["device"] == "CPU" for sample in product["samples"])
    assert all(sample["processor"] > 0 for sample in product["samples"])
    assert json.loads((tmp_path / "bench.json").read_text()) == document
    assert (tmp_path / "bench.md").read_text() == bench_page.page(document)
    assert document["networks"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "function", "package"),
    [
        ("with_keras", "fit", "tensorflow"),
        ("with_tensorflow", "bare", "tensorflow"),
        ("with_torch", "train", "torch"),
    ],
)
def test_those_that_train_on_arrays_train(module, function, package, monkeypatch):
    """On eight batches of noise, for as long as a turn is."""
    pytest.importorskip(package)
    noise = np.random.default_rng(1).normal(size=(1024, 32, 32, 3)).astype("float32")
    labels = np.arange(1024, dtype="int32") % 10
    monkeypatch.setattr(subject, "arrays", lambda network: (noise, labels))
    work = getattr(import_module(f"repro.bench.{module}"), function)
    sample = work(0.1, RESNET, precision="float32")
    assert sample["rate"] > 0 and sample["device"] == "CPU"
    assert all(amount % 128 == 0 and amount for amount, _ in sample["segments"])


def test_the_harness_is_timed_in_a_training_that_it_stops(tmp_path, monkeypatch):
    """On the digits that come with scikit-learn, whose recipe is an image per update."""
    from repro import catalog
    from repro.bench import with_harness
    from repro.training import stop, training

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    digits, asked = catalog.experiment("lenet5-digits"), stop.Stop()
    watch = with_harness.Watch(0.1, digits.recipe.batch)
    request = with_harness.request(digits, "float32")
    trained = training.Training(digits, request, [watch.see], asked)
    sample = with_harness.watched(trained, watch, asked)
    assert sample["costs"].keys() == COSTS.keys()
    assert all(cost > 0 for cost in sample["costs"].values())
    # a pass is 1,437 images, one an update; its first call of the compiled loop is not timed
    amounts = [amount for amount, _ in sample["segments"]]
    assert all(amount >= 1 for amount in amounts) and sum(amounts) < 1437
    assert sample["rate"] > 0 and sample["cadence"].keys() == CADENCE.keys()
    assert sample["device"] == "CPU"
    assert not (tmp_path / "runs").exists()
    assert not list(tmp_path.glob("**/metrics.jsonl")), "the run directory was left behind"


def test_a_pass_of_one_call_is_timed_from_the_call_on(monkeypatch):
    """On a GPU a call may be as long as a pass. What lies between two passes is a cost of one."""
    from repro.bench import with_harness

    now = iter([0.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(timing, "others_seconds", lambda: None)
    calls = []
    trained = SimpleNamespace(
        trainee=SimpleNamespace(loop=lambda *chunk: calls.append(chunk)),
        keeper=SimpleNamespace(save=lambda: None),
    )
    watch = with_harness.Watch(60.0, 128)
    watch.attend(trained)
    for update in (391, 782, 1173):
        trained.trainee.loop("images", "labels", 0.0)
        watch.see({"event": "progress", "update": update})
        watch.see({"event": "pass"})
    assert len(calls) == 3
    assert watch.clock.segments == [[391 * 128, 2.0], [391 * 128, 3.0]]


def test_a_checkpoint_is_in_no_segment(monkeypatch):
    from repro.bench import with_harness

    now = iter([0.0, 4.0, 5.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(timing, "others_seconds", lambda: None)
    trained = SimpleNamespace(
        trainee=SimpleNamespace(loop=lambda *chunk: None),
        keeper=SimpleNamespace(save=lambda unless_within=0.0: None),
    )
    watch = with_harness.Watch(60.0, 128)
    watch.attend(trained)
    trained.trainee.loop("images", "labels")
    watch.see({"event": "progress", "update": 5})  # the clock is made at 0
    trained.keeper.save(unless_within=60.0)  # until 4
    trained.trainee.loop("images", "labels")
    watch.see({"event": "progress", "update": 10})  # at 5
    assert watch.clock.segments == [[5 * 128, 1.0]]


def test_facts_name_the_place():
    facts = place.facts([RESNET], rounds=3, seconds=20.0)
    assert facts.keys() - {"commit_unknown"} == FACTS.keys()
    (resnet,) = facts["networks"]
    assert resnet == RESNET20  # once in four passes over 50,000 images, 10,000 are scored
