"""The file of the runtime: an .npz with a weight and a bias for each layer, ReLU between them. Numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Layer:
    """`weight`: shape [out, in]; `bias`: shape [out]; float32 or float16."""

    weight: NDArray[Any]
    bias: NDArray[Any]


@dataclass(frozen=True)
class Chain:
    """Layers one after the other; ports by position, so the input's name is only told to people."""

    input: str
    layers: tuple[Layer, ...]


def load(path: Path) -> Chain:
    """Raises:
    ValueError, OSError: it is no such file.
    """
    with np.load(path, allow_pickle=False) as data:
        count = int(data["layers"])
        layers = tuple(Layer(data[f"{i}.weight"], data[f"{i}.bias"]) for i in range(count))
        return Chain(str(data["input"]), layers)


def save(path: Path, chain: Chain) -> None:
    arrays = {
        f"{i}.{name}": getattr(layer, name) for i, layer in enumerate(chain.layers) for name in ("weight", "bias")
    }
    with path.open("wb") as file:
        np.savez(file, layers=np.int64(len(chain.layers)), input=np.array(chain.input), **arrays)


def forward(chain: Chain, values: NDArray[Any]) -> NDArray[Any]:
    """Scores, shape [examples, out of the last layer], in float32."""
    for index, layer in enumerate(chain.layers):
        values = values @ layer.weight.astype(np.float32).T + layer.bias.astype(np.float32)
        if index + 1 < len(chain.layers):
            values = np.maximum(values, 0)
    return np.ascontiguousarray(values, dtype=np.float32)
