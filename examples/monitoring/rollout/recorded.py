"""What was recorded of a rollout, and the moments in it that count. Data and pure functions alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """A canary's share of the traffic, from a time on."""

    time: float
    """Seconds since the traffic began, like all times here."""
    revision: str
    share: float


@dataclass(frozen=True)
class Second:
    """What clients got within one second."""

    time: float
    """When it began."""
    revision: str
    """The canary that was on trial."""
    stable: int
    stable_wrong: int
    canary: int
    canary_wrong: int


@dataclass(frozen=True)
class Said:
    """A line of the controller's audit log."""

    time: float
    event: str
    sentence: str
    revision: str = ""


@dataclass(frozen=True)
class Recorded:
    """One run of the demo."""

    good: str
    bad: str
    """The revisions of the two canaries."""
    delay: float
    """Seconds until a label comes."""
    shares: tuple[Share, ...]
    seconds: tuple[Second, ...]
    said: tuple[Said, ...]
    evalues: tuple[tuple[float, float], ...]
    """(time, e-value) of the bad canary's test."""
    line: float
    """The e-value at which a rollback is asked for."""
    alert: str
    """The alert that asked for it."""
    alerted: float
    """When Alertmanager had it."""
    fault: float
    """When the bad canary's first wrong answer went out."""
    last: float
    """When its last answer did."""

    def dumps(self) -> str:
        return json.dumps(asdict(self), indent=1)


def loads(text: str) -> Recorded:
    """What `dumps` wrote."""
    data: dict[str, Any] = json.loads(text)
    for key, kind in (("shares", Share), ("seconds", Second), ("said", Said)):
        data[key] = tuple(kind(**one) for one in data[key])
    data["evalues"] = tuple((time, value) for time, value in data["evalues"])
    return Recorded(**data)


@dataclass(frozen=True)
class Moment:
    """Something that happened at a time."""

    name: str
    time: float
    words: str


class Untold(Exception):
    """Something that has to have happened did not; the message says what."""


def steps(recorded: Recorded) -> list[Moment]:
    """How the good canary came to have all of the traffic.

    Raises:
        Untold: it did not.
    """
    found = [
        Moment(f"{one.share:.0%}", one.time, f"{one.revision} has {one.share:.0%} of the traffic")
        for one in recorded.shares
        if one.revision == recorded.good and 0 < one.share < 1
    ]
    return [*found, _first(recorded.said, recorded.good, "is promoted", "100%")]


def moments(recorded: Recorded) -> list[Moment]:
    """What became of the bad one, in the order in which it happened.

    Raises:
        Untold: something of it did not happen.
    """
    bad = recorded.bad
    let_in = next((one for one in recorded.shares if one.revision == bad and one.share > 0), None)
    if let_in is None:
        raise Untold(f"{bad} was never let in")
    shown = next(((time, value) for time, value in recorded.evalues if value > recorded.line), None)
    if shown is None:
        raise Untold(f"the evidence never reached {recorded.line:,.0f}")
    trial = [one for one in recorded.seconds if one.revision == bad]
    wrong, answers = sum(one.canary_wrong for one in trial), sum(one.canary for one in trial)
    requests = answers + sum(one.stable for one in trial)
    shows = f"e-value {_readable(shown[1])} over {recorded.line:,.0f}; labels take {recorded.delay:g} s"
    decision = _first(recorded.said, bad, "rolls ", "decision")
    confirmed = _first(recorded.said, bad, "is rolled back", "confirmed")
    found = [
        Moment("let in", let_in.time, f"{bad} gets {let_in.share:.0%} of the traffic"),
        Moment("fault", recorded.fault, "its first wrong answer goes out"),
        Moment("evidence", shown[0], shows),
        Moment("alert", recorded.alerted, f"Alertmanager has {recorded.alert}"),
        decision,
        Moment("last bad answer", recorded.last, f"{wrong} wrong of its {answers} answers, to {requests:,} requests"),
        confirmed,
    ]
    return sorted(found, key=lambda one: one.time)


def _readable(evalue: float) -> str:
    return f"{evalue:,.0f}" if evalue < 1e6 else f"{evalue:.1g}"


def _first(said: Sequence[Said], revision: str, part: str, name: str) -> Moment:
    for one in said:
        if one.revision == revision and one.event == "decision" and part in one.sentence:
            return Moment(name, one.time, one.sentence)
    raise Untold(f"the controller never said that {revision} {part.strip()}")
