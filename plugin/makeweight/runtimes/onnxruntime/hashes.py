"""Weights that are tied by a hash of their place as their values alone: operators of the graph find them by the hash.

When a session is opened, ONNX Runtime folds these into the weights again: the file is smaller, and the memory and the
time of an inference are as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.hashing import FACTORS, PRIME, places, values_of
from makeweight.runtimes.onnxruntime.graphs import all_tensors
from makeweight.runtimes.onnxruntime.lean import write
from makeweight.runtimes.runtime import RecipeFailed

# What the nodes that compute a hash take in the file, in bytes, beside their names.
_NODES = 1200
# Where a normalization was folded into a weight, its rows are told from the values and a scale each, in turns that
# settle soon; what that may be off by is what folding itself rounded.
_TURNS, _OFF = 60, 1e-6


def pack(path: Path, part: float) -> dict[str, Any]:
    """Store the weights of a file anew that are tied by a hash, all with one scale or each row (a channel) with one,
    where the file gets smaller by it. The numbers stay what they are, to the last digit where rows have scales.

    Returns:
        for the manifest: which weights, and the bytes of the file before and after.

    Raises:
        RecipeFailed: no weight gets smaller by it.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    before, graph, packed, nodes = path.stat().st_size, model.graph, list[str](), list[Any]()
    names = {tensor.name for tensor in all_tensors(model)}
    for weight in list(graph.initializer):
        if weight.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16) or len(weight.dims) < 2:
            continue
        values = numpy_helper.to_array(weight)
        if (values_of(values.size, part) + len(values)) * values.itemsize + _NODES >= values.nbytes:
            continue
        for turned in (False, True) if values.ndim == 2 else (False,):
            told = _told(values.T if turned else values, part)
            if told is not None:
                graph.initializer.remove(weight)
                nodes += _hashing(graph, weight.name, *told, values.T.shape if turned else values.shape, turned, names)
                packed.append(weight.name)
                break
    if not packed:
        raise RecipeFailed(
            "no weight gets smaller as values that a hash finds: none is large enough and stands in the file in the "
            "order that the module has it in"
        )
    made = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(made)
    write(model, path)
    return {"weights": packed, "bytes": [before, path.stat().st_size]}


def _told(values: NDArray[Any], part: float) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
    """The values that a weight has, and the scales of its rows if these have some; None where it is not tied."""
    count = values_of(values.size, part)
    at, signs = places(values.size, count)
    flat = values.ravel() * signs
    table = np.zeros(count, values.dtype)
    table[at] = flat
    if np.array_equal(table[at], flat):
        return table, None
    rows = values.shape[0]
    if values.dtype != np.float32 or not np.isfinite(flat).all():
        return None
    wide, at = flat.reshape(rows, -1).astype(np.float64), at.reshape(rows, -1)
    scales = np.linalg.norm(wide, axis=1)
    for _ in range(_TURNS):
        weights = np.bincount(at.ravel(), np.repeat(scales**2, at.shape[1]), count)
        sums = np.bincount(at.ravel(), (wide * scales[:, None]).ravel(), count)
        found = np.divide(sums, weights, out=np.zeros(count), where=weights > 0)
        looked_up = found[at]
        squares = (looked_up**2).sum(1)
        scales = np.divide((looked_up * wide).sum(1), squares, out=np.zeros(rows), where=squares > 0)
    table, by_row = found.astype(np.float32), scales.astype(np.float32)
    off = np.abs(table[at] * by_row[:, None] - wide).max(axis=1)
    return (table, by_row) if (off <= _OFF * np.abs(wide).max(axis=1)).all() else None


def _hashing(
    graph: Any,
    name: str,
    table: NDArray[Any],
    scales: NDArray[Any] | None,
    shape: tuple[int, ...],
    turned: bool,
    names: set[str],
) -> Iterator[Any]:
    """The nodes that give a weight of that name; what they read is put into the graph."""
    from onnx import TensorProto, helper, numpy_helper

    def stored(part: str, values: Any) -> str:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), f"{name}/{part}"))
        return f"{name}/{part}"

    def number(value: int) -> str:
        """One for all weights."""
        told = f"number/{value}"
        if told not in names:
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), told))
            names.add(told)
        return told

    def node(kind: str, inputs: list[str], part: str, **attributes: Any) -> Any:
        output = f"{name}/{part}" if part else name
        return helper.make_node(kind, inputs, [output], name=output, **attributes)

    square, place, alone = map(number, FACTORS)
    prime, count, at = number(PRIME), int(np.prod(shape)), f"{name}/place"
    yield node("Range", [number(0), number(count), number(1)], "place")
    yield node("Mul", [at, square], "a")
    yield node("Add", [f"{name}/a", place], "b")
    yield node("Mod", [f"{name}/b", prime], "c")
    yield node("Mul", [f"{name}/c", at], "d")
    yield node("Add", [f"{name}/d", alone], "e")
    yield node("Mod", [f"{name}/e", prime], "hash")
    yield node("Mod", [f"{name}/hash", number(2 * len(table))], "at")
    values = stored("values", table)
    if half := table.dtype == np.float16:  # of which no sign is changed before an inference
        yield node("Cast", [values], "single", to=TensorProto.FLOAT)
        values = f"{name}/single"
    yield node("Neg", [values], "minus")
    yield node("Concat", [values, f"{name}/minus"], "both", axis=0)
    yield node("Gather", [f"{name}/both", f"{name}/at"], "flat", axis=0)
    steps: list[tuple[str, list[str], dict[str, Any]]] = [("Reshape", [stored("shape", np.array(shape, np.int64))], {})]
    if scales is not None:
        steps.append(("Mul", [stored("scales", scales.reshape(-1, *[1] * (len(shape) - 1)))], {}))
    if half:
        steps.append(("Cast", [], {"to": TensorProto.FLOAT16}))
    if turned:
        steps.append(("Transpose", [], {"perm": [1, 0]}))
    given = f"{name}/flat"
    for position, (kind, others, attributes) in enumerate(steps, 1):
        part = "" if position == len(steps) else f"step{position}"
        yield node(kind, [given, *others], part, **attributes)
        given = f"{name}/{part}"
