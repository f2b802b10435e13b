"""The decision: from a canary's case and what happened to its case after that, and what is to be done. Pure.

What is to be done is done only after the case is written down, and what came of it is the next event. So whatever is
begun can be taken up again from the case alone. An alert that is sent here is no event: it is a reason to look, and the
look decides. So it makes no difference how often an alert comes, in what order, or from whom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from makeweight_monitors.metrics import ROUNDED
from makeweight_monitors.rollback import guards, promotion
from makeweight_monitors.rollback.case import Case, Deed, Kind, Phase, Stage
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rollback.seen import Alerting, Seen


@dataclass(frozen=True)
class Looked:
    """Prometheus and the target were asked."""

    seen: Seen


@dataclass(frozen=True)
class Ordered:
    """A person asked for a rollback."""

    seen: Seen
    who: str
    reason: str


@dataclass(frozen=True)
class Did:
    """What was to be done was done."""

    time: float
    told: str = ""
    """What else the target did for it, as a clause; empty: nothing."""


@dataclass(frozen=True)
class WentWrong:
    """It was not: the target refused, or says something else than it was told."""

    time: float
    why: str


Event = Looked | Ordered | Did | WentWrong
Action = Literal["nothing", "set", "verify", "finalize"]
"""Of the case's deed: set the share, ask whether it is so, tell the target that it is over."""


@dataclass(frozen=True)
class Step:
    """What an event comes to."""

    case: Case
    action: Action = "nothing"
    sentence: str = ""
    """What was decided, and why, with its numbers; empty: nothing that was not known before."""
    topic: str = ""
    """What it is about: as long as that stays the same nothing is said again, though its numbers move; empty: the
    sentence itself."""


def step(case: Case, event: Event, policy: Policy) -> Step:
    """The next state of a canary."""
    match event:
        case Looked(seen):
            taken = _looked(case, seen, policy)
        case Ordered(seen, who, reason):
            taken = _ordered(case, seen, who, reason)
        case Did(time, told):
            taken = _did(case, time, f"; {told}" if told else "")
        case WentWrong(time, why):
            taken = _went_wrong(case, time, why, policy)
    topic = taken.topic or taken.sentence
    if not topic or topic == case.topic:
        return replace(taken, sentence="")
    return replace(taken, case=replace(taken.case, why=taken.sentence, topic=topic))


def _looked(case: Case, seen: Seen, policy: Policy) -> Step:
    case = case.not_after(seen.time)
    blind_since = None if not seen.blind else case.blind_since if case.blind_since is not None else seen.time
    case = replace(case, blind_since=blind_since)
    if case.latched:
        return _latched(case, seen)
    deed = case.deed
    if deed is not None and deed.kind == "rollback":
        return _go_on(case, deed, seen, policy)
    if not seen.placement.holds(case.canary):
        return _gone(case, seen, policy)
    if seen.blind:
        if deed is not None and deed.phase == "confirmed":
            return _go_on(case, deed, seen, policy)
        return _blind(case, seen, policy)
    asking = [one for one in seen.alerting if one.kind == "rollback" and one.firing and one.of(case.canary)]
    disbelieved = ""
    for one in asking:
        off = sorted({guard.name for guard in guards.disbelieved(one, seen.alerting)})
        if off:
            but = f"is not believed while {' and '.join(off)} is firing"
        elif guards.early(one, seen.scraped_every):
            but = "may show of stable with its next scrape"
        else:
            return _begin(case, seen, "rollback", 0.0, _rollback_sentence(case, one, seen))
        disbelieved = f"{case.canary}: {one.name} asks for a rollback, and {but}"
    if deed is not None:
        return _further(case, deed, seen, policy)
    if disbelieved:
        return Step(replace(case, good_since=None), sentence=disbelieved)
    return _onward(case, seen, policy)


