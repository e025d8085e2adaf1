"""An experiment as JSON data, what names it (its digest), and what `--set` changes."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from repro.errors import UsageError, unknown
from repro.spec import Data, Experiment, Network, Recipe


def as_plain(value: Any) -> Any:
    """`value` as JSON data: dataclasses become objects with their class name under "kind"."""
    if dataclasses.is_dataclass(value):
        plain = {f.name: as_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        named = isinstance(value, Experiment | Recipe | Network | Data)
        return plain if named else {"kind": type(value).__name__, **plain}
    if isinstance(value, Mapping):
        return {str(k): as_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(v) for v in value]
    if callable(value):
        return getattr(value, "__name__", str(value))
    return value


# Fields of a recipe that describe what is done, or what is measured, but change no weight.
NOT_TRAINED = ("initialisation", "tested_every", "training_error_measured")
# Fields that came later: where they do nothing, earlier runs keep their digest.
LATER = {
    "iterations": 0,
    "decayed": "all",
    "warm_up": None,
    "nesterov": False,
    "averaging": 0.0,
    "groups": [],
}


def digest(experiment: Experiment) -> str:
    """Twelve hexadecimal digits that name what is trained: the network and the recipe."""

    def said(fields: dict) -> dict:
        return {k: v for k, v in fields.items() if k not in LATER or v != LATER[k]}

    plain = as_plain(experiment)
    recipe = {k: v for k, v in said(plain["recipe"]).items() if k not in NOT_TRAINED}
    recipe["optimizer"] = said(recipe["optimizer"])
    network = [plain["network"]["name"], plain["network"]["options"]]
    text = json.dumps([network, recipe], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def settable(experiment: Experiment) -> dict[str, Any]:
    """The keys that `--set` accepts, with their present values."""
    keys: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            items = list(value.items())
        else:
            items = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        for name, inner in items:
            key = f"{prefix}{name}"
            if dataclasses.is_dataclass(inner):
                walk(key + ".", inner)
            elif key == "recipe.initialisation" or (name in ("passes", "iterations") and not inner):
                continue
            elif isinstance(inner, bool | int | float | str):
                keys[key] = inner

    walk("network.", experiment.network.options)
    walk("recipe.", experiment.recipe)
    return keys


def override(experiment: Experiment, assignments: Mapping[str, str] | list[str]) -> Experiment:
    """`experiment` with `KEY=VALUE` assignments applied.

    A value must have the type that the key has now. Raises UsageError for an unknown key, a value
    of another type, and a value that makes no sense (a batch of 0, a negative rate).
    """
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, got '{text}'")
        keys = settable(experiment)
        if key not in keys:
            raise unknown("key", key, sorted(keys))
        choices = experiment.network.choices.get(key.removeprefix("network."))
        if choices and value not in choices:
            raise unknown(key, value, choices)
        experiment = _replace(experiment, key.split("."), _typed(key, value, keys[key]))
    return experiment


def _typed(key: str, text: str, present: Any) -> Any:
    kind = type(present)
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        accepted = "true or false" if kind is bool else f"a value of type {kind.__name__}"
        raise UsageError(f"{key}={text}: accepted is {accepted} (now {present})") from None
    if kind in (int, float):
        if key.endswith((".momentum", ".averaging")) and value >= 1:
            raise UsageError(f"{key}={text}: accepted is a number from 0, below 1 (now {present})")
        positive = key.split(".")[-1] in POSITIVE
        signed = key.endswith(".outside")
        if value != value or abs(value) == float("inf") or (value < 0 and not signed):
            raise UsageError(f"{key}={text}: accepted is a finite number from 0 (now {present})")
        if positive and value == 0:
            raise UsageError(f"{key}={text}: accepted is a number above 0 (now {present})")
    return value


POSITIVE = {
    "passes",
    "iterations",
    "batch",
    "n",
    "mu",
    "examples",
    "short_factor",
    "penalty_scale",
    "tested_every",
    "window",
    "side",
    "white",
}


def _replace(value: Any, path: list[str], new: Any) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(value, Network) and head != "options":  # network.KEY sets an option of `build`
        return dataclasses.replace(value, options={**value.options, head: new})
    inner = _replace(getattr(value, head), rest, new) if rest else new
    return dataclasses.replace(value, **{head: inner})
