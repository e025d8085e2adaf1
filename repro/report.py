"""results/: the run records, and the tables and figures (`repro.figures`) made from them.

A record is one JSON document per run that ended: {"run": ..., "passes": [...], "result": ...}, the
three files of its run directory. Of a run that failed, `result` is null and `failure` says why.
Everything else in results/ is made from the records, and made again it comes out the same, byte
for byte.
"""

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from repro import bench, catalog, claims, figures, spec, verdict
from repro.errors import DataError, RunError
from repro.figures import draw_curves, draw_filters
from repro.journal import Journal, write_text

KEPT_SCALES = ("short", "paper")
NO_EXPERIMENT = "Numbers without an experiment"


# ---------------------------------------------------------------------------- records


def records(results_root: str | os.PathLike) -> list[dict]:
    """All run records below `results_root`/runs, in the order of their file names.

    Raises DataError for a file that is not a record.
    """
    return [_read_record(path) for path in sorted(Path(results_root, "runs").glob("*/*.json"))]


def gather(results_root: str | os.PathLike | None, *runs_roots: str | os.PathLike) -> list[dict]:
    """The records of `results_root`, and the short and paper runs that are not among them yet.

    Without a `results_root` only the latter. These are the runs below `runs_roots` that have ended.
    Raises DataError.
    """
    recorded = records(results_root) if results_root else []
    found = {record["run"]["id"]: record for record in recorded}
    for root in runs_roots:
        for folder in _ended(root):
            record = read_run(folder)
            known = found.get(record["run"]["id"])
            if record["run"]["scale"] in KEPT_SCALES and (known is None or _newer(record, known)):
                found[record["run"]["id"]] = record
    return list(found.values())


def read_run(run_dir: str | os.PathLike) -> dict:
    """The record of one run directory; `result` is None while the run is unfinished.

    Raises DataError for a file that cannot be read.
    """
    journal = Journal(run_dir)
    try:
        record = {"run": journal.run(), "passes": journal.passes(), "result": journal.result()}
        failure = None if record["result"] else journal.failure()
    except (OSError, ValueError, RunError) as error:
        raise DataError(f"{run_dir} is not a run directory that can be read: {error}") from None
    return {**record, "failure": failure} if failure else record


