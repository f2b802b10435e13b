"""The loop that fine-tuning, pruning and the control share."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.compress import training
from makeweight.compress.finetune import Finetune
from makeweight.compress.reproducible import THREADS, reproducible
from makeweight.compress.training import TrainingOptions, train
from makeweight.config.settings import TaskSettings
from makeweight.user import model
from makeweight.user.dataset import Dataset
from makeweight_base.errors import RecipeFailed, UsageError


def _weights(module: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def _accuracy(module: Any, data: Dataset) -> float:
    with torch.no_grad():
        answers = module(torch.from_numpy(data.inputs["image"])).argmax(1).numpy()
    return float((answers == data.targets).mean())


def test_training_learns_and_keeps_the_best_epoch_on_validation(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())
    with reproducible(0):
        module = context.baseline()
        before = _accuracy(module, context.split("validation"))
        trained = train(module, TrainingOptions(epochs=6, lr=3e-3), context, "finetune")
    assert before < 0.5
    assert _accuracy(module, context.split("validation")) == trained.validation > 0.8
    assert 1 <= trained.kept <= trained.epochs == 6
    assert not module.training
    assert context.progress.lines[-1].startswith("finetune: 6 epochs, loss 0.")


def test_the_best_epoch_is_kept_even_if_later_ones_are_worse(
    make_project: Any, make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(make_project())
    states: list[dict[str, Any]] = []
    qualities = iter([(0.5, -1.0), (0.9, -0.3), (0.9, -0.2), (0.7, -0.1)])

    def judged(module: Any, *_: Any) -> tuple[float, ...]:
        states.append(_weights(module))
        return next(qualities)

    monkeypatch.setattr(training, "_quality", judged)
    module = context.baseline()
    trained = train(module, TrainingOptions(epochs=4), context, "finetune")
    assert (trained.kept, trained.validation) == (3, 0.9)
    assert _equal(_weights(module), states[2])
    assert not _equal(_weights(module), states[3])


def test_one_seed_gives_one_network_whatever_was_drawn_before(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())
    options = TrainingOptions(epochs=2, teacher="baseline")
    results = []
    for drawn in range(2):
        torch.rand(drawn * 7)
        torch.set_num_threads(1 + drawn)
        with reproducible(context.seed):
            module = context.baseline()
            train(module, options, context, "finetune")
        results.append(_weights(module))
    assert _equal(*results)
    with reproducible(5):
        other = context.baseline()
        train(other, options, replace(context, seed=5), "finetune")
    assert not _equal(results[0], _weights(other))


def test_reproducible_puts_everything_back() -> None:
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    numpy = np.random.get_state()[1].copy()  # type: ignore[union-attr]

    def draw_and_fail() -> None:
        with reproducible(3):
            assert torch.get_num_threads() == THREADS
            assert torch.are_deterministic_algorithms_enabled()
            torch.rand(3)
            np.random.rand(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw_and_fail()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)  # type: ignore[index]


def test_selection_never_sees_the_test_split(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())
    asked: list[str] = []

    def split(name: str) -> Dataset:
        asked.append(name)
        return context.split(name)

    train(context.baseline(), TrainingOptions(epochs=1), replace(context, split=split), "finetune")
    assert asked == ["train", "validation"]


def test_without_a_validation_split_the_last_epoch_is_kept_and_that_is_said(
    make_project: Any, make_context: Any
) -> None:
    context = make_context(make_project())

    def split(name: str) -> Dataset:
        if name == "validation":
            raise UsageError("there is no `validation` split: data.npz has train, test")
        return context.split(name)

    trained = train(context.baseline(), TrainingOptions(epochs=2), replace(context, split=split), "finetune")
    assert (trained.kept, trained.validation) == (2, None)
    assert context.progress.lines[0] == (
        "no validation split, so the last epoch is kept (there is no `validation` split: data.npz has train, test)"
    )


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_diverging_loss_fails_the_recipe(make_project: Any, make_context: Any, bad: str) -> None:
    code = f"\n\ndef diverges(outputs, targets):\n    return outputs.sum() * float('{bad}')\n"
    project = make_project(code=code)
    name = str(project.model.build).split(":")[0]
    context = make_context(project)
    with pytest.raises(
        RecipeFailed, match=r"finetune: the loss became (nan|-?inf) in epoch 1; a smaller `lr` may help"
    ):
        train(context.baseline(), TrainingOptions(loss=f"{name}:diverges"), context, "finetune")


def test_a_student_learns_what_its_teacher_says_even_if_the_labels_disagree(
    make_project: Any, make_context: Any
) -> None:
    context = make_context(make_project())
    with reproducible(0):
        teacher = context.baseline()
        train(teacher, TrainingOptions(epochs=8, lr=3e-3), context, "teacher")
        with torch.no_grad():  # from now on it takes each class for the next
            for values in (teacher[-1].weight, teacher[-1].bias):
                values.copy_(values.roll(1, 0))

    def split(name: str) -> Dataset:
        if name == "validation":  # which would keep the epoch that agrees with the labels most
            raise UsageError("none")
        return context.split(name)

    data = context.split("train")
    says = replace(data, targets=(data.targets + 1) % 3)
    for weight, disagrees in ((1.0, True), (0.0, False)):
        student_context = replace(context, baseline=lambda: copy.deepcopy(teacher), split=split)
        with reproducible(0):
            student = context.baseline()
            options = TrainingOptions(epochs=8, lr=3e-3, teacher="baseline", teacher_weight=weight)
            train(student, options, student_context, "finetune")
        assert (_accuracy(student, says) > 0.8) == disagrees
        assert (_accuracy(student, data) > 0.8) != disagrees


def test_distillation_is_hintons_loss(make_context: Any, make_project: Any) -> None:
    context = make_context(make_project())
    student, teacher, temperature = torch.randn(5, 4), torch.randn(5, 4), 3.0
    soft = (teacher / temperature).softmax(1)
    by_hand = (soft * (soft.log() - (student / temperature).log_softmax(1))).sum(1).mean() * temperature**2
    given = training._distillation(student, teacher, temperature, context)
    assert math.isclose(float(given), float(by_hand), rel_tol=1e-5)
    assert float(training._distillation(teacher, teacher, temperature, context)) == pytest.approx(0, abs=1e-6)


def test_regression_does_not_broadcast(make_project: Any, make_context: Any) -> None:
    context = replace(make_context(make_project()), task=TaskSettings(kind="regression"))
    loss = training.loss_function(None, lambda scores: scores, context)
    assert float(loss(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]))) == 2.0
    with pytest.raises(UsageError, match=r"the model gives shape \[2, 3\] and the targets have \[2\]"):
        loss(torch.zeros(2, 3), torch.zeros(2))


def test_regression_learns(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())
    rng = np.random.default_rng(0)

    def split(name: str) -> Dataset:
        values = rng.standard_normal((64, 3))
        return Dataset(name, {"x": values}, values.sum(1))

    line = nn.Sequential(nn.Linear(3, 1))
    context = replace(context, task=TaskSettings(kind="regression"), split=split, baseline=lambda: copy.deepcopy(line))
    trained = train(line, TrainingOptions(epochs=30, lr=0.1), context, "finetune")
    assert trained.validation is not None
    assert trained.validation < 0.1
    assert torch.allclose(line[0].weight, torch.ones(1, 3), atol=0.2)


def test_a_custom_task_needs_a_loss(make_project: Any, make_context: Any) -> None:
    context = replace(make_context(make_project()), task=TaskSettings(kind="custom", metric="m:f"))
    with pytest.raises(UsageError, match="a task of kind `custom` has no loss of its own to train with"):
        train(context.baseline(), TrainingOptions(), context, "finetune")


def test_a_loss_of_the_user_is_checked_and_its_errors_are_theirs(make_project: Any, make_context: Any) -> None:
    code = """

