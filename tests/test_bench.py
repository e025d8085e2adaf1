"""The benchmark: its arithmetic and its page. What it measures is no test's business."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from repro.bench import command, contenders, place, rounds, summary, timing
from repro.errors import Interrupted, RunError
from repro.report import bench_page

RESULTS = Path(__file__).parents[1] / "results"

CADENCE = {
    "passes": 4,
    "train_examples": 50_000,
    "test_examples": 10_000,
    "checkpoint_seconds": 60.0,
    "tracking_seconds": 30.0,
}
COSTS = {"scoring": 2000.0, "first_chunk": 0.25, "line": 0.01, "checkpoint": 0.3, "tracking": 0.1}
FACTS = {
    "date": "2026-11-21T10:00:00+00:00",
    "commit": "0123456789abcdef",
    "dirty": False,
    "machine": {"processor": "A Processor", "cores": 2},
    "versions": {"keras": "3.15.1", "tensorflow": "2.21.0"},
    "experiment": "resnet20-cifar10",
    "batch": 128,
    "parameters": 269_722,
    "multiply_adds": 40_551_040,
    "rounds": 3,
    "seconds": 20.0,
    "cadence": CADENCE,
}


def samples(contender: str, *rates: float, **facts) -> list[dict]:
    """One made-up sample for each round."""
    common = {"contender": contender, "segments": [[128, 1.0]], "load": 1.5, "others": 0.15}
    common |= {"device": "CPU", "processor": 0.0019}
    rounds = enumerate(rates, start=1)
    return [{**common, "round": number, "rate": rate, **facts} for number, rate in rounds]


HARNESS = [
    {**sample, "training": training}
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
    *samples("pipeline", 9500.0, 6000.0, 10500.0),
    *samples("product", 250.0, 300.0, 200.0),
]
NOT_RUN = {"torch-bfloat16": "it failed: out of memory"}


@pytest.fixture(scope="module")
def document() -> dict:
    return summary.summarise(FACTS, SAMPLES, NOT_RUN)


def row(document: dict, name: str) -> dict:
    return next(row for row in document["contenders"] if row["name"] == name)


def ratio(document: dict, title: str) -> dict:
    return next(ratio for ratio in document["ratios"] if ratio["title"] == title)


# ---------------------------------------------------------------------------- the networks


def test_the_torch_network_has_the_parameters_and_multiply_adds_of_the_paper():
    torch = pytest.importorskip("torch")
    from repro.bench import with_torch

    network = with_torch.ResNet20()
    assert sum(p.numel() for p in network.parameters()) == 269_722
    counted = []

    def count(module, inputs, output):
        positions = output[0, 0].numel() if output.ndim == 4 else 1
        counted.append(positions * module.weight.numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert len(counted) == 20  # 19 convolutions and a full layer
    assert sum(counted) == 40_551_040


def test_the_stock_keras_network_has_the_parameters_of_the_paper():
    import keras

    from repro.bench import with_keras

    network = with_keras.stock()
    assert network.output_shape == (None, 10)
    assert sum(w.shape.num_elements() for w in network.trainable_weights) == 269_722
    normalisations = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {type(layer) for layer in normalisations} == {keras.layers.BatchNormalization}
    assert len(normalisations) == 19
    # weight decay 1e-4 is half of it times the sum of squares
    decayed = [layer for layer in network.layers if getattr(layer, "kernel_regularizer", None)]
    assert len(decayed) == 20
    assert {float(layer.kernel_regularizer.l2) for layer in decayed} == {5e-5}


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
    assert row(document, "keras-epoch")["rate"] is None


def test_ratios_are_formed_within_a_round(document):
    plain = ratio(document, "harness float32 / plain Keras fit")
    assert plain["rounds"] == pytest.approx([1.5, 1.5, 2.0])
    assert plain["median"] == pytest.approx(1.5)  # that of the medians is 900 / 500 = 1.8
    assert plain["target"] == 1.5


def test_the_best_torch_is_that_of_the_round(document):
    best = ratio(document, "harness float32 / best PyTorch")
    assert best["rounds"] == pytest.approx([900 / 750, 450 / 500, 1000 / 800])


def test_the_harness_is_held_to_the_bare_loop_with_all_it_does(document):
    assert ratio(document, "harness float32 / bare loop")["median"] == pytest.approx(450 / 480)
    alone = ratio(document, "its training alone / bare loop")
    assert alone["rounds"] == pytest.approx([0.95, 500 / 480, 1.05])
    assert alone["median"] == pytest.approx(500 / 480)


def test_the_pipeline_is_held_to_training(document):
    pipeline = ratio(document, "input pipeline / training, float32")
    assert pipeline["rounds"] == pytest.approx([10.0, 12.0, 10.0])


def test_a_round_in_which_others_took_more_than_a_tenth_of_the_cores_is_left_out():
    found = [*samples("harness", 900.0, 450.0, 1000.0), *samples("bare", 1000.0, 500.0, 1250.0)]
    found[4]["others"] = 0.21  # of two cores, while the bare loop had its second turn
    loop = ratio(summary.summarise(FACTS, found, {}), "harness float32 / bare loop")
    assert loop["rounds"] == pytest.approx([0.9, 0.8]) and loop["disturbed"] == 1
    for sample in found[3:5]:
        sample["others"] = 1.3
    document = summary.summarise(FACTS, found, {})
    assert ratio(document, "harness float32 / bare loop")["disturbed"] == 2
    assert "| 0.800 |  | 1, 2 disturbed | at least 0.97 | not judged |" in bench_page.page(document)
    found[5]["others"] = 0.5
    text = bench_page.page(summary.summarise(FACTS, found, {}))
    assert "| not judged |  | 0, 3 disturbed | at least 0.97 | not judged |" in text


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
    assert f"| 12 | at least 1.5 | {reached} |" in bench_page.page(
        summary.summarise(FACTS, found, {})
    )


def test_the_targets_are_those_that_were_set():
    targets = {r.title: r.target for r in contenders.RATIOS if r.target is not None}
    assert targets == {
        "harness float32 / plain Keras fit": 1.5,
        "harness float32 / best PyTorch": 1.1,
        "harness mixed_bfloat16 / best PyTorch": 1.6,
        "harness float32 / bare loop": 0.97,
        "input pipeline / training, float32": 10,
    }


def test_the_share_of_the_peak(document):
    # 6 x 40,551,040 = 243.3 million operations per image, 900 images/s, of 250 thousand million
    assert row(document, "harness")["share"] == pytest.approx(0.875902, rel=1e-5)
    assert row(document, "pipeline")["share"] is None
    assert row(document, "product")["share"] is None


def test_the_share_of_bfloat16_is_of_the_faster_product():
    found = [*samples("harness-bfloat16", 1000.0), *samples("product", 250.0)]
    slow = summary.summarise(FACTS, [*found, *samples("product-bfloat16", 50.0)], {})
    fast = summary.summarise(FACTS, [*found, *samples("product-bfloat16", 500.0)], {})
    assert row(slow, "harness-bfloat16")["share"] == pytest.approx(0.973225, rel=1e-5)
    assert row(fast, "harness-bfloat16")["share"] == pytest.approx(0.486612, rel=1e-5)


def test_many_segments_are_joined_and_nothing_is_lost():
    segments = [[10.0, 1.0]] * 59 + [[10.0, 3.0]]
    joined = timing.joined(segments, most=30)
    assert len(joined) == 30
    assert joined[0] == [20.0, 2.0]
    assert joined[-1] == [20.0, 4.0]
    assert timing.joined([[10.0, 1.0]], most=30) == [[10.0, 1.0]]


def test_the_clock_leaves_out_what_is_skipped(monkeypatch):
    now = iter([0.0, 100.0, 101.0, 105.0, 106.0, 108.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(timing, "others_seconds", lambda: None)
    clock = timing.Clock(5.0)  # made at 0
    clock.start()  # at 100, after the warm-up
    assert clock.lap(64)  # at 101: go on
    clock.skip()  # at 105
    assert not clock.lap(64)  # at 106: six seconds have passed
    assert clock.segments == [[64, 1.0], [64, 1.0]]
    assert clock.sample()["rate"] == 64.0


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
    assert "Not run: PyTorch, bfloat16 (it failed: out of memory)." in text
    assert "| harness mixed_bfloat16 / best PyTorch | not run |  | 0 | at least 1.6 |  |" in text


def test_the_page_gives_ratios_with_their_targets(document):
    text = bench_page.page(document)
    assert "| harness float32 / plain Keras fit | 1.500 |  | 3 | at least 1.5 | yes |" in text
    assert "| harness float32 / bare loop | 0.938 |  | 3 | at least 0.97 | no |" in text


def test_the_page_gives_the_formula_with_its_figures(document):
    text = bench_page.page(document)
    assert (
        "rate = 200,000 / (T + 10,000 / s + 4 (f + l) + (4 + T / 60) c + min(4, T / 30) m)" in text
    )
    assert "| this harness, float32 | 950 | 2,000 | 0.250 | 0.010 | 0.300 | 0.100 |" in text


def test_the_page_says_where_it_was(document):
    assert document["devices"] == ["CPU"]
    assert "- A Processor, 2 cores; computed on CPU\n" in bench_page.page(document)
    assert "- commit 0123456789ab, 2026-11-21" in bench_page.page(document)


def test_the_page_says_how_quiet_the_machine_was(document):
    text = bench_page.page(document)
    assert "other processes kept 0.15 cores busy" in text
    assert "(9.5 seconds from its last update to its return)" in text


def test_the_page_survives_the_file(document, tmp_path):
    bench_page.write(document, tmp_path)
    assert (tmp_path / "bench.md").read_text() == bench_page.page(bench_page.read(tmp_path))
    assert bench_page.read(tmp_path / "nowhere") is None


def test_a_page_of_nothing_but_missing_contenders():
    assert "not run" in bench_page.page(summary.summarise(FACTS, [], {}))


@pytest.mark.skipif(not (RESULTS / "bench.json").exists(), reason="nothing was measured yet")
def test_the_page_in_results_is_that_of_its_figures():
    again = bench_page.page(bench_page.read(RESULTS))
    assert (RESULTS / "bench.md").read_text() == again, "results/bench.md is out of date"


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
        self.turns += 1
        self.asked.append(self.name)
        if self.name == self.failing and self.turns == 2:
            raise RunError("it failed: out of memory")
        sample = samples(self.name, 100.0 * self.turns)[0]
        return {key: sample[key] for key in sample.keys() - {"contender", "round"}}

    def end(self):
        return {"device": "CPU"}


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    Player.asked = []
    monkeypatch.setattr(rounds, "Player", Player)
    return Player.asked


def test_every_second_round_has_the_opposite_order_and_a_failure_stops_no_other(asked, monkeypatch):
    monkeypatch.setattr(Player, "failing", "bare")
    chosen = [c for c in contenders.CONTENDERS if c.name in ("harness", "bare", "product")]
    found, not_run = rounds.run(chosen, 3, 1.0)
    names = ["harness", "bare", "product"]
    assert asked[:3] == [f"{name} warms up" for name in names]
    assert asked[3:-3] == [*names, "product", "bare", "harness", "harness", "product"]
    assert {"harness is gone", "bare is gone", "product is gone"} == set(asked[-3:])
    told = [(s["contender"], s["round"], s["rate"]) for s in found]
    assert told == [
        ("harness", 1, 100.0),
        ("product", 1, 100.0),
        ("product", 2, 200.0),
        ("harness", 2, 200.0),
        ("harness", 3, 300.0),
        ("product", 3, 300.0),
    ]
    assert not_run == {"bare": "it failed: out of memory"}


def test_the_figure_of_the_harness_is_what_its_costs_leave_of_its_training():
    turn = samples("harness", 1000.0)[0]
    made = rounds.with_costs(turn, {"costs": COSTS, "cadence": CADENCE})
    assert made["training"] == 1000.0
    assert made["rate"] == pytest.approx(200_000 / (200 + 5 + 1.04 + 2.2 + 0.4))
    assert rounds.with_costs(turn, {"end_seconds": 2.0}) == {**turn, "end_seconds": 2.0}


def test_a_process_that_fails_is_heard(tmp_path, monkeypatch):
    """Its last words say why; without any, its exit code."""
    for program, said in (
        ("print('error: mnist is missing', file=__import__('sys').stderr)", "mnist is missing"),
        ("raise SystemExit(3)", "ended with exit code 3"),
    ):
        monkeypatch.setattr(rounds, "PROGRAM", program)
        with rounds.Player("product", 1.0, str(tmp_path)) as player:
            with pytest.raises(RunError, match=f"^it failed: {said}$"):
                player.warm_up()
            with pytest.raises(RunError, match=f"^it failed: {said}$"):
                player.turn()


@pytest.mark.parametrize("name", ["bench.json", "bench.md"])
def test_a_benchmark_does_not_replace_somebody_s_file(name, monkeypatch, tmp_path, capsys):
    """Before it measures for twenty minutes, not after."""
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
    found, not_run = rounds.run(
        [c for c in contenders.CONTENDERS if c.name == "torch"], 1, 1.0, said.append
    )
    assert found == []
    assert not_run == {"torch": "torch is not installed; do: pip install torch"}
    assert said == ["PyTorch, float32: not run, torch is not installed; do: pip install torch"]


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
        (["more"], "Got unexpected extra argument(s) (more)"),
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
    monkeypatch.setattr(command, "_prepare", lambda: None)
    assert command.main(["--rounds", "2", "--contenders", "harness,product"]) == 0
    assert command.main(["--rounds", "11"]) == 0
    assert command.main(["--seconds", "4"]) == 0
    assert command.main(["--contenders", "product,pipeline"]) == 0
    assert not (tmp_path / "results").exists()
    assert "matrix product, float32" in capsys.readouterr().out
    monkeypatch.setattr(
        rounds, "run", lambda *how: (samples("product", 1.0), {"bare": "it failed"})
    )
    assert command.main([]) == 4
    assert not (tmp_path / "results").exists()


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
    assert document["cadence"] == CADENCE


def test_the_harness_is_timed_in_a_training_that_it_stops(tmp_path, monkeypatch):
    """On the digits that come with scikit-learn, whose recipe is an image per update."""
    from repro.bench import with_keras

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    sample = with_keras.harness(0.1, "float32", experiment="lenet5-digits")
    assert sample["costs"].keys() == COSTS.keys()
    assert all(cost > 0 for cost in sample["costs"].values())
    # a pass is 1,437 images, one an update; its first call of the compiled loop is not timed
    amounts = [amount for amount, _ in sample["segments"]]
    assert all(amount >= 1 for amount in amounts) and sum(amounts) < 1437
    assert sample["rate"] > 0 and sample["cadence"].keys() == CADENCE.keys()
    assert not (tmp_path / "runs").exists()
    assert not list(tmp_path.glob("**/metrics.jsonl")), "the run directory was left behind"


def test_facts_name_the_place():
    facts = place.facts(rounds=3, seconds=20.0)
    assert facts.keys() == FACTS.keys()
    assert facts["cadence"] == CADENCE  # once in four passes over 50,000 images, 10,000 are scored
