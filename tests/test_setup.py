"""`make` and the set-up of the environment, with stand-ins for the Pythons of a machine."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from repro import catalog

ROOT = Path(__file__).parents[1]
TOOLS = ["awk", "cat", "chmod", "dirname", "env", "find", "grep", "make", "mkdir", "rm", "sh"]
TOOLS += ["touch", "wc"]

# Plays a Python of version NUMBER, and the pip and the compiler of its environment; writes down
# what it is called with.
STAND_IN = """#!/bin/sh
echo "$0 PIP_USER=$PIP_USER PIP_TARGET=$PIP_TARGET $*" >>"$CALLS"
case "$*" in
*version_info*) echo NUMBER ;;
*"import ensurepip"*) exit ENSUREPIP ;;
*"-m venv"*) rm -rf .venv && mkdir -p .venv/bin .venv/lib/python/site-packages &&
    cat "$0" >.venv/bin/python && chmod +x .venv/bin/python ;;
*ensurepip*) mkdir .venv/lib/python/site-packages/pip-26.dist-info &&
    touch .venv/lib/python/site-packages/pip-26.dist-info/INSTALLER ;;
*"-r requirements.lock"*) cat pip.says; exit PIP ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A clone as far as `make` needs it, on a machine with few tools and no Python."""
    clone = tmp_path / "a clone"
    (clone / "tools").mkdir(parents=True)
    for tool in TOOLS:
        (clone / "tools" / tool).symlink_to(shutil.which(tool))
    for name in ("Makefile", "setup.sh", "requirements.lock", "pyproject.toml", "papers"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "setup.sh").unlink()
    shutil.copy(ROOT / "setup.sh", clone)  # it goes to the folder that it lies in
    (clone / "repro").mkdir()
    shutil.copy(ROOT / "repro/catalog.py", clone / "repro")
    (clone / "pip.says").write_text("")
    return clone


def python(clone, name, number, ensurepip=0, pip=0):
    """Puts a Python of version `number` on the path of `clone` as `name`."""
    path = clone / "tools" / name
    text = STAND_IN.replace("NUMBER", number).replace("ENSUREPIP", str(ensurepip))
    path.write_text(text.replace("PIP ;;", f"{pip} ;;"))
    path.chmod(0o755)
    return path


def make(clone, *arguments, **variables):
    environment = {"PATH": str(clone / "tools"), "CALLS": str(clone / "calls"), **variables}
    return subprocess.run(
        ["make", *arguments],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        start_new_session=True,
    )


def calls(clone):
    return (clone / "calls").read_text()


def test_help_names_every_paper_with_its_title():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for paper in catalog.papers():
        title = paper.title[:65]  # as much as fits
        assert re.search(rf"^  {paper.name} +{re.escape(title)}$", shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= 80


def test_every_paper_is_a_target_and_experiment_chooses_another(clone):
    for name in catalog.PAPERS:
        shown = make(clone, "-n", f"reproduce-{name}").stdout
        assert f".venv/bin/repro run {name} --scale paper --seeds 1\n" in shown
    shown = make(clone, "-n", "reproduce-vgg", "EXPERIMENT=vgg-a-imagenette", "SEEDS=3").stdout
    assert ".venv/bin/repro run vgg-a-imagenette --scale paper --seeds 3\n" in shown


def test_a_paper_of_the_catalog_is_a_target_without_a_change_of_the_makefile(clone):
    (clone / "repro/catalog.py").write_text(
        '"""Papers."""\n\nPAPERS = (\n    "lenet5",\n    "mobilenet",  # (2017)\n)\n\nX = ("no",)\n'
    )
    assert "repro run mobilenet --scale" in make(clone, "-n", "reproduce-mobilenet").stdout
    refused = make(clone, "reproduce-no")
    assert refused.returncode == 2 and "accepted: lenet5 mobilenet;" in refused.stderr


@pytest.mark.parametrize("target", ["reproduce-resnet20-cifar10", "reproduce-Lenet5", "reproduce"])
def test_an_unknown_paper_is_refused_before_anything_is_set_up(clone, target):
    python(clone, "python3.12", "3.12")
    refused = make(clone, target)
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in catalog.PAPERS)
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    "present, chosen",
    [
        ({"python3.11": "3.11", "python3.12": "3.12", "python3.13": "3.13"}, "python3.12"),
        ({"python3.11": "3.11", "python3.13": "3.13", "python3": "3.12"}, "python3.11"),
        ({"python3": "3.13"}, "python3"),
        ({"python3": "3.14", "python3.13": "3.13"}, "python3.13"),
    ],
)
def test_the_first_accepted_python_makes_the_environment(clone, present, chosen):
    for name, number in present.items():
        python(clone, name, number)
    done = make(clone, "setup")
    assert done.returncode == 0, done.stderr
    assert f"making .venv with Python {present[chosen]} ({clone}/tools/{chosen})" in done.stdout
    assert "setup: done\n" in done.stdout


def test_a_python_without_ensurepip_is_passed_over_and_named_where_it_is_the_only_one(clone):
    python(clone, "python3.12", "3.12", ensurepip=1)
    python(clone, "python3", "3.12", ensurepip=1)
    refused = make(clone, "setup")
    assert refused.returncode == 2 and "apt install python3.12-venv" in refused.stderr
    python(clone, "python3.11", "3.11")
    assert "making .venv with Python 3.11" in make(clone, "setup").stdout


@pytest.mark.parametrize(
    "present, arguments, reason",
    [
        ({"python3": "3.10"}, [], "(python3 is Python 3.10)"),
        ({"python3": "3.14"}, [], "(python3 is Python 3.14)"),
        ({}, [], "3.11, 3.12 or 3.13 is needed"),
        ({"python3.12": "3.12", "pypy": "2.7"}, ["PYTHON=pypy"], "(pypy is Python 2.7)"),
        ({"python3.12": "3.12"}, ["PYTHON=/no/python"], "PYTHON=/no/python does not run"),
    ],
)
def test_another_python_is_refused_with_what_is_accepted(clone, present, arguments, reason):
    for name, number in present.items():
        python(clone, name, number)
    refused = make(clone, "setup", *arguments)
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert len([line for line in refused.stderr.splitlines() if "error:" in line]) == 1
    assert not (clone / ".venv").exists()


def test_a_finished_environment_is_left_as_it_is_without_a_word(clone):
    python(clone, "python3.12", "3.12")
    make(clone, "setup")
    (clone / "calls").unlink()
    again = make(clone, "-s", "setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert "pip" not in calls(clone).replace("PIP", "")


def test_a_changed_lock_is_installed_into_the_environment_that_is_there(clone):
    python(clone, "python3.12", "3.12")
    make(clone, "setup")
    (clone / "calls").unlink()
    (clone / "requirements.lock").unlink()
    (clone / "requirements.lock").write_text("setuptools==84.2.1\nwheel==0.48.0\n")
    os.utime(clone / ".venv/.ready", (0, 0))
    assert "setup: done\n" in make(clone, "setup").stdout
    assert "-m pip install" in calls(clone) and "-m venv" not in calls(clone)


def test_an_environment_whose_python_is_gone_is_made_anew_with_a_word(clone):
    python(clone, "python3.12", "3.12")
    make(clone, "setup")
    (clone / ".venv/bin/python").unlink()
    (clone / ".venv/bin/python").symlink_to("/nowhere/python3.12")
    done = make(clone, "setup")
    assert done.returncode == 0
    assert "the Python of .venv is gone" in done.stdout and "setup: done\n" in done.stdout
    assert make(clone, "-s", "setup").stdout == ""


def test_a_clone_that_was_copied_or_moved_does_not_run_the_code_of_the_former_place(clone):
    python(clone, "python3.12", "3.12")
    make(clone, "setup")
    copied = clone.parent / "copied"
    shutil.copytree(clone, copied, symlinks=True)
    refused = make(copied, "test")
    assert refused.returncode == 2
    assert f".venv was made in {clone}" in refused.stderr and "-m pytest" not in refused.stdout
    shutil.rmtree(copied / ".venv")  # what the message says to do
    assert make(copied, "setup").returncode == 0


@pytest.mark.parametrize("at", ["-m venv", "-m ensurepip", "-r requirements.lock", "compileall"])
def test_an_interrupted_set_up_is_finished_by_the_next_make(clone, at):
    stand_in = python(clone, "python3.12", "3.12")
    whole = stand_in.read_text()
    stand_in.write_text(whole.replace("case", f'case "$*" in *"{at}"*) kill -9 0 ;; esac\ncase', 1))
    assert make(clone, "setup").returncode == -9
    for interrupted in (stand_in, clone / ".venv/bin/python"):
        if interrupted.exists():
            interrupted.write_text(whole)
    done = make(clone, "setup")
    assert done.returncode == 0 and "setup: done\n" in done.stdout
    assert make(clone, "-s", "setup").stdout == ""


def test_what_pip_left_by_half_is_installed_again_and_the_rest_stays(clone):
    python(clone, "python3.12", "3.12")
    make(clone, "setup")
    packages = clone / ".venv/lib/python/site-packages"
    for name in ("whole-1.dist-info", "half-1.dist-info", "~alf"):
        (packages / name).mkdir()
        (packages / name / "METADATA").touch()
    (packages / "whole-1.dist-info/INSTALLER").touch()
    (clone / ".venv/.ready").unlink()
    make(clone, "setup")
    assert sorted(os.listdir(packages)) == ["pip-26.dist-info", "whole-1.dist-info"]


def test_another_python_than_that_of_the_environment_is_noticed(clone):
    python(clone, "python3.11", "3.11")
    python(clone, "python3.13", "3.13")
    make(clone, "setup", "PYTHON=python3.13")
    assert make(clone, "setup", "PYTHON=python3.13").returncode == 0
    refused = make(clone, "test", "PYTHON=python3.11")
    assert refused.returncode == 2
    assert ".venv has Python 3.13, and PYTHON=python3.11 is 3.11" in refused.stderr
    shutil.rmtree(clone / ".venv")  # what the message says to do
    assert make(clone, "setup", "PYTHON=python3.11").returncode == 0


def test_somebodys_environment_of_an_old_python_is_refused_and_kept(clone):
    old = python(clone, "python3.9", "3.9")
    (clone / ".venv/bin").mkdir(parents=True)
    shutil.copy(old, clone / ".venv/bin/python")
    python(clone, "python3.12", "3.12")
    refused = make(clone, "setup")
    assert refused.returncode == 2 and ".venv has Python 3.9" in refused.stderr
    assert (clone / ".venv/bin/python").exists()


def test_a_failing_pip_ends_the_set_up_and_the_next_make_tries_again(clone):
    python(clone, "python3.12", "3.12", pip=1)
    failed = make(clone, "test")
    assert failed.returncode == 2 and "pip could not install" in failed.stderr
    assert "-m pytest" not in failed.stdout
    shutil.copy(python(clone, "python3.12", "3.12"), clone / ".venv/bin/python")
    assert "setup: done\n" in make(clone, "setup").stdout


# What pip 23 (a file after each name) and pip 26 (first what is needed, then the files) print.
OLD_PIP = "Collecting a{0}==1\n  Downloading a{0}-1-py3-none-any.whl (137 kB)\n     ━━ 1/1 kB\n"
NEW_PIP = "Collecting a{0}==1\n  Downloading a{0}-1-py3-none-any.whl.metadata (3 kB)\n"
NEW_FILE = "Using cached a{0}-1-py3-none-any.whl (137 kB)\n"


@pytest.mark.parametrize(
    "said",
    [
        "".join(OLD_PIP.format(i) for i in range(45)),
        "".join(map(NEW_PIP.format, range(45))) + "".join(map(NEW_FILE.format, range(45))),
    ],
)
def test_the_set_up_tells_how_far_it_is(clone, said):
    big = "Downloading tensorflow-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl (572.6 MB)\n"
    (clone / "pip.says").write_text(f"{said}{big}Installing collected packages: a0, a1\n")
    python(clone, "python3.12", "3.12")
    lines = make(clone, "setup").stdout.splitlines()
    counted = [line for line in lines if re.fullmatch(r"setup:   \d+ of \d+", line)]
    assert [line.split()[1] for line in counted] == ["20", "40"]
    assert "setup:   fetching tensorflow, 572.6 MB" in lines
    assert "setup: unpacking them: about a minute" in lines


def test_what_pip_is_set_to_does_not_lead_the_installation_elsewhere(clone):
    python(clone, "python3.12", "3.12")
    make(clone, "setup", PIP_USER="1", PIP_TARGET="/elsewhere", PYTHONPATH="/elsewhere")
    installs = [line for line in calls(clone).splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert all("PIP_USER=0 PIP_TARGET= -Iu -m pip" in line for line in installs)


LOCK = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line[0] != "#"]


def test_the_lock_names_one_version_of_each_package_and_no_address():
    assert all(re.fullmatch(r"[a-zA-Z0-9_.-]+==[\w.]+( ; .+)?", line) for line in LOCK)
    names = [line.split("==")[0] for line in LOCK]
    assert len(names) == len(set(names))
    assert not re.search(r"https?:|file:|^ *-", (ROOT / "requirements.lock").read_text())


def test_the_lock_holds_what_the_project_needs_and_what_builds_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["dev"], *extras["jax"], "setuptools", "wheel"]
    pinned = {line.split("==")[0].replace("_", "-").lower() for line in LOCK}
    for requirement in needed:
        assert re.match(r"[\w-]+", requirement)[0].replace("_", "-").lower() in pinned


def test_the_project_accepts_the_pythons_that_the_set_up_does():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"


@pytest.mark.parametrize("built", ["build_wheel('out')", "build_sdist('out')"])
def test_the_committed_records_and_the_templates_travel_with_the_package(tmp_path, built):
    for name in ("repro", "papers", "results"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-c", f"from setuptools import build_meta as b; b.{built}"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    (archive,) = (tmp_path / "out").iterdir()
    if archive.suffix == ".whl":
        names, records, above = zipfile.ZipFile(archive).namelist(), "repro/committed/runs/", ""
    else:
        above = archive.name.removesuffix(".tar.gz") + "/"
        with tarfile.open(archive) as opened:
            names, records = opened.getnames(), f"{above}results/runs/"

    def inside(folder, suffix):
        starting = [name.removeprefix(folder) for name in names if name.startswith(folder)]
        return {name for name in starting if name.endswith(suffix)}

    def here(folder, suffix):
        folder = ROOT / folder
        return {str(path.relative_to(folder)) for path in folder.rglob(f"*{suffix}")}

    assert inside(records, ".json") == here("results/runs", ".json") != set()
    for suffix in (".py", ".j2"):
        assert inside(f"{above}repro/", suffix) == here("repro", suffix) != set()
