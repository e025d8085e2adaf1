"""`sync`, `data`, `doctor`: what the runs lean on."""

from pathlib import Path
from typing import Annotated

import typer

from repro import catalog
from repro.commands import options
from repro.commands.options import Json
from repro.errors import DataError, UsageError
from repro.records import RUNS


def sync(
    run_dirs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN_DIR]...", help=f"Default: {RUNS}/*/*")
    ] = None,
    json: Json = False,
):
    """Bring MLflow up to date with the run directories; what is there already is not added."""
    from repro import terminal
    from repro.judging import verdict
    from repro.records import journal, reading, tracking

    folders = run_dirs or sorted(path.parent for path in Path(RUNS).glob("*/*/run.json"))
    roots = dict.fromkeys(path.resolve().parent.parent for path in folders)
    verdicts = {}
    if any((path / "result.json").exists() for path in folders):
        records = reading.gather(None, RUNS, *roots)
        verdicts = verdict.of_runs(verdict.table(records, catalog.experiments()))
    rows = []
    for path in folders:
        run_id = journal.Journal.open(path).run()["id"]
        with terminal.working(f"logging {path}"):
            synced = tracking.sync(path, verdict=verdicts.get(run_id, ""))
        rows.append({"run_dir": str(path), **synced})
        if not json:
            print(f"{path}: {synced['points']:,} points added")
    if json:
        terminal.print_json(rows)
    elif not folders:
        print(f"no runs in {Path(RUNS).absolute()}")


def data(
    action: Annotated[str, typer.Argument(metavar="[list|prepare|check]")] = "list",
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]")] = None,
    json: Json = False,
):
    """The datasets: what is there, get it, verify it."""
    from repro import terminal
    from repro.commands import texts
    from repro.data import datasets
    from repro.running import train

    options.accept("action", action, ("list", "prepare", "check"))
    sets = datasets.available()
    names = [row["name"] for row in sets]
    if dataset is not None:
        options.accept("dataset", dataset, names)
        sets = [row for row in sets if row["name"] == dataset]
    if action == "prepare":
        if dataset is None:
            raise UsageError(f"data prepare: which dataset? accepted: {', '.join(names)}")
        for folder in datasets.sweep():
            terminal.say(f"removed what a killed preparation left: {folder}")
        train.prepare(dataset)
        sets = [row for row in datasets.available() if row["name"] == dataset]
    if action == "check":
        return _check([row for row in sets if dataset or row["state"] != "missing"], json)
    if json:
        return terminal.print_json(sets)
    columns = ("name", "version", "title", "state", "examples", "path")
    rows = [[texts.value({**row, "examples": _counts(row)}[c]) for c in columns] for row in sets]
    terminal.print_table(columns, rows)


def _check(sets: list[dict], json: bool) -> int:
    from repro import terminal
    from repro.data import datasets

    problems = {}
    for row in sets:
        with terminal.Counter(f"checking {row['name']}", "examples") as counter:
            problems[row["name"]] = datasets.check(row["name"], counter)
    if json:
        terminal.print_json(problems)
    else:
        for name, lines in problems.items():
            for line in lines or [datasets.standing(name)]:
                terminal.tell(f"{name}: {line}")
    return DataError.exit_code if any(problems.values()) else 0


def _counts(row: dict) -> dict:
    """Examples per split of a dataset: "6,000 of 9,469" where only some are here."""
    here, official = row["examples"], row["official"]
    return {k: n if n == official[k] else f"{n:,} of {official[k]:,}" for k, n in here.items()}


def doctor(json: Json = False):
    """Versions, devices, data, tracking server, disk: what works and what does not."""
    from repro import doctor, terminal

    with terminal.working("looking around"), terminal.muffled():
        checks = doctor.report()
    if json:
        terminal.print_json(checks)
    else:
        words = {True: "ok", False: "NOT OK"}
        rows = [(c["name"], words.get(c["ok"], "-"), c["detail"]) for c in checks]
        terminal.print_table(("what", "state", "detail"), rows)
    return any(c["ok"] is False for c in checks)
