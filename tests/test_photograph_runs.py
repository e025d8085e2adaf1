"""Training on photographs: what is cut and subtracted where, and a run from start to end."""

import dataclasses
import io
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from repro import catalog, spec
from repro.data import datasets, inputs, sets
from repro.data.augmentation import Chain, PCAColour, RandomCrop
from repro.data.batches import Batches
from repro.data.crops import ScaleJitter, Square
from repro.data.photographs import Photographs, Ragged
from repro.data.preprocessing import ChannelMean, PerPixelMean
from repro.data.sets import Split
from repro.errors import UsageError
from repro.records.journal import Journal
from repro.training import runner

RNG = np.random.default_rng(8)


def pictures(count: int) -> tuple[list[np.ndarray], Photographs]:
    """Pictures without loss of quality, and as they are kept."""
    made = [RNG.integers(0, 256, (14 + i, 20 - i, 3), np.uint8) for i in range(count)]
    files = []
    for picture in made:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        files.append(stream.getvalue())
    encoded = np.frombuffer(b"".join(files), np.uint8)
    return made, Photographs(Ragged(encoded, np.cumsum([len(file) for file in files])))


TRAIN, TEST = pictures(6), pictures(4)
LABELS = {"train": np.arange(6, dtype="int32") % 3, "test": np.arange(4, dtype="int32") % 3}


