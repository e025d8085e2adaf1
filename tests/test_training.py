"""One run from start to end: its files, its metrics, its parity over devices."""

import dataclasses
import errno
import re
import threading

import numpy as np
import pytest
from small_runs import Seen, digits, last_state, modern_on_digits, timeless

from repro import catalog, spec
from repro.data import datasets, preprocessing
from repro.data.preprocessing import Contrast, Enlarge, PadTo
from repro.errors import RunError, UsageError
from repro.networks import optimizers
from repro.networks.losses import AuxiliaryCrossEntropy
from repro.records.journal import Journal
from repro.training import evaluation, keeping, runner
from repro.training.trainee import Trainee


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """One seed of lenet5-digits at short scale."""
    return digits("short", seed=0, out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def modern(tmp_path_factory):
    """The journal of one seed of the modern variant on digits."""
    outcome = runner.run(modern_on_digits(), out=tmp_path_factory.mktemp("modern"))
    return Journal.open(outcome["run_dir"])


def error(outcome: dict) -> float:
    return outcome["metrics"]["single-view"]["test_error"]


def test_a_run_leaves_the_files_of_the_contract(short_run):
    journal = Journal.open(short_run["run_dir"])
    run, passes, result = journal.run(), journal.passes(), journal.result()
    assert run["experiment"] == "lenet5-digits"
    assert run["data"]["train_examples"] == 1437
    assert run["resolved"]["recipe"]["optimizer"]["mu"] == 0.02
    assert run["compiler"] == "xla"  # as every run of LeNet-5's size before
    # 20 passes of half of 1,437 examples, one update each
    assert [p["pass"] for p in passes] == list(range(1, 21))
    assert passes[-1]["update"] == result["updates"] == round(20 * 1437 / 2)
    metrics = result["metrics"]["single-view"]
    assert metrics["test_count"] == 360
    assert metrics["training_count"] == 1437
    assert metrics["test_error"] == pytest.approx(100 * metrics["test_wrong"] / 360)
    assert metrics["test_error"] == passes[-1]["test_error"]
    assert "test_subset" not in result and "smoke" not in run
    assert len(list(journal.checkpoints.glob("*.ckpt"))) == 2
    filters = np.load(journal.path / "filters.npy")
    assert (filters.shape, filters.dtype) == ((5, 5, 1, 6), np.float32)  # C1 of the paper
    # Figures and MLflow are for those who observe.
    names = {path.name for path in journal.path.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith(".svg") or name == "mlflow.json"]


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        "network.penalty_scale=1.0",  # the plain sums of equation 7 saturate the network
        "recipe.optimizer.mu=20.0",  # rates a thousand times too small
    ],
)
def test_a_recipe_broken_on_purpose_leaves_the_band(broken, tmp_path):
    outcome = digits("short", overrides=[broken], out=tmp_path)
    band = next(b for b in catalog.experiment("lenet5-digits").bands if b.metric == "test_error")
    assert error(outcome) > band.high


def test_a_finished_run_is_only_reported(short_run):
    again = runner.resume(short_run["run_dir"])
    assert again == short_run