def vector(outputs, targets):
    return (outputs - 1) ** 2


def breaks(outputs, targets):
    raise KeyError("weights")
"""
    project = make_project(code=code)
    name = str(project.model.build).split(":")[0]
    context = make_context(project)
    with pytest.raises(UsageError, match=r"a loss is one number as a torch\.Tensor that depends on the outputs"):
        train(context.baseline(), TrainingOptions(loss=f"{name}:vector"), context, "finetune")
    with pytest.raises(UsageError, match=r"raised KeyError: 'weights'") as caught:
        train(context.baseline(), TrainingOptions(loss=f"{name}:breaks"), context, "finetune")
    assert str(caught.value.where).startswith(f"{name}.py:")


def test_a_class_that_the_model_does_not_have(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())

    def split(name: str) -> Dataset:
        data = context.split(name)
        return replace(data, targets=data.targets + 5)

    with pytest.raises(UsageError, match="the train split holds class 7, and the model has 3 classes"):
        train(context.baseline(), TrainingOptions(), replace(context, split=split), "finetune")


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (3, 1, [1, 1, 1]), (1, 4, [1])]
)
def test_a_single_example_left_over_is_dropped(count: int, size: int, lengths: list[int]) -> None:
    assert [len(batch) for batch in training._batches(torch.arange(count), size)] == lengths


class OnlyEvaluates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, 3)

    def forward(self, image: Any) -> Any:
        if self.training:
            raise RuntimeError("this module is for inference")
        return self.layer(image.flatten(1))


def test_a_module_that_cannot_train_fails_the_recipe(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())
    with pytest.raises(RecipeFailed, match="the module fails in training: RuntimeError: this module is for inference"):
        train(OnlyEvaluates().eval(), TrainingOptions(), context, "finetune")


def test_memory_that_runs_out_is_the_machines_fault(make_project: Any, make_context: Any) -> None:
    def forward(*_: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    with pytest.raises(MemoryError):
        training._forward(forward, [], "finetune", make_context(make_project()))


def test_finetune_notes_what_came_of_it(make_project: Any, make_context: Any) -> None:
    context = make_context(make_project())
    module = context.baseline()
    assert Finetune().apply(module, TrainingOptions(epochs=1), context) is module
    assert set(context.notes["finetune"]) == {"epochs", "kept", "loss", "validation"}


class Heads(nn.Module):
    """Two classifiers, of which the second is the one that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.other, self.real = nn.Linear(36, 5), nn.Linear(36, 3)

    def forward(self, image: Any) -> Any:
        return {"other": self.other(image.flatten(1)), "real": self.real(image.flatten(1))}


