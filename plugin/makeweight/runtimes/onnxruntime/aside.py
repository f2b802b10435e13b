"""A graph's large weights laid aside, for what takes a model as one protobuf message, which holds 2 GB at most
(https://protobuf.dev/programming-guides/proto-limits/), or copies it: shapes do not follow from the numbers in them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Of no more elements are the tensors that hold shapes, axes and the like.
_LARGE = 1024


def put_aside(model: Any) -> dict[str, bytes]:
    """Leave of the large weights of a graph what tells of them, in place.

    Returns:
        their numbers, by name.
    """
    from onnx import TensorProto

    aside: dict[str, bytes] = {}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > _LARGE and tensor.HasField("raw_data"):
            aside[tensor.name] = tensor.raw_data
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
    return aside


def put_back(model: Any, aside: Mapping[str, bytes]) -> None:
    """Give a model, or what became of it meanwhile, the numbers that were laid aside."""
    for tensor in model.graph.initializer:
        if tensor.name in aside:
            tensor.raw_data = aside[tensor.name]
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
