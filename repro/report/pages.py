"""The pages of results/: what each shows, put into the templates beside this file."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from repro import spec
from repro.judging import groups, verdict
from repro.judging.spread import Observed, Prior, outside
from repro.judging.verdict import VerdictRow
from repro.records.reading import KEPT_SCALES
from repro.report import (
    glance,
    hard_images,
    networks_figure,
    networks_shown,
    paper_figures,
    spread_figure,
)
from repro.report.images_table import images_table
from repro.report.paper_figures import figure_file
from repro.report.tables import (
    claims_table,
    ensembles_table,
    not_run_here,
    runs_table,
    short_table,
    verdict_table,
)
from repro.report.words import by_chance, count_of, counts

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"count_of": count_of}
    return environment


def render(template: str, **what: Any) -> str:
    """The page that a template makes of `what`."""
    return _environment().get_template(f"{template}.j2").render(**what)


def front_page(
    papers: Sequence[spec.Paper],
    records: Sequence[dict],
    rows: Sequence[VerdictRow],
    spreads: tuple[Sequence[Observed], Prior],
    root: Path,
    speed: Mapping[str, str],
) -> str:
    """results/README.md.

    rows: the verdicts on all papers. spreads: the groups that the prior is fitted to, and it.
    speed: the pages of benchmarks that are there, by the kind of the devices. The figures that the
    page shows are those in `root`.
    """
    described = {experiment.name for paper in papers for experiment in paper.experiments}
    seen, prior = spreads
    return render(
        "README.md",
        records=len(records),
        speed=speed,
        glance=_glance(rows, root),
        counts=counts(rows),
        chance=by_chance(rows).replace("*", "\\*"),
        papers=[_summary(paper, records, _of(paper, rows)) for paper in papers],
        networks=_networks(papers, rows, root),
        spread=_spread(root) if prior.degrees else "",
        groups=len(seen),
        prior=prior,
        outside=[_outside(group, far, prior) for group, far in outside(seen, prior)],
        tolerance_points=verdict.TOLERANCE_POINTS,
        orphans=sorted({record["run"]["experiment"] for record in records} - described),
    )


def _of(paper: spec.Paper, rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    names = {experiment.name for experiment in paper.experiments}
    return [row for row in rows if row.experiment in names]


def _glance(rows: Sequence[VerdictRow], root: Path) -> str:
    """The picture of all verdicts."""
    about = "Each measured number beside the paper's"
    return _picture(tuple(glance.FILES), about, root) if glance.shown(rows) else ""


def _networks(papers: Sequence[spec.Paper], rows: Sequence[VerdictRow], root: Path) -> list[str]:
    """The pictures of all networks of a dataset together."""
    pictures = []
    for dataset in networks_shown.by_dataset(papers, rows):
        about = f"{networks_figure.title(dataset)}: error against parameters, work and speed"
        pictures.append(_picture(tuple(networks_figure.files_of(dataset)), about, root))
    return list(filter(None, pictures))


def _picture(names: tuple[str, str], about: str, root: Path) -> str:
    """A figure as GitHub shows it on light and on dark pages; nothing where one is not there."""
    light, dark = (Path("figures", name) for name in names)
    if not ((root / light).exists() and (root / dark).exists()):
        return ""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark.as_posix()}">\n'
        f'<img alt="{about}" src="{light.as_posix()}"></picture>'
    )


def _spread(root: Path) -> str:
    path = Path("figures", spread_figure.FILE)
    return f"![Observed spread beside the expected one]({path.as_posix()})" * (root / path).exists()


def _outside(group: Observed, far: bool, prior: Prior) -> str:
    expected = prior.std(group.error, group.images)
    return (
        f"{group.experiment}{', far outside' * far}, whose {group.n} runs vary by "
        f"{group.std:.3f} points where {expected:.3f} is expected"
    )


def _summary(
    paper: spec.Paper, records: Sequence[dict], rows: Sequence[VerdictRow]
) -> dict[str, str]:
    rows = [row for row in rows if row.main]
    return {
        "title": paper.title,
        "name": paper.name,
        "verdicts": verdict_table(rows) if rows else "",
        "not_run_here": not_run_here(paper),
        "claims": claims_table(paper, records) if paper.claims else "",
    }


def paper_page(
    paper: spec.Paper, records: Sequence[dict], rows: Sequence[VerdictRow], root: Path
) -> str:
    """The page of a paper; `rows`: the verdicts. The figures that it shows are those in `root`."""
    rows = _of(paper, rows)
    main = [row for row in rows if row.main]
    stale = [row for row in rows if row.verdict == verdict.STALE]
    varied = [row for row in rows if not row.main and row.verdict != verdict.STALE]
    former = [verdict_table(stale, group=True)] if stale else []
    former += filter(None, [short_table(paper, records, stale=True)])
    common = {kind: _common(paper, kind) for kind in ("differs", "chosen")}

    def shown(scale: str) -> list[str]:
        return [_figure(figure, paper, records, root, scale) for figure in paper.figures]

    return render(
        "paper.md",
        paper=paper,
        verdicts=verdict_table(main, cost=(records, paper.experiments)) if main else "",
        ensembles=ensembles_table(paper),
        not_run_here=not_run_here(paper),
        variations=verdict_table(varied, group=True) if varied else "",
        claims=claims_table(paper, records) if paper.claims else "",
        figures=list(zip(paper.figures, shown("paper"), strict=True)),
        images=images_table(paper, records),
        sheets=hard_images.sheets(paper, root),
        short=short_table(paper, records, stale=False),
        short_figures=list(filter(None, shown("short"))),
        former=former,
        common=common,
        experiments=[_section(e, common, records, root) for e in paper.experiments],
    )


def _figure(
    figure: spec.Figure, paper: spec.Paper, records: Sequence[dict], root: Path, scale: str
) -> str:
    """One of the paper's figures, with what it lacks; nothing where nothing ran."""
    path = Path("figures", figure_file(paper, figure, scale))
    runs = paper_figures.chosen(figure, paper.experiments, records, scale)
    if not (runs and (root / path).exists()):
        return ""
    names = dict.fromkeys(name for _, names in figure.panels for name in names)
    lacking = ", ".join(name for name in names if name not in runs)
    said = f"From runs at {scale} scale." + (f" Not run: {lacking}." if lacking else "")
    return f"![{figure.source}]({path})\n\n{said}"


