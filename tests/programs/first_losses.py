"""Records the first updates that repro/training/first_updates.json holds, or prints them.

    python -P tests/programs/first_losses.py [EXPERIMENT...]           prints them as JSON
    python -P tests/programs/first_losses.py --record [EXPERIMENT...]  writes first_updates.json

One process has one backend (KERAS_BACKEND).
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np

from repro import backends
from repro.records.provenance import versions
from repro.training.first_updates import EXPERIMENTS, KINDS, RECORD, SEED, experiment, train

MOVED = 3  # how many runs with moved weights a record is made of


def record(names: Sequence[str]) -> None:
    """Writes what was trained, what came of it, and how far rounding may lead astray.

    astray: the largest relative difference up to each update, over the runs with moved weights, and
    no less than what one sum is off, or for lengths, a weight.
    """
    there = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in names:
        exact = train(experiment(name))
        runs = [train(experiment(name), moved=seed) for seed in range(MOVED)]
        there[name] = {
            "overrides": EXPERIMENTS[name],
            "seed": SEED,
            "versions": {key: versions()[key] for key in ("keras", "numpy", backends.name())},
            **{kind: to_digits(9, exact[kind]) for kind in KINDS},
            "astray": {
                kind: to_digits(2, np.max([differences(run, exact, kind) for run in runs], axis=0))
                for kind in KINDS
            },
        }
        lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in there.items()]
        RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def differences(ours: dict, theirs: dict, kind: str) -> np.ndarray:
    off = abs(np.divide(ours[kind], theirs[kind]) - 1.0)
    least = theirs["rounding"] if kind == "losses" else 2.0**-23
    return np.maximum.accumulate(np.maximum(off, least))


def to_digits(count: int, values: Sequence[float]) -> list[float]:
    return [float(f"{value:.{count}g}") for value in values]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true")
    parser.add_argument("names", nargs="*", default=list(EXPERIMENTS))
    asked = parser.parse_args()
    if asked.record:
        record(asked.names)
    else:
        print(json.dumps({name: train(experiment(name)) for name in asked.names}))
