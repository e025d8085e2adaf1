"""What networks see: deconvolution, occlusion and what units see, against loops in NumPy."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import elsewhere
from by_hand import convolved, relu
from graphs import model_of
from small_runs import digits

from repro import backends, catalog, cli
from repro.data import datasets, inputs
from repro.errors import UsageError
from repro.networks import anatomy, krizhevsky2012, losses
from repro.report import look_sheet, sheet
from repro.training import deconvolution, evaluation, looking, occlusion, runner

LAYERS = keras.layers


# ---------------------------------------------------------------- a tiny network, by hand


def tiny():
    """8x8x2 in: a convolution with relu, a max-pooling, a convolution with relu, three classes."""
    images = keras.Input((8, 8, 2))
    x = LAYERS.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(images)
    x = LAYERS.MaxPooling2D(2, name="pool1")(x)
    x = LAYERS.ReLU(name="relu2")(LAYERS.Conv2D(3, 3, padding="same", name="conv2")(x))
    x = LAYERS.Dense(3, name="fc3")(LAYERS.Flatten(name="flatten")(x))
    model = keras.Model(images, x, name="tiny")
    random = np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0, 0.4, variable.shape))
    return model


def weights_of(model):
    """By hand_of's, but in this order: kernel and bias of conv1, conv2, fc3."""
    return [backends.as_numpy(v).astype("float64") for v in model.trainable_variables]


def some_images(count=5):
    return np.random.default_rng(1).normal(size=(count, 8, 8, 2)).astype("float32")


class Upwards:
    """The network in NumPy for one image, with what the way back needs."""

    def __init__(self, weights, image):
        k1, b1, k2, b2, k3, b3 = weights
        self.first = convolved(image, k1, b1)
        rectified = relu(self.first)
        self.pooled, self.switches = np.zeros((4, 4, 4)), {}
        for r, c, m in np.ndindex(4, 4, 4):
            window = rectified[2 * r : 2 * r + 2, 2 * c : 2 * c + 2, m]
            down, right = np.unravel_index(window.argmax(), (2, 2))
            self.switches[r, c, m] = 2 * r + down, 2 * c + right
            self.pooled[r, c, m] = window.max()
        self.maps = relu(convolved(self.pooled, k2, b2))
        self.logits = self.maps.ravel() @ k3 + b3


def transposed(signal, kernel):
    """What a convolution with borders of zeros sends back: each unit to all that it looked at."""
    rows, columns, maps = signal.shape
    out = np.zeros((rows + 2, columns + 2, kernel.shape[2]))
    for r, c, m in np.ndindex(rows, columns, maps):
        out[r : r + 3, c : c + 3] += signal[r, c, m] * kernel[..., m]
    return out[1:-1, 1:-1]


def deconvolved_by_hand(weights, image, unit, way="deconvolution"):
    """From a unit (row, column, map) of the last maps down to the pixels."""
    up, kernels = Upwards(weights, image), weights[0:3:2]
    signal = np.zeros_like(up.maps)
    signal[unit] = up.maps[unit]
    signal = transposed(relu(signal), kernels[1])
    below = np.zeros_like(up.first)
    for (r, c, m), (row, column) in up.switches.items():
        below[row, column, m] += signal[r, c, m]
    if way != "gradient":
        below = relu(below)
    if way != "deconvolution":
        below = below * (up.first > 0)
    return transposed(below, kernels[0])


def strongest_unit(model, image):
    maps = Upwards(weights_of(model), image).maps
    unit = np.unravel_index(maps.argmax(), maps.shape)
    assert maps[unit] > 0
    return tuple(map(int, unit))


@pytest.mark.parametrize(("guided", "way"), [(False, "deconvolution"), (True, "guided")])
@pytest.mark.parametrize("layer", ["relu2"])
def test_deconvolution_is_what_loops_compute(layer, guided, way):
    model, images = tiny(), some_images()
    weights = weights_of(model)
    units = [strongest_unit(model, image) for image in images]
    found, values = deconvolution.deconvolved(
        deconvolution.up_to(model, layer),
        images,
        [unit[2] for unit in units],
        [unit[:2] for unit in units],
        guided,
    )
    for image, unit, value, picture in zip(images, units, values, found, strict=True):
        expected = deconvolved_by_hand(weights, image, unit, way)
        assert value == pytest.approx(Upwards(weights, image).maps[unit], rel=1e-5)
        np.testing.assert_allclose(picture, expected, atol=1e-5)
        gradient = deconvolved_by_hand(weights, image, unit, "gradient")
        assert np.abs(expected - gradient).max() > 0.01  # it is something else


