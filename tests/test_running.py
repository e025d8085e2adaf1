"""From a command to finished runs: processes, what they see, what comes of them.

Runs are stood in for by small programs that tell events as `repro train-one` does.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from repro import cli, machine
from repro.running import background, child, children, isolation, progress, train
from repro.running.crew import Crew


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---------------------------------------------------------------------------- several seeds

CHILD = textwrap.dedent(
    """
    import json, os, signal, sys, time
    seed, behaviour = int(sys.argv[1]), sys.argv[2]
    def say(**event):
        print(json.dumps(event), flush=True)
    def leave(*_):
        # A handler must not print: the signal may have come in the middle of a print.
        reason = '{"event": "error", "reason": "stopped at update 3", "exit_code": 130}'
        os.write(1, f"{reason}\\n".encode())
        os._exit(130)
    signal.signal(signal.SIGTERM, leave)
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("noise of a library", file=sys.stderr)
    say(event="start", run_dir=f"runs/{seed}", passes=2, updates=20)
    if behaviour in ("wait", "deaf"):
        time.sleep(60)
    if behaviour == "fail" and seed == 1:
        say(event="error", reason="the loss is not finite", exit_code=4)
        sys.exit(4)
    if behaviour in ("usage", "data"):
        code = 2 if behaviour == "usage" else 3
        say(event="error", reason="no such thing", exit_code=code)
        sys.exit(code)
    if behaviour == "crash":
        sys.exit(1)
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    say(event="pass", update=20, test_error=1.0, images_per_second=100.0, **{"pass": 2})
    print("{torn", "[1]", "null", sep="\\n", flush=True)
    say(event="done", seed=seed, run_dir=f"runs/{seed}")
    if behaviour == "dies after":
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "hangs after":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    if behaviour == "fails after":
        raise SystemExit(4)
    """
)


def programs(behaviour: str):
    return lambda seed: [sys.executable, "-c", CHILD, str(seed), behaviour]


def test_each_seed_has_a_process_and_tells_its_progress():
    events = []
    outcomes = children.run(
        range(3), programs("well"), Crew(2), lambda *event: events.append(event)
    )
    assert [(o.seed, o.exit_code, o.result["run_dir"]) for o in outcomes] == [
        (seed, 0, f"runs/{seed}") for seed in range(3)
    ]
    for seed in range(3):
        assert [e["event"] for s, e in events if s == seed] == ["start", "pass", "done"]


def test_a_seed_that_fails_does_not_end_the_others():
    outcomes = children.run(range(3), programs("fail"), Crew(1), lambda *_: None)
    assert [o.exit_code for o in outcomes] == [0, 4, 0]
    assert outcomes[1].error == "the loss is not finite"


def test_the_command_line_can_be_called_in_a_thread():
    """There it cannot answer signals; whoever started the thread does."""
    codes = []
    arguments = ["claims", "no-such-claim"]
    thread = threading.Thread(target=lambda: codes.append(cli.main(arguments)))
    thread.start()
    thread.join()
    assert codes == [2]
    outcomes = []
    run = [[0], programs("well"), Crew(1), lambda *_: None]
    thread = threading.Thread(target=lambda: outcomes.extend(children.run(*run)))
    thread.start()
    thread.join()
    assert outcomes[0].result["run_dir"] == "runs/0"


def test_no_further_seed_is_started_after_wrong_usage():
    outcomes = children.run(range(3), programs("usage"), Crew(1), lambda *_: None)
    assert [(o.exit_code, o.run_dir) for o in outcomes] == [(2, "runs/0"), (130, ""), (130, "")]


class Watching(Crew):
    """Allows a second run once the first has told a pass; keeps what it was told."""

    def __init__(self):
        super().__init__(1)
        self.environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "HOME": "not this one"}
        self.news = []

    def told(self, seed, event):
        self.news.append((seed, event["event"]))
        self.allowed = 2

    def ended(self, seed, failed):
        self.news.append((seed, "ended"))


def test_a_crew_is_told_what_happens_and_decides_how_many_go(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    watching = Watching()
    outcomes = children.run(range(3), programs("well"), watching, lambda *_: None)
    assert [outcome.exit_code for outcome in outcomes] == [0, 0, 0]
    for seed in range(3):
        mine = [kind for told, kind in watching.news if told == seed]
        assert mine == ["start", "pass", "done", "ended"]
    show = "import json, os; print(json.dumps({'event': 'done', **os.environ}))"
    command = [sys.executable, "-c", show]
    (outcome,) = children.run([0], lambda _: command, watching, lambda *_: None)
    assert outcome.result["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert outcome.result["HOME"] == os.environ["HOME"]  # the user's own setting stays


@pytest.mark.parametrize(("behaviour", "code"), [("usage", 2), ("data", 3)])
def test_what_fails_for_every_seed_is_no_interruption(behaviour, code, monkeypatch, capsys):
    def command(request):
        return [sys.executable, "-c", CHILD, str(request["seed"]), behaviour]

    monkeypatch.setattr(children, "command", command)
    monkeypatch.setattr(train, "crew_for", lambda *_: Crew(1))
    assert cli.main(["run", "lenet5-digits", "--seeds", "3"]) == code
    assert capsys.readouterr().err.splitlines()[-1] == "error: seed 0: no such thing"


def test_a_failure_is_told_before_an_interruption(monkeypatch, capsys):
    ended = [
        children.Outcome(0, 130, "runs/0"),
        children.Outcome(1, 4, "runs/1", error="disk full"),
    ]
    monkeypatch.setattr(children, "run", lambda *_: ended)
    assert cli.main(["run", "lenet5-digits", "--seeds", "2", "--json"]) == 4
    assert capsys.readouterr().err.splitlines() == [
        "resume with: repro resume runs/0",
        "error: seed 1: disk full",
    ]


def test_a_process_that_dies_without_a_word_is_a_failure():
    (outcome,) = children.run([0], programs("crash"), Crew(1), lambda *_: None)
    assert (outcome.result, outcome.error) == ({}, "noise of a library")
    assert outcome.exit_code == 1
    (outcome,) = children.run([0], programs("killed"), Crew(1), lambda *_: None)
    assert "SIGKILL" in outcome.error and "memory" in outcome.error


@pytest.mark.parametrize("behaviour", ["dies after", "hangs after", "fails after"])
def test_nothing_after_the_result_hides_it(behaviour, monkeypatch):
    monkeypatch.setattr(children, "SECONDS_AFTER_RESULT", 0.5)
    monkeypatch.setattr(children, "SECONDS_TO_DIE", 0.2)
    shown, begin = [], time.monotonic()
    (outcome,) = children.run(
        [0], programs(behaviour), Crew(1), lambda _, event: shown.append(event)
    )
    assert time.monotonic() - begin < 10
    assert (outcome.exit_code, outcome.result) == (0, {"seed": 0, "run_dir": "runs/0"})
    assert len(outcome.warnings) == 1 and "repro resume runs/0" in outcome.warnings[0]
    assert shown[-1]["text"] == outcome.warnings[0]


def test_results_are_handed_over_before_what_follows_a_run(monkeypatch):
    """The program hangs after its result; when that is over, the result has long been printed."""
    monkeypatch.setattr(children, "SECONDS_AFTER_RESULT", 1.0)
    monkeypatch.setattr(children, "SECONDS_TO_DIE", 0.2)
    handed, begin = [], time.monotonic()

    def finished(results):
        handed.append((time.monotonic() - begin, [result["run_dir"] for result in results]))

    train.in_processes([0], Crew(1), programs("hangs after"), finished)
    ((when, run_dirs),) = handed
    assert run_dirs == ["runs/0"] and when + 1.0 <= time.monotonic() - begin


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_answered_at_once_and_reach_every_running_seed(number):
    started, events = threading.Semaphore(0), []

    def show(seed, event):
        events.append((seed, event))
        if event["event"] == "start":
            started.release()

    def interrupt():
        started.acquire()
        started.acquire()
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    begin = time.monotonic()
    outcomes = children.run(range(3), programs("wait"), Crew(2), show)
    assert time.monotonic() - begin < 30
    assert [o.exit_code for o in outcomes] == [130] * 3
    assert [o.run_dir for o in outcomes] == ["runs/0", "runs/1", ""]
    said = [event["text"] for seed, event in events if seed is None]
    assert said == ["stopping at the next checkpoint; Ctrl-C once more to kill"]


def test_a_run_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(children, "SECONDS_TO_STOP", 0.3)

    def show(seed, event):
        if event["event"] == "start":
            os.kill(os.getpid(), signal.SIGINT)

    begin = time.monotonic()
    (outcome,) = children.run([0], programs("deaf"), Crew(1), show)
    assert time.monotonic() - begin < 10
    assert (outcome.exit_code, outcome.run_dir) == (130, "runs/0")


def test_a_second_signal_kills_at_once():
    signals = []

    def show(seed, event):
        if event["event"] in ("start", "message") and len(signals) < 2:
            signals.append(os.kill(os.getpid(), signal.SIGINT))

    begin = time.monotonic()
    (outcome,) = children.run([0], programs("deaf"), Crew(1), show)
    assert time.monotonic() - begin < children.SECONDS_TO_STOP
    assert outcome.exit_code == 130


def test_interrupted_seeds_say_how_to_resume(monkeypatch, capsys):
    stopped = [children.Outcome(0, 0, "runs/0", {"seed": 0, "run_dir": "runs/0"})]
    stopped += [children.Outcome(1, 130, "runs/1"), children.Outcome(2, 130)]
    monkeypatch.setattr(children, "run", lambda *_, **__: stopped)
    assert cli.main(["run", "lenet5-digits", "--seeds", "3", "--json"]) == 130
    out, error = capsys.readouterr()
    assert [result["seed"] for result in json.loads(out)] == [0]
    assert error.splitlines()[-3:] == [
        "seed 0 is finished: runs/0",
        "resume with: repro resume runs/1",
        "error: interrupted",
    ]


@pytest.mark.parametrize(("code", "expected"), [(2, 2), (3, 3), (4, 4), (1, 4), (-9, 4)])
def test_the_exit_code_of_a_failed_seed_is_kept(code, expected, monkeypatch, capsys):
    failed = [children.Outcome(0, code, error="disk full")]
    monkeypatch.setattr(children, "run", lambda *_, **__: failed)
    assert cli.main(["run", "lenet5-digits"]) == expected
    assert capsys.readouterr().err.splitlines()[-1] == "error: disk full"


def test_cores_where_the_system_does_not_say_which_may_be_used(monkeypatch):
    """As on macOS, where `os` has no sched_getaffinity."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert machine.cores() == 8


