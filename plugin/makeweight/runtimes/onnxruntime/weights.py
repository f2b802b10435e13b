"""The weights of an ONNX file and the nodes that read them, changed as techniques ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.model import Model
from makeweight.runtimes.onnxruntime import operators
from makeweight.runtimes.onnxruntime.graphs import (
    attribute,
    called,
    constants,
    inner,
    name_nodes,
    readers,
    store_constants,
    within,
)
from makeweight.runtimes.onnxruntime.lean import write
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.weights import Factor, Layer, Stored, convolution, turned

# By operator, at which inputs its weights lie; a product is looked at from the right.
_PLACES = {
    "Conv": (1,), "ConvTranspose": (1,), "GRU": (1, 2), "Gather": (0,), "Gemm": (1, 0), "LSTM": (1, 2),
    "MatMul": (1, 0), "RNN": (1, 2),
}  # fmt: skip
_RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_OWN = ("", "ai.onnx")


@dataclass(frozen=True)
class _Reading:
    """That a node reads a weight at an input."""

    node: Any
    at: int


class OnnxWeights:
    """See `runtimes.weights.Weights`."""

    def __init__(self, model: Model, read: Callable[[Path], Model]) -> None:
        """Args:
        read: the model that lies in a file.
        """
        import onnx

        self._model, self._read = model, read
        self._proto = normal(onnx.load(model.path))
        graph = self._graph = self._proto.graph
        name_nodes(graph)
        store_constants(graph, _weighs)
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._reads = readers(graph)
        self.layers: dict[str, tuple[str, ...]] = {}
        self.stored: dict[str, Stored] = {}
        self.kept: dict[str, str] = {}
        self._nodes: dict[str, Any] = {}
        read_by: dict[str, list[tuple[str, _Reading]]] = {}
        made_of_constants = _computed(graph, self._tensors)
        for node in graph.node:
            readings = list(self._weights_of(node))
            if readings or _has_a_weight(node, self._tensors, made_of_constants):
                names = called(node, self._tensors)
                name = names[0] if names[0] not in self._nodes and names[0] not in self.kept else node.name
                if not readings:
                    self.kept[name] = _unreached(node, made_of_constants)
                    continue
                self.layers[name], self._nodes[name] = tuple(names), node
                for reading in readings:
                    read_by.setdefault(node.input[reading.at], []).append((name, reading))
        for name, reason in _held(graph, self._tensors):
            self.kept.setdefault(name, reason)
        for weight, those in read_by.items():
            shape = tuple(self._tensors[weight].dims)
            sums = {_summed(reading, shape) for _, reading in those}
            layers = tuple(dict.fromkeys(name for name, _ in those))
            alike: tuple[int, int] | tuple[None, None] = sums.pop() if len(sums) == 1 else (None, None)
            self.stored[weight] = Stored(layers, shape, *alike)

    def _weights_of(self, node: Any) -> Iterator[_Reading]:
        for at in _PLACES.get(node.op_type, ()) if node.domain in _OWN else ():
            if at < len(node.input) and _weighs(self._tensors.get(node.input[at])):
                yield _Reading(node, at)

    def values(self, name: str) -> NDArray[Any]:
        from onnx import numpy_helper

        values: NDArray[Any] = numpy_helper.to_array(self._tensors[name])
        return values if values.dtype == np.float64 else values.astype(np.float32)

    def give(self, name: str, values: NDArray[Any]) -> None:
        tensor = self._tensors[name]
        tensor.CopyFrom(_tensor(name, values, tensor.data_type))

    def layer(self, name: str) -> Layer | str:
        node, at = self._factored(name)
        weight = node.input[at]
        if self._reads[weight] > 1:
            return f"its weight `{weight}` is read by something else too"
        if reason := _objection(node, at, len(self._tensors[weight].dims)):
            return reason
        values = self.values(weight).astype(np.float64)
        if not values.any():
            return "all its weights are zero"
        if node.op_type == "Gather":
            return Layer(values.T[None], table=True)
        if node.op_type in _CONVOLUTIONS:
            transposed = node.op_type == "ConvTranspose"
            return convolution(values, attribute(node, "group", 1), transposed, self._sizes(node, values))
        if node.op_type in _RECURRENT:
            return Layer(values.reshape(1, -1, values.shape[-1]))
        outputs_first = at == 0 or (node.op_type == "Gemm" and attribute(node, "transB", 0))
        return Layer((values if outputs_first else values.T)[None])

    def put(self, name: str, factors: Sequence[Factor]) -> None:
        node, at = self._factored(name)
        weight, kind = node.input[at], self._tensors[node.input[at]].data_type
        made = list(self._row(node, at, kind, factors))
        place = next(index for index, each in enumerate(self._graph.node) if each is node)
        self._graph.initializer.remove(self._tensors.pop(weight))
        self.stored.pop(weight)
        del self._graph.node[place]
        for each in reversed(made):
            self._graph.node.insert(place, each)

    def save(self, target: Path) -> Model:
        write(self._proto, target)
        made = self._read(target)
        return replace(made, inputs=self._model.inputs, outputs=self._model.outputs)

    def _factored(self, name: str) -> tuple[Any, int]:
        """A layer's node, and the input at which the weight lies that thinner layers could stand for."""
        node = self._nodes[name]
        return node, next(self._weights_of(node)).at

    def _sizes(self, node: Any, weight: NDArray[Any]) -> tuple[Sequence[int], Sequence[int]]:
        rank = weight.ndim - 2
        given, gives = (self._shapes.get(each, [])[2:] for each in (node.input[0], node.output[0]))
        if len(given) == len(gives) == rank and all([*given, *gives]):
            return given, gives
        strides = attribute(node, "strides", [1] * rank)
        ones = [1] * rank
        return (ones, strides) if node.op_type == "ConvTranspose" else (strides, ones)

    @cached_property
    def _shapes(self) -> Mapping[str, list[int]]:
        """Of what layers read and give; 0 for a free size."""
        import onnx

        try:
            graph = onnx.shape_inference.infer_shapes(self._proto).graph
        except Exception:  # noqa: BLE001 - sizes that cannot be had are not known, whatever the reason
            graph = self._graph
        values = (*graph.value_info, *graph.input, *graph.output)
        return {value.name: [max(dim.dim_value, 0) for dim in value.type.tensor_type.shape.dim] for value in values}

    def _row(self, node: Any, at: int, kind: int, factors: Sequence[Factor]) -> Iterator[Any]:
        """The nodes of a row of factors; their weights are put into the graph."""
        if node.op_type in _CONVOLUTIONS:
            yield from self._convolutions(node, kind, factors)
            return
        first, second = (factor.weight for factor in factors)
        other = node.input[1 - at] if at < 2 else ""
        if node.op_type == "Gather":
            yield _like(node, [self._store(node, at, 1, first.T, kind), other], _between(node, 1))
            yield self._product(node, [_between(node, 1), self._store(node, at, 2, second.T, kind)])
        elif node.op_type in _RECURRENT:
            narrow = second.reshape(*self._tensors[node.input[1]].dims[:2], -1)
            inputs = [_between(node, 1), self._store(node, at, 2, narrow, kind), *node.input[2:]]
            yield self._product(node, [node.input[0], self._store(node, at, 1, first.T, kind)], _between(node, 1))
            yield _like(node, inputs, *node.output)
        elif node.op_type == "Gemm":
            turned = bool(attribute(node, "transB", 0))
            wide, narrow = (weight if turned else weight.T for weight in (first, second))
            names = self._store(node, at, 1, wide, kind), self._store(node, at, 2, narrow, kind)
            # factors and the bias are the last one's, which of the two activations the first one's
            yield _like(node, [other, names[0]], _between(node, 1), leaving=("alpha", "beta"))
            last = [_between(node, 1), names[1], *node.input[2:]]
            yield _like(node, last, node.output[0], leaving=("transA",))
        elif at == 0:
            yield self._product(node, [self._store(node, at, 1, first, kind), other], _between(node, 1))
            yield self._product(node, [self._store(node, at, 2, second, kind), _between(node, 1)])
        else:
            yield self._product(node, [other, self._store(node, at, 1, first.T, kind)], _between(node, 1))
            yield self._product(node, [_between(node, 1), self._store(node, at, 2, second.T, kind)])

    def _product(self, node: Any, inputs: Sequence[str], output: str | None = None) -> Any:
        from onnx import helper

        output = output or node.output[0]
        return helper.make_node("MatMul", list(inputs), [output], name=f"{node.name}/{output}")

    def _convolutions(self, node: Any, kind: int, factors: Sequence[Factor]) -> Iterator[Any]:
        from onnx import helper

        groups, reads = attribute(node, "group", 1), node.input[0]
        for number, factor in enumerate(factors, 1):
            last, weight = number == len(factors), factor.weight
            transposed = node.op_type == "ConvTranspose" and bool(factor.axes)
            if transposed:
                weight = turned(weight, groups)
            gives = node.output[0] if last else _between(node, number)
            bias = node.input[2:] if last else []
            yield helper.make_node(
                "ConvTranspose" if transposed else "Conv",
                [reads, self._store(node, 1, number, weight, kind), *bias],
                [gives],
                name=f"{node.name}/{number}",
                group=groups,
                kernel_shape=weight.shape[2:],
                **_moving(node, factor.axes, weight.ndim - 2),
            )
            reads = gives

    def _store(self, node: Any, at: int, number: int, values: NDArray[Any], kind: int) -> str:
        name = f"{node.input[at]}/{number}"
        while name in self._tensors:
            name += "_"
        self._graph.initializer.append(_tensor(name, values, kind))
        self._tensors[name] = self._graph.initializer[-1]
        return name