def _gone(case: Case, seen: Seen, policy: Policy) -> Step:
    """The target does not have the canary any more: as stable, or not at all."""
    deed, stable = case.deed, seen.placement.made_stable(case.canary)
    if deed is not None and deed.phase == "confirmed" and (stable or not seen.placement.stable):
        return _go_on(case, deed, seen, policy)  # that it is over may have to be told elsewhere too
    if stable:
        return _promoted(replace(case, share=1.0, good_since=None), seen.time)
    gone = replace(case, share=0.0, deed=None, good_since=None)
    return Step(gone, sentence=f"{case.canary} does not serve any more")


def _latched(case: Case, seen: Seen) -> Step:
    if case.stage != "rolled_back" or not seen.placement.serves(case.canary):
        return Step(case)
    let_in = _let_in_again(case)
    if case.topic != let_in and _began_anew(case, seen):
        if seen.answered is None and not seen.blind:
            return Step(case)  # no process of it is scraped: what gets the traffic may be another in its place
        return _begin(case, seen, "rollback", 0.0, _back_by_itself(case, seen))
    return Step(case, sentence=let_in)


def _began_anew(case: Case, seen: Seen) -> bool:
    """Whether what the target was told is forgotten, since it began after that, with the share that it is configured to
    give as it was then: who lets the canary in by another configuration is somebody."""
    stands = seen.placement
    return stands.began is not None and stands.began > case.since and stands.configured == case.configured


def _back_by_itself(case: Case, seen: Seen) -> str:
    return (
        f"rolls {case.canary} back from {seen.placement.share:.0%} once more: what moves the traffic began anew, with "
        "the shares that it is configured to have, and nobody asked for that"
    )


def _let_in_again(case: Case) -> str:
    return f"{case.canary} was rolled back, and somebody let it in again: that is left to them; a new attempt is judged"


def _blind(case: Case, seen: Seen, policy: Policy) -> Step:
    for_ = seen.time - (seen.time if case.blind_since is None else case.blind_since)
    case = replace(case, good_since=None)
    if policy.on(seen.blindness) == "rollback" and for_ >= policy.silence_for and seen.placement.serves(case.canary):
        said = (
            f"rolls {case.canary} back from {seen.placement.share:.0%}: nothing has been known of it for {for_:.0f} s "
            f"({seen.blind}), and the declared policy for silence is rollback after {policy.silence_for:.0f} s"
        )
        return _begin(case, seen, "rollback", 0.0, said)
    said = f"holds {case.canary} at {seen.placement.share:.0%}: nothing is known ({seen.blind})"
    return Step(case, sentence=said, topic="blind")


def _onward(case: Case, seen: Seen, policy: Policy) -> Step:
    """Whether it goes further."""
    share = seen.placement.share
    if abs(share - case.share) > ROUNDED:
        said = f"{case.canary} has {share:.0%} of the traffic, set by somebody else; it was {case.share:.0%}"
        return Step(replace(case, share=share, since=seen.time, good_since=None), sentence=said)
    if not policy.steps or share <= 0:
        return Step(replace(case, good_since=None))
    objections = list(promotion.against(case.canary, seen, policy))
    if objections:
        said = f"holds {case.canary} at {share:.0%}: {'; '.join(one.sentence for one in objections)}"
        topic = f"holds at {share}: {' '.join(one.what for one in objections)}"
        return Step(replace(case, good_since=None), sentence=said, topic=topic)
    case, good_since = _good(case, seen.time, policy)
    if seen.time - good_since < policy.step_for:
        return Step(
            case, sentence=f"{case.canary} does well at {share:.0%}; more after {policy.step_for:.0f} s of that"
        )
    further = policy.next_step(share)
    if further is None:
        return Step(case, sentence=f"{case.canary} does well at {share:.0%}, the last step that is declared")
    ground = f"every look of {seen.time - good_since:.0f} s found it good enough: {promotion.ground(seen)}"
    if further >= 1:
        return _begin(case, seen, "promote", 1.0, f"promotes {case.canary}, which has {share:.0%}: {ground}")
    return _begin(case, seen, "step", further, f"gives {case.canary} {further:.0%} after {share:.0%}: {ground}")


