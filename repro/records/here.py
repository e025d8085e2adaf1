"""The records that commands read where they run, and saying where these lie."""

import os
from pathlib import Path

from repro import terminal
from repro.records import RESULTS, RUNS, reading


def gather() -> reading.Records:
    """All records there are, and a line on standard error about where they come from."""
    records = read(lambda text: terminal.say(f"warning: {text}"))
    if records:
        terminal.say(f"read: {records.origin()}")
    else:
        terminal.say(records.absence())
    return records


def read(warn: reading.Warn, runs: str | os.PathLike = RUNS) -> reading.Records:
    """The records in results/ of the working folder, and the runs in `runs`.

    Where the folder has none, those that came with the program. What cannot be read is left out
    and named to `warn`.
    """
    return reading.gather(kept_in(), runs, warn=warn)


def kept_in() -> Path | None:
    """The folder of the kept records: results/ here, or else what came with the program."""
    results = Path(RESULTS)
    return results if (results / "runs").is_dir() else reading.committed()
