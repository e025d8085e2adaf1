"""A run that is asked to stop: at once, with a checkpoint, and then to the same bits."""

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_runs import Seen, digits, last_state, modern_on_digits, stopping_at, timeless

from repro import catalog, spec
from repro.errors import Interrupted
from repro.records.journal import Journal
from repro.training import runner, schedule, training
from repro.training.stop import AtOnce, Stop


def only_run(out: Path) -> Path:
    (run_dir,) = next(out.iterdir()).iterdir()
    return run_dir


def same(cut: Journal, whole: Journal) -> None:
    assert timeless(cut) == timeless(whole)
    pairs = zip(last_state(cut), last_state(whole), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def small_steps(monkeypatch):
    """Chunks of 7 updates, each of which is a call of the loop."""
    monkeypatch.setattr(schedule, "CHUNK_UPDATES", 7)
    monkeypatch.setattr(training, "SECONDS_OF_A_CALL", 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A smoke run, left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "CHUNK_UPDATES", 7)
        return Journal.open(digits(out=tmp_path_factory.mktemp("whole"))["run_dir"])


def test_a_run_stopped_again_and_again_is_resumed_to_the_same_bits(whole, tmp_path, small_steps):
    """Within a chunk, at the end of one, and at the end of a pass.

    Also the sum of the losses, which float32 rounds after every update of a chunk.
    """
    start = functools.partial(digits, out=tmp_path)
    for update in (3, 14, 20):
        seen = Seen()
        with pytest.raises(Interrupted, match=rf"update {update} of 40; resume with: repro resume"):
            start(observers=[stopping_at(update), seen])
        (told,) = seen.of("interrupted")
        assert (told["run_dir"], told["update"]) == (str(only_run(tmp_path)), update)
        start = functools.partial(runner.resume, only_run(tmp_path))
    start()
    cut = Journal.open(only_run(tmp_path))
    assert cut.result()["resumed"] == 3
    same(cut, whole)


def test_many_threads_and_falling_rates_are_resumed_to_the_bit(tmp_path, small_steps, monkeypatch):
    experiment = modern_on_digits()
    whole = Journal.open(runner.run(experiment, out=tmp_path / "whole")["run_dir"])
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    with pytest.raises(Interrupted):
        runner.run(experiment, out=tmp_path / "cut", observers=[stopping_at(31)])
    runner.resume(only_run(tmp_path / "cut"))
    same(Journal.open(only_run(tmp_path / "cut")), whole)


@pytest.mark.parametrize(("error", "update"), [(80.0, 3), (100.0, 8)])
def test_a_run_stopped_in_its_warm_up_or_soon_after_is_resumed_to_the_same_bits(
    error, update, tmp_path, monkeypatch, small_steps
):
    """What was wrong since the window began is kept, and the pass is cut at the same updates."""
    modern = modern_on_digits()
    method = dataclasses.replace(
        modern.recipe.optimizer,
        rate=0.1,
        falls=None,
        warm_up=spec.WarmUp(rate=0.01, error=error, window=5),
    )
    experiment = modern_on_digits(passes=0, iterations=22, optimizer=method)
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    with pytest.raises(Interrupted, match=f"update {update} of 22"):
        runner.run(experiment, out=tmp_path / "cut", observers=[stopping_at(update)])
    runner.resume(only_run(tmp_path / "cut"))
    cut = Journal.open(only_run(tmp_path / "cut"))
    whole = Journal.open(runner.run(experiment, out=tmp_path / "whole")["run_dir"])
    assert (cut.result()["resumed"], whole.result()["resumed"]) == (1, 0)
    assert whole.passes()[0]["rate_min"] == 0.01  # it began warming up, and that came to an end:
    assert whole.passes()[-1]["rate_max"] == 0.1
    same(cut, whole)


@pytest.fixture(scope="module")
def two_passes(tmp_path_factory):
    """A run of two passes over batches of 128, and its experiment."""
    experiment = modern_on_digits(passes=2)
    run = runner.run(experiment, out=tmp_path_factory.mktemp("two_passes"))
    return Journal.open(run["run_dir"]), experiment


@pytest.mark.parametrize("passes", [0, 1, 2])  # in a test after a pass, or in the last ones
def test_a_run_stopped_in_a_test_keeps_the_pass_and_repeats_the_test(
    passes, two_passes, tmp_path, monkeypatch
):
    from repro.training import telling

    monkeypatch.setattr(telling, "SECONDS_BETWEEN_EVENTS", 0.0)
    whole, experiment = two_passes
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    seen = Seen()

    def stop(event):
        if event["event"] == "testing" and len(seen.of("pass")) == passes:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        runner.run(experiment, out=tmp_path, observers=[seen, stop])
    cut = Journal.open(only_run(tmp_path))
    assert len(cut.passes()) == passes and cut.result() is None
    again = Seen()
    runner.resume(cut.path, observers=[again])
    trained = {event["pass"] for event in again.of("progress")}
    assert trained == {0: {2}, 1: set(), 2: set()}[passes]
    same(cut, whole)


def test_a_run_stopped_while_averages_are_tested_trains_on_from_its_own_weights(
    tmp_path, monkeypatch
):
    from repro.training import telling

    monkeypatch.setattr(telling, "SECONDS_BETWEEN_EVENTS", 0.0)
    method = dataclasses.replace(modern_on_digits().recipe.optimizer, averaging=0.9)
    experiment = modern_on_digits(passes=2, optimizer=method)
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)
    whole = Journal.open(runner.run(experiment, out=tmp_path / "whole")["run_dir"])
    with pytest.raises(Interrupted):
        runner.run(experiment, out=tmp_path / "cut", observers=[stopping_at(0, "testing")])
    runner.resume(only_run(tmp_path / "cut"))
    same(Journal.open(only_run(tmp_path / "cut")), whole)


