"""Random numbers of a seed of their own, for what the user's code draws while examples are read."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np


@contextmanager
def generators_restored() -> Iterator[None]:
    """Leave Python's, numpy's and PyTorch's generators as they were before."""
    torch = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()
    torchs = None if torch is None else torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(torchs)


@contextmanager
def seeded(seed: Sequence[int]) -> Iterator[np.random.Generator]:
    """Seed Python's, numpy's and PyTorch's generators, and put them back afterwards. Gives one more of numpy's."""
    with generators_restored():
        rng = np.random.default_rng(seed)
        drawn = int(rng.integers(2**32))
        random.seed(drawn)
        np.random.seed(drawn)
        if (torch := sys.modules.get("torch")) is not None:
            torch.manual_seed(drawn)
        yield rng
