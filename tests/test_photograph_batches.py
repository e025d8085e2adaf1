"""Batches of photographs, made by processes side by side."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_jpegs import jpeg
from test_photograph_runs import TRAIN, pictures

from repro import machine
from repro.data import crew, jpegs
from repro.data.augmentation import Chain, PCAColour, Preprocessed, fit
from repro.data.batches import AHEAD, Batches
from repro.data.colours import Centred
from repro.data.crops import InceptionCrop, PhotometricDistortions, ScaleJitter, Square
from repro.data.photographs import Photographs, Ragged
from repro.errors import DataError, RunError, UsageError

LABELS = np.arange(6, dtype=np.int32)
MEAN = Centred(np.array([120.0, 110.0, 100.0]), 2.0)


def batches(images=TRAIN[1], batch=4, seed=3, first=ScaleJitter(8, 12, 15)):  # noqa: B008
    chain = Chain((first, PhotometricDistortions(), PCAColour(white=255.0)))
    augmentation = Chain((fit(chain, images), Preprocessed((MEAN,))))
    return Batches(images, LABELS[: len(images)], batch, seed, augmentation)


def streamed(made, first, last, chunk):
    return [(images.copy(), labels) for images, labels in made.stream(first, last, chunk)]


@pytest.mark.parametrize("first", [ScaleJitter(8, 12, 15), InceptionCrop(8)])
def test_processes_make_what_one_would_make(first):
    made = batches(first=first)
    found = streamed(made, 2, 12, 3)
    assert [len(labels) for _, labels in found] == [3, 3, 3, 1]
    wanted = batches(first=first).chunk(2, 10)
    for part, expected in enumerate(wanted):
        np.testing.assert_array_equal(np.concatenate([chunk[part] for chunk in found]), expected)
    crew_of = made._crew
    again = streamed(made, 7, 9, 1)  # from another update, by the same processes
    assert made._crew is crew_of
    np.testing.assert_array_equal(again[0][0][0], wanted[0][5])
    np.testing.assert_array_equal(again[1][0][0], wanted[0][6])


def test_processes_cut_parts_out_of_marked_files_that_are_mapped(tmp_path):
    files = [jpeg(120 + seed, 160, seed=seed) for seed in range(6)]
    arrays = [np.frombuffer(file, np.uint8) for file in files], [jpegs.marks(f) for f in files]
    rows = []
    for name, several in zip(("files", "marks"), arrays, strict=True):
        np.save(tmp_path / f"{name}.npy", np.concatenate(several))
        mapped = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        rows.append(Ragged(mapped, np.cumsum([len(array) for array in several])))
    marked = Photographs(rows[0], marks=rows[1]).part(1, 6)
    again = pickle.loads(pickle.dumps(marked))
    assert isinstance(again.marks.values, np.memmap)
    assert all(map(np.array_equal, again.marks, marked.marks))
    first = InceptionCrop(24)
    ((images, labels),) = streamed(batches(marked, first=first), 0, 4, 4)
    wanted = batches(replace(marked, marks=None), first=first).chunk(0, 4)
    np.testing.assert_array_equal(images, wanted[0])
    np.testing.assert_array_equal(labels, wanted[1])


@pytest.mark.parametrize(
    ("images", "processes", "of_a_task"),
    [(64, 2, 16), (64, 16, 8), (256, 8, 16), (4, 2, 8), (64, 3, 10)],
)
def test_tasks_are_large_where_no_process_waits_for_it(images, processes, of_a_task):
    """Two for each process from each chunk, of 8 to 16 images."""
    there = SimpleNamespace(_all=range(processes))
    assert crew.Crew.of_a_task(there, images) == of_a_task


def test_squares_are_cut_by_processes_too():
    made = Batches(TRAIN[1], LABELS, 4, 3, Preprocessed((Square(12), MEAN)))
    ((images, labels),) = streamed(made, 0, 1, 1)
    squares = Square(12)(TRAIN[0])
    np.testing.assert_array_equal(images[0], MEAN(squares[labels[0]]))


def test_a_chunk_stays_as_it_is_until_the_one_after_the_next_has_been_asked_for():
    made = batches()
    given = []
    for images, _ in made.stream(0, 4 * AHEAD, 1):
        given.append((images, images.copy()))
        for chunk, copied in given[-2:]:
            np.testing.assert_array_equal(chunk, copied)


def test_photographs_that_are_mapped_into_memory_are_not_sent(tmp_path):
    np.save(tmp_path / "encoded.npy", TRAIN[1].files.values)
    encoded = np.load(tmp_path / "encoded.npy", mmap_mode="r")
    mapped = Photographs(Ragged(encoded, TRAIN[1].files.ends)).part(1, 5)
    sent = pickle.dumps(mapped)
    assert len(sent) < 1000 < len(pickle.dumps(TRAIN[1]))
    received = pickle.loads(sent)
    assert [received.file(n) for n in range(4)] == [TRAIN[1].file(n) for n in range(1, 5)]
    assert received.undecoded(np.array([2]))[0].number == 3


def test_a_photograph_that_cannot_be_decoded_is_named_and_the_processes_end():
    _, files = pictures(6)
    spoilt = bytearray(files.files.values.tobytes())
    begin = int(files.files.ends[3])
    spoilt[begin : begin + 8] = b"not PNG."
    spoilt = Photographs(Ragged(np.frombuffer(bytes(spoilt), np.uint8), files.files.ends))
    made = Batches(spoilt, LABELS, 6, 0, Preprocessed((Square(12),)))
    with pytest.raises(DataError, match="photograph 4 cannot be decoded"):
        streamed(made, 0, 3, 1)
    assert made._crew is None


def test_a_mistake_in_the_program_is_told_with_its_trace():
    with pytest.raises(RuntimeError, match="could not broadcast"):
        made = batches()
        made.shape = (9, 9, 3)
        streamed(made, 0, 1, 1)


def test_a_process_that_is_gone_is_told():
    made = batches()
    stream = made.stream(0, 90, 1)
    next(stream)
    for process in made._crew._all:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RunError, match="was killed, as the system does when memory is short"):
        list(stream)


def test_the_processes_do_not_hear_what_stops_a_run_even_while_python_starts():
    one = crew.Crew(batches()._maker, batches().shape, 4, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(one._all[0].pid, number)
    one.end(one.begin((0, np.arange(4), 0)))
    np.testing.assert_array_equal(one.images, batches()._maker(np.arange(4), 0))
    one.close()
    assert one._all[0].returncode == 0


def test_processes_that_cannot_even_begin_are_told(monkeypatch):
    monkeypatch.setattr("repro.data.crew.python", lambda code: machine.python("sys.exit(5)"))
    one = crew.Crew(np.zeros(10**6), (2,), 4, 1)  # more than a pipe takes
    with pytest.raises(RunError, match="exit code 5"):
        one.end(one.begin((0, np.arange(4), 0)))


def test_whoever_leaves_early_leaves_nothing_behind_for_the_next():
    made, wanted = batches(), batches().chunk(0, 3)[0]
    stream = made.stream(0, 50, 1)
    next(stream)
    processes = made._crew._all
    stream.close()
    assert [process.poll() for process in processes] == [0] * len(processes)
    found = streamed(made, 0, 3, 1)
    np.testing.assert_array_equal(np.concatenate([images for images, _ in found]), wanted)


def test_the_processes_end_with_the_one_that_trains(tmp_path):
    """Killed, it cannot tell them."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time; sys.path[:0] = ['tests']\n"
        "from test_photograph_batches import batches\n"
        "made = batches(); stream = made.stream(0, 90, 1); next(stream)\n"
        "print(*[process.pid for process in made._crew._all], flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(machine.PACKAGE_ROOT)}
    process = subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=machine.PACKAGE_ROOT,
    )
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == machine.cores()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_crew_has_a_process_for_each_core(monkeypatch):
    monkeypatch.setattr(crew, "cores", lambda: 3)
    made = batches()
    np.testing.assert_array_equal(streamed(made, 0, 2, 2)[0][0], batches().chunk(0, 2)[0])
    assert len(made._crew._all) == 3


@pytest.mark.parametrize("hosts", [2, 4])
def test_the_parts_of_all_hosts_are_the_batch(hosts):
    """Six examples in batches of four: most updates lie on the border of a pass."""
    wanted = batches().chunk(1, 5)
    parts = []
    for host in range(hosts):
        one = batches()
        options = {"augmentation": one._maker.augmentation, "host": host, "hosts": hosts}
        parts.append(Batches(TRAIN[1], LABELS, 4, 3, **options))
    chunks = [part.chunk(1, 5) for part in parts]
    for k in range(2):
        np.testing.assert_array_equal(np.concatenate([c[k] for c in chunks], axis=1), wanted[k])
    found = streamed(parts[1], 1, 6, 2)
    np.testing.assert_array_equal(np.concatenate([c[0] for c in found]), chunks[1][0])
    with pytest.raises(UsageError, match="batch 4 on host 0 of 3: accepted are equal parts"):
        Batches(TRAIN[1], LABELS, 4, 3, hosts=3)
