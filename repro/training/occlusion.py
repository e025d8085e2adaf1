"""How much what a network says of the right class depends on each part of an image.

Zeiler and Fergus 2013: a grey square is slid over the image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from repro.training.evaluation import Scorer


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What a grey square before an image changes, by where it stands.

    probabilities: float [rows, columns], of the right class, with the square's centre at
    step * (row, column) + step // 2 of what the network sees; guesses: int, the class it is taken
    for then. without, guess: the same without a square. side: of the square, in pixels; step: from
    one place of it to the next.
    """

    probabilities: np.ndarray
    guesses: np.ndarray
    without: float
    guess: int
    side: int
    step: int


def occlusion(
    score: Scorer,
    picture: np.ndarray,
    preprocessed: Callable[[np.ndarray], np.ndarray],
    label: int,
    seen: tuple[int, int],
    grey: float,
    side: int,
    step: int,
) -> Occlusion:
    """Slides a square of the grey level `grey` over `picture` [H, W, C].

    The network sees the middle `seen` pixels of the picture; the part of a square beyond that
    is of no account. A probability is exp(-loss), and one indeed where the loss is one of
    `losses.OF_PROBABILITY`: for cross entropy that of the softmax.
    """
    above, left = ((whole - part) // 2 for whole, part in zip(picture.shape, seen, strict=False))
    middles = [range(step // 2, length, step) for length in seen]
    squares = [(above + row, left + column) for row in middles[0] for column in middles[1]]
    losses, guesses = [], []
    for first in range(0, len(squares) + 1, score.batch):
        some = [None, *squares][first : first + score.batch]
        changed = np.stack([covered(picture, middle, side, grey) for middle in some])
        labels = np.full(len(some), label, np.int32)
        found = score(preprocessed(changed), labels)
        losses.append(found[0])
        guesses.append(found[1].reshape(len(some), -1)[:, 0])
    probabilities, guesses = np.exp(-np.concatenate(losses)), np.concatenate(guesses)
    shape = tuple(map(len, middles))
    return Occlusion(
        probabilities[1:].reshape(shape),
        guesses[1:].reshape(shape),
        float(probabilities[0]),
        int(guesses[0]),
        side,
        step,
    )


def covered(
    picture: np.ndarray, middle: tuple[int, int] | None, side: int, grey: float
) -> np.ndarray:
    """A copy of the picture with a grey square of `side` pixels around a pixel; without one, as is.

    The square of an even side reaches one pixel further up and to the left.
    """
    picture = picture.copy()
    if middle is not None:
        rows, columns = (slice(max(0, at - side // 2), at - side // 2 + side) for at in middle)
        picture[rows, columns] = grey
    return picture
