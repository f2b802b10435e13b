"""A canary most of whose answers are bad: seen without anything to compare it with, as where it has all of the traffic.

Bad is one that failed, or that was slow. Taken for granted is that a canary which is good enough answers badly with a
probability of at most `most` at each answer, whatever came before. With `sure` for the probability under a collapse, an
answer multiplies the e-value by `sure / most` where it was bad and by `(1 - sure) / (1 - most)` where it was not: at
most 1 on average. The test begins anew before each answer, with shares that add up to less than 1: the e-value of all
that began and the shares of those that did not yet are together a supermartingale that begins below 1 (Ville 1939; the
sum over beginnings is Shiryaev's and Roberts', with shares so that it bounds whether one ever errs). So long health
takes hardly anything away. While stable's last answer is a bad one nothing is bet, which leaves all of this true, since
that is known before; of a stable that answers no more, its last answer tells nothing.
"""

from __future__ import annotations

import math

_WELL = 1 / 25
"""What an answer that was not bad multiplies the e-value by: small, so that bad ones count for nearly as much as they
can, and not so small that one good answer among them ends the test."""
_UNSEEN = 100
"""After so many answers of the canary without one of stable, that has no traffic any more."""
_LARGEST = 700.0
"""The logarithm of what a number of 64 bits holds."""


class Collapse:
    """The e-value of answers in their order.

    Args:
        most: the largest probability of a bad answer that a canary may have which is good enough, below 1.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._bad, self._well = math.log((1 - (1 - most) * _WELL) / most), math.log(_WELL)
        self.evalue = 0.0
        self._answers = 0
        self._stable_bad = False
        self._unseen = 0

    def canary(self, answers: int, bad: int) -> float:
        """The e-value after so many more answers of the canary, of which some were bad."""
        if answers and not (self._stable_bad and self._unseen < _UNSEEN):
            begun = self.evalue + share(self._answers + 1)
            grown = bad * self._bad + (answers - bad) * self._well
            log = math.log(begun) + grown if begun else -math.inf
            self.evalue = math.exp(min(log, _LARGEST))
        self._answers += answers
        self._unseen += answers
        return self.evalue

    def stable(self, answers: int, bad: int) -> None:
        """Answers of stable, some of which were bad: in one report, any tells that its answers are bad as well."""
        if answers:
            self._stable_bad, self._unseen = bad > 0, 0


def share(number: int) -> float:
    """Of the error that is allowed, for the test that begins with the canary's answer of this number, from 1 on. The
    shares of all of them add up to less than 1, as the integral of 1/(x ln² x) from 2 on is 1/ln 2.
    """
    return math.log(2) / ((number + 2) * math.log(number + 2) ** 2)
