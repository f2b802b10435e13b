"""What a person may ask of the controller."""

from __future__ import annotations

import orjson

from makeweight_monitors.http.refusal import Refusal

ORDERS = ("rollback", "hold", "resume")
LONGEST = 2000
"""Characters of a name or a reason."""


def read(body: bytes) -> tuple[str, str, str]:
    """What is asked, by whom, and for which reason.

    Raises:
        Refusal: it is no JSON (400), or no order (422).
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "malformed", "the body is no JSON") from error
    given = told if isinstance(told, dict) else {}
    what, who, reason = (given.get(key) for key in ("order", "who", "reason"))
    if what not in ORDERS:
        raise Refusal(422, "malformed", f"`order` is one of {', '.join(ORDERS)}")
    if not (_is_said(who) and _is_said(reason)):
        raise Refusal(422, "malformed", f"`who` asks, and for which `reason`? {LONGEST} characters will do for each")
    return what, str(who).strip(), str(reason).strip()


def _is_said(given: object) -> bool:
    return isinstance(given, str) and bool(given.strip()) and len(given) <= LONGEST
