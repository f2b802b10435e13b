"""The canary in the stable model's shadow: it answers after the fact, and both answers go to the exporter in batches.

The request has its answer by then. A canary that fails, or that is too slow for its queue, is told of as a failure; an
exporter that is gone costs pairs, which are counted. Nothing of it ever costs a request.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import requests

REVISION = "demo"
"""Of the trial that the server begins with."""
MOST_WAITING = 10_000
EVERY = 0.2
"""Seconds between two batches."""
MOST_TOLD = 500
"""Pairs of a batch."""
_SECONDS = 5


@dataclass(frozen=True)
class Request:
    """One that the stable model has answered, on the trial of the canary that `revision` names."""

    id: str | None
    image: np.ndarray
    scores: list[float]
    seconds: float
    revision: str

    def pair(self, canary: dict[str, object]) -> dict[str, object]:
        """The event for the exporter, with what the canary made of it."""
        stable = {"scores": self.scores, "latency": self.seconds}
        return {"type": "pair", "revision": self.revision, "id": self.id, "stable": stable, "canary": canary}


class Shadow:
    """Runs the canary on what is put here, and tells the exporter at `url` of the pair.

    One thread runs the canary, another tells: what a canary that hangs costs is told while it hangs.
    """

    def __init__(self, canary: Callable[[np.ndarray], tuple[list[float], float]], url: str) -> None:
        self._canary = canary
        self._url = url
        self._waiting: queue.Queue[Request | None] = queue.Queue(MOST_WAITING)
        self._done: queue.Queue[dict[str, object]] = queue.Queue(2 * MOST_WAITING)
        self.told = self.failed = self.lost = self.untold = 0
        """Pairs that the exporter took; calls on which the canary raised, and for which it had no time; pairs that the
        exporter did not take."""
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"shadow {work.__name__}", daemon=True)
            for work in (self._answer, self._tell)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, request: Request) -> None:
        """Never waits."""
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            self.lost += 1
            self._keep(request.pair({"failure": "lost"}))

    def close(self) -> None:
        """Tell of what still waits."""
        answering, telling = self._threads
        self._waiting.put(None)
        answering.join(2 * _SECONDS)
        self._ending.set()
        telling.join(2 * _SECONDS)

    def _keep(self, pair: dict[str, object]) -> None:
        try:
            self._done.put_nowait(pair)
        except queue.Full:
            self.untold += 1

    def _answer(self) -> None:
        while (request := self._waiting.get()) is not None:
            try:
                scores, seconds = self._canary(request.image)
            except Exception:  # noqa: BLE001 - a canary that fails is no reason to stop serving
                self.failed += 1
                self._keep(request.pair({"failure": "exception"}))
                continue
            self._keep(request.pair({"scores": scores, "latency": seconds}))

    def _tell(self) -> None:
        session = requests.Session()
        while not (self._ending.is_set() and self._done.empty()):
            pairs: list[dict[str, object]] = []
            while len(pairs) < MOST_TOLD and not self._done.empty():
                pairs.append(self._done.get())
            if pairs:
                self._send(session, pairs)
            if self._done.qsize() < MOST_TOLD and not self._ending.is_set():
                time.sleep(EVERY)

    def _send(self, session: requests.Session, pairs: list[dict[str, object]]) -> None:
        body = "\n".join(map(json.dumps, pairs))
        try:
            taken = session.post(self._url, body, headers={"content-type": "application/x-ndjson"}, timeout=_SECONDS)
            taken.raise_for_status()
            accepted = int(taken.json()["accepted"])
        except (requests.RequestException, ValueError, KeyError):
            accepted = 0
        self.told += accepted
        self.untold += len(pairs) - accepted
