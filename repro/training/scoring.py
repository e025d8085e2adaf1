"""The tests of a run: after its passes, and at its end by every protocol."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from repro import backends, spec
from repro.data.resident import MOST_BYTES
from repro.training import evaluation, probes
from repro.training.evaluation import PROTOCOLS
from repro.training.schedule import Schedule


class Scoring:
    """Scores the network on the first `subset` images of the test set, or on all.

    train: the training images and labels, where the recipe has their error measured; as many of
    them. progress(done, total, views, seconds): called after each batch of a test; `views` went
    through the network in it. holding: images in memory are put on the device, where it has room.
    """

    def __init__(
        self,
        experiment: spec.Experiment,
        model: Any,
        test: tuple[Any, np.ndarray],
        train: tuple[Any, np.ndarray] | None = None,
        subset: int | None = None,
        progress: Callable[[int, int, int, float], None] = lambda *batch: None,
        holding: bool = False,
    ):
        self._experiment, self._model, self._progress = experiment, model, progress
        self._sets = {"test": test} | ({"training": train} if train else {})
        self._sets = {
            name: (images, labels[:subset]) for name, (images, labels) in self._sets.items()
        }
        self.subset = subset and len(self._sets["test"][1])
        self._scorers: dict[str, evaluation.Scorer] = {}
        self._holding = {
            name
            for name, (images, _) in self._sets.items()
            if holding and isinstance(images, np.ndarray) and images.nbytes <= MOST_BYTES
        }
        self._held: dict[str, tuple[str, evaluation.Held]] = {}
        self.scorer(experiment.protocols[0])  # what does not fit is said before the training

    def scorer(self, protocol: str) -> evaluation.Scorer:
        if protocol not in self._scorers:
            loss = self._experiment.recipe.loss
            self._scorers[protocol] = evaluation.scorer(self._model, loss, protocol)
        return self._scorers[protocol]

    def score(self, name: str, protocol: str) -> evaluation.Scores:
        """Those of the "test" or the "training" set."""
        scorer = self.scorer(protocol)
        seen, began = 0, time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal seen, began
            self._progress(done, total, (done - seen) * scorer.views, time.monotonic() - began)
            seen, began = done, time.monotonic()

        sets = self._sets[name]
        try:  # no name here for what lies on the device: it must be gone before the second try
            return evaluation.evaluate(scorer, *sets, progress, self._on_device(name, protocol))
        except Exception as error:
            if not (name in self._holding and backends.here().out_of_memory(error)):
                raise
        self._holding.remove(name)
        self._held.pop(name, None)
        return self.score(name, protocol)

    def _on_device(self, name: str, protocol: str) -> evaluation.Held | None:
        """The images there, as the protocol's scorer takes them; None where they are streamed."""
        if name not in self._holding:
            return None
        if name in self._held and self._held[name][0] != protocol:
            del self._held[name]
        if name not in self._held:
            held = evaluation.Held(self.scorer(protocol), *self._sets[name])
            self._held[name] = protocol, held
        return self._held[name][1]

    def after_pass(self, tested: bool) -> dict[str, float]:
        """What a line of metrics.jsonl says of the tests."""
        protocol, line = self._experiment.protocols[0], {}
        if tested:
            test = self.score("test", protocol).metrics
            line |= {"test_error": test["error"], "test_loss": test["loss"]}
        if "training" in self._sets:
            line["training_error"] = self.score("training", protocol).metrics["error"]
        return line

    def final(self, protocol: str) -> evaluation.Scores:
        """Those of the test set, with the metrics of all sets under "test_" and "training_"."""
        scores = {name: self.score(name, protocol) for name in self._sets}
        metrics = {
            f"{name}_{metric}": value
            for name, scored in scores.items()
            for metric, value in scored.metrics.items()
        }
        return replace(scores["test"], metrics=metrics)

    def probed(self) -> dict[str, list[float]]:
        """What the probes measure, on the images that are scored."""
        if not self._experiment.probes:
            return {}
        images, labels = self._sets["test"]
        some = images if len(labels) == len(images) else images[: len(labels)]
        began = time.monotonic()
        measured = probes.measure(self._experiment.probes, self._model, some)
        views, seconds = len(labels) * len(measured), time.monotonic() - began
        self._progress(len(labels), len(labels), views, seconds)
        return measured

    def views(self, schedule: Schedule, number: int) -> int:
        """How many views of images are scored after pass `number`, from 0, and all that follow."""
        experiment = self._experiment
        count = {name: len(labels) for name, (_, labels) in self._sets.items()}
        each = [PROTOCOLS[protocol].views for protocol in experiment.protocols]
        tested = sum(schedule.tested(p) for p in range(number, schedule.passes))
        passes = tested * count["test"] + (schedule.passes - number) * count.get("training", 0)
        final = sum(each) * sum(count.values()) + len(experiment.probes) * count["test"]
        return passes * each[0] + final
