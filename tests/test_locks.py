"""One process holds a folder, on file systems with and without locks."""

import errno
import fcntl
import os
import subprocess
import sys
import threading

import pytest

from repro.errors import UsageError
from repro.locks import Held, locked
from repro.records.journal import Journal

HOLD = """
import fcntl, sys
from repro.locks import locked
if sys.argv[2] == "none":
    def flock(*_):
        raise OSError(int(sys.argv[3]), "none here")
    fcntl.flock = flock
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["locks", errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def file_system(request, monkeypatch):
    """With locks, or with an error in their place."""
    if request.param != "locks":

        def flock(*_):
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", flock)
    return request.param


def elsewhere(folder, file_system) -> subprocess.Popen:
    """Another process that holds `folder` until its input ends."""
    how = ["locks", "0"] if file_system == "locks" else ["none", str(file_system)]
    command = [sys.executable, "-c", HOLD, str(folder), *how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_held_by_one_at_a_time(tmp_path, file_system):
    with elsewhere(tmp_path, file_system) as other:
        with pytest.raises(Held), locked(tmp_path):
            pass
        other.communicate()
    with locked(tmp_path), pytest.raises(Held), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path, file_system):
    with elsewhere(tmp_path, file_system) as other:
        other.kill()
    with locked(tmp_path):
        pass


def test_who_waits_gets_the_folder_when_it_is_free(tmp_path, file_system):
    with elsewhere(tmp_path, file_system) as other:
        threading.Timer(0.3, other.stdin.close).start()
        with locked(tmp_path, wait=30):
            pass


def test_two_names_are_two_locks(tmp_path, file_system):
    with locked(tmp_path, ".a"), locked(tmp_path, ".b"):
        pass


def test_a_lock_of_another_machine_is_named_and_removing_it_helps(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    journal = Journal.create(tmp_path, "e", "smoke", 0)
    claimed = journal.path / ".lock.held"
    claimed.write_text("node17 4711 99\n")
    with pytest.raises(UsageError, match=r"process 4711 on node17.*remove .*\.held") as raised:
        journal.alone().__enter__()
    assert str(claimed) in str(raised.value)
    claimed.unlink()
    with journal.alone():
        assert claimed.exists()
    assert not claimed.exists()


def test_the_number_of_a_process_that_is_used_again_holds_nothing(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        host, process, _ = (tmp_path / ".lock.held").read_text().split()
    (tmp_path / ".lock.held").write_text(f"{host} {process} 1\n")  # began at another time
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_stands_in_the_place_of_the_lock_is_named_and_removing_it_helps(tmp_path, kind):
    journal = Journal.create(tmp_path / "runs", "e", "smoke", 0)
    (tmp_path / "mine").write_text("mine")
    lock = journal.path / ".lock"
    lock.symlink_to(tmp_path / "mine") if kind == "link" else lock.mkdir()
    with pytest.raises(UsageError, match=r"\.lock cannot be written.*remove it"):
        journal.alone().__enter__()
    assert (tmp_path / "mine").read_text() == "mine"
    lock.unlink() if kind == "link" else lock.rmdir()
    with journal.alone():
        pass
