"""What a run costs: updates, images, minutes."""

from collections.abc import Sequence
from statistics import median

from repro import spec
from repro.judging import groups
from repro.records.reading import KEPT_SCALES


def cost(experiment: spec.Experiment, records: Sequence[dict], changed: bool = False) -> dict:
    """What one run at paper scale takes: updates, images, passes, minutes, measured, estimated.

    `minutes` is the median over the `measured` plain runs among the `records`. Without any
    it is `estimated` from the speed of plain short-scale runs, and None without those or
    where the recipe was `changed` by `--set`. Raises UsageError for an unknown split.
    """
    recipe = experiment.recipe
    images = examples(recipe.data)["train"]
    if recipe.augmentation:
        images = recipe.augmentation.size(images)
    in_a_pass = recipe.pass_examples or images
    total = recipe.iterations * recipe.batch or in_a_pass * recipe.passes
    minutes, measured, estimated = None, 0, False
    if not changed:
        plain = {
            scale: [
                run
                for group, runs in groups.groups(records, experiment, scale).items()
                if group.plain
                for run in runs
            ]
            for scale in KEPT_SCALES
        }
        spent = [m for m in map(minutes_of, plain["paper"]) if m is not None]
        speeds = [s for s in map(speed_of, plain["short"]) if s]
        if spent:
            minutes, measured = median(spent), len(spent)
        elif speeds:
            minutes, estimated = total / median(speeds) / 60, True
    return {
        "updates": total // recipe.batch,
        "images": total,
        "passes": total / in_a_pass,
        "minutes": minutes,
        "measured": measured,
        "estimated": estimated,
    }


def examples(data: spec.Data) -> dict[str, int]:
    """How many examples the splits have, without reading them. Raises UsageError."""
    from repro.data import datasets

    splits = {"train": data.train, "test": data.test}
    return {name: datasets.count(data.dataset, split) for name, split in splits.items()}


def minutes_of(record: dict) -> float | None:
    seconds = (record["result"] or {}).get("seconds")
    return None if seconds is None else seconds / 60


def speed_of(record: dict) -> float | None:
    return (record["result"] or {}).get("images_per_second")
