"""The run directory: the record of truth, from which MLflow and `results/` are made.

run.json        the resolved experiment, versions, devices, data; written first
metrics.jsonl   one line per pass, flushed as it happens
checkpoints/    the last two states (`repro.training.checkpoint`)
result.json     final metrics; written once, last
failure.json    instead of it, why and where a run failed

Whatever is read of it has been checked (`repro.records.documents`). Nothing outside of the
directory is read or written through a link in it.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.errors import RunError, UsageError
from repro.files import (
    append_text,
    ordinary,
    parse_json,
    read_bytes,
    reason,
    write_bytes,
    write_json,
    write_text,
)
from repro.jsonable import as_json, as_text
from repro.locks import Held, locked
from repro.records import documents
from repro.records.documents import SEAL, RunFacts, seal_of
from repro.records.shape import Damaged

ASIDE = re.compile(r"\..+\.\d+(-[0-9a-f]{8})?")  # what a process that was killed left half written
SECONDS_TO_WRITE = 60.0  # after which a file that lies aside is nobody's


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
        journal.facts()
        return journal

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Held by the process that trains; raises UsageError while another one does."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locked(self.path))
            except Held as error:
                who = error.strerror
                raise UsageError(f"{self.path}: is being trained by {who}") from None
            except OSError as error:
                raise UsageError(
                    f"{self.path}/.lock cannot be written ({error.strerror}); remove it, or make "
                    "the run directory writable"
                ) from None
            self._tidy()
            yield

    # ---------------------------------------------------------------------- run.json

    def facts(self) -> RunFacts:
        """What the run is. Raises UsageError where run.json cannot be read or was changed."""
        try:
            plain = parse_json(self._read("run.json"))
            return documents.run_facts(plain, self.path)
        except FileNotFoundError:
            why = "no run.json"
        except (OSError, ValueError) as error:
            why = reason(error, "run.json")
        raise UsageError(
            f"{self.path}: not a run directory ({why}); accepted is "
            "runs/<experiment>/<scale>-seed<k>-<time>"
        )

    def run(self) -> dict:
        """All that run.json says. Raises UsageError as `facts` does."""
        return dict(self.facts().plain)

    def write_run(self, facts: Mapping[str, Any]) -> None:
        """Raises RunError; then no half-made run directory stays behind."""
        facts = {key: value for key, value in as_text(as_json(facts)).items() if key != SEAL}
        try:
            self._write_json("run.json", {**facts, SEAL: seal_of(facts)})
        except OSError as error:
            for part in (self.checkpoints, self.figures, self.path / ".lock", self.path):
                with contextlib.suppress(OSError):
                    part.rmdir() if part.is_dir() else part.unlink()
            raise RunError(f"{self.path} cannot be written: {error.strerror}") from None

    # ---------------------------------------------------------------------- metrics.jsonl

    def passes(self) -> list[dict]:
        """The lines of metrics.jsonl; a last line that was cut off by a crash is left out.

        Raises RunError where a line is damaged, missing or out of turn.
        """
        lines = []
        try:
            content = self._read("metrics.jsonl")
            for line in content.split(b"\n")[:-1]:
                lines.append(parse_json(line))
            return documents.passes_of(lines)
        except FileNotFoundError:
            return []
        except Damaged as error:
            raise self._damaged(f"metrics.jsonl {error}") from None
        except ValueError as error:
            raise self._damaged(f"line {len(lines) + 1} of metrics.jsonl {error}") from None
        except OSError as error:
            raise self._damaged(reason(error, "metrics.jsonl")) from None

    def _damaged(self, what: str) -> RunError:
        """Says what helps: a checkpoint keeps the lines that were written before it."""
        if ordinary(self.checkpoints, "update-*.ckpt"):
            helps = f"this mends it from the newest checkpoint: repro resume {self.path}"
        else:
            helps = "without a checkpoint it cannot be mended: train this run again"
        return RunError(f"{self.path}: {what}; {helps}")

    def append(self, line: Mapping[str, Any]) -> None:
        """Raises OSError; the file is then as it was."""
        text = json.dumps(as_json(line), allow_nan=False)
        append_text(self.path / "metrics.jsonl", text + "\n", within=self.path)

    def write_passes(self, lines: list[dict]) -> None:
        """Writes all lines anew: a resumed run has those that its checkpoint knows."""
        text = "".join(json.dumps(as_json(line), allow_nan=False) + "\n" for line in lines)
        write_text(self.path / "metrics.jsonl", text, within=self.path)

    # ---------------------------------------------------------------------- how it ended

    def result(self) -> dict | None:
        """What a finished run reached. Raises RunError where result.json is damaged."""
        return self._ending("result.json", documents.RESULT)

    def finish(self, result: Mapping[str, Any]) -> None:
        self._end("result", result)

    def failure(self) -> dict | None:
        """Why the run failed. Raises RunError where failure.json is damaged."""
        return self._ending("failure.json", documents.FAILURE)

    def resumed(self) -> None:
        """A run that failed has been taken up again. Raises RunError."""
        try:
            (self.path / "failure.json").unlink(missing_ok=True)
        except OSError as error:
            said = reason(error, self.path / "failure.json")
            raise RunError(f"{said}; remove it, then resume") from None

    def fail(self, failure: Mapping[str, Any]) -> None:
        self._end("failure", failure)

    def record(self) -> dict:
        """The record of the run: its three files, held against each other.

        `result` is None while the run is unfinished; of one that failed, `failure` says why.
        Raises UsageError and RunError.
        """
        record = {"run": self.run(), "passes": self.passes(), "result": self.result()}
        ended = "result"
        if not record["result"]:
            failure = self.failure()
            if not failure:
                return record
            record["failure"], ended = failure, "failure"
        try:
            return documents.whole_record(record, self._seal(f"{ended}.json"))
        except Damaged as error:
            raise RunError(
                f"{self.path}: its {ended} {error}; remove {self.path}/{ended}.json, then: "
                f"repro resume {self.path}"
            ) from None

    def logged(self) -> dict | None:
        """Where the run is found in MLflow; None too where mlflow.json is damaged: it is a copy."""
        try:
            return documents.LOGGED(parse_json(self._read("mlflow.json")), "mlflow")
        except (OSError, ValueError):
            return None

    def _end(self, name: str, content: Mapping[str, Any]) -> None:
        content = as_text(as_json(content))
        with contextlib.suppress(RunError, UsageError):  # what was reached is written all the same
            record = {"run": self.run(), "passes": self.passes(), "result": None, name: content}
            content = {**content, SEAL: seal_of(record)}
        self._write_json(f"{name}.json", content)

    def _ending(self, name: str, check) -> dict | None:
        try:
            document = check(parse_json(self._read(name)), name.removesuffix(".json"))
            return {key: value for key, value in document.items() if key != SEAL}
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            said = reason(error, self.path / name)
            raise RunError(f"{said}; remove that file, then: repro resume {self.path}") from None

    def _seal(self, name: str) -> str | None:
        return parse_json(self._read(name)).get(SEAL)

    # ---------------------------------------------------------------------- files

    def write(self, name: str, content: bytes) -> None:
        """Writes a file of the directory, such as "figures/curves.svg". Raises OSError."""
        write_bytes(self.path / name, content, within=self.path)

    def _read(self, name: str) -> bytes:
        return read_bytes(self.path / name, within=self.path)

    def _write_json(self, name: str, value: Any) -> None:
        write_json(self.path / name, value, within=self.path)

    def _tidy(self) -> None:
        """Removes what processes that were killed while they wrote have left."""
        for folder in (self.path, self.checkpoints, self.figures):
            for path in ordinary(folder, ".*"):
                with contextlib.suppress(OSError):
                    if ASIDE.fullmatch(path.name):
                        mine = folder == self.checkpoints  # nobody else writes there
                        if mine or time.time() - path.stat().st_mtime > SECONDS_TO_WRITE:
                            path.unlink()
