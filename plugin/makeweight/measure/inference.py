"""Run a model over a whole split, in the batches it can take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.runtime import Session
from makeweight.user.dataset import Dataset, Feeds
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

BATCH = 64


def outputs(
    session: Session, dataset: Dataset, *, output: str | None, progress: Progress, label: str
) -> NDArray[np.float64]:
    """The model's answers to every example, in order.

    Args:
        output: the name of the output to read; None: the first.

    Returns:
        shape [examples, ...].

    Raises:
        UsageError: the examples do not fit the model's inputs, or the output does not begin with the batch.
    """
    index = _output_index(session, output)
    size = batch_size(session)
    step = size or BATCH
    answers: list[NDArray[Any]] = []
    total = -(-len(dataset) // step)
    for feeds in progress.over(dataset.batches(step), label, total):
        count = len(next(iter(feeds.values())))
        fitted = fit(session, feeds if size is None or count == size else _padded(feeds, size))
        try:
            answer = np.asarray(session.run(fitted)[index])
        except Exception as error:
            raise UsageError(
                f"the model could not run on the examples: {error}",
                where=label,
                do="Check `model.inputs` and the shapes that the loader gives.",
            ) from error
        if answer.dtype.kind not in "fiub":
            raise UsageError(
                f"the output `{session.outputs[index].name}` holds {answer.dtype}, not numbers",
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


def batch_size(session: Session) -> int | None:
    """The batch that a model insists on; None when it takes any."""
    fixed = {port.shape[0] for port in session.inputs if port.shape} - {None}
    return fixed.pop() if len(fixed) == 1 else None


def fit(session: Session, feeds: Feeds) -> Feeds:
    """Feeds in the types that the model asks for.

    Raises:
        UsageError: an input is missing, has another rank or size, or would lose more than precision.
    """
    ports = {port.name: port for port in session.inputs}
    if set(ports) != set(feeds):
        raise UsageError(
            f"the model's inputs are {', '.join(ports)}, and the data have {', '.join(feeds)}",
            where="makeweight.yaml: model.inputs",
            do="Name the inputs as the model does.",
        )
    fitted: Feeds = {}
    for name, port in ports.items():
        values = feeds[name]
        if len(port.shape) != values.ndim or any(
            want is not None and want != have for want, have in zip(port.shape, values.shape, strict=True)
        ):
            shape = ", ".join("N" if size is None else str(size) for size in port.shape)
            raise UsageError(
                f"input `{name}` wants shape [{shape}], and the data have {list(values.shape)}",
                where="makeweight.yaml: model.inputs",
                do="Mend the loader's shape (one example has no batch dimension), or the model's inputs.",
            )
        if port.dtype is not None and values.dtype != port.dtype:
            if not np.can_cast(values.dtype, port.dtype, casting="same_kind"):
                raise UsageError(
                    f"input `{name}` wants {np.dtype(port.dtype).name}, and the data are {values.dtype.name}",
                    where="the data loader",
                    do="Convert in the loader; makeweight does not guess a scale.",
                )
            values = _cast(name, values, port.dtype)
        fitted[name] = np.ascontiguousarray(values)
    return fitted


def _cast(name: str, values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    kept = np.isfinite(cast).all() if cast.dtype.kind == "f" else np.array_equal(cast, values)
    if not kept:
        raise UsageError(
            f"input `{name}` wants {cast.dtype.name}, and the data have numbers beyond it (up to {values.max():g})",
            where="the data loader",
            do="Convert in the loader; makeweight does not guess a scale.",
        )
    return cast


def _output_index(session: Session, output: str | None) -> int:
    names = [port.name for port in session.outputs]
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
