"""The breaker: in the server's own process, the test by which Prometheus asks for a rollback, without Prometheus.

Failed answers, and answers slower than a declared limit, of the canary beside those of stable, weighed by
`eprocess.two_samples`: the probability that a canary which is good enough ever opens it is at most `rate`, however
often it is looked at. So that long health does not outweigh late harm, the test also begins anew (`eprocess.shared`).
Beside it stands a test that needs no answer of stable (`collapse.py`): whether more than half of the answers fail.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from makeweight_monitors.eprocess import shared, two_samples
from makeweight_monitors.serving.collapse import Collapse

_EVERY = 200
"""Answers of the canary after which a test begins anew."""
_STARTS = 10_000
"""How often; after two million answers of the canary in one process the last start stands."""
_LATEST = 2
"""Starts that are looked at beside the first: one of them has always seen at least `_EVERY` answers."""
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
            f"{self.stable} of stable: evidence {self.evalue:.3g}, and {self.threshold:.3g} suffices"
        )


class Breaker:
    """Counts for one canary; once it is open it stays so. Safe to be called from any thread.

    Args:
        drop: by how much the share of failed answers may be above stable's, 0 up to 1.
        rate: the probability, in the life of one canary in this process, of opening although the canary is no worse.
        slow: seconds from request to answer beyond which one is slow; None: latency is not watched.
        slow_drop: by how much the share of slow answers may be above stable's.
        on_open: called once, with the reason, from the thread whose answer was the last straw.

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
    ) -> None:
        if not (0 <= drop < 1 and 0 <= slow_drop < 1):
            raise ValueError(f"a tolerated rise is a share from 0 to below 1, not {drop} or {slow_drop}")
        if not 0 < rate < 1:
            raise ValueError(f"a rate of false alarms lies between 0 and 1, and is not {rate}")
        if slow is not None and not 0 < slow < float("inf"):
            raise ValueError(f"a limit of latency is a number of seconds above 0, not {slow}")
        self._slow = slow
        share = rate / (2 if slow is None else 3)
        self._failures = _Test("failed", drop, 1 / share)
        self._slowness = _Test(f"were slower than {slow} s", slow_drop, 1 / share)
        self._collapse, self._line = Collapse((1 + drop) / 2), 1 / share
        self._on_open = on_open
        self._lock = threading.Lock()
        self.opened: Opened | None = None
        """Why it is open; None: it is not."""

    def outcome(self, variant: str, counted: int, failed: int) -> None:
        """Answers of an arm: how many were counted, and how many failed beside them; an `Observer` calls it."""
        self._take(self._failures, variant, counted + failed, failed, self._collapse)

    def latency(self, variant: str, seconds: float, answers: int = 1) -> None:
        """The time that answers took, each; where no limit is declared it counts for nothing."""
        if self._slow is not None:
            self._take(self._slowness, variant, answers, 0 if seconds <= self._slow else answers)

    def _take(self, test: _Test, variant: str, answers: int, bad: int, collapse: Collapse | None = None) -> None:
        with self._lock:
            found = test.take(variant == "canary", answers, bad)
            collapsed = None if collapse is None else self._collapsed(collapse, variant == "canary", answers, bad)
            found = found or collapsed
            if found is None or self.opened is not None:
                return
            self.opened = found
        _log.error("the breaker opened, and the canary's traffic goes to stable: %s", found.sentence)
        if self._on_open is not None:
            try:
                self._on_open(found)
            except Exception:  # noqa: BLE001 - it is open, whatever the hook does
                _log.exception("the hook of the breaker failed")

    def _collapsed(self, collapse: Collapse, canary: bool, answers: int, failed: int) -> Opened | None:
        if not canary:
            collapse.stable(answers, failed)
            return None
        evalue = collapse.canary(answers, failed)
        about = f"failed (over {collapse.most:.1%}, whatever stable does)"
        return None if evalue < self._line else Opened(about, evalue, self._line, *self._failures.counts)


class _Test:
    """One thing that answers do or do not, of both arms: [canary bad, canary, stable bad, stable]."""

    def __init__(self, about: str, drop: float, threshold: float) -> None:
        self._about, self._drop, self._threshold = about, drop, threshold
        self.counts = [0, 0, 0, 0]
        self._starts = [[0, 0, 0, 0]]
        self._begun = 0

    def take(self, canary: bool, answers: int, bad: int) -> Opened | None:
        at = 0 if canary else 2
        self.counts[at] += bad
        self.counts[at + 1] += answers
        # only what the canary does badly can raise the evidence
        found = self._judged() if canary and bad else None
        if self.counts[1] >= _EVERY * (self._begun + 1) and self._begun < _STARTS:
            self._begun += 1
            self._starts = [self._starts[0], *self._starts[1:][-(_LATEST - 1) :], list(self.counts)]
        return found

    def _judged(self) -> Opened | None:
        import numpy as np

        since = np.array(self.counts) - np.array(self._starts)
        first, *later = two_samples(self._drop, *since.T).tolist()
        evalue = shared(first, later, _STARTS)
        if evalue < self._threshold:
            return None
        return Opened(self._about, float(evalue), self._threshold, *self.counts)
