"""The run directory: whole files or none, and nothing lost to a crash."""

import json
import os
import re
from pathlib import Path

import pytest

from repro.errors import UsageError
from repro.files import write_bytes, write_json
from repro.records import journal as journal_module
from repro.records.journal import FACTS, Journal


@pytest.fixture
def journal(tmp_path):
    return Journal.create(tmp_path / "runs", "lenet5-mnist", "short", 3)


def test_a_run_directory_is_named_as_in_the_contract(journal, tmp_path):
    assert journal.path.parent == tmp_path / "runs" / "lenet5-mnist"
    assert re.fullmatch(r"short-seed3-\d{8}-\d{6}", journal.path.name)
    assert journal.checkpoints == journal.path / "checkpoints"
    assert journal.checkpoints.is_dir()


def test_runs_begun_in_the_same_second_have_their_own_directories(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module.time, "strftime", lambda form: "20260101-000000")
    paths = {Journal.create(tmp_path, "e", "paper", 0).path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.is_dir() for path in paths)


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(UsageError, match=r"--out .*cannot be written"):
            Journal.create(out, "e", "paper", 0)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_where_the_experiment_goes_is_a_usage_error(tmp_path):
    (tmp_path / "lenet5-mnist").write_text("mine")
    with pytest.raises(UsageError, match="cannot be written"):
        Journal.create(tmp_path, "lenet5-mnist", "paper", 0)


def test_what_was_written_is_read(journal):
    facts = {key: key for key in FACTS} | {"title": "LeNet-5 · 0.95 %", "seed": 3}
    journal.write_run(facts)
    assert Journal.open(journal.path).run() == facts
    assert journal.passes() == []
    assert journal.result() is None and journal.failure() is None
    lines = [{"pass": 1, "loss": 0.1 + 0.2}, {"pass": 2, "loss": 1e-300}]
    for line in lines:
        journal.append(line)
        assert json.loads((journal.path / "metrics.jsonl").read_text().splitlines()[-1]) == line
    assert Journal.open(str(journal.path)).passes() == lines  # every bit of the floats


@pytest.mark.parametrize("content", [None, "", "{", "no json", "{}", "[]", '{"id": "ab"}'])
def test_what_is_no_run_directory_is_a_usage_error(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError, match="not a run directory"):
        Journal.open(tmp_path)


def test_a_line_cut_off_by_a_crash_is_left_out(journal):
    journal.append({"pass": 1})
    with open(journal.path / "metrics.jsonl", "a") as file:
        file.write('{"pass": 2, "lo')
    assert journal.passes() == [{"pass": 1}]


def test_a_resumed_run_writes_again_what_came_after_its_checkpoint(journal):
    for number in (1, 2, 3):
        journal.append({"pass": number})
    with open(journal.path / "metrics.jsonl", "a") as file:
        file.write('{"pass": 4, "lo')
    journal.keep(2)
    journal.append({"pass": 3, "again": True})
    assert journal.passes() == [{"pass": 1}, {"pass": 2}, {"pass": 3, "again": True}]
    journal.keep(0)
    assert journal.passes() == []


def test_a_failed_run_that_is_taken_up_again_has_not_failed(journal):
    journal.fail({"reason": "the loss is not finite"})
    assert Journal(journal.path).failure() == {"reason": "the loss is not finite"}
    assert journal.result() is None
    journal.going_on()
    journal.going_on()
    assert journal.failure() is None
    journal.finish({"seconds": 1.5})
    assert journal.result() == {"seconds": 1.5}


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, {"old": True})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"old": True}


def test_a_reader_never_sees_a_part(tmp_path, monkeypatch):
    """At the moment of the rename the old file is whole, and the new content lies on the disk."""
    path = tmp_path / "state"
    write_bytes(path, b"old")
    seen = []
    replace = os.replace

    def watched(source, target):
        source = Path(source)
        seen.append((path.read_bytes(), source.read_bytes(), source.parent))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_bytes(path, b"new" * 1000)
    assert seen == [(b"old", b"new" * 1000, tmp_path)]
    assert path.read_bytes() == b"new" * 1000
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
