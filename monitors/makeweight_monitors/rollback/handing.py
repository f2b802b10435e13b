"""What one controller hands to the next that leads, where each has a journal of its own: as a text in what they share.

Latched canaries, begun deeds, a hold, the last rollback and the nonces of orders: else a change of the leader would let
a canary go further that somebody holds, roll one back again that a person let in, or take an order twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.case import Case
from makeweight_monitors.rollback.controller import stamp
from makeweight_monitors.rollback.journal import Hold, Journal, understood

FORMAT = 1
MOST = 40
"""So many canaries are handed on, the last ones: annotations hold 256 kB, and a canary takes one or two."""


def told(journal: Journal) -> str:
    """All that the next one has to know; the same text as long as that is the same."""
    cases = sorted(journal.cases(), key=lambda case: (not case.latched, case.since, case.canary))[-MOST:]
    hold = journal.hold()
    content = {
        "format": FORMAT,
        "cases": [asdict(case) for case in cases],
        "hold": None if hold is None else asdict(hold),
        "hold_changed": journal.hold_changed(),
        "last_rollback": journal.last_rollback(),
        "nonces": journal.nonces(),
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def taken_over(journal: Journal, text: str, before: str, clock: Callable[[], float]) -> None:
    """Into a journal that may know less, or something that was never handed on.

    Args:
        before: who led before.

    Raises:
        EnvironmentFailed: the text is none of ours.
    """
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        cases = [understood(case) for case in content["cases"]]
        hold = None if content["hold"] is None else Hold(**content["hold"])
        changed = float(content["hold_changed"])
        nonces = [(str(nonce), float(until)) for nonce, until in content["nonces"]]
        last = None if content["last_rollback"] is None else float(content["last_rollback"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFailed(
            f"what {before or 'another controller'} handed on cannot be read: {error}",
            do="Delete that annotation of the Lease: what was rolled back before and who holds is forgotten then.",
        ) from error
    known = {case.canary: case for case in journal.cases()}
    for case in cases:
        if case.canary not in known or _far(case) >= _far(known[case.canary]):
            journal.note(case=case)
    for nonce in nonces:
        journal.note(nonce=nonce)
    if journal.hold_changed() > changed:  # what was asked here could not be handed on
        hold, changed = journal.hold(), journal.hold_changed()
    held = "" if hold is None else f"; held by {hold}"
    sentence = f"leads after {before or 'nobody'}, who knew of {len(cases)} canaries{held}"
    line = {"time": stamp(clock()), "event": "lease", "sentence": sentence}
    own = journal.last_rollback()
    rolled_back = max((one for one in (own, last) if one is not None), default=None)
    facts: dict[str, Any] = {
        "hold": None if hold is None else asdict(hold),
        "hold_changed": changed,
        "last_rollback": rolled_back,
    }
    journal.note(line, **facts)


def _far(case: Case) -> int:
    """Of two accounts of a canary that one counts which has come further."""
    return 2 if case.latched else int(case.deed is not None and case.deed.kind == "rollback")
