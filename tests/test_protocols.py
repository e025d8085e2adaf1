"""The protocols on whole photographs: which views, and what is averaged, beside slow NumPy."""

import dataclasses

import numpy as np
import pytest
import whole_photographs
from elsewhere import computed
from whole_photographs import NAMES, PICTURES, expected, kept, softmax

from repro import catalog
from repro.data import datasets, preprocessing, views
from repro.data.crops import Square
from repro.data.decoding import resize
from repro.data.photographs import Lazily
from repro.errors import UsageError
from repro.networks import losses
from repro.training import evaluation, protocols, runner, whole

WHOLE = ("144-crop", *NAMES)

# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("single-view", protocols.SingleView()),
        ("10-crop", protocols.TenCrop()),
        ("144-crop", protocols.OfSquares((256, 288, 320, 352))),
        ("dense-256", protocols.Dense((256,))),
        ("dense-224-256-384-480-640", protocols.Dense((224, 256, 384, 480, 640))),
        ("50-crop-256-384-512", protocols.Grid((256, 384, 512), across=5)),
        ("50-crop-and-dense-256-384-512", protocols.GridAndDense((256, 384, 512))),
    ],
)
def test_a_name_gives_the_numbers_and_the_numbers_the_name(name, described):
    assert protocols.parse(name) == described and described.name == name


@pytest.mark.parametrize(
    "name",
    [
        *("dense", "dense-", "dense-Q", "dense-256-", "dense--256", "dense-256-256", "dense-0"),
        *("dense-384-256", "dense-1025", "dense-0256", "dense-2.5", "dense-256x", "50-crop"),
        *("50-crop-and-dense", "144-crop-256", "10-crop-256", "single-view-256", "dense-٣", ""),
        "dense-" + "-".join(map(str, range(224, 233))),
    ],
)
def test_what_is_no_protocol_is_refused_in_a_line_with_what_is_accepted(name):
    with pytest.raises(UsageError) as raised:
        protocols.parse(name)
    said = str(raised.value)
    assert "\n" not in said and "accepted" in said
    assert "dense-Q[-Q...]" in said or "50-crop-Q[-Q...]" in said or "50-crop-and" in said


def test_how_many_views_an_image_is():
    """VGG's 50 a scale, 150 over three (section 3.2); GoogLeNet's 144."""
    counted = {name: protocols.parse(name).views for name in ("50-crop-256-384-512", "144-crop")}
    assert counted == {"50-crop-256-384-512": 150, "144-crop": 144}
    side_by_side = protocols.parse("dense-224").views  # 224 x 299 pixels, and the mirror image
    assert side_by_side == pytest.approx(2 * 4 / 3, abs=0.5)


# ---------------------------------------------------------------- views


PICTURE = PICTURES[0]  # 13 x 20; at a scale of 13 it stays as it is


def test_the_grid_is_five_by_five_and_touches_the_border():
    found = views.grid(PICTURE, 13, 8, 5)
    places = [(top, left) for top in (0, 1, 2, 3, 5) for left in (0, 3, 6, 9, 12)]
    assert found.shape == (25, 8, 8, 3) and found.dtype == np.uint8
    for view, (top, left) in zip(found, places, strict=True):
        np.testing.assert_array_equal(view, PICTURE[top : top + 8, left : left + 8])


@pytest.mark.parametrize("upright", [False, True])
def test_of_three_squares_come_corners_centre_and_the_whole(upright):
    picture = PICTURE.swapaxes(0, 1) if upright else PICTURE
    found = views.of_squares(np.ascontiguousarray(picture), 13, 8)
    assert found.shape == (18, 8, 8, 3)
    for square, begin in enumerate((0, 3, 7)):  # of 7 pixels that a square leaves
        part = picture[begin : begin + 13] if upright else picture[:, begin : begin + 13]
        places = [(0, 0), (0, 5), (5, 0), (5, 5), (2, 2)]
        wanted = [part[top : top + 8, left : left + 8] for top, left in places]
        small = resize(part, 8, 8, "bilinear")
        np.testing.assert_array_equal(found[6 * square : 6 * square + 6], [*wanted, small])


