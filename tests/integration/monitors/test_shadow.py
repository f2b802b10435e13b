"""The canary in the demo's model server: whatever becomes of it or of the exporter, a request never waits for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

import prometheus
from examples.monitoring import shadow
from examples.monitoring.shadow import Request, Shadow

IMAGE = np.zeros((1, 1, 8, 8), np.float32)


def request(number: int) -> Request:
    return Request(str(number), IMAGE, [0.5, 1.5], 0.001, "r2")


class Exporter(HTTPServer):
    """Takes events, but for those whose canary answered with a first score of 9."""

    def __init__(self) -> None:
        self.events: list[dict] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/events"


class Handler(BaseHTTPRequestHandler):
    server: Exporter

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        events = [json.loads(line) for line in body.splitlines()]
        taken = [event for event in events if event["canary"].get("scores") != [9.0, 0.0]]
        self.server.events += taken
        answer = json.dumps({"accepted": len(taken), "refused": len(events) - len(taken), "reasons": {}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    server = Exporter()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_both_answers_are_told(exporter: Exporter) -> None:
    behind = Shadow(lambda _: ([2.5, 3.5], 0.002), exporter.url)
    for number in range(shadow.MOST_TOLD + 3):
        behind.put(request(number))
    behind.close()
    assert (behind.told, behind.failed, behind.lost, behind.untold) == (shadow.MOST_TOLD + 3, 0, 0, 0)
    assert exporter.events[7] == {
        "type": "pair",
        "revision": "r2",
        "id": "7",
        "stable": {"scores": [0.5, 1.5], "latency": 0.001},
        "canary": {"scores": [2.5, 3.5], "latency": 0.002},
    }


def test_a_canary_that_fails_is_told_and_a_pair_that_is_refused_is_counted(exporter: Exporter) -> None:
    answers = iter([[2.5, 3.5], None, [9.0, 0.0]])

    def canary(image: np.ndarray) -> tuple[list[float], float]:
        scores = next(answers)
        if scores is None:
            raise RuntimeError("no")
        return scores, 0.002

    behind = Shadow(canary, exporter.url)
    for number in range(3):
        behind.put(request(number))
    behind.close()
    assert (behind.told, behind.failed, behind.untold) == (2, 1, 1)
    assert [event["id"] for event in exporter.events] == ["0", "1"]
    assert exporter.events[1]["canary"] == {"failure": "exception"}
    assert exporter.events[1]["stable"]["scores"] == [0.5, 1.5]


def test_an_exporter_that_is_gone_costs_pairs_and_no_request() -> None:
    behind = Shadow(lambda _: ([2.5, 3.5], 0.002), "http://127.0.0.1:1/v1/events")
    for number in range(5):
        behind.put(request(number))
    behind.close()
    assert (behind.told, behind.untold) == (0, 5)


def test_a_canary_that_hangs_loses_calls_which_are_told_while_it_hangs_and_no_request_waits(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 4)
    entered, free = threading.Event(), threading.Event()

    def canary(image: np.ndarray) -> tuple[list[float], float]:
        entered.set()
        free.wait(60)
        return [2.5, 3.5], 0.002

    behind = Shadow(canary, exporter.url)
    behind.put(request(0))
    assert entered.wait(60)
    for number in range(1, 10):
        behind.put(request(number))  # it would not return if it waited
    assert behind.lost == 5
    prometheus.until(lambda: len(exporter.events) == 5)
    assert [event["canary"] for event in exporter.events] == [{"failure": "lost"}] * 5
    free.set()
    behind.close()
    assert (behind.told, behind.lost, behind.untold) == (10, 5, 0)
