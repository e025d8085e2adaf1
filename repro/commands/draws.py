"""`draws`: pictures of what training sees of an image."""

from pathlib import Path
from typing import Annotated

import typer

from repro import settings, spec
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
    """Pictures of what training sees of one image: a dozen random augmentations of it."""
    options.accept_picture(out)
    experiment = settings.override(options.experiment(name), overrides or [])
    recipe = experiment.recipe
    from repro import terminal
    from repro.data import inputs, sets
    from repro.data.distortion import DistortedCopies
    from repro.data.photographs import Photographs
    from repro.report import draws_sheet

    with terminal.working(f"preparing the images of {recipe.data.dataset}"):
        stored = inputs.training_images(recipe.data)
        count = len(stored.labels)
        if image >= count:
            raise UsageError(f"--image {image}: accepted is a whole number from 0 to {count - 1:,}")
        batches = inputs.of_training(recipe).batches(recipe.batch, seed=0)
        fixed = isinstance(recipe.augmentation, DistortedCopies)  # the same in every pass
        most = batches.size // count if fixed else DRAWS
        drawn = batches.draws(image, min(most, DRAWS) if recipe.augmentation else 1)
    photographs = isinstance(stored.images, Photographs)
    dataset = sets.DATASETS[recipe.data.dataset]
    label = dataset.class_name(stored.labels[image])
    file = draws_sheet.draw(
        stored.images[image],
        255.0 if photographs else float(stored.images[:1000].max()),
        drawn,
        ", ".join([experiment.name, *(overrides or [])]),
        f"Training image {image:,}, class {label}, of {dataset.title}",
        _done_to_it(recipe),
        out or Path(f"{experiment.name}-draws-{image}.svg"),
    )
    terminal.tell(f"{file}: training image {image} of {recipe.data.dataset}")


def _done_to_it(recipe: spec.Recipe) -> str:
    """The steps, in their order; crops of whole photographs take the place of `Square`."""
    from repro.data.augmentation import takes_photographs

    augmentation, before = recipe.augmentation, recipe.preprocessing
    augmenting = getattr(augmentation, "steps", (augmentation,) if augmentation else ())
    if takes_photographs(augmentation):
        steps = (*augmenting, *before[1:])
    else:
        steps = (*before, *augmenting)
    return f"Done to it: {', '.join(map(str, steps)) or 'nothing'}."
