"""The digits 0 to 4 drawn in lines of one pixel in 16 x 16, and shifted and distorted drawings.

They stand in for the patterns of Fukushima 1980, Figure 6, which are not at hand. Everything is
drawn by sums, products and rounding, with numbers that are hashed, so that it is the same to the
bit on every machine.
"""

from itertools import pairwise

import numpy as np

from repro.data.draws import Draw
from repro.data.sets import Split

FIELD = 16  # pixels, each way
INK = 255
# Of each digit its lines through these points, x to the right and y down, in a box of 7 x 9 pixels.
BOX = (7, 9)
DIGITS = (
    (((2, 0), (4, 0), (6, 2), (6, 6), (4, 8), (2, 8), (0, 6), (0, 2), (2, 0)),),
    (((1, 2), (3, 0), (3, 8)),),
    (((0, 2), (2, 0), (4, 0), (6, 2), (6, 3), (1, 8), (6, 8)),),
    (
        ((0, 1), (1, 0), (5, 0), (6, 1), (6, 3), (5, 4), (2, 4)),
        ((5, 4), (6, 5), (6, 7), (5, 8), (1, 8), (0, 7)),
    ),
    (((4, 8), (4, 0), (0, 4), (0, 5), (6, 5)),),
)
SHIFT = 3  # pixels at most, each way: as far as whole digits stay in the field
PLACES = (2 * SHIFT + 1) ** 2
# How much a distorted digit differs at most.
SIZE = 0.15  # wider or narrower, and taller or lower, each
SLANT = 0.15  # pixels to the side for each pixel of height
WOBBLE = 0.5  # pixels by which each point is moved, along each axis


def splits() -> dict[str, Split]:
    """train: the five digits in the middle of the field. test: 49 shifted and 49 distorted of each.

    First those shifted, digit by digit, to every place within SHIFT, the middle too; then as many
    distorted ones, each at a place of its own.
    """
    digits = np.arange(len(DIGITS), dtype=np.int32)
    middle = [drawn(DIGITS[digit], (0, 0)) for digit in digits]
    every = range(-SHIFT, SHIFT + 1)
    shifted = [drawn(DIGITS[d], (x, y)) for d in digits for y in every for x in every]
    labels = np.repeat(digits, PLACES)
    draws = Draw(np.arange(len(labels)), len(labels), seed=1980, pass_number=0).uniform(64)
    distorted = [distortion(digit, u) for digit, u in zip(labels, draws.T, strict=True)]
    return {
        "train": Split(np.stack(middle), digits),
        "test": Split(np.stack(shifted + distorted), np.concatenate([labels, labels])),
    }


def distortion(digit: int, u: np.ndarray) -> np.ndarray:
    """A digit of another size, slanted, with its points moved, by numbers `u` between 0 and 1."""
    amounts = iter(2 * u - 1)
    wide, high, slant = (next(amounts) for _ in range(3))
    across, down = next(amounts), next(amounts)
    moved: dict = {}
    for point in (point for line in DIGITS[digit] for point in line):
        if point not in moved:  # lines stay together where they meet
            x, y = (p - (side - 1) / 2 for p, side in zip(point, BOX, strict=True))
            x = x * (1 + SIZE * wide) - SLANT * slant * y + WOBBLE * next(amounts)
            y = y * (1 + SIZE * high) + WOBBLE * next(amounts)
            moved[point] = (x + (BOX[0] - 1) / 2, y + (BOX[1] - 1) / 2)
    lines = tuple(tuple(moved[point] for point in line) for line in DIGITS[digit])
    shift = tuple(int(np.floor((SHIFT + 0.5) * amount + 0.5)) for amount in (across, down))
    return drawn(lines, shift)


def drawn(lines, shift: tuple[int, int]) -> np.ndarray:
    """Lines through points of the box, which lies in the middle, moved right and down: [16, 16, 1].

    A shift that would lead out of the field goes as far as to its border.
    """
    pieces = [piece for line in lines for piece in pairwise(line)]
    pixels = np.concatenate([pixels_of(start, end) for start, end in pieces])
    pixels += np.array([(FIELD - side + 1) // 2 for side in BOX])
    pixels += np.clip(shift, -pixels.min(axis=0), FIELD - 1 - pixels.max(axis=0))
    image = np.zeros((FIELD, FIELD, 1), np.uint8)
    image[pixels[:, 1], pixels[:, 0]] = INK
    return image


def pixels_of(start, end) -> np.ndarray:
    """The pixels [n, 2] of a straight line of one pixel's width."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    steps = max(1, int(np.ceil(np.max(np.abs(end - start)))))
    along = np.arange(steps + 1)[:, None] / steps
    return np.floor(start + along * (end - start) + 0.5).astype(np.int64)
