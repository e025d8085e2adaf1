"""The test images that every run gets wrong: a sheet of them per dataset.

It shows what is left when seeds and networks change: images that are hard, or whose label is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro import spec
from repro.errors import DataError
from repro.judging.images import SideBySide, speaking, wrong_in_all
from repro.lazy import numpy as np
from repro.records import images
from repro.report.drawing import INK, TRAINING_COLOUR, in_style, save
from repro.report.words import count_of

PROTOCOL = "single-view"  # every experiment is tested by it
COLUMNS, MOST = 10, 60
BYTES = 160_000  # of pixels, so that the file stays below 300 kB
SIDE, SMALLEST = 48, 24  # pixels of a photograph; of any image, so that places are exact
WIDTH, ROW = 8.6, 1.12  # inches: of the sheet, and how high a row is
LETTERS = 15  # under an image
NOTE = "#7A7A7A"


def by_dataset(papers: Iterable[spec.Paper]) -> dict[str, list[spec.Experiment]]:
    """The experiments of `papers` by the dataset that they are tested on."""
    tested: dict[str, list[spec.Experiment]] = {}
    for paper in papers:
        for experiment in paper.experiments:
            tested.setdefault(experiment.recipe.data.dataset, []).append(experiment)
    return tested


def sheet_file(dataset: str) -> str:
    """The name of a sheet in results/figures."""
    return f"{dataset}-hard-images.svg"


def sheets(paper: spec.Paper, root: Path) -> list[str]:
    """The sheets of the datasets that a paper's experiments are tested on, in Markdown.

    Those that are in `root`, drawn now or, where the dataset is not here, before.
    """
    paths = [(dataset, Path("figures", sheet_file(dataset))) for dataset in by_dataset([paper])]
    return [
        f"![The test images of {dataset} that every run gets wrong]({path.as_posix()})"
        for dataset, path in paths
        if (root / path).exists()
    ]


@dataclass(frozen=True, eq=False)
class Hard:
    """Images that every one of some runs gets wrong.

    numbers: int [k], their indices in the test set; first those that most of the runs take for the
    same class. guesses: int [R, k], for what each run takes them.
    """

    runs: SideBySide
    numbers: np.ndarray
    guesses: np.ndarray

    def guessed(self, place: int) -> list[tuple[int, int]]:
        """(class, how many runs) for each guess at an image, the commonest one first."""
        times = np.bincount(self.guesses[:, place])
        order = np.argsort(-times, kind="stable")
        return [(int(name), int(times[name])) for name in order if times[name]]


def of(experiments: Sequence[spec.Experiment], records: Sequence[dict]) -> Hard | None:
    """The hard images of one dataset, of the runs that speak for its experiments; None without."""
    runs = speaking(records, experiments, PROTOCOL)
    if runs is None:
        return None
    numbers = wrong_in_all(runs.wrong)
    # Of each run's guesses, which are those of its wrong images alone, the ones at `numbers`.
    guesses = np.stack(
        [
            images.guesses(record, PROTOCOL)[np.searchsorted(np.flatnonzero(wrong), numbers)]
            for record, wrong in zip(runs.records, runs.wrong, strict=True)
        ]
    )
    agreeing = np.array([np.bincount(each).max() for each in guesses.T], int)
    order = np.argsort(-agreeing, kind="stable")
    return Hard(runs, numbers[order], guesses[:, order])


def draw_sheet(
    dataset: str,
    experiments: Sequence[spec.Experiment],
    records: Sequence[dict],
    path: str | os.PathLike,
) -> Path | None:
    """Draws the images of `dataset` that every run gets wrong, each with its label and guesses.

    Of many those on whose class most runs agree. Returns None, drawing nothing, where no image is
    such (a sheet from before goes), or where the dataset is not here: nothing is prepared or
    downloaded for it. Raises DataError where the dataset here has its images in another order than
    the runs saw them, and RunError when the file cannot be written.
    """
    from repro.data import datasets, sets

    hard = of(experiments, records)
    if hard is None or not len(hard.numbers):
        Path(path).unlink(missing_ok=True)
        return None
    if not datasets.ready(dataset):
        return None
    split = _split(dataset, experiments, hard.runs)
    pictures = _pictures(split.images, hard.numbers[:MOST])
    if len(pictures) * pictures[0].nbytes > BYTES:
        pictures = pictures[: BYTES // pictures[0].nbytes // COLUMNS * COLUMNS]
    name = sets.DATASETS[dataset].class_name
    with in_style():
        from matplotlib.figure import Figure

        sheet, places = _laid_out(pictures)
        inches = WIDTH / sheet.shape[1]  # of a pixel
        title, about = _head(sets.DATASETS[dataset].title, hard, len(pictures))
        head, height = 0.3 + 0.15 * len(about), sheet.shape[0] * inches
        figure = Figure(figsize=(WIDTH, head + height))
        axes = figure.add_axes((0, 0, 1, height / (head + height)))
        axes.set_axis_off()
        axes.imshow(sheet, interpolation="none", aspect="auto")
        figure.text(0, 1, title, va="top", fontsize=11, fontweight="bold")
        for place, line in enumerate(about):
            y = 1 - (0.22 + 0.15 * place) / (head + height)
            figure.text(0, y, line, va="top", fontsize=8.5)
        for place, (x, y) in enumerate(places):
            number, below = hard.numbers[place], y + pictures.shape[1] + 0.03 / inches
            axes.text(x, y - 0.03 / inches, f"{number}", color=NOTE, va="bottom", fontsize=6.5)
            for text, ink in (
                (name(split.labels[number]), INK),
                (_guesses(hard, place, name), TRAINING_COLOUR),
            ):
                axes.text(x, below, text, color=ink, va="top", fontsize=7.2)
                below += 0.115 / inches
        return save(figure, path)


def _split(dataset: str, experiments: Sequence[spec.Experiment], runs: SideBySide) -> Any:
    """The test images and labels in the order in which the runs scored them."""
    from repro.data import datasets

    digest, count = datasets.facts(dataset)["digest"], runs.wrong.shape[1]
    for split in dict.fromkeys(experiment.recipe.data.test for experiment in experiments):
        if images.order_of(digest, split, count) == runs.order:
            return datasets.load(dataset, split)
    raise DataError(f"the test images of {dataset} here are not those that the runs scored")


def _pictures(kept: Any, numbers: np.ndarray) -> np.ndarray:
    """Some images of a test set as uint8 [n, H, W, 3]; grey ones as ink on paper."""
    from repro.data.crops import Square
    from repro.data.photographs import Photographs

    if isinstance(kept, Photographs):
        return Square(SIDE)(kept[numbers])
    some = np.asarray(kept[numbers])
    if some.shape[-1] == 3:
        return some
    ink = np.round(some * (255 / np.max(kept))).astype(np.uint8)
    larger = max(1, SMALLEST // some.shape[1])
    return np.repeat(255 - ink, 3, axis=-1).repeat(larger, axis=1).repeat(larger, axis=2)


def _laid_out(pictures: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """One image of all pictures, in rows, with white around them; (x, y) of each one's corner."""
    count, high, wide, _ = pictures.shape
    across, down = round(1.3 * wide), round(1.3 * wide * ROW * COLUMNS / WIDTH)
    rows = -(-count // COLUMNS)
    sheet = np.full((rows * down, COLUMNS * across, 3), 255, np.uint8)
    above = round(0.14 * COLUMNS * across / WIDTH)  # so that a line of text fits
    places = [(k % COLUMNS * across, k // COLUMNS * down + above) for k in range(count)]
    for (x, y), picture in zip(places, pictures, strict=True):
        sheet[y : y + high, x : x + wide] = picture
    return sheet, places


def _head(title: str, hard: Hard, shown: int) -> tuple[str, list[str]]:
    """The title, and the lines under it."""
    experiments = {record["run"]["experiment"] for record in hard.runs.records}
    many, runs = len(hard.numbers), len(hard.runs.records)
    every = "both runs" if runs == 2 else f"all {runs:,} runs"
    whole = count_of(hard.runs.wrong.shape[1], "test image")
    tested = f"{count_of(len(experiments), 'experiment')} at {hard.runs.scale} scale."
    lines = [
        f"{tested} Above each image its number in the test set, below it its label and, in orange, "
        "for what the runs take it."
    ]
    if shown < many:
        lines.append(f"Shown are {shown}, of those that most runs take for the same class.")
    return f"{title}: {many:,} of {whole} {'is' if many == 1 else 'are'} wrong in {every}", lines


def _guesses(hard: Hard, place: int, name: Callable[[int], str]) -> str:
    """The guesses at an image, or of more than fit under it the commonest one."""
    names = [name(number) for number, _ in hard.guessed(place)]
    every = ", ".join(names)
    return every if len(every) <= LETTERS else f"{names[0]} …"
