"""The network of a run as a file that Keras reads, or its weights as one of NumPy."""

import contextlib
import os
from pathlib import Path

from repro.errors import UsageError
from repro.training import runner, weights


def export(run_dir: str | os.PathLike, file: Path) -> None:
    """Writes the network with the weights that were tested: averages where the recipe tests those.

    A name that ends in .npz gets the weights alone (`repro.training.weights` says how); otherwise
    it is a file of Keras.

    Raises UsageError where `run_dir` is no run directory or `file` cannot be written, RunError
    where the run has no readable checkpoint.
    """
    network = runner.trained(run_dir)
    aside = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".npz":
            weights.write(network, aside)
        else:
            network.save(aside)
        os.replace(aside, file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror or error})") from None
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
