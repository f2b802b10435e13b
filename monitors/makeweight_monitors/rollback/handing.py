"""What one controller hands to the next that leads, where each has a journal of its own: as a text in what they share.

Latched canaries, begun deeds, a hold, the last rollback and the nonces of orders: else a change of the leader would let
a canary go further that somebody holds, roll one back again that a person let in, or take an order twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.case import Case
from makeweight_monitors.rollback.journal import Hold, Journal
from makeweight_monitors.rollback.logs import stamp

MOST = 40
"""So many canaries are handed on, the last ones: annotations hold 256 kB, and a canary takes one or two."""


@dataclass(frozen=True)
class Handed:
    """All that the next one has to know."""

    format: Literal[1]
    cases: tuple[Case, ...]
    hold: Hold | None
    hold_changed: float
    last_rollback: float | None
    nonces: tuple[tuple[str, float], ...]


def told(journal: Journal) -> str:
    """The same text as long as there is nothing new."""
    cases = sorted(journal.cases(), key=lambda case: (not case.latched, case.since, case.canary))[-MOST:]
    hold, changed = journal.hold(), journal.hold_changed()
    handed = Handed(1, tuple(cases), hold, changed, journal.last_rollback(), tuple(journal.nonces()))
    return json.dumps(asdict(handed), sort_keys=True, separators=(",", ":"))


def taken_over(journal: Journal, text: str, before: str, clock: Callable[[], float]) -> None:
    """Into a journal that may know less, or something that was never handed on.

    Args:
        before: who led before.

    Raises:
        EnvironmentFailed: the text is none of ours.
    """
    try:
        handed = TypeAdapter(Handed).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        what = ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
        raise EnvironmentFailed(
            f"what {before or 'another controller'} handed on cannot be read: {what}",
            do="Delete that annotation of the Lease: what was rolled back before and who holds is forgotten then.",
        ) from error
    known = {case.canary: case for case in journal.cases()}
    for case in handed.cases:
        if case.canary not in known or _far(case) >= _far(known[case.canary]):
            journal.note(case=case)
    for nonce in handed.nonces:
        journal.note(nonce=nonce)
    hold, changed = handed.hold, handed.hold_changed
    if journal.hold_changed() > changed:  # what was asked here could not be handed on
        hold, changed = journal.hold(), journal.hold_changed()
    held = "" if hold is None else f"; held by {hold}"
    sentence = f"leads after {before or 'nobody'}, who knew of {len(handed.cases)} canaries{held}"
    line = {"time": stamp(clock()), "event": "lease", "sentence": sentence}
    own = journal.last_rollback()
    rolled_back = max((one for one in (own, handed.last_rollback) if one is not None), default=None)
    facts: dict[str, Any] = {
        "hold": None if hold is None else asdict(hold),
        "hold_changed": changed,
        "last_rollback": rolled_back,
    }
    journal.note(line, **facts)


def _far(case: Case) -> int:
    """Of two accounts of a canary that one counts which has come further."""
    return 2 if case.latched else int(case.deed is not None and case.deed.kind == "rollback")
