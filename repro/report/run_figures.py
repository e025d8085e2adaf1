"""The figures of a run directory: learning curves and first-layer filters."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import catalog, settings, spec
from repro.errors import ReproError, RunError
from repro.records.journal import Journal
from repro.report.drawing import (
    INK,
    STYLES,
    curves_of,
    draw_seeds,
    in_style,
    in_thousands,
    label_right,
    save,
    scale_errors,
    seeds_of,
    signed_colours,
)
from repro.report.filters_file import read_filters


class Figures:
    """An observer that draws the figures of a run directory when its training is done.

    It writes figures/curves.svg and figures/filters.svg and nothing outside of the directory.
    `experiment` is the catalog's of the run's name unless it is given.
    """

    def __init__(self, experiment: spec.Experiment | None = None):
        self._experiment = experiment
        self._run_dir: str | os.PathLike | None = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Takes an event of a training. Raises RunError that names what could not be drawn."""
        if event.get("event") not in ("start", "done"):
            return
        self._run_dir = event.get("run_dir") or self._run_dir
        if event["event"] == "done" and self._run_dir:
            draw_run(self._run_dir, self._experiment)


def draw_run(run_dir: str | os.PathLike, experiment: spec.Experiment | None = None) -> None:
    """Draws the figures of a run directory from run.json, metrics.jsonl and filters.npy.

    Where one cannot be drawn the other still is. Raises RunError, a line that names the files.
    """
    folder = Path(run_dir)

    def curves(path: Path) -> None:
        journal = Journal.open(folder)
        run = journal.run()
        described = experiment or catalog.experiment(run["experiment"])
        changed = settings.override(described, list(run.get("overrides", ())))
        record = {"run": run, "passes": journal.passes(), "result": None}
        draw_curves([record], changed, path, within=folder)

    def filters(path: Path) -> None:
        array = read_filters(folder / "filters.npy", within=folder)
        if array is not None:
            draw_filters(array, path, within=folder)

    tried = [(curves, folder / "figures" / "curves.svg")]
    tried.append((filters, folder / "figures" / "filters.svg"))
    problems = [problem for draw, path in tried if (problem := _problem(draw, path))]
    if problems:
        raise RunError("; ".join(problems))


