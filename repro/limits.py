"""Limits that stand beside the field they limit.

    @dataclass(frozen=True)
    class Crop(Limited):
        pad: int = number(0, 64, default=4)

Making a `Crop(pad=-1)`, or changing one to it, raises a UsageError that says what is accepted.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from repro.errors import UsageError

LARGEST_SEED = 2**32 - 1  # what the random generators of all backends take
MOST_SEEDS = 1_000  # of one command


@dataclass(frozen=True)
class Limits:
    """The numbers from `least` to `most`; without `least` itself if `above`, `most` if `below`."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def accept(self, value: Any, whole: bool) -> bool:
        """Whether `value` is a number, a whole one if so asked, within the limits."""
        kinds = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        return (self.least < value if self.above else self.least <= value) and (
            value < self.most if self.below else value <= self.most
        )

    def words(self, whole: bool) -> str:
        """What is accepted: "a whole number from 1 to 65,536"."""
        least = f"above {self.least:g}," if self.above else f"from {_printed(self.least)}"
        most = f"below {self.most:g}" if self.below else f"to {_printed(self.most)}"
        return f"a {'whole ' if whole else ''}number {least} {'up ' * self.above}{most}"


def _printed(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


class Refused(UsageError):
    """A value outside of the limits of its field; `accepted` says what would be inside."""

    def __init__(self, name: str, value: Any, accepted: str):
        super().__init__(f"{name}={_short(value)}: accepted is {accepted}")
        self.accepted = accepted


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a longer number"
    return text if len(text) <= 80 else text[:77] + "..."


def number(
    least: float,
    most: float,
    *,
    above: bool = False,
    below: bool = False,
    default: Any = dataclasses.MISSING,
    **metadata: Any,
) -> Any:
    """A dataclass field that takes numbers within limits. `metadata`: what else the field tells."""
    limits = Limits(least, most, above, below)
    return dataclasses.field(default=default, metadata={"limits": limits, **metadata})


class Limited:
    """A dataclass whose fields made by `number` are held to their limits."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            limits = field.metadata.get("limits")
            value = getattr(self, field.name)
            whole = field.type in (int, "int")
            if limits and not limits.accept(value, whole):
                raise Refused(f"{type(self).__name__}.{field.name}", value, limits.words(whole))
