"""Standard input, output and error, made safe to print to."""

import codecs
import os
import sys

# How signs are spelt where the encoding of a stream lacks them.
PLAIN = {"±": "+-", "·": "-", "−": "-", "–": "-", "—": "-", "×": "x", "…": "...", "’": "'"}


def prepare() -> None:
    """Makes printing safe: streams that are closed lead nowhere, signs that they lack are spelt."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # or else the next file that is opened would take its place
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            nowhere = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - until the end
            setattr(sys, name, nowhere)
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):  # of no columns nothing would be seen
        if not os.environ.get(name, "1").isdecimal() or int(os.environ.get(name, "1")) < 1:
            del os.environ[name]
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in signs), error.end
