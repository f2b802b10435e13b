"""The controller killed (SIGKILL) at random moments of a rollback, with the same alert sent to it meanwhile.

Target: after each trial exactly one change of the pointer, the canary rolled back, the journal readable and every line
of the audit log as it was written. At rest under 1 % of a core; what memory it takes is told as well.

One real Prometheus, with the generated rules, on which a canary has failed; each trial has a pointer, a state and
controllers of its own. Before it is left alone, a controller is killed one to three times: at first within its first
looks, then, by chance, while it waits for the traffic to end.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests
from prometheus_client import CollectorRegistry, start_http_server

from makeweight_monitors import program
from makeweight_monitors.build import Build
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.audit import Head
from makeweight_monitors.rollback.journal import Journal
from makeweight_monitors.rules import generate, text
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer, Served

REPOSITORY = Path(__file__).resolve().parents[2]
STABLE = Served("digits", "baseline", "r1", "0" * 64, "a", 0.8, 0)
CANARY = Served("digits", "int8", "r2", "1" * 64, "b", 0.2, 0)
TARGET = "\ncanary: {traffic: 20 %, target: {kind: pointer, path: current.json}}\n"
COMMAND = [sys.executable, "-m", "makeweight_monitors", "rollback"]
PATIENCE = 240
"""Seconds for which a trial may last: much else runs on this machine."""
REST = 20.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    changes: int
    """Of the pointer, after the canary was let in."""
    stage: str
    lines: int | str
    """Of the audit log; or what is wrong with it."""
    kills: int

    @property
    def good(self) -> bool:
        return (self.changes, self.stage) == (1, "rolled_back") and isinstance(self.lines, int)


@contextlib.contextmanager
def bad_canary(folder: Path) -> Iterator[Client]:
    """A Prometheus on which a rollback is asked for."""
    registry = CollectorRegistry()
    arms = [
        Observer(
            "digits",
            one.revision,
            variant,
            classes=[str(number) for number in range(10)],
            weight=0.2,
            manifest=Build(one.variant, sha256=one.sha256),
            registry=registry,
        )
        for one, variant in ((STABLE, "stable"), (CANARY, "canary"))
    ]
    server, thread = start_http_server(0, "127.0.0.1", registry)
    rules = folder / "rules.yaml"
    terms = Terms("digits", drop=0.01, classes=10, interval=1)
    rules.write_text(text.render(generate.groups(terms), [], terms.runbooks))
    programs = throwaway.find()
    targets = {"models": [f"127.0.0.1:{server.server_port}"]}
    with throwaway.running(programs, folder / "prometheus", rules=[rules], targets=targets) as client:
        while not any(one["labels"].get("kind") == "rollback" and one["state"] == "firing" for one in client.alerts()):
            arms[0].record([[0.0] * 9 + [1.0]] * 8, [0.001] * 8)
            arms[1].record([[float("nan")] * 10] * 2, [0.001] * 2)
            time.sleep(0.2)
        yield client
    server.shutdown()
    server.server_close()
    thread.join()


def project(folder: Path) -> None:
    folder.mkdir()
    (folder / "makeweight.yaml").write_text((REPOSITORY / "makeweight.yaml").read_text() + TARGET)
    pointer.write(folder / "current.json", Pointer(STABLE, CANARY))


def began(folder: Path, client: Client, port: int) -> subprocess.Popen[bytes]:
    more = ["--project", str(folder), "--prometheus", client.url, "--every", "1s", "--environment", "environment="]
    with (folder / "log").open("ab") as said:
        return subprocess.Popen([*COMMAND, *more, "--port", str(port)], stdout=said, stderr=said)


def until(found: object, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def told(port: int) -> None:
    """The same alert, twice."""
    labels = {"kind": "rollback", "model": "digits", "sha256": CANARY.sha256, "alertname": "again"}
    for _ in range(2):
        with contextlib.suppress(requests.RequestException):
            requests.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=[{"labels": labels}], timeout=5)


def trial(folder: Path, client: Client, seed: int) -> Outcome:
    chance, port = random.Random(seed), program.free_port()  # noqa: S311
    project(folder)
    kills = chance.randint(1, 3)

    def ready() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=1).status_code == 200
        return False

    for number in range(kills):
        process = began(folder, client, port)
        until(ready, PATIENCE)
        told(port)
        time.sleep(chance.uniform(0, 0.4) if number == 0 or chance.random() < 0.5 else chance.uniform(0, 12))
        process.kill()
        process.wait()
    process = began(folder, client, port)
    until(ready, PATIENCE)
    told(port)
    state = folder / "monitoring" / "controller"
    journal = Journal(state)
    until(lambda: [case.stage for case in journal.cases()] == ["rolled_back"], PATIENCE)
    time.sleep(2)
    process.kill()
    process.wait()
    stages = [case.stage for case in journal.cases()]
    found = audit.verify(state / "audit.jsonl", journal.head())
    journal.close()
    lines = found.number if isinstance(found, Head) else f"line {found.line}: {found.what}"
    changes = pointer.load(folder / "current.json").epoch - 1
    return Outcome(changes, " ".join(stages), lines, kills)


def at_rest(folder: Path, client: Client) -> tuple[float, float]:
    """MB, and the share of a core, of a controller that looks every five seconds, after all is done."""
    project(folder)
    process = subprocess.Popen(
        [*COMMAND, "--project", str(folder), "--prometheus", client.url, "--environment", "environment=",
         "--port", str(program.free_port())], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: pointer.load(folder / "current.json").canary is None, PATIENCE)
    time.sleep(REST)

    def used() -> float:
        parts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / _TICK

    before = used()
    time.sleep(REST)
    share = (used() - before) / REST
    status = Path(f"/proc/{process.pid}/status").read_text()
    size = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    process.kill()
    process.wait()
    return size / 1000, share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, bad_canary(Path(temporary)) as client:
        folder = Path(temporary)
        with ThreadPoolExecutor(options.at_once) as threads:
            run = [
                threads.submit(trial, folder / str(number), client, options.seed + number)
                for number in range(options.trials)
            ]
            outcomes = [one.result() for one in run]
        size, share = at_rest(folder / "rest", client)
    table = collections.Counter((one.kills, one.changes, one.stage, isinstance(one.lines, int)) for one in outcomes)
    print("kills  changes  stage        audit log  trials")
    for (kills, changes, stage, whole), count in sorted(table.items()):
        print(f"{kills:5}  {changes:7}  {stage:11}  {'whole' if whole else 'BROKEN':9}  {count:6}")
    good = sum(one.good for one in outcomes)
    print(json.dumps({"trials": len(outcomes), "good": good, "rest_mb": round(size, 1), "rest_core": round(share, 4)}))
    for one in outcomes:
        if not one.good:
            print(one)
    return 0 if good == len(outcomes) and share < 0.01 else 1


if __name__ == "__main__":
    raise SystemExit(main())
