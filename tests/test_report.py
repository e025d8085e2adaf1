"""results/: made from the records alone, the same each time, losing nothing."""

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_records import counting_iterations, experiment, failed, passes, record, texts, write_run

from repro.errors import RunError
from repro.judging import spread, verdict
from repro.records import reading
from repro.report import bench_page, cost, glance, pages, spread_figure, tables, writing
from repro.spec import Band, Claim, Ensemble, Figure, Network, Paper, Reported

RESULTS = Path(__file__).parents[1] / "results"
TOY = experiment("toy", chosen=("The penalty is scaled by 1/40.",))
OTHER = experiment("other", note="Not the paper's data.", reported=None)
NEVER = experiment("never", reported=12.0)
PAPER = Paper(
    "toys",
    "Toys",
    "Someone",
    "1998",
    (TOY, OTHER, NEVER),
    (),
    (Claim("claim", "The other is better.", "Figure 6", ("toy", "other")),),
)


def roots(tmp_path, records):
    for each in records:
        write_run(tmp_path / "runs", each)
    return tmp_path / "runs", tmp_path / "results"


def trained(run, lines):
    """The run with these passes, and a result that fits them."""
    run["passes"] = lines
    run["result"] |= {"passes": len(lines), "updates": lines[-1]["update"]}
    return run


def table_row(text, *cells):
    """The first table row of a page that begins with these cells."""
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and row[: len(cells)] == list(cells):
            return row
    raise AssertionError(f"no row {cells}")


def page_of(paper, root):
    """The page of a paper without any record."""
    return pages.paper_page(paper, [], verdict.table([], paper.experiments, spread.NOTHING), root)


@pytest.fixture
def results(tmp_path):
    records = [record(TOY, seed, error) for seed, error in enumerate((0.94, 1.0, 1.06))]
    records.append(record(TOY, 3, 2.0, precision="mixed_bfloat16"))
    records.append(record(OTHER, 0, 5.0, scale="short"))
    runs_root, results_root = roots(tmp_path, records)
    np.save(next((runs_root / "toy").glob("*seed0*")) / "filters.npy", np.ones((5, 5, 1, 6)))
    writing.regenerate(runs_root, results_root, [PAPER])
    return runs_root, results_root


# ---------------------------------------------------------------------------- records


def test_finished_runs_become_records(tmp_path):
    unfinished = record(TOY, 1, 1.0) | {"result": None}
    smoke = record(TOY, 2, 1.0, scale="smoke")
    kept = record(TOY, 0, 1.0)
    runs_root, results_root = roots(tmp_path, [kept, unfinished, smoke])
    (path,) = reading.collect(runs_root, results_root)
    assert path == results_root / "runs" / "toy" / "paper-seed0-20261121-120000.json"
    assert reading.records(results_root) == [kept]


def test_a_record_that_is_there_is_kept(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(TOY, 0, 1.0)])
    (path,) = reading.collect(runs_root, results_root)
    before = path.read_bytes()
    result = next(runs_root.glob("*/*/result.json"))
    result.write_text(result.read_text().replace("3300.0", "1.0"))
    assert reading.collect(runs_root, results_root) == []
    assert path.read_bytes() == before


def test_failed_runs_become_records_and_interrupted_ones_do_not(tmp_path):
    diverged = failed(TOY, 0, "the loss is not finite")
    smoke, interrupted = failed(TOY, 1, scale="smoke"), record(TOY, 2, 1.0) | {"result": None}
    runs_root, results_root = roots(tmp_path, [diverged, smoke, interrupted])
    assert reading.gather(results_root, runs_root) == [diverged]
    (path,) = reading.collect(runs_root, results_root)
    assert json.loads(path.read_text()).items() >= diverged.items()
    assert reading.records(results_root) == [diverged]
    assert reading.collect(runs_root, results_root) == []


