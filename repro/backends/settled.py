"""One setting for all machines, wherever a machine's own would change what is trained.

Keras, TensorFlow, JAX and PyTorch read files and variables of the environment. Some of those change
the network that is built (the image format), the numbers that are drawn, or how exactly products
are computed. They are held to one value here, in the process at hand; `environment` tells what
cannot be held, for the record of a run.
"""

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

from repro import machine, plain_matplotlib

# Read once, when the library is imported. Without them it does what it does everywhere.
DROPPED = {
    "keras": ("KERAS_NNX_ENABLED", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"),
    "tensorflow": (
        "NVIDIA_TF32_OVERRIDE",
        "ONEDNN_DEFAULT_FPMATH_MODE",
        "DNNL_DEFAULT_FPMATH_MODE",
        "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_IGNORE_PERFORMANCE",
        "TF_ENABLE_AUTO_MIXED_PRECISION",
        "TF_ENABLE_AUTO_MIXED_PRECISION_GRAPH_REWRITE",
        "TF_ENABLE_ONEDNN_OPTS",
        "TF_SET_ONEDNN_FPMATH_MODE",
        "TF_USE_LEGACY_KERAS",
    ),
    "jax": ("NVIDIA_TF32_OVERRIDE", "JAX_DEFAULT_DTYPE_BITS", "JAX_ENABLE_CUSTOM_PRNG"),
    "torch": (
        "NVIDIA_TF32_OVERRIDE",
        "ONEDNN_DEFAULT_FPMATH_MODE",
        "DNNL_DEFAULT_FPMATH_MODE",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    ),
}
# Flags of XLA and of its use by TensorFlow that trade exactness for speed, or hand whole graphs
# to another compiler. The others stay.
DROPPED_FLAGS = {
    "XLA_FLAGS": r"--xla_\w*(fast_math|fast_min_max|excess_precision|tf32)\w*",
    "TF_XLA_FLAGS": r"--tf_xla_(auto_jit|cpu_global_jit|\w*fusion_only)\w*",
}
# What may still change the last digits: it is recorded.
RECORDED = (
    *("XLA_FLAGS", "TF_XLA_FLAGS", "TF_*DETERMINISTIC*", "TF_*MIXED_PRECISION*", "TF_CUDNN_*"),
    *("TF_*ONEDNN*", "ONEDNN_*", "DNNL_*", "NVIDIA_TF32_OVERRIDE", "CUBLAS_*", "KERAS_NNX_ENABLED"),
    *("JAX_*PRECISION*", "JAX_*PRNG*", "JAX_ENABLE_*", "JAX_DISABLE_*", "TORCH_*TF32*"),
    *("TORCH_BLAS_*", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"),
)
NOWHERE = os.path.join(os.devnull, "keras")  # a folder that nobody has, and that nobody can make


def settle(backend: str) -> None:
    """Settles what the libraries read when they are imported, and imports Keras.

    Keras is imported without its settings file, for which a broken one would be an error too.
    """
    _drop(backend)
    with contextlib.suppress(ImportError):  # Keras imports it wherever it is installed
        plain_matplotlib.load()
    if "keras" not in sys.modules:
        with machine.environment({"KERAS_HOME": NOWHERE, "KERAS_BACKEND": backend}):
            import_module("keras")
    config: Any = sys.modules["keras"].config
    config.set_image_data_format("channels_last")
    config.set_floatx("float32")
    config.set_epsilon(1e-7)


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that may change the last digits of what is computed, as they are."""
    return {
        name: environ[name]
        for name in sorted(environ)
        if any(fnmatchcase(name, pattern) for pattern in RECORDED)
    }


def _drop(backend: str) -> None:
    """Takes away what has not been read yet; what has been read is left, to be recorded."""
    for library in ("keras", backend):
        if library not in sys.modules:
            for name in DROPPED[library]:
                os.environ.pop(name, None)
    if backend in sys.modules:
        return
    for name, pattern in DROPPED_FLAGS.items():
        flags = os.environ.get(name, "").split()
        kept = [flag for flag in flags if not re.fullmatch(rf"{pattern}(=.*)?", flag)]
        if kept != flags:
            os.environ[name] = " ".join(kept)
