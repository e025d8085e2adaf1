"""Damages every file that `repro` reads, and looks at how its commands take it.

    python tests/programs/corrupt.py --budget 60 --log offences.txt

It makes run directories (finished, cut off, failed) and records in a folder of its own, damages one
file at a time, and calls the commands that read it. For each kind of fault it prints the number of
calls, of tracebacks, and of answers that are wrong; it exits with 1 if there was one of either.

An answer is right when it is the one without any fault, or the one without the damaged run or
record, whose name is then printed; when a run that is resumed or tested has the metrics of the
undamaged run, or is refused; and when nothing is read or written outside of the folder.
"""

import argparse
import ctypes
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

from faults import READERS, RECORDED, Case, cases
from hand_made import EXPERIMENT, SECRET, derive_record, derive_run, lines, marked, newest, remove

SECONDS = 150  # for one call; machines may be busy
PLACES = {
    **{"done": "runs/*/smoke-seed11-*", "late": "runs/*/smoke-seed12-*"},
    **{"early": "runs/*/smoke-seed13-*", "paper": "runs/*/paper-seed21-*"},
    **{"failed": "runs/*/paper-seed22-*", "record": "results/runs/*/paper-seed31-*"},
    "lost": "results/runs/*/paper-seed34-*",
}
WITHOUT = ("filters.npy", "mlflow.json", "figures")  # a trained run is finished without them


# ---------------------------------------------------------------------------- calling the command


class Hang(BaseException):
    """Raised in a thread that has worked for too long."""


class Apart(io.TextIOBase):
    """Standard output or error of each thread for itself."""

    def __init__(self):
        self.texts = defaultdict(list)

    def write(self, text):
        self.texts[threading.get_ident()].append(text)
        return len(text)

    def take(self) -> str:
        """What this thread wrote; the main one takes what its helpers wrote too."""
        main = threading.current_thread() is threading.main_thread()
        threads = list(self.texts) if main else [threading.get_ident()]
        return "".join(text for thread in threads for text in self.texts.pop(thread, []))


@dataclass
class Answer:
    code: int | None
    out: str
    err: str

    def document(self):
        try:
            return json.loads(self.out)
        except ValueError:
            return None


def call(*arguments: str) -> Answer:
    """`repro` in this process, as its user would call it."""
    from repro import cli

    try:
        code = cli.main(list(arguments))
    except BaseException as error:
        code = None
        sys.stderr.write(f"Traceback: {type(error).__name__} left main: {error}\n")
    return Answer(code, sys.stdout.take(), sys.stderr.take())


class Child:
    """Stands for subprocess.Popen where the child is `repro` too: TensorFlow is there already."""

    working: ClassVar[set] = set()  # the threads that are in one

    def __init__(self, command):
        self.working.add(threading.get_ident())
        answer = call(*command[command.index("-m") + 2 :])
        self.working.discard(threading.get_ident())
        self.returncode = 4 if answer.code is None else answer.code
        self.stdout, self.stderr, self.pid = io.StringIO(answer.out), io.StringIO(answer.err), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def communicate(self, *_, **__):
        return self.stdout.read(), self.stderr.read()

    def poll(self, *_, **__):
        return self.returncode

    wait = send_signal = terminate = kill = poll


def in_process() -> None:
    """Children, signals and streams for thousands of calls in one process."""
    real_popen, real_signal = subprocess.Popen, signal.signal

    class Popen(real_popen):
        def __new__(cls, command, *rest, **options):
            ours = isinstance(command, list) and "repro" in command[:6] and "-m" in command
            return Child(command) if ours else object.__new__(cls)

    def in_main_thread(number, handler):
        main = threading.current_thread() is threading.main_thread()
        return real_signal(number, handler) if main else signal.SIG_DFL

    def late(*_):
        for thread in Child.working:
            raised = ctypes.c_ulong(thread), ctypes.py_object(Hang)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(*raised)
        if not Child.working:
            raise Hang

    subprocess.Popen, signal.signal = Popen, in_main_thread
    real_signal(signal.SIGALRM, late)
    sys.stdout, sys.stderr = Apart(), Apart()
    sys.excepthook = lambda *error: traceback.print_exception(*error, file=sys.__stderr__)


# ---------------------------------------------------------------------------- what is damaged