def test_a_failed_run_that_has_finished_since_is_recorded_anew(tmp_path):
    runs_root, results_root = roots(tmp_path, [failed(TOY, 0)])
    (path,) = reading.collect(runs_root, results_root)
    finished = record(TOY, 0, 1.0)
    (folder,) = runs_root.glob("toy/*")
    (folder / "failure.json").unlink()
    assert reading.collect(runs_root, results_root) == []  # resumed, and on its way
    (folder / "result.json").write_text(json.dumps(finished["result"]))
    lines = "".join(json.dumps(line) + "\n" for line in finished["passes"])
    (folder / "metrics.jsonl").write_text(lines)
    (gathered,) = reading.gather(results_root, runs_root)
    assert gathered["result"] == finished["result"]
    assert reading.collect(runs_root, results_root) == [path]
    assert reading.records(results_root) == [gathered]


def test_failed_runs_are_listed_and_never_count(tmp_path):
    records = [record(TOY, k, 1.0) for k in range(3)] + [failed(TOY, 3, "not\nfinite | big")]
    records += [failed(OTHER, 0, scale="short")]
    runs_root, results_root = roots(tmp_path, records)
    writing.regenerate(runs_root, results_root, [PAPER], figures=True)
    text = (results_root / "toys.md").read_text()
    row = table_row(text, "toy")
    assert "failed" in table_row(text, "experiment")
    assert (row[3:5], row[-3]) == (["1.000 ± 0.000", "3"], "1")
    assert "failed: not finite \\| big" in text
    short = text[text.index("## Short scale") : text.index("## Experiments")]
    assert table_row(short, "other")[3:6] == ["–", "0", "1"]
    assert "not run" not in text[text.index("### other") : text.index("### never")]
    with open(results_root / "results.csv", newline="") as file:
        (line,) = (x for x in csv.DictReader(file) if x["experiment"] == "toy" and x["seed"] == "3")
    assert (line["failed"], line["test_error"]) == ("not finite | big", "")
    assert "toy, 3 seeds" in texts(results_root / "figures" / "toy-curves.svg")


def test_runs_are_gathered_once(tmp_path):
    records = [record(TOY, k, 1.0) for k in range(2)] + [record(TOY, 2, 1.0, scale="smoke")]
    runs_root, results_root = roots(tmp_path, records)
    assert reading.gather(results_root, runs_root) == records[:2]
    reading.collect(runs_root, results_root)
    assert reading.gather(results_root, runs_root, runs_root) == records[:2]


def test_records_outlive_the_run_directories(results, tmp_path):
    _, results_root = results
    before = {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()}
    writing.regenerate(tmp_path / "no-runs-here", results_root, [PAPER])
    assert {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()} == before


