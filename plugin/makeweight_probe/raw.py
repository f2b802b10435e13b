"""Raw samples: what a pipeline begins with, before anything is made of it. Bytes, text or an array each, in one .npz.

Nothing is pickled: reading an array of objects could run any code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Raw: TypeAlias = "bytes | str | NDArray[Any]"

_NAMES = "names"
_BYTES, _TEXT, _ARRAY = "bytes", "text", "array"


def packed(samples: Sequence[Raw], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Samples as the arrays of an .npz.

    Args:
        names: what each is called in errors.
    """
    arrays: dict[str, NDArray[Any]] = {_NAMES: np.array(json.dumps(list(names)))}
    for index, sample in enumerate(samples):
        if isinstance(sample, np.ndarray):
            arrays[f"{index}:{_ARRAY}"] = sample
        else:
            kind, content = (_BYTES, sample) if isinstance(sample, bytes) else (_TEXT, sample.encode())
            arrays[f"{index}:{kind}"] = np.frombuffer(content, np.uint8)
    return arrays


def read(path: str) -> tuple[list[Raw], list[str]]:
    """The samples of an .npz, and what each is called."""
    found: dict[int, Raw] = {}
    with np.load(path, allow_pickle=False) as data:
        for key in data.files:
            index, colon, kind = key.partition(":")
            if colon:
                values = data[key]
                content = values if kind == _ARRAY else values.tobytes()
                found[int(index)] = content.decode() if kind == _TEXT and isinstance(content, bytes) else content
        names = _names(data)
    return [found[index] for index in sorted(found)], names


def count(path: str) -> int:
    """How many samples an .npz has."""
    with np.load(path, allow_pickle=False) as data:
        return len(_names(data))


def _names(data: Mapping[str, NDArray[Any]]) -> list[str]:
    return [str(name) for name in json.loads(str(data[_NAMES]))]
