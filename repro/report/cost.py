"""What a run costs: updates, images, minutes."""

from collections.abc import Sequence
from statistics import median

from repro import spec
from repro.judging import groups


def cost(experiment: spec.Experiment, records: Sequence[dict], changed: bool = False) -> dict:
    """What one run at paper scale takes: updates, images, passes, minutes.

    `minutes` is the median over the `measured` runs that speak for the experiment. Without any it
    is `estimated` from the speed of those at short scale, and None without those or where the
    recipe was `changed` by `--set`. `path`: the code path of these runs, which all share. Raises
    UsageError for an unknown split.
    """
    recipe = experiment.recipe
    images = examples(recipe.data)["train"]
    if recipe.augmentation:
        images = recipe.augmentation.size(images)
    in_a_pass = recipe.pass_examples or images
    total = recipe.iterations * recipe.batch or in_a_pass * recipe.passes
    minutes, measured, estimated, path = None, 0, False, ""
    if not changed:
        paper, short = (groups.speaking(records, experiment, scale) for scale in ("paper", "short"))
        spent = [m for m in map(minutes_of, paper) if m is not None]
        speeds = [s for s in map(speed_of, short) if s]
        if spent:
            minutes, measured = median(spent), len(spent)
            path = groups.code_path(paper[0]["run"])
        elif speeds:
            minutes, estimated = total / median(speeds) / 60, True
            path = groups.code_path(short[0]["run"])
    return {
        "updates": total // recipe.batch,
        "images": total,
        "passes": total / in_a_pass,
        "minutes": minutes,
        "measured": measured,
        "estimated": estimated,
        "path": path,
    }


def examples(data: spec.Data) -> dict[str, int]:
    """How many examples the splits have, without reading them. Raises UsageError."""
    from repro.data import datasets

    return {
        "train": datasets.count(data.dataset, data.train, data.per_class),
        "test": datasets.count(data.dataset, data.test),
    }


def minutes_of(record: dict) -> float | None:
    seconds = (record["result"] or {}).get("seconds")
    return None if seconds is None else seconds / 60


def speed_of(record: dict) -> float | None:
    return (record["result"] or {}).get("images_per_second")