def test_again_gives_the_same_bytes(results):
    runs_root, results_root = results
    front = (results_root / "README.md").read_text()
    assert (
        '<source media="(prefers-color-scheme: dark)" srcset="figures/verdicts-dark.svg">' in front
    )
    before = {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()}
    assert any(path.suffix == ".svg" for path in before)
    said = writing.regenerate(runs_root, results_root, [PAPER])
    assert (said["records"], said["added"]) == (5, [])
    assert {p: p.read_bytes() for p in results_root.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": {"id": "x"}, "passes": []}', "null"])
def test_a_broken_record_is_named_and_left_out(tmp_path, text):
    kept = record(TOY, 0, 1.0)
    runs_root, results_root = roots(tmp_path, [kept])
    reading.collect(runs_root, results_root)
    path = results_root / "runs" / "toy" / "paper-seed9-x.json"
    path.write_text(text)
    told = []
    assert reading.records(results_root, warn=told.append) == [kept]
    (line,) = told
    assert str(path) in line and "\n" not in line


def test_no_results_yet(tmp_path):
    assert reading.records(tmp_path / "results") == []


def test_results_that_cannot_be_written(tmp_path):
    runs_root, _ = roots(tmp_path, [record(TOY, 0, 1.0)])
    blocked = tmp_path / "results"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(RunError, match="cannot write"):
        writing.regenerate(runs_root, blocked, [PAPER])


# ---------------------------------------------------------------------------- what a run costs


def test_the_minutes_of_a_run_are_the_median_of_those_measured():
    runs = [record(TOY, seed, 1.0) for seed in range(4)]
    for run, seconds in zip(runs, (60, 120, 600, 6000), strict=True):
        run["result"]["seconds"] = seconds
    others = [record(TOY, 5, 1.0, scale="short"), record(TOY, 6, 1.0, overrides=["recipe.batch=8"])]
    found = [*runs[:3], *others, failed(TOY, 7)]
    work = {
        "updates": 120_000,
        "images": 120_000,
        "passes": 2.0,
    }  # two passes over MNIST, one by one
    path = "tensorflow single on CPU"
    measured = {"minutes": 2.0, "measured": 3, "estimated": False, "path": path}
    nothing = {"minutes": None, "measured": 0, "estimated": False, "path": ""}
    assert cost.cost(TOY, found) == {**work, **measured}
    assert cost.cost(TOY, runs)["minutes"] == 6.0
    assert cost.cost(TOY, []) == {**work, **nothing}
    assert cost.cost(TOY, found, changed=True) == {**work, **nothing}


def test_minutes_on_a_gpu_do_not_shorten_those_on_a_cpu():
    """Runs of another code path have no part in the median; that with most seeds is told."""
    slow = [record(TOY, seed, 1.0) for seed in range(3)]
    fast = [record(TOY, seed, 1.0, devices=["GPU:0"]) for seed in range(2)]
    for run in slow:
        run["result"]["seconds"] = 6000
    for run in fast:
        run["result"]["seconds"] = 60
    takes = cost.cost(TOY, slow + fast)
    assert (takes["minutes"], takes["measured"]) == (100, 3)
    assert takes["path"] == "tensorflow single on CPU"


def test_without_a_run_at_paper_scale_the_minutes_go_by_the_speed_of_short_ones():
    short = [record(TOY, seed, 1.0, scale="short") for seed in range(2)]
    for run in short:
        run["result"]["images_per_second"] = 500.0
    found = cost.cost(TOY, short)
    assert (found["minutes"], found["estimated"]) == (120_000 / 500 / 60, True)
    assert found["measured"] == 0


def test_a_recipe_that_counts_iterations_costs_so_many():
    # He et al. 2015, section 4.2: 64,000 iterations of 128 of the 50,000 images, 163.84 passes
    toy = counting_iterations(TOY)
    found = cost.cost(toy, [record(toy, 0, 1.0)])
    work = {"updates": 64_000, "images": 8_192_000, "passes": 163.84}
    measured = {"minutes": 6.0, "measured": 1, "estimated": False}
    assert found == {**work, **measured, "path": "tensorflow single on CPU"}


# ---------------------------------------------------------------------------- pages


def test_index_gives_the_verdict_with_its_figures(results):
    text = (results[1] / "README.md").read_text()
    # mean 1.00, s = 0.06; t(0.975, 2) * 0.06 * sqrt(4/3) = 4.302653 * 0.069282 = 0.298, wider
    # than 0.2 points and a tenth of 1.0 %.
    assert table_row(text, "toy") == [
        "toy", "test error", "1.0 (Table 1)", "1.000 ± 0.060", "3", "+0.000", "0.702 to 1.298",
        "inconclusive", "no",
    ]  # fmt: skip
    assert table_row(text, "never")[-2:] == ["not run", "–"]
    assert table_row(text, "The other is better.")[-1] == "not run"
    assert "[Toys](toys.md)" in text


def judged_runs(*left_out):
    """Toys of each verdict: for three runs 0.01 apart the interval is +- 0.0497."""
    toys = {
        "same": (1.0, 1.01, 3),
        "lower": (1.0, 0.8, 3),
        "higher": (1.0, 1.3, 5),
        "early": (1.0, 1.3, 2),
        "once": (1.0, 1.0, 1),
        "chance": (1.0, 1.054, 3),
        "never": (1.0, 1.0, 0),
    }
    toys = {name: facts for name, facts in toys.items() if name not in left_out}
    experiments = [experiment(name, reported) for name, (reported, _, _) in toys.items()]
    runs = [
        record(toy, seed, mean + (0.01 * (seed - 1) if n == 3 else 0.01 * (-1) ** seed))
        for toy, (_, mean, n) in zip(experiments, toys.values(), strict=True)
        for seed in range(n)
    ]
    wide = experiment("wide")
    runs += [record(wide, seed, 1.0 + 0.2 * (seed - 1)) for seed in range(3)]
    return runs, Paper("toys", "Toys", "Someone", "1998", (*experiments, wide))


def test_verdicts_are_counted_and_chance_is_said(tmp_path):
    runs, paper = judged_runs("lower", "early")  # four groups have a spread: nothing is fitted
    runs_root, results_root = roots(tmp_path, runs)
    writing.regenerate(runs_root, results_root, [paper], figures=False)
    text = (results_root / "README.md").read_text()
    counted = "1 reproduced, 0 better, 2 worse, 1 inconclusive; 1 provisional; 1 not run."
    # the p of "chance" is 0.043 (4.68 errors out, on 2 degrees); of four it counts three times
    chance = "Of 4 judged rows 0.2 would fall outside by chance alone; 2 do. \\*: inside after"
    assert f"{counted} {chance} Holm's correction for all judged rows." in text
    assert table_row(text, "same")[4:] == ["3", "+0.010", "0.960 to 1.060", "reproduced", "yes"]
    assert table_row(text, "higher")[4] == "5 (2 added)"
    assert table_row(text, "chance")[-2:] == ["worse\\*", "yes"]
    assert table_row(text, "once")[-2:] == ["provisional: inconclusive", "–"]
    assert "<picture>" not in text and "Fewer than five groups" in " ".join(text.split())


def test_the_page_says_what_is_known_of_the_spread_and_who_lies_outside(tmp_path):
    factors = [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4] * 3
    spreads = [*(0.0707 * factor for factor in factors), 0.9]
    toys = [experiment(f"toy{place}") for place in range(len(spreads))]
    runs = [
        record(toy, seed, 1.0 + step * (seed - 1))
        for toy, step in zip(toys, spreads, strict=True)
        for seed in range(3)
    ]
    paper = Paper("toys", "Toys", "Someone", "1998", tuple(toys))
    runs_root, results_root = roots(tmp_path, runs)
    seen = spread.observed(runs, toys)
    prior = spread.fit(seen)
    (results_root / "figures").mkdir(parents=True)
    path = spread_figure.draw(seen, prior, results_root / "figures" / "spread.svg")
    writing.regenerate(runs_root, results_root, [paper], figures=False)
    text = " ".join((results_root / "README.md").read_text().split())
    told = f"25 groups of plain runs at paper scale it is {prior.kappa:.2f} e/(2N), worth "
    assert f"Fitted to the {told}{prior.degrees:.1f} degrees of freedom" in text
    expected = 100 * (prior.kappa * 0.01 / 20_000) ** 0.5
    outside = f"1 does: toy24, far outside, whose 3 runs vary by 0.900 points where {expected:.3f}"
    assert f"By chance alone 1.2 of them would lie outside of the band; {outside}" in text
    assert "![Observed spread beside the expected one](figures/spread.svg)" in text
    words = texts(path)
    assert "toy24, 3 runs (outside)" in words and "toy7, 3 runs" in words and "expected" in words
    assert spread_figure.draw(seen[:4], spread.NOTHING, tmp_path / "none.svg") is None


def test_the_pictures_say_each_verdict_in_words_and_in_form(tmp_path):
    runs, paper = judged_runs()
    rows = verdict.table(runs, paper.experiments, spread.NOTHING)
    names = dict.fromkeys((e.name for e in paper.experiments), "toys")
    for name, inks in glance.FILES.items():
        assert glance.draw(rows, names, tmp_path / name, inks) == tmp_path / name
        said = texts(tmp_path / name)
        for row in rows:
            assert (row.experiment in said) == (row.n > 0)
        for word in ("reproduced", "better", "worse*", "inconclusive", "provisional: worse"):
            assert word in said
        assert {"1 reproduced", "2 worse", "2 provisional", "1 not run"} <= set(said)
        assert any("hollow" in line and "Holm" in line for line in said)
        svg = (tmp_path / name).read_text()
        for row in (row for row in rows if row.n):  # hollow: in the colour of the page
            fill = inks.page if row.provisional else inks.of(row.word)
            assert f"fill: {fill}; stroke: {inks.of(row.word)}".lower() in svg
    assert glance.draw([row for row in rows if not row.n], names, tmp_path / "none.svg") is None
    assert len(set(glance.SHAPES.values())) == 4


def test_an_interval_that_reaches_far_beyond_the_picture_is_cut(tmp_path):
    far = experiment("far")
    rows = verdict.table([record(far, k, 50.0 + k) for k in range(3)], [far], spread.NOTHING)
    glance.draw(rows, {"far": "toys"}, tmp_path / "far.svg")
    said = set(texts(tmp_path / "far.svg"))
    assert {"+50.00", "± 4.97", "worse", "+4"} <= said and "+5" not in said


def test_page_of_a_paper(results):
    text = (results[1] / "toys.md").read_text()
    assert "- The penalty is scaled by 1/40." in text
    assert "Not the paper's data." in text
    assert text.rindex("not run") > text.index("### never")
    assert "figures/toy-curves.svg" in text and "figures/toy-filters.svg" in text
    variations = text[text.index("## Variations") : text.index("## Claims")]
    assert "mixed_bfloat16" in variations and "2.000" in variations
    of_all_stacks = " ".join(variations.split())
    assert "trained on as many images" in of_all_stacks and "approximate" in of_all_stacks
    main = text[: text.index("## Variations")]
    assert "2.000" not in main
    assert table_row(main, "toy")[-2:] == ["6.0", "3,300.0"]  # 360 s; images a second
    one_run = table_row(text[text.index("### toy") :], "paper", "0")
    assert one_run[2:] == [
        "0.94", "0.94", "2", "6.0", "3,300.0", "2026-11-21", "0123456",
        "tensorflow single on CPU (2 cores of Some CPU); keras 3.15.1, tensorflow 2.21.0", "–",
    ]  # fmt: skip


def test_short_runs_stand_apart_with_their_band(tmp_path):
    toy = experiment("toy", bands=(Band("short", "test_error", 0.5, 0.9, "three seeds"),))
    records = [record(toy, seed, 1.0, scale="short") for seed in range(3)]
    runs_root, results_root = roots(tmp_path, records)
    paper = Paper("toys", "Toys", "Someone", "1998", (toy,), ())
    writing.regenerate(runs_root, results_root, [paper], figures=False)
    text = (results_root / "toys.md").read_text()
    assert table_row(text, "toy")[-4] == "not run"
    short = text[text.index("## Short scale") :]
    assert table_row(short, "toy")[-3:] == ["3", "0.500 to 0.900", "NO"]


@pytest.mark.parametrize(
    ("made_of", "shown"),
    [
        ({}, ["–", "–"]),
        ({"precision": "mixed_bfloat16"}, ["0.500 to 1.500", "yes"]),
        ({"precision": "mixed_bfloat16", "examples": 6_000}, ["0.500 to 1.500", "yes"]),
        ({"precision": "mixed_bfloat16", "examples": 9_469}, ["–", "–"]),
    ],
)
def test_short_runs_have_the_bands_made_of_such_runs(made_of, shown):
    band = Band("short", "test_error", 0.5, 1.5, "two seeds", **made_of)
    toy = experiment("toy", bands=(band,))
    run = record(toy, 0, 1.0, scale="short", precision="mixed_bfloat16")
    run["run"]["data"]["train_examples"] = 6_000
    paper = Paper("toys", "Toys", "Someone", "1998", (toy,), ())
    table = tables.short_table(paper, [run], stale=False)
    assert table_row(table, "toy")[-2:] == shown


def test_a_second_run_of_a_seed_and_a_changed_tree_are_said(tmp_path):
    first = record(TOY, 0, 1.0, finished="2026-11-21T12:00:00+00:00")
    second = record(TOY, 0, 0.1, finished="2026-11-21T13:00:00+00:00", dirty=True)
    results_root = tmp_path / "results"
    for k, each in enumerate((first, second)):
        path = results_root / "runs" / "toy" / f"paper-seed0-{k}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    writing.regenerate(tmp_path / "runs", results_root, [PAPER], figures=False)
    text = (results_root / "toys.md").read_text()
    assert table_row(text, "toy")[3:5] == ["1.000", "1"]
    assert "seed run before: not counted" in text
    assert "0123456 (changed)" in text


def test_stale_runs_are_listed_apart(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(experiment("toy", variant=1), 0, 1.0)])
    writing.regenerate(runs_root, results_root, [PAPER], figures=False)
    text = (results_root / "toys.md").read_text()
    assert table_row(text[text.index("## Former recipes") :], "toy")[-2] == "stale"


