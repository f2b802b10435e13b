"""The user's model: loaded, or refused with a sentence; and the baseline made of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from makeweight.compress.baseline import write_baseline
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.user.module import load_module
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent


class Told(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def _state(project: Project) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(project.root / "weights.pt", weights_only=True)
    return state


def _refused(project: Project) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_module(project.declared)
    return caught.value


def test_a_module_comes_in_eval_mode_with_its_weights(make_project: Any) -> None:
    project = make_project()
    state = {name: value * 2 for name, value in _state(project).items()}
    torch.save(state, project.root / "weights.pt")
    module = load_module(project.declared)
    assert not module.training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert load_module(project.declared) is not module


def test_no_weights(make_project: Any) -> None:
    error = _refused(make_project(weights=False))
    assert (error.what, error.where) == ("there is no weights file", "weights.pt")


def test_weights_cut_short(make_project: Any, capfd: pytest.CaptureFixture[str]) -> None:
    project = make_project()
    path = project.root / "weights.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert _refused(project).what == "this is a file that is cut short or damaged"
    path.write_bytes(b"")
    assert _refused(project).what == "this is an empty file"
    assert capfd.readouterr() == ("", "")


def test_other_keys_are_counted_and_three_of_each_are_named(make_project: Any) -> None:
    project = make_project()
    state = _state(project)
    for name in list(state)[:5]:
        state[f"old.{name}"] = state.pop(name)
    state["11.bias"] = torch.zeros(7)
    torch.save(state, project.root / "weights.pt")
    error = _refused(project)
    assert error.what == (
        "the weights do not fit the module: 5 missing (0.weight, 1.weight, 1.bias, …); 5 unexpected (old.0.weight, "
        "old.1.weight, old.1.bias, …); 1 of another shape (11.bias is [7] for [3])"
    )
    assert error.where == "weights.pt"


def test_the_part_of_a_checkpoint_that_fits_is_taken_and_told(make_project: Any, tmp_path: Path) -> None:
    project = make_project()
    state = {name: value * 2 for name, value in _state(project).items()}
    torch.save({"epoch": 3, "ema": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "weights.pt")
    told = Told()
    module = load_module(project.declared, told)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert told.lines == ["the weights are `ema.module` of weights.pt"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 3, "state_dict": {}}, "this is no state dict but a mapping of epoch, state_dict"),
        (torch.zeros(3), "this is no state dict but a Tensor"),
        ({}, "this is no state dict but an empty mapping"),
    ],
)
def test_no_state_dict(make_project: Any, content: object, says: str) -> None:
    project = make_project()
    torch.save(content, project.root / "weights.pt")
    assert _refused(project).what == says


def test_a_whole_module_is_not_unpickled(make_project: Any) -> None:
    project = make_project()
    torch.save(load_module(project.declared), project.root / "weights.pt")
    error = _refused(project)
    assert error.what.startswith("this is a pickled module (torch.nn.modules.")
    assert "it could run any code" in error.what


def test_nan_weights(make_project: Any) -> None:
    project = make_project()
    state = _state(project)
    state["11.bias"][1] = float("nan")
    torch.save(state, project.root / "weights.pt")
    assert _refused(project).what == "the weights hold NaN or infinity: 11.bias"


def test_build_that_gives_no_module(make_project: Any) -> None:
    project = make_project(code="\n\ndef build():\n    return 3\n", weights=False)
    error = _refused(project)
    assert "gave int, not a torch.nn.Module" in error.what


def test_build_that_raises_is_told_with_its_line(make_project: Any) -> None:
    project = make_project(code="\n\ndef build():\n    return {}['width']\n", weights=False)
    error = _refused(project)
    assert "raised KeyError: 'width'" in error.what
    lines = (project.root / str(error.where).split(":")[0]).read_text().splitlines()
    assert lines[int(str(error.where).split(":")[1]) - 1] == "    return {}['width']"


@pytest.mark.parametrize("numbers", ["bfloat16", "float64"])
def test_a_module_in_other_numbers_is_converted_before_its_weights_are_loaded(make_project: Any, numbers: str) -> None:
    project = make_project(code=f"\n\nplain = build\n\n\ndef build():\n    return plain().to(torch.{numbers})\n")
    state = {name: value.float() if value.is_floating_point() else value for name, value in _state(project).items()}
    state["11.bias"] = torch.tensor([1.001, 2.002, 3.003])  # of more digits than bfloat16 has
    torch.save(state, project.root / "weights.pt")
    module = load_module(project.declared, told := Told())
    assert torch.equal(module[11].bias, state["11.bias"])
    assert {value.dtype for value in module.state_dict().values()} == {torch.float32, torch.int64}
    (line,) = told.lines
    assert line.startswith(f"`{project.model.build}` is built in {numbers}, and is converted to float32")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_module_of_torchscript_is_refused(make_project: Any) -> None:
    project = make_project(code="\n\nplain = build\n\n\ndef build():\n    return torch.jit.script(plain())\n")
    error = _refused(project)
    assert "gave a TorchScript module, which can neither be exported nor changed" in error.what
    assert error.do == "Return the module that was scripted or traced; its weights have the same names."


def test_a_module_that_is_kept_between_calls_is_refused(make_project: Any) -> None:
    project = make_project(code="\n\nKEPT = build()\n\n\ndef build():\n    return KEPT\n")
    load_module(project.declared)
    error = _refused(project)
    assert error.what.startswith(f"`{project.model.build}` gave the same parameter (`0.weight`) in two calls")
    assert error.where == "makeweight.yaml: model.build"


def test_the_baseline_of_a_module(make_project: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = make_project()
    capfd.readouterr()
    folders = [tmp_path / "first", tmp_path / "second"]
    manifests = []
    for folder in folders:
        folder.mkdir()
        manifests.append(write_baseline(project.declared, folder, Silent()))
    first, second = (replace(each, read=None) for each in manifests)  # what was made is no output of a stage there
    assert first == second
    content = (folders[0] / "model.onnx").read_bytes()
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert (first.variant, first.status, first.recipe, first.parent) == ("baseline", "ready", [], None)
    assert (first.size, first.quantized, first.floating) == (len(content), 0, 4)
    assert {"python", "makeweight", "torch", "onnx", "onnxruntime", "onnxscript", "numpy"} == set(first.versions)
    assert capfd.readouterr() == ("", "")


def test_data_that_do_not_have_the_declared_shape(make_project: Any, tmp_path: Path) -> None:
    config = """
