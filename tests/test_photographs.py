"""Photographs: kept as files, resized, cut for training and for tests, and changed in colour."""

import io

import numpy as np
import pytest
from by_hand import bilinear
from PIL import Image, ImageEnhance

from repro.data import crops, decoding, photographs, preprocessing, views
from repro.data.augmentation import Chain, ColourShift, Preprocessed
from repro.data.batches import Batches
from repro.data.colours import Centred
from repro.data.crops import InceptionCrop, PhotometricDistortions, ScaleJitter, Square
from repro.data.draws import Draw
from repro.data.photographs import (
    Lazily,
    Photographs,
    Ragged,
    centre_crop,
    rescale,
    resize,
    ten_crop,
)
from repro.data.preprocessing import ChannelMean, Contrast, PerPixelMean
from repro.errors import DataError, UsageError
from repro.training import evaluation

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


def examples(augmentation, images, index, seed=0, pass_number=0):
    chosen = [images[i] for i in index]
    return augmentation(chosen, Draw(np.asarray(index), len(images), seed, pass_number))


def levels(*arguments, **options):
    """Crops, which are uint8, as numbers that can be subtracted."""
    made = examples(*arguments, **options)
    assert made.dtype == np.uint8
    return made.astype(np.float32)


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
    assert views.shape == (3, 10, 5, 5, 3)
    for image, ten in zip(images, views, strict=True):
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
    cropped = levels(ScaleJitter(6, 8, 8), [image] * 4200, np.arange(4200))
    assert cropped.shape == (4200, 6, 6, 3)
    for crop in cropped:
        counts[crop.tobytes()] += 1
    assert chi_squared(counts.values()) < CHI_SQUARED[41]


def test_every_scale_and_place_is_as_likely_and_the_crop_is_of_the_rescaled_photograph():
    """A crop tells its scale and place: red grows by one from row to row, green by column."""
    height, width, side = 180, 240, 60
    crops_of = levels(ScaleJitter(side, 90, 180), [map_of(height, width)] * 900, np.arange(900))
    rows, columns = crops_of[:, :, side // 2, 0], crops_of[:, side // 2, :, 1]
    # So many pixels of the photograph are what a side of the crop shows.
    length = (rows[:, -1] - rows[:, 0]) * side / (side - 1)
    np.testing.assert_allclose(
        np.abs(columns[:, -1] - columns[:, 0]) * side / (side - 1), length, atol=2.1
    )
    scale = side * height / length
    assert scale.min() > 88 and scale.max() < 183
    assert chi_squared(np.histogram(scale, bins=9, range=(89.5, 180.5))[0]) < CHI_SQUARED[8]
    # The middle of what is shown, from where it is when the crop lies at the top to the bottom.
    middle = (rows[:, 0] + rows[:, -1]) / 2
    part = (middle - length / 2 + 0.5) / (height - length)
    free = part[length < 100]
    assert -0.02 < free.min() < 0.03 and 0.97 < free.max() < 1.02
    assert chi_squared(np.histogram(free, bins=4, range=(-0.01, 1.01))[0]) < CHI_SQUARED[3]
    assert 400 < (columns[:, -1] < columns[:, 0]).sum() < 500  # mirrored


def test_a_crop_is_that_of_the_whole_photograph_rescaled():
    image = np.rint(bilinear(photograph(12, 16), 180, 240)).astype(np.uint8)  # a smooth one
    (crop,) = levels(ScaleJitter(64, 90, 90), [image], np.array([0]))
    whole = bilinear(image, 90, 120)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (64, 64), axis=(0, 1))
    windows = np.moveaxis(windows, 2, -1).reshape(-1, 64, 64, 3)
    differ = [np.abs(crop - window).mean() for window in (*windows, *windows[:, :, ::-1])]
    assert min(differ) < 8 < 30 < np.median(differ)


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

    monkeypatch.setattr(crops, "resize", spy)
    return seen


def rejection(height, width, count):
    """Height and width of parts by the words of the paper, drawn by another generator."""
    random = np.random.default_rng(5)
    fitting = []
    while len(fitting) < count:
        area = random.uniform(0.08, 1) * height * width
        ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        part = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if part[0] <= height and part[1] <= width:
            fitting.append(part)
    return np.array(fitting)


