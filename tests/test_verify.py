"""`repro verify`: what fits into the time, what is trained, what comes of it.

Runs are stood in for by small programs that leave a run directory, as `repro train-one` does.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest
from run_records import experiment, failed, record, seal_run

from repro import catalog, cli
from repro.errors import DataError
from repro.records import provenance, reading
from repro.running import children, train, verifying
from repro.running.crew import Crew
from repro.training import first_updates

NAMES = ("lenet5-mnist", "resnet20-cifar10")

PROGRAM = f"""
import json, sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
from run_records import failed, record, seal_run
from repro import catalog
asked, error, behaviour = json.loads(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
with open("asked.jsonl", "a") as log:
    log.write(sys.argv[1] + "\\n")
def say(**event):
    print(json.dumps(event), flush=True)
if asked["do"] == "resume":
    folder = Path(asked["run_dir"])
    facts = json.loads((folder / "run.json").read_text())
    asked |= {{key: facts[key] for key in ("experiment", "seed", "scale")}}
    asked["out"] = str(folder.parent.parent)
    for file in folder.iterdir():
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()
of = catalog.experiment(asked["experiment"])
made = record(of, asked["seed"], error, scale=asked["scale"], finished="2026-11-26T12:00:00+00:00")
if behaviour == "stopped":
    made["result"] = None
reason = "the loss is not finite" if behaviour == "diverged" else "out of memory"
if behaviour in ("diverged", "failed"):
    made = failed(of, asked["seed"], reason, scale=asked["scale"])
folder = seal_run(Path(asked["out"]), made)
say(event="start", run_dir=str(folder), passes=2, updates=20)
if behaviour == "stopped":
    say(event="error", reason="stopped at update 3", exit_code=130)
    sys.exit(130)
if behaviour in ("diverged", "failed"):
    say(event="error", reason=reason, exit_code=4)
    sys.exit(4)
say(event="done", seed=asked["seed"], run_dir=str(folder))
"""


def short(name: str, errors, minutes: float = 10.0, of=None, hour: int = 10) -> list[dict]:
    of = of or catalog.experiment(name)
    runs = []
    for seed, error in enumerate(errors):
        moment = f"2026-11-21T{hour}:{seed:02}:00+00:00"
        runs.append(record(of, seed, error, scale="short", finished=moment))
        runs[-1]["result"]["seconds"] = 60 * minutes
    return runs


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """A folder of its own with three recorded runs of two experiments, and no data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "committed", lambda: None)
    monkeypatch.setattr(train, "prepare", lambda dataset: None)
    monkeypatch.setattr(train, "crew_for", lambda *_: Crew(1))
    monkeypatch.setattr(first_updates, "QUICK", ())
    for name, error in zip(NAMES, (1.8, 25.0), strict=True):
        for one in short(name, [error - 0.02, error, error + 0.02]):
            seal_run(tmp_path / "made", one)
    reading.collect("made", "results")


@pytest.fixture
def trains(monkeypatch):
    """A function that sets what a run of an experiment comes to: an error, and a behaviour."""

    def as_said(errors: dict[str, float], **behaviour: str):
        def command(asked: dict) -> list[str]:
            name = asked.get("experiment") or Path(asked["run_dir"]).parent.name
            seed = asked.get("seed", 0)
            ends = behaviour.get(f"{name.partition('-')[0]}_{seed}", "well")
            return [sys.executable, "-c", PROGRAM, json.dumps(asked), str(errors[name]), ends]

        monkeypatch.setattr(children, "command", command)

    as_said(dict(zip(NAMES, (1.8, 25.0), strict=True)))
    return as_said


@pytest.fixture
def same_code(monkeypatch):
    """Whoever edits the code while the tests run does not change where the runs lie."""
    monkeypatch.setattr(verifying, "folder", lambda out: Path(out, "of-this-code"))


