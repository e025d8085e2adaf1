"""What comes next is made in a thread while what came before is used."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

Item = TypeVar("Item")
END = object()


def prefetched(items: Generator[Item]) -> Iterator[Item]:
    """The same items, each made while the caller is busy with the one before.

    items: nobody else takes from it; it is closed at the end. What goes wrong there is raised here,
    in its place.
    """
    # The thread ends before what it works on is closed.
    with closing(items), ThreadPoolExecutor(1, thread_name_prefix="repro-prefetch") as maker:
        coming = maker.submit(next, items, END)
        while (item := coming.result()) is not END:
            coming = maker.submit(next, items, END)
            yield item