def test_the_network_is_left_as_it_was():
    model, images = tiny(), some_images(2)
    before = model(images, training=False)
    part = deconvolution.up_to(model, "relu2")
    signal = np.ones((2, 4, 4, 3), "float32")
    gradient = backends.here().pulled_back(part, images, signal)
    deconvolution.deconvolved(part, images, [0, 1], [(1, 1), (2, 2)])
    np.testing.assert_array_equal(before, model(images, training=False))
    np.testing.assert_array_equal(gradient, backends.here().pulled_back(part, images, signal))
    assert model.get_layer("conv1").activation is keras.activations.relu
    assert "call" not in vars(model.get_layer("relu2"))


def residual():
    """6x6x1 in: convolution, batch normalisation and relu, added to what comes in; relu."""
    images = keras.Input((6, 6, 2))
    x = LAYERS.Conv2D(2, 3, padding="same", use_bias=False, name="conv")(images)
    x = LAYERS.BatchNormalization(epsilon=0.01, name="norm")(x)
    x = LAYERS.Activation("relu", name="inner")(x)
    x = LAYERS.ReLU(name="outer")(LAYERS.Add(name="sum")([x, images]))
    return keras.Model(images, x, name="residual")


def test_additions_and_batch_normalisation_on_the_way_back():
    model, random = residual(), np.random.default_rng(3)
    kernel, gamma = random.normal(size=(3, 3, 2, 2)), np.array([1.5, -0.7])
    beta, mean, variance = np.array([[0.3, -0.2], [0.1, 0.2], [0.8, 2.0]])
    model.get_layer("conv").set_weights([kernel])
    model.get_layer("norm").set_weights([gamma, beta, mean, variance])
    image = random.normal(size=(1, 6, 6, 2)).astype("float32")
    maps = keras.ops.convert_to_numpy(model(image, training=False))[0]
    row, column, number = (int(i) for i in np.unravel_index(maps.argmax(), maps.shape))
    signal = np.zeros((6, 6, 2))
    signal[row, column, number] = maps.max()
    through = relu(signal) * gamma / np.sqrt(variance + 0.01)
    expected = signal + transposed(through, kernel)  # the shortcut, and what the branch sends back
    found, _ = deconvolution.deconvolved(model, image, [number], [(row, column)])
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_where_the_way_back_is_the_same_for_every_image():
    """Switches tell images apart, and so does the slope of tanh."""
    two = some_images(2)
    assert not deconvolution.blind(deconvolution.up_to(tiny(), "relu2"), two)
    assert deconvolution.blind(deconvolution.up_to(tiny(), "conv1"), two)
    assert deconvolution.blind(residual(), two[:, :6, :6])
    images = keras.Input((8, 8, 2))
    x = LAYERS.Conv2D(2, 3, activation="tanh")(images)
    assert not deconvolution.blind(keras.Model(images, x), two)


def test_where_nothing_answers_there_is_no_way_back_to_be_the_same():
    """As of the neocognitron, whose cells do not answer to noise."""
    images, two = keras.Input((8, 8, 2)), some_images(2)
    x = LAYERS.Conv2D(2, 3, kernel_initializer="ones")(images)
    model = keras.Model(images, LAYERS.ReLU(threshold=20.0)(x))
    assert not np.any(model(two, training=False))
    assert not deconvolution.blind(model, two)
    assert not deconvolution.blind(model, 10 * two)


def on_another_backend():
    """What the tests above compute, for a process of its own."""
    model = tiny()
    return deconvolution.deconvolved(
        deconvolution.up_to(model, "relu2"), some_images(), [0] * 5, [(1, 2)] * 5
    )[0]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends_lead_back_the_same(backend, tmp_path):
    found = elsewhere.computed(backend, "test_looking", "on_another_backend", tmp_path)
    weights = weights_of(tiny())
    for image, picture in zip(some_images(), found, strict=True):
        np.testing.assert_allclose(
            picture, deconvolved_by_hand(weights, image, (1, 2, 0)), atol=1e-5
        )


# ---------------------------------------------------------------- what excites a map


