"""What ExecuTorch is offered is told when a configuration is read, with the way out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from makeweight.runtimes.executorch.runtime import Executorch
from makeweight.runtimes.format import FLOAT32, Format, Numbers

INT8, BY_CHANNEL = Numbers("int8"), Numbers("int8", "channel")
STATIC = Format(BY_CHANNEL, INT8, "static", "minmax")
FOUR = Numbers("int4", "group", 32)


@pytest.mark.parametrize(
    "format",
    [
        pytest.param(FLOAT32, id="float32"),
        pytest.param(STATIC, id="static-by-channel"),
        pytest.param(Format(INT8, INT8, "static", "mse"), id="static-by-tensor"),
        pytest.param(Format(BY_CHANNEL, INT8, "learned", "mse"), id="learned"),
        pytest.param(Format(BY_CHANNEL, INT8, "dynamic"), id="dynamic"),
        pytest.param(Format(FOUR, INT8, "dynamic"), id="dynamic-four-bits"),
        pytest.param(Format(BY_CHANNEL, INT8, "static", "minmax", (("head", FLOAT32),)), id="with-a-layer-in-float"),
    ],
)
def test_a_module_is_lowered_in(format: Format) -> None:
    assert Executorch().objection(format, "module") is None


@pytest.mark.parametrize(
    ("format", "says"),
    [
        pytest.param(Format(Numbers("float16"), Numbers("float16")), "in float32, and gains nothing", id="float16"),
        pytest.param(Format(FOUR), "use `method: dynamic`", id="weights-alone"),
        pytest.param(Format(BY_CHANNEL, INT8, "static", "entropy"), "calibrate: mse", id="entropy"),
        pytest.param(Format(BY_CHANNEL, INT8, "static", "minmax", equalized=True), "equalize", id="equalized"),
        pytest.param(Format(BY_CHANNEL, INT8, "static", "minmax", biases_corrected=True), "correct_bias", id="biases"),
        pytest.param(Format(Numbers("int4", "group", 48), INT8, "dynamic"), "multiple of 32", id="odd-groups"),
        pytest.param(Format(codebook=4), "drop `cluster`", id="table"),
    ],
)
def test_a_module_is_refused(format: Format, says: str) -> None:
    assert says in (Executorch().objection(format, "module") or "")


def test_a_program_is_taken_as_it_is_and_never_quantized_again() -> None:
    assert Executorch().objection(FLOAT32, "graph") is None
    assert "model.build" in (Executorch().objection(STATIC, "graph") or "")


def test_reading_a_configuration_loads_no_runtime() -> None:
    code = (
        "import sys; from makeweight import registry\n"
        "for name in registry.names('runtime'): registry.load('runtime', name)().version()\n"
        "print(sorted({'torch', 'executorch', 'torchao', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
