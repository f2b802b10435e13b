"""ONNX Runtime's own static quantizer, as its documentation has it: preprocessed, ranges by least and most seen.

    python peer_onnxruntime.py BASELINE.onnx DATA FOLDER

writes FOLDER/qdq.onnx and FOLDER/qoperator.onnx, the two forms that it offers. Nothing is trained.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from pictures import calibration

FORMS = {"qdq": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}


class Reader:
    """Calibration examples, as quantize_static asks for them."""

    def __init__(self, data: Path) -> None:
        self._batches = iter(calibration(data))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def main() -> None:
    baseline, data, folder = map(Path, sys.argv[1:])
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(baseline), str(prepared))
    for name, form in FORMS.items():
        quantize_static(
            str(prepared),
            str(folder / f"{name}.onnx"),
            Reader(data),
            quant_format=form,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    prepared.unlink()


if __name__ == "__main__":
    main()
