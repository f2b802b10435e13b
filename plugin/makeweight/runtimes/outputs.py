"""The outputs of a PyTorch module by name, as its exported file and the configuration know them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from makeweight_base.errors import UsageError


def named(answer: Any) -> dict[str, Any]:
    """The tensors that a module's answer holds, whatever else it holds beside them.

    Those of a mapping, a dataclass or a named tuple have its keys or fields for names (of one within another joined:
    `outer_inner`); of several in a row the names are numbered (`key_0`, `key_1`). Without any name they are `output`,
    `output_1` and so on.

    Raises:
        UsageError: it holds none, or two by one name.
    """
    found: dict[str, Any] = {}
    for name, tensor in _named(answer, ""):
        if name in found:
            raise UsageError(f"the module returns two tensors that would both be called `{name}`")
        found[name] = tensor
    if not found:
        raise UsageError(f"the module returns {type(answer).__name__}, which holds no tensor")
    return found


def judged(answer: Any, output: str | None) -> Any:
    """The output that holds the scores: the declared one, else the first.

    Raises:
        UsageError: there is no such output.
    """
    outputs = named(answer)
    if output is None:
        return next(iter(outputs.values()))
    if output not in outputs:
        raise UsageError(
            f"the module has no output `{output}`; it has {', '.join(outputs)}", where="makeweight.yaml: model.output"
        )
    return outputs[output]


def _named(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield name or "output", value
    elif (parts := _parts(value)) is not None:
        for key, part in parts.items():
            yield from _named(part, f"{name}_{key}" if name else str(key))
    else:
        for index, tensor in enumerate(_tensors(value)):
            yield f"{name}_{index}" if name else f"output_{index}" if index else "output", tensor


def _tensors(value: Any) -> Iterator[Any]:
    """Of a sequence, however deep they lie."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif (parts := _parts(value)) is not None:
        for part in parts.values():
            yield from _tensors(part)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for part in value:
            yield from _tensors(part)


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """What has names of its own; None: nothing has."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    return None