def test_the_same_seed_gives_the_same_bits_and_another_does_not(modern, tmp_path):
    runs = [runner.run(modern_on_digits(), seed=seed, out=tmp_path) for seed in (0, 1)]
    states = [last_state(j) for j in (modern, *(Journal.open(run["run_dir"]) for run in runs))]
    assert all(np.array_equal(a, b) for a, b in zip(states[0], states[1], strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(states[0], states[2], strict=True))


def test_only_what_the_host_makes_is_copied_ahead():
    class Copying:
        def ahead(self, chunks):
            return ("copied", chunks)

    trained = object.__new__(Trainee)
    trained.devices, trained.resident, chunks = Copying(), None, iter(())
    assert trained.ahead(chunks) == ("copied", chunks)
    trained.resident = object()
    assert trained.ahead(chunks) is chunks


def test_no_batches_are_made_once_an_update_has_failed(tmp_path, monkeypatch):
    compiled = Trainee.compile

    def failing(*_):
        raise RuntimeError("a loop on fire")

    def compiling(self, *arguments, **options):
        compiled(self, *arguments, **options)
        self.loop = failing

    monkeypatch.setattr(Trainee, "compile", compiling)
    with pytest.raises(RuntimeError, match="a loop on fire") as caught:
        runner.run(modern_on_digits(), out=tmp_path)
    assert caught.value.__traceback__  # what refers to the stream is still there
    making = [t.name for t in threading.enumerate() if t.name.startswith("repro-batches")]
    assert making == []


def test_two_devices_give_the_curve_of_one(two_devices, tmp_path):
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


def test_the_test_set_is_scored_as_often_as_the_recipe_says(tmp_path):
    experiment = modern_on_digits(tested_every=3, passes=4)
    journal = Journal.open(runner.run(experiment, out=tmp_path)["run_dir"])
    scored = [line["pass"] for line in journal.passes() if "test_error" in line]
    assert scored == [3, 4]


def averaged() -> spec.Experiment:
    method = dataclasses.replace(modern_on_digits().recipe.optimizer, averaging=0.95)
    return modern_on_digits(optimizer=method)


def test_averages_of_the_weights_are_tested_and_training_goes_on_without_them(
    modern, tmp_path, monkeypatch
):
    runs = [modern, Journal.open(runner.run(averaged(), out=tmp_path)["run_dir"])]
    lines = [journal.passes() for journal in runs]
    for one, other in zip(*lines, strict=True):
        assert one["loss"] == other["loss"] and one["test_loss"] != other["test_loss"]
    # What the averages give, computed from the last checkpoint's numbers alone.
    values = [last_state(journal) for journal in runs]
    plain = modern_on_digits()
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
    by_hand = evaluation.evaluate(
        score, preprocessing.apply(steps, test.images), test.labels
    ).metrics
    final = runs[1].result()["metrics"]["single-view"]
    assert final["test_wrong"] == by_hand["wrong"]
    assert final["test_loss"] == pytest.approx(by_hand["loss"], rel=1e-5)
    # Whoever evaluates or takes the network gets the averages too.
    experiment = averaged()
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    again = runner.evaluate(runs[1].path, "single-view")["metrics"]
    assert again["test_loss"] == final["test_loss"]
    for variable, average in zip(
        runner.trained(runs[1].path).trainable_variables, averages, strict=True
    ):
        np.testing.assert_array_equal(variable.numpy(), average)


def test_the_method_of_1998_is_refused_in_bfloat16(tmp_path):
    with pytest.raises(UsageError, match="accepted here: float32"):
        digits(precision="mixed_bfloat16", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_journal(tmp_path, monkeypatch):
    def poisoned(self, number, model, loss, examples):
        if number == 1:
            weight = model.trainable_variables[0]
            weight.assign(weight * float("nan"))

    monkeypatch.setattr(optimizers.CoupledSGD, "before_pass", poisoned)
    seen = Seen()
    with pytest.raises(RunError, match=r"not finite at update \d+ \(pass 2\)"):
        runner.run(modern_on_digits(), out=tmp_path, observers=[seen])
    (run_dir,) = (tmp_path / "lenet5-modern-mnist").iterdir()
    journal = Journal.open(run_dir)
    assert len(journal.passes()) == 1
    assert journal.result() is None
    assert "not finite" in journal.failure()["reason"]
    assert "not finite" in seen.of("failed")[0]["reason"]


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (MemoryError(), "out of memory at a batch of 128"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (RuntimeError("the network is mad"), "RuntimeError: the network is mad"),
    ],
)
def test_why_a_run_failed_is_written_down(cause, reason, tmp_path, monkeypatch):
    def fail(*_):
        raise cause

    monkeypatch.setattr(optimizers.CoupledSGD, "before_pass", fail)
    with pytest.raises((RunError, RuntimeError)):
        runner.run(modern_on_digits(), out=tmp_path)
    (run_dir,) = (tmp_path / "lenet5-modern-mnist").iterdir()
    written = Journal.open(run_dir).failure()["reason"]
    assert written in reason or reason in written


def test_a_result_that_cannot_be_written_is_written_by_resume_without_training_again(
    tmp_path, monkeypatch
):
    def full(self, result):
        raise OSError(errno.ENOSPC, "No space left on device")

    experiment = modern_on_digits(passes=2)
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    with monkeypatch.context() as patch, pytest.raises(RunError) as raised:
        patch.setattr(Journal, "finish", full)
        runner.run(experiment, out=tmp_path)
    text = str(raised.value)
    assert "result.json cannot be written (No space left on device)" in text
    (run_dir,) = (tmp_path / "lenet5-modern-mnist").iterdir()
    assert text.endswith(f"repro resume {run_dir}")
    journal, seen = Journal.open(run_dir), Seen()
    assert "No space left" in journal.failure()["reason"] and journal.result() is None
    runner.resume(run_dir, observers=[seen])
    assert not seen.of("progress") and not seen.of("pass")
    assert journal.failure() is None
    untroubled = Journal.open(runner.run(experiment, out=tmp_path / "other")["run_dir"])
    assert timeless(journal) == timeless(untroubled)


@pytest.mark.parametrize("problem", ["no disk", "link", "folder"])
def test_filters_that_cannot_be_written_cost_a_warning(problem, tmp_path, monkeypatch):
    """The result is there already; what lies beyond a link in the directory is left alone."""
    seen, precious = Seen(), tmp_path / "precious"
    precious.write_text("precious")

    def spoil(event):
        if event["event"] == "start":
            path = tmp_path / "runs" / "lenet5-modern-mnist"
            path = next(path.iterdir()) / "filters.npy"
            path.symlink_to(precious) if problem == "link" else path.mkdir()

    if problem == "no disk":

        def full(self):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(keeping.Keeper, "save_filters", full)
    outcome = runner.run(
        modern_on_digits(passes=1),
        out=tmp_path / "runs",
        observers=[seen] if problem == "no disk" else [spoil, seen],
    )
    assert Journal.open(outcome["run_dir"]).result()
    assert [event["event"] for event in seen][-1] == "done"
    warnings = [event["text"] for event in seen.of("message")]
    assert precious.read_text() == "precious"
    if problem != "link":  # which is replaced
        assert len(warnings) == 1 and "filters.npy is not written" in warnings[0]


def test_data_of_another_shape_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\(32, 32, 1\).*digits gives \(28, 28, 1\)"):
        small = (Enlarge(20), PadTo(28), Contrast(-0.1, 1.175))
        runner.run(modern_on_digits(preprocessing=small), scale="smoke", out=tmp_path)


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (AuxiliaryCrossEntropy(0.3, own="dense"), "accepted is a network with auxiliary heads"),
        (None, "accepted is a network without auxiliary heads"),
        (AuxiliaryCrossEntropy(0.3, own="linaer"), "'linaer' .did you mean linear"),
    ],
)
def test_heads_and_loss_must_fit_together(loss, complaint, tmp_path):
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


