"""A canary on trial: what a look at it sees, and a target that counts how often the canary's traffic was taken away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from makeweight_monitors.rollback import machine
from makeweight_monitors.rollback.case import Answered, Canary, Case
from makeweight_monitors.rollback.machine import Did, Looked, WentWrong
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rollback.seen import Alerting, Placement, Seen
from makeweight_monitors.rules import names

CANARY = Canary("prod", "digits", "a" * 64, "1", "r2")
POLICY = Policy(step_for=100.0, cooldown=500.0, silence_for=60.0, settle=10.0, confirm_within=100.0)
OBSERVED = Case(CANARY, share=0.05)
ASKS = Alerting(
    names.ACCURACY_DROP_PAIRED,
    "rollback",
    True,
    value=5120.0,
    since="2030-01-01T12:00:00Z",
    test="paired",
    variant="canary",
    sha256=CANARY.sha256,
    attempt=CANARY.attempt,
)


def alert(name: str, kind: str = "alarm", **said: Any) -> Alerting:
    return Alerting(name, kind, said.pop("firing", True), **said)


def seen(time: float, share: float = 0.05, *alerting: Alerting, **said: Any) -> Seen:
    """A look at which labels show a drop of at most 0.2 %, and 1 % is tolerated."""
    said.setdefault("placement", Placement(share, CANARY.sha256 if share else "", CANARY.attempt if share else ""))
    told: dict[str, Any] = {"drop_high": 0.002, "tolerated": 0.01, "answered": Answered(time, 10 * time), **said}
    return Seen(time, alerting=alerting, lines={"paired": 5000.0}, **told)


@dataclass
class World:
    """A target with the canary on it, and the machine that is told of it; `case` is what is written down."""

    case: Case = OBSERVED
    policy: Policy = POLICY
    time: float = 1000.0
    share: float = 0.05
    answered: Answered = field(default_factory=lambda: Answered(1000.0, 500.0))
    taken_away: int = 0
    """How often the canary had traffic, and was set to none."""
    finalized: list[str] = field(default_factory=list)
    refuses: bool = False
    dies_after: int | None = None
    """So many more things are done, then the process is gone: nothing after that is written down."""

    def look(self, *alerting: Alerting, later: float = 20.0, **said: Any) -> None:
        """A look, and all that is decided and done because of it."""
        self.time += later
        if self.share:
            self.answered = Answered(self.time, self.answered.count + later)
        self.answered = replace(self.answered, time=self.time)
        self._go(Looked(seen(self.time, self.share, *alerting, **{"answered": self.answered, **said})))

    def order(self, who: str = "Ada") -> None:
        self._go(machine.Ordered(seen(self.time, self.share), who, "odd answers"))

    def _go(self, event: machine.Event) -> None:
        while True:
            step = machine.step(self.case, event, self.policy)
            if self._dies():
                return
            self.case = step.case
            if step.action == "nothing" or step.case.deed is None or self._dies():
                return
            event = self._do(step.action, step.case.deed.kind, step.case.deed.share)

    def _do(self, action: str, kind: str, share: float) -> machine.Event:
        if self.refuses:
            return WentWrong(self.time, "it refuses")
        if action == "set":
            self.taken_away += self.share > 0 and share == 0
            self.share = share
        if action == "verify" and self.share != share:
            return WentWrong(self.time, f"the share is {self.share}")
        if action == "finalize":
            self.finalized.append(kind)
        return Did(self.time)

    def _dies(self) -> bool:
        if self.dies_after is None:
            return False
        self.dies_after -= 1
        return self.dies_after < 0
