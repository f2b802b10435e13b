"""What LiteRT is offered is known without LiteRT; what it is not is refused with the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from makeweight.runtimes.format import FLOAT16, FLOAT32, Format, Numbers
from makeweight.runtimes.litert.offered import objection

STATIC = Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax")
DYNAMIC = Format(Numbers("int8", "channel"), Numbers("int8"), "dynamic")
GROUPED = Format(Numbers("int4", "group", 32), Numbers("int8"), "dynamic")


@pytest.mark.parametrize(
    "format",
    [
        FLOAT32,
        FLOAT16,
        STATIC,
        replace(STATIC, weights=Numbers("int8")),
        replace(STATIC, exceptions=(("head", FLOAT32),), operators=("CONV_2D",)),
        DYNAMIC,
        GROUPED,
        Format(Numbers("int4", "channel"), Numbers("int8"), "dynamic"),
        Format(Numbers("int8", "channel")),
        Format(Numbers("int4", "channel")),
    ],
    ids=str,
)
def test_offered(format: Format) -> None:
    assert objection(format, "module") is None
    assert objection(format, "graph") is None


@pytest.mark.parametrize(
    ("format", "says"),
    [
        (Format(Numbers("bfloat16")), "and not bfloat16"),
        (replace(FLOAT32, codebook=4), "drop `cluster`"),
        (replace(STATIC, ranges="learned"), "none that were learned; use `quantize`"),
        (replace(STATIC, equalized=True), "`equalize` is not offered"),
        (replace(STATIC, biases_corrected=True), "`correct_bias` is not offered"),
        (replace(STATIC, observer="entropy"), "has `calibrate: minmax`, and not `entropy`"),
        (replace(STATIC, exceptions=(("head", FLOAT16),)), "with layers left in float32"),
        (replace(STATIC, weights=Numbers("int4", "channel")), "and not int4, static"),
        (Format(Numbers("int8", "group", 32)), "`group: channel`"),
        (Format(Numbers("int4", "group", 32)), "`method: dynamic`"),
        (replace(GROUPED, weights=Numbers("int4", "group", 16)), "groups of 32, 64, 128, 256 weights, and not of 16"),
        (replace(FLOAT32, rounding="gptq"), "`rounding: gptq` is not offered"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_with_a_way_out(format: Format, says: str) -> None:
    assert says in str(objection(format, "module"))