def collect(runs_root: str | os.PathLike, results_root: str | os.PathLike) -> list[Path]:
    """Copies the short and paper runs of `runs_root` that ended and have no record yet.

    Returns the new files. A record that is there already is never touched, but for that of a run
    that failed and, resumed, has finished since.
    """
    added = []
    for folder in _ended(runs_root):
        target = Path(results_root, "runs", folder.parent.name, f"{folder.name}.json")
        if target.exists() and _read_record(target)["result"]:
            continue
        record = read_run(folder)
        if record["run"]["scale"] not in KEPT_SCALES:
            continue
        if not target.exists() or _newer(record, _read_record(target)):
            _write(target, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
            added.append(target)
    return added


def _ended(runs_root: str | os.PathLike) -> list[Path]:
    """The run directories that have a result or a failure; one that was interrupted has neither."""
    files = ("result.json", "failure.json")
    return sorted({path.parent for name in files for path in Path(runs_root).glob(f"*/*/{name}")})


def _newer(record: dict, known: dict) -> bool:
    return bool(record["result"]) and not known["result"]


def _read_record(path: Path) -> dict:
    try:
        record = json.loads(path.read_text())
        ended = record["result"]["metrics"] if record["result"] else record["failure"]["reason"]
        complete = record["run"]["id"] and ended and "passes" in record
    except (OSError, ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise DataError(f"{path} is not the record of a run that ended")
    return record


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None


# ---------------------------------------------------------------------------- what a run costs


def cost(experiment: spec.Experiment, found: Sequence[dict], changed: bool = False) -> dict:
    """What one run at paper scale takes: updates, images, passes, minutes, measured, estimated.

    `minutes` is the median over the `measured` plain runs among the records `found`. Where there
    are none it is `estimated` from the speed of plain short-scale runs, and None without those or
    where the recipe was `changed` by `--set`. Raises UsageError for a split that there is not.
    """
    recipe = experiment.recipe
    images = examples(recipe.data)["train"]
    if recipe.augmentation:
        images = recipe.augmentation.size(images)
    in_a_pass = recipe.pass_examples or images
    total = recipe.iterations * recipe.batch or in_a_pass * recipe.passes
    minutes, measured, estimated = None, 0, False
    if not changed:
        plain = {
            scale: [
                run
                for group, runs in verdict.groups(found, experiment, scale).items()
                if group.plain
                for run in runs
            ]
            for scale in KEPT_SCALES
        }
        spent = [m for m in map(_minutes, plain["paper"]) if m is not None]
        speeds = [s for s in map(_speed, plain["short"]) if s]
        if spent:
            minutes, measured = median(spent), len(spent)
        elif speeds:
            minutes, estimated = total / median(speeds) / 60, True
    return {
        "updates": total // recipe.batch,
        "images": total,
        "passes": total / in_a_pass,
        "minutes": minutes,
        "measured": measured,
        "estimated": estimated,
    }


def examples(data: spec.Data) -> dict[str, int]:
    """How many examples the splits have, without reading them. Raises UsageError."""
    from repro.data import datasets

    splits = {"train": data.train, "test": data.test}
    return {name: datasets.count(data.dataset, split) for name, split in splits.items()}


# ---------------------------------------------------------------------------- results/


def regenerate(
    runs_root: str | os.PathLike,
    results_root: str | os.PathLike,
    papers: Sequence[spec.Paper] | None = None,
    figures: bool = True,
) -> dict:
    """Adds the runs of `runs_root` that ended to the records and writes results/ anew from all.

    Writes README.md, one page per paper, results.csv and, if wanted, the figures. `papers` are
    the catalog's unless given. Returns {"records": count, "added": [paths], "written": [paths]}.
    Raises DataError for a broken record, RunError when results/ cannot be written.
    """
    root = Path(results_root)
    papers = catalog.papers() if papers is None else papers
    added = collect(runs_root, root)
    found = records(root)
    written = []
    if figures:
        for paper in papers:
            for experiment in paper.experiments:
                written += _draw(experiment, found, Path(runs_root), root / "figures")
            written += _draw_figures(paper, found, root / "figures")
    pages = {f"{paper.name}.md": _paper_page(paper, found, root) for paper in papers}
    speed = bench.read(root)
    if speed is not None:
        pages["bench.md"] = bench.page(speed)
    pages["README.md"] = _index(papers, found, speed is not None)
    pages["results.csv"] = _csv(found, papers)
    for name, text in sorted(pages.items()):
        _write(root / name, text)
        written.append(root / name)
    return {
        "records": len(found),
        "added": [str(path) for path in added],
        "written": [str(path) for path in written],
    }


def _draw(
    experiment: spec.Experiment, found: list[dict], runs_root: Path, folder: Path
) -> list[Path]:
    shown = _shown(experiment, found)
    curves = folder / f"{experiment.name}-curves.svg"
    written = [curves] if shown and draw_curves(shown, experiment, curves) else []
    for record in shown:
        # The filters stay in the run directory: without it the picture from before is kept.
        for array in sorted(runs_root.glob(f"{experiment.name}/*/filters.npy")):
            if read_run(array.parent)["run"]["id"] == record["run"]["id"]:
                import numpy as np

                path = folder / f"{experiment.name}-filters.svg"
                draw_filters(
                    np.load(array),
                    path,
                    f"{experiment.name}, seed {record['run']['seed']}: filters",
                )
                return [*written, path]
    return written


def _draw_figures(paper: spec.Paper, found: list[dict], folder: Path) -> list[Path]:
    """The paper's own figures, as far as there are runs."""
    made = []
    for scale in KEPT_SCALES:
        for figure in paper.figures:
            runs = figures.chosen(figure, paper.experiments, found, scale)
            made.append(figures.draw_figure(figure, runs, folder / _file(paper, figure, scale)))
    return [path for path in made if path]


def _file(paper: spec.Paper, figure: spec.Figure, scale: str) -> str:
    return f"{paper.name}-{figure.name}{'' if scale == 'paper' else f'-{scale}'}.svg"


def _shown(experiment: spec.Experiment, found: list[dict]) -> list[dict]:
    """The runs that stand for an experiment in figures: paper scale, or else short, plain."""
    for scale in ("paper", "short"):
        for group, runs in verdict.groups(found, experiment, scale).items():
            if group.plain:
                return runs
    return []


# ---------------------------------------------------------------------------- pages

LEGEND = """\
**How to read it.** Errors are in per cent, so lower is better; a layer response is a standard
deviation, not in per cent. Measured is the mean ± the standard deviation of n runs that share
recipe, code path and versions of Keras and its backend (the commit of each is in the table of its
runs) and differ in the seed, taken at the end of the schedule and never selected. Runs with
`--set`, another precision, another code path or other versions of Keras and its backend are never
pooled with them; the group with most seeds speaks for the experiment, the newest of equal ones. A
seed that was run twice counts once, as it finished first. Runs that failed, such as those that
diverged, are counted apart and never in n. The interval (95 %) is where the paper's number may lie
to count as reproduced: the prediction interval of one more run, or, where the paper gives its own
spread, Welch's interval of the difference.

| verdict | means |
|:--|:--|
| reproduced | the paper's number lies in the interval |
| better, worse | it does not: the measured error is lower, or higher |
| inconclusive | fewer than 3 seeds, or an interval wider than ± the larger of 0.2 points and a tenth of the paper's error |
| nothing reported | the paper prints no number for it |
| not run | no finished run at paper scale |

A claim compares experiments: its effect is the fall of the mean from each experiment to the next,
in points where errors are compared, with Welch's 95 % interval, or how many times lower the
geometric mean is, where the claim says how many; of several steps the smallest of those that decide
is given. It holds when the whole interval is a fall (by the claim's margin; of a negative one, no
rise beyond it), does not hold when none of it is, and is inconclusive otherwise, or when an experiment has a single run. Short-scale runs
speak only where paper-scale runs are missing, never together with them, and the verdict says so:
what does not hold after a short training may well hold after a whole one.
"""  # noqa: E501 - a table row is one line


def _index(papers: Sequence[spec.Paper], found: list[dict], speed: bool) -> str:
    parts = [
        "# Results\n\nMade by `repro results` from the run records in `runs/`; not edited by "
        f"hand. {_count(len(found), 'record')}; one line per run and protocol in "
        "[results.csv](results.csv).\n"
    ]
    if speed:
        parts.append(
            "How fast training is here, beside plain Keras and PyTorch: [bench.md](bench.md).\n"
        )
    for paper in papers:
        rows = [r for r in verdict.table(found, paper.experiments) if r["main"]]
        parts.append(f"## [{paper.title}]({paper.name}.md)\n")
        if rows:
            parts.append(_verdict_table(rows))
        if _not_run_here(paper):
            parts.append(
                f"Its numbers without an experiment: [{paper.name}.md]"
                f"({paper.name}.md#{NO_EXPERIMENT.lower().replace(' ', '-')}).\n"
            )
        if paper.claims:
            parts.append(_claims_table(paper, found))
    parts.append(LEGEND)
    known = {experiment.name for paper in papers for experiment in paper.experiments}
    orphans = sorted({r["run"]["experiment"] for r in found} - known)
    if orphans:
        parts.append(f"Records of experiments that are no more: {', '.join(orphans)}.\n")
    return "\n".join(parts)


def _paper_page(paper: spec.Paper, found: list[dict], root: Path) -> str:
    rows = verdict.table(found, paper.experiments)
    parts = [
        f"# {paper.title}\n\n{paper.citation}\n\n"
        "Made by `repro results`; how to read it stands in [README.md](README.md).\n",
    ]
    if paper.experiments:
        table = _verdict_table([r for r in rows if r["main"]], cost=(found, paper.experiments))
        parts.append(f"## Measured against the paper\n\n{table}")
    if _not_run_here(paper):
        parts.append(f"## {NO_EXPERIMENT}\n\n{_not_run_here(paper)}")
    varied = [r for r in rows if not r["main"] and r["verdict"] != verdict.STALE]
    if varied:
        parts.append(
            "## Variations\n\nRuns with `--set`, another precision, another code path or other "
            "versions; each line stands alone.\n\n" + _verdict_table(varied, group=True)
        )
    if paper.claims:
        parts.append("## Claims\n\n" + _claims_table(paper, found))
    for figure in paper.figures:
        shown = _figure(figure, paper, found, root, "paper") or "not run\n"
        parts.append(f"## {figure.source}: {figure.title}\n\n{shown}")
    if short := _short_table(paper, found, stale=False):
        parts.append(
            "## Short scale\n\nThe same recipes with a compressed schedule: held against bands "
            "that were measured here, never against the paper.\n\n" + short
        )
        parts += filter(None, (_figure(f, paper, found, root, "short") for f in paper.figures))
    stale = [r for r in rows if r["verdict"] == verdict.STALE]
    tables = [_verdict_table(stale, group=True)] if stale else []
    tables += filter(None, [_short_table(paper, found, stale=True)])
    if tables:
        parts.append(
            "## Former recipes\n\nThe recipe has changed since these runs, so they are not "
            "judged; at short scale also where it is the schedule's compression that has.\n\n"
            + "\n".join(tables)
        )
    common = _common_deviations(paper)
    if paper.experiments:
        parts.append("## Experiments\n")
    if common:
        parts.append(_listed("Deviations from the paper that all of them share:", common))
    parts += [_section(experiment, common, found, root) for experiment in paper.experiments]
    return "\n".join(parts)


def _figure(
    figure: spec.Figure, paper: spec.Paper, found: list[dict], root: Path, scale: str
) -> str:
    """One of the paper's figures, with what it lacks; nothing where nothing ran."""
    path = Path("figures", _file(paper, figure, scale))
    runs = figures.chosen(figure, paper.experiments, found, scale)
    if not (runs and (root / path).exists()):
        return ""
    shown = dict.fromkeys(name for _, names in figure.panels for name in names)
    lacking = ", ".join(name for name in shown if name not in runs)
    said = f"From runs at {scale} scale." + (f" Without: {lacking}." if lacking else "")
    return f"![{figure.source}]({path})\n\n{said}\n"


def _common_deviations(paper: spec.Paper) -> list[str]:
    """Those that every experiment of the paper has; none where it has one experiment."""
    first, *others = [experiment.deviations for experiment in paper.experiments] or [()]
    return [d for d in first if others and all(d in other for other in others)]


def _listed(heading: str, sentences: list[str]) -> str:
    return "\n".join([f"{heading}\n", *(f"- {sentence}" for sentence in sentences), ""])


def _section(experiment: spec.Experiment, common: list[str], found: list[dict], root: Path) -> str:
    """An experiment with its runs, and with the deviations that are not `common` to all."""
    lines = [f"### {experiment.name}\n", f"{experiment.title}\n"]
    if experiment.note:
        lines.append(f"{experiment.note}\n")
    own = [d for d in experiment.deviations if d not in common]
    if own:
        lines.append(_listed(f"{'Further d' if common else 'D'}eviations from the paper:", own))
    elif not common:
        lines.append("Deviations from the paper: none known.\n")
    for kind, words in (("curves", "learning curves"), ("filters", "first-layer filters")):
        if (root / "figures" / f"{experiment.name}-{kind}.svg").exists():
            lines.append(f"![{experiment.name}: {words}](figures/{experiment.name}-{kind}.svg)\n")
    mine = [r for r in found if r["run"]["experiment"] == experiment.name]
    if not mine:
        return "\n".join([*lines, "not run\n"])
    mine.sort(key=lambda r: (r["run"]["scale"], r["run"]["seed"], r["run"]["id"]))
    counted = {
        r["run"]["id"]
        for scale in KEPT_SCALES
        for runs in verdict.groups(found, experiment, scale).values()
        for r in runs
    }
    return "\n".join([*lines, _runs_table(mine, experiment, counted)])


# ---------------------------------------------------------------------------- tables of a page


def _verdict_table(rows: list[dict], group: bool = False, cost: tuple | None = None) -> str:
    """The table of verdicts, with the runs' cost where (records, experiments) are given."""
    header = ["experiment", "metric", "paper", "measured", "n", "difference", "interval", "verdict"]
    header = [*header[:1], *(["what differs"] if group else []), *header[1:]]
    lossy = any(row["failed"] for row in rows)
    header += ["failed"] if lossy else []
    header += ["minutes a run", "images/s"] if cost else []
    lines = []
    for row in rows:
        line = [
            row["experiment"],
            _metric(row["metric"], row["protocol"]),
            _printed(row["reported"], row["reported_std"], row["source"], row["chosen"]),
            spread(row["mean"], row["std"]),
            str(row["n"]),
            signed(row["difference"]),
            interval(row["low"], row["high"]),
            row["verdict"],
        ]
        if group:
            line.insert(1, row["group"])
        if lossy:
            line.append(str(row["failed"]))
        if cost:
            experiment = next(e for e in cost[1] if e.name == row["experiment"])
            grouped = verdict.groups(cost[0], experiment, "paper")
            runs = next((r for g, r in grouped.items() if g.plain), [])
            line += [_mean(_minutes(r) for r in runs), _mean(_speed(r) for r in runs)]
        lines.append(line)
    numeric = {"n", "difference", "failed", "minutes a run", "images/s"}
    return _markdown(header, lines, numeric)


def _not_run_here(paper: spec.Paper) -> str:
    """The paper's numbers of networks, and of several together, that no experiment stands for."""
    header = ["network", "metric", "paper", "verdict"]
    numbers = [(network.name, number) for network in paper.networks for number in network.reported]
    numbers += [("several", number) for number in paper.reported]
    lines = []
    for name, number in numbers:
        printed = _printed(number.value, number.std, number.source, number.chosen)
        lines.append([name, _metric(number.metric, number.protocol), printed, verdict.NOT_RUN])
    return _markdown(header, lines, numeric=set()) if lines else ""


def _metric(metric: str, protocol: str) -> str:
    return metric.replace("_", " ") + ("" if protocol == "single-view" else f", {protocol}")


def _printed(value: float | None, std: float | None, source: str, chosen: str) -> str:
    """The paper's number with its own spread, and in brackets where it stands; else a dash."""
    if value is None:
        return "–"
    notes = "; ".join(note for note in (source, chosen) if note)
    return f"{value}" + (f" ± {std}" if std is not None else "") + (f" ({notes})" if notes else "")


def _claims_table(paper: spec.Paper, found: list[dict]) -> str:
    header = ["claim", "source", "compared", "metric", "effect", "interval", "n", "verdict"]
    lines = []
    for claim in paper.claims:
        judged = claims.judge(claim, found, paper.experiments)
        counts = [judged["steps"][0]["n"][0], *(step["n"][1] for step in judged["steps"])]
        lines.append(
            [
                claim.statement,
                claim.source,
                " > ".join(claim.needs),
                _metric(claim.metric, claim.protocol),
                effect(judged),
                interval(judged["low"], judged["high"]),
                ", ".join(str(n) for n in counts)
                + (" (short scale)" if judged["scale"] == "short" else ""),
                claims.words(judged),
            ]
        )
    return _markdown(header, lines, numeric={"effect"})


def _short_table(paper: spec.Paper, found: list[dict], stale: bool) -> str:
    """The short-scale runs by the recipes as they are, or (`stale`) as they were: without bands."""
    header = ["experiment", "what ran", "metric", "measured", "n"]
    header += [] if stale else ["band", "within"]
    lossy = any(verdict.failed(found, experiment, "short") for experiment in paper.experiments)
    if lossy:
        header.insert(5, "failed")
    lines = []
    for experiment in paper.experiments:
        bands = {(b.metric, b.protocol): b for b in experiment.bands if b.scale == "short"}
        named = [(c.metric, c.protocol) for c in paper.claims if experiment.name in c.needs]
        wanted = dict.fromkeys([*bands, ("test_error", experiment.protocols[0]), *named])
        done = verdict.groups(found, experiment, "short")
        broken = verdict.failed(found, experiment, "short")
        everyone = {**done, **broken}
        for group in everyone:
            for metric, protocol in wanted if group.stale == stale else ():
                numbers = verdict.values(done.get(group, ()), metric, protocol)
                if not numbers and group not in broken:
                    continue
                band, within = bands.get((metric, protocol)), "–"
                if band and group.plain and numbers:
                    within = "yes" if band.low <= fmean(numbers) <= band.high else "NO"
                line = [
                    experiment.name,
                    group.label(everyone),
                    _metric(metric, protocol),
                    spread(
                        fmean(numbers) if numbers else None,
                        stdev(numbers) if len(numbers) > 1 else None,
                    ),
                    str(len(numbers)),
                ]
                line += [str(len(broken.get(group, ())))] if lossy else []
                if not stale:
                    line += [interval(band.low, band.high) if band else "–", within]
                lines.append(line)
    return _markdown(header, lines, numeric={"n", "failed"}) if lines else ""


def _runs_table(runs: list[dict], experiment: spec.Experiment, counted: set[str]) -> str:
    seen = "training_error" if experiment.recipe.training_error_measured else "running_error"
    metrics = dict.fromkeys(
        [("test_error", experiment.protocols[0])]
        + [(number.metric, number.protocol) for number in experiment.reported]
        + [(metric, experiment.protocols[0]) for metric in (seen, *experiment.probes)]
    )
    columns = {
        (m, p): _metric(m, p) if m.startswith("test") else m.replace("_", " ")
        for m, p in metrics
        if verdict.values(runs, m, p)
    }
    header = ["scale", "seed", *columns.values(), "passes", "minutes", "images/s"]
    numeric = set(header[1:])
    header += ["date", "commit", "ran with", "remarks"]
    lines = []
    for record in runs:
        run, result = record["run"], record["result"] or {}
        differs = list(run.get("overrides", ()))
        differs += [] if run["precision"] == "float32" else [run["precision"]]
        if not result:
            differs.append(f"failed: {_reason(record)}")
        elif verdict.group_of(run, experiment).stale:
            differs.append("former recipe: not judged")
        elif run["id"] not in counted:
            differs.append("seed run before: not counted")
        lines.append(
            [
                run["scale"],
                str(run["seed"]),
                *(_mean(verdict.values([record], m, p), _form(m)) for m, p in columns),
                str(result.get("passes", "–")),
                _mean([_minutes(record)]),
                _mean([_speed(record)]),
                str(run.get("started", ""))[:10],
                _commit(run),
                _ran_with(run),
                ", ".join(differs) or "–",
            ]
        )
    return _markdown(header, lines, numeric)


def _csv(found: list[dict], papers: Sequence[spec.Paper]) -> str:
    import pandas as pd

    paper_of = {e.name: paper.name for paper in papers for e in paper.experiments}
    lines = []
    for record in found:
        run, result = record["run"], record["result"] or {}
        line = {
            "paper": run.get("paper") or paper_of.get(run["experiment"], ""),
            **{key: run.get(key) for key in ("experiment", "scale", "seed")},
            "overrides": shlex.join(run.get("overrides", ())),
            **{key: run.get(key) for key in ("precision", "backend", "strategy", "replicas")},
            "devices": ", ".join(run.get("devices", ())),
            "recipe": run["digest"],
            **{key: result.get(key) for key in ("passes", "updates", "seconds")},
            "images_per_second": result.get("images_per_second"),
            **{key: run.get(key) for key in ("started", "commit", "dirty")},
            "versions": _versions(run),
            "id": run["id"],
            "failed": _reason(record),
        }
        for protocol, metrics in result.get("metrics", {"": {}}).items():
            lines.append({**line, "protocol": protocol, **metrics})
    if not lines:
        return ""
    return pd.DataFrame(lines).to_csv(index=False, lineterminator="\n")


# ---------------------------------------------------------------------------- words of a table


def spread(mean: float | None, std: float | None) -> str:
    """'0.964 ± 0.031', in per cent; a dash where nothing was measured."""
    if mean is None:
        return "–"
    return f"{mean:.3f}" + ("" if std is None else f" ± {std:.3f}")


def signed(points: float | None) -> str:
    """'+0.014' or '−0.014'; a dash for None."""
    return "–" if points is None else f"{points:+.3f}".replace("-", "−")


def effect(judged: Mapping) -> str:
    """The effect of a judged claim: '+0.326 points', '5.9 times', '+0.120' where it has no unit."""
    unit = judged["unit"] if judged["effect"] is not None else ""
    if unit == "times":
        return f"{judged['effect']:.2f} times"
    return f"{signed(judged['effect'])} {unit}".rstrip()


def interval(low: float | None, high: float | None) -> str:
    """'0.207 to 0.445'; a dash for None."""
    return "–" if low is None else f"{low:.3f} to {high:.3f}".replace("-", "−")


def _form(metric: str) -> str:
    return "{:.2f}" if verdict.per_cent(metric) else "{:.3f}"


def _mean(numbers: Iterable[float | None], form: str = "{:,.1f}") -> str:
    there = [number for number in numbers if number is not None]
    return form.format(fmean(there)) if there else "–"


def _minutes(record: dict) -> float | None:
    seconds = (record["result"] or {}).get("seconds")
    return None if seconds is None else seconds / 60


def _speed(record: dict) -> float | None:
    return (record["result"] or {}).get("images_per_second")


def _reason(record: dict) -> str:
    """Why a run failed, in one line; nothing where it did not."""
    return " ".join(str((record.get("failure") or {}).get("reason", "")).split())


def _commit(run: dict) -> str:
    commit = str(run.get("commit") or "")[:7] or "–"
    return f"{commit} (changed)" if run.get("dirty") else commit


def _ran_with(run: dict) -> str:
    machine = run.get("machine", {})
    where = f" ({machine['cores']} cores of {machine['processor']})" if machine else ""
    return f"{verdict.code_path(run)}{where}; {_versions(run)}"


def _versions(run: dict) -> str:
    versions: Mapping[str, str] = run.get("versions", {})
    return ", ".join(f"{k} {versions[k]}" for k in ("keras", run["backend"]) if k in versions)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _markdown(header: list[str], rows: list[list[str]], numeric: set[str]) -> str:
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join("--:" if name in numeric else ":--" for name in header) + "|")
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
