"""Meters of energy, on trees of files as Linux shows them."""

from __future__ import annotations

import importlib.metadata
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.devices.device import DeviceOptions
from makeweight_probe import ProbeFailed, meters, power
from makeweight_probe.meters import NoMeter, battery, hwmon, rapl, tegrastats

RANGE = 262_143_328_850
"""Of a desktop's package, in uJ."""


def zone(root: Path, place: str, name: str, energy: int) -> Path:
    folder = root / place
    folder.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", RANGE)):
        (folder / file).write_text(f"{text}\n")
    return folder / "energy_uj"


def test_packages_and_memory_count_and_what_lies_within_them_does_not(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    core = zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 70)
    whole = zone(tmp_path, "intel-rapl:1", "psys", 9_000_000)
    meter = rapl.open_meter(tmp_path)
    assert meter.source == "RAPL package-0, dram"
    before = meter.joules()
    for counter, energy in ((package, 7_500_000), (core, 3_000_000), (memory, 250_070), (whole, 20_000_000)):
        counter.write_text(f"{energy}\n")
    assert meter.joules() - before == pytest.approx(2.5 + 0.25)


def test_a_counter_that_begins_anew_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 1_000_000)
    meter = rapl.open_meter(tmp_path)
    before = meter.joules()
    taken = []
    for energy in (500_000, 900_000, 100_000):
        counter.write_text(f"{energy}\n")
        taken.append(meter.joules() - before)
    assert taken == pytest.approx([1.5, 1.9, 1.1 + RANGE / 1e6])


def test_a_counter_that_begins_anew_nobody_knows_where_is_given_up(tmp_path: Path) -> None:
    """With its range taken for nothing, a rest would seem to have given energy back."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 7_000_000)
    (tmp_path / "intel-rapl:0/max_energy_range_uj").write_text("garbage\n")
    meter = rapl.open_meter(tmp_path)
    counter.write_text("8000000\n")
    assert meter.joules() == 8.0
    counter.write_text("500000\n")
    with pytest.raises(NoMeter, match="energy_uj began anew, and how far it counts is not told"):
        meter.joules()


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoMeter, match="no energy counter of a processor"):
        rapl.open_meter(tmp_path)


def test_a_counter_that_only_root_may_read_says_how_others_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    read = Path.read_text

    def refused(path: Path, *given: Any) -> str:
        if path == counter:
            raise PermissionError(13, "Permission denied")
        return read(path, *given)

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(NoMeter, match=r"only root may read .*energy_uj: `sudo chmod a\+r .*energy_uj`"):
        rapl.open_meter(tmp_path)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread reads beside."""
    monkeypatch.setattr(power.Polled, "_poll", lambda _: None)


@pytest.mark.usefixtures("_by_hand")
def test_watts_are_added_up_over_time(tmp_path: Path) -> None:
    """A Jetson Orin's INA3221: volts and amperes, and the rail of the whole board counts alone."""
    chip = tmp_path / "hwmon3"
    chip.mkdir()
    (chip / "name").write_text("ina3221\n")
    for channel, (name, millivolts, milliamperes) in enumerate(
        (("VDD_IN", 5000, 2000), ("VDD_CPU_GPU_CV", 5000, 900), ("VDD_SOC", 5000, 400)), start=1
    ):
        (chip / f"in{channel}_label").write_text(f"{name}\n")
        (chip / f"in{channel}_input").write_text(f"{millivolts}\n")
        (chip / f"curr{channel}_input").write_text(f"{milliamperes}\n")
    clock = Clock()
    meter = hwmon.open_meter(tmp_path, clock)
    assert meter.source == "hwmon VDD_IN"
    before = meter.joules()
    clock.now = 2.0
    assert meter.joules() - before == pytest.approx(20.0), "2 s of 10 W"
    (chip / "curr1_input").write_text("4000\n")
    clock.now = 3.0
    assert meter.joules() - before == pytest.approx(20.0 + 15.0), "1 s from 10 W to 20 W"
    meter.close()


