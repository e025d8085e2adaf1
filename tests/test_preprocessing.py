"""What is done to every image once: held against SciPy, plain arithmetic and the paper."""

import math

import numpy as np
import pytest

from repro.data import colours, preprocessing
from repro.data.preprocessing import (
    ChannelMean,
    ChannelMeanAndDeviation,
    Contrast,
    Enlarge,
    GlobalContrastNormalization,
    LocalContrastNormalization,
    PadTo,
    PerPixelMean,
    ShrinkInto,
    ZCAWhitening,
)
from repro.errors import UsageError


def grey(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_no_steps_still_give_float32():
    images = grey((2, 3, 3, 1))
    plain = preprocessing.apply((), images)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(plain, images)


def test_lenet5_input_is_32x32_from_minus_0_1_to_1_175():
    # LeCun et al. 1998, section II-B: white is -0.1, black 1.175, the field 32 x 32.
    images = np.zeros((1, 28, 28, 1), np.uint8)
    images[0, 0, 0], images[0, 27, 27] = 255, 51
    field = preprocessing.apply((PadTo(32), Contrast(-0.1, 1.175)), images)
    assert field.shape == (1, 32, 32, 1)
    assert field.dtype == np.float32
    assert field[0, 2, 2, 0] == pytest.approx(1.175)
    assert field[0, 29, 29, 0] == pytest.approx(-0.1 + 1.275 / 5)  # 51 of 255 is a fifth
    field[0, 2, 2] = field[0, 29, 29] = -0.1
    np.testing.assert_array_equal(field, np.float32(-0.1))


def test_contrast_of_floats_equals_contrast_of_bytes():
    images = grey((3, 5, 5, 1))
    contrast = Contrast(-0.1, 1.175)
    np.testing.assert_array_equal(contrast(images), contrast(images.astype(np.float32)))


def test_shrunk_box_of_20_is_a_box_of_16_in_the_middle():
    images = np.zeros((1, 28, 28, 1), np.uint8)
    images[0, 4:24, 4:24] = 200
    wanted = np.zeros((28, 28))
    wanted[6:22, 6:22] = 200
    shrunk = ShrinkInto(digit=16, field=28)(images)
    assert shrunk.shape == (1, 28, 28, 1)
    assert shrunk.dtype == np.float32
    np.testing.assert_allclose(shrunk[0, ..., 0], wanted, atol=1e-4)


def test_shrinking_keeps_all_ink():
    images = grey((4, 28, 28, 1))
    shrunk = ShrinkInto(digit=16, field=28)(images)
    # Every old pixel counts alike: the sum changes by the area of a pixel, (16 / 20) squared.
    ink = images.sum(axis=(1, 2, 3)) * 0.8**2
    np.testing.assert_allclose(shrunk.sum(axis=(1, 2, 3)), ink, rtol=1e-5)


def test_shrinking_by_half_is_the_mean_of_four():
    images = grey((2, 8, 8, 3))
    means = images.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(ShrinkInto(digit=10, field=4)(images), means, rtol=1e-6)


def test_enlarged_digits_are_bilinear():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = np.random.default_rng(1).integers(0, 17, (3, 8, 8, 1), np.uint8)
    enlarged = Enlarge(20)(images)
    wanted = [
        ndimage.zoom(i[..., 0] * (255 / 16), 20 / 8, order=1, mode="nearest", grid_mode=True)
        for i in images
    ]
    assert enlarged.shape == (3, 20, 20, 1)
    assert enlarged.dtype == np.float32
    np.testing.assert_allclose(enlarged[..., 0], wanted, atol=1e-3)


def test_enlarging_keeps_black_and_white():
    assert Enlarge(28)(np.full((1, 8, 8, 1), 16, np.uint8)) == pytest.approx(255)
    assert Enlarge(28)(np.zeros((1, 8, 8, 1), np.uint8)) == pytest.approx(0)


@pytest.mark.parametrize("step", [PadTo(27), Enlarge(27), ShrinkInto(16, 20)])
def test_what_does_not_fit_is_refused(step):
    with pytest.raises(UsageError):
        step(grey((1, 28, 28, 1)))


def test_a_digit_larger_than_its_box_is_refused():
    with pytest.raises(UsageError, match="accepted is a digit up to its box"):
        ShrinkInto(24, 28)


def test_the_per_pixel_mean_is_that_of_the_training_images_alone():
    train, test = grey((50, 4, 3, 3)), grey((7, 4, 3, 3), seed=1)
    steps = preprocessing.fit((PerPixelMean(),), train)
    mean = train.astype(float).mean(axis=0)  # [4, 3, 3]: one for each pixel and channel
    for images in (train, test):
        centred = preprocessing.apply(steps, images)
        assert centred.dtype == np.float32
        np.testing.assert_allclose(centred, (images - mean) / 255, atol=1e-6)


def test_a_step_learns_from_what_the_steps_before_it_made():
    train = grey((20, 4, 4, 1))
    steps = preprocessing.fit((PadTo(6), PerPixelMean(scale=1.0)), train)
    padded = np.pad(train.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    centred = preprocessing.apply(steps, train)
    np.testing.assert_allclose(centred, padded - padded.mean(axis=0), atol=1e-4)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder in which whitening keeps what it learnt, empty; images come in blocks of 7."""
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "data"))
    for module in (colours, preprocessing):
        monkeypatch.setattr(module, "ROWS", 7)
    return tmp_path / "data"


def correlated(n, seed=0):
    """Images [n, 4, 4, 3] whose 48 numbers are related and differ in scale; means are not 0."""
    mixing = np.random.default_rng(7).normal(size=(48, 48)) * np.linspace(0.5, 4, 48)
    vectors = np.random.default_rng(seed).normal(size=(n, 48)) @ mixing + np.arange(48)
    return vectors.reshape(n, 4, 4, 3).astype(np.float32)


def test_the_channel_mean_is_that_of_the_training_images_alone(kept):
    train, test = grey((50, 4, 3, 3)), grey((8, 4, 3, 3), seed=1)
    steps = preprocessing.fit((ChannelMean(),), train)
    mean = [train[..., channel].astype(float).mean() for channel in range(3)]
    for images in (train, test):
        centred = preprocessing.apply(steps, images)
        assert centred.dtype == np.float32
        np.testing.assert_allclose(centred, (images - mean) / 255, atol=1e-6)


def test_channels_get_mean_0_and_deviation_1_over_the_training_images(kept):
    train = (grey((50, 4, 3, 3)) * [0.2, 0.5, 1.0]).astype(np.uint8)
    test = grey((8, 4, 3, 3), seed=1)
    steps = preprocessing.fit((ChannelMeanAndDeviation(),), train)
    pixels = preprocessing.apply(steps, train).reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(pixels.std(axis=0), 1, atol=1e-5)
    channels = train.reshape(-1, 3).astype(float)
    wanted = (test - channels.mean(axis=0)) / channels.std(axis=0)
    np.testing.assert_allclose(preprocessing.apply(steps, test), wanted, atol=1e-5)


def test_colours_of_photographs_of_any_size_count_by_the_pixel(kept):
    photographs = [grey((h, w, 3), seed=h) for h, w in ((3, 5), (8, 2), (4, 4))]
    pixels = np.concatenate([p.reshape(-1, 3) for p in photographs]).astype(float)
    mean, covariance = preprocessing.colour_statistics(photographs)
    np.testing.assert_allclose(mean, pixels.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(pixels.T, bias=True))


@pytest.mark.parametrize(
    "step",
    [
        GlobalContrastNormalization(),
        GlobalContrastNormalization(scale=1.0, use_std=True, bias=10.0),
        GlobalContrastNormalization(scale=2.0, bias=1e4),
    ],
)
def test_global_contrast_is_that_of_each_image_alone(step):
    images = grey((5, 4, 3, 3))
    normalised = step(images)
    assert normalised.dtype == np.float32
    assert normalised.shape == images.shape
    for image, normal in zip(images, normalised, strict=True):
        numbers = [float(x) for x in image.ravel()]
        mean = sum(numbers) / 36
        squares = sum((x - mean) ** 2 for x in numbers)
        if step.use_std:
            squares /= 36
        wanted = [step.scale * (x - mean) / math.sqrt(step.bias + squares) for x in numbers]
        np.testing.assert_allclose(normal.ravel(), wanted, atol=1e-4)


def test_an_image_without_contrast_becomes_zeros():
    np.testing.assert_array_equal(GlobalContrastNormalization()(np.full((1, 4, 4, 3), 77)), 0)


def test_whitening_is_the_inverse_root_of_the_training_images_covariance(kept):
    linalg = pytest.importorskip("scipy.linalg")
    train, test = correlated(300), correlated(20, seed=1)
    steps = preprocessing.fit((ZCAWhitening(regularisation=0.1),), train)
    vectors = train.reshape(300, 48).astype(float)
    covariance = np.cov(vectors.T, bias=True)
    root = linalg.sqrtm(covariance + 0.1 * np.eye(48)).real
    for images in (train, test):  # the test images have no part in what is learnt
        centred = images.reshape(-1, 48) - vectors.mean(axis=0)
        wanted = np.linalg.solve(root, centred.T).T.reshape(images.shape)
        whitened = preprocessing.apply(steps, images)
        assert whitened.dtype == np.float32
        np.testing.assert_allclose(whitened, wanted, atol=2e-4)


def test_whitened_training_images_have_covariance_one(kept):
    train = correlated(400)
    steps = preprocessing.fit((ZCAWhitening(regularisation=1e-8),), train)
    white = preprocessing.apply(steps, train).reshape(400, 48)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(48), atol=2e-3)


def test_whitening_after_contrast_normalisation_loses_one_direction_and_no_number(kept):
    train = correlated(400)
    steps = preprocessing.fit((GlobalContrastNormalization(), ZCAWhitening(0.01)), train)
    white = preprocessing.apply(steps, train).reshape(400, 48)
    values = np.linalg.eigvalsh(np.cov(white.T, bias=True))
    before = GlobalContrastNormalization()(train).reshape(400, 48)
    before = np.linalg.eigvalsh(np.cov(before.T.astype(float), bias=True))
    assert before[0] < 1e-6  # all numbers alike: every image's mean is 0
    np.testing.assert_allclose(values, before / (before + 0.01), atol=1e-3)
    assert np.isfinite(preprocessing.apply(steps, np.zeros((1, 4, 4, 3)))).all()


def test_what_whitening_learnt_is_kept_and_read_again(kept, monkeypatch):
    train = correlated(60)
    first = ZCAWhitening().fit(train)(train)
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(ZCAWhitening, "_learn", None)  # cannot be called
        np.testing.assert_array_equal(ZCAWhitening().fit(train.copy())(train), first)
    other = train.copy()
    other[3, 2, 1, 0] += 1
    ZCAWhitening().fit(other)
    ZCAWhitening(regularisation=0.2).fit(train)
    assert len(list(kept.iterdir())) == 3  # each has a file of its own, and nothing else is left
    middle = len(whole) // 2
    altered = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damage in (b"", b"garbage", whole[:-300], altered):
        file.write_bytes(damage)
        np.testing.assert_array_equal(ZCAWhitening().fit(train)(train), first)
        assert file.read_bytes() == whole


def test_whitening_does_without_a_folder_that_can_be_written(kept):
    train = correlated(60)
    first = ZCAWhitening().fit(train)(train)
    for file in kept.iterdir():
        file.unlink()
    kept.rmdir()
    kept.write_text("a file where the folder should be")
    np.testing.assert_array_equal(ZCAWhitening().fit(train)(train), first)


@pytest.mark.parametrize("regularisation", [0, -0.1])
def test_whitening_without_regularisation_is_refused(regularisation):
    with pytest.raises(UsageError, match="above 0"):
        ZCAWhitening(regularisation)


def test_local_contrast_is_that_of_a_gaussian_window():
    images = np.random.default_rng(3).normal(size=(2, 9, 8, 3)).astype(np.float32)
    images[1, :, :, 2] *= 1e-6  # hardly any contrast: `least` divides
    size, deviation, least = 5, 1.5, 1e-4
    weights = np.array(
        [
            [math.exp(-(y * y + x * x) / (2 * deviation**2)) for x in range(-2, 3)]
            for y in range(-2, 3)
        ]
    )
    weights /= weights.sum()

    def mean_around(plane):
        padded = np.pad(plane, 2)
        return np.array(
            [
                [(weights * padded[y : y + 5, x : x + 5]).sum() for x in range(plane.shape[1])]
                for y in range(plane.shape[0])
            ]
        )

    normalised = LocalContrastNormalization(size, deviation, least)(images)
    assert normalised.dtype == np.float32
    for image, normal in zip(images.astype(float), normalised, strict=True):
        for channel in range(3):
            centred = image[..., channel] - mean_around(image[..., channel])
            contrast = np.sqrt(mean_around(centred**2))
            divisor = np.maximum(np.maximum(contrast, contrast.mean()), least)
            np.testing.assert_allclose(normal[..., channel], centred / divisor, atol=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("mean", [np.array([3.0, 5.0, 7.0]), np.full((2, 2, 3), 4.0)])
def test_the_images_that_a_mean_is_taken_from_stay_as_they_are(mean, scale, kind):
    images = np.arange(24).reshape(2, 2, 2, 3).astype(kind)
    kept = images.copy()
    centred = colours.Centred(mean, scale)(images)
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_allclose(centred, (kept - mean) / scale, rtol=1e-6)
    assert centred.dtype == np.float32 and centred is not images
