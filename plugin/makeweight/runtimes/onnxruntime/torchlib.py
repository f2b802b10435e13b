"""By what torch.onnx translates operators, read once in a process.

For every export anew it parses the source of some five hundred functions, which takes as long as all the rest of
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
            _READ[key] = plain.__func__(cls, *asked, **named)
        return _own(_READ[key])

    ONNXRegistry.from_torchlib = classmethod(from_torchlib)
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = plain


def _own(read: Any) -> Any:
    """One to which an export adds what it translates in its own way."""
    own = copy.copy(read)
    own.functions = {operator: list(found) for operator, found in read.functions.items()}
    return own
