"""What this machine has: cores, GPUs."""

import glob
import os


def cores() -> int:
    """How many cores this process may use; all of them where the system does not say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether runs would use a GPU, told without importing TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return bool(glob.glob("/dev/nvidia[0-9]*")) and not hidden
