"""`verify`: after an upgrade, does accuracy still hold here?"""

from pathlib import Path
from typing import Annotated

import typer

from repro.commands import options
from repro.commands.compare import Names
from repro.commands.options import Json, number
from repro.errors import UsageError
from repro.records import VERIFIED

MOST_MINUTES = 100_000


def verify(
    names: Names = None,
    budget: Annotated[
        int,
        number("--budget", 1, MOST_MINUTES, metavar="MINUTES", help="Of training, as recorded."),
    ] = 60,
    out: Annotated[Path, typer.Option(metavar="DIR")] = Path(VERIFIED),
    json: Json = False,
):
    """Train the short scale here; does it come out as recorded? Run it after an upgrade.

    First come fifty updates of four experiments, which must be as recorded up to rounding.
    """
    chosen = options.several(names)
    from repro import backends, terminal
    from repro.commands import compared
    from repro.commands.compare import print_comparison
    from repro.records import here, reading
    from repro.running import first_updates, train, verifying

    backends.check()
    train.writable(out)
    kept = here.kept_in()
    records = reading.records(kept) if kept else []
    plan = verifying.plan(chosen, records, budget)
    if not plan.planned:
        raise UsageError(_nothing(plan, kept))
    where = verifying.folder(out)
    if not json:
        _print_plan(plan)
        terminal.say(f"runs go to {where}; after an interruption the same command resumes")
    with terminal.working("the first fifty updates"):
        first = first_updates.check(one.name for one in chosen)
    if not json:
        for line in _of_first_updates(first):
            terminal.say(line)
    left_out = verifying.train_all(plan, where)
    comparison = verifying.judge(plan, records, where)
    astray = [one.experiment for one in first if one.noticed]
    differs = bool(astray) or (comparison is not None and comparison.differs)
    if json:
        terminal.print_json(
            {
                "folder": str(where),
                "minutes": plan.minutes,
                "first_updates": first,
                **vars(plan),
                "left_out": [str(error) for error in left_out],
                "comparison": comparison,
                "differs": differs,
            }
        )
    elif comparison:
        print_comparison(comparison, verifying.SCALE)
        terminal.say(compared.note([comparison]))
        terminal.tell(_conclusion(comparison, len(left_out)))
    if astray and not json:
        terminal.tell(f"the first updates DIFFER from those recorded: {', '.join(astray)}")
    if differs:
        return 1
    return left_out[0].exit_code if left_out else 0


def _nothing(plan, kept: Path | None) -> str:
    """Why nothing is trained."""
    if plan.too_long:
        name, minutes = min(plan.too_long.items(), key=lambda item: item[1])
        return f"--budget {plan.budget}: a run of {name}, the shortest, takes {minutes:.1f} minutes"
    if not plan.nothing_recorded:
        return f"{', '.join(plan.carried)}: begun with another run, which this does not train"
    names = ", ".join(plan.nothing_recorded)
    where = f"in {kept}" if kept else "here"
    return f"nothing to compare with: no short-scale runs of {names} are recorded {where}"


def _of_first_updates(first) -> list[str]:
    """How the first updates came out, in lines."""
    alike = [one.experiment for one in first if not one.error and not one.noticed]
    lines = [f"first fifty updates as recorded: {', '.join(alike)}"] if alike else []
    for one in first:
        if one.error:
            lines.append(f"first updates of {one.experiment} not made: {one.error}")
        elif one.noticed:
            since = f"not as recorded from update {one.noticed} on"
            lines.append(f"first updates of {one.experiment}: {since}")
    return lines


def _print_plan(plan) -> None:
    """What is trained, and what is not; on standard error, as it comes before the work."""
    from repro import terminal
    from repro.report.words import count_of

    runs = sum(len(one.seeds) for one in plan.planned)
    terminal.say(
        f"to train, {count_of(runs, 'run')}, about {plan.minutes:.0f} minutes as recorded:"
    )
    for one in plan.planned:
        minutes = one.minutes * len(one.seeds)
        by = f"{count_of(len(one.recorded), 'recorded run')}"
        by += " of a former recipe" if one.former else ""
        seeds = count_of(len(one.seeds), "seed")
        terminal.say(f"  {one.experiment}: {seeds}, {minutes:.1f} minutes; held against {by}")
    if plan.too_long:
        names = ", ".join(f"{name} ({minutes:.0f})" for name, minutes in plan.too_long.items())
        terminal.say(f"beyond the budget of {plan.budget} minutes (minutes of a run): {names}")
    if plan.carried:
        names = ", ".join(plan.carried)
        terminal.say(f"never trained here, they begin with the weights of other runs: {names}")
    if plan.nothing_recorded:
        names = ", ".join(plan.nothing_recorded)
        terminal.say(f"nothing to compare with, no short-scale runs are recorded: {names}")


def _conclusion(comparison, failed: int) -> str:
    from repro.commands import compared
    from repro.judging.compare import EQUIVALENT, INCONCLUSIVE

    if comparison.differs:
        names = compared.differing(comparison) or ["all experiments together"]
        return f"accuracy DIFFERS from what was recorded: {', '.join(names)}"
    if not comparison.rows:
        return f"nothing was compared; {failed} failed, see above"
    verdicts = [row.verdict for row in comparison.rows]
    counts = {word: verdicts.count(word) for word in (EQUIVALENT, INCONCLUSIVE)}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    more = "; a larger --budget trains more seeds" if counts[INCONCLUSIVE] else ""
    lost = f"; {failed} failed, see above" if failed else ""
    return f"no difference is seen ({said}){lost}{more}"