def test_the_strongest_units_of_each_map(monkeypatch):
    """In batches of three; of equal ones the first image, and in an image the first place."""
    model, images = tiny(), some_images(8)
    images[6] = images[2]  # as strong
    monkeypatch.setattr(deconvolution, "BATCH", 3)
    weights, seen = weights_of(model), []
    found = deconvolution.strongest(
        deconvolution.up_to(model, "relu2"),
        lambda index: images[index],
        len(images),
        keep=4,
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(3, 8), (6, 8), (8, 8)] and found.looked_at == 8
    maps = np.stack([Upwards(weights, image).maps for image in images])
    for number in range(3):
        tops = maps[..., number].reshape(8, -1).max(axis=1)
        order = sorted(range(8), key=lambda n: (-round(tops[n], 9), n))[:4]
        assert found.images[:, number].tolist() == order
        np.testing.assert_allclose(found.values[:, number], tops[order], rtol=1e-5)
        for image, place in zip(order, found.places[:, number], strict=True):
            top = np.unravel_index(maps[image, ..., number].argmax(), (4, 4))
            assert tuple(place) == top


def seeing():
    """Layers of every kind of window, with weights of 1, so that a pixel shows wherever it is seen.

    10x9x1 in.
    """
    ones = {"kernel_initializer": "ones", "use_bias": False}
    images = keras.Input((10, 9, 1))
    x = LAYERS.Conv2D(1, 3, strides=2, padding="same", name="same", **ones)(images)
    x = LAYERS.ZeroPadding2D(((2, 1), (1, 0)), name="pad")(x)
    x = LAYERS.Conv2D(1, (2, 3), name="valid", **ones)(x)
    x = krizhevsky2012.CeilMaxPooling2D(2, strides=2, name="pool")(x)
    y = krizhevsky2012.LocallyConnected2D(
        1, 3, "same", kernel_initializer="ones", bias_initializer="zeros", name="local"
    )(x)
    return keras.Model(images, LAYERS.Add(name="sum")([x, y]), name="seeing")


def test_which_pixels_a_unit_sees():
    """One image for each pixel, which alone is above 0; borders count as seen."""
    model = seeing()
    impulses = np.eye(90, dtype="float32").reshape(90, 10, 9, 1)
    fields, inside = anatomy.fields(model), 0
    assert set(fields) == {"same", "pad", "valid", "pool", "local", "sum"}
    for name, axes in fields.items():
        seen = keras.ops.convert_to_numpy(deconvolution.up_to(model, name)(impulses))[..., 0] > 0
        seen = seen.reshape(10, 9, *seen.shape[1:])
        for unit in np.ndindex(seen.shape[2:]):
            ends = [axis.seen(place) for axis, place in zip(axes, unit, strict=True)]
            (top, bottom), (left, right) = ends
            expected = np.zeros((10, 9), bool)
            expected[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
            assert not (seen[..., *unit] & ~expected).any(), name
            if top >= 0 and left >= 0 and bottom <= 10 and right <= 9:
                np.testing.assert_array_equal(seen[..., *unit], expected, name)
                inside += 1
    assert inside > 20


def test_a_window_beyond_the_border_is_filled_up():
    image = np.arange(12.0).reshape(3, 4, 1)
    part = looking.window(image, (-1, 1), (2, 5), np.nan)[..., 0]
    np.testing.assert_array_equal(part, [[np.nan] * 3, [2, 3, np.nan]])
    # Along a side that is no longer than the window, the whole side.
    part = looking.window(image, (-2, 2), (1, 3), np.nan)[..., 0]
    np.testing.assert_array_equal(part, image[:, 1:3, 0])
    # A unit of padding sees nothing of the image.
    assert np.isnan(looking.window(image, (-3, -1), (1, 3), np.nan)).all()


# ---------------------------------------------------------------- occlusion


def test_occlusion_is_what_loops_compute():
    """Of a picture of 10x10, of which the network sees the middle 8x8; the grey level is 0.5."""
    model = tiny()
    weights, picture = weights_of(model), np.random.default_rng(2).uniform(size=(10, 10, 2))
    picture, label = picture.astype("float32"), 1

    def preprocessed(pictures):
        return pictures * 4 - 2

    found = occlusion.occlusion(
        evaluation.scorer(model, losses.SoftmaxCrossEntropy()),
        picture,
        preprocessed,
        label,
        seen=(8, 8),
        grey=0.5,
        side=3,
        step=2,
    )

    def softmax(image):
        logits = Upwards(weights, preprocessed(image)[1:9, 1:9]).logits
        return np.exp(logits) / np.exp(logits).sum()

    assert found.probabilities.shape == found.guesses.shape == (4, 4)
    assert found.without == pytest.approx(softmax(picture)[label], rel=1e-4)
    assert found.guess == softmax(picture).argmax()
    for row, column in np.ndindex(4, 4):
        changed = picture.copy()
        middle = 1 + 2 * row + 1, 1 + 2 * column + 1  # in the picture, of a step of two pixels
        for r, c in np.ndindex(10, 10):
            if abs(r - middle[0]) <= 1 and abs(c - middle[1]) <= 1:
                changed[r, c] = 0.5
        shares = softmax(changed)
        assert found.probabilities[row, column] == pytest.approx(shares[label], rel=1e-4)
        assert found.guesses[row, column] == shares.argmax()
    assert np.ptp(found.probabilities) > 0.05


def test_a_square_at_the_border_is_cut_off():
    picture = np.zeros((4, 5, 1))
    covered = occlusion.covered(picture, (0, 4), 4, 1.0)[..., 0]
    assert covered.tolist() == [[0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0] * 5, [0] * 5]
    assert not picture.any()


# ---------------------------------------------------------------- which layer


def test_the_layer_by_default_is_the_deepest_that_sees_two_thirds():
    """Of AlexNet's small network: 5 pixels, 5+2, 7+4*2 = 15 of 24, 15+2*2; of ResNet-20, 21."""
    for name, expected in (
        ("alexnet-local", "conv2_relu"),
        ("resnet20", "conv3_1_relu"),
        ("lenet5", "S4_squash"),  # nothing rectifies; 16 pixels, and C5 sees all 32
    ):
        assert deconvolution.layer_of(model_of(name), None) == expected


def test_a_network_within_a_network_is_a_layer_with_maps():
    block = keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Conv2D(2, 3, name="c")], name="block")
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, LAYERS.Flatten()(block(images)))
    assert deconvolution.layer_of(model, None) == "block"
    assert anatomy.fields(model)["block"] == anatomy.fields(model)["block/c"]


