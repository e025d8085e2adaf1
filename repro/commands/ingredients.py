"""What a recipe can be made of, as the parts themselves say it."""

import inspect
from collections.abc import Callable

# Where a paper module takes each kind from.
WHERE = {
    "loss": "repro.networks.losses",
    "augmentation": "repro.data.augmentation, repro.data.crops, repro.data.distortion",
    "preprocessing": "repro.data.preprocessing, repro.data.crops",
    "optimizer": "repro.spec",
    "falling rate": "repro.spec",
    "protocol": "protocols of an experiment",
    "probe": "probes of an experiment",
    "dataset": "recipe.data; repro data",
}


def all_of_them() -> list[dict[str, str]]:
    """A row for each: kind, name, takes (its parameters with their defaults), says."""
    from repro import spec
    from repro.data import parts
    from repro.data.sets import DATASETS
    from repro.networks import losses
    from repro.training.probes import PROBES
    from repro.training.protocols import SAID

    classes = {
        "loss": [x for x in vars(losses).values() if inspect.isclass(x) and hasattr(x, "predict")],
        "augmentation": parts.AUGMENTATIONS,
        "preprocessing": parts.PREPROCESSINGS,
        "optimizer": (spec.SGD, spec.StochasticDiagonalLM, spec.WinnerTakeAll),
        "falling rate": (spec.Divided, spec.Decreased, spec.Steps),
    }
    rows = [
        (kind, part.__name__, _takes(part), _first_line(part))
        for kind, made_of in classes.items()
        for part in made_of
    ]
    rows += [("protocol", name, "", said) for name, said in SAID.items()]
    rows += [("probe", name, "", _first_line(probe)) for name, probe in PROBES.items()]
    rows += [("dataset", name, "", dataset.title) for name, dataset in DATASETS.items()]
    return [dict(zip(("kind", "name", "takes", "says"), row, strict=True)) for row in rows]


def _takes(part: type) -> str:
    """Its parameters with their defaults, without their types."""
    bare = [p.replace(annotation=p.empty) for p in inspect.signature(part).parameters.values()]
    return f"({', '.join(map(str, bare))})"


def _first_line(part: Callable) -> str:
    return (inspect.getdoc(part) or "").partition("\n")[0]
