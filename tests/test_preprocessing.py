"""What is done to every image once: held against SciPy, plain arithmetic and the paper."""

import numpy as np
import pytest

from repro.data import preprocessing
from repro.data.preprocessing import Contrast, Enlarge, PadTo, PerPixelMean, ShrinkInto
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


@pytest.mark.parametrize("step", [PadTo(27), Enlarge(27), ShrinkInto(16, 20), ShrinkInto(24, 28)])
def test_what_does_not_fit_is_refused(step):
    with pytest.raises(UsageError):
        step(grey((1, 28, 28, 1)))


def test_the_per_pixel_mean_is_that_of_the_training_images_alone():
    train, test = grey((50, 4, 3, 3)), grey((7, 4, 3, 3), seed=1)
    steps = preprocessing.fit((PerPixelMean(),), train)
    mean = train.astype(float).mean(axis=0)  # [4, 3, 3]: one for each pixel and channel
    for images in (train, test):
        found = preprocessing.apply(steps, images)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, (images - mean) / 255, atol=1e-6)


def test_a_step_learns_from_what_the_steps_before_it_made():
    train = grey((20, 4, 4, 1))
    steps = preprocessing.fit((PadTo(6), PerPixelMean(scale=1.0)), train)
    padded = np.pad(train.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    found = preprocessing.apply(steps, train)
    np.testing.assert_allclose(found, padded - padded.mean(axis=0), atol=1e-4)
