"""Where each dataset lies: prepared, as TensorFlow Datasets keeps it, as archives."""

from pathlib import Path

from repro.data.folders import prepared_root, tfds_root
from repro.data.sets import Dataset


def prepared_folder(dataset: Dataset) -> Path:
    return prepared_root() / f"{dataset.name}-{dataset.version}"


def tfds_folder(dataset: Dataset) -> Path:
    return tfds_root() / tfds_name(dataset) / dataset.version


def tfds_name(dataset: Dataset) -> str:
    """With the configuration, where there is one: `imagenette/160px-v2`."""
    return dataset.tfds or dataset.name


def archive_folder() -> Path:
    """Where TFDS looks for what people must fetch themselves."""
    return tfds_root() / "downloads" / "manual"


def official_files(dataset: Dataset) -> str:
    """What to do about a folder of TFDS that does not hold the dataset."""
    return (
        "put the official files there, or move that folder away and do: "
        f"repro data prepare {dataset.name}"
    )


def lacking_archives(dataset: Dataset) -> list[str]:
    return [name for name in dataset.archives if not (archive_folder() / name).is_file()]
