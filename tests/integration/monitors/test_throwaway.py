"""A Prometheus for the length of a block: it scrapes, evaluates, answers, and is gone afterwards."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import prometheus
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.prometheus import throwaway


def test_it_scrapes_itself_evaluates_rules_and_ends(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "groups: [{name: g, rules: [{record: 'two', expr: 1 + 1}, {alert: Gone, expr: up == 0, labels: {a: b}}]}]"
    )
    programs = prometheus.install()
    with throwaway.running(programs, tmp_path, rules=[rules], targets={"none": ["127.0.0.1:1"]}, scrape="200ms") as one:
        assert prometheus.until(lambda: one.query("two"))[0].value == 2
        (alert,) = prometheus.until(lambda: one.alerts())
        assert alert["labels"] == {"alertname": "Gone", "a": "b", "instance": "127.0.0.1:1", "job": "none"}
        assert {rule["name"] for rule in one.rules()} == {"two", "Gone"}
        (target,) = one.targets()
        assert target["health"] == "down"
        port = urlsplit(one.url).port
    with socket.socket() as ended:
        assert ended.connect_ex(("127.0.0.1", port)) != 0


def test_series_of_the_past_are_found_at_their_times(tmp_path: Path) -> None:
    programs = prometheus.install()
    start = 1_700_000_000
    lines = "".join(f"past_total {i} {start + 15 * i}\n" for i in range(4))
    prometheus.backfill(programs, tmp_path, f"# TYPE past counter\n{lines}# EOF\n")
    with throwaway.running(programs, tmp_path, lookback="10s") as one:
        (series,) = one.query_range("past_total", start, start + 60, 15)
        assert series.points == tuple((start + 15 * i, i) for i in range(4))
        assert one.query("past_total", start + 39)[0].value == 2
        assert one.query("past_total", start + 56) == []


def test_a_question_that_makes_no_sense_is_refused_with_its_reason(tmp_path: Path) -> None:
    with (
        throwaway.running(prometheus.install(), tmp_path) as one,
        pytest.raises(UsageError, match=r"(?s)parse error.*asked: sum by"),
    ):
        one.query("sum by")


def test_a_configuration_that_it_refuses_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "rules.yaml"
    broken.write_text("groups: [{name: g, rules: [{record: 'x', expr: 'sum('}]}]")
    with (
        pytest.raises(EnvironmentFailed, match=r"(?s)ended at once.*rules\.yaml"),
        throwaway.running(prometheus.install(), tmp_path, rules=[broken]),
    ):
        pass


def test_nobody_there_is_told_with_the_address() -> None:
    from makeweight_monitors.prometheus.queries import Client

    with pytest.raises(EnvironmentFailed, match=r"127\.0\.0\.1:1/api/v1/query: no connection"):
        Client("http://127.0.0.1:1").query("up")


def test_missing_programs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"no `prometheus` in {tmp_path}"):
        throwaway.find(tmp_path)