def test_the_inception_crop_covers_8_to_100_per_cent_in_shapes_from_3_4_to_4_3(parts):
    """Szegedy et al. 2014, section 6."""
    stats = pytest.importorskip("scipy.stats")
    image = map_of(120, 160)
    cropped = levels(InceptionCrop(8), [image] * 2000, np.arange(2000))
    assert cropped.shape == (2000, 8, 8, 3)
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
    names, counts = np.unique([way for _, way in parts], return_counts=True)
    assert sorted(names) == ["area", "bicubic", "bilinear", "nearest"]
    assert chi_squared(counts) < CHI_SQUARED[3]


def test_half_of_the_inception_crops_are_mirrored(parts):
    image = map_of(60, 60)
    for flip, wanted in ((True, 500), (False, 0)):
        cropped = levels(InceptionCrop(16, flip=flip), [image] * 1000, np.arange(1000))
        mirrored = np.sum(cropped[:, 8, -1, 1] < cropped[:, 8, 0, 1])
        assert abs(mirrored - wanted) <= (55 if flip else 0)  # 3.5 standard deviations
    assert len(parts) == 2000


def test_of_a_photograph_too_narrow_the_inception_crop_takes_a_square(parts):
    cropped = levels(InceptionCrop(8), [map_of(250, 4)] * 50, np.arange(50))
    assert cropped.shape == (50, 8, 8, 3)
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
    whole = examples(augmentation, PHOTOGRAPHS, np.arange(12), seed=1, pass_number=2)
    assert whole.shape == (12, 24, 24, 3)
    for index in ([7], [3, 9], [11, 0, 5]):
        part = examples(augmentation, PHOTOGRAPHS, index, seed=1, pass_number=2)
        np.testing.assert_array_equal(part, whole[index])
    for other in ({"seed": 2, "pass_number": 2}, {"seed": 1, "pass_number": 3}):
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
    distorted = examples(only(kind), images, np.arange(500))
    assert distorted.dtype == np.float32
    luminance = (images.astype(float) @ LUMINANCE)[..., None]
    origin = {
        "brightness": 0.0,
        "contrast": luminance.mean(axis=(1, 2), keepdims=True),
        "saturation": luminance,
    }[kind]
    factors = (distorted - origin) / (images - origin)
    factor = np.median(factors, axis=(1, 2, 3))
    np.testing.assert_allclose(
        distorted, origin + factor[:, None, None, None] * (images - origin), atol=0.01
    )
    assert 0.6 <= factor.min() < 0.61
    assert 1.39 < factor.max() <= 1.4
    assert abs(factor.mean() - 1) < 4 * 0.4 / np.sqrt(3 * 500)


@pytest.mark.parametrize(
    "step",
    [
        PhotometricDistortions(),
        ColourShift(np.diag([90.0, -90.0, 40.0])),
        Preprocessed((Centred(np.array([120.0, 110.0, 100.0]), 1.0),)),
        Preprocessed((Centred(np.full((4, 4, 3), 90.0), 64.0),)),
    ],
    ids=lambda step: type(step).__name__,
)
def test_what_follows_a_crop_takes_its_bytes_as_numbers(step):
    crops = np.random.default_rng(3).integers(0, 256, (6, 4, 4, 3), np.uint8)
    kept, draw = crops.copy(), Draw(np.arange(6), 6, 0, 0)
    found = step(crops, draw)
    np.testing.assert_array_equal(found, step(crops.astype(np.float32), draw))
    assert found.dtype == np.float32 and (found < 0).any() != (step == PhotometricDistortions())
    np.testing.assert_array_equal(crops, kept)


def test_distortions_of_nothing_change_nothing():
    images = np.random.default_rng(1).uniform(0, 255, (20, 3, 4, 3)).astype(np.float32)
    still = PhotometricDistortions(0, 0, 0)
    distorted = examples(still, images, np.arange(20))
    np.testing.assert_allclose(distorted, images, atol=1e-4)


