"""Whether a module is built anew with each call, and with weights of its own. What a recipe changes, what teaches it
and its control are three modules: one for all would teach itself, and its control would be compressed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakValueDictionary

from makeweight_base.errors import UsageError

_handed_out: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""The parameters of modules that were handed out and are still there, the layers that have them, whose parameters may
be others by now, and the modules themselves; by what `id` calls them."""


def have_its_own(module: Any, build: str, where: str) -> None:
    """See `lie_apart`; of a module that is handed out to be changed.

    Args:
        build: the `module:callable` that gave it.

    Raises:
        UsageError: it has parameters, or layers, of a module that was handed out before.
    """
    if (same := _of_another(module)) is not None:
        raise UsageError(
            f"`{build}` gave the same {same} in two calls, and what one of the modules learns or loses would be the "
            "other's too",
            where=where,
            do="Build the module within the callable, with each call anew, and keep none of it between calls.",
        )
    lie_apart(module)
    for part in module.modules():
        if own := list(part.parameters(recurse=part is module)):
            _handed_out.update({id(each): each for each in (*own, part)})


def teach_of_its_own(module: Any, teacher: str, where: str) -> None:
    """See `lie_apart`; of a module that teaches. It is not changed once it has its weights, so it may be the same in
    several calls.

    Args:
        teacher: the `module:callable` that gave it.

    Raises:
        UsageError: it has parameters, or layers, of a module that was handed out to be changed.
    """
    if (same := _of_another(module)) is not None:
        raise UsageError(
            f"the teacher `{teacher}` has a {same} that is the model's too: it would learn of itself",
            where=where,
            do="Build the teacher with layers of its own, or take `teacher: baseline`, the model as it was.",
        )
    lie_apart(module)


def _of_another(module: Any) -> str | None:
    """What of a module belongs to one that was handed out before."""
    for kind, parts in (("parameter", module.named_parameters()), ("module", module.named_modules())):
        for name, part in parts:
            if _handed_out.get(id(part)) is part:
                return f"{kind} (`{name}`)" if name else kind
    return None


def lie_apart(module: Any) -> None:
    """Have the parameters of a torch.nn.Module lie in no memory that those of one that was handed out lie in, such as a
    table of vectors that was read once and that every module is made of."""
    import torch

    handed_out = [each for each in _handed_out.values() if isinstance(each, torch.Tensor)]
    taken = {_place(parameter) for parameter in handed_out} - {None}
    parameters = [(parameter, _place(parameter)) for parameter in module.parameters()]
    many = Counter(place for _, place in parameters)
    for parameter, place in parameters:
        if place in taken and many[place] == 1:  # of several in one memory, some are parts of others, and stay it
            parameter.data = parameter.data.clone()


def _place(parameter: Any) -> int | None:
    """Where a parameter lies in memory; None: in several places, or not yet in any."""
    import torch
    from torch.nn.parameter import is_lazy

    if is_lazy(parameter) or parameter.layout is not torch.strided or type(parameter.data) is not torch.Tensor:
        return None
    return parameter.untyped_storage().data_ptr() or None
