"""What all figures share: style, seeds with their mean, axes, labels, files.

Figures are drawn by Matplotlib as it is shipped, without windows and whatever the user's settings
for it are. Drawn again from the same records they come out the same, byte for byte.
"""

import contextlib
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from repro import plain_matplotlib
from repro.files import put

MADE_BY = "repro results"
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
    "font.family": ["DejaVu Sans", "sans-serif"],
    # Verdana, as wide, where a browser has no DejaVu Sans; Matplotlib misses it without the other.
    "font.sans-serif": ["Verdana", "DejaVu Sans"],
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


def signed_colours() -> Any:
    """Blue below zero, white at zero, orange above, for a range that is as wide on either side."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", [TEST_COLOUR, "white", TRAINING_COLOUR])


def in_thousands(number: float, _: Any = None) -> str:
    """64000 as "64k"."""
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """Drawn within it is what `STYLE` says and, for the rest, what Matplotlib is shipped with."""
    matplotlib = plain_matplotlib.load()
    shipped = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
    with matplotlib.rc_context({**shipped, **STYLE}):
        yield


def save(figure: Any, path: str | os.PathLike, within: Path | None = None) -> Path:
    """Writes a figure in the format of the suffix; below `within` no link is followed.

    Raises RunError where the file cannot be written.
    """
    path, drawn = Path(path), io.BytesIO()
    if path.suffix == ".svg":
        form = {"format": "svg", "backend": "svg", "metadata": {"Date": None, "Creator": MADE_BY}}
    else:
        form = {"format": "png", "backend": "agg", "metadata": {"Software": MADE_BY}}
    figure.savefig(drawn, dpi=150, bbox_inches="tight", pad_inches=0.12, **form)
    put(path, drawn.getvalue(), within)
    return path


def curves_of(records: Sequence[Mapping], metric: str, each: float) -> list[dict[float, float]]:
    """Per run that has any: the metric where it was measured and is finite.

    By the pass or, where a pass has `each` so many updates, by the updates counted in passes.
    """
    curves = []
    for record in records:
        lines = [x for x in record["passes"] if x.get(metric) is not None]
        lines = [x for x in lines if math.isfinite(x[metric])]
        curves.append({x["update"] / each if each else x["pass"]: x[metric] for x in lines})
    return [curve for curve in curves if curve]


def seeds_of(records: Sequence[Mapping]) -> str:
    return f"{len(records)} seed{'' if len(records) == 1 else 's'}"


def draw_seeds(axes: Any, seeds: list[dict[float, float]], colour: str, dashes: Any) -> float:
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


def scale_errors(axes: Any, errors: list[float]) -> None:
    """A logarithmic axis where the errors span a decade or so, else one from zero."""
    low, high = min(errors), max(errors)
    if low > 0 and high / low > 8:
        scale_by_ratios(axes, low, high)
    else:
        axes.set_ylim(0, high * 1.08 or 1)


def scale_by_ratios(axes: Any, low: float, high: float) -> None:
    """A logarithmic axis for values from `low` to `high`, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(low / 1.3, high * 1.3)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def label_right(axes: Any, labels: list[tuple[float, str, str]]) -> None:
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
