"""This machine as a device: files stay where they are, programs run beside us."""

import sys
from pathlib import Path

from makeweight.devices.device import DeviceOptions
from makeweight.devices.local import Local

DEVICE = Local("here", DeviceOptions())


def test_a_file_is_there_already(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"m")
    assert DEVICE.put(file, tmp_path / "weights.bin") == str(file)
    DEVICE.get(str(file), file)
    DEVICE.get(str(file), tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx").read_bytes() == file.read_bytes() == b"m"


def test_how_a_program_ended_is_told() -> None:
    ended = DEVICE.run([sys.executable, "-c", "import sys; sys.exit('out of breath')"])
    assert (ended.code, ended.said) == (1, "out of breath\n")
    assert DEVICE.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]).code == -9
