"""What a module's structure allows: where its bytes are, and how far it can be pruned. Nothing is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from makeweight import registry
from makeweight.advise.facts import PruningFacts
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Shapes
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.reproducible import reproducible
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.compress.thin import convolutions
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.inputs import call
from makeweight.runtimes.runtime import LayerFacts, LayerKind, RecipeFailed
from makeweight.user.module import load_module
from makeweight_base.progress import Silent

_ASKED = 0.5
# Larger models are copied several times and exported for this, which is no longer a matter of seconds.
_LARGEST = 200_000_000


def pruned(supply: Supply, baseline: Model, macs: int | None, asked: Sequence[Shapes]) -> PruningFacts:
    """What is left where half of every layer's channels are asked to go.

    Args:
        macs: the baseline's.
        asked: the shapes of the inferences that these are of.

    Raises:
        RecipeFailed, UsageError: no channel can go, and why.
        MissingExtra: Torch-Pruning is not installed.
    """
    registry.require("technique", Prune.name)
    if baseline.size > _LARGEST:
        raise RecipeFailed(f"a model of {baseline.size / 1e6:.0f} MB is not pruned to see it; a recipe would")
    technique, options = Prune(), PruneOptions(ratio=_ASKED, epochs=0)
    was, supply.progress = supply.progress, Silent()
    try:
        with reproducible(supply.declared.seed):
            subject = Subject(load_module(supply.declared))
            narrow = technique.apply(subject, options, supply.given(technique.needs(options)))
            made = supply.lowered(narrow, FLOAT32, supply.scratch / f"narrow{supply.runtime.suffix}")
    finally:
        supply.progress = was
    left = supply.runtime.inspect(made, asked).macs if macs else None
    return PruningFacts(_ASKED, made.size / baseline.size, left / macs if left and macs else None)


def layers(module: Any, supply: Supply) -> tuple[LayerFacts, ...]:
    """Where the bytes and multiply-accumulates of a module are, by its own layers in the order in which they run.

    Raises:
        UsageError: there are no examples to run it on. Besides, whatever the module raises.
    """
    import torch

    program = supply.program(Subject(module))
    kinds = {
        "convolution": convolutions(),
        "product": _types("Linear", "Bilinear", "MultiheadAttention"),
        "table": _types("Embedding", "EmbeddingBag"),
        "recurrence": _types("LSTM", "GRU", "RNN"),
    }
    costs: dict[str, int] = {}
    examples = max(1, len(next(iter(program.example.values()))))

    def listening(name: str, layer: Any) -> Any:
        def hear(_: Any, inputs: Any, output: Any) -> None:
            costs[name] = costs.get(name, 0) + _macs(layer, inputs, output) // examples

        return layer.register_forward_hook(hear)

    leaves = [(name, part) for name, part in module.named_modules() if any(True for _ in part.parameters(False))]
    hooks = [listening(name, part) for name, part in leaves]
    try:
        with torch.no_grad():
            call(module, {name: torch.from_numpy(values) for name, values in program.example.items()})
    finally:
        for hook in hooks:
            hook.remove()
    told = []
    for name, part in leaves:
        size = sum(weight.numel() * weight.element_size() for weight in part.parameters(False))
        kind: LayerKind = next((each for each, types in kinds.items() if isinstance(part, types)), "other")  # type: ignore[misc]
        told.append(LayerFacts(name, kind, size, costs.get(name, 0)))
    return tuple(told)


def _types(*names: str) -> tuple[type, ...]:
    from torch import nn

    return tuple(getattr(nn, name) for name in names)


def _macs(layer: Any, inputs: Any, output: Any) -> int:
    """Of one call: each element of the output sums over all of the weight but its outputs; of a transposed convolution
    each element of the input is spread over them."""
    multiplies = isinstance(layer, (*convolutions(), *_types("Linear")))
    if not multiplies:
        return 0
    whole = inputs[0] if getattr(layer, "transposed", False) else output
    return int(whole.numel()) * int(math.prod(layer.weight.shape[1:]))
