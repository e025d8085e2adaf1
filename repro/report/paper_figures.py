"""The figures of the papers, drawn again from the records of the runs."""

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from repro import spec
from repro.judging import groups, measures
from repro.report.drawing import (
    COLOURS,
    DASHES,
    INK,
    curves_of,
    draw_seeds,
    in_style,
    in_thousands,
    label_right,
    save,
    scale_by_ratios,
)


def chosen(
    figure: spec.Figure, experiments: Sequence[spec.Experiment], records: Sequence[dict], scale: str
) -> dict[str, list[dict]]:
    """The runs that `figure` is drawn from at `scale`, by experiment: plain ones of one stack.

    Of most experiments; then most runs; then the newest.
    """
    names = [name for _, names in figure.panels for name in names]
    wanted = [experiment for experiment in experiments if experiment.name in names]
    if figure.shows not in OF_PASSES:
        records = [r for r in records if (r["result"] or {}).get(f"{figure.shows}s")]
    candidates = []
    for runs in groups.stacks(records, wanted, scale).values():
        every = [run for some in runs.values() for run in some]
        newest = max(map(measures.finished, every))
        candidates.append(((len(runs), len(every), newest), runs))
    return max(candidates, key=lambda pair: pair[0])[1] if candidates else {}


def draw_figure(
    figure: spec.Figure,
    runs: Mapping[str, Sequence[Mapping]],
    path: str | os.PathLike,
    claims: Sequence[spec.Claim] = (),
) -> Path | None:
    """One of the paper's figures from the `runs` of its experiments, all of one scale.

    Every seed is a thin line and their mean a thick one. An error that one of the `claims` is about
    (`passes_to_25`) has a line of its own. What did not run is named below the title. The suffix of
    `path` sets the format. Returns None, drawing nothing, without runs. Raises RunError when the
    file cannot be written.
    """
    if not runs:
        return None
    with in_style():
        if figure.shows == "errors":
            page = _errors(figure, runs)
        elif figure.shows == "running_error":
            page = _training(figure, runs, _reached(figure, claims))
        else:
            page = _layers(figure, runs)
        return save(page, path)


def _reached(figure: spec.Figure, claims: Sequence[spec.Claim]) -> list[float]:
    """The errors that claims on the figure's experiments ask to be reached."""
    shown = {name for _, names in figure.panels for name in names}
    metrics = [c.metric for c in claims if shown.issuperset(c.needs)]
    asked = (
        m.removeprefix(measures.PASSES_TO) for m in metrics if m.startswith(measures.PASSES_TO)
    )
    return sorted({float(error) for error in asked})


def _errors(figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]]) -> Any:
    """Training error dashed, test error solid (per cent), against the iteration.

    Panels without runs are left out and named. The axis of the errors ends at the highest after
    the first tenth of the training.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = [(title, names) for title, names in figure.panels if set(names) & set(runs)]
    count, settled = len(drawn), []
    page = Figure(figsize=(4.9 * count + 0.3, 4.4))
    panels = page.subplots(1, count, sharey=True, squeeze=False)[0]
    page.subplots_adjust(left=0.6 / page.get_figwidth(), right=0.865, bottom=0.12, wspace=0.42)
    _headings(page, figure, runs, "dashed: while training; solid: test", above=0.21)
    ends, short = [], _short_names(figure)
    for axes, (title, names) in zip(panels, drawn, strict=True):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("iterations")
        labels = []
        for name, colour in _coloured(names, runs):
            dashed = curves_of(runs[name], "running_error", each=1)
            solid = curves_of(runs[name], "test_error", each=1)
            for curves, line in ((dashed, DASHES), (solid, "-")):
                if curves:
                    end = draw_seeds(axes, curves, colour, line)
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
        axes.xaxis.set_major_formatter(in_thousands)
        label_right(axes, labels)
    return page


def _training(figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]], reached: list) -> Any:
    """The error seen while training (per cent), that of a pass at its middle, all together.

    What is of the first panel is dashed. The errors in `reached` have a dotted line, with a dot
    where the mean of the seeds comes to it.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    page = Figure(figsize=(7.6, 4.4))
    axes = page.subplots()
    page.subplots_adjust(left=0.085, right=0.74, bottom=0.12)
    _headings(page, figure, runs, _lines(figure, runs), above=0.05)
    short, dashed = _short_names(figure), figure.panels[0][1]
    labels = [(error, f"{error:g} %", INK) for error in reached]
    for error in reached:
        axes.axhline(error, color=INK, linestyle=":", linewidth=1.5, zorder=1.5)
    for name, colour in _coloured(list(short), runs):
        curves = [curve for run in runs[name] if (curve := dict(measures.running_errors(run)))]
        if not curves:
            continue
        end = draw_seeds(axes, curves, colour, DASHES if name in dashed else "-")
        passes = len(min(curves, key=len))
        told = [f"{short[name]} {end:.2f} % in pass {passes}"]
        for error in reached:
            after = [measures.passes_to(error, run) for run in runs[name]]
            if None in after or math.inf in after:
                told.append(f"not {error:g} % in every run")
            else:
                _dot(axes, fmean(after), error, colour)
        labels.append((end, ", ".join(told), colour))
    axes.set(xlabel="pass", ylabel="training error (%)")
    axes.set_xlim(0, max(1, axes.get_xlim()[1]))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.yaxis.set_major_locator(MultipleLocator(5))
    label_right(axes, labels)
    return page


