"""Whether a canary may have more of the traffic: what speaks against it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.guards import GUARDS
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rollback.seen import Seen
from makeweight_monitors.rules import names

OF_THE_BUDGET = frozenset(
    {
        names.ACCURACY_BELOW_STABLE,
        names.ACCURACY_BURN,
        names.FLIPS_BURN,
        names.LATENCY_BURN,
        names.LATENCY_ABOVE_STABLE,
    }
)
"""Alerts that say that a limit is broken, though they may be of the kind `evidence`."""


@dataclass(frozen=True)
class Objection:
    """One reason not to go on."""

    what: str
    """The same as long as it is this reason, whatever its numbers."""
    sentence: str


def against(canary: Canary, seen: Seen, policy: Policy) -> Iterator[Objection]:
    """Every reason not to go on; none: nothing speaks against it, and something for it."""
    if seen.held:
        yield Objection("held", f"held by {seen.held}")
    # by a clock that went back it is still to come; years ahead, it would never be over
    if seen.last_rollback is not None and abs(seen.time - seen.last_rollback) < policy.cooldown:
        ago = seen.time - seen.last_rollback
        yield Objection("cooldown", f"the last rollback is {ago:.0f} s ago, and the cooldown {policy.cooldown:.0f} s")
    if seen.breakers:
        said = f"in {seen.breakers} of its processes the breaker is open, and its requests go to the original"
        yield Objection("breaker", said)
    for one in seen.alerting:
        another = one.of_another(canary.sha256, canary.attempt)
        concerns = one.of(canary) if one.sha256 else one.variant in ("", "canary")
        if one.kind == "rollback" and one.of(canary):
            yield Objection(one.name, f"{one.name} is {'firing' if one.firing else 'pending'}")
        elif one.name == names.CONTROLLER_GONE:
            continue  # the one that asks is there, though nobody may scrape it
        elif one.firing and (
            (one.name in GUARDS and not another) or (concerns and (one.kind == "alarm" or one.name in OF_THE_BUDGET))
        ):
            yield Objection(one.name, f"{one.name} is firing")
    if not seen.certified:
        if seen.drop_high is None:
            said = "there is no data: no label tells how far accuracy dropped, nor does agreement tell that it did not"
            yield Objection("no data", said)
        elif seen.tolerated is None:
            yield Objection("no limit", "the budget states no tolerated drop")
        elif not seen.drop_high <= seen.tolerated:
            said = f"the drop may be as large as {seen.drop_high:.2%}, and {seen.tolerated:.2%} is tolerated"
            yield Objection("drop", said)


def ground(seen: Seen) -> str:
    """What speaks for it."""
    if seen.certified:
        return "the two disagree on so few requests that the drop is within what is tolerated, whichever is right"
    return f"the drop is at most {seen.drop_high:.2%} (99 % interval), and {seen.tolerated:.2%} is tolerated"
