"""What this machine has: cores, memory, GPUs, an environment."""

import contextlib
import glob
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


def available() -> int | None:
    """How many bytes a process may still take; None where the system does not say.

    What is free or can be freed, and what the groups of processes leave that this one belongs to,
    as on clusters; on systems other than Linux all that there is.
    """
    free = {}
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, amount = line.partition(":")
            free[name] = 1024 * int(amount.split()[0])
    if "MemAvailable" not in free:
        return memory()
    return max(0, min(free["MemAvailable"] + free.get("SwapFree", 0), *_left_by_groups()))


# Where Linux keeps the groups of processes, by version, and what it tells of the memory of each.
GROUPS = Path("/sys/fs/cgroup")
TOLD = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _left_by_groups(mine: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Bytes that this process's group leaves, and each above it, where it has a limit."""
    left = []
    with contextlib.suppress(OSError, ValueError):
        for line in mine.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds not in TOLD:
                continue
            limit, taken, freed = TOLD[kinds]
            root = GROUPS / kinds
            folder = root / path.lstrip("/")
            for group in (folder, *folder.parents):
                if group != root and root not in group.parents:
                    break
                with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                    most, now = (int((group / name).read_text()) for name in (limit, taken))
                    stat = dict(s.split() for s in (group / "memory.stat").read_text().splitlines())
                    left.append(most - now + int(stat.get(freed, 0)))
    return left


@dataclass(frozen=True)
class Place:
    """Devices that a run takes: `count` of a kind, such as "NVIDIA H100", or "CPU" once.

    memory: bytes that each has for the run; None where that is not known.
    """

    kind: str
    count: int
    memory: int | None

    @property
    def is_cpu(self) -> bool:
        return self.kind == "CPU"


def at_hand() -> Place:
    """The devices that runs take here, told without importing a backend."""
    if not has_gpu():
        return Place("CPU", 1, available())
    gpus = [line for line in nvidia_smi("name,memory.total", seconds=0.8) if len(line) == 2]
    sizes = [int(size) * 2**20 for _, size in gpus if size.isdigit()]
    return Place(gpus[0][0] if gpus else "GPU", max(1, len(gpus)), min(sizes, default=None))


def nvidia_smi(what: str, seconds: float) -> list[list[str]]:
    """What the driver answers of each GPU that runs see, in columns; nothing in so many seconds."""
    asked = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    if seen := os.environ.get("CUDA_VISIBLE_DEVICES"):
        asked.append(f"--id={seen}")
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=seconds, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split(", ") for line in done.stdout.splitlines()]


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
