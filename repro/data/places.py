"""Where each dataset lies: prepared, as TensorFlow Datasets keeps it, as archives."""

from pathlib import Path

from repro.data.access import exists
from repro.data.folders import TFDS, prepared_root, tfds_root
from repro.data.sets import Dataset


def prepared_folder(dataset: Dataset) -> Path:
    return prepared_root() / f"{dataset.name}-{dataset.version}"


def tfds_folder(dataset: Dataset) -> Path:
    return tfds_root() / tfds_name(dataset) / dataset.version


def tfds_name(dataset: Dataset) -> str:
    """With the configuration, where there is one: `imagenette/160px-v2`."""
    return dataset.tfds or dataset.name


def described(dataset: Dataset) -> bool:
    """Whether TFDS has the dataset. Raises DataError where that cannot be seen."""
    return exists(tfds_folder(dataset) / "dataset_info.json", TFDS)


def archive_folder() -> Path:
    """Where people put what they must fetch themselves; TFDS looks for it there too."""
    return tfds_root() / "downloads" / "manual"


def official_files(dataset: Dataset) -> str:
    """What to do about a folder of TFDS that does not hold the dataset."""
    return (
        "put the official files there, or move that folder away and do: "
        f"repro data prepare {dataset.name}"
    )


def lacking_archives(dataset: Dataset) -> list[str]:
    """Raises DataError where that cannot be seen."""
    names = [archive.name for archive in dataset.archives.values()]
    return [name for name in names if not exists(archive_folder() / name, TFDS)]
