"""What is trained on: decided by the options and what there is, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from makeweight.compress import accelerator
from makeweight.compress.training_options import TrainingOptions
from makeweight_base.errors import EnvironmentFailed, Exit

OWN = "own:train"


@pytest.mark.parametrize(
    ("options", "present", "device"),
    [
        ({}, False, "cpu"),
        ({}, True, "cuda"),
        ({"accelerator": "none"}, True, "cpu"),
        ({"accelerator": "cuda"}, True, "cuda"),
        ({"train": OWN}, True, "cpu"),
        ({"train": OWN, "accelerator": "cuda"}, True, "cuda"),
        ({"train": OWN, "accelerator": "none"}, True, "cpu"),
    ],
)
def test_cuda_where_there_is_one_and_nobody_says_otherwise(options: Any, present: bool, device: str) -> None:
    assert accelerator.chosen(TrainingOptions(**options), present) == device


def test_what_is_insisted_on_and_is_not_there_is_the_machines_fault() -> None:
    with pytest.raises(EnvironmentFailed, match="no CUDA device") as told:
        accelerator.chosen(TrainingOptions(accelerator="cuda"), present=False)
    assert told.value.exit_code == Exit.ENVIRONMENT


class Mask:
    """What a step left, with tensors of its own."""

    def __init__(self) -> None:
        self.went: list[str] = []

    def after_step(self, module: Any) -> None:
        """Nothing to do."""

    def to(self, device: str) -> None:
        self.went.append(device)


def test_a_module_and_what_was_left_of_it_go_once_and_come_back_whatever_happens() -> None:
    module, mask, other = nn.Linear(3, 2), Mask(), object()

    def fails() -> None:
        with accelerator.placed(module, [mask, other], "meta"):
            assert accelerator.where(module) == "meta"
            with accelerator.placed(module, [mask], "meta"):
                assert mask.went == ["meta"]
            raise KeyError

    # what is on `meta` has no numbers to bring back: it is the going that is looked at
    with pytest.raises(NotImplementedError):
        fails()
    assert mask.went == ["meta"]
    here = nn.Linear(3, 2)
    with accelerator.placed(here, [mask], "cpu"):
        assert accelerator.where(here) == "cpu"
    assert mask.went == ["meta"]


def test_tensors_are_moved_wherever_they_are_held() -> None:
    value = {"boxes": [torch.zeros(2), "a name"], "count": 3}
    assert accelerator.moved(value, "cpu") is value
    gone = accelerator.moved(value, "meta")
    assert gone["boxes"][0].device.type == "meta"
    assert (gone["boxes"][1], gone["count"]) == ("a name", 3)
    assert accelerator.moved(None, "meta") is None
