"""What each inference is fed with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from makeweight_probe.session import Feeds

AXES = "axes"
"""The array of an .npz that tells where examples do not lie along the first axis of an input."""

Axes = Mapping[str, int | None]
"""By input, along which axis the examples of a batch lie. None: it is the same for all of them; an input that is not
named: along the first."""
NO_AXES: Axes = {}


def read(path: str) -> list[Feeds]:
    """Samples from an .npz with arrays named `index:input`, in the shape that the model takes."""
    samples: dict[int, Feeds] = {}
    with np.load(path, allow_pickle=False) as data:
        for key in data.files:
            index, colon, name = key.partition(":")
            if colon:
                samples.setdefault(int(index), {})[name] = data[key]
    return [samples[index] for index in sorted(samples)]


def axes(path: str) -> Axes:
    """How samples from an .npz are joined."""
    with np.load(path, allow_pickle=False) as data:
        found: Axes = json.loads(str(data[AXES])) if AXES in data.files else {}
        return found


def joined(samples: Sequence[Feeds], along: Axes) -> Feeds:
    """Samples as one batch."""
    return {
        name: values
        if (axis := along.get(name, 0)) is None
        else np.concatenate([feeds[name] for feeds in samples], axis)
        for name, values in samples[0].items()
    }


def shapes(feeds: Feeds) -> dict[str, tuple[int, ...]]:
    return {name: values.shape for name, values in feeds.items()}


def sizes(samples: Sequence[Feeds]) -> list[dict[str, tuple[int, ...]]]:
    """The shapes that samples have, each once, in the order of how large they are."""
    found = {tuple(shapes(feeds).items()): sum(values.size for values in feeds.values()) for feeds in samples}
    return [dict(each) for each in sorted(found, key=lambda each: (found[each], each))]


def alike(samples: Sequence[Feeds], most: int) -> Iterator[Sequence[Feeds]]:
    """Samples in their order, up to `most` of the same shapes together."""
    start = 0
    for end in range(1, len(samples) + 1):
        if end == len(samples) or end - start == most or shapes(samples[end]) != shapes(samples[start]):
            yield samples[start:end]
            start = end
