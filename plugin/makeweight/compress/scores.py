"""What a module answers, and how a classifier's scores are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from makeweight.compress.examples import Batch, Examples
from makeweight.measure.outcomes import kind_of
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged

# Examples at once where nothing is learnt, so that the number is of no consequence.
LARGE = 256
# The smallest probability whose logarithm is taken.
_LEAST = 1e-7

Reading = Callable[[Any], Any]
"""From a model's scores to logits, shape [examples, classes]; as they are where the task is no classification."""


def answers(module: Any, batch: Batch, output: str | None) -> Any:
    """A module's scores for some examples; the module is left in eval mode."""
    import torch

    module.eval()
    with torch.no_grad():
        return judged(call(module, batch.inputs), output)


def reading(baseline: Any, data: Examples, output: str | None) -> Reading:
    """How a classifier's scores are read: as evaluation reads the baseline's (logits, probabilities, one number).

    Args:
        data: what the first examples are taken of, to see the baseline's scores.

    Raises:
        UsageError: the scores are none of a classifier.
    """
    import torch
    from torch.nn import functional

    if data.task.kind != "classification":
        return lambda scores: scores
    some = answers(baseline, next(data.batches(LARGE)), output)
    kind = kind_of(some.double().numpy())

    def logits(scores: Any) -> Any:
        scores = scores.reshape(len(scores), -1)
        if kind == "probability":
            scores = scores.clamp(_LEAST, 1 - _LEAST)
            return torch.cat([1 - scores, scores], dim=1).log() if scores.shape[1] == 1 else scores.log()
        # one number z stands for two classes, the second with probability sigmoid(z)
        return functional.pad(scores, (1, 0)) if scores.shape[1] == 1 else scores

    return logits
