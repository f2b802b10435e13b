"""What is tried once more: a connection to a device that broke, where it does no harm that something runs twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from makeweight.devices.device import DeviceFailed

PAUSE = 1.0
"""Seconds before that: a server that is asked too often at once refuses some."""
Found = TypeVar("Found")


class Broken(DeviceFailed):
    """A connection broke, and nothing says that another would not hold."""

    begun = False
    """Whether something ran there already."""


def once_more(attempt: Callable[[], Found], *, harmless: bool = True) -> Found:
    """What an attempt gives, or the one after it where the connection breaks.

    Args:
        attempt: begins from the beginning each time that it is called.
        harmless: it does no harm to run it twice; one that does is run again only where nothing had begun.

    Raises:
        DeviceFailed: as the attempt, of which `Broken` is met twice.
    """
    try:
        return attempt()
    except Broken as error:
        if error.begun and not harmless:
            raise  # half of it is done, and nobody knows which
        time.sleep(PAUSE)
        return attempt()
