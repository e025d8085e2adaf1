"""One experiment, one scale, one seed: from the description to final metrics.

`Training.train` is the story; what it needs is made in `Training.__init__`. Everything that decides
the outcome is a function of (experiment, scale, seed, update), so a run that is killed and resumed
ends with the same bits as one that was left alone, where the devices compute alike each time: CPUs
do, GPUs are not made to.
"""

import contextlib
import math
import os
import signal
import time
import uuid
from collections.abc import Callable

import numpy as np

from repro import backends, catalog, settings, spec
from repro.backends import distribution
from repro.data import datasets, inputs, photographs
from repro.data.batches import Batches
from repro.data.inputs import in_memory
from repro.errors import Interrupted, ReproError, RunError, UsageError, unknown
from repro.lazy import keras
from repro.networks.losses import AuxiliaryCrossEntropy
from repro.records.journal import Journal
from repro.records.provenance import command, commit, machine, now, versions
from repro.training import checkpoint, evaluation, probes
from repro.training.schedule import chunk_updates, pass_ends, rates

CURVATURE = 500  # tells these draws from others that are keyed by seed and pass
SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_BETWEEN_SYNCS = 30.0


Progress = Callable[[dict], None]


class Training:
    """The data, model, optimizer and state of one run."""

    def __init__(self, experiment: spec.Experiment, request: dict):
        experiment = settings.override(experiment, request["overrides"])
        recipe = experiment.recipe
        by_curvature = isinstance(recipe.optimizer, spec.StochasticDiagonalLM)
        if by_curvature and request["precision"] != "float32":
            raise UsageError(
                f"--precision {request['precision']}: the curvatures of {experiment.name} need "
                "float32; accepted here: float32"
            )
        for protocol in experiment.protocols:
            evaluation.check_protocol(protocol)
        for probe in experiment.probes:
            probes.check(probe)
        self.experiment, self.recipe, self.request = experiment, recipe, request
        self.scale, self.seed = request["scale"], request["seed"]

        # 1. The devices. Reading a data set may start TensorFlow, so they are settled first.
        self.backend = backends.here()
        self.threads = self.backend.configure(recipe.batch)
        from repro.networks import optimizers

        self.devices = distribution.choose(request["strategy"], recipe.batch)

        # 2. The data.
        self.data = datasets.facts(recipe.data.dataset)
        train = datasets.load(recipe.data.dataset, recipe.data.train)
        test = datasets.load(recipe.data.dataset, recipe.data.test)
        self.train_labels, self.test_labels = train.labels, test.labels
        many = isinstance(train.images, photographs.Photographs)
        prepared = inputs.prepared if many else in_memory
        self.train_images, self.test_images, examples, how = prepared(
            recipe, train.images, test.images
        )
        self.batches = Batches(examples, self.train_labels, recipe.batch, self.seed, **how)
        self.pass_ends = pass_ends(recipe, self.batches.size, self.scale)

        # 3. The network and its optimizer.
        keras.config.set_dtype_policy(request["precision"])
        self.backend.set_seed(self.seed)
        with self.devices.scope():
            self.model = experiment.network.build(**experiment.network.options)
            self.optimizer = optimizers.build(recipe.optimizer)
            self.optimizer.build(self.model.trainable_variables)
        shape = self.batches.shape
        if self.model.input_shape[1:] != shape:
            raise UsageError(
                f"{experiment.network.name} takes images {self.model.input_shape[1:]}, "
                f"{recipe.data.dataset} gives {shape} after preprocessing and augmentation"
            )
        heads = isinstance(recipe.loss, AuxiliaryCrossEntropy)
        if heads != (len(self.model.output_shape) == 3):
            raise UsageError(
                f"{experiment.network.name} gives outputs {self.model.output_shape[1:]}; with this "
                f"loss, accepted is a network {'with' if heads else 'without'} auxiliary heads"
            )
        names = [layer.name for layer in self.model.layers]
        if heads and recipe.loss.own not in names:
            raise unknown("recipe.loss.own", recipe.loss.own, names)
        if experiment.probes:
            probes.responses(self.model)  # told now rather than after the training
        self.chunk = chunk_updates(recipe.batch, 4 * math.prod(shape), self.pass_ends)
        how = (recipe.loss, recipe.batch, self.chunk)
        self.loop = self.devices.loop(self.model, self.optimizer, *how)
        self.score = evaluation.scorer(self.model, recipe.loss, experiment.protocols[0])
        self.update = 0
        self.rates = rates(recipe, self.pass_ends[-1])
        factor = recipe.short_factor if self.scale == "short" else 1
        self.tested_every = max(1, recipe.tested_every // factor)
        self.state = {"losses": 0.0, "wrong": 0, "training_seconds": 0.0, "rates": None}
        self.state |= {"warm": False, "warming_wrong": 0}
        self.seconds_before = 0.0  # spent on this run by earlier processes
        self.resumed = 0

    # ---------------------------------------------------------------------- the run directory

    def open(self, journal: Journal) -> None:
        """Takes a new run directory and writes down what is about to be trained."""
        self.journal = journal
        journal.write_run(
            {
                "id": uuid.uuid4().hex,
                **self.request,
                "paper": catalog.paper_of(self.experiment.name).name,
                **self.stack(),
                "replicas": self.devices.replicas,
                "batch_statistics": self.devices.batch_statistics,
                "threads": self.threads,
                "digest": settings.digest(self.experiment, self.scale),
                "resolved": settings.as_plain(self.experiment),
                "data": {
                    "dataset": self.data["name"],
                    "version": self.data["version"],
                    "digest": self.data["digest"],
                    "train": self.recipe.data.train,
                    "test": self.recipe.data.test,
                    "train_examples": len(self.train_labels),
                    "test_examples": len(self.test_labels),
                },
                "command": command(self.request),
                "versions": versions(),
                "machine": machine(),
                **commit(),
                "started": now(),
            }
        )

    @classmethod
    def reopen(cls, run_dir: str | os.PathLike, strategy: str | None = None) -> "Training":
        """The training of an existing run directory, before its first update.

        `strategy` in place of the run's own is for what does not depend on it.
        """
        journal = Journal.open(run_dir)
        facts = journal.run()
        request = {key: facts[key] for key in ("experiment", "scale", "seed", "overrides")}
        request |= {"strategy": strategy or facts["strategy"], "precision": facts["precision"]}
        training = cls(catalog.experiment(facts["experiment"]), request)
        present = settings.digest(training.experiment, facts["scale"])
        if settings.digest_of_run(facts, training.experiment) != present:
            raise RunError(
                f"{run_dir}: {facts['experiment']} has changed since this run began (digest "
                f"{facts['digest']}, now {present}); start a new run"
            )
        if training.data["digest"] != facts["data"]["digest"]:
            raise RunError(f"{run_dir}: the data is not what this run began with")
        training.journal = journal
        return training

    def stack(self) -> dict:
        """What else decides the bits, and whom the run may be compared with."""
        found = versions()
        return {
            "backend": backends.name(),
            "strategy": self.devices.name,
            "devices": list(self.devices.devices),
            "compiler": self.devices.compiler(self.recipe.batch),
            "versions": {name: found[name] for name in ("keras", backends.name())},
        }

    def check_stack(self) -> None:
        """Raises RunError where the run began on other devices or versions than those here."""
        facts, here = self.journal.run(), self.stack()
        for key, value in here.items():
            began = facts[key]
            if key == "versions":
                began = {name: began.get(name) for name in value}
            if began != value:
                raise RunError(
                    f"{self.journal.path}: began with {key} {began}, here is {value}; go on where "
                    "it began, or start a new run"
                )

    # ---------------------------------------------------------------------- exact resume

    def variables(self) -> list:
        return [*self.model.variables, *self.optimizer.variables]

    def save(self) -> None:
        progress = {"update": self.update, "state": self.state, "seconds": self.seconds()}
        progress |= {"passes": len(self.journal.passes()), "resumed": self.resumed}
        values = [backends.as_numpy(v) for v in self.variables()]
        checkpoint.save(self.journal.checkpoints, self.update, values, progress)
        self.saved_at = time.monotonic()

    def restore(self) -> list[str]:
        """Takes the newest readable checkpoint, forgets what was written down after it.

        Returns warnings about those passed over.
        """
        values, progress, warnings = checkpoint.latest(self.journal.checkpoints)
        if progress.get("passes", 0) > len(self.journal.passes()):
            progress = {}
            warnings.append(f"{self.journal.path}/metrics.jsonl lacks passes that were trained")
        self.journal.keep(progress.get("passes", 0))
        checkpoint.forget_after(self.journal.checkpoints, progress.get("update", -1))
        if not progress:
            return [*warnings, "no checkpoint to go on from: the run starts at its first update"]
        self._take(values, progress)
        return warnings

    def load_newest(self) -> None:
        """Takes the newest checkpoint and no other; raises RunError where it cannot be read."""
        newest = checkpoint.newest(self.journal.checkpoints)
        if newest is None:
            raise RunError(f"{self.journal.path}: no checkpoint, so no weights to evaluate")
        self._take(*checkpoint.load(newest))

    def _take(self, values: list[np.ndarray], progress: dict) -> None:
        for variable, value in zip(self.variables(), values, strict=True):
            variable.assign(value)
        self.update = progress["update"]
        self.state |= progress["state"]  # runs that began before the warm-up know nothing of it
        self.seconds_before, self.resumed = progress["seconds"], progress["resumed"] + 1

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began_at

    # ---------------------------------------------------------------------- the story

    def train(self, progress: Progress) -> dict:
        """Trains to the end of the schedule, evaluates, and closes the run directory."""
        self.progress = progress
        self.began_at = self.saved_at = self.synced_at = time.monotonic()
        self.began_with = self.update
        self.tracked = True
        event = {"run_dir": str(self.journal.path), "passes": len(self.pass_ends)}
        progress({"event": "start", **event, "updates": self.pass_ends[-1], "update": self.update})
        try:
            with self._stoppable() as self.stop:
                for number in range(len(self.journal.passes()), len(self.pass_ends)):
                    self._train_pass(number)
                    self._close_pass(number)
                result = self._finish()
        except Interrupted:
            self._track()
            raise
        except ReproError as error:
            self._fail(str(error))
            raise
        except (MemoryError, OSError) as error:
            self._fail(str(error))
            raise RunError(f"{self.journal.path}: {error}") from error
        except Exception as error:
            if not self.backend.out_of_memory(error):
                self._fail(f"{type(error).__name__}: {error}")
                raise
            self._fail("out of memory")
            raise RunError(
                f"{self.journal.path}: out of memory at a batch of {self.recipe.batch}; use more "
                "devices, or --set recipe.batch=... (no longer the paper's recipe)"
            ) from None
        done = outcome(self.journal, result)
        progress({"event": "done", **done})
        return done

    def _train_pass(self, number: int) -> None:
        start = self.pass_ends[number - 1] if number else 0
        if self.update == start:
            self.state |= {"losses": 0.0, "wrong": 0, "training_seconds": 0.0, "rates": None}
            self._set_rates(number)
        while self.update < self.pass_ends[number]:
            self._set_learning_rate(self.update)
            began = time.monotonic()
            for images, labels in self.batches.stream(self.update, self._cut(number), self.chunk):
                losses, wrong = self.loop(images, labels)
                self.update += len(images)
                self.state["losses"] += losses
                self.state["wrong"] += wrong
                self.state["warming_wrong"] += wrong
                self.state["training_seconds"] += time.monotonic() - began
                self._after_chunk(number, start)
                began = time.monotonic()

    def _set_rates(self, number: int) -> None:
        """Stochastic diagonal Levenberg-Marquardt: the curvature is estimated before each pass."""
        from repro.networks import curvature

        method = self.recipe.optimizer
        if not isinstance(method, spec.StochasticDiagonalLM):
            return
        draw = np.random.default_rng([self.seed, number, CURVATURE])
        count = min(method.examples, len(self.train_labels))
        chosen = np.sort(draw.choice(len(self.train_labels), count, replace=False))
        found = curvature.curvatures(
            self.model, self.recipe.loss, self.train_images[chosen], self.train_labels[chosen]
        )
        self.state["rates"] = self.optimizer.set_rates(method.eta.at(number), found)

    def _set_learning_rate(self, update: int) -> None:
        method = self.recipe.optimizer
        if not isinstance(method, spec.SGD):
            return
        rate = [rate for first, rate in self.rates if first <= update][-1]
        if self._warming(update):
            rate = method.warm_up.rate
        self.optimizer.learning_rate.assign(rate)
        seen = [rate, *(self.state["rates"] or ())]  # of the stretches of this pass
        self.state["rates"] = (min(seen), max(seen))

    def _warming(self, update: int) -> bool:
        """Whether the warm-up of the recipe is still on; looks at the error after each window."""
        warm_up = self.recipe.optimizer.warm_up
        if warm_up is None or self.state["warm"]:
            return False
        if update and update % warm_up.window == 0:
            examples = warm_up.window * self.recipe.batch
            self.state["warm"] = 100.0 * self.state["warming_wrong"] / examples < warm_up.error
            self.state["warming_wrong"] = 0
        return not self.state["warm"]

    def _cut(self, number: int) -> int:
        """The next update before which the learning rate changes or may change, or the pass ends.

        A function of the update and of whether the warm-up is over, as a resumed run needs.
        """
        cuts = [self.pass_ends[number], *(first for first, _ in self.rates)]
        if getattr(self.recipe.optimizer, "warm_up", None) and not self.state["warm"]:
            window = self.recipe.optimizer.warm_up.window
            cuts.append((self.update // window + 1) * window)
        return min(cut for cut in cuts if cut > self.update)

    def _after_chunk(self, number: int, start: int) -> None:
        if not math.isfinite(self.state["losses"]):
            raise RunError(self._not_finite(number))
        examples = (self.update - start) * self.recipe.batch
        speed = examples / max(self.state["training_seconds"], 1e-9)
        # The whole time of this process per update: evaluations and curvatures come again too.
        elapsed = time.monotonic() - self.began_at
        left = (self.pass_ends[-1] - self.update) * elapsed / (self.update - self.began_with)
        self.progress(
            {
                "event": "progress",
                "pass": number + 1,
                "update": self.update,
                "updates": self.pass_ends[-1],
                "loss": self.state["losses"] / examples,
                "error": 100.0 * self.state["wrong"] / examples,
                "images_per_second": speed,
                "seconds_left": left,
            }
        )
        if self.stop.is_set:
            self.save()
            raise Interrupted(
                f"stopped at update {self.update} of {self.pass_ends[-1]} (pass {number + 1}); "
                f"go on with: repro resume {self.journal.path}"
            )
        if time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self.save()

    def _not_finite(self, number: int) -> str:
        return (
            f"the loss is not finite at update {self.update} (pass {number + 1}); "
            f"{self.journal.path} keeps what was reached before"
        )

    def _close_pass(self, number: int) -> None:
        """Scores the network, writes the pass down, keeps a checkpoint."""
        start = self.pass_ends[number - 1] if number else 0
        examples = (self.update - start) * self.recipe.batch
        line = {
            "pass": number + 1,
            "update": self.update,
            "loss": self.state["losses"] / examples,
            "running_error": 100.0 * self.state["wrong"] / examples,
        }
        with self._tested_weights():
            if (number + 1) % self.tested_every == 0 or self.update == self.pass_ends[-1]:
                test = evaluation.evaluate(self.score, self.test_images, self.test_labels)
                if not math.isfinite(test["loss"]):
                    raise RunError(self._not_finite(number))
                line |= {"test_error": test["error"], "test_loss": test["loss"]}
            if self.recipe.training_error_measured:
                train = evaluation.evaluate(self.score, self.train_images, self.train_labels)
                line["training_error"] = train["error"]
        line["rate_min"], line["rate_max"] = self.state["rates"]
        line["images_per_second"] = examples / max(self.state["training_seconds"], 1e-9)
        line["seconds"] = self.seconds() - sum(p["seconds"] for p in self.journal.passes())
        self.journal.append(line)
        self.save()
        self.progress({"event": "pass", **line})
        if time.monotonic() - self.synced_at > SECONDS_BETWEEN_SYNCS:
            self._track()

    @contextlib.contextmanager
    def _tested_weights(self):
        """Within it the network has the averages of its weights, where the recipe tests those."""
        averages = getattr(self.optimizer, "averages", ())
        variables = self.model.trainable_variables[: len(averages)]  # all of them, or none
        trained = [backends.as_numpy(variable) for variable in variables]
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(backends.as_numpy(average))
        try:
            yield
        finally:
            for variable, value in zip(variables, trained, strict=True):
                variable.assign(value)

    def final_metrics(self, protocol: str) -> dict:
        """Test metrics, and training error where it is measured, with the weights to be tested.

        `running_error` is that of the last pass while it was trained.
        """
        score = self.score
        if protocol != self.experiment.protocols[0]:
            score = evaluation.scorer(self.model, self.recipe.loss, protocol)
        with self._tested_weights():
            test = evaluation.evaluate(score, self.test_images, self.test_labels)
            metrics = {f"test_{key}": value for key, value in test.items()}
            if self.recipe.training_error_measured:
                train = evaluation.evaluate(score, self.train_images, self.train_labels)
                metrics |= {f"training_{key}": value for key, value in train.items()}
        if passes := self.journal.passes():
            metrics["running_error"] = passes[-1]["running_error"]
        return metrics

    def _finish(self) -> dict:
        passes = self.journal.passes()
        try:
            with self._tested_weights():
                self._draw()
        except (ImportError, OSError, ValueError) as error:  # no reason to lose what was trained
            self.progress({"event": "message", "text": f"the figures are not drawn: {error}"})
        with self._tested_weights():
            measured = probes.measure(self.experiment.probes, self.model, self.test_images)
        means = probes.means(measured)
        result = {
            "metrics": {p: self.final_metrics(p) | means for p in self.experiment.protocols},
            **{f"{name}s": values for name, values in measured.items()},
            "seconds": self.seconds(),
            "images_per_second": float(np.median([p["images_per_second"] for p in passes])),
            "passes": len(passes),
            "updates": self.update,
            "resumed": self.resumed,
            "finished": now(),
        }
        self.journal.finish(result)
        self._track()
        return result

    def _draw(self) -> None:
        """First-layer filters and learning curves, for the eye."""
        from repro.report import run_figures

        kernel = next((w for w in self.model.trainable_variables if len(w.shape) == 4), None)
        if kernel is not None:
            filters = np.asarray(backends.as_numpy(kernel), "float32")
            np.save(self.journal.path / "filters.npy", filters)
            run_figures.draw_filters(filters, self.journal.figures / "filters.svg")
        record = {"run": self.journal.run(), "passes": self.journal.passes(), "result": None}
        run_figures.draw_curves([record], self.experiment, self.journal.figures / "curves.svg")

    def _track(self) -> None:
        """Brings MLflow up to date. A server that does not answer costs one line, no run."""
        from repro.records import tracking

        if not self.tracked:
            return
        try:
            tracking.sync(self.journal.path)
        except ReproError as error:
            self.tracked = False
            text = f"{error}; everything is kept, log it with: repro sync {self.journal.path}"
            self.progress({"event": "message", "text": text})
        self.synced_at = time.monotonic()

    def _fail(self, reason: str) -> None:
        with contextlib.suppress(OSError):
            self.journal.fail({"reason": reason, "update": self.update, "at": now()})
        self._track()

    @contextlib.contextmanager
    def _stoppable(self):
        """SIGINT and SIGTERM set a flag; the run stops after the chunk at hand."""
        stop = Stop()
        try:
            before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever runs us handles signals
            before = {}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Stop:
    """A signal handler that only remembers that it was called."""

    def __init__(self):
        self.is_set = False

    def __call__(self, number, frame):
        self.is_set = True


def outcome(journal: Journal, result: dict) -> dict:
    """What is returned of a finished run."""
    from repro.records import tracking

    run = journal.run()
    return {
        "run_dir": str(journal.path),
        "experiment": run["experiment"],
        "scale": run["scale"],
        "seed": run["seed"],
        "metrics": result["metrics"],
        "seconds": result["seconds"],
        "images_per_second": result["images_per_second"],
        "mlflow_run_id": tracking.logged_run_id(journal.path),
    }
