"""One experiment, one scale, one seed: from the description to final metrics.

`Training.train` is the story; what it needs is made in `Training.__init__`. Everything that decides
the outcome is a function of (experiment, scale, seed, update), so a run that is killed and resumed
ends with the same bits as one that was left alone, where the devices compute alike each time: CPUs
do, GPUs are not made to.
"""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repro import backends, spec
from repro.backends import distribution
from repro.data import inputs
from repro.data.resident import Resident
from repro.errors import NOT_FINITE, Interrupted, RunError
from repro.records.images import order_of, packed
from repro.records.journal import Journal
from repro.records.provenance import now
from repro.training import carrying, facts, failures, keeping, probes, smoke
from repro.training.evaluation import Scores
from repro.training.events import Observer
from repro.training.keeping import Keeper
from repro.training.schedule import Schedule
from repro.training.scoring import Scoring
from repro.training.state import State
from repro.training.stop import AtOnce, Stop
from repro.training.telling import Teller
from repro.training.trainee import Trainee

SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_BEFORE_A_TEST = 10.0  # without a checkpoint, after which one is made before a test
STREAMED = (
    "the training images are made on the host: they are photographs, or more than a gigabyte, or "
    "more is done to them than to crop and mirror, or the device has no room for them"
)
SECONDS_OF_A_CALL = 2.0  # of the compiled loop, at most: a run that is to stop waits for it


