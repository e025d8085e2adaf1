"""All networks of a dataset in one picture: error against parameters, multiply-adds and speed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import Any

from repro.networks.counts import Counts
from repro.report.drawing import in_style, save, scale_by_ratios
from repro.report.inks import DARK, LIGHT, Inks
from repro.report.networks_shown import Machine, Shown, measured_speeds
from repro.report.placing import NEAR, Box, beside

THEMES = {"": LIGHT, "-dark": DARK}
# Inches: the picture, what stands above and below the panels, a line of the table, a letter.
WIDTH, HEAD, AXIS, LINE, LETTER = 9.6, 0.45, 0.85, 0.2, 0.0785
LEFT, GAP, NAMES = 0.55, 0.2, 2.4
PANEL, ROOM, TALLEST = 2.9, 0.05, 4.9  # a panel: without networks, for each more, at most
MARK, RING = 0.045, 0.066  # half of a filled mark and of a hollow one
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", "h", ">")  # of papers, over and over


def files_of(dataset: str) -> dict[str, Inks]:
    """The names of the figures of a dataset, for light and for dark pages."""
    return {f"{dataset}-networks{ending}.svg": inks for ending, inks in THEMES.items()}


def title(dataset: str) -> str:
    from repro.data import sets

    return sets.DATASETS[dataset].title


def draw(
    dataset: str,
    networks: Sequence[Shown],
    counts: Mapping[str, Counts],
    records: Sequence[dict],
    path: str | os.PathLike,
    inks: Inks = LIGHT,
) -> Path | None:
    """Three panels that share the error, and a table of the networks under them.

    A network is a filled mark, at the error measured here; what its paper reports is a hollow one,
    joined to it. A number leads to its row in the table. The suffix of `path` sets the format.
    counts: by the networks' names; what has none is left out. Returns None, drawing nothing, where
    fewer than two are left. Raises RunError when the file cannot be written.
    """
    machine, speeds = measured_speeds(networks, records)
    every = [
        replace(shown, counts=counts[name], speed=speeds.get(name))
        for shown in networks
        if (name := shown.network.name) in counts
    ]
    if len(every) < 2:
        return None
    every.sort(key=lambda shown: (shown.row.mean, shown.name))
    with in_style():
        from matplotlib.figure import Figure

        more = max(0.0, LETTER * max(len(shown.name) for shown in every) - NAMES)
        width = WIDTH + more
        lines = [line for told in _told(every, machine) for line in wrap(told, int(16 * width))]
        head, tall = HEAD + 0.18 * len(lines), min(PANEL + ROOM * len(every), TALLEST)
        height = head + tall + AXIS + LINE * len(every)
        page = Figure(figsize=(width, height), facecolor=inks.page)
        _headings(page, f"{title(dataset)}: error against size and speed", lines, inks)
        _panels(page, (head, tall), every, inks)
        _table(page, every, more, inks)
        return save(page, path)


def _told(every: Sequence[Shown], machine: Machine | None) -> list[str]:
    told = [
        "Filled: measured here, the mean over the seeds; hollow: what the paper reports. Of a "
        "network's experiments the first that has run stands for it."
    ]
    if machine:
        lacking = "; – where none ran there" * any(shown.speed is None for shown in every)
        told.append(
            f"Images per second: medians over runs where most networks ran, {machine}; some shared "
            f"it{lacking}."
        )
    else:
        told.append("No run says how many images per second it trained on.")
    return told


def _headings(page: Any, heading: str, lines: Sequence[str], inks: Inks) -> None:
    height = page.get_figheight()
    bold = {"color": inks.text, "fontsize": 13, "fontweight": "bold"}
    page.text(0, (height - 0.2) / height, heading, **bold)
    for place, line in enumerate(lines):
        y = (height - 0.44 - 0.18 * place) / height
        page.text(0, y, line, color=inks.faint, fontsize=8.8)


QUANTITIES = (
    ("parameters", lambda shown: shown.counts.parameters),
    ("multiply-adds of one image", lambda shown: shown.counts.multiply_adds),
    ("images per second, in training", lambda shown: shown.speed),
)


def _panels(page: Any, room: tuple[float, float], every: Sequence[Shown], inks: Inks) -> None:
    """room: what stands above the panels, and how high they are."""
    (width, height), (head, tall) = page.get_size_inches(), room
    span = (width - LEFT - 0.05 - 2 * GAP) / 3
    for number, (quantity, of) in enumerate(QUANTITIES):
        left, bottom = LEFT + number * (span + GAP), height - head - tall
        box = (left / width, bottom / height, span / width, tall / height)
        axes = page.add_axes(box, facecolor="none")
        _axes(axes, every, [of(shown) for shown in every], inks)
        axes.set_xlabel(quantity)
        if number:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("test error (%)")
        for shown in every:
            if of(shown):
                _mark(axes, of(shown), shown, inks)
        _numbers(axes, [(of(shown), shown) for shown in every], (span, tall), inks)


def _axes(axes: Any, every: Sequence[Shown], values: Sequence[float | None], inks: Inks) -> None:
    """By ratios both ways, in colours that suit the page."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    errors = [error for shown in every for error in (shown.row.mean, shown.row.reported) if error]
    low, high = min(errors, default=1), max(errors, default=1)
    scale_by_ratios(axes, low, high)
    if high < 30 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    some = [value for value in values if value]
    low, high = min(some, default=1) / 1.7, max(some, default=1) * 1.7
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.grid(color=inks.rule)
    axes.tick_params(colors=inks.faint, labelsize=8.5, length=3)
    for side in axes.spines.values():
        side.set_color(inks.rule)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(inks.text)