def _problem(draw: Callable[[Path], None], path: Path) -> str:
    """Why a figure is not drawn; nothing where it is."""
    try:
        draw(path)
    except ReproError as error:
        return f"{path} is not drawn: {error}"
    except Exception as error:  # whatever a library finds wrong: no figure is worth a run
        return f"{path} is not drawn: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def draw_curves(
    records: Sequence[Mapping],
    experiment: spec.Experiment,
    path: str | os.PathLike,
    within: Path | None = None,
) -> Path | None:
    """Learning curves of runs of one experiment and scale: error (per cent) against the pass.

    Every seed is a thin line and their mean a thick one, the test error solid and the training
    error dashed (or that seen while training, where the paper reports it or there is no other).
    At paper scale the paper's numbers are horizontal lines, at short scale the bands are shaded. A
    pass after which an error was not measured has no point. A second axis counts iterations where
    the recipe does. The suffix of `path` (.svg or .png) sets the format. Returns None, drawing
    nothing, when no pass has an error. Raises RunError when the file cannot be written.
    """
    each = _updates_a_pass(experiment, records)
    curves = {metric: curves_of(records, metric, each) for metric in STYLES}
    # one dashed curve: that which the paper's number belongs to, or else the one scored after
    running = any(number.metric == "running_error" for number in experiment.reported)
    if curves["training_error"] and curves["running_error"]:
        del curves["training_error" if running else "running_error"]
    curves = {metric: seeds for metric, seeds in curves.items() if seeds}
    if not curves:
        return None
    errors = [error for seeds in curves.values() for curve in seeds for error in curve.values()]
    with in_style():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(7.6, 4.4))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.085, right=0.765, top=0.855, bottom=0.12)
        _head(axes, records, experiment, curves)
        labels = []
        for metric, seeds in curves.items():
            word, colour, dashes = STYLES[metric]
            end = draw_seeds(axes, seeds, colour, dashes)
            if not math.isnan(end):
                labels.append((end, f"{_tested(word, experiment)} {end:.2f} %", colour))
        references, heights = _draw_references(axes, records[0]["run"], experiment, curves)
        labels += references
        scale_errors(axes, errors + heights)
        last = max(max(curve) for seeds in curves.values() for curve in seeds)
        axes.set_xlim(0 if last > 40 or each else 0.5, max(last, 1.5) * (1.01 if last > 40 else 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set(xlabel="pass", ylabel="error (%)")
        if each:
            _iterations_below(axes, each)
        label_right(axes, labels)
        return save(figure, path, within)


def _head(
    axes: Any, records: Sequence[Mapping], experiment: spec.Experiment, curves: Mapping
) -> None:
    """What ran, and below it what it is and which of the paper's numbers have no curve here."""
    run = records[0]["run"]
    changed = [] if run["scale"] == "paper" else [f"{run['scale']} scale"]
    heading = [f"{experiment.name}, {seeds_of(records)}", *changed, *run.get("overrides", ())]
    lines = [experiment.title + (" (thick: mean of the seeds)" if len(records) > 1 else "")]
    drawn = experiment.protocols[0]
    for number in experiment.reported if run["scale"] == "paper" else ():
        if number.protocol != drawn and number.metric in curves:
            word = STYLES[number.metric][0]
            lines.append(f"the paper's {word} error by {number.protocol}: {number.value} %")
    axes.set_title(
        ", ".join(heading), loc="left", fontsize=12, fontweight="bold", pad=7 + 15 * len(lines)
    )
    for place, line in enumerate(reversed(lines)):
        axes.annotate(
            line,
            xy=(0, 1),
            xytext=(0, 7 + 13 * place),
            xycoords="axes fraction",
            textcoords="offset points",
            color="#666666",
            fontsize=9,
        )


def _tested(word: str, experiment: spec.Experiment) -> str:
    """ "test", with the protocol that is not the plain one."""
    protocol = experiment.protocols[0]
    return word if word != "test" or protocol == "single-view" else f"{word}, {protocol}"


def _draw_references(
    axes: Any, run: Mapping, experiment: spec.Experiment, curves: Mapping
) -> tuple[list[tuple[float, str, str]], list[float]]:
    """The paper's numbers at paper scale, the bands at short scale; their labels and heights."""
    protocol, labels, heights = experiment.protocols[0], [], []
    for number in experiment.reported if run["scale"] == "paper" else ():
        if number.protocol == protocol and number.metric in curves:
            word, colour, _ = STYLES[number.metric]
            colour = INK if number.metric == "test_error" else colour
            axes.axhline(number.value, color=colour, linestyle=":", linewidth=1.5, zorder=1.5)
            text = f"paper, {_tested(word, experiment)} {number.value} %"
            labels.append((number.value, text, colour))
            heights.append(number.value)
    as_written = run["scale"] == "short" and not run.get("overrides")
    for band in experiment.bands if as_written else ():
        trained = run.get("data", {}).get("train_examples", 0)
        if not band.holds_for(run.get("precision", "float32"), trained):
            continue
        if (band.scale, band.protocol) == ("short", protocol) and band.metric in curves:
            word, colour, _ = STYLES[band.metric]
            axes.axhspan(band.low, band.high, color=colour, alpha=0.09, linewidth=0, zorder=0.5)
            for end in (band.low, band.high):
                axes.axhline(end, color=colour, alpha=0.4, linewidth=0.8, zorder=0.6)
            labels.append((band.high, f"band, {word} {band.low:g} to {band.high:g} %", colour))
            heights += [end for end in (band.low, band.high) if end > 0]
    return labels, heights


def _updates_a_pass(experiment: spec.Experiment, records: Sequence[Mapping]) -> float:
    """How many, where the recipe counts updates, since its last pass may be a part; else 0."""
    first = next((line for record in records for line in record["passes"]), {})
    counted = experiment.recipe.iterations and first.get("update") and first.get("pass")
    return first["update"] / first["pass"] if counted else 0


def _iterations_below(axes: Any, each: float) -> None:
    """A second axis below that of the passes, of `each` so many iterations."""
    from matplotlib.ticker import MaxNLocator

    below = axes.secondary_xaxis(-0.16, functions=(lambda p: p * each, lambda u: u / each))
    below.set_xlabel("iterations")
    below.tick_params(length=0)
    below.spines[:].set_visible(False)
    below.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], nbins=7))
    below.xaxis.set_major_formatter(in_thousands)


def pictures_of_filters(array: Any) -> tuple[Any, float]:
    """The pictures of filters [height, width, inputs, filters], and the largest weight of all.

    Of three inputs in colour, [filters, height, width, 3] from 0 to 1, grey where a weight is 0;
    else the weights, [inputs * filters, height, width].
    """
    height, width, inputs, _ = array.shape
    largest = float(abs(array).max()) or 1.0
    if inputs == 3:
        return array.transpose(3, 0, 1, 2) / (2 * largest) + 0.5, largest
    return array.transpose(2, 3, 0, 1).reshape(-1, height, width), largest


def draw_filters(
    array: Any,
    path: str | os.PathLike,
    title: str = "first-layer filters",
    within: Path | None = None,
) -> Path:
    """The first layer's filters, `array` [height, width, inputs, filters].

    Three inputs make coloured pictures (RGB). Otherwise each picture joins one input to one
    filter and shows the sign: blue below zero, white at zero, orange above. One range for all.
    The suffix of `path` sets the format. Raises RunError when the file cannot be written.
    """
    import numpy as np

    pictures, largest = pictures_of_filters(np.asarray(array, dtype=np.float64))
    inputs, filters = array.shape[2:]
    columns = min(filters, 8 if filters <= 32 else 12)
    rows = math.ceil(len(pictures) / columns)
    size = 1.1 if columns <= 8 else 0.7  # inches
    with in_style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

        colours = signed_colours()
        signs = ScalarMappable(Normalize(-largest, largest), colours)
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
        return save(figure, path, within)
