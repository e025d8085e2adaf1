"""`repro evaluate`: runs on photographs, several runs together, weights from a foreign file."""

import dataclasses
import io
import json
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import modern_on_digits
from whole_photographs import PICTURES, kept, network, resized, softmax

from repro import catalog, cli, spec
from repro.data import datasets, sets
from repro.data.crops import Square
from repro.data.decoding import resize
from repro.data.preprocessing import ChannelMean, PerPixelMean
from repro.data.sets import Split
from repro.errors import Listed, UsageError
from repro.networks.losses import AuxiliaryCrossEntropy
from repro.training import runner, weights

keras = pytest.importorskip("keras")

# ---------------------------------------------------------------- runs on photographs

LABELS = (np.arange(5) % 5).astype("int32")


def middle(picture: np.ndarray) -> np.ndarray:
    length = min(picture.shape[:2])
    top, left = ((side - length) // 2 for side in picture.shape[:2])
    return resize(picture[top : top + length, left : left + length], 12, 12, "bilinear")


SQUARES = np.stack([middle(picture) for picture in PICTURES]).astype("float64")


def experiment(name, mean, protocols) -> spec.Experiment:
    modern = catalog.experiment("lenet5-modern-mnist")
    recipe = dataclasses.replace(
        modern.recipe,
        data=spec.Data("snaps"),
        preprocessing=(Square(12), mean),
        augmentation=None,
        optimizer=spec.SGD(0.001, momentum=0.9),
        passes=1,
        batch=5,
        training_error_measured=False,
    )
    small = spec.Network("small", network, {"side": 12})
    return dataclasses.replace(
        modern, name=name, network=small, recipe=recipe, protocols=protocols, reported=(), bands=()
    )


EXPERIMENTS = {
    "pixels": experiment("pixels", PerPixelMean(scale=128.0), ("single-view", "dense-12-15")),
    "colours": experiment("colours", ChannelMean(scale=64.0), ("single-view",)),
}


def put_in_place(patch: pytest.MonkeyPatch) -> None:
    """The pictures as a data set, and the experiments on them."""
    split = Split(kept(PICTURES), LABELS)
    patch.setattr(datasets, "load", lambda name, split_, per_class=0: split)
    facts = {"name": "snaps", "version": "1", "digest": "0" * 64}
    patch.setattr(datasets, "facts", lambda name: facts)
    patch.setattr(datasets, "count", lambda name, split, per_class=0: 5)
    patch.setitem(sets.DATASETS, "snaps", SimpleNamespace(name="snaps", classes=5, shape=None))
    known = catalog.experiment
    patch.setattr(catalog, "experiment", lambda name: EXPERIMENTS.get(name) or known(name))
    patch.setattr(catalog, "paper_of", lambda name: SimpleNamespace(name="toys"))


@pytest.fixture
def snaps(monkeypatch):
    put_in_place(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs with a mean of each pixel, one with a mean colour."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch)
        return [
            runner.run(EXPERIMENTS[name], seed=seed, out=out)
            for name, seed in (("pixels", 0), ("pixels", 1), ("colours", 0))
        ]


def seen_by(name: str, protocol: str) -> list[list[np.ndarray]]:
    """The views of each picture, preprocessed."""
    squares = SQUARES - SQUARES.mean(axis=(0, 1, 2) if name == "colours" else 0)
    scale = {"pixels": 128.0, "colours": 64.0}[name]
    if protocol == "single-view":
        return [[square / scale] for square in squares]
    colour = SQUARES.mean(axis=(0, 1, 2))
    found = []
    for picture in PICTURES:
        whole = [resized(picture, side) for side in (12, 15)]
        both = [view for image in whole for view in (image, image[:, ::-1])]
        found.append([(view - colour) / scale for view in both])
    return found


def probabilities(run: dict, protocol: str) -> np.ndarray:
    """The mean softmax of each picture; scores at places of larger ones by moving a crop."""
    model, found = runner.trained(run["run_dir"]), []
    maps = images = keras.Input((None, None, 3))
    for name in ("conv1", "conv1_pool", "conv2", "conv2_pool"):
        maps = model.get_layer(name)(maps)
    maps = keras.Model(images, maps)
    hidden, last = (model.get_layer(name).get_weights() for name in ("fc3", "fc4"))
    for views in seen_by(run["experiment"], protocol):
        each = []
        for view in views:
            x = keras.ops.convert_to_numpy(maps(view[None].astype("float32")))[0]
            places = np.ndindex(x.shape[0] - 2, x.shape[1] - 2)
            flat = np.stack([x[r : r + 3, c : c + 3].ravel() for r, c in places])
            scores = np.maximum(flat @ hidden[0] + hidden[1], 0) @ last[0] + last[1]
            each.append(softmax(scores.mean(axis=0)))
        found.append(np.mean(each, axis=0))
    return np.array(found)


def held_to(found: dict, p: np.ndarray) -> None:
    wrong = p.argmax(axis=1) != LABELS
    assert found["test_count"] == 5 and found["test_wrong"] == wrong.sum()
    assert found["test_error"] == 100 * wrong.mean()
    assert found["test_loss"] == pytest.approx(-np.log(p[np.arange(5), LABELS]).mean(), rel=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras, on TensorFlow
def test_a_run_ends_with_its_protocols_and_can_be_tested_by_them_again(made, snaps):
    first = made[0]
    assert list(first["metrics"]) == ["single-view", "dense-12-15"]
    for protocol in first["metrics"]:
        held_to(first["metrics"][protocol], probabilities(first, protocol))
        again = runner.evaluate(first["run_dir"], protocol)
        assert again["metrics"] == first["metrics"][protocol]
    held_to(
        runner.evaluate(made[2]["run_dir"], "dense-12-15")["metrics"],
        probabilities(made[2], "dense-12-15"),
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("protocol", ["single-view", "dense-12-15"])
def test_of_several_runs_the_mean_softmax_is_scored(protocol, made, snaps, capsys):
    """Each with its own preprocessing."""
    run_dirs = [run["run_dir"] for run in made]
    p = np.mean([probabilities(run, protocol) for run in made], axis=0)
    assert cli.main(["evaluate", *run_dirs, "--protocol", protocol, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["protocol", "runs", "metrics"] and found["protocol"] == protocol
    assert [run["run_dir"] for run in found["runs"]] == run_dirs
    assert [run["experiment"] for run in found["runs"]] == ["pixels", "pixels", "colours"]
    assert all(run["finished"] and run["update"] == 1 for run in found["runs"])
    held_to(found["metrics"], p)
    one = runner.evaluate(run_dirs[0], protocol)
    assert list(one) == ["run_dir", "protocol", "update", "finished", "metrics"]  # as it was


def test_a_run_together_with_itself_is_refused(made, snaps, capsys):
    first = made[0]["run_dir"]
    assert cli.main(["evaluate", first, first, "--protocol", "single-view"]) == 2
    assert "named twice" in capsys.readouterr().err


# ---------------------------------------------------------------- runs on images of one size


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run on scikit-learn's digits, with softmax; one by penalties, which have none."""
    out = tmp_path_factory.mktemp("digits")
    modern = modern_on_digits()
    with pytest.MonkeyPatch.context() as patch:
        known = catalog.experiment
        patch.setattr(
            catalog, "experiment", lambda name: modern if name == modern.name else known(name)
        )
        penalties = catalog.experiment("lenet5-digits")
        return [runner.run(one, scale="smoke", out=out)["run_dir"] for one in (modern, penalties)]


@pytest.fixture
def known_digits(monkeypatch):
    modern, known = modern_on_digits(), catalog.experiment
    monkeypatch.setattr(
        catalog, "experiment", lambda name: modern if name == modern.name else known(name)
    )


def test_runs_on_other_images_are_refused_before_anything_is_loaded(
    made, digits, snaps, known_digits, monkeypatch
):
    monkeypatch.setattr(datasets, "load", None)
    with pytest.raises(UsageError, match=r"tested on digits .*first 1000.* on snaps .* same test"):
        runner.evaluate_together([made[0]["run_dir"], digits[0]], "single-view")


def test_runs_on_images_of_one_size_are_not_tested_densely(digits, known_digits, monkeypatch):
    monkeypatch.setattr(datasets, "load", None)
    said = "digits has images of 8x8; accepted here"
    with pytest.raises(UsageError, match=said):
        runner.evaluate(digits[0], "dense-256")
    with pytest.raises(UsageError, match=said):
        runner.evaluate_together(digits, "dense-256")


def test_a_network_without_softmax_has_none_to_be_averaged(digits, known_digits):
    with pytest.raises(UsageError, match="lenet5 has no softmax to be averaged"):
        runner.evaluate_together(digits[::-1], "single-view")


# ---------------------------------------------------------------- weights in a file


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_exported_weights_give_the_same_metrics_to_the_bit(made, snaps, tmp_path):
    file = tmp_path / "new folder" / "weights.npz"
    assert cli.main(["export", made[0]["run_dir"], str(file)]) == 0
    with np.load(file) as arrays:
        shapes = {name: arrays[name].shape for name in arrays}
    assert shapes == {
        "conv1/kernel": (3, 3, 3, 4),  # height, width, maps in, maps out
        "conv1/bias": (4,),
        "conv2/kernel": (3, 3, 4, 6),
        "conv2/bias": (6,),
        "fc3/kernel": (3 * 3 * 6, 7),
        "fc3/bias": (7,),
        "fc4/kernel": (7, 5),
        "fc4/bias": (5,),
    }
    for protocol in ("single-view", "dense-12-15"):
        found = runner.evaluate_weights(EXPERIMENTS["pixels"], file, protocol)
        reached = made[0]["metrics"][protocol]
        assert found["metrics"] == {k: v for k, v in reached.items() if k != "running_error"}
    assert runner.evaluate_weights(EXPERIMENTS["pixels"], file)["protocol"] == "single-view"


def test_on_the_command_line_weights_go_with_an_experiment(digits, known_digits, tmp_path, capsys):
    file = tmp_path / "weights.npz"
    assert cli.main(["export", digits[1], str(file)]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", "lenet5-digits", "--weights", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["experiment", "weights", "protocol", "metrics"]
    assert found["metrics"] == {
        key: value
        for key, value in runner.evaluate(digits[1], "single-view")["metrics"].items()
        if key.startswith("test_")
    }
    for wrong in (["lenet5-mnst"], ["lenet5-digits", "lenet5-mnist"], [digits[1]]):
        assert cli.main(["evaluate", *wrong, "--weights", str(file)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1


def small() -> tuple:
    """A network of two layers and its weights by name."""
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 3, name="conv")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dense(5, name="full")(keras.layers.Flatten()(x))
    model = keras.Model(images, x, name="tiny")
    draw = np.random.default_rng(4)
    return model, {
        name: draw.uniform(0.5, 2, tuple(v.shape)).astype("float32")
        for name, v in weights.named(model).items()
    }


def test_the_names_are_those_of_layers_and_variables(tmp_path):
    model, arrays = small()
    assert {name: a.shape for name, a in arrays.items()} == {
        "conv/kernel": (3, 3, 3, 2),
        "conv/bias": (2,),
        **{f"norm/{name}": (2,) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
        "full/kernel": (2 * 2 * 2, 5),
        "full/bias": (5,),
    }
    for kind in ("float16", "float32", "float64", ">f4"):
        np.savez_compressed(
            tmp_path / "w.npz", **{name: a.astype(kind) for name, a in arrays.items()}
        )
        weights.read(tmp_path / "w.npz", model, model)
        for name, variable in weights.named(model).items():
            np.testing.assert_allclose(variable.numpy(), arrays[name], rtol=1e-3)


def test_every_array_that_does_not_fit_is_named(tmp_path):
    model, arrays = small()
    before = model.get_weights()
    del arrays["norm/gamma"], arrays["full/bias"]
    arrays["conv/kernel"] = arrays["conv/kernel"].transpose(3, 2, 0, 1)
    arrays["conv/bias"] = np.arange(2)
    arrays["fc8/kernel"] = np.zeros((3, 4))
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(Listed) as raised:
        weights.read(tmp_path / "w.npz", model, model)
    assert str(raised.value).splitlines() == [
        f"{tmp_path}/w.npz: 5 arrays do not fit tiny:",
        "  conv/kernel is 2 x 3 x 3 x 3, wanted is 3 x 3 x 3 x 2",
        "  conv/bias is of int64, wanted is float16, float32 or float64",
        "  norm/gamma is missing: 2",
        "  full/bias is missing: 5",
        "  fc8/kernel is none of the network: 3 x 4",
    ]
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_of_many_arrays_that_do_not_fit_twenty_are_named(tmp_path, capsys, monkeypatch):
    _, arrays = small()
    np.savez(tmp_path / "w.npz", **arrays)
    monkeypatch.setattr(datasets, "load", None)
    code = cli.main(["evaluate", "resnet20-cifar10", "--weights", str(tmp_path / "w.npz")])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1 + 20 + 1
    # 19 convolutions, 19 normalisations of four variables, a kernel and a bias; and eight others
    assert lines[0].startswith("error: ") and f"{19 + 19 * 4 + 2 + 8} arrays do not" in lines[0]
    surplus = [line for line in lines if "none of the network" in line]  # some of either kind
    assert len(surplus) == 8 and sum("is missing" in line for line in lines) == 12
    assert lines[-1] == f"  and {19 + 19 * 4 + 2 + 8 - 20} more"


def test_auxiliary_classifiers_may_be_missing_but_not_misshapen(tmp_path):
    from repro.training.evaluation import tested

    images = keras.Input((4,))
    own, head = (keras.layers.Dense(3, name=name)(images) for name in ("own", "head"))
    both = keras.Model(images, keras.ops.stack([own, head], axis=1), name="both")
    alone = tested(both, AuxiliaryCrossEntropy(0.3, own="own"))[0]
    arrays = {"own/kernel": np.ones((4, 3)), "own/bias": np.ones(3)}
    np.savez(tmp_path / "w.npz", **arrays)
    weights.read(tmp_path / "w.npz", both, alone)
    assert (both.get_layer("own").get_weights()[0] == 1).all()
    np.savez(tmp_path / "w.npz", **arrays, **{"head/kernel": np.ones((4, 2))})
    with pytest.raises(Listed, match="head/kernel is 4 x 2, wanted is 4 x 3"):
        weights.read(tmp_path / "w.npz", both, alone)


def a_file(kind: str, file) -> None:
    _, arrays = small()
    if kind == "pickled":
        arrays["conv/kernel"] = np.array([{"a": 1}], object)
    if kind == "not finite":
        arrays["conv/kernel"][0, 0, 0, 0] = np.nan
    if kind == "too large for float32":
        arrays["conv/kernel"] = arrays["conv/kernel"] * 1e300
    np.savez(file, **arrays)
    content = bytearray(file.read_bytes())
    if kind == "cut off":
        file.write_bytes(content[: len(content) // 2])
    if kind == "a bit has turned":
        start = content.index(arrays["conv/kernel"].tobytes())
        content[start] ^= 1
        file.write_bytes(content)
    if kind == "text":
        file.write_text("conv/kernel: 1 2 3")
    if kind == "no arrays":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("conv/kernel.npy", b"nothing of the kind")
    if kind == "one array":
        stream = io.BytesIO()
        np.save(stream, arrays["conv/kernel"])
        file.write_bytes(stream.getvalue())
    if kind == "a folder":
        file.unlink()
        file.mkdir()
    if kind == "not there":
        file.unlink()


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cut off", "only the beginning"),
        ("a bit has turned", "is damaged (Bad CRC-32"),
        ("text", "is no .npz file"),
        ("one array", "is no .npz file"),
        ("no arrays", "is damaged"),
        ("pickled", "conv/kernel.npy holds Python objects, which are not read"),
        ("not finite", "conv/kernel has numbers that are not finite"),
        ("too large for float32", "conv/kernel has numbers that are not finite"),
        ("a folder", "no such file"),
        ("not there", "no such file"),
    ],
)
def test_a_file_of_no_use_is_a_line(kind, said, tmp_path):
    model, _ = small()
    before = model.get_weights()
    file = tmp_path / "w.npz"
    a_file(kind, file)
    with pytest.raises(UsageError) as raised:
        weights.read(file, model, model)
    assert said in str(raised.value) and str(raised.value).count("\n") == 0
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    if file.is_dir():
        shutil.rmtree(file)
