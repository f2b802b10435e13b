"""Failures by the canary's share of the traffic, which changes while its process lives, before the real promtool."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import prometheus
import rules_project
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.dependencies import reached
from makeweight_monitors.rules.promql import equals, selector
from makeweight_monitors.rules.rule import Group, Recording
from makeweight_monitors.rules.terms import Terms

TERMS = Terms("m", drop=0.01)
MINUTES = 60
CANARY, STABLE = {"variant": "canary"}, {"variant": "stable"}
SMALL, LARGE = CANARY | {"weight": "0.05"}, CANARY | {"weight": "0.25"}
HERE = equals("environment", "")
"""Stands for the environment of a case."""


def both(labels: dict[str, str], answered: str, failed: str) -> list[dict[str, str]]:
    """What one process counted of an arm, by minute."""
    rows = {"makeweight_predictions_total": ({}, answered), "makeweight_failures_total": ({"reason": "status"}, failed)}
    told = {"model": "m", "revision": "r", "boot": "b", **labels}
    return [
        {"series": selector(name, *(equals(*label) for label in {**told, **more}.items())), "values": values}
        for name, (more, values) in rows.items()
    ]


def up(
    values: str = f"1x{MINUTES}", arms: tuple[str, ...] = ("canary", "stable"), boot: str = "b"
) -> list[dict[str, str]]:
    name = "makeweight_observer_start_time_seconds"
    return [
        {"series": f'{name}{{model="m", revision="r", boot="{boot}", variant="{arm}"}}', "values": values}
        for arm in arms
    ]


def repeats(values: str) -> list[dict[str, str]]:
    """The canary's at 5 %, as processes tell them."""
    of = 'makeweight_repeats_total{model="m", revision="r", boot="b", variant="canary", weight="0.05", outcome="%s"}'
    return [{"series": of % outcome, "values": values} for outcome in ("answered", "failed")]


def since(minute: int, name: str, age: str, value: int) -> dict[str, Any]:
    expression = f'sum({name}{{since="{age}", {HERE}}}) or vector(-1)'
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": value}]}


def counted(minute: int, name: str, **by_weight: float) -> dict[str, Any]:
    samples = [{"labels": f'{{weight="0.{weight[1:]}"}}', "value": value} for weight, value in by_weight.items()]
    return {"expr": f"sum by (weight) ({name}{{{HERE}}})", "eval_time": f"{minute}m", "exp_samples": samples}


