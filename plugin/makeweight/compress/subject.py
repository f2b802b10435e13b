"""What a recipe changes, and what its steps leave for those after them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from makeweight.artifact.model import Model
from makeweight.runtimes.format import SourceKind


class Left(Protocol):
    """What a step left behind (masks, codebooks, learned ranges): true of the module, and to be kept true. One that
    itself changes in training has `state_dict` and `load_state_dict`, as PyTorch's modules do, so that a training that
    was killed can go on."""

    def after_step(self, module: Any) -> None:
        """Make it true again after a step of the optimizer."""


@runtime_checkable
class Movable(Protocol):
    """What holds tensors of its own, as modules do and a `Left` may: a training on an accelerator moves it there and
    back."""

    def to(self, device: str, /) -> Any: ...


@runtime_checkable
class Substitute(Left, Protocol):
    """One that has parameters of its own learn in place of weights of the module, in the loop that techniques share."""

    def standing_in(self, module: Any) -> AbstractContextManager[list[Any]]:
        """Those parameters, as long as it lasts. Weights take what follows from them in `after_step`, and have no
        gradients of their own."""


@dataclass(frozen=True)
class Subject:
    """A torch.nn.Module, or, where nobody has its source, a model file of the variant's runtime."""

    source: Any
    left: Mapping[str, Left] = field(default_factory=dict)
    """By technique. It goes with the module into every later training, and into the lowering."""

    @property
    def kind(self) -> SourceKind:
        return "graph" if isinstance(self.source, Model) else "module"

    def leaving(self, technique: str, left: Left) -> Subject:
        return replace(self, left={**self.left, technique: left})
