"""Facts as a test wants them."""

from __future__ import annotations

from typing import Any

from makeweight.advise.facts import DataFacts, DeviceFacts, Facts, Goal, ModelFacts
from makeweight.runtimes.runtime import LayerFacts

CONVOLUTIONS = (
    LayerFacts("stem", "convolution", 100_000, 4_000_000),
    LayerFacts("body", "convolution", 800_000, 16_000_000),
    LayerFacts("head", "product", 90_000, 22_500),
)
TRANSFORMER = (
    LayerFacts("words", "table", 600_000, 0),
    LayerFacts("linear", "product", 390_000, 20_000_000),
)
LOCAL = DeviceFacts("local", ("avx512_vnni",), 1e-3)


def facts(*goals: Goal, **other: Any) -> Facts:
    """A module with convolutions, data of all kinds and a device with dot products of bytes; `other` replaces."""
    known: dict[str, Any] = {
        "model": model(),
        "data": DataFacts(1000, True, 100, 256),
        "devices": (LOCAL,),
        "goals": goals,
    }
    return Facts(**{**known, **other})


def model(**other: Any) -> ModelFacts:
    known: dict[str, Any] = {
        "source": "module",
        "runtime": "onnxruntime",
        "size": 1_000_000,
        "size_compressed": 900_000,
        "parameters": 247_500,
        "macs": 20_022_500,
        "layers": CONVOLUTIONS,
    }
    return ModelFacts(**{**known, **other})


def size(needed: float | None) -> Goal:
    return Goal("size.max_ratio", f"size at most {needed}x", "size", needed)


def latency(needed: float | None) -> Goal:
    return Goal("latency_p50.max_ratio", f"latency p50 at most {needed}x", "latency", needed, "local")


def drop(needed: float | None) -> Goal:
    return Goal("accuracy.max_drop", f"accuracy drop at most {needed}", "drop", needed)
