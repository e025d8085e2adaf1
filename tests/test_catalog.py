"""Names, and what every experiment must say about itself."""

import dataclasses
import subprocess
import sys

import pytest

from repro import catalog, settings
from repro.errors import UsageError

EXPERIMENTS = {e.name: e for e in catalog.experiments()}


def test_names_are_unique():
    for things in (catalog.experiments(), catalog.networks(), catalog.claims(), catalog.papers()):
        names = [thing.name for thing in things]
        assert len(names) == len(set(names))


def test_headline_of_the_first_paper_is_lenet5_on_mnist():
    assert catalog.paper("lenet5").experiments[0].name == "lenet5-mnist"


def test_what_lecun_1998_reports():
    """Section III.C and Figure 9, in per cent of test error."""
    printed = {
        "lenet5-mnist": 0.95,
        "lenet5-mnist-distorted": 0.8,
        "lenet1-mnist": 1.7,
        "fully-connected-300-100-mnist": 3.05,
        "fully-connected-300-mnist": 4.7,
        "linear-mnist": 12.0,
    }
    for name, value in printed.items():
        test = [r for r in EXPERIMENTS[name].reported if r.metric == "test_error"]
        assert [r.value for r in test] == [value], name
    # Figure 5: the training error is measured on the fly
    running = [r for r in EXPERIMENTS["lenet5-mnist"].reported if r.metric == "running_error"]
    assert [r.value for r in running] == [0.35]


def layered(network):
    """The network, but for how its weights are drawn."""
    options = {k: v for k, v in network.options.items() if k != "initialisation"}
    return dataclasses.replace(network, options=options)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_experiment_is_complete(experiment):
    assert experiment.title and experiment.protocols
    assert experiment.deviations, "an experiment without any deviation has not been looked at"
    assert all(number.source for number in experiment.reported)
    assert experiment.reported or experiment.note, "without a number it must say why"
    assert layered(experiment.network) in map(layered, catalog.networks())
    assert catalog.experiment(experiment.name) is experiment


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_every_key_can_be_set_to_what_it_is(experiment):
    same = [f"{key}={value}" for key, value in settings.settable(experiment).items()]
    assert settings.override(experiment, same) == experiment


def test_claims_name_experiments_that_exist():
    for claim in catalog.claims():
        assert len(claim.needs) >= 2
        for name in claim.experiments:
            catalog.experiment(name)


@pytest.mark.parametrize(
    ("ask", "wrong", "meant"),
    [
        (catalog.paper, "lenet", "lenet5"),
        (catalog.experiment, "lenet5-mnst", "lenet5-mnist"),
        (catalog.network, "lenet-1", "lenet1"),
        (catalog.claim, "lenet5-distortion", "lenet5-distortions"),
        (catalog.paper_of, "lenet1-mnis", "lenet1-mnist"),
    ],
)
def test_unknown_names_come_with_the_nearest(ask, wrong, meant):
    with pytest.raises(UsageError, match=f"'{wrong}' .did you mean {meant}"):
        ask(wrong)


def test_describing_papers_imports_nothing_slow():
    code = (
        "import sys; from repro import catalog; catalog.experiments(); catalog.claims();"
        "slow = {'keras', 'tensorflow', 'tensorflow_datasets', 'mlflow', 'pandas', 'matplotlib'};"
        "slow.add('numpy');"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
