"""One run from start to end: its files, its metrics, its parity over devices, its stops."""

import dataclasses
import json
import socket

import numpy as np
import pytest

from repro import catalog, spec
from repro.data import datasets, preprocessing
from repro.data.preprocessing import Contrast, Enlarge, PadTo
from repro.errors import Interrupted, RunError, UsageError
from repro.networks.losses import AuxiliaryCrossEntropy
from repro.records import tracking
from repro.records.journal import Journal
from repro.training import checkpoint, evaluation, runner, schedule, training

SPOKEN_OF_TIME = {"seconds", "images_per_second"}


@pytest.fixture
def untracked(monkeypatch):
    """Runs that do not write to MLflow: tests/test_tracking.py is about that."""
    monkeypatch.setattr(training.Training, "_track", lambda self: None)


def digits(scale="smoke", **options):
    return runner.run(catalog.experiment("lenet5-digits"), scale=scale, **options)


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """One seed of lenet5-digits at short scale."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Training, "_track", lambda self: None)
        return digits("short", seed=0, out=tmp_path_factory.mktemp("runs"))


def error(outcome: dict) -> float:
    return outcome["metrics"]["single-view"]["test_error"]


def test_a_run_leaves_the_files_of_the_contract(short_run):
    journal = Journal.open(short_run["run_dir"])
    run, passes, result = journal.run(), journal.passes(), journal.result()
    assert run["experiment"] == "lenet5-digits"
    assert run["data"]["train_examples"] == 1437
    assert run["resolved"]["recipe"]["optimizer"]["mu"] == 0.02
    # 20 passes of half of 1,437 examples, one update each
    assert [p["pass"] for p in passes] == list(range(1, 21))
    assert passes[-1]["update"] == result["updates"] == round(20 * 1437 / 2)
    metrics = result["metrics"]["single-view"]
    assert metrics["test_count"] == 360
    assert metrics["training_count"] == 1437
    assert metrics["test_error"] == pytest.approx(100 * metrics["test_wrong"] / 360)
    assert metrics["test_error"] == passes[-1]["test_error"]
    assert len(list(journal.checkpoints.glob("*.ckpt"))) == 2
    assert (journal.figures / "filters.svg").exists()
    assert (journal.figures / "curves.svg").exists()


def test_the_eta_of_each_pass_caps_its_rates(short_run):
    """A rate is eta / (mu + h) with h >= 0: at most eta / 0.02 of the schedule of the paper."""
    etas = [5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8
    for line, eta in zip(Journal.open(short_run["run_dir"]).passes(), etas, strict=True):
        assert 0 < line["rate_min"] < line["rate_max"] <= eta / 0.02 * (1 + 1e-6)
        assert line["rate_max"] > 0.5 * eta / 0.02


def test_short_scale_stays_in_its_band(short_run):
    bands = [b for b in catalog.experiment("lenet5-digits").bands if b.scale == "short"]
    assert bands
    for band in bands:
        value = short_run["metrics"][band.protocol][band.metric]
        assert band.low <= value <= band.high, band


@pytest.mark.parametrize(
    "broken",
    [
        "network.penalty_scale=1.0",  # the plain sums of equation 7 saturate the network
        "recipe.optimizer.mu=20.0",  # rates a thousand times too small
    ],
)
def test_a_recipe_broken_on_purpose_leaves_the_band(broken, tmp_path, untracked):
    outcome = digits("short", overrides=[broken], out=tmp_path)
    band = next(b for b in catalog.experiment("lenet5-digits").bands if b.metric == "test_error")
    assert error(outcome) > band.high


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path, untracked):
    states = []
    for seed in (0, 0, 1):
        journal = Journal.open(digits(seed=seed, out=tmp_path)["run_dir"])
        states.append(checkpoint.latest(journal.checkpoints)[0])
    assert all(np.array_equal(a, b) for a, b in zip(states[0], states[1], strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(states[0], states[2], strict=True))


def modern_on_digits() -> spec.Experiment:
    """The modern variant with batches of 128, on data that needs no download."""
    modern = catalog.experiment("lenet5-modern-mnist")
    recipe = dataclasses.replace(
        modern.recipe,
        data=spec.Data("digits"),
        preprocessing=(Enlarge(20), PadTo(32), Contrast(-0.1, 1.175)),
        passes=6,
    )
    return dataclasses.replace(modern, recipe=recipe)


def test_two_devices_give_the_curve_of_one(two_devices, tmp_path, untracked):
    curves = {}
    for strategy in ("single", "mirrored"):
        outcome = runner.run(modern_on_digits(), strategy=strategy, out=tmp_path)
        journal = Journal.open(outcome["run_dir"])
        assert journal.run()["replicas"] == {"single": 1, "mirrored": 2}[strategy]
        curves[strategy] = journal.passes()
    assert len(curves["single"]) == 6
    for one, two in zip(curves["single"], curves["mirrored"], strict=True):
        assert one["update"] == two["update"]
        for metric in ("loss", "test_loss"):
            assert two[metric] == pytest.approx(one[metric], rel=2e-4)
        assert abs(two["test_error"] - one["test_error"]) <= 100 / 360 + 1e-9  # one image
    assert curves["single"][-1]["loss"] < 0.5 * curves["single"][0]["loss"]  # it did learn


def test_rates_change_where_the_schedule_says_so():
    """Half a pass at one rate, a whole one at the next: each pass is cut in its middle."""
    modern = modern_on_digits()
    falls = spec.Divided(by=10, at=(0.5, 1.5))
    optimizer = dataclasses.replace(modern.recipe.optimizer, rate=0.01, falls=falls)
    recipe = dataclasses.replace(modern.recipe, optimizer=optimizer, passes=2)
    experiment = dataclasses.replace(modern, recipe=recipe)
    request = {"experiment": experiment.name, "scale": "paper", "seed": 0, "overrides": []}
    request |= {"strategy": "auto", "precision": "float32"}
    run = training.Training(experiment, request)
    end = run.pass_ends[0]
    assert end == round(1437 / 128)
    assert cuts(run, 0) == [end // 2 + end % 2, end]
    run.update = end
    assert run.pass_ends[1] == 22
    middle = 16  # three quarters of 22 updates, to the nearest even number
    assert cuts(run, 1) == [middle, run.pass_ends[1]]


def cuts(run: training.Training, number: int) -> list[int]:
    """Where the rest of a pass is cut."""
    found = []
    while run.update < run.pass_ends[number]:
        run.update = run._cut(number)
        found.append(run.update)
    return found


@pytest.mark.parametrize(
    ("factor", "batch", "passes", "ends"),
    [
        (1, 1, 3, [100, 200, 300]),
        (10, 1, 3, [10, 20, 30]),
        (1, 8, 2, [12, 25]),  # 12.5 updates a pass: none is lost over two
    ],
)
def test_where_passes_end(factor, batch, passes, ends):
    recipe = dataclasses.replace(
        catalog.experiment("lenet5-digits").recipe,
        batch=batch,
        passes=passes,
        short_factor=factor,
    )
    assert schedule.pass_ends(recipe, 100, "short") == ends


def counting(iterations: int, **optimizer) -> spec.Recipe:
    recipe = catalog.experiment("lenet5-modern-mnist").recipe
    method = dataclasses.replace(recipe.optimizer, **optimizer)
    return dataclasses.replace(
        recipe, passes=0, iterations=iterations, batch=128, short_factor=40, optimizer=method
    )


def test_iterations_are_counted_where_the_paper_counts_them():
    """He et al. 2015, section 4.2: 64,000 iterations of 128 out of 50,000 images, rates by 32,000
    and 48,000."""
    falls = spec.Divided(by=10, at=(32_000, 48_000))
    recipe = counting(64_000, rate=0.1, falls=falls)
    ends = schedule.pass_ends(recipe, 50_000, "paper")
    assert (len(ends), ends[:2], ends[-2:]) == (164, [391, 781], [63_672, 64_000])
    changes = [(0, 0.1), (32_000, 0.01), (48_000, 0.001)]
    assert schedule.rates(recipe, ends[-1]) == changes
    # A fortieth of it: 1,600 updates, still in passes over the whole training set.
    short = schedule.pass_ends(recipe, 50_000, "short")
    assert short == [391, 781, 1172, 1562, 1600]
    changes = [(0, 0.1), (800, 0.01), (1200, 0.001)]
    assert schedule.rates(recipe, short[-1]) == changes


def test_the_warm_up_ends_once_the_training_error_is_low_enough():
    """He et al. 2015, section 4.2: 0.01 until the training error is below 80 %, then 0.1."""
    warm_up = spec.WarmUp(rate=0.01, error=80.0, window=3)
    recipe = counting(22, rate=0.1, warm_up=warm_up)
    experiment = dataclasses.replace(modern_on_digits(), recipe=recipe)
    experiment = dataclasses.replace(
        experiment, recipe=dataclasses.replace(recipe, **inputs(modern_on_digits().recipe))
    )
    request = {"experiment": experiment.name, "scale": "paper", "seed": 0, "overrides": []}
    run = training.Training(experiment, request | {"strategy": "auto", "precision": "float32"})
    assert cuts(run, 0) == [3, 6, 9, 11]
    # Of 384 examples in a window wrong: 80.2 %, 79.9 %, and then it does not come back.
    seen = []
    for update, wrong in ((0, 0), (3, 308), (6, 307), (9, 384)):
        run.state["warming_wrong"] = wrong
        run._set_learning_rate(update)
        seen.append(round(float(run.optimizer.learning_rate.value), 6))
    assert seen == [0.01, 0.01, 0.1, 0.1]
    assert run.state["rates"] == (0.01, 0.1)  # the least and the greatest of the pass


def inputs(recipe: spec.Recipe) -> dict:
    return {"data": recipe.data, "preprocessing": recipe.preprocessing}


def test_the_test_set_is_scored_as_often_as_the_recipe_says(untracked, tmp_path):
    recipe = dataclasses.replace(modern_on_digits().recipe, tested_every=3, passes=4)
    experiment = dataclasses.replace(modern_on_digits(), recipe=recipe)
    journal = Journal.open(runner.run(experiment, out=tmp_path)["run_dir"])
    scored = [line["pass"] for line in journal.passes() if "test_error" in line]
    assert scored == [3, 4]


def test_averages_of_the_weights_are_tested_and_training_goes_on_without_them(untracked, tmp_path):
    plain = modern_on_digits()
    method = dataclasses.replace(plain.recipe.optimizer, averaging=0.95)
    averaged = dataclasses.replace(
        plain, recipe=dataclasses.replace(plain.recipe, optimizer=method)
    )
    runs = [
        Journal.open(runner.run(experiment, out=tmp_path / name)["run_dir"])
        for name, experiment in (("plain", plain), ("averaged", averaged))
    ]
    lines = [journal.passes() for journal in runs]
    for one, other in zip(*lines, strict=True):
        assert one["loss"] == other["loss"] and one["test_loss"] != other["test_loss"]
    # What the averages give, computed from the last checkpoint's numbers alone.
    values = [checkpoint.latest(journal.checkpoints)[0] for journal in runs]
    model = plain.network.build(**plain.network.options)
    weights = len(model.variables)
    for one, other in zip(values[0][:weights], values[1][:weights], strict=True):
        np.testing.assert_array_equal(one, other)  # the checkpoint holds what is trained
    averages = values[1][-len(model.trainable_variables) :]
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        variable.assign(average)
    recipe = plain.recipe
    train, test = (datasets.load("digits", name) for name in ("train", "test"))
    steps = preprocessing.fit(recipe.preprocessing, train.images)
    score = evaluation.scorer(model, recipe.loss)
    found = evaluation.evaluate(score, preprocessing.apply(steps, test.images), test.labels)
    final = runs[1].result()["metrics"]["single-view"]
    assert final["test_wrong"] == found["wrong"]
    assert final["test_loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_a_batch_larger_than_a_pass_is_refused():
    recipe = catalog.experiment("lenet5-digits").recipe
    with pytest.raises(UsageError, match=r"recipe\.batch=101.*up to 100"):
        schedule.pass_ends(dataclasses.replace(recipe, batch=101), 100, "paper")


def test_the_method_of_1998_is_refused_in_bfloat16(tmp_path):
    with pytest.raises(UsageError, match="accepted here: float32"):
        digits(precision="mixed_bfloat16", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_journal(
    tmp_path, untracked, monkeypatch
):
    def poisoned(self, number):
        rates = self.optimizer.set_rates(1.0, [0.0 * w for w in self.model.trainable_variables])
        self.state["rates"] = rates
        if number == 1:
            weight = self.model.trainable_variables[0]
            weight.assign(weight * float("nan"))

    monkeypatch.setattr(training.Training, "_set_rates", poisoned)
    with pytest.raises(RunError, match=r"not finite at update 40 \(pass 2\)"):
        digits(out=tmp_path)
    (run_dir,) = (tmp_path / "lenet5-digits").iterdir()
    journal = Journal.open(run_dir)
    assert len(journal.passes()) == 1
    assert journal.result() is None
    assert "not finite" in journal.failure()["reason"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A smoke run in chunks of 7 updates, left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Training, "_track", lambda self: None)
        patch.setattr(schedule, "CHUNK_UPDATES", 7)
        return Journal.open(digits(out=tmp_path_factory.mktemp("whole"))["run_dir"])


@pytest.mark.parametrize("update", [14, 20, 40])  # in the middle and at the end of a pass
def test_a_stopped_run_goes_on_to_the_same_bits(update, whole, tmp_path, untracked, monkeypatch):
    """What SIGTERM does: a checkpoint, wherever the run is, then the same end."""
    monkeypatch.setattr(schedule, "CHUNK_UPDATES", 7)
    seen = []

    def stop_in_pass_two(event):
        seen.append(event)
        if event["event"] == "progress" and event["update"] == update:
            training_at_hand.stop.is_set = True

    began = training.Training.train

    def train(self, progress):
        nonlocal training_at_hand
        training_at_hand = self
        return began(self, progress)

    training_at_hand = None
    monkeypatch.setattr(training.Training, "train", train)
    with pytest.raises(Interrupted, match=rf"update {update} of 40 .*repro resume"):
        digits(out=tmp_path / "cut", progress=stop_in_pass_two)
    run_dir = next((tmp_path / "cut" / "lenet5-digits").iterdir())
    runner.resume(run_dir)
    cut = Journal.open(run_dir)
    assert timeless(cut) == timeless(whole)
    assert cut.result()["resumed"] == 1
    pairs = zip(last_state(cut), last_state(whole), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("error", "update"), [(80.0, 3), (100.0, 8)])
def test_a_run_stopped_in_its_warm_up_or_soon_after_goes_on_to_the_same_bits(
    error, update, tmp_path, untracked, monkeypatch
):
    """What was wrong since the window began is kept, and the pass is cut at the same updates."""
    warm_up = spec.WarmUp(rate=0.01, error=error, window=5)
    recipe = counting(22, rate=0.1, warm_up=warm_up)
    modern = modern_on_digits()
    recipe = dataclasses.replace(recipe, **inputs(modern.recipe))
    experiment = dataclasses.replace(modern, recipe=recipe)
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    monkeypatch.setattr(schedule, "CHUNK_UPDATES", 3)
    monkeypatch.setattr(
        training.Training, "_after_chunk", stopping_at(update, training.Training._after_chunk)
    )
    with pytest.raises(Interrupted, match=f"update {update} of 22"):
        runner.run(experiment, out=tmp_path / "cut")
    monkeypatch.undo()
    monkeypatch.setattr(training.Training, "_track", lambda self: None)
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    monkeypatch.setattr(schedule, "CHUNK_UPDATES", 3)
    run_dir = next((tmp_path / "cut" / experiment.name).iterdir())
    runner.resume(run_dir)
    cut = Journal.open(run_dir)
    whole = Journal.open(runner.run(experiment, out=tmp_path / "whole")["run_dir"])
    assert (cut.result()["resumed"], whole.result()["resumed"]) == (1, 0)
    assert whole.passes()[0]["rate_min"] == 0.01  # it began warming up, and that came to an end:
    assert whole.passes()[-1]["rate_max"] == 0.1
    assert timeless(cut) == timeless(whole)
    pairs = zip(last_state(cut), last_state(whole), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def stopping_at(update: int, method):
    """`method` of a training, after which it is told to stop once it has come to `update`."""

    def stopped(self, *arguments):
        if self.update == update:
            self.stop.is_set = True
        return method(self, *arguments)

    return stopped


def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path, untracked, monkeypatch):
    journal = Journal.open(digits(out=tmp_path)["run_dir"])
    before = timeless(journal), last_state(journal)
    (journal.path / "result.json").unlink()  # as if it had been killed after its last checkpoint
    newest = sorted(journal.checkpoints.iterdir())[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    messages = []
    runner.resume(journal.path, progress=messages.append)
    said = [m["text"] for m in messages if m["event"] == "message"]
    assert any("damaged" in text and newest.name in text for text in said)
    assert timeless(journal) == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(last_state(journal), before[1], strict=True))


def test_without_a_readable_checkpoint_a_run_begins_anew(tmp_path, untracked):
    journal = Journal.open(digits(out=tmp_path)["run_dir"])
    before = timeless(journal)
    (journal.path / "result.json").unlink()
    for path in journal.checkpoints.iterdir():
        path.write_bytes(b"")
    messages = []
    runner.resume(journal.path, progress=messages.append)
    said = [m["text"] for m in messages if m["event"] == "message"]
    assert any("starts at its first update" in text for text in said)
    assert timeless(journal) == before
    # what was damaged is gone, and the new states stay
    assert all(checkpoint.load(path) for path in journal.checkpoints.iterdir())


def test_a_run_that_is_being_trained_is_left_alone(tmp_path, untracked):
    journal = Journal.open(digits(out=tmp_path)["run_dir"])
    (journal.path / "result.json").unlink()
    before = (journal.path / "metrics.jsonl").read_bytes()
    with journal.alone(), pytest.raises(UsageError, match="another process"):
        runner.resume(journal.path)
    assert (journal.path / "metrics.jsonl").read_bytes() == before


def test_a_run_of_another_stack_is_not_gone_on_with(tmp_path, untracked):
    journal = Journal.open(digits(out=tmp_path)["run_dir"])
    (journal.path / "result.json").unlink()
    facts = journal.run()
    journal.write_run({**facts, "versions": {**facts["versions"], "keras": "3.14.0"}})
    with pytest.raises(RunError, match=r"began with versions .*3\.14\.0"):
        runner.resume(journal.path)


def test_a_journal_that_lacks_passes_is_not_trusted(tmp_path, untracked):
    journal = Journal.open(digits(out=tmp_path)["run_dir"])
    before = timeless(journal)
    (journal.path / "result.json").unlink()
    (journal.path / "metrics.jsonl").unlink()
    messages = []
    runner.resume(journal.path, progress=messages.append)
    assert any("lacks passes" in m.get("text", "") for m in messages)
    assert timeless(journal) == before


def test_batches_on_many_threads_are_resumed_to_the_bit(tmp_path, untracked, monkeypatch):
    """Momentum, a rate that changes within the run, all cores: not only one-example updates."""
    monkeypatch.setattr(schedule, "CHUNK_UPDATES", 3)
    experiment = modern_on_digits()
    whole = Journal.open(runner.run(experiment, out=tmp_path / "whole")["run_dir"])
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    at_hand = []
    began = training.Training.train

    def train(self, progress):
        at_hand.append(self)
        return began(self, progress)

    def stop(event):
        if event["event"] == "progress" and event["update"] > 30:
            at_hand[-1].stop.is_set = True

    monkeypatch.setattr(training.Training, "train", train)
    with pytest.raises(Interrupted):
        runner.run(experiment, out=tmp_path / "cut", progress=stop)
    cut = Journal.open(next((tmp_path / "cut" / experiment.name).iterdir()))
    runner.resume(cut.path)
    assert timeless(cut) == timeless(whole)
    pairs = zip(last_state(cut), last_state(whole), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_figures_that_cannot_be_drawn_cost_no_run(tmp_path, untracked, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training.Training, "_draw", full)
    messages = []
    outcome = digits(out=tmp_path, progress=messages.append)
    assert Journal.open(outcome["run_dir"]).result()
    assert any("No space left" in m.get("text", "") for m in messages)


def test_data_of_another_shape_is_refused(tmp_path, untracked):
    with pytest.raises(UsageError, match=r"\(32, 32, 1\).*digits gives \(28, 28, 1\)"):
        experiment = catalog.experiment("lenet5-digits")
        small = (Enlarge(20), PadTo(28), Contrast(-0.1, 1.175))
        recipe = dataclasses.replace(experiment.recipe, preprocessing=small)
        runner.run(dataclasses.replace(experiment, recipe=recipe), scale="smoke", out=tmp_path)


def test_a_finished_run_is_only_reported(short_run):
    again = runner.resume(short_run["run_dir"])
    assert again["metrics"] == short_run["metrics"]


def test_a_run_of_another_recipe_is_not_resumed(tmp_path, untracked):
    journal = Journal.open(digits(out=tmp_path)["run_dir"])
    (journal.path / "result.json").unlink()
    journal.write_run({**journal.run(), "digest": "0" * 12})
    with pytest.raises(RunError, match="has changed since this run began"):
        runner.resume(journal.path)


def timeless(journal: Journal) -> str:
    """Every line of metrics.jsonl and the final metrics, without what speaks of time."""
    lines = [{k: v for k, v in x.items() if k not in SPOKEN_OF_TIME} for x in journal.passes()]
    return json.dumps([lines, journal.result()["metrics"]])


def last_state(journal: Journal) -> list:
    return checkpoint.latest(journal.checkpoints)[0]


def test_a_tracking_server_that_refuses_costs_nothing_but_a_later_sync(tmp_path, monkeypatch):
    with socket.socket() as taken:  # a port that is ours, and that nobody listens on
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        messages = []
        outcome = digits(out=tmp_path, progress=messages.append)
    assert outcome["mlflow_run_id"] is None
    said = [m["text"] for m in messages if m["event"] == "message"]
    assert len(said) == 1, said
    assert address in said[0] and f"repro sync {outcome['run_dir']}" in said[0]

    journal = Journal.open(outcome["run_dir"])
    assert journal.result()["metrics"] == outcome["metrics"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    numbers = sum(len(line) - 1 for line in journal.passes())  # all of a line but its pass
    assert tracking.sync(journal.path)["points"] >= numbers
    assert tracking.sync(journal.path)["points"] == 0


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (AuxiliaryCrossEntropy(0.3, own="dense"), "accepted is a network with auxiliary heads"),
        (None, "accepted is a network without auxiliary heads"),
        (AuxiliaryCrossEntropy(0.3, own="linaer"), "'linaer' .did you mean linear"),
    ],
)
def test_heads_and_loss_must_fit_together(loss, complaint, untracked, tmp_path):
    plain = modern_on_digits()
    if loss is None or loss.own == "linaer":
        plain = dataclasses.replace(plain, network=spec.Network("headed", headed))
    if loss is not None:
        plain = dataclasses.replace(plain, recipe=dataclasses.replace(plain.recipe, loss=loss))
    with pytest.raises(UsageError, match=complaint):
        runner.run(plain, out=tmp_path)


def headed():
    import keras

    images = keras.Input((32, 32, 1))
    flat = keras.layers.Flatten()(images)
    own, head = (keras.layers.Dense(10, name=name)(flat) for name in ("linear", "head"))
    return keras.Model(images, keras.ops.stack([own, head], axis=1))
