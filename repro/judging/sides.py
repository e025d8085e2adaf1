"""The two sides of a comparison: which runs each has, and what else differs between them."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from repro import spec
from repro.errors import UsageError, unknown
from repro.judging import groups
from repro.judging.measures import finished, value

FACTORS = ("backend", "keras", "device", "precision", "override")
AS_WRITTEN = "as written"
USUAL = {"override": AS_WRITTEN, "precision": "float32"}  # where these are not what is compared
MATCHED = (*FACTORS, "training images")  # what runs share, but for what is compared
SAID = (
    *MATCHED,
    "library",
    "compiler",
    "initial weights",
)  # where the sides differ in it, a reader is told
FOLLOWS = {"backend": ("library", "compiler"), "device": ("compiler",)}  # from what is compared
ORDERS = {
    "backend": ("tensorflow", "jax", "torch"),
    "device": ("CPU", "GPU"),
    "precision": spec.PRECISIONS,
    "override": (AS_WRITTEN,),
}


@dataclass(frozen=True)
class Run:
    """A record, and what it ran with: a word for each of `SAID`."""

    record: dict
    traits: dict[str, str]

    @property
    def seed(self) -> int:
        return self.record["run"]["seed"]


@dataclass(frozen=True)
class Side:
    """One side: `label`, and which runs belong to it."""

    label: str
    has: Callable[[Run], bool]


@dataclass(frozen=True)
class Pair:
    """Two sides, and the names of traits that are theirs to differ in."""

    a: Side
    b: Side
    compared: frozenset[str]


class Block(NamedTuple):
    """Runs of both sides that share everything but what is compared; each seed once a side."""

    a: tuple[Run, ...]
    b: tuple[Run, ...]


def runs(records: Iterable[dict], experiment: spec.Experiment, scale: str) -> list[Run]:
    """The runs of `experiment` at `scale`, finished or failed, that its present recipe made."""
    wanted, digests = (experiment.name, scale), {}
    mine = [r for r in records if (r["run"]["experiment"], r["run"]["scale"]) == wanted]
    of = [(record, groups.group_of(record["run"], experiment, digests)) for record in mine]
    return [Run(r, traits(r["run"], group.overrides)) for r, group in of if not group.stale]


def traits(run: dict, overrides: Iterable[str]) -> dict[str, str]:
    """What a run, as in run.json, ran with, in words; `overrides`: those that count."""
    backend, versions = run["backend"], run["versions"]
    images = run.get("data", {}).get("train_examples")
    path = groups.code_path(run).removeprefix(f"{backend} ")
    return {
        "backend": backend,
        "keras": versions.get("keras", "unknown"),
        "device": path.removeprefix("single on "),
        "precision": run["precision"],
        "override": ", ".join(sorted(overrides)) or AS_WRITTEN,
        "training images": f"{images:,}" if images else "unknown",
        "library": f"{backend} {versions.get(backend, 'unknown')}",
        "compiler": run.get("compiler") or "unknown",
        "initial weights": run.get("initial_weights", "drawn by the backend"),
    }


# ---------------------------------------------------------------------------- which sides


def pairs_by(factor: str, every: Iterable[Run]) -> list[Pair]:
    """All pairs of what `every` run has for `factor`; overrides are paired with `AS_WRITTEN` alone.

    Where the override is not compared runs have none, and where the precision is not float32.
    """
    present = {run.traits[factor] for run in every if _usual(run, {factor})}
    order = sorted(present, key=lambda level: _rank(factor, level))
    pairs = combinations(order, 2)
    if factor == "override":
        pairs = [pair for pair in pairs if pair[0] == AS_WRITTEN]
    return [Pair(*(_level(factor, level) for level in pair), frozenset({factor})) for pair in pairs]


def levels(factor: str, every: Iterable[Run]) -> dict[str, int]:
    """What the runs have for `factor`, and how many runs each."""
    counts: dict[str, int] = {}
    for run in every:
        if _usual(run, {factor}):
            counts[run.traits[factor]] = counts.get(run.traits[factor], 0) + 1
    return dict(sorted(counts.items(), key=lambda item: _rank(factor, item[0])))


def _level(factor: str, level: str) -> Side:
    return Side(level, lambda run: run.traits[factor] == level and _usual(run, {factor}))


def _usual(run: Run, compared: Collection[str]) -> bool:
    return all(run.traits[name] == word for name, word in USUAL.items() if name not in compared)


def _rank(factor: str, level: str) -> tuple:
    order = ORDERS.get(factor, ())
    numbers = [int(digits) for digits in re.findall(r"\d+", level)]
    return order.index(level) if level in order else len(order), numbers, level


def pair_of_labels(a: str, b: str, every: Sequence[Run]) -> Pair:
    """The sides that two labels choose: runs that have every word of it.

    Words: a backend, a strategy, cpu or gpu, a precision, keras=VERSION, BACKEND=VERSION,
    commit=DIGITS, and overrides. A run of a label has the overrides that the label names and no
    others, and float32 unless the label names a precision. In what one label alone names, the runs
    of the other are to be the same, where there are such. Raises UsageError for a word that no run
    has, and where a run would be on both sides.
    """
    present: dict[str, str] = {}
    for run in every:
        present |= _words(run)
    named = {word: _trait_of(word, present) for label in (a, b) for word in label.split()}
    if not a.split() or not b.split():
        raise UsageError("--a and --b take words such as 'jax gpu' or keras=3.15.1; one has none")
    of_a, of_b = ({named[word] for word in label.split()} for label in (a, b))
    compared = of_a & of_b | (of_a | of_b) & USUAL.keys()
    pair = Pair(*(_labelled(label, named) for label in (a, b)), frozenset(compared))
    both = sum(pair.a.has(run) and pair.b.has(run) for run in every)
    if both:
        raise UsageError(
            f"--a '{a}' --b '{b}': {both} of the runs fit both; accepted are labels that no run "
            "shares"
        )
    return pair


def _words(run: Run) -> dict[str, str]:
    """The words that a run can be chosen by, each with the name of the trait that it is of."""
    facts, given = run.record["run"], run.traits
    kinds = {device.partition(":")[0].lower() for device in facts["devices"]}
    words = {
        given["backend"]: "backend",
        facts["strategy"]: "device",
        given["precision"]: "precision",
    }
    words |= dict.fromkeys(kinds, "device")
    words[f"keras={given['keras']}"] = "keras"
    words[given["library"].replace(" ", "=")] = "library"
    words |= dict.fromkeys(_overrides(run), "override")
    if facts.get("commit"):
        words[f"commit={facts['commit'][:7]}"] = "commit"
    return words


def _overrides(run: Run) -> set[str]:
    none = run.traits["override"] == AS_WRITTEN
    return set() if none else set(run.record["run"]["overrides"])


def _trait_of(word: str, present: dict[str, str]) -> str:
    if word in present:
        return present[word]
    if any(_fits(word, other) for other in present):
        return "commit"
    raise unknown("word", word, sorted(present))


def _fits(word: str, other: str) -> bool:
    """Whether a word is the other; commits may have more digits, or fewer from four on."""
    if word.startswith("commit=") and other.startswith("commit="):
        digits, beside = word[7:], other[7:]
        return len(digits) >= 4 and (beside.startswith(digits) or digits.startswith(beside))
    return word == other


def _labelled(label: str, named: dict[str, str]) -> Side:
    words = label.split()
    mine = {named[word] for word in words}
    overrides = {word for word in words if named[word] == "override"}

    def has(run: Run) -> bool:
        own = _words(run)
        if _overrides(run) != overrides or not _usual(run, mine | {"override"}):
            return False
        return all(any(_fits(word, other) for other in own) for word in words)

    return Side(label, has)


# ---------------------------------------------------------------------------- which runs


def blocks(pair: Pair, every: Iterable[Run], metric: str, protocol: str) -> list[Block]:
    """The finished runs that measured the metric, in blocks of those that may be compared.

    The runs of a block share all of `MATCHED` but what is compared. Where no run of one side has
    such a counterpart on the other, all are one block (`differences` says in what they differ).
    Empty where a side has no run. Of the runs of a side of a block with the same seed the one that
    finished first counts.
    """
    done = [run for run in every if value(run.record, metric, protocol) is not None]
    done.sort(key=lambda run: finished(run.record))
    a, b = ([run for run in done if side.has(run)] for side in (pair.a, pair.b))
    if not a or not b:
        return []
    shared = [name for name in MATCHED if name not in pair.compared]
    by_kind: dict[tuple, tuple[dict[int, Run], dict[int, Run]]] = {}
    for side, mine in enumerate((a, b)):
        for run in mine:
            kind = tuple(run.traits[name] for name in shared)
            by_kind.setdefault(kind, ({}, {}))[side].setdefault(run.seed, run)
    matched = [both for both in by_kind.values() if all(both)]
    matched = matched or [tuple({run.seed: run for run in reversed(mine)} for mine in (a, b))]
    return [
        Block(*(tuple(side[seed] for seed in sorted(side)) for side in both)) for both in matched
    ]


def differences(pair: Pair, chosen: Iterable[Block]) -> list[str]:
    """In what else the runs of the two sides differ: "device: CPU, GPU", one text a trait."""
    chosen = list(chosen)
    expected = {name for of in pair.compared for name in FOLLOWS.get(of, ())} | pair.compared
    texts = []
    for name in SAID:
        words = [
            sorted({run.traits[name] for block in chosen for run in getattr(block, side)})
            for side in ("a", "b")
        ]
        if name not in expected and words[0] != words[1]:
            texts.append(f"{name} {' and '.join(words[0])}; {' and '.join(words[1])}")
    return texts
