"""What several tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def two_devices():
    """TensorFlow with two logical CPU devices, which is told before it first computes."""
    import tensorflow as tf

    if len(tf.config.list_logical_devices("CPU")) < 2:  # pragma: no cover - order of tests
        pytest.fail("TensorFlow computed before the two logical devices were asked for")
    return tf


@pytest.fixture(scope="session")
def real_data():
    """Skips the test where TFDS_DATA_DIR names no folder; returns a function dataset -> folder."""
    root = os.environ.get("TFDS_DATA_DIR", "")

    def folder(dataset: str) -> Path:
        path = Path(root, dataset)
        if not (root and path.is_dir()):
            pytest.skip(f"needs {dataset} in TFDS_DATA_DIR")
        return path

    return folder


class _TwoDevices:
    """Asks for two logical devices when TensorFlow is imported, whichever test does so first.

    They can be set only before TensorFlow first computes, and the many tests that need no
    TensorFlow must not wait for its import.
    """

    def find_spec(self, name, path=None, target=None):
        return None
