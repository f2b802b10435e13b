"""Quantization-aware training: the file has what was learned, is fused as after training, and answers as simulated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from makeweight.artifact import artifact
from makeweight.compress.checkpoints import Checkpoints
from makeweight.compress.curves import Curves
from makeweight.compress.make import make
from makeweight.compress.qat import Qat, QatOptions
from makeweight.compress.recipe import Plan, Step, Variant
from makeweight.compress.simulation import Simulation
from makeweight.compress.sparsify import Sparsify, SparsifyOptions
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.runtimes.integers import LEARNED, Integers, Learned, Range
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program, RecipeFailed
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent

RUNTIME, QAT = OnnxRuntime(), Qat()
LEARNING = QAT.format(QatOptions(calibrate="minmax"))
STATIC = replace(LEARNING, ranges="static")


class Few:
    """Calibration examples, as a runtime asks for them."""

    def __init__(self, images: Any) -> None:
        self.images = images

    def feeds(self, size: int) -> Any:
        return ({"image": self.images[at : at + size]} for at in range(0, len(self.images), size))


class Everything(nn.Module):
    """What quantizers meet: normalizations behind convolutions, what works in place, a sum, attention, linear layers of
    rows and of rows of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1)
        self.one, self.two, self.clip = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.attention, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)
        self.wide, self.head = nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = self.clip(self.one(self.first(image)))
        image = self.clip(image + self.two(self.second(image)))
        rows = image.flatten(2).transpose(1, 2)
        rows = self.norm(rows + self.attention(rows, rows, rows, need_weights=False)[0])
        return self.head(functional.gelu(self.wide(rows)).mean(1))


def _decibels(wanted: Any, given: Any) -> float:
    noise = wanted.astype(np.float64) - given
    return float(10 * np.log10(np.square(wanted.astype(np.float64)).sum() / np.square(noise).sum()))


def _steps(path: Path) -> set[tuple[float, int]]:
    """Scale and zero point of every activation in a file."""
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    return {(float(stored[node.input[1]]), int(stored[node.input[2]])) for node in quantizers}


def test_a_file_answers_as_the_training_simulated_and_is_fused_as_after_training(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, images = Everything(), torch.randn(48, 1, 6, 6)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.3, 2)
            nn.init.normal_(part.bias)
            part.running_mean.normal_(), part.running_var.uniform_(0.3, 3)  # type: ignore[union-attr, operator]
    module.eval()
    program = Program(module, {"image": ("N", 1, 6, 6)}, {"image": images[:4].numpy()})
    integers = RUNTIME.integers(program, LEARNING, Few(images.numpy()))
    assert integers.unseen == ()
    assert {"input:1", "clip/relu", "clip/relu:2", "two/batch_norm", "attention/softmax"} <= set(integers.ranges)
    assert not {"first/conv2d", "one/batch_norm", "second/conv2d"} & set(integers.calls)
    simulation = Simulation(module, integers, {"image": images[:2]}, None)
    assert set(simulation.weights) == {
        "first/conv2d", "second/conv2d", "attention/linear", "attention/linear:2", "wide/linear", "head/linear"
    }  # fmt: skip
    with simulation.running(), torch.no_grad():
        module.quantization_ranges.uniform_(-0.3, 0.1)
        simulated, learned = module(images).numpy(), simulation.learned()
    assert [name for name, _ in module.named_parameters() if "ranges" in name] == []
    made = RUNTIME.lower(
        replace(program, left={LEARNED: learned}), LEARNING, Few(images.numpy()), tmp_path / "learned.onnx"
    )
    answers = RUNTIME.open(made).run({"image": images.numpy()})[0]
    with torch.no_grad():
        plain = module(images).numpy()
    assert _decibels(simulated, answers) > _decibels(plain, answers) + 6
    spans = [(each.lowest, each.highest) for each in learned.ranges.values()]
    scales = sorted((high - low) / 255 for low, high in spans)
    assert np.allclose(sorted({scale for scale, _ in _steps(made.path)}), scales, rtol=1e-6)
    static = RUNTIME.lower(program, STATIC, Few(images.numpy()), tmp_path / "static.onnx")
    fused, after = (Counter(RUNTIME.inspect(each).operators) for each in (made, static))
    moves = ("Reshape", "Shape", "Slice", "Concat", "Transpose", "Squeeze", "Unsqueeze", "Split", "DequantizeLinear")
    assert {kind: count for kind, count in fused.items() if kind not in moves} == {
        kind: count for kind, count in after.items() if kind not in moves
    }
    assert all(fused[kind] <= after[kind] for kind in moves)


