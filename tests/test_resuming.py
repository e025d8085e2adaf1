"""A run is resumed from a checkpoint of its own, whatever became of the files around it."""

import hashlib
import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import run_records
from run_records import experiment, record

from repro.errors import RunError
from repro.networks import initial_weights
from repro.records.journal import Journal
from repro.training import checkpoint, resuming

TOY = experiment()
STATE = {"losses": 0.0, "wrong": 0, "rates": None, "warm": False}
UPDATES = 10  # of a pass


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def variables(seed=0):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=(3, 2)).astype("float32"), np.array(7, "int64")]


def line(number):
    return run_records.line(number, UPDATES * number, 100 / number, test_error=1 / number)


def save(journal, passes, values=None, **changes):
    """What the trainer saves at the end of a pass."""
    update = UPDATES * passes
    progress = {"update": update, "state": {**STATE, "losses": 0.5, "wrong": 3}, "seconds": 1.0}
    progress |= {"passes": passes, "lines": journal.passes(), "resumed": 0}
    progress |= {"run": journal.facts().ties(), **changes}
    progress = {key: value for key, value in progress.items() if value is not ...}
    return checkpoint.save(journal.checkpoints, update, values or variables(passes), progress)


def begin(tmp_path, seed=3, scale="short", drawn=initial_weights.VERSION, **changes):
    """drawn: what run.json says of initial weights; None as in runs whose backend drew them."""
    journal = Journal.create(tmp_path, "toy", scale, seed)
    run = record(TOY, seed, 9.0, scale=scale, **changes)["run"]
    journal.write_run(run | ({"initial_weights": drawn} if drawn else {}))
    return journal


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    journal = begin(tmp_path_factory.mktemp("killed"))
    for number in (1, 2, 3):
        journal.append(line(number))
        save(journal, number)
    return journal.path


@pytest.fixture
def journal(killed, tmp_path):
    """A run that was killed after its third pass."""
    return Journal(shutil.copytree(killed, tmp_path / "toy" / killed.name))


def fitting(journal):
    return resuming.Fitting(journal, variables(), STATE)


def restored(journal):
    values, progress, warnings = resuming.restore(fitting(journal))
    return [value.tobytes() for value in values], progress.get("passes"), warnings


def same(passes):
    return [value.tobytes() for value in variables(passes)]


# ---------------------------------------------------------------------------- the journal


def edit(change):
    def damage(path):
        lines = path.read_text().splitlines(keepends=True)
        change(lines)
        path.write_text("".join(lines))

    return damage


LOSSES = {
    "lost": os.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "torn at its end": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "torn in the middle": edit(lambda x: x.__setitem__(1, x[1][:20] + "\n")),
    "a line lost": edit(lambda x: x.pop(1)),
    "a line twice": edit(lambda x: x.insert(1, x[1])),
    "edited": edit(lambda x: x.__setitem__(1, x[1].replace("0.5", "0.4"))),
    "not UTF-8": lambda path: path.write_bytes(b"\xff" * 9),
    "a folder's link": lambda path: (path.unlink(), path.symlink_to(path.parent)),
}


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_a_damaged_journal_is_written_again_from_the_checkpoint(journal, damage):
    path = journal.path / "metrics.jsonl"
    before, states = path.read_bytes(), checkpoint.states(journal.checkpoints)
    damage(path)
    values, passes, warnings = restored(journal)
    assert (values, passes) == (same(3), 3)
    assert path.read_bytes() == before
    assert "written again from the checkpoint" in "".join(warnings)
    assert checkpoint.states(journal.checkpoints) == states


def test_what_the_journal_advises_helps(journal):
    """It says: repro resume. And doing what was once advised costs nothing either."""
    path = journal.path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1][:10] + "\n", lines[2]]))
    with pytest.raises(RunError, match=f"repro resume {journal.path}"):
        journal.passes()
    path.write_text(lines[0])  # "remove it and what follows, then resume"
    assert restored(journal)[:2] == (same(3), 3)
    assert path.read_text() == "".join(lines)


def test_lines_after_the_checkpoint_are_forgotten_without_a_word(journal):
    journal.append(line(4))
    assert restored(journal) == (same(3), 3, [])
    assert [x["pass"] for x in journal.passes()] == [1, 2, 3]


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_anew(tmp_path):
    journal = begin(tmp_path)
    journal.append(line(1))  # a pass is written down before its checkpoint
    values, passes, (warning,) = restored(journal)
    assert (values, passes) == ([], None)
    assert "starts at its first update" in warning
    assert journal.passes() == []