def test_a_layer_that_makes_no_maps_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match=r"unknown layer 'conv3' .did you mean conv"):
        deconvolution.layer_of(tiny(), "conv3")
    with pytest.raises(UsageError, match=r"accepted: conv1, pool1, conv2, relu2$"):
        deconvolution.layer_of(tiny(), "fc3")
    flat = keras.Sequential([keras.Input((4, 4, 1)), LAYERS.Flatten(), LAYERS.Dense(2)])
    with pytest.raises(UsageError, match="no layer with maps"):
        deconvolution.layer_of(flat, None)


# ---------------------------------------------------------------- pictures of a recipe


@pytest.mark.parametrize("experiment", catalog.experiments(), ids=lambda e: e.name)
def test_what_moves_pixels_comes_first_in_every_recipe(experiment):
    moving = [isinstance(step, inputs.MOVING) for step in experiment.recipe.preprocessing]
    assert moving == sorted(moving, reverse=True)


def test_pictures_and_what_preprocessing_makes_of_them():
    """Digits of 8x8, enlarged to 20x20 in a field of 32x32, on grey levels from 0 to 255."""
    recipe = catalog.experiment("lenet5-digits").recipe
    pictures = inputs.pictures(recipe)
    images, labels = inputs.of_test(recipe)
    some = pictures[np.array([0, 3])]
    assert some.shape == (2, 32, 32, 1) and some.min() == 0 and pictures.white == 255
    assert not some[:, :6].any() and not some[:, :, 26:].any()
    np.testing.assert_array_equal(pictures.preprocessed(some), images[[0, 3]])
    np.testing.assert_array_equal(pictures.labels, labels)


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A finished run at smoke scale."""
    return Path(digits(out=tmp_path_factory.mktemp("runs"))["run_dir"])


@pytest.fixture
def copied(run_dir, tmp_path):
    """A run that a test may damage."""
    return Path(shutil.copytree(run_dir, tmp_path / "runs" / run_dir.parent.name / run_dir.name))


def test_the_sheet_of_a_run(copied, capsys):
    assert cli.main(["look", str(copied), "--image", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    path = copied / "figures" / "look-S4_squash-3.svg"
    assert (said["file"], said["image"], said["layer"]) == (str(path), 3, "S4_squash")
    labels = datasets.load("digits", "test").labels
    assert said["label"] == labels[3] and said["looked_at"] == len(labels)
    assert said["units"] == [5, 5, 16] and said["sees"] == [16, 16]
    values = [row["values"] for row in said["maps"]]
    assert all(row == sorted(row, reverse=True) and len(row) == 9 for row in values)
    drawn = path.read_text()
    for text in (
        "lenet5-digits, smoke scale, seed 0",
        f"Test image 3, class {labels[3]}, of ",
        "16 maps of 5x5 units",
    ):
        assert text in drawn
    assert f"map {said['maps'][0]['map']}: " in drawn


def test_the_probability_is_the_one_that_the_network_gives(run_dir, capsys, tmp_path):
    """LeNet-5's: exp(-y) of the right class by the sum over all and the rubbish class."""
    out = tmp_path / "sheet.png"
    assert cli.main(["look", str(run_dir), "--layer", "C1", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    recipe = catalog.experiment("lenet5-digits").recipe
    images, labels = inputs.of_test(recipe)
    y = backends.as_numpy(runner.trained(run_dir)(images[:1], training=False))[0].astype(float)
    share = np.exp(-y[labels[0]]) / (np.exp(-y).sum() + np.exp(-recipe.loss.j))
    assert said["probability"] == pytest.approx(share, rel=1e-3)
    assert said["guess"] == y.argmin() and said["layer"] == "C1"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_loss_that_is_no_probability_is_not_called_one(tmp_path, capsys):
    """The neocognitron's is 0 or 1."""
    out = tmp_path / "sheet.svg"
    assert cli.main(["look", "neocognitron", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["probability"] is said["least_probability"] is None
    assert "exp(-loss) behind 4x4 grey pixels" in out.read_text()
    assert "probability" not in out.read_text()


def test_a_network_is_looked_at_untrained(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path))  # with digits alone
    assert cli.main(["look", "lenet5"]) == 0
    assert "lenet5, untrained" in Path("lenet5-look-S4_squash-0.svg").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--image", "100000"], "--image 100000: accepted is a whole number from 0 to "),
        (["--image", "-1"], "--image -1: accepted is a whole number from 0"),
        (["--layer", "S5"], "unknown layer 'S5' (did you mean S"),
        (["--out", "sheet.pdf"], "accepted is a name that ends in .svg or .png"),
    ],
)
def test_what_does_not_exist_is_refused(more, said, run_dir, capsys):
    assert cli.main(["look", str(run_dir), *more]) == 2
    assert said in capsys.readouterr().err


def test_a_run_that_has_not_finished_is_refused(copied, capsys):
    (copied / "result.json").unlink()
    assert cli.main(["look", str(copied)]) == 2
    assert f"has not finished; do: repro resume {copied}" in capsys.readouterr().err


def test_a_run_without_weights_is_refused(copied, capsys):
    shutil.rmtree(copied / "checkpoints")
    assert cli.main(["look", str(copied)]) == 4
    assert "no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seer", "said"),
    [
        ("lenet-5", "unknown network 'lenet-5' (did you mean lenet5?)"),
        ("no/such", "not a run directory"),
        ("vgg-a-lrn-imagenet", "is an experiment, not a network; its network is vgg-a-lrn"),
    ],
)
def test_neither_a_run_nor_a_network(seer, said, capsys):
    assert cli.main(["look", seer]) == 2
    assert said in capsys.readouterr().err


