"""What a module answers, and how a classifier's scores are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from makeweight.compress.examples import Examples, Tensors, part
from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import classify
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged
from makeweight_base.errors import UsageError

# Examples at once where nothing is learnt, so that the number is of no consequence.
LARGE = 256
# The smallest probability whose logarithm is taken.
_LEAST = 1e-7

Reading = Callable[[Any], Any]
"""From a model's scores to logits, shape [examples, classes]; as they are where the task is no classification."""


def answers(module: Any, inputs: Tensors, output: str | None) -> Any:
    """A module's scores for all examples; the module is left in eval mode."""
    import torch

    module.eval()
    with torch.no_grad():
        count = len(next(iter(inputs.values())))
        batches = (part(inputs, slice(start, start + LARGE)) for start in range(0, count, LARGE))
        return torch.cat([judged(call(module, batch), output) for batch in batches])


def reading(baseline: Any, inputs: Tensors, task: TaskSettings, output: str | None) -> Reading:
    """How a classifier's scores are read: as evaluation reads the baseline's (logits, probabilities, one number).

    Raises:
        UsageError: the scores are none of a classifier.
    """
    import torch
    from torch.nn import functional

    if task.kind != "classification":
        return lambda scores: scores
    some = answers(baseline, part(inputs, slice(LARGE)), output)
    kind = classify(some.double().numpy())[3]

    def logits(scores: Any) -> Any:
        scores = scores.reshape(len(scores), -1)
        if kind == "probability":
            scores = scores.clamp(_LEAST, 1 - _LEAST)
            return torch.cat([1 - scores, scores], dim=1).log() if scores.shape[1] == 1 else scores.log()
        # one number z stands for two classes, the second with probability sigmoid(z)
        return functional.pad(scores, (1, 0)) if scores.shape[1] == 1 else scores

    return logits


def check_classes(module: Any, split: Examples, read: Reading, output: str | None) -> None:
    """Raises:
    UsageError: a target is no output of the classifier.
    """
    classes = read(answers(module, part(split.inputs, slice(2)), output)).shape[1]
    highest = int(split.targets.max())
    if highest >= classes:
        raise UsageError(
            f"the train split holds class {highest}, and the model has {classes} classes",
            where="makeweight.yaml: data.load",
            do="Class indices begin at 0; mend the loader, or build the model with enough outputs.",
        )
