"""Generated rules before the real promtool: accepted, and in every case they do what they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import dashboards_project
import prometheus
import rules_project
from makeweight_monitors.rules import generate, text
from makeweight_monitors.rules.rule import Group
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.trials import cases, unit_tests
from makeweight_monitors.rules.trials.cases import Case

BUDGETS = {name: dashboards_project.BUDGETS[name] for name in ("digits", "all that there is", "regression")}
BUDGETS["all that there is"] = replace(BUDGETS["all that there is"], alpha=0.01, models=3)


def written(
    terms: Terms, tried: list[Case], folder: Path, groups: tuple[Group, ...] | None = None
) -> tuple[Path, Path]:
    """Rules, all unless some are given, and tests of them."""
    rules, tests = folder / "rules.yaml", folder / "tests.yaml"
    folder.mkdir(exist_ok=True)
    rules.write_text(text.render(groups or generate.groups(terms), generate.heading(terms, "0.0"), terms.runbooks))
    tests.write_text(unit_tests.render(tried, rules.name, ["x"]))
    return rules, tests


def seen(groups: tuple[Group, ...], *tried: Case) -> tuple[Group, ...]:
    """The alerts that cases are about, and what is recorded for them."""
    return rules_project.narrowed(groups, {name for case in tried for check in case.checks for name in check.about})


@pytest.mark.parametrize("name", BUDGETS)
def test_promtool_accepts_them(name: str, tmp_path: Path) -> None:
    rules, _ = written(BUDGETS[name], [], tmp_path)
    checked = prometheus.install().tool("check", "rules", str(rules))
    assert checked.returncode == 0, checked.stdout
    assert f"{sum(len(group.rules) for group in generate.groups(BUDGETS[name]))} rules found" in checked.stdout


@pytest.mark.parametrize("name", ["all that there is", "regression"])
def test_their_tests_hold(name: str, tmp_path: Path) -> None:
    """Where all is well, with all rules evaluated; else with those that the case is about. Those of digits are tried as
    a whole by test_rules_page.py."""
    terms = BUDGETS[name]
    groups, (well, *others) = generate.groups(terms), cases.cases(terms)
    files = [written(terms, [well], tmp_path / "well")[1]]
    files += [written(terms, [one], tmp_path / str(at), seen(groups, one))[1] for at, one in enumerate(others)]
    tried = prometheus.install().tool("test", "rules", *map(str, files))
    assert tried.returncode == 0, tried.stdout[:5000]
    assert tried.stdout.count("SUCCESS") == len(files) > 20


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
    about = [case for case in cases.cases(terms) if any(missed in check.fires for check in case.checks)]
    # the case of a replica that starts anew among them; the watchdog is in many, one will do
    about = about[-1:] if missed == "MakeweightWatchdog" else about
    groups = seen(generate.groups(terms), *about)
    (rules, tests), (_, whole) = (written(terms, about, tmp_path / name, groups) for name in ("broken", "whole"))
    intact = rules.read_text()
    assert sound in intact
    rules.write_text(intact.replace(sound, broken))
    tried = programs.tool("test", "rules", str(whole), str(tests))
    assert tried.returncode != 0
    held, failed = tried.stdout.split("Unit Testing: ")[1:]
    assert "SUCCESS" in held, "else it may fail for what is left out"
    assert missed in failed
