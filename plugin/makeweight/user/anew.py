"""Whether a module is built anew with each call, and with weights of its own. What a recipe changes, what teaches it
and its control are three modules: one for all would teach itself, and its control would be compressed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakValueDictionary

from makeweight_base.errors import UsageError

_handed_out: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""The parameters of modules that were handed out and are still there, by what `id` calls them."""


def have_its_own(module: Any, build: str, where: str) -> None:
    """Have the parameters of a torch.nn.Module lie in no memory that others have too, such as a table of vectors that
    was read once and that every module is made of.

    Args:
        build: the `module:callable` that gave it.

    Raises:
        UsageError: it has parameters of a module that was handed out before.
    """
    for name, parameter in module.named_parameters():
        if _handed_out.get(id(parameter)) is parameter:
            raise UsageError(
                f"`{build}` gave the same parameter (`{name}`) in two calls, and what one of the modules learns or "
                "loses would be the other's too",
                where=where,
                do="Build the module within the callable, with each call anew, and keep none of it between calls.",
            )
    parameters = list(module.parameters())
    _handed_out.update((id(parameter), parameter) for parameter in parameters)
    lying = [(parameter, parameter.untyped_storage().data_ptr()) for parameter in parameters if _plain(parameter)]
    others = Counter(place for _, place in lying)
    for parameter, place in lying:
        if others[place] == 1:  # those that lie in one memory are parts of each other, and are to stay it
            parameter.data = parameter.data.clone()


def _plain(parameter: Any) -> bool:
    import torch
    from torch.nn.parameter import is_lazy

    return not is_lazy(parameter) and parameter.layout is torch.strided and type(parameter.data) is torch.Tensor
