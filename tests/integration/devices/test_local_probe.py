"""Jobs on this machine run in a process of their own; one that dies is told."""

import sys
from pathlib import Path

import pytest

from makeweight.devices.device import DeviceOptions
from makeweight.devices.local import Local
from makeweight_base.errors import DeviceFailed, Exit
from makeweight_probe.job import MemoryJob, Model

DEVICE = Local("here", DeviceOptions())
JOB = MemoryJob(Model("onnxruntime", "no-such-model.onnx"), "no-such-inputs.npz", 1)


def test_a_probe_that_fails_is_a_failed_device_with_its_last_words() -> None:
    with pytest.raises(DeviceFailed) as failed:
        DEVICE.run(JOB, print)
    assert failed.value.exit_code == Exit.ENVIRONMENT
    assert "device `here`: the measuring process ended with exit code 1: FileNotFoundError" in str(failed.value)


def test_a_probe_that_is_killed_is_told_by_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suicidal = tmp_path / "python"
    suicidal.write_text("#!/bin/sh\nkill -9 $$\n")
    suicidal.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(suicidal))
    with pytest.raises(DeviceFailed, match=r"ended with signal 9: it said nothing\n.*short of memory"):
        DEVICE.run(JOB, print)


def test_a_file_of_the_users_named_like_one_of_pythons_does_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('this is not the queue you look for')")
    (tmp_path / "numpy.py").write_text("raise RuntimeError('this is not the numpy you look for')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceFailed, match="FileNotFoundError"):
        DEVICE.run(JOB, print)
