"""What `repro.bench` times of the harness itself, on any backend of Keras."""

import contextlib
import importlib.util
import math
import signal
import tempfile
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from repro import backends, catalog, spec
from repro.bench import place, subject
from repro.bench.contenders import Network
from repro.bench.timing import Clock
from repro.errors import Interrupted, RunError
from repro.networks.anatomy import anatomy
from repro.records import tracking
from repro.records.journal import Journal
from repro.training import evaluation, stop, training

SCORED_WORK = 1.6e11  # multiply-adds of the images on which scoring is timed
MOST_SCORED = 4000


def harness(seconds: float, network: Network, precision: str) -> dict:
    """A training as `repro run` makes it, stopped when its time is over; then what a pass costs.

    Beside the sample, `costs` and `cadence` of `repro.bench.summary.combined_rate`, and `values`,
    the numbers that all layers give for one image.
    """
    described = catalog.experiment(network.experiment)
    asked, watch = stop.Stop(), Watch(seconds, described.recipe.batch)
    trained = training.Training(described, request(described, precision), [watch.see], asked)
    model = trained.trainee.model
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    subject.check(network, parameters, trained.trainee.multiply_adds)
    return {**watched(trained, watch, asked), "values": values(model)}


def watched(trained: training.Training, watch: "Watch", asked: stop.Stop) -> dict:
    """The sample of a training, and what a pass of it costs."""
    experiment = trained.experiment
    with tempfile.TemporaryDirectory() as out:
        journal = Journal.create(out, experiment.name, "paper", 0)
        with journal.alone():
            trained.open(journal)
            watch.attend(trained)
            with contextlib.suppress(Interrupted), asked:
                trained.train()
            if watch.clock is None:
                raise RunError("the training ended before it could be timed")
            sample = watch.clock.sample(device=device())
            costs = costs_of_a_pass(trained)
    return {**sample, "costs": costs, "cadence": place.cadence(experiment)}


def device() -> str:
    """Where Keras computes: the name of the GPU, or CPU."""
    return next(iter(backends.here().gpus()), "CPU")


def request(experiment: spec.Experiment, precision: str) -> dict:
    """What `runner.run` would ask for, on a single device."""
    return {
        "experiment": experiment.name,
        "scale": "paper",
        "seed": 0,
        "overrides": [],
        "strategy": "single",
        "precision": precision,
    }


class Watch:
    """Times the calls of the compiled loop in a training, and asks it to stop, as Ctrl-C does.

    The first call compiles. A segment goes from the end of one call to that of the next, so it also
    holds the wait for the next images. In a new pass it begins with the call; the wait for the
    first images, and the test before, count among the costs of a pass. So do checkpoints.
    """

    def __init__(self, seconds: float, batch: int):
        self.clock: Clock | None = None
        self._seconds, self._batch = seconds, batch
        self._update, self._new_pass = 0, True

    def attend(self, trained: training.Training) -> None:
        call, save = trained.trainee.loop, trained.keeper.save

        def calling(*chunk):
            if self._new_pass and self.clock:
                self.clock.skip()
            self._new_pass = False
            return call(*chunk)

        def saving(**how):
            save(**how)
            if self.clock:
                self.clock.skip()

        trained.trainee.loop, trained.keeper.save = calling, saving

    def see(self, event: dict) -> None:
        """An observer of the training."""
        self._new_pass = self._new_pass or event["event"] == "pass"
        if event["event"] != "progress":
            return
        made, self._update = event["update"] - self._update, event["update"]
        try:
            if self.clock is None:
                self.clock = Clock(self._seconds)
            elif not self.clock.lap(made * self._batch):
                signal.raise_signal(signal.SIGTERM)
        except (OSError, Interrupted):  # whoever gives the turns is gone
            signal.raise_signal(signal.SIGTERM)


def values(model) -> int:
    """How many numbers the layers of a network give for one image, all together."""
    return sum(math.prod(layer["output_shape"]) for layer in anatomy(model)["layers"])


def costs_of_a_pass(trained: training.Training) -> dict[str, float]:
    """What a pass costs beside its updates: see `repro.bench.summary.combined_rate`."""
    score, schedule = trained.scoring.scorer(trained.experiment.protocols[0]), trained.schedule
    images, labels = trained.inputs.test_images, trained.inputs.test_labels
    affordable = int(SCORED_WORK / (score.views * trained.trainee.multiply_adds))
    count = max(1, min(MOST_SCORED, affordable) // score.batch) * score.batch
    labels = labels[:count]
    held = None
    if trained.trainee.devices.holds_data and isinstance(images, np.ndarray):
        held = evaluation.Held(score, images[:count], labels)
    compiling = labels if held else labels[: score.batch]
    evaluation.evaluate(score, images, compiling, held=held)
    scoring = timed(lambda: evaluation.evaluate(score, images, labels, held=held))

    def first_chunk() -> None:
        stream = trained.batches.stream(trained.state.update, schedule.last, schedule.chunk)
        next(stream)
        chunks.append(stream)  # closing it waits for the thread that makes the next chunks

    def line() -> None:
        number = len(trained.journal.passes()) + 1
        fields = ("loss", "running_error", "test_error", "test_loss", "rate_min", "rate_max")
        facts = {"pass": number, "update": trained.schedule.last + number}
        facts |= dict.fromkeys(fields, 1.0)
        trained.journal.append({**facts, "images_per_second": 1.0, "seconds": 1.0})

    chunks: list = []
    costs = {"scoring": len(labels) / scoring}
    costs["first_chunk"] = timed(first_chunk)
    for stream in chunks:
        stream.close()
    costs["checkpoint"] = median(timed(trained.keeper.save) for _ in range(3))
    lines, logs = [], []
    for _ in range(3):
        lines.append(timed(line))
        if importlib.util.find_spec("mlflow"):  # without it nothing is logged, which costs nothing
            logs.append(timed(lambda: tracking.sync(trained.journal.path)))
    # The first call makes the store and the run in it, once.
    return costs | {"line": median(lines), "tracking": median(logs[1:]) if logs else 0.0}


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pipeline(seconds: float, network: Network) -> dict:
    """The harness' batches, cropped and mirrored, taken as fast as they are made."""
    described = catalog.experiment(network.experiment)
    trained = training.Training(described, request(described, "float32"))
    clock = None
    while True:  # a training is soon over for the pipeline alone
        stream = trained.batches.stream(0, trained.schedule.last, trained.schedule.chunk)
        for _ in range(4):  # three are made ahead
            next(stream)
        clock = clock or Clock(seconds)
        clock.skip()
        for chunk in stream:
            if not clock.lap(np.size(chunk[1])):
                return clock.sample()