# ---------------------------------------------------------------------------- the signal itself


def test_a_signal_is_remembered_and_the_second_one_is_not_waited_with():
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set
        with pytest.raises(KeyboardInterrupt) as raised:
            signal.raise_signal(signal.SIGINT)
        assert raised.type is KeyboardInterrupt


def test_where_nothing_is_lost_a_signal_is_answered_at_once():
    with Stop() as stop:
        with pytest.raises(AtOnce), stop.at_once():
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(AtOnce), stop.at_once():  # one that came before, too
            raise AssertionError("the block was run")


def test_handlers_are_as_they_were_afterwards():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    with Stop(leave_within=60.0):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == descriptor


STUCK = """
import hashlib, sys, time
from repro.training.stop import Stop
with Stop(leave_within=0.5) as stop:
    stop.leaving = lambda: print("leaving", flush=True)
    if "silent" in sys.argv:
        stop.leaving = lambda: time.sleep(60)
    print("stuck", flush=True)
    {body}
    print("was not stuck", flush=True)
"""


@pytest.mark.parametrize(
    ("body", "arguments", "code", "words"),
    [
        # an operation that does not return to Python, as of a compiler
        ("hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", [], 130, ["stuck", "leaving"]),
        ("hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", ["silent"], 130, ["stuck"]),
        ("while not stop.is_set: pass", [], 0, ["stuck", "was not stuck"]),
    ],
)
def test_a_process_that_is_stuck_leaves_all_the_same(body, arguments, code, words):
    command = [sys.executable, "-c", STUCK.format(body=body), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        first = process.stdout.readline().strip()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().split("\n")
        assert process.wait() == code
    assert [first, *filter(None, rest)] == words
    assert time.monotonic() - began < 10


def test_a_signal_while_the_network_is_built_leaves_nothing_behind(tmp_path):
    def built_too_slowly():
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was built on")

    experiment = dataclasses.replace(
        modern_on_digits(), network=spec.Network("slow", built_too_slowly)
    )
    with pytest.raises(Interrupted, match="nothing was trained yet"):
        runner.run(experiment, out=tmp_path)
    assert not list(tmp_path.iterdir())
