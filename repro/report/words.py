"""Numbers and facts as they stand in tables."""

from collections.abc import Iterable, Mapping
from statistics import fmean

from repro.judging import groups, measures, verdict
from repro.judging.claims import JudgedClaim
from repro.judging.verdict import VerdictRow


def metric_name(metric: str, protocol: str) -> str:
    return metric.replace("_", " ") + ("" if protocol == "single-view" else f", {protocol}")


def paper_number(value: float | None, std: float | None, source: str, chosen: str) -> str:
    """The paper's number with its own spread, and in brackets where it stands; else a dash."""
    if value is None:
        return "–"
    notes = "; ".join(note for note in (source, chosen) if note)
    return f"{value}" + (f" ± {std}" if std is not None else "") + (f" ({notes})" if notes else "")


def spread(mean: float | None, std: float | None) -> str:
    """'0.964 ± 0.031', in per cent; a dash where nothing was measured."""
    if mean is None:
        return "–"
    return f"{mean:.3f}" + ("" if std is None else f" ± {std:.3f}")


def signed(points: float | None) -> str:
    """'+0.014' or '−0.014'; a dash for None."""
    return "–" if points is None else f"{points:+.3f}".replace("-", "−")


def verdict_word(row: VerdictRow) -> str:
    """The verdict; with a star where it lies outside before Holm's correction only."""
    return row.verdict + ("*" if row.by_chance else "")


def runs_counted(row: VerdictRow) -> str:
    """'3', or '5 (2 added)' where there are more than the experiment is judged by."""
    return f"{row.n}" + (f" ({row.added} added)" if row.added else "")


def equivalent(row: VerdictRow) -> str:
    """'yes' or 'no'; a dash where nothing was compared."""
    return {True: "yes", False: "no", None: "–"}[row.equivalent]


def counts(rows: Iterable[VerdictRow]) -> str:
    """'5 reproduced, 1 better, 5 worse, 0 inconclusive; 1 provisional; 40 not run'."""
    main = [row for row in rows if row.main and row.number]
    words = [f"{sum(row.verdict == word for row in main)} {word}" for word in verdict.SETTLED]
    early = sum(row.provisional for row in main)
    waiting = sum(row.verdict == verdict.NOT_RUN for row in main)
    parts = [", ".join(words), f"{early} provisional" * bool(early), f"{waiting} not run"]
    return "; ".join(filter(None, parts))


def by_chance(rows: Iterable[VerdictRow]) -> str:
    """How many of the judged rows would fall outside by chance, and which are starred, in words."""
    judged = [row for row in rows if row.judged]
    if not judged:
        return ""
    expected, outside = verdict.outside_by_chance(judged), sum(row.outside for row in judged)
    rows_said, do = count_of(len(judged), "judged row"), "does" if outside <= 1 else "do"
    outside = outside or "none"
    text = f"Of {rows_said} {expected:.2g} would fall outside by chance alone; {outside} {do}."
    starred = any(row.by_chance for row in judged)
    return text + " *: inside after Holm's correction for all judged rows." * starred


def effect(judged: JudgedClaim) -> str:
    """The effect of a judged claim: '+0.326 points', '5.9 times', '+0.120' where it has no unit."""
    if judged.effect is None:
        return signed(None)
    if judged.unit == "times":
        return f"{judged.effect:.2f} times"
    return f"{signed(judged.effect)} {judged.unit}".rstrip()


def interval(low: float | None, high: float | None) -> str:
    """'0.207 to 0.445'; a dash for None."""
    return "–" if low is None else f"{low:.3f} to {high:.3f}".replace("-", "−")


def form_of(metric: str) -> str:
    return "{:.2f}" if measures.per_cent(metric) else "{:.3f}"


def mean_of(numbers: Iterable[float | None], form: str = "{:,.1f}") -> str:
    given = [number for number in numbers if number is not None]
    return form.format(fmean(given)) if given else "–"


def failure_reason(record: dict) -> str:
    """Why a run failed, in one line; nothing where it did not."""
    return " ".join(str((record.get("failure") or {}).get("reason", "")).split())


def commit_of(run: dict) -> str:
    commit = str(run.get("commit") or "")[:7] or "–"
    return f"{commit} (changed)" if run.get("dirty") else commit


def ran_with(run: dict) -> str:
    machine = run.get("machine", {})
    whole = {"cores", "processor"} <= machine.keys()
    where = f" ({machine['cores']} cores of {machine['processor']})" if whole else ""
    return f"{groups.code_path(run)}{where}; {versions_of(run)}"


def versions_of(run: dict) -> str:
    versions: Mapping[str, str] = run.get("versions", {})
    return ", ".join(f"{k} {versions[k]}" for k in ("keras", run["backend"]) if k in versions)


def count_of(number: int, noun: str, several: str = "") -> str:
    """'1 run', '1,200 runs', '3 passes'."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def markdown(header: list[str], rows: list[list[str]], numeric: set[str]) -> str:
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join("--:" if name in numeric else ":--" for name in header) + "|")
    for row in rows:
        cells = (" ".join(cell.replace("|", "\\|").split()) for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
