"""The store that MLflow logs to: where it is, whether it answers, and its errors in a line."""

import contextlib
import glob
import importlib.util
import logging
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from repro.errors import ReproError, RunError
from repro.locks import Held, locked
from repro.machine import environment
from repro.records import views
from repro.records.logged import GROUP_ID

DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
ARTIFACTS = "mlartifacts"  # beside a SQLite file: what runs keep with MLflow
LONGEST_ANSWER = 20.0  # seconds: a server that sends a byte now and then never times out


class TrackingError(RunError):
    """MLflow could not be brought up to date; the run directory has everything."""


def uri() -> str:
    """Where runs are logged: MLFLOW_TRACKING_URI, or else `mlflow.db` in the working directory."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if given:
        return given
    path = str(Path("mlflow.db").absolute())
    # In an address these mean something else; relative to the folder none of them occurs.
    return "sqlite:///mlflow.db" if set(path) & set("%?#") else f"sqlite:///{path}"


def installed() -> None:
    if importlib.util.find_spec("mlflow") is None:
        raise TrackingError("MLflow is not installed (pip install mlflow)")


def shown(target: str) -> str:
    """The address `target` without user name, password and whatever follows the path.

    A password may hold `/`, `#`, `?` and `@`, so all that stands before the last `@` goes.
    """
    scheme, separator, rest = target.partition("://")
    if not separator:
        return target
    if scheme not in ("sqlite", "file"):  # there an "@" is part of a file's name
        rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split('[?#]', rest)[0]}"


def _secrets(target: str) -> set[str]:
    """What of the address may stand in no message: the password, as written and as meant."""
    rest = target.partition("://")[2]
    before, at, _ = rest.rpartition("@")
    words = {before.partition(":")[2]} if at else set()
    words |= set(re.findall(r"[?&][^=&]+=([^&#]+)", rest))
    return {word for word in {*words, *map(unquote, words)} if word}


def client_of(target: str) -> Any:
    from mlflow import MlflowClient

    # Alembic announces each of some forty migrations, MLflow what fails, with a traceback.
    for name in ("mlflow", "alembic", "urllib3", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=target)


# ---------------------------------------------------------------------------- does it answer?


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
            ask = answering(
                target, lambda wrap: wrap(client_of(target)).search_experiments(max_results=1)
            )
            return f"{shown(target)} answers" + ("" if ask else ", and is empty")
        if not path.exists():
            return f"{shown(target)} will be created by the first run"
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if not tables:
                return f"{shown(target)} is empty"
            if not {"runs", "tags", "experiments", "alembic_version"} <= tables:
                raise TrackingError(
                    f"{path} is a database of another program (no table of runs); move it away, or "
                    "name another file: MLFLOW_TRACKING_URI=sqlite:///other.db"
                )
            _of_this_version(path, database)
            count = database.execute(
                "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active' AND run_uuid NOT IN "
                "(SELECT run_uuid FROM tags WHERE key = ?)",
                (GROUP_ID,),
            ).fetchone()[0]
        return f"{shown(target)} holds {count} run{'' if count == 1 else 's'}"


def _of_this_version(path: Path, database: sqlite3.Connection) -> None:
    """Raises TrackingError where the tables are not those of the MLflow that is installed."""
    from alembic.script import ScriptDirectory
    from mlflow import version
    from mlflow.store.db.utils import _get_alembic_config

    scripts = ScriptDirectory.from_config(_get_alembic_config(f"sqlite:///{path.name}"))
    revisions = {script.revision for script in scripts.walk_revisions()}
    rows = database.execute("SELECT version_num FROM alembic_version").fetchall()
    has = rows[0][0] if rows else None
    if has == scripts.get_current_head():
        return
    if has in revisions:
        raise TrackingError(
            f"{path} was made by an earlier MLflow; keep a copy, then do: mlflow db upgrade "
            f"sqlite:///{path}"
        )
    raise TrackingError(
        f"{path} was made by another version of MLflow than {version.VERSION}, which is installed; "
        "install that one, or name another file: MLFLOW_TRACKING_URI=sqlite:///other.db"
    )


def sqlite_path(target: str) -> Path | None:
    """The file of a SQLite store, as SQLAlchemy reads its address; None of other stores."""
    if not target.startswith("sqlite:///"):
        return None
    return Path(unquote(target.removeprefix("sqlite:///").partition("?")[0])).absolute()


def papers(target: str) -> dict[str, str]:
    """The papers with logged runs in a SQLite store, each with the number of its page."""
    path = sqlite_path(target)
    if path is None or not path.exists():
        return {}
    with as_tracking_errors(target), contextlib.closing(sqlite3.connect(path)) as database:
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            ours = "SELECT e.name, e.experiment_id FROM experiments e JOIN experiment_tags t USING"
            ours += " (experiment_id) WHERE t.key = ? AND e.lifecycle_stage = 'active'"
            rows = database.execute(ours, (views.tag(views.TABLE),)).fetchall()
            return {name: str(number) for name, number in rows}
    return {}


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
            if not os.access(path.parent, os.W_OK):
                raise PermissionError(f"{path.parent} cannot be written, as SQLite needs to")
            database.execute("BEGIN IMMEDIATE")  # does another program hold it?
            database.execute("ROLLBACK")
    parts = urlsplit(target)
    port = DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port and parts.hostname:
        with socket.create_connection((parts.hostname, parts.port or port), timeout):
            pass


def answering(target: str, work: Callable[[Callable[[Any], Any]], Any]) -> Any:
    """`work(wrap)`, given up when a server takes too long for one answer.

    `wrap` makes of a client one whose calls are watched. A time-out of the connection is not
    enough: it begins anew with every byte. Files are not watched, they may be slow to make.
    """
    if not target.startswith(("http://", "https://")):
        return work(lambda client: client)
    ended: list[tuple[bool, Any]] = []
    watched = _Watched()

    def do() -> None:
        try:
            ended.append((True, work(watched.wrap)))
        except BaseException as error:
            ended.append((False, error))

    thread = threading.Thread(target=do, name="repro-mlflow", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        if watched.seconds() > LONGEST_ANSWER and not ended:
            raise TrackingError(
                f"MLflow at {shown(target)} failed: it began an answer and did not end it within "
                f"{LONGEST_ANSWER:.0f} seconds"
            )
    well, outcome = ended[0]
    if well:
        return outcome
    raise outcome


class _Watched:
    """For how long a client has been in its present call."""

    def __init__(self) -> None:
        self._began: float | None = None

    def seconds(self) -> float:
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def wrap(self, client: Any) -> Any:
        watch = self

        class Client:
            def __getattr__(self, name: str) -> Callable:
                def call(*arguments: Any, **keywords: Any) -> Any:
                    watch._began = time.monotonic()
                    try:
                        return getattr(client, name)(*arguments, **keywords)
                    finally:
                        watch._began = None

                return call

        return Client()


# ---------------------------------------------------------------------------- while it is used


@contextlib.contextmanager
def creating(target: str, timeout: float) -> Iterator[None]:
    """Makes sure that the store can be there, and alone creates it, or a run in it, if need be.

    Seeds that start side by side would otherwise create the tables of one SQLite file at the same
    time, and all but one fail; MLflow's own lock does not prevent it.
    """
    path = sqlite_path(target)
    if path is None:
        _reachable(target, timeout)
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(path.parent, f".{path.name}.lock", wait=60):
            path.open("ab").close()
            if not path.stat().st_size:
                _make_tables(target, path)
            _reachable(target, timeout)
            _moved_along(path)
            yield
    except Held as held:
        raise TrackingError(
            f"MLflow at {shown(target)} failed: {held.strerror} has held it for a minute"
        ) from None


def _make_tables(target: str, path: Path) -> None:
    """Whole or not at all: MLflow cannot use a file in whose making it was killed."""
    prefix = f".{path.name}.making-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        made, beside = folder / path.name, target.partition("?")[0].rpartition("/")[0]
        client_of(f"{beside}/{folder.name}/{made.name}").search_experiments(max_results=1)
        os.replace(made, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _moved_along(path: Path) -> None:
    """Where the folder of the store was moved, its artifacts are where the store is now.

    MLflow keeps the absolute place of each experiment's and run's artifacts, and would make the
    former folder again.
    """
    here = (path.parent / ARTIFACTS).as_uri()
    with contextlib.closing(sqlite3.connect(path, timeout=8)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            places = (
                database.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
                if table in tables
                else []
            )
            for (place,) in places:
                before, marker, after = str(place or "").rpartition(f"/{ARTIFACTS}/")
                if marker and before.startswith("file:") and f"{before}/{ARTIFACTS}" != here:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? WHERE {column} = ?",
                        (f"{here}/{after}", place),
                    )
        database.commit()


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
    unset = {name: value for name, value in wanted.items() if name not in os.environ}
    with environment(unset), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def as_tracking_errors(target: str) -> Iterator[None]:
    """Every failure inside as a TrackingError of one line.

    The stores raise errors of MLflow, SQLAlchemy, requests, sockets and of cloud libraries, and
    none of them may end a run that has taken hours; hence the broad `except`.
    """
    try:
        yield
    except ReproError:
        raise
    except Exception as error:
        reason = _reason(error, target)
        raise TrackingError(f"MLflow at {shown(target)} failed: {reason}") from None


def _reason(error: Exception, target: str) -> str:
    text = str(error).replace(target, shown(target))
    for secret in sorted(_secrets(target), key=len, reverse=True):
        text = text.replace(secret, "***")
    for sign, words in (
        (
            "database is locked",
            "another program is writing to it; try again when that ends",
        ),
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("Name or service not known", "unknown host"),
        ("Temporary failure in name resolution", "unknown host"),
        (
            "CERTIFICATE_VERIFY_FAILED",
            "the server's certificate is refused; REQUESTS_CA_BUNDLE=... names another authority",
        ),
        ("407 Proxy Authentication Required", "the proxy asks for a user name and a password"),
        ("No such file or directory", "no such file"),
        (
            "surrogates not allowed",
            "it cannot use a folder whose name is not UTF-8; name a file elsewhere: "
            "MLFLOW_TRACKING_URI=sqlite:////tmp/mlflow.db",
        ),
    ):
        if sign in text:
            return words
    line = (text.strip().splitlines() or [""])[0] or type(error).__name__
    return line if len(line) <= 160 else line[:159] + "…"
