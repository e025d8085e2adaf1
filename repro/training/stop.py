"""Being asked to stop: by Ctrl-C (SIGINT) or by SIGTERM."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

from repro.errors import Interrupted
from repro.machine import on_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AtOnce(KeyboardInterrupt):
    """Raised by a signal where the state of the training is whole."""


class Stop:
    """Within it a signal sets `is_set`, for the training to stop at the next checkpoint.

    Within `at_once`, where nothing would be lost, AtOnce is raised right there. A second signal
    raises KeyboardInterrupt wherever the training is. With `leave_within` seconds a thread waits so
    long after the first one, then calls `leaving` and ends the process: Python runs no handler
    while the main thread is in a compiler or a long operation.
    """

    def __init__(self, leave_within: float | None = None):
        self.is_set = False
        self.leaving: Callable[[], None] = lambda: None
        self._leave_within = leave_within
        self._at_once = False
        self._over = threading.Event()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it a signal takes effect right away; one that came before, too."""
        before, self._at_once = self._at_once, True
        try:
            if self.is_set:
                raise AtOnce
            yield
        finally:
            self._at_once = before

    def __enter__(self) -> "Stop":
        self._ends = contextlib.ExitStack()
        answered = self._ends.enter_context(on_signals(SIGNALS, self))
        if answered and self._leave_within is not None:
            self._watch(self._leave_within)
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._ends.close()

    def __call__(self, number, frame) -> None:
        again, self.is_set = self.is_set, True
        if self._at_once:
            raise AtOnce
        if again:
            raise KeyboardInterrupt

    def _watch(self, seconds: float) -> None:
        """Waits for a signal on a socket that the interpreter writes its number to at once."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

        def wait() -> None:
            with reader:
                while number := reader.recv(1):
                    if number[0] in SIGNALS and not self._over.wait(seconds):
                        teller = threading.Thread(target=self.leaving, daemon=True)
                        teller.start()
                        teller.join(1.0)
                        os._exit(Interrupted.exit_code)

        def close() -> None:
            signal.set_wakeup_fd(before)
            writer.close()

        self._ends.callback(close)
        threading.Thread(target=wait, name="repro-stop", daemon=True).start()
