"""A program that prints a time a line, in a unit that is agreed on."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from makeweight.programs.program import Garbage, Told, checked, shortened

Unit = Literal["s", "ms", "us", "ns"]
_NS: dict[Unit, float] = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}


def times(printed: str, unit: Unit, warm_up: int) -> Told:
    """What stands on the lines, but for the first `warm_up`. Empty lines count for nothing.

    Raises:
        Garbage: a line is no time, or there are too few.
    """
    found: list[float] = []
    places: list[int] = []
    for number, line in enumerate(printed.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = float(line)
        except ValueError as error:
            raise Garbage(f"line {number} is no time: `{shortened(line)}`") from error
        found += checked([value * _NS[unit]], f"line {number}: {line.strip()}")
        if not value:
            raise Garbage(f"line {number} says that an inference took no time")
        places.append(_last_place(line))
    if not found:
        raise Garbage("it printed no time")
    if len(found) <= warm_up:
        raise Garbage(f"it printed {len(found)} times, and the first {warm_up} do not count")
    # the finest of all: some leave noughts at the end out
    return Told(tuple(found[warm_up:]), step=10.0 ** min(places) * _NS[unit])


def _last_place(line: str) -> int:
    """The power of ten of a number's last digit: -2 in 1.25."""
    return int(Decimal(line.strip()).as_tuple().exponent)
