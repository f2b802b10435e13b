"""Marks on a module's calls, by which they are found again in its captured graph. Each is a copy of its own, which the
runtime that captures it takes out."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from itertools import filterfalse
from typing import Any

from makeweight.runtimes.calls import INPUT, Call
from makeweight.runtimes.integers import Range, handed
from makeweight.runtimes.runtime import RecipeFailed

DOMAIN, KIND = "makeweight", "mark"

Bearing = Mapping[str, Sequence[str]]
"""By what of a captured graph bears marks, the calls that give it and are handed it, in their order."""


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

    def bearing(self, found: Mapping[int, str]) -> dict[str, list[str]]:
        """A `Bearing`.

        Args:
            found: by the number of a mark, what bears it.
        """
        bearing: dict[str, list[str]] = {}
        for number, bearer in sorted(found.items()):
            bearing.setdefault(bearer, []).append(self.names[number])
        return bearing

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


def givers(bearing: Bearing) -> dict[str, str]:
    """By what bears marks, the call that gives it; of several the first."""
    return {bearer: given[0] for bearer, each in bearing.items() if (given := [*filterfalse(handed, each)])}


def placed(learned: Mapping[str, Range], bearing: Bearing) -> dict[str, Range]:
    """Ranges that were learned by call, by what bears the call's mark.

    Raises:
        RecipeFailed: one is of something that the module does not compute.
    """
    bearers = {name: bearer for bearer, names in bearing.items() for name in names}
    if lost := [name for name in learned if name not in bearers]:
        raise RecipeFailed(f"the module no longer computes {lost[0]}, of which a range was learned")
    return {bearers[name]: each for name, each in learned.items()}


@functools.cache
def operator() -> Any:
    """A mark as torch traces it: a copy."""
    import torch

    name = f"{DOMAIN}::{KIND}"
    torch.library.define(name, "(Tensor values, int number) -> Tensor")
    torch.library.impl(name, "CompositeExplicitAutograd")(lambda values, number: values.clone())  # noqa: ARG005
    torch.library.register_fake(name)(lambda values, number: torch.empty_like(values))  # noqa: ARG005
    return getattr(getattr(torch.ops, DOMAIN), KIND).default