model: {{build: "{module}:build", weights: weights.pt, inputs: {{image: [N, 1, 28, 28]}}}}
data: {{load: "{module}:load"}}
{more}
budget: {{size: {{max: 1 MB}}}}
"""
    with pytest.raises(UsageError) as caught:
        write_baseline(make_project(config=config).declared, tmp_path, Silent())
    assert caught.value.what == (
        "input `image` is declared as [N, 1, 28, 28], and one example of the data has shape [1, 6, 6]"
    )


FROM_FILE = """
model: {{onnx: given.onnx{inputs}}}
data: {{npz: {{calibration: cal.npz, test: test.npz}}}}
variants: {{int8: {{steps: [quantize]}}}}
budget: {{size: {{max: 1 MB}}}}
"""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A model file that no exporter made, with a batch of four."""
    weight = np.random.default_rng(0).standard_normal((2, 1, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["scores"])],
        "by hand",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [4, 1, 6, 6])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [4, 2, 4, 4])],
        [numpy_helper.from_array(weight, "w")],
        doc_string="written for a test",
    )
    path = tmp_path / "given.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _from_file(path: Path, inputs: str = "") -> Project:
    return understand(FROM_FILE.format(inputs=inputs), "makeweight.yaml", path.parent)


def test_a_model_file_is_taken_over_without_what_is_noted_in_it(given: Path, tmp_path: Path) -> None:
    folder = tmp_path / "baseline"
    folder.mkdir()
    manifest = write_baseline(
        _from_file(given, ", inputs: {image: [4, 1, 6, 6]}, output: scores").declared, folder, Silent()
    )
    bare = onnx.load(given)
    bare.graph.ClearField("doc_string")
    assert (folder / "model.onnx").read_bytes() == bare.SerializeToString(deterministic=True)
    assert manifest.notes == {"left out": f"{given.stat().st_size - bare.ByteSize()} bytes of notes by its exporter"}
    assert manifest.macs == 2 * 4 * 4 * 9
    assert manifest.parameters == 18
    assert "torch" not in manifest.versions


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (", inputs: {picture: [4, 1, 6, 6]}", "the model's inputs are image, and picture are declared"),
        (", inputs: {image: [N, 1, 6, 6]}", "input `image` has shape [4, 1, 6, 6], and is declared as [N, 1, 6, 6]"),
        (", inputs: {image: [4, 36]}", "input `image` has shape [4, 1, 6, 6], and is declared as [4, 36]"),
        (", output: logits", "the model has no output `logits`; it has scores"),
    ],
)
def test_a_model_file_that_is_not_as_declared(given: Path, tmp_path: Path, inputs: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        write_baseline(_from_file(given, inputs).declared, tmp_path, Silent())
    assert caught.value.what == says


def test_a_model_file_that_cannot_be_used(given: Path, tmp_path: Path) -> None:
    whole = given.read_bytes()
    given.write_bytes(whole[:-20])
    with pytest.raises(UsageError, match="cut short or damaged"):
        write_baseline(_from_file(given).declared, tmp_path, Silent())
    given.unlink()
    with pytest.raises(UsageError, match="no such file"):
        write_baseline(_from_file(given).declared, tmp_path, Silent())
