"""The `repro` command: parses, calls, prints.

Exit codes: 0 done; 1 judged and fell short; 2 wrong usage or bad value; 3 data missing; 4 the run
failed; 130 interrupted. Errors are one line on standard error. Nothing that takes long to import
is imported before it is needed.
"""

import contextlib
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from repro import __version__, catalog, settings, spec
from repro.errors import DataError, Interrupted, ReproError, UsageError, unknown
from repro.jsonable import as_json

RUNS = "runs"
RESULTS = "results"
BUG = "(a bug; please report it)"

app = typer.Typer(
    help="The landmark CNN papers, trained as written and held against their own numbers.",
    epilog="Exit codes: 0 done, 1 judged and fell short, 2 wrong usage, 3 data missing, "
    "4 the run failed, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _names(candidates):
    return lambda incomplete: [c.name for c in candidates() if c.name.startswith(incomplete)]


def _number(option: str, least: int, **how):
    """An option that takes a whole number from `least` and names a value that is none."""

    def parse(text: str | int) -> int:
        if isinstance(text, int):
            return text
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
            raise UsageError(f"{option} {text}: accepted is a whole number from {least}")
        return int(text)

    return typer.Option(option, parser=parse, **how)


Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
ExperimentName = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", autocompletion=_names(catalog.experiments))
]
RunDir = Annotated[Path, typer.Argument(metavar="RUN_DIR")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated."),
]
Scale = Annotated[str, typer.Option(metavar="|".join(spec.SCALES))]
Strategy = Annotated[str, typer.Option(metavar="auto|single|mirrored")]
Precision = Annotated[str, typer.Option(metavar="|".join(spec.PRECISIONS))]
ProgressAs = Annotated[str, typer.Option("--progress", hidden=True)]


# ---------------------------------------------------------------------------- what there is


@app.command("list")
def list_(
    paper: Annotated[
        str | None, typer.Option(metavar="PAPER", autocompletion=_names(catalog.papers))
    ] = None,
    json: Json = False,
):
    """The experiments: what the papers report, and what was measured."""
    from repro import terminal
    from repro.judging import verdict
    from repro.records import reading

    papers = [catalog.paper(paper)] if paper else catalog.papers()
    records = reading.gather(RESULTS, RUNS)
    rows = []
    for one in papers:
        table = verdict.table(records, one.experiments)
        for experiment in one.experiments:
            row = next(r for r in table if r.main and r.experiment == experiment.name)
            rows.append((row, one.name, experiment.recipe.data.dataset))
    if json:
        keys = ("experiment", "paper", "dataset", "metric", "protocol", "reported")
        keys = (*keys, "measured", "std", "n", "failed", "verdict")
        said = ({**as_json(r), "paper": p, "dataset": d, "measured": r.mean} for r, p, d in rows)
        return terminal.print_json([{key: row[key] for key in keys} for row in said])
    terminal.print_table(
        ("experiment", "paper", "dataset", "reported", "measured", "verdict"),
        [(r.experiment, p, d, _percent(r.reported), *_measured(r)) for r, p, d in rows],
    )
    terminal.say("Test error in per cent: mean ± standard deviation over n seeds at paper scale.")


@app.command()
def show(experiment: ExperimentName, overrides: Overrides = None, json: Json = False):
    """The whole experiment: network, recipe, reported numbers, deviations, cost."""
    from repro import terminal
    from repro.records import reading
    from repro.report import cost

    known = catalog.experiment(experiment)
    resolved = settings.override(known, overrides or [])
    paper = catalog.paper_of(known.name)
    cost = cost.cost(resolved, reading.gather(RESULTS, RUNS), changed=resolved != known)
    if json:
        return terminal.print_json(
            {
                **settings.as_plain(resolved),
                "paper": paper.name,
                "digest": settings.digest(resolved),
                "cost": cost,
                "settable": settings.settable(resolved),
            }
        )
    network = resolved.network
    options = ", ".join(f"{key}={value}" for key, value in network.options.items())
    terminal.print_facts(
        [
            ("experiment", resolved.name),
            ("title", resolved.title),
            ("paper", paper.citation),
            ("network", f"{network.name}({options})"),
            *[(f"recipe.{k}", _value(v)) for k, v in _said(resolved.recipe)],
            ("protocols", ", ".join(resolved.protocols)),
            *([("probes", ", ".join(resolved.probes))] if resolved.probes else []),
            ("reported", [_reported(r) for r in resolved.reported] or "nothing"),
            ("bands", [_band(b) for b in resolved.bands] or "none"),
            ("deviations", [f"- {d}" for d in resolved.deviations] or "none known"),
            *([("note", resolved.note)] if resolved.note else []),
            ("cost", _cost(cost)),
            ("--set takes", list(settings.settable(resolved))),
            ("digest", settings.digest(resolved)),
        ]
    )


