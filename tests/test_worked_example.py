"""The README's worked example is followed to the letter: a paper is a module and one word."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro import catalog as catalog_of_today

ROOT = Path(__file__).parent.parent


def example() -> str:
    """The module that the README shows under "Adding a paper"."""
    section = (ROOT / "README.md").read_text().split("\n## Adding a paper\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert block.startswith("# papers/mynet.py\n")
    return block


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project to which the example was added."""
    copy = tmp_path_factory.mktemp("project")
    for folder in ("repro", "papers"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    (copy / "papers" / "mynet.py").write_text(example())
    catalog = copy / "repro" / "catalog.py"
    before = catalog.read_text()
    last = catalog_of_today.PAPERS[-1]
    after = before.replace(f'    "{last}",\n', f'    "{last}",\n    "mynet",\n')
    assert after.split() != before.split() and '"mynet"' in after
    catalog.write_text(after)
    return copy


@pytest.fixture
def repro(project, tmp_path):
    """A function that runs `repro` with these arguments in the copy."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "repro", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(project),
                "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
                "REPRO_DATA_DIR": str(tmp_path / "data"),
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def test_the_example_is_a_paper_in_under_60_lines():
    assert len(example().splitlines()) < 60


def test_the_example_is_written_as_the_project_is(tmp_path):
    module = tmp_path / "mynet.py"
    module.write_text(example())
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--config", ROOT / "pyproject.toml", module],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_list_has_its_experiment_and_number(repro):
    (row,) = json.loads(repro("list", "--paper", "mynet", "--json"))
    assert row["experiment"] == "mynet-digits"
    assert row["reported"] == 7.0


def test_the_experiment_is_shown_with_what_differs_and_what_was_chosen(repro):
    shown = json.loads(repro("show", "mynet-digits", "--json"))
    assert shown["paper"] == "mynet"
    sentences = json.dumps(shown)
    assert "the paper scans them at 16x16" in sentences
    assert "Weights are drawn as Glorot does" in sentences
    assert "how it makes up its batches" in sentences


def test_its_network_has_the_parameters_that_it_says_are_printed(repro):
    anatomy = json.loads(repro("anatomy", "mynet", "--json"))
    # 3x3x1 to 16 maps, 3x3x16 to 32, 4x4x32 to ten classes, each with biases
    assert anatomy["parameters"] == 160 + 4_640 + 5_130 == anatomy["published"]["parameters"]


def test_it_trains_by_the_name_of_the_paper_as_make_does(repro, tmp_path):
    repro("run", "mynet", "--scale", "smoke")
    (result,) = (tmp_path / "runs" / "mynet-digits").glob("*/result.json")
    errors = json.loads(result.read_text())["metrics"]["single-view"]
    assert 0 <= errors["test_error"] <= 100


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_can_reproduce_it(project):
    done = subprocess.run(
        ["make", "-n", "reproduce-mynet"], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "repro run mynet --scale paper" in done.stdout
    listed = subprocess.run(["make", "help"], cwd=project, capture_output=True, text=True).stdout
    assert re.search(r"(?m)^ *mynet +Small Digits$", listed)
