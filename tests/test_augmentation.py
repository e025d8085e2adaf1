"""Augmentations: which examples there are, what is fixed, the geometry and the colours."""

import dataclasses
import hashlib
import itertools

import numpy as np
import pytest

from repro import catalog, settings
from repro.data import augmentation, crops, distortion, parts, preprocessing
from repro.data.augmentation import Chain, CropAndFlip, OneOfTenCrops, PCAColour, RandomCrop
from repro.data.batches import Batches
from repro.data.crops import InceptionCrop, PhotometricDistortions, ScaleJitter, Square
from repro.data.distortion import DistortedCopies, warp
from repro.data.draws import Draw
from repro.errors import UsageError

FILL = -0.1
STILL = {"right": 0, "down": 0, "width": 1, "height": 1, "shear": 0}


def originals(n=12, channels=1, size=16):
    return np.random.default_rng(0).random((n, size, size, channels), np.float32)


def examples(augmentation, images, index, seed=0, pass_number=0):
    draw = Draw(np.asarray(index), len(images), seed, pass_number, FILL)
    return augmentation(images[draw.index % draw.originals], draw)


def uniform(count, seed, index, pass_number=0):
    return Draw(np.asarray(index), 1, seed, pass_number).uniform(count)


def normal(count, seed, index, pass_number=0):
    return Draw(np.asarray(index), 1, seed, pass_number).normal(count)


def warped(images, **changes):
    amounts = {k: np.full(len(images), v, float) for k, v in {**STILL, **changes}.items()}
    return warp(images, **amounts, fill=FILL)


def test_mnist_gets_540_000_distorted_instances():
    # LeCun et al. 1998, section III-B: 60,000 originals plus 540,000 distorted patterns.
    assert DistortedCopies().size(60_000) == 60_000 + 540_000


def test_copy_zero_is_the_original_and_the_others_are_not():
    images = originals()
    everything = examples(DistortedCopies(), images, np.arange(120))
    assert everything.dtype == np.float32
    np.testing.assert_array_equal(everything[:12], images)
    copies = everything.reshape(10, 12, -1)
    for one, other in itertools.combinations(range(10), 2):
        assert (copies[one] != copies[other]).any(axis=1).all()


def test_the_originals_given_are_left_alone():
    images = originals()
    before = images.copy()
    examples(DistortedCopies(), images, np.arange(12) + 12)
    np.testing.assert_array_equal(images, before)


def test_a_copy_does_not_depend_on_batch_order_or_pass():
    images, augmentation = originals(40), DistortedCopies(copies=9)
    whole = examples(augmentation, images, np.arange(400))
    mixed = np.random.default_rng(1).permutation(400)
    np.testing.assert_array_equal(
        examples(augmentation, images, mixed, pass_number=7), whole[mixed]
    )
    for alone in (0, 45, 399):
        np.testing.assert_array_equal(examples(augmentation, images, [alone])[0], whole[alone])


