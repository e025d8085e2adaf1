"""results/: pages, tables and figures made from the records of the runs.

Made again from the same records, everything comes out the same, byte for byte.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from repro import catalog, spec
from repro.errors import DataError, ReproError, RunError
from repro.files import put, read_bytes
from repro.judging import groups, spread, verdict
from repro.judging.verdict import VerdictRow
from repro.records.reading import KEPT_SCALES, collect, gather, read_run, recorded, records
from repro.report import (
    bench_page,
    glance,
    hard_images,
    network_counts,
    networks_figure,
    networks_shown,
    paper_figures,
    spread_figure,
)
from repro.report.filters_file import read_filters
from repro.report.ownership import refuse_foreign
from repro.report.pages import front_page, paper_page
from repro.report.paper_figures import figure_file
from repro.report.run_figures import draw_curves, draw_filters
from repro.report.run_frame import csv_table

Warn = Callable[[str], None]


def _print(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def regenerate(
    runs_root: str | os.PathLike,
    results_root: str | os.PathLike,
    papers: Sequence[spec.Paper] | None = None,
    figures: bool = True,
    warn: Warn = _print,
    kept: str | os.PathLike | None = None,
    count: bool = False,
) -> dict:
    """Adds the runs of `runs_root` that ended to the records and writes results/ anew from all.

    `kept`: another folder of results, whose records (with the benchmark and the counts of networks)
    are copied here first. `count`: count the networks that no figure shows, too.
    Writes README.md, one page per paper, results.csv and, if wanted, the figures. `papers` are
    the catalog's unless given. What is broken is left out and named by `warn`: a record, a run
    directory, filters.npy, bench.json. Returns {"records": count, "added": [paths], "written":
    [paths]}; without any record nothing is written. Raises UsageError where a file is in the way
    that was not made here, before anything is written, and RunError when results/ cannot be
    written.
    """
    runs_root, root = Path(runs_root).absolute(), Path(results_root)
    papers = catalog.papers() if papers is None else papers
    warn = _once(warn)
    copied = [path for path, _ in recorded(kept, warn)] if kept and not _same(kept, root) else []
    if not copied and not gather(root, runs_root, warn=warn):
        return {"records": 0, "added": [], "written": []}
    refuse_foreign(_places(papers, root, figures))
    beside = [network_counts.FILE, *(name for name, _ in bench_page.FILES.values())]
    beside = [Path(kept, name) for name in beside] if copied else []
    for path in (*copied, *filter(Path.is_file, beside)):
        target = root / path.relative_to(kept)
        if not os.path.lexists(target):
            put(target, read_bytes(path))
    added = collect(runs_root, root, warn=warn)
    everything = records(root, warn=warn)
    experiments = [experiment for paper in papers for experiment in paper.experiments]
    seen = spread.observed(spread.every(everything), experiments)
    prior = spread.fit(seen)
    rows = verdict.table(everything, experiments, prior)
    written = []
    if figures:
        written += _overviews(papers, rows, seen, prior, root, warn)
        written += _networks(papers, rows, everything, root, warn, count)
        written += _figures(papers, everything, runs_root, root, warn)
    pages = _pages(papers, everything, rows, (seen, prior), root, warn)
    for name, text in sorted(pages.items()):
        put(root / name, text)
        written.append(root / name)
    return {
        "records": len(everything),
        "added": [str(path) for path in added],
        "written": [str(path) for path in written],
    }


def _same(one: str | os.PathLike, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _once(warn: Warn) -> Warn:
    """`warn`, told the same thing once."""
    told = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            warn(text)

    return tell


def _places(papers: Sequence[spec.Paper], root: Path, figures: bool) -> Iterator[Path]:
    """Every file that may be written."""
    yield from (root / "README.md", root / "results.csv")
    for document, page in bench_page.FILES.values():
        if (root / document).exists():
            yield root / page
    if os.path.lexists(root / "figures") and not (root / "figures").is_dir():
        yield root / "figures"
    for name in (*glance.FILES, spread_figure.FILE) if figures else ():
        yield root / "figures" / name
    if figures:
        yield root / network_counts.FILE
    for dataset in hard_images.by_dataset(papers) if figures else ():
        for name in (hard_images.sheet_file(dataset), *networks_figure.files_of(dataset)):
            yield root / "figures" / name
    for paper in papers:
        yield root / f"{paper.name}.md"
        for experiment in paper.experiments if figures else ():
            yield from (_curves_file(experiment, root), _filters_file(experiment, root))
        for figure, scale in product(paper.figures if figures else (), KEPT_SCALES):
            yield root / "figures" / figure_file(paper, figure, scale)


def _curves_file(experiment: spec.Experiment, root: Path) -> Path:
    return root / "figures" / f"{experiment.name}-curves.svg"


def _filters_file(experiment: spec.Experiment, root: Path) -> Path:
    return root / "figures" / f"{experiment.name}-filters.svg"


def _pages(
    papers: Sequence[spec.Paper],
    records: Sequence[dict],
    rows: Sequence[VerdictRow],
    spreads: tuple[Sequence[spread.Observed], spread.Prior],
    root: Path,
    warn: Warn,
) -> dict[str, str]:
    """The texts of results/ by the names of their files."""
    pages = {f"{paper.name}.md": paper_page(paper, records, rows, root) for paper in papers}
    for document, page in bench_page.FILES.values():
        try:
            measured = bench_page.read(root, document)
            if measured is not None:
                pages[page] = bench_page.page(measured, document)
        except DataError as error:
            warn(f"{root / page} is left as it is: {error}")
    speed = {
        kind: page
        for kind, (_, page) in bench_page.FILES.items()
        if page in pages or (root / page).exists()
    }
    pages["README.md"] = front_page(papers, records, rows, spreads, root, speed)
    pages["results.csv"] = csv_table(records)
    return pages


def _overviews(
    papers: Sequence[spec.Paper],
    rows: Sequence[VerdictRow],
    seen: Sequence[spread.Observed],
    prior: spread.Prior,
    root: Path,
    warn: Warn,
) -> list[Path]:
    """Draws what is about all papers; the files that were written."""
    paper_of = {experiment.name: paper.name for paper in papers for experiment in paper.experiments}
    figures, path = root / "figures", root / "figures" / spread_figure.FILE
    plans = [(path, partial(spread_figure.draw, seen, prior, path))]
    for name, inks in glance.FILES.items():
        path = figures / name
        plans.append((path, partial(glance.draw, rows, paper_of, path, inks)))
    return [path for path, draw in plans if _drawn(draw, path, warn)]


def _networks(
    papers: Sequence[spec.Paper],
    rows: Sequence[VerdictRow],
    records: Sequence[dict],
    root: Path,
    warn: Warn,
    count: bool,
) -> list[Path]:
    """Draws all networks of each dataset together; the files that were written."""
    datasets = networks_shown.by_dataset(papers, rows)
    drawn = [shown.network for some in datasets.values() for shown in some]
    every = [e.network for paper in papers for e in paper.experiments]
    every += [network for paper in papers for network in paper.networks]
    counts = network_counts.of(every if count else drawn, root, warn, others=every)
    written = []
    for dataset, some in datasets.items():
        for name, inks in networks_figure.files_of(dataset).items():
            path = root / "figures" / name
            draw = partial(networks_figure.draw, dataset, some, counts, records, path, inks)
            written += [path] if _drawn(draw, path, warn) else []
    return written


def _figures(
    papers: Sequence[spec.Paper], records: Sequence[dict], runs_root: Path, root: Path, warn: Warn
) -> list[Path]:
    """Draws all figures, as far as there are runs; the files that were written."""
    plans: list[tuple[Path, Callable[[], Path | None]]] = []
    for paper in papers:
        for experiment in paper.experiments:
            shown = _shown(experiment, records)
            if shown:
                path = _curves_file(experiment, root)
                plans.append((path, partial(draw_curves, shown, experiment, path)))
                path = _filters_file(experiment, root)
                draw = partial(_draw_filters, shown, experiment, runs_root, path, warn)
                plans.append((path, draw))
        for figure, scale in product(paper.figures, KEPT_SCALES):
            path = root / "figures" / figure_file(paper, figure, scale)
            runs = paper_figures.chosen(figure, paper.experiments, records, scale)
            draw = partial(paper_figures.draw_figure, figure, runs, path, paper.claims)
            plans.append((path, draw))
    for dataset, experiments in hard_images.by_dataset(papers).items():
        path = root / "figures" / hard_images.sheet_file(dataset)
        draw = partial(hard_images.draw_sheet, dataset, experiments, records, path)
        plans.append((path, draw))
    return [path for path, draw in plans if _drawn(draw, path, warn)]


def _drawn(draw: Callable[[], Path | None], path: Path, warn: Warn) -> bool:
    """Whether `draw` drew something; what is wrong with a record is told and stops no other."""
    try:
        return draw() is not None
    except RunError:  # results/ cannot be written
        raise
    except Exception as error:
        what = error if isinstance(error, ReproError) else f"{type(error).__name__}: {error}"
        warn(f"{path} is not drawn: {what}")
        return False


def _draw_filters(
    shown: Sequence[dict], experiment: spec.Experiment, runs_root: Path, path: Path, warn: Warn
) -> Path | None:
    """The filters of the first of the runs whose directory is there.

    Filters stay in the run directory: without it the picture from before is kept.
    """
    seeds = {record["run"]["id"]: record["run"]["seed"] for record in shown}
    arrays = {}
    for file in sorted(runs_root.glob(f"{experiment.name}/*/filters.npy")) if seeds else ():
        try:
            run_id = read_run(file.parent)["run"]["id"]
            if run_id in seeds:
                arrays[seeds[run_id]] = read_filters(file, within=file.parent)
        except ReproError as error:
            warn(f"left out: {error}")
    for seed in sorted(seed for seed, array in arrays.items() if array is not None):
        return draw_filters(arrays[seed], path, f"{experiment.name}, seed {seed}: filters")
    return None


def _shown(experiment: spec.Experiment, records: Sequence[dict]) -> list[dict]:
    """The runs that stand for an experiment in figures: paper scale, or else short, plain."""
    paper, short = (groups.speaking(records, experiment, scale) for scale in ("paper", "short"))
    return [groups.as_grouped(record, experiment) for record in paper or short]
