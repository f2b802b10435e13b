"""How weights move in training: the optimizer with its learning rate, and their moving average."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from makeweight.compress.gradients import whole
from makeweight.compress.training_options import TrainingOptions

_MOMENTUM = 0.9
# The part of the steps in which one-cycle rises.
_RISE = 0.3


class Optimizer:
    """Steps of AdamW or SGD. The learning rate falls along a half cosine, with one-cycle after it has risen (Smith and
    Topin, "Super-Convergence", 2018, https://arxiv.org/abs/1708.07120); it changes with every step."""

    def __init__(self, parameters: Collection[Any], options: TrainingOptions, steps: int) -> None:
        import torch

        self._parameters, self._clip = list(parameters), options.clip
        if options.optimizer == "sgd":
            self._optimizer: Any = torch.optim.SGD(
                self._parameters, options.lr, _MOMENTUM, weight_decay=options.weight_decay, nesterov=True
            )
        else:
            self._optimizer = torch.optim.AdamW(self._parameters, options.lr, weight_decay=options.weight_decay)
        schedules = torch.optim.lr_scheduler
        if options.schedule == "one_cycle":
            self._schedule: Any = schedules.OneCycleLR(
                self._optimizer, options.lr, total_steps=steps + 1, pct_start=_RISE, cycle_momentum=False
            )
        else:
            self._schedule = schedules.CosineAnnealingLR(self._optimizer, T_max=steps)

    def step(self, loss: Any) -> None:
        """Make a loss smaller."""
        import torch

        self._optimizer.zero_grad()
        loss.backward()
        for parameter in self._parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = whole(parameter.grad)
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._optimizer.step()
        self._schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self._optimizer.state_dict(), "schedule": self._schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])


class Averaged:
    """The exponential moving average of a module's weights and buffers; of what cannot be averaged (counts, masks that
    hold infinity, state of a module's own that is no tensor), the last. Of few steps it is one that forgets faster, so
    that what training began with does not outlive it: after t steps the share of the old is at most
    (1 + t) / (10 + t)."""

    def __init__(self, module: Any, decay: float) -> None:
        self._module, self._decay, self._steps = module, decay, 0
        self._state = _copied(module)
        self._moving = {name for name, value in self._state.items() if _averages(value)}

    def after_step(self) -> None:
        import torch

        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        with torch.no_grad():
            for name, value in self._module.state_dict().items():
                if name in self._moving:
                    self._state[name].lerp_(value, 1 - decay)
                else:
                    self._state[name] = _copy(value)

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """The module with the average for weights, as long as this lasts."""
        own = _copied(self._module)
        self._module.load_state_dict(self._state)
        try:
            yield
        finally:
            self._module.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "average": self._state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps, self._state = state["steps"], state["average"]

    def keep(self) -> None:
        """Leave the module with the average."""
        self._module.load_state_dict(self._state)


def _copied(module: Any) -> dict[str, Any]:
    return {name: _copy(value) for name, value in module.state_dict().items()}


def _copy(value: Any) -> Any:
    """Of a tensor, or of what a module keeps of its own in a state dict."""
    return value.detach().clone() if hasattr(value, "detach") else copy.deepcopy(value)


def _averages(value: Any) -> bool:
    if not hasattr(value, "detach"):
        return False
    return (value.is_floating_point() or value.is_complex()) and bool(value.isfinite().all())
