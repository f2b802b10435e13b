"""What is done to training batches when they are read: the user's own, or cropping and flipping of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.user import callables, targets
from makeweight.user.declared import Declared
from makeweight.user.split import Batch, Change
from makeweight_base.errors import UsageError, at

_RETURN = "Return (inputs, targets): a mapping with the arrays of all inputs, and as many targets."
# By so much of its side a picture is moved at most, as is usual on small ones: 4 pixels of 32.
_MARGIN = 8


def change_of(declared: Declared) -> Change | None:
    """What `data.augment` declares; None: nothing.

    Raises:
        UsageError: there is no such callable. Called, the change raises one for what the user's raises, or where it
            returns something else than it should.
    """
    wanted = declared.data.augment
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return _own(wanted, declared)
    steps = [{"crop": _cropped, "flip": _flipped}[name] for name in wanted]

    def change(batch: Batch, rng: np.random.Generator) -> Batch:
        ((name, images),) = batch.inputs.items()
        for step in steps:
            images = step(images, rng)
        return replace(batch, inputs={name: images})

    return change


def _own(dotted: str, declared: Declared) -> Change:
    function = callables.find(dotted, declared.root, where="makeweight.yaml: data.augment")

    def change(batch: Batch, rng: np.random.Generator) -> Batch:
        given = callables.call(function, batch.inputs, batch.targets, rng, name=dotted, root=declared.root)
        if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[0], Mapping):
            raise UsageError(f"gave {type(given).__name__}", where=dotted, do=_RETURN)
        inputs: Mapping[str, Any] = given[0]
        if set(inputs) != set(batch.inputs):
            raise UsageError(f"gave the inputs {', '.join(map(str, inputs)) or 'none'}", where=dotted, do=_RETURN)
        with at(dotted):
            arrays = {name: targets.numbers(inputs[name], f"input `{name}`", "holds") for name in batch.inputs}
            wanted = targets.changed(given[1], declared.task.kind, batch.targets, batch.numbers)
        counts = {len(values) if values.ndim else 0 for values in (*arrays.values(), wanted)}
        if len(counts) != 1 or counts == {0}:
            raise UsageError(f"gave arrays of {', '.join(map(str, sorted(counts)))} examples", where=dotted, do=_RETURN)
        numbers = batch.numbers if counts == {len(batch)} else np.resize(batch.numbers, counts.pop())
        return Batch(numbers, arrays, wanted)

    return change


def _flipped(images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Half of them, left to right. Shape [examples, channels, height, width]."""
    turned = rng.random(len(images)) < 0.5
    return np.where(turned[:, None, None, None], images[..., ::-1], images)


def _cropped(images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Moved by up to an eighth of its side in each direction; what comes in is mirrored at the edge."""
    height, width = images.shape[2:]
    down, across = height // _MARGIN, width // _MARGIN
    wide = np.pad(images, ((0, 0), (0, 0), (down, down), (across, across)), mode="reflect")
    tops, lefts = rng.integers(0, 2 * down + 1, len(images)), rng.integers(0, 2 * across + 1, len(images))
    cut = [each[:, top : top + height, left : left + width] for each, top, left in zip(wide, tops, lefts, strict=True)]
    return np.stack(cut)
