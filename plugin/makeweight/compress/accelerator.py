"""What a training computes on: CUDA where PyTorch has it, else the processor. A module and what steps left of it go
there for as long as the training lasts, and come back before anything else is done with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from makeweight.compress.subject import Movable
from makeweight_base.errors import EnvironmentFailed

if TYPE_CHECKING:
    from makeweight.compress.training_options import TrainingOptions

CPU = "cpu"
CUDA = "cuda"


def chosen(options: TrainingOptions, present: bool) -> str:
    """What to train on, as PyTorch calls it. A training of the user's own was perhaps written for main memory: it gets
    an accelerator where the options ask for one, and not because there is one.

    Args:
        present: whether PyTorch has CUDA.

    Raises:
        EnvironmentFailed: CUDA is asked for, and there is none.
    """
    if options.accelerator == CUDA and not present:
        raise EnvironmentFailed(
            "this PyTorch has no CUDA device",
            where="makeweight.yaml: accelerator",
            do="Drop `accelerator: cuda`, or install a PyTorch that is built for this machine's GPU and driver.",
        )
    wanted = options.accelerator == CUDA or (options.accelerator == "auto" and options.train is None)
    return CUDA if wanted and present else CPU


def of(options: TrainingOptions) -> str:
    """See `chosen`; on this machine."""
    import torch

    return chosen(options, torch.cuda.is_available())


def described(device: str) -> str:
    """For the manifest: with the name of what it is, which decides the last bits."""
    import torch

    return f"{device} ({torch.cuda.get_device_name()})" if device == CUDA else device


def moved(value: Any, device: str) -> Any:
    """A tensor, or all tensors that lists and mappings hold, on a device; anything else as it is."""
    if device == CPU:  # examples are read there
        return value
    if isinstance(value, dict):
        return {name: moved(part, device) for name, part in value.items()}
    if isinstance(value, list):
        return [moved(part, device) for part in value]
    return value.to(device) if hasattr(value, "to") else value


def where(module: Any) -> str:
    """The device that a module lies on."""
    return next((str(parameter.device.type) for parameter in module.parameters()), CPU)


@contextmanager
def placed(module: Any, left: Collection[Any], device: str) -> Iterator[None]:
    """As long as it lasts, a module and what steps left of it are on a device. Within another of these they stay where
    they are."""
    before = where(module)
    if before == device:
        yield
        return
    movable = [each for each in (module, *left) if isinstance(each, Movable)]
    try:
        for each in movable:
            each.to(device)
        yield
    finally:
        for each in movable:
            each.to(before)
