"""What a recipe can be made of, as the modules themselves say it."""

import inspect
from importlib import import_module
from types import ModuleType

# Where a paper module imports each kind from.
MODULES = {
    "loss": ("repro.networks.losses",),
    "augmentation": ("repro.data.augmentation", "repro.data.crops", "repro.data.distortion"),
    "preprocessing": ("repro.data.preprocessing", "repro.data.crops"),
    "optimizer": ("repro.spec",),
    "falling rate": ("repro.spec",),
}
NAMED = {
    "optimizer": ("SGD", "StochasticDiagonalLM"),
    "falling rate": ("Divided", "Decreased", "Steps"),
}
WHERE = {
    **{kind: ", ".join(modules) for kind, modules in MODULES.items()},
    "protocol": "protocols of an experiment",
    "probe": "probes of an experiment",
    "dataset": "recipe.data; repro data",
}


def all_of_them() -> list[dict[str, str]]:
    """A row for each: kind, name, takes (its parameters with their defaults), says."""
    rows = []
    for kind, modules in MODULES.items():
        for module in map(import_module, modules):
            rows += [_described(kind, part) for part in _parts(kind, module)]
    from repro.data.sets import DATASETS
    from repro.training.evaluation import PROTOCOLS
    from repro.training.probes import PROBES

    plain = [("protocol", name, protocol.text) for name, protocol in PROTOCOLS.items()]
    plain += [("probe", name, _first_line(probe)) for name, probe in PROBES.items()]
    plain += [("dataset", name, dataset.title) for name, dataset in DATASETS.items()]
    return rows + [dict(kind=k, name=n, takes="", says=s) for k, n, s in plain]


def _parts(kind: str, module: ModuleType) -> list[type]:
    own = [part for part in vars(module).values() if inspect.isclass(part)]
    own = [part for part in own if part.__module__ == module.__name__ and part.__doc__]
    if kind in NAMED:
        return [part for part in own if part.__name__ in NAMED[kind]]
    return [part for part in own if _is(kind, part)]


def _is(kind: str, part: type) -> bool:
    from repro.data.augmentation import Augmentation, Chain

    if kind == "augmentation":
        return part is Chain or (issubclass(part, Augmentation) and part is not Augmentation)
    if kind == "preprocessing":
        return not issubclass(part, Augmentation | Chain)
    return callable(getattr(part, "predict", None))


def _described(kind: str, part: type) -> dict[str, str]:
    takes = [p.replace(annotation=p.empty) for p in inspect.signature(part).parameters.values()]
    listed = ", ".join(str(parameter) for parameter in takes)
    return {"kind": kind, "name": part.__name__, "takes": f"({listed})", "says": _first_line(part)}


def _first_line(part) -> str:
    return (inspect.getdoc(part) or "").partition("\n")[0]
