"""The rooms of the house: who may import whom, and how long a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# In the order in which a run walks through them; a room imports only from itself and those before.
VOCABULARY = ("errors", "limits", "lazy", "files", "machine", "terminal", "jsonable", "streams")
VOCABULARY += ("carried", "statements", "spec", "settings", "catalog", "plain_matplotlib")
VOCABULARY += ("locks", "prefetch")
ROOMS = ("data", "networks", "backends", "records", "training", "judging", "report", "bench")
ROOMS += ("running", "doctor", "commands")
LONGEST = 400

FILES = sorted((ROOT / "repro").rglob("*.py"))


def room_of(module: str) -> str:
    """ "data" of "repro.data.sets", "front" of "repro.cli", "vocabulary" of "repro.spec"."""
    first = [*module.split("."), ""][1]
    if first in VOCABULARY or first == "":
        return "vocabulary"
    return first if first in ROOMS else "front"


def imported(file: Path) -> set[str]:
    """The modules of the package that `file` imports, in functions too."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {m if module_file(m) else node.module for m in inside}
    return {m for m in modules if m.split(".")[0] in ("repro", "papers")}


def module_file(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((c for c in candidates if c.exists()), None)


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_rooms_import_only_from_those_before_them():
    order = ("vocabulary", *ROOMS, "front")
    for file in FILES:
        here = room_of(module_of(file))
        for module in imported(file):
            assert not module.startswith("papers"), f"{file} knows the paper {module}"
            there = room_of(module)
            assert order.index(there) <= order.index(here), f"{file}: {here} imports {module}"


def test_no_circle_of_modules():
    imports = {module_of(file): imported(file) for file in FILES}
    waiting = {m: {i for i in needed if i in imports and i != m} for m, needed in imports.items()}
    while free := [m for m, needed in waiting.items() if not needed & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting, f"these import each other in a circle: {sorted(waiting)}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_is_longer_than_a_reader_can_keep_in_mind(file):
    assert len(file.read_text().splitlines()) <= LONGEST


def test_papers_import_no_backend():
    for file in (ROOT / "papers").glob("*.py"):
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not names & {"tensorflow", "jax", "torch", "keras", "numpy"}, file
