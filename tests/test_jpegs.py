"""Parts of JPEGs: the pixels that the whole has there, from a smaller file if there can be one."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from repro.data import coded, decoding, jpegs
from repro.data.crops import InceptionCrop, ScaleJitter, Square
from repro.data.draws import Draw
from repro.data.photographs import Photographs, Ragged

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "grey")


def picture(height, width, seed=0):
    """Smooth, with noise: [H, W, 3]."""
    random = np.random.default_rng(seed)
    corners = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8))
    smooth = np.asarray(corners.resize((width, height), Image.Resampling.BICUBIC), np.int64)
    return np.clip(smooth + random.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)


def jpeg(height, width, subsampling="4:2:0", quality=90, seed=0, **options):
    image = picture(height, width, seed)
    if subsampling == "grey":
        stream = io.BytesIO()
        Image.fromarray(image).convert("L").save(stream, "JPEG", quality=quality, **options)
        return stream.getvalue()
    if subsampling in ("4:4:0", "4:1:1"):
        number = {"4:4:0": "440", "4:1:1": "411"}[subsampling]
        return simplejpeg.encode_jpeg(image, quality, colorsubsampling=number)
    stream = io.BytesIO()
    saved = {"quality": quality, "subsampling": subsampling, **options}
    Image.fromarray(image).save(stream, "JPEG", **saved)
    return stream.getvalue()


@pytest.fixture
def always(monkeypatch):
    """Parts are cut out also where that takes longer."""
    monkeypatch.setattr(jpegs, "LEAST", -(10**9))


def rectangles(height, width, count=40):
    random = np.random.default_rng(height * width)
    yield slice(0, height), slice(0, width)
    for _ in range(count):
        (top, bottom), (left, right) = (
            np.sort(random.choice(side + 1, 2, replace=False)).tolist() for side in (height, width)
        )
        yield slice(top, bottom), slice(left, right)


def parts_like_the_whole(file, shorter=None):
    """Asserts that parts are those of the whole; how many were cut out."""
    marks, sides, count = jpegs.marks(file), decoding.size(file), 0
    assert len(marks)
    whole = decoding.decode(file, shorter)
    fewer = -(-sides[0] // whole.shape[0])
    for rows, columns in rectangles(*whole.shape[:2]):
        found = decoding.decode_part(file, marks, sides, shorter, rows, columns)
        np.testing.assert_array_equal(found, whole[rows, columns])
        count += jpegs.part(file, marks, sides, rows, columns, fewer) is not None
    return count


# ---------------------------------------------------------------- the same pixels


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", [(97, 131), (160, 213), (64, 64), (17, 200), (300, 9), (1, 1)])
def test_a_part_has_the_pixels_of_the_whole(size, subsampling, always):
    assert parts_like_the_whole(jpeg(*size, subsampling)) == 41


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("fewer", [2, 4, 8])
def test_also_where_fewer_pixels_are_decoded(fewer, subsampling, always):
    file = jpeg(203, 310, subsampling)
    assert decoding.decode(file, 203 // fewer).shape == (-(-203 // fewer), -(-310 // fewer), 3)
    assert parts_like_the_whole(file, 203 // fewer) == 41


@pytest.mark.parametrize("options", [{"quality": 1}, {"quality": 100}, {"optimize": True}])
def test_also_with_other_tables_of_codes(options, always):
    assert parts_like_the_whole(jpeg(120, 90, **options)) == 41


def test_a_block_ends_where_libjpeg_ends_it(always):
    """At each symbol without a value but 0xF0; here all end with 0x10 instead of 0."""
    file = jpeg(90, 70, "grey")
    table = file.index(b"\xff\xc4", file.index(b"\xff\xc4") + 2)
    assert file[table + 4] == 0x10  # for AC coefficients
    symbols = table + 5 + 16
    end = file.index(b"\0", symbols)
    other = file[:end] + b"\x10" + file[end + 1 :]
    np.testing.assert_array_equal(decoding.decode(other), decoding.decode(file))
    assert parts_like_the_whole(other) == 41


def test_what_comes_before_the_blocks_may_be_long(always):
    exif = b"Exif\0\0" + bytes(range(256)) * 200
    assert parts_like_the_whole(jpeg(90, 70, exif=exif, comment=b"\xff\xda")) == 41


def test_a_part_is_a_smaller_file_and_decoded_by_others_too():
    file = jpeg(375, 500)
    part = jpegs.part(file, jpegs.marks(file), (375, 500), slice(100, 200), slice(150, 350))
    assert len(part.file) < len(file) / 3
    # 100 - 2 lies in the block from row 96 on, 200 + 2 in the one before 208; so with 144 and 352.
    assert (part.top, part.left, part.sides) == (96, 144, (208 - 96, 352 - 144))
    with Image.open(io.BytesIO(file)) as whole, Image.open(io.BytesIO(part.file)) as cut:
        wanted = np.asarray(whole)[100:200, 150:350]
        np.testing.assert_array_equal(np.asarray(cut)[4:104, 6:206], wanted)


def test_a_large_part_is_not_cut_out():
    file = jpeg(375, 500)
    marks = jpegs.marks(file)
    assert jpegs.part(file, marks, (375, 500), slice(0, 375), slice(20, 480)) is None
    assert jpegs.part(file, marks, (375, 500), slice(0, 375), slice(100, 400)) is not None


# ---------------------------------------------------------------- what is noted


def test_marks_name_the_mean_level_of_the_block_before():
    """Of a grey JPEG: each level x the first entry of its table of quantisation / 8 + 128."""
    file = jpeg(64, 96, "grey", quality=95)
    with Image.open(io.BytesIO(file)) as image:
        step, pixels = image.quantization[0][0], np.asarray(image, np.float64)
    means = pixels.reshape(8, 8, 12, 8).mean(axis=(1, 3)).ravel()
    marks = jpegs.marks(file)
    assert len(marks) == 8 * 6 + 1  # each of 16 x 8 pixels, two blocks
    assert marks[0].tolist() == [0, 0, 0, 0]
    levels = marks[1:, 1] * step / 8 + 128
    np.testing.assert_allclose(levels, means[1::2], atol=1.5)  # pixels are rounded, and cut off
    begin = file.index(b"\xff\xda") + 2 + 8
    assert 0 <= 8 * (len(file) - 2 - begin) - marks[:, 0].sum() < 8


# ---------------------------------------------------------------- what cannot be cut


def unequal(file):
    """A JPEG whose scan names another colour than its frame."""
    place = file.index(b"\xff\xda")
    return file[: place + 5] + b"\x09" + file[place + 6 :]


def saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


IMAGE = Image.fromarray(picture(80, 90))
WHOLE = jpeg(80, 90)
OTHERS = {
    "progressive": saved(IMAGE, "JPEG", progressive=True),
    "with restarts": saved(IMAGE, "JPEG", restart_marker_rows=1),
    "of four inks": saved(IMAGE.convert("CMYK"), "JPEG"),
    "a PNG": saved(IMAGE, "PNG"),
    "half": WHOLE[: len(WHOLE) // 2],
    "its head alone": WHOLE[:300],
    "without tables of codes": WHOLE.replace(b"\xff\xc4", b"\xff\xe4"),
    "of other colours": unequal(WHOLE),
    "nothing": b"",
    "one byte": b"\xff",
    "a page": b"<html>Please log in</html>",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_cannot_be_cut_has_no_marks(name):
    assert jpegs.marks(OTHERS[name]).shape == (0, 4)


@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\x12\x34\xff\xd9", b"\xff\xd0\xff\xd9", b"\xff\xff\xd9"]
)
def test_nor_has_what_goes_on_or_stops_behind_its_last_block(tail):
    """libjpeg-turbo warns of it, and Pillow decodes the whole, otherwise where fewer are wanted."""
    assert len(jpegs.marks(WHOLE[:-2] + tail)) == 0
    assert len(jpegs.marks(WHOLE + b"something behind")) == len(jpegs.marks(WHOLE)) > 0


@pytest.mark.parametrize("marker", [b"\xff\xd9", b"\xff\xd0", b"\xff\xe1", b"\xff\xff"])
def test_nor_has_what_has_a_marker_within(marker):
    place = WHOLE.index(b"\xff\x00", WHOLE.index(b"\xff\xda"))
    assert len(jpegs.marks(WHOLE[:place] + marker + WHOLE[place + 2 :])) == 0


def test_four_rows_of_luma_to_one_of_chroma_are_decoded_by_pillow():
    """simplejpeg has no name for 4:4:1. Made of 4:1:1: as many blocks, in another order."""
    file = jpeg(64, 64, "4:1:1")
    place = file.index(b"\xff\xc0") + 11
    assert file[place] == 0x41
    file = file[:place] + b"\x14" + file[place + 1 :]
    with Image.open(io.BytesIO(file)) as image:
        np.testing.assert_array_equal(decoding.decode(file), np.asarray(image))
    assert decoding.size(file) == (64, 64)
    assert len(jpegs.marks(file)) == 0


@pytest.mark.parametrize("name", sorted(OTHERS.keys() - {"half"}))
def test_nor_is_it_cut_with_marks_of_another(name, always):
    part = slice(10, 40), slice(20, 60)
    assert jpegs.part(OTHERS[name], jpegs.marks(WHOLE), (80, 90), *part) is None


def test_marks_of_a_photograph_of_another_size_are_no_marks(always):
    part = slice(10, 40), slice(20, 60)
    marks = jpegs.marks(jpeg(80, 106))
    assert jpegs.part(WHOLE, marks, (80, 90), *part) is None
    assert jpegs.part(WHOLE, jpegs.marks(WHOLE), (81, 90), *part) is None


@pytest.mark.slow
def test_altered_marks_and_files_are_never_read_beyond_their_ends(tmp_path):
    """Compiled with a check of each place in an array, which is an IndexError then."""
    (tmp_path / "whole.jpg").write_bytes(jpeg(400, 64))
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "programs" / "altered_jpegs.py", tmp_path],
        env=os.environ | checked,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "2000 turns, IndexError where one is due\n"


def test_marks_that_point_to_no_code_cut_nothing():
    """All rows begin and end at bits that no code begins with."""
    file = jpeg(512, 512, "grey", quality=95)
    whole = np.frombuffer(file + coded.PAD, np.uint8)
    head, components = jpegs._head_of(whole, len(file))
    table = coded._tables(whole, components)[0, 0]
    ends = range(8 * len(file) - 100, 8 * head.data_at, -1)
    place = next(at for at in ends if coded._dc(whole, table, at)[1] == 0)
    marks, left = np.zeros((head.marks, 4), np.int16), place - 8 * head.data_at
    for mark in marks:
        mark[0] = min(left, 2**15 - 1)
        left -= int(mark[0])
    assert left == 0
    assert jpegs.part(file, marks, (512, 512), slice(200, 512), slice(0, 100)) is None


def test_marks_before_or_beyond_the_file_cut_nothing(always):
    marks, part = jpegs.marks(WHOLE), (slice(3, 70), slice(20, 60))
    assert jpegs.part(WHOLE, -marks, (80, 90), *part) is None
    beyond = np.full_like(marks, 2**15 - 1)
    assert jpegs.part(WHOLE, beyond, (80, 90), *part) is None


def test_a_part_that_cannot_be_decoded_is_taken_from_the_whole(always, monkeypatch):
    decode = simplejpeg.decode_jpeg

    def refused(file, **options):
        if len(file) < len(WHOLE):
            raise ValueError("damaged")
        return decode(file, **options)

    wanted = decoding.decode(WHOLE)[10:40, 20:60]
    monkeypatch.setattr(simplejpeg, "decode_jpeg", refused)
    found = decoding.decode_part(
        WHOLE, jpegs.marks(WHOLE), (80, 90), None, slice(10, 40), slice(20, 60)
    )
    np.testing.assert_array_equal(found, wanted)


def test_no_folder_to_keep_what_was_compiled(monkeypatch):
    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(coded.numba, "njit", njit)
    assert coded.compiled(len) is len


# ---------------------------------------------------------------- crops


CROPS = (ScaleJitter(48, 56, 90), InceptionCrop(48), InceptionCrop(16), Square(48))
FILES = (
    *(jpeg(375, 500, s) for s in SUBSAMPLINGS),
    *(jpeg(500, 375), jpeg(60, 64), jpeg(20, 30), jpeg(900, 1200, quality=60)),
    *(OTHERS["progressive"], OTHERS["of four inks"], OTHERS["a PNG"]),
)


def ragged(arrays):
    return Ragged(np.concatenate(arrays), np.cumsum([len(a) for a in arrays]))


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 40)])
def test_the_smallest_photographs_have_parts_too(size):
    draws = (Draw(np.arange(1), 1, seed, 0) for seed in range(50))
    image = np.full((*size, 3), 7, np.uint8)
    assert all((InceptionCrop(4)([image], draw) == 7).all() for draw in draws)


@pytest.mark.parametrize("crop", CROPS, ids=repr)
def test_crops_are_the_same_with_marks(crop, monkeypatch):
    files = ragged([np.frombuffer(file, np.uint8) for file in FILES])
    marked = Photographs(files, marks=ragged([jpegs.marks(file) for file in FILES]))
    cut, parts = jpegs.part, []
    monkeypatch.setattr(jpegs, "part", lambda *all: parts.append(cut(*all)) or parts[-1])
    made = []
    for photographs in (marked, replace(marked, marks=None), marked.part(2, len(FILES))):
        rows = np.arange(len(photographs)) + photographs.first
        draws = (Draw(rows, len(FILES), 3, p) for p in range(4 if crop != CROPS[3] else 1))
        images = photographs.undecoded(slice(None))
        crops = [crop(images) if crop == CROPS[3] else crop(images, draw) for draw in draws]
        made.append(np.stack(crops, axis=1))
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[2], made[1][2:])
    assert sum(part is not None for part in parts) > len(parts) / 4
