"""Photographs: resizing, the crops of training and of tests, and the changes of colour."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from repro.data import photographs
from repro.data.augmentation import Chain
from repro.data.photographs import (
    InceptionCrop,
    PhotometricDistortions,
    ScaleJitter,
    centre_crop,
    rescale,
    resize,
    ten_crop,
)
from repro.errors import UsageError

# Chi-squared stays below these in 999 of 1,000, by the degrees of freedom.
CHI_SQUARED = {3: 16.3, 8: 26.1, 41: 74.8}


def chi_squared(counts):
    counts = np.asarray(list(counts), float)
    return ((counts - counts.mean()) ** 2 / counts.mean()).sum()


def photograph(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def map_of(height, width):
    """A photograph that says in red from which row, in green from which column a pixel comes."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)


def examples(augmentation, images, index, seed=0, epoch=0):
    chosen = [images[i] for i in index]
    return augmentation(chosen, np.asarray(index), len(images), seed, epoch, fill=0.0)


def test_resizing_by_area_is_the_mean_and_to_the_nearest_is_a_copy():
    image = photograph(8, 6)
    means = image.reshape(4, 2, 3, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, 4, 3, "area"), means, atol=1)  # it rounds twice
    larger = image.repeat(2, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(resize(image, 16, 18, "nearest"), larger)
    with pytest.raises(UsageError, match="bilinear"):
        resize(image, 4, 3, "bilinaer")


@pytest.mark.parametrize("shape, wanted", [((480, 640), (256, 341)), ((640, 480), (341, 256))])
def test_rescaling_gives_the_shorter_side_and_keeps_the_proportions(shape, wanted):
    assert rescale(photograph(*shape), 256).shape == (*wanted, 3)


def test_rescaling_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(rescale(photograph(20, 30), 20), photograph(20, 30))


def test_the_centre_crop_has_as_much_on_both_sides():
    image = photograph(10, 12)
    np.testing.assert_array_equal(centre_crop(image, 6), image[2:8, 3:9])
    batch = np.stack([image, photograph(10, 12, seed=1)])
    np.testing.assert_array_equal(centre_crop(batch, 10), batch[:, :, 1:11])


def test_ten_crop_is_corners_and_centre_and_their_mirror_images():
    """Krizhevsky et al. 2012, section 4.1: four corners, centre, and horizontal reflections."""
    images = np.stack([photograph(8, 9, seed) for seed in range(3)])
    views = ten_crop(images, 5)
    assert views.shape == (10, 3, 5, 5, 3)
    for image, ten in zip(images, views.swapaxes(0, 1), strict=True):
        wanted = [image[:5, :5], image[:5, 4:], image[3:, :5], image[3:, 4:], image[1:6, 2:7]]
        for place in range(5):
            np.testing.assert_array_equal(ten[place], wanted[place])
            np.testing.assert_array_equal(ten[place + 5], wanted[place][:, ::-1])


def test_a_crop_larger_than_the_image_is_refused():
    for crop in (centre_crop, ten_crop):
        with pytest.raises(UsageError, match="8x9"):
            crop(np.zeros((2, 8, 9, 3)), 9)


def test_at_one_scale_every_place_and_its_mirror_image_is_as_likely():
    image = photograph(8, 12)
    crops = [
        image[y : y + 6, x : x + 6][:, ::t] for y in range(3) for x in range(7) for t in (1, -1)
    ]
    counts = dict.fromkeys((crop.astype(np.float32).tobytes() for crop in crops), 0)
    assert len(counts) == 42
    found = examples(ScaleJitter(6, 8, 8), [image] * 4200, np.arange(4200))
    assert found.shape == (4200, 6, 6, 3)
    assert found.dtype == np.float32
    for crop in found:
        counts[crop.tobytes()] += 1
    assert chi_squared(counts.values()) < CHI_SQUARED[41]


def test_every_scale_is_as_likely_and_the_crop_lies_in_the_rescaled_photograph():
    image = photograph(9, 13)
    jitter = ScaleJitter(8, 8, 16)
    scaled = {}
    for shorter in range(8, 17):
        whole = rescale(image, shorter).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(whole, (8, 8), axis=(0, 1))
        windows = np.moveaxis(windows, 2, -1).reshape(-1, 8, 8, 3)
        for crop in (*windows, *windows[:, :, ::-1]):
            scaled[crop.tobytes()] = shorter
    found = examples(jitter, [image] * 900, np.arange(900))
    scales = [scaled[crop.tobytes()] for crop in found]
    assert chi_squared(np.bincount(scales, minlength=17)[8:]) < CHI_SQUARED[8]


@pytest.mark.parametrize("scales", [(223, 512), (512, 256)])
def test_scales_that_do_not_fit_are_refused(scales):
    with pytest.raises(UsageError):
        ScaleJitter(224, *scales)


@pytest.fixture
def parts(monkeypatch):
    """The parts of photographs that are resized, as (part, interpolation), in order."""
    seen = []
    real = photographs.resize

    def spy(part, height, width, interpolation):
        seen.append((part, interpolation))
        return real(part, height, width, interpolation)

    monkeypatch.setattr(photographs, "resize", spy)
    return seen


def rejection(height, width, count):
    """Height and width of parts by the words of the paper, drawn by another generator."""
    random = np.random.default_rng(5)
    found = []
    while len(found) < count:
        area = random.uniform(0.08, 1) * height * width
        ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        part = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if part[0] <= height and part[1] <= width:
            found.append(part)
    return np.array(found)


def test_the_inception_crop_covers_8_to_100_per_cent_in_shapes_from_3_4_to_4_3(parts):
    """Szegedy et al. 2014, section 6."""
    stats = pytest.importorskip("scipy.stats")
    image = map_of(120, 160)
    found = examples(InceptionCrop(8), [image] * 2000, np.arange(2000))
    assert found.shape == (2000, 8, 8, 3)
    assert found.dtype == np.float32
    shapes = np.array([part.shape[:2] for part, _ in parts])
    areas, ratios = shapes.prod(axis=1) / (120 * 160), shapes[:, 1] / shapes[:, 0]
    assert 0.08 - 0.002 < areas.min() < 0.1
    assert 0.95 < areas.max() <= 1
    assert 0.74 < ratios.min() < 0.77
    assert 1.30 < ratios.max() < 1.36
    wanted = rejection(120, 160, 2000)
    for one, other in (
        (areas, wanted.prod(axis=1) / (120 * 160)),
        (ratios, wanted[:, 1] / wanted[:, 0]),
    ):
        assert stats.ks_2samp(one, other).pvalue > 0.001
    # Each part is a rectangle of the photograph; every place is as likely.
    for (part, _), (height, width) in zip(parts, shapes, strict=True):
        top, left = part[0, 0, :2]
        np.testing.assert_array_equal(part, image[top : top + height, left : left + width])
    starts = np.array([part[0, 0, :2] for part, _ in parts], float)
    free = np.array([120, 160]) - shapes + 1
    for axis in (0, 1):
        # Uniform but for the grid of pixels, which is fine enough where much is free.
        wide = free[:, axis] > 30
        assert stats.kstest((starts[wide, axis] + 0.5) / free[wide, axis], "uniform").pvalue > 0.001
    names, counts = np.unique([how for _, how in parts], return_counts=True)
    assert sorted(names) == ["area", "bicubic", "bilinear", "nearest"]
    assert chi_squared(counts) < CHI_SQUARED[3]


def test_half_of_the_inception_crops_are_mirrored(parts):
    image = map_of(60, 60)
    for flip, wanted in ((True, 500), (False, 0)):
        found = examples(InceptionCrop(16, flip=flip), [image] * 1000, np.arange(1000))
        mirrored = np.sum(found[:, 8, -1, 1] < found[:, 8, 0, 1])
        assert abs(mirrored - wanted) <= (55 if flip else 0)  # 3.5 standard deviations
    assert len(parts) == 2000


def test_of_a_photograph_too_narrow_the_inception_crop_takes_a_square(parts):
    found = examples(InceptionCrop(8), [map_of(250, 4)] * 50, np.arange(50))
    assert found.shape == (50, 8, 8, 3)
    # 8 % of the area needs a width of at least 7.7 pixels.
    assert {part.shape for part, _ in parts} == {(4, 4, 3)}


PHOTOGRAPHS = [photograph(40 + 3 * i, 60 - 2 * i, seed=i) for i in range(12)]
OF_ALL_KINDS = (
    ScaleJitter(24, 30, 50),
    InceptionCrop(24),
    Chain((InceptionCrop(24), PhotometricDistortions())),
)


@pytest.mark.parametrize("augmentation", OF_ALL_KINDS, ids=lambda a: type(a).__name__)
def test_a_crop_is_keyed_by_seed_pass_and_example_not_by_the_batch(augmentation):
    assert augmentation.size(12) == 12
    whole = examples(augmentation, PHOTOGRAPHS, np.arange(12), seed=1, epoch=2)
    assert whole.shape == (12, 24, 24, 3)
    for index in ([7], [3, 9], [11, 0, 5]):
        part = examples(augmentation, PHOTOGRAPHS, index, seed=1, epoch=2)
        np.testing.assert_array_equal(part, whole[index])
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        changed = examples(augmentation, PHOTOGRAPHS, np.arange(12), **other) != whole
        assert changed.any(axis=(1, 2, 3)).all()


def only(kind, amount=0.4):
    still = dict.fromkeys(("brightness", "contrast", "saturation"), 0.0)
    return PhotometricDistortions(**{**still, kind: amount})


LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_each_distortion_scales_the_distance_from_its_origin(kind):
    # Grey levels from 90 to 165: no factor up to 1.4 takes them out of the range.
    images = np.random.default_rng(1).uniform(90, 165, (500, 3, 4, 3)).astype(np.float32)
    found = only(kind)(images, np.arange(500), 500, seed=0, epoch=0, fill=0.0)
    assert found.dtype == np.float32
    luminance = (images.astype(float) @ LUMINANCE)[..., None]
    origin = {
        "brightness": 0.0,
        "contrast": luminance.mean(axis=(1, 2), keepdims=True),
        "saturation": luminance,
    }[kind]
    factors = (found - origin) / (images - origin)
    factor = np.median(factors, axis=(1, 2, 3))
    np.testing.assert_allclose(
        found, origin + factor[:, None, None, None] * (images - origin), atol=0.01
    )
    assert 0.6 <= factor.min() < 0.61
    assert 1.39 < factor.max() <= 1.4
    assert abs(factor.mean() - 1) < 4 * 0.4 / np.sqrt(3 * 500)


def test_distortions_of_nothing_change_nothing():
    images = np.random.default_rng(1).uniform(0, 255, (20, 3, 4, 3)).astype(np.float32)
    still = PhotometricDistortions(0, 0, 0)
    found = still(images, np.arange(20), 20, seed=0, epoch=0, fill=0.0)
    np.testing.assert_allclose(found, images, atol=1e-4)


def test_the_three_distortions_follow_each_other_in_the_order_drawn(monkeypatch):
    """Held against Pillow's, which round down and cut off each time."""
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    factors = (1.4, 1.4, 0.6)  # of brightness, contrast, saturation: much is cut off
    rank = np.argsort(orders, axis=1)  # when each of the three comes
    drawn = np.concatenate([np.array(factors)[:, None].repeat(6, axis=1) - 0.5, (rank.T + 0.5) / 3])
    monkeypatch.setattr(photographs, "draws", lambda count, seed, index, epoch: drawn)
    images = np.stack([photograph(12, 10, seed=3)] * 6)
    found = PhotometricDistortions(0.5, 0.5, 0.5)(images, np.arange(6), 6, 0, 0, 0.0)
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    wanted = []
    for order in orders:
        image = Image.fromarray(images[0])
        for kind in order:
            image = kinds[kind](image).enhance(factors[kind])
        wanted.append(np.asarray(image, float))
    apart = abs(found[:, None] - np.stack(wanted)).mean(axis=(2, 3, 4))  # found, wanted
    assert (np.diag(apart) < 1.5).all()
    np.testing.assert_array_equal(apart.argmin(axis=1), np.arange(6))
