"""Observers that may wait for others, in a thread of their own."""

import queue
import threading
from collections.abc import Callable, Sequence

from repro.errors import ReproError

SECONDS_AFTER_FAILURE = 2.0

Observer = Callable[[dict], None]


class Background:
    """Hands the events of a run on to observers in a thread, one after the other, in their order.

    The run never waits for them. Leaving the `with` block waits until all is handed on, but not for
    long after a failure; a signal ends that. What an observer raises is told as a warning, once.
    """

    def __init__(self, observers: Sequence[Observer], tell: Observer):
        self._observers, self._tell = observers, tell
        self._events: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._hand_on, daemon=True)

    def __call__(self, event: dict) -> None:
        self._events.put(event)

    def __enter__(self) -> "Background":
        self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self._events.put(None)
        self._thread.join(None if kind is None else SECONDS_AFTER_FAILURE)

    def _hand_on(self) -> None:
        failed: set[int] = set()
        while (event := self._events.get()) is not None:
            for position, observer in enumerate(self._observers):
                try:
                    observer(event)
                except Exception as error:
                    if position not in failed:
                        words = str(error) if isinstance(error, ReproError) else repr(error)
                        self._tell({"event": "message", "warning": True, "text": words})
                    failed.add(position)
