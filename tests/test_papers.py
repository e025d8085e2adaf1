"""What every paper module keeps to: one order, and sentences of two kinds."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from repro import catalog

ROOT = Path(__file__).parent.parent
ORDER = [
    *("what was reported", "the networks", "the recipes", "the experiments", "the claims"),
    *("beyond experiments", "only counted", "the paper"),
]
EXPERIMENTS = {e.name: e for e in catalog.experiments()}


def source(name: str) -> str:
    return (ROOT / "papers" / f"{name}.py").read_text()


@pytest.mark.parametrize("name", catalog.PAPERS)
def test_every_module_has_the_same_order(name):
    sections = re.findall(r"(?m)^# -{70,} (.*)$", source(name))
    assert sections == [section for section in ORDER if section in sections]
    needed = {"what was reported", "the networks", "the recipes", "the experiments", "the paper"}
    assert needed <= set(sections)


@pytest.mark.parametrize("name", catalog.PAPERS)
def test_names_go_by_kind(name):
    """Recipes end in _RECIPE, what differs in _DIFFERS, what was chosen in _CHOSEN."""
    module = importlib.import_module(f"papers.{name}")
    for variable, value in vars(module).items():
        kind = type(value).__name__
        if kind == "Recipe":
            assert variable.endswith("_RECIPE"), variable
        if variable.endswith(("_DIFFERS", "_CHOSEN")):
            sentences = value.values() if isinstance(value, dict) else [value]
            assert all(isinstance(of_one, tuple) for of_one in sentences), variable


@pytest.mark.parametrize("name", catalog.PAPERS)
def test_title_and_authors_stand_once(name):
    paper, text = catalog.paper(name), " ".join(source(name).split())
    docstring = " ".join(ast.get_docstring(ast.parse(source(name))).split())
    assert paper.title not in docstring
    assert paper.authors.split(", ")[0] not in docstring
    assert text.count("authors=") == 1


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_what_differs_and_what_was_chosen_are_sentences_said_once(experiment):
    for sentence in experiment.deviations:
        assert isinstance(sentence, str)
        assert re.fullmatch(r"[A-Z0-9].*[.)]", sentence), sentence
    assert len(set(experiment.deviations)) == len(experiment.deviations)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_the_harness_own_way_of_making_batches_is_said_of_every_experiment(experiment):
    """In LeNet-5's words the paper keeps one order; the textbooks' network has no paper."""
    if experiment.name != "lenet5-modern-mnist":
        assert any("new random order" in sentence for sentence in experiment.deviations)
