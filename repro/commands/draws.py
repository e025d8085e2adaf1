"""`draws`: what training gets of an image, as pictures."""

from pathlib import Path
from typing import Annotated

import typer

from repro import settings
from repro.commands import options
from repro.commands.options import ExperimentName, Overrides
from repro.errors import UsageError

DRAWS = 12


def draws(
    name: ExperimentName,
    image: Annotated[
        int,
        options.number("--image", 0, 999_999_999, metavar="I", help="A training image, from 0."),
    ] = 0,
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg|FILE.png", help="Default: EXPERIMENT-draws-I.svg."),
    ] = None,
):
    """What training gets of an image, as pictures: a dozen draws of its augmentation."""
    options.accept_picture(out)
    experiment = settings.override(options.experiment(name), overrides or [])
    recipe = experiment.recipe
    from repro import terminal
    from repro.data import inputs, sets
    from repro.data.photographs import Photographs
    from repro.report import draws_sheet

    with terminal.working(f"reading {recipe.data.dataset}"):
        stored = inputs.training_images(recipe.data)
        count = len(stored.labels)
        if image >= count:
            raise UsageError(f"--image {image}: accepted is a whole number from 0 to {count - 1:,}")
        batches = inputs.of_training(recipe).batches(recipe.batch, seed=0)
        drawn = batches.draws(image, DRAWS if recipe.augmentation else 1)
    photographs = isinstance(stored.images, Photographs)
    dataset = sets.DATASETS[recipe.data.dataset]
    file = draws_sheet.draw(
        stored.images[image],
        255.0 if photographs else float(stored.images[:1000].max()),
        drawn,
        ", ".join([experiment.name, *(overrides or [])]),
        f"Training image {image:,} ({dataset.class_name(stored.labels[image])}) of {dataset.title}",
        [
            f"Augmentation: {recipe.augmentation or 'none'}.",
            f"Preprocessing: {_said(recipe.preprocessing)}.",
        ],
        out or Path(f"{experiment.name}-draws-{image}.svg"),
    )
    terminal.tell(f"{file}: training image {image} of {recipe.data.dataset}")


def _said(steps: tuple) -> str:
    return ", ".join(map(str, steps)) or "none"
