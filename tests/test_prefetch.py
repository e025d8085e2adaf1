"""`prefetched`: the same items, one ahead, in a thread that ends."""

import threading
import time

import pytest

from repro.prefetch import prefetched


def of_prefetching() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("repro-prefetch")]


def noting(count: int, seen: list, closed: list):
    try:
        for number in range(count):
            seen.append(number)
            yield number
    finally:
        closed.append(True)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_same_items_in_their_order(count):
    seen, closed = [], []
    assert list(prefetched(noting(count, seen, closed))) == list(range(count))
    assert closed == [True] and of_prefetching() == []


def test_the_next_item_is_made_while_this_one_is_used_and_no_more():
    made, closed = [], []
    items = prefetched(noting(9, made, closed))
    assert next(items) == 0
    until = time.monotonic() + 10
    while len(made) < 2 and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.05)
    assert made == [0, 1]
    items.close()
    assert closed == [True] and of_prefetching() == []


def test_what_goes_wrong_is_raised_where_the_item_would_have_come():
    def failing():
        yield 1
        raise ValueError("a torn photograph")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="a torn photograph"):
        next(items)
    assert of_prefetching() == []


def test_who_fails_with_an_item_leaves_no_thread_and_nothing_open():
    closed: list = []
    items = prefetched(noting(9, [], closed))
    with pytest.raises(KeyError):
        for _ in items:
            raise KeyError
    items.close()
    assert closed == [True] and of_prefetching() == []
