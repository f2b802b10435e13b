"""Weights of few values as a table and indices into it, in operators that ONNX Runtime runs; see `packing.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime import packing
from makeweight.runtimes.onnxruntime.packing import Unpacking

# Two indices of so many bits share a byte; wider ones have a byte each.
_HALF = 4
# What the nodes around a table take in the file, in bytes.
_NODES = 250


def pack(path: Path, bits: int) -> dict[str, Any]:
    """Store the weights of a file anew that have at most 2^bits values, in all or in each of their rows, where the file
    gets smaller by it; see `packing.pack`. The numbers stay what they are."""
    from onnx import TensorProto

    def unpacked(weight: Unpacking, values: NDArray[Any]) -> bool:
        told = _told(values, 2**bits)
        if told is None:
            return False
        table, indices, axis = told
        halves = bits <= _HALF and indices.shape[1] % 2 == 0
        taken = table.nbytes + indices.size // (2 if halves else 1) + _NODES
        if taken >= values.nbytes:
            return False
        _looked_up(weight, table, _halved(indices) if halves else indices, values.shape, axis, halves)
        return True

    return packing.pack(
        path,
        (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8),
        unpacked,
        f"no weight gets smaller as indices of {bits} bits: none has so few values, in all or by row or column, or the "
        "tables take as much as is won; lower `bits`",
    )


def _told(values: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[np.uint8], int] | None:
    """A table [rows, values], the place in its row of each weight [rows, weights], and the axis that the rows are, or
    None where there are more values. One row stands for all; where a layer's channels were scaled each by itself (a
    normalization folded into them, integers with a scale each), each has its own."""
    if values.size <= count:
        return None
    for axis, rows in _rows(values):
        different = [np.unique(row) for row in rows] if len(rows) == 1 or rows.shape[1] > count else []
        widest = max(map(len, different), default=count + 1)
        if widest <= count:
            table = np.stack([np.pad(each, (0, widest - len(each)), "edge") for each in different])
            places = [np.searchsorted(each, row) for each, row in zip(different, rows, strict=True)]
            return table, np.stack(places).astype(np.uint8), axis
    return None


def _rows(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    yield 0, values.reshape(1, -1)
    if values.ndim > 1:
        yield 0, values.reshape(len(values), -1)
    if values.ndim == 2:
        yield 1, values.T


def _halved(indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first half of each row in the upper bits of its bytes, the second in the lower."""
    upper, lower = np.split(indices, 2, axis=1)
    return upper * 16 + lower


def _looked_up(
    weight: Unpacking,
    table: NDArray[Any],
    indices: NDArray[np.uint8],
    shape: tuple[int, ...],
    axis: int,
    halves: bool,
) -> None:
    """Have a weight be given by a table and indices."""
    from onnx import TensorProto

    # ONNX divides no bytes, and looks nothing up by them
    at = weight.node("Cast", [weight.stored("indices", indices)], "at", to=TensorProto.INT32)
    if halves:
        sixteen = weight.shared("16", np.array(16, np.int32))
        both = [weight.node(kind, [at, sixteen], part) for kind, part in (("Div", "upper"), ("Mod", "lower"))]
        at = weight.node("Concat", both, "both", axis=1)
    rows = weight.node("GatherElements", [weight.stored("table", table), at], "rows", axis=1)
    turned = axis == 1
    whole = weight.stored("shape", np.array(shape[::-1] if turned else shape, np.int64))
    given = weight.node("Reshape", [rows, whole], "turned" if turned else "")
    if turned:
        weight.node("Transpose", [given], perm=[1, 0])