@pytest.mark.parametrize("picture", PICTURES, ids=str)
def test_a_whole_photograph_has_its_shorter_side_at_the_scale(picture):
    (view,) = views.whole(picture, 17)
    height, width = picture.shape[:2]
    assert min(view.shape[:2]) == 17
    assert view.shape[0] / view.shape[1] == pytest.approx(height / width, abs=0.05)


def test_views_larger_than_the_scale_are_refused():
    with pytest.raises(UsageError, match="a crop of 9x9: the images are 8x12, smaller"):
        views.grid(PICTURE, 8, 9, 5)


# ---------------------------------------------------------------- beside NumPy


@pytest.fixture(scope="module")
def by_hand():
    return {name: expected(name) for name in NAMES}


def hold(found: np.ndarray, names: tuple[str, ...], by_hand: dict) -> None:
    for name, logs in zip(names, found, strict=True):
        assert np.ptp(by_hand[name], axis=0).min() > 1e-3  # photographs differ
        np.testing.assert_allclose(np.exp(logs), by_hand[name], rtol=2e-4, atol=2e-6, err_msg=name)


def test_each_protocol_is_the_slow_one_in_numpy(by_hand):
    """Photographs of four sizes, of which one is enlarged; each is scored once."""
    hold(whole_photographs.scored(), NAMES, by_hand)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_other_backends_too(backend, by_hand, tmp_path):
    hold(computed(backend, "whole_photographs", "scored_by_both", tmp_path), NAMES[2:], by_hand)


def test_the_numbers_go_with_no_way_of_putting_views_together(monkeypatch, by_hand):
    """One view at a time; many; no room to wait in."""
    name = NAMES[-1]
    for batch in (1, 200):
        hold(whole_photographs.scored((name,), batch=batch), (name,), by_hand)
    monkeypatch.setattr(whole, "MOST_WAITING", 500)
    monkeypatch.setattr(whole, "DECODED", 2)
    hold(whole_photographs.scored((name,), batch=200), (name,), by_hand)


def test_only_so_many_photographs_as_are_asked_for():
    found = whole_photographs.scored(("dense-12",), count=3)
    assert found.shape == (1, 3, 5) and np.isfinite(found).all()


def test_views_of_many_sizes_are_one_graph_on_tensorflow():
    pytest.importorskip("tensorflow")
    from whole_photographs import centred, network

    draw = np.random.default_rng(2)
    sizes = [size for k in range(1, 7) for size in ((12, 12 + k, 3), (12 + k, 12, 3))]
    many = kept([draw.integers(0, 256, size, np.uint8) for size in sizes])
    tested = whole.Whole(network(), protocols.parse("dense-12"), 8)
    done = [
        n for numbers, _ in tested.over(Lazily(many, (Square(12), centred)), 12) for n in numbers
    ]
    assert sorted(done) == list(range(12))
    assert tested._networks[True].experimental_get_tracing_count() == 1


def test_the_centre_of_the_dense_map_is_the_score_of_the_crop_there():
    """Where borders do not reach: places of the map are crops two pooling steps (4 pixels) apart.

    Convolutions without a border here, so that no place of the image sees what lies outside.
    """
    keras = pytest.importorskip("keras")
    from repro.networks.convolutional import fully_convolutional

    layers = keras.layers
    x = images = keras.Input((14, 14, 3))
    for maps in (4, 6):  # 14 -> 12 -> 6 -> 4 -> 2
        x = layers.MaxPooling2D(2)(layers.Conv2D(maps, 3, activation="relu")(x))
    x = layers.Dropout(0.5)(layers.Dense(7, activation="relu", name="fc1")(layers.Flatten()(x)))
    model = keras.Model(images, layers.Dense(5, name="fc2")(x))
    image = np.random.default_rng(1).normal(size=(1, 22, 26, 3)).astype("float32")
    found = keras.ops.convert_to_numpy(fully_convolutional(model)(image))
    assert found.shape == (1, 3, 4, 5)
    crop = image[:, 4:18, 4:18]  # the centre of the three rows
    score = keras.ops.convert_to_numpy(model(crop))
    np.testing.assert_allclose(found[:, 1, 1], score, rtol=1e-5, atol=1e-6)
    assert np.abs(found[:, 1, 2] - score).max() > 1e-3


