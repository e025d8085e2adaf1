"""Sheets of pictures: what `repro look` and `repro draws` place pictures and words on."""

from typing import Any

import numpy as np

WIDTH, EDGE, GAP = 9.6, 0.1, 0.22  # inches: of the sheet, its margin, between pictures
TITLE, HEADING, LABEL = 0.38, 0.42, 0.17  # inches: lines of text
FAINT, FRAME = "#666666", "#CCCCCC"  # of small text, around a picture
NOTHING = 0.93  # the grey beyond the border of an image


class Sheet:
    """A figure on which things are placed in inches, from the left and from the top."""

    def __init__(self, figure: Any, height: float):
        self.figure, self._height = figure, height

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        self.figure.text(x / WIDTH, 1 - y / self._height, text, va="top", **options)

    def heading(self, y: float, text: str, about: str) -> None:
        self.text(EDGE, y, text, fontsize=10, fontweight="bold")
        self.text(EDGE, y + 0.19, about, fontsize=8, color=FAINT)

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        place = (x / WIDTH, 1 - (y + height) / self._height)
        axes = self.figure.add_axes((*place, width / WIDTH, height / self._height))
        axes.grid(False)
        return axes

    def picture(
        self, picture: np.ndarray, x: float, y: float, width: float, height: float, **options: Any
    ) -> Any:
        axes = self.axes(x, y, width, height)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=FRAME, linewidth=0.6)
        axes.imshow(picture, interpolation="none", aspect="auto", **options)
        return axes


def coloured(pictures: np.ndarray) -> np.ndarray:
    """Pictures [n, h, w, C] from 0 to 1 as RGB; grey ones as ink on paper, nan as light grey."""
    if pictures.shape[-1] == 1:
        pictures = np.repeat(1 - pictures, 3, axis=-1)
    return np.where(np.isnan(pictures), NOTHING, np.clip(pictures, 0, 1))
