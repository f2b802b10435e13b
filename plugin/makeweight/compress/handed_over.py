"""Training that the user does: the module and all that it takes are handed to a callable of theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from makeweight.compress.examples import Batch, Examples, Tensors
from makeweight.compress.subject import Left
from makeweight.compress.technique import Given
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user import callables
from makeweight.user.weights import not_finite
from makeweight_base.errors import UsageError

if TYPE_CHECKING:
    from makeweight.compress.training_options import TrainingOptions


@dataclass(frozen=True)
class Training:
    """What `train: module:callable` is called with beside the module. Documented in docs/configuration.md."""

    options: TrainingOptions
    """As declared: `epochs`, `lr`, `batch`, `weight_decay` and so on."""
    seed: int
    """All random numbers are seeded with it already."""
    teacher: Any
    """The module that teaches, in eval mode, not to be changed; None with `teacher: none`."""
    _module: Any
    _train: Examples
    _validation: Examples | None
    _left: Collection[Left]

    def batches(self, epoch: int) -> Iterator[tuple[Tensors, Any]]:
        """The train split, augmented, in an order of this epoch's own: inputs by name and targets, as tensors."""
        return map(_pair, self._train.epoch(self.options.batch, self.seed, epoch))

    def validation(self) -> Iterator[tuple[Tensors, Any]] | None:
        """The validation split in order; None where there is none."""
        return None if self._validation is None else map(_pair, self._validation.in_order())

    def after_step(self) -> None:
        """To be called after each step of the optimizer: what steps before left behind (masks) is made true again."""
        for each in self._left:
            each.after_step(self._module)


def hand_over(
    module: Any,
    train: Examples,
    validation: Examples | None,
    options: TrainingOptions,
    given: Given,
    label: str,
    left: Collection[Left],
    teacher: Any,
) -> None:
    """Have the user's callable train the module in place, and leave it in eval mode.

    Raises:
        UsageError: there is no such callable, or it raises.
        RecipeFailed: a weight is no longer finite.
    """
    dotted = options.train or ""
    own = callables.find(dotted, given.root, where="makeweight.yaml: train")
    training = Training(options, given.seed, teacher, module, train, validation, left)
    module.train()
    returned = callables.call(own, module, training, name=dotted, root=given.root)
    if returned is not None and returned is not module:
        raise UsageError(
            f"returned {type(returned).__name__}",
            where=dotted,
            do="Train the module that is handed over, in place, and return nothing.",
        )
    module.eval()
    training.after_step()
    if bad := not_finite(module):
        raise RecipeFailed(f"{label}: `{dotted}` left NaN or infinity in {', '.join(bad[:3])}")


def _pair(batch: Batch) -> tuple[Tensors, Any]:
    return batch.inputs, batch.targets