def test_another_seed_gives_other_copies():
    images = originals()
    one, other = (examples(DistortedCopies(), images, np.arange(12, 24), seed=s) for s in (0, 1))
    assert (one != other).reshape(12, -1).any(axis=1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_warp_equals_scipys_affine_transformation(channels):
    ndimage = pytest.importorskip("scipy.ndimage")
    images = originals(6, channels)
    random = np.random.default_rng(2)
    right, down = random.uniform(-3, 3, (2, 6))
    width, height = random.uniform(0.7, 1.4, (2, 6))
    shear = random.uniform(-0.3, 0.3, 6)
    moved = warp(images, right, down, width, height, shear, FILL)
    centre = 7.5
    for i in range(6):
        # Rows first: the point (y, x) about the centre goes to forward @ (y, x) + (down, right).
        forward = np.diag([height[i], width[i]]) @ np.array([[1, 0], [shear[i], 1]])
        back = np.linalg.inv(forward)
        offset = centre - back @ (centre + np.array([down[i], right[i]]))
        for c in range(channels):
            wanted = ndimage.affine_transform(
                images[i, ..., c].astype(float),
                back,
                offset,
                order=1,
                mode="grid-constant",
                cval=FILL,
            )
            np.testing.assert_allclose(moved[i, ..., c], wanted, atol=2e-5)


def test_standing_still_changes_nothing():
    np.testing.assert_array_equal(warped(originals()), originals())


def test_translation_goes_right_and_down_and_uncovers_the_background():
    images = originals()
    moved = warped(images, right=2, down=1)
    np.testing.assert_allclose(moved[:, 1:, 2:], images[:, :-1, :-2], atol=1e-6)
    np.testing.assert_array_equal(moved[:, :, :2], np.float32(FILL))
    np.testing.assert_array_equal(moved[:, :1], np.float32(FILL))


def test_an_image_moved_far_away_leaves_the_background():
    np.testing.assert_array_equal(warped(originals(), right=100), np.float32(FILL))
    np.testing.assert_array_equal(warped(originals(), down=-100), np.float32(FILL))


def test_shear_goes_sideways_only_and_not_in_the_middle_row():
    images = originals(size=15)
    sheared = warped(images, shear=1)
    np.testing.assert_allclose(sheared[:, 7], images[:, 7], atol=1e-6)
    np.testing.assert_allclose(sheared[:, 10, 3:], images[:, 10, :-3], atol=1e-6)


def test_amounts_of_zero_switch_each_distortion_off():
    images = originals()
    still = DistortedCopies(translation=0, scaling=0, squeezing=0, shear=0)
    np.testing.assert_allclose(examples(still, images, np.arange(24))[12:], images, atol=1e-6)


def test_translation_stays_within_its_amount():
    images = np.full((200, 16, 16, 1), FILL, np.float32)
    images[:, 8, 8] = 1
    moves = DistortedCopies(translation=2, scaling=0, squeezing=0, shear=0)
    ink = examples(moves, images, 200 + np.arange(200))[..., 0] - np.float32(FILL)
    grid = np.arange(16)
    down = (ink.sum(2) @ grid) / ink.sum((1, 2)) - 8
    right = (ink.sum(1) @ grid) / ink.sum((1, 2)) - 8
    for shift in (down, right):
        assert abs(shift).max() <= 2 + 1e-4
        assert shift.min() < -1.5
        assert shift.max() > 1.5
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.25


def test_draws_are_uniform_and_unrelated():
    values = uniform(5, 3, np.arange(40_000))
    assert values.shape == (5, 40_000)
    assert values.min() >= 0
    assert values.max() < 1
    counts = [np.histogram(row, bins=20, range=(0, 1))[0] for row in values]
    # Each of the 20 bins expects 2,000 with a standard deviation of 44.
    assert abs(np.array(counts) - 2000).max() < 5 * 44
    relations = [values, np.roll(values, 1, axis=1), uniform(5, 4, np.arange(40_000))]
    correlation = np.corrcoef(np.concatenate(relations)) - np.eye(15)
    assert abs(correlation).max() < 5 / np.sqrt(40_000)


def test_draws_are_keyed_by_seed_pass_and_example():
    one = uniform(2, 0, [5])
    np.testing.assert_array_equal(one, uniform(2, 0, [9, 5, 1])[:, 1:2])
    for other in (uniform(2, 1, [5]), uniform(2, 0, [6]), uniform(2, 0, [5], pass_number=1)):
        assert (one != other).all()
    assert (uniform(2, 0, [5], pass_number=1) != uniform(2, 1, [5])).all()


def splitmix(state):
    """SplitMix64 of Steele, Lea and Flood 2014, Figure 15, in Python's whole numbers."""
    mask = 2**64 - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_a_draw_is_the_hash_of_seed_pass_example_and_place():
    """What runs on record were trained with: another number here would make them unrepeatable."""
    for seed, pass_number, example in ((0, 0, 0), (3, 17, 59_999), (2**32 - 1, 199, 539_999)):
        drawn = uniform(3, seed, [example], pass_number)[:, 0]
        state = splitmix((splitmix(seed) + pass_number) % 2**64)
        keyed = splitmix((state + example) % 2**64)
        wanted = [(splitmix((keyed + place) % 2**64) >> 11) / 2**53 for place in range(3)]
        assert drawn.tolist() == wanted


def test_a_step_of_a_chain_a_run_and_some_rows_are_draws_of_their_own():
    draw = Draw(np.array([4, 9, 2]), 10, seed=1, pass_number=6, fill=FILL)
    assert (draw.of_step(0).uniform(2) == draw.uniform(2)).all()
    np.testing.assert_array_equal(
        draw.of_step(1).uniform(2), uniform(2, 1 + 2**32, [4, 9, 2], pass_number=6)
    )
    np.testing.assert_array_equal(draw.of_run().uniform(2), uniform(2, 1, [4, 9, 2]))
    np.testing.assert_array_equal(draw.of_rows([2, 0]).uniform(2), draw.uniform(2)[:, [2, 0]])
    assert (draw.of_rows([1]).originals, draw.of_rows([1]).fill) == (10, FILL)


def windows(image, pad, outside=0.0):
    """Every crop of the padded image, and its mirror image, by (down, right, mirrored)."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=outside)
    crops = {}
    for down, right in itertools.product(range(2 * pad + 1), repeat=2):
        crop = padded[down : down + height, right : right + width]
        crops[down, right, False], crops[down, right, True] = crop, crop[:, ::-1]
    return crops


def test_each_crop_is_a_window_of_the_padded_image_and_every_window_comes_up():
    """He et al. 2015, section 4.2: 4 pixels padded on each side, a 32x32 crop, or its mirror."""
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    possible = {crop.tobytes(): key for key, crop in windows(image[0], 4, outside=0.5).items()}
    counts = dict.fromkeys(possible.values(), 0)
    crop = CropAndFlip(pad=4, outside=0.5)
    passes = 6_000
    for number in range(passes):
        cropped = crop(image, Draw(np.array([0]), 1, seed=3, pass_number=number, fill=9.0))
        assert cropped.dtype == np.float32
        counts[possible[cropped[0].tobytes()]] += 1
    assert len(counts) == 2 * 9 * 9 and min(counts.values()) > 0
    # 162 equal chances: chi-squared with 161 degrees of freedom stays below 224 in 999 of 1,000.
    expected = passes / len(counts)
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 224


def test_a_crop_is_keyed_by_seed_pass_and_example_not_by_the_batch():
    images = originals(channels=3)
    crop = CropAndFlip()
    assert crop.size(12) == 12
    whole = examples(crop, images, np.arange(12), seed=1, pass_number=5)
    np.testing.assert_array_equal(
        examples(crop, images, [7, 2], seed=1, pass_number=5), whole[[7, 2]]
    )
    for other in ({"seed": 2, "pass_number": 5}, {"seed": 1, "pass_number": 6}):
        assert (examples(crop, images, np.arange(12), **other) != whole).any()
    same = np.broadcast_to(images[:1], images.shape)
    crops = {c.tobytes() for c in examples(crop, same, np.arange(12))}
    assert len(crops) > 6  # each example draws for itself
    np.testing.assert_array_equal(images, originals(channels=3))  # the originals stay


def test_without_mirroring_and_padding_nothing_changes():
    images = originals(channels=3)
    np.testing.assert_array_equal(
        examples(CropAndFlip(pad=0, flip=False), images, np.arange(12)), images
    )


# Chi-squared stays below these in 999 of 1,000, by the degrees of freedom.
CHI_SQUARED = {4: 18.5, 17: 40.8}


def chi_squared(counts, expected):
    return sum((n - e) ** 2 / e for n, e in zip(counts, expected, strict=True))


def test_every_place_of_a_smaller_crop_and_its_mirror_image_is_as_likely():
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    places = itertools.product(range(3), range(3), (1, -1))
    crops = [image[0, y : y + 6, x : x + 6][:, ::turn] for y, x, turn in places]
    counts = dict.fromkeys((crop.tobytes() for crop in crops), 0)
    assert len(counts) == 18
    cropped = examples(RandomCrop(6), np.repeat(image, 5000, 0), np.arange(5000), seed=3)
    assert cropped.shape == (5000, 6, 6, 3)
    assert cropped.dtype == np.float32
    for crop in cropped:
        counts[crop.tobytes()] += 1
    assert chi_squared(counts.values(), [5000 / 18] * 18) < CHI_SQUARED[17]


def test_a_smaller_crop_is_not_mirrored_where_that_is_not_asked_for():
    images = np.broadcast_to(np.arange(9, dtype=np.float32)[:, None], (200, 7, 9, 1))
    cropped = examples(RandomCrop(5, flip=False), images, np.arange(200))
    assert cropped.shape == (200, 5, 5, 1)
    np.testing.assert_array_equal(np.diff(cropped, axis=2), 1)


def test_a_smaller_crop_is_keyed_by_seed_pass_and_example_not_by_the_batch():
    images = originals(channels=3)
    crop = RandomCrop(9)
    assert crop.size(12) == 12
    whole = examples(crop, images, np.arange(12), seed=1, pass_number=5)
    np.testing.assert_array_equal(
        examples(crop, images, [7, 2], seed=1, pass_number=5), whole[[7, 2]]
    )
    for other in ({"seed": 2, "pass_number": 5}, {"seed": 1, "pass_number": 6}):
        assert (examples(crop, images, np.arange(12), **other) != whole).any()


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(UsageError, match="16x16"):
        examples(RandomCrop(17), originals(), [0])


def test_normal_draws_are_normal_and_keyed():
    stats = pytest.importorskip("scipy.stats")
    values = normal(3, 0, np.arange(20_000))
    assert values.shape == (3, 20_000)
    for row in values:
        assert stats.kstest(row, "norm").pvalue > 0.001
    assert abs(np.corrcoef(values) - np.eye(3)).max() < 5 / np.sqrt(20_000)
    np.testing.assert_array_equal(normal(3, 0, [9, 5])[:, 1:], values[:, 5:6])
    assert (normal(3, 0, [5], pass_number=1) != values[:, 5:6]).all()


def coloured(n=40):
    """Images [n, 6, 6, 3] from 0 to 1 whose channels are related, and differ in scale."""
    pixels = np.random.default_rng(4).random((n, 6, 6, 3))
    mixing = np.array([[0.6, 0.3, 0.1], [0.0, 0.5, 0.2], [0.1, 0.0, 0.2]])
    return (pixels @ mixing).astype(np.float32)


def test_pca_colour_adds_normal_multiples_of_the_principal_components():
    """Krizhevsky et al. 2012, section 4.1: [p1 p2 p3][a1 l1, a2 l2, a3 l3], a ~ N(0, 0.1)."""
    train = coloured()
    values, vectors = np.linalg.eigh(np.cov(train.reshape(-1, 3).astype(float).T, bias=True))
    recolour = augmentation.fit(PCAColour(), train)
    images = np.zeros((3000, 2, 2, 3), np.float32)
    added = examples(recolour, images, np.arange(3000))
    assert added.dtype == np.float32
    np.testing.assert_array_equal(added, np.broadcast_to(added[:, :1, :1], added.shape))
    amounts = added[:, 0, 0] @ vectors / values  # a1, a2, a3 of each image
    # Over 3,000 images the standard error of a mean is 0.0018, that of a deviation 0.0013.
    np.testing.assert_allclose(amounts.mean(axis=0), 0, atol=4 * 0.0018)
    np.testing.assert_allclose(amounts.std(axis=0), 0.1, atol=4 * 0.0013)
    assert abs(np.corrcoef(amounts.T) - np.eye(3)).max() < 4 / np.sqrt(3000)


def test_pca_colour_is_the_same_in_grey_levels_from_0_to_255():
    train = coloured()
    one = PCAColour().fit(train)
    other = PCAColour(white=255.0).fit(list(255 * train))  # as photographs come, one by one
    index = np.arange(40)
    grey = examples(other, 255 * train, index, pass_number=3)
    wanted = examples(one, train, index, pass_number=3)
    assert abs(wanted - train).max() > 0.005
    np.testing.assert_allclose(grey / 255, wanted, atol=1e-6)


def test_pca_colour_is_keyed_by_seed_pass_and_example_not_by_the_batch():
    train = coloured()
    assert PCAColour().size(40) == 40
    recolour = PCAColour().fit(train)
    whole = examples(recolour, train, np.arange(40), pass_number=1)
    for count in range(1, 20):
        part = examples(recolour, train, np.arange(40)[-count:], pass_number=1)
        np.testing.assert_array_equal(part, whole[-count:])
    assert (
        (examples(recolour, train, np.arange(40), pass_number=2) != whole).any(axis=(1, 2, 3)).all()
    )
    np.testing.assert_array_equal(train, coloured())  # the originals stay


def test_what_learns_nothing_is_fitted_as_it_is():
    for plain in (None, CropAndFlip(), RandomCrop(4)):
        assert augmentation.fit(plain, coloured()) is plain


def test_a_chain_applies_its_steps_in_turn_and_fits_them():
    train = coloured()
    chain = augmentation.fit(Chain((RandomCrop(4), PCAColour())), train)
    assert chain.size(40) == 40
    altered = examples(chain, train, np.arange(40), pass_number=2)
    cropped = examples(RandomCrop(4), train, np.arange(40), pass_number=2)
    added = altered - cropped
    np.testing.assert_allclose(added, np.broadcast_to(added[:, :1, :1], added.shape), atol=1e-6)
    components = PCAColour().fit(train).components
    amounts = added[:, 0, 0] @ np.linalg.inv(components)  # 40 draws from the normal distribution
    assert np.all((abs(amounts) < 5) & (abs(amounts) > 1e-5))
    assert 0.7 < amounts.std() < 1.3
    np.testing.assert_array_equal(examples(chain, train, [31, 4], pass_number=2), altered[[31, 4]])


def test_the_steps_of_a_chain_draw_for_themselves():
    count = 4500
    images = np.broadcast_to(np.arange(9, dtype=np.float32)[:, None], (count, 9, 9, 1))
    chain = Chain((RandomCrop(7, flip=False), RandomCrop(5, flip=False)))
    left = examples(chain, images, np.arange(count))[:, 0, 0, 0].astype(int)
    # Two places of 0, 1 or 2 each; the same draw twice would give 0, 2 and 4 alone.
    counts = np.bincount(left, minlength=5)
    assert chi_squared(counts, count * np.array([1, 2, 3, 2, 1]) / 9) < CHI_SQUARED[4]


# ---------------------------------------------------------------------------- limits

BEYOND = [
    (CropAndFlip, {"pad": (-1, 65, 999_999_999, 10**30, 1.5, True, "4", None)}, {}),
    (CropAndFlip, {"outside": (float("nan"), float("inf"), -1e7, "0")}, {}),
    (RandomCrop, {"side": (0, -1, 1025, 10**30, 2.5)}, {}),
    (OneOfTenCrops, {"side": (0, -1, 1025, 10**30, 2.5)}, {}),
    (PCAColour, {"deviation": (-0.1, 11, float("nan")), "white": (0, -1, 1e6)}, {}),
    (DistortedCopies, {"copies": (-1, 100, 10**30), "translation": (-1, 1e4)}, {}),
    (DistortedCopies, {"scaling": (-1, 11), "squeezing": (-1, 11), "shear": (-0.1, 11)}, {}),
    (ScaleJitter, {"side": (0, 257, 10**30), "smallest": (513,), "largest": (255, 1025)}, {}),
    (InceptionCrop, {"side": (0, 1025), "least": (0, -0.1, 1.1, float("nan"))}, {}),
    (InceptionCrop, {"interpolations": ((), ("bilinaer",))}, {}),
    (PhotometricDistortions, {"brightness": (-0.1, 1.1), "contrast": (2,), "saturation": (9,)}, {}),
    (Square, {"side": (0, 1025, 10**30), "interpolation": ("", "bilinaer")}, {}),
    (preprocessing.PadTo, {"size": (0, -1, 1025, 10**30, 1.5)}, {}),
    (preprocessing.Enlarge, {"size": (0, 1025)}, {}),
    (
        preprocessing.ShrinkInto,
        {"digit": (0, 21), "field": (0, 1025), "box": (1025,)},
        {"field": 28},
    ),
    (preprocessing.Contrast, {"background": (float("nan"), 1e9)}, {"foreground": 1.0}),
    (preprocessing.PerPixelMean, {"scale": (0, -1, 1e9)}, {}),
    (preprocessing.ChannelMean, {"scale": (0, -1, float("inf"))}, {}),
    (preprocessing.GlobalContrastNormalization, {"scale": (0, -1), "bias": (-1, 1e13)}, {}),
    (preprocessing.ZCAWhitening, {"regularisation": (0, -1, 1e13)}, {}),
    (preprocessing.LocalContrastNormalization, {"size": (0, 256), "deviation": (0, 1e4)}, {}),
    (preprocessing.LocalContrastNormalization, {"least": (0, -1, 1e9)}, {}),
]
GIVEN = {"side": 8, "size": 8, "digit": 16, "background": 0.0}


@pytest.mark.parametrize(("part", "beyond", "given"), BEYOND)
def test_each_part_holds_its_own_fields_to_their_limits(part, beyond, given):
    names = {field.name for field in dataclasses.fields(part)}
    needed = {f.name for f in dataclasses.fields(part) if f.default is dataclasses.MISSING}
    given = {**{k: v for k, v in GIVEN.items() if k in needed}, **given}
    part(**given)
    for field, values in beyond.items():
        assert field in names
        for value in values:
            with pytest.raises(UsageError) as error:
                part(**{**given, field: value})
            text = str(error.value)
            assert "accepted" in text and "\n" not in text and len(text) < 300
            assert field in text or "interpolation" in text


def test_every_number_of_every_part_has_both_ends():
    """A number without an upper end is memory, minutes or a traceback for whoever mistypes it."""
    tested = {(part, field) for part, beyond, _ in BEYOND for field in beyond}
    for part in (*parts.PREPROCESSINGS, *parts.AUGMENTATIONS):
        for field in dataclasses.fields(part):
            if field.type in ("int", "float"):
                limits = field.metadata["limits"]
                assert np.isfinite([limits.least, limits.most]).all()
                if (part, field.name) != (preprocessing.Contrast, "foreground"):
                    assert (part, field.name) in tested


@pytest.mark.parametrize(
    ("experiment", "assignment", "accepted"),
    [
        ("resnet20-cifar10", "pad=-1", "a whole number from 0 to 64"),
        ("resnet20-cifar10", "pad=999999999", "a whole number from 0 to 64"),
        ("resnet20-cifar10", "pad=" + "9" * 30, "a whole number from 0 to 64"),
        ("resnet20-cifar10", "pad=4.5", "a whole number"),
        ("resnet20-cifar10", "outside=1e300", "a number from"),
        ("alexnet-local-cifar10", "side=0", "a whole number from 1 to 1,024"),
        ("lenet5-mnist-distorted", "copies=1000", "a whole number from 0 to 99"),
        ("lenet5-mnist-distorted", "shear=-1", "a number from 0 to 10"),
    ],
)
def test_what_the_command_line_sets_is_refused_by_its_whole_key(experiment, assignment, accepted):
    with pytest.raises(UsageError) as error:
        settings.override(catalog.experiment(experiment), [f"recipe.augmentation.{assignment}"])
    name = assignment.partition("=")[0]
    assert str(error.value).startswith(f"recipe.augmentation.{name}=")
    assert f"accepted is {accepted}" in str(error.value)


@pytest.mark.parametrize(
    "steps", [(), (None,), (CropAndFlip, "RandomCrop"), (RandomCrop(4), ScaleJitter())]
)
def test_a_chain_of_what_cannot_follow_each_other_is_refused(steps):
    with pytest.raises(UsageError, match="accepted"):
        Chain(steps)


# ---------------------------------------------------------------------------- what there is


def test_every_part_that_a_recipe_can_name_is_listed_with_what_it_does():
    listed = {part.__name__: part for part in (*parts.PREPROCESSINGS, *parts.AUGMENTATIONS)}
    rooms = (preprocessing, augmentation, crops, distortion)
    made = {
        name
        for module in rooms
        for name, part in vars(module).items()
        if dataclasses.is_dataclass(part) and part.__module__ == module.__name__
    }
    learnt = {"ColourShift", "Preprocessed"}  # made by others, never written in a recipe
    assert listed.keys() == made - learnt
    for part in listed.values():
        said = part.__doc__.strip().splitlines()[0]
        assert said.endswith(".") and len(said) <= 100
    for paper in catalog.papers():
        for experiment in paper.experiments:
            chain = getattr(experiment.recipe.augmentation, "steps", ())
            for part in (*experiment.recipe.preprocessing, *chain):
                assert type(part).__name__ in listed


# ---------------------------------------------------------------------------- as on record


def pattern(*shape):
    """Grey levels that need no generator."""
    numbers = (np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(2654435761)) >> np.uint64(9)
    return (numbers % np.uint64(256)).astype(np.uint8).reshape(shape)


def test_crops_are_those_that_the_runs_on_record_were_trained_on():
    """The digests were taken from the program before its augmentations took a `Draw`.

    Nothing is computed but a difference and a product per pixel, so every machine gives the same.
    """
    images = pattern(60, 32, 32, 3).astype(np.float32)
    for part, seed, wanted in (
        (CropAndFlip(pad=4), 0, "2caa03420b277929"),
        (CropAndFlip(pad=4), 3, "d94ede2f2e5a8910"),
        (RandomCrop(24), 3, "9de78df5e9aaa57a"),
    ):
        chunk, labels = Batches(images, np.arange(60), 16, seed, augmentation=part).chunk(7, 2)
        digest = hashlib.sha256(chunk.tobytes() + labels.tobytes()).hexdigest()
        assert digest[:16] == wanted


def test_distortions_and_colours_are_those_that_the_runs_on_record_were_trained_on():
    images = pattern(60, 28, 28, 1).astype(np.float32) / 255
    batches = Batches(images, np.arange(60), 16, 3, augmentation=DistortedCopies(), fill=-0.1)
    chunk, labels = batches.chunk(7, 2)
    assert labels[0, :8].tolist() == [17, 29, 43, 54, 36, 11, 8, 54]
    np.testing.assert_allclose(
        chunk.ravel()[500::2500][:8],
        [0.371952, 0.372549, 0.401524, 0.429165, 0.332197, 0.372613, 0.3638, -0.1],
        atol=1e-5,
    )
    photographs = pattern(60, 8, 8, 3).astype(np.float32)
    colours = augmentation.fit(PCAColour(white=255.0), photographs)
    chunk, _ = Batches(photographs, np.arange(60), 16, 3, augmentation=colours).chunk(7, 2)
    np.testing.assert_allclose(
        chunk.ravel()[5::771][:8],
        [222.5428, 223.2544, 194.8478, 78.2734, 20.0544, 31.7389, 49.5703, 185.223],
        rtol=1e-5,
    )