def test_a_run_that_lost_its_checkpoints_does_not_start_anew_unasked(journal):
    shutil.rmtree(journal.checkpoints)
    before = (journal.path / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="no checkpoint to resume from"):
        restored(journal)
    assert (journal.path / "metrics.jsonl").read_bytes() == before


def follow(error, journal):
    """Does what the message says to train from the first update."""
    advice = str(error.value).partition("from its first update, remove ")[2]
    checkpoints, _, lines = advice.partition(", then")[0].partition(" and ")
    assert (checkpoints, lines) == (str(journal.checkpoints), f"{journal.path}/metrics.jsonl")
    shutil.rmtree(checkpoints, ignore_errors=True)
    os.unlink(lines)


def test_unusable_checkpoints_stay_and_the_advice_helps(journal):
    before = {}
    for path in checkpoint.states(journal.checkpoints):
        path.write_bytes(before.setdefault(path, path.read_bytes()[:100]))
    with pytest.raises(RunError, match="cannot use any of its 2 checkpoints") as raised:
        restored(journal)
    assert "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in journal.checkpoints.iterdir()} == before
    assert len(journal.passes()) == 3
    follow(raised, journal)
    assert restored(journal)[:2] == ([], None)
    assert save(journal, 0).exists()  # the folder is there again


# ---------------------------------------------------------------------------- whose it is


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4},
        {"scale": "paper"},
        {"finished": "2026-11-22T00:00:00+00:00"},  # the same seed, begun again: another id
        {"digest": "0" * 12},
    ],
    ids=["seed", "scale", "id", "digest"],
)
def test_a_checkpoint_of_another_run_is_passed_over_and_kept(journal, tmp_path, other):
    theirs = begin(tmp_path / "other", **other)
    for number in (1, 2, 3):
        theirs.append(line(number))
    path = save(theirs, 3, variables(99))
    newest = checkpoint.newest(journal.checkpoints)
    shutil.copy(path, newest)
    content = newest.read_bytes()
    values, passes, (warning,) = restored(journal)
    assert (values, passes) == (same(2), 2)
    assert "another run" in warning and newest.name in warning
    assert newest.with_name(newest.name + ".refused").read_bytes() == content
    assert [x["pass"] for x in journal.passes()] == [1, 2]


def test_a_newer_checkpoint_of_another_name_is_passed_over(journal):
    newest = checkpoint.newest(journal.checkpoints)
    shutil.copy(newest, newest.with_name("update-000000041.ckpt"))
    values, passes, (warning,) = restored(journal)
    assert (values, passes) == (same(3), 3)
    assert "another update than its name says" in warning


@pytest.mark.parametrize("name", ["abc", "", "-1", "0" * 8 + "1e9", "9" * 99, "00000000040"])
@pytest.mark.parametrize("kind", ["file", "folder", "copy", "link"])
def test_what_has_no_name_of_a_checkpoint_is_none(journal, name, kind):
    newest = checkpoint.newest(journal.checkpoints)
    path = newest.with_name(f"update-{name}.ckpt")
    {
        "file": lambda: path.write_bytes(b"x"),
        "folder": path.mkdir,
        "copy": lambda: shutil.copy(newest, path),
        "link": lambda: path.symlink_to(newest),
    }[kind]()
    assert restored(journal) == (same(3), 3, [])
    journal.append(line(4))
    save(journal, 4)
    assert os.path.lexists(path)


def test_two_foreign_newer_ones_do_not_push_out_what_is_saved(journal):
    for number in (98, 99):
        (journal.checkpoints / f"update-{number:09d}.ckpt").write_bytes(b"x")
    journal.append(line(4))
    assert save(journal, 4).exists()


@pytest.mark.parametrize("kind", ["file", "link", "link of the folder"])
def test_a_checkpoint_that_is_a_link_or_folder_is_not_followed(journal, tmp_path, kind):
    newest = checkpoint.newest(journal.checkpoints)
    (tmp_path / "away").mkdir()
    away = tmp_path / "away" / newest.name
    shutil.move(newest, away)
    if kind == "file":
        newest.mkdir()
    elif kind == "link":
        newest.symlink_to(away)
    else:
        shutil.rmtree(journal.checkpoints)
        journal.checkpoints.symlink_to(away.parent)
        with pytest.raises(RunError, match="checkpoints is a symbolic link"):
            restored(journal)
        with pytest.raises(OSError, match="symbolic link"):
            checkpoint.write_bytes(journal.checkpoints / "x", b"x", within=journal.path)
        return
    with pytest.raises(RunError, match=f"{newest} is "):
        resuming.only_newest(fitting(journal))  # the one before it has other weights
    assert restored(journal)[:2] == (same(2), 2)
    assert away.exists()


