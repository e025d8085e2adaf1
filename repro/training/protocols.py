"""The papers' test protocols by name: which views of a test image are scored, and how many.

Those on whole photographs have their scales in their names: `dense-224-256-288`. A scale is the
length of the shorter side, in pixels as it stands, whatever size of images the network takes; none
may be smaller than that.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from repro import spec
from repro.data import views
from repro.data.crops import Square
from repro.data.photographs import Photograph
from repro.data.preprocessing import LONGEST_SIDE
from repro.data.sets import DATASETS
from repro.errors import UsageError, unknown

MOST_SCALES = 8
# Longer over shorter side of most photographs: what a dense test is reckoned with beforehand.
SHAPE, SIDE = 4 / 3, 224


@dataclass(frozen=True)
class Look:
    """One look at a photograph; what is seen in it is averaged, with the mirror images.

    cut(photograph, interpolation): the views, uint8 [n, height, width, 3]; see `repro.data.views`.
    dense: whether the network is made fully convolutional for them.
    """

    cut: Callable[[Photograph, str], np.ndarray]
    dense: bool = False


class Protocol:
    """How a trained network is tested.

    says: in words for a list. views: what an image costs, in views of it as networks take them.
    whole: whether it takes photographs as they are, not squares cut out of them.
    """

    says: ClassVar[str]
    whole: ClassVar[bool] = False
    name: str
    views: int


@dataclass(frozen=True)
class SingleView(Protocol):
    """Each image once, or its centre."""

    says = "each image once, as it is, or the centre of one larger than the network takes"
    name: ClassVar[str] = "single-view"
    views: ClassVar[int] = 1


@dataclass(frozen=True)
class TenCrop(Protocol):
    """The ten views of Krizhevsky et al. 2012, section 4.1."""

    says = "the mean softmax of the four corners, the centre, and their mirror images"
    name: ClassVar[str] = "10-crop"
    views: ClassVar[int] = 10


@dataclass(frozen=True)
class OfWhole(Protocol):
    """The mean softmax of several looks at photographs, at each of the `scales`."""

    scales: tuple[int, ...]

    whole: ClassVar[bool] = True
    kind: ClassVar[str]

    @property
    def name(self) -> str:
        return "-".join((self.kind, *map(str, self.scales)))

    def looks(self, side: int) -> list[Look]:
        """All of them, for a network that takes `side` x `side` pixels."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dense(OfWhole):
    """All of the photograph at each scale (Simonyan and Zisserman 2014, section 3.2).

    The scores of the fully convolutional network are averaged over places.
    """

    says = (
        "the mean softmax of all of the photograph and its mirror image, its shorter side Q "
        "pixels: full layers become convolutions, scores are averaged over places (VGG); JAX "
        "compiles the network for each size of photographs, which is slow"
    )
    kind: ClassVar[str] = "dense"

    @property
    def views(self) -> int:
        return max(2, round(2 * sum(SHAPE * (scale / SIDE) ** 2 for scale in self.scales)))

    def looks(self, side: int) -> list[Look]:
        def at(scale: int) -> Look:
            return Look(lambda image, how: views.whole(image, scale, how), dense=True)

        return [at(scale) for scale in self.scales]


@dataclass(frozen=True)
class Grid(OfWhole):
    """Crops in a regular grid at each scale (Simonyan and Zisserman 2014, section 3.2)."""

    across: int = 5

    says = (
        "the mean softmax of a grid of 5x5 crops and their mirror images of the photograph, its "
        "shorter side Q pixels (VGG)"
    )
    kind: ClassVar[str] = "50-crop"

    @property
    def views(self) -> int:
        return 2 * self.across**2 * len(self.scales)

    def looks(self, side: int) -> list[Look]:
        def at(scale: int) -> Look:
            return Look(lambda image, how: views.grid(image, scale, side, self.across, how))

        return [at(scale) for scale in self.scales]


