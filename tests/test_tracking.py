"""MLflow shows what the run directory says: everything, once, and whenever the server is there."""

import contextlib
import hashlib
import itertools
import json
import logging
import math
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import run_records

from repro import catalog, cli
from repro.errors import DataError, RunError, UsageError
from repro.locks import locked
from repro.records import parents, stores, tracking

SEEN = {"running_error": 50.0, "images_per_second": 66.6}
PASSES = [
    {"pass": 1, "update": 10, "loss": 2.0, "test_error": 30.0, "seconds": 1.5, **SEEN},
    {"pass": 2, "update": 20, "loss": 1.0, "test_error": 20.0, "seconds": 2, **SEEN},
    {"pass": 3, "update": 30, "loss": 0.5, "test_error": 10.0, "seconds": 1, **SEEN},
]
PASSES[1]["training_error"] = 9.0
RESULT = {
    "metrics": {
        "single-view": {"test_error": 10.0, "test_wrong": 36, "test_count": 360},
        "ten-crop": {"test_error": 9.0},
    },
    "seconds": 4.5,
    "images_per_second": 66.6,
    "passes": 3,
    "updates": 30,
    "resumed": 0,
    "finished": "2026-11-20T10:00:05+00:00",
}
# The tests' own look into MLflow meets its deprecated uses of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Counted by hand: loss, update, test_error, seconds, running_error and images_per_second three
# times each, training_error once on the curves; at the end test_wrong, test_count,
# ten-crop/test_error, run_seconds, run_images_per_second, reported, difference.
CURVE_POINTS, FINAL_POINTS = 19, 7


def identity(name):
    return hashlib.md5(name.encode()).hexdigest()


def write_run(folder, passes=PASSES, result=RESULT, **changes):
    run = {
        "id": identity(folder.name),
        "experiment": "toy-digits",
        "paper": "toy",
        "scale": "paper",
        "seed": 3,
        "resolved": {
            "name": "toy-digits",
            "title": "A toy",
            "network": {"name": "toy", "build": "toy", "options": {"width": 7}},
            "recipe": {
                "data": {"dataset": "digits", "train": "train", "test": "test"},
                "preprocessing": [{"kind": "PadTo", "size": 32}],
                "optimizer": {"kind": "SGD", "rate": 0.5, "falls": {"kind": "Divided", "at": [2]}},
                "batch": 1,
                "initialisation": "long " * 200,
            },
            "protocols": ["single-view"],
            "reported": [
                {
                    "metric": "test_error",
                    "value": 0.95,
                    "source": "section III",
                    "protocol": "single-view",
                }
            ],
            "deviations": ["The data is smaller.", "The paper is invented."],
            "note": "No reported number.",
        },
        "digest": "0123456789ab",
        "overrides": ["recipe.batch=1"],
        "precision": "float32",
        "backend": "tensorflow",
        "strategy": "single",
        "devices": ["CPU:0"],
        "replicas": 1,
        "command": "repro run toy-digits --scale paper --seed 3 --set recipe.batch=1",
        "versions": {"keras": "3.15.1"},
        "commit": "abcdef",
        "dirty": False,
        "data": {"dataset": "digits", "version": "1.0", "digest": "d" * 64, "train_examples": 1437},
        "started": "2026-11-20T10:00:00+00:00",
        **changes,
    }
    (folder / "figures").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in passes))
    (folder / "checkpoints" / "pass-3.json").write_text("{}")
    if result:
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "figures" / "curves.svg").write_text("<svg/>")
    return folder


@pytest.fixture(scope="module")
def seeds_side_by_side(tmp_path_factory):
    """(folder, what each printed): two processes that sync into a store that is not yet there.

    Their store is the module's, because creating one takes MLflow many seconds.
    """
    folder = tmp_path_factory.mktemp("store")
    code = "import sys; from repro.records.tracking import sync; print(sync(sys.argv[1])['points'])"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, write_run(folder / f"toy-digits-seed{seed}")],
            env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in (0, 1)
    ]
    return folder, [process.communicate()[0] for process in started]


@pytest.fixture(scope="module")
def store(seeds_side_by_side):
    return seeds_side_by_side[0]


@pytest.fixture
def client(store, monkeypatch):
    from mlflow import MlflowClient

    target = f"sqlite:///{store / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", target)
    return MlflowClient(tracking_uri=target)


