"""What a module computes, call by call: every function of torch that its `forward` calls has a name, whatever wrote it
there, and what goes into it and comes out may be replaced. The module stays what it is, and trains as ever.

Calls are named by the module that makes them, the function, and the how many-eth of its kind there it is
(`layers.0/linear`, `layers.0/add:2`), so that a call that only training makes renames no other.

The hook is PyTorch's own: https://docs.pytorch.org/docs/stable/torch.overrides.html
"""

from __future__ import annotations

import functools
import math
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

INPUT = "input"
"""The kind of the module's own inputs."""
_ASKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@dataclass(frozen=True)
class Call:
    """A function of torch that gives tensors, and what it is called with."""

    name: str
    kind: str
    """The function's name, without what says that it works in place."""
    arguments: tuple[Any, ...]
    others: Mapping[str, Any]
    """By keyword."""
    compute: Callable[..., Any]
    """The function, whose calls are not visited again."""

    in_place: bool = False
    """Whether it works on what it is handed."""

    def result(self) -> Any:
        return self.compute(*self.arguments, **self.others)


Visitor = Callable[[Call], Any]
"""Gives the result of a call."""


@contextmanager
def visited(module: Any, visit: Visitor) -> Iterator[None]:
    """As long as this lasts, whatever calls a torch.nn.Module has `visit` compute what its `forward` calls."""
    own = module.forward
    overridden = "forward" in vars(module)
    path: list[str] = []

    def entered(name: str) -> Callable[..., None]:
        return lambda *_: path.append(name)

    def left(*_: Any) -> None:
        path.pop()

    @functools.wraps(own)
    def forward(*arguments: Any, **others: Any) -> Any:
        path.clear()
        inputs = _Inputs(visit)
        arguments, others = inputs.taken(arguments), inputs.taken(others)
        with _mode()(visit, path):
            return own(*arguments, **others)

    hooks = []
    for name, part in module.named_modules():
        if part is not module:
            hooks += [part.register_forward_pre_hook(entered(name)), part.register_forward_hook(left)]
    module.forward = forward
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        if overridden:
            module.forward = own
        else:
            del module.forward


class _Inputs:
    """The module's own inputs, in their order, as calls that have nothing to compute."""

    def __init__(self, visit: Visitor) -> None:
        self._visit, self._seen = visit, 0

    def taken(self, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: self.taken(value) for name, value in given.items()}
        if isinstance(given, tuple):
            return tuple(self.taken(value) for value in given)
        if not _floating(given):
            return given
        self._seen += 1
        return self._visit(Call(f"{INPUT}:{self._seen}", INPUT, (given,), {}, lambda values: values))


def _floating(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_floating_point()


@functools.cache
def _mode() -> Any:
    """The mode, made when torch is there."""
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    attention = functional.scaled_dot_product_attention

    class Mode(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
        def __init__(self, visit: Visitor, path: list[str]) -> None:
            super().__init__()
            self._visit, self._path, self._counts = visit, path, Counter[str]()

        def __torch_function__(self, function: Any, kinds: Any, arguments: Any = (), others: Any = None) -> Any:
            others = others or {}
            if function is attention:
                with self:
                    return _attention(*arguments, **others)
            if function is functional.linear and _in_two(*arguments, **others):
                with self:
                    return _linear(*arguments, **others)
            if function is functional.silu:
                with self:
                    return arguments[0] * torch.sigmoid(arguments[0])
            if isinstance(function, types.FunctionType) and function.__globals__ is functional.__dict__:
                with self:
                    return _within(function)(*arguments, **others)
            written = getattr(function, "__name__", "")
            kind = written.strip("_")
            if kind in ("", "get", "set") or torch.jit.is_scripting():
                return function(*arguments, **others)
            call = f"{self._path[-1] if self._path else ''}/{kind}"
            self._counts[call] += 1
            name = call if self._counts[call] == 1 else f"{call}:{self._counts[call]}"
            in_place = written.endswith("_") != written.startswith("_") or written.startswith("__i")
            return self._visit(Call(name, kind, tuple(arguments), others, function, in_place))

    return Mode


@functools.cache
def _within(function: Any) -> Any:
    """A function of torch.nn.functional that is written in Python, without its question whether somebody overrides it:
    its own calls are what is looked for."""
    asked_nothing = {**function.__globals__, **dict.fromkeys(_ASKS, lambda *_: False)}
    within = types.FunctionType(
        function.__code__, asked_nothing, function.__name__, function.__defaults__, function.__closure__
    )
    within.__kwdefaults__ = function.__kwdefaults__
    return within


def _in_two(input: Any, weight: Any, bias: Any = None) -> bool:  # noqa: ARG001 - as torch calls them
    """Of rows alone, a product and its bias are one operator wherever a module is lowered; else they are two."""
    return bias is not None and input.dim() != 2


def _linear(input: Any, weight: Any, bias: Any) -> Any:
    from torch.nn import functional

    return functional.linear(input, weight) + bias


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html by its
    parts, the factor of the scores taken half by half as exporters do."""
    import torch

    factor = math.sqrt(1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scores = (query * factor) @ (key.transpose(-2, -1) * factor)
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = torch.dropout(scores.softmax(-1), dropout_p, dropout_p > 0)
    return weights @ value
