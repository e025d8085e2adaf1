"""The figures of results/ and of run directories: curves, filters, and the papers' own figures.

Drawn again from the same records they come out the same, byte for byte.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from repro import spec, verdict
from repro.errors import RunError

# Okabe and Ito's colours stay apart for every kind of colour vision; dashes tell them apart too.
TEST_COLOUR, TRAINING_COLOUR, INK, GRID = "#0072B2", "#D55E00", "#333333", "#E3E3E3"
COLOURS = (TEST_COLOUR, TRAINING_COLOUR, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = (0, (4, 1.5))
STYLES = {
    "test_error": ("test", TEST_COLOUR, "-"),
    "training_error": ("training", TRAINING_COLOUR, DASHES),
    "running_error": ("while training", TRAINING_COLOUR, DASHES),  # where not scored after
}
STYLE = {
    "svg.hashsalt": "repro",  # else the ids in the file are random
    "svg.fonttype": "none",  # text stays text: small files, readable diffs
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


# ---------------------------------------------------------------------------- one experiment


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
    curves = {metric: _curves(records, metric, each) for metric in STYLES}
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
    heading = f"{experiment.name}, {_seeds(records)}"
    changed = [] if scale == "paper" else [f"{scale} scale"]
    heading = ", ".join([heading, *changed, *records[0]["run"].get("overrides", ())])
    with _style():
        figure = Figure(figsize=(7.6, 4.4))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.085, right=0.765, top=0.855, bottom=0.12)
        axes.set_title(heading, loc="left", fontsize=12, fontweight="bold", pad=22)
        below = experiment.title + (" (thick: mean of the seeds)" if len(records) > 1 else "")
        axes.text(0, 1.03, below, transform=axes.transAxes, color="#666666", fontsize=9)
        labels = []
        for metric, (word, colour, dashes) in STYLES.items():
            if curves.get(metric):
                end = _draw_seeds(axes, curves[metric], colour, dashes)
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
        _scale_errors(axes, errors)
        last = max(max(curve) for seeds in curves.values() for curve in seeds)
        axes.set_xlim(0 if last > 40 or each else 0.5, max(last, 1.5) * (1.01 if last > 40 else 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set(xlabel="pass", ylabel="error (%)")
        if each:
            _iterations_below(axes, each)
        _label_right(axes, labels)
        return _save(figure, path)


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
    below.xaxis.set_major_formatter(_in_thousands)


def _in_thousands(number: float, _: Any = None) -> str:
    """64000 as "64k"."""
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"


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
    with _style():
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
        return _save(figure, path)


# ---------------------------------------------------------------------------- a paper's own figures


def chosen(
    figure: spec.Figure, experiments: Sequence[spec.Experiment], records: Sequence[dict], scale: str
) -> dict[str, list[dict]]:
    """The runs that `figure` is drawn from at `scale`, by experiment: plain ones of one stack.

    Of most experiments; then most runs; then the newest.
    """
    names = [name for _, names in figure.panels for name in names]
    wanted = [experiment for experiment in experiments if experiment.name in names]
    if figure.shows not in DRAWN:
        records = [r for r in records if (r["result"] or {}).get(f"{figure.shows}s")]
    found = []
    for runs in verdict.stacks(records, wanted, scale).values():
        every = [run for some in runs.values() for run in some]
        newest = max(map(verdict.finished, every))
        found.append(((len(runs), len(every), newest), runs))
    return max(found, key=lambda pair: pair[0])[1] if found else {}


def draw_figure(
    figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]], path: str | os.PathLike
) -> Path | None:
    """One of the paper's figures from the `runs` of its experiments, all of one scale.

    Every seed is a thin line and their mean a thick one. The suffix of `path` sets the format.
    Returns None, drawing nothing, without runs. Raises RunError when the file cannot be written.
    """
    if not runs:
        return None
    with _style():
        return _save(DRAWN.get(figure.shows, _layers)(figure, runs), path)


def _errors(figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]]) -> Any:
    """Training error dashed, test error solid (per cent), against the iteration.

    Panels without runs are left out. The axis of the errors ends at the highest after the first
    tenth of the training.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = [(title, names) for title, names in figure.panels if set(names) & set(runs)]
    count, settled = len(drawn), []
    page = Figure(figsize=(4.9 * count + 0.3, 4.4))
    panels = page.subplots(1, count, sharey=True, squeeze=False)[0]
    page.subplots_adjust(left=0.06, right=0.865, top=0.8, bottom=0.12, wspace=0.42)
    told = "dashed: while training; solid: test"
    _headings(page, figure, runs, told)
    ends, short = [], _short_names(figure)
    for axes, (title, names) in zip(panels, drawn, strict=True):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("iterations")
        labels = []
        for name, colour in _coloured(names, runs):
            dashed = _curves(runs[name], "running_error", each=1)
            solid = _curves(runs[name], "test_error", each=1)
            for curves, line in ((dashed, DASHES), (solid, "-")):
                if curves:
                    end = _draw_seeds(axes, curves, colour, line)
            if solid and not math.isnan(end):
                labels.append((end, f"{short[name]} {end:.2f} %", colour))
            for curve in (*dashed, *solid):
                settled += [error for u, error in curve.items() if u >= max(curve) / 10]
        ends.append((axes, labels))
    panels[0].set_ylabel("error (%)")
    panels[0].set_ylim(0, 1.05 * max(settled, default=0) or 1)
    for axes, labels in ends:
        axes.set_xlim(left=0)
        axes.margins(x=0.01)
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], nbins=6))
        axes.xaxis.set_major_formatter(_in_thousands)
        _label_right(axes, labels)
    return page