@dataclass(frozen=True)
class GridAndDense(OfWhole):
    """Both (Simonyan and Zisserman 2014, Table 5)."""

    across: int = 5

    says = "the mean softmax of 50-crop and dense at the same scales (VGG)"
    kind: ClassVar[str] = "50-crop-and-dense"

    @property
    def _both(self) -> tuple[OfWhole, OfWhole]:
        return Grid(self.scales, self.across), Dense(self.scales)

    @property
    def views(self) -> int:
        return sum(one.views for one in self._both)

    def looks(self, side: int) -> list[Look]:
        return [look for one in self._both for look in one.looks(side)]


@dataclass(frozen=True)
class OfSquares(OfWhole):
    """Three squares at each of four scales, six views of each (Szegedy et al. 2014, Table 3)."""

    scales: tuple[int, ...] = (256, 288, 320, 352)

    says = (
        "the mean softmax of the corners, the centre and all of three squares at four scales, and "
        "their mirror images (GoogLeNet)"
    )
    name: ClassVar[str] = "144-crop"

    @property
    def views(self) -> int:
        return 2 * 3 * 6 * len(self.scales)

    def looks(self, side: int) -> list[Look]:
        def at(scale: int) -> Look:
            return Look(lambda image, how: views.of_squares(image, scale, side, how))

        return [at(scale) for scale in self.scales]


FIXED = {protocol.name: protocol for protocol in (SingleView(), TenCrop(), OfSquares())}
SCALED = {kind.kind: kind for kind in (Dense, Grid, GridAndDense)}
# What `repro parts` lists, and an error: each name, or its form, and what it says.
SAID = {name: protocol.says for name, protocol in FIXED.items()} | {
    f"{kind}-Q[-Q...]": made.says for kind, made in SCALED.items()
}


def parse(name: str) -> Protocol:
    """The protocol of that name. Raises UsageError."""
    if name in FIXED:
        return FIXED[name]
    kind, numbers = re.fullmatch(r"(.*?)((?:-[^-]*[0-9][^-]*)*)", name, re.DOTALL).groups()
    if kind not in SCALED:
        raise unknown("protocol", name, SAID)
    good = re.fullmatch(rf"(?:-[1-9][0-9]{{0,3}}){{1,{MOST_SCALES}}}", numbers)
    scales = tuple(map(int, numbers.split("-")[1:])) if good else ()
    if not scales or scales[-1] > LONGEST_SIDE or list(scales) != sorted(set(scales)):
        raise UsageError(
            f"protocol '{name:.60}': accepted is {kind}-Q[-Q...], Q being one to {MOST_SCALES} "
            f"lengths of the shorter side, each once, from small to large, up to {LONGEST_SIDE} "
            f"pixels; such as {kind}-256 or {kind}-224-256-288"
        )
    return SCALED[kind](scales)


def check(name: str, recipe: spec.Recipe) -> Protocol:
    """The protocol; raises UsageError for one that the recipe's images cannot be tested by.

    Nothing is loaded for it.
    """
    protocol = parse(name)
    if not protocol.whole:
        return protocol
    dataset = DATASETS.get(recipe.data.dataset)
    if dataset and dataset.shape:
        size = "x".join(map(str, dataset.shape[:2]))
        raise UsageError(
            f"protocol {name} takes whole photographs, {dataset.name} has images of {size}; "
            f"accepted here: {SingleView.name}, {TenCrop.name}"
        )
    square, *after = recipe.preprocessing or (None,)
    if not isinstance(square, Square):
        raise UsageError(f"protocol {name}: recipe.preprocessing: photographs need Square first")
    for step in after:
        if not getattr(step, "by_level", False):
            raise UsageError(
                f"protocol {name} takes whole photographs, {type(step).__name__} in the recipe's "
                f"preprocessing takes squares; accepted here: {SingleView.name}, {TenCrop.name}"
            )
    return protocol


def check_fit(protocol: Protocol, model: Any) -> None:
    """Raises UsageError for a scale smaller than the images that the network takes."""
    side = model.input_shape[1]
    if protocol.whole and min(protocol.scales) < side:
        raise UsageError(
            f"protocol {protocol.name}: {model.name} takes images of {side}x{side}; accepted are "
            f"scales from {side} pixels"
        )
