"""Every network learns: all weights get a gradient, and a few images are learnt by heart.

A few networks of each paper on each backend; with REPRO_EVERY_NETWORK=1 all of them, which takes
two cores some two hours.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from repro import backends, catalog

# The smallest of each kind.
SOME = (
    *("lenet5-modern", "alexnet-local-lrn", "alexnet-four-layers-tanh"),
    *("nin-mnist", "nin-conventional-fc-dropout", "resnet20", "preresnet56"),
    "densenet-bc100-k12",
)
EVERY = os.environ.get("REPRO_EVERY_NETWORK") == "1"
# Learns without gradients (tests/test_neocognitron.py).
OF_1980 = ("neocognitron",)
# Trained by another method, on other losses (tests/test_optimizers.py, tests/test_lenet5.py).
OF_1998 = ("lenet5", "lenet1", "linear", "fully-connected-300", "fully-connected-300-100")
# Thousands of operations: hours to compile, and nothing in them that shallower ones do not have.
TOO_DEEP = (
    *("resnet1202", "resnet1001", "preresnet1001"),
    *("resnet1001-100-classes", "preresnet1001-100-classes"),
)


def networks() -> list[str]:
    names = [network.name for paper in catalog.papers() for network in paper.networks]
    return [name for name in names if name not in (*OF_1980, *OF_1998, *TOO_DEEP)]


NETWORKS = networks() if EVERY else SOME
TOGETHER = 7  # networks of one process, which gives back little of the memory that each has taken
# What takes long is left out. glibc keeps the memory that PyTorch gives back and asks for anew with
# each large tensor, and XLA does not optimise what runs a dozen times.
SOONER = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
}


@cache
def found(backend: str) -> dict[str, dict]:
    """What programs/every_network.py reports of `backend`, by network."""
    lines = {}
    for first in range(0, len(NETWORKS), TOGETHER):
        names = NETWORKS[first : first + TOGETHER]
        done = subprocess.run(
            [sys.executable, Path(__file__).parent / "programs" / "every_network.py", *names],
            env={**os.environ, **SOONER, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        lines |= {line["network"]: line for line in map(json.loads, done.stdout.splitlines())}
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("backend", backends.NAMES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_two_images_by_heart(name, backend):
    if not backends.installed(backend):
        pytest.skip(f"{backend} is not installed")
    line = found(backend)[name]
    assert line["without a gradient"] == []
    assert line["finite"]
    assert line["loss at last"] < 0.05 and line["updates"] <= 301
