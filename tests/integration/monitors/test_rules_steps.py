"""What the recorded steps make of processes that come, go and begin anew, before the real promtool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import prometheus
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.promql import equals, selector
from makeweight_monitors.rules.terms import Terms

OLD = -100_000
"""When a process began; promtool's clock begins at zero."""
MINUTES = 29
"""Of the look; the window is half an hour."""
CASES = {
    "a revision that nobody declared, from a process that is known": (
        {"a": (f"{OLD}x29", "0+2x29"), "a, undeclared": (None, "_x20 7 9 9 9 9 9 9 9 9")},
        2 * 29 + 9,
    ),
    "a process that is young when it is seen first": ({"a": ("_x10 590x19", "_x10 50+1x19")}, 50 + 19),
    "a process that is old when it is seen first: nobody knows when it counted": (
        {"a": (f"_x10 {OLD}x19", "_x10 5000+1x19")},
        19,
    ),
    "one that ends and one that begins": (
        {"a": (f"{OLD}x9 stale", "100+5x9 stale"), "b": ("_x12 700x17", "_x12 0+3x17")},
        5 * 9 + 3 * 17,
    ),
    "two, of which one begins at zero again": (
        {"a": (f"{OLD}x29", "0+4x29"), "b": (f"{OLD}x14 870x14", "0+4x14 3+4x14")},
        4 * 29 + 4 * 14 + 3 + 4 * 14,
    ),
    "one that is not scraped for three minutes": ({"a": (f"{OLD}x10 _x3 {OLD}x15", "0+4x10 _x3 56+4x15")}, 4 * 29),
    "one that is scraped under a new address": (
        {"a": (f"{OLD}x10 stale", "0+4x10 stale"), "a, elsewhere": (f"_x11 {OLD}x18", "_x11 44+4x18")},
        4 * 29,
    ),
}


def series(process: str, began: str | None, counted: str) -> list[dict[str, str]]:
    boot, _, apart = process.partition(", ")
    revision, address = ("r2", "") if apart == "undeclared" else ("r1", apart)
    where = {"model": "digits", "variant": "canary", "boot": boot, "instance": address, "revision": "r1"}
    labelled = where | {"revision": revision, "outcome": "right"}
    written = [("makeweight_labelled_total", labelled, counted)]
    if began is not None:
        written.append(("makeweight_observer_start_time_seconds", where, began))
    return [
        {"series": selector(name, *(equals(*label) for label in labels.items())), "values": values}
        for name, labels, values in written
    ]


def tried(folder: Path, order: list[str], tests: list[dict[str, Any]]) -> str:
    """What promtool says of tests of these groups of rules where they fail."""
    groups = {group.name: group for group in generate.groups(Terms("digits"))}
    (folder / "rules.yaml").write_text(text.render([groups[name] for name in order], [], "x"))
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "group_eval_order": order, "tests": tests}
    (folder / "tests.yaml").write_text(json.dumps(content))
    done = prometheus.install().tool("test", "rules", str(folder / "tests.yaml"))
    return done.stdout if done.returncode else ""


def test_a_window_has_what_every_process_counted_within_it(tmp_path: Path) -> None:
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [one for process, values in rows.items() for one in series(process, *values)],
            "promql_expr_test": [
                {"expr": f"sum({names.LABELLED})", "eval_time": f"{MINUTES}m", "exp_samples": [{"value": counted}]}
            ],
        }
        for name, (rows, counted) in CASES.items()
    ]
    assert tried(tmp_path, ["makeweight-steps-labels", "makeweight-accuracy"], tests)[:5000] == ""


def test_a_speed_has_the_first_answers_of_a_revision_that_nobody_declared(tmp_path: Path) -> None:
    where = {"model": "digits", "variant": "canary", "boot": "a"}
    rows = {
        selector("makeweight_observer_start_time_seconds", *(equals(*label) for label in where.items())): f"{OLD}x9",
        selector("makeweight_predictions_total", *(equals(*label) for label in where.items())): "_x6 90 93 93",
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in rows.items()],
        "promql_expr_test": [
            {"expr": f"sum({names.TRAFFIC})", "eval_time": "8m", "exp_samples": [{"value": 93 / 300}]}
        ],
    }
    assert tried(tmp_path, ["makeweight-steps-answers", "makeweight-health"], [test])[:5000] == ""
