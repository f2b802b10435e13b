"""Run a model over a whole split, in the batches it can take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, fit
from makeweight.runtimes.runtime import Runtime
from makeweight.user.dataset import Dataset
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

BATCH = 64


def outputs(
    runtime: Runtime,
    model: Model,
    dataset: Dataset,
    *,
    output: str | None,
    batch: int | None = None,
    progress: Progress,
    label: str,
) -> NDArray[np.float64]:
    """The model's answers to every example, in order.

    Args:
        output: the name of the output to read; None: the first.
        batch: how many to ask for at once where the model takes any number; None: it makes no difference.

    Returns:
        shape [examples, ...].

    Raises:
        UsageError: the model does not open, the examples do not fit its inputs, or the output does not begin with the
            batch.
    """
    index, size = _output_index(model, output), model.batch or batch
    session = runtime.open(model)
    step = size or BATCH
    answers: list[NDArray[Any]] = []
    total = -(-len(dataset) // step)
    for feeds in progress.over(dataset.batches(step), label, total):
        count = len(next(iter(feeds.values())))
        fitted = fit(model.inputs, feeds if size is None or count == size else _padded(feeds, size))
        try:
            answer = np.asarray(session.run(fitted)[index])
        except Exception as error:
            raise UsageError(
                f"the model could not run on the examples: {runtime.reason(error)}",
                where=label,
                do="Check `model.inputs` and the shapes that the loader gives.",
            ) from error
        if answer.dtype.kind not in "fiub":
            raise UsageError(
                f"the output `{model.outputs[index].name}` holds {answer.dtype}, not numbers",
                where=label,
                do="Name the output that holds numbers with `model.output`.",
            )
        if answer.ndim == 0 or answer.size == 0 or len(answer) != (size or count):
            raise UsageError(
                f"the output has shape {answer.shape} for {size or count} examples: its first size must be the batch",
                where=label,
                do="Name another output with `model.output`, or export the model with a batch dimension.",
            )
        answers.append(answer[:count].astype(np.float64))
    return np.concatenate(answers)


def _output_index(model: Model, output: str | None) -> int:
    names = [port.name for port in model.outputs]
    if output is None:
        return 0
    if output not in names:
        raise UsageError(
            f"the model has no output `{output}`; it has {', '.join(names)}", where="makeweight.yaml: model.output"
        )
    return names.index(output)


def _padded(feeds: Feeds, size: int) -> Feeds:
    """The last batch, filled up by repeating its last example; the answers to the filling are thrown away."""
    return {
        name: np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])
        for name, values in feeds.items()
    }
