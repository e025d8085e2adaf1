"""What notebooks get: frames whose columns have right types, and errors of one line."""

import asyncio
import json
import subprocess
import sys

import pandas
import pytest
from run_records import failed, record, seal_run

import repro
from repro import backends, catalog
from repro.errors import DataError, Interrupted, ReproError, RunError, UsageError
from repro.running import children

RESNET = catalog.experiment("resnet20-cifar10")
DIGITS = catalog.experiment("lenet5-digits")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder without records."""
    (tmp_path / "results" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_importing_imports_neither_pandas_nor_keras():
    code = (
        "import sys, repro; repro.run, repro.verdicts, repro.records;"
        "print({'pandas', 'keras', 'numpy', 'rich', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_functions_are_where_a_notebook_looks_for_them():
    from repro import anatomy, experiments, records, run, verdicts

    assert {"anatomy", "experiments", "records", "run", "verdicts"} <= set(dir(repro))
    for function in (anatomy, experiments, records, run, verdicts):
        assert callable(function) and function.__doc__
    with pytest.raises(AttributeError, match="nothing"):
        repro.nothing  # noqa: B018


def test_experiments_are_those_of_the_papers():
    frame = repro.experiments()
    assert frame.index.name == "experiment" and frame.index.is_unique
    assert len(frame) == len(catalog.experiments())
    he = frame.loc["resnet20-cifar10"]  # He et al. 2015, section 4.2 and Table 6
    assert (he["reported"], he["source"], he["metric"]) == (8.75, "Table 6", "test_error")
    assert (he["iterations"], he["batch"], he["dataset"]) == (64_000, 128, "cifar10")
    assert pandas.isna(he["passes"])
    lecun = frame.loc["lenet5-mnist"]  # LeCun et al. 1998, section III.B
    assert (lecun["reported"], lecun["passes"], lecun["batch"]) == (0.95, 20, 1)
    assert pandas.isna(frame.loc["plain20-cifar10", "reported"])
    kinds = frame.dtypes.astype(str).to_dict()
    assert (kinds["passes"], kinds["iterations"], kinds["seeds"]) == ("Int64", "Int64", "int64")
    assert kinds["reported"] == kinds["reported_std"] == "float64"


def leave(folder, *made):
    for one in made:
        seal_run(folder / "runs", one)


def test_records_have_a_row_per_run_and_protocol(folder):
    several = record(RESNET, 1, 9.0)
    several["result"]["metrics"]["10-crop"] = {"test_error": 8.5}
    leave(folder, several, record(RESNET, 0, 8.8), failed(RESNET, 2))
    frame = repro.records()
    assert frame.index.names == ["experiment", "scale", "seed"]
    assert frame.index.get_level_values("seed").tolist() == [0, 1, 1, 2]
    mine = frame.loc["resnet20-cifar10", "paper"]
    assert mine.loc[1, "protocol"].tolist() == ["single-view", "10-crop"]
    assert mine.loc[1, "test_error"].tolist() == [9.0, 8.5]
    assert (mine.loc[0, "test_wrong"], mine.loc[0, "test_count"]) == (880, 10_000)
    assert mine.loc[0, "started"] == pandas.Timestamp("2026-11-21 11:00", tz="UTC")
    assert (mine.loc[0, "failed"], mine.loc[2, "failed"]) == ("", "it diverged")
    assert pandas.isna(mine.loc[2, "test_error"]) and pandas.isna(mine.loc[2, "test_wrong"])
    kinds = frame.dtypes.astype(str).to_dict()
    whole = ("test_wrong", "test_count", "passes", "updates", "replicas")
    assert {kinds[name] for name in whole} == {"Int64"}
    assert kinds["test_error"] == kinds["seconds"] == "float64"
    assert kinds["dirty"] == "boolean" and kinds["started"].startswith("datetime64")


def test_verdicts_lay_measured_beside_reported(folder):
    leave(folder, *(record(RESNET, seed, error) for seed, error in enumerate((8.6, 8.8, 9.0))))
    row = repro.verdicts().query("main").loc["resnet20-cifar10"]
    assert (row["paper"], row["reported"], row["n"]) == ("resnet", 8.75, 3)
    assert (row["mean"], row["std"]) == (pytest.approx(8.8), pytest.approx(0.2))
    assert row["difference"] == pytest.approx(0.05)
    assert row["low"] < 8.75 < row["high"]
    assert row["seeds"] == "0, 1, 2"
    never = repro.verdicts().loc["densenet100-k24-cifar10"]
    assert (never["verdict"], never["n"]) == ("not run", 0) and pandas.isna(never["mean"])
    kinds = repro.verdicts().dtypes.astype(str).to_dict()
    assert {kinds[name] for name in ("reported", "mean", "std", "low", "high")} == {"float64"}
    assert (kinds["n"], kinds["main"]) == ("int64", "bool")


def test_the_anatomy_of_lenet5_is_the_paper_s():
    frame = repro.anatomy("lenet5")  # LeCun et al. 1998, section II.B
    assert frame.index.name == "layer"
    assert frame["parameters"].sum() == 60_000
    assert frame["connections"].sum() == 340_908
    assert frame.loc["C3", "parameters"] == 1_516
    assert frame.loc["C3", "output_shape"] == "10x10x16"
    assert frame.attrs["published"] == {"parameters": 60_000, "connections": 340_908}
    assert "keras" not in str(frame.dtypes.tolist())
    assert {str(frame[name].dtype) for name in ("parameters", "receptive_field")} == {"int64"}


# ---------------------------------------------------------------------------- training


@pytest.fixture
def trained(folder, monkeypatch):
    """A function that makes of seeds and their events what the processes of runs tell."""

    def stand_in(told):
        def command(request):
            events = told.get(request.get("seed"), [{"event": "done"}])
            lines = "\n".join(json.dumps(event) for event in events)
            return [sys.executable, "-c", f"print({lines!r})"]

        monkeypatch.setattr(children, "command", command)

    return stand_in


def done(folder, seed, error):
    run_dir = seal_run(folder / "runs", record(DIGITS, seed, error, scale="short"))
    passed = {"event": "pass", "pass": 2, "update": 120_000, "test_error": error}
    start = {"event": "start", "run_dir": str(run_dir), "passes": 2, "updates": 120_000}
    result = record(DIGITS, seed, error)["result"]
    return [start, passed, {"event": "done", "run_dir": str(run_dir), "seed": seed, **result}]


def test_seeds_are_trained_in_a_cell_where_an_event_loop_runs(folder, trained, capsys):
    trained({3: done(folder, 3, 4.5), 7: done(folder, 7, 5.5)})

    async def cell():
        return repro.run("lenet5-digits", scale="short", seeds=[3, 7])

    frame = asyncio.run(cell())
    assert frame.index.tolist() == [("lenet5-digits", "short", 3), ("lenet5-digits", "short", 7)]
    assert frame["test_error"].tolist() == [4.5, 5.5]
    folders = frame["run_dir"].tolist()
    assert "-seed3-" in folders[0] and "-seed7-" in folders[1]
    assert list(frame.columns[:-1]) == list(repro.records().columns)
    told = capsys.readouterr()
    assert told.out == ""
    assert "seed 7: pass 2/2, test error 5.50 %" in told.err.splitlines()
    assert "\x1b" not in told.err and "\r" not in told.err


def test_a_seed_that_failed_is_an_error_and_the_others_are_kept(folder, trained, capsys):
    failure = {"event": "error", "reason": "the loss is not finite", "exit_code": 4}
    trained({0: done(folder, 0, 4.5), 1: [failure]})
    with pytest.raises(RunError, match="seed 1: the loss is not finite"):
        repro.run("lenet5-digits", scale="short", seeds=2)
    assert "seed 0 is finished: " in capsys.readouterr().err
    assert repro.records()["test_error"].tolist() == [4.5]


def test_a_cell_that_is_interrupted_says_what_resumes_it(folder, trained, capsys):
    start = {"event": "start", "run_dir": "runs/x", "passes": 2}
    trained({0: [start, {"event": "error", "reason": "stopped", "exit_code": 130}]})
    with pytest.raises(Interrupted):
        repro.run("lenet5-digits")
    assert "repro resume runs/x" in capsys.readouterr().err


# ---------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: repro.anatomy("lenet6"), UsageError, "did you mean lenet5?"),
        (lambda: repro.run("lenet5-digit"), UsageError, "did you mean lenet5-digits?"),
        (lambda: repro.run("lenet5-digits", scale="shrt"), UsageError, "did you mean short?"),
        (lambda: repro.run("lenet5-digits", precision="x"), UsageError, "precision"),
        (lambda: repro.run("lenet5-digits", strategy="x"), UsageError, "accepted: auto, single"),
        (lambda: repro.run("lenet5-digits", overrides={"x": 1}), UsageError, "unknown key 'x'"),
        (lambda: repro.run("lenet5-digits", out="/dev/null/x"), UsageError, "writable folder"),
        (repro.records, DataError, "no records of runs in "),
        (repro.verdicts, DataError, "no records of runs in "),
        *[
            (lambda seeds=seeds: repro.run("lenet5-digits", seeds=seeds), UsageError, "which: [3,")
            for seeds in (0, -1, 1_001, 1.5, "3", None, [], [0, 0], [-1], [2**32], [0.5])
        ],
    ],
)
def test_an_error_is_one_line(call, kind, said):
    with pytest.raises(kind) as caught:
        call()
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value._render_traceback_() == [f"{kind.__name__}: {caught.value}"]


def test_what_is_not_installed_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(backends, "installed", lambda package: package != "keras")
        with pytest.raises(UsageError, match="Keras is not installed"):
            repro.run("lenet5-digits")
    with monkeypatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "nothing")
        with pytest.raises(UsageError, match="unknown KERAS_BACKEND 'nothing'"):
            repro.anatomy("lenet5")
    monkeypatch.setitem(sys.modules, "pandas", None)
    for function in (repro.experiments, repro.records, repro.verdicts):
        with pytest.raises(ReproError, match="pandas is not installed"):
            function()
