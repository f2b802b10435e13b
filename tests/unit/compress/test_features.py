"""The distances of layers' answers, against numpy; what was hung on layers is gone afterwards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.compress.features import followed
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.runtime import RecipeFailed


def _nothing(scores: Any, batch: Any) -> Any:
    del batch
    return scores.sum() * 0


def _convolutions(width: int, stride: int = 1) -> Any:
    torch.manual_seed(width)
    return nn.Sequential(nn.Conv2d(1, width, 3, stride=stride), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


def _apart(student: Any, teacher: Any, **options: Any) -> tuple[float, np.ndarray, np.ndarray, list[Any]]:
    """The whole distance for two pictures, what both layers answer, and the regressors."""
    images = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    batch = SimpleNamespace(inputs={"image": images})
    for module in (student, teacher):
        module(images)
    asked = TrainingOptions(teacher="baseline", **options)
    with followed(_nothing, student, teacher, asked, batch) as (loss, regressors):  # type: ignore[arg-type]
        value = float(loss(student(images), batch).detach())  # type: ignore[arg-type]
    with torch.no_grad():
        return value, student[0](images).numpy(), teacher[0](images).numpy(), regressors


def test_a_hint_of_one_width_is_the_mean_squared_difference() -> None:
    value, ours, theirs, regressors = _apart(
        _convolutions(4), _convolutions(4, 1).apply(_shift), hints={"0": "0"}, hint_weight=3
    )
    assert value == pytest.approx(3 * np.mean((ours - theirs) ** 2), rel=1e-5)
    assert regressors == []


@pytest.mark.parametrize("asks", [True, False], ids=["the loss asks the teacher", "the loss knows its answers"])
def test_a_teacher_runs_once_for_a_batch(asks: bool) -> None:
    student, teacher = _convolutions(4), _convolutions(5)
    first, second = (SimpleNamespace(inputs={"image": torch.randn(2, 1, 6, 6)}) for _ in range(2))
    for module in (student, teacher):
        module(first.inputs["image"])
    runs = []

    def loss(scores: Any, batch: Any) -> Any:
        if asks:
            teacher(batch.inputs["image"])
        return _nothing(scores, batch)

    asked = TrainingOptions(teacher="baseline", attention={"0": "0"})
    with followed(loss, student, teacher, asked, first) as (whole, _):  # type: ignore[arg-type]
        teacher.register_forward_hook(lambda *_: runs.append(1))
        value = float(whole(student(second.inputs["image"]), second).detach())  # type: ignore[arg-type]
    maps = [module[0](second.inputs["image"]).square().mean(1).flatten(1).detach() for module in (student, teacher)]
    one, other = (each / each.norm(dim=1, keepdim=True) for each in maps)
    assert value == pytest.approx(float(((one - other) ** 2).sum(1).mean()), rel=1e-5)
    assert len(runs) == 1


def _shift(module: Any) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.constant_(module.weight, 0.1)


def test_a_hint_of_another_width_goes_through_a_linear_map_of_channels_that_learns() -> None:
    value, ours, theirs, (weight, bias) = _apart(_convolutions(3), _convolutions(5), hints={"0": "0"})
    mapped = np.einsum("ji,nihw->njhw", weight.detach().numpy(), ours) + bias.detach().numpy()[None, :, None, None]
    assert value == pytest.approx(np.mean((mapped - theirs) ** 2), rel=1e-5)
    assert weight.requires_grad
    assert weight.shape == (5, 3)


def test_attention_is_how_much_stands_at_each_place_whatever_the_widths() -> None:
    value, ours, theirs, _ = _apart(_convolutions(3), _convolutions(5), attention={"0": "0"}, attention_weight=2)
    maps = [(each**2).mean(1).reshape(2, -1) for each in (ours, theirs)]
    ours, theirs = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in maps)
    assert value == pytest.approx(2 * np.mean(((ours - theirs) ** 2).sum(1)), rel=1e-5)


def test_nothing_hangs_on_the_layers_afterwards() -> None:
    student, teacher = _convolutions(3), _convolutions(5)
    _apart(student, teacher, hints={"0": "0"}, attention={"1": "1"})
    assert not any(part._forward_hooks for module in (student, teacher) for part in module.modules())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hints": {"9": "0"}}, "the student has no such layer: `9` fits no layer"),
        ({"hints": {"0": "stem"}}, "the teacher has no such layer: `stem` fits no layer"),
        ({"hints": {"0": "0"}}, r"`0` of the student answers \[3, 2, 2\] .* \[5, 4, 4\]: they differ in more than"),
        ({"attention": {"0": "0"}}, "they differ in their places"),
        ({"attention": {"3": "3"}}, "`3` answers no places, but one vector"),
    ],
    ids=["no layer", "no layer of the teacher", "other places", "other places to look at", "no places"],
)
def test_layers_that_do_not_go_together_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeFailed, match=says):
        _apart(_convolutions(3, stride=2), _convolutions(5), **options)
