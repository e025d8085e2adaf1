"""A run's state in its checkpoints: written, taken up again, or taken for its weights alone."""

import hashlib
import time
from typing import Any

import numpy as np

from repro import backends, spec
from repro.backends import distribution
from repro.errors import RunError
from repro.records.arrays import write_array
from repro.records.journal import Journal
from repro.training import checkpoint, resuming
from repro.training.state import State
from repro.training.trainee import Trainee, build, first_filters


class Keeper:
    """Keeps the state of a run in the checkpoints of its directory.

    saved: the update of the newest one. resumed: how often the run has been taken up again.
    """

    def __init__(self, journal: Journal, trainee: Trainee):
        self.state = State()
        self.saved = 0
        self.resumed = 0
        self._journal, self._trainee = journal, trainee
        self._before = 0.0  # seconds spent on the run by earlier processes
        self.begin()

    def begin(self) -> None:
        """From here on time counts as spent on the run."""
        self._began = self._saved_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent on the run, by this process and those before it."""
        return self._before + time.monotonic() - self._began

    def save(self, unless_within: float = 0.0) -> None:
        """Writes a checkpoint, unless the last one is no older than so many seconds."""
        if unless_within and time.monotonic() - self._saved_at <= unless_within:
            return
        state = self.state
        progress = {"update": state.update, "state": state.plain(), "seconds": self.seconds}
        lines = self._journal.passes()
        progress |= {"passes": len(lines), "lines": lines, "resumed": self.resumed}
        progress["run"] = self._journal.facts().ties()
        checkpoint.save(self._journal.checkpoints, state.update, self._trainee.values(), progress)
        self._saved_at, self.saved = time.monotonic(), state.update

    def save_new(self) -> None:
        """Writes a checkpoint if there are updates that none holds."""
        if self.state.update > self.saved:
            self.save()

    def restore(self) -> list[str]:
        """Takes the newest state that can be used, and the journal as it was then.

        Returns warnings about what was passed over. Without any checkpoint the run starts at its
        first update. Raises RunError.
        """
        variables = self._trainee.variables
        fitting = resuming.Fitting(self._journal, variables, self.state.plain())
        values, progress, warnings = resuming.restore(fitting)
        if progress:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            self.state = State.of(progress["update"], progress["state"])
            self.saved = self.state.update
            self._before, self.resumed = progress["seconds"], progress["resumed"] + 1
        return warnings

    def save_filters(self) -> None:
        """The first layer's filters, for a figure. Raises OSError and ValueError."""
        filters = first_filters(self._trainee.model)
        if filters is not None:
            write_array(self._journal.path / "filters.npy", filters, within=self._journal.path)


def drawn(experiment: spec.Experiment, precision: str = "float32", seed: int = 0) -> Any:
    """The network as its weights are drawn, to be tested on one device."""
    batch = experiment.recipe.batch
    backends.here().configure(batch)
    return build(experiment, precision, seed, distribution.choose("single", batch))


def tested(journal: Journal, experiment: spec.Experiment) -> tuple[Any, int]:
    """The network with the weights to be tested, and their update. Builds nothing else.

    `experiment`: that of the run. Raises RunError as `load_weights` does.
    """
    run = journal.run()
    model = drawn(experiment, run["precision"], run["seed"])
    averaging = bool(getattr(experiment.recipe.optimizer, "averaging", 0.0))
    return model, load_weights(journal, model, averaging)


def digest(model: Any) -> str:
    """Names the weights of a network: its layers' in their order, with names and shapes (SHA-256).

    The state of what draws at random is no part of it.
    """
    made = hashlib.sha256()
    for layer in model.layers:
        for weight in layer.weights:
            value = np.ascontiguousarray(backends.as_numpy(weight))
            named = f"{layer.name}/{weight.name} {value.dtype} {value.shape}\n"
            made.update(named.encode())
            made.update(value.view(np.uint8))
    return made.hexdigest()


def load_weights(journal: Journal, model: Any, averaging: bool) -> int:
    """Gives the network the weights of the newest checkpoint and no other; returns its update.

    The network's own variables come first. Where averages of its weights are tested, they are the
    last ones of the optimizer's. Raises RunError where the checkpoint cannot be used.
    """
    values, progress = resuming.only_newest(resuming.Fitting(journal, model.variables))
    variables, weights = list(model.variables), model.trainable_variables
    taken = values[: len(variables)]
    if averaging:
        variables, taken = [*variables, *weights], [*taken, *values[-len(weights) :]]
    for variable, value in zip(variables, taken, strict=True):
        if tuple(variable.shape) != value.shape:
            raise RunError(
                f"{journal.path}: its checkpoint does not hold the averages to be tested"
            )
        variable.assign(value)
    return progress["update"]
