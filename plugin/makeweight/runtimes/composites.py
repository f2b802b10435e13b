"""PyTorch's composite operators, those that are made of others, looked up once in a process.

To take a graph apart torch.export asks which there are, several times in one export, and each time has eight hundred of
them looked up by name for every library of operators that is loaded. An operator that is known stays so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

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
        from torch.export import decomp_utils, exported_program

        look_up, collect = utils._materialize_cpp_cia_ops, utils._collect_all_valid_cia_ops
        registered = _C._dispatch_get_registrations_for_dispatch_key
    except (ImportError, AttributeError):
        yield
        return
    collecting = False

    def looked_up() -> None:
        if not collecting and (names := registered(_KEY)) != _KNOWN:
            look_up()
            _KNOWN[:] = names

    def collected() -> Any:
        """Of all libraries: what is registered is asked once."""
        nonlocal collecting
        looked_up()
        collecting = True
        try:
            return collect()
        finally:
            collecting = False

    with contextlib.ExitStack() as stack:
        for module, name, instead in (
            (utils, "_materialize_cpp_cia_ops", looked_up),
            *((module, "_collect_all_valid_cia_ops", collected) for module in (utils, decomp_utils, exported_program)),
        ):
            if (plain := getattr(module, name, None)) is not None:
                setattr(module, name, instead)
                stack.callback(setattr, module, name, plain)
        yield
