"""Processes that make images of photographs, side by side.

To decode, cut and colour the photographs of a batch takes one core longer than a GPU takes to train
on it, and Python lets one thread of a process run at a time. So each core has a process of its own.
They are given which images to make, and write them into memory that they share with the one that
trains; nothing else is shared, so none waits for another.
"""

import contextlib
import mmap
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from repro.errors import ReproError, RunError
from repro.machine import cores, python

SECONDS_TO_END = 5.0
FEWEST, MOST = 8, 16  # images of a task
TOGETHER = 2**22  # bytes of images of one call: more leave the cache, fewer cost calls
# A process that returns memory to the system gets it back page by page: half of the time went into
# that. These are settings of the C library on Linux.
KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
# The one that trains decides when to end. Ctrl-C reaches all of them, also while Python starts.
UNHEARD = (signal.SIGINT, signal.SIGTERM)
# The place of the first image in the memory, the numbers of the examples, the pass.
Task = tuple[int, np.ndarray, int]


class Crew:
    """As many processes as cores; each calls make(index, pass_number, out) for its tasks.

    make: can be pickled; returns float32 [n, *shape], which may be `out`. room: for how many
    images there is memory. `images`: float32 [room, *shape], the memory.
    """

    def __init__(self, make: Callable, shape: tuple[int, ...], room: int, size: int | None = None):
        size = cores() if size is None else size
        file = _memory(room * int(np.prod(shape)) * 4)
        self.images = _mapped(file, (room, *shape))
        command = python(
            f"from repro.data import crew; crew.work({file.fileno()}, {(room, *shape)!r})"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        heard = signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)  # a new process begins with it
        try:
            self._all = [
                subprocess.Popen(
                    command, pass_fds=[file.fileno()], env=os.environ | KEEPING_MEMORY, **pipes
                )
                for _ in range(size)
            ]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)
            file.close()
        self.close = weakref.finalize(self, _end, self._all)
        self._turn = 0
        for process in self._all:
            self._give(process, make)

    def of_a_task(self, images: int) -> int:
        """How many images of a chunk: many, to send few messages, but two tasks a process."""
        return min(MOST, max(FEWEST, images // (2 * len(self._all))))

    def begin(self, task: Task) -> int:
        """Gives a task to the process whose turn it is; returns what `end` takes."""
        self._turn = (self._turn + 1) % len(self._all)
        self._give(self._all[self._turn], task)
        return self._turn

    def _give(self, process: subprocess.Popen, value: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # `end` says why
            _put(process.stdin, value)

    def end(self, turn: int) -> None:
        """Waits for the first task of a process that has not been waited for.

        Raises what `make` raised, and RunError where the process is gone.
        """
        process = self._all[turn]
        try:
            error = pickle.load(process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise RunError(
                f"a process that decodes photographs {_ending(process)}; repro resume goes on "
                "from the last checkpoint"
            ) from None
        if error:
            raise error


def work(memory: int, shape: tuple[int, ...]) -> None:
    """What the processes do, until their standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    images = _mapped(os.fdopen(memory, "r+b"), shape)
    # Closed within, since an answer that nobody takes fails once more when it is closed.
    with contextlib.suppress(EOFError, BrokenPipeError), answers:
        make = pickle.load(sys.stdin.buffer)
        while True:
            _put(answers, _fault(make, images, *pickle.load(sys.stdin.buffer)))


def _fault(
    make: Callable, images: np.ndarray, place: int, index: np.ndarray, pass_number: int
) -> Exception | None:
    """Does a task; what went wrong."""
    try:
        together = max(1, TOGETHER // images[0].nbytes)
        for start in range(0, len(index), together):
            some = index[start : start + together]
            out = images[place + start : place + start + len(some)]
            made = make(some, pass_number, out)
            if not np.may_share_memory(made, out):
                out[...] = made
    except ReproError as error:
        return error
    except Exception as error:
        import traceback

        return RuntimeError("".join(traceback.format_exception(error)))
    return None


def _memory(size: int) -> BinaryIO:
    """A file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("repro"), "r+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


def _mapped(file: BinaryIO, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(mmap.mmap(file.fileno(), 0), np.float32).reshape(shape)


def _put(stream: BinaryIO, value: Any) -> None:
    pickle.dump(value, stream, pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _ending(process: subprocess.Popen) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    if process.returncode == -signal.SIGKILL:
        return "was killed, as the system does when memory is short"
    return f"ended (exit code {process.returncode})"


def _end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    for process in processes:
        process.stdout.close()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