def asked() -> list[tuple]:
    lines = map(json.loads, Path("asked.jsonl").read_text().splitlines())
    return [(one["do"], one.get("experiment"), one.get("seed")) for one in lines]


# ---------------------------------------------------------------------------- what fits


def planned(records, budget: float) -> dict[str, int]:
    of = [catalog.experiment(name) for name in (*NAMES, "nin-mnist")]
    return {p.experiment: len(p.seeds) for p in verifying.plan(of, records, budget).planned}


@pytest.mark.parametrize(
    ("budget", "seeds"),
    [
        (1.9, {}),
        (2, {"lenet5-mnist": 1}),
        (11, {"lenet5-mnist": 3}),  # in 6 minutes all of its seeds; a run of the other takes 10
        (12, {"lenet5-mnist": 1, "resnet20-cifar10": 1}),  # experiments come before seeds
        (14, {"lenet5-mnist": 2, "resnet20-cifar10": 1}),
        (16, {"lenet5-mnist": 3, "resnet20-cifar10": 1}),
        (1000, {"lenet5-mnist": 3, "resnet20-cifar10": 3}),
    ],
)
def test_as_many_experiments_then_as_many_seeds_as_fit(budget, seeds):
    records = short(NAMES[0], [1.8, 1.9], minutes=2) + short(NAMES[1], [25.0, 26.0], minutes=10)
    assert planned(records, budget) == seeds


def test_what_is_left_out_is_named():
    of = [catalog.experiment(name) for name in (*NAMES, "nin-mnist")]
    plan = verifying.plan(of, short(NAMES[0], [1.8], 2) + short(NAMES[1], [25.0], 10), 5)
    assert plan.too_long == {"resnet20-cifar10": 10} and plan.nothing_recorded == ("nin-mnist",)
    assert plan.minutes == 4


@pytest.mark.parametrize(("gpu", "minutes"), [(False, 10), (True, 2)])
def test_minutes_are_those_of_the_kind_of_device_that_is_here(gpu, minutes, monkeypatch):
    monkeypatch.setattr(verifying, "has_gpu", lambda: gpu)
    of = catalog.experiment("lenet5-mnist")
    on_cpu = short(of.name, [1.8, 1.9], minutes=10)
    on_gpu = short(of.name, [1.8, 1.9, 1.7], minutes=2, hour=11)
    for one in on_gpu:
        one["run"]["devices"] = ["GPU:0"]
    (one,) = verifying.plan([of], on_cpu + on_gpu, 60).planned
    assert (one.minutes, len(one.recorded)) == (minutes, 5)
    for only, took in ((on_cpu, 10), (on_gpu, 2)):
        assert verifying.plan([of], only, 60).planned[0].minutes == took


def test_changed_runs_are_no_standard_and_former_recipes_are_only_without_present_ones():
    of = catalog.experiment("lenet5-mnist")
    former = experiment("lenet5-mnist", 0.95)  # the same name, another recipe
    changed = short(of.name, [1.0])
    for one in changed:
        one["run"]["overrides"] = ["recipe.batch=2"]
    old = short(of.name, [1.7, 1.9], of=former, hour=8)
    present = short(of.name, [1.8], hour=9)
    (one,) = verifying.plan([of], changed + old + present, 60).planned
    assert (one.recorded, one.former) == ((present[0]["run"]["id"],), False)
    (one,) = verifying.plan([of], changed + old, 60).planned
    assert (len(one.recorded), one.former) == (2, True)
    assert verifying.plan([of], changed, 60).planned == ()


# ---------------------------------------------------------------------------- the command


def test_accuracy_holds(trains, capsys):
    assert cli.main(["verify", "--budget", "20"]) == 0
    out, told = capsys.readouterr()
    assert told.index("about 20 minutes as recorded") < told.index("to train, 2 in all")
    assert "lenet5-mnist: 1 seed, 10.0 minutes; held against 3 recorded runs" in told
    assert "nothing to compare with" in told and "vgg-d-imagenet" in told
    assert "1.80 (3)" in out and "1.80 (1)" in out
    assert out.splitlines()[-1].startswith("no difference is seen (2 equivalent)")
    assert sorted(asked()) == [("train", name, 0) for name in NAMES]


