"""The pages of results/."""

from collections.abc import Sequence
from pathlib import Path

from repro import spec
from repro.judging import groups, verdict
from repro.records.reading import KEPT_SCALES
from repro.report import paper_figures
from repro.report.paper_figures import figure_file
from repro.report.tables import claims_table, not_run_here, runs_table, short_table, verdict_table
from repro.report.words import count_of

NO_EXPERIMENT = "Numbers without an experiment"

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


def front_page(papers: Sequence[spec.Paper], found: list[dict], speed: bool) -> str:
    parts = [
        "# Results\n\nMade by `repro results` from the run records in `runs/`; not edited by "
        f"hand. {count_of(len(found), 'record')}; one line per run and protocol in "
        "[results.csv](results.csv).\n"
    ]
    if speed:
        parts.append(
            "How fast training is here, beside plain Keras and PyTorch: [bench.md](bench.md).\n"
        )
    for paper in papers:
        rows = [r for r in verdict.table(found, paper.experiments) if r.main]
        parts.append(f"## [{paper.title}]({paper.name}.md)\n")
        if rows:
            parts.append(verdict_table(rows))
        if not_run_here(paper):
            parts.append(
                f"Its numbers without an experiment: [{paper.name}.md]"
                f"({paper.name}.md#{NO_EXPERIMENT.lower().replace(' ', '-')}).\n"
            )
        if paper.claims:
            parts.append(claims_table(paper, found))
    parts.append(LEGEND)
    known = {experiment.name for paper in papers for experiment in paper.experiments}
    orphans = sorted({r["run"]["experiment"] for r in found} - known)
    if orphans:
        parts.append(f"Records of experiments that are no more: {', '.join(orphans)}.\n")
    return "\n".join(parts)


def paper_page(paper: spec.Paper, found: list[dict], root: Path) -> str:
    rows = verdict.table(found, paper.experiments)
    parts = [
        f"# {paper.title}\n\n{paper.citation}\n\n"
        "Made by `repro results`; how to read it stands in [README.md](README.md).\n",
    ]
    if paper.experiments:
        table = verdict_table([r for r in rows if r.main], cost=(found, paper.experiments))
        parts.append(f"## Measured against the paper\n\n{table}")
    if not_run_here(paper):
        parts.append(f"## {NO_EXPERIMENT}\n\n{not_run_here(paper)}")
    varied = [r for r in rows if not r.main and r.verdict != verdict.STALE]
    if varied:
        parts.append(
            "## Variations\n\nRuns with `--set`, another precision, another code path or other "
            "versions; each line stands alone.\n\n" + verdict_table(varied, group=True)
        )
    if paper.claims:
        parts.append("## Claims\n\n" + claims_table(paper, found))
    for figure in paper.figures:
        shown = _figure(figure, paper, found, root, "paper") or "not run\n"
        parts.append(f"## {figure.source}: {figure.title}\n\n{shown}")
    if short := short_table(paper, found, stale=False):
        parts.append(
            "## Short scale\n\nThe same recipes with a compressed schedule: held against bands "
            "that were measured here, never against the paper.\n\n" + short
        )
        parts += filter(None, (_figure(f, paper, found, root, "short") for f in paper.figures))
    stale = [r for r in rows if r.verdict == verdict.STALE]
    tables = [verdict_table(stale, group=True)] if stale else []
    tables += filter(None, [short_table(paper, found, stale=True)])
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
    path = Path("figures", figure_file(paper, figure, scale))
    runs = paper_figures.chosen(figure, paper.experiments, found, scale)
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
        for runs in groups.groups(found, experiment, scale).values()
        for r in runs
    }
    return "\n".join([*lines, runs_table(mine, experiment, counted)])
