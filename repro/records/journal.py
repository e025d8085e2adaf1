"""The run directory: the record of truth, from which MLflow and `results/` are made.

run.json        the resolved experiment, versions, devices, data; written first
metrics.jsonl   one line per pass, flushed as it happens
checkpoints/    the last two states (`repro.training.checkpoint`)
result.json     final metrics; written once, last
failure.json    instead of it, why and where a run failed
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.errors import RunError, UsageError
from repro.files import read_json, write_json, write_text

# What every run.json has, so that a run can be gone on with, judged and logged.
FACTS = frozenset({"id", "paper", "experiment", "scale", "seed", "overrides", "digest", "resolved"})


class Journal:
    """The files of one run directory."""

    def __init__(self, run_dir: str | os.PathLike):
        self.path = Path(run_dir)
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"

    @classmethod
    def create(cls, out: str | os.PathLike, experiment: str, scale: str, seed: int) -> "Journal":
        """A new, empty run directory below `out`. Raises UsageError if it cannot be written."""
        stem = f"{scale}-seed{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            for attempt in range(100):
                name = stem if attempt == 0 else f"{stem}-{attempt + 1}"
                journal = cls(Path(out) / experiment / name)
                try:
                    journal.checkpoints.mkdir(parents=True)
                except FileExistsError:
                    if not journal.path.is_dir():
                        raise
                    continue
                journal.figures.mkdir()
                return journal
        except OSError as error:
            raise UsageError(
                f"--out {out}: cannot be written ({error.strerror}); accepted is a writable folder"
            ) from None
        raise UsageError(f"--out {out}: {stem} exists a hundred times over")

    @classmethod
    def open(cls, run_dir: str | os.PathLike) -> "Journal":
        """An existing run directory. Raises UsageError if it is none."""
        journal = cls(run_dir)
        try:
            facts = journal.run()
            if not isinstance(facts, dict) or not facts.keys() >= FACTS:
                raise ValueError
        except (OSError, ValueError):
            raise UsageError(
                f"{run_dir}: not a run directory (no readable run.json); accepted is "
                "runs/<experiment>/<scale>-seed<k>-<time>"
            ) from None
        return journal

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Held by the process that trains; raises UsageError while another one does."""
        with open(self.path / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"{self.path}: is being trained by another process") from None
            yield

    def run(self) -> dict:
        return json.loads((self.path / "run.json").read_text())

    def write_run(self, facts: Mapping[str, Any]) -> None:
        write_json(self.path / "run.json", facts)

    def passes(self) -> list[dict]:
        """The lines of metrics.jsonl; a last line that was cut off by a crash is left out."""
        lines = []
        try:
            text = (self.path / "metrics.jsonl").read_text()
        except FileNotFoundError:
            return lines
        for number, line in enumerate(text.splitlines(keepends=True), start=1):
            if line.endswith("\n"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    raise RunError(
                        f"{self.path}/metrics.jsonl: line {number} is damaged; remove it and what "
                        "follows, then resume"
                    ) from None
        return lines

    def append(self, line: Mapping[str, Any]) -> None:
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def keep(self, passes: int) -> None:
        """Forgets what came after the first `passes` lines: a resumed run writes them again."""
        kept = self.passes()[:passes]
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def result(self) -> dict | None:
        return read_json(self.path / "result.json")

    def finish(self, result: Mapping[str, Any]) -> None:
        write_json(self.path / "result.json", result)

    def failure(self) -> dict | None:
        return read_json(self.path / "failure.json")

    def going_on(self) -> None:
        """A run that failed has been taken up again."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def fail(self, failure: Mapping[str, Any]) -> None:
        write_json(self.path / "failure.json", failure)