def short(number: float) -> str:
    """1,200 as "1.2k", 40,000,000 as "40M"."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{letter}"
    return f"{number:g}"


def look(shown: Shown, inks: Inks, hollow: bool = False) -> dict[str, Any]:
    """The shape and the colour of a paper's networks; hollow ones fit around the others."""
    colour = inks.papers[shown.place % len(inks.papers)]
    return {
        "marker": SHAPES[shown.place % len(SHAPES)],
        "markersize": 2 * 72 * (RING if hollow else MARK),
        "markerfacecolor": inks.page if hollow else colour,
        "markeredgecolor": colour,
        "markeredgewidth": 1.2 if hollow else 0,
        "linestyle": "",
        "clip_on": False,
    }


def _mark(axes: Any, x: float, shown: Shown, inks: Inks) -> None:
    ours, theirs = shown.row.mean, shown.row.reported
    axes.plot(x, ours, **look(shown, inks), zorder=4)
    if theirs is not None:
        ring = look(shown, inks, hollow=True)
        axes.plot(x, theirs, **ring, zorder=3)
        axes.plot((x, x), (ours, theirs), color=ring["markeredgecolor"], linewidth=1, zorder=2)


def _numbers(
    axes: Any,
    marks: Sequence[tuple[float | None, Shown]],
    size: tuple[float, float],
    inks: Inks,
) -> None:
    """Writes each mark's number beside it; a line leads to one that is not next to it."""

    def at(x: float, y: float) -> tuple[float, float]:
        across, up = (axes.transScale + axes.transLimits).transform((x, y))
        return across * size[0], up * size[1]

    ours, others, labels, texts = [], [], [], []
    for number, (x, shown) in enumerate(marks, start=1):
        if not x:
            continue
        here = Box(*at(x, shown.row.mean), RING, RING)
        ours.append(here)
        texts.append(str(number))
        labels.append((0.07 * len(texts[-1]), 0.1))
        if shown.row.reported is not None:
            there = Box(*at(x, shown.row.reported), RING, RING)
            line = Box(here.x, (here.y + there.y) / 2, 0.02, abs(here.y - there.y) / 2)
            others += [there, line]
    within = Box(size[0] / 2, size[1] / 2, size[0] / 2, size[1] / 2)
    line = {"arrowstyle": "-", "color": inks.faint, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3}
    for text, point, place in zip(texts, ours, beside(ours, labels, others, within), strict=True):
        axes.annotate(
            text,
            xy=(point.x / size[0], point.y / size[1]),
            xytext=(place.x / size[0], place.y / size[1]),
            xycoords="axes fraction",
            color=inks.text,
            fontsize=8,
            ha="center",
            va="center_baseline",
            arrowprops=line if place.gap(point) > 1.01 * NEAR else None,
            zorder=5,
        )


def _table(page: Any, every: Sequence[Shown], more: float, inks: Inks) -> None:
    """The networks by their measured error, each with its number and its mark."""
    from matplotlib.lines import Line2D

    width, height = page.get_size_inches()
    columns = (
        (0.2, "right", "", lambda shown: str(every.index(shown) + 1)),
        (0.5, "left", "experiment", lambda shown: shown.name),
        (more + 3.0, "left", "paper", lambda shown: shown.paper),
        (more + 4.55, "right", "reported", _reported),
        (more + 5.3, "right", "measured", lambda shown: f"{shown.row.mean:.2f}"),
        (more + 5.85, "right", "seeds", lambda shown: str(shown.row.n)),
        (more + 6.9, "right", "parameters", lambda shown: f"{shown.counts.parameters:,}"),
        (more + 8.4, "right", "multiply-adds", lambda shown: f"{shown.counts.multiply_adds:,}"),
        (more + WIDTH - 0.05, "right", "images/s", _speed),
    )
    for x, side, heading, text in columns:
        top = LINE * (len(every) + 0.5)
        facts = {"ha": side, "va": "center_baseline"}
        page.text(x / width, top / height, heading, color=inks.faint, fontsize=8.5, **facts)
        for place, shown in enumerate(every):
            y = LINE * (len(every) - place - 0.5) / height
            page.text(x / width, y, text(shown), color=inks.text, fontsize=8.8, **facts)
    for place, shown in enumerate(every):
        y = LINE * (len(every) - place - 0.45) / height
        page.add_artist(Line2D([0.36 / width], [y], **look(shown, inks)))


def _reported(shown: Shown) -> str:
    return "–" if shown.row.reported is None else f"{shown.row.reported:g}"


def _speed(shown: Shown) -> str:
    if not shown.speed:
        return "–"
    return f"{shown.speed:,.0f}" if shown.speed >= 10 else f"{shown.speed:.1f}"
