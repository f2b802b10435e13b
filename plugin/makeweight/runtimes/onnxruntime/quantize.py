"""8-bit integers, by ONNX Runtime's own quantizer.

Static: U8S8 in QDQ format: unsigned activations with a zero point, signed weights. Symmetric signed activations are
never written: they leave Relu unfused, and such a graph ran slower than float32 (0.70x, against 1.76x for U8S8).
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, fit
from makeweight.runtimes.format import Format
from makeweight.runtimes.onnxruntime import operators, refusal
from makeweight.runtimes.runtime import Examples, RecipeFailed
from makeweight_base.errors import UsageError
from makeweight_base.quiet import quiet
from makeweight_probe.sessions.onnxruntime import runtime_module

# The first opset whose QuantizeLinear knows scales by channel.
_PER_CHANNEL_SINCE = 13
# What dynamic quantization pays off for: products with constant weights. (ConvInteger is slower than Conv.)
_DYNAMIC = ["MatMul", "Gemm"]
# Examples that a calibration run takes at once, where the model lets it choose.
BATCH = 32


def offers(how: Format) -> bool:
    """Whether this is what is written here: 8-bit weights and activations, the ranges static or found at run time."""
    eight = how.weights.type == how.activations.type == "int8" and how.weights.group is None
    observed = how.observer is not None if how.ranges == "static" else how.ranges == "dynamic"
    return eight and how.activations.scales == "tensor" and observed and not how.exceptions


def quantize(model: Model, target: Path, how: Format, calibration: Examples | None) -> None:
    """Write a model with integer weights to `target`; `calibration` is read for static ranges only.

    Raises:
        UsageError: the examples do not fit the model.
        RecipeFailed: the graph is quantized already, or holds nothing that this format reaches.
    """
    import onnx

    source, batches = model.path, _batches(model, calibration) if how.ranges == "static" and calibration else []
    before = onnx.load(source)
    if any(node.op_type in operators.QUANTIZING for node in before.graph.node):
        raise RecipeFailed("quantize: the graph is quantized already")
    if not any(node.op_type in operators.FLOATING for node in before.graph.node):
        raise RecipeFailed("quantize would gain nothing: the graph has no convolution and no product")
    with quiet(), tempfile.TemporaryDirectory(prefix="makeweight-quantize-") as folder:
        prepared, made = Path(folder, "prepared.onnx"), Path(folder, "quantized.onnx")
        try:
            _prepare(_recent_enough(source, before, how, Path(folder, "recent.onnx")), prepared)
            if how.ranges == "static":
                _static(prepared, made, how, batches)
            else:
                _dynamic(prepared, made, how)
            after = onnx.load(made)
        except RecipeFailed:
            raise
        except Exception as error:
            refusal.reraise_environment(error)
            raise RecipeFailed(f"ONNX Runtime's quantizer failed: {refusal.reason(error)}") from error
    if not any(node.op_type in operators.QUANTIZING for node in after.graph.node):
        raise RecipeFailed(_nothing(before, how))
    _refuse_signed_activations(after)
    target.write_bytes(after.SerializeToString(deterministic=True))


def _batches(model: Model, examples: Examples) -> list[Feeds]:
    """Calibration examples in batches that the model takes; a last batch that a fixed size leaves over is dropped."""
    size = model.batch
    if size is not None and len(examples) < size:
        raise UsageError(
            f"the model takes batches of {size}, and there are only {len(examples)} calibration examples",
            where="makeweight.yaml: data.calibration",
            do="Give more examples, or export the model with a free batch size.",
        )
    return [
        fit(model.inputs, feeds)
        for feeds in examples.batches(size or BATCH)
        if size is None or len(next(iter(feeds.values()))) == size
    ]


def _recent_enough(source: Path, model: Any, how: Format, converted: Path) -> Path:
    """A file whose opset can say what is to be written: ONNX Runtime's quantizer does not look."""
    from onnx import version_converter

    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if how.ranges != "static" or how.weights.scales != "channel" or opset >= _PER_CHANNEL_SINCE:
        return source
    try:
        recent = version_converter.convert_version(model, _PER_CHANNEL_SINCE)
    except Exception as error:
        raise RecipeFailed(
            f"quantize: the file is of opset {opset}, scales by channel need {_PER_CHANNEL_SINCE}, and it cannot be "
            f"converted ({refusal.reason(error)}); export it anew, or set `per_channel: false`"
        ) from error
    converted.write_bytes(recent.SerializeToString())
    return converted


def _prepare(source: Path, target: Path) -> None:
    """Fold constants and normalizations, and infer shapes: ranges are then taken of what will really be computed.

    Symbolic shape inference is left out: it needs sympy, takes a second, and what quantization wants to know
    (element types) plain inference finds too.
    """
    onnxruntime = runtime_module()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnxruntime.set_default_logger_severity(4)
    quant_pre_process(str(source), str(target), skip_symbolic_shape=True)


def _static(prepared: Path, made: Path, how: Format, batches: list[Feeds]) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    methods = {method.name.lower(): method for method in CalibrationMethod}
    # The histogram methods would keep every activation of every example; taken a batch at a time they keep one's.
    options = {} if how.observer == "minmax" else {"CalibStridedMinMax": 1}
    quantize_static(
        str(prepared),
        str(made),
        _Reader(batches),
        quant_format=QuantFormat.QDQ,
        per_channel=how.weights.scales == "channel",
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=methods[str(how.observer)],
        extra_options=options,
    )


def _dynamic(prepared: Path, made: Path, how: Format) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(prepared),
        str(made),
        op_types_to_quantize=list(_DYNAMIC),
        per_channel=how.weights.scales == "channel",
        weight_type=QuantType.QInt8,
    )


class _Reader:
    """Calibration batches as ONNX Runtime's calibrators ask for them."""

    def __init__(self, batches: list[Feeds]) -> None:
        self._batches = batches
        self.set_range(0, len(batches))

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._batches[start_index:end_index])

    def get_next(self) -> Feeds | None:
        return next(self._left, None)


def _nothing(model: Any, how: Format) -> str:
    counts = Counter(node.op_type for node in model.graph.node if node.op_type in operators.FLOATING)
    has = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    if how.ranges == "dynamic":
        return (
            "dynamic quantization changed nothing: it reaches MatMul and Gemm with constant weights, and the graph "
            f"has {has}; use `method: static`"
        )
    return f"static quantization changed nothing: the graph has {has}, and ONNX Runtime quantizes none of them"


def _refuse_signed_activations(model: Any) -> None:
    """Whatever QuantizeLinear writes at run time is an activation: its zero point says in which type."""
    import onnx

    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            kind = types.get(node.input[2]) if len(node.input) > 2 else onnx.TensorProto.UINT8
            if kind != onnx.TensorProto.UINT8:
                raise RecipeFailed(
                    f"quantize: the activation `{node.input[0]}` would be signed, which ONNX Runtime does not fuse"
                )
