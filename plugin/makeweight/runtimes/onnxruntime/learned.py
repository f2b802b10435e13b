"""Ranges that a training learns: which calls of a module ONNX Runtime's quantizer makes integers of, and where those
are in the graph that gets the ranges. Both are found by marks on the calls, so the names of the exporter's nodes mean
nothing here, and the training simulates what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight.runtimes.calls import visited
from makeweight.runtimes.format import Format
from makeweight.runtimes.integers import LEARNED, Constant, Integers, Learned, Range
from makeweight.runtimes.marks import Bearing, Marks, givers, placed
from makeweight.runtimes.onnxruntime import operators, quantize
from makeweight.runtimes.onnxruntime.export import export as exported
from makeweight.runtimes.onnxruntime.graphs import attribute, makers
from makeweight.runtimes.runtime import Examples, Program

if TYPE_CHECKING:
    from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime

# How ONNX Runtime's quantizer calls what it reads, and what it puts before its own output.
_STORED, _BEFORE = "_quantized", "_QuantizeLinear_Input"


def static(format: Format) -> Format:
    """A format as the quantizer knows it: what is learned takes the place of what is calibrated."""
    return replace(format, ranges="static") if format.ranges == "learned" else format


def export(source: Program, target: Path, format: Format) -> Mapping[str, Range]:
    """Write a module as a file in float32.

    Returns:
        where the format has learned ranges, those by tensor.

    Raises:
        RecipeFailed: a range is of something that the module does not compute.
        UsageError: see `export.export`.
    """
    learned = source.left.get(LEARNED)
    if format.ranges != "learned" or not isinstance(learned, Learned):
        exported(source.module, source.inputs, source.example, target)
        return quantize.NONE
    marks = Marks(learned.ranges)
    with visited(source.module, marks):
        found = exported(source.module, source.inputs, source.example, target)
    return placed(learned.ranges, marks.bearing(found))


def integers(runtime: OnnxRuntime, source: Program, format: Format, calibration: Examples, scratch: Path) -> Integers:
    """See `Runtime.integers`."""
    import onnx

    marks, floating, made = Marks(), scratch / "marked.onnx", scratch / "integers.onnx"
    with visited(source.module, marks):
        found = exported(source.module, source.inputs, source.example, floating)
    quantize.quantize(runtime.read(floating), made, static(replace(format, codebook=None)), calibration)
    return _Read(onnx.load(made)).told(marks.bearing(found))


class _Read:
    """A graph as ONNX Runtime's quantizer leaves it."""

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        self._model, self._graph = model, model.graph
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._makers = makers(model.graph)
        self._constants = {
            node.output[0]: node
            for node in model.graph.node
            if node.op_type == "DequantizeLinear" and node.input[0] in self._stored
        }
        self._array = numpy_helper.to_array

    def told(self, bearing: Bearing) -> Integers:
        """Args:
        bearing: by tensor of the graph before.
        """
        names = givers(bearing)
        picked = {node.input[1] for node in self._constants.values()}
        sharing: dict[str, list[str]] = {}
        origins: dict[str, str] = {}
        ranges: dict[str, Range] = {}
        for node in self._graph.node:
            if node.op_type == "QuantizeLinear":
                made = self._read_by(node)
                origins[made] = made.removesuffix(_BEFORE)
                if node.input[1] in picked:  # from a constant, whose integers it has as they are
                    continue
                sharing.setdefault(node.input[1], []).append(origins[made])
                ranges.setdefault(node.input[1], self._range(node))
        owners, calls, unseen = dict[str, Range](), dict[str, str](), list[str]()
        of_scale: dict[str, str] = {}
        for scale, tensors in sharing.items():
            owner = next((tensor for tensor in tensors if scale == f"{tensor}_scale"), tensors[0])
            if owner not in names:
                unseen.append(owner)
                continue
            owners[names[owner]], of_scale[scale] = ranges[scale], names[owner]
            calls |= {names[tensor]: names[owner] for tensor in tensors if tensor in names}
        read = {
            node.output[0]: of_scale[node.input[1]]
            for node in self._graph.node
            if node.op_type == "DequantizeLinear" and node.input[1] in of_scale
        }
        products, biases = {}, {}
        for node, integer in zip(self._graph.node, operators.on_integers(self._model), strict=True):
            weight = self._constants.get(node.input[1]) if integer and len(node.input) > 1 else None
            result = origins.get(node.output[0], node.output[0])
            if weight is not None and result in names:
                products[names[result]] = self._by_channel(weight)
            normalizes = node.op_type == "LayerNormalization" and node.input[-1] in self._constants
            if normalizes and node.input[0] in read and result in names:
                biases[names[result]] = read[node.input[0]]
        return Integers(owners, calls, products, dict(self._kept(bearing)), biases, tuple(unseen))

    def _read_by(self, quantizer: Any) -> str:
        """What a quantizer reads, past what `quantize` puts between."""
        maker = self._makers.get(quantizer.input[0])
        if maker is not None and maker.op_type == "Max" and maker.name == quantizer.input[0]:
            return str(maker.input[0])
        return str(quantizer.input[0])

    def _range(self, quantizer: Any) -> Range:
        scale, zero = (self._array(self._stored[name]) for name in quantizer.input[1:3])
        step, shift = float(scale), int(zero)
        return Range(-shift * step, (255 - shift) * step)

    def _by_channel(self, node: Any) -> bool:
        return bool(self._array(self._stored[node.input[1]]).size > 1)

    def _kept(self, bearing: Bearing) -> Iterator[tuple[str, Constant]]:
        """What is known of constants, by each call that is handed one or gives it."""
        import onnx

        signs = {onnx.TensorProto.INT8: True, onnx.TensorProto.UINT8: False}
        for node in self._constants.values():
            stored = self._stored[node.input[0]]
            if stored.data_type in signs:
                axis = attribute(node, "axis", 1) if self._by_channel(node) else None
                for name in bearing.get(stored.name.removesuffix(_STORED), ()):
                    yield name, Constant(signs[stored.data_type], axis)
