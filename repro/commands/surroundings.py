"""`sync`, `ui`, `data`, `doctor`: what the runs lean on."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from repro import catalog
from repro.commands import options
from repro.commands.options import Json
from repro.errors import DataError, ReproError, UsageError
from repro.records import RUNS


def sync(
    run_dirs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN_DIR]...", help=f"Default: {RUNS}/*/*")
    ] = None,
    records: Annotated[
        bool,
        typer.Option("--records", help="The records in results/, or those of the program, too."),
    ] = False,
    json: Json = False,
):
    """Bring MLflow up to date with the runs; what is there already is not added."""
    from repro import terminal
    from repro.records import stores, tracking

    rows = []

    def told(name: str, answer: dict) -> None:
        rows.append(answer)
        if not json:
            terminal.tell(f"{name}: {answer['points']:,} points added")

    for path, verdict in _to_log(run_dirs):
        try:
            with terminal.working(f"logging {path}"):
                answer = tracking.sync(path, verdict=verdict)
        except stores.TrackingError:
            raise  # it would fail for the others too
        except ReproError as error:
            if path in (run_dirs or ()):
                raise
            terminal.say(f"warning: {error}; left out")
            continue
        told(str(path), {"run_dir": str(path), **answer})
    if records:
        kept, verdicts = _kept()
        for answer in tracking.sync_records(kept, verdicts):
            told(answer["run"], answer)
    if json:
        terminal.print_json(rows)
    elif not rows:
        print(f"no runs in {Path(RUNS).absolute()}")


def _to_log(run_dirs: list[Path] | None) -> Iterator[tuple[Path, str]]:
    """The run directories, each with the verdict that it counts in.

    Of all below runs/, those that are broken are named and left out.
    """
    from repro import terminal
    from repro.judging import verdict
    from repro.records import journal, reading

    folders, ids = run_dirs or [], {}
    for path in folders or sorted(file.parent for file in Path(RUNS).glob("*/*/run.json")):
        try:
            ids[path] = journal.Journal.open(path).run()["id"]
        except ReproError as error:
            if path in folders:
                raise
            terminal.say(f"warning: {error}; left out")
    verdicts = {}
    if any((path / "result.json").exists() for path in ids):
        roots = dict.fromkeys(path.resolve().parent.parent for path in ids)
        # What is broken among them is named when it is its turn to be logged.
        records = reading.gather(None, RUNS, *roots, warn=lambda text: None)
        verdicts = verdict.of_runs(verdict.table(records, catalog.experiments()))
    for path, run_id in ids.items():
        yield path, verdicts.get(run_id, "")


def _kept() -> tuple[list[dict], dict[str, str]]:
    """The kept records, and the verdicts that they count in, by run id."""
    from repro.judging import verdict
    from repro.records import here, reading

    verdicts = verdict.of_runs(verdict.table(here.gather(), catalog.experiments()))
    root = here.kept_in()
    # what is broken was named when all were gathered
    return (reading.records(root, warn=lambda _: None) if root else []), verdicts


def ui(
    port: Annotated[
        int | None, options.number("--port", 1, 65_535, metavar="N", help="Default: 5000.")
    ] = None,
):
    """MLflow's page on the logged runs, with a link to the runs of each paper."""
    from repro import terminal
    from repro.records import stores

    stores.installed()
    target, port = stores.uri(), port or 5000
    if target.startswith(("http://", "https://")):
        return terminal.tell(f"the runs are on a server; open its page: {stores.shown(target)}")
    if not (papers := stores.papers(target)):
        terminal.tell("no runs are logged yet; `repro sync --records` logs the kept records")
    for paper, number in papers.items():
        page = f"http://localhost:{port}/#/experiments/{number}/runs"
        terminal.tell(f"{paper}: {page}?{stores.VIEW_QUERY}")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"--port {port}: {error.strerror}; accepted is a free port") from None
    # In the environment: others can read what stands in a command.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": target}
    command = [sys.executable, "-P", "-m", "mlflow", "ui", "--port", str(port)]
    os.execve(sys.executable, command, environment)


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
