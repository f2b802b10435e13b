"""The formats that ONNX Runtime is offered here. It is asked whenever a configuration is read, and loads nothing."""

from __future__ import annotations

from dataclasses import replace

from makeweight.runtimes.format import FLOAT16, FLOAT32, FLOATING, Format, Hashed, Numbers, SourceKind

BFLOAT16 = Format(Numbers("bfloat16"))
"""Stored, and computed with in float32."""
_IN_A_BYTE = ("int8", "int7")


def objection(format: Format, source: SourceKind) -> str | None:
    """Why it cannot be had; None: it can."""
    numbers = replace(format, codebook=None)
    if isinstance(format.codebook, Hashed):
        if numbers not in (FLOAT32, FLOAT16):
            return (
                f"what a hash ties are floating-point values, and as {numbers.weights.type} each channel has its own; "
                "keep `cluster` or that format"
            )
        return None
    if format.codebook is not None and numbers.weights.scales == "group":
        return (
            f"{numbers.weights.type} weights in groups are indices already, and have no use for a table of "
            f"{format.codebook} bits; keep `cluster` or `quantize`"
        )
    if format.codebook is not None and format.codebook > 4 and numbers.weights.type in _IN_A_BYTE:
        return (
            f"an index of {format.codebook} bits takes a byte in an ONNX file, and so does an {numbers.weights.type} "
            "weight; cluster to 4 bits, or keep one of the two"
        )
    if format.codebook is not None and numbers == BFLOAT16:
        return "a table and indices are float32 numbers, and gain nothing by bfloat16; keep `cluster` or `bfloat16`"
    if format.ranges == "learned" and source == "graph":
        return "ranges are learned in the training of a module, and a file has none"
    if numbers in (FLOAT32, FLOAT16, BFLOAT16) or _eight_bits(numbers) or _weights_alone(numbers):
        return None
    offered = (
        "float32, float16, bfloat16 weights, int8 or int7 (static, learned or dynamic) and int8 or int4 weights alone "
        "in groups of a power of two from 16 (with layers left in float32)"
    )
    return f"ONNX Runtime is offered {offered}, and not {format}"


def _eight_bits(how: Format) -> bool:
    """8-bit weights and activations, the ranges static, learned or found at run time, by ONNX Runtime's quantizer."""
    eight = how.weights.type in _IN_A_BYTE and how.activations.type == "int8" and how.weights.group is None
    if how.ranges == "static":
        observed = how.observer is not None
    else:
        begun = how.ranges == "dynamic" or (how.ranges == "learned" and how.observer is not None)
        observed = begun and not _adjusted(how)
    return eight and how.rounding == "nearest" and how.activations.scales == "tensor" and observed and _excluding(how)


def _weights_alone(how: Format) -> bool:
    """What `groups.py` packs."""
    group, weights = how.weights.group or 0, how.weights
    packed = weights.type in ("int8", "int4") and weights.scales == "group" and group >= 16 and group.bit_count() == 1
    alone = how.activations == FLOATING and how.ranges is None and how.observer is None and not _adjusted(how)
    return packed and alone and _excluding(how)


def _adjusted(how: Format) -> bool:
    """What is done to the weights and biases of static quantization alone."""
    return how.equalized or how.biases_corrected


def _excluding(how: Format) -> bool:
    return all(other == FLOAT32 for _, other in how.exceptions)
