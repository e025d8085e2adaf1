"""What training sees of an image, as one sheet of pictures (`repro draws`)."""

import os
import textwrap
from pathlib import Path

import numpy as np

from repro.report.drawing import in_style, save
from repro.report.sheet import EDGE, FAINT, GAP, HEADING, LABEL, TITLE, WIDTH, Sheet, coloured

ACROSS = 4  # draws in a row
KEPT, DRAWN = 2.7, 1.55  # inches: the width of the image as stored, of a draw
IN_A_LINE, LINE = 150, 0.15  # letters of small text, inches
OUTLIERS = 0.002  # of the values, at either end, are drawn like those next to them


def draw(
    kept: np.ndarray,
    white: float,
    drawn: np.ndarray,
    title: str,
    heading: str,
    about: str,
    path: str | os.PathLike,
) -> Path:
    """Draws an image [H, W, C], 0 to `white`, and beside it draws of it, float [n, h, w, C].

    All draws have one scale: the same number is as bright in each. about: what is done to the
    image. The format is that of the suffix of `path` (.svg or .png). Raises RunError where the file
    cannot be written.
    """
    lines = textwrap.wrap(about, IN_A_LINE)
    low, high = (float(v) for v in np.quantile(drawn, [OUTLIERS, 1 - OUTLIERS]))
    pictures = coloured((drawn - low) / (high - low or 1))
    top = TITLE + HEADING + LINE * (len(lines) - 1) + LABEL
    tall = DRAWN * drawn.shape[1] / drawn.shape[2]
    below = KEPT * kept.shape[0] / kept.shape[1]
    height = top + max(-(-len(drawn) // ACROSS) * (tall + GAP / 4), below) + EDGE
    lowest, highest = ("white", "black") if drawn.shape[-1] == 1 else ("black", "white")
    with in_style():
        from matplotlib.figure import Figure

        sheet = Sheet(Figure(figsize=(WIDTH, height)), height)
        sheet.text(EDGE, 0, title, fontsize=12, fontweight="bold")
        sheet.heading(TITLE, heading, "\n".join(lines))

        def label(x: float, text: str) -> None:
            sheet.text(x, top - LABEL + 0.05, text, fontsize=7.5, color=FAINT)

        label(EDGE, f"as stored: {kept.shape[1]}x{kept.shape[0]} pixels")
        sheet.picture(coloured(kept[None] / white)[0], EDGE, top + 0.05, KEPT, below)
        left = EDGE + KEPT + GAP
        size = f"{drawn.shape[2]}x{drawn.shape[1]}"
        ends = f"{low:.3g} is {lowest}, {high:.3g} is {highest}"
        label(left, f"as the network sees it in training: {size}; {ends}")
        for place, picture in enumerate(pictures):
            row, column = divmod(place, ACROSS)
            x, y = left + column * (DRAWN + GAP / 4), top + 0.05 + row * (tall + GAP / 4)
            sheet.picture(picture, x, y, DRAWN, tall)
        return save(sheet.figure, path)
