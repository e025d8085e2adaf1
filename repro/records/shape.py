"""What a JSON document from outside must look like, checked once where it is read.

A check takes a value and the words for where it stands, and returns the value or raises Damaged:

    RUN = document({"id": hexadecimal(32), "seed": whole()}, {"commit": optional(text)})
    RUN(read_json(path), "run.json")
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

Check = Callable[[Any, str], Any]

# A name becomes part of a path: no slash, and no dot at its beginning.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LARGEST = 2**53  # up to which every whole number is a float too


class Damaged(ValueError):
    """A document that is not of the shape that it should have."""


def refuse(where: str, value: Any, accepted: str) -> Damaged:
    shown = repr(value)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return Damaged(f"has {where} {shown}, where {accepted} belongs")


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise refuse(where, value, "a text")
    return value


def name(value: Any, where: str) -> str:
    """A plain name, as the catalog has them."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refuse(where, value, "a plain name (letters, digits, . _ -)")
    return value


def hexadecimal(least: int, most: int | None = None) -> Check:
    accepted = re.compile(rf"[0-9a-f]{{{least},{most or least}}}")

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or not accepted.fullmatch(value):
            raise refuse(where, value, "a hexadecimal number")
        return value

    return check


def whole(least: int = 0) -> Check:
    def check(value: Any, where: str) -> int:
        right = isinstance(value, int) and not isinstance(value, bool)
        if not right or not least <= value <= LARGEST:
            raise refuse(where, value, f"a whole number from {least}")
        return value

    return check


def number(value: Any, where: str) -> float:
    """A finite number; `files.parse_json` lets no others in."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(where, value, "a number")
    return value


def amount(value: Any, where: str) -> float:
    """A number from 0: seconds, images per second."""
    if number(value, where) < 0:
        raise refuse(where, value, "a number from 0")
    return value


def truth(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise refuse(where, value, "true or false")
    return value


def moment(value: Any, where: str) -> str:
    """A time as ISO 8601 has it, of a year that has seconds since 1970."""
    try:
        if datetime.fromisoformat(text(value, where)).year >= 1970:
            return value
    except ValueError:
        pass
    raise refuse(where, value, "a time such as 2026-01-31T12:00:00+00:00")


def one_of(accepted: Sequence[str]) -> Check:
    def check(value: Any, where: str) -> str:
        if value not in accepted:
            raise refuse(where, value, " or ".join(accepted))
        return value

    return check


def optional(check: Check) -> Check:
    """The check, of a value that may be null."""
    return lambda value, where: None if value is None else check(value, where)


def listed(check: Check) -> Check:
    def check_all(value: Any, where: str) -> list:
        if not isinstance(value, list):
            raise refuse(where, value, "a list")
        return [check(inner, f"{where}[{place}]") for place, inner in enumerate(value)]

    return check_all


def mapping(check: Check) -> Check:
    """An object with any keys."""

    def check_all(value: Any, where: str) -> dict:
        if not isinstance(value, dict):
            raise refuse(where, value, "an object")
        return {key: check(inner, f"{where}.{key}") for key, inner in value.items()}

    return check_all


def anything(value: Any, where: str) -> Any:
    return value


def document(needed: Mapping[str, Check], allowed: Mapping[str, Check] | None = None) -> Check:
    """An object with the keys `needed`; those `allowed` are checked if there, others are not."""
    checks = {**needed, **(allowed or {})}

    def check(value: Any, where: str) -> dict:
        if not isinstance(value, dict):
            raise refuse(where, value, "an object")
        for key in needed:
            if key not in value:
                raise Damaged(f"lacks {where}.{key}")
        return {
            key: checks[key](inner, f"{where}.{key}") if key in checks else inner
            for key, inner in value.items()
        }

    return check


def either(*checks: Check) -> Check:
    """What one of the checks accepts."""

    def check(value: Any, where: str) -> Any:
        for one in checks[:-1]:
            try:
                return one(value, where)
            except Damaged:
                pass
        return checks[-1](value, where)

    return check