def fires(minute: int, value: int) -> dict[str, Any]:
    fired = f'count(ALERTS{{alertname="{names.FAILURES_ABOVE_STABLE}", alertstate="firing", {HERE}}}) or vector(0)'
    return {"expr": fired, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": value}]}


STABLE_SINCE, WRONG = names.FAILURES.stable, names.FAILURES.stable_wrong
TESTS = {
    "what befell both at 5 % is not held against the canary once stable is well at 25 %": (
        up()
        + both(SMALL, "0+14x10 140x50", "0+6x10 60x50")
        + both(LARGE, "_x10 0+100x50", "_x10 0x50")
        + both(STABLE, "0+266x10 3040+380x49", "0+114x10 1140x50"),
        [
            counted(9, STABLE_SINCE, _05=9 * 380),
            counted(55, STABLE_SINCE, _05=10 * 380, _25=45 * 380),
            counted(55, WRONG, _05=10 * 114, _25=0),
            *(fires(minute, 0) for minute in (12, 30, 55)),
        ],
    ),
    "one that fails at 25 % is found": (
        up()
        + both(SMALL, "0+20x10 200x50", "0x60")
        + both(LARGE, "_x10 0+80x50", "_x10 0+20x50")
        + both(STABLE, "0+380x60", "0x60"),
        [fires(9, 0), fires(16, 1)],
    ),
    "what stable did before the canary's first answer is nothing to compare it with": (
        up()
        + both(SMALL, "0x30 14+14x9 140x20", "0x30 6+6x9 60x20")
        + both(STABLE, "0+380x30 11666+266x29", "0x30 114+114x29"),
        [
            counted(30, STABLE_SINCE, _05=0),
            counted(40, STABLE_SINCE, _05=10 * 380),
            counted(40, WRONG, _05=10 * 114),
            *(fires(minute, 0) for minute in (33, 40, 50)),
        ],
    ),
    "the same where nothing is scraped for twelve minutes": (
        up("1x20 _x12 1x27")
        + both(SMALL, "0+14x10 140x9 _x12 140x27", "0+6x10 60x9 _x12 60x27")
        + both(LARGE, "_x10 0+100x10 _x12 2300+100x27", "_x10 0x10 _x12 0x27")
        + both(STABLE, "0+266x10 3040+380x9 _x12 11400+380x27", "0+114x10 1140x9 _x12 1140x27"),
        [
            counted(55, STABLE_SINCE, _05=10 * 380, _25=45 * 380),
            counted(55, WRONG, _05=10 * 114, _25=0),
            *(fires(minute, 0) for minute in (34, 40, 55)),
        ],
    ),
}
COUNTED = {
    "what stable did while the canary was at another share is nothing to compare it with either": (
        up()
        + both(SMALL, "0+14x10 140x29 154+14x19", "0+6x10 60x29 66+6x19")
        + both(LARGE, "_x10 0+100x30 3000x19", "_x10 0x30 0x19")
        + both(STABLE, "0+266x10 3040+380x29 14326+266x19", "0+114x10 1140x29 1254+114x19"),
        [
            counted(40, STABLE_SINCE, _05=10 * 380, _25=30 * 380),
            counted(55, STABLE_SINCE, _05=25 * 380, _25=30 * 380),
            counted(55, WRONG, _05=25 * 114, _25=0),
            counted(55, names.FAILURES.canary, _05=25 * 20, _25=30 * 100),
        ],
    ),
    "nor what it did in hours in which the canary had no traffic": (
        up("1x80")
        + both(SMALL, "0+14x10 140x49 154+14x19", "0+6x10 60x49 66+6x19")
        + both(STABLE, "0+266x10 3040+380x49 21926+266x19", "0+114x10 1140x49 1254+114x19"),
        [
            # ten minutes of quiet may be no more than that
            counted(60, STABLE_SINCE, _05=(10 + 9) * 380),
            counted(75, STABLE_SINCE, _05=(10 + 9 + 15) * 380),
        ],
    ),
    "what either did before the first look at both is held against none": (
        up() + both(SMALL, "1400+20x60", "600x60") + both(STABLE, "100000+380x60", "0x60"),
        [
            counted(30, names.FAILURES.canary, _05=30 * 20),
            counted(30, names.FAILURES.canary_wrong, _05=0),
            counted(30, STABLE_SINCE, _05=30 * 380),
        ],
    ),
    "nor is what rules of before recorded of stable": (
        up()
        + both(SMALL, "_x10 1000+20x40", "_x10 0x40")
        + both(STABLE, "0+380x60", "0x60")
        + [{"series": 'makeweight:failures:stable_asked_ever{model="m", revision="r", weight="0.05"}', "values": "0"}],
        [counted(30, STABLE_SINCE, _05=20 * 380), counted(30, names.FAILURES.canary, _05=20 * 20)],
    ),
    "a canary that is back after more than an hour is not held against what was counted before": (
        up("1x30 stale", ("canary",))
        + up("1x130", ("stable",))
        + up("_x102 1x28", ("canary",), "b2")
        + both(SMALL, "0+200x30 stale", "0x30 stale")
        + repeats("0x30 stale")
        + both(SMALL | {"boot": "b2"}, "_x102 0+97x28", "_x102 0+3x28")
        + both(STABLE, "0+3800x101 387486+3686x28", "0x101 114+114x28"),
        [
            counted(38, names.FAILURES.canary, _05=30 * 200),
            counted(105, names.FAILURES.canary, _05=3 * 100),
            since(105, names.FAILURES.canary_since, "1h", -1),
            since(125, names.FAILURES.canary_since, "10m", 15 * 100),
        ],
    ),
}


def tried(folder: Path, groups: tuple[Group, ...], tests: list[dict[str, Any]], every: str = "1m") -> None:
    (folder / "rules.yaml").write_text(text.render(groups, [], TERMS.runbooks))
    order = [group.name for group in groups]
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": every, "group_eval_order": order, "tests": tests}
    (folder / "tests.yaml").write_text(json.dumps(content))
    said = prometheus.install().tool("test", "rules", str(folder / "tests.yaml"))
    assert said.returncode == 0, said.stdout[:5000]


def test_what_befell_both_is_not_held_against_the_canary(tmp_path: Path) -> None:
    groups = rules_project.narrowed(generate.groups(TERMS), {names.FAILURES_ABOVE_STABLE})
    tests = [
        {"name": name, "interval": "1m", "input_series": rows, "promql_expr_test": checks}
        for name, (rows, checks) in TESTS.items()
    ]
    tried(tmp_path, groups, tests)


def counting() -> tuple[Group, ...]:
    """The rules that count, without the e-values."""
    groups = generate.groups(TERMS)
    recorded: dict[str, list[str]] = {}
    for rule in (rule for group in groups for rule in group.rules if isinstance(rule, Recording)):
        recorded.setdefault(rule.record, []).append(rule.expression)
    read = reached([names.FAILURES.canary_since, names.FAILURES.canary_wrong, STABLE_SINCE, WRONG], recorded)
    kept = (
        (group, [one for one in group.rules if isinstance(one, Recording) and one.record in read]) for group in groups
    )
    return tuple(replace(group, rules=tuple(rules)) for group, rules in kept if rules)


def test_stable_counts_at_a_share_while_the_canary_answers_there(tmp_path: Path) -> None:
    """Each case in an environment of its own: so all of them take one life of these rules."""
    series, checks = [], []
    for name, (rows, asked) in COUNTED.items():
        own = equals("environment", name)
        series += [{**row, "series": row["series"].replace("{", f"{{{own}, ", 1)} for row in rows]
        checks += [{**check, "expr": check["expr"].replace(HERE, own)} for check in asked]
    tried(tmp_path, counting(), [{"interval": "1m", "input_series": series, "promql_expr_test": checks}])


def test_where_scrapes_are_more_seldom_than_looks_stable_does_not_count_on_at_a_share_of_before(tmp_path: Path) -> None:
    """Looks every 15 s, and a scrape a minute; that of stable half a minute after the canary's."""

    def scraped(counts: list[int]) -> str:
        return " ".join(f"{count} _ _ _" for count in counts)

    small = [20 * min(minute, 10) for minute in range(31)]
    large = [100 * minute for minute in range(21)]
    stable = [380 * minute for minute in range(31)]
    rows = (
        up("1x124")
        + both(SMALL, scraped(small), scraped([0] * 31))
        + both(LARGE, f"_x40 {scraped(large)}", f"_x40 {scraped([0] * 21)}")
        + both(STABLE, f"_x2 {scraped(stable)}", f"_x2 {scraped([0] * 31)}")
    )
    # of the minute after the step it cannot be told yet
    checks = [counted(30, STABLE_SINCE, _05=11 * 380, _25=19 * 380)]
    tried(tmp_path, counting(), [{"interval": "15s", "input_series": rows, "promql_expr_test": checks}], every="15s")
