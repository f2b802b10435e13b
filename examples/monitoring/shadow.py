"""The canary in the stable model's shadow: it answers after the fact, and both answers go to the exporter in batches.

The request has its answer by then. A queue that is full, a canary that fails, or an exporter that is gone cost pairs,
which are counted, and never a request.
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

MOST_WAITING = 10_000
EVERY = 0.2
"""Seconds between two batches."""
MOST_TOLD = 500
"""Pairs of a batch."""
_SECONDS = 5


@dataclass(frozen=True)
class Request:
    """One that the stable model has answered."""

    id: str | None
    image: np.ndarray
    scores: list[float]
    seconds: float


class Shadow:
    """Runs the canary on what is put here, and tells the exporter at `url` of the pair."""

    def __init__(self, canary: Callable[[np.ndarray], tuple[list[float], float]], url: str) -> None:
        self._canary = canary
        self._url = url
        self._waiting: queue.Queue[Request | None] = queue.Queue(MOST_WAITING)
        self.told = self.lost = 0
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Never waits."""
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Tell of what still waits."""
        self._waiting.put(None)
        self._thread.join(2 * _SECONDS)

    def _work(self) -> None:
        session = requests.Session()
        going = True
        while going:
            if self._waiting.qsize() < MOST_TOLD:
                time.sleep(EVERY)
            pairs: list[dict[str, object]] = []
            while len(pairs) < MOST_TOLD and not self._waiting.empty():
                request = self._waiting.get()
                if request is None:
                    going = False
                    break
                try:
                    scores, seconds = self._canary(request.image)
                except Exception:  # noqa: BLE001 - a canary that fails is no reason to stop serving
                    self.lost += 1
                    continue
                stable = {"scores": request.scores, "latency": request.seconds}
                pairs.append({
                    "type": "pair", "id": request.id, "stable": stable, "canary": {"scores": scores, "latency": seconds}
                })  # fmt: skip
            if pairs:
                self._tell(session, pairs)

    def _tell(self, session: requests.Session, pairs: list[dict[str, object]]) -> None:
        body = "\n".join(map(json.dumps, pairs))
        try:
            taken = session.post(self._url, body, headers={"content-type": "application/x-ndjson"}, timeout=_SECONDS)
            taken.raise_for_status()
            accepted = int(taken.json()["accepted"])
        except (requests.RequestException, ValueError, KeyError):
            accepted = 0
        self.told += accepted
        self.lost += len(pairs) - accepted
