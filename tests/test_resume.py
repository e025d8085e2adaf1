"""A run that is killed at random moments ends with the bits of one that was left alone."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_runs import timeless

from repro.records.journal import Journal
from repro.training import checkpoint

KILLS = 10

# Many small chunks and a checkpoint after each, so that a kill may fall anywhere, also into the
# writing of a checkpoint.
PROGRAM = """
import json, sys
from repro import catalog
from repro.training import runner
from repro.training import schedule
from repro.training import training
schedule.CHUNK_UPDATES = 25
training.SECONDS_BETWEEN_CHECKPOINTS = 0.0
def say(event):
    if event["event"] == "progress":
        print(event["update"], flush=True)
if sys.argv[1] == "run":
    runner.run(catalog.experiment("lenet5-digits"), scale="short", out=sys.argv[2],
                 overrides=["recipe.passes=6"], observers=[say])
else:
    runner.resume(sys.argv[2], observers=[say])
print("finished", flush=True)
"""


def start(*arguments) -> subprocess.Popen:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def tear(journal: Path, chance: random.Random) -> None:
    """What a crash of the machine may do to metrics.jsonl: the checkpoints have its lines too."""
    if journal.exists():
        content = journal.read_bytes()
        journal.write_bytes(content[: chance.randrange(len(content) + 1)])


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_bit(tmp_path):
    alone = start("run", tmp_path / "alone")
    killed, kills, moments = start("run", tmp_path / "killed"), 0, []
    seed = random.randrange(2**32)  # other moments in every run of this test
    print(f"the moments are drawn with seed {seed}")
    chance = random.Random(seed)
    while True:
        finished, chunks_left = False, chance.randint(1, 8)
        for line in killed.stdout:
            if line.strip() == "finished":
                finished = True
                break
            chunks_left -= 1
            if kills < KILLS and chunks_left <= 0:
                time.sleep(chance.uniform(0.0, 0.02))
                killed.kill()
                kills += 1
                moments.append(int(line))
                break
        _, errors = killed.communicate()
        if finished:
            break
        assert killed.returncode == -9, errors
        (run_dir,) = (tmp_path / "killed" / "lenet5-digits").iterdir()
        if kills % 2:
            tear(run_dir / "metrics.jsonl", chance)
        killed = start("resume", run_dir)
    output, errors = alone.communicate()
    assert output.strip().endswith("finished"), errors
    assert kills == KILLS
    assert moments[-1] > moments[0], "the run never got on between two kills"

    one = Journal.open(next((tmp_path / "alone" / "lenet5-digits").iterdir()))
    other = Journal.open(run_dir)
    assert timeless(other) == timeless(one)
    assert one.result()["resumed"] == 0
    assert other.result()["resumed"] >= 1
    mine, theirs = (checkpoint.latest(j.checkpoints)[0] for j in (one, other))
    assert len(mine) == len(theirs) > 12
    assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert json.dumps(one.run()["resolved"]) == json.dumps(other.run()["resolved"])
