"""Figures of single experiments: learning curves and first-layer filters."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import spec
from repro.report.drawing import (
    INK,
    STYLES,
    TEST_COLOUR,
    TRAINING_COLOUR,
    curves_of,
    draw_seeds,
    in_style,
    in_thousands,
    label_right,
    save,
    scale_errors,
    seeds_of,
)


def draw_curves(
    records: Sequence[Mapping], experiment: spec.Experiment, path: str | os.PathLike
) -> Path | None:
    """Learning curves of runs of one experiment and scale: error (per cent) against the pass.

    Every seed as a thin line and their mean as a thick one, the test error solid and the training
    error dashed (or that seen while training, where the paper reports it or there is no other); at
    paper scale the paper's numbers as horizontal lines. A pass after which an error was not
    measured has no point. A second axis counts iterations where the recipe does. The suffix of
    `path` (.svg or .png) sets the format. Returns None, drawing nothing, when no pass has an error.
    Raises RunError when the file cannot be written.
    """
    each = _updates_a_pass(experiment, records)
    curves = {metric: curves_of(records, metric, each) for metric in STYLES}
    # one dashed curve: that which the paper's number belongs to, or else the one scored after
    running = any(number.metric == "running_error" for number in experiment.reported)
    if curves["training_error"] and curves["running_error"]:
        del curves["training_error" if running else "running_error"]
    errors = [error for seeds in curves.values() for curve in seeds for error in curve.values()]
    if not errors:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    scale = records[0]["run"]["scale"]
    heading = f"{experiment.name}, {seeds_of(records)}"
    changed = [] if scale == "paper" else [f"{scale} scale"]
    heading = ", ".join([heading, *changed, *records[0]["run"].get("overrides", ())])
    with in_style():
        figure = Figure(figsize=(7.6, 4.4))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.085, right=0.765, top=0.855, bottom=0.12)
        axes.set_title(heading, loc="left", fontsize=12, fontweight="bold", pad=22)
        below = experiment.title + (" (thick: mean of the seeds)" if len(records) > 1 else "")
        axes.text(0, 1.03, below, transform=axes.transAxes, color="#666666", fontsize=9)
        labels = []
        for metric, (word, colour, dashes) in STYLES.items():
            if curves.get(metric):
                end = draw_seeds(axes, curves[metric], colour, dashes)
                if not math.isnan(end):
                    labels.append((end, f"{word} {end:.2f} %", colour))
        reported = [n for n in experiment.reported if scale == "paper" and curves.get(n.metric)]
        for number in reported:
            if number.protocol == experiment.protocols[0]:
                word, colour, _ = STYLES[number.metric]
                colour = INK if number.metric == "test_error" else colour
                axes.axhline(number.value, color=colour, linestyle=":", linewidth=1.5, zorder=1.5)
                labels.append((number.value, f"paper, {word} {number.value} %", colour))
                errors.append(number.value)
        scale_errors(axes, errors)
        last = max(max(curve) for seeds in curves.values() for curve in seeds)
        axes.set_xlim(0 if last > 40 or each else 0.5, max(last, 1.5) * (1.01 if last > 40 else 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set(xlabel="pass", ylabel="error (%)")
        if each:
            _iterations_below(axes, each)
        label_right(axes, labels)
        return save(figure, path)


def _updates_a_pass(experiment: spec.Experiment, records: Sequence[Mapping]) -> float:
    """How many there are, where the recipe counts them: its last pass may be a part. Else 0."""
    first = next((line for record in records for line in record["passes"]), None)
    return first["update"] / first["pass"] if first and experiment.recipe.iterations else 0


def _iterations_below(axes: Any, each: float) -> None:
    """A second axis below that of the passes, of `each` so many iterations."""
    below = axes.secondary_xaxis(-0.16, functions=(lambda p: p * each, lambda u: u / each))
    below.set_xlabel("iterations")
    below.tick_params(length=0)
    below.spines[:].set_visible(False)
    below.xaxis.set_major_formatter(in_thousands)


def draw_filters(array: Any, path: str | os.PathLike, title: str = "first-layer filters") -> Path:
    """The first layer's filters, `array` [height, width, inputs, filters].

    Three inputs make coloured pictures (RGB). Otherwise each picture joins one input to one
    filter and shows the sign: blue below zero, white at zero, orange above. One range for all.
    The suffix of `path` sets the format. Raises RunError when the file cannot be written.
    """
    import numpy as np
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure

    array = np.asarray(array, dtype=np.float64)
    height, width, inputs, filters = array.shape
    largest = float(np.abs(array).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("signed", [TEST_COLOUR, "white", TRAINING_COLOUR])
    signs = ScalarMappable(Normalize(-largest, largest), colours)
    if inputs == 3:
        pictures = list(np.moveaxis(array / (2 * largest) + 0.5, 3, 0))
    else:
        pictures = list(array.transpose(2, 3, 0, 1).reshape(-1, height, width))
    columns = min(filters, 8 if filters <= 32 else 12)
    rows = math.ceil(len(pictures) / columns)
    size = 1.1 if columns <= 8 else 0.7  # inches
    with in_style():
        figure = Figure(
            figsize=(max(columns * size + 1, 3.5), rows * size + 0.6), layout="constrained"
        )
        tiles = figure.subplots(rows, columns, squeeze=False)
        figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold")
        for tile in tiles.flat:
            tile.set_axis_off()
        for tile, picture in zip(tiles.flat, pictures, strict=False):
            tile.set_axis_on()
            tile.grid(False)
            tile.set(xticks=[], yticks=[])
            tile.spines[:].set(visible=True, color="#9A9A9A", linewidth=0.6)
            tile.imshow(picture, cmap=colours, vmin=-largest, vmax=largest, interpolation="nearest")
        if inputs != 3:
            bar = figure.colorbar(signs, ax=tiles, ticks=[-largest, 0, largest], aspect=12)
            bar.ax.set_yticklabels([f"−{largest:.2g}", "0", f"{largest:.2g}"], fontsize=8)
            bar.outline.set(edgecolor="#9A9A9A", linewidth=0.6)
        return save(figure, path)
