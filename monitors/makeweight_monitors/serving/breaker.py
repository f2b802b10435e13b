"""The breaker: in the server's own process, the test by which Prometheus asks for a rollback, without Prometheus.

Failed answers, and answers slower than a declared limit, of the canary beside those of stable, weighed by
`eprocess.two_samples`: the probability that a canary which is good enough ever opens it is at most `rate`, however
often it is looked at. So that long health does not outweigh late harm, the test also begins anew (`eprocess.shared`).
Beside it stands a test that needs no answer of stable (`collapse.py`): whether more than half of the answers fail, or
of those that do not overlap (`apart.py`) more than half are slow.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from makeweight_monitors.eprocess import CEILING, shared, two_samples
from makeweight_monitors.serving.apart import Apart
from makeweight_monitors.serving.collapse import Collapse

_EVERY = 200
"""Answers of the canary after which a test begins anew."""
_STARTS = 10_000
"""How often; after two million answers of the canary in one process the last start stands."""
_LATEST = 2
"""Starts that are looked at beside the first: one of them has always seen at least `_EVERY` answers."""
_LONGEST = 4
"""Limits of latency after which a slow answer no longer keeps others from being counted for a collapse."""
_log = logging.getLogger("makeweight_monitors")


@dataclass(frozen=True)
class Opened:
    """Why the breaker opened."""

    about: str
    """What the canary did: `failed`, or `were slower than 0.1 s`."""
    evalue: float
    threshold: float
    canary_bad: int
    canary: int
    stable_bad: int
    stable: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.canary_bad} of {self.canary} answers of the canary {self.about}, and {self.stable_bad} of "
            f"{self.stable} of stable: e-value {self.evalue:.3g}, and {self.threshold:.3g} suffices"
        )


class Breaker:
    """Counts for one canary; once it is open it stays so. Safe to be called from any thread.

    Args:
        drop: by how much the share of failed answers may be above stable's, 0 up to 1.
        rate: the probability, in the life of one canary in this process, of opening although the canary is no worse.
        slow: seconds from request to answer beyond which one is slow; None: latency is not watched.
        slow_drop: by how much the share of slow answers may be above stable's.
        on_open: called once, with the reason, from the thread whose answer was the last straw.
        clock: seconds that only grow; asked when an answer's latency is told, which is when it ended.

    Raises:
        ValueError: one of these is out of its bounds.
    """

    def __init__(
        self,
        *,
        drop: float = 0.01,
        rate: float = 0.001,
        slow: float | None = None,
        slow_drop: float = 0.05,
        on_open: Callable[[Opened], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (0 <= drop < 1 and 0 <= slow_drop < 1):
            raise ValueError(f"a tolerated rise is a share from 0 to below 1, not {drop} or {slow_drop}")
        if not 0 < rate < 1:
            raise ValueError(f"a rate of false alarms lies between 0 and 1, and is not {rate}")
        if slow is not None and not 0 < slow < float("inf"):
            raise ValueError(f"a limit of latency is a number of seconds above 0, not {slow}")
        self._slow, self._clock, self._apart = slow, clock, Apart(_LONGEST * (slow or 0))
        threshold = (2 if slow is None else 4) / rate
        self._failures = _Test("failed", drop, threshold)
        self._slowness = _Test(f"were slower than {slow} s", slow_drop, threshold)
        self._on_open = on_open
        self._lock = threading.Lock()
        self.opened: Opened | None = None
        """Why it is open; None: it is not."""

    def outcome(self, variant: str, counted: int, failed: int) -> None:
        """Answers of an arm: how many were counted, and how many failed beside them; an `Observer` calls it."""
        canary, answers = variant == "canary", counted + failed
        with self._lock:
            compared = self._failures.take(canary, answers, failed)
            first = self._open(compared or self._failures.collapsed(canary, answers, failed))
        self._tell(first)

    def latency(self, variant: str, seconds: float, answers: int = 1) -> None:
        """The time that answers took, each, told when they ended; where no limit is declared it counts for nothing."""
        if self._slow is None:
            return
        canary, slow = variant == "canary", int(not seconds <= self._slow)
        with self._lock:
            found = self._slowness.take(canary, answers, slow * answers)
            if not canary or self._apart.counts(self._clock(), seconds):
                found = found or self._slowness.collapsed(canary, 1, slow)
            first = self._open(found)
        self._tell(first)

    def step(self) -> None:
        """The canary's share of the traffic is another from now on. What both arms answer at it is weighed by itself: a
        time in which both are bad would else weigh more on the arm that has more of the traffic then.
        """
        with self._lock:
            self._failures.step()
            self._slowness.step()

    def _open(self, found: Opened | None) -> Opened | None:
        """The reason, where it is the first."""
        if found is None or self.opened is not None:
            return None
        self.opened = found
        return found

    def _tell(self, first: Opened | None) -> None:
        if first is None:
            return
        _log.error("the breaker opened, and the canary's traffic goes to stable: %s", first.sentence)
        if self._on_open is not None:
            try:
                self._on_open(first)
            except Exception:  # noqa: BLE001 - it is open, whatever the hook does
                _log.exception("the hook of the breaker failed")


@dataclass
class _Start:
    """Where a test began: before the first answer, or anew."""

    counts: list[int]
    """As they were then; after a step, as they were at that."""
    before: float = 1.0
    """The e-value of what came at the canary's shares of before: of other answers, so that they are multiplied."""


class _Test:
    """One thing that answers do or do not, of both arms: [canary bad, canary, stable bad, stable]."""

    def __init__(self, about: str, drop: float, threshold: float) -> None:
        self._about, self._drop, self._threshold = about, drop, threshold
        self._collapse = Collapse((1 + drop) / 2)
        self.counts = [0, 0, 0, 0]
        self._starts = [_Start(list(self.counts))]
        self._begun = 0

    def take(self, canary: bool, answers: int, bad: int) -> Opened | None:
        at = 0 if canary else 2
        self.counts[at] += bad
        self.counts[at + 1] += answers
        # only what the canary does badly can raise the e-value
        found = self._judged() if canary and bad else None
        if self.counts[1] >= _EVERY * (self._begun + 1) and self._begun < _STARTS:
            self._begun += 1
            self._starts = [self._starts[0], *self._starts[1:][-(_LATEST - 1) :], _Start(list(self.counts))]
        return found

    def collapsed(self, canary: bool, answers: int, bad: int) -> Opened | None:
        """What `take` is told, weighed without stable's."""
        if not canary:
            self._collapse.stable(answers, bad)
            return None
        evalue = self._collapse.canary(answers, bad)
        if evalue < self._threshold:
            return None
        about = f"{self._about} (over {self._collapse.most:.1%}, whatever stable does)"
        return Opened(about, evalue, self._threshold, *self.counts)

    def step(self) -> None:
        self._starts = [_Start(list(self.counts), worth) for worth in self._worth()]

    def _worth(self) -> list[float]:
        """The e-values of those that began, in their order."""
        import numpy as np

        since = np.array(self.counts) - np.array([start.counts for start in self._starts])
        each = zip(self._starts, two_samples(self._drop, *since.T).tolist(), strict=True)
        return [min(start.before * evalue, CEILING) for start, evalue in each]

    def _judged(self) -> Opened | None:
        first, *later = self._worth()
        evalue = shared(first, later, _STARTS)
        if evalue < self._threshold:
            return None
        return Opened(self._about, float(evalue), self._threshold, *self.counts)
