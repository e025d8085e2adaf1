"""What several tests share."""

import errno
import os
from pathlib import Path

import pytest

# Tests speak of CPUs: what they hold to the bit is promised there.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it announces what it does not find


def pytest_collection_finish(session):
    """Gives TensorFlow its two devices before any test computes; later it would refuse.

    TensorFlow is imported only where a selected test asks for `two_devices`.
    """
    if any("two_devices" in getattr(item, "fixturenames", ()) for item in session.items):
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)


# Files that look at the same networks: one process builds those once.
SAME_NETWORKS = ("test_counts.py", "test_layer_counts.py", "test_densenet_networks.py")
# Files that take longest. They come first, lest one process be left with one at the end.
LONG = (
    *SAME_NETWORKS,
    *("test_first_updates.py", "test_stopping.py", "test_training.py", "test_settled.py"),
    *("test_cli.py", "test_tracking.py", "test_bench.py", "test_running.py", "test_backends.py"),
    *("test_worked_example.py", "test_probes.py", "test_vgg_networks.py", "test_layers.py"),
)


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """--dist loadfile gives a file to one process; here, these files to the same one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return SAME_NETWORKS[0] if file.endswith(SAME_NETWORKS) else file

    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order is that of the collection
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def two_devices():
    """TensorFlow, with two logical CPU devices."""
    import tensorflow as tf

    assert len(tf.config.list_logical_devices("CPU")) == 2
    return tf


@pytest.fixture
def mixed_bfloat16():
    """Layers made in this test compute in bfloat16, on weights in float32."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture
def no_mapping(monkeypatch):
    """A file system that cannot map files into memory, as some network drives."""
    import numpy as np

    load = np.load

    def unmapped(file, mmap_mode=None, **options):
        if mmap_mode:
            raise OSError(errno.ENODEV, "No such device")
        return load(file, **options)

    monkeypatch.setattr(np, "load", unmapped)


@pytest.fixture(scope="session")
def real_data():
    """A function dataset -> its folder in TFDS_DATA_DIR, which skips the test if it is not there.

    The folder is absolute, for tests that change the working directory.
    """

    def folder(dataset: str) -> Path:
        root = os.environ.get("TFDS_DATA_DIR")
        if not root or not Path(root, dataset).is_dir():
            pytest.skip(f"needs the real {dataset}: set TFDS_DATA_DIR to a folder that holds it")
        return Path(root, dataset).resolve()

    return folder


@pytest.fixture(scope="session", autouse=True)
def absolute_data_folder():
    """TFDS_DATA_DIR may be relative to where the tests were started, and tests change folders."""
    root = os.environ.get("TFDS_DATA_DIR")
    if root:
        os.environ["TFDS_DATA_DIR"] = str(Path(root).resolve())
