"""What a network sees, as one sheet of pictures (`repro look`)."""

import os
from pathlib import Path

import numpy as np

from repro.data.sets import Dataset
from repro.report.drawing import in_style, save, signed_colours
from repro.report.run_figures import pictures_of_filters
from repro.report.sheet import EDGE, FAINT, GAP, HEADING, LABEL, TITLE, WIDTH, Sheet, coloured
from repro.training.looking import Look

AFTER = 0.24  # inches below a section
ACROSS, TILES = 3, 3  # maps in a row; tiles along a side of a map
IMAGE = 1.85  # inches: the image, and its map of occlusion
FILTER, MOST_FILTERS = 0.4, 192  # inches of a filter; so many are drawn
BRIGHTEST = 0.99  # of the pixels of a signal are drawn in proportion; the rest are as bright
BETWEEN = 0.8  # the grey between tiles


def draw(
    look: Look, title: str, dataset: Dataset, path: str | os.PathLike, within: Path | None = None
) -> Path:
    """Draws `look` under `title`, in the format of the suffix of `path` (.svg or .png).

    The first layer's filters; the image, with the map of occlusion and what excites the maps that
    it excites most; and of the maps of a layer, the parts of test images that excite them most,
    beside what deconvolution leaves of them. Raises RunError where the file cannot be written.
    """
    filters = _filters(look.filters)
    columns = max(1, int((WIDTH - 2 * EDGE) / FILTER))
    rows = -(-len(filters) // columns)
    both = (WIDTH - 2 * EDGE - (ACROSS - 1) * 2 * GAP) / ACROSS  # the two pictures of a map
    side = (both - GAP / 3) / 2
    tall = side * _ratio(look)
    row = LABEL + tall + GAP / 2
    image = HEADING + LABEL + IMAGE + AFTER
    maps = TITLE + image + (HEADING + rows * FILTER + AFTER if rows else 0)  # where they begin
    height = maps + HEADING + -(-len(look.excited) // ACROSS) * row + EDGE
    with in_style():
        from matplotlib.figure import Figure

        sheet = Sheet(Figure(figsize=(WIDTH, height)), height)
        sheet.text(EDGE, 0, title, fontsize=12, fontweight="bold")
        _image(sheet, look, dataset, TITLE)
        if rows:
            top = TITLE + image
            sheet.heading(top, "The first layer", _about_filters(look))
            wide = FILTER * min(columns, len(filters))
            sheet.picture(mosaic(filters, columns), EDGE, top + HEADING, wide, rows * FILTER)
        sheet.heading(maps, *_about_maps(look))
        for place, excited in enumerate(look.excited):
            left = EDGE + place % ACROSS * (both + 2 * GAP)
            top = maps + HEADING + place // ACROSS * row
            label = f"map {excited.number}: {excited.values[0]:.3g} to {excited.values[-1]:.3g}"
            sheet.text(left, top, label, fontsize=7.5, color=FAINT)
            for x, tiles in (
                (left, coloured(excited.crops)),
                (left + side + GAP / 3, signals(excited.signals)),
            ):
                sheet.picture(mosaic(tiles, TILES), x, top + LABEL, side, tall)
        return save(sheet.figure, path, within)


def _image(sheet: Sheet, look: Look, dataset: Dataset, top: float) -> None:
    """The image, the map of occlusion, and what excites the maps that it excites most."""
    heading = (
        f"Test image {look.image:,}, class {dataset.class_name(look.label)}, of {dataset.title}"
    )
    sheet.heading(top, heading, _about_occlusion(look, dataset))
    x, y = EDGE, top + HEADING + LABEL

    def label(text: str) -> None:
        sheet.text(x, y - LABEL, text, fontsize=7.5, color=FAINT)

    label("as the network sees it")
    sheet.picture(coloured(look.picture[None])[0], x, y, IMAGE, IMAGE)
    x += IMAGE + GAP
    measure = "probability" if look.probable else "exp(-loss)"
    label(f"{measure} behind {look.occlusion.side}x{look.occlusion.side} grey pixels")
    _heat(sheet, look, x, y)
    x += IMAGE + 0.15 + 2.5 * GAP
    if look.own:
        label(f"what excites its strongest maps of {look.layer}, led back to the pixels")
    between = GAP / 2
    side = (WIDTH - EDGE - x - (len(look.own) - 1) * between) / max(1, len(look.own))
    side = min(side, IMAGE)
    for number, value, signal in look.own:
        sheet.picture(signals(signal[None])[0], x, y, side, side)
        sheet.text(x, y + side + 0.03, f"map {number}: {value:.3g}", fontsize=7.5, color=FAINT)
        x += side + between


def _about_occlusion(look: Look, dataset: Dataset) -> str:
    occlusion, name = look.occlusion, dataset.class_name
    least = int(occlusion.probabilities.argmin())
    lowest, guess = occlusion.probabilities.flat[least], int(occlusion.guesses.flat[least])
    misled = _misled(look) is not None
    taken = "" if occlusion.guess == look.label else f" (it is taken for {name(occlusion.guess)})"
    instead = f", where it is taken for {name(guess)}" if misled and guess != look.label else ""
    lines = ". Within the white lines the network is wrong" if misled else ""
    measure = "a probability" if look.probable else "an exp(-loss)"
    return (
        f"Its class has {measure} of {_share(occlusion.without)}{taken}; behind a grey square, "
        f"of {_share(lowest)} at the least{instead}{lines}."
    )


def _heat(sheet: Sheet, look: Look, x: float, y: float) -> None:
    """The probability of the right class (or exp(-loss)) by the middle of the square, its scale."""
    height, width = look.picture.shape[:2]
    shown = {"cmap": "viridis", "vmin": 0, "vmax": 1, "extent": (0, width, height, 0)}
    heat = sheet.picture(look.occlusion.probabilities, x, y, IMAGE, IMAGE, **shown)
    if (wrong := _misled(look)) is not None:
        rows, columns = ((np.arange(count) + 0.5) * look.occlusion.step for count in wrong.shape)
        heat.contour(columns, rows, wrong, levels=[0.5], colors="white", linewidths=1.2)
    scale = sheet.axes(x + IMAGE + 0.06, y, 0.09, IMAGE)
    steps = np.linspace(1, 0, 64)[:, None]
    scale.imshow(steps, cmap="viridis", aspect="auto", extent=(0, 1, 0, 1), interpolation="none")
    scale.set(xticks=[], yticks=[0, 0.5, 1])
    scale.yaxis.tick_right()
    scale.tick_params(labelsize=7, length=0, pad=2)
    scale.spines[:].set_visible(False)


def _misled(look: Look) -> np.ndarray | None:
    """Where a square makes a wrong guess of a right one, as 0 and 1; None where nowhere."""
    wrong = look.occlusion.guesses != look.label
    some = look.occlusion.guess == look.label and wrong.any() and min(wrong.shape) > 1
    return wrong.astype(float) if some else None


def _about_filters(look: Look) -> str:
    height, width, inputs, filters = look.filters.shape
    drawn = "" if filters <= MOST_FILTERS else f", of which {MOST_FILTERS} are drawn"
    signs = "" if inputs == 3 else "; blue is below zero, orange above"
    return f"{filters} filters of {height}x{width} pixels{drawn}{signs}."


def _about_maps(look: Look) -> tuple[str, str]:
    """The heading of the maps, and the line below it."""
    rows, columns, maps = look.units
    high, wide = look.sees
    title = f"{look.layer}: {maps} maps of {rows}x{columns} units that see {high}x{wide} pixels"
    whole = f"{look.of_images:,} test images"
    if look.looked_at < look.of_images:
        whole = f"the first {look.looked_at:,} of {whole}"
    silent = f" {look.silent} of the maps are never excited." if look.silent else ""
    way = "guided back-propagation" if look.guided else "deconvolution"
    same = ": without max-pooling, the same of every image" if look.blind else ""
    return title, (
        f"What excites a map most, of {whole}, the strongest first; beside it what {way} leaves "
        f"of it{same}.{silent}"
    )


# ---------------------------------------------------------------------------- pictures


def signals(pictures: np.ndarray) -> np.ndarray:
    """Signals [n, h, w, C] as RGB, each by its own size: grey at 0, or blue, white, orange."""
    sizes = np.abs(pictures)
    bright = np.quantile(sizes, BRIGHTEST, axis=(1, 2, 3), keepdims=True)
    bright = np.where(bright > 0, bright, sizes.max(axis=(1, 2, 3), keepdims=True))
    relative = np.clip(pictures / np.where(bright > 0, bright, 1), -1, 1)
    if pictures.shape[-1] == 3:
        return relative / 2 + 0.5
    return signed_colours()(relative[..., 0] / 2 + 0.5)[..., :3]


def _filters(array: np.ndarray | None) -> np.ndarray:
    """The first layer's filters as RGB pictures [n, h, w, 3]; none where there is none."""
    if array is None:
        return np.zeros((0, 1, 1, 3))
    pictures, largest = pictures_of_filters(array[..., :MOST_FILTERS])
    if pictures.ndim == 4:
        return pictures
    return signed_colours()(pictures[:MOST_FILTERS] / (2 * largest) + 0.5)[..., :3]


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Tiles [n, h, w, 3] in rows of so many, as one picture, a pixel of grey between them.

    Small tiles are enlarged, so that this pixel is narrow beside them.
    """
    times = max(1, round(24 / max(tiles.shape[1:3])))
    tiles = tiles.repeat(times, axis=1).repeat(times, axis=2)
    count, high, wide, _ = tiles.shape
    across, down = min(columns, count), -(-count // columns)
    picture = np.full((down * (high + 1) - 1, across * (wide + 1) - 1, 3), BETWEEN)
    for place in range(down * across):
        y, x = place // columns * (high + 1), place % columns * (wide + 1)
        picture[y : y + high, x : x + wide] = tiles[place] if place < count else 1
    return picture


# ---------------------------------------------------------------------------- words


def _share(probability: float) -> str:
    """'0.42'; '0.9997' of what is nearly sure."""
    if 0.995 <= probability < 1:
        return f"{probability:.4f}"
    return f"{probability:.2f}"


def _ratio(look: Look) -> float:
    """The height of a tile by its width."""
    shape = look.excited[0].crops.shape if look.excited else (1, 1, 1, 1)
    return shape[1] / shape[2]
