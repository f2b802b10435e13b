"""What the controller asks of the canary's processes, before the real promtool: a scrape that was missed is no end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import prometheus
from makeweight_monitors.prometheus.queries import Client, Sample
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.looking import Looking
from makeweight_monitors.rollback.seen import Placement

CANARY, OTHER = "a" * 64, "b" * 64


class Asked(Client):
    """Keeps the questions, and answers nothing."""

    def numbers(self, expressions: Mapping[str, str]) -> dict[str, float]:
        self.asked = dict(expressions)
        return {}

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        self.which = getattr(self, "which", expression)
        return []


@pytest.fixture(scope="module")
def asked() -> Asked:
    client = Asked("http://prometheus")
    looking = Looking(client, "digits", {})
    looking.serving()
    looking.look(Canary("", "digits", CANARY), Placement(0.0), 0.0)
    return client


def series(boot: str, count: str, up: str | None, sha256: str = CANARY, instance: str = "") -> dict[str, str]:
    """A process, as it is scraped every 15 s: its predictions, whether it is there, and its address."""
    address = f'job="models", instance="{instance or boot}"'
    own = f'model="digits", variant="canary", sha256="{sha256}", boot="{boot}", {address}'
    there = " ".join(part if part in ("stale", "_") else "1" for part in count.split())
    found = {
        f"makeweight_predictions_total{{{own}}}": count,
        f'makeweight_failures_total{{{own}, reason="nan"}}': count,
        f"makeweight_observer_start_time_seconds{{{own}}}": there,
    }
    return found if up is None else found | {f"up{{{address}}}": up}


SILENT = series("b", "40 40 40 40 40 40 40 40", "1 1 1 1 1 1 1 1")
MISSED = series("a", "60 60 60 stale 70 70 70 70", "1 1 1 0 1 1 1 1")
KILLED = series("a", "60 60 60 stale", "1 1 1 0 0 0 0 0")
CASES: dict[str, tuple[Mapping[str, str], list[tuple[float, float | None, float | None]]]] = {
    "one scrape is missed, of one": (MISSED, [(50, 120, 30), (65, 140, 60)]),
    "one scrape is missed, of two": ({**MISSED, **SILENT}, [(50, 200, 30), (65, 220, 60)]),
    "it was killed, and is scraped on": (KILLED, [(50, 120, 30), (85, 120, 30), (110, None, None)]),
    "it is no target any more": (series("a", "60 60 60 stale", "1 1 1 stale"), [(50, None, None)]),
    "another took its address": (
        {**series("a", "60 60 60 stale", None), **series("b", "_ _ _ 5 5", "1 1 1 1 1", instance="a")},
        [(50, 10, 45)],
    ),
}
"""By series of processes, at some seconds how many requests they answered or failed, and up to when that is known."""


def test_a_missed_scrape_neither_shows_that_nothing_is_answered_nor_hides_it(asked: Asked, tmp_path: Path) -> None:
    def test(name: str, rows: Mapping[str, str], checks: list[dict[str, object]]) -> dict[str, object]:
        values = [{"series": row, "values": text} for row, text in rows.items()]
        return {"name": name, "interval": "15s", "input_series": values, "promql_expr_test": checks}

    def check(expression: str, at: float, *samples: tuple[str, float]) -> dict[str, object]:
        told = [{"labels": labels, "value": value} for labels, value in samples]
        return {"expr": expression, "eval_time": f"{at}s", "exp_samples": told}

    tests = []
    for name, (rows, looks) in CASES.items():
        checks: list[dict[str, object]] = []
        for at, *figures in looks:
            for of, figure in zip(("count", "scraped"), figures, strict=True):
                checks.append(check(asked.asked[of], at, *([] if figure is None else [("{}", figure)])))
        tests.append(test(name, rows, checks))
    both = {**MISSED, **series("c", "9 9 9 9 9", "1 1 1 1 1", OTHER)}
    which = [(f'{{sha256="{sha256}"}}', 1.0) for sha256 in (CANARY, OTHER)]
    tests.append(test("beside another, it is still there", both, [check(asked.which, 50, *which)]))
    often = check(asked.asked["scraped every"], 105, ("{}", 104 / 8))
    tests.append(test("how often a process is scraped", SILENT, [often]))
    (tmp_path / "tests.yaml").write_text(json.dumps({"rule_files": [], "evaluation_interval": "5s", "tests": tests}))
    tried = prometheus.install().tool("test", "rules", str(tmp_path / "tests.yaml"))
    assert tried.returncode == 0, tried.stdout[:5000]
