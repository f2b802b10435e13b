"""What the exporter takes in, the whole way by HTTP on loopback into its counters, and what an event costs it.

Target: at least 30,000 events a second in NDJSON batches on one core. Beside it, in the same run, stands what
prometheus_client's own metrics cost for each event in a process that has the scores at hand, without any HTTP or JSON.

The exporter is a process of its own; its processor time is what the kernel says of it, the least of several
repetitions, so that other work on the machine does not count. One client sends, and waits for each answer.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from observe import theirs

TARGET = 30_000
REPETITIONS = 5
EVENTS = 100_000
"""In each repetition."""
_TICK = os.sysconf("SC_CLK_TCK")
Body = Callable[[int, int], bytes]
"""From the number of the first event, and how many, to a body."""


class Exporter:
    """One that runs, its address and its process."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.client = http.client.HTTPConnection("127.0.0.1", port)

    def send(self, body: bytes, kind: str) -> dict[str, Any]:
        self.client.request("POST", "/v1/events", body, {"Content-Type": kind})
        answer = self.client.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        outcome: dict[str, Any] = json.loads(said)
        return outcome

    def processor_seconds(self) -> float:
        parts = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / _TICK

    def settle(self) -> None:
        """Wait until its threads have written what they put aside: that is part of the cost."""
        used = -1.0
        while used != (used := self.processor_seconds()):
            time.sleep(1.2)


@contextlib.contextmanager
def running() -> Iterator[Exporter]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "makeweight_monitors", "exporter", "--model", "digits",
             "--classes", ",".join("0123456789"), "--scores", "softmax", "--port", "0",
             "--labels", f"{folder}/labels.sqlite", "--linger", "0", "--most-waiting", "10000000"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        found = re.search(r":(\d+)$", process.stdout.readline().strip())
        assert found is not None
        try:
            yield Exporter(process.pid, int(found[1]))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def scores() -> list[float]:
    return [round(random.gauss(0, 3), 4) for _ in range(10)]


def prediction(number: int, *, id: bool = False) -> dict[str, object]:
    said = {"model": "digits", "revision": "r1", "variant": "canary", "scores": scores(), "latency": 0.0021}
    return {**said, "id": f"request-{number}"} if id else said


def pair(number: int) -> dict[str, object]:
    arms = {name: {"scores": scores(), "latency": 0.0021} for name in ("stable", "canary")}
    return {"type": "pair", "model": "digits", "revision": "r1", "id": f"pair-{number}", **arms}


def label(number: int) -> dict[str, object]:
    return {"type": "label", "model": "digits", "id": f"request-{number}", "truth": number % 10}


def lines(make: Callable[[int], dict[str, object]]) -> Body:
    return lambda first, count: b"\n".join(json.dumps(make(first + index)).encode() for index in range(count))


def array(first: int, count: int) -> bytes:
    return json.dumps([prediction(first + index) for index in range(count)]).encode()


def measured(exporter: Exporter, body: Body, size: int, kind: str, numbers: Iterator[int]) -> tuple[float, float]:
    """(processor seconds of the exporter, events a second by the clock) for an event."""
    costs, rates = [], []
    count = max(1, min(EVENTS // size, 4000))
    for _ in range(REPETITIONS):
        bodies = [body(next(numbers) * size, size) for _ in range(count)]
        used, began = exporter.processor_seconds(), time.perf_counter()
        for one in bodies:
            said = exporter.send(one, kind)
            assert said["accepted"] == size
            assert not said["reasons"]
        took = time.perf_counter() - began
        exporter.settle()
        exporter.client.close()  # opened anew by the next request
        costs.append((exporter.processor_seconds() - used) / count / size)
        rates.append(count * size / took)
    return min(costs), max(rates)


def main() -> None:
    comparison = dict(theirs())
    for name, nanoseconds in comparison.items():
        print(f"{name:52} {nanoseconds / 1000:8.2f} µs an event")
    same = comparison["prometheus_client: the same three from scores"] / 1000
    ndjson, whole = "application/x-ndjson", "application/json"
    cases: list[tuple[str, Body, int, str]] = [
        ("predictions, NDJSON, 1000 a body", lines(prediction), 1000, ndjson),
        ("predictions, NDJSON, 100 a body", lines(prediction), 100, ndjson),
        ("predictions, JSON array, 1000 a body", array, 1000, whole),
        ("predictions, JSON, one a body", array, 1, whole),
        ("predictions with ids, NDJSON, 1000 a body", lines(lambda n: prediction(n, id=True)), 1000, ndjson),
        ("labels, NDJSON, 1000 a body", lines(label), 1000, ndjson),
        ("shadowed pairs with ids, NDJSON, 1000 a body", lines(pair), 1000, ndjson),
    ]
    with running() as exporter:
        exporter.send(lines(prediction)(0, 1000), ndjson)
        for name, body, size, kind in cases:
            # labels are those of the predictions just before them
            cost, rate = measured(exporter, body, size, kind, itertools.count())
            target = f"  {1 / cost / TARGET:5.2f} of the target of {TARGET:,}" if size > 1 else ""
            print(
                f"exporter: {name:46} {cost * 1e6:8.2f} µs an event  {1 / cost:9,.0f} a second of a core"
                f"  {rate:9,.0f} by the clock  {cost * 1e6 / same:6.2f} of the same by prometheus_client{target}"
            )


if __name__ == "__main__":
    main()
