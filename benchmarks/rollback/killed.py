"""A bad canary while all around it dies: controller, exporter, Prometheus and model server are killed (SIGKILL) at
random moments of its rollback, and the disk of the controller is full for a while.

Target: after each trial exactly one change of the pointer took the canary's traffic, it is latched, the journal is
whole (SQLite's own check) and every line of the audit log is as it was written. While its disk is full, the controller
answers an alert by 503, and is not ready.

A stand is one of each, all real, on loopback. In each trial a new canary is let in, of which every answer fails; one to
four faults come within the first seconds, and the same alert is sent again and again. What was killed is begun anew.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import project
import requests

from makeweight_monitors import program
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.audit import Head
from makeweight_monitors.rollback.journal import Journal
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer, Served

STABLE = Served("digits", "baseline", "r0", "f" * 64, "a", 1.0, 0)
PARTS = ("controller", "exporter", "prometheus", "server")
DISK = "full disk"
PATIENCE = 300.0
"""Seconds for which a trial may last: much else may run on this machine."""
WITHIN = 8.0
"""Seconds after the canary was let in, in which faults come."""
TOGETHER = 5
"""Canaries that one Prometheus sees: it judges each for ten minutes after its end, and of many that takes long."""
FULL = 4096
"""Bytes that no file of a controller with a full disk may exceed: a pointer does not, a journal does."""


@dataclass
class Part:
    """A process that is begun as often as it is killed."""

    command: list[str]
    log: Path
    ready: str
    """Its address; empty: it is ready at once."""
    process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def is_ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise SystemExit(f"{self.command[:4]} ended by itself:\n{self.log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(requests.RequestException):
            return not self.ready or requests.get(self.ready, timeout=1).status_code == 200
        return False


@dataclass(frozen=True)
class Outcome:
    faults: tuple[str, ...]
    changes: int
    """Of the pointer, after the canary was let in."""
    stage: str
    log: str
    """What is wrong with the audit log, or with the journal; empty: nothing."""
    refused: tuple[int, ...]
    """How an alert, and whether it is ready, was answered while the disk was full; 0: not at all."""
    seconds: float

    @property
    def good(self) -> bool:
        answered = set(self.refused) <= {0, 503}
        return (self.changes, self.stage, self.log) == (1, "rolled_back", "") and answered


@dataclass
class Stand:
    folder: Path
    programs: throwaway.Programs
    chance: random.Random
    parts: dict[str, Part] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    tried: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.file, self.state = self.folder / "current.json", self.folder / "monitoring" / "controller"
        rules = project.write(self.folder, Pointer(STABLE), interval=1)
        for name in ("controller", "exporter", "prometheus"):
            self.ports[name] = program.free_port()
        url = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        config = self.folder / "prometheus.json"
        exporter, controller = ([f"127.0.0.1:{self.ports[name]}"] for name in ("exporter", "controller"))
        config.write_text(json.dumps(throwaway.configuration([rules], {"models": exporter}, controller, "1s", "1s")))
        commands = {
            "prometheus": (
                [str(self.programs.prometheus), f"--config.file={config}",
                 f"--storage.tsdb.path={self.folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}", "--log.level=error"], "/-/ready",
            ),
            "exporter": (
                [sys.executable, "-m", "makeweight_monitors", "exporter", "--models", str(self.folder / "models.yaml"),
                 "--port", str(self.ports["exporter"])], "/-/ready",
            ),
            "controller": (
                [*project.controller(self.folder, url["prometheus"], self.ports["controller"]), "--every", "1s"],
                "/healthz",
            ),
        }  # fmt: skip
        for name, (command, ready) in commands.items():
            self.parts[name] = Part(command, self.folder / f"{name}.log", url[name] + ready)
        server = [sys.executable, str(Path(__file__).with_name("server.py")), str(self.file), url["exporter"]]
        self.parts["server"] = Part(server, self.folder / "server.log", "")

    def describe(self, canary: Served) -> None:
        """To the exporter, which reads it when it begins."""
        manifests = {}
        for arm, one in (("stable", STABLE), ("canary", canary)):
            manifests[arm] = self.folder / f"{arm}.json"
            told = {"status": "ready", "variant": one.variant, "recipe": [], "weights": "int8", "size": 1}
            manifests[arm].write_text(json.dumps({**told, "runtime": "onnxruntime", "sha256": one.sha256}))
        model = {
            "revision": canary.revision,
            "classes": [str(number) for number in range(10)],
            "weight": canary.weight,
            "manifest": {arm: path.name for arm, path in manifests.items()},
        }
        (self.folder / "models.yaml").write_text(json.dumps({"models": {"digits": model}}))  # JSON is YAML

    def begin(self, name: str) -> None:
        self.parts[name].begin()
        until(self.parts[name].is_ready)

    def end(self) -> None:
        for part in self.parts.values():
            part.kill()

    def trial(self, number: int) -> Outcome:
        canary = Served("digits", "int8", f"r{number}", f"{number:064x}", "b", 0.2, 0)
        self.parts["exporter"].kill()
        self.describe(canary)
        self.tried += 1
        if self.tried % TOGETHER == 0:
            self.parts["prometheus"].kill()
            self.parts["prometheus"].process = None
            shutil.rmtree(self.folder / "data")
        for name in self.parts:
            if name == "exporter" or self.parts[name].process is None:
                self.begin(name)
        before = pointer.load(self.file)
        pointer.write(self.file, before.on_trial(canary))
        began, refused, faults = time.monotonic(), [], []
        moments = sorted(self.chance.uniform(0, WITHIN) for _ in range(self.chance.randint(1, 4)))
        for moment in moments:
            self.alerted(canary, lambda moment=moment: time.monotonic() - began >= moment)
            faults.append(self.chance.choice((*PARTS, DISK)))
            if faults[-1] == DISK:
                refused += self.full_disk(canary)
            else:
                self.parts[faults[-1]].kill()
                time.sleep(self.chance.uniform(0, 1))
                self.begin(faults[-1])
        journal = Journal(self.state)

        def stage() -> str:
            return next((case.stage for case in journal.cases() if case.canary.sha256 == canary.sha256), "")

        self.alerted(canary, lambda: stage() == "rolled_back")
        took = time.monotonic() - began
        found = audit.verify(self.state / "audit.jsonl", journal.head())
        wrong = "" if isinstance(found, Head) else f"line {found.line}: {found.what}"
        with contextlib.closing(sqlite3.connect(self.state / "journal.sqlite")) as base:
            ((whole,),) = base.execute("PRAGMA integrity_check").fetchall()
        outcome = Outcome(
            tuple(faults), pointer.load(self.file).epoch - before.epoch - 1, stage(),
            wrong or ("" if whole == "ok" else str(whole)), tuple(refused), took,
        )  # fmt: skip
        journal.close()
        return outcome

    def alerted(self, canary: Served, found: Callable[[], object]) -> None:
        """The same alert over and over, until something is so."""

        def alerting() -> object:
            self.alert(canary)
            return found()

        until(alerting)

    def alert(self, canary: Served) -> int:
        """How it is answered; 0: not at all."""
        labels = {"kind": "rollback", "model": "digits", "sha256": canary.sha256, "alertname": "again"}
        try:
            address = f"http://127.0.0.1:{self.ports['controller']}/api/v2/alerts"
            return requests.post(address, json=[{"labels": labels}], timeout=30).status_code
        except requests.RequestException:
            return 0

    def full_disk(self, canary: Served) -> Iterator[int]:
        """For some seconds, in which an alert is sent: the answers of the controller."""
        process = self.parts["controller"].process
        assert process is not None
        limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FULL, limits[1]))
        try:
            yield self.alert(canary)
            with contextlib.suppress(requests.RequestException):
                yield requests.get(f"http://127.0.0.1:{self.ports['controller']}/readyz", timeout=30).status_code
            time.sleep(self.chance.uniform(0, 3))
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


def until(found: Callable[[], object]) -> None:
    """Or until patience ends: then what is asked after that tells what is wrong."""
    end = time.monotonic() + PATIENCE
    while not found() and time.monotonic() < end:
        time.sleep(0.1)


def run(stand: Stand, numbers: Iterator[int], outcomes: list[Outcome], taking: threading.Lock) -> None:
    while True:
        with taking:
            number = next(numbers, None)
        if number is None:
            return
        outcome = stand.trial(number)
        print(number, outcome, file=sys.stderr, flush=True)
        outcomes.append(outcome)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    numbers, taking = iter(range(1, options.trials + 1)), threading.Lock()
    with tempfile.TemporaryDirectory() as temporary:
        seeds, programs = range(options.seed, options.seed + options.at_once), throwaway.find()
        stands = [Stand(Path(temporary, str(seed)), programs, random.Random(seed)) for seed in seeds]  # noqa: S311
        threads = [
            threading.Thread(target=run, args=(stand, numbers, outcomes, taking), daemon=True) for stand in stands
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for stand in stands:
                stand.end()
    print("what happened     times  in trials  good")
    happened = collections.Counter(fault for one in outcomes for fault in one.faults)
    for fault in (*PARTS, DISK):
        among = [one for one in outcomes if fault in one.faults]
        what = fault if fault == DISK else f"{fault} killed"
        print(f"{what:17} {happened[fault]:5}  {len(among):9}  {sum(one.good for one in among):4}")
    for one in outcomes:
        if not one.good:
            print(one)
    good = sum(one.good for one in outcomes)
    refused = collections.Counter(code for one in outcomes for code in one.refused)
    took = sorted(one.seconds for one in outcomes) or [0.0]
    print(json.dumps({"trials": len(outcomes), "good": good, "answers_of_a_full_disk": dict(refused),
                      "median_s": round(took[len(took) // 2], 1), "most_s": round(took[-1], 1)}))  # fmt: skip
    return 0 if good == len(outcomes) == options.trials else 1


if __name__ == "__main__":
    raise SystemExit(main())
