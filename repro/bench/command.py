"""`python -m repro.bench`: parses, measures, prints."""

import math
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from repro import terminal
from repro.bench import place, rounds
from repro.bench.contenders import CONTENDERS, EXPERIMENT, Contender
from repro.bench.summary import summarise
from repro.errors import Interrupted, ReproError, RunError, UsageError
from repro.records import RESULTS
from repro.report.bench_page import JSON, PAGE, contender_table, quiet, ratio_table, write
from repro.report.ownership import refuse_foreign
from repro.report.words import count_of

ROUNDS, SECONDS = 12, 5.0

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _number(option: str, kind: type, least: float, most: float, **described: Any) -> Any:
    """An option that takes a number from `least` to `most`."""

    def parse(text: str | float) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            short = text if len(str(text)) <= 20 else f"{text[:17]}..."
            raise UsageError(f"{option} {short}: accepted is {what} from {least:g} to {most:g}")
        return value

    return typer.Option(option, parser=parse, **described)


Seconds = Annotated[
    float,
    _number(
        *("--seconds", float, 0.1, 3600),
        metavar="S",
        help="How long a turn of a contender is, one in every round.",
    ),
]
Rounds = Annotated[int, _number("--rounds", int, 1, 100, metavar="N")]
Chosen = Annotated[
    str | None,
    typer.Option(
        "--contenders",
        metavar="NAME,...",
        help=f"Some alone, from: {', '.join(c.name for c in CONTENDERS)}. Default: the usual ones.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help=f"Where {JSON} and {PAGE} go. Default: {RESULTS}, if all of the usual ones ran "
        f"{ROUNDS} rounds or more of {SECONDS:g} seconds.",
    ),
]


@app.command()
def bench(
    seconds: Seconds = SECONDS,
    number: Rounds = ROUNDS,
    contenders: Chosen = None,
    out: Out = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.")
    ] = False,
    measure: Annotated[str | None, typer.Option(metavar="NAME", hidden=True)] = None,
) -> int:
    """How fast ResNet-20 is trained here, beside what people would use instead."""
    if measure:  # the process of one contender
        rounds.measure(measure, seconds)
        return 0
    chosen = _chosen(contenders)
    whole = contenders is None and number >= ROUNDS and seconds >= SECONDS
    folder = out or (Path(RESULTS) if whole else None)
    if folder is not None:
        refuse_foreign([folder / JSON, folder / PAGE])
    if any(contender.unit == "images/s" for contender in chosen):
        _prepare()
    facts = place.facts(number, seconds)  # before: the commit is that of the code that is timed
    title = f"{count_of(number, 'round')} of {count_of(len(chosen), 'contender')}"
    with terminal.Counter(f"{title}, {seconds:g} seconds a turn", "turns") as counter:
        samples, not_run = rounds.run(chosen, number, seconds, terminal.say, counter)
    document = summarise(facts, samples, not_run)
    if as_json:
        terminal.print_json(document)
    else:
        for table in (contender_table(document), ratio_table(document)):
            terminal.print_table(*table)
            print()
        terminal.say(quiet(document))
    if folder is not None and (out or not not_run):
        write(document, folder)
        terminal.say(f"written: {folder / JSON}, {folder / PAGE}")
    failed = [name for name, reason in not_run.items() if reason.startswith("it failed")]
    return RunError.exit_code if failed else 0


def _chosen(names: str | None) -> list[Contender]:
    if names is None:
        return [contender for contender in CONTENDERS if contender.usual]
    wanted = {rounds.contender(name.strip()).name for name in names.split(",")}
    return [contender for contender in CONTENDERS if contender.name in wanted]


def _prepare() -> None:
    """The dataset, so that no contender reads it while it is timed. Raises DataError."""
    from repro import catalog
    from repro.data import datasets

    name = catalog.experiment(EXPERIMENT).recipe.data.dataset
    with terminal.Counter(f"preparing {name}", "examples") as counter:
        datasets.prepare(name, counter)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m repro.bench` and returns the exit code of the command line; never raises."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        arguments = sys.argv[1:] if arguments is None else list(arguments)
        return int(app(arguments, prog_name="repro.bench", standalone_mode=False) or 0)
    except ReproError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", Interrupted.exit_code)
    except Exception as error:
        traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error}", ReproError.exit_code)
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(text: str, code: int) -> int:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return code
