"""A failed answer: what a server hands over in place of scores where the model raised, came too late, or never came."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight_monitors.metrics import FailureReason

FAILED = "\x18"
"""A failed answer in the label store; no truth is equal to it."""


@dataclass(frozen=True)
class Failure:
    """`count` answers that failed for one reason, such as all of a batch."""

    reason: FailureReason
    count: int = 1


def of(error: Exception, count: int = 1) -> Failure:
    """What an exception is counted as."""
    return Failure("timeout" if isinstance(error, TimeoutError) else "exception", count)