def _training(figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]]) -> Any:
    """The error seen while training (per cent), that of a pass at its middle, all together.

    What is of the first panel is dashed.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    page = Figure(figsize=(7.6, 4.4))
    axes = page.subplots()
    page.subplots_adjust(left=0.085, right=0.74, top=0.84, bottom=0.12)
    _headings(page, figure, runs, _lines(figure, runs))
    short, dashed = _short_names(figure), figure.panels[0][1]
    labels = []
    for name, colour in _coloured(list(short), runs):
        curves = [dict(verdict.running_errors(run)) for run in runs[name] if run["passes"]]
        if curves:
            end = _draw_seeds(axes, curves, colour, DASHES if name in dashed else "-")
            passes = len(min(curves, key=len))
            labels.append((end, f"{short[name]} {end:.2f} % in pass {passes}", colour))
    axes.set(xlabel="pass", ylabel="training error (%)")
    axes.set_xlim(0, max(1, axes.get_xlim()[1]))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.yaxis.set_major_locator(MultipleLocator(5))
    _label_right(axes, labels)
    return page


def _layers(figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]]) -> Any:
    """What a probe measured: layer by layer above, from the largest to the smallest below."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    page = Figure(figsize=(7.6, 5.4))
    panels = page.subplots(2, 1, sharey=True)
    page.subplots_adjust(left=0.085, right=0.72, top=0.85, bottom=0.1, hspace=0.32)
    _headings(page, figure, runs, _lines(figure, runs))
    word, short = figure.shows.replace("_", " "), _short_names(figure)
    for axes, ranked in zip(panels, (False, True), strict=True):
        for place, (_, names) in enumerate(figure.panels):
            for name, colour in _coloured(names, runs):
                rows = [run["result"][f"{figure.shows}s"] for run in runs[name]]
                rows = [sorted(row, reverse=True) for row in rows] if ranked else rows
                curves = [dict(enumerate(row, start=1)) for row in rows]
                _draw_seeds(axes, curves, colour, "-" if place else DASHES)
                mean = fmean(fmean(row) for row in rows)
                axes.lines[-1].set_label(f"{short[name]}, mean {mean:.2f}")
        axes.set(xlabel="layer, by size" if ranked else "layer", ylabel=word)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    panels[0].legend(loc="upper left", bbox_to_anchor=(1.01, 1.03), frameon=False)
    return page


DRAWN = {"errors": _errors, "running_error": _training}  # of the passes; others are of a probe


def _lines(figure: spec.Figure, runs: Mapping) -> str:
    """Which panels are dashed (the first) and which solid, of those that have runs."""
    drawn = {title: bool(set(names) & set(runs)) for title, names in figure.panels}
    first, *others = drawn
    dashed = [first] if drawn[first] else []
    solid = [title for title in others if drawn[title]]
    return "; ".join(
        f"{line}: {', '.join(titles)}"
        for line, titles in (("dashed", dashed), ("solid", solid))
        if titles
    )


