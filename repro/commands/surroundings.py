"""`sync`, `ui`, `data`, `doctor`: what the runs lean on."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from repro.commands import options
from repro.commands.options import Json
from repro.errors import DataError, ReproError, UsageError, accept
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
    from repro.running import summaries

    rows = []

    def told(name: str, answer: dict) -> None:
        rows.append(answer)
        if not json:
            terminal.tell(f"{name}: {answer['points']:,} points added")

    logged, roots = set(), {}
    for path, experiment in _to_log(run_dirs).items():
        try:
            with terminal.working(f"logging {path}"):
                answer = tracking.sync(path)
        except stores.TrackingError:
            raise  # it would fail for the others too
        except ReproError as error:
            if path in (run_dirs or ()):
                raise
            terminal.say(f"warning: {error}; left out")
            continue
        logged.add(experiment)
        roots[path.resolve().parent.parent] = None
        told(str(path), {"run_dir": str(path), **answer})
    for record in _kept() if records else ():
        logged.add(record["run"]["experiment"])
        answer = tracking.sync_record(record)
        told(answer["run"], answer)
    with terminal.working("summing them up"):
        for answer in summaries.sync(logged, *roots):
            told(answer["parent"], answer)
    if json:
        terminal.print_json(rows)
    elif not rows:
        print(f"no runs in {Path(RUNS).absolute()}")


def _to_log(run_dirs: list[Path] | None) -> dict[Path, str]:
    """The run directories, each with its experiment.

    Of all below runs/, those that are broken are named and left out.
    """
    from repro import terminal
    from repro.records import journal

    folders = {}
    for path in run_dirs or sorted(file.parent for file in Path(RUNS).glob("*/*/run.json")):
        try:
            folders[path] = journal.Journal.open(path).run()["experiment"]
        except ReproError as error:
            if path in (run_dirs or ()):
                raise
            terminal.say(f"warning: {error}; left out")
    return folders


def _kept() -> list[dict]:
    """The kept records."""
    from repro import terminal
    from repro.records import here, reading

    root = here.kept_in()
    return reading.records(root, lambda text: terminal.say(f"warning: {text}")) if root else []


def ui(
    port: Annotated[
        int | None, options.number("--port", 1, 65_535, metavar="N", help="Default: 5000.")
    ] = None,
):
    """MLflow's page on the logged runs, with a link to the runs of each paper."""
    from repro import terminal
    from repro.records import stores, views

    stores.installed()
    target, port = stores.uri(), port or 5000
    if target.startswith(("http://", "https://")):
        return terminal.tell(f"the runs are on a server; open its page: {stores.shown(target)}")
    if not (papers := stores.papers(target)):
        terminal.tell("no runs are logged yet; `repro sync --records` logs the kept records")
    for paper, number in papers.items():
        for view, what in ((views.TABLE, "the runs"), (views.CHARTS, "measured beside the paper")):
            terminal.tell(f"{paper}, {what}: http://localhost:{port}/{views.link(number, view)}")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"--port {port}: {error.strerror}; accepted is a free port") from None
    # In the environment: others can read what stands in a command.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": target}
    # One worker: of four, each that takes more than five seconds to start is started again.
    command = [sys.executable, "-P", "-m", "mlflow", "ui", "--workers", "1", "--port", str(port)]
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

    accept("action", action, ("list", "prepare", "check"))
    sets = datasets.available()
    names = [row["name"] for row in sets]
    if dataset is not None:
        accept("dataset", dataset, names)
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