@app.command()
def anatomy(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", autocompletion=_names(catalog.networks))
    ],
    json: Json = False,
):
    """A network layer by layer: shapes, parameters, connections, multiply-adds."""
    catalog.network(network)  # an unknown name is told before Keras is imported
    from repro import backends, terminal
    from repro.networks import anatomy

    backends.check()
    with terminal.working(f"building {network}"), _muffled():
        found = anatomy.of_network(catalog.network(network))
    if json:
        return terminal.print_json(found)
    columns = ["name", "kind", "output_shape", "parameters", "connections", "multiply_adds"]
    columns.append("receptive_field")
    totals = ("parameters", "connections", "multiply_adds")
    rows = [[_value(layer.get(c)) for c in columns] for layer in found["layers"]]
    for title, figures in (("total", found), ("published", found.get("published") or {})):
        if figures:
            rows.append([title, "", "", *[figures.get(key) for key in totals], ""])
    terminal.print_table([c.replace("_", " ") for c in columns], rows, title=network)
    if found.get("published"):
        terminal.print_facts([("published in", catalog.network(network).source)])
    if reported := [_reported(number) for number in catalog.network(network).reported]:
        terminal.print_facts([("reported", reported)])  # no experiment here is held to them yet


# ---------------------------------------------------------------------------- running


@app.command()
def run(
    experiment: ExperimentName,
    scale: Scale = "paper",
    seed: Annotated[int | None, _number("--seed", 0, metavar="K", help="Default: 0.")] = None,
    seeds: Annotated[
        int | None, _number("--seeds", 1, metavar="N", help="Seeds 0 to N-1, a process each.")
    ] = None,
    overrides: Overrides = None,
    strategy: Strategy = "auto",
    precision: Precision = "float32",
    out: Annotated[Path, typer.Option(metavar="DIR")] = Path(RUNS),
    json: Json = False,
    progress: ProgressAs = "auto",
):
    """Train, evaluate by the paper's protocol, log, judge."""
    known = catalog.experiment(experiment)
    resolved = settings.override(known, overrides or [])
    _accept("scale", scale, spec.SCALES)
    from repro import backends, terminal
    from repro.backends import distribution
    from repro.report import cost

    backends.check()
    distribution.check_strategy(strategy)
    _accept("precision", precision, spec.PRECISIONS)
    if seed is not None and seeds is not None:
        raise UsageError(f"--seed {seed} --seeds {seeds}: accepted is one of the two")
    cost.examples(resolved.recipe.data)  # a split that there is not is told at once
    _writable(out)

    options = {"scale": scale, "strategy": strategy, "precision": precision, "out": str(out)}
    changes = overrides or []
    if progress == "json":  # this is the process of one seed
        from repro.training import runner

        how = {"seed": seed or 0, "overrides": changes, "progress": terminal.emit, **options}
        return terminal.print_json({"seed": seed or 0, **runner.run(known, **how)})
    if not json:
        terminal.say(f"{known.name}, {scale} scale: {known.title}")
        if known.note:
            terminal.say(known.note)
    _prepare(resolved.recipe.data.dataset)
    found = _train(resolved, range(seeds) if seeds else [seed or 0], changes, options)
    return _conclude(known, scale, out, found, found if seeds else found[0], json)


