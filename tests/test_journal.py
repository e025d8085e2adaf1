"""The run directory: checked when it is read, and nothing lost to a crash."""

import json
import os
import re
import shutil
import time

import pytest
from run_records import experiment, failed, line, record, seal_run, write_run

from repro.errors import RunError, UsageError
from repro.records import journal as journal_module
from repro.records.journal import Journal
from repro.training import facts

TOY = experiment()


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def journal(tmp_path):
    journal = Journal.create(tmp_path / "runs", "lenet5-mnist", "short", 3)
    journal.write_run(record(TOY, 3, 9.0, scale="short")["run"])
    return journal


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
    run = {**record(TOY, 3, 9.0, scale="short")["run"], "title": "LeNet-5 · 0.95 %"}
    journal.write_run(run)
    assert Journal.open(journal.path).run() == run
    assert journal.passes() == []
    assert journal.result() is None and journal.failure() is None
    lines = [line(1, 10, 0.1 + 0.2), line(2, 20, 1e-300)]
    for one in lines:
        journal.append(one)
        assert json.loads((journal.path / "metrics.jsonl").read_text().splitlines()[-1]) == one
    assert Journal.open(str(journal.path)).passes() == lines  # every bit of the floats


@pytest.mark.parametrize("content", [None, "", "{", "no json", "{}", "[]", '{"id": "ab"}'])
def test_what_is_no_run_directory_is_a_usage_error(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError, match="not a run directory"):
        Journal.open(tmp_path)


@pytest.mark.parametrize("path", ["nowhere", "", "/", "\0", "x" * 5000, "a\nb", "/dev/null"])
def test_what_is_no_folder_is_a_usage_error(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="not a run directory"):
        Journal.open(path)


def test_a_line_cut_off_by_a_crash_is_left_out(journal):
    journal.append(line(1, 10, 90.0))
    with open(journal.path / "metrics.jsonl", "a") as file:
        file.write('{"pass": 2, "lo')
    assert journal.passes() == [line(1, 10, 90.0)]


def test_a_resumed_run_writes_again_what_came_after_its_checkpoint(journal):
    lines = [line(number, 10 * number, 90.0) for number in (1, 2, 3)]
    for one in lines:
        journal.append(one)
    with open(journal.path / "metrics.jsonl", "a") as file:
        file.write('{"pass": 4, "lo')
    journal.write_passes(journal.passes()[:2])
    again = {**lines[2], "again": True}
    journal.append(again)
    assert journal.passes() == [*lines[:2], again]


def test_a_failed_run_that_is_taken_up_again_has_not_failed(journal):
    journal.fail({"reason": "the loss is not finite"})
    assert Journal(journal.path).failure() == {"reason": "the loss is not finite"}
    assert journal.result() is None
    journal.resumed()
    journal.resumed()
    assert journal.failure() is None
    result = record(TOY, 3, 9.0)["result"]
    journal.finish(result)
    assert journal.result() == result


def test_what_cannot_be_removed_is_named_and_removing_it_helps(journal):
    (journal.path / "failure.json").mkdir()
    with pytest.raises(RunError, match=r"failure\.json.*remove it, then resume"):
        journal.resumed()
    (journal.path / "failure.json").rmdir()
    journal.resumed()


def test_a_link_is_named_and_putting_the_file_there_helps(journal, tmp_path):
    path = journal.path / "run.json"
    path.rename(tmp_path / "away.json")
    path.symlink_to(tmp_path / "away.json")
    with pytest.raises(UsageError, match=rf"{path} is a symbolic link.*put the file .* there"):
        Journal.open(journal.path)
    path.unlink()
    shutil.copy(tmp_path / "away.json", path)
    assert Journal.open(journal.path).facts().seed == 3