def _headings(page: Any, figure: spec.Figure, runs: Mapping, told: str) -> None:
    """The title, and below it what the lines are, of how many seeds, and of which scale."""
    every = [run for some in runs.values() for run in some]
    counts = sorted({len(some) for some in runs.values()})
    seeds = " to ".join(str(n) for n in (counts[0], counts[-1])[: len(counts)])
    scale = every[0]["run"]["scale"]
    heading = figure.title + ("" if scale == "paper" else f", {scale} scale")
    page.suptitle(heading, x=0.02, y=0.98, ha="left", fontsize=12, fontweight="bold")
    seeds += " seed" if counts == [1] else " seeds"
    below = f"as {figure.source} of the paper; {told}; {seeds} each"
    page.text(0.02, 1 - 0.5 / page.get_figheight(), below, color="#666666", fontsize=9)


def _short_names(figure: spec.Figure) -> dict[str, str]:
    """The names of experiments without what all of them end with, such as their data set."""
    names = [name for _, names in figure.panels for name in names]
    ends = {name.rpartition("-")[2] for name in names}
    alike = len(names) > 1 and len(ends) == 1 and all("-" in name for name in names)
    return {name: name.rpartition("-")[0] if alike else name for name in names}


def _coloured(names: Sequence[str], runs: Mapping) -> list[tuple[str, str]]:
    """The names that have runs, with the colour of their place."""
    pairs = zip(names, COLOURS * (1 + len(names) // len(COLOURS)), strict=False)
    return [(name, colour) for name, colour in pairs if name in runs]


# ---------------------------------------------------------------------------- how it is drawn


def _style():
    from matplotlib import rc_context

    return rc_context(STYLE)


def _save(figure: Any, path: str | os.PathLike) -> Path:
    path = Path(path)
    dateless = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata=dateless, bbox_inches="tight", pad_inches=0.12)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None
    return path


def _curves(records: Sequence[Mapping], metric: str, each: float) -> list[dict[float, float]]:
    """Per run that has any: the metric where it was measured.

    By the pass, or where there are `each` so many updates to a pass by their count in passes.
    """
    found = []
    for record in records:
        lines = [line for line in record["passes"] if metric in line]
        found.append({x["update"] / each if each else x["pass"]: x[metric] for x in lines})
    return [curve for curve in found if curve]


def _seeds(records: Sequence[Mapping]) -> str:
    return f"{len(records)} seed{'' if len(records) == 1 else 's'}"


def _draw_seeds(axes: Any, seeds: list[dict[float, float]], colour: str, dashes: Any) -> float:
    """Draws each seed's curve and their mean; returns the mean at the last common point.

    nan where the seeds have no point in common.
    """
    common = sorted(set.intersection(*(set(curve) for curve in seeds)))
    mean = [fmean(curve[p] for curve in seeds) for p in common]
    if len(seeds) > 1:
        for curve in seeds:
            axes.plot(
                list(curve),
                list(curve.values()),
                color=colour,
                linestyle=dashes,
                linewidth=0.8,
                alpha=0.45,
            )
    marker = {}
    if len(common) == 1:
        marker = {"marker": "o", "markersize": 9 if dashes == "-" else 4, "clip_on": False}
    axes.plot(common, mean, color=colour, linestyle=dashes, linewidth=2, **marker)
    return mean[-1] if mean else math.nan


def _scale_errors(axes: Any, errors: list[float]) -> None:
    """A logarithmic axis where the errors span a decade or so, else one from zero."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(errors), max(errors)
    if low > 0 and high / low > 8:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{error:g}"))
    else:
        axes.set_ylim(0, high * 1.08 or 1)


def _label_right(axes: Any, labels: list[tuple[float, str, str]]) -> None:
    """Writes each (value, text, colour) at the right of the axes, pushed apart where they touch."""
    gap = 0.062  # of the height: one line of text
    to_axes = axes.transScale + axes.transLimits
    placed = sorted((to_axes.transform((0, value))[1], text, ink) for value, text, ink in labels)
    heights = [height for height, *_ in placed]
    for _ in range(50):
        for k in range(len(heights) - 1):
            overlap = gap - (heights[k + 1] - heights[k])
            if overlap > 1e-6:
                heights[k] -= overlap / 2
                heights[k + 1] += overlap / 2
    for height, (true, text, ink) in zip(heights, placed, strict=True):
        axes.annotate(
            text,
            xy=(1, true),
            xytext=(1.03, height),
            xycoords="axes fraction",
            color=ink,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": ink,
                "linewidth": 0.8,
                "relpos": (0, 0.5),  # from the left of the text
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
