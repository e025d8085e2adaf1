"""Files are whole or not there, of the size and kind that they should be, and where they belong."""

import errno
import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from repro import files
from repro.errors import RunError
from repro.files import append_text, parse_json, put, read_bytes, read_json, write_bytes, write_json
from repro.records.arrays import array_of


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, {"old": True})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part(tmp_path, monkeypatch):
    """At the moment of the rename the old file is whole, and the new content lies on the disk."""
    path = tmp_path / "state"
    write_bytes(path, b"old")
    seen = []
    replace = os.replace

    def watched(source, target, **folders):
        (aside,) = (p for p in tmp_path.iterdir() if p.name == source)
        seen.append((path.read_bytes(), aside.read_bytes(), target))
        replace(source, target, **folders)

    monkeypatch.setattr(os, "replace", watched)
    write_bytes(path, b"new" * 1000, b"!")
    assert seen == [(b"old", b"new" * 1000 + b"!", "state")]
    assert path.read_bytes() == b"new" * 1000 + b"!"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_what_was_written(small_disk):
    """A whole file that finds no room, and a line of which half would fit."""
    record, lines = small_disk / "runs" / "record.json", small_disk / "metrics.jsonl"
    put(record, "old")
    append_text(lines, "first\n")
    with pytest.raises(RunError, match=r"record\.json.*No space left"):
        put(record, "x" * 100_000)
    with pytest.raises(OSError, match="No space"):
        append_text(lines, "x" * 100_000)
    assert record.read_text() == "old"
    assert lines.read_text() == "first\n"
    assert [p.name for p in record.parent.iterdir()] == ["record.json"]
    append_text(lines, "second\n")  # the room is there again
    assert lines.read_text() == "first\nsecond\n"


# ---------------------------------------------------------------------------- links


@pytest.fixture
def outside(tmp_path):
    """(a folder `run`, a file outside of it)."""
    (tmp_path / "run" / "figures").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "mine.txt"
    target.write_text("mine")
    return tmp_path / "run", target


def test_a_link_in_the_place_of_a_file_is_replaced(outside):
    run, target = outside
    (run / "filters.npy").symlink_to(target)
    write_bytes(run / "filters.npy", b"new", within=run)
    assert target.read_text() == "mine"
    assert not (run / "filters.npy").is_symlink()
    assert (run / "filters.npy").read_bytes() == b"new"


def test_a_line_is_not_added_through_a_link(outside):
    run, target = outside
    (run / "metrics.jsonl").symlink_to(target)
    with pytest.raises(files.NotOrdinary, match="symbolic link"):
        append_text(run / "metrics.jsonl", "line\n", within=run)
    assert target.read_text() == "mine"


def test_a_file_is_not_read_through_a_link(outside):
    run, target = outside
    (run / "run.json").symlink_to(target)
    (run / "itself").symlink_to("itself")
    (run / "dangling").symlink_to("nowhere")
    for name in ("run.json", "itself", "dangling"):
        with pytest.raises(files.NotOrdinary, match="symbolic link") as raised:
            read_bytes(run / name, within=run)
        assert files.reason(raised.value, "x").startswith(str(run / name))


def test_nothing_is_written_or_read_below_a_folder_that_is_a_link(outside):
    run, target = outside
    (run / "figures").rmdir()
    (run / "figures").symlink_to(target.parent)
    for act in (
        lambda: write_bytes(run / "figures" / "mine.txt", b"new", within=run),
        lambda: read_bytes(run / "figures" / "mine.txt", within=run),
        lambda: files.make_folder(run / "figures" / "deeper", within=run),
    ):
        with pytest.raises(files.NotOrdinary, match=r"symbolic link"):
            act()
    with pytest.raises(RunError, match=r"cannot write .*figures is a symbolic link"):
        put(run / "figures" / "deeper" / "a.txt", "new", within=run)
    assert target.read_text() == "mine"
    assert list(target.parent.iterdir()) == [target]


def test_a_name_does_not_lead_out_of_the_folder(outside):
    run, target = outside
    for name in ("../elsewhere/mine.txt", "figures/../../elsewhere/mine.txt"):
        with pytest.raises(OSError, match="leads out"):
            write_bytes(run / name, b"new", within=run)
        with pytest.raises(OSError, match="leads out"):
            read_bytes(run / name, within=run)
    assert target.read_text() == "mine"


def test_the_folder_itself_may_be_reached_by_a_link(outside):
    """A user may keep all runs on another disk."""
    run, target = outside
    link = target.parent / "runs"
    link.symlink_to(run)
    write_bytes(link / "figures" / "a", b"x", within=link)
    assert read_bytes(run / "figures" / "a", within=run) == b"x"


def test_what_is_no_file_is_refused_at_once(tmp_path):
    """A pipe would be waited at for ever, a device read without end."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(files.NotOrdinary, match="not an ordinary file"):
            read_bytes(tmp_path / name)
        with pytest.raises(OSError, match=r"ordinary file|directory|No such device"):
            append_text(tmp_path / name, "line\n")
    with pytest.raises(files.NotOrdinary, match="not an ordinary file"):
        read_bytes(Path("/dev/zero"))


def test_no_more_is_read_than_a_file_may_have(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(10**12)  # a terabyte of nothing, which takes no room
    with pytest.raises(OSError) as raised:
        read_bytes(path, largest=1000)
    assert raised.value.errno == errno.EFBIG
    assert "larger than 1,000 bytes" in files.reason(raised.value, path)


# ---------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1}{}', "not JSON"),
        (b"\0" * 9, "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"a": "\xe9"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 100 + b"]" * 100, "nested too deeply"),
        (b'{"a": NaN}', "not finite"),
        (b"[-Infinity]", "not finite"),
        (b"1e999", "not finite"),
        (b"1" + b"0" * 400, "huge number"),
        (b"-1" + b"0" * 5000, "huge number"),
        (b'["\\ud800"]', "half a character"),
    ],
)
def test_what_is_no_document_is_told_in_a_few_words(content, complaint):
    with pytest.raises(ValueError, match=complaint) as raised:
        parse_json(content)
    assert len(str(raised.value)) < 80


def test_a_document_comes_back_to_the_bit(tmp_path):
    value = {"a": [0.1 + 0.2, 1e-300, -(2**62), None, True, "ä – \u2028"], "b": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert read_json(tmp_path / "none.json") is None


def test_numbers_that_json_does_not_have_are_written_as_null(tmp_path):
    write_json(tmp_path / "a.json", {"loss": float("nan"), "more": (float("inf"), 1.0)})
    assert read_json(tmp_path / "a.json") == {"loss": None, "more": [None, 1.0]}


@pytest.mark.parametrize("kind", ["<U0", "|S0", "|V0"])
@pytest.mark.parametrize("count", [10, 10**12])
def test_values_without_a_size_are_no_array(kind, count):
    """Their bytes always add up to what is there; NumPy would make room for all, or read beyond."""
    file = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match="without a size"):
        array_of(file.getvalue())
