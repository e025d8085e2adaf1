"""The first losses of some experiments, to the bit.

Trains each at smoke scale, in a folder that is removed, and prints a line per pass: experiment,
pass, and the mean loss and the running error as hexadecimal floats. The same lines from two
versions of the harness mean that both train alike:

    PYTHONPATH=<a checkout> python -P tests/programs/first_losses.py [EXPERIMENT...]

Knows how the harness was called before November 2026, too.
"""

import inspect
import json
import sys
import tempfile
from pathlib import Path

from repro import catalog

try:
    from repro.training import runner, smoke
    from repro.training import training as owner

    smoke.TRAINING = 1e15  # as many updates as there were before smoke runs had a budget
except ImportError:  # the harness as it was
    from repro import training as owner
    from repro import training as runner

EXPERIMENTS = ("lenet5-digits", "resnet20-cifar10", "nin-cifar10")
SEED = 3

for name in ("_track", "_draw"):  # former trainings log and draw by themselves
    if hasattr(owner.Training, name):
        setattr(owner.Training, name, lambda self: None)

for name in sys.argv[1:] or EXPERIMENTS:
    with tempfile.TemporaryDirectory() as out:
        done = runner.run(catalog.experiment(name), scale="smoke", seed=SEED, out=out)
        lines = Path(done["run_dir"], "metrics.jsonl").read_text().splitlines()
        for line in map(json.loads, lines):
            print(name, line["pass"], *(line[k].hex() for k in ("loss", "running_error")))
print("#", inspect.getfile(runner), file=sys.stderr)
