"""Every paper's experiments, networks and claims, by name.

The only place where the harness learns which papers there are. A paper module is imported when it
is first asked for; importing one imports no Keras.
"""

from functools import cache
from importlib import import_module
from pathlib import Path

from repro.errors import UsageError, unknown
from repro.spec import Claim, Experiment, Network, Paper

PAPERS = (
    "neocognitron",
    "lenet5",
    "teaching",
    "alexnet",
    "zfnet",
    "nin",
    "vgg",
    "googlenet",
    "allcnn",
    "resnet",
    "preresnet",
    "densenet",
    "carrying",
)


@cache
def paper(name: str) -> Paper:
    """The paper `name`: what `papers/<name>.py` calls PAPER. Raises UsageError."""
    if name not in PAPERS:
        raise unknown("paper", name, PAPERS)
    return import_module(f"papers.{name}").PAPER


def folder() -> Path:
    """The folder of the papers' modules."""
    return Path(import_module("papers").__path__[0])


def papers() -> tuple[Paper, ...]:
    """All papers, in the order of their publication; undated slides after what they take up."""
    return tuple(paper(name) for name in PAPERS)


def experiments() -> tuple[Experiment, ...]:
    """All experiments of all papers, each paper's headline first."""
    return tuple(e for p in papers() for e in p.experiments)


def experiment(name: str) -> Experiment:
    """The experiment `name`. Raises UsageError."""
    if name in {n.name for n in networks()} - {e.name for e in experiments()}:
        raise UsageError(f"{name} is a network, not an experiment; see: repro anatomy {name}")
    return _named("experiment", name, experiments(), "repro list")


def networks() -> tuple[Network, ...]:
    """All networks of all papers."""
    return tuple(n for p in papers() for n in p.networks)


def network(name: str) -> Network:
    """The network `name`. Raises UsageError."""
    if name in {e.name for e in experiments()} - {n.name for n in networks()}:
        its = experiment(name).network.name
        raise UsageError(f"{name} is an experiment, not a network; its network is {its}")
    return _named("network", name, networks())


def claims() -> tuple[Claim, ...]:
    """All claims of all papers."""
    return tuple(c for p in papers() for c in p.claims)


def claim(name: str) -> Claim:
    """The claim `name`. Raises UsageError."""
    return _named("claim", name, claims(), "repro claims")


def paper_of(experiment_name: str) -> Paper:
    """The paper that an experiment belongs to. Raises UsageError."""
    experiment(experiment_name)
    return next(p for p in papers() if experiment_name in [e.name for e in p.experiments])


def _named(what: str, name: str, accepted: tuple, listed_by: str = ""):
    for candidate in accepted:
        if candidate.name == name:
            return candidate
    raise unknown(what, name, [candidate.name for candidate in accepted], listed_by)
