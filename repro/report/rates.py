"""How many images a second networks train at, as measured; and what that makes of another one."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from repro import catalog, files
from repro.networks import counts
from repro.networks.counts import Counts

H100 = "NVIDIA H100"


@dataclass(frozen=True)
class Rate:
    """Images per second in training on one device, as measured.

    kind: the device: "CPU", or a GPU by its name. cores: of a CPU. experiment: what was trained;
    counts: of its network; batch: images of an update.
    """

    kind: str
    cores: int
    precision: str
    experiment: str
    counts: Counts
    batch: int
    images_per_second: float

    @property
    def where(self) -> str:
        return f"{self.cores} cores" if self.kind == "CPU" else f"one {self.kind}"


# Measured on one H100 with JAX 0.11.2 in November 2026, at the batches of the recipes. CIFAR-10 lay
# on the device; of ImageNet the host had batches ready, each copied while the one before was
# trained on (of GoogLeNet two updates in one call). No document of a benchmark holds these rates.
ON_H100 = {
    ("resnet20-cifar10", "float32"): 34_300.0,
    ("resnet20-cifar10", "mixed_bfloat16"): 79_700.0,
    ("alexnet-imagenet", "float32"): 4_270.0,
    ("alexnet-imagenet", "mixed_bfloat16"): 5_840.0,
    ("googlenet-imagenet", "float32"): 1_100.0,
    ("resnet50-imagenet", "float32"): 949.0,
    ("resnet50-imagenet", "mixed_bfloat16"): 3_750.0,
}
HARNESS = {"harness": "float32", "harness-bfloat16": "mixed_bfloat16"}
BENCHMARKS = ("bench.json", "bench-gpu.json")


def measured(records: Iterable[dict], folder: Path | None, entries: Mapping) -> list[Rate]:
    """All rates of networks that were counted: of benchmarks in `folder`, runs on CPUs, an H100.

    entries: the table of `repro.networks.counts`. Runs on GPUs are left out: several may have
    shared one.
    """
    trained = {e.name: e for e in catalog.experiments()}
    networks = {name: counts.known(e.network, entries) for name, e in trained.items()}
    found = {(H100, 0, precision, name): [rate] for (name, precision), rate in ON_H100.items()}
    for name in BENCHMARKS if folder else ():
        found |= _benchmark(folder / name)
    for record in records:
        run, speed = record["run"], (record["result"] or {}).get("images_per_second")
        if speed and _on_cpu(run) and not run["overrides"]:
            cores = run.get("machine", {}).get("cores", 0)
            key = "CPU", cores, run["precision"], run["experiment"]
            found.setdefault(key, []).append(speed)
    return [
        Rate(*key, counted, trained[key[-1]].recipe.batch, median(speeds))
        for key, speeds in found.items()
        if (counted := networks.get(key[-1])) is not None
    ]


def _on_cpu(run: Mapping) -> bool:
    return [device.partition(":")[0] for device in run["devices"]] == ["CPU"]


def _benchmark(path: Path) -> dict[tuple, list[float]]:
    """What the harness itself reached; nothing of a document that is none."""
    try:
        document = files.read_json(path) or {"networks": (), "devices": [""], "machine": {}}
        (kind,) = document["devices"]
        cores = document["machine"].get("cores", 0) if kind == "CPU" else 0
        return {
            (kind, cores, HARNESS[row["name"]], network["experiment"]): [float(row["rate"])]
            for network in document["networks"]
            for row in network["contenders"]
            if row["name"] in HARNESS and row["rate"]
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


@dataclass(frozen=True)
class Expected:
    """Images per second that are to be expected: between `low` and `high`, going by `rate`.

    One of the two goes by the operations, the other by the values that training keeps.
    """

    low: float
    high: float
    rate: Rate


def expected(counted: Counts, images: int, rates: Iterable[Rate]) -> Expected | None:
    """By the nearest of `rates`, that of the least ratios of operations and values; or None.

    images: of an update, on the device. One with less work than that which was measured may take as
    long: a device that is not busy gains nothing.
    """

    def ratios(rate: Rate) -> tuple[float, float]:
        one, other = counted, rate.counts
        return one.multiply_adds / other.multiply_adds, one.kept / other.kept

    near = min(rates, key=lambda rate: sum(abs(math.log(r)) for r in ratios(rate)), default=None)
    if near is None:
        return None
    slower, faster = max(ratios(near)), min(ratios(near))
    slower = max(slower, near.batch / images)
    return Expected(near.images_per_second / slower, near.images_per_second / faster, near)
