"""Trains seeds side by side, or one after the other: data, processes, progress, failures."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from repro import backends, catalog, machine, settings, spec
from repro.backends import distribution
from repro.errors import DataError, Interrupted, ReproError, RunError, UsageError, accept
from repro.networks import counts
from repro.records import here
from repro.report import cost
from repro.running import children
from repro.running.children import Outcome
from repro.running.crew import Crew, crew_for
from repro.running.progress import Bars
from repro.terminal import Counter, say
from repro.training import memory

Finished = Callable[[list[dict]], None]
BUG = "(a bug; please report it)"


@dataclass(frozen=True)
class Options:
    """What holds for all seeds of a command. jobs: how many go side by side; see `crew_for`.

    start_from: the run to begin with, of an experiment that begins with one, and for one seed.
    """

    scale: str = "paper"
    overrides: tuple[str, ...] = ()
    strategy: str = "auto"
    precision: str = "float32"
    out: str = "runs"
    jobs: int | None = None
    start_from: str | None = None


def resolved(experiment: spec.Experiment, options: Options) -> spec.Experiment:
    """`experiment` with the overrides. Raises UsageError for an option that makes no sense here.

    Nothing slow is imported for it.
    """
    changed = settings.override(experiment, list(options.overrides))
    accept("scale", options.scale, spec.SCALES)
    backends.check()
    distribution.check_strategy(options.strategy)
    accept("precision", options.precision, spec.PRECISIONS)
    cost.examples(changed.recipe.data)  # reject an unknown split early
    _check_memory(changed, options)
    writable(options.out)
    return changed


def _check_memory(experiment: spec.Experiment, options: Options) -> None:
    """Refuses a batch that cannot fit, where the network was counted before.

    Others are counted when they are built; and those at smoke scale, which cuts the batch.
    """
    counted = counts.known(experiment.network, counts.table(here.kept_in()))
    if counted is None or options.scale == "smoke":
        return
    place = machine.at_hand()
    if not place.is_cpu and not backends.has_cuda():  # it may be the CPU that computes
        return
    taken = memory.replicas(options.strategy, experiment.recipe.batch, place)
    memory.check(experiment, counted, options.precision, replace(place, count=taken))


def writable(out: str | os.PathLike) -> None:
    """Raises UsageError at once, before TensorFlow is imported, where runs could not be written."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        fits = os.access(out, os.W_OK | os.X_OK)
    except OSError:
        fits = False
    if not fits:
        raise UsageError(f"--out {out}: cannot be written; accepted is a writable folder")


def prepare(dataset: str) -> None:
    """The data that is to be trained on. Raises DataError."""
    from repro.data import datasets

    verifying = Counter(f"verifying the archives of {dataset}", "bytes")
    preparing = Counter(f"preparing {dataset}", "examples")
    with verifying, preparing, Counter(f"marking {dataset}", "photographs") as marking:
        datasets.prepare(dataset, preparing, verifying, marking, say)


def train(
    experiment: spec.Experiment,
    seeds: Sequence[int],
    options: Options,
    finished: Finished | None = None,
) -> list[Outcome]:
    """Trains the seeds, side by side where that is faster; see `in_processes`.

    experiment: with the overrides of `options` applied. Raises UsageError and DataError where it
    begins with a run, and that which is named cannot be it, or there is none for any of the seeds.
    """
    asked = {"do": "train", "experiment": experiment.name, **asdict(options)}
    del asked["jobs"]
    if options.start_from or experiment.begins:
        _hold_to_start(experiment, seeds, asked)
    prepare(experiment.recipe.data.dataset)
    crew = crew_for(experiment, options.jobs) if len(seeds) > 1 else Crew(1)

    def command(seed: int) -> list[str]:
        return children.command({**asked, "seed": seed})

    return in_processes(seeds, crew, command, finished)


def _hold_to_start(
    experiment: spec.Experiment, seeds: Sequence[int], asked: Mapping[str, Any]
) -> None:
    """Raises UsageError and DataError before data are made ready, which may take hours."""
    if asked["start_from"] and len(seeds) > 1:
        raise UsageError(
            f"--start-from {asked['start_from']}: goes with one seed, since each begins with a run "
            "of its own seed; without it these are looked for below --out"
        )
    from repro.training import carrying

    lacking = []
    for seed in seeds:
        try:
            carrying.find(experiment, {**asked, "seed": seed}, asked["out"])
        except DataError as error:  # the others may have theirs
            lacking.append(error)
    if len(lacking) == len(seeds):
        raise lacking[0]


def resume(run_dir: str, seed: int, finished: Finished | None = None) -> list[Outcome]:
    """Resumes one run; see `in_processes`."""
    asked = {"do": "resume", "run_dir": run_dir}
    return in_processes([seed], Crew(1), lambda _: children.command(asked), finished)


def train_missing(wanted: Mapping[str, Sequence[int]], options: Options) -> list[ReproError]:
    """Trains the seeds that are missing of each experiment; the errors of those left out.

    An experiment that lacks its data, or that fails, is left out: the others can be trained.
    """
    left_out: list[ReproError] = []
    count = sum(map(len, wanted.values()))
    if count:
        say(f"to train, {count} in all: {', '.join(wanted)}")
    for name, seeds in wanted.items():
        say(f"{name}, {options.scale} scale: seeds {', '.join(map(str, seeds))}")
        try:
            check(train(catalog.experiment(name), seeds, options))
        except (DataError, RunError) as error:
            left_out.append(error)
            say(f"{name} is left out: {error}")
    return left_out


def in_processes(
    seeds: Sequence[int],
    crew: Crew,
    command: Callable[[int], list[str]],
    finished: Finished | None = None,
) -> list[Outcome]:
    """How `command(seed)` ended for all seeds, with a progress bar each (see `check`).

    finished: takes the results as soon as the last is there; figures and MLflow may come later.
    """
    label = "seed {}".format
    results: dict[int, dict] = {}
    with Bars([label(seed) for seed in seeds]) as bars:

        def show(seed: int | None, event: dict) -> None:
            bars.show(None if seed is None else label(seed), event)
            if event["event"] == "done" and seed not in results:
                results[seed] = event
                if len(results) == len(seeds) and finished:
                    bars.stop()
                    finished([results[seed] for seed in seeds])

        return children.run(seeds, command, crew, show)


def check(outcomes: Sequence[Outcome]) -> None:
    """Raises the error of the first run that failed, or Interrupted; says what can be resumed."""
    bad = [outcome for outcome in outcomes if not outcome.result]
    if not bad:
        return
    for outcome in outcomes:
        if outcome.result:
            say(f"seed {outcome.seed} is finished: {outcome.run_dir}")
    for outcome in bad:
        if outcome.exit_code == Interrupted.exit_code and outcome.run_dir:
            say(f"resume with: repro resume {outcome.run_dir}")
    failed = [outcome for outcome in bad if outcome.exit_code != Interrupted.exit_code]
    if not failed:
        raise Interrupted("interrupted")
    raise _failure(failed[0], len(outcomes))


def _failure(first: Outcome, seeds: int) -> ReproError:
    for line in first.log:
        say(line)
    bug = f" {BUG}" if first.log and first.exit_code == ReproError.exit_code else ""
    named = f"seed {first.seed}: " if seeds > 1 else ""
    kinds = {kind.exit_code: kind for kind in (UsageError, DataError)}
    return kinds.get(first.exit_code, RunError)(f"{named}{first.error}{bug}")
