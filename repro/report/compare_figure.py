"""The picture of a comparison: each experiment's difference, in its tolerances."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.judging.compare import DIFFERS, EQUIVALENT, Comparison
from repro.report.drawing import INK, TEST_COLOUR, TRAINING_COLOUR, in_style, save

COLOURS = {EQUIVALENT: TEST_COLOUR, DIFFERS: TRAINING_COLOUR}
LINE = 0.30  # inches
FARTHEST = 6.0  # tolerances; what lies farther out is an arrow at the edge


def draw(comparisons: Sequence[Comparison], scale: str, path: str | os.PathLike) -> Path:
    """One panel a comparison: a line an experiment, and below them all together.

    A point is a difference b - a, divided by the experiment's tolerance, its line the 95 %
    interval. Crosses differ, filled points are equivalent, hollow ones inconclusive. The band is
    the tolerance. An experiment that one side only failed in has words and no point. Raises
    RunError when the file cannot be written.
    """
    from matplotlib.figure import Figure

    lines = [len(c.rows) + len(c.lost) + (c.together is not None) for c in comparisons]
    height = sum(lines) * LINE + 1.05 * len(lines)
    with in_style():
        page = Figure(figsize=(8.2, height))
        panels = page.subplots(
            len(lines), 1, squeeze=False, height_ratios=[n * LINE + 0.4 for n in lines]
        )[:, 0]
        page.subplots_adjust(left=0.3, right=0.68, top=1 - 0.5 / height, bottom=0.5 / height)
        page.subplots_adjust(hspace=1.1 * len(lines) / (sum(lines) * LINE))
        reach = min(FARTHEST, max(1.5, *(1.1 * _reach(c) for c in comparisons)))
        for axes, comparison in zip(panels, comparisons, strict=True):
            _panel(axes, comparison, scale, reach)
        return save(page, path)


def _panel(axes: Any, comparison: Comparison, scale: str, most: float) -> None:
    rows, all_ = comparison.rows, comparison.together
    axes.axvspan(-1, 1, color=TEST_COLOUR, alpha=0.10, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    names = []
    for place, row in enumerate(rows):
        low, high = (None if x is None else x / row.tolerance for x in (row.low, row.high))
        said = f"{_signed(row.difference)} points, {row.words}"
        _line(axes, place, row.difference / row.tolerance, low, high, row.verdict, said, most)
        names.append(row.experiment)
    for place, one in enumerate(comparison.lost, start=len(rows)):
        colour = COLOURS[DIFFERS] if one.differs else INK
        _say(axes, place, f"{one.side}: {'diverged' if one.diverged else 'failed'}", colour)
        names.append(one.experiment)
    if all_:
        place = len(names)
        axes.axhline(place - 0.5, color="#9A9A9A", linewidth=0.7)
        said = f"{_signed(all_.difference)} tolerances, {all_.verdict}"
        _line(axes, place, all_.difference, all_.low, all_.high, all_.verdict, said, most, "D")
        names.append(f"all {all_.experiments} together")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-most, most)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_xlabel("difference in error, as a multiple of the tolerance (the band)")
    title = f"{comparison.b} minus {comparison.a}, {scale} scale"
    axes.set_title(title, loc="left", fontsize=10.5, x=-0.78)


def _reach(comparison: Comparison) -> float:
    """How far from 0 its intervals reach, in tolerances."""
    ends = [(row.low, row.high, row.difference, row.tolerance) for row in comparison.rows]
    if all_ := comparison.together:
        ends.append((all_.low, all_.high, all_.difference, 1.0))
    return max((abs(x) / one[-1] for one in ends for x in one[:-1] if x is not None), default=0)


def _signed(difference: float) -> str:
    return f"{difference:+.2f}".replace("-", "−")


def _line(
    axes: Any,
    place: int,
    at: float,
    low: float | None,
    high: float | None,
    verdict: str,
    said: str,
    most: float,
    marker: str = "o",
) -> None:
    """One interval with its point, and what it says at the right."""
    colour = COLOURS.get(verdict, INK)
    if low is not None:
        axes.plot([max(low, -most), min(high, most)], [place] * 2, color=colour, linewidth=1.6)
    if abs(at) > most:
        marker, at = (">" if at > 0 else "<"), most if at > 0 else -most
    elif verdict == DIFFERS and marker == "o":
        marker = "X"
    filled = verdict in COLOURS
    axes.plot(
        [at],
        [place],
        marker=marker,
        markersize=7 if marker != "o" else 6,
        color=colour,
        markerfacecolor=colour if filled else "white",
        markeredgewidth=1.4 if not filled else 0.6,
        clip_on=False,
    )
    _say(axes, place, said, colour)


def _say(axes: Any, place: int, said: str, colour: str) -> None:
    axes.annotate(
        said, xy=(1.02, place), xycoords=("axes fraction", "data"), color=colour, va="center"
    )
