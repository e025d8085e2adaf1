"""results/: the run records, and the tables and figures made from them.

A record is one JSON document per run that ended: {"run": ..., "passes": [...], "result": ...}, the
three files of its run directory. Of a run that failed, `result` is null and `failure` says why.
Everything else in results/ is made from the records, and made again it comes out the same, byte
for byte.
"""

import json
import math
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from repro import catalog, claims, spec, verdict
from repro.errors import DataError, RunError
from repro.journal import Journal, write_text

KEPT_SCALES = ("short", "paper")

# Okabe and Ito's colours stay apart for every kind of colour vision; dashes tell them apart too.
TEST_COLOUR, TRAINING_COLOUR, INK, GRID = "#0072B2", "#D55E00", "#333333", "#E3E3E3"
STYLES = {
    "test_error": ("test", TEST_COLOUR, "-"),
    "training_error": ("training", TRAINING_COLOUR, (0, (4, 1.5))),
    "running_error": ("while training", TRAINING_COLOUR, (0, (4, 1.5))),  # where not scored after
}
STYLE = {
    "svg.hashsalt": "repro",  # else the ids in the file are random
    "svg.fonttype": "none",  # text stays text: small files, readable diffs
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


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
    """What one run at paper scale takes: updates, images, minutes, measured.

    `minutes` is the median over the `measured` plain runs among the records `found`; None where
    there are none, and where the recipe was `changed` by `--set`. Raises UsageError for a split
    that there is not.
    """
    recipe = experiment.recipe
    images = examples(recipe.data)["train"]
    if recipe.augmentation:
        images = recipe.augmentation.size(images)
    total = (recipe.pass_examples or images) * recipe.passes
    minutes, measured = None, 0
    if not changed:
        grouped = verdict.groups(found, experiment, "paper").items()
        runs = [run for group, runs in grouped if group.plain for run in runs]
        spent = [m for m in map(_minutes, runs) if m is not None]
        if spent:
            minutes, measured = median(spent), len(spent)
    return {
        "updates": total // recipe.batch,
        "images": total,
        "minutes": minutes,
        "measured": measured,
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
    pages = {f"{paper.name}.md": _paper_page(paper, found, root) for paper in papers}
    pages["README.md"] = _index(papers, found)
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


def _shown(experiment: spec.Experiment, found: list[dict]) -> list[dict]:
    """The runs that stand for an experiment in figures: paper scale, or else short, plain."""
    for scale in ("paper", "short"):
        for group, runs in verdict.groups(found, experiment, scale).items():
            if group.plain:
                return runs
    return []


# ---------------------------------------------------------------------------- pages

LEGEND = """\
**How to read it.** Figures are per cent of error, so lower is better. Measured is the mean ± the
standard deviation of n runs that share recipe, code path and versions of Keras and its backend
(the commit of each is in the table of its runs) and differ in the seed, taken at the end of the schedule
and never selected. Runs with `--set`, another precision, another code path or other versions of
Keras and its backend are never pooled with them; the group with most seeds speaks for the
experiment, the newest of equal ones. A seed that was run twice counts once, as it finished first.
Runs that failed, such as those that diverged, are counted apart and never in n. The interval (95 %)
is where the paper's number may lie to count as reproduced: the prediction interval of one more run,
or, where the paper gives its own spread, Welch's interval of the difference.

| verdict | means |
|:--|:--|
| reproduced | the paper's number lies in the interval |
| better, worse | it does not: the measured error is lower, or higher |
| inconclusive | fewer than 3 seeds, or an interval wider than ± the larger of 0.2 points and a tenth of the paper's error |
| nothing reported | the paper prints no number for it |
| not run | no finished run at paper scale |

A claim compares experiments: its effect is the fall of the mean error from each experiment to the
next, in points, with Welch's 95 % interval. It holds when the whole interval is a fall (by the
claim's margin), does not hold when none of it is, and is inconclusive otherwise, or when an
experiment has a single run. Short-scale runs speak only where paper-scale runs are missing, and
the table says so.
"""  # noqa: E501 - a table row is one line


def _index(papers: Sequence[spec.Paper], found: list[dict]) -> str:
    parts = [
        "# Results\n\nMade by `repro results` from the run records in `runs/`; not edited by "
        f"hand. {_count(len(found), 'record')}; one line per run and protocol in "
        "[results.csv](results.csv).\n"
    ]
    for paper in papers:
        rows = [r for r in verdict.table(found, paper.experiments) if r["main"]]
        parts.append(f"## [{paper.title}]({paper.name}.md)\n\n{_verdict_table(rows)}")
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
        "## Measured against the paper\n\n"
        + _verdict_table([r for r in rows if r["main"]], cost=(found, paper.experiments)),
    ]
    varied = [r for r in rows if not r["main"] and r["verdict"] != verdict.STALE]
    if varied:
        parts.append(
            "## Variations\n\nRuns with `--set`, another precision, another code path or other "
            "versions; each line stands alone.\n\n" + _verdict_table(varied, group=True)
        )
    if paper.claims:
        parts.append("## Claims\n\n" + _claims_table(paper, found))
    short = _short_table(paper, found)
    if short:
        parts.append(
            "## Short scale\n\nThe same recipes with a compressed schedule: held against bands "
            "that were measured here, never against the paper.\n\n" + short
        )
    stale = [r for r in rows if r["verdict"] == verdict.STALE]
    if stale:
        parts.append(
            "## Former recipes\n\nStale: the recipe has changed since these runs, so they are "
            "not judged.\n\n" + _verdict_table(stale, group=True)
        )
    parts.append("## Experiments\n")
    parts += [_section(experiment, found, root) for experiment in paper.experiments]
    return "\n".join(parts)


def _section(experiment: spec.Experiment, found: list[dict], root: Path) -> str:
    lines = [f"### {experiment.name}\n", f"{experiment.title}\n"]
    if experiment.note:
        lines.append(f"{experiment.note}\n")
    if experiment.deviations:
        lines.append("Deviations from the paper:\n")
        lines += [f"- {deviation}" for deviation in experiment.deviations] + [""]
    else:
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
        metric = row["metric"].replace("_", " ")
        if row["protocol"] != "single-view":
            metric += f", {row['protocol']}"
        paper = "–"
        if row["reported"] is not None:
            notes = "; ".join(note for note in (row["source"], row["chosen"]) if note)
            paper = str(row["reported"]) + (f" ({notes})" if notes else "")
        line = [
            row["experiment"],
            metric,
            paper,
            spread(row["mean"], row["std"]),
            str(row["n"]),
            signed(row["difference"]),
            _interval(row["low"], row["high"]),
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


def _claims_table(paper: spec.Paper, found: list[dict]) -> str:
    header = ["claim", "source", "compared", "effect (points)", "interval", "n", "scale", "verdict"]
    lines = []
    for claim in paper.claims:
        judged = claims.judge(claim, found, paper.experiments)
        counts = [judged["steps"][0]["n"][0], *(step["n"][1] for step in judged["steps"])]
        lines.append(
            [
                claim.statement,
                claim.source,
                " > ".join(claim.needs),
                signed(judged["effect"]),
                _interval(judged["low"], judged["high"]),
                ", ".join(str(n) for n in counts),
                judged["scale"] or "–",
                judged["verdict"],
            ]
        )
    return _markdown(header, lines, numeric={"effect (points)"})


def _short_table(paper: spec.Paper, found: list[dict]) -> str:
    header = ["experiment", "what ran", "metric", "measured", "n", "band", "within"]
    lossy = any(verdict.failed(found, experiment, "short") for experiment in paper.experiments)
    if lossy:
        header.insert(5, "failed")
    lines = []
    for experiment in paper.experiments:
        bands = {(b.metric, b.protocol): b for b in experiment.bands if b.scale == "short"}
        wanted = list(bands) or [("test_error", experiment.protocols[0])]
        done = verdict.groups(found, experiment, "short")
        broken = verdict.failed(found, experiment, "short")
        everyone = {**done, **broken}
        for group in everyone:
            for metric, protocol in wanted:
                numbers = verdict.values(done.get(group, ()), metric, protocol)
                if not numbers and group not in broken:
                    continue
                band, within = bands.get((metric, protocol)), "–"
                if band and group.plain and numbers:
                    within = "yes" if band.low <= fmean(numbers) <= band.high else "NO"
                lines.append(
                    [
                        experiment.name,
                        group.label(everyone) + (" (stale)" if group.stale else ""),
                        metric.replace("_", " "),
                        spread(
                            fmean(numbers) if numbers else None,
                            stdev(numbers) if len(numbers) > 1 else None,
                        ),
                        str(len(numbers)),
                        *([str(len(broken.get(group, ())))] if lossy else []),
                        _interval(band.low, band.high) if band else "–",
                        within,
                    ]
                )
    return _markdown(header, lines, numeric={"n", "failed"}) if lines else ""


def _runs_table(runs: list[dict], experiment: spec.Experiment, counted: set[str]) -> str:
    metrics = dict.fromkeys(
        [("test_error", experiment.protocols[0])]
        + [(number.metric, number.protocol) for number in experiment.reported]
        + [("training_error", experiment.protocols[0])]
    )
    columns = {
        (m, p): m.replace("_", " ") + ("" if p == experiment.protocols[0] else f", {p}")
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
        elif run["id"] not in counted:
            differs.append("seed run before: not counted")
        lines.append(
            [
                run["scale"],
                str(run["seed"]),
                *(_mean(verdict.values([record], m, p), "{:.2f}") for m, p in columns),
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


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None else f"{low:.3f} to {high:.3f}".replace("-", "−")


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


# ---------------------------------------------------------------------------- figures


def draw_curves(
    records: Sequence[Mapping], experiment: spec.Experiment, path: str | os.PathLike
) -> Path | None:
    """Learning curves of runs of one experiment and scale: error (per cent) against the pass.

    Every seed as a thin line and their mean as a thick one, the test error solid and the training
    error dashed (or that seen while training, where the paper reports it or there is no other); at
    paper scale the paper's numbers as horizontal lines. The suffix of `path` (.svg or .png) sets
    the format. Returns None, drawing nothing, when no pass has an error. Raises RunError when the
    file cannot be written.
    """
    curves = {metric: _curves(records, metric) for metric in STYLES}
    # one dashed curve: that which the paper's number belongs to, or else the one scored after
    running = any(number.metric == "running_error" for number in experiment.reported)
    if curves["training_error"] and curves["running_error"]:
        del curves["training_error" if running else "running_error"]
    errors = [error for seeds in curves.values() for curve in seeds for error in curve.values()]
    if not errors:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    scale = records[0]["run"]["scale"]
    heading = f"{experiment.name}, {_count(len(records), 'seed')}"
    changed = [] if scale == "paper" else [f"{scale} scale"]
    heading = ", ".join([heading, *changed, *records[0]["run"].get("overrides", ())])
    with _style():
        figure = Figure(figsize=(7.6, 4.4))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.085, right=0.765, top=0.855, bottom=0.12)
        axes.set_title(heading, loc="left", fontsize=12, fontweight="bold", pad=22)
        below = experiment.title + (" (thick: mean of the seeds)" if len(records) > 1 else "")
        axes.text(0, 1.03, below, transform=axes.transAxes, color="#666666", fontsize=9)
        labels = []
        for metric, (word, colour, dashes) in STYLES.items():
            if curves.get(metric):
                end = _draw_seeds(axes, curves[metric], colour, dashes)
                labels.append((end, f"{word} {end:.2f} %", colour))
        reported = [n for n in experiment.reported if scale == "paper" and curves.get(n.metric)]
        for number in reported:
            if number.protocol == experiment.protocols[0]:
                word, colour, _ = STYLES[number.metric]
                colour = INK if number.metric == "test_error" else colour
                axes.axhline(number.value, color=colour, linestyle=":", linewidth=1.5, zorder=1.5)
                labels.append((number.value, f"paper, {word} {number.value} %", colour))
                errors.append(number.value)
        _scale_errors(axes, errors)
        last = max(max(curve) for seeds in curves.values() for curve in seeds)
        axes.set_xlim(0 if last > 40 else 0.5, max(last, 1.5) * (1.01 if last > 40 else 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set(xlabel="pass", ylabel="error (%)")
        _label_right(axes, labels)
        return _save(figure, path)


def draw_filters(array: Any, path: str | os.PathLike, title: str = "first-layer filters") -> Path:
    """The first layer's filters, `array` [height, width, inputs, filters].

    Three inputs make coloured pictures (RGB). Otherwise each picture joins one input to one
    filter and shows the sign: blue below zero, white at zero, orange above. One range for all.
    The suffix of `path` sets the format. Raises RunError when the file cannot be written.
    """
    import numpy as np
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure

    array = np.asarray(array, dtype=np.float64)
    height, width, inputs, filters = array.shape
    largest = float(np.abs(array).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("signed", [TEST_COLOUR, "white", TRAINING_COLOUR])
    signs = ScalarMappable(Normalize(-largest, largest), colours)
    if inputs == 3:
        pictures = list(np.moveaxis(array / (2 * largest) + 0.5, 3, 0))
    else:
        pictures = list(array.transpose(2, 3, 0, 1).reshape(-1, height, width))
    columns = min(filters, 8 if filters <= 32 else 12)
    rows = math.ceil(len(pictures) / columns)
    size = 1.1 if columns <= 8 else 0.7  # inches
    with _style():
        figure = Figure(
            figsize=(max(columns * size + 1, 3.5), rows * size + 0.6), layout="constrained"
        )
        tiles = figure.subplots(rows, columns, squeeze=False)
        figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold")
        for tile in tiles.flat:
            tile.set_axis_off()
        for tile, picture in zip(tiles.flat, pictures, strict=False):
            tile.set_axis_on()
            tile.grid(False)
            tile.set(xticks=[], yticks=[])
            tile.spines[:].set(visible=True, color="#9A9A9A", linewidth=0.6)
            tile.imshow(picture, cmap=colours, vmin=-largest, vmax=largest, interpolation="nearest")
        if inputs != 3:
            bar = figure.colorbar(signs, ax=tiles, ticks=[-largest, 0, largest], aspect=12)
            bar.ax.set_yticklabels([f"−{largest:.2g}", "0", f"{largest:.2g}"], fontsize=8)
            bar.outline.set(edgecolor="#9A9A9A", linewidth=0.6)
        return _save(figure, path)


def _style():
    from matplotlib import rc_context

    return rc_context(STYLE)


def _save(figure: Any, path: str | os.PathLike) -> Path:
    path = Path(path)
    dateless = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata=dateless, bbox_inches="tight", pad_inches=0.12)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None
    return path


def _curves(records: Sequence[Mapping], metric: str) -> list[dict[int, float]]:
    """Per run that has any: the metric by pass."""
    curves = [{p["pass"]: p[metric] for p in r["passes"] if metric in p} for r in records]
    return [curve for curve in curves if curve]


def _draw_seeds(axes: Any, seeds: list[dict[int, float]], colour: str, dashes: Any) -> float:
    """Draws each seed's curve and their mean; returns the mean at the last common pass."""
    common = sorted(set.intersection(*(set(curve) for curve in seeds)))
    mean = [fmean(curve[p] for curve in seeds) for p in common]
    if len(seeds) > 1:
        for curve in seeds:
            axes.plot(
                list(curve),
                list(curve.values()),
                color=colour,
                linestyle=dashes,
                linewidth=0.8,
                alpha=0.45,
            )
    marker = {"marker": "o", "markersize": 9 if dashes == "-" else 4} if len(common) == 1 else {}
    axes.plot(common, mean, color=colour, linestyle=dashes, linewidth=2, **marker)
    return mean[-1] if mean else math.nan


def _scale_errors(axes: Any, errors: list[float]) -> None:
    """A logarithmic axis where the errors span a decade or so, else one from zero."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(errors), max(errors)
    if low > 0 and high / low > 8:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{error:g}"))
    else:
        axes.set_ylim(0, high * 1.08 or 1)


def _label_right(axes: Any, labels: list[tuple[float, str, str]]) -> None:
    """Writes each (value, text, colour) at the right of the axes, pushed apart where they touch."""
    gap = 0.062  # of the height: one line of text
    to_axes = axes.transScale + axes.transLimits
    placed = sorted((to_axes.transform((0, value))[1], text, ink) for value, text, ink in labels)
    heights = [height for height, *_ in placed]
    for _ in range(50):
        for k in range(len(heights) - 1):
            overlap = gap - (heights[k + 1] - heights[k])
            if overlap > 1e-6:
                heights[k] -= overlap / 2
                heights[k + 1] += overlap / 2
    for height, (true, text, ink) in zip(heights, placed, strict=True):
        axes.annotate(
            text,
            xy=(1, true),
            xytext=(1.03, height),
            xycoords="axes fraction",
            color=ink,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": ink,
                "linewidth": 0.8,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
