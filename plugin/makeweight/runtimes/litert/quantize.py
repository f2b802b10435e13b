"""Fewer bits, by LiteRT's own quantizer: integers, or weights in float16.

Static ranges are the least and the greatest of all calibration examples. The quantizer's default is a moving average,
which cuts the ends off. Inputs and outputs stay floating point. https://github.com/google-ai-edge/ai-edge-quantizer
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from makeweight.artifact.model import Model
from makeweight.runtimes import environment
from makeweight.runtimes.batches import batches
from makeweight.runtimes.format import FLOAT16, Format
from makeweight.runtimes.layers import fits, told_of, unfit
from makeweight.runtimes.litert import graph, refusal
from makeweight.runtimes.runtime import Examples, RecipeFailed
from makeweight_base.quiet import silent

# As the quantizer calls what has another name in a file.
_ALIASES = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}
_UNREACHED = "LiteRT's quantizer does not reach it"
_UNGROUPED = "LiteRT has weights in groups for FULLY_CONNECTED alone"
_EXCLUDED, _UNNAMED = "`exclude` names it", "`operators` does not name it"


def quantize(
    model: Model, target: Path, how: Format, calibration: Examples | None, notes: dict[str, Any] | None = None
) -> None:
    """Write a model in `how` to `target`; `calibration` is read where the format calibrates. Two runs give the same
    bytes.

    Args:
        notes: hears which products stay in floating point and why.

    Raises:
        UsageError: the examples do not fit the model.
        RecipeFailed: the file is quantized already, or holds nothing that this format reaches.
    """
    before = graph.load(model.path)
    _refuse_quantized(before)
    left = _left_out(before, how)
    fed = batches(model.inputs, calibration, 1) if how.calibrates and calibration else []
    with silent(), environment.translated(lambda error: _failed(error, before)):
        content = _quantized(model.path, before, how, left, fed)
    target.write_bytes(content)
    after = graph.load(target)
    _keep_free(before, after)
    graph.write(after, target)
    if not _changed(after, how):
        raise RecipeFailed(_nothing(before, how))
    if (now := graph.stored(after)) > (was := graph.stored(before)):
        raise RecipeFailed(
            f"{how} would make it larger: what it stores would take {now:,} bytes, and takes {was:,} now"
        )
    if notes is not None and how != FLOAT16:
        notes |= _told(after, how, left)


def _quantized(path: Path, model: Any, how: Format, left: Collection[str], fed: Collection[Any]) -> bytes:
    from ai_edge_quantizer import calibrator, quantizer
    from ai_edge_quantizer.utils import qsv_utils

    quantizing = quantizer.Quantizer(str(path), _recipe(how, left))
    ranges = None
    if fed:
        seeing = calibrator.Calibrator(str(path), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        signature = graph.text(model.signatureDefs[0].signatureKey) if model.signatureDefs else None
        seeing.calibrate({signature: fed}, quantizing._recipe_manager)
        ranges = seeing.get_model_qsvs()
    made = quantizing.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(made.quantized_model)


def _recipe(how: Format, left: Collection[str]) -> Any:
    """The format in the quantizer's words; of two entries that fit an operator the later counts."""
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    recipe = recipe_manager.RecipeManager()
    everything = TFLOperationName.ALL_SUPPORTED
    reached = [TFLOperationName(_ALIASES.get(name, name)) for name in how.operators] or [everything]
    granularity = {
        "tensor": QuantGranularity.TENSORWISE,
        "channel": QuantGranularity.CHANNELWISE,
        "group": getattr(QuantGranularity, f"BLOCKWISE_{how.weights.group}", None),
    }[how.weights.scales]
    bits = 4 if how.weights.type == "int4" else 8
    if how == FLOAT16:
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        recipe.add_quantization_config(".*", everything, config, AlgorithmName.FLOAT_CASTING)
    for operation in reached if how != FLOAT16 else ():
        if how.ranges == "static":
            recipe.add_static_config(".*", operation, 8, bits, granularity)
        elif how.ranges == "dynamic":
            recipe.add_dynamic_config(".*", operation, bits, granularity)
        else:
            recipe.add_weight_only_config(".*", operation, bits, granularity)
    for port in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        recipe.add_quantization_config(".*", port, algorithm_key=AlgorithmName.NO_QUANTIZE)
    for name in sorted(left):
        recipe.add_quantization_config(f"^{re.escape(name)};", everything, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return recipe.get_quantization_recipe()


def _refuse_quantized(model: Any) -> None:
    for each in model.subgraphs:
        for tensor in each.tensors:
            kind, name = graph.kind(tensor), graph.text(tensor.name)
            scaled = tensor.quantization is not None and tensor.quantization.scale is not None
            if kind in graph.INTEGERS and scaled and len(tensor.quantization.scale):
                raise RecipeFailed(f"the file is quantized already: `{name}` is {kind.lower()}")
            if kind == "FLOAT16" and graph.constant(model, tensor):
                raise RecipeFailed(f"the file has been lowered already: `{name}` is float16")


def _left_out(model: Any, how: Format) -> set[str]:
    """The layers that are to stay in floating point.

    Raises:
        RecipeFailed: a pattern or a kind of operator fits nothing.
    """
    layers = [graph.layer(each, node) for each, node, _ in graph.products(model)]
    found: set[str] = set()
    for pattern, _ in how.exceptions:
        fitting = [layer for layer in layers if fits(pattern, layer)]
        if not fitting:
            raise RecipeFailed(unfit(pattern, layers))
        found |= set(fitting)
    if how.operators:
        kinds = sorted({graph.operator(model, node) for _, node in graph.nodes(model)})
        if odd := [kind for kind in how.operators if kind not in kinds]:
            raise RecipeFailed(f"`operators` names {', '.join(odd)}, and the graph has {', '.join(kinds) or 'none'}")
    return found


def _failed(error: Exception, model: Any) -> RecipeFailed:
    layers = told_of([graph.layer(each, node) for each, node, _ in graph.products(model)])
    return RecipeFailed(
        f"LiteRT's quantizer failed: {refusal.reason(error)}; `exclude: [NAME]` leaves a layer in floating point "
        f"({layers})"
    )


def _keep_free(before: Any, after: Any) -> None:
    """The quantizer makes new tensors of outputs, and forgets which sizes they leave free."""
    for was, now in zip(before.subgraphs, after.subgraphs, strict=True):
        for old, new in ((was.inputs, now.inputs), (was.outputs, now.outputs)):
            for one, other in zip(old, new, strict=True):
                now.tensors[other].shapeSignature = was.tensors[one].shapeSignature


def _changed(model: Any, how: Format) -> bool:
    if how == FLOAT16 or how.ranges is None:
        kinds = {"FLOAT16"} if how == FLOAT16 else graph.INTEGERS
        tensors = (tensor for each in model.subgraphs for tensor in each.tensors)
        return any(graph.kind(tensor) in kinds and graph.constant(model, tensor) for tensor in tensors)
    return any(graph.on_integers(each, node, name) for each, node, name in graph.products(model))


def _nothing(model: Any, how: Format) -> str:
    kinds = sorted({name for _, _, name in graph.products(model)})
    has = ", ".join(kinds) or "no convolution and no product"
    if how.exceptions or how.operators:
        return (
            f"quantize changed nothing: the graph has {has}, and what `exclude` and `operators` leave of that LiteRT's "
            "quantizer does not reach"
        )
    return f"{how} changed nothing: the graph has {has}, and LiteRT's quantizer reaches none of them"


def _told(model: Any, how: Format, left: Collection[str]) -> dict[str, Any]:
    """The products that stay in floating point, by reason."""
    told: dict[str, dict[str, list[str]]] = {}
    unreached = _UNGROUPED if how.weights.scales == "group" else _UNREACHED
    for each, node, name in graph.products(model):
        layer = graph.layer(each, node)
        stored = how.ranges is None and _dequantized(model, each, node, name)
        if not stored and not graph.on_integers(each, node, name):
            reason = (
                _EXCLUDED if layer in left else _UNNAMED if how.operators and name not in how.operators else unreached
            )
            told.setdefault("left in float", {}).setdefault(reason, []).append(f"{name} {layer}")
    return dict(told)


def _dequantized(model: Any, each: Any, node: Any, name: str) -> bool:
    """Whether a weight is stored in integers, and made floating point where it is used."""
    weight = node.inputs[graph.WEIGHT_AT[name]]
    return any(
        graph.operator(model, other) == "DEQUANTIZE" and weight in other.outputs for other in each.operators or ()
    )
