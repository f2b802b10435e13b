"""By what torch.onnx translates operators, read once in a process.

For every export anew it parses the source of every function that it knows, which takes as long as all the rest of
exporting a small module.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator
from typing import Any

_READ: dict[Any, Any] = {}
"""What was read, by what it was asked for."""


@contextlib.contextmanager
def read_once() -> Iterator[None]:
    """Exports in this context share it. Where another version of torch keeps it elsewhere, each reads it as ever."""
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        plain, _ = vars(ONNXRegistry)["from_torchlib"], ONNXRegistry().functions
    except (ImportError, KeyError, AttributeError, TypeError):
        yield
        return

    def from_torchlib(cls: Any, *asked: Any, **named: Any) -> Any:
        # some operators are there once torchvision is imported
        key = (cls, asked, tuple(sorted(named.items())), "torchvision" in sys.modules)
        if key not in _READ:
            with sources_unread():
                _READ[key] = plain.__func__(cls, *asked, **named)
        return _own(_READ[key])

    ONNXRegistry.from_torchlib = classmethod(from_torchlib)
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = plain


@contextlib.contextmanager
def sources_unread() -> Iterator[None]:
    """onnxscript lists its functions with the domain of each, and parses the source of each to tell it: a tenth of what
    exporting a small module takes. A traced one has the domain of the operators that it is among. Where another version
    keeps this elsewhere, all is parsed as ever."""
    try:
        from onnxscript._internal.values import TracedOnnxFunction

        parsed = vars(TracedOnnxFunction)["function_ir"]
    except (ImportError, KeyError):
        yield
        return

    class Unread:
        """What else than the domain is asked of it is parsed for."""

        def __init__(self, function: Any, domain: str) -> None:
            self._function, self.domain = function, domain

        def __getattr__(self, name: str) -> Any:
            return getattr(parsed.__get__(self._function), name)

    def function_ir(function: Any) -> Any:
        opset = getattr(function, "opset", None)
        return parsed.__get__(function) if opset is None else Unread(function, opset.domain)

    TracedOnnxFunction.function_ir = property(function_ir)
    try:
        yield
    finally:
        TracedOnnxFunction.function_ir = parsed


def _own(read: Any) -> Any:
    """One to which an export adds what it translates in its own way."""
    own = copy.copy(read)
    own.functions = {operator: list(found) for operator, found in read.functions.items()}
    return own
