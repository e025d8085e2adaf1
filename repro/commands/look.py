"""`look`: what a network sees, as pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from repro import catalog
from repro.commands import options
from repro.commands.options import Json


def look(
    seer: Annotated[
        str,
        typer.Argument(
            metavar="RUN_DIR|NETWORK",
            autocompletion=options.names(catalog.networks),
            help="A finished run; or a network, which is looked at untrained.",
        ),
    ],
    image: Annotated[
        int | None,
        options.number(
            "--image", 0, 999_999_999, metavar="I", help="A test image, from 0. Default: 0."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose maps are shown. Default: the deepest that sees parts of images.",
        ),
    ] = None,
    guided: Annotated[
        bool,
        typer.Option("--guided", help="Deconvolution that also goes by what relus let through."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg|FILE.png", help="Default: in figures/ of the run."),
    ] = None,
    json: Json = False,
):
    """What a network sees: filters, what excites its maps, occlusion, deconvolution."""
    options.accept_picture(out)
    run_dir = Path(seer) if "/" in seer or Path(seer).is_dir() else None
    if run_dir is None:
        catalog.network(seer)  # an unknown name is refused before Keras is imported
    from repro import terminal
    from repro.data import sets
    from repro.report import look_sheet
    from repro.training import looking, runner

    with terminal.working(f"building {seer}"), terminal.muffled():
        network, experiment = runner.finished(run_dir) if run_dir else looking.untrained(seer)
    with terminal.Counter(f"looking at {seer}", "test images") as counter:
        seen = looking.look(network, experiment, image or 0, layer, guided, counter)
    if out is None:
        name = f"look-{seen.layer}-{seen.image}{'-guided' if guided else ''}.svg"
        out = run_dir / "figures" / name if run_dir else Path(f"{seer}-{name}")
    within = run_dir if run_dir and run_dir in out.parents else None
    dataset = sets.DATASETS[experiment.recipe.data.dataset]
    title = _title(experiment.name, run_dir) if run_dir else f"{seer}, untrained"
    look_sheet.draw(seen, title, dataset, out, within)
    if json:
        return terminal.print_json({"file": str(out), **_numbers(seen)})
    terminal.tell(f"{out}: image {seen.image}, maps of {seen.layer}")


def _title(experiment: str, run_dir: Path) -> str:
    from repro.records.journal import Journal

    run = Journal.open(run_dir).run()
    return ", ".join(
        [f"{experiment}, {run['scale']} scale, seed {run['seed']}", *run.get("overrides", ())]
    )


def _numbers(seen: Any) -> dict[str, Any]:
    """What the sheet says in numbers; probabilities only where the network gives any."""
    occluded = seen.occlusion
    probability = occluded.without if seen.probable else None
    least = float(occluded.probabilities.min()) if seen.probable else None
    return {
        "image": seen.image,
        "label": seen.label,
        "guess": occluded.guess,
        "probability": probability,
        "least_probability": least,
        "layer": seen.layer,
        "units": seen.units,
        "sees": seen.sees,
        "looked_at": seen.looked_at,
        "silent": seen.silent,
        "maps": [
            {"map": e.number, "values": e.values.tolist(), "images": e.images.tolist()}
            for e in seen.excited
        ],
    }
