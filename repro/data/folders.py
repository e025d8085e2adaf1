"""Where datasets lie: as TensorFlow Datasets keeps them, and prepared."""

import os
from pathlib import Path

from repro.data.sets import Dataset


def prepared_folder(known: Dataset) -> Path:
    root = Path(os.environ.get("REPRO_DATA_DIR") or "data").expanduser()
    return root / f"{known.name}-{known.version}"


def tfds_root() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def tfds_folder(known: Dataset) -> Path:
    return tfds_root() / tfds_name(known) / known.version


def tfds_name(known: Dataset) -> str:
    """With the configuration, where there is one: `imagenette/160px-v2`."""
    return known.tfds or known.name


def archive_folder() -> Path:
    """Where TFDS looks for what people must fetch themselves."""
    return tfds_root() / "downloads" / "manual"


def lacking_archives(known: Dataset) -> list[str]:
    return [name for name in known.archives if not (archive_folder() / name).is_file()]
