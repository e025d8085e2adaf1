"""The README says what is there: papers, commands, targets, filters."""

import re
from pathlib import Path

import pytest

from repro import catalog, cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_paper_has_its_row():
    rows = re.findall(
        r"^\| `make reproduce-(\w+)` \| (.+?), (\d{4}|undated) \| `([\w-]+)` \|", README, re.M
    )
    assert [(name, title, headline) for name, title, _, headline in rows] == [
        (paper.name, paper.title, paper.experiments[0].name) for paper in catalog.papers()
    ]
    for (_, _, year, _), paper in zip(rows, catalog.papers(), strict=True):
        assert paper.published.rstrip(".").endswith(year)


def test_every_command_is_in_the_table():
    listed = set(re.findall(r"`repro (\w+)", README.split("\n## The command\n")[1]))
    assert listed == {command.name or command.callback.__name__ for command in visible()}


def visible():
    return [command for command in cli.app.registered_commands if not command.hidden]


def test_experiments_that_are_named_exist():
    names = {e.name for e in catalog.experiments()} | {n.name for n in catalog.networks()}
    named = set(re.findall(r"repro run ([\w-]+)", README)) - {"EXPERIMENT", "mynet-digits"}
    assert named and named <= names


def test_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    named = set(re.findall(r"(?:^    |`)make ([a-z]+)(?![\w-])", README, re.M))
    assert named and named <= targets


@pytest.mark.parametrize("language", ["python"])
def test_snippets_are_python(language):
    for snippet in re.findall(rf"```{language}\n(.*?)```", README, re.S):
        compile(snippet, "README.md", "exec")


def test_what_snippets_import_is_there():
    """But for the worked example, which has a test of its own."""
    from importlib.util import find_spec

    for module, names in re.findall(r"^from (repro[\w.]*) import ([\w, ]+)", README, re.M):
        assert find_spec(module), module
        for name in names.split(","):
            inside = f"{module}.{name.strip()}"
            path = ROOT / module.replace(".", "/")
            assert (
                find_spec(inside)
                if path.is_dir()
                else name.strip() in path.with_suffix(".py").read_text()
            ), inside


def test_it_opens_with_the_picture_of_the_records_for_light_and_dark_pages():
    shown = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert shown == ["results/figures/verdicts-dark.svg", "results/figures/verdicts.svg"]
    assert README.index(shown[0]) < README.index("\n## ")
    for path in shown:
        text = (ROOT / path).read_text()
        assert all(f"{experiment}<" in text for experiment in ("lenet5-mnist", "resnet20-cifar10"))


def test_a_line_fits_a_terminal():
    for line in README.splitlines():
        assert len(line) <= 100 or line.startswith(("|", "    ")), line