# ---------------------------------------------------------------- what they take


def a_recipe(*steps):
    recipe = catalog.experiment("vgg-a-imagenette").recipe
    return dataclasses.replace(recipe, preprocessing=steps)


@pytest.mark.parametrize("name", WHOLE)
def test_images_of_a_fixed_size_are_refused_before_anything_is_loaded(name, monkeypatch):
    for function in ("load", "facts", "count"):
        monkeypatch.setattr(datasets, function, None)
    experiment = dataclasses.replace(catalog.experiment("resnet20-cifar10"), protocols=(name,))
    with pytest.raises(UsageError, match=r"whole photographs, cifar10 .* 32x32; accepted here: si"):
        runner.run(experiment)


def test_a_preprocessing_for_squares_alone_is_refused():
    steps = (Square(12), preprocessing.GlobalContrastNormalization())
    with pytest.raises(UsageError, match="GlobalContrastNormalization in the recipe's"):
        protocols.check("dense-256", a_recipe(*steps))
    protocols.check("10-crop", a_recipe(*steps))
    with pytest.raises(UsageError, match="photographs need Square first"):
        protocols.check("dense-256", a_recipe(*steps[1:]))
    for means in (preprocessing.PerPixelMean(), preprocessing.ChannelMean()):
        protocols.check("dense-256", a_recipe(Square(12), means))


def test_a_scale_smaller_than_the_network_takes_is_refused():
    model = whole_photographs.network()
    with pytest.raises(UsageError, match=r"dense-7-12: small takes .* 8x8; .* scales from 8 pix"):
        evaluation.scorer(model, losses.SoftmaxCrossEntropy(), "dense-7-12")


@pytest.mark.parametrize("name", WHOLE)
def test_a_network_without_softmax_is_not_averaged(name):
    with pytest.raises(UsageError, match="averages the softmax of views"):
        evaluation.scorer(whole_photographs.network(), losses.SquaredError(), name)


def test_a_network_of_one_size_is_not_tested_densely():
    keras = pytest.importorskip("keras")
    images = keras.Input((8, 8, 3))
    flat = keras.layers.Reshape((192,))(images)
    model = keras.Model(images, keras.layers.Dense(5)(flat), name="rigid")
    with pytest.raises(UsageError, match="rigid takes images of one size only"):
        evaluation.scorer(model, losses.SoftmaxCrossEntropy(), "dense-12")


def test_of_a_mean_of_each_pixel_whole_photographs_lose_the_mean_colour():
    """Squares lose the mean of each pixel; views of other sizes the mean of these means."""
    squares = np.stack([views.whole(p, 12)[0][:12, :12] for p in PICTURES]).astype("float64")
    step = preprocessing.PerPixelMean(scale=2.0).fit(squares)
    np.testing.assert_allclose(step(squares), (squares - squares.mean(axis=0)) / 2, atol=1e-4)
    (other,) = views.anywhere([step])
    image = PICTURES[0][None]
    wanted = (image - squares.mean(axis=(0, 1, 2))) / 2
    np.testing.assert_allclose(other(image), wanted, atol=1e-4)
    colour = preprocessing.ChannelMean().fit(squares)
    assert views.anywhere([colour]) == [colour]


# ---------------------------------------------------------------- metrics


def test_of_the_logs_come_the_errors_of_one_guess_and_of_five():
    draw = np.random.default_rng(5)
    p = softmax(draw.normal(size=(40, 120)))
    labels = np.argsort(-p, axis=1)[np.arange(40), np.arange(40) % 8].astype("int32")
    scores = evaluation.of_logs(np.log(p), labels)
    assert scores.metrics == {
        "error": 100 * np.mean(np.arange(40) % 8 > 0),
        "loss": pytest.approx(-np.mean(np.log(p[np.arange(40), labels]))),
        "wrong": 35,
        "count": 40,
        "top5_error": 100 * 15 / 40,
        "top5_wrong": 15,
    }
    assert scores.wrong.sum() == 35
    np.testing.assert_array_equal(scores.guesses, p.argmax(axis=1)[scores.wrong])


