"""A model of several files goes the whole way: size, hash, copy and audit mean all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from makeweight.artifact import artifact
from makeweight.cli import main
from makeweight.project import reading
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import UsageError

pytestmark = pytest.mark.usefixtures("probed_here")

CONFIG = """
name: external
model: {onnx: given/split.onnx}
sources: [given/split.onnx.data]
data: {npz: {calibration: test.npz, test: test.npz}}
task: classification
variants: {int8: {steps: [quantize]}, half: {steps: [float16]}}
devices: {here: {kind: local, processes: 1}}
budget: {size: {max_ratio: 0.6}}
"""
WIDTH = 512


def _network() -> Any:
    weight = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)).astype(np.float32)
    shape = ["N", WIDTH]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    path = tmp_path / "given" / "split.onnx"
    path.parent.mkdir()
    location = "split.onnx.data"
    onnx.save(_network(), path, save_as_external_data=True, location=location, size_threshold=0)
    return path


@pytest.fixture
def repository(split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    inputs = np.random.default_rng(1).standard_normal((40, WIDTH)).astype(np.float32)
    (answers,) = OnnxRuntime().open(OnnxRuntime().read(split)).run({"x": inputs})
    np.savez(tmp_path / "test.npz", x=inputs, target=answers.argmax(1))
    config = CONFIG.replace("task: classification", "task: {kind: classification, absent_classes: allow}")
    (tmp_path / "makeweight.yaml").write_text(config)
    return tmp_path


def test_from_the_file_that_was_given_to_the_verdict(short_tails: None, repository: Path, split: Path) -> None:
    for step in ("baseline", "compress int8", "compress half", "evaluate int8", "evaluate half", "device here"):
        assert main(step.split()) == 0
    for variant in ("int8", "half"):
        assert main(["benchmark", variant, "--device", "here"]) == 0
    assert main(["report"]) == 0

    folder = repository / "artifacts" / "baseline"
    weights = (split.parent / "split.onnx.data").read_bytes()
    assert (folder / "model.onnx").read_bytes() == split.read_bytes()
    assert (folder / "split.onnx.data").read_bytes() == weights
    manifest = artifact.read(folder)
    assert manifest.size == len(split.read_bytes()) + len(weights)
    assert manifest.parameters == WIDTH * WIDTH
    told = json.loads((repository / "reports/verdict.json").read_text())
    assert told["verdict"] == "pass"
    assert told["provenance"]["artifacts"]["baseline"] == manifest.sha256
    half = artifact.read(repository / "artifacts" / "half")
    assert half.size is not None
    assert half.size < 0.51 * manifest.size, "what is made is one file again, and weighed against both"
    assert [file.name for file in half.made().files] == ["model.onnx"]


def test_other_weights_are_another_model(repository: Path, split: Path) -> None:
    assert main(["baseline"]) == 0
    before = artifact.read(repository / "artifacts" / "baseline")
    weights = bytearray((split.parent / "split.onnx.data").read_bytes())
    weights[1000] ^= 1
    (split.parent / "split.onnx.data").write_bytes(weights)
    assert main(["baseline"]) == 0
    after = artifact.read(repository / "artifacts" / "baseline")
    assert before.size == after.size
    assert before.sha256 != after.sha256


def test_weights_that_no_source_covers_are_refused_and_are_no_code(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC and the gate know the file that is named: what that one names could be exchanged unseen."""
    path = repository / "makeweight.yaml"
    declared = path.read_text()
    path.write_text(declared.replace("sources: [given/split.onnx.data]\n", ""))
    assert main(["baseline"]) == 2
    said = capsys.readouterr().err
    assert "makeweight.yaml: sources: weights of the model lie in `given/split.onnx.data`" in said
    assert "\n  - given/split.onnx.data" in said
    path.write_text(declared.replace("[given/split.onnx.data]", "[given, code.py]"))
    (repository / "code.py").write_text("")
    assert main(["baseline"]) == 0
    assert reading.load(repository).code.files() == [Path("code.py")]


def test_weights_exchanged_after_the_verdict_are_found(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("baseline", "compress half", "compress int8", "evaluate half", "evaluate int8", "report"):
        assert main(step.split()) == 0
    capsys.readouterr()
    main(["verify", "reports/verdict.json"])
    assert "artifacts/baseline/model.onnx" not in capsys.readouterr().out
    path = repository / "artifacts" / "baseline" / "split.onnx.data"
    path.write_bytes(path.read_bytes()[::-1])
    main(["verify", "reports/verdict.json"])
    assert "artifacts/baseline/model.onnx" in capsys.readouterr().out


def test_compared_as_one_file_and_as_two(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = tmp_path / "single.onnx"
    onnx.save(_network(), single)
    main(["compare", str(single), str(split), "--json", "--seconds", "0.5", "--max-ratio", "3"])
    told = json.loads(capsys.readouterr().out)
    assert told["a"]["size"] == single.stat().st_size
    assert told["b"]["size"] == sum(path.stat().st_size for path in split.parent.iterdir())
    assert told["b"]["sha256"] != told["a"]["sha256"]


@pytest.mark.parametrize(
    ("location", "says"),
    [("../away.bin", "outside the folder of the file"), ("gone.bin", "which is missing")],
    ids=["outside", "missing"],
)
def test_weights_that_are_not_beside_it_are_told(split: Path, location: str, says: str) -> None:
    model = onnx.load(split, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    split.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match=says) as caught:
        OnnxRuntime().read(split)
    assert caught.value.where == str(split)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bytes(WIDTH * WIDTH * 4 - 100), "cut short: 1,048,476 bytes of at least 1,048,576"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file itself"),
        (b"", "an empty file"),
    ],
    ids=["cut", "pointer", "empty"],
)
def test_weights_that_are_not_all_there_are_told(split: Path, content: bytes, says: str) -> None:
    (split.parent / "split.onnx.data").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        OnnxRuntime().read(split)
    assert caught.value.what == f"the weights lie in `split.onnx.data`, which is {says}"
    assert caught.value.where == str(split)
