"""Timing on a machine that others use too."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, TextIO

from repro.errors import Interrupted

SEGMENT = 0.5  # seconds of a segment, where contenders choose


class Turns:
    """Lets a process work in turns: it tells how one went, and stands still until the next.

    It tells in JSON lines, and is answered in lines: "go" for a turn more.
    """

    def __init__(self, answers: TextIO, told: TextIO):
        self._answers, self._told = answers, told

    def next(self, **told: Any) -> bool:
        """Whether there is one more turn, after what is `told` of the last."""
        self.tell(**told)
        return self._answers.readline().strip() == "go"

    def tell(self, **told: Any) -> None:
        print(json.dumps(told), file=self._told, flush=True)


class Clock:
    """Times a stretch of work in segments, until `seconds` have passed and there is one.

    `lap(amount)` ends a segment, in which so much was done (images, say), and tells whether to go
    on; `updates` is how many updates the next one is to have. Also keeps the load average at the
    start, how much processor time this process took, and how many cores others kept busy meanwhile.

    It is made when the warm-up is over. Where there are `turns`, each has so many seconds, and the
    first begins when it is asked for.
    """

    turns: ClassVar[Turns | None] = None

    def __init__(self, seconds: float):
        self._seconds, self.updates = seconds, 1
        if self.turns and not self.turns.next(ready=True):
            raise Interrupted("interrupted")
        self._begin()

    def _begin(self) -> None:
        self.segments: list[list[float]] = []
        self._load, self._others = os.getloadavg()[0], others_seconds()
        self._processor = time.process_time()
        self._began = self._last = time.perf_counter()

    def lap(self, amount: float, updates: int = 1) -> bool:
        """`updates`: how many the segment had. The next one has as many as fill `SEGMENT`."""
        now = time.perf_counter()
        self.segments.append([amount, now - self._last])
        self.updates = max(1, int(updates * SEGMENT / max(now - self._last, 1e-9)))
        self._last = now
        if now - self._began < self._seconds:
            return True
        if not (self.turns and self.turns.next(turn=self.sample())):
            self._ended = time.perf_counter()
            return False
        self._begin()
        return True

    def skip(self) -> None:
        """What was done since the last segment ended counts in none."""
        self._last = time.perf_counter()

    def since_end(self) -> float:
        """Seconds since `lap` said that the last stretch is over."""
        return time.perf_counter() - self._ended

    def sample(self, **facts: Any) -> dict:
        """The sample of a contender; take it as soon as the stretch is over.

        processor: seconds of processor time for one of what is counted.
        """
        others = None
        if self._others is not None:
            elapsed = time.perf_counter() - self._began
            others = max(0.0, (others_seconds() - self._others) / elapsed)
        segments = joined(self.segments)
        done = sum(amount for amount, _ in segments)
        return {
            "rate": rate(segments),
            "processor": (time.process_time() - self._processor) / done,
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


def mean_rate(segments: Sequence[Sequence[float]]) -> float:
    """What was done in all, over the seconds that it took in all."""
    done, seconds = (sum(column) for column in zip(*segments, strict=True))
    return done / seconds


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
