"""Comparisons as they are told: a line of a table each, and what stands below it."""

from collections.abc import Sequence

from repro.errors import NOT_FINITE
from repro.judging.compare import DIFFERS, Comparison, Lost, Row


def note(comparisons: Sequence[Comparison]) -> str:
    """How to read the tables."""
    text = (
        "Errors in per cent, the mean over (n) runs; b - a in points, with a 95 % interval. "
        "differs: 0 lies outside of the interval (slightly: it is surely less than the tolerance); "
        "equivalent: the difference is surely less than the tolerance."
    )
    if any(shows_images(comparison) for comparison in comparisons):
        text += (
            " images: on how many two runs disagree, one of each group (two of the same), of "
            "different seeds where there are any."
        )
    return text


def shows_images(comparison: Comparison) -> bool:
    return any(row.apart is not None for row in comparison.rows)


def row(row: Row) -> tuple[str | None, ...]:
    """experiment, a, b, b - a, tolerance, verdict, images."""
    a, b = (
        f"{mean:.2f} ({counted(n, lost)})"
        for mean, n, lost in zip(row.means, row.n, row.failed, strict=True)
    )
    difference = f"{row.difference:+.2f}"
    if row.low is not None:
        difference += f" ± {(row.high - row.low) / 2:.2f}"
    images = None
    if row.apart is not None:
        images = f"{row.apart:.0f}"
        images += "" if row.apart_by_seeds is None else f" ({row.apart_by_seeds:.0f})"
    return row.experiment, a, b, difference, f"± {row.tolerance:.2f}", row.words, images


def counted(n: int, failed: int) -> str:
    """'3', or '2, 1 failed'."""
    return f"{n}, {failed} failed" if failed else f"{n}"


def below(comparison: Comparison) -> list[str]:
    """What a reader must know of the rows, and what all experiments say together."""
    lines = []
    also: dict[str, list[str]] = {}
    for one in comparison.rows:
        for text in one.also:
            also.setdefault(text, []).append(one.experiment)
    for text, names in also.items():
        of = "" if len(names) == len(comparison.rows) else f" ({', '.join(names)})"
        lines.append(f"the groups differ too in {text}{of}")
    if chance := [one.experiment for one in comparison.rows if one.by_chance]:
        lines.append(
            f"(chance?): {', '.join(chance)} would not differ after Holm's correction for so many "
            "comparisons"
        )
    lines += map(lost, comparison.lost)
    if comparison.together:
        lines.append(together(comparison))
    return lines


def lost(one: Lost) -> str:
    """'resnet20-cifar10 differs; jax: all 3 runs failed (the loss is not finite)', say."""
    said = " differs" if one.differs else "" if one.finished else " is not compared"
    of = f"all {one.failed} runs" if one.failed > 1 else "the one run"
    if one.finished:
        of = f"{one.failed} of {runs(one.failed + one.finished)}"
    of_these = f", {one.diverged} of them" if one.diverged < one.failed else ""
    why = f" ({NOT_FINITE}{of_these})" if one.diverged else ""
    return f"{one.experiment}{said}; {one.side}: {of} failed{why}"


def together(comparison: Comparison) -> str:
    all_ = comparison.together
    return (
        f"all {all_.experiments} experiments together: {all_.verdict}: {all_.difference:+.2f} "
        f"tolerances (95 % interval {all_.low:+.2f} to {all_.high:+.2f}); the experiments lie "
        f"{all_.between:.2f} apart"
    )


def runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def differing(comparison: Comparison) -> list[str]:
    """The experiments that differ, not by chance among so many, or in which runs diverged."""
    names = [r.experiment for r in comparison.rows if r.verdict == DIFFERS and not r.by_chance]
    diverged = [one.experiment for one in comparison.lost if one.differs]
    said = [name for name in names if name not in diverged]
    return [*said, *(f"{name} ({NOT_FINITE})" for name in diverged)]
