"""Where a run computes: one device, or all GPUs with a part of each batch.

What a backend does with its devices is in `repro.backends`.
"""

from repro import backends
from repro.errors import UsageError, unknown

STRATEGIES = ("auto", "single", "mirrored")


def check_strategy(strategy: str) -> None:
    """Raises UsageError for a strategy that there is not; imports nothing slow."""
    if strategy == "multi-worker":
        raise UsageError("--strategy multi-worker: not there yet; accepted: auto, single, mirrored")
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)


def choose(strategy: str, batch: int) -> backends.Devices:
    """The devices for `strategy`: "single", "mirrored", or "auto" (mirrored on several GPUs).

    Raises UsageError when the strategy is unknown, the devices are not there, or `batch` examples
    cannot be divided between them.
    """
    check_strategy(strategy)
    backend = backends.here()
    found = backend.found()
    if strategy == "auto":
        several_gpus = len(found) > 1 and found[0].startswith("GPU")
        strategy = "mirrored" if several_gpus and batch % len(found) == 0 else "single"
    if strategy == "single":
        return backend.Devices("single", tuple(found[:1]))
    if len(found) < 2:
        raise UsageError(
            f"--strategy mirrored needs two devices or more, {backends.name()} takes {found[0]} "
            "alone here; accepted here: auto, single"
        )
    if batch % len(found):
        raise UsageError(
            f"--strategy mirrored: a batch of {batch} cannot be divided between {len(found)} "
            "devices; accepted is a multiple, or --strategy single"
        )
    return backend.Devices("mirrored", tuple(found))
