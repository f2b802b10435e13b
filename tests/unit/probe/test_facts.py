"""What a machine says of itself: facts that can be part of a key."""

import json
import os
import platform
import sys
from pathlib import Path

import pytest

from makeweight.devices import record
from makeweight_probe import darwin, facts, stolen, supply, sysfs, throttling


def test_the_identity_is_the_same_each_time_and_survives_json() -> None:
    """Else no key would ever match: it is compared with what a file holds."""
    identity = facts.identity()
    assert identity == facts.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert identity["cores"] >= 1
    assert identity["emulated"] is False
    assert set(identity["runtimes"]) >= {"onnxruntime"}


def test_conditions_are_no_part_of_the_identity() -> None:
    conditions = facts.conditions()
    assert not facts.identity().keys() & conditions.keys()
    assert set(conditions) == {
        "load", "governor", "frequency_khz", "temperature_millicelsius", "cpus", "kinds", "power_mode", "kernel",
        "throttling", "ticks",
    }  # fmt: skip


def test_without_proc_the_facts_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(facts, "_cpuinfo", dict)
    monkeypatch.setattr(sysfs, "value", lambda _: None)
    assert facts.identity()["isa"] == []
    assert facts.identity()["cpu"]
    assert facts.conditions()["governor"] is None
    assert facts.last_level_cache() is None


def test_the_last_level_cache_is_the_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index, size in enumerate(("48K", "64K", "2048K", "32M", "?")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    monkeypatch.setattr(facts, "_CACHES", tmp_path)
    assert facts.last_level_cache() == 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("told", "isa"),
    [
        ({"vendor_id": "GenuineIntel", "flags": "fma avx2 avx512_vnni"}, []),
        ({"Features": "fp asimd asimddp i8mm"}, ["asimddp", "i8mm"]),
    ],
    ids=["of-the-machine-beneath", "made-up"],
)
def test_an_imitated_processor_has_its_own_instructions_or_none(
    told: dict[str, str], isa: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_cpuinfo", lambda: told)
    monkeypatch.setattr(sysfs, "value", lambda _: "cpu:type:x86,ven0000fam0006mod008F:feature:,0000")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    identity = facts.identity()
    assert (identity["emulated"], identity["isa"]) == (True, isa)


def test_a_board_says_which_it_is_and_what_its_processor_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Raspberry Pi 5 has them: Arm's processors have numbers for names, and two boards may have the same."""
    told = {"processor": "0", "Features": "fp asimd asimddp", "CPU implementer": "0x41", "CPU part": "0xd0b"}
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(facts, "_cpuinfo", lambda: told)
    files = {"/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}
    monkeypatch.setattr(sysfs, "value", lambda path: files.get(str(path)))
    identity = facts.identity()
    assert (identity["cpu"], identity["model"]) == ("Arm 0xd0b by 0x41", "Raspberry Pi 5 Model B Rev 1.0")
    assert ", Raspberry Pi 5 Model B Rev 1.0, " in record.described(identity)
    files.clear()
    assert "model" not in facts.identity()


def test_the_governor_is_that_of_the_processors_that_measuring_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    at = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_{}"
    files = {at.format(0, "governor"): "schedutil", at.format(4, "governor"): "performance"}
    files |= {at.format(0, "cur_freq"): "600000", at.format(4, "cur_freq"): "2400000"}
    monkeypatch.setattr(sysfs, "value", lambda path: files.get(str(path)))
    for used, governor, frequency in (({0, 4}, "schedutil", "600000"), ({5, 4}, "performance", "2400000")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, used=used: used)
        told = facts.conditions()
        assert (told["governor"], told["frequency_khz"], told["cpus"]) == (governor, frequency, sorted(used))


def test_programs_of_32_bits_on_a_kernel_of_64_are_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Raspberry Pi OS has it: figures of the one were taken for the other's on the same board."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(facts, "emulated_here", lambda: False)
    assert "bits" not in facts.identity()
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    identity = facts.identity()
    assert identity["bits"] == 32
    assert "programs of 32 bits" in record.described(identity)
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")
    assert "bits" not in facts.identity(), "its name says so"


def test_a_mac_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """`uname` has `arm` for all of them, so figures of one were taken for another's."""
    told = {"machdep.cpu.brand_string": "Apple M2 Pro", "hw.model": "Mac14,9", "hw.optional.arm.FEAT_DotProd": "1"}
    monkeypatch.setattr(darwin, "told_here", lambda: told)
    identity = facts.identity()
    assert (identity["cpu"], identity["model"], identity["isa"]) == ("Apple M2 Pro", "Mac14,9", ["asimddp"])
    assert not identity["emulated"]
    told["sysctl.proc_translated"] = "1"
    assert facts.identity()["emulated"]
    assert facts.emulated_here()


def test_the_mode_of_power_is_told_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    files = {"/sys/firmware/acpi/platform_profile": "low-power"}
    monkeypatch.setattr(sysfs, "value", lambda path: files.get(str(path)))
    assert facts.conditions()["power_mode"] == "low-power"
    files["/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference"] = "balance_power"
    assert facts.conditions()["power_mode"] == "low-power, balance_power"
    files.clear()
    assert facts.conditions()["power_mode"] is None


def test_a_laptop_whose_plug_is_pulled_meanwhile_is_slowed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"BAT0/type": "Battery", "BAT0/status": "Charging", "AC/type": "Mains", "AC/online": "1"}
    files |= {"hid/type": "Battery", "hid/scope": "Device", "hid/status": "Discharging"}

    def told(**changed: str) -> str | None:
        for name, text in {**files, **{name.replace("_", "/"): text for name, text in changed.items()}}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")
        return supply.source(tmp_path)

    before, after = told(), told(BAT0_status="Discharging", AC_online="0")
    assert (before, after) == ("on mains", "on battery")
    assert told(BAT0_status="Discharging") == "on mains", "as where it takes more than the plug gives"
    assert supply.source(tmp_path / "none") is None
    said = throttling.objection({"power_mode": f"balanced, {before}"}, {"power_mode": f"balanced, {after}"})
    assert said == "its mode of power changed from balanced, on mains to balanced, on battery"


def test_what_the_host_of_a_virtual_machine_takes_is_told(tmp_path: Path) -> None:
    def state(*stolen_ticks: int) -> dict[str, object]:
        rows = [f"cpu{n} 100 5 20 7000 9 3 2 {each} 0 0" for n, each in enumerate(stolen_ticks)]
        (tmp_path / "stat").write_text("\n".join(["cpu  1 1 1 1 1 1 1 1 0 0", *rows, "intr 5", "btime 1"]))
        return {"ticks": stolen.state([0, 2], tmp_path / "stat")}

    assert state(4, 50, 6) == {"ticks": {"at_work": 260, "stolen": 10}}
    busy = {"ticks": {"at_work": 340, "stolen": 30}}
    assert "took 20% of its processors' time" in str(stolen.remark([(state(4, 50, 6), busy), ({}, {"ticks": None})]))
    assert stolen.remark([(state(4, 50, 6), {"ticks": {"at_work": 640, "stolen": 20}})]) is None, "a fortieth"
    assert stolen.remark([(busy, busy)]) is None
    assert stolen.state(None, tmp_path / "none") is None
    (tmp_path / "stat").write_text("cpu0 1 2 3 4\n")
    assert stolen.state(None, tmp_path / "stat") is None, "of an old kernel"
