"""PyTorch's composite operators, those that are made of others, looked up once in a process.

To take a graph apart torch.export asks which there are, several times in one export, and each time has eight hundred of
them looked up by name for every library of operators that is loaded. An operator that is known stays so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_KEY = "CompositeImplicitAutograd"
_KNOWN: list[str] = []
"""The names of those that were registered when they were last looked up."""


@contextlib.contextmanager
def known_once() -> Iterator[None]:
    """Exports in this context look them up where others are registered than before. Where another version of torch
    keeps that elsewhere, they do so each time, as ever."""
    try:
        from torch import _C
        from torch._export import utils

        plain, registered = utils._materialize_cpp_cia_ops, _C._dispatch_get_registrations_for_dispatch_key
    except (ImportError, AttributeError):
        yield
        return

    def looked_up() -> None:
        if (names := registered(_KEY)) != _KNOWN:
            plain()
            _KNOWN[:] = names

    utils._materialize_cpp_cia_ops = looked_up
    try:
        yield
    finally:
        utils._materialize_cpp_cia_ops = plain
