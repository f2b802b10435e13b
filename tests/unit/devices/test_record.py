"""A device's identity on file."""

from pathlib import Path

import pytest

from makeweight.devices import record
from makeweight.devices.record import Record
from makeweight.report.content import Machine
from makeweight.report.measuring import machine_line
from makeweight_base.errors import UsageError

OK = Record(status="ok", identity={"cpu": "µ-core", "isa": ["avx2"], "cores": 2, "runtimes": {"onnxruntime": "1.32.0"}})
GONE = Record(status="unreachable", reason="no route to host")


@pytest.mark.parametrize("told", [OK, GONE], ids=["ok", "unreachable"])
def test_a_record_survives_its_file(tmp_path: Path, told: Record) -> None:
    record.write(tmp_path / "pi5.json", told)
    assert record.read(tmp_path / "pi5.json") == told


def test_a_device_that_was_never_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pi5\.json: this device was never asked\n  Run `makeweight device pi5`\."):
        record.read(tmp_path / "pi5.json")


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pi5.json"
    record.write(path, OK)
    whole = path.read_text(encoding="utf-8")
    for text in (
        "",
        whole[: len(whole) // 2],
        "[]",
        "{}",
        whole.replace('"ok"', '"fine"'),
        whole.replace("identity", "who"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"pi5\.json: this is no record of a device"):
            record.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="this is no record of a device"):
        record.read(path)


def test_what_computes_in_the_processors_place_is_named() -> None:
    gpu = {"name": "NVIDIA L4", "driver": "550.54", "cuda": "12.4"}
    identity = {"cpu": "µ-core", "cores": 2, "machine": "x86_64", "emulated": False, "gpu": gpu}
    assert record.described(identity) == "µ-core, NVIDIA L4, 2 cores, x86_64"
    machine = Machine("gpu", "local", identity, {}, 1, None)
    assert machine_line(machine) == "µ-core · NVIDIA L4 (driver 550.54, CUDA 12.4) · 1 thread"
    jetson = Machine("gpu", "local", {**identity, "gpu": {**gpu, "driver": None}}, {}, 1, None)
    assert "NVIDIA L4 (CUDA 12.4)" in machine_line(jetson)