def _dot(axes: Any, passes: float, error: float, colour: str) -> None:
    """Marks after how many passes an error is reached."""
    axes.plot(passes, error, marker="o", markersize=6, color=colour, zorder=3)
    axes.annotate(
        f"after {passes:.1f}",
        xy=(passes, error),
        xytext=(5, 5),
        textcoords="offset points",
        color=colour,
        fontsize=9,
    )


def _layers(figure: spec.Figure, runs: Mapping[str, Sequence[Mapping]]) -> Any:
    """What a probe measured: layer by layer above, from the largest to the smallest below.

    By ratios where all values are above zero, since a few layers may respond many times as much.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    page = Figure(figsize=(7.6, 5.4))
    panels = page.subplots(2, 1, sharey=True)
    page.subplots_adjust(left=0.085, right=0.72, bottom=0.1, hspace=0.32)
    _headings(page, figure, runs, _lines(figure, runs), above=0.05)
    word, short = figure.shows.replace("_", " "), _short_names(figure)
    every = [run["result"][f"{figure.shows}s"] for some in runs.values() for run in some]
    low, high = min(map(min, every)), max(map(max, every))
    for axes, ranked in zip(panels, (False, True), strict=True):
        for place, (_, names) in enumerate(figure.panels):
            for name, colour in _coloured(names, runs):
                rows = [run["result"][f"{figure.shows}s"] for run in runs[name]]
                rows = [sorted(row, reverse=True) for row in rows] if ranked else rows
                curves = [dict(enumerate(row, start=1)) for row in rows]
                draw_seeds(axes, curves, colour, "-" if place else DASHES)
                mean = fmean(fmean(row) for row in rows)
                axes.lines[-1].set_label(f"{short[name]}, mean {mean:.2f}")
        axes.set(xlabel="layer, by size" if ranked else "layer", ylabel=word)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlim(left=0)
        if low > 0:
            scale_by_ratios(axes, low, high)
        else:
            axes.set_ylim(bottom=0)
    panels[0].legend(loc="upper left", bbox_to_anchor=(1.01, 1.03), frameon=False)
    return page


OF_PASSES = ("errors", "running_error")  # what figures show of passes; others are of a probe


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


def _headings(page: Any, figure: spec.Figure, runs: Mapping, told: str, above: float) -> None:
    """The title, and below it what the lines are, of how many seeds, of which scale, what lacks.

    The panels begin below it, by `above` inches more where they have titles of their own.
    """
    every = [run for some in runs.values() for run in some]
    counts = sorted({len(some) for some in runs.values()})
    seeds = " to ".join(str(n) for n in (counts[0], counts[-1])[: len(counts)])
    scale = every[0]["run"]["scale"]
    heading = figure.title + ("" if scale == "paper" else f", {scale} scale")
    page.suptitle(heading, x=0.02, y=0.98, ha="left", fontsize=12, fontweight="bold")
    seeds += " seed" if counts == [1] else " seeds"
    lines = [f"as {figure.source} of the paper; {told}; {seeds} each"]
    width, height = page.get_size_inches()
    lines += textwrap.wrap(_lacking(figure, runs), int(15 * width))
    for place, line in enumerate(lines):
        at = 1 - (0.5 + 0.19 * place) / height
        page.text(0.02, at, line, color="#666666", fontsize=9)
    page.subplots_adjust(top=1 - (0.62 + 0.19 * (len(lines) - 1) + above) / height)


def _lacking(figure: spec.Figure, runs: Mapping) -> str:
    """Which panels, and which experiments of the others, have no runs; nothing where all have."""
    short, lacking = _short_names(figure), []
    for title, names in figure.panels:
        absent = [short[name] for name in names if name not in runs]
        if absent:
            lacking.append(title if len(absent) == len(names) else ", ".join(absent))
    return f"not run: {'; '.join(lacking)}" if lacking else ""


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


def figure_file(paper: spec.Paper, figure: spec.Figure, scale: str) -> str:
    return f"{paper.name}-{figure.name}{'' if scale == 'paper' else f'-{scale}'}.svg"
