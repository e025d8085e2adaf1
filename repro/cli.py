"""The `repro` command: which commands there are, and how one ends.

Exit codes: 0 done; 1 judged and fell short; 2 wrong usage or bad value; 3 data missing; 4 the run
failed; 130 interrupted. Errors are one line on standard error, or a list. Nothing that takes long
to import is imported before it is needed.
"""

import os
import re
import signal
import sys
import traceback
import warnings
from typing import Annotated

import typer

from repro import __version__, streams
from repro.commands import browse, compare, draws, judge, look, surroundings, train, verify
from repro.errors import Interrupted, Listed, ReproError, UsageError
from repro.machine import on_signals
from repro.running import isolation

BUG = "(a bug; please report it)"

app = typer.Typer(
    help="The landmark CNN papers, trained as written and held against their own numbers.",
    epilog="Exit codes: 0 done, 1 judged and fell short, 2 wrong usage, 3 data missing, "
    "4 the run failed, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("list")(browse.list_)
app.command()(browse.show)
app.command()(browse.anatomy)
app.command()(browse.parts)
app.command()(train.run)
app.command()(train.resume)
app.command()(train.evaluate)
app.command()(train.export)
app.command()(draws.draws)
app.command()(look.look)
app.command("train-one", hidden=True)(train.train_one)
app.command()(judge.verdict)
app.command()(judge.claims)
app.command()(compare.compare)
app.command()(verify.verify)
app.command()(judge.results)
app.command()(surroundings.sync)
app.command()(surroundings.ui)
app.command()(surroundings.data)
app.command()(surroundings.doctor)


def _version(value: bool) -> None:
    if value:
        print(f"repro {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
):
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the working folder is gone; go to one that exists") from None


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code; never raises.

    arguments: instead of those of this process, whose surroundings then stay as they are.
    """
    if os.name == "nt":
        print("error: Windows is not supported; repro runs under WSL", file=sys.stderr)
        return UsageError.exit_code
    if arguments is None:
        arguments = sys.argv[1:]
        streams.prepare()
        isolation.pin_this_process()
        warnings.simplefilter("ignore")
    with on_signals([signal.SIGTERM], signal.default_int_handler):
        return _main(arguments)


def _main(arguments: list[str]) -> int:
    try:
        code = app(arguments or ["--help"], prog_name="repro", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except Listed as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ReproError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(_hint(error.format_message()), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", Interrupted.exit_code)
    except BrokenPipeError:  # the reader of our output has gone, as in `repro list | head -1`
        _drop_output()
        return 0
    except (OSError, MemoryError) as error:
        _drop_output()
        return _fail(f"{type(error).__name__}: {error}", ReproError.exit_code)
    except Exception as error:
        traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error} {BUG}", ReproError.exit_code)


def _drop_output() -> None:
    """Python flushes standard output once more when it ends, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, code: int) -> int:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return code


def _hint(text: str) -> str:
    """Typer's message with our words for its guesses."""
    text = re.sub(r"\(Possible options: (.*)\)", r"(did you mean \1?)", text)
    return re.sub(r"Did you mean '?(.*?)'?\?$", r"(did you mean \1?)", text)
