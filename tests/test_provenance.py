"""A run names the commit of its own code, whatever the environment says of other repositories."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from repro import backends
from repro.records import provenance


def git(folder, *arguments):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    clean |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    command = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout


def repository(folder, name="repro"):
    """A repository that tracks a package; its commit."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", str(folder))
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def clone(tmp_path):
    """(the package in its own clone, the commit), another repository in `other`."""
    commit = repository(tmp_path / "clone")
    repository(tmp_path / "other", "theirs")
    return tmp_path / "clone" / "repro", commit


def test_the_commit_and_whether_something_differs(clone):
    package, commit = clone
    assert provenance.commit(package) == {"commit": commit, "dirty": False}
    (package / "new.py").write_text("")  # not tracked
    assert provenance.commit(package)["dirty"] is False
    (package / "__init__.py").write_text("changed")
    assert provenance.commit(package) == {"commit": commit, "dirty": True}


VARIABLES = {
    "GIT_DIR": "other/.git",
    "GIT_WORK_TREE": "other",
    "GIT_INDEX_FILE": "other/.git/index",
    "GIT_OBJECT_DIRECTORY": "other/.git/objects",
    "GIT_COMMON_DIR": "other/.git",
    "GIT_CEILING_DIRECTORIES": "clone",
    "GIT_NAMESPACE": "x",
    "GIT_CONFIG_PARAMETERS": "'core.worktree'='/'",
    "GIT_CONFIG_GLOBAL": "none",
    "GIT_TRACE": "clone/trace",
}


@pytest.mark.parametrize("name", VARIABLES)
def test_the_environment_does_not_lead_to_another_repository(clone, tmp_path, monkeypatch, name):
    package, commit = clone
    value = VARIABLES[name]
    monkeypatch.setenv(name, str(tmp_path / value) if "=" not in value else value)
    monkeypatch.chdir(tmp_path / "other")
    assert provenance.commit(package) == {"commit": commit, "dirty": False}
    assert not (tmp_path / "clone" / "trace").exists()


def test_installed_inside_of_another_repository_it_has_no_commit(tmp_path):
    """An environment in somebody's project, whose repository does not track it."""
    repository(tmp_path / "project", "theirs")
    package = tmp_path / "project" / ".venv" / "site-packages" / "repro"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    told = provenance.commit(package)
    assert (told["commit"], told["dirty"]) == (None, None)
    assert "clone" in told["commit_unknown"]


def test_outside_of_any_repository_it_has_no_commit(tmp_path):
    (tmp_path / "repro").mkdir()
    told = provenance.commit(tmp_path / "repro")
    assert told["commit"] is None and "clone" in told["commit_unknown"]


def test_without_git_it_has_no_commit(clone, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    told = provenance.commit(clone[0])
    assert told["commit"] is None and "git cannot be run" in told["commit_unknown"]


def test_a_repository_of_another_user_has_no_commit_and_it_is_said(clone, tmp_path, monkeypatch):
    if os.getuid():
        pytest.skip("needs root, to give the repository to another user")
    for path in [tmp_path / "clone", *(tmp_path / "clone").rglob("*")]:
        os.chown(path, 4711, 4711)
    monkeypatch.setenv("HOME", str(tmp_path))
    told = provenance.commit(clone[0])
    assert (told["commit"], told["dirty"]) == (None, None)
    assert "another user owns the repository" in told["commit_unknown"]


def test_no_program_of_the_repository_is_run(clone, tmp_path):
    package, commit = clone
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(package, "config", "core.fsmonitor", str(program))
    (package.parent / ".git" / "hooks").mkdir(exist_ok=True)
    (package.parent / ".git" / "hooks" / "post-index-change").symlink_to(program)
    os.utime(package / "__init__.py", (1, 1))  # the index would be refreshed
    assert provenance.commit(package) == {"commit": commit, "dirty": False}
    assert not (tmp_path / "ran").exists()


def test_a_git_that_does_not_answer_is_not_waited_for(clone, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=os.pathsep)
    monkeypatch.setattr(provenance, "SECONDS_FOR_GIT", 0.3)
    began = time.monotonic()
    told = provenance.commit(clone[0])
    assert time.monotonic() - began < 10
    assert told["commit"] is None and "no answer" in told["commit_unknown"]


def test_a_package_under_another_name_has_its_version(monkeypatch):
    """tensorflow-cpu, tensorflow-macos and the nightly builds are imported as `tensorflow`."""

    def missing(name):
        if name == "keras":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(__version__="3.99"))
    monkeypatch.setattr(backends, "name", lambda: "tensorflow")
    assert provenance.versions()["keras"] == "3.99"
    assert provenance.versions()["tensorflow"] == "1.0"


CPU = "model name\t: A CPU: 2 GHz\n"


@pytest.mark.parametrize("text", ["", "model name\n", "model name : \n", CPU])
def test_a_processor_has_a_name_whatever_the_system_tells(monkeypatch, text):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    told = provenance.machine()
    usual = platform.processor() or platform.machine()
    assert told["processor"] == ("A CPU: 2 GHz" if text == CPU else usual)
    assert told["cores"] >= 1
