"""Integers: of 8 bits by ONNX Runtime's own quantizer, and weights alone by `groups.py`.

Static: U8S8 in QDQ format: unsigned activations with a zero point, signed weights. Symmetric signed activations are
never written: they leave Relu unfused, and such a graph ran slower than float32 (0.70x, against 1.76x for U8S8).
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds
from makeweight.runtimes import environment, traced
from makeweight.runtimes.batches import BATCH, batches
from makeweight.runtimes.format import Format
from makeweight.runtimes.integers import Range
from makeweight.runtimes.layers import fits, told_of, unfit
from makeweight.runtimes.onnxruntime import gptq, groups, operators, refusal
from makeweight.runtimes.onnxruntime.bias_correction import correct, give_biases
from makeweight.runtimes.onnxruntime.calibration import extremes, ranges
from makeweight.runtimes.onnxruntime.equalization import equalize
from makeweight.runtimes.onnxruntime.graphs import called, constants, graphs, makers, opset, within
from makeweight.runtimes.onnxruntime.inspect import stored
from makeweight.runtimes.onnxruntime.lean import held_bytes, write
from makeweight.runtimes.onnxruntime.mend import CLIPPING, Mended, masks, mend
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.runtime import Examples, RecipeFailed
from makeweight_base.quiet import quiet
from makeweight_probe.sessions.onnxruntime import runtime_module

# The first opset whose QuantizeLinear knows scales by channel.
_PER_CHANNEL_SINCE = 13
# What dynamic quantization pays off for: constant weights of products and recurrences, and tables of vectors that are
# looked up. (ConvInteger is slower than Conv.)
_DYNAMIC = ["Gather", "Gemm", "LSTM", "MatMul"]
# What preparation turns into each other: a product with a sum behind it.
_PRODUCTS = frozenset({"MatMul", "Gemm"})
# What ONNX Runtime quantizes by itself where it stands between quantizers (its optimizer WeightBiasQuantization).
_TAKEN_OVER = frozenset({"Conv", "ConvTranspose", "Gemm"})
# No kernel of ONNX Runtime's computes it on integers, so between quantizers it loses precision and time. As a group
# normalization is exported, it shares its scale and bias with others, and neither copes with that: the quantizer gives
# copies names that other tensors may have, and what is shared cannot be loaded on x86 without VNNI.
_IN_FLOAT = frozenset({"InstanceNormalization"})
# Why a product that nothing is known against was left alone.
_UNREACHED = {
    None: "ONNX Runtime has integer weights alone for MatMul and Gemm",
    "static": "ONNX Runtime's quantizer does not reach it",
    "dynamic": "dynamic quantization reaches constant weights of products and LSTMs only",
}
NONE: Mapping[str, Range] = MappingProxyType({})
_EXCLUDED, _UNNAMED = "`exclude` names it", "`operators` does not name it"


def quantize(
    model: Model,
    target: Path,
    how: Format,
    calibration: Examples | None,
    notes: dict[str, Any] | None = None,
    learned: Mapping[str, Range] = NONE,
) -> None:
    """Write a model with integer weights to `target`; `calibration` is read where the format calibrates.

    Args:
        learned: by tensor, ranges that stand in the place of static ones.
        notes: hears which operators stay in floating point and why, and which weights have one scale.

    Raises:
        UsageError: the examples do not fit the model.
        RecipeFailed: the graph is quantized already, or holds nothing that this format reaches.
    """
    import onnx

    at_once = gptq.BATCH if how.rounding == "gptq" else BATCH
    fed = batches(model.inputs, calibration, at_once) if how.calibrates and calibration else []
    before = onnx.load(model.path)
    if (size := held_bytes(before)) > traced.LARGEST:
        raise RecipeFailed(
            f"quantize: the weights take {size / 1e9:.1f} GB, and ONNX Runtime's quantizer takes a model of at most "
            f"{traced.LARGEST / 1e9:.1f} GB; `float16` takes larger ones, and so does `factorize` before this step"
        )
    if any(node.op_type in operators.QUANTIZING for part in graphs(before.graph) for node in part.node):
        raise RecipeFailed("quantize: the graph is quantized already")
    if not any(node.op_type in operators.FLOATING for part in (before.graph, *before.functions) for node in part.node):
        if held := _held(before.graph):
            listed = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in held.items())
            raise RecipeFailed(f"quantize changed nothing: its quantizer reaches none of the layers ({listed})")
        raise RecipeFailed("quantize would gain nothing: the graph has no convolution and no product")
    told: dict[str, Any] = {}
    with quiet(), tempfile.TemporaryDirectory(prefix="makeweight-quantize-") as scratch:
        with _failing("preparation for its quantizer"):
            source = _recent_enough(model.path, before, how, Path(scratch))
        after, floating = _made(source, how, fed, Path(scratch), told, learned)
        if how.biases_corrected:
            with _failing("run of its quantized graph"):
                told["biases corrected"] = correct(after, floating, fed)
    if (bytes_after := stored(after)) > (bytes_before := stored(normal(before))):
        raise RecipeFailed(
            f"quantize would make it larger: its weights would take {bytes_after:,} bytes, and take {bytes_before:,} "
            "now (one that something else reads is kept in both forms)"
        )
    if notes is not None:
        notes |= told
    write(after, target)


def _made(
    source: Path, how: Format, fed: list[Feeds], folder: Path, told: dict[str, Any], learned: Mapping[str, Range]
) -> tuple[Any, Any]:
    """The quantized graph, and the one that it was made of. Where static quantization fails, or would leave what it
    knows no type of, it is tried once more on a graph whose shapes were followed by symbols, through ONNX Runtime's own
    operators too."""
    plain, followed = folder / "plain.onnx", folder / "followed.onnx"
    _prepare(source, plain)
    # outside the first try: what the recipe names and the graph has not, it has not with other shapes either
    mended = _mended(plain, how)
    failed, reason = None, _untyped(plain) if how.ranges == "static" else None
    if reason is None:
        try:
            return _quantized(plain, *mended, how, fed, folder, told, learned)
        except RecipeFailed as failure:
            failed, reason = failure, str(failure)
            if how.ranges != "static":
                raise
    try:
        _prepare(source, followed, symbolic=True)
        made = _quantized(followed, *_mended(followed, how), how, fed, folder, told, learned)
    except RecipeFailed as again:
        if failed is None:
            return _quantized(plain, *mended, how, fed, folder, told, learned)
        if str(again) == reason:
            raise
        raise RecipeFailed(f"{reason} (tried once more, with shapes followed by symbols: {again})") from failed
    told["tried once more"] = f"with shapes followed by symbols, since {reason}"
    return made


def _mended(prepared: Path, how: Format) -> tuple[Any, Mended]:
    """A prepared graph put right, and what of it stays in floating point."""
    import onnx

    graph = onnx.load(prepared)
    mended = mend(graph, activations=how.ranges is not None)
    _leave_out(graph.graph, how, mended)
    return graph, mended


def _quantized(
    prepared: Path,
    graph: Any,
    mended: Mended,
    how: Format,
    fed: list[Feeds],
    folder: Path,
    told: dict[str, Any],
    learned: Mapping[str, Range],
) -> tuple[Any, Any]:
    import onnx

    made = folder / "quantized.onnx"
    changed: dict[str, Any] = equalize(graph.graph, mended.left) if how.equalized else {}
    if how.biases_corrected:
        give_biases(graph.graph, mended.left)
    with _failing(
        "quantizer", f"; `exclude: [NAME]` leaves a layer in floating point ({told_of(_layers(graph.graph))})"
    ):
        onnx.save(graph, prepared)
        if how.ranges == "static":
            _static(prepared, made, how, fed, mended, folder, learned)
        elif how.ranges == "dynamic":
            _dynamic(prepared, made, how, mended)
        else:
            _weights_alone(graph, made, how, mended, fed, changed)
        after = onnx.load(made)
    if not any(operators.on_integers(after)) and not any(node.op_type in operators.TABLES for node in after.graph.node):
        raise RecipeFailed(_nothing(graph, how, mended))
    _refuse_signed_activations(after)
    _keep_apart(after.graph, mended.left)
    told |= _told(after, how, mended) | changed
    return after, graph


def _failing(what: str, way_out: str = "") -> AbstractContextManager[None]:
    return environment.translated(
        lambda error: RecipeFailed(f"ONNX Runtime's {what} failed: {refusal.reason(error)}{way_out}"), RecipeFailed
    )


def _recent_enough(source: Path, model: Any, how: Format, folder: Path) -> Path:
    """A file in normal form whose opset can say what is to be written: ONNX Runtime's quantizer does not look."""
    import onnx
    import onnx.version_converter

    written, whole = opset(model), normal(model)
    if how.ranges == "static" and how.weights.scales == "channel" and written < _PER_CHANNEL_SINCE:
        try:
            whole = onnx.version_converter.convert_version(whole, _PER_CHANNEL_SINCE)
        except Exception as error:
            raise RecipeFailed(
                f"quantize: the file is of opset {written}, scales by channel need {_PER_CHANNEL_SINCE}, and it cannot "
                f"be converted ({refusal.reason(error)}); export it anew, or set `per_channel: false`"
            ) from error
    if whole is model:
        return source
    converted = folder / "recent.onnx"
    converted.write_bytes(whole.SerializeToString())
    return converted


