"""What a machine says of itself: facts that can be part of a key."""

import json
import platform
from pathlib import Path

import pytest

from makeweight_probe import facts, sysfs


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
        "load", "governor", "frequency_khz", "temperature_millicelsius", "cpus", "throttling",
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
    ("machine", "vendor", "modalias", "imitated"),
    [
        ("x86_64", "GenuineIntel", "cpu:type:x86,ven0000fam0006mod008F:feature:,0000", False),
        ("aarch64", None, "cpu:type:aarch64:feature:,0000,0001", False),
        ("s390x", "IBM/S390", None, False),
        ("arm64", None, None, False),
        ("aarch64", "GenuineIntel", None, True),
        ("aarch64", None, "cpu:type:x86,ven0002fam0019mod0001:feature:,0000", True),
        ("armv7l", "AuthenticAMD", "cpu:type:x86,ven0002fam0019mod0001:feature:,0000", True),
    ],
    ids=["x86", "arm", "s390", "mac", "arm-on-intel", "arm-with-cpuinfo-of-its-own", "arm-on-amd"],
)
def test_a_processor_that_another_imitates_is_told(
    machine: str, vendor: str | None, modalias: str | None, imitated: bool
) -> None:
    """What qemu-user shows of the machine beneath: its /sys, and its /proc/cpuinfo where it makes none up."""
    assert facts.emulated(machine, vendor, modalias) is imitated


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
