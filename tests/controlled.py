"""A controller with a pointer's file as its target, and a Prometheus that is made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.prometheus.queries import Client, Group, Sample
from makeweight_monitors.rollback.controller import Controller
from makeweight_monitors.rollback.journal import Journal
from makeweight_monitors.rollback.leases.file import FileLease
from makeweight_monitors.rollback.looking import Looking
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rollback.targets.pointer import PointerOptions, PointerTarget
from makeweight_monitors.rules import names
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer, Served

STABLE = Served("digits", "baseline", "r1", "0" * 64, "a", 0.95, 0)
CANARY = Served("digits", "int8", "r2", "a" * 64, "b", 0.05, 1)
LABELS = {
    "alertname": names.ACCURACY_DROP_PAIRED,
    "kind": "rollback",
    "model": "digits",
    "environment": "prod",
    "revision": "r2",
    "attempt": "1",
    "sha256": CANARY.sha256,
    "test": "paired",
    "variant": "canary",
}
POLICY = Policy(step_for=100.0, cooldown=500.0, silence_for=60.0, settle=10.0, confirm_within=100.0)


@dataclass
class Told(Client):
    """A Prometheus: what it answers to a question in which such a text stands; others, and None, have no answer."""

    time: float = 1000.0
    answers: dict[str, float | None] = field(default_factory=dict)
    firing: list[dict[str, Any]] = field(default_factory=list)
    down: str = ""
    late: float = 0.0
    """Seconds since the tests were evaluated; the watchdog's group is on time."""
    failing: str = ""
    """Why the test cannot be evaluated; empty: it can."""
    beat: float = 15.0
    """Seconds between two evaluations of the watchdog."""
    url: str = "http://prometheus:9090"

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        if self.down:
            raise EnvironmentFailed(self.down)
        known: dict[str, float | None] = {"vector(time())": self.time, names.WATCHDOG: 1.0, "min(timestamp": self.time}
        known |= {names.TOLERATED_DROP: 0.01} | self.answers
        found = [value for text, value in known.items() if text in expression and value is not None]
        return [Sample({}, found[0], self.time)] if found else []

    def numbers(self, expressions: Mapping[str, str]) -> dict[str, float]:
        # these read much that other texts stand for: they are answered by their name alone
        asked = {name: text for name, text in expressions.items() if not name.startswith("unjudged")}
        told = {name: self.answers[name] for name in expressions if name in self.answers}
        found = {name: found[0].value for name, text in asked.items() if (found := self.query(text))}
        return found | {name: value for name, value in told.items() if value is not None}

    def alerting(self) -> list[Group]:
        query = 'makeweight:evalue{model="digits"} > 5000'
        failing = ((query, self.failing),) if self.failing else ()
        told = {"alertname": names.WATCHDOG, "model": "digits", "kind": "evidence"}
        watchdog = {"labels": told, "state": "firing", "value": "1", "activeAt": "2030-01-01T00:00:00.1Z"}
        now, late = self.answers.get("vector(time())") or self.time, self.answers.get(names.WATCHDOG) or 1.0
        return [
            Group("makeweight-watchdog", self.beat, now - late, ("vector(1)",), (watchdog,)),
            Group("makeweight-rollback", 15.0, now - self.late, (query,), tuple(self.firing), failing),
        ]

    def asks(self, **labels: str) -> None:
        """An alert fires."""
        said = {"labels": LABELS | labels, "state": "firing", "value": "5e3", "activeAt": "2030-01-01T00:00:00.1Z"}
        self.firing.append(said)


class Controlled:
    """One that is ticked by hand; a pointer with the canary at 5 %."""

    def __init__(self, folder: Path, policy: Policy = POLICY, environment: str = "prod", **given: Any) -> None:
        self.folder, self.policy, self.environment, self.given = folder, policy, environment, given
        self.file = folder / "current.json"
        if not self.file.exists():
            pointer.write(self.file, Pointer(STABLE, CANARY))
        self.prometheus = Told()
        self.target = PointerTarget(PointerOptions(path="current.json"), folder)
        self.begin()

    def begin(self) -> None:
        """A new process."""
        looking = Looking(self.prometheus, "digits", {"environment": self.environment})
        self.journal, self.lease = Journal(self.folder / "state"), FileLease(self.folder / "state" / "lease")
        self.controller = Controller(
            self.target, looking, self.journal, self.lease, self.policy, lambda: self.prometheus.time, **self.given
        )

    def tick(self, later: float = 0.0) -> None:
        self.prometheus.time += later
        self.controller.tick()

    def end(self) -> None:
        """What is written down stays."""
        self.lease.give_back()
        self.journal.close()

    @property
    def share(self) -> float:
        canary = pointer.load(self.file).canary
        return 0.0 if canary is None else canary.weight

    @property
    def epoch(self) -> int:
        """How often the pointer was written."""
        return pointer.load(self.file).epoch

    @property
    def stages(self) -> list[str]:
        return [case.stage for case in self.journal.cases()]

    def lines(self, event: str = "decision") -> list[str]:
        """Sentences of the audit log."""
        lines = [json.loads(line) for line in self.journal.log.read_text().splitlines()]
        return [line["sentence"] for line in lines if line["event"] == event]
