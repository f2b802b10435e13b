"""What XNNPACK's part of a program holds: its operators, in what numbers they compute, and how much.

Its format is schema.fbs of ExecuTorch's backend, behind a header of its own (XNNHeader).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from makeweight_probe.flatbuffer import Damaged, Table, root

BACKEND = "XnnpackBackend"
# The kinds of operator, in the order of XNodeUnion; the first stands for none.
_KINDS = (
    "", "Add", "FullyConnected", "Softmax", "Sigmoid", "StaticTranspose", "Clamp", "Conv2d", "Div",
    "StaticResizeBilinear2D", "StaticConstantPad", "AvgPooling2d", "Minimum", "DepthwiseConv2d", "MaxPooling2d",
    "Multiply", "Subtract", "Floor", "Convert", "GlobalAvgPooling2d", "StaticReshape", "ArgMaxPooling2d", "SquareRoot",
    "Ceiling", "Hardswish", "LeakyReLU", "Maximum", "Negate", "Square", "ELU", "Abs", "PReLU", "Concatenate2",
    "Concatenate3", "Concatenate4", "StaticSlice", "ScaledDotProductAttention", "BatchMatrixMultiply", "Concatenate5",
    "ConvTranspose2d", "ReciprocalSquareRoot", "Log", "Gelu", "Tanh", "Exp", "Sin", "Copy", "Cos",
)  # fmt: skip
# Of XNNDatatype, those that are integers with scales.
_INTEGERS = frozenset({3, 4, 6, 8, 9, 10, 11})
# Of XValueUnion, a value with scales.
_SCALED = 2
# Where the header says that the graph begins.
_HEADER, _BEGINS = b"XH00", slice(10, 14)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, in the sizes that it was traced with."""

    integer: bool
    sizes: tuple[int, ...]
    buffer: int
    """Where its numbers lie; 0: they are computed."""


@dataclass(frozen=True)
class Product:
    """A convolution or product of matrices."""

    integer: bool
    """Whether it multiplies integers."""
    macs: int
    """Multiply-accumulates, in the sizes that the graph was traced with."""


@dataclass(frozen=True)
class Graph:
    """A delegate's."""

    operators: tuple[str, ...]
    products: tuple[Product, ...]
    parameters: int
    """The numbers that it stores."""
    batch: int | None
    """The first size of its first input while it was traced."""
    whole: bool = True
    """Whether every operator is of a kind that is known here: of others nobody knows whether they multiply."""


def read(data: bytes) -> Graph:
    """Raises:
    Damaged: it is no graph of XNNPACK's.
    """
    begins = int.from_bytes(data[_BEGINS], "little") if data[4:8] == _HEADER else 0
    graph = root(data, begins)
    values = dict(map(_value, graph.tables(2)))
    operators, products = [], []
    for node in graph.tables(1):
        kind, table = node.number(0, "B"), node.table(1)
        if table is None or not kind:
            raise Damaged("an operator is none")
        # a program of a newer ExecuTorch may have kinds that came after these
        name = _KINDS[kind] if kind < len(_KINDS) else f"operator {kind}"
        operators.append(name)
        if name in _PRODUCTS:
            products.append(_PRODUCTS[name](table, values))
    buffers = {value.buffer: math.prod(value.sizes) for value in values.values() if value.buffer}
    inputs = graph.numbers(4, "I")
    first = values[inputs[0]].sizes if inputs and inputs[0] in values else ()
    whole = all(name in _KINDS for name in operators)
    return Graph(tuple(operators), tuple(products), sum(buffers.values()), first[0] if first else None, whole)


def _value(entry: Table) -> tuple[int, Value]:
    kind, held = entry.number(0, "B"), entry.table(1)
    tensor = held.table(0) if held is not None and kind == _SCALED else held
    if tensor is None:
        raise Damaged("a value is none")
    sizes = tuple(tensor.numbers(2, "I"))
    return tensor.number(6, "I"), Value(tensor.number(0, "h") in _INTEGERS, sizes, tensor.number(3, "I"))


_Values = Mapping[int, Value]


def _at(table: Table, field: int, values: _Values) -> Value:
    found = values.get(table.number(field, "I"))
    if found is None or not found.sizes:
        raise Damaged("an operator names what the graph does not hold")
    return found


def _connected(table: Table, values: _Values) -> Product:
    given, weights, result = (_at(table, field, values) for field in (0, 1, 3))
    return Product(weights.integer, math.prod(result.sizes) * given.sizes[-1])


def _matrices(table: Table, values: _Values) -> Product:
    left, right, result = (_at(table, field, values) for field in (0, 1, 2))
    return Product(right.integer, math.prod(result.sizes) * left.sizes[-1])


def _convolution(table: Table, values: _Values) -> Product:
    weights, result = (_at(table, field, values) for field in (16, 18))
    return Product(weights.integer, math.prod(result.sizes) * _kernel(table) * table.number(10, "I"))


def _transposed(table: Table, values: _Values) -> Product:
    given, weights = (_at(table, field, values) for field in (15, 16))
    return Product(weights.integer, math.prod(given.sizes) * _kernel(table) * table.number(11, "I"))


def _kernel(table: Table) -> int:
    return table.number(4, "I") * table.number(5, "I")


def _attention(table: Table, values: _Values) -> Product:
    query, key, value = (_at(table, field, values) for field in range(3))
    return Product(key.integer, math.prod(query.sizes[:-1]) * key.sizes[-2] * (query.sizes[-1] + value.sizes[-1]))


_PRODUCTS: dict[str, Callable[[Table, _Values], Product]] = {
    "FullyConnected": _connected,
    "BatchMatrixMultiply": _matrices,
    "Conv2d": _convolution,
    "DepthwiseConv2d": _convolution,
    "ConvTranspose2d": _transposed,
    "ScaledDotProductAttention": _attention,
}
