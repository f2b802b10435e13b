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
import functools
import json
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from stand import Stand, until

from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Served

PARTS = ("controller", "exporter", "prometheus", "server")
DISK = "full disk"
WITHIN = 8.0
"""Seconds after the canary was let in, in which faults come."""
TOGETHER = 5
"""Canaries that one Prometheus sees: it judges each for ten minutes after its end, and of many that takes long."""
FULL = 4096
"""Bytes that no file of a controller with a full disk may exceed: a pointer does not, a journal does."""


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


class Trials:
    """On a stand with one model."""

    def __init__(self, folder: Path, programs: throwaway.Programs, chance: random.Random) -> None:
        self.stand, self.chance, self.tried = Stand(folder, programs), chance, 0
        (self.model,) = self.stand.models

    def trial(self, number: int) -> Outcome:
        canary, stand, model = self.model.canary(number), self.stand, self.model
        self.tried += 1
        if self.tried % TOGETHER == 0:
            stand.forget()
        stand.describe([canary])
        stand.complete()
        epoch = model.let_in(canary)
        began = time.monotonic()
        refused: list[int] = []
        faults: list[str] = []
        moments = sorted(self.chance.uniform(0, WITHIN) for _ in range(self.chance.randint(1, 4)))
        for moment in moments:
            self.alerted(canary, functools.partial(passed, began + moment))
            faults.append(self.chance.choice((*PARTS, DISK)))
            if faults[-1] == DISK:
                refused += self.full_disk(canary)
            else:
                part = model.part if faults[-1] == "controller" else faults[-1]
                stand.parts[part].kill()
                time.sleep(self.chance.uniform(0, 1))
                stand.begin(part)
        self.alerted(canary, lambda: model.stages().get(canary.sha256) == "rolled_back")
        took = time.monotonic() - began
        changes, stage = pointer.load(model.file).epoch - epoch, model.stages().get(canary.sha256, "")
        return Outcome(tuple(faults), changes, stage, model.wrong(), tuple(refused), took)

    def alerted(self, canary: Served, found: Callable[[], object]) -> None:
        """The same alert over and over, until something is so."""

        def alerting() -> object:
            self.model.alert(canary)
            return found()

        until(alerting)

    def full_disk(self, canary: Served) -> Iterator[int]:
        """For some seconds, in which an alert is sent: the answers of the controller."""
        process = self.stand.parts[self.model.part].process
        assert process is not None
        limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FULL, limits[1]))
        try:
            yield self.model.alert(canary)
            with contextlib.suppress(requests.RequestException):
                yield requests.get(f"http://127.0.0.1:{self.model.port}/readyz", timeout=30).status_code
            time.sleep(self.chance.uniform(0, 3))
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


def passed(moment: float) -> bool:
    return time.monotonic() >= moment


def run(trials: Trials, numbers: Iterator[int], outcomes: list[Outcome], taking: threading.Lock) -> None:
    while True:
        with taking:
            number = next(numbers, None)
        if number is None:
            return
        outcome = trials.trial(number)
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
        stands = [Trials(Path(temporary, str(seed)), programs, random.Random(seed)) for seed in seeds]  # noqa: S311
        threads = [
            threading.Thread(target=run, args=(trials, numbers, outcomes, taking), daemon=True) for trials in stands
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for stand in stands:
                stand.stand.end()
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
