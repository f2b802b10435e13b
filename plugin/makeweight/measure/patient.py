"""A model that is asked with patience: what never answers is given up, with the reason.

The limit is on one inference and not on a split, which may take a slow machine hours. A runtime that keeps Python's
lock while it computes, as ExecuTorch's does, keeps who waits for it from giving it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from makeweight_base.errors import EnvironmentFailed
from makeweight_base.given_up import Found, OtherThread, TooLong
from makeweight_probe.answering import answering
from makeweight_probe.session import Feeds, Session

HANGS = 1800.0
"""Seconds for opening a model, and for an inference at the least; as many are given to a device that measures."""
EACH = HANGS / 8
"""Seconds for an example where many are asked for at once: a model was tried out on eight at the least within such a
time (`compress/trial.py`), so one that takes longer for each has not come this far."""


class ModelGivenUp(EnvironmentFailed):
    """A model was not opened, or did not answer, for so long that nobody waits for it any more."""


class Patient:
    """A session that is given up where it takes too long."""

    def __init__(self, thread: OtherThread, opened: Callable[[], Session], where: str) -> None:
        """Args:
            thread: where the model is at work.
            opened: opens it.
            where: begins an error.

        Raises:
            ModelGivenUp: it is not opened in time. Besides, whatever `opened` raises.
        """
        self._thread, self._where = thread, where
        self._ask = answering(self._done(opened, HANGS, "been opened"))

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Raises:
        ModelGivenUp: it does not answer in time.
        """
        rows = max((len(values) for values in feeds.values() if values.ndim), default=1)
        return self._done(lambda: self._ask(feeds), max(HANGS, rows * EACH), "answered")

    def _done(self, work: Callable[[], Found], seconds: float, what: str) -> Found:
        try:
            return self._thread.do(work, seconds)
        except TooLong as error:
            raise ModelGivenUp(
                f"the model has not {what} for {seconds:g} s, and was given up",
                where=self._where,
                do="See whether it ever answers on this machine, or what else keeps the machine busy for so long.",
            ) from error