def _prepare(source: Path, target: Path, *, symbolic: bool = False) -> None:
    """Fold constants and normalizations, and infer shapes: ranges are then taken of what will really be computed.

    Symbolic shape inference needs sympy and takes a second; what quantization wants to know (element types) plain
    inference finds too, but for operators of ONNX Runtime's own.
    """
    onnxruntime = runtime_module()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnxruntime.set_default_logger_severity(4)
    with _failing("preparation for its quantizer"):
        quant_pre_process(str(source), str(target), skip_symbolic_shape=not symbolic, auto_merge=True)


def _untyped(prepared: Path) -> str | None:
    """A product that reads something of unknown type, which the quantizer would leave alone."""
    import onnx

    graph = onnx.load(prepared, load_external_data=False).graph
    known = {each.name for each in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    known |= {name for name, _ in constants(graph)}
    for node in graph.node:
        if node.op_type in operators.FLOATING and (unknown := set(node.input[:2]) - known):
            reader = f"{node.op_type} {node.name}".strip()
            return f"plain inference knows no type of `{min(unknown)}`, which {reader} reads"
    return None


def _leave_out(graph: Any, how: Format, mended: Mended) -> None:
    """Note the nodes that the recipe leaves in floating point.

    Raises:
        RecipeFailed: it names something that the graph has not.
    """
    kinds = {node.op_type for node in graph.node}
    for kind in how.operators:
        if not kinds & _alike(kind):
            raise RecipeFailed(f"quantize: `operators` names `{kind}`; the graph has {', '.join(sorted(kinds))}")
    for node in graph.node:
        if node.op_type in operators.FLOATING and not _wanted(how, [node.op_type]):
            mended.left[node.name] = _UNNAMED
    stored = {tensor.name for tensor in graph.initializer}
    for pattern, _ in how.exceptions:
        meant = [node for node in graph.node if any(fits(pattern, name) for name in called(node, stored))]
        if not meant:
            raise RecipeFailed(f"quantize: in `exclude`, {unfit(pattern, _layers(graph))}")
        for node in meant:
            mended.left[node.name] = _EXCLUDED


def _layers(graph: Any) -> list[str]:
    """Convolutions and products by the names that a reader knows best."""
    stored = {tensor.name for tensor in graph.initializer}
    return [called(node, stored)[0] for node in graph.node if node.op_type in operators.FLOATING]


def _alike(kind: str) -> frozenset[str]:
    return _PRODUCTS if kind in _PRODUCTS else frozenset({kind})


def _wanted(how: Format, reached: Collection[str]) -> list[str]:
    """Of the kinds of operator that the quantizer reaches, those that the recipe asks for."""
    asked = frozenset[str]().union(*map(_alike, how.operators)) or frozenset(reached)
    return sorted(asked & set(reached))


def _static(
    prepared: Path,
    made: Path,
    how: Format,
    fed: list[Feeds],
    mended: Mended,
    folder: Path,
    learned: Mapping[str, Range],
) -> None:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    reached = _wanted(how, {*QDQRegistry, *QLinearOpsRegistry} - _IN_FLOAT)
    found = ranges(prepared, folder, reached, how.observer or "minmax", fed)
    graph = load_model_with_shape_infer(prepared)
    mended.left |= masks(graph, extremes(found))
    types = {False: QuantType.QInt8, True: QuantType.QUInt8}
    told: dict[str, dict[str, Any]] = {name: {"quant_type": types[active]} for name, active in mended.by_tensor.items()}
    for name, each in learned.items():
        told[name] = {"rmin": np.array(each.lowest, np.float32), "rmax": np.array(each.highest, np.float32)}
    quantizer = QDQQuantizer(
        graph,
        per_channel=how.weights.scales == "channel",
        reduce_range=_narrow(how),
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=found,
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(mended.left),
        op_types_to_quantize=reached,
        extra_options={"TensorQuantOverrides": {name: [each] for name, each in told.items()}},
    )
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(str(made), False)


def _dynamic(prepared: Path, made: Path, how: Format, mended: Mended) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.registry import IntegerOpsRegistry

    quantize_dynamic(
        str(prepared),
        str(made),
        op_types_to_quantize=_wanted(how, IntegerOpsRegistry if how.operators else _DYNAMIC),
        per_channel=how.weights.scales == "channel",
        reduce_range=_narrow(how),
        weight_type=QuantType.QInt8,
        nodes_to_exclude=sorted(mended.left),
    )


def _narrow(how: Format) -> bool:
    """Whether weights keep to seven bits. Without VNNI, x86 multiplies unsigned by signed bytes with VPMADDUBSW, whose
    sums of two products end at 16 bits: 2 * 255 * 127 does not fit, 2 * 255 * 64 does."""
    return how.weights.type == "int7"


def _weights_alone(
    graph: Any, made: Path, how: Format, mended: Mended, fed: list[Feeds], changed: dict[str, Any]
) -> None:
    bits = int(how.weights.type.removeprefix("int"))

    def correct(weights: Mapping[str, groups.Weight]) -> None:
        changed["rounding"] = gptq.correct(graph, weights, bits, fed, made.parent)

    correction = correct if how.rounding == "gptq" else None
    groups.pack(graph, bits, how.weights.group or 0, _wanted(how, groups.REACHED), mended.left, correction)
    made.write_bytes(graph.SerializeToString())


def _keep_apart(graph: Any, left: Collection[str]) -> None:
    """Put a maximum of one thing between what stays in floating point and a quantizer behind it: directly between
    quantizers, ONNX Runtime makes integers of its weights when it opens the file. (An Identity there it takes out.)"""
    from onnx import helper

    making = makers(graph)
    for position in reversed(range(len(graph.node))):
        quantizer = graph.node[position]
        if quantizer.op_type != "QuantizeLinear":
            continue
        maker = making.get(quantizer.input[0])
        while maker is not None and maker.op_type in CLIPPING:
            maker = making.get(maker.input[0])
        if maker is not None and maker.name in left and maker.op_type in _TAKEN_OVER:
            name = f"{quantizer.name}_apart"
            apart = helper.make_node("Max", [quantizer.input[0]], [name], name)
            quantizer.input[0] = name
            graph.node.insert(position, apart)


def _told(made: Any, how: Format, mended: Mended) -> dict[str, Any]:
    """The products that stay in floating point, by reason, and what else is to be known of how it was made."""
    standing = {node.name: node.op_type for node in made.graph.node if node.name in mended.left}
    reasons = {name: mended.left[name] for name in standing}
    for node, on_integers in zip(made.graph.node, operators.on_integers(made), strict=True):
        if node.op_type in operators.FLOATING and not on_integers:
            standing[node.name] = node.op_type
            reasons.setdefault(node.name, _UNREACHED[how.ranges])
    left: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        left.setdefault(reason, []).append(f"{standing[name]} {name}")
    left |= _held(made.graph)
    told: dict[str, Any] = {"left in float": left} if left else {}
    if mended.by_tensor and how.ranges == "static" and how.weights.scales == "channel":
        told["one scale for the tensor"] = list(mended.by_tensor)
    return told


def _held(graph: Any) -> dict[str, list[str]]:
    """Convolutions and products in the graphs that nodes hold, by what they stand within: no quantizer looks there."""
    held: dict[str, list[str]] = {}
    for holder in graph.node:
        for node in (node for part in within(holder) for node in part.node if node.op_type in operators.FLOATING):
            reason = f"it stands within the {holder.op_type} `{holder.name or holder.output[0]}`"
            held.setdefault(reason, []).append(f"{node.op_type} {node.name or node.output[0]}")
    return held


def _nothing(model: Any, how: Format, mended: Mended) -> str:
    counts = Counter(node.op_type for node in model.graph.node if node.op_type in operators.FLOATING)
    has = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    if how.exceptions or how.operators:
        return (
            f"quantize changed nothing: the graph has {has}, and what `exclude` and `operators` leave of that ONNX "
            "Runtime does not quantize"
        )
    if how.ranges is None:
        reasons = ", ".join(sorted(set(mended.left.values()))) or _UNREACHED[None]
        return f"quantizing weights alone changed nothing: the graph has {has}; {reasons}"
    if how.ranges == "dynamic":
        return (
            "dynamic quantization changed nothing: it reaches MatMul, Gemm and LSTM with constant weights, and the "
            f"graph has {has}; use `method: static`"
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
