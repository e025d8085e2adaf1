"""A run that begins with the weights of another one, and the experiments that do.

Run as a program (`python test_carrying.py FOLDER`), it does what the test of the backends asks for.
"""

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from run_records import record, seal_run
from small_runs import last_state, stopping_at, timeless

from papers import carrying as paper
from papers import resnet
from repro import backends, catalog, cli, settings
from repro.backends import distribution
from repro.data import datasets, inputs
from repro.data.preprocessing import PerPixelMean
from repro.errors import DataError, Interrupted, RunError, UsageError
from repro.judging import groups, spread, verdict
from repro.lazy import keras, layers
from repro.networks.losses import SoftmaxCrossEntropy
from repro.records import documents, logged, reading
from repro.records.journal import Journal
from repro.records.shape import Damaged
from repro.report import pages
from repro.running import train, verifying
from repro.spec import SGD, Carried, Claim, Data, Experiment, Network, Paper, Recipe
from repro.training import carrying, checkpoint, runner, trainee

# ---------------------------------------------------------------------------- two small experiments


def net(classes: int):
    """8x8x1 in; a last layer with more classes than there are digits has another shape."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, use_bias=False, name="conv1"),
            layers.BatchNormalization(name="conv1_bn"),
            keras.layers.ReLU(name="conv1_relu"),
            keras.layers.Conv2D(6, 3, name="conv2"),
            layers.BatchNormalization(name="conv2_bn"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(classes, name="fc"),
        ]
    )


FROZEN, TRAINED = ("conv1", "conv1_bn"), ("conv2", "conv2_bn", "fc")
TWELVE, TEN = Network("twelve", net, {"classes": 12}), Network("ten", net, {"classes": 10})
SOURCE_RECIPE = Recipe(
    data=Data("digits"),
    preprocessing=(PerPixelMean(scale=16.0),),
    loss=SoftmaxCrossEntropy(),
    optimizer=SGD(rate=0.05, momentum=0.9, weight_decay=1e-3),
    passes=4,
    batch=32,
    initialisation="Glorot uniform",
    short_factor=2,
)
SOURCE = Experiment("toy-source", "Digits", TWELVE, SOURCE_RECIPE)
RECIPE = dataclasses.replace(SOURCE_RECIPE, data=Data("digits", per_class=32))
NEW = Experiment(
    "toy-new", "Digits", TEN, RECIPE, begins=Carried("toy-source", "short", ("conv2*", "fc"))
)
TOYS = Paper("toys", "Toys", "A. Author", "2030", (SOURCE, NEW), (TWELVE, TEN))
SEED = 3
UPDATES = 4 * 10 * 32 // 32  # four passes over 32 images of each of ten classes


@pytest.fixture(scope="module", autouse=True)
def toys():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "papers", lambda: (TOYS,))
        yield patch


def run(experiment, out, **options) -> Journal:
    return Journal.open(runner.run(experiment, out=out, **{"seed": SEED, **options})["run_dir"])


@pytest.fixture(scope="module")
def source(tmp_path_factory, toys):
    """The run to begin with; the folder that holds it is `source.path.parents[1]`."""
    return run(SOURCE, tmp_path_factory.mktemp("source"), scale="short")


@pytest.fixture(scope="module")
def new(source):
    return run(NEW, source.path.parents[1])


@pytest.fixture
def out(source, tmp_path):
    """A folder with nothing but the source in it."""
    shutil.copytree(source.path, tmp_path / "runs" / "toy-source" / source.path.name)
    return tmp_path / "runs"


def built(experiment, seed=SEED):
    """The network as it is drawn."""
    return trainee.build(experiment, "float32", seed, distribution.choose("single", 32))


def weights(model) -> dict[str, list[np.ndarray]]:
    """By layer."""
    every = {layer.name: layer.weights for layer in model.layers if layer.weights}
    return {name: [backends.as_numpy(w).copy() for w in those] for name, those in every.items()}


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return [x.tobytes() for x in a] == [y.tobytes() for y in b]


# ---------------------------------------------------------------------------- what is trained


def test_what_is_not_trained_keeps_every_bit_and_all_else_changes(source, new):
    before, after = (weights(runner.trained(journal.path)) for journal in (source, new))
    assert set(after) == {*FROZEN, *TRAINED}
    for name in FROZEN:  # with the moving averages of batch normalisation
        assert same(before[name], after[name]), name
    for name in TRAINED:
        assert not any(same([a], [b]) for a, b in zip(before[name], after[name], strict=True)), name
    assert new.result()["updates"] == UPDATES


def test_the_last_layer_begins_as_drawn_and_the_others_as_the_source_ended(source):
    model = built(NEW)
    drawn, ended = weights(model), weights(runner.trained(source.path))
    told = carrying.carry(source, NEW.begins, model)
    begun = weights(model)
    assert told["drawn"] == ["fc"] and same(begun["fc"], drawn["fc"])
    for name in begun.keys() - {"fc"}:
        assert same(begun[name], ended[name]) and not same(begun[name], drawn[name]), name


def test_the_same_seed_ends_with_the_same_bits(new):
    again = run(NEW, new.path.parents[1])
    assert again.path != new.path and timeless(again) == timeless(new)
    assert same(last_state(again), last_state(new))
    assert not same(weights(built(NEW))["fc"], weights(built(NEW, SEED + 1))["fc"])


def test_only_what_is_trained_has_momentum(new):
    """Kernel and bias of conv2, gamma and beta of its normalisation, kernel and bias of fc."""
    of_network, counter_and_rate = len(runner.trained(new.path).variables), 2
    assert len(last_state(new)) == of_network + counter_and_rate + 2 + 2 + 2


def test_the_filters_that_are_kept_are_those_of_the_first_layer(source, new):
    first = weights(runner.trained(source.path))["conv1"][0]
    np.testing.assert_array_equal(np.load(new.path / "filters.npy"), first)


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (("conv2*",), "does not hold fc, which is not trained, as this network has it"),
        (("fc", "conv9*"), "unknown layer in begins.trained 'conv9\\*'.*accepted: conv1, conv1_bn"),
    ],
)
def test_what_cannot_begin_so_is_refused_and_leaves_no_run(out, trained, said):
    other = dataclasses.replace(NEW, begins=dataclasses.replace(NEW.begins, trained=trained))
    with pytest.raises(UsageError, match=said):
        run(other, out)
    assert not (out / NEW.name).exists()


# ---------------------------------------------------------------------------- which run it is


def test_run_json_says_which_run_it_began_with(source, new):
    began, told = new.run()["begins"], source.run()
    keys = ("id", "experiment", "scale", "seed", "digest")
    assert {key: began[key] for key in keys} == {key: told[key] for key in keys}
    error = source.result()["metrics"]["single-view"]["test_error"]
    assert began["test_error"] == error and began["drawn"] == ["fc"]
    assert began["resolved"]["recipe"] == told["resolved"]["recipe"]
    assert reading.read_run(new.path)["run"]["begins"] == began
    (deviation,) = new.run()["resolved"]["deviations"]
    assert deviation == NEW.begins.sentence and "toy-source at short scale" in deviation
    assert logged.parameters(new.run())["begins.source"] == "toy-source"
    assert logged.tags(new.run())["begins"] == told["id"]
    assert "begins" not in logged.parameters(told) | logged.tags(told)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run.pop("begins"), "does not say which run it began with"),
        (lambda run: run["begins"].update(seed=4), "began with a run of another seed"),
        (lambda run: run["begins"].update(experiment="toy"), "a run of another experiment"),
        (lambda run: run["begins"].update(scale="paper"), "a run of another scale"),
        (lambda run: run["resolved"].update(begins=None), "began with another run"),
        (lambda run: run["begins"].pop("test_error"), "lacks record.run.begins.test_error"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(new, change, said):
    told = json.loads(json.dumps(reading.read_run(new.path)))
    documents.whole_record(told)
    change(told["run"])
    with pytest.raises(Damaged, match=said):
        documents.whole_record(told)


def test_the_newest_finished_run_by_todays_recipe_is_taken(out, source, tmp_path):
    request = {"scale": "paper", "seed": SEED, "precision": "float32"}
    later = "2031-01-01T00:00:00+00:00"

    def leave(name, experiment=SOURCE, seed=SEED, scale="short", ended=True, **changes):
        """The directory of a run that finished later than that of `source`."""
        made = record(experiment, seed, 50.0, scale=scale, finished=later, **changes)
        folder = seal_run(tmp_path / name, {**made, **({} if ended else {"result": None})})
        folder.rename(out / "toy-source" / f"{scale}-seed{seed}-{name}")
        return made["run"]["id"]

    changed = dataclasses.replace(SOURCE, recipe=dataclasses.replace(SOURCE_RECIPE, batch=64))
    leave("another-recipe", changed)
    leave("overridden", overrides=["recipe.optimizer.rate=0.1"])
    leave("another-scale", scale="paper")
    leave("another-seed", seed=4)
    leave("another-precision", precision="mixed_bfloat16")
    leave("unfinished", ended=False)
    (out / "toy-source" / "notes.txt").write_text("no run")
    assert carrying.find(NEW, request, out).path == out / "toy-source" / source.path.name
    newer = leave("newer")
    assert carrying.find(NEW, request, out).run()["id"] == newer
    assert carrying.find(SOURCE, request, out) is None


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "repro run toy-source --scale short --seed 3 --out {}"),
        ({"seed": 8}, "repro run toy-source --scale short --seed 8 --out {}"),
        ({"scale": "smoke"}, "repro run toy-source --scale smoke --seed 3 --out {}"),
        (
            {"precision": "mixed_bfloat16"},
            "repro run toy-source --scale short --seed 3 --precision mixed_bfloat16 --out {}",
        ),
        (
            {"overrides": ["begins.scale=paper"]},
            "repro run toy-source --scale paper --seed 3 --out {}",
        ),
    ],
)
def test_a_run_that_lacks_its_source_says_how_to_make_it(tmp_path, options, command):
    with pytest.raises(DataError) as raised:
        run(NEW, tmp_path, **options)
    assert str(raised.value).endswith("make it with: " + command.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_command_can_be_typed_for_a_folder_with_a_space_in_its_name(tmp_path):
    with pytest.raises(DataError) as raised:
        run(NEW, tmp_path / "my runs")
    command = str(raised.value).partition("make it with: ")[2]
    assert shlex.split(command)[-2:] == ["--out", str(tmp_path / "my runs")]


def test_in_the_usual_folder_the_command_needs_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"--scale short --seed 3$"):
        run(NEW, "runs")


def test_a_smoke_run_begins_with_a_smoke_run(tmp_path):
    first = run(SOURCE, tmp_path, scale="smoke")
    second = run(NEW, tmp_path, scale="smoke")
    assert second.run()["begins"]["id"] == first.run()["id"]


# ---------------------------------------------------------------------------- named


def test_a_run_that_is_named_is_begun_with_as_if_it_were_found(source, new, tmp_path):
    named = run(NEW, tmp_path, start_from=source.path)
    assert timeless(named) == timeless(new) and same(last_state(named), last_state(new))
    assert named.run()["begins"] == new.run()["begins"]
    assert named.run()["digest"] == new.run()["digest"]
    assert named.run()["start_from"] == str(source.path) and "start_from" not in new.run()
    assert f"--start-from {source.path}" in named.run()["command"]
    ours, theirs = (groups.group_of(journal.run(), NEW) for journal in (named, new))
    assert ours == theirs and ours.plain


def test_an_older_run_can_be_named(out, source):
    first = out / "toy-source" / source.path.name
    second = run(SOURCE, out, scale="short")
    request = {"scale": "paper", "seed": SEED, "precision": "float32"}
    named = carrying.find(NEW, {**request, "start_from": str(first)}, out)
    assert named.path == first != second.path


def by_hand(model) -> str:
    """SHA-256 of each weight: where it belongs, its type and shape, then its bytes."""
    made = hashlib.sha256()
    for name, values in weights(model).items():
        kinds = [weight.name for weight in model.get_layer(name).weights]
        for kind, value in zip(kinds, values, strict=True):
            assert value.dtype == np.float32
            made.update(f"{name}/{kind} float32 {value.shape}\n".encode() + value.tobytes())
    return made.hexdigest()


def test_what_it_began_with_is_recorded_with_the_digest_of_the_weights(source, new, tmp_path):
    told = by_hand(runner.trained(source.path))
    assert source.result()["weights"] == told == new.run()["begins"]["weights"]
    assert new.result()["weights"] == by_hand(runner.trained(new.path)) != told
    assert logged.tags(new.run())["begins.weights"] == told
    reading.collect(new.path.parents[1], tmp_path)
    kept = {r["run"]["id"]: r for r in reading.records(tmp_path)}
    assert kept[new.run()["id"]]["run"]["begins"]["weights"] == told
    assert kept[source.run()["id"]]["result"]["weights"] == told


ANOTHER = dataclasses.replace(SOURCE, name="toy-other")
OTHER_RECIPE = dataclasses.replace(SOURCE, recipe=dataclasses.replace(SOURCE_RECIPE, batch=64))
WANTED = "toy-new begins with a run of toy-source at short scale with seed 3 in float32"


def left(folder, experiment=SOURCE, seed=SEED, scale="short", ended=True, **changes):
    """A run directory without weights."""
    made = record(experiment, seed, 50.0, scale=scale, **changes)
    return seal_run(folder, {**made, **({} if ended else {"result": None})})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: left(folder, ANOTHER), f"is of experiment toy-other; {WANTED}"),
        (
            lambda folder: left(folder, seed=4, scale="paper"),
            f"is of scale paper, seed 4; {WANTED}",
        ),
        (
            lambda folder: left(folder, precision="mixed_bfloat16"),
            f"is of precision mixed_bfloat16; {WANTED}",
        ),
        (
            lambda folder: left(folder, overrides=["network.classes=11"]),
            f"was trained with --set network.classes=11; {WANTED} by today's recipe, which comes "
            "from: repro run toy-source --scale short --seed 3",
        ),
        (
            lambda folder: left(folder, OTHER_RECIPE),
            f"was trained by a former recipe ({settings.digest(OTHER_RECIPE, 'short')}); {WANTED}",
        ),
        (lambda folder: left(folder, ended=False), "the run has not finished; do: repro resume "),
        (lambda folder: folder, "not a run directory (no run.json); accepted is runs/"),
    ],
)
def test_a_run_that_is_named_and_does_not_fit_is_refused(make, said, tmp_path, monkeypatch, capsys):
    """In one line, before data are made ready."""
    monkeypatch.setattr(train, "prepare", lambda dataset: pytest.fail("data were made ready"))
    folder = make(tmp_path / "named")
    words = ["run", "toy-new", "--seed", "3", "--start-from", str(folder)]
    assert cli.main([*words, "--out", str(tmp_path / "runs")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert str(folder) in line and said in line


def test_that_no_run_is_there_to_begin_with_is_told_before_data_are_made_ready(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(train, "prepare", lambda dataset: pytest.fail("data were made ready"))
    assert cli.main(["run", "toy-new", "--seeds", "2", "--out", str(tmp_path)]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"make it with: repro run toy-source --scale short --seed 0 --out {tmp_path}" in line


def test_an_experiment_whose_weights_are_drawn_begins_with_no_run(source, tmp_path, capsys):
    """Otherwise its runs would be counted with those that began as the recipe says."""
    words = ["run", "toy-source", "--out", str(tmp_path), "--start-from", str(source.path)]
    assert cli.main(words) == 2
    assert "toy-source begins with weights that are drawn" in capsys.readouterr().err


def test_one_run_is_not_begun_with_by_several_seeds(source, tmp_path, capsys):
    words = ["run", "toy-new", "--seeds", "2", "--out", str(tmp_path)]
    assert cli.main([*words, "--start-from", str(source.path)]) == 2
    assert "each begins with a run of its own seed" in capsys.readouterr().err


def newest(run_dir: Path) -> Path:
    return checkpoint.newest(run_dir / "checkpoints")


def flip(run_dir: Path):
    content = bytearray(newest(run_dir).read_bytes())
    content[len(content) // 2] ^= 1
    newest(run_dir).write_bytes(content)


def exchange(run_dir: Path):
    """Other weights, in a checkpoint that is whole."""
    values, progress = checkpoint.load(newest(run_dir))
    checkpoint.save(
        run_dir / "checkpoints", progress["update"], [-values[0], *values[1:]], progress
    )


def foreign(run_dir: Path):
    """The checkpoint of another run."""
    values, progress = checkpoint.load(newest(run_dir))
    progress["run"]["id"] = 32 * "0"
    checkpoint.save(run_dir / "checkpoints", progress["update"], values, progress)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip, "the checkpoint is damaged (its digest does not match)"),
        (exchange, "its weights have changed since they were tested (digest "),
        (foreign, "is of another run (id 0000"),
        (lambda run_dir: newest(run_dir).unlink(), "its last checkpoint is gone, update-"),
        (lambda run_dir: shutil.rmtree(run_dir / "checkpoints"), "has no checkpoint left"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_weights_that_are_damaged_or_changed_are_not_begun_with(out, source, damage, said, named):
    run_dir = out / "toy-source" / source.path.name
    damage(run_dir)
    with pytest.raises(DataError) as raised:
        run(NEW, out, **({"start_from": run_dir} if named else {}))
    text = str(raised.value)
    assert said in text and str(run_dir) in text and "\n" not in text
    assert text.endswith("begin with another run: repro run toy-source --scale short --seed 3")
    assert not (out / NEW.name).exists()


# ---------------------------------------------------------------------------- which layers


def test_layers_that_are_named_are_carried_and_the_others_are_drawn(source):
    some = Carried("toy-source", "short", trained=("*",), layers=("conv1*",))
    experiment = dataclasses.replace(NEW, begins=some)
    model = built(experiment)
    drawn, ended = weights(model), weights(runner.trained(source.path))
    assert carrying.carry(source, some, model)["drawn"] == ["conv2", "conv2_bn", "fc"]
    begun = weights(model)
    for name in begun:
        assert same(begun[name], (ended if name in FROZEN else drawn)[name]), name
    assert len(model.trainable_weights) == 1 + 2 + 2 + 2 + 2  # all: what is carried too


@pytest.mark.parametrize(
    ("trained", "named", "said"),
    [
        (("*",), ("conv1", "fc"), "does not hold fc, which begins with it, as this network has it"),
        (("*",), ("conv9",), "unknown layer in begins.layers 'conv9'.*accepted: conv1, conv1_bn"),
        (("fc",), ("conv1",), "leave out conv1_bn, conv2, conv2_bn: accepted are layers"),
    ],
)
def test_layers_that_cannot_be_carried_are_refused(out, trained, named, said):
    begins = dataclasses.replace(NEW.begins, trained=trained, layers=named)
    with pytest.raises(UsageError, match=said):
        run(dataclasses.replace(NEW, begins=begins), out)
    assert not (out / NEW.name).exists()


def test_a_source_of_the_same_scale(tmp_path):
    begins = dataclasses.replace(NEW.begins, scale="same")
    for scale in ("smoke", "short", "paper"):
        assert begins.scale_for(scale) == scale
        assert NEW.begins.scale_for(scale) == ("smoke" if scale == "smoke" else "short")
    alike = dataclasses.replace(NEW, begins=begins)
    assert settings.digest(alike, "short") == settings.digest(NEW, "short")
    assert settings.digest(alike, "paper") != settings.digest(NEW, "paper")
    with pytest.raises(DataError, match="make it with: repro run toy-source --scale paper --seed"):
        run(alike, tmp_path)


def test_what_it_begins_with_in_words():
    seven = Carried("vgg-a-imagenet", "same", ("*",), ("conv1_1", "fc7", "fc8"))
    assert seven.sentence == (
        "Training begins with the weights of conv1_1, fc7 and fc8 of a run of vgg-a-imagenet of "
        "the same scale and seed, to train all layers."
    )
    everything = Carried("vgg-d-imagenet", "paper", ("*",), ("*",))
    assert everything.words == (
        "the weights of a run of vgg-d-imagenet at paper scale with the same seed, to train all "
        "layers"
    )


# ---------------------------------------------------------------------------- resumed


@pytest.mark.parametrize(("update", "named"), [(0, False), (17, False), (17, True)])
def test_a_run_is_resumed_without_its_source_to_the_same_bits(out, new, update, named):
    (run_dir,) = (out / "toy-source").iterdir()
    how = {"start_from": run_dir} if named else {}
    with pytest.raises(Interrupted):
        run(NEW, out, observers=[stopping_at(update, "progress" if update else "start")], **how)
    shutil.rmtree(out / "toy-source")
    (run_dir,) = (out / "toy-new").iterdir()
    assert (checkpoint.states(run_dir / "checkpoints")) and not (run_dir / "result.json").exists()
    runner.resume(run_dir)
    assert timeless(Journal(run_dir)) == timeless(new)
    assert same(last_state(Journal(run_dir)), last_state(new))


def test_without_a_checkpoint_it_is_not_begun_with_weights_that_were_drawn(out):
    with pytest.raises(Interrupted):
        run(NEW, out, observers=[stopping_at(0, "start")])
    (run_dir,) = (out / "toy-new").iterdir()
    shutil.rmtree(run_dir / "checkpoints")
    with pytest.raises(RunError, match="start a new run: this one began with the weights of anot"):
        runner.resume(run_dir)


# ---------------------------------------------------------------------------- what names a run


def test_a_run_is_stale_once_its_source_is_by_another_recipe(new, toys):
    told = new.run()
    assert not groups.group_of(told, NEW).stale
    assert settings.digest_of_run(told, NEW) == settings.digest(NEW) == told["digest"]
    changed = dataclasses.replace(SOURCE, recipe=dataclasses.replace(SOURCE_RECIPE, batch=64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            catalog, "papers", lambda: (dataclasses.replace(TOYS, experiments=(changed, NEW)),)
        )
        assert groups.group_of(told, NEW).stale


def test_what_training_begins_with_is_part_of_what_is_trained():
    drawn = dataclasses.replace(NEW, begins=None)
    fewer = dataclasses.replace(NEW.begins, trained=("fc",))
    others = [
        *(NEW, drawn, dataclasses.replace(NEW, begins=fewer)),
        settings.override(NEW, ["begins.scale=paper"]),
        settings.override(NEW, ["recipe.data.per_class=31"]),
    ]
    assert len({settings.digest(each) for each in others}) == len(others)


def test_runs_from_before_there_were_such_fields_are_of_the_same_recipe():
    begun = json.loads(json.dumps(settings.as_plain(NEW)))
    assert begun["begins"].pop("layers") == []
    of_source = {"experiment": SOURCE.name, "scale": "short", "resolved": settings.as_plain(SOURCE)}
    old = {"resolved": begun, "scale": "paper", "begins": of_source}
    assert settings.digest_of_run(old, NEW) == settings.digest(NEW)
    told = json.loads(json.dumps(settings.as_plain(SOURCE)))
    assert told.pop("begins") is None and told["recipe"]["data"].pop("per_class") == 0
    old = {"resolved": told, "scale": "short"}
    assert settings.digest_of_run(old, SOURCE) == settings.digest(SOURCE, "short")


def test_set_takes_the_new_keys(source):
    taken = settings.settable(NEW)
    assert taken["begins.scale"] == "short" and taken["begins.source"] == "toy-source"
    assert taken["recipe.data.per_class"] == 32
    assert not any(key.startswith("begins") for key in settings.settable(SOURCE))
    with pytest.raises(UsageError, match=r"begins.scale 'shrt' \(did you mean short"):
        settings.override(NEW, ["begins.scale=shrt"])
    with pytest.raises(UsageError, match=r"per_class=-1: accepted is a whole number from 0"):
        settings.override(NEW, ["recipe.data.per_class=-1"])
    with pytest.raises(UsageError, match=r"unknown experiment 'toy-sauce' \(did you mean toy-so"):
        run(NEW, source.path.parents[1], overrides=["begins.source=toy-sauce"])


def test_show_says_what_it_begins_with(capsys):
    assert cli.main(["show", "toy-new"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"begins with {NEW.begins.words}" in said and "per_class=32" in said
    assert NEW.begins.words.endswith("with the same seed, to train conv2* and fc alone")
    assert "make first repro run toy-source --scale short --seed 0" in said
    assert cli.main(["show", "toy-new", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["make_first"] == ["repro run toy-source --scale short --seed 0"]
    told = shown["begins"]
    assert told["source"] == "toy-source" and told["trained"] == ["conv2*", "fc"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Carried("toy-source", "short", ()),
        lambda: Carried("toy-source", "short", "fc"),
        lambda: dataclasses.replace(NEW, begins=Carried("toy-source", "long", ("fc",))),
    ],
)
def test_what_makes_no_sense_cannot_be_written_down(make):
    with pytest.raises(UsageError, match=r"begins\.|begins.scale"):
        make()


def test_the_page_says_what_it_begins_with_and_which_run_that_was(source, new, tmp_path):
    records = [reading.read_run(journal.path) for journal in (source, new)]
    claim = Claim("c", "More.", "Table 4", (SOURCE.name, NEW.name), less=(NEW.name, SOURCE.name))
    shown = dataclasses.replace(TOYS, claims=(claim,))
    rows = verdict.table(records, TOYS.experiments, spread.NOTHING)
    page = pages.paper_page(shown, records, rows, tmp_path)
    before, _, after = page.partition("### toy-new")
    assert NEW.begins.sentence in after and NEW.begins.sentence not in before
    told = source.run()["id"][:8], source.result()["metrics"]["single-view"]["test_error"]
    assert "began with run {} ({:.2f} %)".format(*told) in after
    assert "| toy-source − toy-new > toy-new − toy-source |" in before
    assert "| 0 and 1, 1 and 0 | not run |" in before


def test_verify_does_not_train_what_begins_with_another_run(source):
    recorded = [reading.read_run(source.path)]
    plan = verifying.plan([SOURCE, NEW], recorded, 60)
    assert [one.experiment for one in plan.planned] == ["toy-source"]
    assert plan.carried == ("toy-new",) and plan.nothing_recorded == ()


# ---------------------------------------------------------------------------- so many of each class


@pytest.mark.parametrize("split", ["train", "train[100:900]"])
def test_the_first_so_many_of_each_class_are_taken_in_stored_order(split):
    whole, few = datasets.load("digits", split), datasets.load("digits", split, 5)
    seen, rows = Counter(), []
    for row, label in enumerate(whole.labels.tolist()):
        seen[label] += 1
        if seen[label] <= 5:
            rows.append(row)
    assert len(rows) == 50 == datasets.count("digits", split, 5)
    np.testing.assert_array_equal(few.labels, whole.labels[rows])
    np.testing.assert_array_equal(few.images, whole.images[rows])


def test_more_than_there_are_of_a_class_are_refused():
    labels = datasets.load("digits", "train").labels
    fewest = min(Counter(labels.tolist()).values())
    assert len(datasets.load("digits", "train", fewest).labels) == 10 * fewest
    with pytest.raises(UsageError, match=rf"has {fewest} of a class; accepted is up to {fewest}"):
        datasets.load("digits", "train", fewest + 1)
    for refused in (datasets.load, datasets.count):
        with pytest.raises(UsageError, match=r"train has 1,437 examples of 10 classes; .* to 143"):
            refused("digits", "train", 144)
    with pytest.raises(UsageError, match=r"per_class=9: of imagenette.* accepted is 0"):
        datasets.count("imagenette", "train", 9)


def test_preprocessing_learns_from_those_that_are_taken_and_tests_see_all(new):
    images = datasets.load("digits", "train", 32).images / np.float32(16.0)
    test = datasets.load("digits", "test").images / np.float32(16.0)
    expected = test - images.mean(axis=0, dtype="float64")
    for seen in (inputs.of_test(RECIPE)[0], inputs.of_training(RECIPE).test_images):
        np.testing.assert_allclose(seen, expected, atol=1e-6)
    told = new.run()["data"]
    assert (told["train_examples"], told["test_examples"]) == (320, 360)


# ---------------------------------------------------------------------------- the paper's module


def of(name: str) -> Experiment:
    return next(e for e in paper.PAPER.experiments if e.name == name)


def test_the_source_is_resnet_20_but_for_the_data_and_ninety_rows():
    source = of("resnet20-cifar100")
    twin = resnet.OF_RESNETS[20]
    assert dataclasses.replace(source.recipe, data=twin.recipe.data) == twin.recipe
    assert source.network.options == {**twin.network.options, "classes": 100}
    assert not source.reported


def test_all_nine_make_as_many_updates_of_as_many_images():
    nine = [e for e in paper.PAPER.experiments if e.name != "resnet20-cifar100"]
    assert len(nine) == 9 and len({e.name for e in nine}) == 9
    for experiment in nine:
        recipe = experiment.recipe
        assert (recipe.iterations, recipe.batch) == (2_000, 128)
        rates = recipe.optimizer.stretches(2_000)
        first = 0.01 if experiment.begins else 0.1
        assert rates == [(0, first), (1000, first / 10), (1500, first / 100)]
        assert recipe.augmentation == resnet.CIFAR10_RECIPE.augmentation
        assert (recipe.data.dataset, recipe.data.test) == ("cifar10", "test")
        assert experiment.name.endswith(f"-{recipe.data.per_class}")
        assert bool(experiment.begins) == ("scratch" not in experiment.name)
        if experiment.begins:
            assert (experiment.begins.source, experiment.begins.scale) == (
                "resnet20-cifar100",
                "short",
            )
    assert sorted({e.recipe.data.per_class for e in nine}) == [50, 500, 5_000]


@pytest.mark.parametrize(
    ("way", "parameters"),
    [
        # 64 means of maps to ten logits; and six convolutions of 3x3, the first from 32 maps, each
        # with a gamma and a beta for its 64 maps.
        ("linear", 650),
        ("tuned", 650 + 9 * 64 * (32 + 5 * 64) + 6 * 2 * 64),
        ("scratch", 269_722),
    ],
)
def test_so_many_parameters_are_trained(way, parameters):
    experiment = of(f"resnet20-cifar10-{way}-50")
    model = built(experiment)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == parameters


def test_claims_compare_what_is_carried_over_with_scratch():
    *pairs, gain = paper.PAPER.claims
    assert [(claim.needs, claim.less) for claim in pairs] == [
        ((f"resnet20-cifar10-scratch-{count}", f"resnet20-cifar10-{way}-{count}"), ())
        for way in ("linear", "tuned")
        for count in (50, 500)
    ]
    counts = (5000, 500, 50)
    assert gain.needs == tuple(f"resnet20-cifar10-tuned-{count}" for count in counts)
    assert gain.less == tuple(f"resnet20-cifar10-scratch-{count}" for count in counts)


# ---------------------------------------------------------------------------- every backend


@pytest.mark.slow
@pytest.mark.parametrize("backend", backends.NAMES)
def test_on_every_backend_what_is_not_trained_keeps_every_bit(backend, tmp_path):
    if not backends.installed(backend):
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, __file__, tmp_path],
        env={**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    kept, updates = json.loads(done.stdout.splitlines()[-1])
    assert kept == {**dict.fromkeys(FROZEN, True), **dict.fromkeys(TRAINED, False)}
    assert updates == UPDATES


def main(folder: str) -> None:
    """Prints whether each layer is as the source left it, and how many updates were made."""
    catalog.papers = lambda: (TOYS,)
    first, second = run(SOURCE, Path(folder), scale="short"), run(NEW, Path(folder))
    before, after = (weights(runner.trained(journal.path)) for journal in (first, second))
    kept = {name: same(before[name], after[name]) for name in after}
    print(json.dumps([kept, second.result()["updates"]]))


if __name__ == "__main__":
    main(sys.argv[1])