class Training:
    """A run: its data, its network, when it does what, and the directory where it is kept."""

    def __init__(
        self,
        experiment: spec.Experiment,
        request: Mapping[str, Any],
        observers: Sequence[Observer] = (),
        stop: Stop | None = None,
    ):
        """`experiment` has its overrides applied; `request` is what run.json keeps of them."""
        self.experiment, self.stop = experiment, stop or Stop()
        recipe, scale, seed = experiment.recipe, request["scale"], request["seed"]

        # The devices. Reading a data set may start TensorFlow, so they are settled first.
        threads = backends.here().configure(recipe.batch)
        devices = distribution.choose(request["strategy"], recipe.batch)

        # The data, and the network with its optimizer.
        self.inputs = inputs.of_training(recipe)
        self.trainee = Trainee(experiment, request["precision"], seed, devices)
        cut = None
        if scale == "smoke":
            layers = len(self.trainee.model.layers)
            cut = smoke.cut(experiment, self.trainee.multiply_adds, devices.replicas, layers)
            recipe = replace(recipe, batch=cut.batch)
        resident = self.inputs.resident() if devices.holds_data else None
        try:
            self._feed(recipe, request, cut, resident)
        except Exception as error:
            if not (resident and backends.here().out_of_memory(error)):
                raise
            resident = None
        if self.trainee.loop is None:  # what was put on the device has gone with the error
            self._feed(recipe, request, cut, None)
        self.teller = Teller(observers, self.schedule)
        test = self.inputs.test_images, self.inputs.test_labels
        train = self.inputs.train_images, self.inputs.train_labels
        self.scoring = Scoring(
            experiment,
            self.trainee.model,
            test,
            train if recipe.training_error_measured else None,
            subset=cut.test_subset if cut else None,
            progress=self.teller.testing,
            holding=self.trainee.devices.holds_data,
        )
        self.facts = facts.of_run(
            request, experiment, self.trainee, self.inputs, resident, cut, threads
        )

    def _feed(
        self,
        recipe: spec.Recipe,
        request: Mapping[str, Any],
        cut: smoke.Smoke | None,
        resident: Resident | None,
    ) -> None:
        """Settles what an update sees, when is done what, and compiles the updates."""
        placed = resident is not None
        self.batches = self.inputs.batches(recipe.batch, request["seed"], placed)
        self.trainee.check(self.batches.shape, recipe.batch)
        made = self.batches.size, self.batches.chunk_shape
        self.schedule = Schedule(recipe, *made, request["scale"], cut)
        compiled = cut is None or cut.compiled
        self.trainee.compile(recipe.batch, self.schedule.chunk, compiled, resident)

    def begin_with(self, source: Journal) -> None:
        """Takes the weights of a finished run in the place of those that were drawn."""
        begins, model = self.experiment.begins, self.trainee.model
        self.facts["begins"] = carrying.carry(source, begins, model)

    def open(self, journal: Journal) -> None:
        """Takes a new run directory and writes down what is about to be trained."""
        self.journal, self.keeper = journal, Keeper(journal, self.trainee)
        journal.write_run(self.facts)
        if "begins" in self.facts:
            self.keeper.save()  # resumed it does not need the run that it began with
        if why := self.facts.get("commit_unknown"):
            self.teller.tell("message", text=f"the record will name no commit: {why}")
        if self.trainee.devices.holds_data and not self.facts["data"]["resident"]:
            self.teller.tell("message", text=STREAMED)

    def reopen(self, journal: Journal) -> None:
        """Takes the directory of a run, and its state from the newest readable checkpoint."""
        facts.check_data(journal, self.inputs.facts)
        facts.check_stack(journal, self.trainee, self.inputs)
        self.journal, self.keeper = journal, Keeper(journal, self.trainee)
        self.facts = journal.run()
        for warning in self.keeper.restore():
            self.teller.tell("message", text=warning)

    @property
    def state(self) -> State:
        return self.keeper.state

    # ---------------------------------------------------------------------- the story

    def train(self) -> dict:
        """Trains to the end of the schedule, evaluates, and closes the run directory."""
        self.keeper.begin()
        passes = len(self.journal.passes())
        views = self.scoring.views(self.schedule, passes)
        self.teller.start(self.journal.path, self.state, views)
        self.stop.leaving = lambda: self.teller.interrupted(self.keeper.saved)
        try:
            for number in range(passes, self.schedule.passes):
                self._train_pass(number)
                self._close_pass(number)
            result = self._finish()
        except AtOnce:
            with contextlib.suppress(OSError, RunError):  # a full disk: what was kept before stands
                self.keeper.save_new()
            raise self.teller.interrupted(self.keeper.saved) from None
        except Interrupted:
            raise
        except Exception as error:
            if (raised := self._failed(error)) is error:
                raise
            raise raised from error
        self._keep_filters()
        done = facts.outcome(self.journal, self.facts, result)
        self.teller.tell("done", **done)
        return done

    def _train_pass(self, number: int) -> None:
        state, end = self.state, self.schedule.ends[number]
        if state.update == self.schedule.start(number):
            state.begin_pass()
            with self.stop.at_once():
                state.add_rates(self.trainee.before_pass(number, self.inputs))
        while state.update < end:
            state.add_rates(self.trainee.optimizer.set_rate(self.schedule.rate(state)))
            cut, size = self.schedule.cut(number, state), self.schedule.chunk
            if state.part_updates:  # the rest of the chunk that was stopped in
                size -= state.part_updates
                cut = min(cut, state.update + size)
            began = time.monotonic()
            stream = self.batches.stream(state.update, cut, size)
            with contextlib.closing(self.trainee.ahead(stream)) as chunks:
                for images, labels in chunks:
                    self._train_chunk(number, images, labels, began)
                    began = time.monotonic()

    def _train_chunk(self, number: int, images: Any, labels: Any, began: float) -> None:
        """In calls of the loop that do not take long; the first one of a process compiles it."""
        state, pace, made = self.state, self.teller.pace, 0
        while made < len(images):
            updates = min(pace.updates_in(SECONDS_OF_A_CALL), len(images) - made)
            part = slice(made, made + updates)
            nothing_to_keep = state.update == self.keeper.saved
            with self.stop.at_once() if nothing_to_keep else contextlib.nullcontext():
                losses, wrong = self.trainee.loop(images[part], labels[part], state.part)
            made += updates
            seconds = time.monotonic() - began
            state.add(updates, losses, wrong, seconds, chunk_ends=made == len(images))
            pace.trained(updates, seconds)
            if not math.isfinite(state.loss_sum):
                raise self._not_finite(number)
            self.teller.progress(number)
            began = time.monotonic()
            if self.stop.is_set:
                self.keeper.save()
                raise self.teller.interrupted(state.update)
            self.keeper.save(unless_within=SECONDS_BETWEEN_CHECKPOINTS)

    def _close_pass(self, number: int) -> None:
        """Scores the network, writes the pass down, keeps a checkpoint."""
        state, passes = self.state, self.journal.passes()
        self.keeper.save(unless_within=SECONDS_BEFORE_A_TEST)
        examples = (state.update - self.schedule.start(number)) * self.schedule.batch
        line = {
            "pass": number + 1,
            "update": state.update,
            "loss": state.loss_sum / examples,
            "running_error": 100.0 * state.wrong / examples,
        }
        with self.trainee.tested_weights(self.inputs), self.stop.at_once():
            line |= self.scoring.after_pass(self.schedule.tested(number))
        if not math.isfinite(line.get("test_loss", 0.0)):
            raise self._not_finite(number)
        line["rate_min"], line["rate_max"] = state.rates or (None, None)
        line["images_per_second"] = examples / max(state.training_seconds, 1e-9)
        line["seconds"] = self.keeper.seconds - sum(p["seconds"] for p in passes)
        self.journal.append(line)
        self.keeper.save()
        self.teller.tell("pass", **line)

    def _finish(self) -> dict:
        """Measures the trained network and writes the result, before anything else may fail."""
        passes = self.journal.passes()
        with self.trainee.tested_weights(self.inputs), self.stop.at_once():
            measured = self.scoring.probed()
            scores = {name: self.scoring.final(name) for name in self.experiment.protocols}
            weights = keeping.digest(self.trainee.model)
        more = {"running_error": passes[-1]["running_error"], **probes.means(measured)}
        subset = self.scoring.subset
        result = {
            "metrics": {name: scored.metrics | more for name, scored in scores.items()},
            **{f"{name}s": values for name, values in measured.items()},
            **({"test_subset": subset} if subset else {}),
            "seconds": self.keeper.seconds,
            "images_per_second": float(np.median([p["images_per_second"] for p in passes])),
            "passes": len(passes),
            "updates": self.state.update,
            "resumed": self.keeper.resumed,
            "finished": now(),
            "weights": weights,
            "images": {name: self._images(scored) for name, scored in scores.items()},
        }
        try:
            self.journal.finish(result)
        except OSError as error:
            raise RunError(
                f"{self.journal.path}/result.json cannot be written ({error.strerror}); everything "
                f"is trained and kept: mend that, then: repro resume {self.journal.path}"
            ) from error
        return result

    def _images(self, scored: Scores) -> dict:
        """What is kept of each test image."""
        classes = self.trainee.model.output_shape[-1]
        data = self.inputs.facts["digest"], self.experiment.recipe.data.test
        return packed(
            scored.wrong, scored.guesses, classes, order=order_of(*data, len(scored.wrong))
        )

    # ---------------------------------------------------------------------- what may go wrong

    def _keep_filters(self) -> None:
        try:
            self.keeper.save_filters()
        except (OSError, ValueError) as error:
            path = self.journal.path / "filters.npy"
            self.teller.tell("message", text=f"{path} is not written: {error}")

    def _not_finite(self, number: int) -> RunError:
        return RunError(
            f"{NOT_FINITE} at update {self.state.update} (pass {number + 1}); "
            f"{self.journal.path} keeps what was reached before"
        )

    def _failed(self, error: Exception) -> Exception:
        """Writes down why the run failed; the error to be raised."""
        path, batch = self.journal.path, self.schedule.batch
        reason, raised = failures.explained(error, path, batch)
        failure = {"reason": reason, "update": self.state.update, "at": now()}
        with contextlib.suppress(OSError):
            self.journal.fail(failure)
        self.teller.failed(reason)
        return raised
