"""What a file weighs, from manifests."""

from dataclasses import replace

import pytest

from makeweight.artifact.artifact import Manifest
from makeweight.artifact.ports import Port
from makeweight.budget.metric import METRICS
from makeweight.measure import storage
from model_values import invented_model

BASE = Manifest(
    "baseline",
    "ready",
    "onnxruntime",
    [],
    0,
    None,
    {},
    model=invented_model(size=400),
    size_compressed=300,
    parameters=100,
    macs=50,
)
OWN = replace(BASE, variant="int8", parent="p", model=invented_model(size=100), size_compressed=90, macs=25)
_TEXT = (Port("ids", ("N", "T"), "int64"), Port("mask", ("N", None), "int64"), Port("state", (2, "N"), "float32", 0))
_FREE = replace(OWN, model=invented_model(inputs=_TEXT))


def test_figures_and_ratios() -> None:
    found = {m.measurand.name: m.value for m in storage.measure(OWN, BASE)}
    assert found == {
        "size": 100,
        "size_ratio": 0.25,
        "size_compressed": 90,
        "size_compressed_ratio": 0.3,
        "parameters": 100,
        "parameters_ratio": 1.0,
        "macs": 25,
        "macs_ratio": 0.5,
    }
    assert {m.measurand.name for m in storage.measure(BASE, None)} == {"size", "size_compressed", "parameters", "macs"}


def test_every_metric_of_the_catalogue_is_there() -> None:
    names = {metric.name for metric in METRICS.values() if metric.origin == "compress"}
    assert names == {m.measurand.name for m in storage.measure(BASE, None)}


def test_where_sizes_are_free_it_is_said_which_examples_were_counted() -> None:
    found = {m.measurand.name: m.method for m in storage.measure(_FREE, BASE)}
    assert "a mean over the examples that latency is measured on: T of `ids`, ? of `mask` differ" in found["macs"]
    assert "a mean over" in found["macs_ratio"]
    assert found["parameters"] == "counted in the file"


@pytest.mark.parametrize(
    ("own", "base", "metric", "reason"),
    [
        (replace(OWN, macs=None), BASE, "macs", "MACs could not be counted"),
        (replace(OWN, macs=None), BASE, "macs_ratio", "MACs could not be counted"),
        (OWN, replace(BASE, macs=0), "macs_ratio", "the baseline has none to compare with"),
        (OWN, replace(BASE, macs=None), "macs_ratio", "the baseline has none to compare with"),
        (replace(OWN, status="failed", reason="nothing to prune"), BASE, "size", "nothing to prune"),
        (replace(OWN, status="failed", reason="nothing to prune"), BASE, "size_ratio", "nothing to prune"),
    ],
)
def test_what_cannot_be_counted_is_unavailable(own: Manifest, base: Manifest, metric: str, reason: str) -> None:
    found = {m.measurand.name: m for m in storage.measure(own, base)}
    assert found[metric].status == "unavailable"
    assert reason in str(found[metric].reason)
