"""Figures come out the same whatever the user has set for Matplotlib."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_records import experiment, record

from repro.report import run_figures

TOY = experiment("toy")
DRAW = """
from run_records import experiment, record
from repro.report import run_figures
toy = experiment("toy")
run_figures.draw_curves([record(toy, seed, 1.0) for seed in range(2)], toy, "curves.svg")
"""
LOUD = "text.usetex: True\nfont.size: 40\naxes.facecolor: red\nsvg.fonttype: path\nsavefig.dpi: 9\n"


@pytest.fixture(scope="module")
def as_shipped(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("plain") / "curves.svg"
    run_figures.draw_curves([record(TOY, seed, 1.0) for seed in range(2)], TOY, path)
    return path.read_bytes()


def drawn_in(folder: Path, **environment) -> bytes:
    """curves.svg, drawn by another process in `folder`."""
    path = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))
    subprocess.run(
        [sys.executable, "-P", "-c", DRAW],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=True,
    )
    return (folder / "curves.svg").read_bytes()


@pytest.mark.parametrize(
    "environment",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},  # what a notebook hands down
        {"MPLBACKEND": "no such backend", "HOME": "/nonexistent", "LC_ALL": "de_DE.UTF-8"},
    ],
    ids=["notebook", "nonsense"],
)
def test_the_environment_changes_no_figure(tmp_path, as_shipped, environment):
    assert drawn_in(tmp_path, **environment) == as_shipped


@pytest.mark.parametrize(
    "settings",
    [LOUD.encode(), b"\xff\xfe not UTF-8", b"backend: nope\nno.such.key: 1\naxes.grid maybe\n"],
    ids=["loud", "not UTF-8", "nonsense"],
)
def test_a_settings_file_in_the_working_folder_changes_no_figure(tmp_path, as_shipped, settings):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    assert drawn_in(tmp_path) == as_shipped


def test_settings_and_styles_of_the_home_folder_change_no_figure(tmp_path, as_shipped):
    home = tmp_path / "settings"
    (home / "stylelib").mkdir(parents=True)
    (home / "stylelib" / "mine.mplstyle").write_bytes(b"\xff\xfe")
    (home / "matplotlibrc").write_text(LOUD)
    assert drawn_in(tmp_path, MPLCONFIGDIR=str(home)) == as_shipped


def test_settings_made_in_this_process_change_no_figure_and_are_kept(tmp_path, as_shipped):
    import matplotlib

    loud = {"text.usetex": True, "font.size": 40.0, "axes.facecolor": "red", "lines.marker": "x"}
    with matplotlib.rc_context(loud):
        path = tmp_path / "curves.svg"
        run_figures.draw_curves([record(TOY, seed, 1.0) for seed in range(2)], TOY, path)
        assert path.read_bytes() == as_shipped
        assert {key: matplotlib.rcParams[key] for key in loud} == loud


def test_keras_is_imported_beside_settings_that_matplotlib_cannot_read(tmp_path):
    """Keras imports Matplotlib's windows, which read all of the settings."""
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe")
    code = "from repro import plain_matplotlib; plain_matplotlib.load(); import matplotlib.pyplot"
    environment = {"MPLBACKEND": "module://no.such", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}, os; print(os.getcwd())"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()) == tmp_path.resolve()
