"""What a run tells those who watch it, and what a watcher that fails costs."""

import pytest
from small_runs import Seen, modern_on_digits

from repro.records.journal import Journal
from repro.training import runner, telling
from repro.training.events import Observers
from repro.training.pace import Pace


def test_a_run_tells_its_story_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(telling, "SECONDS_BETWEEN_EVENTS", 0.0)
    seen, there = Seen(), []

    def look(event):
        if event["event"] == "done":  # by then the result is written
            there.append(Journal.open(event["run_dir"]).result())

    outcome = runner.run(modern_on_digits(passes=2), out=tmp_path, observers=[look, seen])
    kinds = [event["event"] for event in seen]
    assert [k for k in kinds if k not in ("progress", "testing")] == [
        *("start", "pass", "pass", "done")
    ]
    start, done = seen[0], seen[-1]
    assert start == {
        "event": "start",
        "run_dir": outcome["run_dir"],
        "passes": 2,
        "update": 0,
        "updates": round(2 * 1437 / 128),
    }
    assert done == {"event": "done", **outcome}
    assert there and there[0]["metrics"] == outcome["metrics"]
    lines = Journal.open(outcome["run_dir"]).passes()
    told = [{k: v for k, v in event.items() if k != "event"} for event in seen.of("pass")]
    assert told == lines
    assert seen.of("progress")[-1]["update"] == start["updates"]
    last = kinds.index("done") - 1
    assert kinds[last] == "testing"


@pytest.mark.parametrize("kind", ["start", "progress", "pass", "done"])
def test_an_observer_that_fails_costs_one_warning(kind, tmp_path):
    seen, calls = Seen(), []

    def failing(event):
        calls.append(event["event"])
        if event["event"] == kind:
            raise RuntimeError(f"no colours for {kind}")

    outcome = runner.run(modern_on_digits(passes=1), out=tmp_path, observers=[failing, seen])
    assert Journal.open(outcome["run_dir"]).result()
    assert not Journal.open(outcome["run_dir"]).failure()
    (warning,) = seen.of("message")
    assert "failing" in warning["text"] and f"no colours for {kind}" in warning["text"]
    assert calls[-1 if kind != "done" else -2] == "done"  # it is still told of the rest


def test_an_observer_that_fails_at_every_event_is_named_once():
    seen = Seen()

    def failing(event):
        raise ValueError("again")

    observers = Observers([failing, seen])
    for _ in range(3):
        observers.tell("progress", update=1)
    assert [event["event"] for event in seen] == ["message", "progress", "progress", "progress"]


def test_the_time_left_counts_updates_and_tests_to_come():
    pace = Pace(batch=10)
    assert pace.left(5, 100) is None
    pace.trained(1, 60.0)  # the first call compiles: it says nothing of the others
    assert pace.update is None
    pace.trained(4, 12.0)
    assert pace.update == 3.0
    # Until a test was timed, an image counts a third of what it costs in training.
    assert pace.left(5, 100) == pytest.approx(5 * 3.0 + 100 * 3.0 / 10 / 3)
    pace.tested(50, 1.0)
    assert pace.left(5, 100) == pytest.approx(5 * 3.0 + 100 * 0.02)
    pace.tested(1, 600.0)  # one that waited for a compiler: no image costs more than in training
    assert pace.left(5, 100) == pytest.approx(5 * 3.0 + 100 * 0.3)
    assert pace.updates_in(2.0) == 1 and pace.updates_in(7.0) == 2
