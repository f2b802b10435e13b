"""Weights that are tied by a hash of their place as their values alone: operators of the graph find them by the hash;
see `packing.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.hashing import FACTORS, PRIME, places, values_of
from makeweight.runtimes.onnxruntime import packing
from makeweight.runtimes.onnxruntime.packing import Unpacking

# What the nodes that compute a hash take in the file, in bytes, beside their names.
_NODES = 1200
# Where a normalization was folded into a weight, its rows are told from the values and a scale each, in turns that
# settle soon; what that may be off by is what folding itself rounded.
_TURNS, _OFF = 60, 1e-6


def pack(path: Path, part: float) -> dict[str, Any]:
    """Store the weights of a file anew that are tied by a hash, all with one scale or each row (a channel) with one,
    where the file gets smaller by it; see `packing.pack`. The numbers stay what they are, to the last digit where rows
    have scales."""
    from onnx import TensorProto

    def unpacked(weight: Unpacking, values: NDArray[Any]) -> bool:
        count = values_of(values.size, part)
        if values.ndim < 2 or (count + len(values)) * values.itemsize + _NODES >= values.nbytes:
            return False
        at, signs = places(values.size, count)
        for turned in (False, True) if values.ndim == 2 else (False,):
            rows = values.T if turned else values
            told = _told(rows, count, at, signs)
            if told is not None:
                _found(weight, *told, rows.shape, turned)
                return True
        return False

    return packing.pack(
        path,
        (TensorProto.FLOAT, TensorProto.FLOAT16),
        unpacked,
        "no weight gets smaller as values that a hash finds: none is large enough and stands in the file in the order "
        "that the module has it in",
    )


def _told(
    values: NDArray[Any], count: int, at: NDArray[np.int64], signs: NDArray[np.int8]
) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
    """The values that a weight has, and the scales of its rows if these have some; None where it is not tied.

    Args:
        count: how many values there are.
        at, signs: see `places`.
    """
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


def _found(
    weight: Unpacking, table: NDArray[Any], scales: NDArray[Any] | None, shape: tuple[int, ...], turned: bool
) -> None:
    """Have a weight be given by its values and the hash."""
    from onnx import TensorProto

    def number(value: int) -> str:
        return weight.shared(f"number/{value}", np.array(value, np.int64))

    square, place, alone = map(number, FACTORS)
    prime, count = number(PRIME), int(np.prod(shape))
    at = weight.node("Range", [number(0), number(count), number(1)], "place")
    hashed = weight.node("Mul", [at, square], "a")
    hashed = weight.node("Add", [hashed, place], "b")
    hashed = weight.node("Mod", [hashed, prime], "c")
    hashed = weight.node("Mul", [hashed, at], "d")
    hashed = weight.node("Add", [hashed, alone], "e")
    hashed = weight.node("Mod", [hashed, prime], "hash")
    which = weight.node("Mod", [hashed, number(2 * len(table))], "at")
    values = weight.stored("values", table)
    if half := table.dtype == np.float16:  # of which no sign is changed before an inference
        values = weight.node("Cast", [values], "single", to=TensorProto.FLOAT)
    both = weight.node("Concat", [values, weight.node("Neg", [values], "minus")], "both", axis=0)
    given = weight.node("Gather", [both, which], "flat", axis=0)
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Reshape", [weight.stored("shape", np.array(shape, np.int64))], {})
    ]
    if scales is not None:
        steps.append(("Mul", [weight.stored("scales", scales.reshape(-1, *[1] * (len(shape) - 1)))], {}))
    if half:
        steps.append(("Cast", [], {"to": TensorProto.FLOAT16}))
    if turned:
        steps.append(("Transpose", [], {"perm": [1, 0]}))
    for position, (kind, others, attributes) in enumerate(steps, 1):
        part = "" if position == len(steps) else f"step{position}"
        given = weight.node(kind, [given, *others], part, **attributes)
