"""A metric is one line in one table: what is added there is known everywhere."""

import json
import subprocess
import sys
from typing import Any, get_args

from makeweight.budget.metric import METRICS, TaskKind, of_role, times

ADDED = """
import dataclasses, json, sys
from makeweight.budget import metric

added = json.loads(sys.argv[1])
for name, changes in added.items():
    line = dataclasses.replace(metric.METRICS["latency_p50"], name=name, title=name, meaning="grains", headline=False)
    metric.METRICS[name] = dataclasses.replace(line, **changes)

from makeweight.budget.rule import Budget, rules_of
from makeweight.config.schema import of_config
from makeweight.decide import Terms, decide
from makeweight.measurement import Measurement
from makeweight.report import html, markdown
from makeweight.report.content import Content

described = json.dumps(of_config()["$defs"]["Budget"]["properties"])
for name in added:
    rules = tuple(rules_of(Budget.model_validate({name: {"max_ratio": 0.5}})))
    where = "pi5" if rules[0].metric.per_device else None
    measured = [
        Measurement("nonfinite_outputs", "int8", "fraction", 0.0),
        Measurement(name, "int8", "s", 0.004, device=where),
        Measurement(name, "int8", "ratio", 0.4, (0.39, 0.41), comparison="ratio", device=where),
    ]
    decided = decide(Terms("digits", rules, ("int8",), {"pi5": 10.0}), measured, {})
    content = Content(decided)
    print(json.dumps({
        "schema": name in described,
        "verdict": decided.verdict,
        "sentence": decided.rules[-1].sentence,
        "markdown": markdown.render(content),
        "html": html.render(content),
    }))
"""
CHANGES: dict[str, dict[str, Any]] = {
    "dust": {"quantile": 0.75},
    "soot": {"quantile": None, "meter": None, "moved": ["cleaner", "dirtier"]},
    "mud": {"origin": "compress", "quantile": None, "meter": None},
}
"""Another percentile, something else on a device, something in the file."""
SAID = {
    "dust": "dust on pi5 is 0.40x [0.39, 0.41] of the baseline's",
    "soot": "soot on pi5 is 0.40x",
    "mud": "mud is 0.40x",
}


def test_a_line_in_the_table_reaches_schema_gate_and_reports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADDED, json.dumps(CHANGES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for (name, changes), line in zip(CHANGES.items(), done.stdout.splitlines(), strict=True):
        shown = json.loads(line)
        assert shown["schema"], name
        assert shown["verdict"] == "pass", name
        assert shown["sentence"].startswith(SAID[name])
        assert f"2.5x {changes.get('moved', ['faster'])[0]}" in shown["markdown"], name
        assert name in shown["html"]
        assert "4.00 ms" in shown["html"].replace("\N{NO-BREAK SPACE}", " "), name


def test_one_metric_stands_for_each_role_in_each_task() -> None:
    assert {task: of_role("quality", task)[0].name for task in get_args(TaskKind)} == {
        "classification": "accuracy",
        "multilabel": "f1",
        "regression": "rmse",
        "segmentation": "miou",
        "detection": "map",
        "custom": "metric",
    }
    for task in get_args(TaskKind):
        assert [of_role(role, task)[0].headline for role in ("size", "quality", "latency")] == [True] * 3, task


def test_percentiles_come_in_their_order_from_the_median_on() -> None:
    assert [metric.percentile for metric in times("wall")] == ["p50", "p90", "p99"]
    assert all(metric.quantile is not None for metric in METRICS.values() if metric.narrows)
