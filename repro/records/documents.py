"""The documents of a run, as they are read: which keys they have, of which type.

Each document ends with a seal, the digest of what it and those before it say. A run that was edited
afterwards, or put together from the files of several, is noticed by it. Documents from before there
were seals are held to what else tells the same: the name of the run directory, the command, the
counts.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from repro import spec
from repro.carried import SAME, source_scale
from repro.jsonable import as_json
from repro.records import images
from repro.records.shape import (
    Damaged,
    amount,
    anything,
    document,
    either,
    hexadecimal,
    listed,
    mapping,
    moment,
    name,
    number,
    one_of,
    optional,
    refuse,
    text,
    truth,
    whole,
)

SEAL = "seal"
DIRECTORY = re.compile(rf"({'|'.join(spec.SCALES)})-seed(\d{{1,18}})-.*")

REPORTED = document({"metric": text, "value": number, "source": text, "protocol": text})
RESOLVED = document(
    {
        "network": document({"name": text}, {"options": mapping(anything)}),
        "recipe": mapping(anything),
    },
    {
        "title": text,
        "note": text,
        "deviations": listed(either(text, mapping(anything))),
        "reported": listed(REPORTED),
        "protocols": listed(text),
        "begins": optional(
            document(
                {"source": name, "scale": one_of((SAME, *spec.SCALES)), "trained": listed(text)},
                {"layers": listed(text)},
            )
        ),
    },
)
# Of the run whose weights another one began with: which it was, and what it had trained.
BEGINS = document(
    {
        "id": hexadecimal(32),
        "experiment": name,
        "scale": one_of(spec.SCALES),
        "seed": whole(),
        "digest": hexadecimal(8, 64),
        "resolved": RESOLVED,
        "test_error": number,
        "drawn": listed(text),
    },
    {"begins": mapping(anything), "weights": hexadecimal(64)},
)
DATA = document(
    {"dataset": text, "digest": text},
    {
        "version": text,
        "train": text,
        "test": text,
        "train_examples": whole(),
        "test_examples": whole(),
        "resident": whole(),
    },
)
RUN = document(
    {
        "id": hexadecimal(32),
        "paper": name,
        "experiment": name,
        "scale": one_of(spec.SCALES),
        "seed": whole(),
        "overrides": listed(text),
        "precision": one_of(spec.PRECISIONS),
        "strategy": text,
        "backend": name,
        "devices": listed(text),
        "versions": mapping(text),
        "digest": hexadecimal(8, 64),
        "resolved": RESOLVED,
        "started": moment,
    },
    {
        "data": DATA,
        "begins": BEGINS,
        "smoke": document(
            {},
            {
                **dict.fromkeys(("batch", "updates", "test_subset"), optional(whole())),
                "compiled": optional(truth),
            },
        ),
        "environment": mapping(anything),
        "replicas": whole(1),
        "compiler": text,
        "batch_statistics": text,
        "initial_weights": text,
        "threads": optional(whole()),
        "command": text,
        "start_from": text,
        "machine": document({}, {"processor": text, "cores": whole(), "gpus": listed(text)}),
        "commit": optional(hexadecimal(4, 64)),
        "dirty": optional(truth),
    },
)
# Every other number of a line is the value of a curve.
PASS = document(
    {
        "pass": whole(1),
        "update": whole(1),
        "loss": number,
        "running_error": amount,
        "seconds": amount,
        "images_per_second": amount,
    },
    dict.fromkeys(
        ("test_error", "test_loss", "training_error", "rate_min", "rate_max"), optional(number)
    ),
)
RESULT = document(
    {
        "metrics": mapping(mapping(optional(number))),
        "seconds": amount,
        "images_per_second": optional(amount),
        "passes": whole(),
        "updates": whole(),
        "finished": moment,
    },
    {
        "resumed": whole(),
        "test_subset": optional(whole(1)),
        "images": mapping(images.check),
        "weights": hexadecimal(64),
    },
)
FAILURE = document({"reason": text}, {"update": whole(), "at": moment})
LOGGED = document({"mlflow_run_id": text}, {"mlflow_experiment_id": text, "uri": text})
RECORD = document(
    {"run": RUN, "passes": listed(PASS), "result": optional(RESULT)},
    {"failure": optional(FAILURE)},
)


@dataclass(frozen=True)
class RunFacts:
    """What a run.json says that decides what is trained; `plain` is all of it."""

    id: str
    paper: str
    experiment: str
    scale: str
    seed: int
    overrides: tuple[str, ...]
    precision: str
    strategy: str
    digest: str
    sealed: bool
    plain: Mapping[str, Any]

    def ties(self) -> dict[str, Any]:
        """What a checkpoint says of the run that it is of."""
        return {key: getattr(self, key) for key in ("id", "experiment", "scale", "seed", "digest")}


def seal_of(document: Any) -> str:
    """Names a document: any change to it changes its seal."""
    return _seal_of_plain(as_json(document))


def _seal_of_plain(document: Any) -> str:
    """That of JSON data, such as a file holds."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_facts(plain: Any, folder: str | Path) -> RunFacts:
    """A run.json, checked; `folder`: the run directory that it lies in. Raises Damaged."""
    plain = RUN(plain, "run")
    seal = plain.pop(SEAL, None)
    if seal is not None and seal != _seal_of_plain(plain):
        raise Damaged("was changed after it was written (its seal does not fit)")
    if seal is None:
        hold_to_command(plain)
    hold_to_name(plain, Path(folder).resolve().name)
    hold_to_source(plain)
    keys = ("id", "paper", "experiment", "scale", "seed", "precision", "strategy", "digest")
    facts = {key: plain[key] for key in keys}
    return RunFacts(
        **facts, overrides=tuple(plain["overrides"]), sealed=seal is not None, plain=plain
    )


