"""NNCF's quantization after training, for ONNX Runtime, by its defaults.

    python peer_nncf.py BASELINE.onnx DATA FOLDER

writes FOLDER/ptq.onnx. Nothing is trained.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nncf
import onnx
from pictures import CALIBRATED, calibration


def main() -> None:
    baseline, data, folder = map(Path, sys.argv[1:])
    examples = nncf.Dataset(list(calibration(data, batch=1)), lambda image: {"image": image})
    made = nncf.quantize(onnx.load(str(baseline)), examples, subset_size=CALIBRATED)
    onnx.save(made, str(folder / "ptq.onnx"))


if __name__ == "__main__":
    main()
