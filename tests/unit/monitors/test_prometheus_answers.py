"""What is read of Prometheus' answers."""

from __future__ import annotations

from typing import Any

import pytest

from makeweight_monitors.prometheus.queries import Client

RULE: dict[str, Any] = {"name": "A", "query": "x > 5", "alerts": [], "health": "err", "lastError": "many-to-many"}


def test_of_rules_that_fail_those_that_may_ask_for_a_rollback_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        RULE | {"labels": {"kind": "rollback"}},
        RULE | {"labels": {"kind": "rollback"}, "query": "y > 5", "health": "ok", "lastError": ""},
        RULE | {"labels": {"kind": "evidence"}, "query": "z > 5"},
        RULE,
    ]
    group = {"name": "g", "interval": 15, "lastEvaluation": "2030-01-01T00:00:00.123456789Z", "rules": rules}
    monkeypatch.setattr(Client, "get", lambda *_: {"groups": [group]})
    (told,) = Client("http://prometheus:9090").alerting()
    assert told.failing == (("x > 5", "many-to-many"),)
    assert told.queries == ("x > 5", "y > 5", "z > 5", "x > 5")
    assert told.evaluated == pytest.approx(1_893_456_000.123456, abs=1e-6)
