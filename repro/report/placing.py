"""Where the labels of points go, so that they cover neither points nor each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

SWEEPS = 4  # each label is placed anew so many times, among where the others then are
NEAR = 0.02  # inches between a point and a label that stands beside it
RINGS = (NEAR, 0.08, 0.16, 0.26, 0.38)  # the same, where a label has to go farther away
# To the right first, then to the left, above and below, then aslant.
TO = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


@dataclass(frozen=True)
class Box:
    """A rectangle, in inches, by its middle and half of its sides."""

    x: float
    y: float
    half_width: float
    half_height: float

    def gap(self, other: "Box") -> float:
        """The inches between both, across or up; negative where they overlap."""
        across = abs(self.x - other.x) - self.half_width - other.half_width
        return max(across, abs(self.y - other.y) - self.half_height - other.half_height)

    def overlap(self, other: "Box") -> float:
        """The area, in square inches, that both cover."""
        wide = self.half_width + other.half_width - abs(self.x - other.x)
        high = self.half_height + other.half_height - abs(self.y - other.y)
        wide = min(wide, 2 * min(self.half_width, other.half_width))
        high = min(high, 2 * min(self.half_height, other.half_height))
        return max(0.0, wide) * max(0.0, high)

    def outside(self, of: "Box") -> float:
        """The area, in square inches, that the other does not cover."""
        return 4 * self.half_width * self.half_height - self.overlap(of)


def beside(
    points: Sequence[Box], labels: Sequence[tuple[float, float]], others: Sequence[Box], within: Box
) -> list[Box]:
    """A place for each label, [(width, height)] in inches, as near to its point as is free.

    Covered are as little as can be: the points, `others`, other labels and what is not `within`.
    """
    offers = [_around(point, *label) for point, label in zip(points, labels, strict=True)]
    placed = [some[0] for some in offers]
    for _, k in product(range(SWEEPS), range(len(placed))):
        taken = [*points, *others, *placed[:k], *placed[k + 1 :]]
        costs = [sum(map(offer.overlap, taken)) + 10 * offer.outside(within) for offer in offers[k]]
        costs = [round(cost, 6) for cost in costs]  # or rounding errors would decide between equals
        placed[k] = offers[k][costs.index(min(costs))]
    return placed


def _around(point: Box, width: float, height: float) -> list[Box]:
    """The places for a label around a point, nearest first; none of them covers it."""
    places = []
    for ring, (right, up) in product(RINGS, TO):
        apart = ring / math.hypot(right, up)
        x = right * (point.half_width + width / 2 + apart)
        y = up * (point.half_height + height / 2 + apart)
        places.append(Box(point.x + x, point.y + y, width / 2, height / 2))
    return places
