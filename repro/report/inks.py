"""The colours of figures that are drawn twice, for light and for dark pages."""

from dataclasses import dataclass

from repro.judging import verdict


@dataclass(frozen=True)
class Inks:
    """The colours for pages of one kind.

    verdicts: in the order of verdict.SETTLED. papers: one after the other, over and over.
    """

    page: str
    text: str
    faint: str
    rule: str
    band: str
    verdicts: tuple[str, ...]
    papers: tuple[str, ...]

    def of(self, word: str) -> str:
        return self.verdicts[verdict.SETTLED.index(word)]


# Okabe and Ito's colours, darker on white and lighter on black, so that words in them can be read.
LIGHT = Inks(
    page="#FFFFFF",
    text="#1F2328",
    faint="#59636E",
    rule="#D8DEE4",
    band="#EAF1F7",
    verdicts=("#0072B2", "#007A5A", "#BC4C00", "#6E6E6E"),
    papers=("#0072B2", "#BC4C00", "#007A5A", "#8250DF", "#946C00", "#BF3989"),
)
DARK = Inks(
    page="#0D1117",
    text="#E6EDF3",
    faint="#9198A1",
    rule="#30363D",
    band="#16283A",
    verdicts=("#56B4E9", "#2FC79A", "#F0883E", "#B4B9BF"),
    papers=("#56B4E9", "#F0883E", "#2FC79A", "#B79CFF", "#E3B341", "#F778BA"),
)
