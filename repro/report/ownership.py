"""Whose a file in results/ is: what somebody else made is never overwritten."""

from collections.abc import Iterable
from pathlib import Path

from repro import files
from repro.errors import UsageError
from repro.report.drawing import MADE_BY

PAGE_SAYS = "by `repro results`"  # "Made by ...", "Made from [bench.json](bench.json) by ..."
TABLE_BEGINS = "paper,experiment,scale,seed,"
# Figures from before they named their maker have neither a date nor a creator, which Matplotlib
# writes unless it is told not to.
FORMER_FIGURE = '<g id="figure_1">'
NAMED = ("<dc:date>", "<dc:creator>")


def refuse_foreign(paths: Iterable[Path]) -> None:
    """Raises UsageError where a file that is to be written is there and was not made by us."""
    foreign = [path for path in paths if path.is_symlink() or (path.exists() and not _ours(path))]
    if not foreign:
        return
    more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
    raise UsageError(
        f"{foreign[0]}{more} was not made by `repro results`; nothing is written: move it away, or "
        "write elsewhere with --out DIR"
    )


def _ours(path: Path) -> bool:
    try:
        text = files.read_bytes(path).decode()
    except (OSError, ValueError):
        return False
    if path.suffix == ".md":
        return PAGE_SAYS in text
    if path.suffix == ".json":
        return PAGE_SAYS in text or ('"contenders"' in text and '"ratios"' in text)
    if path.suffix == ".csv":
        return text.startswith(TABLE_BEGINS)
    if path.suffix == ".svg":
        unnamed = not any(word in text for word in NAMED)
        return f"<dc:title>{MADE_BY}</dc:title>" in text or (unnamed and FORMER_FIGURE in text)
    return False