def _common(paper: spec.Paper, kind: str) -> list[str]:
    """The deviations of a kind that all experiments of the paper have; none where it has one."""
    first, *others = [getattr(experiment, kind) for experiment in paper.experiments] or [()]
    return [d for d in first if others and all(d in other for other in others)]


def _section(
    experiment: spec.Experiment, common: dict, records: Sequence[dict], root: Path
) -> dict[str, Any]:
    """An experiment with its runs, and with the deviations that are not `common` to all."""
    kinds = (("curves", "learning curves"), ("filters", "first-layer filters"))
    files = [(words, f"figures/{experiment.name}-{kind}.svg") for kind, words in kinds]
    mine = [r for r in records if r["run"]["experiment"] == experiment.name]
    mine.sort(key=lambda r: (r["run"]["scale"], r["run"]["seed"], r["run"]["id"]))
    counted = {
        r["run"]["id"]
        for scale in KEPT_SCALES
        for runs in groups.groups(records, experiment, scale).values()
        for r in runs
    }
    return {
        "experiment": experiment,
        "differs": [d for d in experiment.differs if d not in common["differs"]],
        "chosen": [d for d in experiment.chosen if d not in common["chosen"]],
        "figures": [(words, file) for words, file in files if os.path.exists(root / file)],
        "runs": runs_table(mine, experiment, counted) if mine else "",
    }
