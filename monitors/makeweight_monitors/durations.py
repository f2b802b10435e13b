"""Durations as Prometheus writes them, such as 90s, 5m or 1h30m. Pure."""

from __future__ import annotations

import argparse
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LONGEST = 366 * 86_400.0


def seconds(text: str) -> float:
    """Seconds from a duration.

    Raises:
        argparse.ArgumentTypeError: it is none, or not between nothing and a year; so it may be the type of an argument.
    """
    parts = re.findall(r"([0-9]+)(ms|[smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"`{text}` is no duration such as 15s, 5m or 6h")
    total = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < total <= _LONGEST:
        raise argparse.ArgumentTypeError(f"`{text}` is not between nothing and a year")
    return total
