"""`python -m repro.bench`: contenders in processes of their own, in turns."""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path

from repro import spec
from repro.bench.contenders import (
    BATCH,
    CONTENDERS,
    EXPERIMENT,
    MULTIPLY_ADDS,
    PARAMETERS,
    Contender,
)
from repro.bench.summary import summarise
from repro.errors import Interrupted, ReproError, RunError, UsageError, unknown
from repro.report.bench_page import JSON, PAGE, contender_table, count_of, quiet, ratio_table, write

ROUNDS, SECONDS = 3, 20.0


def measure(name: str, seconds: float) -> dict:
    """Runs one contender in this process; its sample."""
    contender = _contender(name)
    function = getattr(import_module(contender.module), contender.function)
    return function(seconds, **contender.options)


def run(
    chosen: Sequence[Contender],
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[dict], dict[str, str]]:
    """All samples, round by round, and why contenders were not run, by name.

    One that fails is left out of the rounds that follow, and its samples with it. `say` is told of
    every sample, `progress` how many of how many processes are done.
    """
    samples, not_run = [], {}
    for contender in chosen:
        if importlib.util.find_spec(contender.package) is None:
            reason = f"{contender.package} is not installed; do: pip install {contender.package}"
            not_run[contender.name] = reason
            say(f"{contender.title}: not run, {reason}")
    plan = [(number, contender) for number in range(1, rounds + 1) for contender in chosen]
    with tempfile.TemporaryDirectory(prefix="repro-bench-") as scratch:
        for done, (number, contender) in enumerate(plan):
            if contender.name in not_run:
                continue
            progress(done, len(plan))
            began = time.monotonic()
            try:
                sample = _in_process(contender.name, seconds, scratch)
            except RunError as error:
                not_run[contender.name] = str(error)
                samples = [s for s in samples if s["contender"] != contender.name]
                say(f"{contender.title}: {error}")
                continue
            spent = time.monotonic() - began
            common = {"contender": contender.name, "round": number, "process_seconds": spent}
            samples.append({**common, **sample})
            figure = f"{sample['rate']:,.0f} {contender.unit}"
            say(f"round {number} of {rounds}: {contender.title}: {figure} ({spent:.0f} s)")
    return samples, not_run


