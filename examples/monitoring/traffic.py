"""Requests with images of the test split, and the truth about each of them some seconds later.

In production the truth comes hours later, from those who looked at the page; here nobody has the time.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import requests
from numpy.typing import NDArray

from makeweight_base.loopback import proxies

CLIENTS = 4
_SECONDS = 5


def shaded(images: NDArray[np.float32], depth: float) -> NDArray[np.float32]:
    """The light falls in unevenly: the top of each page reads darker by `depth`, its bottom as before."""
    rows = np.linspace(depth, 0, images.shape[2], dtype=np.float32)
    return images + rows[:, None]


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    time: float
    """Unix time in seconds."""
    variant: str
    right: bool


class Traffic:
    """`rate` requests a second until it is stopped, drawn with a fixed seed.

    Args:
        front: the address that clients ask.
        servers: by variant, the address that takes the labels of what it answered.
        images: of the shape [n, 1, rows, columns]; digits, slices: the truth about each, [n].
        delay: seconds from answer to label.
    """

    def __init__(
        self,
        front: str,
        servers: Mapping[str, str],
        images: NDArray[np.float32],
        digits: NDArray[np.int64],
        slices: list[str],
        *,
        rate: float,
        delay: float,
    ) -> None:
        self._front, self._servers = front, servers
        self._images, self._digits, self._slices = images, digits, slices
        self.rate, self.delay = rate, delay
        self.depth = 0.0
        """How dark the shadow is that lies on the pages from now on."""
        self.answers: list[Answer] = []
        self.failed = 0
        """Requests and labels that were not taken."""
        self._due: deque[tuple[float, str, str, int]] = deque()
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

    def _ask(self, number: int) -> None:
        random = np.random.default_rng(number)
        connection = http.client.HTTPConnection(urlsplit(self._front).netloc, timeout=_SECONDS)
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
                told = json.loads(answer.read())
                variant, found = told["variant"], told["class"]
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                connection.close()
                with self._counting:
                    self.failed += 1
            else:
                self.answers.append(Answer(time.time(), variant, found == self._digits[chosen]))
                self._due.append((time.monotonic() + self.delay, variant, id, chosen))
            # a client that is late does not make up for it: that would be a burst
            turn = max(turn + CLIENTS / self.rate, time.monotonic())
            self._stop.wait(turn - time.monotonic())

    def _label(self) -> None:
        session = requests.Session()
        while not self._stop.wait(0.2):
            due = defaultdict(list)
            while self._due and self._due[0][0] <= time.monotonic():
                _, variant, id, chosen = self._due.popleft()
                due[variant].append({"id": id, "truth": int(self._digits[chosen]), "slice": self._slices[chosen]})
            for variant, labels in due.items():
                try:
                    where = f"{self._servers[variant]}/labels"
                    answer = session.post(where, json=labels, timeout=_SECONDS, proxies=proxies(where))
                    answer.raise_for_status()
                except requests.RequestException:
                    with self._counting:
                        self.failed += len(labels)
