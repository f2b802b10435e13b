"""A canary most of whose answers fail: seen without anything to compare it with, as where it has all of the traffic.

Taken for granted is that a canary which is good enough fails with a probability of at most `most` at each answer,
whatever came before. With `sure` for the probability under a collapse, an answer multiplies the evidence by
`sure / most` where it failed and by `(1 - sure) / (1 - most)` where it did not: at most 1 on average. The test begins
anew before each answer, with shares that add up to less than 1: the evidence of all that began and the shares of those
that did not yet are together a supermartingale that begins below 1 (Ville 1939; the sum over beginnings is Shiryaev's
and Roberts', with shares so that it bounds whether one ever errs). So long health takes hardly anything away. While
stable's last answer is one that failed nothing is bet, which leaves all of this true, since that is known before.
"""

from __future__ import annotations

import math

_WELL = 1 / 25
"""What an answer that did not fail multiplies the evidence by: small, so that failures count for nearly as much as they
can, and not so small that one good answer among them ends the test."""
_LARGEST = 700.0
"""The logarithm of what a number of 64 bits holds."""


class Collapse:
    """The evidence of answers in their order.

    Args:
        most: the largest probability of a failure that a canary may have which is good enough, below 1.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._failed, self._well = math.log((1 - (1 - most) * _WELL) / most), math.log(_WELL)
        self.evidence = 0.0
        self._answers = 0
        self._stable_failed = False

    def canary(self, answers: int, failed: int) -> float:
        """The evidence after so many more answers of the canary, of which some failed."""
        if answers and not self._stable_failed:
            begun = self.evidence + share(self._answers + 1)
            grown = failed * self._failed + (answers - failed) * self._well
            log = math.log(begun) + grown if begun else -math.inf
            self.evidence = math.exp(min(log, _LARGEST))
        self._answers += answers
        return self.evidence

    def stable(self, answers: int, failed: int) -> None:
        """Answers of stable, some of which failed: in one report, any tells that it fails as well."""
        if answers:
            self._stable_failed = failed > 0


def share(number: int) -> float:
    """Of the error that is allowed, for the test that begins with the canary's answer of this number, from 1 on. The
    shares of all of them add up to less than 1, as the integral of 1/(x ln² x) from 2 on is 1/ln 2.
    """
    return math.log(2) / ((number + 2) * math.log(number + 2) ** 2)