@pytest.mark.usefixtures("_by_hand")
def test_shunts_and_sums_of_an_ina3221_are_no_rails(tmp_path: Path) -> None:
    """`curr4` adds up the others, and `in4` is the voltage over a shunt."""
    chip = tmp_path / "hwmon0"
    chip.mkdir()
    (chip / "name").write_text("ina3221\n")
    for channel, (millivolts, milliamperes) in {1: (12000, 500), 2: (5000, 200), 4: (3, 700)}.items():
        (chip / f"in{channel}_input").write_text(f"{millivolts}\n")
        (chip / f"curr{channel}_input").write_text(f"{milliamperes}\n")
    clock = Clock()
    meter = hwmon.open_meter(tmp_path, clock)
    clock.now = 1.0
    assert meter.joules() == pytest.approx(6.0 + 1.0)


@pytest.mark.usefixtures("_by_hand")
def test_the_rails_of_an_agx_orin_add_up_and_its_memory_hangs_on_one_of_them(tmp_path: Path) -> None:
    """Two chips, of which the second tells a rail that the first one feeds."""
    rails = (("hwmon0", 1, "VDD_GPU_SOC", 3150), ("hwmon0", 2, "VDD_CPU_CV", 14312), ("hwmon0", 3, "VIN_SYS_5V0", 4968))
    for chip, channel, name, milliwatts in (*rails, ("hwmon1", 2, "VDDQ_VDD2_1V8AO", 1091)):
        folder = tmp_path / chip
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text("ina3221\n")
        (folder / f"in{channel}_label").write_text(f"{name}\n")
        (folder / f"in{channel}_input").write_text("1000\n")
        (folder / f"curr{channel}_input").write_text(f"{milliwatts}\n")
    clock = Clock()
    meter = hwmon.open_meter(tmp_path, clock)
    assert meter.source == "hwmon VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0"
    clock.now = 2.0
    assert meter.joules() == pytest.approx(2 * (3.150 + 14.312 + 4.968))


@pytest.mark.usefixtures("_by_hand")
def test_without_a_rail_of_the_whole_all_rails_count(tmp_path: Path) -> None:
    for number, microwatts in enumerate((1_500_000, 500_000)):
        chip = tmp_path / f"hwmon{number}"
        chip.mkdir()
        (chip / "power1_input").write_text(f"{microwatts}\n")
    clock = Clock()
    meter = hwmon.open_meter(tmp_path, clock)
    assert meter.source == "hwmon hwmon0/power1, hwmon1/power1"
    clock.now = 1.0
    assert meter.joules() == pytest.approx(2.0)


def test_a_sensor_is_read_beside_what_runs(tmp_path: Path) -> None:
    """By a thread of its own, which ends with it: a burst between two questions is not missed."""
    chip = tmp_path / "hwmon0"
    chip.mkdir()
    (chip / "power1_input").write_text("1000000\n")
    meter = hwmon.open_meter(tmp_path)
    seen = meter._at
    while meter._at == seen:
        assert meter._joules >= 0
    meter.close()


def test_what_a_graphics_card_takes_is_not_what_runs_the_models(tmp_path: Path) -> None:
    """It was read before the processor's own counters, since its chip comes first."""
    for number, name in enumerate(("amdgpu", "sfp_2", "corsairpsu")):
        chip = tmp_path / f"hwmon{number}"
        chip.mkdir()
        (chip / "name").write_text(f"{name}\n")
        (chip / "power1_input").write_text("5000000\n")
        if name != "corsairpsu":
            with pytest.raises(NoMeter, match="no sensor of power"):
                hwmon.open_meter(tmp_path)
    meter = hwmon.open_meter(tmp_path)
    meter.close()
    assert meter.source == "hwmon hwmon2/power1"


@pytest.mark.parametrize("plugged", ["BAT0", "ucsi_source_psy_USBC000:001"])
def test_what_flows_to_and_from_a_battery_is_no_rail(tmp_path: Path, plugged: str) -> None:
    """Linux shows supplies among the sensors too, before the processor's own counters: a gauge that follows slowly."""
    supply, chip = tmp_path / "devices" / plugged, tmp_path / "hwmon4"
    for folder in (supply, chip, tmp_path / "class/power_supply"):
        folder.mkdir(parents=True)
    (supply / "subsystem").symlink_to("../../class/power_supply")
    (chip / "device").symlink_to(f"../devices/{plugged}")
    (chip / "name").write_text(f"{plugged}\n")
    (chip / "power1_input").write_text("14800000\n")
    with pytest.raises(NoMeter, match="no sensor of power"):
        hwmon.open_meter(tmp_path)


