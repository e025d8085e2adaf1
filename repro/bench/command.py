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
from repro.bench.contenders import (
    CONTENDERS,
    NETWORKS,
    Contender,
    Network,
    contender,
    groups,
    network,
)
from repro.bench.summary import summarise
from repro.errors import Interrupted, ReproError, RunError, UsageError
from repro.machine import has_gpu
from repro.records import RESULTS
from repro.report import bench_page
from repro.report.ownership import refuse_foreign
from repro.report.words import count_of

ROUNDS, SECONDS = 6, 4.0  # the interval of a median takes six rounds

BENCH_JSON, GPU_JSON = (names[0] for names in bench_page.FILES.values())

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
        help=f"Where {BENCH_JSON} and its page go, on a GPU {GPU_JSON}. Default: {RESULTS}, if all "
        f"of the usual ones ran {ROUNDS} rounds or more of {SECONDS:g} seconds, on all networks; "
        "on a GPU, on those that are named.",
    ),
]
Networks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NETWORK",
        help=f"From: {', '.join(n.experiment for n in NETWORKS)}. Default: all of them.",
    ),
]


@app.command()
def bench(
    networks: Networks = None,
    seconds: Seconds = SECONDS,
    number: Rounds = ROUNDS,
    contenders: Chosen = None,
    out: Out = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.")
    ] = False,
    measure: Annotated[str | None, typer.Option(metavar="NAME", hidden=True)] = None,
) -> int:
    """How fast networks are trained here, beside what people would use instead.

    All of it takes 40 minutes on two quiet cores; ResNet-20 alone, on a GPU, nine.
    """
    if measure:  # the process of one contender
        rounds.measure(measure, networks[0] if networks else None, seconds)
        return 0
    timed, chosen = _networks(networks), _chosen(contenders)
    playing = groups(timed, chosen, number)
    timed = [one for one in timed if any(group.network == one for group in playing)]
    whole = contenders is None and number >= ROUNDS and seconds >= SECONDS
    everywhere = whole and len(timed) == len(NETWORKS)
    folder = out or (Path(RESULTS) if everywhere or (whole and has_gpu()) else None)
    if folder is not None:
        refuse_foreign([folder / name for names in bench_page.FILES.values() for name in names])
    _prepare(timed)
    facts = place.facts(timed, number, seconds)  # before: the commit is that of what is timed
    turns = sum(group.rounds * len(group.contenders) for group in playing)
    title = f"{count_of(turns, 'turn')} of {seconds:g} seconds"
    with terminal.Counter(title, "turns") as counter:
        samples, not_run = rounds.run(playing, seconds, terminal.say, counter)
    document = summarise(facts, samples, not_run)
    if as_json:
        terminal.print_json(document)
    else:
        for heading, table in bench_page.tables(document):
            terminal.say(heading)
            terminal.print_table(*table)
            print()
        terminal.say(bench_page.quiet(document))
    lacking = [reason for reason in not_run.values() if not reason.startswith(rounds.MEMORY)]
    on_gpu = bench_page.kind(document) == "GPU"
    if folder is not None and (out or (not lacking and (everywhere or on_gpu))):
        written = bench_page.write(document, folder)
        terminal.say(f"written: {', '.join(map(str, written))}")
    elif folder is not None:
        reason = lacking[0] if lacking else "no GPU computed"
        terminal.say(f"not written to {folder}: {reason}; --out {folder} writes it even so")
    failed = [reason for reason in not_run.values() if reason.startswith("it failed")]
    return RunError.exit_code if failed else 0


def _networks(names: Sequence[str] | None) -> list[Network]:
    if not names:
        return list(NETWORKS)
    wanted = [network(name) for name in names]
    return [one for one in NETWORKS if one in wanted]


def _chosen(names: str | None) -> list[Contender]:
    if names is None:
        here = "GPU" if has_gpu() else "CPU"
        return [one for one in CONTENDERS if here in one.usual]
    wanted = [contender(name.strip()) for name in names.split(",")]
    return [one for one in CONTENDERS if one in wanted]


def _prepare(networks: Sequence[Network]) -> None:
    """The datasets, so that no contender reads one while it is timed. Raises DataError."""
    from repro import catalog
    from repro.data import datasets

    experiments = [catalog.experiment(network.experiment) for network in networks]
    for name in dict.fromkeys(experiment.recipe.data.dataset for experiment in experiments):
        marking = terminal.Counter(f"marking {name}", "photographs")
        with marking, terminal.Counter(f"preparing {name}", "examples") as counter:
            datasets.prepare(name, counter, marking_progress=marking, warn=terminal.say)


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