@pytest.mark.parametrize("answer", [-1, ValueError("unrecognized name"), OSError(22, "no")])
def test_a_system_may_not_say_how_much_memory_it_has(answer, monkeypatch):
    def sysconf(name):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert machine.memory() is None


# ---------------------------------------------------------------------------- isolation


@pytest.mark.parametrize(
    "name",
    ["GIT_DIR", "GIT_WORK_TREE", "PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONOPTIMIZE"],
)
def test_what_would_change_a_run_is_kept_from_it(name):
    assert name not in isolation.pinned({name: "1", "HOME": "/root"})


def test_the_rest_of_the_environment_stays():
    kept = {"HOME": "/home/me", "LC_ALL": "tr_TR.UTF-8", "KERAS_BACKEND": "jax", "PATH": "/bin"}
    pinned = isolation.pinned(kept)
    assert pinned.items() >= kept.items()
    assert pinned["PYTHONUTF8"] == "1"


def test_only_the_working_folder_leaves_the_import_path(tmp_path):
    root, cluster = str(machine.PACKAGE_ROOT), "/opt/modules/tensorflow"
    path = os.pathsep.join(["", ".", str(tmp_path), root, cluster])
    assert isolation.pinned({"PYTHONPATH": path})["PYTHONPATH"] == f"{root}{os.pathsep}{cluster}"
    assert "PYTHONPATH" not in isolation.pinned({"PYTHONPATH": "."})


