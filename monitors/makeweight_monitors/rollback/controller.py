"""The controller: looks, writes down what is decided, does it, and looks whether it is so. From one thread only.

The order is the point: first the journal has what is meant, then the target is told, then it is read back, then traffic
has to show it. A process that is killed anywhere in that is followed by one that goes on from the journal.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from makeweight_base.errors import EnvironmentFailed, MakeweightError
from makeweight_monitors.metrics import Blindness
from makeweight_monitors.rollback import machine
from makeweight_monitors.rollback.audit import Unwritable
from makeweight_monitors.rollback.case import Canary, Case, Deed
from makeweight_monitors.rollback.journal import Hold, Journal
from makeweight_monitors.rollback.leases.lease import Lease
from makeweight_monitors.rollback.logs import TOLD, stamp
from makeweight_monitors.rollback.looking import Looking
from makeweight_monitors.rollback.machine import Action, Did, Event, Looked, Ordered, WentWrong
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rollback.seen import Placement, Seen
from makeweight_monitors.rollback.targets.target import Moved, Rehearsing, Target

_log = logging.getLogger("makeweight_monitors")


@dataclass(frozen=True)
class Health:
    """How the last look went."""

    time: float = 0.0
    """Unix time of the last look that saw something; 0: there was none yet."""
    leads: bool = False
    trouble: str = ""
    """What keeps it from looking or acting; empty: nothing."""
    blind: str = ""
    """Why nothing is known of the canary that serves, else of one whose rollback is not over; empty: something is, or
    there is none."""
    blindness: Blindness | None = None
    """Of which kind either is."""


class Controller:
    """One model in one environment, and its target.

    Args:
        dry: whether only to say what would be done.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        target: Target,
        looking: Looking,
        journal: Journal,
        lease: Lease,
        policy: Policy,
        clock: Callable[[], float],
        dry: bool = False,
    ) -> None:
        self.target, self.looking, self.journal, self.lease = target, looking, journal, lease
        self.policy, self.clock, self.dry = policy, clock, dry
        self.health = Health()
        self._told = ""
        """The last trouble that stands in the audit log."""
        self.actions: Counter[tuple[str, str]] = Counter()
        """What the target was told or asked, and what came of it, as in metrics.CONTROLLER_ACTIONS."""
        self._said: dict[Canary, str] = {}
        """In a dry run, what was said last."""
        self._mute_since: float | None = None
        """Since when nothing can be written down."""
        self._owed: tuple[Case | None, str] | None = None
        """A rollback that could not be written down."""

    def tick(self) -> Health:
        """Look, and do what is called for. Raises nothing that a machine may bring about: `health` has it."""
        try:
            if not self._leads():
                self.health = Health(self.clock())
                return self.health
            self.health = replace(self.health, leads=True)
            self.journal.flush()
            self.journal.note(looked=self.clock())  # that it can be written shows before it has to be
            self._note_owed()
            self._look()
            self._mute_since = None
        except Unwritable as error:
            self._trouble(str(error), "journal")
            self._mute()
        except MakeweightError as error:
            self._trouble(str(error), "target")
        finally:
            if self.dry:  # one that acts may begin at any time, and would stand by for ever
                self.lease.give_back()
        return self.health

    def order(self, order: str, who: str, reason: str, nonce: tuple[str, float]) -> str | None:
        """A person's `rollback`, `hold` or `resume`: what came of it; None: this very order came before.

        Raises:
            EnvironmentFailed: it could not be taken, and may be sent again.
        """
        now = self.clock()
        if not self.lease.take():
            raise EnvironmentFailed("another controller leads; nothing was done here")
        placement, there = Placement(0.0), list[Canary]()
        if order == "rollback":
            placement, there = self._placed()
            there = there or (self._last() if placement.share > 0 else [])
        line = self._line("order", f"{who} asks for {order} ({reason})", there[0] if there else None)
        facts: dict[str, Any] = {}
        if order == "hold":
            facts = {"hold": asdict(Hold(who, reason, now)), "hold_changed": now}
        if order == "resume":
            facts = {"hold": None, "hold_changed": now}
        if not self.journal.note(line, nonce=nonce, now=now, **facts):
            return None
        self.lease.take()  # so that the next to lead knows of it
        if order == "hold":
            return f"held: no canary goes further until `resume`; what asks for a rollback still gets it ({reason})"
        if order == "resume":
            return "resumed"
        if not there and placement.share > 0:
            raise EnvironmentFailed(
                f"the target gives {placement.share:.0%} of the traffic to a canary, and nothing tells which that is",
                where="canary.target",
                do="Take it away there.",
            )
        if not there:
            return "no canary gets any traffic: there is nothing to roll back"
        said = []
        for canary in there:
            case = self.journal.case(canary) or self._found(canary, placement)
            said.append(self._advance(case, Ordered(Seen(now, _of(placement, canary)), who, reason)))
        return "; ".join(said)

    def status(self) -> dict[str, Any]:
        """What is known and meant, as plain data."""
        hold = self.journal.hold()
        return {
            "model": self.looking.model,
            "scope": dict(self.looking.scope),
            "dry_run": self.dry,
            "health": asdict(self.health),
            "hold": None if hold is None else asdict(hold),
            "audit": asdict(self.journal.head()),
            "canaries": [asdict(case) for case in self.journal.cases()],
        }

    def _leads(self) -> bool:
        """Whether the lease is ours; where that cannot be told it is not."""
        try:
            return self.lease.take()
        except MakeweightError:
            self.health = replace(self.health, leads=False)
            raise

    def _look(self) -> None:
        placement, there = self._placed()
        if len(there) > 1 and placement.share > 0:
            raise EnvironmentFailed(
                f"which canary gets {placement.share:.0%} of the traffic cannot be told: processes of "
                f"{' and of '.join(map(str, there))} are scraped, and answer",
                where="canary.target",
                do="End those of the one that is not meant.",
            )
        current = there[0] if len(there) == 1 else None
        placement = _of(placement, current)
        known: Seen | None = None
        for case in self._open(placement, current):
            if case.canary == current or case.deed is not None:
                seen = self.looking.look(case.canary, placement, self.clock())
                known = known or seen  # of the one that serves, which comes first
            else:
                seen = Seen(self.clock(), placement)
            hold = self.journal.hold()
            told = replace(seen, held="" if hold is None else str(hold), last_rollback=self.journal.last_rollback())
            self._advance(case, Looked(told))
        health = Health(self.clock(), True)
        self.health = health if known is None else replace(health, blind=known.blind, blindness=known.blindness)
        if self._told:
            self._told = ""
            self.journal.note(self._line("trouble", "it is over"))

    def _placed(self) -> tuple[Placement, list[Canary]]:
        """Who gets the traffic, and which canary is part of that: several where that cannot be told."""
        try:
            placement = self.target.get()
        except MakeweightError:
            raise
        except Exception as error:
            raise EnvironmentFailed(_strange(error), where="canary.target") from error
        if placement.model not in ("", self.looking.model):
            raise EnvironmentFailed(
                f"the target serves `{placement.model}`, and `{self.looking.model}` is declared", where="canary.target"
            )
        if placement.sha256 is None:
            return placement, self._recognized(placement.share)
        if not placement.sha256:
            return placement, []
        scope = self.looking.scope.get("environment", "")
        canary = Canary(scope, self.looking.model, placement.sha256, placement.attempt or "", placement.revision)
        return placement, [canary]

    def _recognized(self, share: float) -> list[Canary]:
        """Of a target that knows no files: the canary whose processes are scraped."""
        try:
            there = self.looking.serving()
        except MakeweightError:
            return self._last()  # unseen, it is still the one that was there
        if share <= 0:
            return there
        # what was begun is about the share that the target tells, no matter which others are scraped, or none
        begun = [case for case in self._known() if case.deed and case.deed.phase in ("begun", "acted")]
        if len(there) == 1:  # a step ends with its canary; a rollback does not by another's being there alone
            begun = [case for case in begun if case.stage != "observing"]
        latched = [case.canary for case in self._known() if case.latched]
        return [case.canary for case in begun[:1]] or [one for one in there if one not in latched] or there

    def _last(self) -> list[Canary]:
        """The canary that had traffic last, of those that are with nobody yet; none, if there is none."""
        opened = [case for case in self._known() if not case.latched]
        return [case.canary for case in sorted(opened, key=lambda case: (case.share > 0, case.since))][-1:]

    def _known(self) -> list[Case]:
        """The cases, as far as the journal can still be read: what silence means holds where it cannot, too."""
        try:
            return self.journal.cases()
        except Unwritable:
            return []

    def _open(self, placement: Placement, current: Canary | None) -> list[Case]:
        """The cases that may come to something, that of the canary which serves first, which may be a new one."""
        known = {case.canary: case for case in self.journal.cases()}
        if current is not None and current not in known:
            known[current] = self._found(current, placement)
        opened = [case for case in known.values() if not case.latched or case.canary == current]
        return sorted(opened, key=lambda case: case.canary != current)

    def _found(self, canary: Canary, placement: Placement) -> Case:
        case = Case(canary, share=placement.share, since=self.clock())
        line = self._line("observed", f"watches {canary}, which has {placement.share:.1%} of the traffic", canary)
        self.journal.note(line, case=case)
        return case

    def _advance(self, case: Case, first: Looked | Ordered) -> str:
        """One event, and what it leads to, until nothing more is to be done now: what came of it, in a sentence."""
        event: Event = first
        while True:
            step = machine.step(case, event, self.policy)
            if self.dry and step.action != "nothing":
                self._would(step, first.seen.placement)
                return f"a dry run, nothing is done: {step.case.why}"
            self._note(case, step)
            case = step.case
            if step.action == "nothing":
                return case.why
            try:
                told = self._do(case, step.action, first.seen)
                event, outcome = Did(self.clock(), told or ""), "done"
            except Moved as error:
                self.actions[step.action, "moved"] += 1
                _log.warning("%s: %s; looks again", case.canary, error)
                return f"{case.why}; not done yet: {error.what}"
            except MakeweightError as error:
                event, outcome = WentWrong(self.clock(), str(error)), "failed"
            except Exception as error:  # noqa: BLE001 - a target may be a stranger's
                event, outcome = WentWrong(self.clock(), _strange(error)), "failed"
            self.actions[step.action, outcome] += 1

    def _do(self, case: Case, action: Action, seen: Seen) -> str | None:
        """What else came of it, as a clause."""
        deed = case.deed
        if deed is None:
            return None
        if not self.lease.take():
            raise Moved("another controller has the lease by now")
        if action == "set":
            self.target.set(seen.placement, deed.share)
        elif action == "verify":
            self.target.verify(deed.share)
        else:
            return self.target.finalize(case.canary, deed.kind == "promote", deed.why)
        return None

    def _note(self, before: Case, step: machine.Step) -> None:
        if step.case == before and not step.sentence:
            return
        line = None
        if step.sentence:
            line = self._line("decision", step.sentence, step.case.canary, step)
            _log.warning("%s", step.sentence, extra={TOLD: line})
        deed = step.case.deed
        in_force = deed is not None and deed.kind == "rollback" and deed.phase == "read_back"
        facts: dict[str, Any] = {"last_rollback": self.clock()} if in_force and before.deed != deed else {}
        self.journal.note(line, case=step.case, **facts)

    def _would(self, step: machine.Step, placement: Placement) -> None:
        topic = step.case.topic
        if self._said.get(step.case.canary) != topic:
            self._said[step.case.canary] = topic
            said = step.case.why + self._rehearsed(step, placement)
            self.journal.note(self._line("dry run", said, step.case.canary, step))
            _log.warning("dry run: %s", said)

    def _rehearsed(self, step: machine.Step, placement: Placement) -> str:
        """What the target says to that, if it can be asked."""
        if step.case.deed is None or not isinstance(self.target, Rehearsing):
            return ""
        try:
            self.target.rehearse(placement, step.case.deed.share)
        except MakeweightError as error:
            return f"; the target would not take it: {error}"
        return "; the target would take it"

    def _trouble(self, what: str, kind: Blindness) -> None:
        self.health = replace(self.health, trouble=what, blindness=kind)
        if what == self._told:
            return
        self._told = what
        _log.error("%s", what, extra={TOLD: {"event": "trouble", "kind": kind}})
        try:
            self.journal.note(self._line("trouble", what))
        except MakeweightError as error:
            _log.error("%s", error)

    def _mute(self) -> None:
        """Nothing can be written down, so nothing is decided: what is declared for silence holds of that as well."""
        now, policy = self.clock(), self.policy
        self._mute_since = now if self._mute_since is None else min(self._mute_since, now)
        for_ = now - self._mute_since
        if self.dry or policy.on("journal") != "rollback" or for_ < policy.silence_for:
            return
        try:
            placement, there = self._placed()
            canary = there[0] if len(there) == 1 else None
            if placement.share <= 0 or (canary is not None and self._latched(canary)) or not self.lease.take():
                return
            self.target.set(placement, 0.0)
            self.target.verify(0.0)
        except Exception as error:  # noqa: BLE001 - a target may be a stranger's; the next look tries again
            _log.error("%s", error)
            return
        said = (
            f"rolls {canary or 'the canary'} back from {placement.share:.0%}: what is decided could not be written "
            f"down for {for_:.0f} s, and the declared policy for silence is rollback after {policy.silence_for:.0f} s"
        )
        _log.error("%s", said)
        case = None
        if canary is not None:
            case = Case(
                canary,
                "rolling_back",
                since=now,
                deed=Deed("rollback", 0.0, now, why=said),
                why=said,
                topic="silence",
                configured=placement.configured,
            )
        self._owed = (case, said)

    def _latched(self, canary: Canary) -> bool:
        """Whether it is with a person, as far as the journal can still be read."""
        try:
            case = self.journal.case(canary)
        except Unwritable:
            return False
        return case is not None and case.latched

    def _note_owed(self) -> None:
        if self._owed is None:
            return
        case, said = self._owed
        line = self._line("decision", said, None if case is None else case.canary)
        self.journal.note(line, case=case, last_rollback=self.clock())
        self._owed = None

    def _line(
        self, event: str, sentence: str, canary: Canary | None = None, step: machine.Step | None = None
    ) -> Mapping[str, Any]:
        """Of the audit log."""
        line: dict[str, Any] = {"time": stamp(self.clock()), "event": event, "sentence": sentence}
        if canary is not None:
            line |= asdict(canary) | {"graph": self.looking.graph(canary)}
        if step is not None:
            line |= {"stage": step.case.stage, "action": step.action}
            if step.case.deed is not None:
                line["share"] = step.case.deed.share
        return line


def _of(placement: Placement, canary: Canary | None) -> Placement:
    """With the canary that is there, where the target does not know files."""
    if placement.sha256 is not None:
        return placement
    file, attempt = ("", "") if canary is None else (canary.sha256, canary.attempt)
    return replace(placement, sha256=file, attempt=attempt)


def _strange(error: Exception) -> str:
    """What a target did that it should not: a stranger's may."""
    return f"the target itself failed: {type(error).__name__}: {error}"