# ---------------------------------------------------------------------------- what it says


def forge(path, change):
    """Another content with the right digest."""
    _, _, content = path.read_bytes().partition(b"\n")
    arrays = dict(np.load(io.BytesIO(content)))
    change(arrays)
    file = io.BytesIO()
    np.savez(file, **arrays)
    _seal(path, file.getvalue())


def _seal(path, content):
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


FORGED = {
    "a variable lost": lambda a: a.pop("00000"),
    "another shape": lambda a: a.update({"00000": a["00000"].reshape(-1)}),
    "another type": lambda a: a.update({"00000": a["00000"].astype(str)}),
    "whole numbers": lambda a: a.update({"00000": a["00000"].astype(int)}),
    "empty": lambda a: a.update({"00000": np.zeros(0, "float32")}),
    "not finite": lambda a: a.update({"00000": a["00000"] * np.nan}),
    "one too many": lambda a: a.update({"00002": a["00000"]}),
    "no progress": lambda a: a.pop("progress"),
    "deep progress": lambda a: a.update({"progress": np.array("[" * 100_000)}),
    "a list": lambda a: a.update({"progress": np.array("[]")}),
    "bytes": lambda a: a.update({"progress": np.array(b"\xff")}),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_state_of_another_network_is_passed_over(journal, change):
    forge(checkpoint.newest(journal.checkpoints), change)
    values, passes, (warning,) = restored(journal)
    assert (values, passes) == (same(2), 2)
    assert "\n" not in warning


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_weights_to_be_tested_are_the_newest_or_none(journal, change):
    forge(checkpoint.newest(journal.checkpoints), change)
    with pytest.raises(RunError, match="update-000000030") as raised:
        resuming.only_newest(fitting(journal))
    assert "\n" not in str(raised.value)


def test_weights_to_be_tested_are_of_the_update_that_they_say(journal):
    newest = checkpoint.newest(journal.checkpoints)
    shutil.copy(newest, newest.with_name("update-000000041.ckpt"))
    with pytest.raises(RunError, match="another update than its name says"):
        resuming.only_newest(fitting(journal))


def test_weights_to_be_tested_need_no_optimizer(journal):
    weights = resuming.Fitting(journal, variables()[:1])
    values, progress = resuming.only_newest(weights)
    assert values[0].tobytes() == same(3)[0]
    assert progress["update"] == 30


@pytest.mark.parametrize("key", ["update", "passes", "state", "seconds", "resumed", "run", "lines"])
@pytest.mark.parametrize("value", [None, "x", [], {}, -1, 0.5, 10**12, 10**400, float("nan")])
def test_a_progress_that_cannot_be_is_passed_over(journal, key, value):
    def change(arrays):
        told = {**json.loads(str(arrays["progress"])), key: value}
        arrays["progress"] = np.array(json.dumps(told))

    forge(checkpoint.newest(journal.checkpoints), change)
    accepted = (key in ("seconds", "resumed") and value == 10**12) or (key, value) == (
        "seconds",
        0.5,
    )
    values, passes, warnings = restored(journal)
    assert (passes, len(warnings)) == ((3, 0) if accepted else (2, 1))
    assert values == same(passes)


@pytest.mark.parametrize(
    "state",
    [
        {**STATE, "losses": "x"},
        {**STATE, "losses": None},
        {**STATE, "wrong": 0.5},
        {**STATE, "wrong": -1},
        {**STATE, "warm": 1},
        {**STATE, "rates": 0.1},
        {**STATE, "rates": ["x"]},
        {key: value for key, value in STATE.items() if key != "losses"},
    ],
)
def test_a_state_that_cannot_be_is_passed_over(journal, state):
    save(journal, 3, state=state)
    assert restored(journal)[:2] == (same(2), 2)


def test_pickles_bombs_and_false_sizes_are_refused(journal):
    path = checkpoint.newest(journal.checkpoints)
    whole = path.read_bytes().partition(b"\n")[2]
    objects, bomb, claims = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(objects, progress=np.array([{}], object))
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("progress.npy", b"\0" * 10**6)
    with zipfile.ZipFile(claims, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
        )
        archive.writestr("progress.npy", header.getvalue())
    for content in (objects, bomb, claims):
        _seal(path, content.getvalue())
        with pytest.raises(RunError, match="not a checkpoint of this program"):
            checkpoint.load(path)
        assert restored(journal)[1] == 2
        _seal(path, whole)
        for refused in journal.checkpoints.glob("*.refused"):
            refused.unlink()


def test_a_file_of_a_terabyte_is_not_read(journal):
    with open(journal.checkpoints / "update-000000099.ckpt", "wb") as file:
        file.truncate(10**12)
    values, passes, (warning,) = restored(journal)
    assert (values, passes) == (same(3), 3)
    assert "larger than" in warning


# ---------------------------------------------------------------------------- earlier versions


def unsealed(journal):
    path = journal.path / "run.json"
    facts = json.loads(path.read_text())
    del facts["seal"]
    path.write_text(json.dumps(facts))


def test_a_run_that_an_earlier_version_began_is_resumed_and_says_so(journal):
    unsealed(journal)
    few = {"losses": 0.5, "wrong": 3, "rates": None}
    save(journal, 3, run=..., lines=..., state=few)
    values, passes, (warning,) = restored(journal)
    assert (values, passes) == (same(3), 3)
    assert "of an earlier version" in warning


def test_its_journal_cannot_be_mended_and_no_checkpoint_is_lost(journal):
    unsealed(journal)
    for number in (2, 3):
        save(journal, number, run=..., lines=...)
    path = journal.path / "metrics.jsonl"
    lines, states = path.read_text(), checkpoint.states(journal.checkpoints)
    for damaged in ("", lines[:30], lines.replace('"pass": 2', '"pass": x')):
        path.write_text(damaged)
        with pytest.raises(RunError, match="put the file back, or to train") as raised:
            restored(journal)
        assert path.read_text() == damaged
        assert checkpoint.states(journal.checkpoints) == states
    path.write_text(lines)  # "put the file back"
    assert restored(journal)[:2] == (same(3), 3)
    follow(raised, journal)
    assert restored(journal)[:2] == ([], None)


@pytest.mark.parametrize("drawn", [None, "numpy philox 0"])
def test_a_run_does_not_start_anew_from_other_initial_weights_than_it_says(drawn, tmp_path):
    journal = begin(tmp_path, drawn=drawn)
    journal.append(line(1))
    before = (journal.path / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="no checkpoint to resume from; start a new run: ") as raised:
        restored(journal)
    assert "\n" not in str(raised.value)
    assert (journal.path / "metrics.jsonl").read_bytes() == before
    state = save(journal, 1)  # with a checkpoint, they do not matter any more
    assert restored(journal) == (same(1), 1, [])
    state.write_bytes(b"")
    with pytest.raises(RunError, match=r"cannot use its checkpoint: .*; start a new run: "):
        restored(journal)


def test_a_checkpoint_of_an_earlier_version_is_none_of_a_run_with_a_seal(journal):
    save(journal, 3, variables(99), run=..., lines=...)
    assert restored(journal)[:2] == (same(2), 2)


# ---------------------------------------------------------------------------- finished runs


@pytest.fixture
def finished(journal):
    result = record(TOY, 3, 9.0)["result"]
    journal.finish({**result, "passes": 3, "updates": 30})
    return journal


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_the_journal_of_a_finished_run_is_mended(finished, damage):
    assert resuming.mend(finished) == []
    before = finished.record()
    damage(finished.path / "metrics.jsonl")
    with pytest.raises(RunError):
        finished.record()
    assert "written again" in "".join(resuming.mend(finished))
    assert finished.record() == before
    assert resuming.mend(finished) == []


def test_without_a_checkpoint_it_is_told_what_is_lost(finished):
    shutil.rmtree(finished.checkpoints)
    (finished.path / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match="no checkpoint of this run holds"):
        (finished.path / "metrics.jsonl").write_text("x\n")
        resuming.mend(finished)


def test_a_result_that_was_edited_is_tested_again_as_advised(finished):
    path = finished.path / "result.json"
    told = json.loads(path.read_text())
    told["metrics"]["single-view"] |= {"test_error": 1.0, "test_wrong": 100}
    path.write_text(json.dumps(told))
    with pytest.raises(RunError, match=rf"remove {path}, then: repro resume"):
        resuming.mend(finished)
    path.unlink()
    assert resuming.mend(finished) == []
    assert restored(finished)[:2] == (same(3), 3)
