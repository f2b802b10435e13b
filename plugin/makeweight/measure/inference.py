"""Run a model over a whole split, in the batches it can take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from makeweight.artifact.feeds import fit, padded
from makeweight.artifact.model import Model
from makeweight.measure.patient import ModelGivenUp
from makeweight.runtimes.runtime import Runtime
from makeweight.user.split import Batch, Reading, Split
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress
from makeweight_probe.answering import answering
from makeweight_probe.session import Session

# The most examples to ask for at once, and the most bytes of inputs: what a layer answers is many times as much.
BATCH = 64
_BYTES = 16 * 2**20


def at_once(split: Split) -> int:
    """How many examples to ask for at once where their number makes no difference."""
    return max(1, min(BATCH, _BYTES // max(1, split.source.bytes_each())))


def reading(model: Model, split: Split, batch: int | None = None) -> Reading:
    """A pass over the split, in the batches that suit the model.

    Args:
        batch: how many to ask for at once where the model takes any number; None: it makes no difference.
    """
    return split.read(model.batch or batch or at_once(split))


def outputs(
    runtime: Runtime,
    session: Session,
    model: Model,
    examples: Reading,
    *,
    batch: int | None = None,
    progress: Progress,
    label: str,
) -> Iterator[tuple[dict[str, NDArray[Any]], Batch]]:
    """The model's answers to every example in order, as they are read: each output by its name, and the examples.

    Args:
        session: the model, opened.
        batch: how many to ask for at once where the model takes any number, always: what the last batch lacks is
            filled up; None: it makes no difference.

    Raises:
        UsageError: the examples do not fit the model's inputs.
        ModelGivenUp: a `Patient` session does not answer some of them.
    """
    size, ask = model.batch or batch, answering(session)
    for together in progress.over(examples, label, examples.total):
        for given in together:
            count = len(given)
            asked = size or count
            fitted = fit(model.inputs, padded(given.inputs, asked), int(given.numbers[0]))
            try:
                answers = ask(fitted)
            except ModelGivenUp as failure:
                more = f" and {count - 1} more" if count > 1 else ""
                failure.where = f"{label}, example {given.numbers[0]}{more}"
                raise
            except Exception as error:
                raise UsageError(
                    f"the model could not run on the examples: {runtime.reason(error)}",
                    where=label,
                    do="Check `model.inputs` and the shapes that the loader gives.",
                ) from error
            named = zip(model.outputs, answers, strict=True)
            yield {port.name: _of(answer, asked, count) for port, answer in named}, given


def _of(answer: NDArray[Any], asked: int, count: int) -> NDArray[Any]:
    """An output without the answers to what only filled up the batch; as it is where it has no batch."""
    return answer[:count] if answer.ndim and len(answer) == asked else answer