def _good(case: Case, time: float, policy: Policy) -> tuple[Case, float]:
    """Found good enough once more, and since when. Where nobody looked for a while, since the controller or its machine
    stood still, or where the clock went back, it is not known to have been so all the time."""
    since = case.good_since
    if since is not None:
        last = since if case.good_at is None else case.good_at
        if 0 <= time - last <= policy.gap:
            # not at each look: what differs is written down, and handed to other controllers
            return (replace(case, good_at=time) if time - last > policy.gap / 3 else case), since
    return replace(case, good_since=time, good_at=time), time


def _further(case: Case, deed: Deed, seen: Seen, policy: Policy) -> Step:
    """With a step, or a promotion, that was begun: it is given up where something speaks against it before it is done,
    since what it was decided on may be long ago.
    """
    share = seen.placement.share
    if deed.phase != "confirmed" and abs(share - deed.share) > ROUNDED:
        if not case.share - ROUNDED <= share <= deed.share + ROUNDED:
            said = f"{case.canary} has {share:.0%} of the traffic, set by somebody else"
            said += f"; it was to have {deed.share:.0%}"
            return Step(replace(case, share=share, since=seen.time, deed=None), sentence=said)
        objections = list(promotion.against(case.canary, seen, policy))
        if objections:
            said = f"does not give {case.canary} {deed.share:.0%} after all: "
            return Step(replace(case, deed=None), sentence=said + "; ".join(one.sentence for one in objections))
    return _go_on(case, deed, seen, policy)


def _begin(case: Case, seen: Seen, kind: Kind, share: float, said: str) -> Step:
    begun = replace(case, deed=Deed(kind, share, seen.time, why=said), good_since=None)
    if kind == "rollback":
        begun = replace(begun, stage="rolling_back", configured=seen.placement.configured)
    return Step(begun, "set", said, topic=f"{kind} to {share}")


def _rollback_sentence(case: Case, asking: Alerting, seen: Seen) -> str:
    line = seen.lines.get(asking.test)
    value = f"e-value {asking.value:.4g}" + (f" over {line:.4g}" if line is not None else "")
    had = f"; it had {seen.share:.1%} of the requests of half an hour" if seen.share is not None else ""
    return (
        f"rolls {case.canary} back from {seen.placement.share:.0%}: {asking.name} fires since {asking.since}, "
        f"its test `{asking.test}` has an {value}{had}"
    )


def _go_on(case: Case, deed: Deed, seen: Seen, policy: Policy) -> Step:
    """With what was begun: by this process, or by one that ended."""
    if 0 < deed.again - seen.time <= policy.most_retry:  # more than that: the clock went back
        return Step(case)
    if deed.kind == "rollback" and seen.placement.made_stable(case.canary):
        said = f"{case.canary} was made stable by somebody else, and has all of the traffic: deploy what was before it"
        return Step(replace(case, stage="failed"), sentence=said)
    if deed.kind == "rollback" and deed.phase != "confirmed":
        there = seen.placement.serves(case.canary)
        if deed.phase == "read_back":
            return _confirm(case, deed, seen, there, policy)
        if not there:
            # done by a process that ended before it could note that, or by somebody else
            read_back = replace(deed, phase="read_back", answered=None)
            return Step(replace(case, share=0.0, since=seen.time, deed=read_back), sentence=_read_back(case))
    match deed.phase:
        case "begun":
            return Step(case, "set")
        case "acted":
            return Step(case, "verify")
        case _:
            return Step(case, "finalize")


def _read_back(case: Case) -> str:
    return f"{case.canary} gets no traffic any more, says the target; what it still answers is watched"


