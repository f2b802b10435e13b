"""Generated rules before the real promtool: accepted, and in every case they do what they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import dashboards_project
import prometheus
from makeweight_monitors.rules import generate, text
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.trials import cases, unit_tests

BUDGETS = {name: dashboards_project.BUDGETS[name] for name in ("digits", "all that there is", "regression")}
BUDGETS["all that there is"] = replace(BUDGETS["all that there is"], alpha=0.01, models=3)


def written(terms: Terms, folder: Path) -> tuple[Path, Path]:
    rules, tests = folder / "rules.yaml", folder / "tests.yaml"
    rules.write_text(text.render(generate.groups(terms), generate.heading(terms, "0.0"), terms.runbooks))
    tests.write_text(unit_tests.render(cases.cases(terms), rules.name, ["x"]))
    return rules, tests


@pytest.mark.parametrize("name", BUDGETS)
def test_promtool_accepts_them_and_their_tests_hold(name: str, tmp_path: Path) -> None:
    programs = prometheus.install()
    rules, tests = written(BUDGETS[name], tmp_path)
    checked = programs.tool("check", "rules", str(rules))
    assert checked.returncode == 0, checked.stdout
    assert f"{sum(len(group.rules) for group in generate.groups(BUDGETS[name]))} rules found" in checked.stdout
    tried = programs.tool("test", "rules", str(tests))
    assert tried.returncode == 0, tried.stdout[:5000]
    assert "SUCCESS" in tried.stdout


@pytest.mark.parametrize(
    ("sound", "broken", "missed"),
    [
        (" > 5000", " > 5e15", "MakeweightAccuracyDropPaired"),
        ("vector(1)", "vector(1) > 1", "MakeweightWatchdog"),
        ("up == 0", "up == 2", "MakeweightReplicaDown"),
        (
            "max by (environment, namespace, model, revision, attempt, sha256, boot, stable, canary)",
            "max by (environment, namespace, model, revision, attempt, sha256, stable, canary)",
            "MakeweightAccuracyDropPaired",
        ),
    ],
    ids=["a line too high", "a heartbeat that stops", "a process that is never down", "processes taken for one"],
)
def test_a_rule_that_is_broken_fails_them(sound: str, broken: str, missed: str, tmp_path: Path) -> None:
    programs = prometheus.install()
    terms = BUDGETS["digits"]
    rules, tests = written(terms, tmp_path)
    intact = rules.read_text()
    assert sound in intact
    rules.write_text(intact.replace(sound, broken))
    about = [case for case in cases.cases(terms) if any(missed in check.fires for check in case.checks)]
    # the case of a replica that starts anew among them; the watchdog is in many, one will do
    tests.write_text(unit_tests.render(about[-2:] if missed == "MakeweightWatchdog" else about, rules.name, ["x"]))
    tried = programs.tool("test", "rules", str(tests))
    assert tried.returncode != 0
    assert missed in tried.stdout
