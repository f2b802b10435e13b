"""This machine as a device: files stay where they are, programs run beside us."""

import sys
from pathlib import Path

import pytest

import timing_programs
from makeweight.bench import probe
from makeweight.devices.device import DeviceFailed, DeviceOptions
from makeweight.devices.local import Local
from makeweight_probe.job import FactsJob

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


def test_an_answer_that_is_garbage_is_told_as_that(tmp_path: Path) -> None:
    """As of a disk that is broken, or of code of the user's that writes there."""
    device = Local("here", DeviceOptions())
    device.python = (str(timing_programs.program(tmp_path / "python", 'for last; do :; done\necho x > "$last"\n')),)
    with pytest.raises(DeviceFailed, match=r"device `here`: what the measuring process answered cannot be read: .*zip"):
        probe.run(device, FactsJob(), print)