def _in_process(name: str, seconds: float, scratch: str) -> dict:
    """The sample of one contender from a fresh process. Raises RunError where it failed."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db",
        "TMPDIR": scratch,
    }
    command = [sys.executable, "-m", "repro.bench", "--measure", name, "--seconds", str(seconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        try:
            out, err = child.communicate()
        except BaseException:
            child.kill()
            raise
    try:
        return json.loads(out)
    except ValueError:
        lines = err.strip().splitlines() or [f"ended with exit code {child.returncode}"]
        told = [line for line in lines if line.startswith("error: ")] or lines
        reason = told[-1].removeprefix("error: ")
        raise RunError(f"it failed: {reason}") from None


def _contender(name: str) -> Contender:
    for contender in CONTENDERS:
        if contender.name == name:
            return contender
    raise unknown("contender", name, [c.name for c in CONTENDERS])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m repro.bench` and returns the exit code of the command line; never raises."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _bench(_parse(sys.argv[1:] if arguments is None else arguments))
    except ReproError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", Interrupted.exit_code)
    except Exception as error:
        traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error}", ReproError.exit_code)
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(text: str, code: int) -> int:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UsageError(message)


def _number(option: str, kind: type, least: float, most: float):
    def parse(text: str) -> float:
        with contextlib.suppress(ValueError):
            value = kind(text)
            if math.isfinite(value) and least <= value <= most:
                return value
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"{option} {text}: accepted is {what} from {least:g} to {most:g}")

    return parse


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="repro.bench",
        description="How fast ResNet-20 is trained here, beside what people would use instead.",
        allow_abbrev=False,
    )
    named = ", ".join(c.name for c in CONTENDERS)
    parser.add_argument(
        "--seconds",
        type=_number("--seconds", float, 0.1, 3600),
        default=SECONDS,
        metavar="S",
        help=f"Time each contender for so long in every round.  [default: {SECONDS:g}]",
    )
    parser.add_argument(
        "--rounds",
        type=_number("--rounds", int, 1, 100),
        default=ROUNDS,
        metavar="N",
        help=f"[default: {ROUNDS}]",
    )
    parser.add_argument(
        "--contenders", metavar="NAME,...", help=f"Some alone, from: {named}.  [default: usual]"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"Where {JSON} and {PAGE} go.  [default: results, from {ROUNDS} rounds of all, at "
        f"least {SECONDS:g} seconds each]",
    )
    parser.add_argument("--json", action="store_true", help="One JSON document on standard output.")
    parser.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)
    known, rest = parser.parse_known_args(list(arguments))
    if rest:
        options = ["--seconds", "--rounds", "--contenders", "--out", "--json", "--help"]
        raise unknown("option", rest[0], options)
    return known


def _bench(options: argparse.Namespace) -> int:
    if options.measure:
        print(json.dumps(measure(options.measure, options.seconds)), flush=True)
        return 0
    from repro import terminal

    chosen = _chosen(options.contenders)
    out = options.out
    long_enough = options.rounds >= ROUNDS and options.seconds >= SECONDS
    if any(contender.unit == "images/s" for contender in chosen):
        _prepare()
    place = facts(options)  # before: the commit is that of the code that is timed
    how = f"{count_of(options.rounds, 'round')} of {count_of(len(chosen), 'contender')}"
    with terminal.Counter(f"{how}, {options.seconds:g} seconds timed each", "processes") as counter:
        samples, not_run = run(chosen, options.rounds, options.seconds, terminal.say, counter)
    document = summarise(place, samples, not_run)
    if options.json:
        terminal.print_json(document)
    else:
        for table in (contender_table(document), ratio_table(document)):
            terminal.print_table(*table)
            print()
        terminal.say(quiet(document).strip())
    if out is None and options.contenders is None and long_enough and not not_run:
        out = Path("results")
    if out is not None:
        write(document, out)
        terminal.say(f"written: {out / JSON}, {out / PAGE}")
    failed = [name for name, reason in not_run.items() if reason.startswith("it failed")]
    return RunError.exit_code if failed else 0


def _chosen(names: str | None) -> list[Contender]:
    if names is None:
        return [contender for contender in CONTENDERS if contender.usual]
    wanted = {_contender(name.strip()).name for name in names.split(",")}
    return [contender for contender in CONTENDERS if contender.name in wanted]


def _prepare() -> None:
    """The dataset, so that no contender reads it while it is timed. Raises DataError."""
    from repro import catalog, terminal
    from repro.data import datasets

    name = catalog.experiment(EXPERIMENT).recipe.data.dataset
    with terminal.Counter(f"preparing {name}", "examples") as counter:
        datasets.prepare(name, counter)


def facts(options: argparse.Namespace) -> dict:
    """Where, when, with what and how it is measured."""
    from repro import catalog
    from repro.records import provenance

    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("keras", "tensorflow", "torch", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance.commit(),
        "machine": provenance.machine(),
        "versions": versions,
        "experiment": EXPERIMENT,
        "batch": BATCH,
        "parameters": PARAMETERS,
        "multiply_adds": MULTIPLY_ADDS,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "cadence": cadence(catalog.experiment(EXPERIMENT)),
    }


def cadence(experiment: spec.Experiment) -> dict[str, float]:
    """How often a run is scored, saved and logged: see `combined_rate`."""
    from repro.data import datasets
    from repro.records import tracking
    from repro.training import training

    data = experiment.recipe.data
    return {
        "passes": experiment.recipe.tested_every,
        "train_examples": datasets.count(data.dataset, data.train),
        "test_examples": datasets.count(data.dataset, data.test),
        "checkpoint_seconds": training.SECONDS_BETWEEN_CHECKPOINTS,
        "tracking_seconds": tracking.SECONDS_BETWEEN_SYNCS,
    }
