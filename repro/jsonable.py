"""Values as JSON data: what `--json` prints and what files hold."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, but for those whose metadata says `json=False`."""
    said = (f.name for f in dataclasses.fields(value) if f.metadata.get("json", True))
    return {name: getattr(value, name) for name in said}


def as_json(value: Any, fields: Callable[[Any], Mapping[str, Any]] = fields_of) -> Any:
    """`value` as JSON data.

    A dataclass becomes an object of what `fields` says of it. Tuples become lists, functions and
    classes their names; nan and infinity, which JSON does not have, become null.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = fields(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(inner, fields) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner, fields) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if callable(value):
        return getattr(value, "__name__", str(value))
    return value


def as_text(value: Any) -> Any:
    """JSON data with its texts as a file can hold them.

    Names of files and variables of the environment may have bytes that are no characters, which
    Python keeps as lone surrogates; they are spelt out ("\\udcff").
    """
    if isinstance(value, dict):
        return {as_text(key): as_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_text(inner) for inner in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value