def test_the_three_distortions_follow_each_other_in_the_order_drawn(monkeypatch):
    """Held against Pillow's, which round down and cut off each time."""
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    factors = (1.4, 1.4, 0.6)  # of brightness, contrast, saturation: much is cut off
    rank = np.argsort(orders, axis=1)  # when each of the three comes
    drawn = np.concatenate([np.array(factors)[:, None].repeat(6, axis=1) - 0.5, (rank.T + 0.5) / 3])
    monkeypatch.setattr(Draw, "uniform", lambda draw, count: drawn)
    images = np.stack([photograph(12, 10, seed=3)] * 6)
    distorted = examples(PhotometricDistortions(0.5, 0.5, 0.5), images, np.arange(6))
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    wanted = []
    for order in orders:
        image = Image.fromarray(images[0])
        for kind in order:
            image = kinds[kind](image).enhance(factors[kind])
        wanted.append(np.asarray(image, float))
    apart = abs(distorted[:, None] - np.stack(wanted)).mean(axis=(2, 3, 4))  # distorted, wanted
    assert (np.diag(apart) < 1.5).all()
    np.testing.assert_array_equal(apart.argmin(axis=1), np.arange(6))


# ---------------------------------------------------------------------------- kept as files


def encoded(image, form="PNG", mode=None):
    """The file of an image [H, W, 3], or of one that Pillow turned into another mode."""
    picture = Image.fromarray(image)
    stream = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(stream, form)
    return stream.getvalue()


def kept(files):
    """Photographs of the given files."""
    ends = np.cumsum([len(file) for file in files])
    return Photographs(Ragged(np.frombuffer(b"".join(files), np.uint8), ends.astype(np.int64)))


@pytest.fixture(scope="module")
def album():
    """150 images of sizes of their own, and Photographs of them, in a format without loss."""
    random = np.random.default_rng(2)
    images = [photograph(*random.integers(8, 15, 2), seed=seed) for seed in range(150)]
    return images, kept([encoded(image) for image in images])


def same(decoded, wanted):
    assert len(decoded) == len(wanted)
    for one, other in zip(decoded, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_photographs_are_a_sequence_that_decodes_what_is_asked_for(album):
    images, files = album
    assert len(files) == 150
    for number in (0, 7, -1, np.int64(149)):
        np.testing.assert_array_equal(files[number], images[number])
        assert files[number].dtype == np.uint8
    same(files[3:9], images[3:9])
    same(files[-4:], images[-4:])
    same(files[::50], images[::50])
    assert files[5:5] == []
    same(files[np.array([9, 0, 9, -2])], [images[i] for i in (9, 0, 9, 148)])
    same(files[np.arange(150) % 60 == 3], [images[i] for i in (3, 63, 123)])
    same(list(files), images)
    for beyond in (150, -151, np.array([0, 150])):
        with pytest.raises(IndexError):
            files[beyond]


def test_a_part_of_the_photographs_is_not_decoded(album):
    images, files = album
    broken = kept([b"none"] * 3 + [encoded(image) for image in images[3:10]] + [b"none"])
    for part in (broken.part(3, 10), broken.part(1, 11).part(2, 9)):
        assert isinstance(part, Photographs)
        assert len(part) == 7
        same(part[:], images[3:10])
        assert np.shares_memory(part.files.values, broken.files.values)
    assert len(files.part(0, 150)) == 150
    assert len(files.part(40, 40)) == 0
    assert files.part(2, 5).file(1) == encoded(images[3])


@pytest.mark.parametrize(
    ("colour", "mode", "wanted"),
    [
        ((200, 40, 90), None, (200, 40, 90)),
        ((77, 77, 77), "L", (77, 77, 77)),
        ((255, 0, 0), "CMYK", (255, 0, 0)),
        ((255, 255, 255), "CMYK", (255, 255, 255)),
    ],
)
def test_jpegs_are_rgb_whatever_their_file_holds(colour, mode, wanted):
    file = encoded(np.full((9, 12, 3), colour, np.uint8), "JPEG", mode)
    with Image.open(io.BytesIO(file)) as picture:
        assert (picture.format, picture.mode) == ("JPEG", mode or "RGB")
    decoded = kept([file])[0]
    assert decoded.shape == (9, 12, 3)
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, np.full((9, 12, 3), wanted), atol=2)


