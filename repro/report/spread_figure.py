"""How far test errors spread over seeds, beside what is expected: the fit behind the intervals."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.judging.spread import Observed, Prior, outside
from repro.report.drawing import INK, TEST_COLOUR, TRAINING_COLOUR, in_style, save

FILE = "spread.svg"
LINE = 0.235  # inches, of a name at the right


def draw(seen: Sequence[Observed], prior: Prior, path: str | os.PathLike) -> Path | None:
    """Each group's observed deviation against sqrt(e / (2N)), both in points and by ratios.

    The line is what is expected, the bands hold 95 of 100 groups of the fewest and of the most
    runs; a group outside of the band for its own number of runs has another colour. The suffix of
    `path` sets the format. Returns None, drawing nothing, where nothing could be fitted. Raises
    RunError when the file cannot be written.
    """
    if not prior.degrees:
        return None
    with in_style():
        from matplotlib.figure import Figure

        seen = sorted(seen, key=lambda group: group.expected)
        height = max(4.8, 1.3 + LINE * len(seen))
        page = Figure(figsize=(9.2, height))
        axes = page.subplots()
        page.subplots_adjust(left=0.075, right=0.6, top=1 - 0.67 / height, bottom=0.55 / height)
        _head(page, seen, prior)
        _axes(axes, seen, prior)
        _bands(axes, seen, prior)
        apart = {id(group) for group, _ in outside(seen, prior)}
        _points(page, axes, seen, apart)
        return save(page, path)


def _head(page: Any, seen: Sequence[Observed], prior: Prior) -> None:
    title = {"fontsize": 12, "fontweight": "bold", "x": 0.02, "ha": "left", "y": 0.98}
    page.suptitle("How far test errors spread over seeds", **title)
    told = (
        "expected is √(κ e / 2N) for an error e on N test images; the bands hold 95 of 100 groups; "
        f"fitted to {len(seen)} groups: κ = {prior.kappa:.2f}, d₀ = {prior.degrees:.1f}"
    )
    page.text(0.02, 1 - 0.48 / page.get_figheight(), told, color="#666666", fontsize=9)


def _axes(axes: Any, seen: Sequence[Observed], prior: Prior) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    expected = [group.expected for group in seen]
    ends = min(expected) / 1.25, max(expected) * 1.25
    low, high = (prior.kappa**0.5 * x for x in ends)
    axes.set(xscale="log", yscale="log", xlim=ends)
    axes.set_ylim(min([low / 6, *(g.rounded / 1.3 for g in seen)]), high * 3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("√(e / 2N), in points")
    axes.set_ylabel("observed standard deviation, in points")


def _bands(axes: Any, seen: Sequence[Observed], prior: Prior) -> None:
    """The line, and the bands for the fewest and the most runs, named at their upper ends."""
    ends = axes.get_xlim()
    line = [prior.kappa**0.5 * x for x in ends]
    labels = [(line[1], "expected")]
    for n in sorted({min(g.n for g in seen), max(g.n for g in seen)}):
        low, high = ([factor * y for y in line] for factor in prior.ratios(n))
        axes.fill_between(ends, low, high, color=TEST_COLOUR, alpha=0.11, linewidth=0)
        labels.append((low[1], f"{n} runs"))
    axes.plot(ends, line, color=TEST_COLOUR, linewidth=2)
    for y, text in labels:
        beside = {"textcoords": "offset points", "va": "center", "color": TEST_COLOUR}
        axes.annotate(text, (ends[1], y), (5, 0), **beside)


def _points(page: Any, axes: Any, seen: Sequence[Observed], apart: set[int]) -> None:
    """A numbered point for each group, and at the right what the numbers stand for."""
    for place, group in enumerate(seen, start=1):
        colour = TRAINING_COLOUR if id(group) in apart else INK
        point = {"marker": "o", "markersize": 12, "color": colour, "linestyle": ""}
        axes.plot(group.expected, group.rounded, markeredgecolor="white", **point)
        number = {"ha": "center", "va": "center_baseline", "color": "white", "fontsize": 7}
        axes.text(group.expected, group.rounded, f"{place}", fontweight="bold", **number)
        y = 1 - (0.6 + LINE * place) / page.get_figheight()
        key = {"color": colour, "fontsize": 8.5, "va": "center"}
        page.text(0.715, y, f"{place}", ha="right", **{**key, "fontweight": "bold"})
        where = " (outside)" if id(group) in apart else ""
        page.text(0.725, y, f"{group.experiment}, {group.n} runs{where}", **key)
