"""`compare`: two groups of runs of the same experiments, and whether accuracy differs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from repro import catalog, spec
from repro.commands import options
from repro.commands.options import Json
from repro.errors import UsageError, accept
from repro.judging.sides import FACTORS

LONGEST_HEADING = 14

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[EXPERIMENT|PAPER]...",
        autocompletion=options.names(catalog.experiments),
        help="Default: all.",
    ),
]


def compare(
    names: Names = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(FACTORS), help="What the groups differ in; compared by pairs."
        ),
    ] = None,
    a: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Instead: the runs of one group, 'jax gpu' say."),
    ] = None,
    b: Annotated[
        str | None, typer.Option(metavar="WORDS", help="And of the other: keras=3.15.1, commit=...")
    ] = None,
    scale: Annotated[str, typer.Option(metavar="short|paper")] = "paper",
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the differences.")
    ] = None,
    json: Json = False,
):
    """Does accuracy differ between two groups of runs?"""
    accept("scale", scale, spec.SCALES[1:])
    if by is not None:
        accept("--by", by, FACTORS)
    if (by is None) == (a is None and b is None):
        raise UsageError(f"accepted is one of the two: --by {'|'.join(FACTORS)}, or --a and --b")
    if (a is None) != (b is None):
        raise UsageError("--a and --b go together: each names the runs of one group")
    if figure is not None and figure.suffix not in (".svg", ".png"):
        raise UsageError(f"--figure {figure}: accepted is a name that ends in .svg or .png")
    chosen = options.several(names)
    from repro import terminal
    from repro.commands import compared
    from repro.judging import compare, sides, spread
    from repro.records import here

    records = here.gather()
    every = [(one, runs) for one in chosen if (runs := sides.runs(records, one, scale))]
    flat = [run for _, runs in every for run in runs]
    if not any(run.record["result"] for run in flat):
        what = ", ".join(names) if names else "any experiment"
        raise UsageError(f"no {scale}-scale runs of {what} by its present recipe; see repro list")
    pairs = sides.pairs_by(by, flat) if by else [sides.pair_of_labels(a, b, flat)]
    made = compare.compare(pairs, every, spread.prior_of_all(records, scale))
    if not made:
        raise UsageError(_one_group(by, pairs, flat, scale))
    if figure is not None:
        from repro.report import compare_figure

        compare_figure.draw(made, scale, figure)
    if json:
        terminal.print_json({"by": by, "scale": scale, "comparisons": made})
    else:
        for comparison in made:
            print_comparison(comparison, scale)
        terminal.say(compared.note(made))
    return any(comparison.differs for comparison in made)


def _one_group(by: str | None, pairs: Sequence, flat: Sequence, scale: str) -> str:
    """Why nothing can be compared: which groups there are."""
    from repro.commands import compared
    from repro.judging import sides

    counts = sides.levels(by, flat) if by else {}
    for pair in pairs if not by else ():
        counts = {side.label: sum(map(side.has, flat)) for side in (pair.a, pair.b)}
    there = ", ".join(f"{level} ({compared.runs(count)})" for level, count in counts.items())
    if by and len(counts) < 2:
        return f"--by {by}: the {scale}-scale runs are all of one group, {there}; it takes two"
    return f"no experiment has {scale}-scale runs of two of these groups: {there or 'none'}"


def print_comparison(comparison, scale: str) -> None:
    """A table of 80 columns where the names of the experiments are short, and what it comes to."""
    from repro import terminal
    from repro.commands import compared

    a, b = comparison.a, comparison.b
    short = max(len(a), len(b)) <= LONGEST_HEADING
    columns = ["experiment", *((a, b) if short else ("a", "b")), "b - a", "tolerance", "verdict"]
    columns += ["images"] if compared.shows_images(comparison) else []
    rows = [compared.row(row)[: len(columns)] for row in comparison.rows]
    title = f"a: {a}; b: {b}; {scale} scale"
    narrow = ("experiment", "b - a", "tolerance", "verdict")
    if rows:
        terminal.print_table(columns, rows, title=title, narrow=narrow)
    else:
        terminal.tell(title)
    for line in compared.below(comparison):
        terminal.tell(line)
