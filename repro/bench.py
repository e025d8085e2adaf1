"""How fast ResNet-20 is trained here, beside what people would use instead: `make bench`.

Every contender trains ResNet-20 of He et al. 2015 on CIFAR-10's arrays, 128 images per update, in
a fresh process of its own. The processes come in one order, A B C ... A B C ..., so a machine
whose speed drifts slows all of them; figures are medians, and ratios are formed within a round
before their median is taken. What is timed is in `bench_keras` and `bench_torch`; here is the
command, the arithmetic and the page.

Nothing here imports Keras, TensorFlow or PyTorch: `page` also serves `repro results`.
"""

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from statistics import median
from typing import Any

from repro import spec
from repro.errors import DataError, Interrupted, ReproError, RunError, UsageError, unknown

EXPERIMENT = "resnet20-cifar10"
BATCH = 128
# He et al. 2015, section 4.2 with n = 3: counted layer by layer, multiply-adds without biases.
PARAMETERS, MULTIPLY_ADDS = 269_722, 40_551_040
# A multiply-add is two operations; the gradients by inputs and by weights cost as much again each.
OPERATIONS_PER_IMAGE = 3 * 2 * MULTIPLY_ADDS

ROUNDS, SECONDS = 3, 20.0
JSON, PAGE = "bench.json", "bench.md"


@dataclass(frozen=True)
class Contender:
    """Something that is timed, by `function(seconds, **options)` of the module `module`.

    The function returns a sample: `segments`, a list of [amount, seconds], and what else it knows.
    `rate` is in `unit`: by default images per second. `package` must be installed. One that is not
    `usual` runs only when it is named.
    """

    name: str
    title: str
    module: str
    function: str
    options: Mapping[str, Any]
    unit: str = "images/s"
    package: str = "tensorflow"
    usual: bool = True


def _torch(name: str, title: str, **options: Any) -> Contender:
    return Contender(name, title, "repro.bench_torch", "train", options, package="torch")


def _keras(name: str, title: str, function: str, unit: str = "images/s", usual=True, **options):
    return Contender(name, title, "repro.bench_keras", function, options, unit, usual=usual)


CONTENDERS = (
    _keras("harness", "this harness, float32", "harness", precision="float32"),
    _keras(
        "harness-bfloat16", "this harness, mixed_bfloat16", "harness", precision="mixed_bfloat16"
    ),
    _keras("keras-fit", "plain Keras, fit on arrays, float32", "fit"),
    _keras("bare", "bare Keras loop with our layers, float32", "bare"),
    _torch("torch", "PyTorch, float32", precision="float32", channels_last=False),
    _torch(
        "torch-channels-last",
        "PyTorch, float32, channels last",
        precision="float32",
        channels_last=True,
    ),
    _torch("torch-bfloat16", "PyTorch, bfloat16", precision="bfloat16", channels_last=False),
    _torch(
        "torch-bfloat16-channels-last",
        "PyTorch, bfloat16, channels last",
        precision="bfloat16",
        channels_last=True,
    ),
    _keras("pipeline", "the harness' input pipeline alone", "pipeline"),
    _keras("product", "matrix product, float32", "product", "GFLOP/s", precision="float32"),
    _keras(
        "product-bfloat16", "matrix product, bfloat16", "product", "GFLOP/s", precision="bfloat16"
    ),
    _keras("keras-epoch", "plain Keras, a whole epoch of fit", "epoch", usual=False),
)
TORCH = tuple(c.name for c in CONTENDERS if c.package == "torch")


@dataclass(frozen=True)
class Ratio:
    """`above` over the best of `below`, formed in each round; `target` where one is set.

    Where `training` is named, the training alone of that side is taken: without evaluation,
    checkpoints and logging.
    """

    title: str
    above: str
    below: tuple[str, ...]
    target: float | None = None
    training: tuple[str, ...] = ()