def square(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle of the picture, resized; test_photographs.py holds it to sums by hand."""
    return Square(side)([picture])[0].astype("float64")


def recipe(preprocessing, augmentation) -> spec.Recipe:
    modern = catalog.experiment("lenet5-modern-mnist").recipe
    return dataclasses.replace(
        modern,
        data=spec.Data("snaps"),
        preprocessing=preprocessing,
        augmentation=augmentation,
        optimizer=spec.SGD(0.01, momentum=0.9),
        passes=3,
        batch=2,
        training_error_measured=True,
    )


def of_crops():
    """As VGG: crops of the photographs themselves, of which the mean is subtracted afterwards."""
    return recipe((Square(12), ChannelMean(scale=2.0)), Chain((ScaleJitter(8, 12, 15),)))


def of_squares():
    """As AlexNet: crops of squares that the mean has been subtracted from."""
    return recipe((Square(12), PerPixelMean(scale=2.0)), RandomCrop(8))


def test_the_mean_is_that_of_the_squares_and_is_subtracted_from_the_crops():
    train, test, examples, options, _ = inputs.prepared(of_crops(), TRAIN[1], TEST[1])
    squares = np.stack([square(picture, 12) for picture in TRAIN[0]])
    mean = squares.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(train[:], (squares - mean) / 2, atol=1e-4)
    wanted = np.stack([square(picture, 12) for picture in TEST[0]])
    np.testing.assert_allclose(test[1:3], (wanted[1:3] - mean) / 2, atol=1e-4)
    batches = Batches(examples, LABELS["train"], 2, seed=5, **options)
    images, labels = batches.chunk(0, 3)
    assert batches.shape == (8, 8, 3) and sorted(labels.ravel()) == [0, 0, 1, 1, 2, 2]
    grey = 2 * images.reshape(6, 8, 8, 3) + mean
    assert grey.min() > -0.01 and grey.max() < 255.01
    np.testing.assert_allclose(grey, np.rint(grey), atol=1e-3)  # whole grey levels of some crop
    again, _ = batches.chunk(1, 1)
    np.testing.assert_array_equal(again[0], images[1])


def test_of_squares_the_mean_of_each_pixel_is_subtracted_before_they_are_cropped():
    _, _, examples, options, _ = inputs.prepared(of_squares(), TRAIN[1], TEST[1])
    squares = np.stack([square(picture, 12) for picture in TRAIN[0]])
    centred = (squares - squares.mean(axis=0)) / 2
    batches = Batches(examples, np.arange(6), 2, seed=5, **options)
    images, labels = batches.chunk(0, 3)
    for crop, label in zip(images.reshape(6, 8, 8, 3), labels.ravel(), strict=True):
        places = [(y, x) for y in range(5) for x in range(5)]
        cuts = [centred[label, y : y + 8, x : x + 8] for y, x in places]
        both = cuts + [cut[:, ::-1] for cut in cuts]
        assert min(np.abs(crop - cut).max() for cut in both) < 1e-4


def test_photographs_are_made_squares_first():
    with pytest.raises(UsageError, match="photographs need Square first"):
        inputs.prepared(recipe((ChannelMean(),), RandomCrop(8)), TRAIN[1], TEST[1])


def small(side: int = 8):
    import keras

    images = keras.Input((side, side, 3))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(images))
    return keras.Model(images, keras.layers.Dense(3, dtype="float32")(flat))


@pytest.mark.parametrize(
    ("preprocessing", "augmentation", "named"),
    [
        ((ChannelMean(),), ScaleJitter(8, 8, 8), "ScaleJitter"),
        ((ChannelMean(),), Chain((ScaleJitter(8, 8, 8), PCAColour())), "ScaleJitter"),
        ((Square(8), ChannelMean()), None, "Square"),
    ],
)
def test_images_of_one_size_are_no_photographs(preprocessing, augmentation, named):
    """Crops of photographs are bytes: what is below 0 would come out bright."""
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match=f"{named} is for photographs; accepted are imagenette"):
        inputs.in_memory(recipe(preprocessing, augmentation), images, images)


@pytest.mark.parametrize("made", [of_crops, of_squares])
def test_a_run_on_photographs_from_start_to_end(made, tmp_path, monkeypatch):
    images = {"train": TRAIN[1], "test": TEST[1]}
    splits = {split: Split(images[split], LABELS[split]) for split in images}
    monkeypatch.setattr(datasets, "load", lambda name, split, per_class=0: splits[split])
    facts = {"name": "snaps", "version": "1", "digest": "0" * 64}
    monkeypatch.setattr(datasets, "facts", lambda name: facts)
    monkeypatch.setitem(sets.DATASETS, "snaps", SimpleNamespace(classes=3))
    monkeypatch.setattr(datasets, "count", lambda name, split, per_class=0: len(LABELS[split]))
    coloured = Chain((made().augmentation, PCAColour(white=127.0)))
    experiment = dataclasses.replace(
        catalog.experiment("lenet5-modern-mnist"),
        network=spec.Network("small", small),
        recipe=dataclasses.replace(made(), augmentation=coloured),
        protocols=("single-view", "10-crop"),
    )
    done = [runner.run(experiment, out=tmp_path / name) for name in ("one", "other")]
    for outcome in done:
        assert outcome["metrics"]["single-view"]["test_count"] == 4
        assert outcome["metrics"]["10-crop"]["test_count"] == 4
        assert outcome["metrics"]["single-view"]["training_count"] == 6
    versions = Journal.open(done[0]["run_dir"]).run()["versions"]
    installed = [metadata.version(p) for p in ("simplejpeg", "opencv-python-headless", "pillow")]
    kept = [versions[name] for name in ("simplejpeg", "opencv", "pillow")]
    assert [v.split(".")[:3] for v in kept] == [v.split(".")[:3] for v in installed]
    losses = [[p["loss"] for p in Journal.open(o["run_dir"]).passes()] for o in done]
    assert losses[0] == losses[1] and len(losses[0]) == 3


@pytest.mark.parametrize("name", ["vgg", "googlenet", "alexnet", "zfnet"])
def test_the_recipes_of_the_papers_fit_their_networks(name):
    """What the augmentation cuts is what the network takes, of every experiment on photographs."""
    picture = RNG.integers(0, 256, (300, 400, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    encoded = np.frombuffer(stream.getvalue(), np.uint8)
    one = Photographs(Ragged(encoded, np.array([len(encoded)])))
    checked = set()
    for experiment in catalog.paper(name).experiments:
        if not experiment.recipe.data.dataset.startswith("imagenet"):
            continue
        _, test, examples, options, _ = inputs.prepared(experiment.recipe, one, one)
        side = Batches(examples, np.zeros(1), 1, 0, **options).shape[0]
        assert side == experiment.network.options.get("side", 227 if name == "alexnet" else 224)
        assert test[0].shape[0] >= side
        assert len(set(experiment.deviations)) == len(experiment.deviations)
        checked.add(experiment.recipe.data.dataset)
    assert "imagenet" in checked
