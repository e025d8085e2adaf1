"""Values as JSON data: one function for records, `--json` and events."""

import json
import math
from dataclasses import dataclass, field

import pytest

from repro.jsonable import as_json


@dataclass(frozen=True)
class Point:
    x: float
    label: str = field(default="", metadata={"json": False})


@dataclass(frozen=True)
class Line:
    ends: tuple[Point, Point]
    drawn_by: object = print


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, None),
        (-math.inf, None),
        ({"a": (1, [math.inf, 2.5])}, {"a": [1, [None, 2.5]]}),
        ({1: True, None: "x"}, {"1": True, "None": "x"}),
        (Point(1.0, "left out"), {"x": 1.0}),
        (
            Line((Point(0.0), Point(math.nan))),
            {"ends": [{"x": 0.0}, {"x": None}], "drawn_by": "print"},
        ),
        ([Point, len], ["Point", "len"]),
        ("text", "text"),
    ],
)
def test_every_value_becomes_json(value, said):
    assert as_json(value) == said
    assert json.loads(json.dumps(as_json(value), allow_nan=False)) == said


def test_what_is_said_of_a_dataclass_may_be_chosen():
    def described(value):
        return {"kind": type(value).__name__, "size": getattr(value, "ends", ())}

    assert as_json([Line((Point(0.0), Point(1.0)))], described) == [
        {"kind": "Line", "size": [{"kind": "Point", "size": []}, {"kind": "Point", "size": []}]}
    ]


def test_an_experiment_says_the_kinds_of_its_parts():
    from repro import catalog, settings

    plain = settings.as_plain(catalog.experiment("resnet20-cifar10"))
    assert (
        plain["recipe"]["optimizer"]["kind"] == "SGD" and plain["reported"][0]["kind"] == "Reported"
    )
    assert "kind" not in plain and "kind" not in plain["recipe"]
