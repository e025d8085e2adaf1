"""Every image is scored once, and the numbers are those of the definition."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest

from repro import catalog
from repro.data import datasets, inputs, preprocessing
from repro.errors import RunError, UsageError
from repro.networks import losses
from repro.records import images as kept_images
from repro.records.journal import Journal
from repro.training import evaluation, protocols, runner

B = evaluation.BATCH


def recording(seen):
    """A scorer in place of a network: predicts the number that the image carries, modulo 10."""

    def score(images, labels):
        assert 0 < len(images) <= B and len(images) == len(labels)
        seen.extend(int(i) for i in images[:, 0])
        return images[:, 0].astype("float32") / 2, images[:, 0].astype("int64") % 10

    return evaluation.Scorer(score, B)


@pytest.mark.parametrize("n", [1, B - 1, B, B + 1, 2 * B, 2 * B + 3])
def test_every_image_is_scored_once(n):
    images, seen = np.arange(n)[:, None], []
    labels = (np.arange(n) % 10).astype("int32")
    wrong = np.unique([0, n // 2, n - 1])  # the last one too, which a dropped remainder would miss
    labels[wrong] = (labels[wrong] + 1) % 10
    told = []
    scores = evaluation.evaluate(recording(seen), images, labels, lambda *done: told.append(done))
    found = scores.metrics
    assert np.flatnonzero(scores.wrong).tolist() == wrong.tolist()
    assert scores.guesses.tolist() == (wrong % 10).tolist()  # the scorer's, not the labels
    assert seen == list(range(n))
    assert told == [(min(done, n), n) for done in range(B, n + B, B)]
    assert found == {
        "error": pytest.approx(100 * len(wrong) / n),
        "loss": pytest.approx((n - 1) / 4),  # the mean of i/2 over all images, not over batches
        "wrong": len(wrong),
        "count": n,
    }
    json.dumps(found)  # plain numbers, as result.json needs them


def test_a_scorer_that_drops_an_image_is_found_out():
    def dropping(images, labels):
        return np.zeros(len(images) - 1), np.zeros(len(images) - 1)

    with pytest.raises(AssertionError, match="9 images were scored, there are 10"):
        evaluation.evaluate(
            evaluation.Scorer(dropping, B), np.zeros((10, 1)), np.zeros(10, "int32")
        )


def test_a_network_is_scored_in_the_mode_for_testing():
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(4)
    dense = keras.layers.Dense(3)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dropout(0.9), dense])
    images = rng.normal(size=(B + 7, 5)).astype("float32")
    labels = rng.integers(0, 3, B + 7).astype("int32")
    score = evaluation.scorer(model, losses.SquaredError())
    found = evaluation.evaluate(score, images, labels).metrics
    kernel, bias = dense.get_weights()
    outputs = images @ kernel + bias
    targets = np.where(np.eye(3)[labels] > 0, 1.0, -1.0)
    assert found["wrong"] == np.sum(outputs.argmax(axis=1) != labels)
    assert found["loss"] == pytest.approx(np.mean(0.5 * np.sum((outputs - targets) ** 2, axis=1)))
    assert found["count"] == B + 7


def test_of_a_hundred_classes_five_guesses_are_scored_too():
    keras = pytest.importorskip("keras")
    dense = keras.layers.Dense(100)
    model = keras.Sequential([keras.Input((7,)), dense])
    images = np.random.default_rng(6).normal(size=(B + 9, 7)).astype("float32")
    kernel, bias = dense.get_weights()
    by_rank = np.argsort(-(images @ kernel + bias), axis=1)
    ranks = np.arange(B + 9) % 8  # the label is the first guess, the second, ... the eighth
    labels = by_rank[np.arange(B + 9), ranks].astype("int32")
    score = evaluation.scorer(model, losses.SoftmaxCrossEntropy())
    scores = evaluation.evaluate(score, images, labels)
    found = scores.metrics
    np.testing.assert_array_equal(scores.wrong, ranks > 0)
    np.testing.assert_array_equal(scores.guesses, by_rank[ranks > 0, 0])
    assert (found["wrong"], found["top5_wrong"]) == (np.sum(ranks > 0), np.sum(ranks > 4))
    assert found["top5_error"] == pytest.approx(100 * np.mean(ranks > 4))
    json.dumps(found)


@pytest.mark.parametrize("protocol", ["single-view", "10-crop"])
def test_auxiliary_heads_have_no_part_in_the_score(protocol):
    keras = pytest.importorskip("keras")
    images = keras.Input((4, 4, 2))
    flat = keras.layers.Flatten()(images)
    own, head = (keras.layers.Dense(3, name=name)(flat) for name in ("own", "head"))
    both = keras.Model(images, keras.ops.stack([own, head], axis=1))
    alone = keras.Model(images, own)
    loss = losses.AuxiliaryCrossEntropy(weight=0.3, own="own")
    draw = np.random.default_rng(7)
    pictures = draw.normal(size=(9, 6, 6, 2)).astype("float32")
    labels = draw.integers(0, 3, 9).astype("int32")
    ours, theirs = (
        evaluation.evaluate(evaluation.scorer(model, how, protocol), pictures, labels).metrics
        for model, how in ((both, loss), (alone, losses.SoftmaxCrossEntropy()))
    )
    assert ours == pytest.approx(theirs)


def looking(side):
    """A network of `side` x `side` pixels that tells its place in the image from a class."""
    keras = pytest.importorskip("keras")
    layers = [keras.Input((side, side, 2)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential(layers)


def crops_of_six_to_four(images):
    """The four corners and the centre of 6x6 pixels, 4x4 each, then their mirror images."""
    places = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    crops = [images[:, top : top + 4, left : left + 4] for top, left in places]
    return [*crops, *(crop[:, :, ::-1] for crop in crops)]


def softmax(logits):
    each = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return each / each.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("images_lie", ["on the host", "on the device", "there, in four parts"])
@pytest.mark.parametrize("protocol", ["single-view", "10-crop"])
def test_of_larger_images_the_network_sees_the_views_of_the_protocol(
    protocol, images_lie, monkeypatch
):
    if images_lie == "there, in four parts":  # of 96 multiply-adds a view, see below
        monkeypatch.setattr(evaluation, "BATCH", 30)
        views = protocols.parse(protocol).views
        monkeypatch.setattr(evaluation, "CALL_WORK", 96 * 30 * (2 if views == 1 else 17))
    model = looking(4)
    rng = np.random.default_rng(5)
    images = rng.normal(size=(B + 3, 6, 6, 2)).astype("float32")
    labels = rng.integers(0, 3, B + 3).astype("int32")
    kernel, bias = model.layers[-1].get_weights()
    crops = crops_of_six_to_four(images)
    crops = crops if protocol == "10-crop" else [images[:, 1:5, 1:5]]
    p = np.mean([softmax(c.reshape(len(c), -1) @ kernel + bias) for c in crops], axis=0)
    score = evaluation.scorer(model, losses.SoftmaxCrossEntropy(), protocol)
    held = None if images_lie == "on the host" else evaluation.Held(score, images, labels)
    told = []
    found = evaluation.evaluate(score, images, labels, lambda *done: told.append(done), held)
    found = found.metrics
    if held:  # seven batches of 30, two a call; 68 of three images, seventeen a call
        first = {"single-view": 60, "10-crop": 51}[protocol]
        parts = [(first * k, B + 3) for k in range(1, 4)] if "parts" in images_lie else []
        assert told == [*parts, (B + 3, B + 3)]
    assert found["count"] == B + 3
    assert found["wrong"] == np.sum(p.argmax(axis=1) != labels)
    assert found["loss"] == pytest.approx(-np.mean(np.log(p[np.arange(B + 3), labels])), rel=1e-4)


@pytest.mark.parametrize("protocol", ["single-view", "10-crop"])
def test_on_the_device_five_guesses_are_made_of_each_image(protocol):
    keras = pytest.importorskip("keras")
    inputs, softmax = keras.Input((4, 4, 2)), losses.SoftmaxCrossEntropy()
    model = keras.Model(inputs, keras.layers.Dense(100)(keras.layers.Flatten()(inputs)))
    draw = np.random.default_rng(8)
    images = draw.normal(size=(B // 10 + 3, 6, 6, 2)).astype("float32")
    labels = draw.integers(0, 100, len(images)).astype("int32")
    score = evaluation.scorer(model, softmax, protocol)
    streamed = evaluation.evaluate(score, images, labels)
    held = evaluation.Held(score, images, labels)
    there = evaluation.evaluate(score, images, labels, held=held)
    assert there.metrics == pytest.approx(streamed.metrics) and there.metrics["top5_wrong"] > 0
    np.testing.assert_array_equal(there.guesses, streamed.guesses)


def test_the_views_of_a_network_without_softmax_are_not_averaged():
    with pytest.raises(UsageError, match=r"10-crop averages the softmax.*single-view"):
        evaluation.scorer(looking(4), losses.SquaredError(), "10-crop")


def test_an_unknown_protocol_is_a_usage_error_before_anything_is_read(tmp_path):
    with pytest.raises(
        UsageError, match=r"unknown protocol 'single-veiw'.*did you mean single-view"
    ):
        runner.evaluate(tmp_path / "not there", "single-veiw")


def test_what_is_no_run_cannot_be_evaluated(tmp_path):
    with pytest.raises(UsageError, match="not a run directory"):
        runner.evaluate(tmp_path, "single-view")


# ---------------------------------------------------------------- finished runs


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A few updates on scikit-learn's digits."""
    experiment = catalog.experiment("lenet5-digits")
    out = tmp_path_factory.mktemp("runs")
    return runner.run(experiment, scale="smoke", overrides=["recipe.batch=16"], out=out)


