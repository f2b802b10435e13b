"""The JSON Schema says yes to what the loader takes and no to what it refuses."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.quantity import pattern
from makeweight.cli import main
from makeweight.config import schema
from makeweight.config.settings import Settings
from makeweight.project.reading import understand
from makeweight.starter.draft import Draft, write
from makeweight_base.errors import ConfigError

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = yaml.safe_load("""
name: digits
model: {build: "digits.model:build", weights: base.pt, inputs: {image: [N, 1, 8, 8]}}
sources: [digits/]
data: {load: "digits.data:load", calibration: {split: train, samples: 64}, slices: "digits.data:slices"}
task: {kind: classification, classes: [a, b]}
pipeline: {preprocess: "digits.io:decode", samples: data/raw, variants: {int8: {postprocess: "digits.io:label"}}}
seed: 1
variants:
  half: {steps: [float16]}
  int8: {runtime: onnxruntime, steps: [{quantize: {method: static, calibrate: entropy}}]}
  slim: {steps: [{prune: {ratio: 0.5}}, {factorize: {energy: 0.9}}, {finetune: }, quantize]}
ship: int8
prefer: size
devices: {local: {kind: local, threads: 2}, other: {processes: 1, matrix: {batch: [1, 8], threads: [1, 2]}}}
budget:
  size: {max: 400 kB, max_ratio: 0.35}
  accuracy: [{max_drop: 0.5 pt}, {min: 90 %, slice: night, level: warn}]
  latency_p50: {max_ratio: 70 %, device: local}
  end_to_end_latency_p99: {max: 20 ms, max_regression: 5 %}
  cold_start: {max: 1 s}
waivers: [{rule: size.max, reason: soon, until: 2030-01-31}]
search:
  trials: 12
  hours: 1.5
  margin: 5 %
  memory: 2 GB
  recipes:
    small: {runtime: [onnxruntime, litert], steps: [[{prune: {ratio: {from: 0.2, to: 0.5}}}, null], quantize]}
