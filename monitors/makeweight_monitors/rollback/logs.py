"""The controller's log: lines for people, or JSON for what collects them, a decision with what the audit log has."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Form = Literal["text", "json"]
FORMS: tuple[Form, ...] = ("text", "json")
TOLD = "told"
"""The attribute of a record that holds more facts, as plain data."""


def to_stderr(form: Form) -> None:
    """What is logged from now on, from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def stamp(time: float) -> str:
    """Unix time as RFC 3339 has it, to the millisecond: here, and in the audit log."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


class Json(logging.Formatter):
    """A line of JSON for each record: `time` (RFC 3339), `level`, `message`, and the facts of what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        told: Mapping[str, Any] = getattr(record, TOLD, None) or {}
        line = {
            "time": stamp(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{key: value for key, value in told.items() if key not in ("time", "sentence")},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