def test_a_whole_photograph_is_what_training_has_of_it_at_that_scale():
    file = photographs.Photograph(encoded(photograph(60, 60), "JPEG"), 0)
    np.testing.assert_array_equal(views.whole(file, 20)[0], Square(20)([file])[0])


@pytest.mark.parametrize("transform", [0, 2])  # CMYK and YCCK, as Adobe's marker tells them apart
def test_jpegs_of_four_inks_are_as_pillow_mixes_them(transform):
    inks = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(stream, "JPEG", quality=95)
    file = bytearray(stream.getvalue())
    file[file.index(b"Adobe") + 11] = transform
    with Image.open(io.BytesIO(file)) as picture:
        wanted = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(kept([bytes(file)])[0], wanted)


@pytest.mark.parametrize("ask", [lambda p: p[2], lambda p: p[:], lambda p: Square(4)(p)])
@pytest.mark.parametrize("spoil", [lambda f: f[: len(f) // 2], lambda f: b"not a picture"])
def test_a_photograph_that_cannot_be_decoded_is_named(spoil, ask):
    files = [encoded(photograph(40, 30, seed=i), "JPEG") for i in range(6)]
    files[4] = spoil(files[4])
    with pytest.raises(DataError, match="photograph 4 ") as error:
        ask(kept(files).part(2, 6))
    assert "object at" not in str(error.value)


def squared(image, side):
    """The middle of the photograph, resized: what rescaling it and cutting the middle out gives."""
    height, width = image.shape[:2]
    length = min(height, width)
    top, left = (height - length) // 2, (width - length) // 2
    return bilinear(image[top : top + length, left : left + length], side, side)


def test_a_square_is_the_middle_with_the_shorter_side_rescaled():
    images = [photograph(*shape) for shape in ((30, 41), (52, 20), (16, 16), (9, 200))]
    wanted = np.stack([squared(image, 16) for image in images])
    squares = Square(16)(images)
    assert squares.dtype == np.uint8
    np.testing.assert_allclose(squares, wanted, atol=1)
    files = kept([encoded(image) for image in images])
    np.testing.assert_array_equal(Square(16)(files), squares)
    np.testing.assert_array_equal(Square(16)(files[1:3]), squares[1:3])
    nearest = Square(8, "nearest")([image.repeat(2, 0).repeat(2, 1) for image in images[2:3]])
    np.testing.assert_array_equal(nearest[0], images[2][::2, ::2])
    assert Square(5)([]).shape == (0, 5, 5, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0,), "Square.side=0: accepted is a whole number from 1 to 1,024"),
        ((10**30,), "accepted is a whole number from 1 to 1,024"),
        ((8, "bilinaer"), "did you mean bilinear"),
    ],
)
def test_a_square_of_no_possible_size_or_interpolation_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        Square(*arguments)


class Watched:
    """Photographs, and how many of them were asked for at a time."""

    def __init__(self, files):
        self.files, self.asked = files, []

    def __len__(self):
        return len(self.files)

    def undecoded(self, index):
        some = self.files.undecoded(index)
        self.asked.append(len(some))
        return some

    def through(self, steps):
        return Lazily(self, steps)


@pytest.mark.parametrize("step", [ChannelMean, PerPixelMean])
def test_means_are_learnt_from_photographs_of_which_some_are_held_at_a_time(album, step):
    """Means by colour (Simonyan and Zisserman 2014), by pixel (Krizhevsky et al. 2012)."""
    images, files = album
    squares = Square(8)(images)
    mean = squares.mean(axis=(0, 1, 2) if step is ChannelMean else 0)
    watched = Watched(files)
    steps = preprocessing.fit((Square(8), step()), watched)
    assert sum(watched.asked) == 150
    assert max(watched.asked) < 100
    centred = preprocessing.apply(steps, files[:20])
    assert centred.dtype == np.float32
    np.testing.assert_allclose(centred, (squares[:20] - mean) / 255, atol=1e-6)


