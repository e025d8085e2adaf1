"""What comes next is made in a thread while what came before is used."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

END = object()


def prefetched(items: Generator, ready: Callable[[Any], Any] = lambda item: item) -> Generator:
    """ready(item) of each item, made while the caller is busy with the one before.

    items: nobody else takes from it; it is closed at the end, in the thread. What goes wrong with
    an item is raised here, in its place.
    """

    def make() -> Any:
        item = next(items, END)
        return item if item is END else ready(item)

    maker = ThreadPoolExecutor(1, thread_name_prefix="repro-prefetch")
    try:
        coming = maker.submit(make)
        while (item := coming.result()) is not END:
            coming = maker.submit(make)
            yield item
    finally:
        maker.submit(items.close)  # there, after what the thread is at
        maker.shutdown()
