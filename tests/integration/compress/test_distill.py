"""Students learn of a teacher: with labels or without, theirs or the user's, of the baseline or of somebody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from integration.compress.conftest import fresh
from integration.tiny_models import save, value
from makeweight.compress.distill import Distill, DistillOptions
from makeweight.compress.examples import tensors
from makeweight.compress.reproducible import reproducible
from makeweight.compress.students import shallower
from makeweight.compress.subject import Subject
from makeweight.compress.teachers import teacher_of
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user import anew
from makeweight.user.module import built
from makeweight_base.errors import UsageError
from split_values import split_of

CODE = '''

def small(classes=3):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
    )


def small_of_four():
    return small(4)


READ = torch.zeros(4, 3)


def of_table():
    return nn.Sequential(nn.Embedding.from_pretrained(READ))


def waiting():
    module = nn.Sequential(nn.LazyConv2d(8, 3))
    module.load_state_dict({"0.weight": torch.zeros(8, 1, 3, 3), "0.bias": torch.zeros(8)})
    return module


def of_sound():
    return nn.Linear(16000, 3)


class Stubborn(nn.Module):
    """Answers with the last class, whatever it sees, once its weights are loaded."""

    def __init__(self):
        super().__init__()
        self.says = nn.Parameter(torch.zeros(3))

    def forward(self, image):
        return self.says.expand(len(image), 3)
'''


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project(code=CODE))


def _own(given: Any, name: str) -> str:
    """`module:name` of the small project's code."""
    return f"{next(given.root.glob('tiny_user_*.py')).stem}:{name}"


def _distilled(given: Any, module: Any = None, **options: Any) -> Any:
    with reproducible(0):
        return Distill().apply(Subject(module or fresh(given)), DistillOptions(**options), given).source


def _answers(module: Any, given: Any) -> Any:
    with torch.no_grad():
        return module(torch.from_numpy(given.splits["validation"].source.inputs["image"]))


def _with_targets(given: Any, targets: Any) -> Any:
    splits = {
        name: split_of(name, split.source.inputs, targets(split.source.targets)) for name, split in given.splits.items()
    }
    return replace(given, splits=splits, notes={})


def test_without_labels_the_student_never_sees_one(given: Any) -> None:
    """Whatever the labels are, of training and of validation, the same student comes of it."""
    wrong, learns = _with_targets(given, lambda right: (right + 1) % 3), {"student": _own(given, "small"), "epochs": 1}
    blind, blind_too = (_distilled(each, labels=False, **learns).state_dict() for each in (given, wrong))
    assert all(torch.equal(weight, blind_too[name]) for name, weight in blind.items())
    seeing, misled = (_distilled(each, **learns).state_dict() for each in (given, wrong))
    assert not all(torch.equal(weight, misled[name]) for name, weight in seeing.items())
    assert given.notes["distill"]["labels"] is True


def test_a_student_of_the_users_takes_the_models_place_and_comes_to_answer_as_it(given: Any) -> None:
    name = _own(given, "small")
    apart = []
    for epochs in (1, 4):
        student = _distilled(given, student=name, labels=False, epochs=epochs, lr=0.02)
        apart.append(
            float((_answers(student, given).softmax(1) - _answers(given.baseline, given).softmax(1)).abs().mean())
        )
    assert apart[1] < apart[0]
    assert student[0].out_channels == 8
    note = given.notes["distill"]
    assert note["parameters"][1] == 8 * 9 + 8 + 8 * 3 + 3 < note["parameters"][0] / 100
    assert (note["teacher"], note["labels"], note["epochs"]) == ("baseline", False, 4)


@pytest.mark.parametrize("kind", ["a module with weights", "an ONNX file"])
def test_somebody_else_teaches(given: Any, kind: str) -> None:
    if kind == "an ONNX file":
        import onnx

        weights = {"w": np.zeros((36, 3), np.float32), "b": np.array([0, 0, 20], np.float32)}
        nodes = [
            onnx.helper.make_node("Flatten", ["image"], ["flat"]),
            onnx.helper.make_node("Gemm", ["flat", "w", "b"], ["scores"]),
        ]
        save(given.root / "t.onnx", nodes, [value("image", ["N", 1, 6, 6])], [value("scores", ["N", 3])], weights)
        teacher = {"teacher": "t.onnx"}
    else:
        torch.save({"says": torch.tensor([0.0, 0.0, 20.0])}, given.root / "t.pt")
        teacher = {"teacher": _own(given, "Stubborn"), "teacher_weights": "t.pt"}
    student = _distilled(given, student=_own(given, "small"), labels=False, epochs=3, lr=0.1, **teacher)
    assert (_answers(student, given).argmax(1) == 2).all()


