"""CIFAR-100: where the harness gets it from, and what has a hundred classes."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from papers import nin
from repro import catalog, cli
from repro.data import datasets, sets
from repro.data.digests import content_digest
from repro.data.sets import Split
from repro.errors import UsageError
from repro.training import runner

CIFAR_100 = sets.DATASETS["cifar100"]
# Of those that a paper has a number for.
ON_IT = [e for e in catalog.experiments() if e.recipe.data.dataset == "cifar100" and e.reported]


# ---------------------------------------------------------------------------- a small made-up one


def drawn(per_class, seed):
    """So many images of each class, with the class in the first pixel."""
    labels = np.repeat(np.arange(100, dtype=np.int32), per_class)
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 32, 32, 3), np.uint8)
    images[:, 0, 0, 0] = labels
    return Split(images, labels)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder in which TFDS has written three and two images of each class as its cifar100."""
    tfds = pytest.importorskip("tensorflow_datasets")
    splits = {"train": drawn(3, 1), "test": drawn(2, 2)}

    def examples(split):
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            name = f"{number:05}.png"
            classes = {"label": int(label), "coarse_label": int(label) // 5}
            yield name, {"id": name, "image": image, **classes}

    root = tmp_path_factory.mktemp("stored")
    builder = tfds.builder("cifar100", data_dir=str(root), try_gcs=False)
    builder._split_generators = lambda _: {name: examples(s) for name, s in splits.items()}
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return root, splits


@pytest.fixture
def made_up(stored, tmp_path, monkeypatch):
    """The made-up set in the place of the real one."""
    root, splits = stored
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    small = dataclasses.replace(
        CIFAR_100,
        examples={name: len(split.labels) for name, split in splits.items()},
        content={name: content_digest(split) for name, split in splits.items()},
    )
    monkeypatch.setitem(sets.DATASETS, "cifar100", small)
    return splits


def test_images_arrive_with_their_fine_labels(made_up):
    for name, split in made_up.items():
        loaded = datasets.load("cifar100", name)
        assert loaded.images.shape == split.images.shape
        np.testing.assert_array_equal(loaded.images[:, 0, 0, 0], loaded.labels)
        assert content_digest(loaded) == content_digest(split)
    assert datasets.check("cifar100") == []
    assert datasets.facts("cifar100")["classes"] == 100


def test_the_command_prepares_it(made_up, capsys):
    assert cli.main(["data", "prepare", "cifar100"]) == 0
    assert datasets.ready("cifar100")
    assert os.environ["REPRO_DATA_DIR"] in capsys.readouterr().out


def test_a_network_is_trained_and_tested_on_a_hundred_classes(made_up, tmp_path):
    experiment = catalog.experiment("densenet40-k12-cifar100")
    small = ["network.depth=7", "network.growth_rate=2"]
    result = runner.run(experiment, scale="smoke", overrides=small, out=tmp_path / "runs")
    metrics = result["metrics"]["single-view"]
    assert metrics["test_count"] == 200 and 50 < metrics["test_error"] <= 100
    assert metrics["test_top5_error"] <= metrics["test_error"]
    kept = json.loads(Path(result["run_dir"], "result.json").read_text())["images"]
    assert kept["single-view"]["classes"] == 100


def test_a_network_for_ten_classes_is_told_how_it_fits(made_up, tmp_path):
    experiment = catalog.experiment("densenet40-k12-cifar10")
    small = ["network.depth=7", "network.growth_rate=2", "recipe.data.dataset=cifar100"]
    with pytest.raises(UsageError, match=r"10 .*has 100; network\.classes=100 fits"):
        runner.run(experiment, scale="smoke", overrides=small, out=tmp_path / "runs")
    with pytest.raises(UsageError, match=r"resnet20 tells 10 classes apart, cifar100 has 100$"):
        runner.run(
            catalog.experiment("resnet20-cifar10"),
            scale="smoke",
            overrides=["recipe.data.dataset=cifar100"],
            out=tmp_path / "runs",
        )


# ---------------------------------------------------------------------------- the real one


@pytest.fixture(scope="module")
def real(real_data, tmp_path_factory):
    """Both splits, and the folder of TFDS; `load` has held them to their digests."""
    folder = real_data("cifar100") / "3.0.2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRO_DATA_DIR", str(tmp_path_factory.mktemp("real")))
        yield {split: datasets.load("cifar100", split) for split in ("train", "test")}, folder


def test_cifar_100_is_cifar_100(real):
    splits, folder = real
    for split, each in (("train", 500), ("test", 100)):
        assert np.bincount(splits[split].labels).tolist() == [each] * 100
    names = (folder / "label.labels.txt").read_text().split()
    assert tuple(name.replace("_", " ") for name in names) == CIFAR_100.names
    # The mean and deviation of each channel by which its training images are commonly normalised.
    pixels = splits["train"].images.reshape(-1, 3) / np.float32(255)
    mean, deviation = pixels.mean(axis=0, dtype="float64"), pixels.std(axis=0, dtype="float64")
    np.testing.assert_allclose(mean, (0.5071, 0.4865, 0.4409), atol=1e-4)
    np.testing.assert_allclose(deviation, (0.2673, 0.2564, 0.2762), atol=1e-4)


def test_it_has_a_name_for_each_class():
    assert len(CIFAR_100.names) == len(set(CIFAR_100.names)) == CIFAR_100.classes == 100
    assert list(CIFAR_100.names) == sorted(CIFAR_100.names)


# ---------------------------------------------------------------------------- experiments


def test_every_experiment_with_a_number_is_that_on_cifar_10_but_for_the_data():
    """Both papers say so: DenseNet's section 4.2; NiN has the settings of CIFAR-10."""
    assert len(ON_IT) == 1 + 6 + 5
    for experiment in ON_IT:
        twin = catalog.experiment(experiment.name.replace("cifar100", "cifar10"))
        recipe = dataclasses.replace(experiment.recipe, data=twin.recipe.data)
        assert recipe == twin.recipe, experiment.name
        options, own = experiment.network.options, {"classes": 10}
        if experiment.name == "nin-cifar100":
            own = {"mlpconvs": nin.CIFAR_10}
            assert options["mlpconvs"] == (*nin.CIFAR_10[:2], (*nin.CIFAR_10[2][:3], 100))
        assert {**options, **own} == twin.network.options, experiment.name
        assert experiment.network.build is twin.network.build
        assert experiment.protocols == twin.protocols


def test_its_numbers_are_reported_once():
    """Of an experiment, and no longer of a network."""
    sources = [r.source for n in catalog.networks() for r in n.reported]
    assert not [source for source in sources if "C100" in source]
    printed = sorted(number.value for e in ON_IT for number in e.reported)
    assert len(set(printed)) == len(printed) == len(ON_IT)