@app.command()
def resume(run_dir: RunDir, json: Json = False, progress: ProgressAs = "auto"):
    """Go on with a run exactly where it stopped."""
    from repro import terminal
    from repro.records import journal
    from repro.training import side_by_side

    run = journal.Journal.open(run_dir).run()
    known, seed = catalog.experiment(run["experiment"]), run["seed"]
    if progress == "json":
        from repro.training import runner

        result = runner.resume(str(run_dir), progress=terminal.emit)
        return terminal.print_json({"seed": seed, **result})
    found = _in_processes([seed], 1, lambda _: side_by_side.command("resume", str(run_dir)))
    out = run_dir.resolve().parent.parent
    return _conclude(known, run["scale"], out, found, found[0], json)


@app.command()
def evaluate(
    run_dir: RunDir, protocol: Annotated[str, typer.Option(metavar="NAME")], json: Json = False
):
    """Score a finished run's network under another protocol."""
    from repro import terminal
    from repro.training import runner

    with terminal.working(f"testing {run_dir}"), _muffled():
        found = runner.evaluate(run_dir, protocol)
    if json:
        return terminal.print_json(found)
    terminal.print_facts((key, _value(value)) for key, value in _flat(found))


# ---------------------------------------------------------------------------- judging


@app.command()
def verdict(
    experiment: Annotated[
        str | None,
        typer.Argument(metavar="[EXPERIMENT]", autocompletion=_names(catalog.experiments)),
    ] = None,
    json: Json = False,
):
    """Measured against reported."""
    from repro import terminal
    from repro.judging.verdict import fell_short, table
    from repro.records import reading

    chosen = [catalog.experiment(experiment)] if experiment else catalog.experiments()
    rows = table(reading.gather(RESULTS, RUNS), chosen)
    if json:
        terminal.print_json(rows)
    else:
        _print_verdicts(rows)
    return fell_short(rows)


@app.command()
def claims(
    claim: Annotated[
        str | None, typer.Argument(metavar="[CLAIM]", autocompletion=_names(catalog.claims))
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
        int | None, _number("--seeds", 2, metavar="N", help="With --run. Default: 3.")
    ] = None,
    json: Json = False,
):
    """The papers' claims, and how they stand."""
    from repro import terminal
    from repro.judging import claims
    from repro.records import reading

    if scale is not None:
        _accept("scale", scale, spec.SCALES[1:])
    if seeds and not run:
        raise UsageError(f"--seeds {seeds}: goes with --run")
    chosen = [catalog.claim(claim)] if claim else list(catalog.claims())
    left_out = False
    if run:
        _writable(Path(RUNS))
        there, wanted = reading.gather(RESULTS, RUNS), {}
        for one in chosen:
            for name, lacking in claims.missing(one, there, scale or "paper", seeds or 3).items():
                wanted[name] = sorted({*wanted.get(name, ()), *lacking})
        if wanted:
            count = sum(map(len, wanted.values()))
            terminal.say(f"to train, {count} in all: {', '.join(wanted)}")
        for name, lacking in wanted.items():
            try:
                _train_missing(catalog.experiment(name), scale or "paper", lacking)
            except DataError as error:  # the others can be trained
                terminal.say(f"{name} is left out: {error}")
                left_out = True
    records = reading.gather(RESULTS, RUNS)
    rows = [claims.judge(one, records, scale=scale) for one in chosen]
    if json:
        terminal.print_json(rows)
    else:
        _print_claims(rows)
    if left_out:
        return 3
    return any(row.verdict == "does not hold" and row.scale == "paper" for row in rows)


@app.command()
def results(json: Json = False):
    """Write results/ again from the records of the runs."""
    from repro import terminal
    from repro.report import writing

    with terminal.working(f"writing {RESULTS}/"):
        made = writing.regenerate(RUNS, RESULTS)
    if json:
        return terminal.print_json(made)
    for path in made["added"]:
        print(f"added {path}")
    print(f"{RESULTS}/ is written from {made['records']:,} records")


# ---------------------------------------------------------------------------- the surroundings


