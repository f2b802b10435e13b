"""Whose canary a rollback is asked for, by the generated rules before the real promtool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import prometheus
import rules_project
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.terms import Terms

OLD, NEW = "a" * 64, "b" * 64
CELLS = [("right", "right"), ("right", "wrong"), ("wrong", "right"), ("wrong", "wrong")]


def canary(values: str, wrong: str, **labels: str) -> list[dict[str, str]]:
    """The series of one shadowed canary of one process: its being there, and labelled pairs, `wrong` of one kind."""
    told = {"model": "digits", "revision": "r2", "boot": "-".join(labels.values()), **labels}
    series = {("makeweight_observer_start_time_seconds", ("variant", "canary")): values}
    for stable, own in CELLS:
        grown = wrong if (stable, own) == ("right", "wrong") else "0x40"
        series[("makeweight_paired_total", ("stable", stable), ("canary", own))] = grown
    return [
        {"series": f"{name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in [*told.items(), *own])}}}",
         "values": numbers}
        for (name, *own), numbers in series.items()
    ]  # fmt: skip


def asking(minute: int, *expected: dict[str, str]) -> dict[str, Any]:
    by = ("environment", "namespace", "model", "revision", "attempt", "sha256", "variant", "kind")
    fired = f'ALERTS{{alertname="{names.ACCURACY_DROP_PAIRED}", alertstate="firing"}}'
    every = {"model": "digits", "revision": "r2", "variant": "canary", "kind": "rollback"}
    samples = [
        {"labels": f"{{{', '.join(f'{key}={json.dumps(value)}' for key, value in {**every, **one}.items())}}}",
         "value": 1}
        for one in expected
    ]  # fmt: skip
    return {"expr": f"group by ({', '.join(by)}) ({fired})", "eval_time": f"{minute}m", "exp_samples": samples}


STAGING, PRODUCTION = {"environment": "staging"}, {"environment": "production"}
ELSEWHERE = {"namespace": "trial"}
FIRST, REPAIRED, RETRIED = {"sha256": OLD}, {"sha256": NEW}, {"sha256": NEW, "attempt": "2"}
TESTS = [
    (
        "what staging's canary did is not held against production's",
        canary("1x40", "0+50x40", **STAGING) + canary("1x40", "0x40", **PRODUCTION)
        + canary("1x40", "0+50x40", **ELSEWHERE),
        [asking(30, STAGING, ELSEWHERE)],
    ),
    (
        "a retry with another file, and one more attempt with that, start afresh",
        canary("1x40", "0+50x40", **FIRST) + canary("_x20 1x20", "_x20 0x20", **REPAIRED)
        + canary("_x20 1x20", "_x20 0x20", **RETRIED),
        [asking(30, FIRST)],
    ),
    (
        "the alert ends soon after that canary is gone, and another does not keep it",
        canary("1x20 stale", "0+50x20 stale", **FIRST) + canary("1x60", "0x60", **REPAIRED),
        [asking(19, FIRST), asking(28, FIRST), asking(36)],
    ),
    (
        "evidence of a process that ended counts while others of the same canary serve",
        canary("1x10 stale", "0+50x10 stale", boot="first") + canary("1x90", "0x90", boot="second"),
        [asking(9, {}), asking(60, {}), asking(89, {})],
    ),
]  # fmt: skip


def test_a_rollback_is_asked_for_one_canary_alone(tmp_path: Path) -> None:
    programs = prometheus.install()
    terms = Terms("digits", drop=0.01)
    asked = rules_project.narrowed(generate.groups(terms), {names.ACCURACY_DROP_PAIRED})
    (tmp_path / "rules.yaml").write_text(text.render(asked, [], terms.runbooks))
    tests = [
        {"name": name, "interval": "1m", "input_series": series, "promql_expr_test": checks}
        for name, series, checks in TESTS
    ]
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(json.dumps(content))
    tried = programs.tool("test", "rules", str(tmp_path / "tests.yaml"))
    assert tried.returncode == 0, tried.stdout[:5000]
