"""The records that a command reads, and saying where they lie."""

from pathlib import Path

from repro import terminal
from repro.commands.options import RESULTS, RUNS
from repro.records import reading


def gather() -> list[dict]:
    """All records there are; what cannot be read is named and left out."""
    records = reading.gather(results_root(), RUNS)
    terminal.say(where(records))
    return records


def results_root() -> Path:
    """results/ in the working folder, or else the one that came with the code."""
    here = Path(RESULTS)
    shipped = Path(__file__).parents[2] / RESULTS
    return here if (here / "runs").is_dir() or not shipped.is_dir() else shipped


def where(records: list[dict]) -> str:
    """How many records were read, from where, in a line."""
    places = f"{results_root().absolute()} and {Path(RUNS).absolute()}"
    if not records:
        return f"no records of runs in {places}"
    return f"{len(records):,} records of runs, from {places}"
