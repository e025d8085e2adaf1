"""What this machine has: cores, memory, GPUs, an environment."""

import contextlib
import glob
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

# What lets a process take of a GPU's memory what it needs, not three quarters before it begins.
SHARING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}

# Those of NVIDIA, on Linux, under Windows (WSL) and on Jetson boards; those of AMD.
GPU_DEVICES = ("/dev/nvidia[0-9]*", "/dev/dxg", "/dev/nvhost-gpu", "/dev/kfd")


PACKAGE_ROOT = Path(__file__).parents[1]


def python(code: str) -> list[str]:
    """A command that runs `code`, which imports our code and no file of the working folder.

    `-m` would look for modules there first; `-P` leaves it out. The folder of the package comes
    last, so that nothing that lies beside it stands for a module of Python or of a library.
    """
    return [
        sys.executable,
        "-P",
        "-c",
        f"import sys; sys.path.append({str(PACKAGE_ROOT)!r}); {code}",
    ]


def cores() -> int:
    """How many cores this process may use; all of them where the system does not say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int | None:
    """How many bytes of memory there are; None where the system does not say."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    return pages * size if pages > 0 and size > 0 else None


def gpu_device() -> str | None:
    """The file of a GPU that this machine has, whether runs see it or not; None without one."""
    return next((file for pattern in GPU_DEVICES for file in glob.glob(pattern)), None)


def has_gpu() -> bool:
    """Whether runs would use a GPU, told without importing TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return bool(gpu_device()) and not hidden


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of the environment for as long as the block runs; then they are as before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def on_signals(numbers: Sequence[int], handler: Callable) -> Iterator[bool]:
    """`handler` answers these signals for as long as the block runs.

    Yields False outside of the main thread, where whoever started the thread answers them.
    """
    with contextlib.ExitStack() as before:
        try:
            for number in numbers:
                before.callback(signal.signal, number, signal.signal(number, handler))
        except ValueError:
            yield False
        else:
            yield True
