"""How long a server asks to be left alone for (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def seconds(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` asks for, as a number of seconds or as a date; None where it is not there or makes no sense.

    A date is counted from the server's own clock (`Date`), since ours may be off.
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked)
    until, now = date(asked), date(headers.get("Date", ""))
    return max(0.0, until - now) if until is not None and now is not None else None


def date(text: str) -> float | None:
    """A date of HTTP in seconds since the epoch; None for what is none."""
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the second for a year of too many digits
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