def test_the_weights_of_a_teacher_do_not_reach_the_model_by_a_table_of_both(given: Any) -> None:
    name = _own(given, "of_table")
    module = built(name, given.root, where="here")
    anew.have_its_own(module, name, "here")
    torch.save({"0.weight": torch.ones(4, 3)}, given.root / "t.pt")
    teacher = teacher_of(TrainingOptions(teacher=name, teacher_weights="t.pt"), given)
    assert teacher[0].weight.all()
    assert not module[0].weight.any()


def test_layers_of_a_student_that_wait_for_their_first_input_have_the_sizes_of_the_weights_that_its_code_loads(
    given: Any,
) -> None:
    assert built(_own(given, "waiting"), given.root, where="here")[0].in_channels == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"teacher": "small_of_four"},
            r"the teacher `.*:small_of_four` answers \[4\] for an example, and the model \[3\]",
        ),
        (
            {"teacher": "of_sound"},
            r"the teacher `.*:of_sound` does not take the model's inputs \(image\): RuntimeError",
        ),
        (
            {"student": "small_of_four"},
            r"the student `.*:small_of_four` answers \[4\] for an example, and the model \[3\]",
        ),
        ({"student": "of_sound"}, r"the student `.*:of_sound` does not take the model's inputs \(image\)"),
        ({"student": "nobody"}, "has no `nobody`"),
    ],
    ids=["classes", "inputs", "classes of the student", "inputs of the student", "not there"],
)
def test_who_does_not_fit_is_refused_by_name_before_training(given: Any, options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        _distilled(given, **{who: _own(given, name) for who, name in options.items()})
    assert not any("epoch" in line for line in given.progress.lines)


def test_hints_make_a_layer_resemble_the_teachers(given: Any) -> None:
    def apart(student: Any) -> float:
        images = torch.from_numpy(given.splits["validation"].source.inputs["image"])
        with torch.no_grad():
            return float((student[0](images) - given.baseline[0](images)).square().mean())

    def drawn() -> Any:
        torch.manual_seed(5)
        pooled = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3))
        return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), *pooled)

    plain = apart(_distilled(given, drawn(), epochs=3, lr=0.05))
    hinted = apart(_distilled(given, drawn(), epochs=3, lr=0.05, hints={"0": "0"}, hint_weight=100))
    assert hinted < plain / 2


def test_a_narrower_student_is_what_pruning_leaves(given: Any) -> None:
    wide = nn.Sequential(nn.Flatten(), nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 3))
    student = _distilled(given, wide, width=0.5, epochs=1)
    assert (student[1].out_features, student[3].in_features, student[3].out_features) == (32, 32, 3)
    assert given.notes["distill"]["parameters"][1] == sum(each.numel() for each in student.parameters())


class Block(nn.Module):
    def __init__(self, width: int, out: int | None = None) -> None:
        super().__init__()
        self.map = nn.Sequential(nn.Linear(width, out or width), nn.Tanh())

    def forward(self, values: Any, scale: float = 1.0) -> Any:
        answer = self.map(values) * scale
        return values + answer if answer.shape == values.shape else answer


class Stages(nn.Module):
    """A row that is called with more than its input, and one whose first block changes the width."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(Block(6) for _ in range(4))
        self.stage = nn.Sequential(Block(6, 5), Block(5), Block(5), Block(5))
        self.head = nn.Linear(5, 3)

    def forward(self, values: Any) -> Any:
        for block in self.blocks:
            values = block(values, scale=0.5)
        return self.head(self.stage(values))


def test_a_shallower_student_is_the_model_without_every_second_block() -> None:
    module, values = Stages().eval(), np.random.default_rng(0).random((2, 6), dtype=np.float32)
    whole = Stages().eval()
    assert shallower(module, 0.5, {"values": torch.from_numpy(values)}) == [
        "blocks.1",
        "blocks.3",
        "stage.2",
        "stage.3",
    ]
    with torch.no_grad():
        answer = torch.from_numpy(values)
        for number in (0, 2):
            answer = whole.blocks[number](answer, scale=0.5)
        answer = whole.head(whole.stage[1](whole.stage[0](answer)))
        assert torch.allclose(module(torch.from_numpy(values)), answer)
    assert not any("blocks.1" in name or "stage.3" in name for name, _ in module.named_parameters())


def test_an_encoder_of_pytorchs_gets_shallower() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    module = nn.Sequential(nn.TransformerEncoder(layer, 3), nn.Flatten(), nn.Linear(32, 3)).eval()
    assert shallower(module, 0.4, {"x": torch.randn(2, 4, 8)}) == ["0.layers.1", "0.layers.2"]


def test_where_no_block_can_go_it_is_refused(given: Any) -> None:
    with pytest.raises(RecipeFailed, match="distill: no block can be taken out"):
        shallower(fresh(given), 0.5, tensors(given.ports, given.splits["train"].first(2).inputs))
