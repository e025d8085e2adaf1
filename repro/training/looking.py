"""What a network sees, all that one sheet shows of it: see `repro look`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repro import backends, catalog, spec
from repro.backends import distribution
from repro.data import datasets, inputs
from repro.data.photographs import centre_crop
from repro.errors import UsageError
from repro.networks import anatomy, losses
from repro.training import deconvolution, evaluation, occlusion
from repro.training.trainee import build, first_filters

MAPS, KEPT, OWN = 9, 9, 3  # maps of a layer; images of each; maps that the one image excites
# Of the side of what the network sees: a square, and its steps.
SQUARE, STEPS = 4, 32


@dataclass(frozen=True, eq=False)
class Excited:
    """One map of a layer, and what excites it most: at most one unit of an image.

    values: what the k units gave, falling; images: their numbers. crops: what these units see of
    the images, float32 [k, h, w, C] from 0 to 1, nan beyond the border; signals: what deconvolution
    leaves of it, of the same shape, 0 where there is nothing.
    """

    number: int
    values: np.ndarray
    images: np.ndarray
    crops: np.ndarray
    signals: np.ndarray


@dataclass(frozen=True, eq=False)
class Look:
    """What one sheet shows.

    filters: of the first convolution [height, width, inputs, filters], or None. picture: the image
    as the network sees it, [H, W, C] from 0 to 1. probable: whether what `occlusion` calls
    probabilities are any; else they are just exp(-loss). layer: whose maps are shown, units: [rows,
    columns, maps] of it, sees: the side of what a unit sees, [height, width]; silent: maps that no
    image excites. own: of the maps that the image excites most, (number, value, deconvolution of
    the whole image). excited: the maps that any image excites most. blind: whether deconvolution
    is the same whatever the image is. looked_at: how many images were looked at, of_images: of how
    many.
    """

    filters: np.ndarray | None
    image: int
    label: int
    picture: np.ndarray
    occlusion: occlusion.Occlusion
    probable: bool
    layer: str
    units: tuple[int, int, int]
    sees: tuple[int, int]
    silent: int
    own: list[tuple[int, float, np.ndarray]]
    excited: list[Excited]
    guided: bool
    blind: bool
    looked_at: int
    of_images: int


def untrained(network: str) -> tuple[Any, spec.Experiment]:
    """A network of the catalog with its initial weights for seed 0, and one of its experiments.

    That is the first whose dataset is prepared, or the first of all. Raises UsageError for an
    unknown network and for one without an experiment.
    """
    described = catalog.network(network)
    its = [e for e in catalog.experiments() if e.network == described]
    if not its:
        raise UsageError(f"{network} has no experiment, so it is not known which images it is for")
    experiment = next((e for e in its if datasets.ready(e.recipe.data.dataset)), its[0])
    batch = experiment.recipe.batch
    backends.here().configure(batch)
    return build(experiment, "float32", 0, distribution.choose("single", batch)), experiment


def look(
    model: Any,
    experiment: spec.Experiment,
    image: int,
    layer: str | None = None,
    guided: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Look:
    """Looks at a network by its test images.

    image: the number of one of them, from 0; layer: the one whose maps are shown, by default the
    deepest whose units see two thirds of an image at most; guided: see
    `repro.training.deconvolution`. progress: is called with the number of test images that were
    looked through. Raises UsageError for a number or a layer that does not exist, DataError for
    data that is missing.
    """
    layer = deconvolution.layer_of(model, layer)
    pictures = inputs.pictures(experiment.recipe)
    count, seen = len(pictures.labels), model.input_shape[1:3]
    if not 0 <= image < count:
        raise UsageError(f"--image {image}: accepted is a whole number from 0 to {count - 1:,}")

    def cropped(images: np.ndarray) -> np.ndarray:
        return images if images.shape[1:3] == seen else centre_crop(images, seen[0])

    def shown(numbers: Sequence[int]) -> np.ndarray:
        return cropped(pictures[np.asarray(numbers)]) / np.float32(pictures.white)

    def given(index: slice | np.ndarray) -> np.ndarray:
        return cropped(pictures.preprocessed(pictures[index]))

    side = max(1, round(min(seen) / SQUARE))
    occluded = occlusion.occlusion(
        evaluation.scorer(model, experiment.recipe.loss),
        pictures[image : image + 1][0],
        pictures.preprocessed,
        int(pictures.labels[image]),
        seen,
        pictures.white / 2,
        side,
        max(1, round(min(seen) / STEPS)),
    )
    part = deconvolution.up_to(model, layer)
    best = deconvolution.strongest(part, given, count, KEPT, progress)
    own = deconvolution.strongest(part, lambda _: given(slice(image, image + 1)), 1, keep=1)
    most = [int(n) for n in np.argsort(-own.values[0], kind="stable")[:OWN] if own.values[0, n] > 0]
    signals, values = deconvolution.deconvolved(
        part, given(np.full(len(most), image)), most, own.places[0, most], guided
    )
    fields = anatomy.fields(model)[layer]
    chosen = np.argsort(-best.values[0], kind="stable")[:MAPS]
    excited = [
        _excited(part, best, int(number), fields, given, shown, guided)
        for number in chosen[best.values[0, chosen] > 0]
    ]
    return Look(
        filters=first_filters(model),
        image=image,
        label=int(pictures.labels[image]),
        picture=shown([image])[0],
        occlusion=occluded,
        probable=isinstance(experiment.recipe.loss, losses.OF_PROBABILITY),
        layer=layer,
        units=tuple(model.get_layer(layer).output.shape[1:]),
        sees=tuple(axis.size for axis in fields),
        silent=int(np.count_nonzero(best.values[0] <= 0)),
        own=list(zip(most, values.tolist(), signals, strict=True)),
        excited=excited,
        guided=guided,
        blind=not guided and deconvolution.blind(part, given(slice(0, 2))),
        looked_at=best.looked_at,
        of_images=count,
    )


def _excited(
    part: Any,
    best: deconvolution.Strongest,
    number: int,
    fields: Sequence[anatomy.Axis],
    given: Callable[[np.ndarray], np.ndarray],
    shown: Callable[[np.ndarray], np.ndarray],
    guided: bool,
) -> Excited:
    """Of one map; given(numbers) and shown(numbers) are images as the network and people see."""
    values, numbers, places = (rows[:, number] for rows in (best.values, best.images, best.places))
    same = [number] * len(numbers)
    signals, _ = deconvolution.deconvolved(part, given(numbers), same, places, guided)
    windows = [
        [axis.seen(int(unit)) for axis, unit in zip(fields, place, strict=True)] for place in places
    ]

    def cut(images: np.ndarray, outside: float) -> np.ndarray:
        parts = zip(images, windows, strict=True)
        return np.stack([window(image, *place, outside) for image, place in parts])

    return Excited(number, values, numbers, cut(shown(numbers), np.nan), cut(signals, 0.0))


def window(
    image: np.ndarray, rows: tuple[int, int], columns: tuple[int, int], outside: float
) -> np.ndarray:
    """The part of an image [H, W, C] from row to row and column to column, `outside` beyond it.

    Along a side that is no longer than the part, the whole side.
    """
    ends = [
        (0, length) if last - first >= length else (first, last)
        for (first, last), length in zip((rows, columns), image.shape, strict=False)
    ]
    (top, bottom), (left, right) = ends
    part = np.full((bottom - top, right - left, image.shape[2]), outside, np.float32)
    kept = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    above, before = max(-top, 0), max(-left, 0)
    part[above : above + kept.shape[0], before : before + kept.shape[1]] = kept
    return part
