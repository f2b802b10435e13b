"""How long a bad canary goes on answering, once the evidence against it was scraped.

Target, at one look a second of Prometheus: at most 3 s at the 95th percentile, from the first scrape whose counts are
enough to the canary's last answer. One of them is the alert's own, which has to hold until the next look, and up to one
more passes until the rules are evaluated after a scrape: at which part of a second either happens is chance, by run.

A real Prometheus with the generated rules, a controller that it sends its alerts to, and a server that reads the
pointer before each answer; all anew after a few trials. Each of those is a new canary, which begins well and then fails
each time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import project
import requests
from prometheus_client import CollectorRegistry, start_http_server

from makeweight_monitors import program
from makeweight_monitors.build import Build
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Served

STABLE = Served("digits", "baseline", "r1", "0" * 64, "a", 1.0, 0)
CLASSES = [str(number) for number in range(10)]
RIGHT, WRONG = [0.0] * 9 + [1.0], [float("nan")] * 10
WELL = 4.0
"""Seconds for which a canary is fine."""
LONGEST = 60.0
TOGETHER = 5
"""Canaries that one Prometheus sees. It judges each for ten minutes after its end: of dozens within that time, which no
production has, the rules take longer than a second, and on a busy machine longer than a minute.
"""


@dataclass(frozen=True)
class Timeline:
    """Unix times."""

    scraped: float
    """The first scrape that showed enough."""
    answered: float
    """The last answer of the canary."""


def trial(
    file: Path,
    client: Client,
    registry: CollectorRegistry,
    stable: Observer,
    number: int,
    controller: subprocess.Popen[bytes],
) -> Timeline | None:
    canary = Served("digits", "int8", f"r{number + 2}", f"{number + 1:064x}", "b", 0.2, 0)
    observer = Observer(
        "digits", canary.revision, "canary", classes=CLASSES, weight=0.2, manifest=Build("int8", sha256=canary.sha256),
        registry=registry,
    )  # fmt: skip
    pointer.write(file, pointer.load(file).on_trial(canary))
    began, answered = time.time(), 0.0
    while pointer.load(file).canary is not None:
        if controller.poll() is not None:
            raise SystemExit(f"the controller ended by itself, with {controller.returncode}")
        if time.time() - began > LONGEST:
            told(file.parent, client)
            return None
        for _ in range(4):
            stable.record(RIGHT, 0.001)
        observer.record(RIGHT if time.time() - began < WELL else WRONG, 0.001)
        answered = time.time()
        time.sleep(0.02)
    asking = [one for one in client.alerts() if one["labels"].get("kind") == "rollback"]
    active = next(one["activeAt"] for one in asking if one["labels"]["sha256"] == canary.sha256)
    since = datetime.fromisoformat(active).timestamp()
    seen = client.query(f'max(timestamp(makeweight_failures_total{{sha256="{canary.sha256}"}}))', at=since)
    observer.close()
    return Timeline(seen[0].value, answered)


def told(folder: Path, client: Client) -> None:
    """Why a canary is still there, as far as the controller and Prometheus know."""
    log = folder / "monitoring" / "controller" / "audit.jsonl"
    for line in log.read_text().splitlines()[-6:] if log.exists() else []:
        print(line)
    for one in client.alerts():
        print(one["state"], one["activeAt"], one["value"], one["labels"])


def together(folder: Path, rules: Path, numbers: range) -> list[Timeline | None]:
    """Trials one after the other beside one Prometheus, in a process's life of their own."""
    registry, port, file = CollectorRegistry(), program.free_port(), folder / "current.json"
    stable = Observer(
        "digits", "r1", "stable", classes=CLASSES, weight=0.2, manifest=Build("baseline", sha256=STABLE.sha256),
        registry=registry,
    )  # fmt: skip
    server, serving = start_http_server(0, "127.0.0.1", registry)
    own, targets = folder / f"prometheus-{numbers.start}", {"models": [f"127.0.0.1:{server.server_port}"]}
    to = [f"127.0.0.1:{port}"]
    with throwaway.running(throwaway.find(), own, rules=[rules], targets=targets, alerts_to=to) as client:
        process = subprocess.Popen(project.controller(folder, client.url, port), stderr=subprocess.DEVNULL)
        try:
            while not _answers(port):
                time.sleep(0.1)
            return [trial(file, client, registry, stable, number, process) for number in numbers]
        finally:
            process.kill()
            process.wait()
            stable.close()
            server.shutdown()
            server.server_close()
            serving.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=50)
    options = parser.parse_args()
    lines: list[Timeline | None] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rules = project.write(folder, pointer.Pointer(STABLE), interval=1)
        for begin in range(0, options.trials, TOGETHER):
            lines += together(folder, rules, range(begin, min(begin + TOGETHER, options.trials)))
    took = sorted(line.answered - line.scraped for line in lines if line is not None)
    if len(took) < max(2, options.trials):
        print(f"{options.trials - len(took)} of {options.trials} canaries were not rolled back within {LONGEST:.0f} s")
        return 1
    p95 = statistics.quantiles(took, n=20, method="inclusive")[-1]
    print(json.dumps({"trials": len(took), "median_s": round(statistics.median(took), 2), "p95_s": round(p95, 2),
                      "most_s": round(took[-1], 2)}))  # fmt: skip
    return 0 if p95 <= 3 else 1


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=1).status_code == 200
    except requests.RequestException:
        return False


if __name__ == "__main__":
    raise SystemExit(main())
