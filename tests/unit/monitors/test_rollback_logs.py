"""The controller's log as JSON: one line a record, with what the audit log has of a decision."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from controlled import LABELS, Controlled
from makeweight_monitors.rollback.logs import Json


def test_a_decision_is_logged_with_its_canary_and_what_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Controlled(tmp_path)
    one.prometheus.asks()
    one.tick()
    one.end()
    lines = [json.loads(Json().format(record)) for record in caplog.records]
    (began,) = [line for line in lines if line["message"].startswith("rolls prod: digits r2 back from 5%")]
    assert (began["level"], began["event"], began["stage"], began["action"]) == (
        "warning", "decision", "rolling_back", "set",
    )  # fmt: skip
    assert (began["sha256"], began["environment"], began["share"]) == (LABELS["sha256"], "prod", 0.0)
    assert not began["time"].startswith("1970"), "when it was logged, not what the controller's clock said"


def test_a_line_stays_one_line_whatever_is_in_it() -> None:
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        error = sys.exc_info()
    record = logging.LogRecord("a", logging.ERROR, "a.py", 1, "it\nfailed: %s", ("ü",), error)
    line = Json().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["level"]) == ("it\nfailed: ü", "error")
    assert "RuntimeError: first\nsecond" in told["traceback"]
