"""What goes wrong in a training, in words for people."""

from pathlib import Path

from repro import backends
from repro.errors import ReproError, RunError


def explained(error: Exception, run_dir: Path, batch: int) -> tuple[str, Exception]:
    """The reason for failure.json, and the error to be raised in the place of `error`."""
    if isinstance(error, MemoryError) or backends.here().out_of_memory(error):
        return "out of memory", RunError(
            f"{run_dir}: out of memory at a batch of {batch}; use fewer runs side by side (with "
            "--seeds: --jobs 1), more devices, or --set recipe.batch=... (no longer the paper's "
            "recipe)"
        )
    if isinstance(error, ReproError):
        return str(error), error
    if isinstance(error, OSError):
        return str(error), RunError(f"{run_dir}: {error}")
    return f"{type(error).__name__}: {error}", error
