"""How training moves weights: those that it moves towards zero are wanted least, however large they are.

Sanh, Wolf and Rush, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", NeurIPS 2020,
https://arxiv.org/abs/2005.07683. A score is the sum of their equation 3 over all steps; what is masked stays so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.compress.gradients import whole


class Movement:
    """The scores of weights: minus the sum of each weight times its gradient, over all steps. Something that a step
    leaves, as far as it lasts: a training that was killed goes on with them."""

    def __init__(self, module: Any, names: Collection[str]) -> None:
        """Args:
        names: of weights that learn.
        """
        import torch

        self._scores = {name: torch.zeros_like(module.get_parameter(name)) for name in names}
        self._hooks = [self._listen(module.get_parameter(name), name) for name in names]

    def _listen(self, weight: Any, name: str) -> Any:
        def note(gradient: Any) -> None:
            self._scores[name].addcmul_(weight.detach(), whole(gradient), value=-1)

        return weight.register_hook(note)

    def to(self, device: str) -> None:
        self._scores = {name: scores.to(device) for name, scores in self._scores.items()}

    def after_step(self, module: Any) -> None:
        """They say nothing of what the module has to be."""

    def scores(self, masked: Mapping[str, Any]) -> dict[str, NDArray[np.floating]]:
        """By parameter, of its shape; the lowest of all where a weight is masked already.

        Args:
            masked: where that is, torch.bool.
        """
        import torch

        none = torch.tensor(False)
        return {
            name: scores.masked_fill(masked.get(name, none), -torch.inf).float().numpy()
            for name, scores in self._scores.items()
        }

    def end(self) -> None:
        """Listen no longer."""
        for hook in self._hooks:
            hook.remove()

    def state_dict(self) -> dict[str, Any]:
        return self._scores

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._scores = dict(state)