@pytest.fixture
def finished(once, tmp_path):
    """The finished run's metrics, and a copy of its directory to be spoilt."""
    shutil.copytree(once["run_dir"], tmp_path / "run")
    return once["metrics"], Journal.open(tmp_path / "run")


def damage(journal, how_many):
    for path in sorted(journal.checkpoints.glob("*.ckpt"), reverse=True)[:how_many]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_evaluating_a_finished_run_gives_its_result_and_changes_nothing(finished):
    metrics, journal = finished
    files = {p: p.read_bytes() for p in journal.path.rglob("*") if p.is_file()}
    found = runner.evaluate(journal.path, "single-view")
    reached = metrics["single-view"].items()
    assert found["metrics"] == {k: v for k, v in reached if not k.startswith("training_")}
    assert found["metrics"]["test_count"] == 360
    assert (found["update"], found["finished"]) == (40, True)
    assert {p: p.read_bytes() for p in journal.path.rglob("*") if p.is_file()} == files


def test_a_finished_run_keeps_which_test_images_are_wrong_and_for_what_they_were_taken(finished):
    """Against the network, eight images at a time."""
    _, journal = finished
    experiment = catalog.experiment("lenet5-digits")
    model, (images, labels) = runner.trained(journal.path), inputs.of_test(experiment.recipe)
    eights = np.split(images, 360 // 8)
    outputs = np.concatenate([np.asarray(model(eight)) for eight in eights])
    guesses = np.asarray(experiment.recipe.loss.predict(outputs))
    record = journal.record()
    wrong = kept_images.wrong(record, "single-view")
    np.testing.assert_array_equal(wrong, guesses != labels)
    np.testing.assert_array_equal(kept_images.guesses(record, "single-view"), guesses[wrong])
    assert 0 < np.sum(wrong) < 360
    digest = datasets.facts("digits")["digest"]
    expected = hashlib.sha256(f"{digest} test 360".encode()).hexdigest()
    assert kept_images.order(record, "single-view") == expected


def test_to_evaluate_takes_neither_training_images_nor_an_optimizer(finished, monkeypatch):
    from repro.networks import optimizers

    def load(name, split):
        assert split == "test"
        return read(name, split)

    read = datasets.load
    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(optimizers, "build", None)
    metrics, journal = finished
    found = runner.evaluate(journal.path, "single-view")
    assert found["metrics"]["test_wrong"] == metrics["single-view"]["test_wrong"]


def test_preprocessing_that_learns_sees_the_training_images_alone():
    """The mean of each pixel is that of the training images (He et al. 2015, section 4.2)."""
    recipe = dataclasses.replace(
        catalog.experiment("lenet5-digits").recipe,
        preprocessing=(preprocessing.PerPixelMean(),),
        augmentation=None,
    )
    images, labels = inputs.of_test(recipe)
    train, test = (datasets.load("digits", split).images for split in ("train", "test"))
    expected = (test - train.mean(axis=0, dtype="float64")) / 255
    np.testing.assert_allclose(images, expected, atol=1e-6)
    assert len(labels) == 360


def test_large_networks_are_scored_by_fewer_images_at_once(monkeypatch):
    """96 multiply-adds an image: a call of so many is short, and a signal need not wait long."""
    monkeypatch.setattr(evaluation, "BATCH_WORK", 96 * 25)
    model, loss = looking(4), losses.SoftmaxCrossEntropy()  # 4 * 4 * 2 * 3 = 96 multiply-adds
    assert evaluation.scorer(model, loss).batch == 25
    assert evaluation.scorer(model, loss, "10-crop").batch == 2  # of ten views each
    monkeypatch.setattr(evaluation, "BATCH_WORK", 1.0)
    assert evaluation.scorer(model, loss, "10-crop").batch == 1


def test_without_a_readable_checkpoint_there_is_nothing_to_evaluate(finished):
    _, journal = finished
    damage(journal, 2)
    passes = journal.passes()
    with pytest.raises(RunError, match="checkpoint"):
        runner.evaluate(journal.path, "single-view")
    assert journal.passes() == passes and len(passes) == 2


def test_weights_that_are_not_the_last_are_not_passed_off_as_the_last(finished):
    """The last checkpoint of a finished run is damaged: an error, or a word about it."""
    _, journal = finished
    damage(journal, 1)
    passes = journal.passes()
    try:
        found = runner.evaluate(journal.path, "single-view")
    except RunError:
        found = {"warnings": ["refused"]}
    assert journal.passes() == passes, "evaluating must not rewrite the journal"
    assert found.get("warnings"), f"silently evaluated update {found.get('update')}"


def test_ten_views_are_scored_in_parts_and_surely_wrong_ones_stay_finite(monkeypatch):
    monkeypatch.setattr(evaluation, "BATCH", 30)  # three images of ten views at a time
    model = looking(4)
    model.layers[-1].bias.assign([0.0, 0.0, -1e5])  # no view can be of class 2
    images = np.random.default_rng(11).normal(size=(7, 6, 6, 2)).astype("float32")
    labels = np.full(7, 2, "int32")
    score = evaluation.scorer(model, losses.SoftmaxCrossEntropy(), "10-crop")
    parts = [score(images[i : i + score.batch], labels[i : i + score.batch]) for i in (0, 3, 6)]
    seen, predictions = (np.concatenate(part) for part in zip(*parts, strict=True))
    assert score.batch == 3
    assert len(seen) == len(predictions) == 7 and np.isfinite(seen).all() and np.min(seen) > 9e4
    kernel, bias = model.layers[-1].get_weights()
    each = np.stack([c.reshape(7, -1) @ kernel + bias for c in crops_of_six_to_four(images)])
    each = each.astype("float64") - each.max(axis=2, keepdims=True)
    mean = (np.exp(each) / np.exp(each).sum(axis=2, keepdims=True)).mean(axis=0)
    np.testing.assert_array_equal(predictions, mean.argmax(axis=1))
