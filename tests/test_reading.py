"""Records are read with care: one that is broken is left out and named, and blocks nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from run_records import experiment, failed, record, seal_run, write_run

import repro
from repro.errors import DataError, RunError
from repro.records import reading

TOY = experiment()
NAME = "paper-seed{}-20261121-120000"


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for seed in (2, 3):
        seal_run(root / "before", record(TOY, seed, 1.0))
    assert len(reading.collect(root / "before", root / "results")) == 2
    for seed in (0, 1):
        seal_run(root / "runs", record(TOY, seed, 1.0))
    return root


@pytest.fixture
def roots(made, tmp_path):
    """The folders of two runs, of seeds 0 and 1, and of the records of 2 and 3."""
    names = ("runs", "results")
    return tuple(shutil.copytree(made / name, tmp_path / name) for name in names)


def gathered(runs, results):
    """(seeds, warnings)"""
    warnings = []
    records = reading.gather(results, runs, warn=warnings.append)
    assert all("\n" not in text for text in warnings)
    return sorted(r["run"]["seed"] for r in records), warnings


FOREIGN = ["{}", "[]", "null", '{"acc": 1}', "[" * 100_000, "x", '{"metrics": {"a": {}}}']


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("name", ["result.json", "failure.json"])
@pytest.mark.parametrize("both", [False, True])
def test_a_foreign_folder_among_the_runs_is_named(roots, text, name, both):
    folder = roots[0] / "detector" / "exp1"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    if both:
        (folder / "run.json").write_text(text)
    seeds, (warning,) = gathered(*roots)
    assert seeds == [0, 1, 2, 3]
    assert str(folder) in warning and "left out" in warning
    added = reading.collect(*roots, warn=lambda text: None)
    assert len(added) == 2


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_folder_that_has_not_even_ended_is_named(roots, text):
    folder = roots[0] / "detector" / "exp1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text)
    seeds, (warning,) = gathered(*roots)
    assert seeds == [0, 1, 2, 3] and str(folder) in warning


def test_a_run_that_goes_on_is_no_reason_for_a_warning(roots):
    (roots[0] / "toy" / NAME.format(0) / "result.json").unlink()
    (roots[0] / "toy" / "short-seed7-20261121-120000" / "checkpoints").mkdir(parents=True)
    assert gathered(*roots) == ([1, 2, 3], [])


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "result.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:40] + b"\n"),
        lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
        lambda path: (path.rename(path.with_name("other")), path.symlink_to("other")),
        lambda path: (path.unlink(), path.symlink_to(path.name)),
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "cut", "not UTF-8", "a link", "a link to itself", "a dangling link", "a folder"],
)
def test_a_damaged_run_is_named_and_the_others_count(roots, name, damage):
    damage(roots[0] / "toy" / NAME.format(0) / name)
    seeds, (warning,) = gathered(*roots)
    assert seeds == [1, 2, 3]
    assert NAME.format(0) in warning


def test_of_a_run_that_failed_too(tmp_path):
    folder = seal_run(tmp_path / "runs", failed(TOY, 0))
    assert gathered(tmp_path / "runs", None) == ([0], [])
    (folder / "failure.json").write_text("{}")
    seeds, (warning,) = gathered(tmp_path / "runs", None)
    assert seeds == [] and "failure.json" in warning


@pytest.mark.parametrize(
    "text",
    [
        *FOREIGN,
        "",
        '{"run": {}, "passes": [], "result": {"metrics": {}}}',
        '{"run": {"id": 1}, "passes": 1, "result": {"metrics": {"a": 1}}}',
        '{"run": {"id": "x"}, "passes": []}',
    ],
)
def test_a_broken_record_is_named_and_the_others_count(roots, text):
    path = roots[1] / "runs" / "toy" / (NAME.format(2) + ".json")
    path.write_text(text)
    seeds, (warning,) = gathered(*roots)
    assert seeds == [0, 1, 3]
    assert str(path) in warning
    said = []
    assert [r["run"]["seed"] for r in reading.records(roots[1], said.append)] == [3]
    assert said == [warning]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["run"].update(seed=9),
        lambda r: r["run"].update(commit="f" * 40),
        lambda r: r["result"]["metrics"]["single-view"].update(test_error=0.5, test_wrong=50),
        lambda r: r["result"].update(seconds=1.0),
        lambda r: r["passes"][0].update(test_error=1.0),
        lambda r: r["passes"].pop(0),
    ],
)
def test_a_record_that_was_edited_is_left_out(roots, change):
    path = roots[1] / "runs" / "toy" / (NAME.format(2) + ".json")
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    seeds, (warning,) = gathered(*roots)
    assert seeds == [0, 1, 3]
    assert path.name in warning


def test_a_record_under_another_name_or_linked_to_is_left_out(roots, tmp_path):
    """Three siblings: the file of another seed, of another experiment, a link to one outside."""
    folder = roots[1] / "runs" / "toy"
    path = folder / (NAME.format(2) + ".json")
    (tmp_path / "away.json").write_text(path.read_text())
    other = roots[1] / "runs" / "other" / path.name
    other.parent.mkdir()
    for place in (folder / (NAME.format(7) + ".json"), other):
        shutil.copy(path, place)
        seeds, (warning,) = gathered(*roots)
        assert seeds == [0, 1, 2, 3] and str(place) in warning
        place.unlink()
    path.unlink()
    path.symlink_to(tmp_path / "away.json")
    seeds, (warning,) = gathered(*roots)
    assert seeds == [0, 1, 3] and "symbolic link" in warning


def test_a_record_twice_counts_once(roots):
    path = roots[1] / "runs" / "toy" / (NAME.format(2) + ".json")
    shutil.copy(path, path.with_name(NAME.format(2) + "-2.json"))
    seeds, (warning,) = gathered(*roots)
    assert seeds == [0, 1, 2, 3] and "another record" in warning


def test_a_run_in_the_folder_of_another_experiment_is_left_out(tmp_path):
    write_run(tmp_path / "runs", record(TOY, 0, 1.0))
    (tmp_path / "runs" / "toy").rename(tmp_path / "runs" / "resnet20-cifar10")
    seeds, (warning,) = gathered(tmp_path / "runs", None)
    assert seeds == [] and "resnet20-cifar10" in warning and "toy" in warning


def test_a_folder_of_runs_may_lie_elsewhere(roots, tmp_path):
    roots[0].rename(tmp_path / "disk")
    roots[0].symlink_to(tmp_path / "disk")
    assert gathered(*roots) == ([0, 1, 2, 3], [])


# ---------------------------------------------------------------------------- adding to results/


def test_a_record_is_not_written_through_a_link(roots, tmp_path):
    runs, results = roots
    (tmp_path / "mine").mkdir()
    shutil.rmtree(results / "runs" / "toy")
    (results / "runs" / "toy").symlink_to(tmp_path / "mine")
    with pytest.raises(RunError, match="symbolic link"):
        reading.collect(runs, results)
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_broken_record_is_left_as_it_is(roots):
    runs, results = roots
    reading.collect(runs, results)
    path = results / "runs" / "toy" / (NAME.format(0) + ".json")
    for spoil in (lambda: path.write_text("mine"), lambda: (path.unlink(), path.symlink_to("x"))):
        spoil()
        said = []
        assert reading.collect(runs, results, said.append) == []
        assert "left as it is" in said[0] and path.name in said[0]
    assert os.readlink(path) == "x"


def test_runs_of_two_machines_that_began_in_the_same_second_are_both_kept(roots, tmp_path):
    runs, results = roots
    reading.collect(runs, results)
    again = record(TOY, 0, 2.0, finished="2026-11-22T00:00:00+00:00")
    seal_run(tmp_path / "other", again)
    (path,) = reading.collect(tmp_path / "other", results)
    assert path.name == f"{NAME.format(0)}-{again['run']['id'][:8]}.json"
    assert reading.collect(tmp_path / "other", results) == []
    assert len(reading.records(results)) == 5


def test_a_full_disk_loses_no_record(roots, monkeypatch):
    runs, results = roots
    before = {p: p.read_bytes() for p in results.rglob("*.json")}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"cannot write .*No space left"):
            reading.collect(runs, results)
    assert {p: p.read_bytes() for p in results.rglob("*") if p.is_file()} == before
    assert len(reading.collect(runs, results)) == 2


def test_a_project_that_was_moved_is_read_as_before(roots, tmp_path):
    before = reading.gather(roots[1], roots[0])
    (tmp_path / "moved").mkdir()
    for root in roots:
        root.rename(tmp_path / "moved" / root.name)
    after = reading.gather(tmp_path / "moved" / "results", tmp_path / "moved" / "runs")
    assert after == before and len(after) == 4
    assert not any(root.exists() for root in roots)
    assert str(tmp_path) not in json.dumps(after)


# ---------------------------------------------------------------------------- where from


def test_it_is_said_which_records_were_read_and_from_where(roots):
    runs, results = roots
    assert reading.gather(results, runs).origin() == f"2 records from {results}, 2 runs from {runs}"
    assert reading.gather(None, runs).origin() == f"2 runs from {runs}"
    shutil.rmtree(runs / "toy" / NAME.format(0))
    assert reading.gather(results, runs, runs).origin().endswith(f", 1 run from {runs}")
    nowhere = runs / "nowhere"
    assert reading.gather(nowhere).origin() == f"0 records from {nowhere}"


def test_without_anybody_to_tell_a_warning_is_a_line_on_standard_error(roots, capsys):
    (roots[0] / "toy" / NAME.format(0) / "run.json").write_text("")
    assert len(reading.gather(roots[1], roots[0])) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("warning: left out: ") and err.count("\n") == 1


def test_the_records_of_the_clone_come_with_the_program():
    assert reading.committed() == Path(repro.__file__).parents[1] / "results"


def test_those_packed_into_the_program_are_its_own_and_no_others_beside_it(tmp_path):
    """Installed, the package lies among others, one of which may be called `results`."""
    package = tmp_path / "site" / "repro"
    shutil.copytree(Path(repro.__file__).parent, package)
    (tmp_path / "site" / "results" / "runs").mkdir(parents=True)
    code = "from repro.records import reading; print(reading.committed())"

    def told():
        command = [sys.executable, "-P", "-c", code]
        path = {**os.environ, "PYTHONPATH": str(package.parent)}
        return subprocess.run(command, env=path, capture_output=True, text=True).stdout.strip()

    assert told() == "None"
    (package / "committed" / "runs").mkdir(parents=True)
    assert told() == str(package / "committed")


def test_what_cannot_be_read_is_a_data_error_of_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "a\0b"):
        with pytest.raises(DataError, match="not a run directory") as raised:
            reading.read_run(path)
        assert "\n" not in str(raised.value)
