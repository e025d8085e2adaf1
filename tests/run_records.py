"""Experiments and run records made up for tests of the verdict, the claims and the report."""

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

from repro import settings, spec
from repro.records.journal import Journal


@dataclass(frozen=True)
class Nothing:
    """Stands where a recipe wants a loss; two of them differ by their `variant`."""

    variant: int = 0


def experiment(name: str = "toy", reported=1.0, **changes) -> spec.Experiment:
    """`reported`: a test error, a tuple of `Reported`, or None."""
    if not isinstance(reported, tuple):
        reported = (spec.Reported("test_error", reported, "Table 1"),) if reported else ()
    recipe = spec.Recipe(
        data=spec.Data("mnist"),
        preprocessing=(),
        loss=Nothing(changes.pop("variant", 0)),
        optimizer=spec.SGD(0.1),
        passes=2,
        batch=1,
        initialisation="uniform",
    )
    facts = {"title": f"The {name} experiment", "reported": reported, **changes}
    return spec.Experiment(name=name, network=spec.Network(name, dict), recipe=recipe, **facts)


def counting_iterations(of: spec.Experiment, iterations: int = 64_000) -> spec.Experiment:
    """`of` with batches of 128, a schedule in iterations, and a test after every fourth pass."""
    sgd = spec.SGD(0.1, spec.Divided(10, at=(iterations // 2,)))
    how = {"passes": 0, "iterations": iterations, "batch": 128, "tested_every": 4}
    recipe = replace(of.recipe, optimizer=sgd, data=spec.Data("cifar10"), **how)
    return replace(of, recipe=recipe)


def line(number: int, update: int, running_error: float, **more) -> dict:
    """A line of metrics.jsonl."""
    speed = {"seconds": 180.0, "images_per_second": 3300.0}
    told = {"pass": number, "update": update, "loss": 0.5, "running_error": running_error}
    return {**told, **more, **speed}


def passes(test_errors: dict[int, float], running_errors: list[float], updates=391) -> list[dict]:
    """The lines of metrics.jsonl; only the passes in `test_errors` were tested."""
    lines = []
    for number, running in enumerate(running_errors, start=1):
        lines.append(line(number, updates * number, running))
        if number in test_errors:
            lines[-1] |= {"test_error": test_errors[number], "test_loss": 1.0}
    return lines


def record(of: spec.Experiment, seed: int, error: float, **changes) -> dict:
    """A finished run of `of` with a final test error; `changes` are entries of run.json."""
    overrides, scale = changes.get("overrides", []), changes.get("scale", "paper")
    finished = changes.pop("finished", f"2026-11-21T12:{seed:02}:00+00:00")
    metrics = {"test_error": error, "test_wrong": round(error * 100), "test_count": 10_000}
    run = {
        "id": hashlib.md5(f"{of.name}-{seed}-{finished}".encode()).hexdigest(),
        "experiment": of.name,
        "paper": "toys",
        "scale": "paper",
        "seed": seed,
        "resolved": json.loads(json.dumps(settings.as_plain(settings.override(of, overrides)))),
        "digest": settings.digest(settings.override(of, overrides), scale),
        "overrides": overrides,
        "precision": "float32",
        "backend": "tensorflow",
        "strategy": "single",
        "compiler": "xla",
        "devices": ["CPU:0"],
        "replicas": 1,
        "versions": {"keras": "3.15.1", "tensorflow": "2.21.0", "numpy": "2.4.0"},
        "machine": {"processor": "Some CPU", "cores": 2},
        "commit": "0123456789abcdef",
        "dirty": False,
        "data": {"dataset": "mnist", "digest": "d" * 64, "test_examples": 10_000},
        "started": "2026-11-21T11:00:00+00:00",
        **changes,
    }
    passes = [
        line(k, 60_000 * k, error + e, test_error=error + e, training_error=error / 2 + e)
        for k, e in ((1, 4.0), (2, 0.0))
    ]
    result = {
        "metrics": {"single-view": metrics},
        "seconds": 360.0,
        "images_per_second": 3300.0,
        "passes": 2,
        "updates": 120_000,
        "resumed": 0,
        "finished": finished,
    }
    return {"run": run, "passes": passes, "result": result}


def failed(of: spec.Experiment, seed: int, reason: str = "it diverged", **changes) -> dict:
    """A run of `of` that failed after its first pass."""
    made = record(of, seed, 90.0, **changes)
    failure = {"reason": reason, "update": 90_000, "at": made["result"]["finished"]}
    return {**made, "passes": made["passes"][:1], "result": None, "failure": failure}


def seal_run(runs_root: Path, record: dict) -> Path:
    """The run directory that a trainer leaves, with its seals."""
    run = record["run"]
    folder = runs_root / run["experiment"] / f"{run['scale']}-seed{run['seed']}-20261121-120000"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "figures").mkdir()
    journal = Journal(folder)
    journal.write_run(run)
    journal.write_passes(record["passes"])
    if record["result"]:
        journal.finish(record["result"])
    if record.get("failure"):
        journal.fail(record["failure"])
    return folder


def write_run(runs_root: Path, record: dict) -> Path:
    """The run directory that a trainer would have left before there were seals."""
    run = record["run"]
    folder = runs_root / run["experiment"] / f"{run['scale']}-seed{run['seed']}-20261121-120000"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run))
    lines = "".join(json.dumps(line) + "\n" for line in record["passes"])
    (folder / "metrics.jsonl").write_text(lines)
    if record["result"]:
        (folder / "result.json").write_text(json.dumps(record["result"]))
    if record.get("failure"):
        (folder / "failure.json").write_text(json.dumps(record["failure"]))
    return folder


def texts(path: Path) -> list[str]:
    """The words in an SVG figure."""
    return ["".join(e.itertext()) for e in ElementTree.parse(path).iter() if e.tag.endswith("text")]


def points(path: Path, colour: str) -> list[int]:
    """How many points each line of that colour has in an SVG figure, in the order of drawing."""
    paths = [e for e in ElementTree.parse(path).iter() if e.tag.endswith("}path")]
    drawn = [e for e in paths if colour.lower() in e.get("style", "") and "d" in e.attrib]
    return [sum(letter in "ML" for letter in e.get("d")) for e in drawn]