@app.command()
def sync(
    run_dirs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN_DIR]...", help=f"Default: {RUNS}/*/*")
    ] = None,
    json: Json = False,
):
    """Bring MLflow up to date with the run directories; what is there already is not added."""
    from repro import terminal
    from repro.judging import verdict
    from repro.records import journal, reading, tracking

    found = run_dirs or sorted(path.parent for path in Path(RUNS).glob("*/*/run.json"))
    roots = dict.fromkeys(path.resolve().parent.parent for path in found)
    verdicts = {}
    if any((path / "result.json").exists() for path in found):
        records = reading.gather(None, RUNS, *roots)
        verdicts = verdict.of_runs(verdict.table(records, catalog.experiments()))
    rows = []
    for path in found:
        run_id = journal.Journal.open(path).run()["id"]
        with terminal.working(f"logging {path}"):
            synced = tracking.sync(path, verdict=verdicts.get(run_id, ""))
        rows.append({"run_dir": str(path), **synced})
        if not json:
            print(f"{path}: {synced['points']:,} points added")
    if json:
        terminal.print_json(rows)
    elif not found:
        print(f"no runs below {RUNS}/")


@app.command()
def data(
    action: Annotated[str, typer.Argument(metavar="[list|prepare|check]")] = "list",
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]")] = None,
    json: Json = False,
):
    """The datasets: what is there, get it, verify it."""
    from repro import terminal
    from repro.data import datasets

    _accept("action", action, ("list", "prepare", "check"))
    sets = datasets.available()
    names = [row["name"] for row in sets]
    if dataset is not None:
        _accept("dataset", dataset, names)
        sets = [row for row in sets if row["name"] == dataset]
    if action == "prepare":
        if dataset is None:
            raise UsageError(f"data prepare: which dataset? accepted: {', '.join(names)}")
        _prepare(dataset)
        sets = [row for row in datasets.available() if row["name"] == dataset]
    if action == "check":
        here = [row for row in sets if dataset or row["state"] != "missing"]
        with terminal.working("checking every example"):
            problems = {row["name"]: datasets.check(row["name"]) for row in here}
        if json:
            terminal.print_json(problems)
        else:
            for row in here:
                part = {k: v for k, v in _counts(row).items() if v != row["official"][k]}
                well = f"ok, {_value(part)}" if part else "ok"
                for line in problems[row["name"]] or [well]:
                    print(f"{row['name']}: {line}")
        return 3 if any(problems.values()) else 0
    if json:
        return terminal.print_json(sets)
    columns = ("name", "version", "title", "state", "examples", "path")
    rows = [[_value({**row, "examples": _counts(row)}[c]) for c in columns] for row in sets]
    terminal.print_table(columns, rows)


@app.command()
def doctor(json: Json = False):
    """Versions, devices, data, tracking server, disk: what works and what does not."""
    from repro import doctor, terminal

    with terminal.working("looking around"), _muffled():
        checks = doctor.report()
    if json:
        terminal.print_json(checks)
    else:
        words = {True: "ok", False: "NOT OK"}
        rows = [(c["name"], words.get(c["ok"], "-"), c["detail"]) for c in checks]
        terminal.print_table(("what", "state", "detail"), rows)
    return any(c["ok"] is False for c in checks)


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
    pass


# ---------------------------------------------------------------------------- steps of `run`


def _accept(what: str, value: str, accepted) -> None:
    if value not in accepted:
        raise unknown(what, value, accepted)


