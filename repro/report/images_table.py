"""Runs side by side on the test images, as a table."""

from collections.abc import Sequence
from statistics import fmean, stdev

from repro import spec
from repro.judging import images, measures
from repro.report.words import markdown, metric_name


def images_table(paper: spec.Paper, records: Sequence[dict]) -> str:
    """How far seeds spread, and by images; on how many images runs disagree, or are all wrong.

    A row for each experiment and protocol of which two runs keep their test images, by those that
    speak for it. Nothing without any.
    """
    header = ["experiment", "metric", "n", "spread over seeds", "by images"]
    header += ["two runs disagree on", "wrong in all"]
    lines = []
    for experiment in paper.experiments:
        for protocol in experiment.protocols:
            runs = images.speaking(records, [experiment], protocol)
            if runs is None:
                continue
            apart = images.disagreements(runs.wrong)
            lines.append(
                [
                    experiment.name,
                    metric_name("test_error", protocol),
                    f"{len(runs.records)}" + (" (short scale)" if runs.scale == "short" else ""),
                    f"{stdev(measures.values(runs.records, 'test_error', protocol)):.3f}",
                    f"{images.spread(runs.wrong):.3f}",
                    f"{fmean(apart):,.1f} ({min(apart):,} to {max(apart):,})",
                    f"{len(images.wrong_in_all(runs.wrong)):,} of {runs.wrong.shape[1]:,}",
                ]
            )
    return markdown(header, lines, numeric=set(header[2:])) if lines else ""