class World:
    """A folder of runs and records that is made anew for each fault, and what lies outside."""

    def __init__(self, root: Path):
        self.kept, self.kept_outside, self.open = root / "kept", root / "twins", root / "open"
        self.folder, self.outside = self.open / "a" / "b" / "world", self.open / "outside"
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chdir(self.folder)
        self.tracking = f"sqlite:///{self.folder}/mlflow.db"
        os.environ["MLFLOW_TRACKING_URI"] = self.tracking
        os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"  # the file is replaced
        if not self.kept_outside.exists():  # else made by an earlier call
            self._make()
        self.places = {name: next(Path().glob(pattern)) for name, pattern in PLACES.items()}
        self.seen, self.answers = {}, {}
        self.restore()

    def _make(self) -> None:
        done, late, early = (train(seed) for seed in (11, 12, 13))
        for run in (late, early):  # killed before, and well before, the end
            (run / "result.json").unlink()
            (run / "mlflow.json").unlink(missing_ok=True)
        (early / "metrics.jsonl").write_text(lines(early)[0])
        newest(early).unlink()
        for seed in (21, 22):
            derive_run(done, seed, failed=seed == 22)
        for seed in (31, 32, 33, 34):
            derive_record(done, seed, failed=seed == 34)
        shutil.copytree(self.folder, self.kept)
        for path in [path for path in Path().glob("r*/**/*") if path.is_file()]:
            (self.outside / path).parent.mkdir(parents=True, exist_ok=True)
            (self.outside / path).write_bytes(marked(path))
        shutil.copytree(self.outside, self.kept_outside)

    def restore(self) -> bool:
        """Makes everything anew; whether something outside was changed."""
        os.environ["MLFLOW_TRACKING_URI"] = self.tracking  # some faults are in it
        changed = {path for path, _ in self._look().items() ^ self.seen.items()}
        changed -= {self.folder, *self.folder.parents}
        for path in sorted(changed, key=lambda path: len(path.parts)):
            if path.is_symlink() or path.exists():
                remove(path)
        for kept, folder in ((self.kept, self.folder), (self.kept_outside, self.outside)):
            for path in sorted(kept.rglob("*") if changed else ()):
                there = folder / path.relative_to(kept)
                if path.is_dir():
                    there.mkdir(parents=True, exist_ok=True)
                elif not there.exists():
                    shutil.copy(path, there)
        self.seen = self._look()
        return any(self.folder not in path.parents for path in changed)

    def _look(self) -> dict:
        """Every file, link and folder with its kind, and where it is no folder, size and time."""
        stats = {path: path.lstat() for path in self.open.rglob("*")}
        return {
            p: (s.st_mode, not p.is_dir() and (s.st_size, s.st_mtime_ns)) for p, s in stats.items()
        }

    def leaks(self) -> bool:
        """Whether something from outside was copied into the results or the artifacts."""
        paths = [path for name in ("results", "mlartifacts") for path in Path(name).rglob("*")]
        own = [p for p in paths if p.is_file() and not any(x.is_symlink() for x in (p, *p.parents))]
        return any(SECRET.encode() in path.read_bytes() for path in own)

    def told(self, key: str, place: Path, lacking: Path | None = None):
        """What a command says without any fault, or without one file or folder."""
        known = (key, None if key in RECORDED else place, lacking)
        if known not in self.answers:
            self.restore()
            if lacking:
                remove(lacking)
            self.answers[known] = said(key, ask(key, place))
        return self.answers[known]


def train(seed: int) -> Path:
    answer = call("run", EXPERIMENT, "--scale", "smoke", "--seed", str(seed), "--json")
    if answer.code != 0:
        raise SystemExit(f"the first run failed: {answer.err}")
    return next(Path("runs", EXPERIMENT).glob(f"smoke-seed{seed}-*"))


# ---------------------------------------------------------------------------- looking at it


def ask(key: str, place: Path) -> Answer:
    arguments = {
        **READERS,
        "sync all": ("sync", "--json"),
        "sync": ("sync", str(place), "--json"),
        "resume": ("resume", str(place), "--json"),
        "evaluate": ("evaluate", str(place), "--protocol", "single-view", "--json"),
    }[key]
    signal.alarm(SECONDS)
    try:
        return call(*arguments)
    finally:
        signal.alarm(0)


def said(key: str, answer: Answer):
    """What matters of an answer; None where there is none."""
    document = answer.document()
    if key == "table":
        return answer.out if answer.code in (0, 1) else None
    if document is None or (answer.code not in (0, 1) and key in READERS):
        return None
    if key == "results":
        return document["records"]
    if key == "sync all":
        return sorted(row["run_dir"] for row in document if "run_dir" in row)
    if key in ("resume", "evaluate"):
        facts = ("experiment", "scale", "seed", "update", "finished", "metrics")
        return {fact: document.get(fact) for fact in facts}
    return document


def agrees(told: dict | None, whole: dict | None) -> bool:
    """Whether a run has the metrics of another, of which some may be missing."""
    if told is None or whole is None or not told["metrics"]:
        return False
    return {**told, "metrics": {**whole["metrics"], **told["metrics"]}} == whole


