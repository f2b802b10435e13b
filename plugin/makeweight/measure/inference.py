"""Run a model over a whole split, in the batches it can take."""

from __future__ import annotations

from collections.abc import Iterator
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
    batch: int | None = None,
    progress: Progress,
    label: str,
) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """The model's answers to every example in order, batch by batch: each output by its name, and how many examples.

    Args:
        batch: how many to ask for at once where the model takes any number; None: it makes no difference.

    Raises:
        UsageError: the model does not open, or the examples do not fit its inputs.
    """
    size = model.batch or batch
    session = runtime.open(model)
    step = size or BATCH
    total = -(-len(dataset) // step)
    for feeds in progress.over(dataset.batches(step), label, total):
        count = len(next(iter(feeds.values())))
        asked = size or count
        fitted = fit(model.inputs, feeds if count == asked else _padded(feeds, asked))
        try:
            answers = session.run(fitted)
        except Exception as error:
            raise UsageError(
                f"the model could not run on the examples: {runtime.reason(error)}",
                where=label,
                do="Check `model.inputs` and the shapes that the loader gives.",
            ) from error
        named = zip(model.outputs, answers, strict=True)
        yield {port.name: _of(np.asarray(answer), asked, count) for port, answer in named}, count


def _of(answer: NDArray[Any], asked: int, count: int) -> NDArray[Any]:
    """An output without the answers to what only filled up the batch; as it is where it has no batch."""
    return answer[:count] if answer.ndim and len(answer) == asked else answer


def _padded(feeds: Feeds, size: int) -> Feeds:
    """The last batch, filled up by repeating its last example; the answers to the filling are thrown away."""
    return {
        name: np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])
        for name, values in feeds.items()
    }
