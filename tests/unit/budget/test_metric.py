"""A metric is one line in one table: what is added there is known everywhere."""

import json
import subprocess
import sys
from typing import get_args

import pytest

from makeweight.budget.metric import METRICS, TaskKind, of_role, times

ADDED = """
import dataclasses, json
from makeweight.budget import metric

line = dataclasses.replace(metric.METRICS["latency_p50"], name="dust", title="dust", meaning="grains", headline=False)
metric.METRICS["dust"] = dataclasses.replace(line, **{changes})

from makeweight.budget.rule import Budget, rules_of
from makeweight.config.schema import of_config
from makeweight.decide import Terms, decide
from makeweight.measurement import Measurement
from makeweight.report import html, markdown
from makeweight.report.content import Content

rules = tuple(rules_of(Budget.model_validate({{"dust": {{"max_ratio": 0.5}}}})))
where = "pi5" if rules[0].metric.per_device else None
measured = [
    Measurement("nonfinite_outputs", "int8", "fraction", 0.0),
    Measurement("dust", "int8", "s", 0.004, device=where),
    Measurement("dust", "int8", "ratio", 0.4, (0.39, 0.41), comparison="ratio", device=where),
]
decided = decide(Terms("digits", rules, ("int8",), {{"pi5": 10.0}}), measured, {{}})
content = Content(decided)
print(json.dumps({{
    "schema": "dust" in json.dumps(of_config()["$defs"]["Budget"]["properties"]),
    "verdict": decided.verdict,
    "sentence": decided.rules[-1].sentence,
    "markdown": markdown.render(content),
    "html": html.render(content),
}}))
"""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantile": 0.75}, "dust on pi5 is 0.40x [0.39, 0.41] of the baseline's"),
        ({"quantile": None, "meter": None, "moved": ["cleaner", "dirtier"]}, "dust on pi5 is 0.40x"),
        ({"origin": "compress", "quantile": None, "meter": None}, "dust is 0.40x"),
    ],
    ids=["another percentile", "something else on a device", "something in the file"],
)
def test_a_line_in_the_table_reaches_schema_gate_and_reports(changes: dict[str, object], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADDED.format(changes=changes)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["schema"]
    assert shown["verdict"] == "pass"
    assert shown["sentence"].startswith(said)
    word = (changes.get("moved") or ["faster"])[0]  # type: ignore[index]
    assert f"2.5x {word}" in shown["markdown"]
    assert "dust" in shown["html"]
    assert "4.00 ms" in shown["html"].replace("\N{NO-BREAK SPACE}", " ")


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
