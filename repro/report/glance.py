"""All verdicts in one picture: a line per reported number that was measured."""

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from repro.judging import verdict
from repro.judging.verdict import VerdictRow, tolerance
from repro.report.drawing import in_style, save
from repro.report.inks import DARK, LIGHT, Inks
from repro.report.words import metric_name, verdict_word

# Inches: a line, what stands above and below the lines, a letter; and a column of names of 29
# letters, the axis from its left to its right end, and what stands right of it.
LINE, HEAD, FOOT, LETTER = 0.27, 1.12, 0.98, 0.0785
NAMES, LEFT, RIGHT, WORDS = 2.3, 4.05, 6.6, 3.0
FARTHEST = 4.0  # tolerances; what reaches farther ends in an arrow
EDGE = 0.2  # tolerances, left free at both ends
# A triangle points to where the measured error lies: to the left where it is lower.
SHAPES = dict(zip(verdict.SETTLED, ("o", "<", ">", "D"), strict=True))
FILES = {"verdicts.svg": LIGHT, "verdicts-dark.svg": DARK}


def shown(rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    """The rows that speak for an experiment and are held against the paper."""
    return [row for row in rows if row.main and row.number and row.n]


def draw(
    rows: Sequence[VerdictRow],
    papers: Mapping[str, str],
    path: str | os.PathLike,
    inks: Inks = LIGHT,
) -> Path | None:
    """Each measured number's difference from the paper, in its tolerances, with its interval.

    papers: the paper of each experiment; the lines part where it changes. The shape of a point is
    the verdict; a hollow one is provisional. The suffix of `path` sets the format. Returns None,
    drawing nothing, where nothing was measured. Raises RunError when the file cannot be written.
    """
    lines = shown(rows)
    if not lines:
        return None
    with in_style():
        from matplotlib.figure import Figure

        more = max(0.0, LETTER * max(len(_name(row)) for row in lines) - NAMES)  # for long names
        width, height = RIGHT + WORDS + more, HEAD + LINE * len(lines) + FOOT
        page = Figure(figsize=(width, height), facecolor=inks.page)
        left, right = (LEFT + more) / width, (RIGHT + more) / width
        box = (left, FOOT / height, right - left, LINE * len(lines) / height)
        axes = page.add_axes(box, facecolor="none")
        low, high = _limits(lines)
        axes.set(xlim=(low, high), ylim=(len(lines) - 0.5, -0.5))
        _ground(axes, lines, papers, inks)
        for place, row in enumerate(lines):
            _interval(axes, place, row, (low, high), inks)
        _columns(page, lines, more, inks)
        _headings(page, (left + right) / 2, inks)
        _legend(page, rows, inks)
        return save(page, path)


def _limits(lines: Sequence[VerdictRow]) -> tuple[float, float]:
    """The ends of the axis: a little beyond the band and what the intervals reach."""
    ends = [end for row in lines for end in _ends(row)]
    low, high = max(min(ends), -FARTHEST), min(max(ends), FARTHEST)
    return min(low, -1) - EDGE, max(high, 1) + EDGE


def _ends(row: VerdictRow) -> tuple[float, float]:
    """Where the interval of the difference begins and ends, in tolerances; without one a point."""
    if row.low is None:
        return (row.difference / tolerance(row.number),) * 2
    low, high = row.low - row.reported, row.high - row.reported
    return low / tolerance(row.number), high / tolerance(row.number)


def _ground(axes: Any, lines: Sequence[VerdictRow], papers: Mapping[str, str], inks: Inks) -> None:
    """What lies below the lines: the band, the paper's number, and where the papers part."""
    from matplotlib.ticker import MultipleLocator

    axes.grid(False)
    axes.axvspan(-1, 1, color=inks.band, linewidth=0, zorder=0)
    axes.axvline(0, color=inks.faint, linewidth=1, zorder=1)
    box = axes.get_position()
    whole = -box.x0 / box.width, (1 - box.x0) / box.width
    for place, (one, other) in enumerate(pairwise(lines)):
        if papers[one.experiment] != papers[other.experiment]:
            rule = {"color": inks.rule, "linewidth": 0.8, "clip_on": False, "zorder": 0.5}
            axes.plot(whole, (place + 0.5,) * 2, transform=axes.get_yaxis_transform(), **rule)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(axis="x", colors=inks.faint, labelcolor=inks.faint, labelsize=8.5, length=3)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.xaxis.set_major_formatter(lambda at, _: f"{at:+.0f}".replace("-", "−") if at else "0")


def _interval(
    axes: Any, place: int, row: VerdictRow, limits: tuple[float, float], inks: Inks
) -> None:
    colour, ends = inks.of(row.word), _ends(row)
    inside = [min(max(end, limits[0]), limits[1]) for end in ends]
    axes.plot(inside, (place, place), color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
    arrow = {"color": colour, "markersize": 5, "clip_on": False}
    if ends[0] < limits[0]:
        axes.plot(limits[0], place, marker="<", **arrow)
    if ends[1] > limits[1]:
        axes.plot(limits[1], place, marker=">", **arrow)
    middle = min(max(sum(ends) / 2, limits[0] + EDGE), limits[1] - EDGE)
    _point(axes, middle, place, row, inks)


def _point(axes: Any, x: float, y: float, row: VerdictRow, inks: Inks) -> None:
    shape, colour = SHAPES[row.word], inks.of(row.word)
    axes.plot(
        x,
        y,
        marker=shape,
        markersize={"o": 7.5, "D": 6.5}.get(shape, 8),
        markerfacecolor=inks.page if row.provisional else colour,
        markeredgecolor=colour,
        markeredgewidth=1.6,
        clip_on=False,
        zorder=3,
    )


def _columns(page: Any, lines: Sequence[VerdictRow], more: float, inks: Inks) -> None:
    """What stands beside the lines, in words and numbers."""
    columns = (
        (-more, "left", "", _name),
        (2.75, "right", "paper", lambda row: f"{row.reported:g}"),
        (3.45, "right", "measured", lambda row: f"{row.mean:.2f}"),
        (3.9, "right", "seeds", lambda row: str(row.n)),
        (RIGHT + 0.56, "right", "difference", _difference),
        (RIGHT + 0.62, "left", "", _half_width),
        (RIGHT + 1.28, "left", "verdict", verdict_word),
    )
    width, height = page.get_size_inches()
    for x, side, heading, text in columns:
        x = (x + more) / width
        facts = {"ha": side, "va": "baseline", "color": inks.faint, "fontsize": 8.5}
        page.text(x, (height - HEAD + 0.07) / height, heading, **facts)
        for place, row in enumerate(lines):
            y = FOOT + LINE * (len(lines) - place - 0.5)
            facts = {"ha": side, "va": "center", "color": inks.text}
            if text is verdict_word:
                facts["color"] = inks.of(row.word)
                facts["fontweight"] = "normal" if row.provisional else "bold"
            page.text(x, y / height, text(row), **facts)


def _name(row: VerdictRow) -> str:
    what = metric_name(row.metric, row.protocol).replace("test top5 error", "top-5")
    what = what.removeprefix("test error").removeprefix(", ")
    return f"{row.experiment}, {what}" if what else row.experiment


def _difference(row: VerdictRow) -> str:
    return f"{round(row.difference, 2) + 0.0:+.2f}".replace("-", "−")  # no −0.00


def _half_width(row: VerdictRow) -> str:
    return "" if row.low is None else f"± {(row.high - row.low) / 2:.2f}"


def _headings(page: Any, middle: float, inks: Inks) -> None:
    height = page.get_figheight()
    title = {"color": inks.text, "fontsize": 13, "fontweight": "bold"}
    page.text(0, (height - 0.2) / height, "The papers' numbers, and what comes out here", **title)
    faint = {"color": inks.faint, "fontsize": 8.8}
    for place, line in enumerate(WHAT):
        page.text(0, (height - 0.44 - 0.18 * place) / height, line, **faint)
    told = "lower error  ←  difference, in tolerances  →  higher"
    page.text(middle, (FOOT - 0.36) / height, told, ha="center", **faint)


WHAT = (
    "Each line is an error that a paper printed, in per cent, and by how much that measured here "
    "differs from it, with the 95 % interval:",
    "the verdict is whether the paper's number (0) lies in it. The band is what is tolerated, a "
    "tenth of the paper's error but at least 0.2 points.",
)


def _legend(page: Any, rows: Sequence[VerdictRow], inks: Inks) -> None:
    """The shapes, each with how many rows have that verdict, and what is not among them."""
    from matplotlib.lines import Line2D

    height = page.get_figheight()
    main = [row for row in rows if row.main and row.number]
    early = sum(row.provisional for row in main)
    waiting = sum(row.verdict == verdict.NOT_RUN for row in main)
    entries = [(SHAPES[w], inks.of(w), sum(r.verdict == w for r in main), w) for w in SHAPES]
    entries.append(("o", "none", early, "provisional"))
    entries.append(("_", "none", waiting, "not run"))
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=shape,
            markersize=7,
            markerfacecolor=fill,
            markeredgecolor=inks.faint if fill == "none" else fill,
            markeredgewidth=1.6,
            label=f"{count} {word}",
        )
        for shape, fill, count, word in entries
    ]
    facts = {"frameon": False, "ncols": len(handles), "borderpad": 0, "handletextpad": 0.3}
    facts |= {"columnspacing": 1.6, "labelcolor": inks.text, "fontsize": 9.5}
    facts |= {"loc": "lower left", "bbox_to_anchor": (0, 0.2 / height)}
    page.legend(handles=handles, **facts)
    notes = ["hollow: fewer seeds than the verdict asks for"] if early else []
    if any(row.by_chance for row in main):
        notes.append("*: inside after Holm's correction for all rows")
    page.text(0, 0.02 / height, "; ".join(notes), color=inks.faint, fontsize=8.8)
