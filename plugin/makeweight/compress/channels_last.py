"""Where the channels of pictures lie in memory while a training runs.

A processor computes convolutions faster where all channels of a pixel lie side by side
(https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html). What a module answers does not depend on
it, unless the module counts on how its tensors lie: `view` after a convolution is refused then. So it is tried first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from makeweight.artifact.ports import Port
from makeweight.compress import accelerator
from makeweight.compress.examples import PICTURES, Batch, Examples
from makeweight.user.seeded import generators_restored

# Examples that it is tried on, at most.
_SOME = 8
# How near two sums of the same numbers in another order are.
_NEAR = 1e-3


def suit(data: Examples, module: Any, size: int, loss: Callable[[Batch], Any]) -> bool:
    """Whether examples to train on may lie so: the module's loss is the same then. Not on a GPU: there it pays in half
    precision alone.

    Args:
        module: in train mode, whose buffers and random numbers the trial leaves as they were.
        size: of the batches to come.
        loss: of a batch, by this module.
    """
    if data.on != accelerator.CPU or not any(map(_has_channels, data.ports)):
        return False
    turned = replace(data, channels_last=True)
    some = min(size, _SOME)
    try:
        plain, other = (_tried(module, loss, each, some) for each in (data, turned))
    except Exception:  # noqa: BLE001 - of a module that counts on how its tensors lie; other faults training tells
        return False
    return abs(plain - other) <= _NEAR * max(1.0, abs(plain))


def _has_channels(port: Port) -> bool:
    """More than one: of one channel both ways to lie are the same."""
    return len(port.shape) == PICTURES and port.shape[1] != 1 and port.dtype.startswith("float")


def _tried(module: Any, loss: Callable[[Batch], Any], data: Examples, size: int) -> float:
    """The loss of the first examples, with the module and all random numbers as they were before. Its gradients are
    computed too, since a backward of the user's own may count on how tensors lie as well; but none that somebody
    listens to, who would take it for one of the training's."""
    import torch

    unheard = [each for each in module.parameters() if each.requires_grad and not each._backward_hooks]
    with generators_restored(), _copied_buffers(module):
        lost = loss(next(data.batches(size)))
        if unheard:
            torch.autograd.grad(lost, unheard, allow_unused=True)
    return float(lost.detach())


@contextmanager
def _copied_buffers(module: Any) -> Iterator[None]:
    """As long as it lasts, buffers are copies of what they were; a tensor that two modules share is shared."""
    own = [(part, name, value) for part in module.modules() for name, value in part._buffers.items()]
    copies = {id(value): value.clone() for _, _, value in own if value is not None}
    for part, name, value in own:
        part._buffers[name] = copies.get(id(value))
    try:
        yield
    finally:
        for part, name, value in own:
            part._buffers[name] = value
