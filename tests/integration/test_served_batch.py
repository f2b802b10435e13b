"""A model whose answers depend on the examples beside them is asked as it is served, and the report says so."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from onnx import helper

from makeweight.artifact import artifact
from makeweight.cli import main

pytestmark = pytest.mark.usefixtures("probed_here")

CONFIG = """\
name: mixing
model: {{onnx: model.onnx{batch}}}
data: {{npz: {{test: test.npz, calibration: test.npz}}}}
task: {{kind: classification, absent_classes: allow}}
variants:
  half: {{steps: [float16]}}
devices: {{here: {{kind: local, processes: 1}}}}
budget: {{size: {{max: 1 MB}}}}
"""
EXAMPLES, SHIFT = 30, 3.0


@pytest.mark.parametrize("served", [None, 5])
def test_evaluated_and_timed_as_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    inputs = (rng.standard_normal((EXAMPLES, 4)) + SHIFT).astype(np.float32)
    weights = rng.standard_normal((4, 3)).astype(np.float32)
    bias = np.array([0.1, 0, -0.1], dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("ReduceMean", ["p"], ["m"], axes=[0]),
        helper.make_node("Sub", ["p", "m"], ["s"]),
        helper.make_node("Add", ["s", "b"], ["y"]),
    ]
    ports = [tiny_models.value("x", ["N", 4])], [tiny_models.value("y", ["N", 3])]
    tiny_models.save(tmp_path / "model.onnx", nodes, *ports, {"w": weights, "b": bias})
    targets = np.arange(EXAMPLES) % 3
    np.savez(tmp_path / "test.npz", x=inputs, target=targets)
    batch = "" if served is None else f", batch: {served}"
    (tmp_path / "makeweight.yaml").write_text(CONFIG.format(batch=batch))

    for verb in (["baseline"], ["compress", "half"], ["evaluate", "half"], ["device", "here"], ["report"]):
        assert main(verb) == 0

    together = served or 1
    scores = (inputs @ weights).reshape(-1, together, 3)
    own = (scores - scores.mean(axis=1, keepdims=True) + bias).reshape(-1, 3).argmax(1)
    for name in ("baseline", "half"):
        assert artifact.read(tmp_path / "artifacts" / name).batch(served) == together
        told = json.loads((tmp_path / f"reports/{name}/evaluate.json").read_text())
        assert told["accuracy"] == pytest.approx(np.mean(own == targets))
    with np.load(tmp_path / "artifacts/baseline/inputs.npz") as stored:
        assert {array.shape for array in stored.values()} == {(together, 4)}
    said = f"half is asked for {together} at a time: its answers depend on the examples beside them"
    assert said in (tmp_path / "reports/report.md").read_text()
    assert said in (tmp_path / "reports/report.html").read_text()
    assert f"half: asked for {together} at a time" in capsys.readouterr().err