@pytest.mark.parametrize("name", NAMES[:2])
def test_photographs_are_scored_in_the_order_of_the_set(name, by_hand):
    model = whole_photographs.with_kernels(whole_photographs.network())
    images = Lazily(kept(PICTURES), (Square(12), whole_photographs.centred))
    p = by_hand[name]
    labels = p.argmax(axis=1).astype("int32")
    labels[1] = (labels[1] + 1) % 5
    told = []
    scores = evaluation.evaluate(
        evaluation.scorer(model, losses.SoftmaxCrossEntropy(), name),
        images,
        labels,
        lambda *done: told.append(done),
    )
    assert scores.wrong.tolist() == [False, True, False, False, False]
    assert scores.metrics["loss"] == pytest.approx(
        -np.mean(np.log(p[np.arange(5), labels])), rel=1e-4
    )
    assert told[-1] == (5, 5) and scores.metrics["count"] == 5


def test_a_photograph_scored_twice_is_found_out():
    class Twice:
        def over(self, images, labels):
            for _ in range(2):
                yield np.array([0]), np.zeros(1), np.zeros(1, int)

    with pytest.raises(AssertionError, match="more than once"):
        evaluation.evaluate(Twice(), None, np.zeros(2, "int32"))


# ---------------------------------------------------------------- GoogLeNet's 144, seven networks


def views_of_144(picture):
    """4 scales, 3 squares of each, 6 views of each, and mirror images, in plain loops."""
    found = []
    for scale in (256, 288, 320, 352):
        image = whole_photographs.resized(picture, scale)
        longer = max(image.shape[:2])
        for begin in (0, (longer - scale) // 2, longer - scale):
            wide = image.shape[1] > image.shape[0]
            square = image[:, begin : begin + scale] if wide else image[begin : begin + scale]
            last, middle = scale - 224, (scale - 224) // 2
            for top, left in [(0, 0), (0, last), (last, 0), (last, last), (middle, middle)]:
                found.append(square[top : top + 224, left : left + 224])
            found.append(resize(square, 224, 224, "bilinear"))
    return [mirrored for view in found for mirrored in (view, view[:, ::-1])]


def test_144_crops_of_seven_networks_are_averaged():
    """Random weights: a convolution of 32x32 blocks, global average pooling, a full layer."""
    keras = pytest.importorskip("keras")
    draw = np.random.default_rng(9)
    photograph = draw.integers(0, 256, (60, 83, 3), np.uint8)
    photograph[..., 0] = np.linspace(0, 255, 83)  # places differ
    photograph[..., 1] = np.linspace(255, 0, 60)[:, None]
    images = Lazily(kept([photograph]), (Square(256), lambda x: x / np.float32(255)))
    seen = np.stack(views_of_144(photograph))
    assert len(seen) == 144
    blocks = seen.reshape(144, 7, 32, 7, 32, 3).swapaxes(2, 3).astype("float32") / 255
    blocks = blocks.reshape(144, 49, 32 * 32 * 3)
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(6, 32, strides=32, activation="relu")(inputs)
    outputs = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    scorer = evaluation.scorer(model, losses.SoftmaxCrossEntropy(), "144-crop", True)
    summed, mean = -np.inf, 0
    for _ in range(7):
        kernel, bias = draw.normal(0, 0.05, (32 * 32 * 3, 6)), draw.normal(0, 0.3, 6)
        full, last = draw.normal(0, 0.5, (6, 5)), draw.normal(0, 1, 5)
        model.set_weights([kernel.reshape(32, 32, 3, 6), bias, full, last])  # the scorer's too
        maps = np.maximum(blocks @ kernel + bias, 0)
        each = softmax(maps.mean(axis=1) @ full + last)
        assert np.ptp(each, axis=0).max() > 0.02  # as they should
        mean += each.mean(axis=0) / 7
        logs = evaluation.collected(scorer, images, np.zeros(1, "int32"))[1]
        summed = np.logaddexp(summed, logs)
    np.testing.assert_allclose(np.exp(summed[0]) / 7, mean, rtol=1e-4)
