"""Where a run computes: one device, or all GPUs with a part of each batch.

What a backend does with its devices is in `repro.backends`.
"""

from repro import backends
from repro.errors import UsageError, unknown

STRATEGIES = ("auto", "single", "mirrored")


def check_strategy(strategy: str) -> None:
    """Raises UsageError for an unknown strategy; imports nothing slow."""
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
    devices = backend.devices()
    if strategy == "auto":
        several_gpus = len(devices) > 1 and devices[0].startswith("GPU")
        strategy = "mirrored" if several_gpus and batch % len(devices) == 0 else "single"
    if strategy == "single":
        return backend.Devices("single", tuple(devices[:1]))
    if len(devices) < 2:
        raise UsageError(
            f"--strategy mirrored needs two devices or more, {backends.name()} takes {devices[0]} "
            "alone here; accepted here: auto, single"
        )
    if batch % len(devices):
        raise UsageError(
            f"--strategy mirrored: a batch of {batch} cannot be divided between {len(devices)} "
            "devices; accepted is a multiple, or --strategy single"
        )
    return backend.Devices("mirrored", tuple(devices))