def hold_to_name(run: Mapping[str, Any], directory: str) -> None:
    """Raises Damaged where a directory <scale>-seed<k>-<time> holds another scale or seed."""
    told = DIRECTORY.fullmatch(directory)
    if told and (told[1], int(told[2])) != (run["scale"], run["seed"]):
        raise Damaged(f"is of scale {run['scale']}, seed {run['seed']}, but lies in {directory}")


def hold_to_source(run: Mapping[str, Any]) -> None:
    """Raises Damaged where a run did not begin with the weights that its experiment asks for."""
    asked, began = run["resolved"].get("begins"), run.get("begins")
    if bool(asked) != bool(began):
        raise Damaged("does not say which run it began with" if asked else "began with another run")
    if not asked:
        return
    scale = source_scale(asked["scale"], run["scale"])
    wanted = {"experiment": asked["source"], "scale": scale, "seed": run["seed"]}
    if told := {key: began[key] for key in wanted if began[key] != wanted[key]}:
        raise Damaged(f"began with a run of another {' and '.join(told)} than it says")


def hold_to_command(run: Mapping[str, Any]) -> None:
    """Raises Damaged where the command that began a run asked for another one."""
    try:
        words = shlex.split(run.get("command", ""))
    except ValueError:
        raise Damaged("has a command that cannot be read") from None
    if not words:
        return
    asked: dict[str, list[str]] = {}
    for option, value in pairwise(words):
        if option in ("--scale", "--seed", "--set", "--precision"):
            asked.setdefault(option, []).append(value)
    wanted = {"--scale": [run["scale"]], "--seed": [str(run["seed"])], "--set": run["overrides"]}
    wanted["--precision"] = [run["precision"]]
    asked.setdefault("--precision", ["float32"])
    asked.setdefault("--set", [])
    if run["experiment"] not in words or asked != wanted:
        raise Damaged("was changed: its command asks for another run")


def passes_of(lines: list[Any]) -> list[dict]:
    """Lines of metrics.jsonl, checked. Raises Damaged where one is missing or out of turn."""
    checked, update = [], 0
    for number_, line in enumerate(lines, start=1):
        line = PASS(line, f"pass {number_}")
        if line["pass"] != number_:
            raise Damaged(f"has pass {line['pass']} in the place of pass {number_}")
        if line["update"] <= update:
            raise Damaged(f"has no more updates after pass {number_} than before it")
        update = line["update"]
        checked.append({key: value for key, value in line.items() if value is not None})
    return checked


def whole_record(record: Any, sealed: str | None = None) -> dict:
    """A record, checked in itself. `sealed`: its seal, None where it has none. Raises Damaged."""
    record = RECORD(record, "record")
    if not record["result"] and not record.get("failure"):
        raise Damaged("has neither a result nor a failure")
    if record["result"]:
        record = {key: record[key] for key in ("run", "passes", "result")}
    else:
        record = {key: record[key] for key in ("run", "passes", "result", "failure")}
    hold_to_source(record["run"])
    record["passes"] = passes_of(record["passes"])
    if sealed is not None and sealed != _seal_of_plain(record):
        raise Damaged("was changed after it was written (its seal does not fit)")
    if record["result"]:
        _hold_to_counts(record["result"], record["passes"])
    return record


def _hold_to_counts(result: Mapping[str, Any], passes: list[dict]) -> None:
    """Raises Damaged where a result contradicts itself or the passes before it."""
    if not result["metrics"]:
        raise Damaged("has a result without metrics")
    told = result["passes"], result["updates"]
    if told != (len(passes), passes[-1]["update"] if passes else told[1]):
        raise Damaged(f"ends after pass {told[0]}, update {told[1]}; its passes end elsewhere")
    for protocol, kept in result.get("images", {}).items():
        metrics = result["metrics"].get(protocol, {})
        told = metrics.get("test_wrong"), metrics.get("test_count")
        if told != (images.wrong_of(kept), kept["count"]):
            raise Damaged(
                f"keeps {kept['count']:,} test images of {protocol}, {images.wrong_of(kept):,} of "
                f"them wrong, but its test_wrong and test_count are {told[0]} and {told[1]}"
            )
    for metrics in result["metrics"].values():
        for name_, value in metrics.items():
            if name_.endswith("_error") and not 0 <= (value or 0) <= 100:
                raise refuse(name_, value, "a number from 0 to 100")
            if name_.endswith("_count") and value is not None and (value < 1 or value % 1):
                raise refuse(name_, value, "a whole number from 1")
        for kind in ("test", "training"):
            wrong, count = metrics.get(f"{kind}_wrong"), metrics.get(f"{kind}_count")
            error = metrics.get(f"{kind}_error")
            if None in (wrong, count, error):
                continue
            if (
                not 0 <= wrong <= count
                or not count
                or wrong % 1
                or count % 1
                or abs(error - 100 * wrong / count) > 51 / count
            ):
                raise Damaged(f"has a {kind}_error of {error}, but {wrong} of {count} are wrong")
