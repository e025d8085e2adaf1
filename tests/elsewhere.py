"""Arrays that another process computes, on another backend of Keras: a process has one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repro import backends

HERE = Path(__file__).parent


def computed(backend: str, module: str, function: str, folder: Path) -> np.ndarray:
    """What `function()` of a module of these tests returns there; skips without the backend."""
    if not backends.installed(backend):
        pytest.skip(f"{backend} is not installed")
    code = f"import sys, numpy, {module}; numpy.save(sys.argv[1], {module}.{function}())"
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "array.npy"],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(folder / "array.npy")
