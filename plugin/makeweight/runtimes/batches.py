"""Calibration examples in the batches that a model takes, the same whatever order they come in: sums of floating point
depend on what is computed together, so the examples are brought into an order of their own and cut anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from makeweight.artifact.feeds import fit
from makeweight.artifact.ports import Feeds, Port, batch_size
from makeweight.runtimes.runtime import Examples
from makeweight_base.errors import UsageError
from makeweight_probe.inputs import NO_AXES, joined

# Examples that a calibration run takes at once, where the model lets it choose.
BATCH = 32


def batches(inputs: Sequence[Port], examples: Examples, at_once: int = BATCH) -> list[Feeds]:
    """Calibration examples in batches that a model with these inputs takes; what a fixed size leaves over is dropped.

    Args:
        at_once: examples of a batch, where the model lets it be chosen.

    Raises:
        UsageError: they do not fit the model, or are too few for its batch.
    """
    # one by one, because a loader may pad what it collates to the longest of a batch
    alike: dict[str, list[tuple[bytes, Feeds]]] = {}
    for given in examples.feeds(1):
        for feeds in _apart(given):
            alike.setdefault(_shapes(feeds), []).append((_digest(feeds), feeds))
    size = batch_size(inputs)
    step, cut = size or at_once, []
    for _, group in sorted(alike.items()):
        ordered = [feeds for _, feeds in sorted(group, key=lambda pair: pair[0])]
        starts = range(0, len(ordered) - step + 1 if size else len(ordered), step)
        cut += [fit(inputs, joined(ordered[at : at + step], NO_AXES)) for at in starts]
    if not cut:
        most = max(len(group) for group in alike.values())
        raise UsageError(
            f"the model takes batches of {size}, and there are only {most} calibration examples",
            where="makeweight.yaml: data.calibration",
            do="Give more examples, or export the model with a free batch size.",
        )
    return cut


def _apart(feeds: Feeds) -> Iterator[Feeds]:
    for index in range(len(next(iter(feeds.values())))):
        yield {name: values[index : index + 1] for name, values in feeds.items()}


def _shapes(feeds: Feeds) -> str:
    return str([(name, feeds[name].shape) for name in sorted(feeds)])


def _digest(feeds: Feeds) -> bytes:
    return hashlib.sha256(b"".join(np.ascontiguousarray(feeds[name]).tobytes() for name in sorted(feeds))).digest()
