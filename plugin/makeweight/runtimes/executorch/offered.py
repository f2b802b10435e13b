"""The formats that ExecuTorch is offered here. It is asked whenever a configuration is read, and loads nothing."""

from __future__ import annotations

from makeweight.runtimes.format import FLOAT32, Format, Numbers, SourceKind

# Groups of weights that XNNPACK has scales for are multiples of this.
_GROUP = 32


def objection(format: Format, source: SourceKind) -> str | None:
    """Why it cannot be had; None: it can."""
    if source == "graph":
        return _of_program(format)
    if format.codebook is not None:
        return "an ExecuTorch program stores weights as they are, and has no table of their values; drop `cluster`"
    if format == FLOAT32:
        return None
    if format.weights.type in ("float16", "bfloat16"):
        return f"ExecuTorch stores {format.weights.type} weights for XNNPACK in float32, and gains nothing by them"
    if format.ranges is None and format.weights.type.startswith("int"):
        return (
            "XNNPACK has no integer weights beside activations in floating point; use `method: dynamic`, which has "
            "weights of 8 bits, or of 4 in groups"
        )
    if format.equalized or format.biases_corrected:
        return f"{'equalize' if format.equalized else 'correct_bias'} is not offered for ExecuTorch; drop it"
    if format.observer == "entropy":
        return "the search for least information lost is ONNX Runtime's own; use `calibrate: mse` or `percentile`"
    if _eight_bits(format) or four_bits(format):
        return None
    offered = (
        "float32, int8 (static, learned or dynamic) and int4 weights in groups of a multiple of "
        f"{_GROUP} beside dynamic int8 activations (with layers left in float32)"
    )
    return f"ExecuTorch is offered {offered}, and not {format}"


def four_bits(how: Format) -> bool:
    """Whether it is weights of 4 bits in groups, beside activations of 8 whose ranges are found at run time."""
    group = how.weights.group or 0
    packed = how.weights.type == "int4" and how.weights.scales == "group" and group > 0 and group % _GROUP == 0
    return packed and how.ranges == "dynamic" and how.activations == Numbers("int8") and _excluding(how)


def _eight_bits(how: Format) -> bool:
    eight = how.weights.type == "int8" and how.weights.group is None and how.activations == Numbers("int8")
    return eight and how.ranges is not None and (how.ranges == "dynamic") == (how.observer is None) and _excluding(how)


def _excluding(how: Format) -> bool:
    return how.rounding == "nearest" and all(other == FLOAT32 for _, other in how.exceptions)


def _of_program(format: Format) -> str | None:
    if format == FLOAT32:
        return None
    return (
        f"an ExecuTorch program is finished, and cannot be lowered once more to {format}; declare the module that it "
        "was exported from, `model.build` and `model.weights`"
    )