def stored_points(store):
    with sqlite3.connect(store / "mlflow.db") as database:
        return database.execute("SELECT count(*) FROM metrics").fetchone()[0]


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_finished_run_is_logged_whole(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-whole")
    answer = tracking.sync(run_dir)
    assert answer["points"] == CURVE_POINTS + FINAL_POINTS
    assert answer["status"] == "FINISHED"
    assert tracking.logged_run_id(run_dir) == answer["mlflow_run_id"]

    run = client.get_run(answer["mlflow_run_id"])
    assert run.info.run_name == "toy-digits #3"
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 5000
    assert client.get_experiment(run.info.experiment_id).name == "toy"

    curve = client.get_metric_history(run.info.run_id, "test_error")
    assert [(m.step, m.value) for m in curve] == [(1, 30.0), (2, 20.0), (3, 10.0)]
    assert [m.timestamp - run.info.start_time for m in curve] == [1500, 3500, 4500]
    assert run.data.metrics["test_wrong"] == 36
    assert run.data.metrics["ten-crop/test_error"] == 9.0
    assert run.data.metrics["run_images_per_second"] == 66.6

    assert run.data.params["recipe.batch"] == "1"
    assert run.data.params["recipe.data.dataset"] == "digits"
    assert run.data.params["recipe.optimizer.kind"] == "SGD"
    assert run.data.params["recipe.optimizer.falls.at"] == "[2]"
    assert run.data.params["network.width"] == "7"
    assert run.data.params["seed"] == "3"
    assert len(run.data.params["recipe.initialisation"]) == 500

    tags = run.data.tags
    assert tags["experiment"] == "toy-digits"
    assert tags["scale"] == "paper"
    assert tags["backend"] == "tensorflow"
    assert tags["devices"] == "CPU:0"
    assert tags["commit"] == "abcdef"
    assert tags["deviations"] == "The data is smaller.\nThe paper is invented."
    assert tags["reported.test_error"] == "0.95 (section III)"
    assert "- The paper is invented." in tags["mlflow.note.content"]

    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "digits"
    assert "d" * 64 in data.dataset.profile

    files = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert files == {"run.json", "metrics.jsonl", "result.json", "figures"}
    figures = {f.path for f in client.list_artifacts(run.info.run_id, "figures")}
    assert figures == {"figures/curves.svg"}


def test_passes_without_a_test_and_what_a_probe_measured(client, tmp_path):
    measured = {"loss": 1.0, "seconds": 1.0, "images_per_second": 9.0}
    passes = [
        {"pass": k, "update": 391 * k, **measured, "running_error": 60.0 / k} for k in range(1, 6)
    ]
    passes[3] |= {"test_error": 30.0, "test_loss": 0.9}
    passes[4] |= {"test_error": 20.0, "test_loss": 0.8}
    metrics = {"test_error": 20.0, "running_error": 12.0, "layer_response": 0.5}
    result = {**RESULT, "passes": 5, "metrics": {"single-view": metrics}}
    result |= {"layer_responses": [0.75, 0.25]}
    run_dir = write_run(tmp_path / "toy-digits-probed", passes, result)
    run_id = tracking.sync(run_dir)["mlflow_run_id"]

    def history(name):
        return [(m.step, m.value) for m in client.get_metric_history(run_id, name)]

    assert history("test_error") == [(4, 30.0), (5, 20.0)]
    assert history("running_error") == [(1, 60.0), (2, 30.0), (3, 20.0), (4, 15.0), (5, 12.0)]
    assert history("layer_responses") == [(1, 0.75), (2, 0.25)]
    assert history("layer_response") == [(5, 0.5)]
    assert tracking.sync(run_dir)["points"] == 0


def test_a_second_sync_adds_nothing(client, store, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-twice")
    first = tracking.sync(run_dir)
    points = stored_points(store)
    second = tracking.sync(run_dir)
    assert second["mlflow_run_id"] == first["mlflow_run_id"]
    assert second["points"] == 0
    assert stored_points(store) == points
    named = client.search_runs(
        [first["mlflow_experiment_id"]], f"tags.`repro.run_id` = '{identity(run_dir.name)}'"
    )
    assert len(named) == 1


def test_a_run_is_followed_pass_by_pass(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-growing", passes=PASSES[:1], result=None)
    answer = tracking.sync(run_dir)
    assert (answer["points"], answer["status"]) == (6, "RUNNING")
    files = [f.path for f in client.list_artifacts(answer["mlflow_run_id"])]
    assert files == ["run.json"]

    with (run_dir / "metrics.jsonl").open("a") as journal:
        journal.write(json.dumps(PASSES[1]) + "\n" + json.dumps(PASSES[2])[:20])
    assert tracking.sync(run_dir)["points"] == 7  # half a line is not a pass

    (run_dir / "failure.json").write_text('{"reason": "the loss is not finite"}')
    answer = tracking.sync(run_dir)
    assert client.get_run(answer["mlflow_run_id"]).info.status == "FAILED"
    assert "failure.json" in [f.path for f in client.list_artifacts(answer["mlflow_run_id"])]
    (run_dir / "failure.json").unlink()  # resumed
    assert tracking.sync(run_dir)["status"] == "RUNNING"

    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PASSES))
    (run_dir / "result.json").write_text(json.dumps(RESULT))
    answer = tracking.sync(run_dir)
    assert (answer["points"], answer["status"]) == (6 + FINAL_POINTS, "FINISHED")
    assert client.get_run(answer["mlflow_run_id"]).info.status == "FINISHED"


def test_a_run_that_finishes_while_a_sync_waits_for_another_stays_finished(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-waiting", result=None)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(tracking.sync(run_dir)))
    with locked(run_dir, ".sync.lock"):
        waiting.start()
        time.sleep(0.5)  # it has read the directory, if it reads before it waits
        (run_dir / "result.json").write_text(json.dumps(RESULT))
    waiting.join()
    assert answers[0]["status"] == "FINISHED"
    assert client.get_run(answers[0]["mlflow_run_id"]).info.status == "FINISHED"


def test_what_a_refusing_server_missed_is_logged_later(client, store, tmp_path, monkeypatch):
    run_dir = write_run(tmp_path / "toy-digits-refused")
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{closed_port()}")
        start = time.monotonic()
        with pytest.raises(stores.TrackingError) as caught:
            tracking.sync(run_dir)
        assert time.monotonic() - start < 10
    message = str(caught.value)
    assert isinstance(caught.value, RunError)
    assert "connection refused" in message
    assert tracking.logged_run_id(run_dir) is None
    assert "secret" not in message
    assert "\n" not in message

    assert tracking.sync(run_dir)["points"] == CURVE_POINTS + FINAL_POINTS
    before = stored_points(store)
    assert tracking.sync(run_dir)["points"] == 0
    assert stored_points(store) == before


def test_a_silent_server_is_given_up_after_the_timeout(tmp_path, monkeypatch, store):
    run_dir = write_run(tmp_path / "toy-digits-silent")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never says a word
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(stores.TrackingError, match="no answer in time"):
            tracking.sync(run_dir, timeout=1)
        assert time.monotonic() - start < 5


def test_a_database_server_that_refuses_is_not_retried_for_minutes(tmp_path, monkeypatch):
    run_dir = write_run(tmp_path / "toy-digits-postgres")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://127.0.0.1:{closed_port()}/runs")
    start = time.monotonic()
    with pytest.raises(stores.TrackingError, match="connection refused"):
        tracking.sync(run_dir)
    assert time.monotonic() - start < 2


def test_a_file_that_is_no_database_is_named_at_once(tmp_path, monkeypatch):
    run_dir = write_run(tmp_path / "toy-digits-no-database")
    (tmp_path / "mlflow.db").write_text("these are not the bytes of a database" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(stores.TrackingError, match="not a database"):
        tracking.sync(run_dir)


def test_two_syncs_at_once_make_one_run(client, store, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-race")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(tracking.sync(run_dir))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["mlflow_run_id"] for answer in answers}) == 1
    assert sorted(answer["points"] for answer in answers) == [0, CURVE_POINTS + FINAL_POINTS]


def test_seeds_that_start_together_share_a_new_store(seeds_side_by_side):
    """MLflow alone fails here: each process finds the tables that the other is making."""
    _, printed = seeds_side_by_side
    assert printed == [f"{CURVE_POINTS + FINAL_POINTS}\n"] * 2


def test_a_folder_that_is_no_run_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="not a run directory"):
        tracking.sync(tmp_path)


def test_the_default_store_is_a_file_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert stores.uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert "will be created" in stores.check()
    assert not (tmp_path / "mlflow.db").exists()  # looking creates nothing


def test_check_says_what_the_store_holds(client, tmp_path):
    def count():
        (told,) = re.findall(r"holds (\d+) run", stores.check())
        return int(told)

    before = count()
    tracking.sync(write_run(tmp_path / "toy-digits-checked"))
    assert count() == before + 1
    group = client.create_experiment("check counts runs, not the groups that fold them")
    client.create_run(group, tags={parents.GROUP_ID: "a group"})
    assert count() == before + 1


def test_check_reports_a_server_that_is_away(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(stores.TrackingError, match="connection refused"):
        stores.check()


def test_nothing_is_printed(client, tmp_path, capfd, caplog):
    with caplog.at_level(logging.WARNING):
        tracking.sync(write_run(tmp_path / "toy-digits-quiet"))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


# ---------------------------------------------------------------------------- servers and secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:secret@host:5000/path", "http://host:5000/path"),
        ("postgresql://user:se/cret@host/db", "postgresql://host/db"),
        ("postgresql://user:se#cret@host/db", "postgresql://host/db"),
        ("postgresql://user:se?cret@host/db", "postgresql://host/db"),
        ("postgresql://user:se@cret@host/db", "postgresql://host/db"),
        ("postgresql://u:se[cret@host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=u&password=secret", "postgresql://host/db"),
        ("mysql+pymysql://host/db?ssl_key=secret#secret", "mysql+pymysql://host/db"),
        ("https://host/?token=secret", "https://host/"),
        ("sqlite:////home/a/mlflow.db", "sqlite:////home/a/mlflow.db"),
        ("sqlite:////home/a@work/mlflow.db", "sqlite:////home/a@work/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    assert stores.shown(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:pa[ss@127.0.0.1:1/db",
        "postgresql://u:pa/ss?wo#rd@127.0.0.1:1/db",
        "http://u:pa%5Bss@127.0.0.1:1",
        "http://127.0.0.1:1/?password=pa[ss",
        "http://[::1",
        "nothing-known://pa[ss@host",
    ],
)
def test_no_address_leaves_a_password_or_a_traceback(address, tmp_path, monkeypatch, capfd):
    run_dir = write_run(tmp_path / "toy-digits-secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(stores.TrackingError) as refused:
        tracking.sync(run_dir, timeout=1)
    told = str(refused.value) + "".join(capfd.readouterr())
    assert "\n" not in told.strip()
    for secret in ("pa[ss", "pa%5Bss", "pa/ss", "wo#rd"):
        assert secret not in told
    assert not (run_dir / "mlflow.json").exists()


def test_a_server_that_answers_byte_by_byte_is_given_up(tmp_path, monkeypatch):
    run_dir = write_run(tmp_path / "toy-digits-dripping")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                for letter in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(97, 100)):
                    connection.send(bytes([letter]))
                    time.sleep(0.2)

        threading.Thread(target=drip, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(stores, "LONGEST_ANSWER", 2.0)
        start = time.monotonic()
        with pytest.raises(stores.TrackingError, match="did not end it within 2 seconds"):
            tracking.sync(run_dir, timeout=1)
        assert time.monotonic() - start < 15


def test_a_database_that_another_program_writes_to_is_waited_for_no_longer_than_said(
    client, store, tmp_path, capfd
):
    run_dir = write_run(tmp_path / "toy-digits-locked")
    with contextlib.closing(sqlite3.connect(store / "mlflow.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(stores.TrackingError, match="another program is writing to it"):
            tracking.sync(run_dir, timeout=1)
        assert time.monotonic() - start < 15
        other.rollback()
    assert capfd.readouterr() == ("", "")
    assert tracking.sync(run_dir)["points"] == CURVE_POINTS + FINAL_POINTS  # as the advice says


def test_a_torn_note_of_where_the_run_is_logged_is_written_again(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-torn")
    there = tracking.sync(run_dir)["mlflow_run_id"]
    for torn in ("{", "[]", "null", '{"mlflow_run_id": 7}', '{"mlflow_run_id": ["a"]}', "\xff"):
        (run_dir / "mlflow.json").write_bytes(torn.encode("latin1"))
        assert tracking.logged_run_id(run_dir) is None
        assert tracking.sync(run_dir)["mlflow_run_id"] == there
        assert tracking.logged_run_id(run_dir) == there


def test_links_are_no_artifacts(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-linked")
    (tmp_path / "secret.txt").write_text("secret")
    (run_dir / "note.txt").symlink_to(tmp_path / "secret.txt")
    (run_dir / "figures" / "other.svg").symlink_to(tmp_path / "secret.txt")
    run_id = tracking.sync(run_dir)["mlflow_run_id"]
    files = {f.path for folder in (None, "figures") for f in client.list_artifacts(run_id, folder)}
    assert not files & {"note.txt", "figures/other.svg"}
    assert "figures/curves.svg" in files


# ---------------------------------------------------------------------------- other places


@pytest.fixture
def copied(client, store, tmp_path, monkeypatch):
    """A folder with a copy of the store, which was made elsewhere and holds the experiment."""

    def copy(name):
        tracking.sync(write_run(tmp_path / f"toy-digits-before-{len(name)}"))
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(store / "mlflow.db", folder)
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        monkeypatch.chdir(folder)
        return folder

    return copy


def test_artifacts_follow_a_store_that_was_moved(copied, store, tmp_path):
    folder = copied("moved")
    before = sorted(store.rglob("*"))
    run_dir = write_run(tmp_path / "toy-digits-moved")
    run_id = tracking.sync(run_dir)["mlflow_run_id"]
    assert (folder / "mlartifacts" / "toy" / run_id / "artifacts" / "run.json").is_file()
    assert sorted(store.rglob("*")) == before  # nothing is made where the store was


def test_a_folder_may_be_named_as_people_name_folders(copied, tmp_path):
    """Each of these characters would be another folder, if it were read as part of an address."""
    folder = copied("a%20b ä?b#c")
    run_dir = write_run(tmp_path / "toy-digits-odd")
    code = (
        "import sys; from repro.records import stores, tracking;"
        "print(tracking.sync(sys.argv[1])['mlflow_run_id'], 'holds' in stores.check())"
    )
    # A process of its own: MLflow keeps stores open by their address, which is relative here.
    done = subprocess.run([sys.executable, "-c", code, run_dir], capture_output=True, text=True)
    run_id, holds = done.stdout.split()
    assert (folder / "mlartifacts" / "toy" / run_id / "artifacts" / "run.json").is_file()
    assert holds == "True"
    assert not [p for p in tmp_path.iterdir() if "%25" in p.name]


def test_a_database_of_another_schema_is_not_well(copied):
    folder = copied("schema")
    for sql, said in (
        ("UPDATE alembic_version SET version_num = '0123456789ab'", "another version of MLflow"),
        ("UPDATE alembic_version SET version_num = '451aebb31d03'", "mlflow db upgrade sqlite"),
        ("DROP TABLE runs", "a database of another program"),
    ):
        with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
            database.execute(sql)
            database.commit()
        with pytest.raises(stores.TrackingError, match=said):
            stores.check()


# ---------------------------------------------------------------------------- at first sight


def test_the_run_table_has_what_one_looks_for(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-columns")
    answer = tracking.sync(run_dir)
    (above,) = parents.sync("toy", lambda _: [summary(run_dir, verdict="worse")])
    run, parent = (client.get_run(a["mlflow_run_id"]) for a in (answer, above))
    shown = {f"metrics.`{name}`" for r in (run, parent) for name in r.data.metrics}
    shown |= {f"tags.`{name}`" for r in (run, parent) for name in r.data.tags}
    experiment = client.get_experiment(answer["mlflow_experiment_id"])
    view = json.loads(experiment.tags["mlflow.sharedViewState.repro"])
    assert set(view["selectedColumns"]) <= shown
    assert run.data.metrics["test_error"] == 10.0
    assert run.data.metrics["reported"] == 0.95
    assert run.data.metrics["difference"] == pytest.approx(9.05)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"

    charts = json.loads(experiment.tags["mlflow.sharedViewState.repro-charts"])
    drawn = [chart.get("selectedMetricKeys", ()) for chart in charts["compareRunCharts"]]
    assert ["reported", "measured"] in drawn
    chosen = client.search_runs([experiment.experiment_id], charts["searchFilter"])
    assert parent.info.run_id in {r.info.run_id for r in chosen}
    assert run.info.run_id not in {r.info.run_id for r in chosen}


def test_a_short_run_is_not_laid_beside_the_paper(client, tmp_path):
    command = "repro run toy-digits --scale short --seed 3 --set recipe.batch=1"
    run_dir = write_run(tmp_path / "toy-digits-short", scale="short", command=command)
    run = client.get_run(tracking.sync(run_dir)["mlflow_run_id"])
    assert not {"reported", "difference"} & set(run.data.metrics)


def test_a_record_is_logged_like_the_run_directory_it_was_made_from(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-recorded")
    journal = tracking.Journal.open(run_dir)
    record = {"run": journal.run(), "passes": journal.passes(), "result": journal.result()}
    answer = tracking.sync_record(record)
    assert answer["run"] == "toy-digits #3"
    assert answer["points"] == CURVE_POINTS + FINAL_POINTS
    run = client.get_run(answer["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["record.json"]
    assert tracking.sync_record(record)["points"] == 0
    assert tracking.sync(run_dir)["mlflow_run_id"] == answer["mlflow_run_id"]


def test_the_page_has_a_link_for_each_paper(client, store, tmp_path, monkeypatch, capsys):
    answer = tracking.sync(write_run(tmp_path / "toy-digits-page"))
    with pytest.raises(SystemExit), monkeypatch.context() as patch:
        started = []
        patch.setattr(os, "execve", lambda *what: started.append(what) or sys.exit())
        cli.main(["ui", "--port", str(closed_port())])
    told = capsys.readouterr().out
    for view in ("repro", "repro-charts"):
        assert f"workflowType=machine_learning&viewStateShareKey={view}\n" in told
    ((_, command, environment),) = started
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{store / 'mlflow.db'}"
    assert not [word for word in command if "mlflow.db" in word]
    assert stores.papers(stores.uri()) == {"toy": answer["mlflow_experiment_id"]}


def test_the_page_of_a_server_is_named_without_its_password(monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:se/cret@host:8080/runs")
    assert cli.main(["ui"]) == 0
    assert "open its page: https://host:8080/runs" in capsys.readouterr().out


def test_a_port_in_use_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert cli.main(["ui", "--port", str(port)]) == 2
    told = capsys.readouterr()
    assert f"--port {port}: " in told.err and "accepted is a free port" in told.err
    assert "repro sync --records" in told.out
    assert cli.main(["ui", "--port", "0"]) == 2
    assert "from 1 to 65,535" in capsys.readouterr().err


def test_one_damaged_run_keeps_no_other_from_being_logged(
    client, store, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "toy-digits").mkdir(parents=True)
    for name in ("paper-seed3-1", "paper-seed3-2", "paper-seed3-3", "paper-seed3-4"):
        write_run(tmp_path / "runs" / "toy-digits" / name)
    folder = tmp_path / "runs" / "toy-digits"
    (folder / "paper-seed3-1" / "metrics.jsonl").write_text("[]\n")
    (folder / "paper-seed3-2" / "result.json").write_text('{"metrics": 7}')
    (folder / "paper-seed3-3" / "metrics.jsonl").unlink()
    (folder / "paper-seed3-3" / "metrics.jsonl").mkdir()
    assert cli.main(["sync"]) == 0
    told = capsys.readouterr()
    assert "paper-seed3-4: 26 points added" in told.out
    assert told.err.count("left out") == 3
    assert cli.main(["sync", str(folder / "paper-seed3-1")]) == 4  # asked for by name


def test_a_database_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    """MLflow makes some forty tables; a process that ends in the middle leaves no half of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/m.db")
    whole, client_of = [], stores.client_of

    def interrupted(target):
        client_of(target).search_experiments(max_results=1)
        whole.append(target)
        raise KeyboardInterrupt

    run_dir = write_run(tmp_path / "toy-digits-interrupted")
    with monkeypatch.context() as patched:
        patched.setattr(stores, "client_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tracking.sync(run_dir)
    assert len(whole) == 1 and "m.db" in whole[0]
    assert (tmp_path / "m.db").stat().st_size == 0
    assert not list(tmp_path.glob(".m.db.making*"))
    (tmp_path / ".m.db.making-killed").mkdir()
    assert tracking.sync(run_dir)["status"] == "FINISHED"
    assert not list(tmp_path.glob(".m.db.making*"))


def test_a_run_that_failed_in_mlflow_and_finished_later_is_finished_there(client, tmp_path):
    run_dir = write_run(tmp_path / "toy-digits-mended", passes=PASSES[:1], result=None)
    (run_dir / "failure.json").write_text('{"reason": "the disk is full"}')
    assert tracking.sync(run_dir)["status"] == "FAILED"
    (run_dir / "failure.json").unlink()
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PASSES))
    (run_dir / "result.json").write_text(json.dumps(RESULT))
    answer = tracking.sync(run_dir)
    assert client.get_run(answer["mlflow_run_id"]).info.status == "FINISHED"


# ---------------------------------------------------------------------------- seeds and parents


def summary(*run_dirs, identity="a", metrics=None, verdict="reproduced", counted=None, **changes):
    ids = [json.loads((run_dir / "run.json").read_text())["id"] for run_dir in run_dirs]
    counted = ids if counted is None else ids[:counted]
    figures = {"test_error": 10.0, "measured": 10.0, "reported": 9.5, "difference": 0.5}
    facts = {
        "name": "toy-digits",
        "tags": {"kind": "group", "verdict": verdict, "seed": "2 seeds", "scale": "paper"},
        "started": "2026-11-20T10:00:00+00:00",
        "ended": "2026-11-20T10:00:05+00:00",
    }
    return parents.Summary(
        identity=hashlib.md5(f"{ids}{identity}".encode()).hexdigest(),
        metrics={**figures, "std": 0.25, "n": 2} if metrics is None else metrics,
        runs={run_id: verdict if run_id in counted else "" for run_id in ids},
        **{**facts, **changes},
    )


@pytest.fixture
def two_seeds(client, tmp_path):
    """Run directories of two seeds, logged, and a function that gives their MLflow runs."""
    run_dirs = [write_run(tmp_path / f"toy-digits-{tmp_path.name}-{k}") for k in range(2)]
    ids = [tracking.sync(run_dir)["mlflow_run_id"] for run_dir in run_dirs]
    return run_dirs, lambda: [client.get_run(run_id) for run_id in ids]


def family(client, parent):
    run = client.get_run(parent)
    wanted = f"tags.`mlflow.parentRunId` = '{parent}'"
    return {child.info.run_id for child in client.search_runs([run.info.experiment_id], wanted)}


def test_seeds_are_folded_under_a_parent_that_says_what_they_come_to(client, two_seeds):
    run_dirs, seeds = two_seeds
    asked = []
    whole = summary(*run_dirs, counted=1)
    (answer,) = parents.sync("toy", lambda ids: asked.append(set(ids)) or [whole])
    assert set(whole.runs) <= asked[0]
    parent = client.get_run(answer["mlflow_run_id"])
    assert parent.info.run_name == "toy-digits"
    assert (parent.info.status, parent.info.end_time - parent.info.start_time) == ("FINISHED", 5000)
    assert parent.data.metrics == whole.metrics
    assert parent.data.tags["verdict"] == "reproduced"
    assert [r.data.tags["mlflow.parentRunId"] for r in seeds()] == [parent.info.run_id] * 2
    assert [r.data.tags.get("verdict") for r in seeds()] == ["reproduced", None]


def test_a_second_time_nothing_is_added_and_what_changed_is_changed(client, store, two_seeds):
    run_dirs, seeds = two_seeds
    (first,) = parents.sync("toy", lambda _: [summary(*run_dirs)])
    points = stored_points(store)
    (again,) = parents.sync("toy", lambda _: [summary(*run_dirs)])
    assert (again["points"], again["mlflow_run_id"]) == (0, first["mlflow_run_id"])
    assert stored_points(store) == points
    tags = {"kind": "group", "verdict": "", "seed": "1 seed", "scale": "paper"}
    less = summary(
        *run_dirs, metrics={"test_error": 11.0}, verdict="", name="other", tags=tags, counted=0
    )
    for points in (6, 0):  # five figures are gone: they become "not a number", once
        (changed,) = parents.sync("toy", lambda _: [less])
        assert (changed["points"], changed["mlflow_run_id"]) == (points, first["mlflow_run_id"])
    parent = client.get_run(first["mlflow_run_id"])
    assert parent.data.metrics["test_error"] == 11.0
    assert math.isnan(parent.data.metrics["reported"])
    assert (parent.info.run_name, parent.data.tags["seed"]) == ("other", "1 seed")
    assert "verdict" not in parent.data.tags
    assert [r.data.tags.get("verdict") for r in seeds()] == [None, None]


def test_two_processes_at_once_make_one_parent(client, two_seeds):
    run_dirs, _ = two_seeds
    answers = []

    def sync():
        answers.extend(parents.sync("toy", lambda _: [summary(*run_dirs)]))

    threads = [threading.Thread(target=sync) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["mlflow_run_id"] for answer in answers}) == 1
    assert sorted(answer["points"] for answer in answers) == [0, 0, 6]


def test_a_second_parent_that_a_server_let_in_is_taken_away(client, two_seeds):
    run_dirs, seeds = two_seeds
    whole = summary(*run_dirs)
    experiment_id = seeds()[0].info.experiment_id
    both = [
        client.create_run(experiment_id, tags={parents.GROUP_ID: whole.identity}).info.run_id
        for _ in range(2)
    ]
    foreign = client.create_run(experiment_id).info.run_id  # of which no record is here
    client.set_tag(foreign, parents.PARENT, both[1])
    (answer,) = parents.sync("toy", lambda _: [whole])
    kept = answer["mlflow_run_id"]
    gone = (set(both) - {kept}).pop()
    assert kept in both
    assert client.get_run(gone).info.lifecycle_stage == "deleted"
    assert family(client, kept) >= {r.info.run_id for r in seeds()}
    assert foreign in family(client, kept)


def test_seeds_of_another_group_leave_their_parent(client, two_seeds):
    run_dirs, seeds = two_seeds
    (before,) = parents.sync("toy", lambda _: [summary(*run_dirs)])
    (one,) = parents.sync("toy", lambda _: [summary(run_dirs[0], identity="b")])
    former = client.get_run(before["mlflow_run_id"])
    assert former.info.lifecycle_stage == "active"  # the other seed is still there
    (two,) = parents.sync("toy", lambda _: [summary(run_dirs[1], identity="b")])
    former = client.get_run(before["mlflow_run_id"])
    assert former.info.lifecycle_stage == "deleted"
    above = [r.data.tags["mlflow.parentRunId"] for r in seeds()]
    assert above == [one["mlflow_run_id"], two["mlflow_run_id"]]


def test_a_parent_that_was_deleted_is_made_again(client, two_seeds):
    run_dirs, seeds = two_seeds
    (before,) = parents.sync("toy", lambda _: [summary(*run_dirs)])
    client.delete_run(before["mlflow_run_id"])
    (after,) = parents.sync("toy", lambda _: [summary(*run_dirs)])
    assert after["mlflow_run_id"] != before["mlflow_run_id"]
    assert family(client, after["mlflow_run_id"]) == {r.info.run_id for r in seeds()}


def test_what_is_wrong_with_a_record_is_not_called_a_failure_of_mlflow(client, two_seeds):
    def damaged(_):
        raise DataError("this record is damaged")

    with pytest.raises(DataError, match=r"^this record is damaged$"):
        parents.sync("toy", damaged)


def test_a_sync_gives_the_seeds_of_an_experiment_their_parent(
    client, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "runs").mkdir(parents=True)
    lenet5 = catalog.experiment("lenet5-mnist")  # 0.95 % in the paper
    made = [run_records.record(lenet5, k, 0.9 + k / 20, paper="lenet5") for k in range(3)]
    for record in made:
        run_records.seal_run(tmp_path / "runs", record)
    assert cli.main(["sync", "--json"]) == 0
    *_, answer = json.loads(capsys.readouterr().out)
    assert answer["parent"] == "lenet5-mnist"
    parent = client.get_run(answer["mlflow_run_id"])
    figures = parent.data.metrics
    assert (figures["reported"], figures["n"]) == (0.95, 3)
    assert figures["measured"] == figures["test_error"] == pytest.approx(0.95)  # mean of the three
    assert figures["std"] == pytest.approx(0.05)
    assert figures["low"] < 0.95 < figures["high"]
    assert parent.data.tags["verdict"] == "reproduced"
    assert len(family(client, parent.info.run_id)) == 3
    assert cli.main(["sync", "--json"]) == 0
    assert {a["points"] for a in json.loads(capsys.readouterr().out)} == {0}
