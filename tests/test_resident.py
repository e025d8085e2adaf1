"""A training set on the device: an update sees the same bits as where the host makes its images."""

import dataclasses
import weakref

import numpy as np
import pytest
from programs.seen import AUGMENTATION, BATCH, IN_BYTES, PREPROCESSING, images, seen
from small_runs import Seen, modern_on_digits

from repro import backends, catalog
from repro.data import inputs, resident
from repro.data.augmentation import Chain, CropAndFlip, PCAColour
from repro.data.distortion import DistortedCopies
from repro.records.journal import Journal
from repro.training import evaluation, runner


@pytest.mark.parametrize("augmentation", AUGMENTATION)
@pytest.mark.parametrize("preprocessing", PREPROCESSING)
def test_what_is_seen_is_the_same_to_the_bit(preprocessing, augmentation):
    import keras

    streamed, places, held = seen(preprocessing, augmentation)
    assert (places.shape, places.dtype) == ((3, BATCH, 4), np.int32)
    assert (held.table is not None) == (preprocessing in IN_BYTES)
    arrays = tuple(map(keras.ops.convert_to_tensor, held.arrays()))
    for wanted, some in zip(streamed, places, strict=True):
        found = held.look_up(arrays, keras.ops.convert_to_tensor(some))
        found = keras.ops.convert_to_numpy(found)
        assert found.dtype == wanted.dtype == np.float32
        assert found.tobytes() == wanted.tobytes()


def test_a_set_in_bytes_takes_a_quarter_and_a_table():
    held = seen("mean of each pixel", "crops and flips").held
    assert held.nbytes == images().nbytes + 256 * 12 * 10 * 3 * 4
    assert seen("by the image", "none").held.nbytes == 4 * images().nbytes


@pytest.mark.parametrize(
    "augmentation",
    [DistortedCopies(), PCAColour(), Chain((CropAndFlip(pad=2), PCAColour()))],
    ids=["distorted", "coloured", "both"],
)
def test_what_takes_more_than_crops_is_streamed(augmentation):
    recipe = dataclasses.replace(
        catalog.experiment("resnet20-cifar10").recipe, augmentation=augmentation
    )
    assert inputs.in_memory(recipe, images(), images())[-1]() is None


def test_a_set_that_does_not_fit_is_streamed(monkeypatch):
    held = seen("mean of each pixel", "none").held
    monkeypatch.setattr(resident, "MOST_BYTES", held.nbytes)
    assert seen("mean of each pixel", "none").held is not None
    monkeypatch.setattr(resident, "MOST_BYTES", held.nbytes - 1)
    assert seen("mean of each pixel", "none").held is None


@pytest.mark.parametrize("augmentation", [None, DistortedCopies(copies=1)])
def test_a_run_says_that_its_images_are_streamed(augmentation, tmp_path, monkeypatch):
    monkeypatch.setattr(backends.Devices, "holds_data", property(lambda self: True))
    experiment, told = modern_on_digits(augmentation=augmentation), Seen()
    runner.run(experiment, scale="smoke", out=tmp_path, observers=[told])
    said = [event["text"] for event in told.of("message") if "made on the host" in event["text"]]
    assert len(said) == (augmentation is not None)


def scored(out, monkeypatch, holds: bool) -> list:
    """What the tests of a run say, and how many sets it put on the device for them."""
    monkeypatch.setattr(backends.Devices, "holds_data", property(lambda self: holds))
    put, place = [], evaluation.Held.__init__

    def placing(self, *made_of):
        put.append(len(made_of[-1]))
        place(self, *made_of)

    monkeypatch.setattr(evaluation.Held, "__init__", placing)
    modern = modern_on_digits(training_error_measured=True)
    done = runner.run(modern, scale="smoke", out=out)
    monkeypatch.setattr(evaluation.Held, "__init__", place)
    passes = Journal.open(done["run_dir"]).passes()
    errors = [(line["test_error"], line["training_error"]) for line in passes]
    return [errors, done["metrics"], put]


def test_tests_of_images_on_the_device_end_alike(tmp_path, monkeypatch):
    """Each set is put there once; one that finds no room is scored from the host."""
    *streamed, none = scored(tmp_path / "a", monkeypatch, holds=False)
    *held, put = scored(tmp_path / "b", monkeypatch, holds=True)
    assert none == [] and len(put) == 2
    assert held[0] == streamed[0]
    close = pytest.approx(streamed[1]["single-view"], rel=1e-6)
    assert held[1]["single-view"] == close

    calls, here, loop = [], backends.here(), backends.here().scoring_loop

    def full(*made_of):
        looped = loop(*made_of)

        def call(*images_and_labels):
            calls.append(1)
            if len(calls) == 2:
                raise MemoryError("no room")
            return looped(*images_and_labels)

        return call

    monkeypatch.setattr(here, "scoring_loop", full)
    monkeypatch.setattr(here, "out_of_memory", lambda error: isinstance(error, MemoryError))
    *short_of_room, _ = scored(tmp_path / "c", monkeypatch, holds=True)
    assert short_of_room[0] == streamed[0] and len(calls) > 2
    assert short_of_room[1]["single-view"] == close


def test_what_found_no_room_has_gone_before_it_is_scored_from_the_host(tmp_path, monkeypatch):
    monkeypatch.setattr(backends.Devices, "holds_data", property(lambda self: True))
    here, place, streamed = backends.here(), evaluation.Held.__init__, evaluation.streamed
    there, still_there = weakref.WeakSet(), []

    def placing(self, *made_of):
        place(self, *made_of)
        there.add(self)

    def full(self):
        raise MemoryError("no room")

    def streaming(*scored):
        still_there.append(len(there))
        return streamed(*scored)

    monkeypatch.setattr(evaluation.Held, "__init__", placing)
    monkeypatch.setattr(evaluation.Held, "__iter__", full)
    monkeypatch.setattr(evaluation, "streamed", streaming)
    monkeypatch.setattr(here, "out_of_memory", lambda error: isinstance(error, MemoryError))
    runner.run(modern_on_digits(), scale="smoke", out=tmp_path)
    assert still_there and not any(still_there)


def test_a_device_without_room_for_the_set_has_it_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(backends.Devices, "holds_data", property(lambda self: True))
    here, made = backends.here(), []
    loop = here.Devices.loop

    def full(self, *made_of):
        made.append(made_of[-1])
        if made_of[-1]:
            raise MemoryError("no room")
        return loop(self, *made_of)

    monkeypatch.setattr(here.Devices, "loop", full)
    monkeypatch.setattr(here, "out_of_memory", lambda error: isinstance(error, MemoryError))
    told = Seen()
    done = runner.run(modern_on_digits(), scale="smoke", out=tmp_path, observers=[told])
    assert [held is not None for held in made] == [True, False]
    assert sum("has no room for them" in event["text"] for event in told.of("message")) == 1
    assert Journal.open(done["run_dir"]).run()["data"]["resident"] == 0
