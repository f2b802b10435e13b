"""Machines that slow down while they are measured: told from trees as Linux has them, and from a Pi's firmware."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import timing_programs
from makeweight_probe import slowing, throttling

CPU = "devices/system/cpu/cpu{}"


def written(root: Path, files: Mapping[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Two processors at their full clock, a warm zone below its trip, a fan that runs, a cooling device at rest."""
    files: dict[str, object] = {}
    for number in (0, 1):
        cpu = CPU.format(number)
        files |= {f"{cpu}/cpufreq/scaling_cur_freq": 1_500_000 + number, f"{cpu}/cpufreq/scaling_max_freq": 1_800_000}
        files |= {f"{cpu}/thermal_throttle/core_throttle_count": 2, f"{cpu}/thermal_throttle/package_throttle_count": 5}
    zone, other = "class/thermal/thermal_zone0", "class/thermal/thermal_zone1"
    files |= {f"{zone}/type": "cpu-thermal", f"{zone}/temp": 71_000}
    files |= {f"{zone}/trip_point_0_type": "passive", f"{zone}/trip_point_0_temp": 80_000}
    files |= {f"{zone}/trip_point_1_type": "critical", f"{zone}/trip_point_1_temp": 60_000}
    files |= {f"{other}/type": "acpitz", f"{other}/temp": 40_000}
    files |= {f"{other}/trip_point_0_type": "passive", f"{other}/trip_point_0_temp": -274_000}
    for number, (kind, at) in enumerate((("Fan", 3), ("cpufreq-cpu0", 0), ("intel_powerclamp", -1))):
        device = f"class/thermal/cooling_device{number}"
        files |= {f"{device}/type": kind, f"{device}/cur_state": at, f"{device}/max_state": 4}
    return written(tmp_path, files)


def conditions(
    root: Path, firmware: str | None = None, governor: str | None = None, used: list[int] | None = None
) -> dict[str, Any]:
    return {"governor": governor, "throttling": slowing.state(root, lambda: firmware, used)}


def test_a_board_at_its_usual_speed(board: Path) -> None:
    told = conditions(board)
    assert told["throttling"] == {
        "events": 2 + 2 + 5, "cooling": [], "hot": [], "firmware": None, "clock_khz": 1_500_001, "most_khz": 1_800_000,
    }  # fmt: skip
    assert throttling.objection(told, told) is None


def test_a_machine_that_tells_nothing_is_not_objected_to(tmp_path: Path) -> None:
    told = conditions(tmp_path)
    assert [name for name, value in told["throttling"].items() if value] == []
    assert throttling.objection(told, told) is None
    assert throttling.objection({}, {"throttling": None}) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({f"{CPU.format(1)}/thermal_throttle/core_throttle_count": 5}, "the processor was throttled 3 times"),
        (
            {f"{CPU.format(n)}/thermal_throttle/package_throttle_count": 6 for n in (0, 1)},
            "the processor was throttled 1 time",
        ),
        ({"class/thermal/cooling_device1/cur_state": 2}, "it was slowed down to cool it (cpufreq-cpu0 at 2 of 4)"),
        ({"class/thermal/thermal_zone0/temp": 80_000}, "it was too hot (cpu-thermal at 80 C, slowed from 80 C on)"),
        (
            {f"{CPU.format(n)}/cpufreq/scaling_max_freq": 1_200_000 for n in (0, 1)},
            "the highest clock that it may have fell from 1,800 MHz to 1,200 MHz",
        ),
    ],
)
def test_what_slows_it_is_named(board: Path, change: dict[str, object], says: str) -> None:
    before = conditions(board)
    after = conditions(written(board, change))
    assert throttling.objection(before, after) == says


def test_of_several_packages_each_counts_and_of_a_core_its_threads_once(tmp_path: Path) -> None:
    """A server of two: what one of them counted for years does not hide what the other does now."""
    files: dict[str, object] = {}
    for number, (package, core, seen) in enumerate(((0, 0, 1000), (0, 0, 1000), (1, 0, 3), (1, 1, 3))):
        cpu = CPU.format(number)
        files |= {f"{cpu}/topology/physical_package_id": package, f"{cpu}/topology/core_id": core}
        files |= {f"{cpu}/thermal_throttle/core_throttle_count": 7}
        files |= {f"{cpu}/thermal_throttle/package_throttle_count": seen}
    before = conditions(written(tmp_path, files))
    of_a_package = {f"{CPU.format(n)}/thermal_throttle/package_throttle_count": 4 for n in (2, 3)}
    said = throttling.objection(before, conditions(written(tmp_path, of_a_package)))
    assert said == "the processor was throttled 1 time"
    of_a_core = {f"{CPU.format(n)}/thermal_throttle/core_throttle_count": 8 for n in (0, 1)}
    said = throttling.objection(before, conditions(written(tmp_path, of_a_core)))
    assert said == "the processor was throttled 2 times"


