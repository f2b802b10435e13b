"""What Android devices print of themselves: a phone, an emulator, and one that tells next to nothing."""

from __future__ import annotations

import json
import subprocess

import pytest

from makeweight_probe import android, facts, throttling

PHONE = {
    "properties": """\
[ro.boot.hardware]: [panther]
[ro.build.fingerprint]: [google/panther/panther:15/AP4A.250205.002/12821496:user/release-keys]
[ro.build.version.release]: [15]
[ro.hardware]: [panther]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 7]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [GS201]
""",
    "cpuinfo": """\
processor\t: 0
BogoMIPS\t: 49.15
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd05
""",
    "machine": "aarch64\n",
    "cores": "8\n",
    "load": "3.05 2.80 2.60 1/3012 8812\n",
    "governors": "sched_pixel\nsched_pixel\nsched_pixel\n",
    "frequencies": "1803000\n1803000\n2850000\n",
    "zones": "BIG=41000\nLITTLE=38500\nbattery=29900\n=\n",
    "thermal": """\
IsStatusOverride: false
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=91.0, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=36.5, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
\tTemperature{mValue=-99.9, mType=6, mName=TYPE_POWER_AMPLIFIER, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=3, mType=2, mName=thermal-cpufreq-2}
""",
    "battery": """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 2520000
  status: 2
  level: 81
  voltage: 4123
""",
    "power": "  mWakefulness=Awake\n",
}


def printed(sections: dict[str, str]) -> str:
    return "".join(f"==> {name}\n{text}" for name, text in sections.items())


def test_a_phone() -> None:
    told = android.sections(printed(PHONE))
    identity = android.identity(told)
    assert identity == {
        "cpu": "Google GS201",
        "model": "Google Pixel 7",
        "machine": "aarch64",
        "abi": ["arm64-v8a", "armeabi-v7a"],
        "isa": ["asimddp", "asimdhp", "fphp"],
        "cores": 8,
        "system": "Android 15",
        "build": "google/panther/panther:15/AP4A.250205.002/12821496:user/release-keys",
        "emulated": False,
    }
    assert json.loads(json.dumps(identity)) == identity
    assert android.conditions(told) == {
        "load": 3.05,
        "governor": "sched_pixel",
        "frequency_khz": "1803000, 2850000",
        "temperature_millicelsius": "41000",
        "thermal_status": 2,
        "battery_percent": 81,
        "charging": True,
        "screen": "on",
        "throttling": {"cooling": ["Android's thermal status 2"]},
    }


def test_where_zones_are_hidden_the_service_tells_what_is_read_now() -> None:
    """What it read long ago stands before, and a sensor of -99.9 degrees does not answer."""
    told = android.sections(printed({**PHONE, "zones": "", "power": "mWakefulness=Asleep\n"}).replace("\n", "\r\n"))
    assert android.conditions(told)["temperature_millicelsius"] == "36500"
    assert android.conditions(told)["screen"] == "off"


@pytest.mark.parametrize(
    "properties",
    ["[ro.kernel.qemu]: [1]", "[ro.boot.qemu]: [1]", "[ro.hardware]: [ranchu]", "[ro.hardware]: [cutf_cvm]"],
)
def test_an_emulator_is_told(properties: str) -> None:
    assert android.identity(android.sections(printed({"properties": properties})))["emulated"] is True


@pytest.mark.parametrize("text", ["", "\0\xff garbage", "==> ", "==> properties\n[]: []\n==> cores\nmany\n"])
def test_one_that_tells_nothing(text: str) -> None:
    told = android.sections(text)
    identity = android.identity(told)
    assert (identity["cpu"], identity["machine"], identity["isa"]) == ("unknown", "unknown", [])
    assert identity["cores"] is None
    assert identity["emulated"] is False
    conditions = android.conditions(told)
    assert conditions.pop("throttling") == {"cooling": []}
    assert set(conditions.values()) == {None}


def test_the_question_is_one_that_any_shell_answers() -> None:
    """Here without Android's programs: each section stands, and what is missing is empty."""
    answer = subprocess.run(["sh", "-c", android.ASK], capture_output=True, text=True, check=True)
    assert answer.stderr == ""
    told = android.sections(answer.stdout)
    assert told["properties"] == told["battery"] == ""
    assert int(told["cores"]) >= 1


def test_python_on_a_device_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Termux, or on a board."""
    monkeypatch.setattr(android, "told_here", lambda: android.sections(printed(PHONE)))
    identity = facts.identity()
    assert (identity["cpu"], identity["cores"]) == ("Google GS201", 8)
    assert set(identity["runtimes"]) >= {"onnxruntime"}
    conditions = facts.conditions()
    assert conditions["thermal_status"] == 2
    assert "Android's thermal status 2" in conditions["throttling"]["cooling"]
    assert throttling.objection(conditions, conditions) is not None, "what was measured so is measured again"
    assert conditions["cpus"], "what Linux tells stays"


def test_a_board_that_has_adbd_and_no_android_says_which_it_is() -> None:
    """Else all of them were one device, and figures of one were taken for another's."""
    cpu = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
    told = android.sections(f"==> cpuinfo\n{cpu}==> machine\naarch64\n==> board\nRockchip RK3588 EVB\n")
    identity = android.identity(told)
    assert (identity["cpu"], identity["model"]) == ("Arm 0xd0b by 0x41", "Rockchip RK3588 EVB")
