"""A size that the converter has written into constants, made to follow from the inputs.

The converter fixes every size. Two files of one module in two sizes differ in just those constants that have that size
in them: shapes that something is brought into, and tables of which a beginning is read, such as those of positions.
What they depend on is known then, and said by operators that need no constant.
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.litert import graph

_FREE = -1
_TYPES = {"INT32": np.int32, "FLOAT32": np.float32}


class Fixed(Exception):
    """A constant has the size in it in a way that nothing here can say otherwise."""


def follow(model: Any, other: Any, port: str, axis: int, *, bounded: bool) -> None:
    """Change a file so that its constants follow the size of one axis of an input.

    Args:
        model: the file in the largest size that is to be taken.
        other: the same in a smaller one; it is left as it is.
        port, axis: where that size stands.
        bounded: whether it really is the largest, so that tables may end with it.

    Raises:
        Fixed: the files differ otherwise.
    """
    if len(model.subgraphs) > 1 or len(model.subgraphs[0].operators) != len(other.subgraphs[0].operators):
        raise Fixed
    whole = _Graph(model, model.subgraphs[0], port, axis)
    there = other.subgraphs[0]
    sizes = (_size(model, port, axis), _size(other, port, axis))
    for node, like in zip(list(whole.own.operators), there.operators, strict=True):
        name = graph.operator(model, node)
        if name != graph.operator(other, like) or len(node.inputs) != len(like.inputs):
            raise Fixed
        for place, (own, theirs) in enumerate(zip(list(node.inputs), like.inputs, strict=True)):
            if own < 0 or not graph.constant(model, whole.own.tensors[own]):
                continue
            if theirs < 0 or not graph.constant(other, there.tensors[theirs]):
                raise Fixed
            larger, smaller = _values(model, whole.own.tensors[own]), _values(other, there.tensors[theirs])
            if larger.shape == smaller.shape and np.array_equal(larger, smaller):
                continue
            if name == "RESHAPE" and place == 1 and larger.shape == smaller.shape:
                whole.reshape(node, larger, np.flatnonzero(larger != smaller))
            elif bounded:
                node.inputs[place] = whole.beginning(node, own, _grown(larger, smaller, sizes))
            else:
                raise Fixed


def _input(model: Any, port: str) -> int:
    """Which tensor it is."""
    return int(next(each.tensorIndex for each in model.signatureDefs[0].inputs if graph.text(each.name) == port))


def _size(model: Any, port: str, axis: int) -> int:
    return int(graph.sizes(model.subgraphs[0].tensors[_input(model, port)])[axis])


def _values(model: Any, tensor: Any) -> NDArray[Any]:
    data = bytes(model.buffers[tensor.buffer].data)
    kind = _TYPES.get(graph.kind(tensor))
    # of other types bytes are compared, which have no axis to be cut along
    return np.frombuffer(data, np.uint8) if kind is None else np.frombuffer(data, kind).reshape(graph.sizes(tensor))


def _grown(larger: NDArray[Any], smaller: NDArray[Any], sizes: tuple[int, int]) -> int:
    """The axis along which one is the beginning of the other, each as long as the size is in its file.

    Raises:
        Fixed: it is none.
    """
    if larger.ndim == smaller.ndim and larger.dtype != np.uint8:
        axes = [axis for axis in range(larger.ndim) if larger.shape[axis] != smaller.shape[axis]]
        lengths = [(larger.shape[axis], smaller.shape[axis]) for axis in axes]
        if lengths == [sizes] and np.array_equal(larger.take(range(sizes[1]), axes[0]), smaller):
            return axes[0]
    raise Fixed


class _Graph:
    """A file's graph while it is changed."""

    def __init__(self, model: Any, own: Any, port: str, axis: int) -> None:
        from ai_edge_litert import schema_py_generated

        self._schema: Any = schema_py_generated
        self._model, self.own, self._axis = model, own, axis
        self._input = _input(model, port)
        self._counted: int | None = None
        self._tables: dict[tuple[int, int], int] = {}

    def reshape(self, node: Any, shape: NDArray[Any], free: NDArray[Any]) -> None:
        """One size may be left to follow from the others. Where several are free, an operator that only adds or drops
        sizes of 1 does the same without naming any."""
        if len(free) == 1:
            sizes = shape.copy()
            sizes[free[0]] = _FREE
            node.inputs[1] = self._constant(f"reshape({','.join(map(str, sizes))})", sizes)
            return
        before, after = list(graph.sizes(self.own.tensors[node.inputs[0]])), [int(size) for size in shape]
        for axis in range(len(after)):
            if after[:axis] + after[axis + 1 :] == before and after[axis] == 1:
                node.inputs[1] = self._constant(f"axis({axis})", np.array(axis, np.int32))
                self._become(node, "EXPAND_DIMS", self._schema.ExpandDimsOptionsT())
                return
        for axis in range(len(before)):
            if before[:axis] + before[axis + 1 :] == after and before[axis] == 1:
                options = self._schema.SqueezeOptionsT()
                options.squeezeDims = [axis]
                node.inputs = [node.inputs[0]]
                self._become(node, "SQUEEZE", options)
                return
        raise Fixed

    def beginning(self, node: Any, table: int, axis: int) -> int:
        """As much of a table as the size says, by its rows' numbers."""
        if (table, axis) not in self._tables:
            shape = list(graph.sizes(self.own.tensors[table]))
            options = self._schema.GatherOptionsT()
            options.axis = axis
            kind = graph.kind(self.own.tensors[table])
            made = self._result(f"{graph.text(self.own.tensors[table].name)}:beginning", shape, kind)
            self._insert(node, "GATHER", [table, self._numbers(node)], made, options)
            self._tables[table, axis] = made
        return self._tables[table, axis]

    def _numbers(self, node: Any) -> int:
        """0, 1, 2 and so on, as many as the size says: ones of the input's shape, added up."""
        if self._counted is None:
            given = self.own.tensors[self._input]
            shape = list(graph.sizes(given))
            if shape[: self._axis] + shape[self._axis + 1 :] != [1] * (len(shape) - 1):
                raise Fixed
            schema = self._schema
            zeros = self._result("positions/zeros", shape, graph.kind(given))
            self._insert(node, "ZEROS_LIKE", [self._input], zeros, schema.ZerosLikeOptionsT())
            same = self._result("positions/equal", shape, "BOOL")
            self._insert(node, "EQUAL", [zeros, zeros], same, schema.EqualOptionsT())
            ones = self._result("positions/ones", shape, "INT32")
            casting = schema.CastOptionsT()
            casting.inDataType, casting.outDataType = schema.TensorType.BOOL, schema.TensorType.INT32
            self._insert(node, "CAST", [same], ones, casting)
            line = self._result("positions/line", [shape[self._axis]], "INT32")
            flat = self._constant("reshape(-1)", np.array([_FREE], np.int32))
            self._insert(node, "RESHAPE", [ones, flat], line, schema.ReshapeOptionsT())
            adding = schema.CumsumOptionsT()
            adding.exclusive = True
            self._counted = self._result("positions", [shape[self._axis]], "INT32")
            along = self._constant("axis(0)", np.array(0, np.int32))
            self._insert(node, "CUMSUM", [line, along], self._counted, adding)
        return self._counted

    def _place(self, node: Any) -> int:
        return next(place for place, each in enumerate(self.own.operators) if each is node)

    def _insert(self, before: Any, operator: str, inputs: list[int], output: int, options: Any) -> None:
        made = self._schema.OperatorT()
        made.inputs, made.outputs = inputs, [output]
        self._become(made, operator, options)
        self.own.operators.insert(self._place(before), made)

    def _become(self, node: Any, operator: str, options: Any) -> None:
        schema = self._schema
        node.opcodeIndex = self._code(getattr(schema.BuiltinOperator, operator))
        node.builtinOptions = options
        node.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))

    def _code(self, number: int) -> int:
        codes = self._model.operatorCodes
        for place, each in enumerate(codes):
            if max(each.builtinCode, each.deprecatedBuiltinCode) == number and not each.customCode:
                return place
        made = self._schema.OperatorCodeT()
        # readers of older files look for small numbers in a field of 8 bits
        made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), 1
        codes.append(made)
        return len(codes) - 1

    def _constant(self, name: str, values: NDArray[Any]) -> int:
        for index, tensor in enumerate(self.own.tensors):
            if graph.text(tensor.name) == name:
                return index
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(values.astype(np.int32).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return self._tensor(name, list(values.shape), "INT32", len(self._model.buffers) - 1)

    def _result(self, name: str, shape: list[int], kind: str) -> int:
        # buffer 0 is the empty one, of what is computed
        return self._tensor(name, shape, kind, 0)

    def _tensor(self, name: str, shape: list[int], kind: str, buffer: int) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), shape, buffer
        tensor.type = getattr(self._schema.TensorType, kind)
        self.own.tensors.append(tensor)
        return len(self.own.tensors) - 1