def test_a_difference_is_exit_code_1_and_named(trains, capsys):
    trains(dict(zip(NAMES, (1.8, 90.0), strict=True)))
    assert cli.main(["verify", "lenet5", "resnet", "--budget", "20"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "accuracy DIFFERS from what was recorded: resnet20-cifar10"


def test_json_is_one_document(trains, capsys):
    assert cli.main(["verify", *NAMES, "--budget", "20", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["budget"], document["minutes"], document["differs"]) == (20, 20, False)
    assert [one["experiment"] for one in document["planned"]] == list(NAMES)
    assert [row["n"] for row in document["comparison"]["rows"]] == [[3, 1]] * 2
    assert document["left_out"] == [] and document["nothing_recorded"] == []


def test_a_second_call_trains_only_what_is_missing(trains, same_code):
    assert cli.main(["verify", *NAMES, "--budget", "20"]) == 0
    assert cli.main(["verify", *NAMES, "--budget", "30"]) == 0
    assert asked()[2:] == [("train", "lenet5-mnist", 1)]
    assert cli.main(["verify", *NAMES, "--budget", "30"]) == 0
    assert len(asked()) == 3


def test_an_interrupted_run_is_resumed(trains, same_code, capsys):
    errors = dict(zip(NAMES, (1.8, 25.0), strict=True))
    trains(errors, lenet5_1="stopped")
    assert cli.main(["verify", *NAMES, "--budget", "40"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "error: interrupted"
    trains(errors)
    assert cli.main(["verify", *NAMES, "--budget", "40"]) == 0
    done = asked()
    assert done.count(("train", "lenet5-mnist", 0)) == done.count(("train", "lenet5-mnist", 1)) == 1
    assert done.count(("resume", None, None)) == 1
    assert done[-1] == ("train", "resnet20-cifar10", 1)


def test_runs_of_other_code_or_versions_do_not_count(trains, tmp_path, monkeypatch):
    assert cli.main(["verify", "lenet5", "--budget", "10"]) == 0
    there = verifying.folder("verified")
    assert there.is_dir()
    now = provenance.versions()
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "versions", lambda: {**now, "keras": "99.0"})
        assert verifying.folder("verified") != there
        assert cli.main(["verify", "lenet5", "--budget", "10"]) == 0
        assert len(asked()) == 2
    assert verifying.folder("verified") == there
    papers = tmp_path / "papers"
    shutil.copytree(catalog.folder(), papers)
    monkeypatch.setattr(catalog, "folder", lambda: papers)
    assert verifying.folder("verified") == there
    with (papers / "resnet.py").open("a") as file:
        file.write("# a change\n")
    assert verifying.folder("verified") != there


def test_what_fails_is_left_out_and_the_rest_is_compared(trains, capsys):
    trains(dict(zip(NAMES, (1.8, 25.0), strict=True)), resnet20_0="failed")
    assert cli.main(["verify", *NAMES, "--budget", "20"]) == 4
    out, told = capsys.readouterr()
    assert "resnet20-cifar10 is left out: out of memory" in told
    assert "lenet5-mnist" in out
    *_, lost, last = out.splitlines()
    assert lost == "resnet20-cifar10 is not compared; here: the one run failed"
    assert last == "no difference is seen (1 equivalent); 1 failed, see above"
    trains(dict(zip(NAMES, (1.8, 25.0), strict=True)), resnet20_0="failed")
    assert cli.main(["verify", "resnet20-cifar10", "--budget", "10", "--out", "other"]) == 4
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "nothing was compared; 1 failed, see above"


@pytest.mark.parametrize(("budget", "seed"), [(20, 0), (40, 1)])
def test_what_diverges_here_alone_is_a_difference(budget, seed, trains, capsys):
    trains(dict(zip(NAMES, (1.8, 25.0), strict=True)), **{f"resnet20_{seed}": "diverged"})
    assert cli.main(["verify", *NAMES, "--budget", str(budget)]) == 1
    *_, out, last = [s for s in capsys.readouterr().out.splitlines() if "together" not in s]
    of = ("the one run", "1 of 2 runs")[seed]
    assert out == f"resnet20-cifar10 differs; here: {of} failed (the loss is not finite)"
    assert last == (
        "accuracy DIFFERS from what was recorded: resnet20-cifar10 (the loss is not finite)"
    )


def test_what_diverged_before_too_is_none(trains, capsys):
    of = catalog.experiment("resnet20-cifar10")
    seal_run(Path("more"), failed(of, 7, "the loss is not finite", scale="short"))
    reading.collect("more", "results")
    trains(dict(zip(NAMES, (1.8, 25.0), strict=True)), resnet20_0="diverged")
    assert cli.main(["verify", *NAMES, "--budget", "20", "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    (lost,) = document["comparison"]["lost"]
    assert (lost["experiment"], lost["diverged"], lost["differs"]) == (of.name, 1, False)


def test_without_data_an_experiment_is_left_out(trains, monkeypatch, capsys):
    def prepare(dataset):
        if dataset == "cifar10":
            raise DataError("cifar10 is not there")

    monkeypatch.setattr(train, "prepare", prepare)
    assert cli.main(["verify", *NAMES, "--budget", "20"]) == 3
    assert "resnet20-cifar10 is left out: cifar10 is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("lenet5-mnst", ("'lenet5-mnst'", "did you mean lenet5-mnist")),
        ("vgg-a-imagenet", ("nothing to compare with", "vgg-a-imagenet")),
        ("--budget 9", ("--budget 9", "lenet5-mnist", "10.0 minutes")),
        ("--budget 0", ("--budget 0", "a whole number from 1")),
        ("--out /dev/null/runs", ("/dev/null/runs", "writable folder")),
    ],
)
def test_errors_are_one_line(arguments, words, trains, capsys):
    assert cli.main(["verify", *arguments.split()]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith("error: ")
    assert all(word in error for word in words), error
    assert not Path("asked.jsonl").exists()


# ---------------------------------------------------------------------------- the first updates

OF_FIRST_UPDATES = """
import json, sys
asked, told = json.loads(sys.argv[1]), json.loads(sys.argv[2])
print(json.dumps(told[asked["experiment"]]), flush=True)
sys.exit(told[asked["experiment"]].get("exit_code", 0))
"""


@pytest.mark.parametrize("noticed", [None, 3])
@pytest.mark.usefixtures("same_code", "trains")
def test_first_updates_that_are_not_as_recorded_are_a_difference(noticed, monkeypatch, capsys):
    told = {
        NAMES[0]: {"event": "error", "reason": "mnist is missing", "exit_code": 3},
        NAMES[1]: {"event": "done", "noticed": noticed},
    }
    others = children.command

    def command(request):
        if request["do"] != "first_updates":
            return others(request)
        words = json.dumps(request), json.dumps(told)
        return [sys.executable, "-c", OF_FIRST_UPDATES, *words]

    monkeypatch.setattr(first_updates, "QUICK", NAMES)
    monkeypatch.setattr(children, "command", command)
    assert cli.main(["verify", "--budget", "100"]) == (1 if noticed else 0)
    out, err = (" ".join(text.split()) for text in capsys.readouterr())
    assert "first updates of lenet5-mnist not made: mnist is missing" in err
    if noticed:
        assert "first updates of resnet20-cifar10: not as recorded from update 3 on" in err
        assert "the first updates DIFFER from those recorded: resnet20-cifar10" in out
    else:
        assert "first fifty updates as recorded: resnet20-cifar10" in err
        assert "DIFFER" not in out
