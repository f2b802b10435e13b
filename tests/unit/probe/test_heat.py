"""How hot a machine is, where it has zones and where it has sensors alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight_probe import heat, sysfs

ZONES = {"thermal/thermal_zone0/temp": "27800", "thermal/thermal_zone1/temp": "54000"}
# of a desktop: its disk, the board, the processor, whose hottest of three sensors counts
SENSORS = {
    "hwmon/hwmon0/name": "nvme",
    "hwmon/hwmon0/temp1_input": "70000",
    "hwmon/hwmon1/name": "k10temp",
    "hwmon/hwmon1/temp1_input": "61250",
    "hwmon/hwmon1/temp3_input": "9000",
    "hwmon/hwmon1/temp4_input": "garbage",
    "hwmon/hwmon2/name": "nct6775",
    "hwmon/hwmon2/temp1_input": "90000",
}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({**ZONES, **SENSORS}, "27800"),
        ({**ZONES, "thermal/thermal_zone0/temp": ""}, "54000"),
        ({"thermal/thermal_zone10/temp": "1", "thermal/thermal_zone2/temp": "2"}, "2"),
        (SENSORS, "61250"),
        ({"hwmon/hwmon0/name": "acpitz", "hwmon/hwmon0/temp1_input": "20000"}, None),
        ({}, None),
    ],
    ids=["zones", "a-zone-that-does-not-answer", "in-order", "sensors", "of-something-else", "nothing"],
)
def test_zones_and_without_them_the_processors_sensor(tmp_path: Path, files: dict[str, str], told: str | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert heat.millicelsius(tmp_path) == told


def test_what_is_no_text_is_no_end_of_it(tmp_path: Path) -> None:
    """As a board's table of its own name may be."""
    (tmp_path / "model").write_bytes(b"Board \xff\xfe 3\0\n")
    assert str(sysfs.value(tmp_path / "model")).startswith("Board ")
    assert sysfs.value(tmp_path / "missing") is None
