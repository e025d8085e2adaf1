"""`prefetched`: the same items, one ahead, in a thread that ends."""

import os
import signal
import threading
import time

import pytest

from repro.prefetch import prefetched


def of_prefetching() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("repro-prefetch")]


def until(happened) -> bool:
    end = time.monotonic() + 10
    while not happened() and time.monotonic() < end:
        time.sleep(0.001)
    return happened()


def noting(count: int, seen: list, closed: list, seconds: float = 0.0):
    try:
        for number in range(count):
            seen.append(number)
            time.sleep(seconds)
            yield number
    finally:
        closed.append(threading.current_thread().name)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_same_items_in_their_order_made_ready(count):
    closed: list = []
    made = prefetched(noting(count, [], closed), lambda number: 10 * number)
    assert list(made) == [10 * number for number in range(count)]
    assert len(closed) == 1 and of_prefetching() == []


def test_the_next_item_is_made_while_this_one_is_used_and_no_more():
    made, closed = [], []
    items = prefetched(noting(9, made, closed))
    assert next(items) == 0
    assert until(lambda: len(made) == 2)
    time.sleep(0.05)
    assert made == [0, 1]
    items.close()
    assert len(closed) == 1 and of_prefetching() == []


def torn(number: int) -> int:
    if number == 1:
        raise ValueError("a torn photograph")
    return number


def test_what_goes_wrong_is_raised_where_the_item_would_have_come():
    def failing():
        yield 0
        torn(1)

    for items in (prefetched(failing()), prefetched(noting(9, [], []), torn)):
        assert next(items) == 0
        with pytest.raises(ValueError, match="a torn photograph"):
            next(items)
        assert of_prefetching() == []


class Stopped(BaseException):
    pass


def test_a_second_signal_while_it_closes_is_no_error_of_the_generator():
    """The first comes while the second item is waited for, the second while it is being made."""

    def stop(*_):
        raise Stopped

    closed: list = []
    before = signal.signal(signal.SIGUSR1, stop)
    timers = [threading.Timer(s, os.kill, (os.getpid(), signal.SIGUSR1)) for s in (0.2, 0.4)]
    try:
        with pytest.raises(Stopped):
            for _ in prefetched(noting(9, [], closed, seconds=0.6)):
                for timer in timers:
                    if not timer.is_alive():
                        timer.start()
        for timer in timers:
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert until(lambda: len(closed) == 1 and of_prefetching() == [])
