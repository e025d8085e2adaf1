"""What differs between the backends of Keras, a module each; no other one is imported.

Each module has the same names:

configure(batch)      the number of threads, settled before the backend starts; None for all cores;
                      full precision for float32, whatever the machine is set to
devices()             the devices that a run may take: all GPUs, or else the CPUs
gpus()                what kinds of GPU there are
Devices               the devices of one run, and the compiled loop over the updates of a chunk
scorer(model, loss)   a compiled function images [n, ...], labels [n] -> (losses [n], predictions)
scoring_loop(model, loss, seen)
                      the same in one compiled loop over images [k, n, ...], labels [k, n] on the
                      device, of whose images the network takes seen(images)
pulled_back(f, x, signal)  the `signal` at f(x) led back to x, as gradients are; arrays, but for f
set_seed(seed)        what dropout is drawn from
set_compiled(b)       whether loops and scorers of this process are compiled
out_of_memory(error)  whether an exception means that memory ran out

What a machine may be set to is held to one setting by `repro.backends.settled`.

The order of updates, augmentation and initial weights are decided outside of them, alike for all.
Dropout is drawn within, as a function of the seed and of the update; each drops other units.
"""

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from repro.backends import settled
from repro.errors import UsageError, unknown
from repro.lazy import keras

if TYPE_CHECKING:  # the command line asks for names here, and must answer at once
    import numpy as np

    from repro.data.resident import Resident

NAMES = ("tensorflow", "jax", "torch")
SMALL_BATCH = 16  # below it an update is too short to be shared between cores


@dataclass(frozen=True)
class Devices:
    """The devices of a run, such as "CPU:0"; on several, each has a part of every batch."""

    name: str
    devices: tuple[str, ...]

    @property
    def replicas(self) -> int:
        return len(self.devices)

    @property
    def batch_statistics(self) -> str:
        """Over which examples batch normalisation takes its means: "batch", or "replica"."""
        return "batch"

    def scope(self) -> contextlib.AbstractContextManager:
        """Variables of model and optimizer are made within it."""
        return contextlib.nullcontext()

    def compiler(self, batch: int, model: Any) -> str:
        """What `loop` compiles with: "graph" (of TensorFlow), "xla", or "eager" for nothing."""
        raise NotImplementedError

    @property
    def holds_data(self) -> bool:
        """Whether a training set that fits is put on each device, whole; else it is streamed."""
        return not self.devices[0].startswith("CPU")

    def loop(
        self,
        model: Any,
        optimizer: Any,
        loss: Any,
        batch: int,
        size: int,
        resident: "Resident | None" = None,
    ) -> Callable:
        """A function that makes an update for each batch of a chunk.

        resident: the training set, to be put on the device. Then a chunk says in the place of
        images where they lie, int32 [n, batch, 4].

        It takes images [n, batch, ...] and labels [n, batch], n up to `size`, and returns the sum
        of the losses and the number of wrong predictions over all n updates, as they were before
        each. The mean loss of a batch is what is minimised. It returns with the variables of
        `model` and `optimizer` up to date.

        Its third argument, 0 if it is left out, is what the sum of the losses begins with. The sum
        is kept in float32, so that a chunk in two calls ends with the bits of one call.
        """
        raise NotImplementedError

    def ahead(self, chunks: Generator) -> Generator:
        """The same chunks; where that saves time, each is on the devices before `loop` takes it.

        Closed, it closes `chunks`.
        """
        return chunks


def name() -> str:
    """The backend that Keras computes with, or would; Keras is not imported for it."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    return os.environ.get("KERAS_BACKEND") or _configured() or NAMES[0]


def _settings_file() -> Path:
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"


def _configured() -> str | None:
    """The backend in Keras' settings file, which counts where KERAS_BACKEND is not set."""
    try:
        backend = json.loads(_settings_file().read_bytes())["backend"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, RuntimeError):
        return None  # what else is wrong with the file does not matter: nothing else is read
    return backend if isinstance(backend, str) else None


def check() -> None:
    """Raises UsageError where Keras or its backend is not installed, or the backend is unknown."""
    if not installed("keras"):
        raise UsageError("Keras is not installed; do: pip install keras")
    if name() not in NAMES:
        where = "KERAS_BACKEND"
        if "keras" not in sys.modules and not os.environ.get("KERAS_BACKEND"):
            where = f"backend in {_settings_file()}"
        raise unknown(where, name(), NAMES)
    if not installed(name()):
        raise UsageError(
            f"KERAS_BACKEND={name()}: {name()} is not installed; do: pip install {name()}, or "
            f"accepted here: {', '.join(filter(installed, NAMES)) or 'nothing'}"
        )


# What comes with each backend where it was installed for NVIDIA's GPUs, by pip.
CUDA = {
    "tensorflow": ("nvidia",),
    "jax": ("jax_cuda12_plugin", "jax_cuda13_plugin"),
    "torch": ("nvidia",),
}


def has_cuda() -> bool:
    """Whether the backend surely computes on GPUs where there are some; it is not imported."""
    return any(map(installed, CUDA[name()]))


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def here() -> ModuleType:
    """The module of the backend that Keras computes with, Keras itself settled alike everywhere.

    Raises UsageError as `check` does.
    """
    check()
    settled.settle(name())
    return import_module(f"{__name__}.{name()}")


def as_numpy(variable: Any) -> "np.ndarray":
    """The value of a Keras variable; NumPy itself cannot read those of every backend."""
    return keras.ops.convert_to_numpy(keras.ops.copy(variable))


def padded(chunk: "np.ndarray", size: int) -> "np.ndarray":
    """A chunk of fewer updates filled up to `size`, so that one compiled function serves all."""
    import numpy as np

    missing = size - len(chunk)
    if not missing:
        return chunk
    return np.concatenate([chunk, np.zeros((missing, *chunk.shape[1:]), chunk.dtype)])