def _weighs(tensor: Any) -> bool:
    """Whether a constant can be a weight: in floating point, with several axes and something in it."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
    return tensor is not None and tensor.data_type in kinds and len(tensor.dims) > 1 and 0 not in tensor.dims


def _computed(graph: Any, tensors: Mapping[str, Any]) -> set[str]:
    """What nodes make of floating-point constants of several axes and of nothing that is fed."""
    stored = {name for name, tensor in tensors.items() if _weighs(tensor)}
    fixed, found = set(tensors) | {name for name, _ in constants(graph)} | {""}, set[str]()
    for node in graph.node:
        if node.input and not any(inner(node)) and set(node.input) <= fixed:
            fixed.update(node.output)
            if set(node.input) & (stored | found) or node.op_type == "DequantizeLinear":
                found.update(node.output)
    return found


def _has_a_weight(node: Any, tensors: Mapping[str, Any], computed: set[str]) -> bool:
    """Whether a convolution, product or recurrence, none of whose weights can be changed, has one."""
    return node.op_type in operators.FLOATING and any(
        name in computed or _weighs(tensors.get(name)) for name in node.input
    )


def _unreached(node: Any, computed: set[str]) -> str:
    if node.domain in _OWN and node.op_type in _PLACES and set(node.input) & computed:
        return "its weight is computed in the graph, or is on integers already"
    return f"which of its constants are weights is not known of {node.op_type}"


def _held(graph: Any, tensors: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Layers in the graphs that nodes hold."""
    for holder in graph.node:
        for part in within(holder):
            known = {**tensors, **{tensor.name: tensor for tensor in part.initializer}, **dict(constants(part))}
            for node in part.node:
                if _has_a_weight(node, known, set()):
                    name = called(node, known)[0] or f"{holder.name}/{node.op_type}"
                    yield name, f"it stands within the {holder.op_type} `{holder.name}`"


