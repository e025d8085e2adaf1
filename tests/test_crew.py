"""How many runs go side by side: on CPUs by the recipe, on a GPU by trying."""

import os
import stat

import pytest

from repro import catalog, cli, settings
from repro.running import crew
from repro.running.crew import Crew, GrowingCrew, crew_for

ONE = catalog.experiment("lenet5-mnist")
WHOLE_BATCHES = settings.override(ONE, ["recipe.batch=128"])


def test_one_example_recipes_go_side_by_side_and_others_one_after_the_other(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(crew, "cores", lambda: 3)
    assert (crew_for(ONE).allowed, crew_for(WHOLE_BATCHES).allowed) == (3, 1)
    assert (crew_for(ONE, 2).allowed, crew_for(WHOLE_BATCHES, 4).allowed) == (2, 4)
    assert crew_for(ONE, 2).environment == crew_for(ONE).environment == {}


def test_runs_that_share_a_gpu_take_what_they_need_of_its_memory(monkeypatch):
    monkeypatch.setattr(crew, "has_gpu", lambda: True)
    shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    assert isinstance(crew_for(ONE), GrowingCrew) and crew_for(ONE).environment == shared
    assert (crew_for(ONE, 3).allowed, crew_for(ONE, 3).environment) == (3, shared)
    assert crew_for(ONE, 1).environment == {}  # alone it may have all of it


class Gpu:
    """A device that k runs use at `sums[k]` updates a second together, simulated second by second.

    A run compiles for 15 seconds before its first update.
    """

    def __init__(self, sums: dict[int, float], memory=lambda runs: None):
        self.sums, self.now = sums, 0.0
        self.running: dict[int, float] = {}
        self.began: dict[int, float] = {}
        self.crew = GrowingCrew(lambda: self.now, lambda: memory(len(self.running)))
        self.next = 0

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            while len(self.running) < self.crew.allowed:
                self.running[self.next], self.began[self.next] = 0.0, self.now + 15
                self.crew.told(self.next, {"event": "start", "update": 0})
                self.next += 1
            training = [seed for seed in self.running if self.began[seed] <= self.now]
            for seed in training:
                self.running[seed] += self.sums[len(training)] / len(training)
                told = {"event": "progress", "update": int(self.running[seed])}
                self.crew.told(seed, told)

    def end(self, seed: int) -> None:
        del self.running[seed]
        self.crew.ended(seed, failed=False)


def test_runs_are_added_while_the_sum_of_their_rates_grows():
    gpu = Gpu({1: 200, 2: 300, 3: 340, 4: 345, 5: 345})
    gpu.pass_time(30)
    assert len(gpu.running) == 1  # compiles, then is timed
    gpu.pass_time(300)
    assert len(gpu.running) == 4  # the fourth was tried, and brought 1.5 per cent
    assert gpu.crew.allowed == 3
    gpu.end(0)
    gpu.pass_time(100)
    assert sorted(gpu.running) == [1, 2, 3]
    gpu.end(1)
    gpu.pass_time(100)
    assert sorted(gpu.running) == [2, 3, 4]  # three from now on


def test_a_run_that_slows_the_others_down_is_not_followed_by_another():
    gpu = Gpu({1: 200, 2: 190})
    gpu.pass_time(300)
    assert (len(gpu.running), gpu.crew.allowed) == (2, 1)


def test_none_is_added_that_the_memory_has_no_room_for():
    gpu = Gpu({1: 200, 2: 400, 3: 600, 4: 800}, memory=lambda runs: 0.4 * runs)
    gpu.pass_time(300)
    assert len(gpu.running) == gpu.crew.allowed == 2


def test_one_that_ends_while_it_is_timed_leaves_the_look_to_the_next():
    gpu = Gpu({1: 200, 2: 300, 3: 301})
    gpu.pass_time(50)
    assert len(gpu.running) == 2
    gpu.end(0)
    gpu.pass_time(300)
    assert gpu.crew.allowed == 2


@pytest.mark.parametrize(
    ("told", "share"),
    [
        ("echo 1000, 4000; echo 3000, 4000", 0.75),
        ("echo no devices were found; exit 6", None),
        ("echo", None),
        ("echo 0, 0", None),
    ],
)
def test_the_memory_of_gpus_is_asked_of_the_driver(told, share, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{told}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert crew.gpu_memory() == share
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert crew.gpu_memory() is None


@pytest.mark.parametrize("given", ["0", "-1", "65", "two", "1.5", ""])
def test_jobs_that_make_no_sense_are_refused_in_a_line(given, capsys):
    assert cli.main(["run", "lenet5-digits", "--jobs", given]) == 2
    error = capsys.readouterr().err
    assert "--jobs" in error and "auto, or a whole number from 1 to 64" in error
    assert error.count("\n") == 1


def test_jobs_of_claims_go_with_run(capsys):
    assert cli.main(["claims", "--jobs", "2"]) == 2
    assert "--jobs 2: goes with --run" in capsys.readouterr().err


def test_a_run_that_fails_beside_others_leaves_one_less():
    gpu = Gpu({1: 200, 2: 400, 3: 600, 4: 800})
    gpu.pass_time(110)
    assert len(gpu.running) == gpu.crew.allowed == 4
    gpu.running.pop(3)
    gpu.crew.ended(3, failed=True)
    gpu.pass_time(300)
    assert len(gpu.running) == gpu.crew.allowed == 3


def test_a_crew_of_a_given_size_stays_so():
    fixed = Crew(2)
    fixed.told(0, {"event": "progress", "update": 5})
    fixed.ended(0, failed=True)
    assert fixed.allowed == 2
