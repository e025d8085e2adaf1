"""The part of a JPEG that a crop needs, as a smaller JPEG, so that the rest is not decoded.

A JPEG codes its pixels in MCUs (minimum coded units, of 8 x 8 to 32 x 32 pixels in all colours),
from left to right and from top to bottom, each in as many bits as it takes (ITU-T T.81). Only who
reads all MCUs before one learns where it begins. `marks` reads a file once and notes where its MCUs
begin. With these notes `part` cuts a rectangle of MCUs out of the file: the same bits, in a JPEG
that is no larger than the rectangle.

A DC coefficient is coded as its difference from the block before in the same component. In the part
another block comes before the first one of each row, so `part` codes the differences there anew.
All other bits stay, and the part has the pixels that the whole has there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from repro.data import coded
from repro.data.coded import END, PAD, compiled

# Segments of a file, by their second byte: start of frame (baseline), Huffman tables, restart
# interval, start of scan. OTHERS and above: progressive, lossless and arithmetic coding.
SOF0, DHT, DRI, SOS = 0xC0, 0xC4, 0xDD, 0xDA
OTHERS = 0xC1
MARK_WIDTH = 16  # pixels: of MCUs that are 8 wide, two have one mark
# libjpeg-turbo smooths chroma where more than two of its samples stand in a row (jdsample.c): a
# part has more, as its photograph has.
SMOOTHED = 8  # pixels
# To cut a part out takes the time in which LEAST pixels are decoded, and SHARE of the time in which
# the part is; measured on photographs of 160 pixels and of 500 x 375, on two cores of an AMD EPYC.
LEAST, SHARE = 10_000, 0.1


class Head(NamedTuple):
    """What the head of a JPEG says that can be cut.

    Height and width of all, and of what has a mark, in pixels; how many marks there are down and
    across; how many MCUs across, and in a mark; the places in the file of height and width, and of
    the first entropy-coded byte.
    """

    height: int
    width: int
    mark_height: int
    mark_width: int
    marks_down: int
    marks_across: int
    mcus_across: int
    mcus_a_mark: int
    size_at: int
    data_at: int

    @property
    def marks(self) -> int:
        return self.marks_down * self.marks_across + 1


NUMBERS = len(Head._fields)


def _head_of(whole: np.ndarray, size: int) -> tuple[Head, np.ndarray] | None:
    """The head, and what `coded` takes of each component; None for what cannot be cut."""
    head = _head(whole, size)
    if not len(head):
        return None
    return Head(*head[:NUMBERS].tolist()), head[NUMBERS:].reshape(-1, 3)


def marks(file: bytes) -> np.ndarray:
    """The notes that `part` takes, int16 [N, 4]; none for a file that cannot be cut.

    Row by row, one for each MCU (for every two that are 8 pixels wide) and one for the end: how
    many bits it begins after the one before, and the DC coefficients that the next differences are
    taken from, one for each component.
    """
    whole = np.frombuffer(file + PAD, np.uint8)
    if (parsed := _head_of(whole, len(file))) is None:
        return np.zeros((0, 4), np.int16)
    head, components = parsed
    noted = np.zeros((head.marks, 4), np.int16)
    layout = head.data_at, len(file), head.marks_down, head.mcus_across, head.mcus_a_mark
    complete = coded.note(whole, components, noted, layout)
    bits = int(noted[:, 0].sum(dtype=np.int64))
    return noted if complete and _ends_well(whole[head.data_at :], bits) else noted[:0]


def _ends_well(data: np.ndarray, bits: int) -> bool:
    """Whether these bits hold no marker, and the end of the image follows them.

    Otherwise libjpeg-turbo warns, and Pillow decodes the whole (`decoding.decode`).
    """
    end = -(-bits // 8)
    end += end > 0 and data[end - 1] == 255  # a stuffed zero
    places = np.flatnonzero(data[:end] == 255)
    return not data[places + 1].any() and data[end : end + 2].tolist() == [255, END]


@dataclass(frozen=True)
class Part:
    """A JPEG of some MCUs of another: its height and width, and where its first pixel is there."""

    file: np.ndarray
    sides: tuple[int, int]
    top: int
    left: int


def part(
    file: bytes,
    noted: np.ndarray,
    sides: tuple[int, int],
    rows: slice,
    columns: slice,
    fewer: int = 1,
) -> Part | None:
    """A JPEG of the MCUs that the pixels at `rows` and `columns` take to be decoded.

    noted: the `marks` of the file; sides: its height and width. fewer: by how much both sides are
    divided when it is decoded. None where it cannot be cut, or where that saves no time.
    """
    if not _saves((rows.stop - rows.start, columns.stop - columns.start), sides):
        return None
    whole = np.frombuffer(file + PAD, np.uint8)
    if (parsed := _head_of(whole, len(file))) is None:
        return None
    head, components = parsed
    if head[:2] != sides or head.marks != len(noted):
        return None
    top, bottom = _mcus(rows, sides[0], head.mark_height, fewer)
    left, right = _mcus(columns, sides[1], head.mark_width, fewer)
    above, before = top * head.mark_height, left * head.mark_width
    height = min(sides[0], bottom * head.mark_height) - above
    width = min(sides[1], right * head.mark_width) - before
    if not _saves((height, width), sides):
        return None
    # Of bits that are shifted more bytes may be 255, with a zero behind.
    made = np.empty(2 * len(file) + 4 * height + 64, np.uint8)
    made[: head.data_at] = whole[: head.data_at]
    made[head.size_at : head.size_at + 4] = height >> 8, height & 255, width >> 8, width & 255
    layout = head.data_at, len(file), head.marks_across, top, bottom, left, right
    end = coded.cut(whole, components, np.array(noted), layout, made)
    return Part(made[:end], (height, width), above, before) if end else None


def _saves(part: tuple[int, int], whole: tuple[int, int]) -> bool:
    """Whether to cut out and decode so many pixels takes less time than to decode all."""
    return LEAST + (1 + SHARE) * part[0] * part[1] < whole[0] * whole[1]


def _mcus(pixels: slice, side: int, unit: int, fewer: int) -> tuple[int, int]:
    """The first and the last (exclusive) of the MCUs of `unit` pixels that some pixels take.

    libjpeg-turbo smooths subsampled chroma when it enlarges it, so the next pixels count too.
    """
    near, least = 2 * fewer, SMOOTHED * fewer
    first = max(0, min(pixels.start - near, side - least) // unit)
    last = max(pixels.stop + near, first * unit + least)
    return first, -(-min(side, last) // unit)


@compiled
def _number(file, place):
    return np.int64(file[place]) << 8 | file[place + 1]


@compiled
def _head(file, size):
    """A `Head`, and what `coded` takes of each component: int64 [10 + 3 x components].

    Empty for what cannot be cut: more than one scan, restarts, another coding, four components,
    chroma with more samples than luma.
    """
    none = np.zeros(0, np.int64)
    tables = np.zeros(32, np.int64)
    place, sizes, kind = np.int64(2), np.int64(0), 0
    if size < 4 or _number(file, 0) != 0xFFD8:
        return none
    while kind != SOS:
        while place + 4 < size and file[place] == 0xFF and file[place + 1] == 0xFF:
            place += 1
        kind, begin, end = file[place + 1], place + 4, place + 2 + _number(file, place + 2)
        if place + 4 > size or file[place] != 0xFF or not begin <= end <= size:
            return none
        if kind == DHT:
            while begin + 17 <= end:
                if file[begin] > 19 or file[begin] & 15 > 3:
                    return none
                tables[file[begin]] = begin + 1
                begin += 17 + np.sum(file[begin + 1 : begin + 17])
            if begin != end:
                return none
        elif OTHERS <= kind < 0xD0 or kind == DRI:
            return none
        elif kind == SOF0:
            sizes = begin + 1
            if file[begin] != 8 or end != begin + 6 + 3 * file[begin + 5]:
                return none
        place = end
    components = np.int64(file[begin])
    if not sizes or components not in (1, 3):
        return none
    if components != file[sizes + 4]:  # other scans follow
        return none
    head = np.zeros(NUMBERS + 3 * components, np.int64)
    high = wide = 8
    for i in range(components):
        of_frame, of_scan = sizes + 5 + 3 * i, begin + 1 + 2 * i
        down, across = file[of_frame + 1] & 15, file[of_frame + 1] >> 4
        usual = down == across == 1
        if i == 0:  # luma: 4:4:4, 4:2:2, 4:2:0, 4:4:0, 4:1:1
            usual = (down in (1, 2) and across in (1, 2)) or (down == 1 and across == 4)
        if file[of_frame] != file[of_scan] or not usual:
            return none
        if components == 1:
            down = across = 1
        high, wide = max(high, 8 * down), max(wide, 8 * across)
        of_dc, of_ac = tables[file[of_scan + 1] >> 4 & 15], tables[16 | file[of_scan + 1] & 15]
        if not (of_dc and of_ac):
            return none
        own = head[NUMBERS + 3 * i :]
        own[0], own[1], own[2] = down * across, of_dc, of_ac
    height, width = _number(file, sizes), _number(file, sizes + 2)
    mcus_a_mark = -(-MARK_WIDTH // wide)
    columns = -(-width // wide)
    head[0], head[1], head[2], head[3] = height, width, high, wide * mcus_a_mark
    head[4], head[5], head[6] = -(-height // high), -(-columns // mcus_a_mark), columns
    head[7], head[8], head[9] = mcus_a_mark, sizes, end
    return head if height and width else none
