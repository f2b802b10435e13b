"""The loop that fine-tuning, pruning and the control share."""

from __future__ import annotations

import copy
import math
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from integration.compress.conftest import fresh
from integration.conftest import CONFIG
from makeweight.artifact.ports import Port
from makeweight.compress import accelerator, training, tuning
from makeweight.compress.checkpoints import Checkpoints
from makeweight.compress.curves import Curves
from makeweight.compress.examples import Batch, Examples
from makeweight.compress.finetune import Finetune
from makeweight.compress.losses import cross_entropy, distilled, from_teacher, squared_error
from makeweight.compress.masking import Masks
from makeweight.compress.reproducible import THREADS, reproducible
from makeweight.compress.scores import reading
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.compress.training import Quality
from makeweight.compress.training_options import TrainingOptions
from makeweight.compress.tuning import tune
from makeweight.config.settings import TaskSettings
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user import data as user_data
from makeweight.user import module as user_module
from makeweight.user.ports import of_module
from makeweight.user.split import Split
from makeweight_base.errors import OutOfMemory, UsageError
from makeweight_base.progress import Silent
from split_values import split_of


def _weights(module: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def _accuracy(module: Any, data: Split) -> float:
    with torch.no_grad():
        answers = module(torch.from_numpy(data.source.inputs["image"])).argmax(1).numpy()
    return float((answers == data.source.targets).mean())


def _judged_by(split: Split, targets: np.ndarray) -> Split:
    return split_of(split.name, split.source.inputs, targets)  # type: ignore[attr-defined]


def test_training_learns_and_keeps_the_best_epoch_on_validation(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    with reproducible(0):
        module = fresh(given)
        before = _accuracy(module, given.splits["validation"])
        trained = tune(module, TrainingOptions(epochs=6, lr=3e-3), given, "finetune")
    assert before < 0.5
    assert _accuracy(module, given.splits["validation"]) == trained.validation > 0.8
    assert 1 <= trained.kept <= trained.epochs == 6
    assert not module.training
    assert given.progress.lines[-1].startswith("finetune: 6 epochs, loss 0.")


def test_the_best_epoch_is_kept_even_if_later_ones_are_worse(
    make_project: Any, make_given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = make_given(make_project())
    states: list[dict[str, Any]] = []
    qualities = iter([(0.5, -1.0), (0.9, -0.3), (0.9, -0.2), (0.7, -0.1)])

    def judged(module: Any) -> Quality:
        states.append(_weights(module))
        order = next(qualities)
        return Quality(order, order[0], "good")

    monkeypatch.setattr(tuning, "judge_of", lambda *_: judged)
    module = fresh(given)
    trained = tune(module, TrainingOptions(epochs=4), given, "finetune")
    assert (trained.kept, trained.validation) == (3, 0.9)
    assert _equal(_weights(module), states[2])
    assert not _equal(_weights(module), states[3])


def test_training_stops_when_it_no_longer_gets_better(
    make_project: Any, make_given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = make_given(make_project())
    qualities = iter([0.5, 0.9, 0.8, 0.85, 0.95])
    monkeypatch.setattr(tuning, "judge_of", lambda *_: lambda _: Quality((best := next(qualities),), best, "good"))
    trained = tune(fresh(given), TrainingOptions(epochs=9, patience=2), given, "finetune")
    assert (trained.epochs, trained.kept, trained.validation) == (4, 2, 0.9)
    assert trained.ended == "no better for 2 epochs"
    assert "(no better for 2 epochs); kept epoch 2" in given.progress.lines[-1]


def test_what_is_judged_and_kept_is_the_moving_average(
    make_project: Any, make_given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = make_given(make_project())
    states: list[dict[str, Any]] = []

    def judged(module: Any) -> Quality:
        states.append(_weights(module))
        return Quality((len(states),), 1.0, "good")

    monkeypatch.setattr(tuning, "judge_of", lambda *_: judged)
    ends = []
    for ema in (None, 0.9):
        with reproducible(0):
            module = fresh(given)
            tune(module, TrainingOptions(epochs=1, lr=0.01, ema=ema), given, "finetune")
        assert _equal(_weights(module), states[-1])
        ends.append(_weights(module)["0.weight"])
    start = _weights(fresh(given))["0.weight"]
    # the same steps were made, and the average lags behind
    assert 0 < (ends[1] - start).norm() < (ends[0] - start).norm()
    splits = {name: split for name, split in given.splits.items() if name != "validation"}
    with reproducible(0):
        unjudged = fresh(given)
        tune(unjudged, TrainingOptions(epochs=1, lr=0.01, ema=0.9), replace(given, splits=splits), "finetune")
    assert torch.equal(_weights(unjudged)["0.weight"], ends[1])


class Killed(BaseException):
    """Ends a run, with nothing done on the way out."""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"ema": 0.9, "schedule": "one_cycle", "clip": 1.0}, id="averaged"),
        pytest.param(
            {"optimizer": "sgd", "teacher": "baseline", "hints": {"0.3": "3"}, "patience": 4}, id="with-hints"
        ),
    ],
)
def test_a_training_that_was_killed_goes_on_as_if_it_had_not(
    make_project: Any, make_given: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    plain = make_given(make_project())
    asked = TrainingOptions(epochs=3, **options)
    heard: list[int] = []

    def trained(killed_in: int | None, drawn: int) -> tuple[Any, dict[str, Any], list[str]]:
        kept = Checkpoints(tmp_path / "kept", watch=lambda _, figures: heard.append(len(figures)))
        given = replace(plain, checkpoints=kept, curves=Curves(tmp_path / "curves"))
        lines = len(given.progress.lines)

        def change(batch: Any, rng: Any) -> Any:
            if killed_in is not None and seen[0] == killed_in:
                raise Killed
            seen[0] += 1
            return batch

        seen = [0]
        torch.rand(drawn)
        with reproducible(0):
            module = nn.Sequential(fresh(given), nn.Dropout(0.2))
            result = tune(module, asked, replace(given, change=change), "finetune")
        return result, _weights(module), given.progress.lines[lines:]

    whole = trained(None, 0)
    curves = (tmp_path / "curves" / "training_loss.tsv").read_bytes()
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(Killed):
        trained(7, 3)  # in the third epoch, of three steps each
    result, weights, lines = trained(None, 5)
    assert lines[0] == "finetune: taken up again after epoch 2 of 3"
    assert result == whole[0]
    assert _equal(weights, whole[1])
    assert (tmp_path / "curves" / "training_loss.tsv").read_bytes() == curves
    # and what was trained to the end is not trained again
    again = trained(0, 1)
    assert again[0] == whole[0]
    assert _equal(again[1], whole[1])
    # who watches is told of the epochs before, too
    assert heard == [*(1, 2, 3), *(1, 2), *(2, 3), 3]


def test_bfloat16_is_multiplied_in_where_the_processor_does(
    make_given: Any, make_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, types = make_given(make_project()), []
    for able in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"avx512_bf16": able})
        module = fresh(given)
        seen = module[0].register_forward_hook(lambda module, _, answer: types.append((module.training, answer.dtype)))
        tune(module, TrainingOptions(epochs=1, precision="bfloat16"), given, "finetune")
        seen.remove()
        assert {value.dtype for value in module.parameters()} == {torch.float32}
    learnt = [type for training, type in types if training]
    assert learnt == [torch.bfloat16] * 3 + [torch.float32] * 3
    assert {type for training, type in types if not training} == {torch.float32}
    told = "this processor does not multiply bfloat16: float32 is trained in"
    assert given.progress.lines.count(told) == 1


def test_one_seed_gives_one_network_whatever_was_drawn_before(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    options = TrainingOptions(epochs=2, teacher="baseline")
    results = []
    for drawn in range(2):
        torch.rand(drawn * 7)
        torch.set_num_threads(1 + drawn)
        with reproducible(given.seed):
            module = fresh(given)
            tune(module, options, given, "finetune")
        results.append(_weights(module))
    assert _equal(*results)
    with reproducible(5):
        other = fresh(given)
        tune(other, options, replace(given, seed=5), "finetune")
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


def test_without_a_validation_split_the_last_epoch_is_kept_and_that_is_said(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    alone = replace(given, splits={"train": given.splits["train"]}, absent={"validation": "data.npz has train, test"})
    trained = tune(fresh(given), TrainingOptions(epochs=2), alone, "finetune")
    assert (trained.kept, trained.validation) == (2, None)
    assert given.progress.lines[0] == ("no validation split, so the last epoch is kept (data.npz has train, test)")


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_diverging_loss_fails_the_recipe(make_project: Any, make_given: Any, bad: str) -> None:
    code = f"\n\ndef diverges(outputs, targets):\n    return outputs.sum() * float('{bad}')\n"
    project = make_project(code=code)
    name = str(project.model.build).split(":")[0]
    given = make_given(project)
    with pytest.raises(
        RecipeFailed, match=r"finetune: the loss became (nan|-?inf) in epoch 1; a smaller `lr` may help"
    ):
        tune(fresh(given), TrainingOptions(loss=f"{name}:diverges"), given, "finetune")


def test_a_loss_that_diverges_later_ends_the_training_with_the_best_epoch_until_then(
    make_project: Any, make_given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
STEPS = []

def diverges(outputs, targets):
    STEPS.append(0)
    return outputs.square().mean() * (float("nan") if len(STEPS) > 6 else 1)
"""
    project = make_project(code=code)
    name = str(project.model.build).split(":")[0]
    given, states = make_given(project), list[dict[str, Any]]()

    def judged(module: Any) -> Quality:
        states.append(_weights(module))
        return Quality((float(len(states)),), 1.0, "good")

    monkeypatch.setattr(tuning, "judge_of", lambda *_: judged)
    module = fresh(given)
    trained = tune(module, TrainingOptions(epochs=5, loss=f"{name}:diverges"), given, "finetune")
    assert (trained.epochs, trained.kept) == (2, 2)  # three steps each
    assert trained.ended == "the loss became nan in epoch 3; a smaller `lr` may help"
    assert math.isfinite(trained.loss or math.nan)
    assert len(states) == 2
    assert _equal(_weights(module), states[1])


def test_a_student_learns_what_its_teacher_says_even_if_the_labels_disagree(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    with reproducible(0):
        teacher = fresh(given)
        tune(teacher, TrainingOptions(epochs=8, lr=3e-3), given, "teacher")
        with torch.no_grad():  # from now on it takes each class for the next
            for values in (teacher[-1].weight, teacher[-1].bias):
                values.copy_(values.roll(1, 0))

    # the validation split would keep the epoch that agrees with the labels most
    alone = replace(given, splits={"train": given.splits["train"]}, baseline=teacher)
    data = given.splits["train"]
    says = _judged_by(data, (data.source.targets + 1) % 3)
    for weight, disagrees in ((1.0, True), (0.0, False)):
        with reproducible(0):
            student = fresh(given)
            options = TrainingOptions(epochs=8, lr=3e-3, teacher="baseline", teacher_weight=weight)
            tune(student, options, alone, "finetune")
        assert (_accuracy(student, says) > 0.8) == disagrees
        assert (_accuracy(student, data) > 0.8) != disagrees


def test_distillation_is_hintons_loss() -> None:
    student, teacher, temperature, weight = torch.randn(5, 4), torch.randn(9, 4), 3.0, 0.7
    batch = Batch(torch.tensor([7, 0, 3, 2, 8]), (), torch.tensor([0, 1, 2, 3, 0]))
    soft = (teacher[batch.indices] / temperature).softmax(1)
    taught = (soft * (soft.log() - (student / temperature).log_softmax(1))).sum(1).mean() * temperature**2
    labels = nn.functional.cross_entropy(student, batch.targets)
    distance = from_teacher(lambda batch: teacher[batch.indices], lambda scores: scores, TaskSettings(), temperature)
    loss = distilled(cross_entropy(lambda scores: scores), distance, weight)
    assert math.isclose(float(loss(student, batch)), 0.3 * float(labels) + 0.7 * float(taught), rel_tol=1e-5)
    assert float(distance(teacher, Batch(torch.arange(9), (), None))) == pytest.approx(0, abs=1e-6)


def test_distillation_of_a_regression_is_the_distance_from_the_teachers_answers() -> None:
    task = TaskSettings(kind="regression")
    distance = from_teacher(lambda batch: torch.tensor([[5.0], [1.0]])[batch.indices], lambda scores: scores, task, 4.0)
    loss = distilled(squared_error, distance, 0.5)
    batch = Batch(torch.tensor([1]), (), torch.tensor([4.0]))
    assert float(loss(torch.tensor([[2.0]]), batch)) == 0.5 * (2 - 4) ** 2 + 0.5 * (2 - 1) ** 2


def test_regression_does_not_broadcast() -> None:
    loss = squared_error
    assert float(loss(torch.tensor([[1.0], [2.0]]), Batch(None, (), torch.tensor([1.0, 4.0])))) == 2.0
    with pytest.raises(UsageError, match=r"the model gives shape \[2, 3\] and the targets have \[2\]"):
        loss(torch.zeros(2, 3), Batch(None, (), torch.zeros(2)))


def test_regression_learns(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    rng = np.random.default_rng(0)

    values = rng.standard_normal((64, 3))
    data = split_of("line", {"x": values}, values.sum(1))
    line = nn.Sequential(nn.Linear(3, 1))
    given = replace(
        given,
        task=TaskSettings(kind="regression"),
        splits={"train": data, "validation": data},
        ports=(Port("x", ("N", 3), "float32"),),
        baseline=copy.deepcopy(line),
    )
    trained = tune(line, TrainingOptions(epochs=30, lr=0.1), given, "finetune")
    assert trained.validation is not None
    assert trained.validation < 0.1
    assert torch.allclose(line[0].weight, torch.ones(1, 3), atol=0.2)


def test_a_custom_task_needs_a_loss(make_project: Any, make_given: Any) -> None:
    given = replace(make_given(make_project()), task=TaskSettings(kind="custom", metric="m:f"))
    with pytest.raises(UsageError, match="a task of kind `custom` has no loss of its own to train with"):
        tune(fresh(given), TrainingOptions(), given, "finetune")


def test_a_loss_of_the_user_takes_scores_as_they_are(make_project: Any, make_given: Any) -> None:
    """Also those of a task whose scores would have to be read first: nobody asks the baseline for them."""
    given = replace(make_given(make_project()), task=TaskSettings(kind="segmentation"), baseline=None)
    data = Examples(given.splits["train"], given.task, given.ports)
    scores = torch.tensor([0.5, 2.0])
    assert tuning.read_as(TrainingOptions(loss="losses:own"), data, given)(scores) is scores


def test_a_loss_of_the_user_is_checked_and_its_errors_are_theirs(make_project: Any, make_given: Any) -> None:
    code = """

def vector(outputs, targets):
    return (outputs - 1) ** 2


def breaks(outputs, targets):
    raise KeyError("weights")
"""
    project = make_project(code=code)
    name = str(project.model.build).split(":")[0]
    given = make_given(project)
    with pytest.raises(UsageError, match=r"a loss is one number as a torch\.Tensor that depends on the outputs"):
        tune(fresh(given), TrainingOptions(loss=f"{name}:vector"), given, "finetune")
    with pytest.raises(UsageError, match=r"raised KeyError: 'weights'") as caught:
        tune(fresh(given), TrainingOptions(loss=f"{name}:breaks"), given, "finetune")
    assert str(caught.value.where).startswith(f"{name}.py:")


def test_a_class_that_the_model_does_not_have(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())

    data = given.splits["train"]
    given = replace(given, splits={"train": _judged_by(data, data.source.targets + 5)})
    with pytest.raises(UsageError, match=r"example \d+ is of class 7, and the model has 3 classes"):
        tune(fresh(given), TrainingOptions(), given, "finetune")


class OnlyEvaluates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, 3)

    def forward(self, image: Any) -> Any:
        if self.training:
            raise RuntimeError("this module is for inference")
        return self.layer(image.flatten(1))


def test_a_module_that_cannot_train_fails_the_recipe(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    with pytest.raises(RecipeFailed, match="the module fails in training: RuntimeError: this module is for inference"):
        tune(OnlyEvaluates().eval(), TrainingOptions(), given, "finetune")


class OneWay(nn.Module):
    """With an operation of its own that nothing can be learned through."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, 3)

    def forward(self, image: Any) -> Any:
        class Rounded(torch.autograd.Function):
            @staticmethod
            def forward(_: Any, values: Any) -> Any:  # type: ignore[override, unused-ignore]
                return values.round()

        return Rounded.apply(self.layer(image.flatten(1)))


def test_an_operation_without_a_gradient_fails_the_recipe(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    with pytest.raises(RecipeFailed, match="finetune: the module fails in training: NotImplementedError: You must"):
        tune(OneWay(), TrainingOptions(), given, "finetune")


def test_a_loss_that_the_targets_do_not_fit_fails_the_recipe(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())

    def shared_out(batch: Any, rng: Any) -> Any:
        return replace(batch, targets=np.eye(4, dtype=np.float32)[batch.targets])

    with pytest.raises(RecipeFailed, match="finetune: the loss fails in training: RuntimeError"):
        tune(fresh(given), TrainingOptions(), replace(given, change=shared_out), "finetune")


def test_a_module_without_parameters_learns_nothing(make_project: Any, make_given: Any) -> None:
    class Means(nn.Module):
        def forward(self, image: Any) -> Any:
            return image.flatten(1)[:, :3]

    given = make_given(make_project())
    with pytest.raises(RecipeFailed, match="finetune: the loss depends on no parameter that requires gradients"):
        tune(Means(), TrainingOptions(), given, "finetune")


def test_weights_that_the_last_step_broke_are_not_kept(make_project: Any, make_given: Any) -> None:
    """The losses of all steps are finite, and nothing is judged without a validation split."""

    class Last:
        steps = 0

        def after_step(self, module: Any) -> None:
            self.steps += 1
            if self.steps == 3:
                with torch.no_grad():
                    module[0].weight[0] = torch.nan

    given = make_given(make_project())
    alone = replace(given, splits={"train": given.splits["train"]})
    with pytest.raises(RecipeFailed, match=r"finetune: training left NaN or infinity in 0\.weight; a smaller `lr`"):
        tune(fresh(given), TrainingOptions(epochs=1, batch=32), alone, "finetune", (Last(),))


def test_a_batch_that_is_declared_as_a_number_is_the_files_alone(make_project: Any, tmp_path: Path) -> None:
    class OfOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(36, 3)

        def forward(self, image: Any) -> Any:
            return self.layer(image.view(1, 36))

    project = make_project(config=CONFIG.replace("[N, 1, 6, 6]", "[1, 1, 6, 6]"))
    supply = Supply(project.declared, OnnxRuntime(), tmp_path, {}, Silent(), Checkpoints(), Curves())
    given = supply.given(Finetune().needs(TrainingOptions()))
    trained = tune(fresh(given), TrainingOptions(epochs=1), given, "finetune")
    assert (trained.epochs, trained.kept) == (1, 1)
    told = r"training: .* on several examples at once \(.*\.py:\d+\): Runtime.*`dynamic_shapes`$"
    with pytest.raises(RecipeFailed, match=told):
        tune(OfOne(), TrainingOptions(epochs=1), replace(given, baseline=OfOne()), "finetune")


def test_memory_that_runs_out_is_the_machines_fault() -> None:
    class TooLarge(nn.Module):
        def forward(self, image: Any) -> None:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    with pytest.raises(MemoryError):
        training._forward(TooLarge(), {"image": torch.zeros(1)}, None, "finetune")


class Greedy(nn.Module):
    """Takes more than there is at one place of a step."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.layer, self.at = nn.Linear(36, 3), at

    def forward(self, image: Any) -> Any:
        if self.at == "forward" and self.training:
            torch.empty(2**58)
        scores = self.layer(image.flatten(1))
        if self.at == "backward" and self.training:
            scores.register_hook(lambda gradient: gradient + torch.empty(2**58))
        return scores


@pytest.mark.parametrize("at", ["forward", "loss", "backward"])
def test_a_step_that_does_not_fit_says_what_to_lower(make_project: Any, make_given: Any, at: str) -> None:
    code = "\n\ndef much(outputs, targets):\n    import torch\n\n    return outputs.sum() + torch.empty(2**58)\n"
    project = make_project(code=code)
    name, given = str(project.model.build).split(":")[0], make_given(project)
    options = TrainingOptions(epochs=1, batch=16, loss=f"{name}:much" if at == "loss" else None)
    with pytest.raises(OutOfMemory) as told:
        tune(Greedy(at), options, given, "finetune")
    if at == "loss":  # that is the user's own line
        assert str(told.value.where).startswith(f"{name}.py:")
    else:
        assert told.value.what.startswith(
            "finetune: a step of 16 examples ran out of memory: 1,152,921,504,606,846,976"
        )
        assert str(told.value.do).startswith("Lower `batch`, which is 16")


def test_finetune_notes_what_came_of_it(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    module = fresh(given)
    assert Finetune().apply(Subject(module), TrainingOptions(epochs=1), given).source is module
    assert set(given.notes["finetune"]) == {"epochs", "kept", "loss", "validation", "ended", "on"}
    assert given.notes["finetune"]["on"] == "cpu"


class Heads(nn.Module):
    """Two classifiers, of which the second is the one that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.other, self.real = nn.Linear(36, 5), nn.Linear(36, 3)

    def forward(self, image: Any) -> Any:
        return {"other": self.other(image.flatten(1)), "real": self.real(image.flatten(1))}


def test_the_declared_output_is_trained(make_project: Any, make_given: Any) -> None:
    torch.manual_seed(0)
    module = Heads()
    before = _weights(module)
    given = replace(make_given(make_project()), output="real", baseline=copy.deepcopy(module))
    tune(module, TrainingOptions(epochs=1, weight_decay=0, teacher="baseline"), given, "finetune")
    after = module.state_dict()
    assert torch.equal(after["other.weight"], before["other.weight"])
    assert not torch.equal(after["real.weight"], before["real.weight"])
    with pytest.raises(UsageError, match="the module has no output `third`; it has other, real"):
        tune(module, TrainingOptions(epochs=1), replace(given, output="third"), "finetune")


@pytest.mark.parametrize("last", [nn.Identity(), nn.Softmax(1), nn.Unflatten(1, (3, 1, 1))])
def test_logits_probabilities_and_maps_of_one_pixel_train_alike(make_project: Any, make_given: Any, last: Any) -> None:
    given = make_given(make_project())
    plain, module = fresh(given), fresh(given).append(last)
    with reproducible(0):
        other = replace(given, baseline=copy.deepcopy(module))
        trained = tune(module, TrainingOptions(epochs=2, lr=3e-3, teacher="baseline"), other, "finetune")
    with reproducible(0):
        expected = tune(plain, TrainingOptions(epochs=2, lr=3e-3, teacher="baseline"), given, "finetune")
    assert trained.loss == pytest.approx(expected.loss, rel=1e-3)


@pytest.mark.parametrize("last", [nn.Identity(), nn.Sigmoid()])
def test_one_number_for_two_classes(make_project: Any, make_given: Any, last: Any) -> None:
    given = make_given(make_project())

    splits = {
        name: _judged_by(split, (split.source.targets == 0).astype(np.int64)) for name, split in given.splits.items()
    }
    torch.manual_seed(2)
    built = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 1), last)
    two = replace(given, splits=splits, baseline=copy.deepcopy(built))
    module = copy.deepcopy(built)
    trained = tune(module, TrainingOptions(epochs=15, lr=3e-3), two, "finetune")
    assert trained.validation is not None
    assert trained.validation > 0.75
    by_hand = nn.functional.binary_cross_entropy_with_logits
    data = Examples(splits["train"], two.task, two.ports)
    (batch,) = data.batches(1000)
    with torch.no_grad():
        raw = module[:4](*batch.inputs.values())
        loss = cross_entropy(reading(built, data, None))
        assert float(loss(module(*batch.inputs.values()), batch)) == pytest.approx(
            float(by_hand(raw[:, 0], batch.targets.float())), rel=1e-3
        )


def test_the_modules_example_is_the_datas(make_project: Any) -> None:
    project = make_project()
    (port,), undrawn = of_module(project.model), user_data.undrawn(project.declared)
    assert user_module.example(undrawn, [port])["image"].shape == (4, 1, 6, 6)
    assert user_module.example(undrawn, [replace(port, shape=(3, 1, 6, 6))])["image"].shape == (3, 1, 6, 6)


class Mask:
    """What an unstructured pruning leaves: half of a layer stays zero."""

    def __init__(self) -> None:
        self.steps = 0

    def after_step(self, module: Any) -> None:
        self.steps += 1
        with torch.no_grad():
            module[0].weight[::2] = 0


def test_what_a_step_left_behind_holds_through_a_later_training(make_project: Any, make_given: Any) -> None:
    given, mask = make_given(make_project()), Mask()
    subject = Subject(fresh(given)).leaving("mask", mask)
    before = _weights(subject.source)
    after = Finetune().apply(subject, TrainingOptions(epochs=2, batch=32, lr=3e-3), given)
    assert after.left == {"mask": mask}
    assert mask.steps == 2 * 96 / 32, "after every step of the optimizer"
    weight = after.source[0].weight
    assert not weight[::2].any(), "also in the epoch that was kept"
    assert not torch.equal(weight[1::2], before["0.weight"][1::2])


class ViewsInBackward(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Any) -> Any:
        context.save_for_backward(values)
        return values.clone()

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (values,) = context.saved_tensors
        return gradient + 0 * values.view(-1)[0]


def _drawn_and_viewed(values: Any) -> Any:
    return values.view(len(values), -1) + 0 * torch.rand(1) if values.is_contiguous() else torch.rand(1).view(9)


class Network(nn.Module):
    """Convolutions with a normalization and dropout; the flattening is given."""

    def __init__(self, flattened: Any) -> None:
        super().__init__()
        self.first, self.normal = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.drop, self.last, self.flattened = nn.Dropout(0.2), nn.Linear(8 * 36, 3), flattened
        self.lay: list[bool] = []

    def forward(self, image: Any) -> Any:
        if self.training:
            self.lay.append(image.is_contiguous(memory_format=torch.channels_last))
        return self.last(self.drop(self.flattened(self.normal(self.first(image)).relu())))


@pytest.mark.parametrize(
    ("flattened", "last"),
    [
        pytest.param(lambda values: values.flatten(1), True, id="reshaped"),
        pytest.param(lambda values: values.view(len(values), -1), False, id="viewed"),
        pytest.param(_drawn_and_viewed, False, id="viewed-after-a-draw"),
        pytest.param(lambda values: ViewsInBackward.apply(values).flatten(1), False, id="viewed-in-backward"),
        pytest.param(lambda values: values.as_strided((len(values), 288), (288, 1)), False, id="by-strides"),
    ],
)
def test_channels_lie_last_where_a_module_does_not_count_on_how_they_lie(
    make_project: Any, make_given: Any, flattened: Any, last: bool
) -> None:
    rng, heard = np.random.default_rng(0), list[Any]()
    pictures, targets = rng.random((20, 3, 6, 6), np.float32), rng.integers(0, 3, 20)
    given = replace(
        make_given(make_project()),
        ports=(Port("image", (None, 3, 6, 6), "float32"),),
        splits={"train": split_of("train", {"image": pictures}, targets)},
    )
    options = TrainingOptions(epochs=2, batch=10, optimizer="sgd", lr=0.1, weight_decay=0)
    with reproducible(0):
        network = Network(flattened)
        plain = copy.deepcopy(network)
        network.first.weight.register_hook(heard.append)
        loss = training.train(
            network,
            Examples(given.splits["train"], given.task, given.ports),
            lambda scores, batch: nn.functional.cross_entropy(scores, batch.targets),
            None, options, given, "finetune", (),
        ).loss  # fmt: skip
    assert network.lay[2:] == [last] * 4, "after two trials, both steps of both epochs"
    assert len(heard) == 4, "who listens to gradients hears of none of the trial"
    # another order of sums and nothing else: neither random numbers nor a normalization know of the trial
    assert network.normal.num_batches_tracked == 4
    with reproducible(0):
        Network(flattened)
        lost = _in_plain_pytorch(plain, given.splits["train"], options)
    assert loss == pytest.approx(lost, rel=1e-4)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(network.parameters(), plain.parameters(), strict=True))


def test_how_examples_lie_is_tried_once_also_where_a_training_is_taken_up_or_has_ended(
    make_project: Any, make_given: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    pictures, targets = rng.random((20, 3, 6, 6), np.float32), rng.integers(0, 3, 20)
    given = replace(
        make_given(make_project()),
        ports=(Port("image", (None, 3, 6, 6), "float32"),),
        splits={"train": split_of("train", {"image": pictures}, targets)},
    )

    def trained(steps: int) -> list[bool]:
        """How the examples lay at each call in training, until so many."""

        def loss(scores: Any, batch: Batch) -> Any:
            if len(network.lay) > steps:
                raise Killed
            return nn.functional.cross_entropy(scores, batch.targets)

        with reproducible(0):
            network = Network(lambda values: values.flatten(1))
            training.train(
                network,
                Examples(given.splits["train"], given.task, given.ports),
                loss, None, TrainingOptions(epochs=2, batch=10),
                replace(given, checkpoints=Checkpoints(tmp_path / "kept")), "finetune", (),
            )  # fmt: skip
        return network.lay

    with pytest.raises(Killed):
        trained(4)  # two trials and one epoch
    assert trained(4) == [True, True], "the second epoch alone, channels last as the first"
    assert trained(4) == [], "nothing is left to train"


def _in_plain_pytorch(module: Any, split: Split, options: TrainingOptions) -> float:
    """The mean loss of the last epoch."""
    optimizer = torch.optim.SGD(module.parameters(), options.lr, 0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    for epoch in (1, 2):
        module.train()
        total = 0.0
        for read in split.epoch(options.batch, 0, epoch, None):
            scores = module(torch.from_numpy(read.inputs["image"]))
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(read.targets))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(read.targets)
    return total / 20


def test_any_loss_can_be_minimised(make_project: Any, make_given: Any) -> None:
    """The loop knows nothing of labels: here a module learns to answer 3, whatever it sees."""
    given = make_given(make_project())
    data, module = Examples(given.splits["train"], given.task, given.ports), fresh(given)

    def distance(scores: Any, batch: Batch) -> Any:
        return ((scores - 3) ** 2).mean()

    options = TrainingOptions(epochs=20, lr=1e-2)
    with reproducible(0):
        trained = training.train(module, data, distance, None, options, given, "three", ())
    assert trained.kept == 20
    with torch.no_grad():
        assert all(float((module(*batch.inputs.values()) - 3).abs().mean()) < 0.5 for batch in data.batches(100))


HANDED = """


def own(module, training):
    import torch

    optimizer = torch.optim.SGD(module.parameters(), lr=training.options.lr)
    for epoch in range(1, training.options.epochs + 1):
        for inputs, targets in training.batches(epoch):
            loss = torch.nn.functional.cross_entropy(module(inputs["image"]), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            training.after_step()
    own.seen = (module.training, training.teacher is None, sum(len(targets) for _, targets in training.validation()))


def breaks(module, training):
    raise KeyError("nothing")


def another(module, training):
    return torch.nn.Linear(1, 1)


def spoils(module, training):
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
"""


def test_the_whole_training_can_be_the_users(make_project: Any, make_given: Any) -> None:
    project, mask = make_project(code=HANDED), Mask()
    name, given = str(project.model.build).split(":")[0], make_given(project)
    module, by_hand = fresh(given), fresh(given)
    options = TrainingOptions(epochs=2, lr=0.1, train=f"{name}:own")
    trained = tune(module, options, given, "finetune", (mask,))
    assert trained == training.Trained(2, 2, None, None)
    assert not module.training
    assert mask.steps == 2 * 96 / 32 + 1, "after each step, and at the end in any case"
    assert sys.modules[name].own.seen == (True, True, given.splits["validation"].count)
    optimizer, mask = torch.optim.SGD(by_hand.train().parameters(), lr=0.1), Mask()
    for epoch in (1, 2):
        for batch in given.splits["train"].epoch(32, 0, epoch):
            scores = by_hand(torch.from_numpy(batch.inputs["image"]))
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, torch.from_numpy(batch.targets)).backward()
            optimizer.step()
            mask.after_step(by_hand)
    assert _equal(_weights(module), by_hand.state_dict())


@pytest.mark.parametrize(
    ("does", "raised", "said"),
    [
        ("breaks", UsageError, "raised KeyError: 'nothing'"),
        ("another", UsageError, "returned Linear"),
        ("spoils", RecipeFailed, "left NaN or infinity in 0.weight"),
        ("nowhere", UsageError, "has no `nowhere`"),
    ],
)
def test_what_the_users_training_does_wrong_is_told(
    make_project: Any, make_given: Any, does: str, raised: type[Exception], said: str
) -> None:
    project = make_project(code=HANDED)
    name, given = str(project.model.build).split(":")[0], make_given(project)
    with pytest.raises(raised, match=re.escape(said)):
        tune(fresh(given), TrainingOptions(train=f"{name}:{does}"), given, "finetune")


def test_the_users_training_may_train_what_keeps_more_than_tensors(make_project: Any, make_given: Any) -> None:
    class Noted(nn.Sequential):
        def get_extra_state(self) -> dict[str, list[str]]:
            return {"classes": ["cat", "dog"]}

    project = make_project(code=HANDED)
    name, given = str(project.model.build).split(":")[0], make_given(project)
    trained = tune(Noted(*fresh(given)), TrainingOptions(epochs=1, train=f"{name}:own"), given, "finetune")
    assert trained == training.Trained(1, 1, None, None)


def test_a_teacher_sees_what_its_student_sees(make_project: Any, make_given: Any) -> None:
    """Where batches are changed, the teacher is asked about the changed ones."""
    given, asked = make_given(make_project()), []

    def doubled(batch: Any, rng: Any) -> Any:
        return replace(batch, inputs={"image": batch.inputs["image"] * 0 + 5})

    teacher = fresh(given)
    teacher.register_forward_hook(lambda *seen: asked.append(seen[1][0].unique().tolist()))
    changed = replace(given, change=doubled, baseline=teacher)
    tune(fresh(given), TrainingOptions(epochs=1, teacher="baseline"), changed, "finetune")
    assert asked[1:] == [[5.0]] * 3, "the first sees plain examples, to learn how its scores are read"


@pytest.fixture(scope="module")
def lazy() -> None:
    from torch._lazy import ts_backend

    ts_backend.init()  # once in a process


@pytest.fixture
def other_device(lazy: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A device of its own that computes what the processor does: PyTorch's lazy one, in place of CUDA. What lies on it
    and what does not cannot be put together."""
    monkeypatch.setattr(accelerator, "described", lambda device: device)
    return "lazy"


def test_on_another_device_the_same_is_learnt_and_comes_back(
    make_project: Any, make_given: Any, other_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, seen, ends = make_given(make_project()), set[str](), []
    baseline = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    student = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    given = replace(given, baseline=baseline)
    options = TrainingOptions(epochs=1, batch=48, optimizer="sgd", lr=0.1, teacher="baseline", labels=False)
    for device in (other_device, "cpu"):
        monkeypatch.setattr(accelerator, "of", lambda _, device=device: device)
        module = copy.deepcopy(student)
        module.register_forward_hook(lambda _, __, answer: seen.add(answer.device.type))
        zeros = Masks({"1.weight": torch.zeros_like(module[1].weight, dtype=torch.bool)})
        zeros.zeros["1.weight"][0] = True  # type: ignore[index]
        with reproducible(0):
            trained = tune(module, options, given, "finetune", [zeros])
        assert trained.on == device
        assert seen == {device}
        seen.clear()
        assert zeros.zeros["1.weight"].device.type == "cpu"
        assert not module[1].weight[0].any()
        ends.append(_weights(module))
        assert {value.device.type for value in ends[-1].values()} == {"cpu"}
    assert {value.device.type for value in baseline.state_dict().values()} == {"cpu"}
    assert all(torch.allclose(ends[0][name], value, atol=1e-6) for name, value in ends[1].items())
    assert not torch.allclose(ends[0]["1.bias"], student[1].bias)