RATIOS = (
    Ratio("harness float32 / plain Keras fit", "harness", ("keras-fit",), 1.5),
    Ratio("harness float32 / best PyTorch", "harness", TORCH, 1.1),
    Ratio("harness mixed_bfloat16 / best PyTorch", "harness-bfloat16", TORCH, 1.6),
    Ratio("harness float32 / bare loop", "harness", ("bare",), 0.97),
    Ratio("its training alone / bare loop", "harness", ("bare",), None, ("harness",)),
    Ratio("input pipeline / training, float32", "pipeline", ("harness",), 10, ("harness",)),
    Ratio(
        "input pipeline / training, mixed_bfloat16",
        "pipeline",
        ("harness-bfloat16",),
        None,
        ("harness-bfloat16",),
    ),
    Ratio("harness mixed_bfloat16 / harness float32", "harness-bfloat16", ("harness",)),
    Ratio("harness float32 / plain Keras, a whole epoch", "harness", ("keras-epoch",)),
)


# ---------------------------------------------------------------------------- timing


class Clock:
    """Times a stretch of work in segments, until `seconds` have passed and there is one.

    `lap(amount)` ends a segment, in which so much was done (images, say), and tells whether to go
    on. Also keeps the load average at the start and how many cores others kept busy meanwhile.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._load = os.getloadavg()[0]
        self.segments: list[list[float]] = []
        self.start()

    def start(self) -> None:
        """The warm-up is over."""
        self._others = others_seconds()
        self._began = self._last = time.perf_counter()

    def lap(self, amount: float) -> bool:
        now = time.perf_counter()
        self.segments.append([amount, now - self._last])
        self._last = now
        return now - self._began < self._seconds

    def skip(self) -> None:
        """What was done since the last segment ended counts in none."""
        self._last = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds since the warm-up was over."""
        return time.perf_counter() - self._began

    def sample(self, **facts: Any) -> dict:
        """The sample of a contender; take it as soon as the stretch is over."""
        others = None
        if self._others is not None:
            others = max(0.0, (others_seconds() - self._others) / self.elapsed())
        segments = joined(self.segments)
        return {
            "rate": rate(segments),
            "segments": segments,
            "load": self._load,
            "others": others,
            **facts,
        }


