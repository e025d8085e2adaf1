"""Where datasets lie: as TensorFlow Datasets keeps them, and prepared."""

import os
from pathlib import Path

from repro.data.access import exists
from repro.errors import UsageError

PREPARED, TFDS = "REPRO_DATA_DIR", "TFDS_DATA_DIR"


def prepared_root() -> Path:
    """The folder of all prepared data. Raises UsageError where it cannot be one."""
    return _root(PREPARED, "data")


def tfds_root() -> Path:
    """The folder of TensorFlow Datasets. Raises UsageError where it cannot be one."""
    return _root(TFDS, "~/tensorflow_datasets")


def _root(variable: str, otherwise: str) -> Path:
    value = os.environ.get(variable, "").strip()
    if "://" in value:
        raise UsageError(f"{variable}={value}: accepted is a folder of this machine")
    try:
        root = Path(value or otherwise).expanduser()
    except RuntimeError:  # no such user, or a user without a home
        asked = f"{variable}={value}" if value else f"{variable} is not set, and {otherwise}"
        raise UsageError(
            f"{asked}: there is no such home folder; set {variable} to a folder"
        ) from None
    if exists(root, variable) and not root.is_dir():
        raise UsageError(f"{variable}={root}: this is a file; accepted is a folder")
    return root