canary: {traffic: 5 %, target: {kind: pointer, path: serving/current.json}, step_for: 6 h, steps: [5 %, 100 %]}
""")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    described = schema.of_config()
    jsonschema.Draft202012Validator.check_schema(described)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(described)))


def plain(data: Any) -> Any:
    return json.loads(json.dumps(data, default=str))


def test_a_full_file_is_valid_for_both(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(plain(GOOD))
    understand(yaml.safe_dump(GOOD), "makeweight.yaml", Path())


def at(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        if value is None:
            del data[path[-1]]
        else:
            data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        at("variant", value={}),
        at("model", value=None),
        at("model", "onnx", value="net.onnx"),
        at("model", "weights", value=None),
        at("model", "build", value="digits.model"),
        at("model", "build", value="model.py:build"),
        at("model", "runtime", value="onnx"),
        at("model", "inputs", "image", value="N,1,8,8"),
        at("data", "npz", value={"test": "t.npz"}),
        at("data", value={"npz": {"train": "t.npz"}}),
        at("data", "calibration", "split", value="test"),
        at("task", value="classify"),
        at("task", value={"kind": "custom"}),
        at("task", "metric", value="a:b"),
        at("seed", value=-1),
        at("variants", value={}),
        at("variants", "baseline", value={"steps": ["float16"]}),
        at("variants", "a.b", value={"steps": ["float16"]}),
        at("variants", "half", "steps", value=[]),
        at("variants", "half", "steps", 0, value="float32"),
        at("variants", "half", "steps", 0, value="prune"),
        at("variants", "half", "steps", 0, value="factorize"),
        at("variants", "half", "steps", 0, value={"factorize": {"energy": 0.9, "ratio": 0.5}}),
        at("variants", "half", "steps", 0, value="sparsify"),
        at("variants", "half", "steps", 0, value={"sparsify": {"structure": "2:4", "sparsity": 0.5}}),
        at("variants", "half", "steps", 0, value={"float16": {"bits": 3}}),
        at("variants", "int8", "steps", 0, value={"quantize": {"method": "guess"}}),
        at("variants", "int8", "steps", 0, value={"quantize": {}, "float16": {}}),
        at("variants", "slim", "steps", 0, "prune", "ratio", value=1.5),
        at("prefer", value="speed"),
        at("devices", "local", "kind", value="lokal"),
        at("devices", "local", "thread", value=1),
        at("devices", "other", "threads", value=0),
        at("devices", "other", "matrix", value={}),
        at("devices", "other", "matrix", "batch", value=[]),
        at("devices", "other", "matrix", "batch", value=[8, 8]),
        at("devices", "other", "matrix", "threads", value=[0]),
        at("devices", "other", "matrix", "sizes", value=[1]),
        at("devices", "evaluate", value={"kind": "local"}),
        at("budget", value={}),
        at("budget", "sise", value={"max": "1 kB"}),
        at("budget", "accuracy", value={"max": "90 %"}),
        at("budget", "latency_p50", "level", value="fatal"),
        at("budget", "size", "max", value="400 ms"),
        at("budget", "size", "max", value=400),
        at("budget", "accuracy", 0, "max_drop", value="0.5 %"),
        at("budget", "accuracy", 1, "min", value="ninety"),
        at("waivers", 0, "reason", value=None),
        at("search", "trials", value=0),
        at("search", "sampler", value="random"),
        at("search", "memory", value=2),
        at("search", "recipes", value={}),
        at("search", "recipes", "small", "runtime", value=["tvm"]),
        at("search", "recipes", "small", "steps", value="quantize"),
        at("search", "recipes", "small", "steps", value=[[]]),
        at("search", "recipes", "small", "steps", value=[["quantise"]]),
        at("variants", "search", value={"steps": ["float16"]}),
        at("canary", "traffic_share", value=1),
        at("canary", "target", "kind", value="pointr"),
        at("canary", "target", value={"path": "a"}),
        at("canary", "target", "socket", value="a"),
        at("canary", "silence", value="healthy"),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(
    validator: jsonschema.Draft202012Validator, change: Callable[[dict[str, Any]], None]
) -> None:
    bad = copy.deepcopy(GOOD)
    change(bad)
    with pytest.raises(ConfigError):
        understand(yaml.safe_dump(bad), "makeweight.yaml", Path())
    assert not validator.is_valid(plain(bad))


@pytest.mark.parametrize(
    "draft",
    [
        Draft("a", {"x": ["N", 4]}, build="a.b:c", weights="w.pt", load="a.d:l", sources=("a/",)),
        Draft(
            "b",
            {"x": [1, 4]},
            file="n.onnx",
            npz={"test": "t.npz", "calibration": "c.npz"},
            task="regression",
        ),
        Draft("c", {"x": ["N", 4]}, file="n.onnx", npz={"test": "t.npz"}, task="a.b:score"),
    ],
)
def test_what_init_writes_is_valid(validator: jsonschema.Draft202012Validator, draft: Draft) -> None:
    validator.validate(plain(yaml.safe_load(write(draft))))


def test_every_makeweight_yaml_of_this_repository_is_valid(
    validator: jsonschema.Draft202012Validator,
) -> None:
    made, files = {".venv", ".git", "build", "golden"}, []
    for folder, below, there in os.walk(ROOT):
        below[:] = {*below} - made  # tens of thousands of files, none of them looked at
        files += [Path(folder, name) for name in there if name == "makeweight.yaml"]
    assert ROOT / "makeweight.yaml" in files
    for path in files:
        validator.validate(plain(yaml.safe_load(path.read_text())))


def test_every_key_and_metric_is_described() -> None:
    described = schema.of_config()
    assert set(described["properties"]) == set(Settings.model_fields)
    assert set(described["$defs"]["Budget"]["properties"]) == set(METRICS)
    text = json.dumps(described)
    for name in described["$defs"]:
        assert f'"#/$defs/{name}"' in text, f"{name} is described and never used"


def test_it_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(schema.of_config()))


def test_an_error_in_a_step_is_told_of_its_option(validator: jsonschema.Draft202012Validator) -> None:
    bad = copy.deepcopy(GOOD)
    bad["variants"]["slim"]["steps"][0] = {"prune": {"ratio": "half"}}
    (error,) = validator.iter_errors(plain(bad))
    assert list(error.absolute_path) == ["variants", "slim", "steps", 0, "prune", "ratio"]
    assert error.message == "'half' is not of type 'number'"


@pytest.mark.parametrize("metric", METRICS)
def test_every_unit_of_a_limit_fits_its_pattern(metric: str) -> None:
    for operator in OPERATORS.values():
        if operator.fits(METRICS[metric]) is None:
            limit = operator.limit_dimension(METRICS[metric])
            for text in (limit.example, *(f"1.5{space}{unit}" for unit in limit.units for space in ("", " "))):
                assert re.search(pattern(limit), text), text