def joined(segments: Sequence[Sequence[float]], most: int = 30) -> list[list[float]]:
    """At most so many segments: neighbours are taken together where there are more."""
    size = -(-len(segments) // most) or 1
    parts = [segments[first : first + size] for first in range(0, len(segments), size)]
    return [[sum(column) for column in zip(*part, strict=True)] for part in parts]


def rate(segments: Sequence[Sequence[float]]) -> float:
    """The median rate of the segments [amount, seconds]."""
    return median(amount / seconds for amount, seconds in segments)


def others_seconds() -> float | None:
    """Seconds of processor time since the start of the machine that were not this process'.

    Time that the host took from a virtual machine is in it. None where the system does not tell.
    """
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, fields)
    except (OSError, ValueError):
        return None
    busy = (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - time.process_time()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---------------------------------------------------------------------------- the arithmetic


def combined_rate(training: float, costs: Mapping[str, float], cadence: Mapping[str, int]) -> float:
    """Images per second of the whole harness, from one scoring of the test set to the next.

    training: images per second while it trains. costs: `scoring`, images per second, and the
    seconds that each takes of `first_chunk` (what a pass waits for its first images), `line` (in
    metrics.jsonl), `checkpoint` and `tracking`. cadence: `passes` between two scorings,
    `train_examples` and `test_examples`; checkpoints and tracking also go by the clock, every
    `checkpoint_seconds` and at most every `tracking_seconds`.
    """
    images, passes = cadence["passes"] * cadence["train_examples"], cadence["passes"]
    seconds = images / training
    checkpoints = passes + seconds / cadence["checkpoint_seconds"]
    logged = min(passes, seconds / cadence["tracking_seconds"])
    seconds += cadence["test_examples"] / costs["scoring"]
    seconds += passes * (costs["first_chunk"] + costs["line"])
    seconds += checkpoints * costs["checkpoint"] + logged * costs["tracking"]
    return images / seconds


def summarise(facts: Mapping, samples: Sequence[Mapping], not_run: Mapping[str, str]) -> dict:
    """The document that is written: `facts`, every sample, medians, shares and ratios.

    samples: each with `contender`, `round` and what the contender's function returned.
    not_run: why a contender has no samples, by name.
    """
    contenders = []
    for contender in CONTENDERS:
        mine = [s for s in samples if s["contender"] == contender.name]
        row = {"name": contender.name, "title": contender.title, "unit": contender.unit}
        if not mine:
            reason = not_run.get(contender.name) or "not asked for"
            contenders.append({**row, "rate": None, "not_run": reason})
            continue
        for figure in ("rate", "training"):
            if figure in mine[0]:
                row[figure] = median(s[figure] for s in mine)
        row |= {"low": min(s["rate"] for s in mine), "high": max(s["rate"] for s in mine)}
        contenders.append({**row, "samples": mine})
    rates = {row["name"]: row["rate"] for row in contenders}
    for row in contenders:
        row["share"] = _share(row, rates)
    return {
        **facts,
        "devices": sorted({sample["device"] for sample in samples}),
        "contenders": contenders,
        "ratios": [_ratio(ratio, samples) for ratio in RATIOS],
    }


def _share(row: Mapping, rates: Mapping[str, float | None]) -> float | None:
    """The operations that the training needs, over those of the machine's matrix products.

    For bfloat16 the faster of both products counts: a processor without it emulates it.
    """
    products = ["product"] + ["product-bfloat16"] * ("bfloat16" in row["name"])
    peak = max(rates[name] or 0.0 for name in products)
    if row["name"] == "pipeline" or row["unit"] != "images/s" or not row["rate"] or not peak:
        return None
    return OPERATIONS_PER_IMAGE * row["rate"] / (1e9 * peak)


def _ratio(ratio: Ratio, samples: Sequence[Mapping]) -> dict:
    rounds: dict[int, dict[str, float]] = {}
    for sample in samples:
        name, figure = sample["contender"], sample["rate"]
        if name in ratio.training:
            figure = sample.get("training", figure)
        rounds.setdefault(sample["round"], {})[name] = figure
    found = []
    for _, rates in sorted(rounds.items()):
        below = [rates[name] for name in ratio.below if name in rates]
        if ratio.above in rates and below:
            found.append(rates[ratio.above] / max(below))
    middle = median(found) if found else None
    return {"title": ratio.title, "target": ratio.target, "rounds": found, "median": middle}


# ---------------------------------------------------------------------------- the page


def page(document: Mapping) -> str:
    """results/bench.md: the JSON document of a benchmark for people."""
    return "\n".join(
        [
            "# Speed\n",
            "Made from [bench.json](bench.json) by `repro results`; measured by `make bench`.\n",
            _facts(document),
            _markdown(*_contender_table(document)),
            _markdown(*_ratio_table(document)),
            _quiet(document),
            _costs(document),
            _method(document),
        ]
    )


def _facts(document: Mapping) -> str:
    machine, versions = document["machine"], document["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    commit = (document["commit"] or "unknown")[:12] + (" with changes" if document["dirty"] else "")
    devices = ", ".join(document["devices"]) or "none"
    return (
        f"ResNet-20 ({document['parameters']:,} parameters, {document['multiply_adds']:,} "
        f"multiply-adds per image), {document['batch']} images per update, CIFAR-10.\n\n"
        f"- {machine['processor']}, {_count(machine['cores'], 'core')}; computed on {devices}\n"
        f"- {named}\n"
        f"- commit {commit}, {document['date']}\n"
        f"- {_count(document['rounds'], 'round')}, each contender timed for "
        f"{document['seconds']:g} seconds after its warm-up\n"
    )


def _contender_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["contender", "median", "lowest to highest", "unit", "share of the peak"]
    rows = []
    for row in document["contenders"]:
        if row["rate"] is None:
            rows.append([row["title"], "not run", "", "", ""])
            continue
        share = "" if row["share"] is None else f"{100 * row['share']:.0f} %"
        spread = f"{row['low']:,.0f} to {row['high']:,.0f}"
        rows.append([row["title"], f"{row['rate']:,.0f}", spread, row["unit"], share])
        if "training" in row:
            rows.append(["– its training alone", f"{row['training']:,.0f}", "", row["unit"], ""])
    return columns, rows


def _ratio_table(document: Mapping) -> tuple[list[str], list[list[str]]]:
    columns = ["ratio", "median", "in each round", "target", "reached"]
    rows = []
    for ratio in document["ratios"]:
        middle, target = ratio["median"], ratio["target"]
        aim = "" if target is None else f"at least {target:g}"
        reached = ""
        if target is not None and middle is not None:
            reached = "yes" if middle >= target else "no"
        each = ", ".join(map(_decimals, ratio["rounds"]))
        figure = "not run" if middle is None else _decimals(middle)
        rows.append([ratio["title"], figure, each, aim, reached])
    return columns, rows


def _decimals(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, [":--", "--:", "--:", *[":--"] * (len(columns) - 3)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _quiet(document: Mapping) -> str:
    """Whether the machine was left alone, and what was not run."""
    samples = [s for row in document["contenders"] for s in row.get("samples", ())]
    parts = []
    busy = [s["others"] for s in samples if s["others"] is not None]
    if busy:
        parts.append(
            f"While a contender was timed, other processes kept {median(busy):.2f} cores busy "
            f"(median; at most {max(busy):.2f})."
        )
    if samples:
        highest = max(s["load"] for s in samples)
        parts.append(f"The load average when a contender began was {highest:.1f} at most.")
    missing: dict[str, list[str]] = {}
    for row in document["contenders"]:
        if row["rate"] is None:
            missing.setdefault(row["not_run"], []).append(row["title"])
    for reason, titles in missing.items():
        parts.append(f"Not run: {'; '.join(titles)} ({reason}).")
    return " ".join(parts) + "\n"


def _costs(document: Mapping) -> str:
    """The formula of the harness' figure, with the medians that went into it."""
    cadence = document["cadence"]
    images = cadence["passes"] * cadence["train_examples"]
    lines = [
        "## What the harness' figure includes\n",
        f"The recipe scores the {cadence['test_examples']:,} test images once in "
        f"{_count(cadence['passes'], 'pass', 'passes')}, {images:,} training images. A stretch of "
        "that length is put together from its parts, each timed in the harness itself: training "
        "with augmentation, from batch to batch in the middle of a pass (t images/s); the wait "
        "for the first images of a pass (f seconds); scoring (s images/s); the line in "
        "metrics.jsonl (l seconds), a checkpoint (c seconds), logging to MLflow (m seconds). With "
        f"T = {images:,} / t,\n",
        f"    rate = {images:,} / (T + {cadence['test_examples']:,} / s "
        f"+ {cadence['passes']} (f + l) + ({cadence['passes']} + T / "
        f"{cadence['checkpoint_seconds']:g}) c + min({cadence['passes']}, T / "
        f"{cadence['tracking_seconds']:g}) m)\n",
        "since a checkpoint is written after each pass and each minute, and MLflow is brought up "
        "to date after a pass, at most every half a minute. Left out is what happens once in a "
        "run: its start, compilation, the figures and the last evaluation.\n",
    ]
    rows = []
    for row in document["contenders"]:
        costs = [s["costs"] for s in row.get("samples", ()) if "costs" in s]
        if costs:
            middle = {key: median(c[key] for c in costs) for key in costs[0]}
            seconds = [f"{middle[k]:.3f}" for k in ("first_chunk", "line", "checkpoint")]
            tracking = f"{middle['tracking']:.3f}"
            training, scoring = f"{row['training']:,.0f}", f"{middle['scoring']:,.0f}"
            rows.append([row["title"], training, scoring, *seconds, tracking])
    if rows:
        lines.append(_markdown(["contender", "t", "s", "f", "l", "c", "m"], rows))
    return "\n".join(lines)


def _method(document: Mapping) -> str:
    waits = [
        s["end_seconds"]
        for row in document["contenders"]
        for s in row.get("samples", ())
        if "end_seconds" in s
    ]
    told = ""
    if waits:
        each = ", ".join(f"{seconds:.1f}" for seconds in waits)
        told = f" (seconds from its last update to its return: {each})"
    return (
        "## How it was measured\n\n"
        "Each contender runs in a process of its own, one after the other in the order of the "
        "table, and so again in every round. What it does before its first full segment "
        "(compilation, first batches) is not timed. A segment is some updates; the figure of a "
        "process is the median over its segments, that of the table the median over the rounds. "
        "Ratios are formed within a round; the best PyTorch is the fastest of that round.\n\n"
        "- The harness draws its crops and flips; the others take the same arrays as they are, "
        "without augmentation and without evaluation.\n"
        "- Plain Keras: stock layers, `SGD(0.1, momentum=0.9)`, `L2` on the kernels, accuracy as a "
        "metric, `fit` on arrays. Its segments lie within one epoch, so what it may wait at the "
        f"end of an epoch{told} does not count against it; `--contenders keras-epoch` times a "
        "whole one.\n"
        "- Bare loop: the harness' network and optimizer in one compiled TensorFlow loop over "
        "batches that are in memory, and nothing else.\n"
        "- PyTorch: the same network, `torch.optim.SGD` with momentum and weight decay, arrays in "
        "memory, as many threads as cores; bfloat16 by autocast. Without `torch.compile`.\n"
        "- Share of the peak: 3 x 2 operations per multiply-add of the network (forward, and twice "
        "as much backward) over the rate of large matrix products by TensorFlow: in float32, or "
        "for bfloat16 in the faster of both. Convolutions by other algorithms may need fewer "
        "operations.\n"
    )


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number:,} {what if number == 1 else several or what + 's'}"


# ---------------------------------------------------------------------------- the processes


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


# ---------------------------------------------------------------------------- the command


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
    from repro import console

    chosen = _chosen(options.contenders)
    out = options.out
    long_enough = options.rounds >= ROUNDS and options.seconds >= SECONDS
    if any(contender.unit == "images/s" for contender in chosen):
        _prepare()
    place = facts(options)  # before: the commit is that of the code that is timed
    how = f"{_count(options.rounds, 'round')} of {_count(len(chosen), 'contender')}"
    with console.Counter(f"{how}, {options.seconds:g} seconds timed each", "processes") as counter:
        samples, not_run = run(chosen, options.rounds, options.seconds, console.say, counter)
    document = summarise(place, samples, not_run)
    if options.json:
        console.print_json(document)
    else:
        for table in (_contender_table(document), _ratio_table(document)):
            console.print_table(*table)
            print()
        console.say(_quiet(document).strip())
    if out is None and options.contenders is None and long_enough and not not_run:
        out = Path("results")
    if out is not None:
        write(document, out)
        console.say(f"written: {out / JSON}, {out / PAGE}")
    failed = [name for name, reason in not_run.items() if reason.startswith("it failed")]
    return RunError.exit_code if failed else 0


def _chosen(names: str | None) -> list[Contender]:
    if names is None:
        return [contender for contender in CONTENDERS if contender.usual]
    wanted = {_contender(name.strip()).name for name in names.split(",")}
    return [contender for contender in CONTENDERS if contender.name in wanted]


def _prepare() -> None:
    """The dataset, so that no contender reads it while it is timed. Raises DataError."""
    from repro import catalog, console
    from repro.data import datasets

    name = catalog.experiment(EXPERIMENT).recipe.data.dataset
    with console.Counter(f"preparing {name}", "examples") as counter:
        datasets.prepare(name, counter)


def facts(options: argparse.Namespace) -> dict:
    """Where, when, with what and how it is measured."""
    from repro import catalog, training

    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("keras", "tensorflow", "torch", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **training.commit(),
        "machine": training.machine(),
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
    from repro import training
    from repro.data import datasets

    data = experiment.recipe.data
    return {
        "passes": experiment.recipe.tested_every,
        "train_examples": datasets.count(data.dataset, data.train),
        "test_examples": datasets.count(data.dataset, data.test),
        "checkpoint_seconds": training.SECONDS_BETWEEN_CHECKPOINTS,
        "tracking_seconds": training.SECONDS_BETWEEN_SYNCS,
    }


def write(document: Mapping, folder: Path) -> None:
    """bench.json and bench.md in `folder`. Raises RunError where they cannot be written."""
    from repro.journal import write_json, write_text

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JSON, document)
        write_text(folder / PAGE, page(document))
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror}") from None


def read(folder: str | os.PathLike) -> dict | None:
    """The document in `folder`, or None where nothing was measured yet. Raises DataError."""
    path = Path(folder, JSON)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