def test_colours_are_learnt_from_photographs_before_they_are_cut(album):
    images, files = album
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float)
    (centre,) = preprocessing.fit((ChannelMean(),), files)
    wanted = (images[5] - pixels.mean(axis=0)) / 255
    np.testing.assert_allclose(centre(images[5]), wanted, atol=1e-6)
    mean, covariance = preprocessing.colour_statistics(files)
    np.testing.assert_allclose(mean, pixels.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(pixels.T, bias=True))


def test_what_was_learnt_of_photographs_is_kept_and_of_others_learnt_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path))
    files = kept([encoded(photograph(20, 30, seed=n)) for n in range(4)])
    others = kept([encoded(photograph(20, 30, seed=n)) for n in range(1, 5)])
    mean = np.mean([photograph(20, 30, seed=n) for n in range(4)], axis=(0, 1, 2))
    for _ in range(2):
        (centre,) = preprocessing.fit((ChannelMean(scale=1.0),), files)
        np.testing.assert_allclose(centre.mean, mean)
        monkeypatch.setattr(decoding, "decode", None)  # the second time nothing is decoded
    assert [file.name.split("-")[0] for file in tmp_path.glob("*.npz")] == ["colours"]
    for more in (others, files.part(0, 3), files.part(1, 4)):
        assert more.key != files.key
        with pytest.raises(DataError):  # they would have to be decoded
            preprocessing.fit((ChannelMean(scale=1.0),), more)
    with pytest.raises(DataError):  # the same photographs, but squares of them
        preprocessing.fit((Square(8), ChannelMean(scale=1.0)), files)
    next(tmp_path.glob("*.npz")).write_bytes(b"half a file")
    monkeypatch.undo()
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path))
    (centre,) = preprocessing.fit((ChannelMean(scale=1.0),), files)
    np.testing.assert_allclose(centre.mean, mean)


@pytest.fixture(scope="module")
def lazy(album):
    """Photographs that are preprocessed when asked for, and the same at once, by hand."""
    images, files = album
    squares = Square(8)(images)
    wanted = squares.astype(np.float32) * np.float32(1 / 255) - np.float32(0.1)
    return Lazily(files, (Square(8), Contrast(-0.1, 0.9))), wanted


def test_lazy_images_are_like_an_array_of_them(lazy):
    images, wanted = lazy
    assert len(images) == 150
    places = (0, -1, slice(3, 9), slice(140, 999), slice(0, 0), np.array([5, 2, 2]))
    for place in places:
        assert images[place].dtype == np.float32
        np.testing.assert_allclose(images[place], wanted[place], atol=1e-6)
    with pytest.raises(IndexError):
        images[150]
    images[0:2][:] = 0  # what was given is nobody else's
    np.testing.assert_allclose(images[0:2], wanted[0:2], atol=1e-6)
    array = Lazily(wanted, (Contrast(0.0, 510.0),))
    np.testing.assert_allclose(array[10:12], 2 * wanted[10:12], rtol=1e-6)


def test_lazy_images_go_through_batches_and_tests(lazy):
    images, wanted = lazy
    labels = np.arange(150) % 7
    for first, updates in ((0, 3), (9, 2)):  # the second goes into the next pass
        lazily = Batches(images, labels, 16, seed=1).chunk(first, updates)
        array = Batches(wanted, labels, 16, seed=1).chunk(first, updates)
        np.testing.assert_allclose(lazily[0], array[0], atol=1e-6)
        np.testing.assert_array_equal(lazily[1], array[1])

    def score(images, labels):
        return images.mean(axis=(1, 2, 3)), np.where(images[:, 0, 0, 0] > 0.4, labels, -1)

    result = evaluation.evaluate(evaluation.Scorer(score, batch=64), images, labels).metrics
    assert result["count"] == 150
    assert result["wrong"] == np.sum(wanted[:, 0, 0, 0] <= 0.4)
    assert result["loss"] == pytest.approx(wanted.mean(), abs=1e-6)
