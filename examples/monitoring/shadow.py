"""The canary in the stable model's shadow: it answers after the fact, and both answers are counted as a pair.

The request has its answer by then. A canary that fails, or that is too slow for its queue, is counted as one that
failed. Nothing of it ever costs a request.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from makeweight_monitors.observe import failure
from makeweight_monitors.observe.failure import Failure
from makeweight_monitors.observe.observer import Observer

MOST_WAITING = 10_000
_SECONDS = 10


@dataclass(frozen=True)
class Request:
    """One that the stable model has answered."""

    id: str | None
    image: np.ndarray
    scores: list[float]
    seconds: float


class Shadow:
    """Runs the canary on what is put here, in a thread of its own, and tells the stable model's observer."""

    def __init__(self, canary: Callable[[np.ndarray], tuple[list[float], float]], observer: Observer) -> None:
        self._canary = canary
        self._observer = observer
        self._waiting: queue.Queue[Request | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._answer, name="shadow", daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Never waits."""
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            self._pair(request, Failure("lost"))

    def close(self) -> None:
        """Answer what still waits."""
        self._waiting.put(None)
        self._thread.join(_SECONDS)

    def _answer(self) -> None:
        while (request := self._waiting.get()) is not None:
            try:
                scores, seconds = self._canary(request.image)
            except Exception as error:  # noqa: BLE001 - a canary that fails is no reason to stop serving
                self._pair(request, failure.of(error))
                continue
            self._pair(request, scores, seconds)

    def _pair(self, request: Request, canary: list[float] | Failure, seconds: float | None = None) -> None:
        self._observer.record_pair(request.scores, canary, (request.seconds, seconds), id=request.id)