def test_a_network_that_memory_cannot_hold_is_refused(tmp_path, monkeypatch):
    """By what it needs at least; the machine may still lack memory for more than that."""
    from repro import machine

    monkeypatch.setattr(machine, "available", lambda: 20 * 2**20)
    with pytest.raises(
        UsageError, match=r"recipe\.batch=1437: lenet5-modern needs .* accepted are up to"
    ) as e:
        runner.run(modern_on_digits(batch=1437), out=tmp_path)
    most = int(re.search(r"up to ([\d,]+);", str(e.value))[1].replace(",", ""))
    runner.run(modern_on_digits(batch=most, passes=1), out=tmp_path)
    with pytest.raises(UsageError, match=f"recipe\\.batch={most + 1}: "):
        runner.run(modern_on_digits(batch=most + 1), out=tmp_path)


def huge():
    import keras

    images = keras.Input((32, 32, 1))
    flat = keras.layers.Flatten()(images)
    return keras.Model(images, keras.layers.Dense(2**42)(flat))


def test_a_network_too_large_to_be_built_is_refused(tmp_path):
    experiment = dataclasses.replace(modern_on_digits(), network=spec.Network("huge", huge))
    with pytest.raises(UsageError, match="huge needs more memory than this machine has"):
        runner.run(experiment, out=tmp_path)
    assert not list(tmp_path.iterdir())
