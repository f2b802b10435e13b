"""Quantization-aware training: the file has what was learned, is fused as after training, and answers as simulated."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
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
from makeweight.artifact.model import Model
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
from makeweight.runtimes.onnxruntime import learned
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program, RecipeFailed
from makeweight.user import lazy
from makeweight_base.progress import Silent
from makeweight_probe import facts
from makeweight_probe.isa import sums_in_16_bits

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
    """What quantizers meet: normalizations behind convolutions, what works in place, a sum, a table used whole, a
    normalization used twice, attention, linear layers of rows and of rows of rows; some of them take their sizes from
    the first call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LazyConv2d(8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1)
        self.one, self.two, self.clip = nn.LazyBatchNorm2d(), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.places, self.norm = nn.Embedding(36, 8), nn.LayerNorm(8)
        self.wide, self.head = nn.LazyLinear(12), nn.Linear(12, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = self.clip(self.one(self.first(image)))
        image = self.clip(image + self.two(self.second(image)))
        rows = self.norm(image.flatten(2).transpose(1, 2) + self.places(torch.arange(36)))
        rows = self.norm(rows + functional.scaled_dot_product_attention(rows, rows, rows))
        return self.head(functional.gelu(self.wide(rows)).mean(1))


@dataclass(frozen=True)
class Made:
    """A module in training, and the file of what it learned."""

    program: Program
    floating: Path
    """The module's file in float32."""
    images: Any
    integers: Integers
    simulation: Simulation
    learned: Learned
    simulated: Any
    """Its answers as it trains."""
    model: Model


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Made:
    torch.manual_seed(0)
    called, images = Everything().eval(), torch.randn(48, 1, 6, 6)
    called(images)
    for part in called.modules():
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.3, 2)
            nn.init.normal_(part.bias)
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(), part.running_var.uniform_(0.3, 3)  # type: ignore[union-attr, operator]
    module = Everything().eval()
    module.load_state_dict(called.state_dict())
    lazy.settle(module)
    program = Program(module, {"image": ("N", 1, 6, 6)}, {"image": images[:4].numpy()})
    folder = tmp_path_factory.mktemp("everything")
    integers = learned.integers(RUNTIME, program, LEARNING, Few(images.numpy()), folder)
    simulation = Simulation(module, integers, {"image": images[:2]}, None)
    with simulation.running(), torch.no_grad():
        module.quantization_ranges.uniform_(-0.3, 0.1)
        simulated, left = module(images).numpy(), simulation.learned()
    trained = replace(program, left={LEARNED: left})
    model = RUNTIME.lower(trained, LEARNING, Few(images.numpy()), folder / "learned.onnx")
    return Made(program, folder / "marked.onnx", images, integers, simulation, left, simulated, model)


def _decibels(wanted: Any, given: Any) -> float:
    noise = wanted.astype(np.float64) - given
    return float(10 * np.log10(np.square(wanted.astype(np.float64)).sum() / np.square(noise).sum()))


def _steps(path: Path) -> set[tuple[float, int]]:
    """Scale and zero point of every activation in a file."""
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    return {(float(stored[node.input[1]]), int(stored[node.input[2]])) for node in quantizers}


def test_what_a_runtime_has_in_integers_is_told_by_calls(everything: Made) -> None:
    integers = everything.integers
    assert integers.unseen == ()
    assert {"input:1", "clip/relu", "clip/relu:2", "two/batch_norm", "/softmax"} <= set(integers.ranges)
    assert not {"first/conv2d", "one/batch_norm", "second/conv2d", "places/embedding"} & set(integers.calls)
    assert set(everything.simulation.weights) == {"first/conv2d", "second/conv2d", "wide/linear", "head/linear"}
    twice = {"norm/layer_norm(2)", "norm/layer_norm:2(2)"}
    assert {"places/embedding", "wide/add(1)", *twice} <= set(integers.constants)
    assert integers.biases == {"norm/layer_norm": "/add:2", "norm/layer_norm:2": "/add:3"}


def test_a_file_answers_as_the_training_simulated(everything: Made) -> None:
    answers = RUNTIME.open(everything.model).run({"image": everything.images.numpy()})[0]
    with torch.no_grad():
        plain = everything.program.module(everything.images).numpy()
    overflows = sums_in_16_bits(facts.identity()["isa"])
    assert _decibels(everything.simulated, answers) > _decibels(plain, answers) + (10 if overflows else 25)
    assert [name for name, _ in everything.program.module.named_parameters() if "ranges" in name] == []


def test_a_file_has_the_learned_ranges_and_is_fused_as_after_training(everything: Made, tmp_path: Path) -> None:
    spans = [(each.lowest, each.highest) for each in everything.learned.ranges.values()]
    scales = sorted((high - low) / 255 for low, high in spans)
    assert np.allclose(sorted({scale for scale, _ in _steps(everything.model.path)}), scales, rtol=1e-6)
    floating = RUNTIME.read(everything.floating)
    static = RUNTIME.lower(floating, STATIC, Few(everything.images.numpy()), tmp_path / "static.onnx")
    fused, after = (Counter(RUNTIME.inspect(each).operators) for each in (everything.model, static))
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
    train, validation = given.splits["train"].first(96), given.splits["validation"].first(48)
    images, targets = torch.from_numpy(train.inputs["image"]), torch.from_numpy(train.targets)
    optimizer = torch.optim.AdamW(module.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(module(images), targets).backward()
        optimizer.step()
    with torch.no_grad():  # a unit that nothing listens to, and that takes the whole range
        module[1].weight[0], module[1].bias[0], module[3].weight[:, 0] = 0, 2000, 0  # type: ignore[index, operator]
        reached = {"0/flatten": module[0](images), "2/relu": module[:3](images), "3/linear": module(images)}
    module.eval()
    ranges = {name: Range(float(values.min()), float(values.max())) for name, values in reached.items()}
    integers = Integers(ranges, {name: name for name in ranges}, {"2/relu": True, "3/linear": True}, {})
    asked = {"image": torch.from_numpy(validation.inputs["image"])}

    def right(scores: Any) -> float:
        return float((scores.argmax(1) == validation.targets).mean())

    def simulated(ranges: Any) -> Any:
        told = replace(integers, ranges=ranges)
        with Simulation(module, told, asked, None).running(), torch.no_grad():
            return module(asked["image"]).numpy()

    calibrated = right(simulated(ranges))
    left = QAT.apply(Subject(module), options, replace(given, integers=lambda *_: integers)).left[LEARNED]
    assert isinstance(left, Learned)
    assert right(simulated(left.ranges)) > calibrated + 0.3


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


def test_a_range_of_what_is_not_computed_any_more_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("makeweight.runtimes.onnxruntime.learned.exported", lambda *_: {})
    left = {LEARNED: Learned({"gone/relu": Range(0, 1)})}
    program = Program(nn.Linear(4, 2), {"input": ("N", 4)}, {"input": np.ones((2, 4), np.float32)}, left)
    with pytest.raises(RecipeFailed, match="no longer computes gone/relu"):
        RUNTIME.lower(program, LEARNING, None, tmp_path / "m.onnx")
