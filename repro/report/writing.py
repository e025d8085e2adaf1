"""results/: pages, tables and figures made from the records of the runs.

Made again from the same records, everything comes out the same, byte for byte.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from repro import catalog, spec
from repro.files import put
from repro.judging import groups
from repro.records.reading import KEPT_SCALES, collect, read_run, records
from repro.report import bench_page, paper_figures
from repro.report.pages import front_page, paper_page
from repro.report.paper_figures import figure_file
from repro.report.run_figures import draw_curves, draw_filters
from repro.report.tables import csv_table


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
    pages = {f"{paper.name}.md": paper_page(paper, found, root) for paper in papers}
    speed = bench_page.read(root)
    if speed is not None:
        pages["bench.md"] = bench_page.page(speed)
    pages["README.md"] = front_page(papers, found, speed is not None)
    pages["results.csv"] = csv_table(found, papers)
    for name, text in sorted(pages.items()):
        put(root / name, text)
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
            runs = paper_figures.chosen(figure, paper.experiments, found, scale)
            made.append(
                paper_figures.draw_figure(figure, runs, folder / figure_file(paper, figure, scale))
            )
    return [path for path in made if path]


def _shown(experiment: spec.Experiment, found: list[dict]) -> list[dict]:
    """The runs that stand for an experiment in figures: paper scale, or else short, plain."""
    for scale in ("paper", "short"):
        for group, runs in groups.groups(found, experiment, scale).items():
            if group.plain:
                return runs
    return []
