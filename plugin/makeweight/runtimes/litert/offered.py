"""The formats that LiteRT is offered here. It is asked whenever a configuration is read, and loads nothing."""

from __future__ import annotations

from makeweight.runtimes.format import FLOAT16, FLOAT32, FLOATING, Format, Numbers, SourceKind

GROUPS = (32, 64, 128, 256)
"""How many weights may share a scale."""


def objection(format: Format, source: SourceKind) -> str | None:
    """Why it cannot be had; None: it can."""
    del source  # formats go from file to file
    weights = format.weights
    if format.codebook is not None:
        return "a LiteRT file stores weights as they are, and has no table of their values; drop `cluster`"
    if format.ranges == "learned":
        return "LiteRT's quantizer takes ranges from calibration examples, and none that were learned; use `quantize`"
    if format.equalized or format.biases_corrected:
        return f"`{'equalize' if format.equalized else 'correct_bias'}` is not offered for LiteRT; drop it"
    if format.rounding != "nearest":
        return f"`rounding: {format.rounding}` is not offered for LiteRT; drop it"
    if format.observer not in (None, "minmax"):
        return f"LiteRT's quantizer has `calibrate: minmax`, and not `{format.observer}`"
    if weights.scales == "group" and weights.type == "int8":
        return "LiteRT has groups of 4-bit weights alone; 8 bits have a scale for each channel: `group: channel`"
    if weights.scales == "group" and format.ranges is None:
        return (
            "LiteRT has 4-bit weights in groups beside activations in 8 bits alone (`method: dynamic`); beside "
            "floating point they have a scale for each channel: `group: channel`"
        )
    if weights.scales == "group" and weights.group not in GROUPS:
        return f"LiteRT has groups of {', '.join(map(str, GROUPS))} weights, and not of {weights.group}"
    excluding = all(other == FLOAT32 for _, other in format.exceptions)
    if excluding and (format in (FLOAT32, FLOAT16) or _integers(format)):
        return None
    offered = (
        "float32, float16, int8 (static or dynamic), int4 (dynamic) and int8 or int4 weights alone by channel (with "
        "layers left in float32)"
    )
    return f"LiteRT is offered {offered}, and not {format}"


def _integers(how: Format) -> bool:
    weights = how.weights
    if how.ranges is None:
        return weights.type in ("int8", "int4") and how.activations == FLOATING
    if how.activations != Numbers("int8"):
        return False
    return weights.type == "int8" or (weights.type == "int4" and how.ranges == "dynamic")