def test_a_machine_without_a_gpu_is_told_so_before_tensorflow_looks(monkeypatch):
    monkeypatch.setattr(machine, "gpu_device", lambda: None)
    assert isolation.pinned({})["CUDA_VISIBLE_DEVICES"] == "-1"
    monkeypatch.setattr(machine, "gpu_device", lambda: "/dev/nvidia0")
    assert isolation.pinned({"CUDA_VISIBLE_DEVICES": "1"})["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in isolation.pinned({})


def test_a_user_without_a_home_has_a_place_for_files(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for an unknown user id
    assert os.path.isabs(isolation.pinned({})["HOME"])


# Modules of Python, of libraries and of the harness; each ends the program if it is imported.
SHADOWS = ("keras", "rich", "typing", "json", "mlflow", "numpy", "papers", "tempfile", "typer")


@pytest.fixture
def shadowed(tmp_path):
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of the working folder')")
    return tmp_path


@pytest.mark.parametrize(
    "start",
    [
        [str(Path(sys.executable).with_name("repro"))],
        [sys.executable, "-m", "repro"],
        isolation.python(),
    ],
    ids=["script", "-m", "child"],
)
def test_no_file_of_the_working_folder_stands_for_a_module(start, shadowed):
    done = subprocess.run([*start, "show", "lenet5-digits"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["experiment", "lenet5-digits"])


def test_a_child_tells_events_alone_on_standard_output(shadowed):
    """Asked to resume what is no run directory: wrong usage, told as an event."""
    command = children.command({"do": "resume", "run_dir": "nowhere"})
    environment = isolation.pinned(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, event["event"], event["exit_code"]) == (2, "error", 2)
    assert "nowhere" in event["reason"] and not event["bug"]


def test_a_run_whose_starter_is_gone_is_asked_to_leave():
    code = (
        "import signal, sys, time; from repro.running import child\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "sys.stdin.read(); child.Channel(1)({'event': 'progress'}); time.sleep(30)"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.stdout.close()
    started.stdin.close()
    assert started.wait(timeout=30) == 7


# ---------------------------------------------------------------------------- observers


def test_an_observer_that_hangs_or_fails_does_not_hold_the_run():
    told, reached = [], threading.Event()

    def hangs(event):
        if event["event"] == "pass":
            reached.set()
            time.sleep(60)
        raise ValueError("no such table")

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), background.Background((hangs,), told.append) as watching:
        watching({"event": "start"})
        watching({"event": "pass"})
        assert reached.wait(10)
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 10
    assert [event["text"] for event in told] == ["ValueError('no such table')"]


def test_what_an_observer_raises_is_one_warning_and_the_next_is_told_all():
    told, seen = [], []

    def fails(event):
        raise child.ReproError(f"curves.svg cannot be written at {event['event']}")

    observers = (fails, lambda event: seen.append(event["event"]))
    with background.Background(observers, told.append) as watching:
        for kind in ("start", "pass", "done"):
            watching({"event": kind})
    assert seen == ["start", "pass", "done"]
    warning = {"event": "message", "warning": True}
    assert told == [{**warning, "text": "curves.svg cannot be written at start"}]


# ---------------------------------------------------------------------------- progress


def test_progress_without_a_terminal_is_a_line_per_pass(capsys):
    with progress.Bars(["seed 0"]) as bars:
        bars.show("seed 0", {"event": "start", "run_dir": "runs/x", "passes": 20, "updates": 1000})
        bars.show(
            "seed 0", {"event": "progress", "pass": 1, "update": 10, "updates": 1000, "error": 9.0}
        )
        line = {"pass": 3, "update": 150, "test_error": 1.234, "images_per_second": 3300.4}
        bars.show("seed 0", {"event": "pass", **line, "seconds_left": 3723})
        bars.show("seed 0", {"event": "testing", "done": 100, "total": 1000, "seconds_left": 9.0})
        bars.show("seed 0", {"event": "message", "text": "a word"})
        bars.show("seed 0", {"event": "message", "text": "no answer", "warning": True})
        bars.show(None, {"event": "message", "text": "stopping"})
        bars.show("seed 0", {"event": "of a later version"})
        bars.show("seed 0", {"event": "done"})
    assert capsys.readouterr().err.splitlines() == [
        "seed 0: runs/x",
        "seed 0: pass 3/20, test error 1.23 %, 3,300 images/s, 1:02:03 left",
        "seed 0: a word",
        "seed 0: warning: no answer",
        "stopping",
    ]


def test_a_test_that_takes_long_is_told_in_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress.Bars(["seed 0"]) as bars:
        for done in (100, 500):
            event = {"event": "testing", "done": done, "total": 1000, "seconds_left": 60.0}
            bars.show("seed 0", event)
    assert capsys.readouterr().err.splitlines() == ["seed 0: testing 50 %, 1:00 left"]


def test_several_runs_are_told_with_what_they_come_to_together(capsys):
    with progress.Bars(["seed 0", "seed 1"]) as bars:
        for seed, rate in ((0, 300.0), (1, 200.0)):
            at = {"pass": 1, "update": 5, "images_per_second": rate}
            bars.show(f"seed {seed}", {"event": "progress", **at})
        line = {"pass": 1, "update": 9, "test_error": 5.0, "images_per_second": 300.0}
        bars.show("seed 0", {"event": "pass", **line})
        bars.show("seed 1", {"event": "failed"})
        bars.show("seed 0", {"event": "pass", **line})
    assert capsys.readouterr().err.splitlines() == [
        "seed 0: pass 1/?, test error 5.00 %, 300 images/s, 2 runs together 500 images/s",
        "seed 0: pass 1/?, test error 5.00 %, 300 images/s",
    ]


def test_a_terminal_has_a_line_for_all_runs_while_there_are_several(monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    with progress.Bars(["seed 0", "seed 1"]) as bars:
        for seed, rate in ((0, 300.0), (1, 200.0)):
            at = {"pass": 1, "update": 5, "images_per_second": rate}
            bars.show(f"seed {seed}", {"event": "progress", **at})
        *_, last = shown = [task for task in bars._progress.tasks if task.visible]
        assert [task.description for task in shown] == ["seed 0", "seed 1", "together"]
        assert last.fields["state"] == "2 runs together 500 images/s"
        bars.show("seed 1", {"event": "done"})
        bars.show("seed 0", {"event": "progress", **at, "update": 6})
        shown = [task for task in bars._progress.tasks if task.visible]
        assert [task.description for task in shown] == ["seed 0", "seed 1"]


def test_progress_of_a_pass_that_was_not_tested(capsys):
    with progress.Bars(["seed 0"]) as bars:
        for number, how in ((3, {}), (4, {"test_error": 12.0})):
            line = {"pass": number, "update": 391 * number, "running_error": 20.0 - number}
            bars.show("seed 0", {"event": "pass", **line, **how})
    assert capsys.readouterr().err.splitlines() == [
        "seed 0: pass 3/?, training error 17.00 %",
        "seed 0: pass 4/?, test error 12.00 %",
    ]


def test_a_test_error_is_shown_during_the_pass_after_it_and_no_later(monkeypatch):
    shown = []
    with progress.Bars(["seed 0"]) as bars:
        monkeypatch.setattr(bars, "_update", lambda label, event: shown.append(event))
        bars.show("seed 0", {"event": "pass", "pass": 4, "update": 4, "test_error": 12.0})
        for number in (5, 6):
            bars.show("seed 0", {"event": "progress", "pass": number, "update": 5, "error": 9.0})
    assert [event["test_error"] for event in shown] == [12.0, 12.0, None]


# ---------------------------------------------------------------------------- a whole run


@pytest.fixture(scope="module")
def smoke_run(tmp_path_factory):
    """A finished smoke run, made in a process whose surroundings would upset it, and what it said.

    A figure cannot be written, and the tracking server has an address that cannot be parsed.
    """
    folder = tmp_path_factory.mktemp("whole")
    (folder / "keras.py").write_text("raise SystemExit('the file of the working folder')")
    (folder / "matplotlibrc").write_text("text.usetex: True\nbackend: nonsense\n")
    (folder / "home").mkdir()
    (folder / "home" / "keras.json").write_text('{"image_data_format": "channels_first"}')
    broken = folder / "runs" / "detector" / "exp1"
    broken.mkdir(parents=True)
    (broken / "result.json").write_text('{"acc": 1}')
    hostile = {
        "KERAS_HOME": str(folder / "home"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "GIT_DIR": str(folder / "no.git"),
        "PYTHONWARNINGS": "error",
        "MLFLOW_TRACKING_URI": "postgresql://u:pa[ss@h/db",
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "KERAS_BACKEND": "tensorflow",
    }
    command = [str(Path(sys.executable).with_name("repro")), "run", "lenet5-digits"]
    command += ["--scale", "smoke", "--json"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | hostile, capture_output=True, text=True
    )
    return folder, done


def test_a_machine_s_settings_do_not_end_a_run(smoke_run):
    folder, done = smoke_run
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    run = json.loads((folder / result["run_dir"] / "run.json").read_text())
    here = subprocess.run(
        ["git", "-C", str(machine.PACKAGE_ROOT), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
    )
    assert run["commit"] == (here.stdout.strip() or None)
    assert not (folder / result["run_dir"] / "failure.json").exists()


def test_what_fails_after_a_run_is_a_warning_without_the_password(smoke_run):
    _, done = smoke_run
    warnings = json.loads(done.stdout)["warnings"]
    assert any("detector/exp1" in text for text in warnings) or "detector/exp1" in done.stderr
    assert any("MLflow" in text for text in warnings)
    assert "pa[ss" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "cuInit" not in done.stderr


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras, on TensorFlow
def test_a_network_is_exported_with_its_weights(smoke_run, monkeypatch):
    folder, done = smoke_run
    monkeypatch.chdir(folder / "home")
    run_dir = str(folder / json.loads(done.stdout)["run_dir"])
    assert cli.main(["export", run_dir, "lenet5.keras"]) == 0
    import keras

    network = keras.saving.load_model("lenet5.keras")
    assert network.count_params() == 60_000  # LeCun et al. 1998, section II.B
    from repro.training import runner

    images = 0.1 * keras.random.normal((2, *network.input_shape[1:]), seed=1)
    expected, computed = runner.trained(run_dir)(images), network(images)
    assert (keras.ops.convert_to_numpy(expected) == keras.ops.convert_to_numpy(computed)).all()


@pytest.mark.parametrize("name", ["weights.h5", "weights", "weights.keras.zip"])
def test_an_export_under_another_name_is_refused(name, capsys):
    assert cli.main(["export", "nowhere", name]) == 2
    assert ".keras" in capsys.readouterr().err


def test_an_export_of_what_is_no_run_is_refused(capsys):
    assert cli.main(["export", "nowhere", "a.keras"]) == 2
    assert "nowhere" in capsys.readouterr().err and not Path("a.keras").exists()
