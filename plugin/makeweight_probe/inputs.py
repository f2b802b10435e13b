"""What each inference is fed with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from makeweight_probe.session import Feeds


def read(path: str) -> list[Feeds]:
    """Samples from an .npz with arrays named `index:input`, in the shape that the model takes."""
    samples: dict[int, Feeds] = {}
    with np.load(path, allow_pickle=False) as data:
        for key in data.files:
            index, _, name = key.partition(":")
            samples.setdefault(int(index), {})[name] = data[key]
    return [samples[index] for index in sorted(samples)]


def joined(samples: Sequence[Feeds]) -> Feeds:
    """Samples as one batch."""
    return {name: np.concatenate([feeds[name] for feeds in samples]) for name in samples[0]}