def _writable(out: Path) -> None:
    """Fails at once, before TensorFlow is imported, where the runs could not be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        writable = os.access(out, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise UsageError(f"--out {out}: cannot be written; accepted is a writable folder")


def _prepare(dataset: str) -> None:
    from repro import terminal
    from repro.data import datasets

    with terminal.Counter(f"preparing {dataset}", "examples") as counter:
        datasets.prepare(dataset, counter)


def _counts(row: dict) -> dict:
    """Examples per split of a dataset: "6,000 of 9,469" where only some are here."""
    here, official = row["examples"], row["official"]
    return {k: n if n == official[k] else f"{n:,} of {official[k]:,}" for k, n in here.items()}


def _train(resolved: spec.Experiment, wanted, overrides, options) -> list[dict]:
    """Trains the wanted seeds, side by side where that is faster; their results."""
    from repro.training import side_by_side

    jobs = min(len(wanted), side_by_side.jobs(resolved))
    changes = [part for text in overrides for part in ("--set", text)]
    how = [part for key, value in options.items() for part in (f"--{key}", value)]

    def command(seed: int) -> list[str]:
        return side_by_side.command("run", resolved.name, "--seed", str(seed), *how, *changes)

    return _in_processes(wanted, jobs, command)


def _in_processes(wanted, jobs: int, command) -> list[dict]:
    """The results of `command(seed)` for all wanted seeds, with a progress bar each.

    Each is a process of its own, a single one too: what TensorFlow's libraries write on standard
    error stays away from the bars. Raises the error of the first that failed, or Interrupted.
    """
    from repro import terminal
    from repro.training import side_by_side

    label = "seed {}".format
    with terminal.Bars([label(seed) for seed in wanted]) as bars:
        outcomes = side_by_side.run(
            wanted, command, jobs, lambda seed, event: bars.show(label(seed), event)
        )
    results = [o.result for o in outcomes if o.result]
    bad = [o for o in outcomes if not o.result]
    if not bad:
        return results
    for result in results:
        terminal.say(f"seed {result['seed']} is finished: {result['run_dir']}")
    for outcome in bad:
        if outcome.exit_code == 130 and outcome.run_dir:
            terminal.say(f"go on with: repro resume {outcome.run_dir}")
    failed = [o for o in bad if o.exit_code != 130]
    if not failed:
        raise Interrupted("interrupted")
    first = failed[0]
    if first.error.endswith(BUG):
        terminal.say("\n".join(first.log))
    failure = ReproError(f"seed {first.seed}: {first.error}" if len(wanted) > 1 else first.error)
    failure.exit_code = first.exit_code if first.exit_code in (2, 3, 4) else 4
    raise failure


def _train_missing(experiment: spec.Experiment, scale: str, missing: list[int]) -> None:
    from repro import terminal

    terminal.say(f"{experiment.name}, {scale} scale: seeds {', '.join(map(str, missing))}")
    _prepare(experiment.recipe.data.dataset)
    options = {"scale": scale, "strategy": "auto", "precision": "float32", "out": RUNS}
    _train(experiment, missing, [], options)


def _conclude(
    experiment: spec.Experiment, scale: str, out: Path, results: list[dict], document, json: bool
) -> bool:
    """Judges and prints finished runs; true when they fell short of the paper or of a band.

    They are judged with the others in `out`, not with the records that came with the code: whoever
    trains the seeds again wants to know what these say.
    """
    from repro import terminal
    from repro.judging import groups, verdict
    from repro.records import reading

    mine = [reading.read_run(result["run_dir"]) for result in results]
    records = reading.gather(None, out)
    rows = verdict.table(records, [experiment]) if scale == "paper" else []
    outside = verdict.check_bands(mine, [experiment])
    _tag(results, mine, verdict.of_runs(rows))
    if json:
        terminal.print_json(document)
    else:
        _print_results(results)
        _print_verdicts(rows)
    for record in mine:
        before = groups.seed_before(record, records, experiment)
        if before:
            terminal.say(
                f"seed {record['run']['seed']}: this run does not count, since the seed finished "
                f"before, at {before['result'].get('finished')} (run {before['run']['id']})"
            )
    for problem in outside:
        terminal.say(problem)
    return verdict.fell_short(rows, [record["run"]["id"] for record in mine]) or bool(outside)


def _tag(results: list[dict], mine: list[dict], verdicts: dict[str, str]) -> None:
    """Tells MLflow the verdict on runs that speak for their experiment.

    A server that is away has been told of already.
    """
    from repro import terminal
    from repro.records import stores, tracking

    for result, record in zip(results, mine, strict=True):
        run_id = record["run"]["id"]
        if result.get("mlflow_run_id") and run_id in verdicts:
            with terminal.working("logging"), contextlib.suppress(stores.TrackingError):
                tracking.sync(result["run_dir"], verdict=verdicts[run_id])


# ---------------------------------------------------------------------------- printing


def _print_results(results: list[dict]) -> None:
    from repro import terminal
    from repro.judging.measures import unit
    from repro.training.probes import PROBES

    scored = [metrics for result in results for metrics in result["metrics"].values()]
    shown = ("test_error", "training_error", "running_error", *PROBES)
    shown = [key for key in shown if any(key in metrics for metrics in scored)]
    rows = []
    for result in results:
        for protocol, metrics in result["metrics"].items():
            speed = round(result["images_per_second"] or 0)
            values = [metrics.get(key) for key in shown]
            rows.append((result["seed"], protocol, *values, speed, result["run_dir"]))
    names = [key.replace("_", " ") + unit(key) for key in shown]
    terminal.print_table(("seed", "protocol", *names, "images/s", "run directory"), rows)


def _print_verdicts(rows: list[dict]) -> None:
    from repro import terminal

    if not rows:
        return
    columns = ("experiment", "metric", "protocol", "reported", "measured", "difference", "verdict")
    printed = []
    for row in rows:
        measured, verdict = _measured(row)
        number = _percent(row.reported)
        difference = None if row.difference is None else f"{row.difference:+.3f}"
        name = row.experiment if row.main else f"  {row.group}"
        printed.append((name, row.metric, row.protocol, number, measured, difference, verdict))
    terminal.print_table(columns, printed)


def _print_claims(rows: list[dict]) -> None:
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


def _measured(row) -> tuple[str, str]:
    lost = f"{row.failed} failed" if row.failed else ""
    if not row.n:
        return lost, row.verdict
    spread = f" ± {row.std:.3f}" if row.std is not None else ""
    counts = f"n={row.n}" + (f", {lost}" if lost else "")
    return f"{row.mean:.3f}{spread} ({counts})", row.verdict


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _reported(number: spec.Reported) -> str:
    from repro.judging.measures import unit

    spread = f" ± {number.std:g} over {number.runs} runs" if number.std is not None else ""
    chosen = f", {number.chosen}" if number.chosen else ""
    where = f"({number.protocol}; {number.source}{chosen})"
    return f"{number.metric} {number.value:g}{unit(number.metric)}{spread} {where}"


def _band(band: spec.Band) -> str:
    from repro.judging.measures import unit

    sign = unit(band.metric)
    return f"{band.scale}: {band.metric} {band.low:g} to {band.high:g}{sign} ({band.source})"


def _said(recipe: spec.Recipe) -> list[tuple]:
    """The fields of a recipe, of passes and iterations the one that it counts."""
    unsaid = "iterations" if recipe.passes else "passes"
    return [(key, value) for key, value in vars(recipe).items() if key != unsaid]


def _value(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        separator = " x " if all(isinstance(v, int) for v in value) else ", "
        return separator.join(str(v) for v in value)
    return value


def _flat(tree: dict, prefix: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _cost(cost: dict) -> str:
    minutes, runs = cost["minutes"], cost["measured"]
    source = f"as measured here ({runs} run{'' if runs == 1 else 's'})"
    if cost["estimated"]:
        source = "by the speed of short-scale runs here"
    spent = "not measured"
    if minutes is not None:
        spent = f"{minutes:,.{0 if minutes >= 10 else 1}f} minutes {source}"
    work = f"{cost['updates']:,} updates, {cost['images']:,} images ({cost['passes']:,g} passes)"
    return f"{work}; one run at paper scale: {spent}"


# ---------------------------------------------------------------------------- entry


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code; never raises."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    arguments = sys.argv[1:] if arguments is None else arguments
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(arguments or ["--help"], prog_name="repro", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except ReproError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(_hint(error.format_message()), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", Interrupted.exit_code)
    except BrokenPipeError:  # the reader of our output has gone, as in `repro list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError) as error:
        return _fail(f"{type(error).__name__}: {error}", ReproError.exit_code)
    except Exception as error:
        traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error} {BUG}", 4)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _muffled():
    """Drops what compiled libraries write on standard error meanwhile; errors are still raised.

    TensorFlow announces missing GPU drivers before it reads any setting that would silence it.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _fail(text: str, code: int) -> int:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return code


def _hint(text: str) -> str:
    """Typer's message with our words for its guesses."""
    text = re.sub(r"\(Possible options: (.*)\)", r"(did you mean \1?)", text)
    return re.sub(r"Did you mean '?(.*?)'?\?$", r"(did you mean \1?)", text)
