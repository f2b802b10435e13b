"""Marks on a module's calls, by which they are found again in its captured graph. Each is a copy of its own, which the
runtime that captures it takes out."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from makeweight.runtimes.calls import INPUT, Call

DOMAIN, KIND = "makeweight", "mark"


class Marks:
    """Visits a module's calls, and marks what is traced of them: their results, and the constants that they are handed.
    Where nothing is traced, it changes nothing."""

    def __init__(self, only: Collection[str] | None = None) -> None:
        """Args:
        only: the calls whose results are marked; None: all, and constants.
        """
        self._only = only
        self.names: list[str] = []
        """By the number of a mark, what bears it."""
        self._made: dict[int, Any] = {}

    def __call__(self, call: Call) -> Any:
        import torch

        if not torch.compiler.is_exporting():
            return call.result()
        given = call.arguments
        if self._only is None and call.kind != INPUT and not call.in_place:
            given = tuple(
                values if id(values) in self._made else self._marked(values, f"{call.name}({place})")
                for place, values in enumerate(given)
            )
        return self._marked(call.compute(*given, **call.others), call.name)

    def _marked(self, values: Any, name: str) -> Any:
        import torch

        if type(values) in (tuple, list):
            return type(values)(self._marked(each, f"{name}[{place}]") for place, each in enumerate(values))
        if not isinstance(values, torch.Tensor) or not values.is_floating_point():
            return values
        if self._only is None or name in self._only:
            self.names.append(name)
            values = operator()(values, len(self.names) - 1)
        # kept, so that no other gets its id
        self._made[id(values)] = values
        return values


@functools.cache
def operator() -> Any:
    """A mark as torch traces it: a copy."""
    import torch

    name = f"{DOMAIN}::{KIND}"
    torch.library.define(name, "(Tensor values, int number) -> Tensor")
    torch.library.impl(name, "CompositeExplicitAutograd")(lambda values, number: values.clone())  # noqa: ARG005
    torch.library.register_fake(name)(lambda values, number: torch.empty_like(values))  # noqa: ARG005
    return getattr(getattr(torch.ops, DOMAIN), KIND).default
