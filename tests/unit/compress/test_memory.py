"""Memory that runs out, for real where that can be: what is told of it, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from makeweight.compress import memory
from makeweight.compress.cluster import Cluster
from makeweight.compress.finetune import Finetune
from makeweight.compress.prune import Prune
from makeweight.runtimes.environment import out_of_memory
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user import callables
from makeweight_base.errors import EnvironmentFailed, Exit, OutOfMemory, UsageError

MUCH = 2**60


def of_cuda() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of")


OUT: dict[str, tuple[Callable[[], Any], str]] = {
    "torch": (lambda: torch.empty(MUCH // 4), f"{MUCH:,} bytes more were asked for"),
    "numpy": (lambda: np.empty(MUCH, np.uint8), "1.00 EiB more were asked for"),
    "python": (lambda: bytearray(2**62), ""),
    "cuda": (of_cuda, "2.50 GiB more were asked for"),
}


@pytest.mark.parametrize("kind", OUT)
def test_every_allocator_is_understood(kind: str) -> None:
    fails, asked = OUT[kind]
    with pytest.raises(OutOfMemory) as told, memory.enough("finetune: a step of 32 examples", "Lower `batch`."):
        fails()
    assert told.value.what == "finetune: a step of 32 examples ran out of memory" + (f": {asked}" if asked else "")
    assert told.value.do == "Lower `batch`."
    assert told.value.exit_code == Exit.ENVIRONMENT
    assert isinstance(told.value, MemoryError)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not go together"),
        RecipeFailed("the trial ran out of memory"),
        UsageError("mend it"),
        OutOfMemory("told within", do="Lower the inner."),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_all_else_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as told, memory.enough("anything", "Lower something."):
        raise error
    assert told.value is error


def test_what_to_lower() -> None:
    assert memory.of_batch(32, "cpu").startswith("Lower `batch`, which is 32")
    assert "`accelerator: none` trains in main memory" in memory.of_batch(32, "cuda")
    assert "a single example already" in memory.of_batch(1, "cpu")
    assert "lower `batch` (it is 8)" in memory.of_step(Finetune.Options(batch=8))
    told = memory.of_step(Prune.Options(ratio=0.5), calibrates=True)
    assert "`exclude`" in told
    assert "`data.calibration.samples`" in told
    assert "batch" not in memory.of_step(Cluster.Options())


def test_code_of_the_users_that_takes_too_much_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "takes_much.py").write_text(
        f"import torch\n\n\ndef load(split):\n    return torch.empty({MUCH // 4})\n"
    )
    load = callables.find("takes_much:load", tmp_path, where="makeweight.yaml")
    with pytest.raises(EnvironmentFailed, match=r"takes_much\.py:5: `takes_much:load` ran out of memory") as told:
        callables.call(load, "train", name="takes_much:load", root=tmp_path)
    assert isinstance(told.value, OutOfMemory)


def test_words_alone_are_enough() -> None:
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert not out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
