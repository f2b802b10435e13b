"""A torch.export program as a source: read as a module, lowered, trained, and refused where it cannot be had."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from made_once import made_once
from makeweight.compress.baseline import write_baseline
from makeweight.compress.finetune import Finetune
from makeweight.compress.prune import Prune
from makeweight.compress.subject import Subject
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.starter.arguments import Given
from makeweight.starter.gather import gather
from makeweight.user.exported import load
from makeweight.user.module import load_module
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent

CONFIG = """
model: {pt2: net.pt2, inputs: {image: [N, 1, 6, 6], scale: [N, 1]}, output: scores}
data: {npz: {train: data.npz, validation: data.npz, test: data.npz}}
task: {kind: classification, absent_classes: allow}
variants: {int8: {steps: [quantize]}}
budget: {size: {max: 1 MB}}
"""
SHAPES: dict[str, tuple[int | str, ...]] = {"image": ("N", 1, 6, 6), "scale": ("N", 1)}


class Net(nn.Module):
    """With a keyword, a constant, and outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.line = nn.Linear(64, 3)

    def forward(self, image: Any, shift: int = 0, *, scale: Any) -> dict[str, Any]:
        hidden = self.drop(self.norm(self.conv(image)).relu()).flatten(1)
        return {"scores": self.line(hidden) * scale + shift, "mean": image.mean((1, 2, 3))}


def _examples() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    image = generator.standard_normal((24, 1, 6, 6)).astype(np.float32)
    return {"image": image, "scale": generator.uniform(1, 2, (24, 1)).astype(np.float32), "target": np.arange(24) % 3}


def _make(folder: Path) -> None:
    torch.manual_seed(0)
    net, examples = Net(), _examples()
    image, scale = (torch.from_numpy(examples[name][:2]) for name in ("image", "scale"))
    batch = torch.export.Dim("N")
    free = {"image": {0: batch}, "shift": None, "scale": {0: batch}}
    for name, training, shapes in (("train", True, free), ("fixed", False, None), ("net", False, free)):
        program = torch.export.export(net.train(training), (image, 2), {"scale": scale}, dynamic_shapes=shapes)
        torch.export.save(program, folder / f"{name}.pt2")
    with torch.no_grad():
        answers = net(torch.from_numpy(examples["image"]), 2, scale=torch.from_numpy(examples["scale"]))
    np.savez(folder / "data.npz", **examples)
    np.savez(folder / "answers.npz", **{name: values.numpy() for name, values in answers.items()})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "exported-program", _make)


@pytest.fixture
def project(root: Path) -> Project:
    return understand(CONFIG, "makeweight.yaml", root)


def test_the_baseline_of_a_program_answers_what_its_module_does(project: Project, tmp_path: Path) -> None:
    manifest = write_baseline(project.declared, tmp_path, Silent())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    fed = {name: values for name, values in _examples().items() if name != "target"}
    with np.load(project.root / "answers.npz") as wanted:
        for name, answer in zip(("scores", "mean"), session.run(None, fed), strict=True):
            np.testing.assert_allclose(answer, wanted[name], atol=1e-5)
    assert [port.name for port in manifest.made().outputs] == ["scores", "mean"]
    assert project.model.files == ("net.pt2",)


def test_it_is_trained_further_and_its_layers_are_not_pruned(project: Project, make_given: Callable[..., Any]) -> None:
    given = make_given(project)
    module = load_module(project.declared)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    options = Finetune.Options(epochs=1)
    trained = Finetune().apply(Subject(module), options, given).source.state_dict()
    assert not torch.equal(trained["program.line.weight"], before["program.line.weight"])
    assert torch.equal(trained["program.norm.running_mean"], before["program.norm.running_mean"])
    with pytest.raises(RecipeFailed, match=r"prune changes layers, and a torch.export program has operators alone"):
        Prune().apply(Subject(module), Prune.Options(ratio=0.5), given)


@pytest.mark.parametrize(
    ("file", "shapes", "says"),
    [
        ("gone.pt2", SHAPES, "no such file"),
        ("data.npz", SHAPES, "this is a numpy file of arrays"),
        ("train.pt2", SHAPES, "exported in training mode"),
        ("fixed.pt2", SHAPES, "`image` has shape [2, 1, 6, 6] in the program, and is declared as [N, 1, 6, 6]"),
        ("net.pt2", {"image": ("N", 1, 6, 6)}, "the program's inputs are image, scale, and image are declared"),
    ],
    ids=["missing", "another kind", "training", "fixed batch", "other inputs"],
)
def test_what_cannot_be_had_is_told(root: Path, file: str, shapes: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(root / file, shapes)
    assert says in caught.value.what


def test_inputs_in_other_numbers_than_float32_are_refused(tmp_path: Path) -> None:
    halved = nn.Linear(2, 2).half()
    program = torch.export.export(halved, (torch.zeros(3, 2, dtype=torch.float16),))
    torch.export.save(program, tmp_path / "half.pt2")
    with pytest.raises(UsageError, match="input `input` of the program is float16, and all that is measured") as caught:
        load(tmp_path / "half.pt2", {"input": (3, 2)})
    assert "Export it in float32, with `module.float()`" in str(caught.value.do)


class Ran:
    """What an attacker would pickle."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("data/sample_inputs/model.pt", "`data/sample_inputs/model.pt`, which is more than tensors"),
        ("data/weights/model_weights_config.json", "`w` pickled"),
        ("data/aotinductor/model/a.so", "compiled code"),
    ],
    ids=["inputs", "weights", "machine code"],
)
def test_a_program_that_could_run_code_is_not_opened(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = io.BytesIO()
    torch.save(Ran(), evil)
    content = b'{"config": {"w": {"use_pickle": true}}}' if part.endswith("json") else evil.getvalue()
    with zipfile.ZipFile(root / "net.pt2") as whole, zipfile.ZipFile("evil.pt2", "w") as changed:
        for name in whole.namelist():
            if not name.endswith(part):
                changed.writestr(name, whole.read(name))
        changed.writestr(f"net/{part}", content)
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "evil.pt2", SHAPES)
    assert caught.value.what == f"the program could run any code when it is opened: it holds {says}"
    assert not (tmp_path / "ran").exists()


def test_init_reads_the_inputs_of_a_program(root: Path) -> None:
    draft = gather(root, Given(pt2="net.pt2", npz_test="data.npz", npz_calibration="data.npz"), None, Silent())
    assert (draft.key, draft.file) == ("pt2", "net.pt2")
    assert draft.inputs == {"image": ["N", 1, 6, 6], "scale": ["N", 1]}
    assert [entry.name for entry in draft.variants] == ["fp16", "int8", "int8-dynamic"]
