"""An observer that may wait for others, in a thread of its own."""

import queue
import threading
from collections.abc import Callable

from repro.errors import ReproError

SECONDS_AFTER_FAILURE = 3.0


class Background:
    """Hands the events of a run on to `observer` in a thread, in their order.

    The run never waits for it. Leaving the `with` block waits until all are handed on, but not for
    long after a failure; a signal ends that. What `observer` raises is told as a warning, once.
    """

    def __init__(self, observer: Callable[[dict], None], tell: Callable[[dict], None]):
        self._observer, self._tell = observer, tell
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
        warned = False
        while (event := self._events.get()) is not None:
            try:
                self._observer(event)
            except Exception as error:
                if not warned:
                    words = str(error) if isinstance(error, ReproError) else repr(error)
                    self._tell({"event": "message", "warning": True, "text": words})
                warned = True
