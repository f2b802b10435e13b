"""The formats that ONNX Runtime is offered here. It is asked whenever a configuration is read, and loads nothing."""

from __future__ import annotations

from dataclasses import replace

from makeweight.runtimes.format import FLOAT32, Format, Numbers

FLOAT16 = Format(Numbers("float16"), Numbers("float16"))


def objection(format: Format) -> str | None:
    """Why it cannot be had; None: it can."""
    numbers = replace(format, codebook=None)
    if format.codebook is not None and format.codebook > 4 and numbers.weights.type == "int8":
        return (
            f"an index of {format.codebook} bits takes a byte in an ONNX file, and so does an int8 weight; cluster to "
            "4 bits, or keep one of the two"
        )
    if numbers in (FLOAT32, FLOAT16) or _eight_bits(numbers):
        return None
    offered = "float32, float16, and int8 (static or dynamic; with layers left in float32)"
    return f"ONNX Runtime is offered {offered}, and not {format}"


def _eight_bits(how: Format) -> bool:
    """What `quantize.py` writes: 8-bit weights and activations, the ranges static or found at run time."""
    eight = how.weights.type == how.activations.type == "int8" and how.weights.group is None
    observed = how.observer is not None if how.ranges == "static" else how.ranges == "dynamic"
    excluding = all(other == FLOAT32 for _, other in how.exceptions)
    return eight and how.activations.scales == "tensor" and observed and excluding
