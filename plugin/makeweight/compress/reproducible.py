"""Training that comes out the same every time, on one machine."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from makeweight.user.seeded import generators_restored

# Sums are split among threads, so their number decides the last bits of a result: it is fixed, whatever
# OMP_NUM_THREADS or the CI runner says. Few networks small enough to train here gain from more than four.
THREADS = min(4, os.cpu_count() or 1)


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed all random numbers, ask PyTorch for deterministic kernels, and fix its threads; put back afterwards.

    Products of cuBLAS come out the same with a workspace of their own, which it reads from the environment at first.
    Kernels that have no deterministic form run as they are: PyTorch would refuse the whole network for their sake.
    Nor does it fill all memory that it has not written yet, which takes a tenth of a small network's training.
    See https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    with generators_restored(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*deterministic")
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=only_warn)
            torch.utils.deterministic.fill_uninitialized_memory = filled
            torch.set_num_threads(threads)


class Generators:
    """Where all random numbers stand, to be put back there in another process."""

    def state_dict(self) -> dict[str, Any]:
        import torch

        numpys: Any = np.random.get_state()
        name, keys, *rest = numpys
        return {
            "python": random.getstate(),
            "numpy": [name, keys.tolist(), *rest],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        import torch

        name, keys, *rest = state["numpy"]
        random.setstate(state["python"])
        np.random.set_state((name, np.array(keys, np.uint32), *rest))
        torch.set_rng_state(state["torch"])
        torch.cuda.set_rng_state_all(state["cuda"])
