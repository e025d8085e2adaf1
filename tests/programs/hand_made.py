"""Runs and records at paper scale as the trainer would have left them, made of a smoke run."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from repro.records import images
from repro.records.documents import seal_of
from repro.records.journal import Journal

EXPERIMENT = "lenet5-digits"
SECRET = "5ec4e7f"  # only in files outside: whoever shows it has followed a link


def derived(of: Path, seed: int, failed: bool) -> dict:
    """The record of a run at paper scale, by hand: twenty passes of 1,437 updates."""
    run = json.loads((of / "run.json").read_text())
    run = {key: value for key, value in run.items() if key not in ("seal", "smoke")}
    run["scale"] = "paper"
    run |= {"id": hashlib.md5(str(seed).encode()).hexdigest(), "seed": seed}
    run["command"] = f"repro run {EXPERIMENT} --scale paper --seed {seed}"
    passes = []
    for number in range(1, 21):
        wrong = 40 - number + seed % 10
        error = {"test_error": 100 * wrong / 360, "training_error": 100 * wrong / 1437}
        line = {"pass": number, "update": 1437 * number, "loss": 1.5 / number, **error}
        line |= {"running_error": 100 * (wrong + 9) / 1437, "test_loss": 1 / number}
        line |= {"rate_min": 1e-5, "rate_max": 1e-3, "images_per_second": 3e3, "seconds": 1.5}
        passes.append(line)
    metrics = {**error, "running_error": line["running_error"], "test_loss": 0.05}
    metrics |= {"test_wrong": wrong, "test_count": 360, "training_loss": 0.04}
    metrics |= {"training_wrong": wrong, "training_count": 1437}
    result = {"metrics": {"single-view": metrics}, "seconds": 30.5, "images_per_second": 3e3}
    result |= {"passes": 20, "updates": 28740, "resumed": 0}
    result["finished"] = f"2026-01-01T00:00:{seed}+00:00"
    order, number = images.order_of(run["data"]["digest"], "test", 360), np.arange(360)
    kept = images.packed(number < wrong, number[:wrong] % 10, 10, order)
    result["images"] = {"single-view": kept}
    failure = {"reason": "it diverged", "update": 28740, "at": result["finished"]}
    ended = {"result": None, "failure": failure} if failed else {"result": result}
    return {"run": run, "passes": passes, **ended}


def derive_run(of: Path, seed: int, failed: bool) -> Path:
    record = derived(of, seed, failed)
    folder = of.with_name(f"paper-seed{seed}-20260101-000000")
    shutil.copytree(of, folder, ignore=shutil.ignore_patterns("*.json*", "*.ckpt"))
    journal = Journal(folder)
    journal.write_run(record["run"])
    journal.write_passes(record["passes"])
    journal.fail(record["failure"]) if failed else journal.finish(record["result"])
    return folder


def derive_record(of: Path, seed: int, failed: bool) -> Path:
    path = Path("results/runs", EXPERIMENT, f"paper-seed{seed}-20260101-000000.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    record = derived(of, seed, failed)
    path.write_text(json.dumps({**record, "seal": seal_of(record)}))
    return path


def lines(run: Path) -> list[str]:
    return (run / "metrics.jsonl").read_text().splitlines(keepends=True)


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("update-*.ckpt"))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def marked(path: Path) -> bytes:
    """Another file of the same kind, which shows in whatever reads it."""
    if path.suffix != ".json":
        return path.read_bytes() + f'{{"pass": 3, "{SECRET}": 1}}\n'.encode()
    document = json.loads(path.read_text())
    for part in (document, document.get("run"), document.get("result"), document.get("failure")):
        for key in {"commit", "reason", "mlflow_run_id"} & {*(part or ())}:
            part[key] = SECRET
        if part and "metrics" in part:
            part["metrics"]["single-view"] |= {"test_error": 0.0, "test_wrong": 0}
            part.pop("images", None)
    return json.dumps(document).encode()
