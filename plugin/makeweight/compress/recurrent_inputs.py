"""Recurrences as Torch-Pruning is to see them: what goes into one may become narrower, its hidden units stay.

To autograd a recurrence is one operation or hundreds, by its kind and the length of its input, in which what goes in
cannot be told from its state. While a module is followed, something stands in its place that answers the same and is
two operations: one that takes the input, and one that hidden units come out of, each answered for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from makeweight.compress.exchange import exchange

# An LSTM answers with its output and two states, all others with fewer.
_ANSWERS = 3


def recurrences(module: Any) -> dict[str, Any]:
    """Those of a module, and cells of such, by name."""
    from torch import nn

    kinds = nn.RNNBase | nn.RNNCellBase
    return {name: part for name, part in module.named_modules() if isinstance(part, kinds)}


@contextmanager
def followed(module: Any) -> Iterator[list[Any]]:
    """While a module is followed through its recurrences.

    Yields:
        what stands in their places: modules whose channels are to be kept.
    """
    standing = {
        part: _kinds()["recurrence"](part)
        for name, part in recurrences(module).items()
        # one that has parts of its own, or makes its weights anew, is more than what would stand for it
        if name and _weights(part) and not any(part.children())
    }
    exchange(module, standing)
    try:
        yield list(standing.values())
    finally:
        exchange(module, {each: part for part, each in standing.items()})


def pruners() -> Mapping[Any, Any]:
    """What Torch-Pruning is told of what stands in a recurrence's place, by its kind."""
    import torch_pruning

    class OfInputs(torch_pruning.pruner.function.BasePruningFunc):  # type: ignore[misc]
        def prune_in_channels(self, layer: Any, idxs: Any) -> Any:
            of, gone = layer.recurrence, set(idxs)
            kept = [channel for channel in range(of.input_size) if channel not in gone]
            for name in _weights(of):
                setattr(of, name, self._prune_parameter_and_grad(getattr(of, name), kept, 1))
            of.input_size = len(kept)
            return layer

        def prune_out_channels(self, layer: Any, idxs: Any) -> Any:
            raise NotImplementedError("a recurrence keeps its hidden units")

        def get_in_channels(self, layer: Any) -> int:
            return int(layer.recurrence.input_size)

        def get_out_channels(self, layer: Any) -> int:
            return int(layer.recurrence.hidden_size)

    class OfAnswer(torch_pruning.pruner.function.BasePruningFunc):  # type: ignore[misc]
        def prune_out_channels(self, layer: Any, idxs: Any) -> Any:
            raise NotImplementedError("a recurrence keeps its hidden units")

        prune_in_channels = prune_out_channels

        def get_out_channels(self, layer: Any) -> int:
            return int(layer.width)

        get_in_channels = get_out_channels

    return {_kinds()["inputs"]: OfInputs(), _kinds()["answer"]: OfAnswer()}


def _weights(recurrence: Any) -> list[str]:
    """The parameters that it multiplies its inputs with: of its first layer, each way, or of a cell."""
    names = ("weight_ih", "weight_ih_l0", "weight_ih_l0_reverse")
    return [name for name in names if name in recurrence._parameters]


@cache
def _kinds() -> Mapping[str, Any]:
    """Torch-Pruning knows modules by their class, so each is made once."""
    import torch
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    class Passes(torch.autograd.Function):  # type: ignore[misc]
        """A value that depends on others as far as autograd sees; it is followed backwards, never differentiated."""

        @staticmethod
        def forward(_: Any, value: Any, *__: Any) -> Any:
            return value.clone()

    class Inputs(nn.Module):  # type: ignore[misc]
        def __init__(self, recurrence: Any) -> None:
            super().__init__()
            self.__dict__["recurrence"] = recurrence  # no part of it: Torch-Pruning must not see its parameters

        def forward(self, given: Any) -> Any:
            weight = getattr(self.recurrence, _weights(self.recurrence)[0])
            return Passes.apply(weight.new_zeros(()), given, weight)

    class Answer(nn.Module):  # type: ignore[misc]
        width = 0

        def forward(self, value: Any, *of: Any) -> Any:
            self.width = value.shape[-1]
            return Passes.apply(value, *of)

    class Recurrence(nn.Module):  # type: ignore[misc]
        def __init__(self, recurrence: Any) -> None:
            nn.Module.__init__(self)
            self.__dict__["recurrence"] = recurrence
            self.inputs = Inputs(recurrence)
            self.answers = nn.ModuleList(Answer() for _ in range(_ANSWERS))
            self.training = recurrence.training

        def forward(self, input: Any, *states: Any, **named: Any) -> Any:
            with torch.no_grad():
                answer = self.recurrence(input, *states, **named)
            begun: list[Any] = []
            _each((states, tuple(named.values())), begun.append)
            given: list[Any] = []
            _each(input, given.append)
            taken, answers = self.inputs(given[0]), iter(self.answers)
            return _each(answer, lambda value: next(answers)(value, taken, *begun))

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            """What `forward` takes it for that asks by isinstance."""
            return type(self.recurrence)

        def register_forward_hook(self, *_: Any, **__: Any) -> Any:
            """None: Torch-Pruning would take it for the LSTM that it says it is."""
            return RemovableHandle(OrderedDict())

        def train(self, mode: bool = True) -> Any:
            self.recurrence.train(mode)
            return nn.Module.train(self, mode)

        def __getattr__(self, name: str) -> Any:
            try:
                return nn.Module.__getattr__(self, name)
            except AttributeError:
                return getattr(self.recurrence, name)

    return {"recurrence": Recurrence, "inputs": Inputs, "answer": Answer}


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same with every tensor changed, within tuples and packed sequences too."""
    import torch
    from torch.nn.utils.rnn import PackedSequence

    if isinstance(value, PackedSequence):
        return PackedSequence(change(value.data), *value[1:])
    if isinstance(value, tuple | list):
        return tuple(_each(each, change) for each in value)
    return change(value) if isinstance(value, torch.Tensor) else value
