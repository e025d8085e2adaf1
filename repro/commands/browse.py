"""`list`, `show`, `anatomy`, `parts`: what there is, before anything is trained."""

from typing import Annotated

import typer

from repro import catalog, settings, spec
from repro.commands import options
from repro.commands.options import ExperimentName, Json, Overrides, Precision
from repro.errors import accept
from repro.jsonable import as_json


def list_(
    paper: Annotated[
        str | None,
        typer.Option(metavar="PAPER", autocompletion=options.names(catalog.papers)),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Only those that were run.")] = False,
    json: Json = False,
):
    """The experiments: what the papers report, and what was measured."""
    from repro import terminal
    from repro.commands import texts
    from repro.judging import groups, spread, verdict
    from repro.records import here
    from repro.report import words

    papers = [catalog.paper(paper)] if paper else catalog.papers()
    records = here.gather()
    ran = {record["run"]["experiment"] for record in records}
    table = verdict.table(records, catalog.experiments(), spread.prior_of_all(records))
    rows = []
    for one in papers:
        for experiment in one.experiments:
            if not run or experiment.name in ran:
                row = next(r for r in table if r.main and r.experiment == experiment.name)
                rows.append((row, one.name, experiment))
    if json:
        keys = ("experiment", "paper", "dataset", "metric", "protocol", "reported")
        keys = (*keys, "measured", "std", "n", "failed", "verdict", "equivalent")
        said = [
            {**as_json(r), "paper": p, "dataset": e.recipe.data.dataset, "measured": r.mean}
            for r, p, e in rows
        ]
        return terminal.print_json([{key: row[key] for key in keys} for row in said])

    def short_alone(experiment: spec.Experiment) -> str:
        return texts.short_alone(len(groups.speaking(records, experiment, "short")))

    terminal.print_table(
        ("experiment", "paper", "dataset", "reported", "measured", "verdict", "equivalent"),
        [
            (r.experiment, p, e.recipe.data.dataset, number, measured, words.verdict_word(r), same)
            for r, p, e in rows
            for number, same in [(texts.papers_number(r, e), r.equivalent)]
            for measured in [texts.measured(r) or short_alone(e)]
        ],
        narrow=("experiment", "reported", "measured", "verdict", "equivalent"),
    )
    terminal.say("Errors in per cent: mean ± standard deviation over n seeds at paper scale.")
    if chance := words.by_chance(r for r, _, _ in rows):
        terminal.say(chance)


def show(
    experiment: ExperimentName,
    overrides: Overrides = None,
    precision: Precision = "float32",
    json: Json = False,
):
    """The whole experiment: network, recipe, reported numbers, deviations, cost."""
    from repro import terminal
    from repro.commands import texts
    from repro.data.sets import DATASETS
    from repro.records import here, provenance
    from repro.report import cost, outlay

    accept("precision", precision, spec.PRECISIONS)
    as_written = options.experiment(experiment)
    resolved = settings.override(as_written, overrides or [])
    paper = catalog.paper_of(as_written.name)
    cost.examples(resolved.recipe.data)  # reject an unknown split before anything is read
    records = here.gather()
    changed = resolved != as_written
    takes = cost.cost(resolved, records, changed)
    on = outlay.outlays(resolved, takes, records, here.kept_in(), precision, changed)
    usual = {"seed": 0, "strategy": "auto", "precision": precision, "overrides": []}
    first = [
        provenance.command({"experiment": name, "scale": scale, **usual})
        for name, scale in catalog.sources(resolved)
    ]
    if json:
        return terminal.print_json(
            {
                **settings.as_plain(resolved),
                "paper": paper.name,
                "digest": settings.digest(resolved),
                "make_first": first,
                "cost": takes,
                "cost_on": {"precision": precision, "devices": as_json(on)},
                "settable": settings.settable(resolved),
            }
        )
    network = resolved.network
    photographs = DATASETS[resolved.recipe.data.dataset].shape is None
    built_with = ", ".join(f"{key}={value}" for key, value in network.options.items())
    terminal.print_facts(
        [
            ("experiment", resolved.name),
            ("title", resolved.title),
            ("paper", paper.citation),
            ("network", f"{network.name}({built_with})"),
            *[(f"recipe.{k}", texts.value(v)) for k, v in texts.said(resolved.recipe)],
            *([("begins with", resolved.begins.words), ("make first", first)] if first else []),
            ("protocols", ", ".join(resolved.protocols)),
            ("seeds", f"{resolved.seeds} make a verdict"),
            *([("probes", ", ".join(resolved.probes))] if resolved.probes else []),
            ("reported", [texts.reported(r) for r in resolved.reported] or "nothing"),
            ("bands", [texts.band(b) for b in resolved.bands] or "none"),
            ("differs", [f"- {d}" for d in resolved.differs] or "nothing known"),
            *([("chosen here", [f"- {d}" for d in resolved.chosen])] if resolved.chosen else []),
            *([("note", resolved.note)] if resolved.note else []),
            ("cost", [texts.cost(takes), *(texts.outlay(each, photographs) for each in on)]),
            ("--set takes", list(settings.settable(resolved))),
            ("digest", settings.digest(resolved)),
        ]
    )


def anatomy(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", autocompletion=options.names(catalog.networks)),
    ],
    json: Json = False,
):
    """A network layer by layer: shapes, parameters, connections, multiply-adds."""
    described = catalog.network(network)  # an unknown name is refused before Keras is imported
    from repro import backends, terminal
    from repro.commands import texts

    backends.check()
    with terminal.working(f"building {network}"), terminal.muffled():
        backends.here()
        from repro.networks import anatomy

        built = anatomy.of_network(described)
    if json:
        return terminal.print_json(built)
    columns = ["name", "kind", "output_shape", "parameters", "connections", "multiply_adds"]
    columns.append("receptive_field")
    totals = ("parameters", "connections", "multiply_adds")
    rows = [[texts.value(layer.get(c)) for c in columns] for layer in built["layers"]]
    for title, figures in (("total", built), ("published", built.get("published") or {})):
        if figures:
            rows.append([title, "", "", *[figures.get(key) for key in totals], ""])
    terminal.print_table([c.replace("_", " ") for c in columns], rows, title=network)
    if built.get("published"):
        terminal.print_facts([("published in", described.source)])
    if numbers := [texts.reported(number) for number in described.reported]:
        terminal.print_facts([("reported", numbers)])  # no experiment here is held to them yet


def parts(json: Json = False):
    """What a recipe can be made of: losses, augmentations, preprocessings, and the rest."""
    from repro import terminal
    from repro.commands import ingredients

    rows = ingredients.all_of_them()
    if json:
        return terminal.print_json(rows)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        print(f"{kind} ({ingredients.WHERE[kind]})")
        for row in rows:
            if row["kind"] == kind:
                print(f"  {row['name']}{row['takes']}\n      {row['says']}")
