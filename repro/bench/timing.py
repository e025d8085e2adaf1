"""Timing on a machine that others use too."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any


class Clock:
    """Times a stretch of work in segments, until `seconds` have passed and there is one.

    `lap(amount)` ends a segment, in which so much was done (images, say), and tells whether to go
    on. Also keeps the load average at the start and how many cores others kept busy meanwhile.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._load = os.getloadavg()[0]
        self.segments: list[list[float]] = []
        self.start()

    def start(self) -> None:
        """The warm-up is over."""
        self._others = others_seconds()
        self._began = self._last = time.perf_counter()

    def lap(self, amount: float) -> bool:
        now = time.perf_counter()
        self.segments.append([amount, now - self._last])
        self._last = now
        return now - self._began < self._seconds

    def skip(self) -> None:
        """What was done since the last segment ended counts in none."""
        self._last = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds since the warm-up was over."""
        return time.perf_counter() - self._began

    def sample(self, **facts: Any) -> dict:
        """The sample of a contender; take it as soon as the stretch is over."""
        others = None
        if self._others is not None:
            others = max(0.0, (others_seconds() - self._others) / self.elapsed())
        segments = joined(self.segments)
        return {
            "rate": rate(segments),
            "segments": segments,
            "load": self._load,
            "others": others,
            **facts,
        }


def joined(segments: Sequence[Sequence[float]], most: int = 30) -> list[list[float]]:
    """At most so many segments: neighbours are taken together where there are more."""
    size = -(-len(segments) // most) or 1
    parts = [segments[first : first + size] for first in range(0, len(segments), size)]
    return [[sum(column) for column in zip(*part, strict=True)] for part in parts]


def rate(segments: Sequence[Sequence[float]]) -> float:
    """The median rate of the segments [amount, seconds]."""
    return median(amount / seconds for amount, seconds in segments)


def others_seconds() -> float | None:
    """Seconds of processor time since the start of the machine that were not this process'.

    Time that the host took from a virtual machine is in it. None where the system does not tell.
    """
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, fields)
    except (OSError, ValueError):
        return None
    busy = (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - time.process_time()