def test_the_declared_output_is_trained(make_project: Any, make_context: Any) -> None:
    torch.manual_seed(0)
    module = Heads()
    before = _weights(module)
    context = replace(make_context(make_project()), output="real", baseline=lambda: copy.deepcopy(module))
    train(module, TrainingOptions(epochs=1, weight_decay=0, teacher="baseline"), context, "finetune")
    after = module.state_dict()
    assert torch.equal(after["other.weight"], before["other.weight"])
    assert not torch.equal(after["real.weight"], before["real.weight"])
    with pytest.raises(UsageError, match="the module has no output `third`; it has other, real"):
        train(module, TrainingOptions(epochs=1), replace(context, output="third"), "finetune")


@pytest.mark.parametrize("last", [nn.Identity(), nn.Softmax(1), nn.Unflatten(1, (3, 1, 1))])
def test_logits_probabilities_and_maps_of_one_pixel_train_alike(
    make_project: Any, make_context: Any, last: Any
) -> None:
    def built() -> Any:
        return context.baseline().append(last)

    context = make_context(make_project())
    with reproducible(0):
        module = built()
        given = replace(context, baseline=built)
        trained = train(module, TrainingOptions(epochs=2, lr=3e-3, teacher="baseline"), given, "finetune")
        plain = context.baseline()
    with reproducible(0):
        expected = train(plain, TrainingOptions(epochs=2, lr=3e-3, teacher="baseline"), context, "finetune")
    assert trained.loss == pytest.approx(expected.loss, rel=1e-3)


@pytest.mark.parametrize("last", [nn.Identity(), nn.Sigmoid()])
def test_one_number_for_two_classes(make_project: Any, make_context: Any, last: Any) -> None:
    context = make_context(make_project())

    def split(name: str) -> Dataset:
        data = context.split(name)
        return replace(data, targets=(data.targets == 0).astype(np.int64))

    torch.manual_seed(2)
    built = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 1), last)
    two = replace(context, split=split, baseline=lambda: copy.deepcopy(built))
    module = copy.deepcopy(built)
    trained = train(module, TrainingOptions(epochs=15, lr=3e-3), two, "finetune")
    assert trained.validation is not None
    assert trained.validation > 0.75
    by_hand = nn.functional.binary_cross_entropy_with_logits
    data = split("train")
    with torch.no_grad():
        raw = module[:4](torch.from_numpy(data.inputs["image"]))
        inputs = (torch.from_numpy(data.inputs["image"]),)
        loss = training.loss_function(None, training.reading(built, inputs, two), two)
        targets = torch.from_numpy(data.targets)
        assert float(loss(module(*inputs), targets)) == pytest.approx(
            float(by_hand(raw[:, 0], targets.float())), rel=1e-3
        )


def test_the_modules_example_is_the_datas(make_project: Any) -> None:
    project = make_project()
    assert model.example(project)["image"].shape == (2, 1, 6, 6)