@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize(
    ("chip", "sensors"),
    [
        ("corsairpsu", {"power total": 62, "power +12v": 50, "power +5v": 8, "power +3.3v": 4}),
        ("macsmc_hwmon", {"AC Input Power": 70, "Total System Power": 62, "3.8 V Rail Power": 30}),
    ],
    ids=["a power supply", "a Mac"],
)
def test_where_the_whole_is_told_its_parts_do_not_count_once_more(
    tmp_path: Path, chip: str, sensors: dict[str, int]
) -> None:
    folder = tmp_path / "hwmon6"
    folder.mkdir()
    (folder / "name").write_text(f"{chip}\n")
    for number, (label, watts) in enumerate(sensors.items(), start=1):
        (folder / f"power{number}_label").write_text(f"{label}\n")
        (folder / f"power{number}_input").write_text(f"{watts}000000\n")
    clock = Clock()
    meter = hwmon.open_meter(tmp_path, clock)
    clock.now = 2.0
    assert meter.joules() == pytest.approx(124.0)


def test_a_sensor_that_could_not_be_read_for_a_moment_is_given_up() -> None:
    """A bus may fail once between two questions: both are answered, and what was taken meanwhile is not known."""
    busy = threading.Event()

    def watts() -> float:
        if busy.is_set():
            busy.clear()
            raise NoMeter("the bus is busy")
        return 1.0

    meter = power.Polled("a board", watts, every=0.001)
    meter.joules()
    busy.set()
    meter._thread.join()
    assert not busy.is_set()
    with pytest.raises(NoMeter, match="the bus is busy"):
        meter.joules()


def test_a_machine_without_sensors_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoMeter, match="no sensor of power"):
        hwmon.open_meter(tmp_path)


class Theirs:
    """A module of somebody else's."""

    def __init__(self, source: str | None) -> None:
        self._source = source

    def open_meter(self) -> Any:
        if self._source is None:
            raise NoMeter("not plugged in")
        return SimpleNamespace(source=self._source)


def brought(monkeypatch: pytest.MonkeyPatch, **modules: Theirs) -> None:
    entries = [SimpleNamespace(name=name, load=lambda each=each: each) for name, each in modules.items()]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: entries if group == "makeweight.meters" else []
    )


def test_a_meter_of_somebody_elses_comes_before_what_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    brought(monkeypatch, joulescope=Theirs("JS220"), absent=Theirs(None))
    assert meters.find("joulescope").source == meters.find(None).source == "JS220"
    with pytest.raises(NoMeter, match=r"^absent: not plugged in$"):
        meters.find("absent")


def test_a_broken_meter_of_somebody_elses_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Any:
        raise ImportError("libjoule.so: cannot open shared object file")

    class Crashing(Theirs):
        def open_meter(self) -> Any:
            raise RuntimeError("no device on bus 3")

    brought(monkeypatch, crashing=Crashing("x"), working=Theirs("JS220"))
    entries = importlib.metadata.entry_points(group="makeweight.meters")
    broken = [SimpleNamespace(name="absent", load=load), *entries]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: broken)
    assert meters.find(None).source == "JS220"
    for name, said in (("absent", "libjoule.so: cannot open"), ("crashing", "no device on bus 3")):
        with pytest.raises(NoMeter, match=f"^{name}: it cannot be opened: {said}"):
            meters.find(name)


def test_where_none_can_be_read_the_reason_of_each_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    brought(monkeypatch, absent=Theirs(None))
    monkeypatch.setattr(rapl, "_ROOT", tmp_path)
    for module in (rapl, hwmon, tegrastats, battery):
        monkeypatch.setattr(module, "open_meter", lambda module=module: _none(module.__name__))
    told = (
        r"^absent: not plugged in; hwmon: none by .*hwmon; rapl: none by .*rapl; tegrastats: none by .*tegrastats; "
        r"battery: none by .*battery$"
    )
    with pytest.raises(NoMeter, match=told):
        meters.find(None)


def _none(name: str) -> Any:
    raise NoMeter(f"none by {name}")


