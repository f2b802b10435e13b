"""Requests with images of the test split, and the truth about each of them some seconds later.

In production the truth comes hours later, from those who looked at the page; here nobody has the time.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from urllib.parse import urlsplit

import numpy as np
import requests
from numpy.typing import NDArray

CLIENTS = 4
_SECONDS = 5


def shaded(images: NDArray[np.float32], depth: float) -> NDArray[np.float32]:
    """The light falls in unevenly: the top of each page reads darker by `depth`, its bottom as before."""
    rows = np.linspace(depth, 0, images.shape[2], dtype=np.float32)
    return images + rows[:, None]


class Traffic:
    """`rate` requests a second to a model server until it is stopped, drawn with a fixed seed.

    Args:
        server: its address; events: where the exporter takes labels.
        images: of the shape [n, 1, rows, columns]; digits, slices: the truth about each, [n].
        delay: seconds from answer to label.
    """

    def __init__(
        self,
        server: str,
        events: str,
        images: NDArray[np.float32],
        digits: NDArray[np.int64],
        slices: list[str],
        *,
        rate: float,
        delay: float,
    ) -> None:
        self._server, self._events = server, events
        self._images, self._digits, self._slices = images, digits, slices
        self.rate, self.delay = rate, delay
        self.depth = 0.0
        """How dark the shadow is that lies on the pages from now on."""
        self.sent = self.failed = self.labelled = 0
        self._due: deque[tuple[float, str, int]] = deque()
        self._stop = threading.Event()
        self._counting = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(CLIENTS)]
        self._threads.append(threading.Thread(target=self._label, daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(2 * _SECONDS)

    def try_canary(self, revision: str, nan: float) -> None:
        """Have the server try another canary, which answers such a share of the requests with NaN."""
        asked = {"revision": revision, "nan": nan}
        requests.post(f"{self._server}/-/canary", json=asked, timeout=_SECONDS).raise_for_status()

    def _ask(self, number: int) -> None:
        random = np.random.default_rng(number)
        connection = http.client.HTTPConnection(urlsplit(self._server).netloc, timeout=_SECONDS)
        turn = time.monotonic()
        count = 0
        while not self._stop.is_set():
            chosen = int(random.integers(len(self._images)))
            image = shaded(self._images[chosen : chosen + 1], self.depth)
            count += 1
            id = f"{number}-{count}"
            try:
                body = json.dumps({"id": id, "image": image.ravel().tolist()})
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                good = answer.status == 200
            except (OSError, http.client.HTTPException):
                connection.close()
                good = False
            with self._counting:
                self.sent += good
                self.failed += not good
            if good:
                self._due.append((time.monotonic() + self.delay, id, chosen))
            # a client that is late does not make up for it: that would be a burst
            turn = max(turn + CLIENTS / self.rate, time.monotonic())
            self._stop.wait(turn - time.monotonic())

    def _label(self) -> None:
        session = requests.Session()
        while not self._stop.wait(0.2):
            events = []
            while self._due and self._due[0][0] <= time.monotonic():
                _, id, chosen = self._due.popleft()
                events.append(
                    {"type": "label", "id": id, "truth": int(self._digits[chosen]), "slice": self._slices[chosen]}
                )
            try:
                if events:
                    session.post(self._events, json=events, timeout=_SECONDS).raise_for_status()
                    self.labelled += len(events)
            except requests.RequestException:
                with self._counting:
                    self.failed += len(events)