def test_records_of_experiments_that_are_gone_are_said(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(experiment("gone"), 0, 1.0)])
    writing.regenerate(runs_root, results_root, [PAPER], figures=False)
    assert "gone" in (results_root / "README.md").read_text()


def test_runs_are_listed_with_the_error_by_every_protocol():
    cropped = experiment("cropped", reported=None, protocols=("single-view", "10-crop"))
    run = record(cropped, 0, 38.17)
    run["result"]["metrics"]["10-crop"] = {**run["result"]["metrics"]["single-view"]}
    run["result"]["metrics"]["10-crop"]["test_error"] = 36.79
    listed = tables.runs_table([run], cropped, {run["run"]["id"]})
    assert listed.startswith("| scale | seed | test error | test error, 10-crop | ")
    assert "\n| paper | 0 | 38.17 | 36.79 | " in listed


def test_csv_has_a_line_per_run_and_protocol(results):
    with open(results[1] / "results.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 5
    first = next(x for x in lines if x["experiment"] == "toy" and x["seed"] == "0")
    assert (first["paper"], first["protocol"], first["scale"]) == ("toys", "single-view", "paper")
    assert (float(first["test_error"]), int(first["test_wrong"])) == (0.94, 94)


FAR = Claim("far", "The other is far better.", "Figure 6", ("toy", "other"), "running_error")
NARROW = Claim("narrow", "The other responds less.", "Figure 7", ("toy", "other"), "layer_response")


def test_claims_say_what_is_compared_in_which_unit_and_at_which_scale(tmp_path):
    records = []
    for of, error, response in ((TOY, 9.0, 0.9), (OTHER, 4.0, 0.5)):
        for seed in range(2):
            run = trained(record(of, seed, 1.0, scale="short"), passes({}, [50.0, error]))
            run["result"]["metrics"]["single-view"]["layer_response"] = response
            records.append(run)
    runs_root, results_root = roots(tmp_path, records)
    paper = Paper("toys", "Toys", "Someone", "1998", (TOY, OTHER), (), (FAR, NARROW))
    writing.regenerate(runs_root, results_root, [paper], figures=False)
    for page in ("README.md", "toys.md"):
        text = (results_root / page).read_text()
        far, narrow = (table_row(text, claim.statement) for claim in paper.claims)
        assert far[3:5] == ["running error", "+5.000 points"]
        assert narrow[3:5] == ["layer response", "+0.400"]
        assert far[-1] == narrow[-1] == "holds (short scale)"


def test_what_a_probe_measured_stands_beside_the_errors(tmp_path):
    toy = counting_iterations(experiment("toy", probes=("layer_response",)))
    run = trained(record(toy, 0, 9.0), passes({4: 9.0}, [50.0, 40.0, 30.0, 20.0]))
    run["result"]["metrics"]["single-view"]["layer_response"] = 0.4567
    runs_root, results_root = roots(tmp_path, [run])
    paper = Paper("toys", "Toys", "Someone", "1998", (toy,), ())
    writing.regenerate(runs_root, results_root, [paper], figures=False)
    text = (results_root / "toys.md").read_text()
    text = text[text.index("### toy") :]
    header = ["scale", "seed", "test error", "running error", "layer response"]
    assert table_row(text, "scale")[:5] == header
    assert table_row(text, "paper", "0")[2:5] == ["9.00", "20.00", "0.457"]
    with open(results_root / "results.csv", newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["layer_response"] == "0.4567"


def test_numbers_without_an_experiment_are_listed_with_the_reason(tmp_path):
    numbers = (
        Reported("test_error", 25.03, "Table 2", "10-crop"),
        Reported("test_top5_error", 7.76, "Table 3", "multi-scale"),
    )
    elsewhere = (Reported("test_error", 12.0, "Table 4", why_not="SVHN is not read here"),)
    trained = dataclasses.replace(TOY.network, reported=elsewhere)
    networks = (trained, Network("large", dict, reported=numbers), Network("other", dict))
    several = (Reported("test_top5_error", 3.57, "Table 5", chosen="six", why_not="hidden labels"),)
    paper = Paper("toys", "Toys", "Someone", "1998", (TOY,), networks, reported=several)
    text = page_of(paper, tmp_path)
    lines = text[text.index("## Numbers without an experiment") :].split("\n\n")[1].splitlines()
    assert lines[2:] == [
        f"| {TOY.network.name} | test error | 12.0 (Table 4) | SVHN is not read here |",
        "| large | test error, 10-crop | 25.03 (Table 2) | – |",
        "| large | test top5 error, multi-scale | 7.76 (Table 3) | – |",
        "| – | test top5 error | 3.57 (Table 5; six) | hidden labels |",
    ]
    assert table_row(text, "toy")[-4] == "not run"
    place = "toys.md#numbers-without-an-experiment"
    rows = verdict.table([], paper.experiments, spread.NOTHING)
    front = pages.front_page([paper], [], rows, ([], spread.NOTHING), tmp_path, speed=False)
    assert f"numbers without an experiment: [toys.md]({place})" in front


def test_ensembles_are_listed_with_what_measures_them(tmp_path):
    numbers = (
        Reported("test_error", 38.1, "Table 2", "10-crop"),
        Reported("test_top5_error", 16.4, "Table 2", "10-crop"),
    )
    ensemble = Ensemble("three toys", ("toy", "other", "toy"), "10-crop", numbers)
    paper = Paper("toys", "Toys", "Someone", "1998", (TOY, OTHER), (), ensembles=(ensemble,))
    text = page_of(paper, tmp_path)
    lines = text[text.index("## Ensembles") :].split("\n\n")[1].splitlines()
    assert [line.strip("|").split(" | ")[1:] for line in lines[2:]] == [
        [
            "2 × toy, 1 × other",
            f"{metric}, 10-crop",
            f"{value} (Table 2)",
            "not run",
            "`repro evaluate RUN RUN RUN --protocol 10-crop` ",
        ]
        for metric, value in (("test error", 38.1), ("test top5 error", 16.4))
    ]
    assert "## Ensembles" not in page_of(PAPER, tmp_path)


def test_the_papers_own_spread_is_printed(tmp_path):
    number = Reported("test_error", 6.61, "Table 6", std=0.16, runs=5, chosen="mean of five")
    paper = Paper("toys", "Toys", "Someone", "1998", (experiment("toy", (number,)),), ())
    text = page_of(paper, tmp_path)
    assert table_row(text, "toy")[2] == "6.61 ± 0.16 (Table 6; mean of five)"


def test_the_papers_figures_are_drawn_from_what_ran(tmp_path):
    toy, other = counting_iterations(TOY), counting_iterations(OTHER)
    panels = (("left", ("toy",)), ("right", ("other",)))
    drawn = (
        Figure("figure-6", "Errors", "Figure 6", panels),
        Figure("figure-7", "Responses", "Figure 7", panels, "layer_response"),
    )
    paper = Paper("toys", "Toys", "Someone", "1998", (toy, other), (), figures=drawn)
    run = trained(record(toy, 0, 9.0, scale="short"), passes({2: 9.0}, [20.0, 10.0]))
    runs_root, results_root = roots(tmp_path, [run])
    said = writing.regenerate(runs_root, results_root, [paper])
    path = results_root / "figures" / "toys-figure-6-short.svg"
    assert str(path) in said["written"]
    assert "Errors, short scale" in texts(path)
    whole, short = (results_root / "toys.md").read_text().split("## Short scale")
    assert "![Figure 6](figures/toys-figure-6-short.svg)" in short
    assert "From runs at short scale. Not run: other." in short
    assert "## Figure 6: Errors\n\nnot run\n" in whole
    assert "## Figure 7: Responses\n\nnot run\n" in whole
    reading.collect(roots(tmp_path / "later", [record(toy, 0, 8.0)])[0], results_root)
    writing.regenerate(runs_root, results_root, [paper])
    whole, short = (results_root / "toys.md").read_text().split("## Short scale")
    assert "![Figure 6](figures/toys-figure-6.svg)" in whole
    assert "toys-figure-6-short.svg" in short


def test_runs_by_a_former_recipe_stand_apart(tmp_path):
    toy = counting_iterations(TOY)
    before = dataclasses.replace(toy, recipe=dataclasses.replace(toy.recipe, short_factor=3))
    runs = [record(before, 1, 40.0, scale="short"), record(toy, 0, 9.0, scale="short")]
    runs_root, results_root = roots(tmp_path, runs)
    paper = Paper("toys", "Toys", "Someone", "1998", (toy,), ())
    writing.regenerate(runs_root, results_root, [paper], figures=False)
    text = (results_root / "toys.md").read_text()
    now, former = text[text.index("## Short scale") :].split("## Former recipes")
    assert "9.000" in now and "40.000" not in now
    former, each = former.split("## Experiments")
    assert "40.000" in former and "9.000" not in former
    assert "within" in now and "within" not in former  # bands are of the recipe as it is
    remarks = {row.split("|")[3].strip(): row.split("|")[-2].strip() for row in rows(each)}
    assert remarks == {"40.00": "former recipe: not judged", "9.00": "–"}


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| short")]


def test_deviations_that_all_experiments_share_are_said_once(tmp_path):
    one = experiment("one", differs=("Shared.", "A."), chosen=("Free.", "C."))
    two = experiment("two", differs=("Shared.", "B."), chosen=("Free.",))
    text = page_of(Paper("toys", "Toys", "Someone", "1998", (one, two)), tmp_path)
    assert text.count("- Shared.") == text.count("- Free.") == 1
    shared, first, second = re.split("^### .*$", text, flags=re.MULTILINE)
    assert "All of them differ from the paper:\n\n- Shared." in shared
    assert "Chosen here for all of them, where the paper does not say:\n\n- Free." in shared
    assert "Differs further from the paper:\n\n- A." in first
    assert "Also chosen here, where the paper does not say:\n\n- C." in first
    assert "Differs further from the paper:\n\n- B." in second and "chosen" not in second


def test_what_differs_and_what_was_chosen_stand_apart(tmp_path):
    one = experiment("one", differs=("The rate is half as large.",), chosen=("Zeros surround it.",))
    text = page_of(Paper("toys", "Toys", "Someone", "1998", (one,)), tmp_path)
    assert "Differs from the paper:\n\n- The rate is half as large." in text
    assert "Chosen here, where the paper does not say:\n\n- Zeros surround it." in text
    bare = page_of(Paper("toys", "Toys", "S", "1998", (experiment("b"),)), tmp_path)
    assert "No difference from the paper is known." in bare


def test_a_benchmark_that_was_measured_has_a_page(tmp_path):
    runs_root, results_root = roots(tmp_path, [record(TOY, 0, 1.0)])
    writing.regenerate(runs_root, results_root, [PAPER], figures=False)
    assert "bench.md" not in (results_root / "README.md").read_text()
    shutil.copy(RESULTS / "bench.json", results_root)
    writing.regenerate(runs_root, results_root, [PAPER], figures=False)
    front = (results_root / "README.md").read_text()
    assert "PyTorch: [on a CPU](bench.md).\n" in front
    measured = json.loads((RESULTS / "bench.json").read_text())
    assert (results_root / "bench.md").read_text() == bench_page.page(measured)