def _summed(reading: _Reading, shape: Sequence[int]) -> tuple[int, int]:
    """Along which axis of its weight a node sums, and over how many neighbours at once; of a table, along a vector, as
    layers of PyTorch's do it."""
    node, at, rank = reading.node, reading.at, len(shape)
    if node.op_type == "ConvTranspose":  # [inputs, outputs of a group, kernel]
        return 0, shape[0] // attribute(node, "group", 1)
    if node.op_type in _RECURRENT:
        axis = 2
    elif node.op_type == "Conv":
        axis = 1
    elif node.op_type == "Gemm":
        turned = bool(attribute(node, "transB" if at == 1 else "transA", 0))
        axis = int(turned) if at == 1 else 1 - int(turned)
    else:
        axis = rank - 2 if node.op_type == "MatMul" and at == 1 else rank - 1
    return axis, shape[axis]


def _objection(node: Any, at: int, rank: int) -> str | None:
    """Why no thinner layers can stand for a node's weight, if none can."""
    if node.op_type == "Gather":
        if attribute(node, "axis", 0) or rank != 2:
            return "it looks up something else than the rows of a matrix"
    elif node.op_type == "Gemm":
        if at == 0:
            return "its weight stands on the left of a Gemm"
    elif node.op_type == "MatMul":
        if rank != 2:
            return "its weight is several matrices"
    elif node.op_type in _RECURRENT:
        if at != 1:
            return "what it multiplies its inputs with is no constant"
    elif attribute(node, "output_shape", None):
        return "the size of what it gives is set"
    return None


def _moving(node: Any, axes: Sequence[int], rank: int) -> dict[str, Any]:
    """The settings of a convolution along some axes of its kernel, and none along the others."""

    def along(name: str, none: int) -> list[int]:
        given = attribute(node, name, [none] * rank)
        return [given[axis] if axis in axes else none for axis in range(rank)]

    if not axes:
        return {}
    settings: dict[str, Any] = {"strides": along("strides", 1), "dilations": along("dilations", 1)}
    if node.op_type == "ConvTranspose" and any(output := along("output_padding", 0)):
        settings["output_padding"] = output
    if (filling := attribute(node, "auto_pad", b"NOTSET")) != b"NOTSET":
        return {**settings, "auto_pad": filling}
    pads = attribute(node, "pads", [0] * 2 * rank)
    return {**settings, "pads": [pads[side] if side % rank in axes else 0 for side in range(2 * rank)]}


def _between(node: Any, number: int) -> str:
    """What is handed on behind so many layers of a row."""
    return f"{node.output[0] or node.name}/{number}"


def _like(node: Any, inputs: Sequence[str], *outputs: str, leaving: Sequence[str] = ()) -> Any:
    """The same node with other inputs and outputs, without some of its settings."""
    made = type(node)()
    made.CopyFrom(node)
    del made.input[:], made.output[:]
    made.input.extend(inputs)
    made.output.extend(outputs)
    if outputs[0] != node.output[0]:
        made.name = f"{node.name}/{outputs[0]}"
    kept = [each for each in node.attribute if each.name not in leaving]
    del made.attribute[:]
    made.attribute.extend(kept)
    return made


def _tensor(name: str, values: NDArray[Any], kind: int) -> Any:
    from onnx import helper, numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(values, helper.tensor_dtype_to_np_dtype(kind)), name)
