from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import invented_content as invented
import pytest

from makeweight.report import dvcplots


def test_pareto_has_a_row_a_model_and_device():
    rows = json.loads(dvcplots.files(invented.content())["pareto.json"])
    assert len(rows) == 4 * 2
    own = next(row for row in rows if row["variant"] == "int8" and row["device"] == "laptop")
    base = next(row for row in rows if row["variant"] == "baseline" and row["device"] == "laptop")
    assert own["size_kb"] == 505.073
    assert own["latency_ms"] == pytest.approx(0.42 * base["latency_ms"], rel=1e-4), "its ratio on the baseline's scale"
    assert own["accuracy"] == pytest.approx(0.98325)


def test_what_was_not_measured_is_not_in_its_row():
    rows = json.loads(dvcplots.files(invented.content(devices=()))["pareto.json"])
    assert {tuple(row) for row in rows} == {("variant", "size_kb", "accuracy")}


def test_a_regression_is_plotted_by_its_own_metric():
    rows = json.loads(dvcplots.files(invented.regression())["pareto.json"])
    assert all("rmse" in row for row in rows)
    assert "accuracy" not in rows[0]


def test_csv_reads_back_whatever_the_names():
    files = dvcplots.files(invented.hostile())
    rows = list(csv.DictReader(io.StringIO(files["classes.csv"])))
    assert {row["variant"] for row in rows} == set(invented.HOSTILE)
    assert {row["class"] for row in rows} == {*invented.HOSTILE, "8", "9"}
    latency = list(csv.DictReader(io.StringIO(files["latency.csv"])))
    assert {float(row["percentile"]) for row in latency} == {50, 90, 99}
    assert all(float(row["ms"]) > 0 for row in latency)


@pytest.mark.parametrize("content", [invented.content(), replace(invented.content(), classes={}, timings=())])
def test_every_file_that_dvc_yaml_names_is_there(content: object):
    named = {path for entry in dvcplots.definitions() for plot in entry.values() for path in (*plot["x"], *plot["y"])}
    assert named == {f"reports/plots/{name}" for name in dvcplots.files(content)}  # type: ignore[arg-type]


def test_definitions_follow_the_task():
    (first, *_) = dvcplots.definitions("rmse")
    assert first["rmse against size"]["y"] == {"reports/plots/pareto.json": "rmse"}