def wrong(case: Case, key: str, answer: Answer, world: World) -> str:
    """What is wrong with an answer, in a few words; nothing if it is right."""
    if answer.code not in (0, 1, 2, 3, 4, 130):
        return f"exit code {answer.code}"
    if SECRET in answer.out + answer.err:
        return "tells what lies outside, or a password"
    if key in ("results", "resume", "sync", "sync all") and world.leaks():
        return "copies what lies outside"
    if world.restore():
        return "writes outside"
    whole, told = world.told(key, case.place), said(key, answer)
    if key in RECORDED:
        if case.fault in ("results: another kind", "bench.json", "a broken database"):
            return ""  # it may be refused
        there = case.place.exists()
        less = world.told(key, case.place, case.place) if there else whole
        if told is None:
            return "blocks the command"
        if told not in (whole, less):
            return "counts it with another meaning"
        named = case.fault == "removed" or case.place.name in answer.err
        if (told != whole or not there) and not named:
            return "leaves it out in silence"
    elif key in ("resume", "evaluate"):
        lacking = case.path.suffix == ".ckpt" and key == "evaluate"
        accepted = [whole, world.told(key, case.place, case.path)] if lacking else [whole]
        if answer.code == 0 and not any(agrees(told, one) for one in accepted):
            return "is accepted"
        unneeded = case.fault in ("a tracking URI", "a broken database")
        unneeded |= bool({*WITHOUT} & {case.path.name, case.path.parent.name})
        if key == "resume" and unneeded and answer.code != 0:
            return f"fails a trained run: {answer.err.splitlines()[-1][:60]}"
    return ""


def in_turn(every: list[Case], draw: random.Random) -> list[Case]:
    """A case of each fault and place, then another one of each."""
    piles = defaultdict(list)
    for case in draw.sample(every, len(every)):
        piles[case.fault, case.place].append(case)
    rounds = zip_longest(*piles.values())
    return [case for some in rounds for case in some if case]


class Tally:
    """Calls, tracebacks and wrong answers by fault, with an example of each."""

    def __init__(self, log: Path | None):
        self.counts = defaultdict(lambda: [0, 0, 0])
        self.examples = {}
        self.log = open(log or os.devnull, "w", errors="backslashreplace")  # noqa: SIM115

    def add(self, case: Case, key: str, answer: Answer, world: World) -> None:
        traced = "Traceback" in answer.err or "a bug; please report it" in answer.err
        problem = "traceback" if traced else wrong(case, key, answer, world)
        for column, more in enumerate((1, traced, bool(problem) and not traced)):
            self.counts[case.fault][column] += more
        if problem:
            said = f"{key}: {case.place} {case.detail}: {problem}"
            last = (answer.err.splitlines() or [""])[-1][:150]
            self.examples.setdefault(case.fault, said[:110])
            print(f"{case.fault} | {said} | {answer.code} {last}", file=self.log, flush=True)

    def print(self, screen) -> bool:
        """The table; whether all is well."""
        total = [sum(column) for column in zip(*self.counts.values(), strict=True)] or [0, 0, 0]
        print(f"{'fault':34}{'calls':>7}{'tracebacks':>12}{'wrong':>7}  example", file=screen)
        for fault, count in [*sorted(self.counts.items()), ("all", total)]:
            row = f"{fault:34}{count[0]:7,}{count[1]:12,}{count[2]:7,}  "
            row += self.examples.get(fault, "")
            print(row.rstrip().encode("ascii", "backslashreplace").decode(), file=screen)
        return not (total[1] or total[2])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--budget", type=float, help="seconds; default: all cases")
    options.add_argument("--only", default="", help="faults whose name has this in it")
    options.add_argument("--seed", type=int, default=0, help="which cases come first")
    options.add_argument("--log", type=Path, help="a file for every offence")
    options.add_argument("--folder", type=Path, help="keeps the runs for the next time")
    chosen = options.parse_args()
    log, kept = (path and path.absolute() for path in (chosen.log, chosen.folder))
    screen, draw, tally = sys.stdout, random.Random(chosen.seed), Tally(log)
    in_process()
    with tempfile.TemporaryDirectory() as root:
        os.environ |= {"TFDS_DATA_DIR": f"{root}/none", "REPRO_DATA_DIR": f"{root}/none"}
        world = World((kept or Path(root)).resolve())
        began = time.monotonic()
        every = in_turn([c for c in cases(world.places, draw) if chosen.only in c.fault], draw)
        reached = skipped = 0
        try:
            for case in every:
                if chosen.budget and time.monotonic() - began > chosen.budget:
                    break
                reached += 1
                for key in case.commands:
                    world.restore()
                    try:
                        case.damage(case.path)
                    except NotImplementedError:
                        skipped += 1
                        break
                    tally.add(case, key, ask(key, case.place), world)
        finally:
            os.chdir("/")
            well = tally.print(screen)
            print(f"{reached:,} of {len(every):,} cases, {skipped} skipped", file=screen)
            print(f"repro is {sys.modules['repro'].__file__}", file=screen)
    return not well


if __name__ == "__main__":
    sys.exit(main())