# ---------------------------------------------------------------- the pictures


def test_signals_are_grey_where_nothing_is_and_as_bright_whatever_their_size():
    signal = np.zeros((2, 5, 5, 3))
    signal[:, 1, 2] = [1.0, -1.0, 0.5]
    signal[1] *= 1000
    one, other = look_sheet.signals(signal)
    np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(one[0, 0], [0.5] * 3)
    np.testing.assert_allclose(one[1, 2], [1.0, 0.0, 0.75])


def test_grey_pictures_are_ink_on_paper():
    picture = np.array([0.0, 1.0, np.nan]).reshape(1, 1, 3, 1)
    (row,) = sheet.coloured(picture)[0]
    np.testing.assert_allclose(row, np.repeat([[1.0], [0.0], [0.93]], 3, axis=1))


def test_a_mosaic_has_all_tiles_and_grey_between_them():
    tiles = np.arange(5)[:, None, None, None] / 10 * np.ones((1, 24, 30, 3))
    picture = look_sheet.mosaic(tiles, columns=2)
    assert picture.shape == (3 * 24 + 2, 2 * 30 + 1, 3)
    assert (picture[24] == 0.8).all() and (picture[:, 30] == 0.8).all()
    for place in range(5):
        y, x = place // 2 * 25, place % 2 * 31
        assert (picture[y : y + 24, x : x + 30] == place / 10).all()
    assert (picture[50:, 31:] == 1).all()  # a place without a tile