def test_what_slowed_it_only_at_the_beginning_counts_too_and_what_rose_before_does_not(board: Path) -> None:
    usual = conditions(board)
    cooled = conditions(written(board, {"class/thermal/cooling_device1/cur_state": 1}))
    assert "cpufreq-cpu0" in str(throttling.objection(cooled, usual))
    written(board, {"class/thermal/cooling_device1/cur_state": 0})
    later = conditions(written(board, {f"{CPU.format(0)}/thermal_throttle/core_throttle_count": 90}))
    assert throttling.objection(later, later) is None


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("throttled=0x0", "throttled=0x50000", "its firmware reports under-voltage, throttling"),
        ("throttled=0x0", "throttled=0x50005", "its firmware reports under-voltage, throttling"),
        ("throttled=0x80008", "throttled=0x80000", "its firmware reports the soft limit of temperature"),
        # it was so once since the board was switched on, and has not been since
        ("throttled=0x50000", "throttled=0x50000", None),
        ("throttled=0x0", None, None),
        ("garbage", "throttled=", None),
    ],
)
def test_a_raspberry_pi_tells_by_its_firmware(tmp_path: Path, before: str, after: str | None, says: str | None) -> None:
    assert throttling.objection(conditions(tmp_path, before), conditions(tmp_path, after)) == says


def test_a_governor_that_asks_for_all_and_does_not_get_it(board: Path) -> None:
    slow = {f"{CPU.format(n)}/cpufreq/scaling_cur_freq": 600_000 for n in (0, 1)}
    told = [conditions(written(board, slow), governor=governor) for governor in ("performance", "powersave")]
    assert throttling.objection(told[0], told[0]) == (
        "it ran at 600 MHz where its governor, performance, asks for 1,800 MHz"
    )
    assert throttling.objection(told[1], told[1]) is None


def test_the_clock_is_that_of_the_processors_that_measuring_runs_on(board: Path) -> None:
    """Small ones at their full clock, beside large ones that idle under a governor of their own."""
    for number, clock, most in ((0, 18, 18), (1, 18, 18), (4, 6, 32), (5, 6, 32)):
        cpufreq = f"{CPU.format(number)}/cpufreq"
        clocks = {f"{cpufreq}/scaling_cur_freq": clock * 100_000, f"{cpufreq}/scaling_max_freq": most * 100_000}
        written(board, clocks)
    told, of_all, slow = (conditions(board, governor="performance", used=used) for used in ([0, 1], None, [5]))
    assert (told["throttling"]["clock_khz"], told["throttling"]["most_khz"]) == (1_800_000, 1_800_000)
    assert throttling.objection(told, told) is None
    for each in (of_all, slow):
        assert "its governor, performance, asks for 3,200 MHz" in str(throttling.objection(each, each))


def test_garbage_in_the_tree_is_nothing_told(board: Path) -> None:
    before = conditions(board)
    counts = [f"{CPU.format(n)}/thermal_throttle/core_throttle_count" for n in (0, 1)]
    after = conditions(written(board, {counts[0]: "nonsense", counts[1]: "", "class/thermal/thermal_zone0/temp": "?"}))
    assert throttling.objection(before, after) is None


def test_whether_a_machine_would_tell_at_all(board: Path, tmp_path: Path) -> None:
    assert slowing.is_told(board, lambda: None)
    assert slowing.is_told(tmp_path / "nothing", lambda: "throttled=0x0")
    assert not slowing.is_told(tmp_path / "nothing", lambda: None)
    assert not slowing.is_told(written(tmp_path / "fan", {"class/thermal/cooling_device0/type": "Fan"}), lambda: None)


def test_firmware_that_says_no_text_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timing_programs.program(tmp_path / "vcgencmd", "printf 'thr\\377ttled=0x5\\n'\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert slowing.state(tmp_path)["firmware"] is None


def test_a_mode_of_power_that_changes_meanwhile_is_told() -> None:
    """A laptop whose plug is pulled."""
    before, after = ({"power_mode": mode} for mode in ("balanced, balance_performance", "balanced, balance_power"))
    assert throttling.objection(before, before) is None
    assert throttling.objection({}, after) is None
    assert throttling.objection(before, {"power_mode": None}) is None
    assert throttling.objection(before, after) == (
        "its mode of power changed from balanced, balance_performance to balanced, balance_power"
    )
