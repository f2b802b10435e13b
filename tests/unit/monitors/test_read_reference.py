"""reference.json as `evaluate` writes it is what the monitors read."""

import json
from pathlib import Path

import numpy as np
import pytest

from makeweight.config.settings import TaskSettings
from makeweight.measure import reference as written
from makeweight.measure.outcomes import Outcomes
from makeweight_base.errors import UsageError
from makeweight_monitors import build, reference


def outcomes(kind: str = "classification") -> Outcomes:
    target = np.arange(60) % 3
    confidence = np.linspace(0.3, 1, 60)
    facts = {"sha256": "abc", "runtime": "onnxruntime", "version": "1"}
    if kind == "regression":
        off = np.linspace(0, 2, 60)[:, None]
        return Outcomes(
            {"prediction": off, "target": np.zeros((60, 1))}, np.ones(60, bool), None, 0, "none", "d", facts
        )
    kept = {"prediction": target, "confidence": confidence, "target": target}
    return Outcomes(kept, np.ones(60, bool), None, 3, "softmax", "d", facts)


def save(path: Path, task: TaskSettings) -> dict:
    own = outcomes(task.kind)
    content = written.describe(task, "digits", "int8", own, own)
    path.write_text(json.dumps(content))
    return content


def test_what_evaluate_writes_of_a_classifier(tmp_path: Path) -> None:
    content = save(tmp_path / "reference.json", TaskSettings(classes=["cat", "dog", "owl"]))
    found = reference.read(tmp_path / "reference.json")
    assert (found.model, found.variant, found.task) == ("digits", "int8", "classification")
    assert found.classes == ("cat", "dog", "owl")
    assert (found.sha256, found.runtime) == ("abc", "onnxruntime")
    assert found.confidence is not None
    assert found.confidence.scores == "softmax"
    assert list(found.confidence.edges) == content["confidence"]["edges"]
    assert sum(found.confidence.share()) == pytest.approx(1)
    assert found.confidence.accuracy == tuple(content["confidence"]["accuracy"])


def test_what_evaluate_writes_of_a_regression(tmp_path: Path) -> None:
    content = save(tmp_path / "reference.json", TaskSettings(kind="regression"))
    found = reference.read(tmp_path / "reference.json")
    assert found.confidence is None
    assert found.classes is None
    assert list(found.error_edges or ()) == content["absolute_error"]["edges"][1:-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2"),
        ({"task": None, "model": None, "confidence": {}}, "`scores` is missing"),
        ({"confidence": {"scores": "logits"}}, "softmax, probability, sigmoid"),
        ({"confidence": {"scores": "softmax", "edges": [0, 0.5, 0.5, 1]}}, "do not rise"),
        ({"confidence": {"scores": "softmax", "edges": [0, 0.5]}}, "do not go from 0 to 1"),
        ({"confidence": {"scores": "softmax", "edges": [0, 1], "count": [1, 2], "accuracy": [None]}}, "1 bins"),
        ({"confidence": {"scores": "softmax", "edges": [0, 1], "count": [1], "accuracy": [7]}}, "beyond 0..1"),
        ({"classes": 3}, "no reference"),
        ([], "no reference"),
    ],
)
def test_what_is_no_reference_is_told_with_its_file(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "reference.json"
    content = save(path, TaskSettings())
    path.write_text(json.dumps({**content, **change} if isinstance(change, dict) else change))
    with pytest.raises(UsageError, match=said) as told:
        reference.read(path)
    assert str(told.value).startswith(f"{path}: ")


def test_a_file_that_is_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        reference.read(tmp_path / "nothing.json")
    (tmp_path / "torn.json").write_text('{"format": 1,')
    with pytest.raises(UsageError, match="cannot be read"):
        reference.read(tmp_path / "torn.json")


MANIFEST = {
    "variant": "int8", "status": "ready", "runtime": "onnxruntime", "sha256": "abc", "size": 89374,
    "recipe": [{"quantize": {"method": "static", "bits": 8}}], "weights": "int8",
}  # fmt: skip


def test_which_build_is_served(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(MANIFEST))
    found = build.read(path)
    assert (found.compressed, found.bits, found.runtime, found.sha256, found.size) == (
        "int8", "8", "onnxruntime", "abc", 89374,
    )  # fmt: skip
    assert len(found.recipe) == 12
    path.write_text(json.dumps({**MANIFEST, "recipe": [{"float16": {}}], "weights": "float16"}))
    assert build.read(path).bits == "16"
    assert build.read(path).recipe != found.recipe
    path.write_text(json.dumps({**MANIFEST, "recipe": [], "weights": ""}))
    assert build.read(path).bits == "", "a baseline says nothing of its bits"


@pytest.mark.parametrize("content", ['{"status": "failed", "reason": "no calibration"}', "{}", "[]", "{"])
def test_a_manifest_that_says_nothing_to_serve(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"no calibration|no manifest"):
        build.read(tmp_path / "manifest.json")
