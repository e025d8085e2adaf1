"""What several commands take, and how a value that makes no sense is refused."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from repro import catalog, spec
from repro.errors import UsageError


def names(candidates: Callable[[], Iterable]) -> Callable[[str], list[str]]:
    return lambda incomplete: [c.name for c in candidates() if c.name.startswith(incomplete)]


def number(option: str, least: int, most: int, **described):
    """An option that takes a whole number from `least` to `most`."""

    def parse(text: str | int) -> int:
        if isinstance(text, int):
            return text
        short = text if len(text) <= 20 else text[:17] + "..."
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise UsageError(
                f"{option} {short}: accepted is a whole number from {least} to {most:,}"
            )
        return int(text)

    return typer.Option(option, parser=parse, **described)


def jobs(text: str) -> int | None:
    """A number of runs, or None for `auto`."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_JOBS:
        raise UsageError(
            f"--jobs {text:.20}: accepted is auto, or a whole number from 1 to {MOST_JOBS}"
        )
    return int(text)


MOST_JOBS = 64
PICTURES = (".svg", ".png")
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="auto|K",
        parser=jobs,
        help="Runs side by side. Default: auto, as many as are fastest together.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        autocompletion=names(catalog.experiments),
        help="See `repro list`; a paper's name stands for its first experiment.",
    ),
]
RunDir = Annotated[Path, typer.Argument(metavar="RUN_DIR")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated."),
]
Scale = Annotated[str, typer.Option(metavar="|".join(spec.SCALES))]
Strategy = Annotated[str, typer.Option(metavar="auto|single|mirrored")]
Precision = Annotated[str, typer.Option(metavar="|".join(spec.PRECISIONS))]


def accept_picture(out: Path | None) -> None:
    """Raises UsageError for the name of a file in a format that is not drawn."""
    if out and out.suffix not in PICTURES:
        raise UsageError(f"--out {out}: accepted is a name that ends in {' or '.join(PICTURES)}")


def experiment(name: str) -> spec.Experiment:
    """The experiment `name`, or the headline of the paper `name`. Raises UsageError."""
    if name in catalog.PAPERS:
        return catalog.paper(name).experiments[0]
    return catalog.experiment(name)


def experiments(name: str | None) -> tuple[spec.Experiment, ...]:
    """The experiment `name`, all those of the paper `name`, or all there are."""
    if name is None:
        return catalog.experiments()
    if name in catalog.PAPERS:
        return catalog.paper(name).experiments
    return (catalog.experiment(name),)


def several(names: Iterable[str] | None) -> tuple[spec.Experiment, ...]:
    """The experiments of all the names, each once; all there are where none is given."""
    chosen = [one for name in names or (None,) for one in experiments(name)]
    return tuple({one.name: one for one in chosen}.values())
