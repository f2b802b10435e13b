"""Real samples for the probe: a few examples of a split, stored as the model takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.feeds import fit, handed_on, padded
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, Port, Shapes, batch_axes, batch_size, types
from makeweight.user.form import Form
from makeweight.user.indexed import Indexed
from makeweight.user.split import Split
from makeweight_base.atomic import replacing
from makeweight_probe import inputs

COUNT = 64


def write(path: Path, ports: Sequence[Port], split: Split, seed: int, batch: int | None = None) -> None:
    """Store up to `COUNT` examples, drawn with the seed.

    Args:
        batch: how many the model is asked for at once where it takes any number; None: one.
    """
    size = batch_size(ports) or batch or 1
    wanted = max(size, COUNT // size * size)
    count, rng = split.length(), np.random.default_rng(seed)
    chosen = split.take(rng.choice(count, wanted, replace=wanted > count))
    store(path, [fit(ports, padded(feeds, size)) for feeds in chosen.feeds(size)], batch_axes(ports))


def read(path: Path, names: Sequence[str]) -> Split:
    """The examples that were stored, without their targets.

    Args:
        names: the inputs that examples feed.
    """
    one_by_one = [
        ({name: feeds[name][index] for name in names}, 0)
        for feeds in inputs.read(str(path))
        for index in range(len(feeds[names[0]]))
    ]
    form = Form(tuple(names), "custom", path.name, path.name, path.parent)
    return Split("samples", Indexed(one_by_one, np.arange(len(one_by_one)), form))


def shapes(path: Path) -> list[Shapes]:
    """Of each inference that was stored; none where there is no such file."""
    return [inputs.shapes(feeds) for feeds in inputs.read(str(path))] if path.is_file() else []


def store(path: Path, samples: list[Feeds], along: inputs.Axes = inputs.NO_AXES) -> None:
    """Store what the probe feeds a model with, one inference after the other, and how they are joined."""
    arrays: dict[str, Any] = {
        f"{index}:{name}": values for index, feeds in enumerate(samples) for name, values in feeds.items()
    }
    if along:
        arrays[inputs.AXES] = np.array(json.dumps(dict(along)))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def in_types_of(model: Model, baseline: Model, path: Path, own: Path) -> str | None:
    """The stored samples as a model takes them, in a file of its own; None: it takes them as the baseline does."""
    if types(model.inputs) == types(baseline.inputs):
        return None
    stored = inputs.read(str(path))
    taken = [fit(model.inputs, handed_on(each, baseline.inputs, model.inputs)) for each in stored]
    store(own, taken, inputs.axes(str(path)))
    return str(own)


def made_up(ports: Sequence[Port], seed: int) -> list[Feeds]:
    """Inputs for a model that comes without data: normal numbers for floats and for what integers stand for, zeros and
    ones for the rest. `fit` has them in the integers that a model takes.

    Sizes that are free are set to 1. Timing hardly depends on values in dense nets; where it does (sparse
    embeddings, early exits), real samples are the answer.
    """
    rng = np.random.default_rng(seed)

    def one(port: Port) -> NDArray[Any]:
        sizes = [size if isinstance(size, int) else 1 for size in port.shape]
        kind = np.dtype("float32" if port.scale is not None else port.dtype or "float32")
        values = rng.standard_normal(sizes) if kind.kind == "f" else rng.integers(0, 2, sizes)
        return np.asarray(values).astype(kind)

    return [{port.name: one(port) for port in ports} for _ in range(8)]