def test_an_unknown_meter_is_told() -> None:
    with pytest.raises(
        ProbeFailed, match=r"no meter `rappel` is known here; there is hwmon, nvml, rapl, stream, tegrastats"
    ):
        meters.find("rappel")


def test_options_that_a_meter_does_not_have_or_lacks_are_told_where_they_are_declared() -> None:
    for asked, told in (
        ({"kind": "rapl", "root": "/tmp"}, r"the meter `rapl` has no option `root`; it has none"),
        ({"kind": "stream", "power": 1}, "the meter `stream` needs `path`"),
        ({"path": "/dev/ttyACM0"}, "a meter with options has a `kind`"),
    ):
        with pytest.raises(ValueError, match=told):
            DeviceOptions(meter=asked)
        with pytest.raises((ProbeFailed, NoMeter)):
            meters.find(asked)
    assert DeviceOptions(meter={"kind": "of-somebody-else", "port": 3}).meter is not None


# a phone that counts what flows out as negative, in uA; one of Samsung's in mA; one that shows it as positive
PHONES = [
    ({"current_now": "-250000", "voltage_now": "4000000"}, 1.0),
    ({"current_now": "-350", "voltage_now": "4000000"}, 1.4),
    ({"current_now": "1500000", "voltage_now": "3800"}, 5.7),
    ({"power_now": "8400000", "voltage_now": "12100000"}, 8.4),
]


def supplies(root: Path, **trees: dict[str, str]) -> Path:
    for supply, files in trees.items():
        (root / supply).mkdir(exist_ok=True)
        for name, value in files.items():
            (root / supply / name).write_text(f"{value}\n")
    return root


@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize(("files", "watts"), PHONES, ids=["uA", "mA", "mV", "power"])
def test_a_battery_that_empties(tmp_path: Path, files: dict[str, str], watts: float) -> None:
    emptying = {"type": "Battery", "status": "Discharging", **files}
    usb, mouse = {"type": "USB", "online": "0"}, {"type": "Battery", "scope": "Device", "status": "Charging"}
    clock = Clock()
    meter = battery.open_meter(supplies(tmp_path, battery=emptying, usb=usb, hidpp_0=mouse), clock)
    assert meter.source == "battery battery"
    assert meter.seconds == 20.0
    before = meter.joules()
    clock.now = 10.0
    assert meter.joules() - before == pytest.approx(10 * watts)
    supplies(tmp_path, battery={"status": "Charging"})
    with pytest.raises(NoMeter, match="the battery battery is not emptying"):
        meter.joules()


@pytest.mark.usefixtures("_by_hand")
def test_of_two_batteries_one_rests_while_the_other_empties(tmp_path: Path) -> None:
    files = {"type": "Battery", "current_now": "2000000", "voltage_now": "11000000"}
    both = {"bat0": {**files, "status": "Not charging"}, "bat1": {**files, "status": "Discharging"}}
    meter = battery.open_meter(supplies(tmp_path, **both), clock := Clock())
    before = meter.joules()
    clock.now = 1.0
    assert meter.joules() - before == pytest.approx(22)
    supplies(tmp_path, bat0={"status": "Charging"})
    with pytest.raises(NoMeter, match="the battery bat0 is not emptying"):
        meter.joules()


@pytest.mark.parametrize(
    ("trees", "said"),
    [
        ({}, "no battery under"),
        ({"ac": {"type": "Mains", "online": "1"}}, "no battery under"),
        ({"bat": {"type": "Battery", "status": "Full", "current_now": "0"}}, r"`Full`\): pull the plug"),
        ({"bat": {"type": "Battery", "status": "Discharging"}}, "tells no current and voltage"),
        (
            {"bat": {"type": "Battery", "status": "Discharging", "current_now": "?", "voltage_now": "1"}},
            "tells no curr",
        ),
        (
            {
                "bat": {"type": "Battery", "status": "Discharging", "current_now": "-9", "voltage_now": "4000"},
                "usb": {"type": "USB", "online": "1"},
            },
            "usb is plugged in",
        ),
    ],
    ids=["nothing", "no-battery", "full", "no-current", "garbage", "cable"],
)
def test_a_battery_that_cannot_be_read_says_why(tmp_path: Path, trees: dict[str, Any], said: str) -> None:
    with pytest.raises(NoMeter, match=said):
        battery.open_meter(supplies(tmp_path, **trees))