def _confirm(case: Case, deed: Deed, seen: Seen, there: bool, policy: Policy) -> Step:
    """Whether the traffic is gone indeed."""
    if there:
        if _began_anew(case, seen):
            begun = replace(case, deed=replace(deed, phase="begun", answered=None))
            return Step(begun, "set", _back_by_itself(case, seen))
        # it was read back as gone: the one who let it in again knew of the rollback
        back = replace(case, stage="rolled_back", deed=None, share=seen.placement.share)
        return Step(back, sentence=_let_in_again(case))
    late = seen.time - deed.begun >= policy.confirm_within
    if seen.blind:
        if late:
            said = f"{case.canary} gets nothing, says the target; that is unconfirmed: nothing is known ({seen.blind})"
            return Step(replace(case, stage="failed"), sentence=said, topic="unconfirmed")
        return Step(case)
    if seen.answered is None:
        return _confirmed(case, deed, f"{case.canary} answers nothing: none of its processes is scraped any more")
    before, now = deed.answered, seen.answered
    if before is not None and now.count == before.count:
        for_ = now.time - before.time
        if for_ >= policy.settle:
            return _confirmed(case, deed, f"{case.canary} has answered nothing for {for_:.0f} s")
        return Step(case)
    if now.time > case.since:  # else it was scraped before
        case = replace(case, deed=replace(deed, answered=now))
    if before is not None and now.count < before.count:
        return Step(case)  # a process ended, and what others answer meanwhile does not show in the sum: anew
    if late:
        more = "" if before is None else f", {now.count - before.count:.0f} in the last {now.time - before.time:.0f} s"
        said = (
            f"{case.canary}: {seen.time - deed.begun:.0f} s after its rollback, which the target says is in force, "
            f"it still answers requests ({now.count:.0f} so far{more})"
        )
        return Step(replace(case, stage="failed"), sentence=said, topic="still answers")
    return Step(case)


def _confirmed(case: Case, deed: Deed, said: str) -> Step:
    return Step(replace(case, deed=replace(deed, phase="confirmed", again=0.0)), "finalize", said)


def _did(case: Case, time: float, more: str) -> Step:
    deed = case.deed
    if deed is None:
        return Step(case)
    if deed.phase == "begun":
        return Step(replace(case, deed=replace(deed, phase="acted")), "verify")
    if deed.phase == "acted" and deed.kind == "step":
        said = f"{case.canary} has {deed.share:.0%} of the traffic"
        return Step(replace(case, share=deed.share, since=time, deed=None), sentence=said)
    if deed.phase == "acted" and deed.kind == "promote":
        return Step(replace(case, share=deed.share, since=time, deed=replace(deed, phase="confirmed")), "finalize")
    if deed.phase == "acted":
        read_back = replace(deed, phase="read_back", answered=None)
        return Step(replace(case, share=deed.share, since=time, deed=read_back), sentence=_read_back(case))
    if deed.kind == "promote":
        return _promoted(case, time, more)
    took = f"{case.canary} is rolled back, {time - deed.begun:.1f} s after that was decided; it stays so{more}"
    return Step(replace(case, stage="rolled_back", deed=None), sentence=took)


def _promoted(case: Case, time: float, more: str = "") -> Step:
    said = f"{case.canary} is promoted: it is stable now{more}"
    return Step(replace(case, stage="promoted", since=time, deed=None), sentence=said)


def _went_wrong(case: Case, time: float, why: str, policy: Policy) -> Step:
    deed = case.deed
    if deed is None:
        return Step(case)
    tries = deed.tries + 1
    phase: Phase = "begun" if deed.phase == "acted" else deed.phase  # what is not so, is done once more
    again = replace(deed, phase=phase, tries=tries, again=time + policy.wait(tries))
    in_force = deed.kind == "rollback" and deed.phase == "confirmed"
    stage: Stage = "failed" if deed.kind == "rollback" and not in_force else case.stage
    what = {"rollback": "the rollback", "step": "the step", "promote": "the promotion"}[deed.kind]
    what = f"{what} is in force; what follows it" if in_force else what
    said = f"{case.canary}: {what} did not succeed, and is tried again: {why}"
    return Step(replace(case, stage=stage, deed=again), sentence=said)


def _ordered(case: Case, seen: Seen, who: str, reason: str) -> Step:
    if case.deed is not None and case.deed.kind == "rollback":
        return Step(case, sentence=f"{case.canary} is being rolled back already, as {who} asks ({reason})")
    if not seen.placement.serves(case.canary):
        return Step(
            case, sentence=f"{case.canary} gets no traffic: there is nothing to roll back, as {who} asks ({reason})"
        )
    said = f"rolls {case.canary} back from {seen.placement.share:.0%}: {who} asks for it ({reason})"
    return _begin(case, seen, "rollback", 0.0, said)