def test_where_calibrated_integers_lose_the_classes_learned_ones_keep_them(make_project: Any, tmp_path: Path) -> None:
    project = make_project()
    supply = Supply(project.declared, RUNTIME, tmp_path, {}, Silent(), Checkpoints(), Curves())
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 3))
    options = QatOptions(epochs=20, batch=8, lr=0.003, calibrate="minmax")
    given = supply.given(QAT.needs(options))
    train = given.splits["train"].first(96)
    images, targets = torch.from_numpy(train.inputs["image"]), torch.from_numpy(train.targets)
    optimizer = torch.optim.AdamW(module.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(module(images), targets).backward()
        optimizer.step()
    with torch.no_grad():  # a unit that nothing listens to, and that takes the whole range
        module[1].weight[0], module[1].bias[0], module[3].weight[:, 0] = 0, 2000, 0  # type: ignore[index, operator]
    module.eval()
    validation = given.splits["validation"].first(48)

    def right(model: Any) -> float:
        scores = RUNTIME.open(model).run({"image": validation.inputs["image"]})[0]
        return float((scores.argmax(1) == validation.targets).mean())

    calibration = given.splits["calibration"]
    static = RUNTIME.lower(supply.program(Subject(module)), STATIC, calibration, tmp_path / "static.onnx")
    learned = QAT.apply(Subject(module), options, given)
    made = RUNTIME.lower(supply.program(learned), QAT.format(options), calibration, tmp_path / "learned.onnx")
    assert right(made) > right(static) + 0.3


def test_a_recipe_leaves_a_file_of_learned_ranges_with_its_zeros_and_a_control(
    make_project: Any, small_baseline: Path, tmp_path: Path
) -> None:
    steps = Step(Sparsify(), SparsifyOptions(sparsity=0.5, epochs=0)), Step(QAT, QatOptions(epochs=1))
    project, baseline, folder = make_project(), artifact.read(small_baseline), tmp_path / "v"
    folder.mkdir()
    recipe = [{"sparsify": {}}, {"qat": {}}]
    made = make(
        Variant("v", "onnxruntime", Plan(steps, steps[-1]), recipe), project.declared, baseline, folder, Silent()
    )
    assert made.status == "ready", made.reason
    told = made.notes["qat"]
    assert told["epochs"] == 1
    assert made.control is not None
    scales = sorted((high - low) / 255 for low, high in told["ranges"].values())
    assert np.allclose(sorted({scale for scale, _ in _steps(made.made().path)}), scales, rtol=1e-6)
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(made.made().path).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert len(weights) == 4
    assert all((each == 0).mean() >= 0.5 for each in weights)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (Integers({}, {}, {}, {}), "qat changed nothing: no call of the module becomes integers"),
        (None, "qat: the module fails in training"),
    ],
    ids=["no integers", "a loss that is no number"],
)
def test_what_cannot_be_trained_so_is_refused(make_project: Any, tmp_path: Path, told: Any, says: str) -> None:
    project = make_project()
    supply = Supply(project.declared, RUNTIME, tmp_path, {}, Silent(), Checkpoints(), Curves())
    options = QatOptions(epochs=1, lr=1e30)
    given = supply.given(QAT.needs(options))
    known = told or Integers({"0/conv2d": Range(-1, 1)}, {"0/conv2d": "0/conv2d"}, {}, {})
    module = supply.given(QAT.needs(options)).baseline
    with pytest.raises(RecipeFailed, match=says if told else "the loss became nan in epoch 1; a smaller `lr`"):
        QAT.apply(Subject(module), options, replace(given, integers=lambda *_: known))
    assert "forward" not in vars(module)


def test_a_range_of_what_is_not_computed_any_more_is_refused(tmp_path: Path) -> None:
    program = Program(
        nn.Linear(4, 2).eval(),
        {"input": ("N", 4)},
        {"input": np.ones((2, 4), np.float32)},
        {LEARNED: Learned({"gone/relu": Range(0, 1)})},
    )
    with pytest.raises((RecipeFailed, UsageError), match="no longer computes gone/relu"):
        RUNTIME.lower(program, LEARNING, Few(np.ones((2, 4), np.float32)), tmp_path / "m.onnx")