# ---------------------------------------------------------------------------- what was changed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 4),
        ("scale", "paper"),
        ("experiment", "lenet5-mnist"),
        ("overrides", ["recipe.batch=2"]),
        ("precision", "mixed_bfloat16"),
        ("digest", "0" * 12),
        ("id", "0" * 32),
        ("paper", "resnet"),
        ("commit", "f" * 40),
    ],
)
def test_a_run_json_that_was_edited_is_refused(tmp_path, key, value):
    folder = seal_run(tmp_path, record(TOY, 3, 9.0, scale="short"))
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, key: value}))
    with pytest.raises(UsageError, match=r"not a run directory .*changed after it was written"):
        Journal.open(folder)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("seed", 4, "seed 4, but lies in short-seed3-"),
        ("scale", "smoke", "scale smoke, seed 3, but lies in short-seed3-"),
        ("experiment", "resnet20-cifar10", "asks for another run"),
        ("overrides", ["recipe.batch=2"], "asks for another run"),
        ("precision", "mixed_bfloat16", "asks for another run"),
    ],
)
def test_one_from_before_there_were_seals_is_held_to_its_name_and_command(
    tmp_path, key, value, complaint
):
    made = record(TOY, 3, 9.0, scale="short", command="repro run toy --scale short --seed 3")
    if key != "experiment":  # the folder of that name is made for it
        assert Journal.open(write_run(tmp_path / "whole", made)).facts().seed == 3
    folder = write_run(tmp_path, made)
    changed = {**made["run"], key: value}
    if key in ("seed", "scale"):
        del changed["command"]
    (folder / "run.json").write_text(json.dumps(changed))
    with pytest.raises(UsageError, match=complaint):
        Journal.open(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("paper", "../../x"),
        ("paper", ".."),
        ("paper", "/tmp/x"),
        ("experiment", "a/b"),
        ("experiment", ""),
        ("experiment", "a\0b"),
        ("id", "' OR ''='"),
        ("id", "x" * 32),
        ("seed", "3"),
        ("seed", True),
        ("seed", -1),
        ("seed", 3.0),
        ("scale", "large"),
        ("scale", ["short"]),
        ("started", "x"),
        ("started", "0001-01-01"),
        ("overrides", "recipe.batch=2"),
        ("overrides", [1]),
        ("resolved", []),
        ("resolved", {"network": "x", "recipe": {}}),
        ("versions", {"keras": 3}),
        ("devices", None),
        ("data", {"dataset": "x", "digest": 1}),
        ("machine", "x"),
        ("replicas", 0),
    ],
)
def test_a_value_of_another_kind_is_named(tmp_path, key, value):
    made = record(TOY, 3, 9.0, scale="short")
    made["run"][key] = value
    path = tmp_path / "short-seed3-x"
    path.mkdir()
    (path / "run.json").write_text(json.dumps(made["run"]))
    with pytest.raises(UsageError, match=rf"not a run directory \(run\.json has run\.{key}"):
        Journal.open(path)


def test_a_result_of_another_run_is_refused(tmp_path):
    """Each part is whole; they do not belong together."""
    mine = seal_run(tmp_path, record(TOY, 3, 9.0))
    other = seal_run(tmp_path, record(TOY, 4, 1.0))
    for name in ("result.json", "metrics.jsonl"):
        kept = (mine / name).read_bytes()
        shutil.copy(other / name, mine / name)
        with pytest.raises(RunError, match="changed after it was written"):
            Journal(mine).record()
        (mine / name).write_bytes(kept)
    assert Journal(mine).record()["result"]["metrics"]["single-view"]["test_error"] == 9.0


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made["result"]["metrics"]["single-view"].update(test_error=1.0),
        lambda made: made["result"]["metrics"]["single-view"].update(test_wrong=-1),
        lambda made: made["result"]["metrics"]["single-view"].update(test_count=10_000.5),
        lambda made: made["result"].update(passes=3),
        lambda made: made["result"].update(updates=7),
        lambda made: made["result"].update(metrics={}),
        lambda made: made["passes"].pop(),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(tmp_path, change):
    """Without a seal, as runs had none before."""
    made = record(TOY, 3, 9.0)
    change(made)
    with pytest.raises(RunError):
        Journal(write_run(tmp_path, made)).record()


