"""Numbers on a command line, as types of arguments: what is none is refused in words that say so."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable


def whole(low: int, high: int, of: str = "") -> Callable[[str], int]:
    """A whole number within bounds, such as ` of seconds`."""

    def read(text: str) -> int:
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number{of} from {low} to {high}")

    return read


def above_zero(text: str) -> float:
    """A number above zero, and not infinite."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"`{text}` is no number above zero")
