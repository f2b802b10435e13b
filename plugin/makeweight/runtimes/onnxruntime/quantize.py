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
from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Format
from makeweight.runtimes.onnxruntime import operators, refusal
from makeweight.runtimes.onnxruntime.calibration import batches, extremes, ranges
from makeweight.runtimes.onnxruntime.inspect import stored
from makeweight.runtimes.onnxruntime.lean import write
from makeweight.runtimes.onnxruntime.mend import Mended, masks, mend
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.runtime import Examples, RecipeFailed
from makeweight_base.quiet import quiet
from makeweight_probe.sessions.onnxruntime import runtime_module

# The first opset whose QuantizeLinear knows scales by channel.
_PER_CHANNEL_SINCE = 13
# What dynamic quantization pays off for: products with constant weights. (ConvInteger is slower than Conv.)
_DYNAMIC = ["MatMul", "Gemm"]
# Why a product that nothing is known against was left alone.
_UNREACHED = {
    "static": "ONNX Runtime's quantizer does not reach it",
    "dynamic": "dynamic quantization reaches products with constant weights only",
}


def offers(how: Format) -> bool:
    """Whether this is what is written here: 8-bit weights and activations, the ranges static or found at run time."""
    eight = how.weights.type == how.activations.type == "int8" and how.weights.group is None
    observed = how.observer is not None if how.ranges == "static" else how.ranges == "dynamic"
    return eight and how.activations.scales == "tensor" and observed and not how.exceptions


def quantize(
    model: Model, target: Path, how: Format, calibration: Examples | None, notes: dict[str, Any] | None = None
) -> None:
    """Write a model with integer weights to `target`; `calibration` is read for static ranges only.

    Args:
        notes: hears which operators stay in floating point and why, and which weights have one scale.

    Raises:
        UsageError: the examples do not fit the model.
        RecipeFailed: the graph is quantized already, or holds nothing that this format reaches.
    """
    import onnx

    static = how.ranges == "static"
    source, fed = model.path, batches(model, calibration) if static and calibration else []
    before = onnx.load(source)
    if any(node.op_type in operators.QUANTIZING for node in before.graph.node):
        raise RecipeFailed("quantize: the graph is quantized already")
    if not any(node.op_type in operators.FLOATING for part in (before.graph, *before.functions) for node in part.node):
        raise RecipeFailed("quantize would gain nothing: the graph has no convolution and no product")
    with quiet(), tempfile.TemporaryDirectory(prefix="makeweight-quantize-") as scratch:
        folder = Path(scratch)
        prepared, made = folder / "prepared.onnx", folder / "quantized.onnx"
        try:
            _prepare(_recent_enough(source, before, how, folder), prepared)
            graph = onnx.load(prepared)
            mended = mend(graph)
            onnx.save(graph, prepared)
            if static:
                _static(prepared, made, how, fed, mended, folder)
            else:
                _dynamic(prepared, made, how, mended)
            after = onnx.load(made)
        except RecipeFailed:
            raise
        except Exception as error:
            refusal.reraise_environment(error)
            raise RecipeFailed(f"ONNX Runtime's quantizer failed: {refusal.reason(error)}") from error
    if not any(_computes_on_integers(after)):
        raise RecipeFailed(_nothing(before, how))
    _refuse_signed_activations(after)
    if (bytes_after := stored(after)) > (bytes_before := stored(normal(before))):
        raise RecipeFailed(
            f"quantize would make it larger: its weights would take {bytes_after:,} bytes, and take {bytes_before:,} "
            "now (one that something else reads is kept in both forms)"
        )
    if notes is not None:
        notes |= _told(after, how, mended)
    write(after, target)


def _recent_enough(source: Path, model: Any, how: Format, folder: Path) -> Path:
    """A file in normal form whose opset can say what is to be written: ONNX Runtime's quantizer does not look."""
    import onnx
    import onnx.version_converter

    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    whole = normal(model)
    if how.ranges == "static" and how.weights.scales == "channel" and opset < _PER_CHANNEL_SINCE:
        try:
            whole = onnx.version_converter.convert_version(whole, _PER_CHANNEL_SINCE)
        except Exception as error:
            raise RecipeFailed(
                f"quantize: the file is of opset {opset}, scales by channel need {_PER_CHANNEL_SINCE}, and it cannot "
                f"be converted ({refusal.reason(error)}); export it anew, or set `per_channel: false`"
            ) from error
    if whole is model:
        return source
    converted = folder / "recent.onnx"
    converted.write_bytes(whole.SerializeToString())
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


def _static(prepared: Path, made: Path, how: Format, fed: list[Feeds], mended: Mended, folder: Path) -> None:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    reached = sorted({*QDQRegistry, *QLinearOpsRegistry})
    found = ranges(prepared, folder, reached, how.observer or "minmax", fed)
    graph = load_model_with_shape_infer(prepared)
    mended.left |= masks(graph, extremes(found))
    types = {False: QuantType.QInt8, True: QuantType.QUInt8}
    by_tensor = {name: [{"quant_type": types[active]}] for name, active in mended.by_tensor.items()}
    quantizer = QDQQuantizer(
        graph,
        per_channel=how.weights.scales == "channel",
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=found,
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(mended.left),
        op_types_to_quantize=reached,
        extra_options={"TensorQuantOverrides": by_tensor},
    )
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(str(made), False)


def _dynamic(prepared: Path, made: Path, how: Format, mended: Mended) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(prepared),
        str(made),
        op_types_to_quantize=list(_DYNAMIC),
        per_channel=how.weights.scales == "channel",
        weight_type=QuantType.QInt8,
        nodes_to_exclude=sorted(mended.left),
    )


def _told(made: Any, how: Format, mended: Mended) -> dict[str, Any]:
    """The products that stay in floating point, by reason, and what else is to be known of how it was made."""
    standing = {node.name: node.op_type for node in made.graph.node if node.name in mended.left}
    reasons = {name: mended.left[name] for name in standing}
    for node, on_integers in zip(made.graph.node, _computes_on_integers(made), strict=True):
        if node.op_type in operators.FLOATING and not on_integers:
            standing[node.name] = node.op_type
            reasons.setdefault(node.name, _UNREACHED[str(how.ranges)])
    told: dict[str, Any] = {}
    for name, reason in reasons.items():
        told.setdefault("left in float", {}).setdefault(reason, []).append(f"{standing[name]} {name}")
    if mended.by_tensor and how.ranges == "static" and how.weights.scales == "channel":
        told["one scale for the tensor"] = list(mended.by_tensor)
    return told


def _computes_on_integers(model: Any) -> list[bool]:
    """Of each node, whether it is a product of integers, or stands between their quantizers so that it can be one."""
    integers = {output for node in model.graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    return [
        node.op_type in operators.INTEGER or (node.op_type in operators.FLOATING and set(node.input[:2]) <= integers)
        for node in model.graph.node
    ]


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
