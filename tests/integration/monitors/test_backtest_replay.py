"""A backtest from a file and from a live Prometheus: the same past, the same alarms at the same times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prometheus
from makeweight_monitors.backtest.replay import openmetrics
from makeweight_monitors.cli import main
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Series
from makeweight_monitors.rules import generate, names, text
from rules_project import digits, narrowed

START, STEP, STEPS, BREAKS = 1_700_000_040, 60, 90, 30
ABOUT = (
    names.ACCURACY_DROP_PAIRED,
    names.ACCURACY_DROP_SPLIT,
    names.ACCURACY_DROP_SLICE,
    names.NOTHING_OBSERVED,
    names.WATCHDOG,
)
"""What is looked at; all rules are replayed by test_rules_page.py."""


def past() -> Iterator[Series]:
    """A canary whose answers all turn wrong after half an hour; its process ends before the last ten minutes."""
    times = [START + STEP * i for i in range(STEPS + 1)]
    where = {"model": "digits", "revision": "r2", "boot": "c"}
    for stable in ("right", "wrong"):
        for canary in ("right", "wrong"):
            healthy = 20 if stable == canary == "right" else 0
            broken = 20 if (stable, canary) == ("right", "wrong") else 0
            value, points = 0, []
            for i, time in enumerate(times[: STEPS - 10]):
                points.append((float(time), float(value)))
                value += healthy if i < BREAKS else broken
            yield Series(
                {"__name__": "makeweight_paired_total", "stable": stable, "canary": canary, **where}, tuple(points)
            )
    served = tuple((float(time), 100.0 * i) for i, time in enumerate(times[: STEPS - 10]))
    yield Series({"__name__": "makeweight_predictions_total", "variant": "canary", **where}, served)
    up = {"__name__": "makeweight_observer_start_time_seconds", "variant": "canary", **where}
    yield Series(up, tuple((time, float(START)) for time, _ in served))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    terms, _ = digits()
    path = tmp_path_factory.mktemp("rules") / "makeweight.rules.yaml"
    path.write_text(text.render(narrowed(generate.groups(terms), ABOUT), [], terms.runbooks))
    return path


def fired(found: dict[str, Any]) -> dict[str, float]:
    """When each alert first fired, in minutes since the start."""
    return {
        alert["alert"]: (min(times) - START) / 60
        for alert in found["alerts"]
        if (times := [one["fired"] for one in alert["episodes"] if one["fired"] is not None])
    }


def check(found: dict[str, Any]) -> None:
    times = fired(found)
    # all pairs harm from minute 30 on: twenty of them are enough for the e-value, and there are twenty a minute
    assert BREAKS + 1 <= times[names.ACCURACY_DROP_PAIRED] <= BREAKS + 3
    assert names.ACCURACY_DROP_SPLIT not in times
    assert names.ACCURACY_DROP_SLICE not in times
    # what ended does not linger: five minutes after its last sample nobody counts predictions
    assert STEPS - 10 + 4 <= times[names.NOTHING_OBSERVED] <= STEPS - 10 + 6
    assert found["step"] == STEP


def test_a_saved_answer(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = prometheus.install()
    path = tmp_path / "range.json"
    result = [{"metric": one.labels, "values": [[time, str(value)] for time, value in one.points]} for one in past()]
    path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))
    arguments = ["backtest", "--rules", str(rules), "--file", str(path), "--programs", str(programs.prometheus.parent)]
    end = str(START + STEP * STEPS)
    assert main([*arguments, "--end", end, "--json"]) == 1
    check(json.loads(capsys.readouterr().out))
    # before it broke there was nothing to roll back
    assert main([*arguments, "--end", str(START + STEP * BREAKS)]) == 0
    shown = capsys.readouterr().out
    assert names.ACCURACY_DROP_PAIRED in shown.split("never fired: ")[1]
    assert names.WATCHDOG in shown.split("never fired: ")[0]


def test_a_prometheus_that_recorded_it(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = prometheus.install()
    prometheus.backfill(programs, tmp_path / "theirs", openmetrics(past()) or "")
    with throwaway.running(programs, tmp_path / "theirs", lookback="54s", scrape="1h") as theirs:
        code = main(
            [
                *("backtest", "--rules", str(rules), "--prometheus", theirs.url, "--json", "--step", "1m"),
                *("--start", str(START), "--end", str(START + STEP * STEPS), "--lead", "1h"),
                *("--programs", str(programs.prometheus.parent)),
            ]
        )
        assert code == 1
        check(json.loads(capsys.readouterr().out))
        code = main(
            [
                *("backtest", "--rules", str(rules), "--prometheus", theirs.url),
                *("--start", "1000", "--end", "2000", "--programs", str(programs.prometheus.parent)),
            ]
        )
        assert code == 2
        assert "it has recorded nothing that the rules read" in capsys.readouterr().err


def test_a_rule_that_prometheus_refuses_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = prometheus.install()
    rules, path = tmp_path / "rules.yaml", tmp_path / "range.json"
    rules.write_text("groups: [{name: g, rules: [{alert: Wrong, expr: 'sum(x_total'}]}]")
    path.write_text(json.dumps([{"metric": {"__name__": "x_total"}, "values": [[START, "1"], [START + 60, "2"]]}]))
    arguments = ["backtest", "--rules", str(rules), "--file", str(path), "--programs", str(programs.prometheus.parent)]
    assert main(arguments) == 2
    assert "`Wrong` cannot be evaluated: " in capsys.readouterr().err