@pytest.mark.parametrize("name", ["result", "failure"])
@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "{}", '{"acc": 1}', '{"metrics": 1}', '{"reason": 1}', "[" * 10**5, "\xff"],
)
def test_a_damaged_ending_is_one_line_and_removing_it_helps(tmp_path, name, content):
    made = record(TOY, 3, 9.0) if name == "result" else failed(TOY, 3)
    folder = seal_run(tmp_path, made)
    path = folder / f"{name}.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=rf"{path}.*remove that file, then: repro resume") as raised:
        Journal(folder).record()
    assert "\n" not in str(raised.value)
    path.unlink()
    assert Journal(folder).record()["result"] is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda x: x.__setitem__(1, x[1][:20] + "\n"), "line 2 of metrics.jsonl is not JSON"),
        (lambda x: x.insert(1, "\n"), "line 2 of metrics.jsonl is not JSON"),
        (lambda x: x.insert(1, "[]\n"), "pass 2"),
        (lambda x: x.insert(1, '{"acc": 1}\n'), r"lacks pass 2\.pass"),
        (lambda x: x.pop(1), "pass 3 in the place of pass 2"),
        (lambda x: x.insert(1, x[1]), "pass 2 in the place of pass 3"),
        (lambda x: x.append(x.pop(1)), "pass 3 in the place of pass 2"),
        (lambda x: x.__setitem__(1, x[1].replace("20", "1")), "no more updates"),
        (lambda x: x.__setitem__(1, x[1].replace("0.5", '"x"')), r"pass 2\.loss"),
        (lambda x: x.__setitem__(1, x[1].replace("90.0", "[]")), r"pass 2\.running_error"),
        (lambda x: x.__setitem__(1, x[1].replace("180.0", "-1")), r"pass 2\.seconds"),
        (lambda x: x.__setitem__(1, x[1].replace("0.5", "NaN")), "not finite"),
    ],
)
def test_a_line_that_is_not_as_it_was_written_is_named(journal, change, complaint):
    for number in (1, 2, 3):
        journal.append(line(number, 10 * number, 90.0))
    path = journal.path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    change(lines)
    path.write_text("".join(lines))
    with pytest.raises(RunError, match=complaint) as raised:
        journal.passes()
    assert "\n" not in str(raised.value)


def test_a_torn_mlflow_json_is_as_none(journal):
    """It is a copy of what MLflow knows: no reason to stop at."""
    path = journal.path / "mlflow.json"
    for content in ("", "[]", '{"mlflow_run_id": 1}', "[" * 10**5):
        path.write_text(content)
        assert journal.logged() is None
    path.write_text('{"mlflow_run_id": "ab"}')
    assert journal.logged() == {"mlflow_run_id": "ab"}


# ---------------------------------------------------------------------------- writing


def test_a_disk_that_is_full_from_the_start_leaves_no_directory(tmp_path, monkeypatch):
    journal = Journal.create(tmp_path, "toy", "short", 3)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with journal.alone(), monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RunError, match="No space left"):
            journal.write_run(record(TOY, 3, 9.0)["run"])
    assert not journal.path.exists()


def test_names_that_are_no_text_are_spelt_in_what_is_read_again(journal):
    """As os.fsdecode gives them: a variable of the environment, a folder in an error."""
    name = os.fsdecode(b"caf\xe9")
    run = record(TOY, 3, 9.0, scale="short")["run"]
    journal.write_run({**run, "environment": {"OMP_NUM_THREADS": name, name: ["1", name]}})
    spelt = r"caf\udce9"
    said = Journal.open(journal.path).run()["environment"]
    assert said == {"OMP_NUM_THREADS": spelt, spelt: ["1", spelt]}
    journal.fail({"reason": f"{name}/x: no space left", "update": 0, "at": run["started"]})
    assert journal.record()["failure"]["reason"] == rf"{spelt}/x: no space left"


def test_a_run_that_does_not_say_what_data_it_began_with_is_not_taken_up(journal):
    run = record(TOY, 3, 9.0, scale="short")["run"]
    journal.write_run({key: value for key, value in run.items() if key != "data"})
    with pytest.raises(RunError, match="does not say which data"):
        facts.check_data(journal, {"digest": "any"})


def test_a_result_is_written_even_where_the_journal_is_damaged(journal):
    (journal.path / "metrics.jsonl").write_text("{\n")
    journal.finish(record(TOY, 3, 9.0)["result"])
    assert journal.result()["metrics"]["single-view"]["test_error"] == 9.0


def test_a_file_of_the_directory_stays_in_it(journal, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (journal.path / "filters.npy").symlink_to(tmp_path / "mine")
    journal.write("filters.npy", b"new")
    assert (tmp_path / "mine").read_text() == "mine"
    shutil.rmtree(journal.figures)
    journal.figures.symlink_to(tmp_path)
    with pytest.raises(OSError, match="symbolic link"):
        journal.write("figures/mine", b"new")
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_a_killed_process_left_half_written_is_removed(journal):
    left = [journal.checkpoints / ".update-000000300.ckpt.4711", journal.path / ".result.json.4711"]
    left.append(journal.figures / ".curves.svg.4711-0123abcd")
    kept = [journal.path / ".hidden", journal.path / ".mlflow.json.4712-0123abcd"]
    for path in (*left, *kept):
        path.write_text("half")
    (journal.checkpoints / ".update-x").mkdir()
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)  # the last of `kept` is being written
    with journal.alone():
        assert [path.exists() for path in (*left, *kept)] == [False] * 3 + [True] * 2
