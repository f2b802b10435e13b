"""From the bytes of a body or a log to events: plain objects, one by one; what is none is refused alone.

orjson reads what is JSON. What Python's own writer makes of NaN and infinity is none, and is read all the same: such
scores are to be refused by their reason, where somebody looks for it, and not as text that is no JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson

Event = dict[str, Any]
LONGEST_LINE = 1 << 20
"""Bytes of one event; a line beyond is no event."""


def of_json(body: bytes, refused: Counter[str]) -> list[Event]:
    """One event or an array of them.

    Raises:
        ValueError: the body is no JSON.
    """
    parsed = loads(body)
    return _objects(parsed if isinstance(parsed, list) else [parsed], refused)


def of_lines(body: bytes, refused: Counter[str]) -> list[Event]:
    """NDJSON: an event a line; empty lines count for nothing."""
    parsed: list[Any] = []
    parse = orjson.loads
    for line in body.split(b"\n"):
        try:
            parsed.append(parse(line))
        except ValueError:
            if not line.strip():
                continue
            if len(line) > LONGEST_LINE:
                refused["too_long"] += 1
                continue
            try:
                parsed.append(loads(line))
            except ValueError:
                refused["malformed"] += 1
    return _objects(parsed, refused)


def _objects(parsed: list[Any], refused: Counter[str]) -> list[Event]:
    events = [one for one in parsed if one.__class__ is dict]
    if len(events) < len(parsed):
        refused["not_an_event"] += len(parsed) - len(events)
    return events


def loads(body: bytes) -> Any:
    """JSON as it should be, and as it often is.

    Raises:
        ValueError: it is neither.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
