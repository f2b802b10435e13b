"""Number formats: what they say of themselves, and which of them ONNX Runtime offers."""

from __future__ import annotations

import pytest

from makeweight.compress.bfloat16 import Bfloat16
from makeweight.compress.float16 import Float16
from makeweight.compress.quantize import Quantize
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime

INT8 = Numbers("int8", "channel")
STATIC = Format(INT8, Numbers("int8"), "static", "entropy")
WEIGHT_ONLY = Format(weights=Numbers("int4", "group", 32))
UNEVEN, SMALL = Format(Numbers("int8", "group", 48)), Format(Numbers("int4", "group", 8))
# what later formats will say, in the same words
LEARNED = Format(INT8, Numbers("int8"), "learned")
ROUNDED = Format(INT8, Numbers("int8"), "static", "minmax", rounding="gptq")
SHARED = Format(Numbers("bfloat16"), codebook=4)
EQUALIZED = Format(INT8, Numbers("int8"), "dynamic", equalized=True)
MIXED = Format(INT8, Numbers("int8"), "dynamic", exceptions=(("head.*", Format(Numbers("float16"))),))
CALIBRATED_BY_LAYER = Format(exceptions=(("body.*", STATIC),))


@pytest.mark.parametrize(
    ("format", "told", "calibrates"),
    [
        (FLOAT32, "float32", False),
        (Float16().format(Float16.Options()), "float16", False),
        (Bfloat16().format(Bfloat16.Options()), "bfloat16 weights alone", False),
        (Quantize().format(Quantize.Options(calibrate="entropy")), "int8, static", True),
        (Quantize().format(Quantize.Options(method="dynamic")), "int8, dynamic", False),
        (
            Quantize().format(Quantize.Options(method="weights", rounding="gptq")),
            "int8 by group of 32 weights alone, rounded by gptq",
            True,
        ),
        (WEIGHT_ONLY, "int4 by group of 32 weights alone", False),
        (LEARNED, "int8, learned", True),
        (MIXED, "int8, dynamic, with exceptions by layer", False),
        (Quantize().format(Quantize.Options(operators=("Conv", "Gemm"))), "int8, static, of Conv, Gemm alone", True),
        (
            Quantize().format(Quantize.Options(equalize=True, correct_bias=True)),
            "int8, static, equalized, biases corrected",
            True,
        ),
        (CALIBRATED_BY_LAYER, "float32, with exceptions by layer", True),
    ],
    ids=str,
)
def test_a_format_tells_what_it_is_and_whether_it_reads_examples(format: Format, told: str, calibrates: bool) -> None:
    assert str(format) == told
    assert format.calibrates == calibrates


def test_the_options_of_quantize_are_a_format() -> None:
    assert Quantize().format(Quantize.Options(calibrate="entropy")) == STATIC
    tensor = Quantize().format(Quantize.Options(method="dynamic", per_channel=False))
    assert tensor == Format(Numbers("int8"), Numbers("int8"), "dynamic")
    assert Quantize().format(Quantize.Options(method="weights", bits=4)) == WEIGHT_ONLY


@pytest.mark.parametrize("source", ["module", "graph"])
@pytest.mark.parametrize(
    "format",
    [
        FLOAT32,
        Float16().format(Float16.Options()),
        Bfloat16().format(Bfloat16.Options()),
        STATIC,
        Quantize().format(Quantize.Options(method="dynamic")),
        Quantize().format(Quantize.Options(equalize=True, correct_bias=True)),
        Quantize().format(Quantize.Options(exclude=("head",), operators=("Conv",))),
        WEIGHT_ONLY,
        Quantize().format(Quantize.Options(method="weights", group=128, exclude=("head",))),
        Quantize().format(Quantize.Options(method="weights", rounding="gptq")),
    ],
    ids=str,
)
def test_onnx_runtime_offers_integers_of_all_layers_or_of_some(format: Format, source: object) -> None:
    assert OnnxRuntime().objection(format, source) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("format", [UNEVEN, SMALL, LEARNED, ROUNDED, EQUALIZED, MIXED, CALIBRATED_BY_LAYER], ids=str)
def test_what_it_does_not_offer_is_refused_by_its_name(format: Format) -> None:
    assert str(OnnxRuntime().objection(format, "module")).endswith(f"and not {format}")


def test_shared_values_are_not_stored_in_bfloat16() -> None:
    assert "keep `cluster` or `bfloat16`" in str(OnnxRuntime().objection(SHARED, "graph"))
