"""`verdict`, `claims`, `results`: what the recorded runs say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from repro import catalog, spec
from repro.commands import options
from repro.commands.options import Json, number
from repro.errors import ReproError, UsageError, accept
from repro.limits import MOST_SEEDS
from repro.records import RESULTS, RUNS


def verdict(
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="[EXPERIMENT]",
            autocompletion=options.names(catalog.experiments),
            help="Or a paper's name, for all its experiments.",
        ),
    ] = None,
    json: Json = False,
):
    """Measured against reported."""
    from repro import terminal
    from repro.judging import explain, spread
    from repro.judging.verdict import NOT_RUN, fell_short, table
    from repro.records import here

    chosen = {each.name for each in options.experiments(experiment)}
    records = here.gather()
    rows = table(records, catalog.experiments(), spread.prior_of_all(records))
    rows = [row for row in rows if row.experiment in chosen]
    if json:
        terminal.print_json(rows)
    else:
        print_verdicts(rows)
        for row in rows if experiment else ():
            if row.main and row.verdict != NOT_RUN:
                terminal.tell(f"{row.experiment}, {row.metric}: {explain.row(row)}")
    return fell_short(rows)


def print_verdicts(rows: Sequence) -> None:
    """The rows of `judging.verdict.table`; nothing where there are none."""
    from repro import terminal
    from repro.commands import texts
    from repro.report import words

    if not rows:
        return
    columns = ("experiment", "metric", "protocol", "reported", "measured", "difference", "verdict")
    columns = (*columns, "equivalent")
    experiments = {experiment.name: experiment for experiment in catalog.experiments()}
    lines = []
    for row in rows:
        number = f"{row.reported:g}" if row.reported is not None else None
        if row.main:
            number = number or texts.papers_number(row, experiments[row.experiment])
        difference = None if row.difference is None else f"{row.difference:+.3f}"
        name = row.experiment if row.main else f"  {row.group}"
        facts = (name, row.metric, row.protocol, number, texts.measured(row), difference)
        lines.append((*facts, words.verdict_word(row), row.equivalent))
    narrow = ("experiment", "reported", "measured", "verdict", "equivalent")
    terminal.print_table(columns, lines, narrow=narrow if _one_metric(rows) else ())
    if chance := words.by_chance(rows):
        terminal.say(chance)


def _one_metric(rows: Sequence) -> bool:
    """Whether no experiment is held against several numbers, which their metrics tell apart."""
    main = [row.experiment for row in rows if row.main]
    return len(main) == len(set(main))


def claims(
    claim: Annotated[
        str | None,
        typer.Argument(metavar="[CLAIM]", autocompletion=options.names(catalog.claims)),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Train what is missing first.")] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="short|paper",
            help="Judge runs of this scale alone; train at it. Default: paper, else short.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        number("--seeds", 2, MOST_SEEDS, metavar="N", help="With --run. Default: 3."),
    ] = None,
    jobs: options.Jobs = None,
    json: Json = False,
):
    """The papers' claims, and how they stand."""
    from repro import terminal
    from repro.judging import claims, explain
    from repro.records import here

    if scale is not None:
        accept("scale", scale, spec.SCALES[1:])
    if seeds and not run:
        raise UsageError(f"--seeds {seeds}: goes with --run")
    if jobs and not run:
        raise UsageError(f"--jobs {jobs}: goes with --run")
    chosen = [catalog.claim(claim)] if claim else list(catalog.claims())
    left_out = _train_missing(chosen, scale or "paper", seeds or 3, jobs) if run else []
    records = here.gather()
    rows = [claims.judge(one, records, scale=scale) for one in chosen]
    if json:
        terminal.print_json(rows)
    else:
        _print_claims(rows)
        if claim:
            terminal.tell(explain.claim(rows[0]))
    if left_out:
        return left_out[0].exit_code
    return any(row.verdict == claims.FAILS and row.scale == "paper" for row in rows)


def _train_missing(
    chosen: Sequence[spec.Claim], scale: str, seeds: int, jobs: int | None
) -> list[ReproError]:
    """Trains what the claims lack; the errors of what was left out."""
    from repro.judging import claims
    from repro.records import here
    from repro.running import train

    train.writable(RUNS)
    records, wanted = here.gather(), {}
    for one in chosen:
        for name, lacking in claims.missing(one, records, scale, seeds).items():
            wanted[name] = sorted({*wanted.get(name, ()), *lacking})
    return train.train_missing(wanted, train.Options(scale=scale, out=RUNS, jobs=jobs))


def _print_claims(rows: Sequence) -> None:
    from repro import terminal
    from repro.judging import claims
    from repro.report import words

    columns = ("claim", "statement", "source", "metric", "effect", "interval", "verdict")
    lines = []
    for row in rows:
        effect, interval = words.effect(row), words.interval(row.low, row.high)
        facts = (row.claim, row.statement, row.source, row.metric)
        lines.append((*facts, effect, interval, claims.words(row)))
    terminal.print_table(columns, lines)
    terminal.say(
        "Effect: the fall of the mean between neighbours, or how many times it is lower, "
        "with a 95 % interval."
    )


def results(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of records and pages.")
    ] = Path(RESULTS),
    count: Annotated[
        bool,
        typer.Option("--count", help="Count every network, for `repro show`; takes minutes."),
    ] = False,
    json: Json = False,
):
    """Write results/ again from the records of the runs."""
    from repro import terminal
    from repro.records import here
    from repro.report import writing

    kept = here.kept_in() if out != Path(RESULTS) else None
    with terminal.working(f"writing {out}/"):
        made = writing.regenerate(RUNS, out, kept=kept, count=count)
    if json:
        return terminal.print_json(made)
    for path in made["added"]:
        print(f"added {path}")
    if made["records"]:
        print(f"{out}/ is written from {made['records']:,} records")
    else:
        print(f"no records in {out.absolute()} and {Path(RUNS).absolute()}: nothing is written")
