"""A recurrence of PyTorch's whose layers are given thinner inputs: of each layer, what both directions multiply its
inputs with is one matrix, and of its factors the first becomes a linear layer, the last the weights of a recurrence
with fewer inputs. That is exact in arithmetic, and runtimes keep their operator for the recurrence.

What a recurrence multiplies its state with stays: those operators take it whole, and a recurrence written out step by
step in layers is slower than what the factors would save.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from makeweight.runtimes.weights import Factor, Layer

STATES = "its operator takes what a recurrence multiplies its state with whole"
_WEIGHT = re.compile(r"(weight|bias)_(ih|hh|hr)_l(\d+)(_reverse)?")


def recurrences() -> tuple[type, ...]:
    """Those that thinner layers can stand for, and no others that descend from them."""
    from torch import nn

    return nn.RNN, nn.GRU, nn.LSTM


def inputs_of(recurrence: Any, name: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Of each layer its number, what its weights of inputs are called in recipes and notes, and all parameters that
    they are, which are several where it runs both ways.

    Args:
        name: the recurrence's.
    """
    for number in range(recurrence.num_layers):
        parameters = tuple(f"{name}.{each}".lstrip(".") for each in _names("weight_ih", number, recurrence))
        yield number, parameters[0], parameters


def states_of(recurrence: Any, name: str) -> list[str]:
    """What the weights of its states are called, one for each layer."""
    return [f"{name}.weight_hh_l{number}".lstrip(".") for number in range(recurrence.num_layers)]


def as_layer(recurrence: Any, number: int) -> Layer:
    """What a layer of it multiplies its inputs with, for all gates and both directions."""
    weights = [getattr(recurrence, each).detach() for each in _names("weight_ih", number, recurrence)]
    return Layer(np.concatenate([each.double().numpy() for each in weights])[None])


def in_layers(recurrence: Any, factors: Mapping[int, Sequence[Factor]]) -> Any:
    """What is put in a recurrence's place. It is called as that is, and has its settings and its weights by name.

    Args:
        factors: by layer, two; a layer without any stays as it is.
    """
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.nn.utils.rnn import PackedSequence

    mode, directions = recurrence.mode, 2 if recurrence.bidirectional else 1

    def over(layer: Any, given: Any) -> Any:
        """What a layer makes of each step, of sentences of one length or packed."""
        if isinstance(given, PackedSequence):
            return PackedSequence(layer(given.data), *given[1:])
        return layer(given)

    class InLayers(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.mode, self.bidirectional = mode, recurrence.bidirectional
            self.input_size, self.hidden_size = recurrence.input_size, recurrence.hidden_size
            self.num_layers, self.proj_size = recurrence.num_layers, recurrence.proj_size
            self.bias, self.batch_first = recurrence.bias, recurrence.batch_first
            self.dropout = recurrence.dropout
            made = [_layer(recurrence, number, factors.get(number)) for number in range(self.num_layers)]
            self.inputs = nn.ModuleList(thin for thin, _ in made)
            self.layers = nn.ModuleList(layer for _, layer in made)

        def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
            """See the `forward` of nn.RNN, nn.GRU and nn.LSTM."""
            states = []
            for number, (thin, layer) in enumerate(zip(self.inputs, self.layers, strict=True)):
                if number and self.dropout:
                    input = over(lambda each: functional.dropout(each, self.dropout, self.training), input)
                input, state = layer(over(thin, input), self._state(hx, number))
                states.append(state)
            if mode == "LSTM":
                return input, tuple(torch.cat(each) for each in zip(*states, strict=True))
            return input, torch.cat(states)

        def _state(self, hx: Any, number: int) -> Any:
            """What a layer begins with."""
            own = slice(number * directions, (number + 1) * directions)
            if hx is None:
                return None
            return tuple(each[own] for each in hx) if mode == "LSTM" else hx[own]

        def flatten_parameters(self) -> None:
            for layer in self.layers:
                layer.flatten_parameters()

        def __getattr__(self, name: str) -> Any:
            if (found := _WEIGHT.fullmatch(name)) is None:
                return super().__getattr__(name)
            kind, of, number, way = found.groups()
            if int(number) >= self.num_layers:
                raise AttributeError(f"a recurrence of {self.num_layers} layers has no `{name}`")
            own = getattr(self.layers[int(number)], f"{kind}_{of}_l0{way or ''}")
            thin = self.inputs[int(number)]
            return own @ thin.weight if (kind, of) == ("weight", "ih") and hasattr(thin, "weight") else own

    return InLayers().train(recurrence.training)


def _layer(recurrence: Any, number: int, factors: Sequence[Factor] | None) -> tuple[Any, Any]:
    """One layer of a recurrence: what makes its inputs thinner, and itself."""
    import torch
    from torch import nn

    weight = getattr(recurrence, f"weight_ih_l{number}")
    settings = {name: getattr(recurrence, name) for name in ("bias", "batch_first", "bidirectional")}
    if recurrence.mode == "LSTM":
        settings["proj_size"] = recurrence.proj_size
    elif recurrence.mode != "GRU":
        settings["nonlinearity"] = recurrence.nonlinearity
    width = weight.shape[1] if factors is None else len(factors[0].weight)
    layer = type(recurrence)(width, recurrence.hidden_size, **settings).to(weight)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            before = getattr(recurrence, name.replace("_l0", f"_l{number}"))
            parameter.requires_grad_(before.requires_grad)
            if factors is None or not name.startswith("weight_ih"):
                parameter.copy_(before)
        if factors is None:
            return nn.Identity(), layer
        first, last = factors
        thin = nn.Linear(weight.shape[1], width, bias=False).to(weight)
        thin.weight.copy_(torch.from_numpy(np.ascontiguousarray(first.weight)))
        thin.requires_grad_(weight.requires_grad)
        ways = torch.from_numpy(np.ascontiguousarray(last.weight)).split(len(weight))
        for name, own in zip(_names("weight_ih", 0, recurrence), ways, strict=True):
            getattr(layer, name).copy_(own)
    return thin, layer


def _names(of: str, number: int, recurrence: Any) -> tuple[str, ...]:
    """The parameters of a kind in a layer, of each direction."""
    forward = f"{of}_l{number}"
    return (forward, f"{forward}_reverse") if recurrence.bidirectional else (forward,)
