"""Weights of few values as a table and indices into it, in operators that ONNX Runtime runs.

When a session is opened, ONNX Runtime folds them into the weights again: the file is smaller, and the memory and the
time of an inference are as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime.lean import write
from makeweight.runtimes.runtime import RecipeFailed

# Two indices of so many bits share a byte; wider ones have a byte each.
_HALF = 4
# What the nodes around a table take in the file, in bytes, beside their names.
_NODES = 400


def pack(path: Path, bits: int) -> dict[str, Any]:
    """Store the weights of a file anew that have at most 2^bits values, in all or in each of their rows, where the file
    gets smaller by it. The numbers stay what they are.

    Returns:
        for the manifest: which weights, and the bytes of the file before and after.

    Raises:
        RecipeFailed: no weight gets smaller by it.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    before, graph, packed, nodes = path.stat().st_size, model.graph, list[str](), list[Any]()
    kinds = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    for weight in [each for each in graph.initializer if each.data_type in kinds]:
        values = numpy_helper.to_array(weight)
        told = _told(values, 2**bits)
        if told is None:
            continue
        table, indices, axis = told
        halves = bits <= _HALF and indices.shape[1] % 2 == 0
        taken = table.nbytes + indices.size // (2 if halves else 1) + _NODES + 20 * len(weight.name)
        if taken >= values.nbytes:
            continue
        name = weight.name
        graph.initializer.remove(weight)
        nodes += _unpacking(graph, name, table, _halved(indices) if halves else indices, values.shape, axis, halves)
        packed.append(name)
    if not packed:
        raise RecipeFailed(
            f"no weight gets smaller as indices of {bits} bits: none has so few values, in all or by row or column, or "
            "the tables take as much as is won; lower `bits`"
        )
    made = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(made)
    write(model, path)
    return {"weights": packed, "bytes": [before, path.stat().st_size]}


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


def _unpacking(
    graph: Any,
    name: str,
    table: NDArray[Any],
    indices: NDArray[np.uint8],
    shape: tuple[int, ...],
    axis: int,
    halves: bool,
) -> Iterator[Any]:
    """The nodes that give a weight of that name; what they read is put into the graph."""
    from onnx import TensorProto, helper, numpy_helper

    def stored(part: str, values: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), f"{name}/{part}"))
        return f"{name}/{part}"

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs, [output], name=output, **attributes)

    # ONNX divides no bytes, and looks nothing up by them
    at = f"{name}/at"
    yield node("Cast", [stored("indices", indices)], at, to=TensorProto.INT32)
    if halves:
        sixteen = stored("16", np.array(16, np.int32))
        yield node("Div", [at, sixteen], f"{name}/upper")
        yield node("Mod", [at, sixteen], f"{name}/lower")
        at = f"{name}/both"
        yield node("Concat", [f"{name}/upper", f"{name}/lower"], at, axis=1)
    row = f"{name}/rows"
    yield node("GatherElements", [stored("table", table), at], row, axis=1)
    turned = axis == 1
    whole = stored("shape", np.array(shape[::-1] if turned else shape, np.int64))
    yield node("Reshape", [row, whole], f"{name}/turned" if turned else name)
    if turned:
        yield node("Transpose", [f"{name}/turned"], name, perm=[1, 0])
