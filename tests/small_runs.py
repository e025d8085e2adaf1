"""Runs that take seconds, on data that needs no download; what may be compared of them."""

import dataclasses
import json
import signal

from repro import catalog, spec
from repro.data.preprocessing import Contrast, Enlarge, PadTo
from repro.records.journal import Journal
from repro.training import checkpoint, runner

SPOKEN_OF_TIME = {"seconds", "images_per_second"}


def digits(scale="smoke", **options) -> dict:
    """LeNet-5 as in 1998, one example at a time."""
    return runner.run(catalog.experiment("lenet5-digits"), scale=scale, **options)


def modern_on_digits(**changes) -> spec.Experiment:
    """The modern variant with batches of 128; `changes` to its recipe."""
    modern = catalog.experiment("lenet5-modern-mnist")
    fitted = {
        "data": spec.Data("digits"),
        "preprocessing": (Enlarge(20), PadTo(32), Contrast(-0.1, 1.175)),
        "passes": 6,
    }
    recipe = dataclasses.replace(modern.recipe, **{**fitted, **changes})
    return dataclasses.replace(modern, recipe=recipe)


def timeless(journal: Journal) -> str:
    """Every line of metrics.jsonl and the final metrics, without what speaks of time."""
    lines = [{k: v for k, v in x.items() if k not in SPOKEN_OF_TIME} for x in journal.passes()]
    return json.dumps([lines, journal.result()["metrics"]])


def last_state(journal: Journal) -> list:
    return checkpoint.latest(journal.checkpoints)[0]


class Seen(list):
    """An observer: the events, in their order."""

    def __call__(self, event: dict) -> None:
        self.append(event)

    def of(self, kind: str) -> list[dict]:
        return [event for event in self if event["event"] == kind]


def stopping_at(update: int, kind: str = "progress"):
    """An observer that does what Ctrl-C does, at the first such event from `update` on."""

    def observe(event: dict) -> None:
        nonlocal update
        if event["event"] == kind and event.get("update", update) >= update:
            update = 10**9
            signal.raise_signal(signal.SIGINT)

    return observe
