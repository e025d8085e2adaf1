"""What a training tells of itself: events, to those who watch it.

An observer is a function that takes one event, a dict with the name under "event":

start        run_dir, passes, updates in all, update: how far the run is
progress     pass, update, updates, loss, error, images_per_second, seconds_left of the whole run
testing      done and total images of the test at hand, seconds_left of the whole run
pass         the line of metrics.jsonl
message      text, for people
done         what `runner.run` returns
failed       run_dir, reason, update
interrupted  run_dir, update, updates, text
"""

from collections.abc import Callable, Sequence
from typing import Any

Observer = Callable[[dict[str, Any]], None]


class Observers:
    """Tells every observer of each event, in their order; one that fails costs a warning."""

    def __init__(self, observers: Sequence[Observer]):
        self._observers = list(observers)
        self._failed: set[int] = set()

    def tell(self, event: str, **facts: Any) -> None:
        for position, observer in enumerate(self._observers):
            try:
                observer({"event": event, **facts})
            except Exception as error:
                if position in self._failed:  # it has been said
                    continue
                self._failed.add(position)
                name = getattr(observer, "__qualname__", type(observer).__name__)
                self.tell("message", text=f"{name} failed and is passed over: {error}")
