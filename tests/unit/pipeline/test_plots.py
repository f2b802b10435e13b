"""The plots follow what is judged."""

from __future__ import annotations

from pathlib import Path

import yaml

from makeweight.pipeline import plots
from makeweight.pipeline.merge import merge
from makeweight.project.reading import understand
from unit.pipeline.conftest import PLOTS, THE_PIPELINE, module


def test_the_plots_follow_the_metric_that_the_report_shows() -> None:
    def drawn(task: str, budget: str) -> tuple[list[str], str]:
        text = (
            "model: {onnx: n.onnx}\ndata: {load: 'a:b'}\nvariants: {v: {steps: [float16]}}\n"
            f"task: {task}\nbudget: {{size: {{max: 1 kB}}, {budget}}}\n"
        )
        found = plots.drawn(understand(text, "makeweight.yaml", Path()))
        return [name for plot in found for name in plot], str(found)

    assert drawn("classification", "negative_flips: {max: 1 %}")[0][0] == "accuracy against size"
    assert drawn("regression", "latency_p50: {max_ratio: 1}")[0][0] == "rmse against size"
    assert drawn("regression", "r2: {max_drop: 0.1}")[0][0] == "r2 against size"
    assert "'reports/plots/pareto.json': 'metric'" in drawn("'m:score'", "metric: {max_drop: 0.1}")[1]


def test_a_plot_of_ours_by_another_name_is_replaced_in_place() -> None:
    new = [{"r2": {"y": {"reports/plots/pareto.json": "r2"}}}, PLOTS[1]]
    theirs = THE_PIPELINE + "  - theirs.csv: {x: step}\n"
    text, changes = merge(theirs, module("digits", "requirements.lock"), new)
    assert changes == ["brought plot r2 up to date"]
    assert yaml.safe_load(text)["plots"] == [*new, {"theirs.csv": {"x": "step"}}]


def test_each_variant_that_trains_has_its_curves() -> None:
    text = (
        "model: {build: 'a:b', weights: w.pt, inputs: {x: [N, 2]}}\ndata: {load: 'a:b'}\n"
        "variants:\n  half: {steps: [float16]}\n  slim: {steps: [prune: {ratio: 0.5}]}\n"
        "budget: {size: {max: 1 kB}}\n"
    )
    found = plots.drawn(understand(text, "makeweight.yaml", Path()))
    curves = {"samples/slim/training": {"x": "epoch", "y": ["variant", "control"]}}
    assert found[4:] == [curves]
    # one of a variant that is no more gives its place to another
    old = "plots:\n  - samples/thin/training: {x: epoch}\n"
    assert yaml.safe_load(plots.put(old, yaml.safe_load(old)["plots"], [curves])[0])["plots"] == [curves]
