"""results/networks.json: each network is counted once, and again where it has changed."""

import json
from dataclasses import replace

import pytest

from repro import catalog
from repro.networks.counts import Counts
from repro.report import network_counts

LINEAR = catalog.network("linear")
HIDDEN = catalog.network("fully-connected-300")
BROKEN = [
    "",
    "[]",
    '{"networks": []}',
    '{"networks": {"linear": 3}}',
    '{"networks": {"linear": {}}}',
]


def refuse(network):
    raise AssertionError(f"{network.name} was built")


def counts(tmp_path, *networks, told=None):
    warn = refuse if told is None else told.append
    return network_counts.of(networks, tmp_path, warn)


def test_counts_are_the_anatomys_and_are_kept(tmp_path, monkeypatch):
    """785 weights of ten units; a hidden layer of 300.

    For the way back the image stays, and what a squashing function gives, behind the hidden layer
    and the last. The image is put in a row: 784 values into that, as many out of it.
    """
    hidden = 785 * 300 + 301 * 10, 784 * 300 + 300 * 10
    expected = {
        "linear": Counts(7_850, 7_840, 784, 784 + 784),
        "fully-connected-300": Counts(*hidden, 784 + 300 + 10, 784 + 784),
    }
    assert counts(tmp_path, LINEAR, HIDDEN) == expected
    monkeypatch.setattr(network_counts, "_counted", refuse)
    before = (tmp_path / "networks.json").read_bytes()
    assert counts(tmp_path, HIDDEN, LINEAR) == expected
    assert (tmp_path / "networks.json").read_bytes() == before


def test_a_network_with_other_options_is_counted_anew(tmp_path, monkeypatch):
    counts(tmp_path, HIDDEN)
    wider = replace(HIDDEN, options={"hidden": (10,)})
    assert counts(tmp_path, wider)[HIDDEN.name].parameters == 785 * 10 + 11 * 10
    kept = json.loads((tmp_path / "networks.json").read_text())["networks"]
    assert kept[HIDDEN.name]["options"] == {"hidden": [10]}


def test_counts_of_other_networks_stay_as_long_as_they_hold(tmp_path):
    counts(tmp_path, LINEAR, HIDDEN)
    wider = replace(HIDDEN, options={"hidden": (10,)})
    for others, left in (([HIDDEN], [HIDDEN.name, "linear"]), ([wider], ["linear"])):
        assert list(network_counts.of([LINEAR], tmp_path, refuse, others=others)) == ["linear"]
        assert list(json.loads((tmp_path / "networks.json").read_text())["networks"]) == left


def test_what_is_not_asked_for_goes(tmp_path):
    counts(tmp_path, LINEAR, HIDDEN)
    counts(tmp_path, LINEAR)
    assert list(json.loads((tmp_path / "networks.json").read_text())["networks"]) == ["linear"]


def test_what_cannot_be_counted_is_named_and_left_out(tmp_path):
    told = []
    no_model = replace(LINEAR, name="no-model", build=dict)
    assert list(counts(tmp_path, no_model, LINEAR, told=told)) == ["linear"]
    (line,) = told
    assert line.startswith("no-model is not counted") and "\n" not in line


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_made_again(tmp_path, content):
    (tmp_path / "networks.json").write_text(content)
    assert counts(tmp_path, LINEAR)["linear"].parameters == 7_850
    assert "linear" in json.loads((tmp_path / "networks.json").read_text())["networks"]
