"""Energy from readings of power: the area under them, the power between two readings taken for their mean."""

from __future__ import annotations

import collections
import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

Clock = Callable[[], float]
Reading = tuple[float | None, float]
"""When it was taken, in seconds of the meter's own clock (None: when it came), and watts."""
_EVERY = 0.01
"""Seconds between readings: a sensor averages over some milliseconds itself."""
_SLOWEST = 0.1
"""Seconds between readings: a block of a second would have too few of slower ones."""
_LOOKED_AT = 1.0
"""Seconds after which it is known how fast readings come."""
_SILENT = 5.0
"""Seconds after which a meter that tells nothing is given up."""
_KEPT = 4096
"""Readings that may come between a question and its answer."""


class NoMeter(Exception):
    """Energy cannot be read here; the message says why."""


class _Point(NamedTuple):
    at: float
    watts: float
    joules: float
    """Up to it."""


class Polled:
    """Asked by a thread of its own."""

    def __init__(
        self,
        source: str,
        watts: Callable[[], float],
        clock: Clock = time.monotonic,
        every: float = _EVERY,
        seconds: float | None = None,
    ) -> None:
        """Args:
        watts: raises `NoMeter` where it cannot be read.
        every: seconds between readings.
        seconds: see `Meter.seconds`.
        """
        self.source, self.seconds, self._every = source, seconds, every
        self._read, self._clock = watts, clock
        self._why: NoMeter | None = None
        self._lock, self._ends = threading.Lock(), threading.Event()
        self._at, self._watts, self._joules = clock(), watts(), 0.0
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def joules(self) -> float:
        with self._lock:
            if self._why is not None:
                raise self._why
            try:
                now, watts = self._clock(), self._read()
            except NoMeter as error:
                # where it can be read again by the next question, nobody knows what was taken until then
                self._why = error
                raise
            self._joules += (now - self._at) * (self._watts + watts) / 2
            self._at, self._watts = now, watts
            return self._joules

    def close(self) -> None:
        self._ends.set()

    def _poll(self) -> None:
        with contextlib.suppress(NoMeter):  # the next question is told
            while not self._ends.wait(self._every):
                self.joules()


class Followed:
    """It tells its readings by itself; a thread of its own takes them.

    What is asked now is answered when a reading of now, or later, has come. Where readings bear times of the meter's
    own clock, that clock is set by the reading that came soonest.
    """

    def __init__(
        self,
        source: str,
        readings: Iterator[Reading],
        close: Callable[[], None],
        clock: Clock = time.monotonic,
        patience: float = _SILENT,
    ) -> None:
        """Args:
            readings: in the order of their times. `NoMeter` says why there are no more.
            close: ends what they come from.

        Raises:
            NoMeter: the first does not come in time.
        """
        self.source = source
        self._clock, self._end, self._patience = clock, close, patience
        self._news = threading.Condition()
        self._why: NoMeter | None = None
        self._begun = self._came = clock()
        self._count, self._ahead = 0, math.inf
        # several may come at once
        self._latest: collections.deque[_Point] = collections.deque(maxlen=_KEPT)
        threading.Thread(target=self._take, args=(readings,), daemon=True).start()
        try:
            with self._news:
                self._until(lambda: self._count > 1)
        except NoMeter:
            self.close()
            raise

    def joules(self) -> float:
        with self._news:
            now = self._clock()
            self._until(lambda: self._latest[-1].at >= now - self._ahead)
            self._check_pace()
            return self._up_to(now - self._ahead)

    def close(self) -> None:
        self._end()

    def _up_to(self, at: float) -> float:
        """Between two readings, power changes evenly."""
        backwards = reversed(self._latest)
        for later, earlier in itertools.pairwise(backwards):
            if earlier.at <= at < later.at:
                share = (at - earlier.at) / (later.at - earlier.at)
                between = earlier.watts + share * (later.watts - earlier.watts)
                return earlier.joules + (at - earlier.at) * (earlier.watts + between) / 2
        return self._latest[-1 if at >= self._latest[-1].at else 0].joules

    def _until(self, come: Callable[[], bool]) -> None:
        """Raises:
        NoMeter: it said that there is no more, or said nothing for so long.
        """
        waited_from = time.monotonic()
        while not come():
            if self._why is not None:
                raise self._why
            if time.monotonic() - waited_from > self._patience:
                raise NoMeter(f"{self.source} has told nothing for {self._patience:g} s")
            self._news.wait(_EVERY)

    def _check_pace(self) -> None:
        """Raises:
        NoMeter: readings come too seldom.
        """
        span = self._came - self._begun
        if span > _LOOKED_AT and span / self._count > _SLOWEST:
            raise NoMeter(
                f"{self.source} tells a reading every {span / self._count:.2g} s, and every {_SLOWEST:g} s is needed: "
                "set it to a higher rate"
            )

    def _take(self, readings: Iterator[Reading]) -> None:
        try:
            for at, watts in readings:
                self._add(at, watts)
            self._close_with(NoMeter(f"{self.source} has ended"))
        except NoMeter as error:
            self._close_with(error)
        except (OSError, ValueError) as error:
            self._close_with(NoMeter(f"{self.source} cannot be read: {error}"))

    def _add(self, told: float | None, watts: float) -> None:
        with self._news:
            self._came = self._clock()
            at = self._came if told is None else told
            if not math.isfinite(watts) or not math.isfinite(at):
                raise NoMeter(f"{self.source} tells {watts:g} W at {at:g} s")
            last = self._latest[-1] if self._latest else _Point(at, watts, 0.0)
            if at < last.at:
                raise NoMeter(f"{self.source} goes back in time, from {last.at:g} s to {at:g} s")
            self._ahead = min(self._ahead, self._came - at)
            self._latest.append(_Point(at, watts, last.joules + (at - last.at) * (last.watts + watts) / 2))
            self._count += 1
            self._news.notify_all()

    def _close_with(self, why: NoMeter) -> None:
        with self._news:
            self._why = why
            self._news.notify_all()
        with contextlib.suppress(OSError):
            self._end()
