"""From the archives of ImageNet to a tested network: a tiny one, by the paper's own experiment."""

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("keras")

import tiny_imagenet as tiny
from small_runs import Seen, last_state, stopping_at, timeless

from repro import catalog, cli
from repro.data import decoding, sets
from repro.errors import Interrupted, RunError
from repro.records.journal import Journal
from repro.training import runner, schedule, training

PROTOCOLS = ("single-view", "10-crop", "dense-224-256-384-480-640")  # Tables 2, 3 and 4


def of_four_classes():
    """ResNet-18 as on ImageNet, with a block where there are two, for six updates of five."""
    experiment = catalog.experiment("resnet18-a-imagenet")
    network, recipe = experiment.network, experiment.recipe
    assert experiment.protocols == PROTOCOLS
    rate = dataclasses.replace(recipe.optimizer, rate=0.01, falls=None)
    return dataclasses.replace(
        experiment,
        network=dataclasses.replace(
            network, options={**network.options, "blocks": (1, 1, 1, 1), "classes": 4}
        ),
        recipe=dataclasses.replace(recipe, optimizer=rate, iterations=6, batch=5),
    )


def test_from_archives_to_ten_crops_and_dense_tests(tmp_path, monkeypatch, capsys):
    """12 photographs of training, 8 of validation; stopped in the middle of the second pass."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setattr(schedule, "CHUNK_UPDATES", 1)
    monkeypatch.setattr(training, "SECONDS_OF_A_CALL", 0.0)
    folder = tmp_path / "tfds" / "downloads" / "manual"
    monkeypatch.setitem(sets.DATASETS, "imagenet", tiny.place(folder, *tiny.photographs()))
    experiment = of_four_classes()
    monkeypatch.setattr(catalog, "experiment", lambda name: experiment)

    assert cli.main(["data", "prepare", "imagenet"]) == 0

    whole = Journal.open(runner.run(experiment, out=tmp_path / "whole")["run_dir"])
    with pytest.raises(Interrupted, match="update 3 of 6"):
        runner.run(experiment, out=tmp_path / "cut", observers=[stopping_at(3)])
    (run_dir,) = (tmp_path / "cut" / "resnet18-a-imagenet").iterdir()
    with monkeypatch.context() as elsewhere:  # another decoder may make other pixels
        there = {**decoding.versions(), "simplejpeg": "9.9"}
        elsewhere.setattr(decoding, "versions", lambda: there)
        with pytest.raises(RunError, match=r"here is .*'simplejpeg': '9\.9'.*where it began"):
            runner.resume(run_dir)
    seen = Seen()
    result = runner.resume(run_dir, observers=[seen])
    cut = Journal.open(run_dir)
    assert timeless(cut) == timeless(whole) and cut.result()["resumed"] == 1
    for one, other in zip(last_state(cut), last_state(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    # Passes of 12 photographs end with updates 2.4 and 4.8.
    assert [line["update"] for line in cut.passes()] == [2, 5, 6]

    assert tuple(result["metrics"]) == PROTOCOLS
    capsys.readouterr()
    for protocol, metrics in result["metrics"].items():
        assert metrics["test_count"] == 8
        assert metrics["test_error"] == 100 * metrics["test_wrong"] / 8
        assert cli.main(["evaluate", str(run_dir), "--protocol", protocol, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["metrics"] == metrics
