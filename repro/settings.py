"""An experiment as JSON data, what names it (its digest), and what `--set` changes."""

import dataclasses
import hashlib
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from repro import catalog, spec
from repro.carried import SAME
from repro.errors import UsageError, unknown
from repro.jsonable import as_json, fields_of
from repro.limits import Limits, Refused
from repro.spec import Data, Experiment, Network, Recipe

# ---------------------------------------------------------------------------- as JSON data


def as_plain(value: Any) -> Any:
    """`value` as JSON data: dataclasses become objects with their class name under "kind".

    A network has all options of its `build`, those left at their defaults too.
    """
    return as_json(value, _described)


def _described(value: Any) -> dict[str, Any]:
    if isinstance(value, Network):
        value = dataclasses.replace(value, options=with_defaults(value.build, value.options))
    plain = fields_of(value)
    if isinstance(value, Experiment):
        plain["deviations"] = value.deviations
    named = isinstance(value, Experiment | Recipe | Network | Data)
    return plain if named else {"kind": type(value).__name__, **plain}


def with_defaults(build: Callable, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` and the defaults of the other parameters of `build`."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # a callable that does not tell
        return dict(options)
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return {**defaults, **options}


# ---------------------------------------------------------------------------- the digest


def digest(experiment: Experiment, scale: str = "paper") -> str:
    """Twelve hexadecimal digits that name what is trained at `scale`: the network and the recipe.

    Where training begins with the weights of a run, also what that run trained. What only describes
    or measures has no part in it, nor has the compression of the schedule where the schedule is not
    compressed.
    """
    source, begins = "", experiment.begins
    if begins:
        source = digest(catalog.experiment(begins.source), begins.scale_for(scale))
    return _digest(as_plain(experiment), experiment, scale, source)


def digest_of_run(run: Mapping[str, Any], experiment: Experiment) -> str:
    """The digest of what a run trained, by its run.json; `experiment` is today's of that name.

    Fields and options that are newer than the run count as they do by default. Returns "" for a
    run that does not say what it trained.
    """
    try:
        source, began = "", run.get("begins")
        if began:
            source = digest_of_run(began, catalog.experiment(began["experiment"]))
        return _digest(run["resolved"], experiment, run["scale"], source)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError):
        return ""


# What networks took by default when runs recorded only the options that differ from it.
FORMER_DEFAULTS = {
    "alexnet-local": {"divided": True},
    "alexnet-four-layers-relu": {"divided": True},
    "alexnet-four-layers-tanh": {"divided": True},
    "nin-cifar10": {"image": [32, 32, 3], "spread": [[0.05, 0.05, 0.05]] * 3},
    "nin-mnist": {"spread": [[0.05, 0.05, 0.05]] * 3},
}


def _digest(plain: Mapping[str, Any], experiment: Experiment, scale: str, source: str) -> str:
    """`source`: the digest of the run that it begins with, "" for none."""
    name, options = plain["network"]["name"], plain["network"]["options"]
    options = {**FORMER_DEFAULTS.get(name, {}), **options}
    options = as_plain(with_defaults(experiment.network.build, options))
    recipe = _complete({"kind": "Recipe", **plain["recipe"]}, _classes(experiment.recipe))
    fields = {f.name: f.metadata for f in dataclasses.fields(Recipe)}
    for field, metadata in fields.items():
        if not metadata.get("trained", True) or metadata.get("scale", scale) != scale:
            recipe.pop(field, None)
    if recipe["optimizer"]["kind"] == "SGD":
        recipe["optimizer"] = _by_stretches(recipe)
    if not recipe["data"].get("per_class"):  # as runs have it that are older than the field
        recipe["data"].pop("per_class", None)
    begins = [_begins(plain["begins"], scale), source] if plain.get("begins") else []
    text = json.dumps([[name, options], recipe, *begins], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _begins(plain: Mapping[str, Any], scale: str) -> dict[str, Any]:
    """What training begins with, as runs have it that are older than the choice of layers."""
    begins = dict(plain)
    if begins["scale"] == SAME:
        begins["scale"] = scale
    if not begins.get("layers"):
        begins.pop("layers", None)
    return begins


def _complete(plain: Any, classes: Mapping[str, type]) -> Any:
    """`plain` with the defaults of the fields that its dataclasses have got since."""
    if isinstance(plain, list):
        return [_complete(value, classes) for value in plain]
    if not isinstance(plain, Mapping):
        return plain
    kind = classes.get(plain.get("kind"))
    defaults = {}
    for field in dataclasses.fields(kind) if kind else ():
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = as_plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = as_plain(field.default_factory())
    return {**defaults, **{key: _complete(value, classes) for key, value in plain.items()}}


def _classes(value: Any) -> dict[str, type]:
    """The dataclasses that `value` is made of, by name."""
    if isinstance(value, list | tuple):
        return {name: kind for inner in value for name, kind in _classes(inner).items()}
    if not dataclasses.is_dataclass(value):
        return {}
    fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
    return {type(value).__name__: type(value), **_classes(fields)}


def _by_stretches(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer with its rates as [start, rate] pairs, however they were written down.

    Runs before 2026-11-26 have a table of (length, rate) pairs in the place of rate and falls.
    """
    optimizer = dict(recipe["optimizer"])
    rate, falls = optimizer.pop("rate"), optimizer.pop("falls", None)
    if isinstance(rate, Mapping):
        starts, start = [], 0
        for length, _ in rate["steps"]:
            starts.append(start)
            start += length
        stretches = [[s, r] for s, (_, r) in zip(starts, rate["steps"], strict=True)]
    elif falls is None:
        stretches = [[0, rate]]
    else:
        falls = dict(falls)
        kind = {"Divided": spec.Divided, "Decreased": spec.Decreased}[falls.pop("kind")]
        total = recipe["iterations"] or recipe["passes"]
        stretches = [list(pair) for pair in kind(**falls).stretches(rate, total)]
    return {**optimizer, "stretches": stretches}


# ---------------------------------------------------------------------------- what --set changes


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
    if experiment.begins:
        walk("begins.", experiment.begins)
    return keys


def override(experiment: Experiment, assignments: Mapping[str, str] | list[str]) -> Experiment:
    """`experiment` with `KEY=VALUE` assignments applied.

    A value must have the type that the key has now. Raises UsageError for an unknown key, a value
    of another type, and a value outside of the limits of its key.
    """
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, got '{text}'")
        keys = settable(experiment)
        if key not in keys:
            raise unknown("key", key, sorted(keys))
        network = experiment.network
        choices = network.choices.get(key.removeprefix("network."))
        if choices and value not in choices:
            raise unknown(key, value, choices)
        typed = _typed(key, value, keys[key])
        if key.startswith("network."):
            _limited_option(network, key, typed)
        try:
            experiment = _replace(experiment, key.split("."), typed)
        except Refused as refused:
            raise UsageError(
                f"{key}={_short(value)}: accepted is {refused.accepted} (now {keys[key]})"
            ) from None
    return experiment


LONGEST_NUMBER = 40  # characters
PLAIN_NUMBER = r"(?=.{1,40}\Z)-?[0-9.]+(e[+-]?[0-9]+)?|-?(inf|nan)"  # no 1_000, +5, ٣ or space


def _typed(key: str, text: str, present: Any) -> Any:
    kind = type(present)
    try:
        if kind in (int, float) and not re.fullmatch(PLAIN_NUMBER, text):
            raise ValueError
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        accepted = "true or false" if kind is bool else WORDS[kind]
        raise UsageError(f"{key}={_short(text)}: accepted is {accepted} (now {present})") from None
    if kind is float and not math.isfinite(value):
        raise UsageError(f"{key}={text}: accepted is a finite number (now {present})")
    if kind is str and not re.fullmatch(r"[\x20-\x7e]{1,200}", value):
        raise UsageError(f"{key}={_short(text)!r}: accepted are up to 200 plain characters")
    return value


WORDS = {int: "a whole number", float: "a number", str: "a word"}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NUMBER else f"{text[:LONGEST_NUMBER]}..."


def _limited_option(network: Network, key: str, value: Any) -> None:
    """Raises UsageError where a number that an option is set to makes no sense.

    Without limits of its own an option takes up to a thousand, or ten times what it is now.
    """
    option = key.removeprefix("network.")
    present = network.options[option]
    if isinstance(present, bool) or not isinstance(present, int | float):
        return
    least, most = network.limits.get(option, (0, max(1000, 10 * present)))
    limits, whole = Limits(least, most), isinstance(present, int)
    if not limits.accept(value, whole):
        raise UsageError(f"{key}={value}: accepted is {limits.words(whole)} (now {present})")


def _replace(value: Any, path: list[str], new: Any) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(value, Network) and head != "options":  # network.KEY sets an option of `build`
        return dataclasses.replace(value, options={**value.options, head: new})
    inner = _replace(getattr(value, head), rest, new) if rest else new
    return dataclasses.replace(value, **{head: inner})
