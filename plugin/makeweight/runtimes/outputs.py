"""The outputs of a PyTorch module by name, as its exported file and the configuration know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight_base.errors import UsageError


def named(answer: Any) -> dict[str, Any]:
    """The tensors that a module's answer holds: a mapping's by their keys, else `output`, `output_1` and so on.

    Raises:
        UsageError: it holds none.
    """
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = [leaf for leaf in tree_leaves(answer) if isinstance(leaf, torch.Tensor)]
    if not leaves:
        raise UsageError(f"the module returns {type(answer).__name__}, which holds no tensor")
    if isinstance(answer, Mapping) and len(answer) == len(leaves):
        names = [str(key) for key in answer]
    else:
        names = ["output", *(f"output_{index}" for index in range(1, len(leaves)))]
    return dict(zip(names, leaves, strict=True))


def judged(answer: Any, output: str | None) -> Any:
    """The output that holds the scores: the declared one, else the first.

    Raises:
        UsageError: there is no such output.
    """
    outputs = named(answer)
    if output is None:
        return next(iter(outputs.values()))
    if output not in outputs:
        raise UsageError(
            f"the module has no output `{output}`; it has {', '.join(outputs)}", where="makeweight.yaml: model.output"
        )
    return outputs[output]
