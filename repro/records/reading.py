"""The records of runs: read from results/ and from run directories.

A record is one JSON document per run that ended: {"run": ..., "passes": [...], "result": ...}, the
three files of its run directory. Of a run that failed, `result` is null and `failure` says why.
A record or run directory that is broken is left out, with a warning that names it.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import repro
from repro.errors import DataError, ReproError
from repro.files import parse_json, put, read_bytes, reason
from repro.records import documents
from repro.records.documents import SEAL, seal_of
from repro.records.journal import Journal

KEPT_SCALES = ("short", "paper")

Warn = Callable[[str], None]


def _print(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


class Records(list):
    """Records, and where they come from: (how many, what, folder) for each place."""

    def __init__(self, records: list[dict], places: list[tuple[int, str, Path]]):
        super().__init__(records)
        self.places = places

    def origin(self) -> str:
        """Which records these are: "104 records from /a/results, 2 runs from /a/runs"."""
        return ", ".join(
            f"{count} {what if count == 1 else what + 's'} from {folder}"
            for count, what, folder in self.places
        )

    def absence(self) -> str:
        """Where there are none: "no records of runs in /a/results or /a/runs"."""
        return f"no records of runs in {' or '.join(str(folder) for _, _, folder in self.places)}"


def committed() -> Path | None:
    """The records that come with this program, packed into it or in the clone that it runs from."""
    package = Path(repro.__file__).parent
    clone = package.parent / "results"
    if (package / "committed" / "runs").is_dir():
        return package / "committed"
    ours = (package.parent / "pyproject.toml").is_file() and (clone / "runs").is_dir()
    return clone if ours else None


def records(results_root: str | os.PathLike, warn: Warn = _print) -> list[dict]:
    """All run records below `results_root`/runs, in the order of their file names."""
    return [record for _, record in recorded(results_root, warn)]


def gather(
    results_root: str | os.PathLike | None,
    *runs_roots: str | os.PathLike,
    warn: Warn = _print,
) -> Records:
    """The records of `results_root`, and the short and paper runs that are not among them yet.

    Without a `results_root` only the latter. These are the runs below `runs_roots` that have ended.
    """
    places = []
    merged: dict[str, dict] = {}
    if results_root:
        for path, record in recorded(results_root, warn):
            if record["run"]["id"] in merged:
                warn(f"{path} is left out: another record is of the same run")
            merged.setdefault(record["run"]["id"], record)
        places.append((len(merged), "record", Path(results_root).absolute()))
    for root in dict.fromkeys(Path(root).absolute() for root in runs_roots):
        before = len(merged)
        _name_broken(root, warn)
        for folder in _ended(root):
            record = _run_below(folder, warn)
            if record is None or record["run"]["scale"] not in KEPT_SCALES:
                continue
            present = merged.get(record["run"]["id"])
            if present is None or _newer(record, present):
                merged[record["run"]["id"]] = record
        places.append((len(merged) - before, "run", root))
    return Records(list(merged.values()), places)


def read_run(run_dir: str | os.PathLike) -> dict:
    """The record of one run directory; `result` is None while the run is unfinished.

    Raises DataError for a file that cannot be read.
    """
    try:
        return Journal(run_dir).record()
    except ReproError as error:
        raise DataError(str(error)) from None


def collect(
    runs_root: str | os.PathLike, results_root: str | os.PathLike, warn: Warn = _print
) -> list[Path]:
    """Copies the short and paper runs of `runs_root` that ended and have no record yet.

    Returns the new files. A record that is there already is never touched, but for that of a run
    that failed and, resumed, has finished since. Raises RunError where one cannot be written.
    """
    added = []
    for folder in _ended(runs_root):
        record = _run_below(folder, warn)
        if record is None or record["run"]["scale"] not in KEPT_SCALES:
            continue
        target = _place(record, folder.name, Path(results_root, "runs"))
        if os.path.lexists(target):
            try:
                present = _read_record(target)
            except DataError as error:
                warn(f"{error}; it is left as it is")
                continue
            if not _newer(record, present):
                continue
        sealed = {**record, SEAL: seal_of(record)}
        text = json.dumps(sealed, indent=1, ensure_ascii=False) + "\n"
        put(target, text, within=Path(results_root))
        added.append(target)
    return added


def _place(record: dict, folder: str, root: Path) -> Path:
    """The file for a record; where one of another run has its name, a name with the run's id."""
    place = root / record["run"]["experiment"] / f"{folder}.json"
    try:
        if _read_record(place)["run"]["id"] != record["run"]["id"]:
            return place.with_name(f"{folder}-{record['run']['id'][:8]}.json")
    except DataError:
        pass
    return place


def _run_below(folder: Path, warn: Warn) -> dict | None:
    """The record of a run directory among others; None, and a warning, where it is broken."""
    try:
        record = read_run(folder)
    except DataError as error:
        warn(f"left out: {error}")
        return None
    experiment = record["run"]["experiment"]
    if documents.DIRECTORY.fullmatch(folder.name) and folder.parent.name != experiment:
        warn(f"left out: {folder} is a run of {experiment}, which belongs in a folder of that name")
        return None
    return record


def _ended(runs_root: str | os.PathLike) -> list[Path]:
    """The run directories that have a result or a failure; one that was interrupted has neither."""
    files = ("result.json", "failure.json")
    return sorted(
        folder
        for folder in Path(runs_root).glob("*/*")
        if any(os.path.lexists(folder / name) for name in files)  # a link that leads nowhere too
    )


def _name_broken(runs_root: Path, warn: Warn) -> None:
    """Warns of directories that look like a run that has not ended, and are none."""
    ended = set(_ended(runs_root))
    for folder in sorted(set(Path(runs_root).glob("*/*")) - ended):
        if os.path.lexists(folder / "run.json"):
            try:
                Journal.open(folder)
            except ReproError as error:
                warn(f"left out: {error}")


def _newer(record: dict, present: dict) -> bool:
    return bool(record["result"]) and not present["result"]


def recorded(results_root: str | os.PathLike, warn: Warn) -> Iterator[tuple[Path, dict]]:
    """(file, record) of all run records below `results_root`/runs that are sound."""
    for path in sorted(Path(results_root, "runs").glob("*/*.json")):
        try:
            yield path, _read_record(path)
        except DataError as error:
            warn(f"left out: {error}")


def _read_record(path: Path) -> dict:
    """Raises DataError for a file that is not the record of a run that ended."""
    try:
        document = parse_json(read_bytes(path, within=path.parents[1]))
        sealed = document.pop(SEAL, None) if isinstance(document, dict) else None
        record = documents.whole_record(document, sealed)
        run = record["run"]
        documents.hold_to_name(run, path.stem)
        if sealed is None:
            documents.hold_to_command(run)
        if path.parent.name != run["experiment"]:
            raise ValueError(f"is of {run['experiment']}, but lies in {path.parent.name}/")
    except (OSError, ValueError) as error:
        raise DataError(f"not the record of a run that ended: {reason(error, path)}") from None
    return record
