"""The network of a run, with its optimizer, on its devices."""

import contextlib
import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from repro import backends, machine, spec
from repro.data.inputs import Inputs
from repro.data.resident import Resident
from repro.data.sets import DATASETS
from repro.errors import RunError, UsageError, unknown
from repro.lazy import keras
from repro.networks import counts, initial_weights, work
from repro.networks.losses import AuxiliaryCrossEntropy
from repro.training import memory, probes

CURVATURE = 500  # tells these draws from others that are keyed by seed and pass


def build(experiment: spec.Experiment, precision: str, seed: int, devices: backends.Devices) -> Any:
    """The network as its weights are drawn, with what is not trained held.

    Raises UsageError where memory is short, and where nothing would be trained.
    """
    backend = backends.here()
    keras.config.set_dtype_policy(precision)
    backend.set_seed(seed)
    network = experiment.network
    try:
        with devices.scope(), initial_weights.drawn(seed):
            model = network.build(**network.options)
            return _hold(model, experiment.begins) if experiment.begins else model
    except Exception as error:
        if not (isinstance(error, MemoryError) or backend.out_of_memory(error)):
            raise
    options = ", ".join(f"network.{key}={value}" for key, value in network.options.items())
    raise UsageError(f"{network.name} needs more memory than this machine has ({options})")


def _hold(model: Any, begins: spec.Carried) -> Any:
    """The network, of which only the layers that are trained can be."""
    for layer in model.layers:
        layer.trainable = begins.trains(layer.name)
    names = [layer.name for layer in model.layers if layer.weights]
    for field in ("trained", "layers"):
        for pattern in getattr(begins, field):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise unknown(f"layer in begins.{field}", pattern, names)
    if left := [name for name in names if not (begins.takes(name) or begins.trains(name))]:
        raise UsageError(
            f"begins.layers and begins.trained leave out {', '.join(left)}: accepted are layers "
            "that are carried over, trained, or both"
        )
    return model


def first_filters(model: Any) -> np.ndarray | None:
    """The kernel of the first convolution [height, width, inputs, filters], if there is one."""
    kernel = next((w for w in model.weights if len(w.shape) == 4), None)
    return None if kernel is None else np.asarray(backends.as_numpy(kernel), "float32")


class Trainee:
    """model, optimizer: in Keras. multiply_adds: of the network, for one example."""

    def __init__(
        self, experiment: spec.Experiment, precision: str, seed: int, devices: backends.Devices
    ):
        from repro.networks import optimizers

        self.experiment, self.devices, self.seed = experiment, devices, seed
        self.precision = precision
        self.model = build(experiment, precision, seed, devices)
        with devices.scope():
            self.optimizer = optimizers.build(experiment.recipe.optimizer)
            self.optimizer.build(self.model.trainable_variables)
        self.multiply_adds, self.loop = work.multiply_adds(self.model), None
        self.resident: Resident | None = None

    def compile(
        self, batch: int, chunk: int, compiled: bool = True, resident: Resident | None = None
    ) -> None:
        """Makes `loop`, which trains by batches of so many examples, up to `chunk` at a time.

        resident: the training set, where it is to lie on the device.
        """
        loss, self.resident = self.experiment.recipe.loss, resident
        backends.here().set_compiled(compiled)
        self.compiler = self.devices.compiler(batch, self.model) if compiled else "none"
        made_of = self.model, self.optimizer, loss, batch, chunk
        self.loop = self.devices.loop(*made_of, resident)

    def ahead(self, chunks: Generator) -> Generator:
        """As `backends.Devices.ahead`; but of resident images chunks hold only the places."""
        return chunks if self.resident else self.devices.ahead(chunks)

    def before_pass(self, number: int, inputs: Inputs) -> tuple[float, float] | None:
        """What the optimizer does before a pass; the least and greatest rate, where it sets any."""
        draw = np.random.default_rng([self.seed, number, CURVATURE])

        def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
            labels = inputs.train_labels
            chosen = draw.choice(len(labels), min(count, len(labels)), replace=False)
            chosen.sort()
            return inputs.train_images[chosen], labels[chosen]

        return self.optimizer.before_pass(number, self.model, self.experiment.recipe.loss, examples)

    @property
    def variables(self) -> list:
        """All that is trained: the network's first, then the optimizer's."""
        return [*self.model.variables, *self.optimizer.variables]

    def values(self) -> list[np.ndarray]:
        return [backends.as_numpy(variable) for variable in self.variables]

    @contextlib.contextmanager
    def tested_weights(self, inputs: Inputs) -> Iterator[None]:
        """Within it the network is as it is tested: with the averages of its weights, for one."""
        self.optimizer.before_test(self.model, inputs.train_images, inputs.train_labels)
        averages = self.optimizer.averages
        variables = self.model.trainable_variables[: len(averages)]  # all of them, or none
        trained = [backends.as_numpy(variable) for variable in variables]
        try:
            for variable, average in zip(variables, averages, strict=True):
                variable.assign(backends.as_numpy(average))
            yield
        finally:
            for variable, value in zip(variables, trained, strict=True):
                variable.assign(value)

    def check(self, shape: tuple[int, ...], batch: int) -> None:
        """Raises UsageError where the network does not fit the data, loss, probes or memory."""
        network, recipe = self.experiment.network, self.experiment.recipe
        if self.model.input_shape[1:] != shape:
            raise UsageError(
                f"{network.name} takes images {self.model.input_shape[1:]}, "
                f"{recipe.data.dataset} gives {shape} after preprocessing and augmentation"
            )
        heads = isinstance(recipe.loss, AuxiliaryCrossEntropy)
        if heads != (len(self.model.output_shape) == 3):
            raise UsageError(
                f"{network.name} gives outputs {self.model.output_shape[1:]}; with this loss, "
                f"accepted is a network {'with' if heads else 'without'} auxiliary heads"
            )
        outputs, classes = self.model.output_shape[-1], DATASETS[recipe.data.dataset].classes
        if outputs < classes:
            raise UsageError(
                f"{network.name} tells {outputs} classes apart, {recipe.data.dataset} has {classes}"
                + (f"; network.classes={classes} fits" if "classes" in network.options else "")
            )
        names = [layer.name for layer in self.model.layers]
        if heads and recipe.loss.own not in names:
            raise unknown("recipe.loss.own", recipe.loss.own, names)
        if self.experiment.probes:
            probes.responses(self.model)
        self._check_memory(batch)

    def _check_memory(self, batch: int) -> None:
        """What an update needs at least must be there: on a CPU, beside the variables.

        A system that runs out of memory ends the process without a word.
        """
        try:
            counted = counts.of_model(self.model)
        except RunError:
            return
        if self.devices.devices[0].startswith("CPU"):
            place = machine.Place("CPU", 1, machine.available())
            taken = 4 * sum(math.prod(variable.shape) for variable in self.variables)
        else:
            place, taken = replace(machine.at_hand(), count=self.devices.replicas), 0
        memory.check(self.experiment, counted, self.precision, place, taken, batch)
