"""The store that MLflow logs to: where it is, whether it answers, and its errors in a line."""

import contextlib
import fcntl
import importlib.util
import logging
import os
import socket
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from repro.errors import RunError

DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class TrackingError(RunError):
    """MLflow could not be brought up to date; the run directory has everything."""


def uri() -> str:
    """Where runs are logged: MLFLOW_TRACKING_URI, or else `mlflow.db` in the working directory."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    return given or f"sqlite:///{Path('mlflow.db').absolute()}"


def installed() -> None:
    if importlib.util.find_spec("mlflow") is None:
        raise TrackingError("MLflow is not installed (pip install mlflow)")


def check(timeout: float = 3.0) -> str:
    """Says in a few words that the tracking store answers; raises TrackingError if it does not.

    A SQLite file is looked at without MLflow, which would create it.
    """
    installed()
    target = uri()
    with as_tracking_errors(target), quiet(timeout):
        _reachable(target, timeout)
        path = sqlite_path(target)
        if path is None:
            client_of(target).search_experiments(max_results=1)
            return f"{shown(target)} answers"
        if not path.exists():
            return f"{shown(target)} will be created by the first run"
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'runs'")
            if tables.fetchone() is None:
                return f"{shown(target)} is empty"
            count = database.execute(
                "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'"
            ).fetchone()[0]
        return f"{shown(target)} holds {count} run{'' if count == 1 else 's'}"


def shown(target: str) -> str:
    """The address `target` without user name and password."""
    host = urlsplit(target).netloc
    return target.replace(host, host.rpartition("@")[2], 1) if "@" in host else target


def client_of(target: str) -> Any:
    from mlflow import MlflowClient

    # Alembic announces each of some forty migrations, and MLflow that it begins them.
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=target)


def sqlite_path(target: str) -> Path | None:
    if not target.startswith("sqlite:///"):
        return None
    return Path(target.removeprefix("sqlite:///").partition("?")[0]).absolute()


def _reachable(target: str, timeout: float) -> None:
    """Fails at once for a database that MLflow would try to open for two minutes.

    HTTP servers are left to MLflow, which knows about proxies and answers in time.
    """
    path = sqlite_path(target)
    if path is not None and path.exists():
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as database:
            database.execute("PRAGMA schema_version")  # reads the header: is it SQLite at all?
        if not os.access(path, os.W_OK):
            raise PermissionError(f"{path} cannot be written")
    parts = urlsplit(target)
    port = DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port and parts.hostname:
        with socket.create_connection((parts.hostname, parts.port or port), timeout):
            pass


@contextlib.contextmanager
def creating(target: str, timeout: float) -> Iterator[None]:
    """Makes sure that the store can be there, and alone creates it if need be.

    Seeds that start side by side would otherwise create the tables of one SQLite file at the same
    time, and all but one fail; MLflow's own lock does not prevent it.
    """
    path = sqlite_path(target)
    if path is None:
        _reachable(target, timeout)
        yield
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            path.open("ab").close()
            _reachable(target, timeout)
            yield


@contextlib.contextmanager
def quiet(timeout: float) -> Iterator[None]:
    """MLflow without telemetry, warnings and long retries; what the user has set stays."""
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    mine = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def as_tracking_errors(target: str) -> Iterator[None]:
    """Every failure inside as a TrackingError of one line.

    The stores raise errors of MLflow, SQLAlchemy, requests, sockets and of cloud libraries, and
    none of them may end a run that has taken hours; hence the broad `except`.
    """
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        reason = _reason(error).replace(target, shown(target))
        raise TrackingError(f"MLflow at {shown(target)} failed: {reason}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    for sign, words in (
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("Name or service not known", "unknown host"),
        ("Temporary failure in name resolution", "unknown host"),
        ("No such file or directory", "no such file"),
    ):
        if sign in text:
            return words
    line = (text.strip().splitlines() or [""])[0] or type(error).__name__
    return line if len(line) <= 160 else line[:159] + "…"
